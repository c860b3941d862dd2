//===- CheckWeights.cpp - Weight equations --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"
#include "lib/Import/WeightFunctions.h"

using namespace clade;
using namespace clade::check;
using import::SpecLibrary;
using import::WeightArg;

void FamilyChecker::checkWeights(const spec::WeightsDecl *weights) {
  checkItems(weights->items, {});
}

void FamilyChecker::checkItems(ArrayRef<const spec::WeightItem *> items,
                               const Vars &bound) {
  for (const spec::WeightItem *item : items) {
    if (auto *equation = dyn_cast<spec::WeightEquation>(item)) {
      checkEquation(equation, bound);
      continue;
    }
    if (auto *drop = dyn_cast<spec::WeightDrop>(item)) {
      for (const spec::Path *path : drop->paths) {
        Bound own{bound, {}};
        bindPath(path, own);
      }
      if (drop->condition)
        checkWeightCondition(drop->condition, bound);
      continue;
    }
    auto *loop = cast<spec::WeightFor>(item);
    Bound inner{bound, {}};
    for (const spec::WeightBinding &binding : loop->bindings) {
      Type range = evalConfig(binding.range, Frame::Context::Weights,
                              inner.vars, Layers::Maybe);
      inner.vars[binding.name.name.str()] =
          range.is(Type::Kind::List) ? range.element() : Type::config();
    }
    if (loop->at)
      bindPath(loop->at, inner);
    checkItems(loop->items, inner.vars);
  }
}

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

static bool isSet(const spec::Placeholder &placeholder) {
  return placeholder.exprs.size() > 1 ||
         isa<spec::StringExpr>(placeholder.exprs[0]);
}

/// A path that names are matched with: bare names in it stand for what is
/// there, 'layer >= layers' restricts it.
void FamilyChecker::bindPath(const spec::Path *path, Bound &bound) {
  for (const spec::PathSegment &segment : path->segments)
    for (const spec::PathPart &part : segment) {
      if (part.isText())
        continue;
      const spec::Placeholder &placeholder = part.placeholder;
      const spec::Expr *expr = placeholder.exprs[0], *where = placeholder.where;
      if (isSet(placeholder)) {
        bound.sets.push_back(placeholder.exprs.size());
        continue;
      }
      auto *name = dyn_cast<spec::NameExpr>(expr);
      if (auto *comparison = dyn_cast<spec::BinaryExpr>(expr)) {
        name = dyn_cast<spec::NameExpr>(comparison->lhs);
        where = expr;
      }
      if (name) // A segment may be a number or a word.
        bound.vars.try_emplace(name->name.str(), Type::config());
      else
        evalConfig(expr, Frame::Context::Weights, bound.vars, Layers::Maybe);
      if (where)
        checkWeightCondition(where, bound.vars);
    }
}

/// A path that is made of what the left side bound.
void FamilyChecker::checkPath(const spec::Path *path, const Bound &bound) {
  size_t set = 0;
  for (const spec::PathSegment &segment : path->segments)
    for (const spec::PathPart &part : segment) {
      if (part.isText())
        continue;
      ArrayRef<const spec::Expr *> exprs = part.placeholder.exprs;
      if (exprs.size() > 1) {
        size_t members = set < bound.sets.size() ? bound.sets[set] : 1;
        ++set;
        if (members != exprs.size())
          error(exprs[0]->getLoc(), "expected a set of " +
                                        llvm::Twine(members) +
                                        " as on the left side, got one of " +
                                        llvm::Twine(exprs.size()));
      }
      for (const spec::Expr *expr : exprs)
        checkBound(expr, bound);
    }
}

void FamilyChecker::checkBound(const spec::Expr *expr, const Bound &bound) {
  auto *name = dyn_cast<spec::NameExpr>(expr);
  bool isKnown = !name || bound.vars.count(name->name) ||
                 name->name == "layer" || family.findField(name->name);
  if (!isKnown) {
    std::vector<std::string> candidates = family.fieldNames();
    for (const auto &[variable, type] : bound.vars)
      candidates.push_back(variable);
    error(expr->getLoc(), "placeholder '{" + name->name +
                              "}' is bound nowhere" +
                              SpecLibrary::hint(name->name, candidates));
    return;
  }
  Type type =
      evalConfig(expr, Frame::Context::Weights, bound.vars, Layers::Maybe);
  if (!type.mayBe(Type::Kind::Number) && !type.mayBe(Type::Kind::String))
    error(expr->getLoc(),
          "expected an integer or a string in a weight path, got " +
              type.describe());
}

