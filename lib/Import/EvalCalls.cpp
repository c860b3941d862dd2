//===- EvalCalls.cpp - Fields, blocks, addresses --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

//===----------------------------------------------------------------------===//
// Configuration fields
//===----------------------------------------------------------------------===//

FailureOr<SpecValue> Evaluator::field(StringRef name,
                                      std::optional<int64_t> layer,
                                      Location use, bool mayBeAbsent) {
  const spec::FieldDecl *decl = family.findField(name);
  if (!decl)
    return error(use) << "unknown field '" << name << "'"
                      << SpecLibrary::hint(name, family.fieldNames());
  if (decl->index && !layer)
    return error(use)
           << "'" << name
           << "' has a value for each layer, but is read outside the layers";
  std::string key =
      name.str() + (decl->index ? "[" + std::to_string(*layer) + "]" : "");
  auto it = fieldCache.find(key);
  if (it == fieldCache.end()) {
    if (!fieldsInProgress.insert(key).second)
      return error(decl->getLoc())
             << "field '" << name << "' depends on itself";
    Frame frame;
    frame.context = Frame::Context::Config;
    frame.ownField = name.str();
    if (decl->index)
      frame.vars[decl->index->name.str()] = SpecValue::of(*layer);
    std::optional<int64_t> savedLayer = currentLayer;
    currentLayer = decl->index ? layer : std::nullopt;
    FailureOr<SpecValue> value = eval(decl->value, frame);
    currentLayer = savedLayer;
    fieldsInProgress.erase(key);
    if (failed(value))
      return failure();
    if (decl->index && value->is(SpecValue::Kind::List)) {
      if (*layer >= static_cast<int64_t>(value->elements.size()))
        return error(decl->getLoc())
               << "expected a value of '" << name << "' for layer " << *layer
               << ", got a list of " << value->elements.size();
      SpecValue element = value->elements[*layer];
      *value = std::move(element);
    }
    if (value->is(SpecValue::Kind::Int))
      value->dim = Dim{value->dim.size, name.str(), {}};
    it = fieldCache.emplace(key, std::move(*value)).first;
  }
  if (it->second.is(SpecValue::Kind::Absent) && !mayBeAbsent) {
    InFlightDiagnostic diagnostic = error(config ? config->locationOf("") : use)
                                    << "key '" << it->second.text
                                    << "' is absent and has no default";
    diagnostic.attachNote(decl->getLoc()) << "field '" << name << "' needs it";
    return diagnostic;
  }
  return it->second;
}

FailureOr<SpecValue>
Evaluator::evalConfig(const spec::Expr *expr, Frame::Context context,
                      const std::map<std::string, SpecValue, std::less<>> &vars,
                      std::optional<int64_t> layer) {
  Frame frame;
  frame.context = context;
  frame.vars = vars;
  std::optional<int64_t> savedLayer = std::exchange(currentLayer, layer);
  FailureOr<SpecValue> value = eval(expr, frame);
  currentLayer = savedLayer;
  return value;
}

