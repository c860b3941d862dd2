//===- ToyArtifact.cpp - Writes the hand-written model to disk ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Usage: clade-toy-artifact FOLDER
//
// Puts the toy model's checkpoint and its artifact, with a tokenizer, into an
// existing folder, for tests that run other programs.
//
//===----------------------------------------------------------------------===//

#include "ToySupport.h"

#include <cstdio>

using namespace clade::rt;
using namespace clade::rt::test;

static Status write(const std::string &folder) {
  CLADE_RETURN_IF_ERROR(writeToyCheckpoint(folder + "/checkpoint"));
  Manifest manifest = toyManifest();
  manifest.model.checkpoint = folder + "/checkpoint";
  return writeArtifact(
      folder + "/model", manifest,
      {toyCode(), toyWeightTable(), {{"tokenizer.json", toyTokenizer()}}});
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  Status status = write(argv[1]);
  if (!status.ok())
    std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
