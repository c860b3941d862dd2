//===- Format.cpp - The canonical form of a .spec file --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lays out bodies: which items share a line, where comments and empty lines go.
// A comment behind an item or a `{` stays there; one on lines of its own stays
// before what follows; one inside an item goes before the item.
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Format.h"

#include "lib/Spec/DocBuilder.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade::spec;

namespace {

/// Blanks before a line of a body.
constexpr unsigned bodyIndent = 2;
/// Blanks between two items of one line.
constexpr unsigned itemGap = 4;

class Formatter {
public:
  Formatter(const File &file, const llvm::SourceMgr &sourceMgr)
      : comments(file.comments), sourceMgr(sourceMgr) {}

  BlockLines formatItems(ArrayRef<Item> items, SourceRange region,
                         unsigned indent, bool hasBrace);

private:
  /// A list of items being written.
  struct State {
    unsigned indent = 0;
    BlockLines result;
    unsigned lastLine = 0;    ///< Of the source, of what was written last.
    size_t lastItemLines = 0; ///< That the last item has in `result`.
    bool isAfterItem = false; ///< Nothing else came after the last item.
    bool canJoin = false;     ///< The last item is on one line, and may share.
  };

  void formatItem(const Item &item, State &state);
  void addComment(const Comment &comment, State &state);
  void addOwnLine(StringRef text, State &state);
  void addTrailing(StringRef text, State &state);
  void addBlankLine(unsigned sourceLine, State &state);
  void addLines(const Item &item, std::vector<std::string> lines, State &state);
  LayoutResult layOutItem(const Item &item, unsigned indent,
                          std::vector<SourceRange> &blocks);

  unsigned lineOf(SMLoc loc) const { return sourceMgr.FindLineNumber(loc); }
  ArrayRef<Comment> commentsIn(SMLoc begin, SMLoc end) const;

  ArrayRef<Comment> comments;
  const llvm::SourceMgr &sourceMgr;
};

} // namespace

/// `// text`, with a blank before a word.
static std::string normalise(StringRef comment) {
  if (comment.size() > 2 && llvm::isAlnum(comment[2]))
    return ("// " + comment.drop_front(2)).str();
  return comment.str();
}

ArrayRef<Comment> Formatter::commentsIn(SMLoc begin, SMLoc end) const {
  auto before = [](const Comment &comment, SMLoc loc) {
    return comment.begin.getPointer() < loc.getPointer();
  };
  const auto *first = llvm::lower_bound(comments, begin, before);
  const auto *last = llvm::lower_bound(comments, end, before);
  return ArrayRef(first, std::max(first, last));
}

//===----------------------------------------------------------------------===//
// Comments and empty lines
//===----------------------------------------------------------------------===//

/// Keeps one of the source's empty lines before something at `sourceLine`.
void Formatter::addBlankLine(unsigned sourceLine, State &state) {
  if (state.lastLine && sourceLine > state.lastLine + 1 &&
      !state.result.lines.empty())
    state.result.lines.emplace_back();
}

void Formatter::addOwnLine(StringRef text, State &state) {
  state.result.lines.push_back(std::string(state.indent, ' ') + text.str());
  state.canJoin = state.isAfterItem = false;
}

/// Puts a comment behind the last line, or before it if it gets too long.
void Formatter::addTrailing(StringRef text, State &state) {
  std::string &line = state.result.lines.back();
  std::string whole = line + "  " + text.str();
  if (columnsOf(whole) <= maxColumns) {
    line = std::move(whole);
  } else {
    size_t begin = state.result.lines.size() - state.lastItemLines;
    state.result.lines.insert(state.result.lines.begin() + begin,
                              std::string(state.indent, ' ') + text.str());
  }
  state.canJoin = state.isAfterItem = false;
}