FailureOr<std::string> Evaluator::layerKey(ArrayRef<std::string> names,
                                           int64_t layer, Location use) {
  std::string key;
  for (const std::string &name : names) {
    FailureOr<SpecValue> value = field(name, layer, use, /*mayBeAbsent=*/true);
    if (failed(value))
      return failure();
    key += name + "=" + value->key() + ";";
  }
  return key;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

FailureOr<std::string> Evaluator::address(const spec::Path *path, Frame &frame,
                                          const std::string &prefix) {
  std::string text;
  for (const spec::PathSegment &segment : path->segments) {
    if (!text.empty())
      text += '.';
    for (const spec::PathPart &part : segment) {
      if (part.isText()) {
        text += part.text;
        continue;
      }
      const spec::Placeholder &placeholder = part.placeholder;
      if (placeholder.exprs.size() != 1 || placeholder.isMulti ||
          placeholder.where)
        return error(path->getLoc())
               << "expected one value in a placeholder of an address";
      // The number of the layer stays a placeholder: one function serves all
      // layers of a kind.
      auto *name = dyn_cast<spec::NameExpr>(placeholder.exprs[0]);
      if (name && name->name == "layer" && layerScope) {
        text += "{layer}";
        continue;
      }
      FailureOr<SpecValue> value = eval(placeholder.exprs[0], frame);
      if (failed(value))
        return failure();
      if (value->is(SpecValue::Kind::Int))
        text += std::to_string(value->dim.size);
      else if (value->is(SpecValue::Kind::String))
        text += value->text;
      else
        return error(path->getLoc())
               << "expected an integer or a string in a placeholder, got "
               << value->describe();
    }
  }
  if (path->isAbsolute || prefix.empty())
    return text;
  return text.empty() ? prefix : prefix + "." + text;
}

FailureOr<CallArgs> Evaluator::evalArgs(ArrayRef<spec::Arg> args,
                                        Frame &frame) {
  CallArgs result;
  for (const spec::Arg &arg : args) {
    if (arg.where)
      return error(arg.where->getLoc()) << "expected no 'where' in this call";
    FailureOr<SpecValue> value = eval(arg.value, frame);
    if (failed(value))
      return failure();
    if (value->is(SpecValue::Kind::Absent) &&
        frame.context == Frame::Context::Block)
      return error(arg.value->getLoc())
             << "key '" << value->text << "' is absent and has no default";
    if (arg.name)
      result.named.emplace_back(arg.name->name.str(), std::move(*value));
    else
      result.positional.push_back(std::move(*value));
  }
  return result;
}

FailureOr<SpecValue> Evaluator::evalCall(const spec::CallExpr *call,
                                         Frame &frame,
                                         const std::string &prefix) {
  Location loc = call->getLoc();
  FoundBlock found;
  std::string name;
  if (auto *callee = dyn_cast<spec::NameExpr>(call->callee)) {
    name = callee->name.str();
    if (frame.context == Frame::Context::Block)
      found = family.findBlock(name);
  } else if (auto *qualified = dyn_cast<spec::AttrExpr>(call->callee)) {
    auto *owner = dyn_cast<spec::NameExpr>(qualified->base);
    name = qualified->name.name.str();
    if (owner)
      found = family.findQualifiedBlock(owner->name, name);
    if (!found)
      return error(loc) << "unknown block '" << (owner ? owner->name : "")
                        << "." << name << "'";
  } else {
    return error(loc) << "expected the name of a block or built-in before '('";
  }
  if (!found && name == "last" && frame.context != Frame::Context::Block)
    return error(loc) << "'last' over layers has no compiled form yet";
  FailureOr<CallArgs> args = evalArgs(call->args, frame);
  if (failed(args))
    return failure();
  if (found)
    return callBlock(found, *args, prefix, loc);
  if (name == "rope_table")
    return buildRopeTable(*args, loc);
  if (std::optional<FailureOr<SpecValue>> result =
          callBuiltin(name, *args, prefix, loc))
    return *result;
  return error(loc) << "unknown block or built-in '" << name << "'"
                    << SpecLibrary::hint(name, family.blockNames());
}

FailureOr<SpecValue> Evaluator::callBlock(FoundBlock found,
                                          const CallArgs &args,
                                          const std::string &prefix,
                                          Location loc) {
  const spec::BlockDecl *decl = found.decl;
  Frame frame;
  frame.blockName = (found.family + "." + decl->name.name).str();
  frame.prefix = prefix;
  if (decl->at) {
    FailureOr<std::string> at = address(decl->at, frame, prefix);
    if (failed(at))
      return failure();
    frame.prefix = *at;
  }
  auto mismatch = [&](const llvm::Twine &message) {
    InFlightDiagnostic diagnostic = error(loc) << message;
    diagnostic.attachNote(decl->getLoc())
        << "block '" << decl->name.name << "' declared here";
    return diagnostic;
  };
  if (args.positional.size() > decl->params.size())
    return mismatch(llvm::Twine("expected at most ") +
                    llvm::Twine(decl->params.size()) + " arguments, got " +
                    llvm::Twine(args.positional.size()));
  for (auto [param, value] : llvm::zip(decl->params, args.positional))
    frame.vars[param.name.name.str()] = value;
  for (const auto &[name, value] : args.named) {
    bool known = llvm::any_of(decl->params, [&](const spec::Param &param) {
      return param.name.name == name;
    });
    if (!known || frame.vars.count(name))
      return mismatch(known ? "argument '" + name + "' is given twice"
                            : "block '" + decl->name.name.str() +
                                  "' has no parameter '" + name + "'");
    frame.vars[name] = value;
  }
  if (!decl->params.empty())
    if (auto it = frame.vars.find(decl->params[0].name.name);
        it != frame.vars.end() && it->second.is(SpecValue::Kind::Tensor) &&
        !it->second.tensor.axes.empty())
      frame.last = it->second.tensor.axes.back();
  std::string savedBlock = std::exchange(currentBlock, frame.blockName);
  auto run = [&]() -> FailureOr<SpecValue> {
    for (const spec::Param &param : decl->params) {
      if (frame.vars.count(param.name.name))
        continue;
      if (!param.defaultValue)
        return mismatch("expected an argument '" + param.name.name.str() + "'");
      // 'eps = eps': a default sees the parameters before it, and fields.
      FailureOr<SpecValue> value = eval(param.defaultValue, frame);
      if (failed(value))
        return failure();
      frame.vars[param.name.name.str()] = std::move(*value);
    }
    FailureOr<SpecValue> value = evalBody(decl->body, frame);
    if (failed(value))
      return failure();
    return frame.returned ? *frame.returned : *value;
  };
  FailureOr<SpecValue> result = run();
  currentBlock = savedBlock;
  return result;
}
