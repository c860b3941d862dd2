//===- TraceExpr.cpp - Expressions of the symbolic run --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Builtins.h"
#include "lib/Diff/Tracer.h"

using namespace clade;
using namespace clade::diff;
using llvm::cast;
using llvm::dyn_cast;

/// A text that may stand beside an operator.
static std::string asOperand(const std::string &text) {
  bool isLoose =
      StringRef(text).contains(' ') && !StringRef(text).starts_with("(") &&
      !StringRef(text).starts_with("[") && !StringRef(text).ends_with(")");
  return isLoose ? "(" + text + ")" : text;
}

Value Tracer::eval(const spec::Expr *expr, Frame &frame) {
  using Kind = spec::Expr::Kind;
  switch (expr->getKind()) {
  case Kind::Number: {
    auto *number = cast<spec::NumberExpr>(expr);
    return Value::config(number->spelling.str(),
                         number->isInteger ? SpecValue::of(number->intValue)
                                           : SpecValue::of(number->value));
  }
  case Kind::String: {
    StringRef text = cast<spec::StringExpr>(expr)->value;
    return Value::config(spec::toString(*expr), SpecValue::of(text.str()));
  }
  case Kind::Name:
    return evalName(cast<spec::NameExpr>(expr)->name, frame);
  case Kind::Paren: {
    Value inner = eval(cast<spec::ParenExpr>(expr)->inner, frame);
    if (!inner.text.empty())
      inner.text = asOperand(inner.text);
    return inner;
  }
  case Kind::List:
    return evalList(cast<spec::ListExpr>(expr), frame);
  case Kind::Tuple: {
    std::vector<Value> elements;
    for (const spec::Expr *element : cast<spec::TupleExpr>(expr)->elements)
      elements.push_back(eval(element, frame));
    return Value::tuple(std::move(elements));
  }
  case Kind::Call:
    return evalCall(cast<spec::CallExpr>(expr), frame, frame.prefix);
  case Kind::Index:
    return evalIndex(cast<spec::IndexExpr>(expr), frame);
  case Kind::Attr:
    return evalAttr(cast<spec::AttrExpr>(expr), frame);
  case Kind::At: {
    auto *at = cast<spec::AtExpr>(expr);
    std::string prefix = address(frame.prefix, at->path);
    if (auto *call = dyn_cast<spec::CallExpr>(at->base))
      return evalCall(call, frame, prefix);
    if (auto *lambda = dyn_cast<spec::LambdaExpr>(at->base))
      return evalLambda(lambda, frame, prefix);
    return eval(at->base, frame);
  }
  case Kind::As: {
    auto *view = cast<spec::AsExpr>(expr);
    Value base = eval(view->base, frame);
    Value shape = eval(view->shape, frame);
    if (!base.isTensor())
      return base;
    return step("as", {{"", base}, {"shape", shape}}, "");
  }
  case Kind::FromLayer: {
    auto *from = cast<spec::FromLayerExpr>(expr);
    Value base = eval(from->base, frame);
    return step("from layer", {{"", base}, {"layer", eval(from->layer, frame)}},
                "");
  }
  case Kind::Lambda:
    return evalLambda(cast<spec::LambdaExpr>(expr), frame, frame.prefix);
  case Kind::Binary:
    return evalBinary(cast<spec::BinaryExpr>(expr), frame);
  case Kind::Unary:
    return evalUnary(cast<spec::UnaryExpr>(expr), frame);
  case Kind::If:
    return evalIf(cast<spec::IfExpr>(expr), frame).value;
  case Kind::Match:
    return evalMatch(cast<spec::MatchExpr>(expr), frame).value;
  case Kind::For:
    return evalFor(cast<spec::ForExpr>(expr), frame);
  case Kind::Scan: {
    auto *scan = cast<spec::ScanExpr>(expr);
    Value init = eval(scan->init, frame);
    Frame inner = frame;
    inner.vars[scan->carry.name.str()] = init;
    evalBody(scan->body, inner);
    return step("scan", {{"", init}, {"", inner.emitted.value_or(init)}}, "");
  }
  case Kind::Key:
  case Kind::Default:
  case Kind::Range:
    return Value::config(spec::toString(*expr));
  }
  return Value::config(spec::toString(*expr));
}

/// The name of a field, or what stands for it in every configuration.
Value Tracer::evalName(StringRef name, Frame &frame) {
  if (auto it = frame.vars.find(name); it != frame.vars.end())
    return it->second;
  if (name == "position")
    return Value::tensor({}, "position");
  if (name == "true" || name == "false")
    return Value::config(name.str(), SpecValue::of(name == "true"));
  if (name == "none")
    return Value::config("none", SpecValue::none());
  std::optional<SpecValue> value = knownField(name, frame);
  std::string text = name.str();
  if (value && value->is(SpecValue::Kind::None))
    text = "none";
  else if (value && value->is(SpecValue::Kind::Bool))
    text = value->boolean ? "true" : "false";
  return Value::config(text, value);
}

