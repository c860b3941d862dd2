//===- EvalExpr.cpp - Expressions -----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;
using llvm::dyn_cast;

/// Nesting of evaluation; block calls count, so that recursion ends in an
/// error.
static constexpr int maxCallDepth = 256;

/// Expressions that one entry, or one value of the configuration, may evaluate:
/// far more than any family does.
static constexpr int64_t maxSteps = 2000000;

Evaluator::Evaluator(const Family &family, const Config *config,
                     const Record &record, WeightResolver *weights,
                     ModuleOp module, const ImportOptions &options)
    : root(family, record), config(config), weights(weights), module(module),
      options(options), builder(family.getLibrary().getContext()) {}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

FailureOr<SpecValue> Evaluator::eval(const spec::Expr *expr, Frame &frame) {
  if (depth >= maxCallDepth)
    return error(expr->getLoc())
           << "expected at most " << maxCallDepth
           << " levels of evaluation: does a block call itself?";
  if (++steps > maxSteps)
    return error(expr->getLoc())
           << "expected at most " << maxSteps
           << " steps of evaluation: do loops or blocks multiply?";
  ++depth;
  FailureOr<SpecValue> result = evalInner(expr, frame);
  --depth;
  return result;
}

FailureOr<SpecValue> Evaluator::evalInner(const spec::Expr *expr,
                                          Frame &frame) {
  using Kind = spec::Expr::Kind;
  switch (expr->getKind()) {
  case Kind::Number: {
    auto *number = cast<spec::NumberExpr>(expr);
    return number->isInteger ? SpecValue::of(number->intValue)
                             : SpecValue::of(number->value);
  }
  case Kind::String:
    return SpecValue::of(cast<spec::StringExpr>(expr)->value.str());
  case Kind::Name:
    return evalName(cast<spec::NameExpr>(expr), frame);
  case Kind::Key:
    return evalKey(cast<spec::KeyExpr>(expr)->name);
  case Kind::List:
    return evalList(cast<spec::ListExpr>(expr), frame);
  case Kind::Tuple: {
    std::vector<SpecValue> elements;
    for (const spec::Expr *element : cast<spec::TupleExpr>(expr)->elements) {
      FailureOr<SpecValue> value = eval(element, frame);
      if (failed(value))
        return failure();
      elements.push_back(std::move(*value));
    }
    return SpecValue::tuple(std::move(elements));
  }
  case Kind::Paren:
    return eval(cast<spec::ParenExpr>(expr)->inner, frame);
  case Kind::Call:
    return evalCall(cast<spec::CallExpr>(expr), frame, frame.prefix);
  case Kind::At: {
    auto *at = cast<spec::AtExpr>(expr);
    auto *call = dyn_cast<spec::CallExpr>(at->base);
    if (!call)
      return error(expr->getLoc()) << "expected 'at' to follow a call";
    FailureOr<std::string> prefix = address(at->path, frame, frame.prefix);
    if (failed(prefix))
      return failure();
    return evalCall(call, frame, *prefix);
  }
  case Kind::Index:
    return evalIndex(cast<spec::IndexExpr>(expr), frame);
  case Kind::Attr:
    return evalAttr(cast<spec::AttrExpr>(expr), frame);
  case Kind::As:
    return evalAs(cast<spec::AsExpr>(expr), frame);
  case Kind::Binary:
    return evalBinary(cast<spec::BinaryExpr>(expr), frame);
  case Kind::Unary:
    return evalUnary(cast<spec::UnaryExpr>(expr), frame);
  case Kind::Default: {
    auto *defaulted = cast<spec::DefaultExpr>(expr);
    FailureOr<SpecValue> value = eval(defaulted->value, frame);
    if (failed(value))
      return failure();
    bool missing = value->is(SpecValue::Kind::Absent) ||
                   (defaulted->alsoNull && value->is(SpecValue::Kind::None));
    return missing ? eval(defaulted->fallback, frame) : value;
  }
  case Kind::Range: {
    auto *range = cast<spec::RangeExpr>(expr);
    SpecValue begin = SpecValue::of(int64_t(0)), end = SpecValue::none();
    for (auto [bound, value] :
         {std::pair(range->begin, &begin), std::pair(range->end, &end)}) {
      if (!bound)
        continue;
      FailureOr<SpecValue> evaluated = eval(bound, frame);
      if (failed(evaluated))
        return failure();
      if (!evaluated->is(SpecValue::Kind::Int))
        return error(bound->getLoc())
               << "expected an integer, got " << evaluated->describe();
      *value = std::move(*evaluated);
    }
    return SpecValue::range(std::move(begin), std::move(end));
  }
  case Kind::If:
    return evalIf(cast<spec::IfExpr>(expr), frame);
  case Kind::Match:
    return evalMatch(cast<spec::MatchExpr>(expr), frame);
  case Kind::For:
    return evalFor(cast<spec::ForExpr>(expr), frame);
  case Kind::Scan:
    return evalScan(cast<spec::ScanExpr>(expr), frame);
  case Kind::Lambda:
    return evalMix(cast<spec::LambdaExpr>(expr), frame);
  case Kind::FromLayer:
    return evalFromLayer(cast<spec::FromLayerExpr>(expr), frame);
  }
  return failure();
}

