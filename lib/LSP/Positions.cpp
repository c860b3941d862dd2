//===- Positions.cpp - Places in a text, as editors count them ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Positions.h"

#include "llvm/Support/ConvertUTF.h"

#include <algorithm>

using namespace clade::lsp;

Positions::Positions(StringRef text) : text(text), starts{0} {
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n')
      starts.push_back(i + 1);
}

StringRef Positions::lineAt(size_t line) const {
  size_t end = line + 1 < starts.size() ? starts[line + 1] - 1 : text.size();
  StringRef found = text.slice(starts[line], end);
  found.consume_back("\r");
  return found;
}

/// The bytes of the first character, and its units of UTF-16.
static std::pair<size_t, unsigned> firstCharacter(StringRef rest) {
  const auto *begin = reinterpret_cast<const llvm::UTF8 *>(rest.begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(rest.end());
  if (!llvm::isLegalUTF8Sequence(begin, end))
    return {1, 1};
  size_t bytes = llvm::getNumBytesForUTF8(*begin);
  return {bytes, bytes == 4 ? 2 : 1};
}

size_t Positions::offsetOf(llvm::lsp::Position position) const {
  if (position.line < 0)
    return 0;
  if (static_cast<size_t>(position.line) >= starts.size())
    return text.size();
  StringRef line = lineAt(position.line);
  size_t offset = 0;
  unsigned units = 0;
  while (offset < line.size()) {
    auto [bytes, width] = firstCharacter(line.drop_front(offset));
    if (static_cast<int64_t>(units) + width > position.character)
      break;
    offset += bytes;
    units += width;
  }
  return starts[position.line] + offset;
}

llvm::lsp::Position Positions::positionOf(size_t offset) const {
  offset = std::min(offset, text.size());
  size_t line = std::upper_bound(starts.begin(), starts.end(), offset) -
                starts.begin() - 1;
  // What ends a line belongs to its end.
  offset = std::min(offset, starts[line] + lineAt(line).size());
  int units = 0;
  for (size_t at = starts[line]; at < offset;) {
    auto [bytes, width] = firstCharacter(text.drop_front(at));
    if (at + bytes > offset)
      break;
    at += bytes;
    units += static_cast<int>(width);
  }
  return {static_cast<int>(line), units};
}

size_t Positions::offsetOf(unsigned line, unsigned column) const {
  if (line == 0 || line > starts.size())
    return text.size();
  return std::min(starts[line - 1] + (column ? column - 1 : 0), text.size());
}
