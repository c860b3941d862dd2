//===- EvalExpr.cpp - Expressions and statements --------------------------===//
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
using llvm::isa;

/// Nesting of evaluation; block calls count, so that recursion ends in an
/// error.
static constexpr int maxCallDepth = 512;

/// Expressions that one entry, or one value of the configuration, may evaluate:
/// far more than any family does.
static constexpr int64_t maxSteps = 2000000;

Evaluator::Evaluator(const Family &family, const Config *config,
                     const Record &record, WeightResolver *weights,
                     ModuleOp module, const ImportOptions &options)
    : family(family), config(config), record(record), weights(weights),
      module(module), options(options),
      builder(family.getLibrary().getContext()) {}

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
  case Kind::Lambda:
  case Kind::FromLayer:
  case Kind::Scan:
    return error(expr->getLoc()) << "this construct has no compiled form yet";
  }
  return failure();
}

/// Names that mean the same everywhere.
static std::optional<SpecValue> wellKnown(StringRef name) {
  if (name == "true" || name == "false")
    return SpecValue::of(name == "true");
  if (name == "none")
    return SpecValue::none();
  if (name == "inf")
    return SpecValue::of(std::numeric_limits<double>::infinity());
  if (name == "causal" || name == "everything")
    return SpecValue::of(Mask{name == "causal", std::nullopt});
  for (StringRef word : {"halves", "adjacent", "model", "f32"})
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
  if (name == "position" && inBlock)
    return SpecValue::of(tensor(localize(positionsValue),
                                {{ShapedType::kDynamic, tokenAxis.str(), {}}}));
  if (name == "last" && frame.last)
    return SpecValue::of(*frame.last);
  if (name != frame.ownField && family.findField(name))
    return field(name, currentLayer, expr->getLoc());
  if (!inBlock) {
    if (name == "config")
      return SpecValue::of(record);
    if (record.object && record.object->contains(name.str()))
      return evalKey(name);
  }
  if (std::optional<SpecValue> value = wellKnown(name))
    return *value;
  if (!inBlock)
    return SpecValue::absent(record.path + name.str());
  std::vector<std::string> candidates = family.fieldNames();
  for (const auto &[variable, value] : frame.vars)
    candidates.push_back(variable);
  return error(expr->getLoc()) << "unknown name '" << name << "'"
                               << SpecLibrary::hint(name, candidates);
}

SpecValue Evaluator::evalKey(StringRef name) {
  if (!record.object || !record.object->contains(name.str()))
    return SpecValue::absent(record.path + name.str());
  return toValue((*record.object)[name.str()], record.path + name.str());
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
  default:
    return error(expr->getLoc()) << "expected an object with a key '" << name
                                 << "', got " << base->describe();
  }
}

