//===- Completion.cpp - What may be written at a place --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Builtins.h"
#include "lib/Import/WeightFunctions.h"
#include "lib/LSP/Features.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::lsp;
using llvm::lsp::CompletionItem;
using llvm::lsp::CompletionItemKind;
using Section = Cursor::Section;

namespace {
/// Items that begin with what is written, each name once.
class Items {
public:
  explicit Items(StringRef prefix) : prefix(prefix) {}

  void add(StringRef name, CompletionItemKind kind, StringRef detail = "") {
    if (!name.starts_with(prefix) || !seen.insert(name.str()).second)
      return;
    CompletionItem item(name, kind);
    item.detail = detail.str();
    items.push_back(std::move(item));
  }
  std::vector<CompletionItem> take() { return std::move(items); }

private:
  StringRef prefix;
  std::set<std::string> seen;
  std::vector<CompletionItem> items;
};
} // namespace

/// Names of tensors with '{layer}' and '{e}' for numbers, from any segment on:
/// an address says only what is below the one around it.
static void addPaths(const Analysis &analysis, StringRef path, StringRef owner,
                     Items &items) {
  std::set<std::string> suffixes;
  for (const std::string &name : analysis.getTensors()) {
    llvm::SmallVector<StringRef> segments;
    StringRef(name).split(segments, '.');
    std::vector<std::string> parts;
    for (StringRef segment : segments) {
      bool isNumber = !segment.empty() && llvm::all_of(segment, [](char c) {
        return llvm::isDigit(c);
      });
      StringRef braces =
          parts.empty() || parts.back() != "experts" ? "{layer}" : "{e}";
      parts.push_back(isNumber ? braces.str() : segment.str());
    }
    for (size_t begin = 0; begin < parts.size(); ++begin) {
      std::string suffix;
      for (size_t i = begin; i < parts.size(); ++i) {
        suffix += (suffix.empty() ? "" : ".") + parts[i];
        suffixes.insert(suffix);
      }
    }
  }
  std::string front = owner.empty() ? "" : owner.str() + ".";
  for (const std::string &suffix : suffixes) {
    StringRef rest = suffix;
    if (rest.consume_front(front) && !rest.contains('.'))
      items.add(rest, CompletionItemKind::Text, "tensors of the checkpoint");
  }
}

static void addFamilies(const import::SpecLibrary &library, Items &items) {
  for (const spec::FamilyDecl *family : library.getFamilies())
    items.add(family->name.name, CompletionItemKind::Class);
}

static std::string signature(const spec::BlockDecl &block, StringRef family) {
  std::string text = "(";
  for (const spec::Param &param : block.params)
    text += (text.size() > 1 ? ", " : "") + param.name.name.str() +
            (param.defaultValue ? "?" : "");
  return text + ") of " + family.str();
}

static void addBlocks(const import::SpecLibrary &library,
                      const spec::FamilyDecl *decl, bool withPrelude,
                      Items &items) {
  import::Family family(library, decl);
  for (const std::string &name : family.blockNames())
    if (import::FoundBlock found = family.findBlock(name))
      items.add(name, CompletionItemKind::Function,
                signature(*found.decl, found.family));
  if (withPrelude)
    for (const spec::BlockDecl *block : library.getPreludeBlocks())
      items.add(block->name.name, CompletionItemKind::Function,
                signature(*block, "std"));
}

static void addFields(const import::SpecLibrary &library,
                      const spec::FamilyDecl *decl, Items &items) {
  import::Family family(library, decl);
  for (const std::string &name : family.fieldNames())
    items.add(name, CompletionItemKind::Field,
              spec::toString(*family.findField(name)->value));
}

/// The keys of the configuration, or of an object in it.
static void addKeys(const import::Config *config, StringRef object,
                    Items &items) {
  if (!config)
    return;
  const nlohmann::json *at = &config->json();
  llvm::SmallVector<StringRef> steps;
  object.split(steps, '.', -1, /*KeepEmpty=*/false);
  for (StringRef step : steps) {
    if (!at->is_object() || !at->contains(step.str()))
      return;
    at = &(*at)[step.str()];
  }
  if (!at->is_object())
    return;
  for (const auto &[key, value] : at->items()) {
    std::string text =
        value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    items.add(key, CompletionItemKind::Property,
              "config.json: " +
                  (text.size() > 40 ? text.substr(0, 37) + "..." : text));
  }
}

