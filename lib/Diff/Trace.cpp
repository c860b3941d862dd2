//===- Trace.cpp - Entries, blocks and bodies -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/Tracer.h"
#include "lib/Import/Reach.h"

#include "llvm/ADT/ScopeExit.h"

using namespace clade;
using namespace clade::diff;
using llvm::dyn_cast;

/// Calls inside each other, and calls or steps in all, that are followed.
static constexpr unsigned maxCalls = 200;
static constexpr size_t maxSteps = 20000;

std::string Step::label() const {
  StringRef last = StringRef(address).rsplit('.').second;
  if (last.empty())
    last = address;
  return last.empty() || last == "{layer}" ? op : last.str();
}

Value Value::config(std::string text, std::optional<SpecValue> known) {
  Value value;
  value.text = std::move(text);
  value.known = std::move(known);
  return value;
}

Value Value::tensor(std::vector<unsigned> steps, std::string text) {
  Value value;
  value.kind = Kind::Tensor;
  value.steps = std::move(steps);
  value.text = std::move(text);
  return value;
}

Value Value::tuple(std::vector<Value> elements) {
  Value value;
  value.kind = Kind::Tuple;
  value.elements = std::move(elements);
  return value;
}

Value diff::merge(const Value &a, const Value &b) {
  if (a.kind != b.kind)
    return a.kind == Value::Kind::Config ? b : a;
  if (a.kind == Value::Kind::Tuple) {
    if (a.elements.size() != b.elements.size())
      return a;
    Value result = Value::tuple({});
    for (auto [x, y] : llvm::zip_equal(a.elements, b.elements))
      result.elements.push_back(merge(x, y));
    return result;
  }
  if (a.isTensor()) {
    Value result = a;
    for (unsigned step : b.steps)
      if (!llvm::is_contained(result.steps, step))
        result.steps.push_back(step);
    return result;
  }
  if (a.text == b.text)
    return a;
  return Value::config(a.text + " or " + b.text);
}

