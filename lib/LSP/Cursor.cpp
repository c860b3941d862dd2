//===- Cursor.cpp - What stands around a place of a text ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Cursor.h"

#include "llvm/ADT/STLExtras.h"

using namespace clade::lsp;
using clade::spec::Token;
using clade::spec::TokenList;
using llvm::ArrayRef;

/// Goes on over what is no token.
static TokenList tokensOf(StringRef text) {
  return clade::spec::lex(text,
                          [](unsigned, unsigned, std::string) { return true; });
}

Cursor::Cursor(StringRef text, size_t at)
    : text(text), offset(std::min(at, text.size())) {
  TokenList list = tokensOf(text);
  for (const clade::spec::Comment &comment : list.comments) {
    size_t begin = comment.begin.getPointer() - text.begin();
    inText |= begin < offset && offset <= begin + comment.text.size();
  }
  for (const Token &token : list.tokens)
    inText |= token.isString() && offsetOf(token) < offset &&
              offset < offsetOf(token) + token.text.size();
  findWord(list.tokens);
  findSection(list.tokens);
}

void Cursor::findWord(ArrayRef<Token> tokens) {
  wordText = text.slice(offset, offset);
  // The first token that ends behind the place, or at it.
  size_t index = 0;
  while (index + 1 < tokens.size() &&
         offsetOf(tokens[index]) + tokens[index].text.size() < offset)
    ++index;
  if (index < tokens.size() && !tokens[index].isWord() &&
      index + 1 < tokens.size() && tokens[index + 1].isWord() &&
      offsetOf(tokens[index + 1]) == offset)
    ++index;
  bool isIn = index < tokens.size() && tokens[index].isWord() &&
              offsetOf(tokens[index]) <= offset;
  if (isIn)
    wordText = tokens[index].text;
  // Tokens that end before the word.
  size_t previous = 0;
  while (previous < tokens.size() && !tokens[previous].isEnd() &&
         offsetOf(tokens[previous]) + tokens[previous].text.size() <=
             wordBegin() &&
         tokens[previous].text.begin() != wordText.begin())
    ++previous;
  size_t next = isIn ? index + 1 : previous;
  if (next < tokens.size())
    afterText = tokens[next].text;
  // The path that the word is in, back to a blank.
  size_t first = previous;
  while (first > 0) {
    const Token &token = tokens[first - 1];
    size_t end = offsetOf(token) + token.text.size();
    size_t follows = first == previous ? wordBegin() : offsetOf(tokens[first]);
    bool isPart = token.isWord() || token.isNumber() || token.is(".") ||
                  token.is("{") || token.is("}") || token.is("/");
    if (end != follows || !isPart)
      break;
    --first;
  }
  size_t pathBegin = first < previous ? offsetOf(tokens[first]) : wordBegin();
  pathText = text.slice(pathBegin, std::max(offset, pathBegin));
  if (previous > first && tokens[previous - 1].is("."))
    ownerText = text.slice(pathBegin, offsetOf(tokens[previous - 1]));
  if (first > 0)
    beforeText = tokens[first - 1].text;
  inPath = beforeText == "at";
  // 'use a, b from F': forward over names to 'from', and back to 'use'.
  size_t begin = previous;
  while (begin > 0 &&
         (tokens[begin - 1].is(",") ||
          (tokens[begin - 1].isWord() && !tokens[begin - 1].is("use"))))
    --begin;
  if (begin == 0 || !tokens[begin - 1].is("use"))
    return;
  while (next < tokens.size() &&
         (tokens[next].is(",") || tokens[next].isWord())) {
    if (tokens[next].is("from") && next + 1 < tokens.size()) {
      usedFrom = tokens[next + 1].text;
      return;
    }
    ++next;
  }
}