void Formatter::addComment(const Comment &comment, State &state) {
  unsigned line = lineOf(comment.begin);
  std::string text = normalise(comment.text);
  if (state.isAfterItem && line == state.lastLine)
    return addTrailing(text, state);
  addBlankLine(line, state);
  addOwnLine(text, state);
  state.lastLine = line;
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

static void collectBlocks(const Doc &doc, std::vector<SourceRange> &blocks) {
  if (doc.block)
    blocks.push_back(doc.block->braces);
  for (const Doc &part : doc.parts)
    if (part.hasBlock)
      collectBlocks(part, blocks);
}

/// The lines of an item. If it does not fit as written, its bodies are spread.
LayoutResult Formatter::layOutItem(const Item &item, unsigned indent,
                                   std::vector<SourceRange> &blocks) {
  Doc doc = item.build(/*spread=*/false);
  if (layOut(doc, indent, nullptr).isTooWide)
    doc = item.build(/*spread=*/true);
  collectBlocks(doc, blocks);
  auto print = [&](const BlockDoc &block, unsigned blockIndent) {
    return formatItems(block.items, block.braces, blockIndent + bodyIndent,
                       /*hasBrace=*/true);
  };
  BlockPrinter printer = print;
  return layOut(doc, indent, &printer);
}

void Formatter::addLines(const Item &item, std::vector<std::string> lines,
                         State &state) {
  std::vector<std::string> &out = state.result.lines;
  bool isOneLine = lines.size() == 1;
  if (isOneLine && state.canJoin && !item.startsLine &&
      lineOf(item.range.Start) == state.lastLine) {
    std::string joined = out.back() + std::string(itemGap, ' ') +
                         lines.front().substr(state.indent);
    if (columnsOf(joined) <= maxColumns) {
      out.back() = std::move(joined);
      return;
    }
  }
  state.lastItemLines = lines.size();
  llvm::append_range(out, lines);
  state.canJoin = isOneLine;
}

void Formatter::formatItem(const Item &item, State &state) {
  std::vector<SourceRange> blocks;
  LayoutResult layout = layOutItem(item, state.indent, blocks);
  unsigned line = lineOf(item.range.Start);
  addBlankLine(line, state);
  for (const Comment &comment : commentsIn(item.range.Start, item.range.End)) {
    bool isInBlock = llvm::any_of(blocks, [&](SourceRange block) {
      return comment.begin.getPointer() >= block.Start.getPointer() &&
             comment.begin.getPointer() < block.End.getPointer();
    });
    if (!isInBlock)
      addOwnLine(normalise(comment.text), state);
  }
  addLines(item, std::move(layout.lines), state);
  state.lastLine = lineOf(item.range.End);
  state.isAfterItem = true;
}

BlockLines Formatter::formatItems(ArrayRef<Item> items, SourceRange region,
                                  unsigned indent, bool hasBrace) {
  State state;
  state.indent = indent;
  SMLoc position = region.Start;
  auto addComments = [&](SMLoc end) {
    for (const Comment &comment : commentsIn(position, end)) {
      bool isFirst = hasBrace && state.result.lines.empty() &&
                     state.result.comment.empty();
      if (isFirst && lineOf(comment.begin) == lineOf(region.Start))
        state.result.comment = normalise(comment.text);
      else
        addComment(comment, state);
    }
  };
  for (const Item &item : items) {
    addComments(item.range.Start);
    formatItem(item, state);
    position = item.range.End;
  }
  addComments(region.End);
  return std::move(state.result);
}

std::string clade::spec::format(const File &file,
                                const llvm::SourceMgr &sourceMgr) {
  std::vector<Item> items = DocBuilder::items(file);
  // The whole buffer; a file without items and comments is empty.
  SMLoc any = !items.empty()           ? items.front().range.Start
              : !file.comments.empty() ? file.comments.front().begin
                                       : SMLoc();
  unsigned buffer = any.isValid() ? sourceMgr.FindBufferContainingLoc(any) : 0;
  if (!buffer)
    return "";
  StringRef text = sourceMgr.getMemoryBuffer(buffer)->getBuffer();
  SourceRange region(SMLoc::getFromPointer(text.begin()),
                     SMLoc::getFromPointer(text.end()));
  BlockLines result = Formatter(file, sourceMgr)
                          .formatItems(items, region, /*indent=*/0,
                                       /*hasBrace=*/false);
  return llvm::join(result.lines, "\n") + "\n";
}
