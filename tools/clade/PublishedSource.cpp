//===- PublishedSource.cpp - Where published values come from -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/PublishedSource.h"

#include "tools/clade/Progress.h"

#include "runtime/Formats/Adapter.h"
#include "runtime/Support/File.h"

using namespace clade;
using namespace clade::driver;

rt::StatusOr<VerifyText> PublishedLibrary::text(const TextNeeds &needs) {
  return VerifyText::make(needs.vocab, tokens, needs.isWhole, needs.numTypes);
}

rt::StatusOr<const PublishedRun *>
PublishedLibrary::run(const VerifyText &text, const std::string &dtype) {
  auto it = runs.find(dtype);
  if (it == runs.end()) {
    showProgress("running the published implementation in " + dtype);
    CLADE_ASSIGN_OR_RETURN(PublishedRun made,
                           runPublished(choice, text, dtype));
    it = runs.emplace(dtype, std::move(made)).first;
  }
  return &it->second;
}

rt::StatusOr<VerifyText> RecordedSource::text(const TextNeeds &needs) {
  CLADE_RETURN_IF_ERROR(
      checkText(record->text, needs.vocab, needs.isWhole, needs.numTypes));
  return record->text;
}

rt::StatusOr<const PublishedRun *>
RecordedSource::run(const VerifyText &, const std::string &dtype) {
  return record->run(dtype);
}

std::string driver::recordFile(const std::string &path) {
  return rt::isDirectory(path) ? path + "/published.safetensors" : path;
}

rt::StatusOr<CheckpointIdentity>
driver::identityOf(const rt::Checkpoint &checkpoint) {
  std::optional<std::string> adapter;
  if (checkpoint.adapter())
    adapter = checkpoint.adapter()->configText();
  return CheckpointIdentity::of(checkpoint.configText().value_or("{}"), adapter,
                                checkpoint.tensors());
}
