//===- step-input.cpp - All that a compiled step works on -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: step-input ARTIFACT CHECKPOINT TOKEN…
//
// Writes to the standard output what Inputs/run-step.c reads: sizes, tokens,
// layers, states and the weights in compiled layout, for a machine that the
// runtime has not been built for. The artifact's code is not loaded.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Manifest.h"
#include "runtime/Support/File.h"
#include "runtime/Weights/WeightLoader.h"

#include <cstdio>
#include <cstdlib>

using namespace clade::rt;

namespace {

int fail(const Status &status) {
  std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return 1;
}

template <typename T> void put(const T *values, size_t count) {
  std::fwrite(values, sizeof(T), count, stdout);
}
void put(int64_t value) { put(&value, 1); }

/// Everything but the weights, with one sequence of `tokens`.
void putStep(const Manifest &manifest, const std::vector<int32_t> &tokens) {
  auto count = static_cast<int64_t>(tokens.size());
  int64_t pages = (count + CLADE_PAGE_TOKENS - 1) / CLADE_PAGE_TOKENS;
  put(count);
  put(static_cast<int64_t>(manifest.layers.size()));
  put(static_cast<int64_t>(manifest.states.size()));
  put(manifest.weightSlots);
  put(manifest.logitsWidth());
  put(manifest.workspace.fixed + manifest.workspace.perToken * count +
      manifest.workspace.perSelected + manifest.workspace.perSequence);
  put(manifest.scratch.fixed + manifest.scratch.perContext * count);
  put(pages);
  put(tokens.data(), tokens.size());
  put(manifest.layers.data(), manifest.layers.size());
  for (const ManifestState &state : manifest.states) {
    put(state.keyPageBytes() * (state.isRecurrent() ? 1 : pages));
    put(state.valuePageBytes() * (state.isRecurrent() ? 1 : pages));
    put(state.isRecurrent() ? 1 : pages);
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: step-input ARTIFACT CHECKPOINT TOKEN…\n");
    return 2;
  }
  std::string artifact = argv[1];
  auto manifestText = readTextFile(artifact + "/manifest.json");
  if (!manifestText.ok())
    return fail(manifestText.status());
  auto manifest = Manifest::fromJson(*manifestText);
  if (!manifest.ok())
    return fail(manifest.status());
  auto tableText = readTextFile(artifact + "/weights.json");
  if (!tableText.ok())
    return fail(tableText.status());
  auto table = WeightTable::parse(*tableText, "weights.json");
  if (!table.ok())
    return fail(table.status());
  auto checkpoint = Checkpoint::open(argv[2]);
  if (!checkpoint.ok())
    return fail(checkpoint.status());
  auto weights = loadWeights(*table, *checkpoint);
  if (!weights.ok())
    return fail(weights.status());
  std::vector<int32_t> tokens;
  for (int i = 3; i < argc; ++i)
    tokens.push_back(std::atoi(argv[i]));
  putStep(*manifest, tokens);
  for (int32_t slot = 0; slot < weights->numSlots(); ++slot) {
    ByteSpan bytes = weights->slot(slot);
    put(static_cast<int64_t>(bytes.size()));
    put(bytes.data(), bytes.size());
  }
  return 0;
}
