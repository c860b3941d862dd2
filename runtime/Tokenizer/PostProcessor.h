//===- PostProcessor.h - Special tokens around the text ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The post-processors of a tokenizer.json, as far as they concern a single
// text: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (which
// only moves offsets) and Sequence.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_POSTPROCESSOR_H
#define CLADE_RUNTIME_TOKENIZER_POSTPROCESSOR_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/JsonFile.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace clade::rt {

/// Puts special tokens around the ids of a text. A template is a list of parts:
/// the text, or some ids. Nested processors apply one template after another.
class PostProcessor {
public:
  /// Leaves the ids as they are.
  PostProcessor() = default;
  /// `prefix`, the text, `suffix`.
  PostProcessor(std::vector<int32_t> prefix, std::vector<int32_t> suffix);

  /// The ids with the special tokens, or, without them, what the templates
  /// leave of the ids.
  std::vector<int32_t> process(std::vector<int32_t> ids,
                               bool addSpecialTokens) const;

  /// Builds the processor that a file describes. Unsupported for an unknown
  /// type, Corruption for a malformed description.
  static StatusOr<PostProcessor> create(const JsonView &json);

private:
  struct Part {
    bool isText;
    std::vector<int32_t> ids;
  };
  using Template = std::vector<Part>;

  static StatusOr<Template> parseTemplate(const JsonView &json);

  std::vector<Template> templates;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_POSTPROCESSOR_H