Value Tracer::evalAttr(const spec::AttrExpr *expr, Frame &frame) {
  Value base = eval(expr->base, frame);
  if (!base.isTensor())
    return Value::config(base.text + "." + expr->name.name.str());
  // The values beside the indices that top_k gives.
  return base;
}

Value Tracer::evalList(const spec::ListExpr *expr, Frame &frame) {
  std::string text;
  std::vector<SpecValue> elements;
  bool allKnown = true;
  std::vector<CallArgument> tensors;
  for (const spec::Arg &arg : expr->args) {
    Value value = eval(arg.value, frame);
    if (!text.empty())
      text += ", ";
    if (arg.name)
      text += arg.name->name.str() + " = ";
    text += value.text;
    allKnown &= value.known.has_value();
    if (value.known)
      elements.push_back(*value.known);
    if (value.isTensor())
      tensors.push_back({"", value});
  }
  if (!tensors.empty())
    return step("list", tensors, "");
  return Value::config("[" + text + "]",
                       allKnown ? std::optional(SpecValue::list(elements))
                                : std::nullopt);
}

Value Tracer::evalIndex(const spec::IndexExpr *expr, Frame &frame) {
  Value base = eval(expr->base, frame);
  std::vector<CallArgument> args = evalArgs(expr->args, frame);
  if (base.isTensor()) {
    args.insert(args.begin(), CallArgument{"", base});
    return step("index", args, "");
  }
  std::string text;
  for (const CallArgument &arg : args)
    text += (text.empty() ? "" : ", ") + arg.value.text;
  return Value::config(base.text + "[" + text + "]");
}

Value Tracer::evalBinary(const spec::BinaryExpr *expr, Frame &frame) {
  Value lhs = eval(expr->lhs, frame), rhs = eval(expr->rhs, frame);
  StringRef op = spec::spelling(expr->op);
  bool isWeights = (lhs.isTensor() || rhs.isTensor()) && lhs.steps.empty() &&
                   rhs.steps.empty() && !lhs.text.empty() && !rhs.text.empty();
  std::string text =
      asOperand(lhs.text) + " " + op.str() + " " + asOperand(rhs.text);
  if (isWeights)
    return Value::tensor({}, text);
  if (lhs.isTensor() || rhs.isTensor())
    return step(op, {{"", lhs}, {"", rhs}}, "");
  if (expr->op == spec::BinaryOp::And && rhs.text == "near(none)")
    return lhs;
  return Value::config(text, fold(expr->op, lhs, rhs));
}

