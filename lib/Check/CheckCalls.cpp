//===- CheckCalls.cpp - Blocks, arguments, addresses ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

using namespace clade;
using namespace clade::check;
using import::FoundBlock;
using import::SpecLibrary;

static const spec::PartDecl *findPart(const import::Family &family,
                                      StringRef name) {
  for (const spec::FamilyDecl *owner : family.getChain())
    if (const spec::PartDecl *part = owner->findPart(name))
      return part;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

std::vector<FamilyChecker::CallArg>
FamilyChecker::evalArgs(ArrayRef<spec::Arg> args, Frame &frame) {
  std::vector<CallArg> result;
  for (const spec::Arg &arg : args) {
    if (arg.where)
      error(arg.where->getLoc(), "expected no 'where' in this call");
    result.push_back({arg.name, eval(arg.value, frame), arg.value});
  }
  return result;
}

/// Built-ins that make tensors, or weights, which a configuration has not.
static bool takesTensors(StringRef name) {
  return llvm::is_contained({"linear", "weight", "embed", "attend", "rope"},
                            name);
}

Type FamilyChecker::evalCall(const spec::CallExpr *call, Frame &frame) {
  Location loc = call->getLoc();
  if (auto *callee = dyn_cast<spec::NameExpr>(call->callee)) {
    StringRef name = callee->name;
    FoundBlock found;
    if (frame.context == Frame::Context::Block)
      found = family.findBlock(name);
    if (!found && name == "last")
      return evalLast(call, frame);
    std::vector<CallArg> args = evalArgs(call->args, frame);
    if (found)
      return callBlock(found, args, frame, loc);
    if (frame.context != Frame::Context::Block && takesTensors(name))
      return error(loc, "expected a function of configuration values, got '" +
                            name + "'");
    if (std::optional<Type> result = callBuiltin(name, args, loc))
      return *result;
    bool isVariable = frame.vars.count(name);
    if (isVariable || family.findField(name))
      return nameError(loc,
                       "expected a block or built-in before '(', got the " +
                           llvm::Twine(isVariable ? "variable" : "field") +
                           " '" + name + "'",
                       frame.family);
    return nameError(loc,
                     "unknown block or built-in '" + name + "'" +
                         SpecLibrary::hint(name, callableNames()),
                     frame.family);
  }
  auto *qualified = dyn_cast<spec::AttrExpr>(call->callee);
  if (!qualified)
    return error(loc, "expected the name of a block or built-in before '('");
  std::vector<CallArg> args = evalArgs(call->args, frame);
  auto *owner = dyn_cast<spec::NameExpr>(qualified->base);
  StringRef ownerName = owner ? owner->name : "", name = qualified->name.name;
  if (const spec::PartDecl *part = findPart(family, ownerName))
    return callPart(part, qualified, args, frame, loc);
  FoundBlock found = family.findQualifiedBlock(ownerName, name);
  if (found && frame.context != Frame::Context::Block)
    return error(loc, "expected a function of configuration values, got "
                      "block '" +
                          ownerName + "." + name + "'");
  if (found)
    return callBlock(found, args, frame, loc);
  const SpecLibrary &library = session.getLibrary();
  std::vector<std::string> candidates;
  if (const spec::FamilyDecl *known = library.findFamily(ownerName))
    candidates = import::Family(library, known).blockNames();
  if (ownerName == "std")
    for (const spec::BlockDecl *block : library.getPreludeBlocks())
      candidates.push_back(block->name.name.str());
  return nameError(loc,
                   "unknown block '" + ownerName + "." + name + "'" +
                       SpecLibrary::hint(name, candidates),
                   frame.family);
}

/// 'last(i in n where condition)': the last index for which it holds.
Type FamilyChecker::evalLast(const spec::CallExpr *call, Frame &frame) {
  auto *range = call->args.size() == 1
                    ? dyn_cast<spec::BinaryExpr>(call->args[0].value)
                    : nullptr;
  auto *index = range && range->op == spec::BinaryOp::In
                    ? dyn_cast<spec::NameExpr>(range->lhs)
                    : nullptr;
  if (!index || !call->args[0].where)
    return error(call->getLoc(), "expected 'last(i in n where condition)'");
  eval(range->rhs, frame);
  Frame inner = frame;
  inner.vars[index->name.str()] = Type::ofNumber();
  Layers saved = std::exchange(layers, Layers::Maybe);
  condition(call->args[0].where, inner);
  layers = saved;
  return Type::ofNumber();
}

Type FamilyChecker::callBlock(FoundBlock found, ArrayRef<CallArg> args,
                              const Frame &caller, Location loc) {
  Frame frame;
  if (!bindArgs(found.decl, args, frame, loc)) {
    reached.insert(found.decl);
    return Type::unknown();
  }
  return runBlock(found, frame, loc, caller.family);
}

/// Blocks and fields of a part have the names of another configuration: what
/// comes back is a value of unknown axes.
static Type withoutAxes(const Type &type) {
  if (type.isTensor())
    return Type::tensor();
  if (!type.is(Type::Kind::Tuple))
    return Type::unknown();
  std::vector<Type> elements;
  for (const Type &element : type.elements)
    elements.push_back(withoutAxes(element));
  return Type::tuple(std::move(elements));
}

Type FamilyChecker::callPart(const spec::PartDecl *part,
                             const spec::AttrExpr *callee,
                             ArrayRef<CallArg> args, const Frame &caller,
                             Location loc) {
  const spec::FamilyDecl *inner =
      session.getLibrary().findFamily(part->family.name);
  FamilyChecker &checker = session.checkerFor(inner);
  FoundBlock found = checker.family.findBlock(callee->name.name);
  if (!found)
    return nameError(
        loc,
        "part '" + part->name.name + "' has no block '" + callee->name.name +
            "'" +
            SpecLibrary::hint(callee->name.name, checker.family.blockNames()),
        caller.family);
  Layers savedLayers = std::exchange(checker.layers, Layers::Maybe);
  std::optional<Type> savedPosition =
      std::exchange(checker.position, Type::unknown());
  checker.dead += dead > 0;
  checker.branches += branches > 0;
  Type result = checker.callBlock(found, args, caller, loc);
  checker.branches -= branches > 0;
  checker.dead -= dead > 0;
  checker.position = std::move(savedPosition);
  checker.layers = savedLayers;
  return withoutAxes(result);
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

bool FamilyChecker::bindArgs(const spec::BlockDecl *block,
                             ArrayRef<CallArg> args, Frame &frame,
                             Location loc) {
  auto mismatch = [&](const llvm::Twine &message) {
    error(loc, message,
          {{block->getLoc(),
            ("block '" + block->name.name + "' declared here").str()}});
    return false;
  };
  std::vector<std::string> names;
  for (const spec::Param &param : block->params)
    names.push_back(param.name.name.str());
  size_t positional = llvm::count_if(
      args, [](const CallArg &arg) { return !arg.name.has_value(); });
  if (positional > names.size())
    return mismatch("expected at most " + llvm::Twine(names.size()) +
                    " arguments, got " + llvm::Twine(positional));
  size_t next = 0;
  for (const CallArg &arg : args)
    if (!arg.name)
      frame.vars[names[next++]] = arg.type;
  for (const CallArg &arg : args) {
    if (!arg.name)
      continue;
    StringRef name = arg.name->name;
    if (!llvm::is_contained(names, name))
      return mismatch("block '" + block->name.name + "' has no parameter '" +
                      name + "'" + SpecLibrary::hint(name, names));
    if (!frame.vars.emplace(name, arg.type).second)
      return mismatch("argument '" + name + "' is given twice");
  }
  for (const spec::Param &param : block->params)
    if (!param.defaultValue && !frame.vars.count(param.name.name))
      return mismatch("expected an argument '" + param.name.name + "'");
  return true;
}

/// The last axis of the first argument, if that may have axes.
static std::optional<Type> lastAxis(const spec::BlockDecl *block,
                                    const Vars &vars) {
  if (block->params.empty())
    return std::nullopt;
  auto it = vars.find(block->params[0].name.name);
  if (it == vars.end() || !it->second.mayBeTensor())
    return std::nullopt;
  if (!it->second.axes) {
    Type size = Type::ofNumber();
    size.axisName = AxisName::Unknown;
    return size;
  }
  if (it->second.axes->empty())
    return std::nullopt;
  return Type::size(it->second.axes->back());
}

Type FamilyChecker::runBlock(FoundBlock found, Frame &frame, Location loc,
                             StringRef callerText) {
  // A recursion that branches is followed twice; one that does not never ends.
  constexpr int mostRuns = 2;
  const spec::BlockDecl *block = found.decl;
  reached.insert(block);
  int running = 0;
  for (const Call &call : calls) {
    if (call.block != block)
      continue;
    if (call.branches == branches)
      return error(loc, "block '" + block->name.name + "' calls itself");
    ++running;
  }
  if (running >= mostRuns)
    return Type::unknown();

  std::string key = std::to_string(reinterpret_cast<uintptr_t>(block)) +
                    (layers == Layers::No    ? "N"
                     : layers == Layers::Yes ? "Y"
                                             : "M") +
                    (dead ? "d" : "") + (position ? position->key() : "") +
                    (running ? "r" : "");
  for (const auto &[name, type] : frame.vars)
    key += "," + name + "=" + type.key();
  if (auto it = results.find(key); it != results.end())
    return it->second;

  frame.family = found.family;
  frame.last = lastAxis(block, frame.vars);
  calls.push_back({block, loc, callerText, branches});
  StringRef savedText = std::exchange(text, found.family);
  for (const spec::Param &param : block->params)
    if (param.defaultValue && !frame.vars.count(param.name.name)) {
      // 'eps = eps': a default sees the parameters before it, and fields.
      Type value = eval(param.defaultValue, frame);
      frame.vars[param.name.name.str()] = std::move(value);
    }
  if (block->at)
    address(block->at, frame);
  Flow flow = evalBody(block->body, frame);
  Type result = returnedType(frame, flow);
  calls.pop_back();
  text = savedText;
  results[key] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

void FamilyChecker::address(const spec::Path *path, Frame &frame) {
  for (const spec::PathSegment &segment : path->segments)
    for (const spec::PathPart &part : segment) {
      if (part.isText())
        continue;
      const spec::Placeholder &placeholder = part.placeholder;
      if (placeholder.exprs.size() != 1 || placeholder.isMulti ||
          placeholder.where) {
        error(path->getLoc(),
              "expected one value in a placeholder of an address");
        continue;
      }
      Type type = eval(placeholder.exprs[0], frame);
      if (!type.mayBe(Type::Kind::Number) && !type.mayBe(Type::Kind::String))
        error(path->getLoc(),
              "expected an integer or a string in a placeholder, got " +
                  type.describe());
    }
}
