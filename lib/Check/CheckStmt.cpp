//===- CheckStmt.cpp - Bodies, branches, assignments ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::check;

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

FamilyChecker::Flow FamilyChecker::evalBody(const spec::Body *body,
                                            Frame &frame) {
  Flow flow{Type::none(), false};
  int savedBranches = branches, savedDead = dead;
  for (const spec::Stmt *stmt : body->stmts) {
    size_t returns = frame.returns.size();
    Flow next = evalStmt(stmt, frame);
    if (flow.ends) // Behind a return: names only.
      continue;
    flow = std::move(next);
    if (flow.ends)
      ++dead;
    else if (frame.returns.size() != returns)
      ++branches; // Only some configurations get further.
  }
  branches = savedBranches;
  dead = savedDead;
  return flow;
}

FamilyChecker::Flow FamilyChecker::evalStmt(const spec::Stmt *stmt,
                                            Frame &frame) {
  if (auto *assignment = dyn_cast<spec::AssignStmt>(stmt)) {
    evalAssign(assignment, frame);
    return {Type::none(), false};
  }
  if (auto *ret = dyn_cast<spec::ReturnStmt>(stmt)) {
    Type value = eval(ret->value, frame);
    frame.returns.emplace_back(std::move(value), ret->getLoc());
    return {Type::none(), true};
  }
  if (auto *emit = dyn_cast<spec::EmitStmt>(stmt)) {
    Type value = eval(emit->value, frame);
    if (!frame.inScan)
      return {error(stmt->getLoc(), "expected 'emit' only inside a scan"),
              false};
    frame.emitted =
        frame.emitted ? check::join(*frame.emitted, value) : std::move(value);
    return {Type::none(), false};
  }
  const spec::Expr *expr = cast<spec::ExprStmt>(stmt)->value;
  if (auto *branch = dyn_cast<spec::IfExpr>(expr))
    return evalIf(branch, frame);
  return {eval(expr, frame), false};
}

