//===- Declarations.cpp - What two families declare -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/Compare.h"
#include "lib/Import/Reach.h"

using namespace clade;
using namespace clade::diff;
using import::Family;
using import::Reach;
using llvm::dyn_cast;
using llvm::StringRef;

/// Parts in parts that are looked at; one that is a part of itself is refused
/// where it is compiled.
static constexpr unsigned maxParts = 8;

/// Calls `visit` with a family and each part of it: what stands before names in
/// it, what stands before its keys, and its instance, if there is one.
using Visit =
    llvm::function_ref<void(const Family &, const std::string &,
                            const std::string &, import::FamilyInstance *)>;
static void forEachPart(const Family &family, import::FamilyInstance *instance,
                        Visit visit, const std::string &names = "",
                        const std::string &keys = "", unsigned depth = 0) {
  visit(family, names, keys, instance);
  if (depth == maxParts)
    return;
  std::set<StringRef> seen;
  for (const spec::FamilyDecl *decl : family.getChain())
    for (const spec::PartDecl *part : decl->parts) {
      if (!seen.insert(part->name.name).second)
        continue;
      const spec::Expr *config = part->config;
      if (auto *defaulted = dyn_cast<spec::DefaultExpr>(config))
        config = defaulted->value;
      auto *attr = dyn_cast<spec::AttrExpr>(config);
      std::string key = attr ? attr->name.name.str() + "." : "";
      Family inner(family.getLibrary(),
                   family.getLibrary().findFamily(part->family.name));
      forEachPart(
          inner, instance ? instance->findPart(part->name.name) : nullptr,
          visit, names + part->name.name.str() + ".", keys + key, depth + 1);
    }
}

static import::FamilyInstance *rootOf(const Side &side) {
  return side.values ? &side.values->getRoot() : nullptr;
}

Texts diff::servedBy(const Side &side) {
  Texts texts;
  const spec::ServesDecl *serves = side.family.getChain().front()->serves;
  if (!serves)
    return texts;
  for (const spec::Identifier &name : serves->names)
    texts[name.name.str()] =
        serves->condition ? "if " + spec::toString(*serves->condition) : "";
  return texts;
}

/// Names that are no keys, though they stand where keys do.
static constexpr StringRef wordsOfConfig[] = {
    "true",   "false",    "none",  "inf", "layer", "config",
    "halves", "adjacent", "model", "f32", "axial", "alternate"};

Texts diff::keysOf(const Side &side) {
  Texts texts;
  forEachPart(side.family, nullptr,
              [&](const Family &family, const std::string &,
                  const std::string &prefix, import::FamilyInstance *) {
                for (const spec::FamilyDecl *decl : family.getChain()) {
                  if (!decl->config)
                    continue;
                  for (const spec::IgnoreDecl *ignore : decl->config->ignores)
                    for (const spec::IgnoredKey &key : ignore->keys)
                      texts[prefix + key.name.str()] = "ignored";
                }
                Reach reach(family);
                reach.walkFamily();
                for (const std::string &key : reach.getKeys())
                  if (!llvm::is_contained(wordsOfConfig, key))
                    texts[prefix + key] = "read";
              });
  return texts;
}

Texts diff::fieldsOf(const Side &side, bool withValues) {
  Texts texts;
  forEachPart(side.family, rootOf(side),
              [&](const Family &family, const std::string &prefix,
                  const std::string &, import::FamilyInstance *instance) {
                Reach reach(family);
                reach.walkFamily();
                for (const std::string &name : family.fieldNames()) {
                  if (!reach.mentionsField(name))
                    continue;
                  const spec::FieldDecl *field = family.findField(name);
                  std::string text = spec::toString(*field->value);
                  std::string value = withValues && instance
                                          ? side.values->text(*instance, name)
                                          : "";
                  if (!value.empty() && value != text)
                    text += " (" + value + ")";
                  texts[prefix + name] =
                      (field->index ? "[layer] " : "") + text;
                }
              });
  return texts;
}

Texts diff::requirementsOf(const Side &side) {
  Texts texts;
  forEachPart(side.family, nullptr,
              [&](const Family &family, const std::string &prefix,
                  const std::string &, import::FamilyInstance *) {
                Reach reach(family);
                reach.walkFamily();
                for (const spec::FamilyDecl *decl : family.getChain())
                  if (decl->config)
                    for (const spec::RequireDecl *one :
                         decl->config->requirements)
                      if (reach.concerns(one))
                        texts[(prefix.empty() ? "" : prefix + " ") +
                              spec::toString(*one->condition)];
              });
  return texts;
}

/// The text of an item on one line, without comments.
static std::string oneLine(const spec::WeightItem *item) {
  llvm::SMRange range = item->getRange();
  StringRef text(range.Start.getPointer(),
                 range.End.getPointer() - range.Start.getPointer());
  std::string line;
  llvm::SmallVector<StringRef> lines;
  text.split(lines, '\n');
  for (StringRef one : lines) {
    StringRef code = one.split("//").first.trim();
    if (!code.empty())
      line += (line.empty() ? "" : " ") + code.str();
  }
  return line;
}

Texts diff::equationsOf(const Side &side) {
  Texts texts;
  forEachPart(
      side.family, nullptr,
      [&](const Family &family, const std::string &prefix, const std::string &,
          import::FamilyInstance *) {
        for (const spec::FamilyDecl *decl : family.getChain())
          if (decl->weights)
            for (const spec::WeightItem *item : decl->weights->items)
              texts[(prefix.empty() ? "" : prefix + " ") + oneLine(item)];
      });
  return texts;
}
