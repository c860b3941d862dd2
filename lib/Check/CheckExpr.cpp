//===- CheckExpr.cpp - Expressions ----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

using namespace clade;
using namespace clade::check;

Type FamilyChecker::eval(const spec::Expr *expr, Frame &frame) {
  Session::Level level(session);
  if (level.isTooDeep())
    return Type::unknown();
  Type type = evalInner(expr, frame);
  session.observe(expr, type);
  return type;
}

Type FamilyChecker::evalInner(const spec::Expr *expr, Frame &frame) {
  using Kind = spec::Expr::Kind;
  switch (expr->getKind()) {
  case Kind::Number:
    return Type::ofNumber(cast<spec::NumberExpr>(expr)->value);
  case Kind::String:
    return Type::string(cast<spec::StringExpr>(expr)->value.str());
  case Kind::Name:
    return evalName(cast<spec::NameExpr>(expr), frame);
  case Kind::Key:
    return Type::config();
  case Kind::List:
    return evalList(cast<spec::ListExpr>(expr), frame);
  case Kind::Tuple: {
    std::vector<Type> elements;
    for (const spec::Expr *element : cast<spec::TupleExpr>(expr)->elements)
      elements.push_back(eval(element, frame));
    return Type::tuple(std::move(elements));
  }
  case Kind::Paren:
    return eval(cast<spec::ParenExpr>(expr)->inner, frame);
  case Kind::Call:
    return evalCall(cast<spec::CallExpr>(expr), frame);
  case Kind::Index:
    return evalIndex(cast<spec::IndexExpr>(expr), frame);
  case Kind::Attr:
    return evalAttr(cast<spec::AttrExpr>(expr), frame);
  case Kind::At:
    return evalAt(cast<spec::AtExpr>(expr), frame);
  case Kind::As:
    return evalAs(cast<spec::AsExpr>(expr), frame);
  case Kind::FromLayer:
    return evalFromLayer(cast<spec::FromLayerExpr>(expr), frame);
  case Kind::Lambda:
    return evalLambda(cast<spec::LambdaExpr>(expr), frame);
  case Kind::Binary:
    return evalBinary(cast<spec::BinaryExpr>(expr), frame);
  case Kind::Unary:
    return evalUnary(cast<spec::UnaryExpr>(expr), frame);
  case Kind::Default:
    return evalDefault(cast<spec::DefaultExpr>(expr), frame);
  case Kind::Range:
    return evalRange(cast<spec::RangeExpr>(expr), frame);
  case Kind::If:
    return evalIf(cast<spec::IfExpr>(expr), frame).value;
  case Kind::Match:
    return evalMatch(cast<spec::MatchExpr>(expr), frame);
  case Kind::For:
    return evalFor(cast<spec::ForExpr>(expr), frame);
  case Kind::Scan:
    return evalScan(cast<spec::ScanExpr>(expr), frame);
  }
  return Type::unknown();
}

/// Whether a value cannot be that of a key that is absent, which goes through
/// operators until a default takes it.
static bool isNeverAbsent(const spec::Expr *expr) {
  if (auto *paren = dyn_cast<spec::ParenExpr>(expr))
    return isNeverAbsent(paren->inner);
  return isa<spec::NameExpr, spec::NumberExpr, spec::StringExpr,
             spec::DefaultExpr>(expr);
}

/// A key has the type of its default: 'head_dim ?? 128' is a number. With '?' a
/// null stays, so that nothing is known.
Type FamilyChecker::evalDefault(const spec::DefaultExpr *expr, Frame &frame) {
  Type value = eval(expr->value, frame);
  bool neverMissing = !value.isUnknown() && !value.is(Type::Kind::Config) &&
                      !value.is(Type::Kind::None) && isNeverAbsent(expr->value);
  bool alwaysMissing = value.is(Type::Kind::None) && expr->alsoNull;
  dead += neverMissing;
  branches += !neverMissing && !alwaysMissing;
  Type fallback = eval(expr->fallback, frame);
  branches -= !neverMissing && !alwaysMissing;
  dead -= neverMissing;
  if (neverMissing)
    return value;
  if (alwaysMissing)
    return fallback;
  if (!value.is(Type::Kind::Config) || !expr->alsoNull ||
      fallback.is(Type::Kind::None) || !fallback.isConfigValue())
    return check::join(value, fallback);
  // Another value may come from the file.
  switch (fallback.kind) {
  case Type::Kind::Number:
    return Type::ofNumber();
  case Type::Kind::Bool:
    return Type::boolean();
  case Type::Kind::String:
    return Type::string();
  case Type::Kind::List:
    return Type::listOf(Type::config());
  default:
    return Type::of(fallback.kind);
  }
}

Type FamilyChecker::evalRange(const spec::RangeExpr *expr, Frame &frame) {
  for (const spec::Expr *bound : {expr->begin, expr->end}) {
    if (!bound)
      continue;
    Type type = eval(bound, frame);
    if (!type.mayBe(Type::Kind::Number))
      error(bound->getLoc(), "expected an integer, got " + type.describe());
  }
  return Type::of(Type::Kind::Range);
}