FailureOr<SpecValue> Evaluator::evalIndex(const spec::IndexExpr *expr,
                                          Frame &frame) {
  if (expr->args.size() != 1)
    return error(expr->getLoc())
           << "expected one index, got " << expr->args.size();
  auto *name = dyn_cast<spec::NameExpr>(expr->base);
  // field[i]: the value of a per-layer field for layer i.
  if (name && name->name != frame.ownField && !frame.vars.count(name->name)) {
    const spec::FieldDecl *decl = family.findField(name->name);
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

/// An axis in a shape: a name for a bare name or number, a sum for '+', a
/// product or quotient named after its parts.
FailureOr<SpecValue> Evaluator::evalShapeElement(const spec::Expr *expr,
                                                 Frame &frame) {
  if (auto *paren = dyn_cast<spec::ParenExpr>(expr))
    return evalShapeElement(paren->inner, frame);
  auto *binary = dyn_cast<spec::BinaryExpr>(expr);
  bool isSum = binary && binary->op == spec::BinaryOp::Add;
  bool isProduct = binary && (binary->op == spec::BinaryOp::Mul ||
                              binary->op == spec::BinaryOp::Div);
  if (isSum || isProduct) {
    FailureOr<SpecValue> lhs = evalShapeElement(binary->lhs, frame);
    if (failed(lhs))
      return failure();
    FailureOr<SpecValue> rhs = evalShapeElement(binary->rhs, frame);
    if (failed(rhs))
      return failure();
    if (!lhs->is(SpecValue::Kind::Int) || !rhs->is(SpecValue::Kind::Int))
      return arithmetic(binary->op, *lhs, *rhs, expr->getLoc());
    if (isSum) {
      auto partsOf = [](const Dim &dim) {
        return dim.isSum() ? dim.parts : std::vector<std::vector<Dim>>{{dim}};
      };
      std::vector<std::vector<Dim>> parts = partsOf(lhs->dim);
      llvm::append_range(parts, partsOf(rhs->dim));
      return SpecValue::of(sumOf(std::move(parts)));
    }
    FailureOr<SpecValue> result =
        scalarArithmetic(binary->op, *lhs, *rhs, expr->getLoc());
    if (succeeded(result) && result->is(SpecValue::Kind::Int))
      result->dim.name =
          lhs->dim.name + spec::spelling(binary->op).str() + rhs->dim.name;
    return result;
  }
  FailureOr<SpecValue> value = eval(expr, frame);
  if (failed(value) || !value->dim.name.empty() || value->dim.isSum())
    return value;
  // What is no size has a name too, for messages about it.
  if (auto *name = dyn_cast<spec::NameExpr>(expr))
    value->dim.name = name->name.str();
  else if (value->is(SpecValue::Kind::Int))
    value->dim.name = std::to_string(value->dim.size);
  return value;
}

FailureOr<SpecValue> Evaluator::evalList(const spec::ListExpr *expr,
                                         Frame &frame) {
  std::vector<SpecValue> elements;
  for (const spec::Arg &arg : expr->args) {
    if (arg.where)
      return error(arg.where->getLoc()) << "expected no 'where' in a list";
    FailureOr<SpecValue> value = evalShapeElement(arg.value, frame);
    if (failed(value))
      return failure();
    if (value->is(SpecValue::Kind::Absent))
      return value;
    if (arg.name) {
      if (!value->is(SpecValue::Kind::Int))
        return error(arg.name->loc)
               << "expected a size to name, got " << value->describe();
      value->dim.name = arg.name->name.str();
      frame.vars[value->dim.name] = *value;
    }
    if (value->is(SpecValue::Kind::List))
      llvm::append_range(elements, value->elements);
    else
      elements.push_back(std::move(*value));
  }
  return SpecValue::list(std::move(elements));
}

FailureOr<Shape> Evaluator::shapeOf(const SpecValue &value, Location loc) {
  if (!value.is(SpecValue::Kind::List) && !value.is(SpecValue::Kind::Int))
    return error(loc) << "expected axes such as [q_heads, head], got "
                      << value.describe();
  if (value.is(SpecValue::Kind::List) && value.elements.empty())
    return error(loc) << "expected at least one axis, got an empty list";
  Shape shape;
  for (const SpecValue &element : value.is(SpecValue::Kind::Int)
                                      ? ArrayRef(value)
                                      : ArrayRef(value.elements)) {
    const Dim &dim = element.dim;
    if (dim.name.empty())
      return error(loc)
             << "expected an axis with a name, such as [to = 8], got "
             << element.describe();
    if (!element.is(SpecValue::Kind::Int) || dim.size < 1 ||
        dim.size > maxAxisSize) {
      InFlightDiagnostic diagnostic =
          error(loc) << "expected a whole number from 1 to " << maxAxisSize
                     << " as the size of axis '" << dim.name << "', got "
                     << element.describe();
      if (const spec::FieldDecl *decl = family.findField(dim.name))
        noteKeys(diagnostic, decl);
      return diagnostic;
    }
    shape.push_back(dim);
  }
  if (numElements(shape) > maxElements)
    return error(loc) << "expected at most " << maxElements
                      << " elements in a tensor, got " << toString(shape);
  return shape;
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

FailureOr<SpecValue> Evaluator::evalAs(const spec::AsExpr *expr, Frame &frame) {
  FailureOr<SpecValue> base = eval(expr->base, frame);
  if (failed(base))
    return failure();
  FailureOr<SpecValue> axes = evalList(expr->shape, frame);
  if (failed(axes))
    return failure();
  FailureOr<Shape> shape = shapeOf(*axes, expr->shape->getLoc());
  if (failed(shape))
    return failure();
  if (!base->is(SpecValue::Kind::Tensor))
    return error(expr->getLoc())
           << "expected a tensor before 'as', got " << base->describe();
  return callShape("view",
                   CallArgs{{*base, SpecValue::list(axes->elements)}, {}},
                   expr->getLoc())
      .value_or(failure());
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

FailureOr<SpecValue> Evaluator::evalBody(const spec::Body *body, Frame &frame) {
  SpecValue last = SpecValue::none();
  for (const spec::Stmt *stmt : body->stmts) {
    last = SpecValue::none();
    if (auto *assign = dyn_cast<spec::AssignStmt>(stmt)) {
      if (failed(evalAssign(assign, frame)))
        return failure();
    } else if (auto *ret = dyn_cast<spec::ReturnStmt>(stmt)) {
      FailureOr<SpecValue> value = eval(ret->value, frame);
      if (failed(value))
        return failure();
      frame.returned = std::move(*value);
    } else if (auto *expression = dyn_cast<spec::ExprStmt>(stmt)) {
      FailureOr<SpecValue> value = eval(expression->value, frame);
      if (failed(value))
        return failure();
      last = std::move(*value);
    } else {
      return error(stmt->getLoc()) << "expected 'emit' only inside a scan";
    }
    if (frame.returned)
      return last;
  }
  return last;
}

LogicalResult Evaluator::evalAssign(const spec::AssignStmt *stmt,
                                    Frame &frame) {
  FailureOr<SpecValue> value = eval(stmt->value, frame);
  if (failed(value))
    return failure();
  if (value->is(SpecValue::Kind::Absent))
    return error(stmt->getLoc())
           << "key '" << value->text << "' is absent and has no default";
  std::vector<SpecValue> values;
  if (stmt->targets.size() == 1) {
    values.push_back(std::move(*value));
  } else if (value->is(SpecValue::Kind::Tensor)) {
    FailureOr<std::vector<SpecValue>> parts =
        split(value->tensor, stmt->targets.size(), stmt->getLoc());
    if (failed(parts))
      return failure();
    values = std::move(*parts);
  } else if (value->is(SpecValue::Kind::Tuple) &&
             value->elements.size() == stmt->targets.size()) {
    values = std::move(value->elements);
  } else {
    return error(stmt->getLoc()) << "expected " << stmt->targets.size()
                                 << " values, got " << value->describe();
  }
  for (auto [target, assigned] : llvm::zip_equal(stmt->targets, values)) {
    if (target.index)
      return error(target.name.loc)
             << "assignment to a part of a tensor has no compiled form yet";
    if (!stmt->isAdd) {
      frame.vars[target.name.name.str()] = assigned;
      continue;
    }
    auto it = frame.vars.find(target.name.name);
    if (it == frame.vars.end())
      return error(target.name.loc) << "expected '" << target.name.name
                                    << "' to have a value before '+='";
    SpecValue old = it->second;
    if (old.is(SpecValue::Kind::Tensor))
      old.tensor = localize(old.tensor);
    FailureOr<SpecValue> sum =
        arithmetic(spec::BinaryOp::Add, old, assigned, stmt->getLoc());
    if (failed(sum))
      return failure();
    frame.vars[target.name.name.str()] = std::move(*sum);
  }
  return success();
}

/// Takes the one sum axis of a tensor apart.
FailureOr<std::vector<SpecValue>> Evaluator::split(const TensorValue &x,
                                                   size_t count, Location loc) {
  auto isSum = [](const Dim &dim) { return dim.isSum(); };
  if (llvm::count_if(x.axes, isSum) != 1)
    return error(loc) << "expected one axis that is a sum, such as [heads, "
                         "head + head], to split into "
                      << count << " values, got " << toString(x.axes);
  size_t axis = llvm::find_if(x.axes, isSum) - x.axes.begin();
  const Dim sum = x.axes[axis];
  if (sum.parts.size() != count)
    return error(loc) << "expected " << count << " parts, got "
                      << sum.parts.size() << " in " << toString(x.axes);
  std::vector<SpecValue> values;
  int64_t begin = 0;
  for (const std::vector<Dim> &part : sum.parts) {
    Shape sliced = x.axes, viewed(x.axes.begin(), x.axes.begin() + axis);
    sliced[axis] =
        Dim{numElements(part), part.size() == 1 ? part[0].name : sum.name, {}};
    llvm::copy_if(part, std::back_inserter(viewed),
                  [](const Dim &dim) { return dim.name != "1"; });
    viewed.insert(viewed.end(), x.axes.begin() + axis + 1, x.axes.end());
    mlir::Value slice = SliceOp::create(
        builder, named(loc), typeFor(sliced, x.getType().getElementType()),
        x.value, sum.name, begin);
    mlir::Value view = builder.createOrFold<ViewOp>(
        named(loc), typeFor(viewed, x.getType().getElementType()), slice);
    values.push_back(SpecValue::of(tensor(view, viewed)));
    begin += numElements(part);
  }
  return values;
}