//===----------------------------------------------------------------------===//
// Equations
//===----------------------------------------------------------------------===//

/// A bare name that is neither a field nor bound is a key; one that is nearly a
/// field is a slip.
void FamilyChecker::checkWeightCondition(const spec::Expr *expr,
                                         const Vars &bound) {
  if (auto *name = dyn_cast<spec::NameExpr>(expr)) {
    std::string hint = SpecLibrary::hint(name->name, family.fieldNames());
    bool isKnown = bound.count(name->name) || family.findField(name->name) ||
                   llvm::is_contained({"true", "false", "layer"}, name->name);
    if (!isKnown && !hint.empty()) {
      error(expr->getLoc(), "unknown field '" + name->name + "'" + hint);
      return;
    }
  }
  Type type = evalConfig(expr, Frame::Context::Weights, bound, Layers::Maybe);
  if (!type.mayBe(Type::Kind::Bool))
    error(expr->getLoc(), "expected true or false, got " + type.describe());
}

void FamilyChecker::checkEquation(const spec::WeightEquation *equation,
                                  const Vars &outer) {
  Bound bound{outer, {}};
  bindPath(equation->path, bound);
  if (equation->condition)
    checkWeightCondition(equation->condition, bound.vars);
  for (const spec::WeightExpr *alternative : equation->alternatives)
    checkForm(alternative, bound);
}

void FamilyChecker::checkForm(const spec::WeightExpr *expr,
                              const Bound &bound) {
  if (auto *call = dyn_cast<spec::WeightCall>(expr))
    return checkWeightCall(call, bound);
  if (auto *ref = dyn_cast<spec::WeightRef>(expr)) {
    checkPath(ref->path, bound);
    if (ref->index)
      for (const spec::Arg &arg : *ref->index) {
        Type index = evalConfig(arg.value, Frame::Context::Weights, bound.vars,
                                Layers::Maybe);
        if (!index.mayBe(Type::Kind::Number) && !index.is(Type::Kind::Range))
          error(arg.value->getLoc(),
                "expected an integer or a range, got " + index.describe());
      }
    return;
  }
  error(expr->getLoc(), "expected a tensor, got a number");
}

/// A number or value behind the tensors of a weight function: a literal, or a
/// field.
void FamilyChecker::checkWeightValue(const spec::WeightExpr *expr,
                                     const import::WeightFunction &function,
                                     bool isNumber) {
  if (isa<spec::WeightNumber>(expr))
    return;
  auto *ref = dyn_cast<spec::WeightRef>(expr);
  bool isName = ref && !ref->index && !ref->path->isAbsolute &&
                ref->path->segments.size() == 1 &&
                ref->path->segments[0].size() == 1 &&
                ref->path->segments[0][0].isText();
  if (!isName) {
    error(expr->getLoc(), "weight function '" + function.name + "' expects " +
                              function.expected());
    return;
  }
  StringRef name = ref->path->segments[0][0].text;
  if (!family.findField(name)) {
    error(expr->getLoc(), "unknown field '" + name + "'" +
                              SpecLibrary::hint(name, family.fieldNames()));
    return;
  }
  Layers saved = std::exchange(layers, Layers::Maybe);
  Type type = field(name, expr->getLoc());
  layers = saved;
  if (isNumber && !type.mayBe(Type::Kind::Number))
    error(expr->getLoc(), "expected a number, got " + type.describe());
}

void FamilyChecker::checkWeightCall(const spec::WeightCall *call,
                                    const Bound &bound) {
  StringRef name = call->name.name;
  const import::WeightFunction *function = import::findWeightFunction(name);
  if (!function) {
    error(call->name.loc,
          "unknown weight function '" + name + "'" +
              SpecLibrary::hint(name, import::weightFunctionNames()));
    return;
  }
  const std::vector<WeightArg> *kinds = function->formOf(call->args.size());
  if (!kinds) {
    error(call->getLoc(),
          "weight function '" + name + "' expects " + function->expected());
    return;
  }
  for (auto [kind, arg] : llvm::zip_equal(*kinds, call->args)) {
    if (kind == WeightArg::Number || kind == WeightArg::Value)
      checkWeightValue(arg, *function, kind == WeightArg::Number);
    else
      checkForm(arg, bound);
  }
}
