//===- LoadTokenizer.h - The tokenizer of a model ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Finds what a tokenizer is made from: a tokenizer.json or GGUF metadata.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_LOADTOKENIZER_H
#define CLADE_RUNTIME_ENGINE_LOADTOKENIZER_H

#include "runtime/Formats/Checkpoint.h"
#include "runtime/Tokenizer/Tokenizer.h"

namespace clade::rt {

/// The keys `tokenizer.ggml.*` of a GGUF file. NotFound without tokens,
/// Corruption for a key of the wrong type.
StatusOr<GGUFVocabulary> readGGUFVocabulary(const GGUFFile &file);

/// The tokenizer of a checkpoint. NotFound if it has none.
StatusOr<std::unique_ptr<Tokenizer>>
loadTokenizer(const Checkpoint &checkpoint);

/// The tokenizer that the file tokenizer.json describes.
StatusOr<std::unique_ptr<Tokenizer>> loadTokenizer(const std::string &path);

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_LOADTOKENIZER_H
