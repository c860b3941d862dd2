//===- ConvertPacked.cpp - An artifact that holds its weights -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Convert.h"
#include "tools/clade/Progress.h"

#include "runtime/Engine/Artifact.h"
#include "runtime/Support/File.h"
#include "runtime/Weights/PackedWeights.h"

using namespace clade;
using namespace clade::driver;

/// Opens what was written, reads every byte and compares the hashes.
static rt::StatusOr<ConvertReport> readBack(const std::string &folder) {
  CLADE_ASSIGN_OR_RETURN(auto artifact, rt::Artifact::open(folder));
  CLADE_ASSIGN_OR_RETURN(std::string index,
                         rt::readTextFile(artifact->filePath(rt::packedIndex)));
  CLADE_ASSIGN_OR_RETURN(
      rt::PackedWeights packed,
      rt::PackedWeights::open(artifact->filePath(rt::packedData), index,
                              artifact->weightTable()));
  rt::LoadOptions options;
  options.progress = [](int64_t done, int64_t total) {
    showProgress("reading the weights back", done, total);
  };
  CLADE_RETURN_IF_ERROR(packed.verify(options));
  ConvertReport report;
  report.facts = {{"tensors", packed.numSlots()}, {"bytes", packed.bytes()}};
  return report;
}

std::optional<ConvertReport>
driver::convertToPacked(Environment &environment,
                        const rt::Checkpoint &checkpoint,
                        const ConvertOptions &options) {
  ModelChoice choice;
  choice.dtype = options.dtype;
  choice.cpu = options.cpu;
  choice.precision = options.precision;
  choice.weights = options.weights;
  choice.isPacked = true;
  if (!compileToFolder(environment, checkpoint, choice, options.output))
    return std::nullopt;
  rt::StatusOr<ConvertReport> report = readBack(options.output);
  if (!report.ok())
    return fail(report.status()), std::nullopt;
  return std::move(*report);
}
