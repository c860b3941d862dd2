//===- DocDecl.cpp - Documents of declarations ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/DocBuilder.h"

#include "llvm/ADT/STLExtras.h"

using namespace clade::spec;

/// Puts items of several lists into the order of the text.
static void sortByText(std::vector<Item> &items) {
  llvm::sort(items, [](const Item &a, const Item &b) {
    return a.range.Start.getPointer() < b.range.Start.getPointer();
  });
}

/// `word a, b, c`.
template <typename Range, typename Fn>
static Doc listOf(StringRef word, const Range &list, Fn spell) {
  std::vector<Doc> parts;
  for (auto [index, element] : llvm::enumerate(list)) {
    std::string intro = index == 0 ? (word + " ").str() : std::string();
    StringRef comma = index + 1 < list.size() ? "," : "";
    parts.push_back(Doc::concat({text(intro), spell(element), text(comma)}));
  }
  return Doc::fill(std::move(parts));
}

static Doc spellName(const Identifier &name) { return text(name.name); }

//===----------------------------------------------------------------------===//
// Files and families
//===----------------------------------------------------------------------===//

std::vector<Item> DocBuilder::items(const File &file) {
  DocBuilder builder(Bodies::AsWritten);
  std::vector<Item> items;
  for (const FamilyDecl *family : file.families)
    items.push_back(builder.makeItem(family));
  for (const BlockDecl *block : file.blocks)
    items.push_back(builder.makeItem(block));
  if (file.config)
    items.push_back(builder.makeItem(file.config));
  if (file.weights)
    items.push_back(builder.makeItem(file.weights));
  sortByText(items);
  return items;
}

Doc DocBuilder::build(const FamilyDecl &family) {
  std::vector<Item> items;
  auto addIf = [&](const auto *node) {
    if (node)
      items.push_back(makeItem(node));
  };
  addIf(family.serves);
  addIf(family.reference);
  addIf(family.config);
  addIf(family.weights);
  llvm::for_each(family.uses, addIf);
  llvm::for_each(family.blocks, addIf);
  llvm::for_each(family.parts, addIf);
  sortByText(items);
  std::string header = ("family " + family.name.name).str();
  if (family.base)
    header += (" from " + family.base->name).str();
  return Doc::concat(
      {text(header + " "), buildBraces(std::move(items), family.braces)});
}

Doc DocBuilder::build(const ServesDecl &serves) {
  Doc names = listOf("serves", serves.names, [](const Identifier &name) {
    return text("\"" + name.name + "\"");
  });
  if (!serves.condition)
    return names;
  return Doc::concat({names, text(" if "), build(serves.condition)});
}

Doc DocBuilder::build(const ReferenceDecl &reference) {
  return text("reference " + reference.name.name);
}

Doc DocBuilder::build(const UseDecl &use) {
  return Doc::concat(
      {listOf("use", use.names, spellName), text(" from " + use.family.name)});
}

Doc DocBuilder::build(const PartDecl &part) {
  std::vector<Doc> parts = {
      text(part.name.name + " = " + part.family.name + " with "),
      build(part.config)};
  if (part.at) {
    parts.push_back(text(" at "));
    parts.push_back(build(part.at));
  }
  return Doc::concat(std::move(parts));
}

//===----------------------------------------------------------------------===//
// Config
//===----------------------------------------------------------------------===//

Doc DocBuilder::build(const ConfigDecl &config) {
  std::vector<Item> items;
  auto add = [&](const auto *node) { items.push_back(makeItem(node)); };
  llvm::for_each(config.fields, add);
  llvm::for_each(config.requirements, add);
  llvm::for_each(config.ignores, add);
  sortByText(items);
  return Doc::concat(
      {text("config "), buildBraces(std::move(items), config.braces)});
}

Doc DocBuilder::build(const FieldDecl &field) {
  std::string target = field.name.name.str();
  if (field.index)
    target += ("[" + field.index->name + "]").str();
  if (!field.isKeyDefault)
    return Doc::assign(text(target + " ="), build(field.value));
  const auto *value = llvm::cast<DefaultExpr>(field.value);
  return Doc::assign(text(target + (value->alsoNull ? " ??" : " ?")),
                     build(value->fallback));
}

Doc DocBuilder::build(const RequireDecl &require) {
  return Doc::concat({text("require "), build(require.condition)});
}

