//===- Text.h - Pieces of messages ------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Names that come from files are put into messages through quoteName(), so that
// a hostile name can neither flood a terminal nor control it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_TEXT_H
#define CLADE_RUNTIME_SUPPORT_TEXT_H

#include <string>
#include <string_view>

namespace clade::rt {

/// `text` in single quotes; control characters become "\xNN", and what exceeds
/// 200 bytes becomes "...". Not called quoted: std::quoted would compete with
/// it.
inline std::string quoteName(std::string_view text) {
  constexpr size_t limit = 200;
  constexpr char digits[] = "0123456789abcdef";
  std::string result = "'";
  for (char character : text.substr(0, limit)) {
    unsigned char byte = static_cast<unsigned char>(character);
    if (byte >= 0x20 && byte != 0x7f) {
      result += character;
      continue;
    }
    result += "\\x";
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result + (text.size() > limit ? "...'" : "'");
}

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_TEXT_H