Type FamilyChecker::evalAt(const spec::AtExpr *expr, Frame &frame) {
  address(expr->path, frame);
  if (!isa<spec::CallExpr, spec::LambdaExpr>(expr->base))
    error(expr->getLoc(), "expected 'at' to follow a call");
  return eval(expr->base, frame);
}

Type FamilyChecker::evalFromLayer(const spec::FromLayerExpr *expr,
                                  Frame &frame) {
  Type layer = eval(expr->layer, frame);
  if (!layer.mayBe(Type::Kind::Number))
    error(expr->layer->getLoc(),
          "expected the number of a layer, got " + layer.describe());
  return eval(expr->base, frame);
}

Type FamilyChecker::evalUnary(const spec::UnaryExpr *expr, Frame &frame) {
  Type type = eval(expr->operand, frame);
  if (expr->op == spec::UnaryOp::Not) {
    if (type.is(Type::Kind::Mask) || type.isTensor() || type.isUnknown())
      return type;
    if (!type.mayBe(Type::Kind::Bool))
      return error(expr->getLoc(), "expected true or false after 'not', got " +
                                       type.describe());
    return Type::boolean(type.truth ? std::optional(!*type.truth)
                                    : std::nullopt);
  }
  if (type.isUnknown())
    return type;
  if (type.isTensor())
    return Type::tensor(type.axes);
  if (!type.mayBe(Type::Kind::Number))
    return error(expr->getLoc(),
                 "expected a number or a tensor after '-', got " +
                     type.describe());
  return Type::ofNumber(type.number ? std::optional(-*type.number)
                                    : std::nullopt);
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

Type FamilyChecker::evalIndex(const spec::IndexExpr *expr, Frame &frame) {
  auto *name = dyn_cast<spec::NameExpr>(expr->base);
  bool isField = name && name->name != frame.ownField &&
                 !frame.vars.count(name->name) && family.findField(name->name);
  // field[i]: the value of a per-layer field for layer i.
  if (isField && family.findField(name->name)->index &&
      expr->args.size() == 1) {
    Type index = eval(expr->args[0].value, frame);
    if (!index.mayBe(Type::Kind::Number))
      error(expr->getLoc(),
            "expected the number of a layer, got " + index.describe());
    return field(name->name, expr->getLoc(), /*ofGivenLayer=*/true);
  }
  Type base = name && name->name == frame.ownField ? Type::config()
                                                   : eval(expr->base, frame);
  if (base.isTensor())
    return evalTensorIndex(expr, base, frame);
  std::vector<Type> indices;
  for (const spec::Arg &arg : expr->args)
    indices.push_back(eval(arg.value, frame));
  if (base.isUnknown())
    return base;
  if (indices.size() != 1)
    return error(expr->getLoc(),
                 "expected one index, got " + llvm::Twine(indices.size()));
  if (base.isConfigValue() && !base.is(Type::Kind::List))
    return base.is(Type::Kind::String) ? Type::string() : Type::config();
  if (!base.is(Type::Kind::List))
    return error(expr->getLoc(),
                 "expected a list or a string, got " + base.describe());
  if (!indices[0].mayBe(Type::Kind::Number))
    return error(expr->getLoc(),
                 "expected an integer index, got " + indices[0].describe());
  if (!base.hasLength || !indices[0].number)
    return base.element();
  double at = *indices[0].number;
  if (!(at >= 0 && at < base.elements.size()))
    return error(expr->getLoc(), "expected an index below " +
                                     llvm::Twine(base.elements.size()) +
                                     ", got " + indices[0].describe());
  return base.elements[static_cast<size_t>(at)];
}

/// 'x[axis: i]' drops the axis, 'x[axis: i .. j]' keeps a part of it, and
/// 'x[chosen]' takes what top_k chose.
Type FamilyChecker::evalTensorIndex(const spec::IndexExpr *expr,
                                    const Type &base, Frame &frame) {
  std::optional<Axes> axes = base.axes;
  for (const spec::Arg &arg : expr->args) {
    Type index = eval(arg.value, frame);
    if (!axes)
      continue;
    bool isChoice = index.is(Type::Kind::Indices) && !index.over.empty();
    if (!arg.name && !isChoice) {
      axes.reset();
      continue;
    }
    StringRef name = arg.name ? arg.name->name : StringRef(index.over);
    const Axis *axis = findAxis(*axes, name);
    if (!axis) {
      error(arg.name ? arg.name->loc : expr->getLoc(),
            "index into axis '" + name + "': no such axis in " +
                toString(*axes));
      axes.reset();
      continue;
    }
    if (index.is(Type::Kind::Range))
      continue;
    if (index.isTensor()) {
      // The chosen axis becomes the last one of the indices.
      bool known = isChoice && index.axes && !index.axes->empty() &&
                   contains(*axes, ArrayRef(*index.axes).drop_back());
      if (known)
        (*axes)[axis - axes->data()] = index.axes->back();
      else
        axes.reset();
      continue;
    }
    if (index.is(Type::Kind::Number))
      axes->erase(axes->begin() + (axis - axes->data()));
    else
      axes.reset();
  }
  return Type::tensor(std::move(axes));
}
