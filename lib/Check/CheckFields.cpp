//===- CheckFields.cpp - Fields of the configuration ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

using namespace clade;
using namespace clade::check;

/// The family of the chain whose text a field stands in.
static StringRef ownerOf(const import::Family &family,
                         const spec::FieldDecl *field) {
  for (const spec::FamilyDecl *owner : family.getChain())
    if (owner->config && llvm::is_contained(owner->config->fields, field))
      return owner->name.name;
  return family.getName();
}

Type FamilyChecker::field(StringRef name, Location use, bool ofGivenLayer) {
  const spec::FieldDecl *decl = family.findField(name);
  if (decl->index && !ofGivenLayer && layers == Layers::No)
    return error(use, "'" + name +
                          "' has a value for each layer, but is read outside "
                          "the layers");
  // What is read only where no configuration gets is silent, and read again.
  std::string key = name.str() + (dead ? "!" : "");
  if (auto it = fields.find(key); it != fields.end())
    return it->second;
  auto [progress, isNew] = fieldsInProgress.try_emplace(key, branches);
  if (!isNew) {
    if (progress->second == branches && !(decl->index && ofGivenLayer))
      error(decl->getLoc(), "field '" + name + "' depends on itself");
    return Type::unknown();
  }
  Type type = evalField(decl);
  fieldsInProgress.erase(key);
  fields[key] = type;
  return type;
}

Type FamilyChecker::evalField(const spec::FieldDecl *field) {
  // Neither the layer nor the calls around the use matter.
  Layers savedLayers =
      std::exchange(layers, field->index ? Layers::Yes : Layers::No);
  std::vector<Call> savedCalls = std::exchange(calls, {});
  StringRef savedText = std::exchange(text, ownerOf(family, field));
  Frame frame;
  frame.context = Frame::Context::Config;
  frame.family = text;
  frame.ownField = field->name.name.str();
  if (field->index)
    frame.vars[field->index->name.str()] = Type::ofNumber();
  Type type = eval(field->value, frame);
  layers = savedLayers;
  calls = std::move(savedCalls);
  text = savedText;
  if (field->index && type.is(Type::Kind::List))
    type = type.element();
  bool mayBeSize = type.isUnknown() || type.is(Type::Kind::Number) ||
                   type.is(Type::Kind::Config);
  if (mayBeSize) {
    type.axisName = AxisName::Known;
    type.axis = {field->name.name.str(), {}};
  }
  return type;
}

Type FamilyChecker::evalConfig(const spec::Expr *expr, Frame::Context context,
                               const Vars &vars, Layers where) {
  Layers saved = std::exchange(layers, where);
  Frame frame;
  frame.context = context;
  frame.family = decl->name.name;
  frame.vars = vars;
  Type type = eval(expr, frame);
  layers = saved;
  return type;
}