Value Tracer::evalUnary(const spec::UnaryExpr *expr, Frame &frame) {
  Value value = eval(expr->operand, frame);
  bool isNot = expr->op == spec::UnaryOp::Not;
  std::string text = (isNot ? "not " : "-") + asOperand(value.text);
  if (value.isTensor() && value.steps.empty() && !value.text.empty())
    return Value::tensor({}, text);
  if (value.isTensor())
    return step(isNot ? "not" : "-", {{"", value}}, "");
  std::optional<SpecValue> known;
  if (isNot && value.known && value.known->is(SpecValue::Kind::Bool))
    known = SpecValue::of(!value.known->boolean);
  return Value::config(text, known);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

std::vector<Tracer::CallArgument> Tracer::evalArgs(ArrayRef<spec::Arg> args,
                                                   Frame &frame) {
  std::vector<CallArgument> values;
  for (const spec::Arg &arg : args)
    values.push_back(
        {arg.name ? arg.name->name.str() : "", eval(arg.value, frame)});
  return values;
}

/// The tensors inside a value, in order.
static void collectTensors(const Value &value,
                           std::vector<const Value *> &tensors) {
  if (value.isTensor())
    tensors.push_back(&value);
  for (const Value &element : value.elements)
    collectTensors(element, tensors);
}

Value Tracer::step(StringRef op, ArrayRef<CallArgument> args,
                   const std::string &address) {
  Step step;
  step.op = op.str();
  step.address = address;
  step.entry = entry;
  step.inLayers = inLayers;
  step.conditions = conditions;
  for (const CallArgument &arg : args) {
    std::vector<const Value *> tensors;
    collectTensors(arg.value, tensors);
    for (const Value *tensor : tensors)
      for (unsigned input : tensor->steps)
        if (!llvm::is_contained(step.inputs, input))
          step.inputs.push_back(input);
    bool isInput = !tensors.empty() && !tensors.front()->steps.empty();
    // 'bias: false' and 'softcap: none' say that there is none.
    if (isInput || arg.value.text == "false" || arg.value.text == "none" ||
        (arg.name == "over" && arg.value.text == "last"))
      continue;
    step.arguments.push_back({arg.name, arg.value.text});
  }
  trace.steps.push_back(std::move(step));
  return Value::tensor({static_cast<unsigned>(trace.steps.size() - 1)});
}

Value Tracer::callBuiltin(StringRef name, std::vector<CallArgument> args,
                          const std::string &prefix, StringRef relative) {
  if (const check::Builtin *builtin = check::findBuiltin(name)) {
    size_t positional = 0;
    for (CallArgument &arg : args)
      if (arg.name.empty() && positional < builtin->parameters.size())
        arg.name = builtin->parameters[positional++].rtrim('?').str();
  }
  bool anyTensor = false, allWeights = true;
  std::string text;
  for (const CallArgument &arg : args) {
    std::vector<const Value *> tensors;
    collectTensors(arg.value, tensors);
    for (const Value *tensor : tensors) {
      anyTensor = true;
      allWeights &= tensor->steps.empty() && !tensor->text.empty();
    }
    text += (text.empty() ? "" : ", ") + arg.value.text;
  }
  if (name == "weight")
    return Value::tensor(
        {}, "weight" + (relative.empty() ? "" : (" at " + relative).str()));
  bool readsWeights =
      llvm::is_contained({"linear", "embed", "causal_conv", "zeros"}, name);
  bool isMask = name == "near" || name == "same" || name == "among";
  text = (name + "(" + text + ")").str();
  if (isMask || (!anyTensor && !readsWeights))
    return Value::config(text);
  if (!readsWeights && allWeights)
    return Value::tensor({}, text);
  return step(name, args, readsWeights && name != "zeros" ? prefix : "");
}

Value Tracer::evalLambda(const spec::LambdaExpr *expr, Frame &frame,
                         const std::string &prefix) {
  auto *call = dyn_cast<spec::CallExpr>(expr->call);
  if (!call)
    return eval(expr->call, frame);
  Frame inner = frame;
  inner.vars[expr->var.name.str()] = Value::config(expr->var.name.str());
  Value body = eval(expr->body, inner);
  return evalCall(call, frame, prefix, {{"body", body}});
}

Value Tracer::evalCall(const spec::CallExpr *call, Frame &frame,
                       const std::string &prefix,
                       std::vector<CallArgument> extra) {
  std::vector<CallArgument> args = evalArgs(call->args, frame);
  llvm::append_range(args, extra);
  auto *attr = dyn_cast<spec::AttrExpr>(call->callee);
  auto *owner = attr ? dyn_cast<spec::NameExpr>(attr->base) : nullptr;
  if (owner) {
    StringRef block = attr->name.name;
    for (const spec::FamilyDecl *decl : frame.family->getChain())
      if (const spec::PartDecl *part = decl->findPart(owner->name)) {
        const import::SpecLibrary &library = family.getLibrary();
        partFamilies.push_back(std::make_unique<const import::Family>(
            library, library.findFamily(part->family.name)));
        Frame callee{partFamilies.back().get(),
                     frame.instance ? frame.instance->findPart(owner->name)
                                    : nullptr};
        if (callee.instance)
          callee.family = &callee.instance->family;
        // What 'at' adds goes behind the path of the part.
        StringRef added = prefix;
        if (added.consume_front(frame.prefix))
          added.consume_front(".");
        std::string path = callee.root = address(frame.root, part->at);
        callee.prefix = path.empty() || added.empty()
                            ? path + added.str()
                            : path + "." + added.str();
        if (import::FoundBlock found = callee.family->findBlock(block))
          return callBlock(found, std::move(args), callee);
        return Value::tensor({});
      }
    Frame callee{frame.family, frame.instance, prefix, frame.root};
    if (import::FoundBlock found =
            frame.family->findQualifiedBlock(owner->name, block))
      return callBlock(found, std::move(args), callee);
  }
  auto *name = dyn_cast<spec::NameExpr>(call->callee);
  if (!name)
    return Value::config(spec::toString(*call));
  Frame callee{frame.family, frame.instance, prefix, frame.root};
  if (import::FoundBlock found = frame.family->findBlock(name->name))
    return callBlock(found, std::move(args), callee);
  StringRef relative = prefix;
  if (relative.consume_front(frame.prefix))
    relative.consume_front(".");
  return callBuiltin(name->name, std::move(args), prefix, relative);
}
