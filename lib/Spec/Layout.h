//===- Layout.h - Text that knows where it may break ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A Doc is the text of a piece of a file and the places where a line may end.
// The layout fills lines greedily, breaks the outermost places first, and
// indents a continuation by four blanks from the line that it continues.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_LAYOUT_H
#define CLADE_SPEC_LAYOUT_H

#include "lib/Spec/AST.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace clade::spec {

struct Doc;

/// What stands on lines of its own in a body: a declaration, field, statement,
/// case or weight equation.
struct Item {
  SourceRange range;
  /// Its text; `spread` puts the outermost bodies in it on several lines even
  /// if they stand on one in the source.
  std::function<Doc(bool spread)> build;
  /// Must not follow another item on its line, which it would continue.
  bool startsLine = false;
};

/// A body on several lines.
struct BlockDoc {
  std::vector<Item> items;
  SourceRange braces;
};

struct Doc {
  enum class Kind {
    Text,
    Concat, ///< The parts, one after the other.
    Fill,   ///< The parts, with a place to break between two.
    Assign, ///< Two parts, of which the second may begin a new line.
    Block,  ///< `{`, lines, `}`.
  };

  Kind kind = Kind::Text;
  std::string string;
  std::vector<Doc> parts;
  bool breaksAtStart = false; ///< Of a Fill: also before the first part.
  std::shared_ptr<const BlockDoc> block;

  /// The columns of the text on one line, up to the first block.
  unsigned width = 0;
  /// The columns up to the first place to break, and whether there is one.
  unsigned head = 0;
  bool canBreak = false;
  bool hasBlock = false;

  static Doc text(std::string string);
  static Doc concat(std::vector<Doc> parts);
  static Doc fill(std::vector<Doc> parts);
  /// A fill without blanks that may break before its first part: the content
  /// of a bracket.
  static Doc bracketed(StringRef open, std::vector<Doc> parts, StringRef close);
  static Doc assign(Doc target, Doc value);
  static Doc braces(BlockDoc block);
};

/// The columns of `text`: its characters, not its bytes.
unsigned columnsOf(StringRef text);

/// The lines between the braces of a block whose line is indented by `indent`,
/// and the comment behind its `{`, without the newlines.
struct BlockLines {
  std::string comment;
  std::vector<std::string> lines;
};
using BlockPrinter =
    llvm::function_ref<BlockLines(const BlockDoc &block, unsigned indent)>;

/// The lines of a document. Its blocks stay empty without a printer.
struct LayoutResult {
  std::vector<std::string> lines;
  bool isTooWide = false; ///< Of the document itself, not of its blocks.
};
LayoutResult layOut(const Doc &doc, unsigned indent, BlockPrinter *printer);

/// The text on one line; there must be no block in it.
std::string flatten(const Doc &doc);

} // namespace clade::spec

#endif // CLADE_SPEC_LAYOUT_H
