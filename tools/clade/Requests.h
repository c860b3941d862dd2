//===- Requests.h - What 'clade run' is asked to continue -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_REQUESTS_H
#define CLADE_TOOLS_CLADE_REQUESTS_H

#include "runtime/Engine/Generate.h"
#include "runtime/Formats/Checkpoint.h"
#include "runtime/Tokenizer/Tokenizer.h"

#include <CLI/CLI.hpp>

namespace clade::driver {

/// The options of 'clade run' that say what to continue and how.
struct RequestOptions {
  std::string prompt, batchFile, inputsFile;
  std::vector<int32_t> tokens, forced;
  int64_t maxTokens = 64;
  bool ignoreEos = false;
  rt::SamplingOptions sampling;

  void addTo(CLI::App &command);
  bool needsTokenizer() const;
};

/// What to continue.
struct Requests {
  std::vector<rt::GenerateRequest> requests;
  /// Of each, the file with what its images have become; may be empty.
  std::vector<std::string> inputs;
};

/// The requests; prompts are encoded by `tokenizer`, which may be null if none
/// has a text.
rt::StatusOr<Requests> makeRequests(const RequestOptions &options,
                                    const rt::Tokenizer *tokenizer);

/// The tokenizer of a checkpoint: tokenizer.json, or a GGUF file's vocabulary.
rt::StatusOr<std::unique_ptr<rt::Tokenizer>>
loadTokenizer(const rt::Checkpoint &checkpoint);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_REQUESTS_H
