//===- Meaning.cpp - What a word means, and where it is declared ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Builtins.h"
#include "lib/LSP/Features.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::lsp;
using Section = Cursor::Section;
using Kind = Meaning::Kind;

static Meaning ofBlock(import::FoundBlock found) {
  Meaning meaning;
  meaning.kind = Kind::Block;
  meaning.name = found.decl->name.name.str();
  meaning.loc = found.decl->name.loc;
  meaning.block = found.decl;
  meaning.blockFamily = found.family.str();
  return meaning;
}

static Meaning ofField(const spec::FieldDecl *field,
                       const spec::FamilyDecl *family) {
  Meaning meaning;
  meaning.kind = Kind::Field;
  meaning.name = field->name.name.str();
  meaning.loc = field->name.loc;
  meaning.field = field;
  meaning.family = family;
  return meaning;
}

static Meaning ofFamily(const spec::FamilyDecl *family) {
  Meaning meaning;
  meaning.kind = Kind::Family;
  meaning.name = family->name.name.str();
  meaning.loc = family->name.loc;
  meaning.family = family;
  return meaning;
}

static const spec::PartDecl *findPart(const import::Family &family,
                                      StringRef name) {
  for (const spec::FamilyDecl *decl : family.getChain())
    if (const spec::PartDecl *part = decl->findPart(name))
      return part;
  return nullptr;
}

/// A block or a field that a family knows by its name.
static Meaning memberOf(const import::SpecLibrary &library,
                        const spec::FamilyDecl *decl, StringRef name) {
  import::Family family(library, decl);
  if (import::FoundBlock found = family.findBlock(name))
    return ofBlock(found);
  if (const spec::FieldDecl *field = family.findField(name))
    return ofField(field, decl);
  return {};
}

/// What `owner.name` means.
static Meaning ofQualified(Analysis &analysis, const spec::FamilyDecl *within,
                           StringRef owner, StringRef name) {
  const import::SpecLibrary &library = analysis.getLibrary();
  if (within) {
    import::Family family(library, within);
    if (const spec::PartDecl *part = findPart(family, owner))
      if (const spec::FamilyDecl *inner = library.findFamily(part->family.name))
        return memberOf(library, inner, name);
    if (import::FoundBlock found = family.findQualifiedBlock(owner, name))
      return ofBlock(found);
  }
  if (const spec::FamilyDecl *family = library.findFamily(owner))
    return memberOf(library, family, name);
  return {};
}

static Meaning ofBuiltin(StringRef name) {
  Meaning meaning;
  if (!check::findBuiltin(name))
    return meaning;
  meaning.kind = Kind::Builtin;
  meaning.name = name.str();
  return meaning;
}

