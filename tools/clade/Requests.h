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
#include "runtime/Image/Image.h"
#include "runtime/Tokenizer/Tokenizer.h"

#include <CLI/CLI.hpp>

namespace clade::driver {

/// The options of 'clade run' that say what to continue and how.
struct RequestOptions {
  std::string prompt, batchFile, inputsFile;
  std::vector<std::string> imageFiles;
  /// Folders of adapters. Those beside an artifact have numbers from 1, and a
  /// request without one has the first.
  std::vector<std::string> adapters;
  bool areAdaptersBeside = false;
  std::vector<int32_t> tokens, types, forced;
  int64_t maxTokens = 64;
  bool ignoreEos = false;
  rt::SamplingOptions sampling;

  void addTo(CLI::App &command);
  bool needsTokenizer() const;
};

/// The pictures of a request; none for most.
struct Pictures {
  std::vector<rt::Image> images;
  /// A prompt that is encoded when it is known how many tokens stand for the
  /// pictures; nothing for a request that has its tokens.
  std::optional<std::string> prompt;
};

/// What to continue.
struct Requests {
  std::vector<rt::GenerateRequest> requests;
  /// Of each, the file with what its images have become; may be empty.
  std::vector<std::string> inputs;
  /// Of each, its pictures; not where there is such a file.
  std::vector<Pictures> pictures;
};

/// The requests, whose image files are read; prompts without images are encoded
/// by `tokenizer`, which may be null if none has a text.
rt::StatusOr<Requests> makeRequests(const RequestOptions &options,
                                    const rt::Tokenizer *tokenizer);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_REQUESTS_H
