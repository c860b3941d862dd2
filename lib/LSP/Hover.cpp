//===- Hover.cpp - What an editor shows of a word -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Builtins.h"
#include "lib/Import/Reach.h"
#include "lib/LSP/Features.h"
#include "lib/Spec/Walk.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::lsp;
using Kind = Meaning::Kind;

static std::string code(const std::string &text) {
  return "```spec\n" + text + "\n```\n";
}

/// 'llama.spec:20'.
static std::string placeText(mlir::Location loc) {
  auto place = loc->findInstanceOf<mlir::FileLineColLoc>();
  if (!place)
    return "";
  return place.getFilename().getValue().rsplit('/').second.str() + ":" +
         std::to_string(place.getLine());
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// An axis with its size, where a field of its name has one: 'head = 128'.
static std::string axisText(const check::Axis &axis,
                            import::FieldValues *values) {
  if (!values || axis.isSum())
    return axis.name;
  std::optional<import::SpecValue> size =
      values->get(values->getRoot(), axis.name);
  if (!size || !size->is(import::SpecValue::Kind::Int))
    return axis.name;
  return axis.name + " = " + std::to_string(size->dim.size);
}

static std::string typeText(const check::Type &type,
                            import::FieldValues *values) {
  if (type.is(check::Type::Kind::Tuple)) {
    std::vector<std::string> elements;
    for (const check::Type &element : type.elements)
      elements.push_back(typeText(element, values));
    return llvm::join(elements, "; ");
  }
  if (!type.isTensor() || !type.axes || !values)
    return type.describe();
  std::vector<std::string> axes;
  for (const check::Axis &axis : *type.axes)
    axes.push_back(axisText(axis, values));
  StringRef what =
      type.is(check::Type::Kind::Indices) ? "indices [" : "a tensor [";
  return (what + llvm::join(axes, ", ") + "]").str();
}

/// The types of the value that the place is about: what an assignment gives a
/// variable, or the innermost expression.
static std::vector<check::Type> typesAt(const Analysis &analysis,
                                        StringRef file, const Cursor &cursor,
                                        StringRef text) {
  std::vector<check::Type> types;
  if (!analysis.isCurrent())
    return types;
  // The trees are those of a copy of the text.
  const llvm::MemoryBuffer *buffer = analysis.findText(file);
  if (!buffer || buffer->getBuffer() != text)
    return types;
  const char *base = buffer->getBufferStart();
  size_t word = cursor.wordBegin(), end = cursor.wordEnd();
  size_t best = std::string::npos;
  auto onExpr = [&](const spec::Expr &expr) {
    llvm::SMRange range = expr.getRange();
    const char *from = range.Start.getPointer(), *to = range.End.getPointer();
    bool isHere = from >= base && to <= buffer->getBufferEnd() &&
                  from <= base + word && to >= base + end;
    std::vector<check::Type> own = analysis.typesOf(&expr);
    if (!isHere || own.empty() || static_cast<size_t>(to - from) > best)
      return;
    best = to - from;
    types = std::move(own);
  };
  Positions positions(text);
  std::vector<check::Type> assigned;
  auto onStmt = [&](const spec::Stmt &stmt) {
    auto *assign = llvm::dyn_cast<spec::AssignStmt>(&stmt);
    if (!assign)
      return;
    for (auto [index, target] : llvm::enumerate(assign->targets)) {
      auto place = target.name.loc->findInstanceOf<mlir::FileLineColLoc>();
      if (!place || place.getFilename() != file ||
          positions.offsetOf(place.getLine(), place.getColumn()) != word)
        continue;
      for (const check::Type &type : analysis.typesOf(assign->value))
        if (assign->targets.size() == 1)
          assigned.push_back(type);
        else if (type.is(check::Type::Kind::Tuple) &&
                 index < type.elements.size())
          assigned.push_back(type.elements[index]);
    }
  };
  for (const spec::FamilyDecl *family : analysis.getFamilies())
    spec::walk(*family, onExpr, onStmt);
  // A whole statement says nothing of a word in it.
  if (!assigned.empty())
    return assigned;
  constexpr size_t longest = 200;
  return best <= longest ? types : std::vector<check::Type>();
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

/// The first line of a declaration.
static std::string header(const spec::BlockDecl &block) {
  llvm::SMRange range = block.getRange();
  StringRef text(range.Start.getPointer(),
                 range.End.getPointer() - range.Start.getPointer());
  return text.split('\n').first.rtrim().rtrim('{').rtrim().str();
}

/// The keys that a field is made of, with their values and places.
static std::string keysText(const Analysis &analysis,
                            const spec::FamilyDecl *family,
                            const spec::FieldDecl *field) {
  import::Family whole(const_cast<Analysis &>(analysis).getLibrary(), family);
  import::Reach reach(whole);
  reach.walkValue(field);
  const import::Config *config = analysis.getConfig();
  std::string text;
  for (const std::string &key : reach.getKeys()) {
    if (!config || !config->hasKey(key))
      continue;
    const nlohmann::json *value = &config->json();
    llvm::SmallVector<StringRef> steps;
    StringRef(key).split(steps, '.');
    for (StringRef step : steps)
      value = value && value->is_object() && value->contains(step.str())
                  ? &(*value)[step.str()]
                  : nullptr;
    std::string shown =
        value ? value->dump(-1, ' ', false,
                            nlohmann::json::error_handler_t::replace)
              : "";
    if (shown.size() > 60)
      shown = shown.substr(0, 57) + "...";
    text += "- `" + key + "` is `" + shown + "` (" +
            placeText(config->locationOf(key)) + ")\n";
  }
  return text;
}

static std::string fieldText(Analysis &analysis, const Meaning &meaning) {
  const spec::FieldDecl *field = meaning.field;
  std::string text =
      code(field->name.name.str() + (field->index ? "[layer]" : "") + " = " +
           spec::toString(*field->value)) +
      "field of `" + meaning.family->name.name.str() + "` (" +
      placeText(field->name.loc) + ")\n";
  import::FieldValues *values = analysis.valuesOf(meaning.family);
  if (!values)
    return text;
  std::string value = values->text(values->getRoot(), field->name.name);
  if (!value.empty())
    text += "\nvalue: `" + value + "`\n";
  std::string keys = keysText(analysis, meaning.family, field);
  if (!keys.empty())
    text += "\n" + keys;
  else if (!value.empty())
    text +=
        "\nno key of the configuration gives it: a default, or a constant\n";
  return text;
}

static std::string builtinText(const std::string &name) {
  const check::Builtin *builtin = check::findBuiltin(name);
  std::vector<std::string> parameters;
  for (StringRef parameter : builtin->parameters)
    parameters.push_back(parameter.ends_with("?")
                             ? "[" + parameter.drop_back().str() + "]"
                             : parameter.str());
  return code(name + "(" + llvm::join(parameters, ", ") + ")") +
         "built-in; arguments in brackets may be left out\n";
}

static std::string familyText(const spec::FamilyDecl *family) {
  std::string text =
      code("family " + family->name.name.str() +
           (family->base ? " from " + family->base->name.str() : ""));
  if (family->serves) {
    std::vector<std::string> names;
    for (const spec::Identifier &name : family->serves->names)
      names.push_back("`" + name.name.str() + "`");
    text += "serves " + llvm::join(names, ", ") + "\n";
  }
  return text + placeText(family->name.loc) + "\n";
}

static std::string wordText(Analysis &analysis, const Meaning &meaning) {
  switch (meaning.kind) {
  case Kind::Nothing:
  case Kind::Variable:
    return "";
  case Kind::Block:
    return code(header(*meaning.block)) + "block of `" + meaning.blockFamily +
           "` (" + placeText(*meaning.loc) + ")\n";
  case Kind::Field:
    return fieldText(analysis, meaning);
  case Kind::Family:
    return familyText(meaning.family);
  case Kind::Part:
    return "part: family `" + meaning.part->family.name.str() +
           "` inside this "
           "one\n";
  case Kind::Builtin:
    return builtinText(meaning.name);
  case Kind::Key: {
    const import::Config *config = analysis.getConfig();
    if (!config)
      return "key of config.json\n";
    if (!config->hasKey(meaning.name))
      return "key that the attached configuration does not have\n";
    return "key of the configuration (" +
           placeText(config->locationOf(meaning.name)) + ")\n";
  }
  }
  return "";
}

std::optional<llvm::lsp::Hover> lsp::hoverAt(Analysis &analysis, StringRef file,
                                             StringRef text, size_t offset) {
  Cursor cursor(text, offset);
  if (cursor.word().empty() || cursor.isInText())
    return std::nullopt;
  Meaning meaning = meaningOf(analysis, cursor);
  import::FieldValues *values =
      analysis.valuesOf(analysis.findFamily(cursor.family()));
  std::string shown;
  std::vector<std::string> types;
  for (const check::Type &type : typesAt(analysis, file, cursor, text)) {
    std::string one = typeText(type, values);
    if (!type.isUnknown() && !llvm::is_contained(types, one))
      types.push_back(one);
  }
  // Of a call, the type of what it gives.
  bool isValue = meaning.kind != Kind::Family && meaning.kind != Kind::Part;
  if (isValue && !types.empty())
    shown += llvm::join(types, " or ") + "\n\n";
  shown += wordText(analysis, meaning);
  if (shown.empty())
    return std::nullopt;
  llvm::lsp::Hover hover(
      Positions(text).rangeOf(cursor.wordBegin(), cursor.wordEnd()));
  hover.contents.value = shown;
  return hover;
}