void Cursor::findSection(ArrayRef<Token> tokens) {
  struct Level {
    Section section;
    StringRef family, block;
  };
  std::vector<Level> levels{{Section::File, "", ""}};
  Level pending = levels.back();
  size_t blockBegin = 0, parens = 0;
  bool isShort = false; // The block goes on behind '=' to the next item.
  for (size_t i = 0; i < tokens.size() && !tokens[i].isEnd(); ++i) {
    const Token &token = tokens[i];
    if (offsetOf(token) >= offset)
      break;
    bool isItem = parens == 0 && (levels.back().section == Section::File ||
                                  levels.back().section == Section::Family);
    bool hasName = i + 1 < tokens.size() && tokens[i + 1].isWord();
    bool hasBody = i + 1 < tokens.size() && tokens[i + 1].is("{");
    if (token.is("(") || token.is("["))
      ++parens;
    else if ((token.is(")") || token.is("]")) && parens > 0)
      --parens;
    else if (isItem && token.is("family") && hasName)
      pending = {Section::Family, tokens[i + 1].text, ""};
    else if (isItem && hasBody && token.is("config"))
      pending = {Section::Config, levels.back().family, ""};
    else if (isItem && hasBody && token.is("weights"))
      pending = {Section::Weights, levels.back().family, ""};
    else if (isItem && (token.is("block") || token.is("entry")) && hasName) {
      pending = {Section::Block, levels.back().family, tokens[i + 1].text};
      blockBegin = i;
      isShort = false;
    } else if (isItem && pending.section == Section::Block && token.is("=")) {
      isShort = true;
    } else if (isItem &&
               (token.is("use") || token.is("serves") || token.is("reference")))
      pending = levels.back();
    else if (token.is("{")) {
      levels.push_back(pending);
      parens = 0;
    } else if (token.is("}")) {
      Level closed = levels.back();
      if (levels.size() > 1)
        levels.pop_back();
      bool goesOn = isShort && closed.section == Section::Block;
      pending = goesOn ? closed : levels.back();
      parens = 0;
    }
  }
  sectionKind = pending.section;
  familyName = pending.family;
  blockName = pending.block;
  if (sectionKind == Section::Block)
    findVariables(tokens, blockBegin);
}

void Cursor::findVariables(ArrayRef<Token> tokens, size_t begin) {
  auto add = [&](const Token &token) {
    bool isKnown = llvm::any_of(variableList, [&](const Variable &variable) {
      return variable.name == token.text;
    });
    if (!isKnown)
      variableList.push_back({token.text, offsetOf(token)});
  };
  auto at = [&](size_t i) -> const Token & {
    return tokens[std::min(i, tokens.size() - 1)];
  };
  size_t i = begin + 2, parens = 0;
  // Parameters.
  for (; !at(i).isEnd(); ++i) {
    parens += at(i).is("(") || at(i).is("[");
    bool isName = parens == 1 && at(i).isWord() &&
                  (at(i - 1).is("(") || at(i - 1).is(","));
    if (isName)
      add(at(i));
    if ((at(i).is(")") || at(i).is("]")) && --parens == 0)
      break;
  }
  parens = 0;
  for (; !at(i).isEnd() && offsetOf(at(i)) < std::max(offset, wordEnd()); ++i) {
    const Token &token = at(i);
    parens += token.is("(") || token.is("[");
    parens -= (token.is(")") || token.is("]")) && parens > 0;
    if (!token.isWord())
      continue;
    if ((at(i - 1).is("for") || at(i - 1).is("carry")) || at(i + 1).is("=>"))
      add(token);
    bool begins = token.newlineBefore || at(i - 1).is("{") || at(i - 1).is("}");
    size_t last = i;
    while (at(last + 1).is(",") && at(last + 2).isWord())
      last += 2;
    bool isSet = at(last + 1).is("=") || at(last + 1).is("+=");
    if (begins && parens == 0 && isSet)
      for (size_t name = i; name <= last; name += 2)
        add(at(name));
  }
}

//===----------------------------------------------------------------------===//
// Outline
//===----------------------------------------------------------------------===//

namespace {
/// Reads items until the brace of what they stand in is closed.
class Outliner {
public:
  explicit Outliner(StringRef text) : text(text), list(tokensOf(text)) {}