static void addWords(llvm::ArrayRef<StringRef> words, Items &items) {
  for (StringRef word : words)
    items.add(word, CompletionItemKind::Keyword);
}

/// What follows a dot behind a family, a part or an object.
static void addMembers(Analysis &analysis, const Cursor &cursor,
                       const spec::FamilyDecl *within, Items &items) {
  const import::SpecLibrary &library = analysis.getLibrary();
  StringRef owner = cursor.owner();
  if (within) {
    import::Family family(library, within);
    for (const spec::FamilyDecl *decl : family.getChain())
      if (const spec::PartDecl *part = decl->findPart(owner))
        if (const spec::FamilyDecl *inner =
                library.findFamily(part->family.name)) {
          addBlocks(library, inner, /*withPrelude=*/false, items);
          addFields(library, inner, items);
        }
  }
  if (const spec::FamilyDecl *family = library.findFamily(owner))
    addBlocks(library, family, /*withPrelude=*/false, items);
  owner.consume_front("config.");
  if (cursor.section() == Section::Config ||
      cursor.section() == Section::Family)
    addKeys(analysis.getConfig(), owner == "config" ? "" : owner, items);
}

std::vector<CompletionItem> lsp::completionsAt(Analysis &analysis,
                                               StringRef text, size_t offset) {
  Cursor cursor(text, offset);
  if (cursor.isInText())
    return {};
  Items items(cursor.prefix());
  const import::SpecLibrary &library = analysis.getLibrary();
  const spec::FamilyDecl *within = library.findFamily(cursor.family());
  bool isWeights = cursor.section() == Section::Weights;
  if (cursor.isInPath() || isWeights)
    addPaths(analysis, cursor.path(), cursor.owner(), items);
  if (cursor.isInPath())
    return items.take();
  if (cursor.before() == "from") {
    addFamilies(library, items);
    return items.take();
  }
  if (!cursor.usedFamily().empty() || cursor.before() == "use") {
    if (const spec::FamilyDecl *family =
            library.findFamily(cursor.usedFamily()))
      addBlocks(library, family, /*withPrelude=*/false, items);
    return items.take();
  }
  if (!cursor.owner().empty()) {
    addMembers(analysis, cursor, within, items);
    return items.take();
  }
  switch (cursor.section()) {
  case Section::File:
    addWords({"family"}, items);
    break;
  case Section::Family:
    addWords(
        {"serves", "reference", "use", "config", "block", "entry", "weights"},
        items);
    if (cursor.before() == "=")
      addFamilies(library, items);
    if (cursor.before() == "with")
      addWords({"config"}, items);
    break;
  case Section::Config:
    addKeys(analysis.getConfig(), "", items);
    addWords(
        {"require", "ignore", "if", "else", "match", "true", "false", "none"},
        items);
    break;
  case Section::Block:
    for (const Variable &variable : cursor.variables())
      if (variable.offset != cursor.wordBegin())
        items.add(variable.name, CompletionItemKind::Variable);
    if (within)
      addBlocks(library, within, /*withPrelude=*/true, items);
    addWords(
        {"return", "emit", "if", "else", "match", "for", "scan", "at", "as"},
        items);
    break;
  case Section::Weights:
    for (const std::string &name : import::weightFunctionNames())
      items.add(name, CompletionItemKind::Function, "of tensors");
    addWords({"drop", "for", "if"}, items);
    break;
  }
  bool hasFields =
      cursor.section() != Section::File && cursor.section() != Section::Family;
  if (hasFields && within)
    addFields(library, within, items);
  if (cursor.section() == Section::Config || cursor.section() == Section::Block)
    for (const check::Builtin &builtin : check::builtins())
      items.add(builtin.name, CompletionItemKind::Function, "built-in");
  return items.take();
}