Type FamilyChecker::condition(const spec::Expr *expr, Frame &frame) {
  Type type = eval(expr, frame);
  if (type.mayBe(Type::Kind::Bool))
    return type;
  error(expr->getLoc(), "expected true or false, got " + type.describe());
  return Type::boolean();
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

void FamilyChecker::merge(Frame &frame, const Frame &a, bool aEnds,
                          const Frame &b, bool bEnds) {
  size_t before = frame.returns.size();
  frame.returns = a.returns;
  frame.returns.insert(frame.returns.end(), b.returns.begin() + before,
                       b.returns.end());
  if (a.emitted && b.emitted)
    frame.emitted = check::join(*a.emitted, *b.emitted);
  else
    frame.emitted = a.emitted ? a.emitted : b.emitted;
  if (aEnds || bEnds) {
    frame.vars = aEnds ? b.vars : a.vars;
    return;
  }
  // A variable that only one branch assigns may not be there.
  frame.vars = a.vars;
  for (auto &[name, type] : frame.vars) {
    auto other = b.vars.find(name);
    type = other == b.vars.end() ? Type::unknown()
                                 : check::join(type, other->second);
  }
  for (const auto &[name, type] : b.vars)
    frame.vars.try_emplace(name, Type::unknown());
}

FamilyChecker::Flow FamilyChecker::evalIf(const spec::IfExpr *expr,
                                          Frame &frame) {
  Session::Level level(session);
  if (level.isTooDeep())
    return {Type::unknown(), false};
  std::optional<bool> truth = condition(expr->condition, frame).truth;
  Frame thenFrame = frame, elseFrame = frame;
  auto run = [&](const spec::Body *body, Frame &inner, bool isDead) {
    if (!body)
      return Flow{Type::none(), false};
    dead += isDead;
    branches += !truth;
    Flow flow = evalBody(body, inner);
    branches -= !truth;
    dead -= isDead;
    return flow;
  };
  Flow first = run(expr->thenBody, thenFrame, truth == false);
  Flow second = run(expr->elseBody, elseFrame, truth == true);
  if (truth) {
    frame = *truth ? std::move(thenFrame) : std::move(elseFrame);
    return *truth ? first : second;
  }
  merge(frame, thenFrame, first.ends, elseFrame, second.ends);
  if (first.ends || second.ends)
    return {first.ends ? second.value : first.value, first.ends && second.ends};
  return {check::join(first.value, second.value), false};
}

/// Whether a value of the one type can never equal one of the other.
static bool neverEqual(const Type &subject, const Type &pattern) {
  auto isPlain = [](const Type &type) {
    return type.is(Type::Kind::Bool) || type.is(Type::Kind::Number) ||
           type.is(Type::Kind::String);
  };
  auto hasNoEqual = [](const Type &type) {
    return type.isTensor() || type.is(Type::Kind::Mask) ||
           type.is(Type::Kind::Tuple);
  };
  return (isPlain(subject) && isPlain(pattern) &&
          subject.kind != pattern.kind) ||
         hasNoEqual(pattern);
}

Type FamilyChecker::evalMatch(const spec::MatchExpr *expr, Frame &frame) {
  Type subject = eval(expr->subject, frame);
  std::optional<Type> result;
  std::optional<Frame> merged;
  std::vector<std::string> patterns;
  bool isDecided = false;
  for (const spec::MatchCase &matchCase : expr->cases) {
    Type pattern = eval(matchCase.pattern, frame);
    if (neverEqual(subject, pattern))
      error(matchCase.pattern->getLoc(), "expected a case that can equal " +
                                             subject.describe() + ", got " +
                                             pattern.describe());
    bool constants = subject.isConstant() && pattern.isConstant();
    bool isTaken = constants && subject.key() == pattern.key();
    bool isDead = isDecided || (constants && !isTaken);
    patterns.push_back("'" + pattern.text.value_or(pattern.describe()) + "'");
    Frame inner = frame;
    dead += isDead;
    branches += !isTaken;
    Type value = eval(matchCase.value, inner);
    branches -= !isTaken;
    dead -= isDead;
    isDecided |= isTaken;
    if (isDead)
      continue;
    result = result ? check::join(*result, value) : value;
    if (merged)
      merge(frame, *merged, false, inner, false);
    merged = merged ? frame : inner;
  }
  if (merged)
    frame = std::move(*merged);
  if (!result && subject.isConstant() && !expr->cases.empty())
    return error(expr->getLoc(), "expected one of the cases (" +
                                     llvm::join(patterns, ", ") + "), got " +
                                     subject.describe());
  return result.value_or(Type::unknown());
}

//===----------------------------------------------------------------------===//
// Assignments
//===----------------------------------------------------------------------===//

void FamilyChecker::evalAssign(const spec::AssignStmt *stmt, Frame &frame) {
  Type value = eval(stmt->value, frame);
  size_t count = stmt->targets.size();
  std::vector<Type> values = count == 1 ? std::vector<Type>{std::move(value)}
                                        : split(value, count, stmt->getLoc());
  for (auto [target, assigned] : llvm::zip_equal(stmt->targets, values))
    assign(target, assigned, stmt, frame);
}

void FamilyChecker::assign(const spec::LValue &target, Type value,
                           const spec::AssignStmt *stmt, Frame &frame) {
  StringRef name = target.name.name;
  auto it = frame.vars.find(name);
  if (target.index) {
    for (const spec::Arg &arg : *target.index)
      eval(arg.value, frame);
    if (it == frame.vars.end())
      nameError(target.name.loc,
                "expected '" + name + "' to have a value before a part of it",
                frame.family);
    return;
  }
  if (stmt->isAdd) {
    if (it == frame.vars.end())
      value = nameError(target.name.loc,
                        "expected '" + name + "' to have a value before '+='",
                        frame.family);
    else
      value =
          arithmetic(spec::BinaryOp::Add, it->second, value, stmt->getLoc());
  }
  if (name == "position" && frame.context == Frame::Context::Block)
    position = value;
  frame.vars[name.str()] = std::move(value);
}

/// The values of several names: those of a tuple, or the parts of the one axis
/// of a tensor that is a sum.
std::vector<Type> FamilyChecker::split(const Type &value, size_t count,
                                       Location loc) {
  std::vector<Type> unknown(count, Type::unknown());
  if (value.isUnknown())
    return unknown;
  if (value.is(Type::Kind::Tuple) && value.elements.size() == count)
    return value.elements;
  if (!value.is(Type::Kind::Tensor)) {
    error(loc, "expected " + llvm::Twine(count) + " values, got " +
                   value.describe());
    return unknown;
  }
  if (!value.axes)
    return std::vector<Type>(count, Type::tensor());
  const Axes &axes = *value.axes;
  auto isSum = [](const Axis &axis) { return axis.isSum(); };
  if (llvm::count_if(axes, isSum) != 1) {
    error(loc, "expected one axis that is a sum, such as [heads, head + "
               "head], to split into " +
                   llvm::Twine(count) + " values, got " + toString(axes));
    return std::vector<Type>(count, Type::tensor());
  }
  auto sum = llvm::find_if(axes, isSum);
  if (sum->parts.size() != count) {
    error(loc, "expected " + llvm::Twine(count) + " parts, got " +
                   llvm::Twine(sum->parts.size()) + " in " + toString(axes));
    return std::vector<Type>(count, Type::tensor());
  }
  std::vector<Type> values;
  for (const Axes &part : sum->parts) {
    Axes split(axes.begin(), sum);
    llvm::append_range(split, withoutOnes(part));
    split.insert(split.end(), sum + 1, axes.end());
    values.push_back(tensorOf(std::move(split), loc));
  }
  return values;
}

/// The type of what a block returns, on all paths.
Type FamilyChecker::returnedType(const Frame &frame, const Flow &flow) {
  if (frame.returns.empty())
    return flow.value;
  const auto &[first, firstLoc] = frame.returns.front();
  Type result = first;
  for (const auto &[type, loc] : llvm::drop_begin(frame.returns)) {
    if (type.is(Type::Kind::Tuple) && first.is(Type::Kind::Tuple) &&
        type.elements.size() != first.elements.size())
      error(loc,
            "expected " + llvm::Twine(first.elements.size()) +
                " values as in the other 'return', got " +
                llvm::Twine(type.elements.size()),
            {{firstLoc, "the other 'return'"}});
    result = check::join(result, type);
  }
  return flow.ends ? result : check::join(result, flow.value);
}