  std::vector<Item> items(bool inFamily) {
    std::vector<Item> found;
    while (!at().isEnd()) {
      if (inFamily && at().is("}"))
        return found;
      size_t begin = position;
      std::optional<Item> item = next(inFamily);
      if (item)
        found.push_back(std::move(*item));
      else if (position == begin)
        ++position;
    }
    return found;
  }

private:
  const Token &at(size_t ahead = 0) const {
    return list.tokens[std::min(position + ahead, list.tokens.size() - 1)];
  }
  size_t offset(const Token &token) const {
    return token.text.begin() - text.begin();
  }
  size_t endOfPrevious() const {
    if (position == 0)
      return 0;
    const Token &token =
        list.tokens[std::min(position, list.tokens.size()) - 1];
    return offset(token) + token.text.size();
  }

  /// Behind the brace that closes the next one.
  void skipBraces() {
    size_t depth = 0;
    do {
      depth += at().is("{");
      depth -= at().is("}");
      ++position;
    } while (depth > 0 && !at().isEnd());
  }

  bool startsItem() const {
    static constexpr StringRef words[] = {"family", "config",   "weights",
                                          "block",  "entry",    "use",
                                          "serves", "reference"};
    return at().isWord() && at().newlineBefore &&
           llvm::is_contained(words, at().text);
  }

  std::optional<Item> next(bool inFamily) {
    Item item;
    item.begin = offset(at());
    const Token &first = at();
    if (!inFamily && first.is("family") && at(1).isWord()) {
      item.kind = Item::Kind::Family;
    } else if ((first.is("block") || first.is("entry")) && at(1).isWord()) {
      item.kind = first.is("block") ? Item::Kind::Block : Item::Kind::Entry;
    } else if ((first.is("config") || first.is("weights")) && at(1).is("{")) {
      item.kind = first.is("config") ? Item::Kind::Config : Item::Kind::Weights;
    } else if (inFamily && first.isWord() && at(1).is("=") && at(2).isWord() &&
               at(3).is("with")) {
      item.kind = Item::Kind::Part;
      item.name = first.text;
      item.nameBegin = item.begin;
      position += 4;
      item.end = endOfPrevious();
      return item;
    } else {
      return std::nullopt;
    }
    bool isNamed =
        item.kind != Item::Kind::Config && item.kind != Item::Kind::Weights;
    const Token &name = isNamed ? at(1) : first;
    item.name = name.text;
    item.nameBegin = offset(name);
    ++position;
    if (item.kind == Item::Kind::Family)
      readFamily(item);
    else if (item.kind == Item::Kind::Config)
      readConfig(item);
    else
      skipItem();
    item.end = std::max(endOfPrevious(), item.nameBegin + item.name.size());
    return item;
  }

  void readFamily(Item &item) {
    while (!at().isEnd() && !at().is("{") && !startsItem())
      ++position;
    if (!at().is("{"))
      return;
    ++position;
    item.items = items(/*inFamily=*/true);
    position += at().is("}");
  }

  void readConfig(Item &item) {
    size_t depth = 0, parens = 0;
    do {
      depth += at().is("{");
      depth -= at().is("}") && depth > 0;
      parens += at().is("(") || at().is("[");
      parens -= (at().is(")") || at().is("]")) && parens > 0;
      bool isField = depth == 1 && parens == 0 && at().isWord() &&
                     (at(1).is("=") || at(1).is("??") || at(1).is("?") ||
                      (at(1).is("[") && at(2).isWord() && at(3).is("]")));
      bool begins = position > 0 && !list.tokens[position - 1].is("=") &&
                    !list.tokens[position - 1].is("??") &&
                    !list.tokens[position - 1].is("?") &&
                    !list.tokens[position - 1].is(".");
      if (isField && begins) {
        size_t begin = offset(at());
        item.items.push_back({Item::Kind::Field,
                              at().text,
                              begin,
                              begin,
                              begin + at().text.size(),
                              {}});
      }
      ++position;
    } while (depth > 0 && !at().isEnd());
  }

  /// A block with its body, whether in braces or behind '='.
  void skipItem() {
    while (!at().isEnd() && !at().is("}") && !startsItem()) {
      if (at().is("{"))
        skipBraces();
      else
        ++position;
    }
  }

  StringRef text;
  TokenList list;
  size_t position = 0;
};
} // namespace

std::vector<Item> clade::lsp::outline(StringRef text) {
  return Outliner(text).items(/*inFamily=*/false);
}
