//===- ByteLevel.cpp - GPT-2's letters for bytes --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/ByteLevel.h"
#include "runtime/Tokenizer/Unicode.h"

#include <array>

using namespace clade::rt;

namespace {
/// The tables in both directions. Printable bytes stand for themselves; the
/// others get the code points from U+0100 on, in order.
struct ByteTables {
  std::array<char32_t, 256> letters{};
  std::array<int16_t, 512> bytes{};

  constexpr ByteTables() {
    for (int16_t &byte : bytes)
      byte = -1;
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      bool isPrintable = (byte >= '!' && byte <= '~') ||
                         (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      letters[byte] = isPrintable ? static_cast<char32_t>(byte) : next++;
      bytes[letters[byte]] = static_cast<int16_t>(byte);
    }
  }
};
constexpr ByteTables tables;
} // namespace

void clade::rt::appendByteLetters(std::string &out, std::string_view text) {
  for (char byte : text)
    appendCharacter(out, tables.letters[static_cast<unsigned char>(byte)]);
}

bool clade::rt::appendLetterBytes(std::string &out, std::string_view token) {
  size_t oldSize = out.size();
  for (size_t position = 0; position < token.size();) {
    auto [c, length] = decodeCharacter(token, position);
    if (c >= tables.bytes.size() || tables.bytes[c] < 0) {
      out.resize(oldSize);
      return false;
    }
    out += static_cast<char>(tables.bytes[c]);
    position += length;
  }
  return true;
}
