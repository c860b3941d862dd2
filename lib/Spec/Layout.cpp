//===- Layout.cpp - Text that knows where it may break --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Layout.h"

#include "lib/Spec/Format.h"

#include "llvm/ADT/STLExtras.h"

using namespace clade::spec;

/// Blanks before the continuation of a line, and before a line of a body.
constexpr unsigned continuationIndent = 4;

unsigned clade::spec::columnsOf(StringRef text) {
  return llvm::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
}

//===----------------------------------------------------------------------===//
// Building documents
//===----------------------------------------------------------------------===//

/// Adds `part` to the measures of `whole`, whose text ends before it; `gap`
/// columns and perhaps a place to break come between.
static void append(Doc &whole, const Doc &part, unsigned gap, bool breaks) {
  if (!whole.hasBlock)
    whole.width += gap + part.width;
  if (!whole.canBreak && breaks)
    whole.canBreak = true;
  else if (!whole.canBreak)
    whole.head += gap + part.head;
  whole.canBreak |= part.canBreak;
  whole.hasBlock |= part.hasBlock;
}

Doc Doc::text(std::string string) {
  Doc doc;
  doc.width = doc.head = columnsOf(string);
  doc.string = std::move(string);
  return doc;
}

Doc Doc::concat(std::vector<Doc> parts) {
  Doc doc;
  doc.kind = Kind::Concat;
  for (const Doc &part : parts)
    append(doc, part, 0, false);
  doc.parts = std::move(parts);
  return doc;
}

static Doc makeFill(std::vector<Doc> parts, bool breaksAtStart) {
  Doc doc;
  doc.kind = Doc::Kind::Fill;
  doc.breaksAtStart = breaksAtStart;
  for (auto [index, part] : llvm::enumerate(parts))
    append(doc, part, index > 0, index > 0 || breaksAtStart);
  doc.parts = std::move(parts);
  return doc;
}

Doc Doc::fill(std::vector<Doc> parts) {
  return parts.size() == 1 ? std::move(parts.front())
                           : makeFill(std::move(parts), false);
}

Doc Doc::bracketed(StringRef open, std::vector<Doc> parts, StringRef close) {
  if (parts.empty())
    return text((open + close).str());
  for (Doc &part : llvm::MutableArrayRef(parts).drop_back())
    part = concat({std::move(part), text(",")});
  return concat(
      {text(open.str()), makeFill(std::move(parts), true), text(close.str())});
}

Doc Doc::assign(Doc target, Doc value) {
  Doc doc;
  doc.kind = Kind::Assign;
  append(doc, target, 0, false);
  append(doc, value, 1, false);
  doc.parts = {std::move(target), std::move(value)};
  return doc;
}

Doc Doc::braces(BlockDoc block) {
  Doc doc = text("{");
  doc.kind = Kind::Block;
  doc.canBreak = doc.hasBlock = true;
  doc.block = std::make_shared<const BlockDoc>(std::move(block));
  return doc;
}

static void flattenInto(const Doc &doc, std::string &out) {
  out += doc.string;
  for (auto [index, part] : llvm::enumerate(doc.parts)) {
    if (index > 0 && doc.kind != Doc::Kind::Concat)
      out += ' ';
    flattenInto(part, out);
  }
}

std::string clade::spec::flatten(const Doc &doc) {
  std::string text;
  flattenInto(doc, text);
  return text;
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

namespace {

class Layout {
public:
  Layout(unsigned indent, BlockPrinter *printer) : printer(printer) {
    newLine(indent);
  }

  /// Writes `doc`, behind which `tail` columns must stand on the same line.
  void write(const Doc &doc, unsigned tail);
  LayoutResult finish();

private:
  void writeText(StringRef text);
  void writeConcat(const Doc &doc, unsigned tail);
  void writeFill(const Doc &doc, unsigned tail);
  void writeAssign(const Doc &doc, unsigned tail);
  void writeBlock(const Doc &doc);
  void newLine(unsigned newIndent);
  bool fits(unsigned width) const { return column + width <= maxColumns; }

  BlockPrinter *printer;
  LayoutResult result;
  unsigned indent = 0; ///< Of the current line.
  unsigned column = 0;
};

} // namespace

void Layout::newLine(unsigned newIndent) {
  result.isTooWide |= column > maxColumns;
  result.lines.emplace_back(newIndent, ' ');
  indent = column = newIndent;
}

void Layout::writeText(StringRef text) {
  result.lines.back() += text;
  column += columnsOf(text);
}

LayoutResult Layout::finish() {
  result.isTooWide |= column > maxColumns;
  return std::move(result);
}

void Layout::write(const Doc &doc, unsigned tail) {
  if (!doc.hasBlock && fits(doc.width + tail))
    return writeText(flatten(doc));
  switch (doc.kind) {
  case Doc::Kind::Text:
    return writeText(doc.string);
  case Doc::Kind::Concat:
    return writeConcat(doc, tail);
  case Doc::Kind::Fill:
    return writeFill(doc, tail);
  case Doc::Kind::Assign:
    return writeAssign(doc, tail);
  case Doc::Kind::Block:
    return writeBlock(doc);
  }
}

void Layout::writeConcat(const Doc &doc, unsigned tail) {
  // What must stand behind each part: the parts after it, up to a break.
  std::vector<unsigned> tails(doc.parts.size());
  for (size_t i = doc.parts.size(); i-- > 0;) {
    tails[i] = tail;
    tail = doc.parts[i].head + (doc.parts[i].canBreak ? 0 : tail);
  }
  for (auto [part, behind] : llvm::zip_equal(doc.parts, tails))
    write(part, behind);
}

void Layout::writeFill(const Doc &doc, unsigned tail) {
  unsigned base = indent + continuationIndent;
  for (auto [index, part] : llvm::enumerate(doc.parts)) {
    bool isLast = index + 1 == doc.parts.size();
    unsigned behind = isLast && !part.hasBlock ? tail : 0;
    unsigned gap = index > 0;
    if (index > 0 || doc.breaksAtStart) {
      bool fitsHere = fits(gap + part.width + behind);
      bool fitsBelow = base + part.width + behind <= maxColumns;
      // A first part that must break anyway begins where it is, if it can.
      bool beginsHere = index == 0 && !fitsBelow && fits(part.head);
      if (!fitsHere && !beginsHere && column > base)
        newLine(base);
      else if (gap)
        writeText(" ");
    }
    write(part, behind);
  }
}

void Layout::writeAssign(const Doc &doc, unsigned tail) {
  const Doc &target = doc.parts[0];
  const Doc &value = doc.parts[1];
  unsigned base = indent + continuationIndent;
  write(target, 1 + value.head + (value.canBreak ? 0 : tail));
  if (!value.hasBlock && !fits(1 + value.width + tail) &&
      base + value.width + tail <= maxColumns)
    newLine(base);
  else
    writeText(" ");
  write(value, tail);
}

void Layout::writeBlock(const Doc &doc) {
  unsigned outer = indent;
  writeText("{");
  if (printer) {
    BlockLines block = (*printer)(*doc.block, outer);
    std::string comment = "  " + block.comment;
    if (!block.comment.empty() && fits(columnsOf(comment)))
      result.lines.back() += comment;
    else if (!block.comment.empty())
      result.lines.push_back(std::string(outer, ' ') + comment);
    llvm::append_range(result.lines, block.lines);
  }
  newLine(outer);
  writeText("}");
}

LayoutResult clade::spec::layOut(const Doc &doc, unsigned indent,
                                 BlockPrinter *printer) {
  Layout layout(indent, printer);
  layout.write(doc, 0);
  return layout.finish();
}
