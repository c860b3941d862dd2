//===- EvalNames.cpp - Names, keys and attributes -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;
using llvm::dyn_cast;

/// Names that mean the same everywhere.
static std::optional<SpecValue> wellKnown(StringRef name) {
  if (name == "true" || name == "false")
    return SpecValue::of(name == "true");
  if (name == "none")
    return SpecValue::none();
  if (name == "inf")
    return SpecValue::of(std::numeric_limits<double>::infinity());
  if (name == "causal" || name == "everything")
    return SpecValue::of(Mask{name == "causal", std::nullopt, {}});
  for (StringRef word :
       {"halves", "adjacent", "model", "f32", "axial", "alternate"})
    if (name == word)
      return SpecValue::of(name.str());
  return std::nullopt;
}

FailureOr<SpecValue> Evaluator::evalName(const spec::NameExpr *expr,
                                         Frame &frame) {
  StringRef name = expr->name;
  if (auto it = frame.vars.find(name); it != frame.vars.end()) {
    SpecValue value = it->second;
    if (value.is(SpecValue::Kind::Tensor))
      value.tensor = localize(value.tensor);
    return value;
  }
  bool inBlock = frame.context == Frame::Context::Block;
  if (name == "layer" && currentLayer)
    return SpecValue::of(*currentLayer);
  if (name == "position" && inBlock && scanScope)
    return error(expr->getLoc())
           << "'position' inside a scan has no compiled form yet";
  if (name == "position" && inBlock)
    return SpecValue::of(localize(position));
  if (name == "last" && frame.last)
    return SpecValue::of(*frame.last);
  if (name != frame.ownField && getFamily().findField(name))
    return field(name, currentLayer, expr->getLoc());
  if (!inBlock) {
    if (name == "config")
      return SpecValue::of(getRecord());
    if (getRecord().object && getRecord().object->contains(name.str()))
      return evalKey(name);
  }
  if (std::optional<SpecValue> value = wellKnown(name))
    return *value;
  if (!inBlock)
    return SpecValue::absent(getRecord().path + name.str());
  std::vector<std::string> candidates = getFamily().fieldNames();
  for (const auto &[variable, value] : frame.vars)
    candidates.push_back(variable);
  return error(expr->getLoc()) << "unknown name '" << name << "'"
                               << SpecLibrary::hint(name, candidates);
}

SpecValue Evaluator::evalKey(StringRef name) {
  if (!getRecord().object || !getRecord().object->contains(name.str()))
    return SpecValue::absent(getRecord().path + name.str());
  return toValue((*getRecord().object)[name.str()],
                 getRecord().path + name.str());
}

/// 'text.rope.factor' as it is written; only the end if other expressions are
/// in front.
static std::string dottedName(const spec::AttrExpr *expr) {
  std::string text = expr->name.name.str();
  const spec::Expr *base = expr->base;
  while (auto *attr = dyn_cast<spec::AttrExpr>(base)) {
    text = attr->name.name.str() + "." + text;
    base = attr->base;
  }
  if (auto *name = dyn_cast<spec::NameExpr>(base))
    text = name->name.str() + "." + text;
  return text;
}

FailureOr<SpecValue> Evaluator::evalAttr(const spec::AttrExpr *expr,
                                         Frame &frame) {
  // 'text.vocab': a field of a part.
  if (auto *name = dyn_cast<spec::NameExpr>(expr->base);
      name && name->name != frame.ownField && !frame.vars.count(name->name))
    if (FamilyInstance *part = current->findPart(name->name))
      return fieldOf(*part, expr->name.name, currentLayer, expr->getLoc());
  FailureOr<SpecValue> base = [&]() -> FailureOr<SpecValue> {
    auto *name = dyn_cast<spec::NameExpr>(expr->base);
    if (name && name->name == frame.ownField)
      return evalKey(name->name);
    return eval(expr->base, frame);
  }();
  if (failed(base))
    return failure();
  StringRef name = expr->name.name;
  switch (base->kind) {
  case SpecValue::Kind::Absent:
    return SpecValue::absent(base->text + "." + name.str());
  case SpecValue::Kind::None:
    return SpecValue::absent(dottedName(expr));
  case SpecValue::Kind::Record: {
    const Record &object = base->record;
    if (!object.object->contains(name.str()))
      return SpecValue::absent(object.path + name.str());
    keysRead.insert(object.path + name.str());
    return toValue((*object.object)[name.str()], object.path + name.str());
  }
  case SpecValue::Kind::Rope: {
    if (name == "kind")
      return SpecValue::of(base->rope->kind);
    if (!base->rope->record->contains(name.str()))
      return SpecValue::absent(base->rope->recordPath + name.str());
    return toValue((*base->rope->record)[name.str()],
                   base->rope->recordPath + name.str());
  }
  case SpecValue::Kind::Tensor:
    if (base->tensor.choice && name == "values")
      return SpecValue::of(
          tensor(localize(base->tensor.choice->values), base->tensor.axes));
    [[fallthrough]];
  default:
    return error(expr->getLoc()) << "expected an object with a key '" << name
                                 << "', got " << base->describe();
  }
}
