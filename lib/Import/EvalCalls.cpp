//===- EvalCalls.cpp - Fields, blocks, addresses --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"
#include "lib/Import/Reach.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

//===----------------------------------------------------------------------===//
// Configuration fields
//===----------------------------------------------------------------------===//

FailureOr<SpecValue> Evaluator::field(StringRef name,
                                      std::optional<int64_t> layer,
                                      Location use, bool mayBeAbsent) {
  const spec::FieldDecl *decl = getFamily().findField(name);
  if (!decl)
    return error(use) << "expected a field '" << name
                      << "' in the configuration of family '"
                      << getFamily().getName() << "'"
                      << SpecLibrary::hint(name, getFamily().fieldNames());
  if (decl->index && !layer)
    return error(use)
           << "'" << name
           << "' has a value for each layer, but is read outside the layers";
  if (decl->index && *layer < 0)
    return error(use) << "expected the number of a layer for '" << name
                      << "', got " << *layer;
  std::string key =
      name.str() + (decl->index ? "[" + std::to_string(*layer) + "]" : "");
  auto it = current->fieldCache.find(key);
  if (it == current->fieldCache.end()) {
    if (!current->fieldsInProgress.insert(key).second)
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
    current->fieldsInProgress.erase(key);
    if (failed(value))
      return failure();
    if (decl->index && value->is(SpecValue::Kind::List)) {
      if (failed(checkLayerList(decl, *value, *layer)))
        return failure();
      SpecValue element = value->elements[*layer];
      *value = std::move(element);
    }
    if (value->is(SpecValue::Kind::Int))
      value->dim = Dim{value->dim.size, name.str(), {}};
    it = current->fieldCache.emplace(key, std::move(*value)).first;
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

/// A list has a value for each layer, no more and no fewer.
LogicalResult Evaluator::checkLayerList(const spec::FieldDecl *decl,
                                        const SpecValue &list, int64_t layer) {
  int64_t size = list.elements.size(), layers = layer + 1;
  if (getFamily().findField("layers")) {
    FailureOr<SpecValue> count = field("layers", std::nullopt, decl->getLoc());
    if (failed(count))
      return failure();
    if (count->is(SpecValue::Kind::Int))
      layers = std::max(layers, count->dim.size);
  } else if (size >= layers) {
    return success();
  }
  if (size == layers)
    return success();
  InFlightDiagnostic diagnostic = error(decl->getLoc())
                                  << "expected a list of '" << decl->name.name
                                  << "' for " << layers
                                  << " layers, got a list of " << size;
  noteKeys(diagnostic, decl);
  return diagnostic;
}

/// Points at the keys of the configuration that a field depends on.
void Evaluator::noteKeys(InFlightDiagnostic &diagnostic,
                         const spec::FieldDecl *decl) {
  Reach mentioned(getFamily());
  mentioned.walkValue(decl);
  for (const std::string &key : mentioned.getKeys())
    noteKey(diagnostic, key);
}

Location Evaluator::locationOfKey(StringRef dottedKey,
                                  Location otherwise) const {
  for (StringRef key = dottedKey; config && !key.empty();
       key = key.contains('.') ? key.rsplit('.').first : StringRef())
    if (config->hasKey(key))
      return config->locationOf(key);
  return otherwise;
}

void Evaluator::noteKey(InFlightDiagnostic &diagnostic,
                        const std::string &key) {
  const Record &record = getRecord();
  if (!config || !record.object || !record.object->contains(key))
    return;
  constexpr size_t most = 80;
  std::string text = (*record.object)[key].dump();
  if (text.size() > most) {
    text.resize(most);
    text += "…";
  }
  diagnostic.attachNote(config->locationOf(record.path + key))
      << "'" << record.path << key << "' is " << text;
}

FailureOr<SpecValue>
Evaluator::evalConfig(const spec::Expr *expr, Frame::Context context,
                      const std::map<std::string, SpecValue, std::less<>> &vars,
                      std::optional<int64_t> layer, FamilyInstance *of) {
  FamilyInstance *savedInstance = std::exchange(current, of ? of : current);
  Frame frame;
  frame.context = context;
  frame.vars = vars;
  std::optional<int64_t> savedLayer = std::exchange(currentLayer, layer);
  int64_t savedSteps = std::exchange(steps, 0);
  FailureOr<SpecValue> value = eval(expr, frame);
  currentLayer = savedLayer;
  steps = savedSteps;
  current = savedInstance;
  return value;
}

FailureOr<SpecValue> Evaluator::fieldOf(FamilyInstance &of, StringRef name,
                                        std::optional<int64_t> layer,
                                        Location use) {
  FamilyInstance *saved = std::exchange(current, &of);
  FailureOr<SpecValue> value = field(name, layer, use);
  current = saved;
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

/// Built-ins that make tensors, or weights, which a configuration has not.
static bool takesTensors(StringRef name) {
  return llvm::is_contained(
      {"linear",         "weight",    "embed",
       "attend",         "rope",      "todo",
       "top_k",          "member",    "where",
       "causal_conv",    "zeros",     "patches",
       "grid_positions", "fold",      "put_at",
       "add_at",         "window_of", "text_grid_positions",
       "bilinear",       "bicubic",   "frames",
       "sinusoid"},
      name);
}

static std::vector<std::string> builtinNames() {
  return {"abs",
          "alibi",
          "apply",
          "attend",
          "axes",
          "bicubic",
          "bilinear",
          "clamp",
          "count",
          "embed",
          "exp",
          "f32",
          "floor",
          "gelu",
          "int",
          "join",
          "linear",
          "log",
          "max",
          "mean",
          "min",
          "near",
          "outer",
          "relu",
          "rope",
          "round",
          "rope_table",
          "rsqrt",
          "silu",
          "round_up",
          "sqrt",
          "sigmoid",
          "softmax",
          "spread",
          "sum",
          "softplus",
          "tanh",
          "view",
          "weight",
          "record",
          "slice",
          "yarn_mscale",
          "top_k",
          "member",
          "where",
          "dot",
          "repeat",
          "zeros",
          "causal_conv",
          "patches",
          "fold",
          "put_at",
          "add_at",
          "window_of",
          "grid_positions",
          "same",
          "frame_of",
          "frames",
          "sinusoid",
          "text_grid_positions"};
}

static std::string unknownBlockHint(const Family &family, StringRef owner,
                                    StringRef name) {
  const SpecLibrary &library = family.getLibrary();
  std::vector<std::string> known;
  if (const spec::FamilyDecl *decl = library.findFamily(owner)) {
    known = Family(library, decl).blockNames();
    return SpecLibrary::hint(name, known);
  }
  if (owner == "std")
    for (const spec::BlockDecl *block : library.getPreludeBlocks())
      known.push_back(block->name.name.str());
  return SpecLibrary::hint(name, known);
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
      found = getFamily().findBlock(name);
  } else if (auto *qualified = dyn_cast<spec::AttrExpr>(call->callee)) {
    auto *owner = dyn_cast<spec::NameExpr>(qualified->base);
    name = qualified->name.name.str();
    if (!owner)
      return error(loc)
             << "expected the name of a block or built-in before '('";
    if (FamilyInstance *part = current->findPart(owner->name))
      return callPart(*part, name, call, frame, prefix);
    found = getFamily().findQualifiedBlock(owner->name, name);
    if (!found)
      return error(loc) << "unknown block '" << owner->name << "." << name
                        << "'"
                        << unknownBlockHint(getFamily(), owner->name, name);
    if (frame.context != Frame::Context::Block)
      return error(loc) << "expected a function of configuration values, got "
                           "block '"
                        << owner->name << "." << name << "'";
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
  if (frame.context != Frame::Context::Block && takesTensors(name))
    return error(loc) << "expected a function of configuration values, got '"
                      << name << "'";
  if (std::optional<FailureOr<SpecValue>> result =
          callBuiltin(name, *args, prefix, loc))
    return *result;
  std::vector<std::string> known = getFamily().blockNames();
  for (const spec::BlockDecl *block :
       getFamily().getLibrary().getPreludeBlocks())
    known.push_back(block->name.name.str());
  llvm::append_range(known, builtinNames());
  return error(loc) << "unknown block or built-in '" << name << "'"
                    << SpecLibrary::hint(name, known);
}

FailureOr<SpecValue> Evaluator::callBlock(FoundBlock found,
                                          const CallArgs &args,
                                          const std::string &prefix,
                                          Location loc) {
  const spec::BlockDecl *decl = found.decl;
  Frame frame;
  frame.blockName = (found.family + "." + decl->name.name).str();
  frame.prefix = prefix;
  frame.isEntry = decl->isEntry;
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
