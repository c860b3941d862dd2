//===- TokenizerParts.h - What a tokenizer consists of ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_TOKENIZERPARTS_H
#define CLADE_RUNTIME_TOKENIZER_TOKENIZERPARTS_H

#include "runtime/Tokenizer/AddedTokens.h"
#include "runtime/Tokenizer/Decoder.h"
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/PostProcessor.h"
#include "runtime/Tokenizer/PreTokenizer.h"
#include "runtime/Tokenizer/Tokenizer.h"

namespace clade::rt {

/// The steps of encoding, in order, and the decoder.
struct Tokenizer::Parts {
  AddedTokens addedTokens;
  std::unique_ptr<Normalizer> normalizer;     ///< May be null.
  std::unique_ptr<PreTokenizer> preTokenizer; ///< May be null.
  std::unique_ptr<Model> model;
  PostProcessor postProcessor;
  Decoder decoder;

  /// The text that decoding starts from, or null.
  const std::string *token(int32_t id) const;
  bool isSpecial(const std::string &token) const {
    return addedTokens.isSpecial(token);
  }

  /// Cuts the text into pieces for the model.
  Status split(std::string_view text, Pieces &pieces) const;
  /// Feeds the token of an id to a decoding.
  Status decodeTo(DecodeChain &chain, int32_t id, bool skipSpecialTokens) const;

  static StatusOr<std::unique_ptr<Parts>> create(JsonFile &file);
  /// Fills all members of a new object from GGUF metadata.
  Status build(const GGUFVocabulary &source);
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_TOKENIZERPARTS_H