Meaning lsp::meaningOf(Analysis &analysis, const Cursor &cursor) {
  StringRef word = cursor.word();
  if (word.empty() || cursor.isInText())
    return {};
  const import::SpecLibrary &library = analysis.getLibrary();
  const spec::FamilyDecl *within = library.findFamily(cursor.family());
  // Names of families.
  bool namesFamily =
      (cursor.before() == "from" || cursor.before() == "family" ||
       (cursor.section() == Section::Family && cursor.after() == "with"));
  if (namesFamily && cursor.owner().empty()) {
    const spec::FamilyDecl *family = library.findFamily(word);
    return family ? ofFamily(family) : Meaning();
  }
  if (!cursor.usedFamily().empty()) {
    const spec::FamilyDecl *family = library.findFamily(cursor.usedFamily());
    return family ? memberOf(library, family, word) : Meaning();
  }
  if (cursor.isInPath())
    return {};
  if (!cursor.owner().empty()) {
    Meaning meaning = ofQualified(analysis, within, cursor.owner(), word);
    if (meaning.kind != Kind::Nothing)
      return meaning;
  } else {
    for (const Variable &variable : cursor.variables())
      if (cursor.section() == Section::Block && variable.name == word) {
        Meaning meaning;
        meaning.kind = Kind::Variable;
        meaning.name = word.str();
        meaning.offset = variable.offset;
        return meaning;
      }
    if (within) {
      import::Family family(library, within);
      import::FoundBlock found = family.findBlock(word);
      if (found && cursor.section() != Section::Config)
        return ofBlock(found);
      if (const spec::FieldDecl *field = family.findField(word))
        return ofField(field, within);
      if (const spec::PartDecl *part = findPart(family, word)) {
        Meaning meaning;
        meaning.kind = Kind::Part;
        meaning.name = word.str();
        meaning.loc = part->name.loc;
        meaning.part = part;
        return meaning;
      }
    } else if (const spec::BlockDecl *block = library.findPreludeBlock(word)) {
      return ofBlock({block, "std"});
    }
    bool isOwner = cursor.after() == ".";
    const spec::FamilyDecl *family = library.findFamily(word);
    if (isOwner && family && cursor.section() != Section::Config)
      return ofFamily(family);
    if (cursor.after() == "(")
      return ofBuiltin(word);
  }
  if (cursor.section() != Section::Config)
    return {};
  Meaning meaning;
  meaning.kind = Kind::Key;
  meaning.name =
      (cursor.owner().empty() ? "" : cursor.owner().str() + ".") + word.str();
  StringRef dotted = meaning.name;
  if (dotted.consume_front("config."))
    meaning.name = dotted.str();
  return meaning;
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

/// The word, or the character, that a place in bytes begins.
static llvm::lsp::Range wordAt(StringRef text, unsigned line, unsigned column) {
  Positions positions(text);
  size_t begin = positions.offsetOf(line, column), end = begin;
  while (end < text.size() && (llvm::isAlnum(text[end]) || text[end] == '_'))
    ++end;
  if (end == begin && end < text.size() && text[end] != '\n')
    // All bytes of a character.
    do
      ++end;
    while (end < text.size() && (text[end] & 0xc0) == 0x80);
  return positions.rangeOf(begin, end);
}

static std::optional<llvm::lsp::Location> locationOf(Analysis &analysis,
                                                     const Place &place) {
  auto uri = llvm::lsp::URIForFile::fromFile(place.file);
  if (!uri) {
    llvm::consumeError(uri.takeError());
    return std::nullopt;
  }
  const llvm::MemoryBuffer *buffer = analysis.findText(place.file);
  llvm::lsp::Position begin(static_cast<int>(place.line) - 1,
                            static_cast<int>(place.column) - 1);
  llvm::lsp::Range range(begin);
  if (buffer)
    range = wordAt(buffer->getBuffer(), place.line, place.column);
  return llvm::lsp::Location(*uri, range);
}

std::optional<llvm::lsp::Location> lsp::definitionAt(Analysis &analysis,
                                                     StringRef file,
                                                     StringRef text,
                                                     size_t offset) {
  Cursor cursor(text, offset);
  Meaning meaning = meaningOf(analysis, cursor);
  if (meaning.kind == Kind::Variable) {
    auto uri = llvm::lsp::URIForFile::fromFile(file);
    if (uri)
      return llvm::lsp::Location(
          *uri, Positions(text).rangeOf(meaning.offset,
                                        meaning.offset + meaning.name.size()));
    llvm::consumeError(uri.takeError());
    return std::nullopt;
  }
  if (meaning.kind == Kind::Part)
    if (const spec::FamilyDecl *family =
            analysis.findFamily(meaning.part->family.name))
      meaning.loc = family->name.loc;
  if (meaning.kind == Kind::Key && analysis.getConfig() &&
      analysis.getConfig()->hasKey(meaning.name))
    meaning.loc = analysis.getConfig()->locationOf(meaning.name);
  auto place = meaning.loc
                   ? (*meaning.loc)->findInstanceOf<mlir::FileLineColLoc>()
                   : mlir::FileLineColLoc();
  if (!place)
    return std::nullopt;
  return locationOf(analysis, {place.getFilename().str(), place.getLine(),
                               place.getColumn()});
}

std::vector<llvm::lsp::Diagnostic>
lsp::diagnosticsOf(Analysis &analysis, StringRef file, StringRef text) {
  std::vector<llvm::lsp::Diagnostic> result;
  for (const Message &message : analysis.getMessages()) {
    llvm::lsp::Diagnostic diagnostic;
    diagnostic.source = "clade";
    diagnostic.severity = message.isError
                              ? llvm::lsp::DiagnosticSeverity::Error
                              : llvm::lsp::DiagnosticSeverity::Warning;
    diagnostic.message = message.text;
    std::vector<llvm::lsp::DiagnosticRelatedInformation> related;
    auto relate = [&](const Place &place, const std::string &what) {
      if (auto location = locationOf(analysis, place))
        related.emplace_back(*location, what);
    };
    if (message.place.file == file) {
      diagnostic.range = wordAt(text, message.place.line, message.place.column);
    } else {
      // In a configuration, or in text that a family of this one calls.
      if (!analysis.getFamilies().empty())
        if (auto place = analysis.getFamilies()
                             .front()
                             ->name.loc->findInstanceOf<mlir::FileLineColLoc>())
          diagnostic.range = wordAt(text, place.getLine(), place.getColumn());
      relate(message.place, message.text);
    }
    for (const auto &[place, note] : message.notes)
      relate(place, note);
    if (!related.empty())
      diagnostic.relatedInformation = std::move(related);
    result.push_back(std::move(diagnostic));
  }
  return result;
}
