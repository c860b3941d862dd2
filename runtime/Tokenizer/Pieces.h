//===- Pieces.h - A text in pieces ------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The text between normalization and the model: a list of pieces, which added
// tokens and pre-tokenizers split further.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_PIECES_H
#define CLADE_RUNTIME_TOKENIZER_PIECES_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/Regex.h"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// A part of the text, or an added token that stood in it.
struct Piece {
  std::string_view text;
  /// The id of an added token, or -1 for text that the model splits.
  int32_t id = -1;
  /// See NormalizedText::originBytes.
  size_t originBytes = 0;
  /// Whether the piece starts where the input starts.
  bool startsInput = false;

  /// The part [begin, end) of this piece.
  Piece slice(size_t begin, size_t end) const;
};

/// What Split does with what its pattern matches.
enum class SplitBehavior {
  Removed,
  Isolated,
  MergedWithPrevious,
  MergedWithNext,
  Contiguous,
};

/// The pieces and the memory behind their texts.
class Pieces {
public:
  std::vector<Piece> list;

  /// Keeps `text` as long as this object lives. ResourceExhausted when all kept
  /// texts together exceed maxTextSize.
  StatusOr<std::string_view> keep(std::string text);

  /// Replaces each piece of text by what `split(piece, out)` appends to `out`;
  /// added tokens stay. Empty pieces vanish.
  template <typename Split> Status forEachText(Split &&split) {
    std::vector<Piece> old = std::move(list);
    list.clear();
    list.reserve(old.size());
    for (const Piece &piece : old) {
      if (piece.id >= 0) {
        list.push_back(piece);
        continue;
      }
      CLADE_RETURN_IF_ERROR(split(piece, list));
    }
    return Status();
  }

private:
  std::deque<std::string> texts;
  size_t keptBytes = 0;
};

/// Appends the parts of `piece` that the spans, which cover it, and the
/// behavior make. `spans` is scratch space afterwards.
void splitPiece(const Piece &piece, std::vector<Span> &spans,
                SplitBehavior behavior, std::vector<Piece> &out);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_PIECES_H
