//===- Pieces.cpp - A text in pieces --------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Pieces.h"
#include "runtime/Tokenizer/Normalizer.h"

#include <algorithm>

using namespace clade::rt;

Piece Piece::slice(size_t begin, size_t end) const {
  Piece part;
  part.text = text.substr(begin, end - begin);
  bool fromOrigin = begin < originBytes;
  part.startsInput = startsInput && fromOrigin;
  part.originBytes = fromOrigin ? std::min(originBytes, end) - begin : 0;
  return part;
}

StatusOr<std::string_view> Pieces::keep(std::string text) {
  keptBytes += text.size();
  CLADE_RETURN_IF_ERROR(checkTextSize(keptBytes));
  texts.push_back(std::move(text));
  return std::string_view(texts.back());
}

/// Joins neighbours: a match with its own kind, or with the text before or
/// after it.
static void mergeSpans(std::vector<Span> &spans, SplitBehavior behavior) {
  std::vector<Span> merged;
  bool backwards = behavior == SplitBehavior::MergedWithNext;
  if (backwards)
    std::reverse(spans.begin(), spans.end());
  bool previous = false;
  for (const Span &span : spans) {
    bool joins = behavior == SplitBehavior::Contiguous
                     ? span.isMatch == previous
                     : span.isMatch && !previous;
    previous = span.isMatch;
    if (!joins || merged.empty())
      merged.push_back(span);
    else if (backwards)
      merged.back().begin = span.begin;
    else
      merged.back().end = span.end;
  }
  if (backwards)
    std::reverse(merged.begin(), merged.end());
  spans = std::move(merged);
}

void clade::rt::splitPiece(const Piece &piece, std::vector<Span> &spans,
                           SplitBehavior behavior, std::vector<Piece> &out) {
  bool removes = behavior == SplitBehavior::Removed;
  if (!removes && behavior != SplitBehavior::Isolated)
    mergeSpans(spans, behavior);
  for (const Span &span : spans)
    if (span.begin != span.end && !(removes && span.isMatch))
      out.push_back(piece.slice(span.begin, span.end));
}
