//===- CheckNames.cpp - What names mean -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

#include "lib/Check/Builtins.h"

using namespace clade;
using namespace clade::check;
using import::SpecLibrary;

/// Names that mean the same everywhere.
static std::optional<Type> wellKnown(StringRef name) {
  if (name == "true" || name == "false")
    return Type::boolean(name == "true");
  if (name == "none")
    return Type::none();
  if (name == "inf")
    return Type::ofNumber(std::numeric_limits<double>::infinity());
  if (name == "causal" || name == "everything")
    return Type::of(Type::Kind::Mask);
  if (llvm::is_contained(
          {"halves", "adjacent", "model", "f32", "axial", "alternate"}, name))
    return Type::string(name.str());
  return std::nullopt;
}

Type FamilyChecker::evalName(const spec::NameExpr *expr, Frame &frame) {
  StringRef name = expr->name;
  if (auto it = frame.vars.find(name); it != frame.vars.end())
    return it->second;
  bool inBlock = frame.context == Frame::Context::Block;
  if (name == "layer" && layers != Layers::No)
    return Type::ofNumber();
  if (name == "position" && inBlock)
    return position.value_or(Type::tensor(Axes{{"token", {}}}));
  if (name == "last" && frame.last)
    return *frame.last;
  if (name != frame.ownField && family.findField(name))
    return field(name, expr->getLoc());
  if (!inBlock && name == "config")
    return Type::of(Type::Kind::Record);
  std::optional<Type> known = wellKnown(name);
  if (inBlock && known)
    return *known;
  // A key of this name would come first: only constants are certain.
  if (!inBlock && known)
    return known->is(Type::Kind::String) ? Type::config()
           : known->is(Type::Kind::Mask) ? Type::unknown()
                                         : *known;
  if (!inBlock)
    return Type::config();
  if (name == "token")
    return Type::size({"token", {}});
  for (const spec::FamilyDecl *owner : family.getChain())
    if (const spec::PartDecl *part = owner->findPart(name)) {
      Type type = Type::of(Type::Kind::Part);
      type.part = part;
      return type;
    }
  return unknownName(expr, frame);
}

Type FamilyChecker::unknownName(const spec::NameExpr *expr,
                                const Frame &frame) {
  StringRef name = expr->name;
  if (name == "layer")
    return nameError(expr->getLoc(),
                     "unknown name 'layer' outside the loop over layers",
                     frame.family);
  std::vector<std::string> candidates = family.fieldNames();
  for (const auto &[variable, type] : frame.vars)
    candidates.push_back(variable);
  return nameError(expr->getLoc(),
                   "unknown name '" + name + "'" +
                       SpecLibrary::hint(name, candidates),
                   frame.family);
}

Type FamilyChecker::evalAttr(const spec::AttrExpr *expr, Frame &frame) {
  auto *owner = dyn_cast<spec::NameExpr>(expr->base);
  Type base = owner && owner->name == frame.ownField ? Type::config()
                                                     : eval(expr->base, frame);
  StringRef name = expr->name.name;
  switch (base.kind) {
  case Type::Kind::Unknown:
    return base;
  case Type::Kind::Config:
  case Type::Kind::None:
  case Type::Kind::Record:
  case Type::Kind::Rope:
    return Type::config();
  case Type::Kind::Indices:
    if (name == "values")
      return Type::tensor(base.axes);
    break;
  case Type::Kind::Part: {
    FamilyChecker &checker = session.checkerFor(
        session.getLibrary().findFamily(base.part->family.name));
    if (!checker.family.findField(name))
      return nameError(expr->getLoc(),
                       "part '" + base.part->name.name + "' has no field '" +
                           name + "'" +
                           SpecLibrary::hint(name, checker.family.fieldNames()),
                       frame.family);
    Layers saved = std::exchange(checker.layers, Layers::Maybe);
    Type type = checker.field(name, expr->getLoc());
    checker.layers = saved;
    // The size may be another than that of a field of this family.
    type.axisName = AxisName::Unknown;
    return type;
  }
  default:
    break;
  }
  return error(expr->getLoc(), "expected an object with a key '" + name +
                                   "', got " + base.describe());
}

std::vector<std::string> FamilyChecker::callableNames() const {
  std::vector<std::string> names = family.blockNames();
  for (const spec::BlockDecl *block : session.getLibrary().getPreludeBlocks())
    names.push_back(block->name.name.str());
  for (const Builtin &builtin : builtins())
    names.push_back(builtin.name.str());
  return names;
}