std::string Tracer::address(const std::string &prefix, const spec::Path *path) {
  if (!path)
    return prefix;
  std::string text = spec::toString(*path);
  if (path->isAbsolute)
    return text.substr(1);
  return prefix.empty() || text.empty() ? prefix + text : prefix + "." + text;
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

Tracer::Flow Tracer::evalBody(const spec::Body *body, Frame &frame) {
  size_t outer = conditions.size();
  llvm::scope_exit restore([&] { conditions.resize(outer); });
  Flow flow;
  for (const spec::Stmt *stmt : body->stmts) {
    flow = evalStmt(stmt, frame);
    if (flow.ends)
      break;
  }
  return flow;
}

Tracer::Flow Tracer::evalStmt(const spec::Stmt *stmt, Frame &frame) {
  if (auto *set = dyn_cast<spec::AssignStmt>(stmt)) {
    assign(set, frame);
    return {};
  }
  if (auto *result = dyn_cast<spec::ReturnStmt>(stmt)) {
    frame.returns.push_back(eval(result->value, frame));
    return {Value(), /*ends=*/true};
  }
  if (auto *result = dyn_cast<spec::EmitStmt>(stmt)) {
    frame.emitted = eval(result->value, frame);
    return {};
  }
  auto *expr = llvm::cast<spec::ExprStmt>(stmt)->value;
  if (auto *branch = dyn_cast<spec::IfExpr>(expr))
    return evalIf(branch, frame);
  if (auto *branch = dyn_cast<spec::MatchExpr>(expr))
    return evalMatch(branch, frame);
  return {eval(expr, frame)};
}

void Tracer::assign(const spec::AssignStmt *stmt, Frame &frame) {
  Value value = eval(stmt->value, frame);
  ArrayRef<spec::LValue> targets = stmt->targets;
  for (auto [index, target] : llvm::enumerate(targets)) {
    Value part = value;
    if (targets.size() > 1 && value.kind == Value::Kind::Tuple &&
        value.elements.size() == targets.size())
      part = value.elements[index];
    std::string name = target.name.name.str();
    if (stmt->isAdd) {
      Value old = evalName(name, frame);
      if (old.isTensor() || part.isTensor())
        part = step("+", {{"", old}, {"", part}}, "");
      else
        part = Value::config(old.text + " + " + part.text);
    }
    frame.vars[name] = part;
  }
}

/// The condition as a text, or the opposite of it.
static std::string opposite(const std::string &text) {
  if (StringRef(text).starts_with("not "))
    return text.substr(4);
  bool isWord = StringRef(text).find_first_of(" ") == StringRef::npos;
  return isWord ? "not " + text : "not (" + text + ")";
}

Tracer::Flow Tracer::evalIf(const spec::IfExpr *expr, Frame &frame) {
  Value condition = eval(expr->condition, frame);
  std::optional<bool> taken;
  if (condition.known && condition.known->is(SpecValue::Kind::Bool))
    taken = condition.known->boolean;
  if (taken) {
    if (*taken)
      return evalBody(expr->thenBody, frame);
    return expr->elseBody ? evalBody(expr->elseBody, frame) : Flow();
  }
  Frame otherwise = frame;
  size_t returned = frame.returns.size();
  conditions.push_back(condition.text);
  Flow a = evalBody(expr->thenBody, frame);
  conditions.back() = opposite(condition.text);
  Flow b = expr->elseBody ? evalBody(expr->elseBody, otherwise)
                          : Flow{Value(), false};
  conditions.pop_back();
  frame.returns.insert(frame.returns.end(),
                       otherwise.returns.begin() + returned,
                       otherwise.returns.end());
  // What follows a branch that returned is taken only where it was not.
  if (a.ends && !b.ends) {
    frame.vars = otherwise.vars;
    conditions.push_back(opposite(condition.text));
    return b;
  }
  if (b.ends && !a.ends) {
    conditions.push_back(condition.text);
    return a;
  }
  for (auto &[name, value] : otherwise.vars) {
    auto it = frame.vars.find(name);
    frame.vars[name] =
        it == frame.vars.end() ? value : merge(it->second, value);
  }
  return {expr->elseBody ? merge(a.value, b.value) : a.value, a.ends && b.ends};
}

Tracer::Flow Tracer::evalMatch(const spec::MatchExpr *expr, Frame &frame) {
  Value subject = eval(expr->subject, frame);
  std::optional<Value> result;
  Frame before = frame;
  for (const spec::MatchCase &one : expr->cases) {
    Frame own = before;
    Value pattern = eval(one.pattern, own);
    std::optional<SpecValue> fits =
        fold(spec::BinaryOp::Equal, subject, pattern);
    if (fits && !fits->boolean)
      continue;
    if (!fits)
      conditions.push_back(subject.text + " == " + pattern.text);
    Value value = eval(one.value, own);
    if (!fits)
      conditions.pop_back();
    for (auto &[name, variable] : own.vars)
      frame.vars[name] =
          frame.vars.count(name) ? merge(frame.vars[name], variable) : variable;
    result = result ? merge(*result, value) : value;
    if (fits)
      break;
  }
  return {result.value_or(Value())};
}

Value Tracer::evalFor(const spec::ForExpr *expr, Frame &frame) {
  Value range = eval(expr->range, frame);
  bool isLayers = expr->names[0].name == "layer";
  bool saved = std::exchange(inLayers, inLayers || isLayers);
  std::string prefix = frame.prefix;
  for (const spec::Identifier &name : expr->names)
    if (!isLayers)
      frame.vars[name.name.str()] = Value::config(name.name.str());
  frame.prefix = address(frame.prefix, expr->at);
  Flow flow = evalBody(expr->body, frame);
  frame.prefix = prefix;
  inLayers = saved;
  return flow.value;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Whether a block is one step: it stands in the prelude, and all that it calls
/// does.
bool Tracer::isAtom(const import::Family &of, import::FoundBlock found) {
  if (found.family != "std")
    return false;
  auto [it, isNew] = atoms.try_emplace({&of, found.decl}, true);
  if (!isNew)
    return it->second;
  import::Reach reach(of);
  reach.walkBody(found.decl->body);
  bool isAtom =
      llvm::all_of(reach.getBlocks(), [&](const spec::BlockDecl *block) {
        return of.getLibrary().findPreludeBlock(block->name.name) == block;
      });
  return atoms[{&of, found.decl}] = isAtom;
}

Value Tracer::callBlock(import::FoundBlock found,
                        std::vector<CallArgument> args, Frame &callee) {
  const spec::BlockDecl *block = found.decl;
  size_t positional = 0;
  if (isAtom(*callee.family, found)) {
    for (CallArgument &arg : args)
      if (arg.name.empty() && positional < block->params.size())
        arg.name = block->params[positional++].name.name.str();
    return step(block->name.name, args, callee.prefix);
  }
  if (++depth > maxCalls || ++numCalls > maxSteps ||
      trace.steps.size() > maxSteps) {
    --depth;
    trace.isWhole = false;
    return Value::tensor({});
  }
  for (CallArgument &arg : args) {
    std::string name = arg.name;
    if (name.empty() && positional < block->params.size())
      name = block->params[positional++].name.name.str();
    callee.vars[name] = std::move(arg.value);
  }
  callee.prefix = address(callee.prefix, block->at);
  for (const spec::Param &param : block->params)
    if (!callee.vars.count(param.name.name) && param.defaultValue)
      callee.vars[param.name.name.str()] = eval(param.defaultValue, callee);
  size_t outer = conditions.size();
  Flow flow = evalBody(block->body, callee);
  conditions.resize(outer);
  --depth;
  std::vector<Value> results = std::move(callee.returns);
  if (!flow.ends && (results.empty() || flow.value.isTensor() ||
                     flow.value.kind == Value::Kind::Tuple))
    results.push_back(flow.value);
  Value result = results.front();
  for (const Value &other : llvm::drop_begin(results))
    result = merge(result, other);
  return result;
}

Tracer::Tracer(const import::Family &family, KnownFields known)
    : family(family), known(known) {}

Trace Tracer::run() {
  for (StringRef name : {"image", "forward"}) {
    import::FoundBlock found = family.findBlock(name);
    if (!found || !found.decl->isEntry)
      continue;
    entry = name.str();
    Frame frame{&family, known.values ? &known.values->getRoot() : nullptr};
    std::vector<CallArgument> args;
    for (const spec::Param &param : found.decl->params)
      args.push_back({"", Value::tensor({}, param.name.name.str())});
    callBlock(found, std::move(args), frame);
  }
  return std::move(trace);
}

Trace diff::traceFamily(const import::Family &family, KnownFields known) {
  return Tracer(family, known).run();
}