FailureOr<SpecValue> Evaluator::evalIndex(const spec::IndexExpr *expr,
                                          Frame &frame) {
  if (expr->args.size() != 1)
    return error(expr->getLoc())
           << "expected one index, got " << expr->args.size();
  auto *name = dyn_cast<spec::NameExpr>(expr->base);
  // field[i]: the value of a per-layer field for layer i.
  if (name && name->name != frame.ownField && !frame.vars.count(name->name)) {
    const spec::FieldDecl *decl = getFamily().findField(name->name);
    if (decl && decl->index) {
      FailureOr<SpecValue> index = eval(expr->args[0].value, frame);
      if (failed(index))
        return failure();
      if (!index->is(SpecValue::Kind::Int))
        return error(expr->getLoc())
               << "expected the number of a layer, got " << index->describe();
      return field(name->name, index->dim.size, expr->getLoc());
    }
  }
  FailureOr<SpecValue> base = name && name->name == frame.ownField
                                  ? FailureOr<SpecValue>(evalKey(name->name))
                                  : eval(expr->base, frame);
  if (failed(base))
    return failure();
  FailureOr<SpecValue> index = eval(expr->args[0].value, frame);
  if (failed(index))
    return failure();
  if (base->is(SpecValue::Kind::Absent) || base->is(SpecValue::Kind::None))
    return base->is(SpecValue::Kind::Absent)
               ? *base
               : SpecValue::absent((name ? name->name.str() : "") + "[" +
                                   (index->is(SpecValue::Kind::Int)
                                        ? std::to_string(index->dim.size)
                                        : index->text) +
                                   "]");
  if (base->is(SpecValue::Kind::Record) && index->is(SpecValue::Kind::String)) {
    const Record &object = base->record;
    if (!object.object->contains(index->text))
      return SpecValue::absent(object.path + index->text);
    return toValue((*object.object)[index->text], object.path + index->text);
  }
  if (base->is(SpecValue::Kind::Tensor) && index->is(SpecValue::Kind::Tensor) &&
      index->tensor.choice && !expr->args[0].name)
    return gather(base->tensor, index->tensor, expr->getLoc());
  if (base->is(SpecValue::Kind::Tensor))
    return callBuiltin("slice", CallArgs{{*base, *index}, {}},
                       expr->args[0].name ? expr->args[0].name->name.str() : "",
                       expr->getLoc())
        .value_or(failure());
  if (!index->is(SpecValue::Kind::Int))
    return error(expr->getLoc())
           << "expected an integer index, got " << index->describe();
  int64_t at = index->dim.size;
  int64_t size = base->is(SpecValue::Kind::String) ? base->text.size()
                                                   : base->elements.size();
  if (!base->is(SpecValue::Kind::String) && !base->is(SpecValue::Kind::List))
    return error(expr->getLoc())
           << "expected a list or a string, got " << base->describe();
  if (at < 0 || at >= size)
    return error(expr->getLoc())
           << "expected an index below " << size << ", got " << at;
  return base->is(SpecValue::Kind::String)
             ? SpecValue::of(std::string(1, base->text[at]))
             : base->elements[at];
}

