//===- ByteLevel.h - GPT-2's letters for bytes ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GPT-2's reversible map from the 256 bytes to printable characters, in which
// byte-level vocabularies are written.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_BYTELEVEL_H
#define CLADE_RUNTIME_TOKENIZER_BYTELEVEL_H

#include <string>
#include <string_view>

namespace clade::rt {

/// Appends the letters for the bytes of `text`.
void appendByteLetters(std::string &out, std::string_view text);

/// Appends the bytes that the letters of `token` stand for; false, with nothing
/// appended, when a character is not such a letter.
bool appendLetterBytes(std::string &out, std::string_view token);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_BYTELEVEL_H