Doc DocBuilder::build(const IgnoreDecl &ignore) {
  return listOf("ignore", ignore.keys, spellName);
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

Doc DocBuilder::build(const BlockDecl &block) {
  std::vector<Doc> params;
  for (const Param &param : block.params) {
    Doc name = text(param.name.name);
    params.push_back(
        param.defaultValue
            ? Doc::concat({name, text(" = "), build(param.defaultValue)})
            : name);
  }
  std::vector<Doc> header = {
      text((block.isEntry ? "entry " : "block ") + block.name.name),
      Doc::bracketed("(", std::move(params), ")")};
  if (block.at) {
    header.push_back(text(" at "));
    header.push_back(build(block.at));
  }
  if (!block.isShort) {
    header.push_back(text(" "));
    header.push_back(buildBody(*block.body));
    return Doc::concat(std::move(header));
  }
  header.push_back(text(" ="));
  const auto *result = llvm::cast<ReturnStmt>(block.body->stmts.front());
  return Doc::assign(Doc::concat(std::move(header)), build(result->value));
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Doc DocBuilder::build(const WeightsDecl &weights) {
  return Doc::concat(
      {text("weights "), buildWeightBody(weights.items, weights.braces)});
}

Doc DocBuilder::buildWeightBody(ArrayRef<const WeightItem *> list,
                                SourceRange braces) {
  std::vector<Item> items;
  for (const WeightItem *item : list)
    items.push_back(makeItem(item));
  return buildBraces(std::move(items), braces);
}

Doc DocBuilder::build(const WeightItem &item) {
  if (const auto *equation = llvm::dyn_cast<WeightEquation>(&item))
    return buildEquation(*equation);
  if (const auto *drop = llvm::dyn_cast<WeightDrop>(&item))
    return buildDrop(*drop);
  return buildFor(llvm::cast<WeightFor>(item));
}

Doc DocBuilder::buildEquation(const WeightEquation &equation) {
  std::vector<Doc> parts;
  for (const WeightExpr *alternative : equation.alternatives) {
    StringRef comma = alternative != equation.alternatives.back() ? "," : "";
    parts.push_back(Doc::concat(
        {text(parts.empty() ? "" : "or "), build(alternative), text(comma)}));
  }
  if (equation.condition)
    parts.push_back(Doc::concat({text("if "), build(equation.condition)}));
  return Doc::assign(Doc::concat({build(equation.path), text(" =")}),
                     Doc::fill(std::move(parts)));
}

Doc DocBuilder::buildDrop(const WeightDrop &drop) {
  std::vector<Doc> parts = {listOf(
      "drop", drop.paths, [&](const Path *path) { return build(path); })};
  if (drop.condition)
    parts.push_back(Doc::concat({text("if "), build(drop.condition)}));
  return Doc::fill(std::move(parts));
}

Doc DocBuilder::buildFor(const WeightFor &loop) {
  Doc header = listOf("for", loop.bindings, [&](const WeightBinding &binding) {
    Doc intro = text(binding.name.name + " in ");
    const auto *list = llvm::dyn_cast<ListExpr>(binding.range);
    auto isPlain = [](const Arg &arg) {
      return !arg.name && !arg.where && !llvm::isa<RangeExpr>(arg.value);
    };
    if (!list || list->args.empty() || !llvm::all_of(list->args, isPlain))
      return Doc::concat({intro, build(binding.range)});
    return Doc::concat(
        {intro, Doc::bracketed("{", buildArgs(list->args, ""), "}")});
  });
  std::vector<Doc> parts = {std::move(header)};
  if (loop.at) {
    parts.push_back(text(" at "));
    parts.push_back(build(loop.at));
  }
  parts.push_back(text(" "));
  parts.push_back(buildWeightBody(loop.items, loop.braces));
  return Doc::concat(std::move(parts));
}

Doc DocBuilder::build(const WeightExpr *expr) {
  if (const auto *number = llvm::dyn_cast<WeightNumber>(expr))
    return text(number->spelling);
  if (const auto *ref = llvm::dyn_cast<WeightRef>(expr)) {
    if (!ref->index)
      return build(ref->path);
    return Doc::concat(
        {build(ref->path),
         Doc::bracketed("[", buildArgs(*ref->index, ": "), "]")});
  }
  const auto *call = llvm::cast<WeightCall>(expr);
  std::vector<Doc> args;
  for (const WeightExpr *arg : call->args)
    args.push_back(build(arg));
  return Doc::concat(
      {text(call->name.name), Doc::bracketed("(", std::move(args), ")")});
}
