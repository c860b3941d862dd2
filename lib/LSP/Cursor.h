//===- Cursor.h - What stands around a place of a text ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From tokens alone, so that it serves a text that does not parse, as while it
// is being typed.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LSP_CURSOR_H
#define CLADE_LSP_CURSOR_H

#include "lib/Spec/Lexer.h"

namespace clade::lsp {

using llvm::StringRef;

/// A variable of a block: where it is named first.
struct Variable {
  StringRef name;
  size_t offset;
};

/// An item of a file or of a family.
struct Item {
  enum class Kind { Family, Config, Weights, Block, Entry, Part, Field };

  Kind kind;
  StringRef name;
  size_t nameBegin = 0, begin = 0, end = 0; ///< Bytes.
  std::vector<Item> items;                  ///< Of a family or a config.
};

class Cursor {
public:
  enum class Section { File, Family, Config, Block, Weights };

  /// `text` outlives the cursor.
  Cursor(StringRef text, size_t offset);

  /// The word that the place is in, or behind; its first byte.
  StringRef word() const { return wordText; }
  size_t wordBegin() const { return wordText.begin() - text.begin(); }
  size_t wordEnd() const { return wordText.end() - text.begin(); }
  /// The part of the word in front of the place.
  StringRef prefix() const {
    return text.slice(wordBegin(), std::max(offset, wordBegin()));
  }
  /// What stands in front of the word with dots, without the last one:
  /// 'rope_parameters' of 'rope_parameters.factor'.
  StringRef owner() const { return ownerText; }
  /// The token before the word, or before its owner; empty at the begin.
  StringRef before() const { return beforeText; }
  /// The token behind the word.
  StringRef after() const { return afterText; }
  /// Whether the place is in a path behind 'at', and what of the path stands in
  /// front of it.
  bool isInPath() const { return inPath; }
  StringRef path() const { return pathText; }
  /// Whether the place is in a comment or a string.
  bool isInText() const { return inText; }

  Section section() const { return sectionKind; }
  StringRef family() const { return familyName; }
  StringRef block() const { return blockName; }
  /// Parameters and variables of the block that are named before the place.
  const std::vector<Variable> &variables() const { return variableList; }
  /// The family of 'use word, … from FAMILY', if the word is one of these.
  StringRef usedFamily() const { return usedFrom; }

private:
  void findWord(llvm::ArrayRef<spec::Token> tokens);
  void findSection(llvm::ArrayRef<spec::Token> tokens);
  void findVariables(llvm::ArrayRef<spec::Token> tokens, size_t begin);
  size_t offsetOf(const spec::Token &token) const {
    return token.text.begin() - text.begin();
  }

  StringRef text;
  size_t offset;
  StringRef wordText, ownerText, beforeText, afterText, pathText, familyName,
      blockName, usedFrom;
  bool inPath = false, inText = false;
  Section sectionKind = Section::File;
  std::vector<Variable> variableList;
};

/// The items of a text, of families and of configs within: for an outline. What
/// lacks its end goes to the end of the text.
std::vector<Item> outline(StringRef text);

} // namespace clade::lsp

#endif // CLADE_LSP_CURSOR_H