FailureOr<SpecValue> Evaluator::evalBinary(const spec::BinaryExpr *expr,
                                           Frame &frame) {
  FailureOr<SpecValue> lhs = eval(expr->lhs, frame);
  if (failed(lhs))
    return failure();
  bool isAnd = expr->op == spec::BinaryOp::And,
       isOr = expr->op == spec::BinaryOp::Or;
  if ((isAnd || isOr) && lhs->is(SpecValue::Kind::Bool) && lhs->boolean == isOr)
    return *lhs;
  FailureOr<SpecValue> rhs = eval(expr->rhs, frame);
  if (failed(rhs))
    return failure();
  if (lhs->is(SpecValue::Kind::Absent) || rhs->is(SpecValue::Kind::Absent))
    return lhs->is(SpecValue::Kind::Absent) ? *lhs : *rhs;
  return arithmetic(expr->op, *lhs, *rhs, expr->getLoc());
}

FailureOr<SpecValue> Evaluator::evalUnary(const spec::UnaryExpr *expr,
                                          Frame &frame) {
  FailureOr<SpecValue> value = eval(expr->operand, frame);
  if (failed(value))
    return failure();
  if (value->is(SpecValue::Kind::Absent))
    return value;
  if (expr->op == spec::UnaryOp::Not) {
    if (!value->is(SpecValue::Kind::Bool))
      return error(expr->getLoc())
             << "expected true or false after 'not', got " << value->describe();
    return SpecValue::of(!value->boolean);
  }
  if (value->is(SpecValue::Kind::Int))
    return scalarArithmetic(spec::BinaryOp::Sub, SpecValue::of(int64_t(0)),
                            *value, expr->getLoc());
  if (value->is(SpecValue::Kind::Float))
    return SpecValue::of(-value->number);
  if (value->is(SpecValue::Kind::Tensor))
    return unary(UnaryKind::Neg, value->tensor, expr->getLoc());
  return error(expr->getLoc())
         << "expected a number or a tensor after '-', got "
         << value->describe();
}

FailureOr<bool> Evaluator::condition(const spec::Expr *expr, Frame &frame) {
  FailureOr<SpecValue> value = eval(expr, frame);
  if (failed(value))
    return failure();
  if (value->is(SpecValue::Kind::Absent))
    return error(expr->getLoc())
           << "key '" << value->text << "' is absent and has no default";
  if (!value->is(SpecValue::Kind::Bool))
    return error(expr->getLoc())
           << "expected true or false, got " << value->describe();
  return value->boolean;
}

FailureOr<SpecValue> Evaluator::evalIf(const spec::IfExpr *expr, Frame &frame) {
  FailureOr<bool> holds = condition(expr->condition, frame);
  if (failed(holds))
    return failure();
  if (*holds)
    return evalBody(expr->thenBody, frame);
  return expr->elseBody ? evalBody(expr->elseBody, frame) : SpecValue::none();
}

FailureOr<SpecValue> Evaluator::evalMatch(const spec::MatchExpr *expr,
                                          Frame &frame) {
  FailureOr<SpecValue> subject = eval(expr->subject, frame);
  if (failed(subject) || subject->is(SpecValue::Kind::Absent))
    return subject;
  std::vector<std::string> patterns;
  for (const spec::MatchCase &matchCase : expr->cases) {
    FailureOr<SpecValue> pattern = eval(matchCase.pattern, frame);
    if (failed(pattern))
      return failure();
    if (pattern->equals(*subject))
      return eval(matchCase.value, frame);
    patterns.push_back(pattern->is(SpecValue::Kind::String)
                           ? "'" + pattern->text + "'"
                           : pattern->describe());
  }
  InFlightDiagnostic diagnostic = error(expr->getLoc())
                                  << "expected one of the cases (";
  return diagnostic << llvm::join(patterns, ", ") << "), got "
                    << subject->describe();
}
