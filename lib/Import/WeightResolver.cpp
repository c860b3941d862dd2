//===- WeightResolver.cpp - From logical to published weights -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/WeightResolver.h"

#include "lib/Import/Evaluator.h"
#include "dialect/WMap/WMapDialect.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

static constexpr StringRef layerMark = "{layer}";

std::string import::withLayer(StringRef name, std::optional<int64_t> layer) {
  std::string result = name.str();
  if (!layer)
    return result;
  for (size_t at = result.find(layerMark); at != std::string::npos; at = result.find(layerMark, at))
    result.replace(at, layerMark.size(), std::to_string(*layer));
  return result;
}

std::string WeightTree::key() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << static_cast<int>(kind) << ':' << name << ':' << rt::dtypeName(dtype) << ':' << number << '[';
  llvm::interleaveComma(shape, os);
  os << ';';
  for (auto [begin, end] : ranges)
    os << begin << ".." << end << ' ';
  for (const WeightTree &input : inputs)
    os << input.key();
  os << ']';
  return text;
}

//===----------------------------------------------------------------------===//
// Matching of paths
//===----------------------------------------------------------------------===//

static void splitName(StringRef name, SmallVectorImpl<StringRef> &parts) {
  if (!name.empty())
    name.split(parts, '.');
}

static SpecValue textValue(StringRef text) {
  int64_t number;
  return text.getAsInteger(10, number) ? SpecValue::of(text.str()) : SpecValue::of(number);
}

FailureOr<std::string> WeightResolver::text(const spec::Expr *expr, Scope scope, const Bindings &bindings) {
  if (auto *name = dyn_cast<spec::NameExpr>(expr))
    if (auto it = bindings.find(name->name); it != bindings.end())
      return it->second.is(SpecValue::Kind::Int) ? std::to_string(it->second.dim.size) : it->second.text;
  FailureOr<SpecValue> value = scope.evaluator->evalConfig(expr, Frame::Context::Weights, bindings, scope.layer);
  if (failed(value))
    return failure();
  if (value->is(SpecValue::Kind::Int))
    return std::to_string(value->dim.size);
  if (value->is(SpecValue::Kind::String))
    return value->text;
  return emitError(expr->getLoc()) << "expected an integer or a string in a weight path, got " << value->describe();
}

/// Matches the segments with the beginning of a name. A placeholder that is a
/// bare unbound name binds the whole segment.
FailureOr<std::optional<WeightResolver::Match>> WeightResolver::match(ArrayRef<spec::PathSegment> segments,
                                                                      StringRef name, Scope scope,
                                                                      const Bindings &bindings) {
  SmallVector<StringRef> parts;
  splitName(name, parts);
  Match result{bindings, "", {}};
  size_t at = 0;
  for (auto [index, segment] : llvm::enumerate(segments)) {
    if (at >= parts.size())
      return std::optional<Match>();
    if (segment.size() == 1 && !segment[0].isText() && segment[0].placeholder.isMulti) {
      // {p..}: the name up to what the other segments need.
      size_t rest = segments.size() - index - 1;
      if (parts.size() < at + 1 + rest)
        return std::optional<Match>();
      size_t taken = parts.size() - at - rest;
      auto *variable = dyn_cast<spec::NameExpr>(segment[0].placeholder.exprs[0]);
      if (!variable)
        return emitError(segment[0].placeholder.exprs[0]->getLoc()) << "expected a name before '..'";
      result.bindings[variable->name.str()] = SpecValue::of(llvm::join(ArrayRef(parts).slice(at, taken), "."));
      at += taken;
      continue;
    }
    StringRef remaining = parts[at++];
    for (auto [partIndex, part] : llvm::enumerate(segment)) {
      if (part.isText()) {
        if (!remaining.consume_front(part.text))
          return std::optional<Match>();
        continue;
      }
      const spec::Placeholder &placeholder = part.placeholder;
      auto *variable = dyn_cast<spec::NameExpr>(placeholder.exprs[0]);
      bool isSet = placeholder.exprs.size() > 1 || isa<spec::StringExpr>(placeholder.exprs[0]);
      if (isSet) {
        bool found = false;
        for (auto [choice, member] : llvm::enumerate(placeholder.exprs)) {
          FailureOr<std::string> memberText = text(member, scope, result.bindings);
          if (failed(memberText))
            return failure();
          if (!remaining.consume_front(*memberText))
            continue;
          result.alternatives.push_back(choice);
          found = true;
          break;
        }
        if (!found)
          return std::optional<Match>();
        continue;
      }
      const spec::Expr *free = placeholder.exprs[0];
      const spec::Expr *where = placeholder.where;
      if (auto *comparison = dyn_cast<spec::BinaryExpr>(free)) {
        // {layer >= layers}: a name with a condition on it.
        variable = dyn_cast<spec::NameExpr>(comparison->lhs);
        where = free;
      }
      bool bound = variable && result.bindings.count(variable->name) && !where;
      if (!variable || bound) {
        FailureOr<std::string> wanted = text(free, scope, result.bindings);
        if (failed(wanted))
          return failure();
        if (!remaining.consume_front(*wanted))
          return std::optional<Match>();
        continue;
      }
      // A free placeholder takes what the text behind it leaves.
      StringRef suffix = partIndex + 1 < segment.size() && segment[partIndex + 1].isText() ? segment[partIndex + 1].text
                                                                                          : StringRef();
      size_t length = suffix.empty() ? remaining.size() : remaining.find(suffix);
      if (length == StringRef::npos || length == 0)
        return std::optional<Match>();
      result.bindings[variable->name.str()] = textValue(remaining.take_front(length));
      remaining = remaining.drop_front(length);
      if (where) {
        FailureOr<bool> ok = holds(where, scope, result.bindings);
        if (failed(ok))
          return failure();
        if (!*ok)
          return std::optional<Match>();
      }
    }
    if (!remaining.empty())
      return std::optional<Match>();
  }
  result.rest = llvm::join(ArrayRef(parts).drop_front(at), ".");
  return std::optional<Match>(std::move(result));
}

FailureOr<std::string> WeightResolver::instantiate(ArrayRef<spec::PathSegment> segments, const Match &match, Scope scope,
                                                   size_t &set) {
  std::string name;
  for (const spec::PathSegment &segment : segments) {
    if (!name.empty())
      name += '.';
    for (const spec::PathPart &part : segment) {
      if (part.isText()) {
        name += part.text;
        continue;
      }
      size_t choice = 0;
      if (part.placeholder.exprs.size() > 1 && set < match.alternatives.size())
        choice = match.alternatives[set++];
      FailureOr<std::string> piece =
          text(part.placeholder.exprs[std::min(choice, part.placeholder.exprs.size() - 1)], scope, match.bindings);
      if (failed(piece))
        return failure();
      name += *piece;
    }
  }
  return name;
}

FailureOr<bool> WeightResolver::holds(const spec::Expr *condition, Scope scope, const Bindings &bindings) {
  Bindings values = bindings;
  // A layer that is still a placeholder stands for the layer at hand.
  if (auto it = values.find("layer"); it != values.end() && it->second.is(SpecValue::Kind::String)) {
    if (scope.layer)
      it->second = SpecValue::of(*scope.layer);
  }
  FailureOr<SpecValue> value = scope.evaluator->evalConfig(condition, Frame::Context::Weights, values, scope.layer);
  if (failed(value))
    return failure();
  if (!value->is(SpecValue::Kind::Bool))
    return emitError(condition->getLoc()) << "expected true or false, got " << value->describe();
  return value->boolean;
}

//===----------------------------------------------------------------------===//
// Lookup
//===----------------------------------------------------------------------===//

std::optional<WeightTree> WeightResolver::source(const std::string &name, std::optional<int64_t> layer) const {
  if (inventedType) {
    WeightTree tree;
    tree.name = name;
    tree.dtype = *inventedType;
    if (auto it = shapeOfTemplate.find(name); it != shapeOfTemplate.end())
      tree.shape = it->second;
    return tree;
  }
  const rt::StoredTensor *stored = checkpoint ? checkpoint->find(withLayer(name, layer)) : nullptr;
  if (!stored)
    return std::nullopt;
  WeightTree tree;
  tree.name = name;
  tree.shape = stored->shape;
  tree.dtype = stored->dtype;
  return tree;
}

FailureOr<std::optional<WeightTree>> WeightResolver::form(const spec::WeightExpr *expr, const Match &match, Scope scope,
                                                          ArrayRef<const spec::Path *> prefixes, bool first,
                                                          std::vector<const spec::WeightItem *> &skip) {
  WeightTree tree;
  if (auto *number = dyn_cast<spec::WeightNumber>(expr)) {
    tree.kind = WeightTree::Kind::Number;
    tree.number = number->value;
    return std::optional(tree);
  }
  if (auto *call = dyn_cast<spec::WeightCall>(expr)) {
    tree.kind = WeightTree::Kind::Call;
    tree.name = call->name.name.str();
    for (auto [index, argument] : llvm::enumerate(call->args)) {
      FailureOr<std::optional<WeightTree>> input = form(argument, match, scope, prefixes, first && index == 0, skip);
      if (failed(input) || !*input)
        return input;
      tree.inputs.push_back(std::move(**input));
    }
    return std::optional(tree);
  }
  auto *ref = cast<spec::WeightRef>(expr);
  // A lone name that is a field or variable is a number: rope_unpermute(w, q_heads).
  if (!first && ref->path->segments.size() == 1 && ref->path->segments[0].size() == 1 &&
      ref->path->segments[0][0].isText() && scope.evaluator->getFamily().findField(ref->path->segments[0][0].text)) {
    FailureOr<SpecValue> value = scope.evaluator->field(ref->path->segments[0][0].text, scope.layer, ref->getLoc());
    if (failed(value))
      return failure();
    if (!value->isNumber())
      return emitError(ref->getLoc()) << "expected a number, got " << value->describe();
    tree.kind = WeightTree::Kind::Number;
    tree.number = value->asDouble();
    return std::optional(tree);
  }
  size_t set = 0;
  std::string name;
  if (!ref->path->isAbsolute)
    for (const spec::Path *prefix : prefixes) {
      FailureOr<std::string> piece = instantiate(prefix->segments, match, scope, set);
      if (failed(piece))
        return failure();
      name += *piece + ".";
    }
  FailureOr<std::string> own = instantiate(ref->path->segments, match, scope, set);
  if (failed(own))
    return failure();
  name += *own;
  if (first && !match.rest.empty())
    name += (name.empty() ? "" : ".") + match.rest;
  FailureOr<std::optional<WeightTree>> found = lookupIn(name, scope, skip);
  if (failed(found) || !*found || !ref->index)
    return found;
  return emitError(ref->getLoc()) << "a slice in a weight equation has no compiled form yet";
}

FailureOr<std::optional<WeightTree>> WeightResolver::applyEquation(const spec::WeightEquation *equation,
                                                                   const std::string &logical, Scope scope,
                                                                   const Bindings &bindings,
                                                                   ArrayRef<const spec::Path *> prefixes,
                                                                   std::vector<const spec::WeightItem *> &skip) {
  SmallVector<spec::PathSegment> segments;
  if (!equation->path->isAbsolute)
    for (const spec::Path *prefix : prefixes)
      llvm::append_range(segments, prefix->segments);
  llvm::append_range(segments, equation->path->segments);
  FailureOr<std::optional<Match>> found = match(segments, logical, scope, bindings);
  if (failed(found) || !*found)
    return failed(found) ? FailureOr<std::optional<WeightTree>>(failure()) : std::optional<WeightTree>();
  if (equation->condition) {
    FailureOr<bool> ok = holds(equation->condition, scope, (*found)->bindings);
    if (failed(ok))
      return failure();
    if (!*ok)
      return std::optional<WeightTree>();
  }
  // Equations chain and never re-enter themselves.
  skip.push_back(equation);
  FailureOr<std::optional<WeightTree>> result = std::optional<WeightTree>();
  for (const spec::WeightExpr *alternative : equation->alternatives) {
    result = form(alternative, **found, scope, prefixes, /*first=*/true, skip);
    if (failed(result) || *result)
      break;
  }
  skip.pop_back();
  return result;
}

FailureOr<std::optional<WeightTree>> WeightResolver::lookupItems(ArrayRef<const spec::WeightItem *> items,
                                                                 const std::string &logical, Scope scope,
                                                                 const Bindings &bindings,
                                                                 ArrayRef<const spec::Path *> prefixes,
                                                                 std::vector<const spec::WeightItem *> &skip) {
  for (const spec::WeightItem *item : items) {
    if (auto *equation = dyn_cast<spec::WeightEquation>(item)) {
      if (llvm::is_contained(skip, item))
        continue;
      auto result = applyEquation(equation, logical, scope, bindings, prefixes, skip);
      if (failed(result) || *result)
        return result;
    } else if (isa<spec::WeightFor>(item)) {
      return emitError(item->getLoc()) << "'for' in weights has no compiled form yet";
    }
  }
  return std::optional<WeightTree>();
}

FailureOr<std::optional<WeightTree>> WeightResolver::lookupIn(const std::string &logical, Scope scope,
                                                              std::vector<const spec::WeightItem *> &skip) {
  auto items = [&](ArrayRef<const spec::WeightItem *> list, Evaluator *owner) {
    return lookupItems(list, logical, Scope{owner, scope.layer}, {}, {}, skip);
  };
  for (const spec::FamilyDecl *decl : family.getChain()) {
    if (!decl->weights)
      continue;
    auto result = items(decl->weights->items, evaluator);
    if (failed(result) || *result)
      return result;
  }
  for (auto [container, owner] : llvm::zip_equal(containers, containerEvaluators))
    for (const spec::FamilyDecl *decl : container->getChain()) {
      if (!decl->weights)
        continue;
      auto result = items(decl->weights->items, owner);
      if (failed(result) || *result)
        return result;
    }
  for (const spec::WeightsDecl *weights : family.getLibrary().getPreludeWeights()) {
    auto result = items(weights->items, evaluator);
    if (failed(result) || *result)
      return result;
  }
  return source(logical, scope.layer);
}

FailureOr<std::optional<WeightTree>> WeightResolver::lookup(const std::string &logical, std::optional<int64_t> layer) {
  std::vector<const spec::WeightItem *> skip;
  return lookupIn(logical, Scope{evaluator, layer}, skip);
}

std::string WeightResolver::missingHint(const std::string &name) const {
  std::vector<std::string> names;
  if (checkpoint)
    for (const rt::StoredTensor &tensor : checkpoint->tensors())
      names.push_back(tensor.name);
  return SpecLibrary::hint(name, names);
}

LogicalResult WeightResolver::recordInvented(const WeightTree &tree, std::optional<int64_t> layer, Location loc) {
  std::string name = withLayer(tree.name, layer);
  auto [it, isNew] = invented.try_emplace(name, tree.shape);
  if (isNew || it->second == tree.shape)
    return success();
  return emitError(loc) << "tensor '" << name << "' is used as " << rt::shapeText(it->second) << " and as "
                        << rt::shapeText(tree.shape);
}

FailureOr<WeightTree> WeightResolver::resolve(const std::string &logical, std::optional<int64_t> layer,
                                              ArrayRef<int64_t> expected, Location loc) {
  FailureOr<std::optional<WeightTree>> tree = lookup(logical, layer);
  if (failed(tree))
    return failure();
  if (inventedType && *tree) {
    if ((*tree)->kind != WeightTree::Kind::Source)
      return emitError(loc) << "weight '" << logical << "' is computed from tensors whose shapes only a checkpoint tells";
    (*tree)->shape = expected;
    shapeOfTemplate[(*tree)->name] = expected;
    if (failed(recordInvented(**tree, layer, loc)))
      return failure();
  }
  std::string name = withLayer(logical, layer);
  if (!*tree)
    return emitError(loc) << "no tensor for weight '" << name << "' in the checkpoint" << missingHint(name);
  markUsed(**tree, layer);
  // A weight that an equation takes from elsewhere may also be in the file: then
  // the bits must agree.
  bool elsewhere = (*tree)->kind == WeightTree::Kind::Source && (*tree)->name != logical;
  if (elsewhere && checkpoint && checkpoint->find(name) && used.insert(name).second)
    duplicates.emplace_back(name, withLayer((*tree)->name, layer));
  requests.push_back({logical, **tree, loc});
  return **tree;
}

void WeightResolver::markUsed(const WeightTree &tree, std::optional<int64_t> layer) {
  if (tree.kind == WeightTree::Kind::Source) {
    used.insert(withLayer(tree.name, layer));
    if (inventedType)
      invented.try_emplace(withLayer(tree.name, layer), tree.shape);
  }
  for (const WeightTree &input : tree.inputs)
    markUsed(input, layer);
}

//===----------------------------------------------------------------------===//
// Trees to ops
//===----------------------------------------------------------------------===//

static FailureOr<Type> elementType(OpBuilder &builder, rt::DType dtype, const std::string &name, Location loc) {
  if (dtype == rt::DType::BF16)
    return Type(builder.getBF16Type());
  if (dtype == rt::DType::F16)
    return Type(builder.getF16Type());
  if (dtype == rt::DType::F32 || rt::isBlockType(dtype))
    return Type(builder.getF32Type());
  return emitError(loc) << "tensor '" << name << "' has type " << std::string(rt::dtypeName(dtype))
                        << ", expected F32, BF16, F16 or a GGUF block type";
}

static FailureOr<mlir::Value> emitSource(const WeightTree &tree, OpBuilder &builder, Location loc) {
  FailureOr<Type> type = elementType(builder, tree.dtype, tree.name, loc);
  if (failed(type))
    return failure();
  StringAttr encoding;
  if (rt::isBlockType(tree.dtype))
    encoding = builder.getStringAttr(std::string(rt::dtypeName(tree.dtype)));
  return mlir::Value(
      wmap::SourceOp::create(builder, loc, RankedTensorType::get(tree.shape, *type), tree.name, encoding));
}

FailureOr<mlir::Value> WeightResolver::emit(const WeightTree &tree, OpBuilder &builder, Location loc) {
  if (tree.kind == WeightTree::Kind::Source)
    return emitSource(tree, builder, loc);
  size_t wanted = tree.name == "shift" || tree.name == "rope_unpermute" ? 2 : 1;
  bool known = llvm::is_contained({"shift", "rope_unpermute", "transpose", "unit_rows"}, tree.name);
  if (tree.kind != WeightTree::Kind::Call || !known)
    return emitError(loc) << "weight function '" << tree.name << "' has no compiled form yet";
  if (tree.inputs.size() != wanted || (wanted == 2 && tree.inputs[1].kind != WeightTree::Kind::Number))
    return emitError(loc) << "weight function '" << tree.name << "' expects "
                          << (wanted == 2 ? "a tensor and a number" : "one tensor");
  FailureOr<mlir::Value> input = emit(tree.inputs[0], builder, loc);
  if (failed(input))
    return failure();
  auto type = cast<RankedTensorType>(input->getType());
  if (tree.name == "shift")
    return mlir::Value(wmap::ShiftOp::create(builder, loc, type, *input, builder.getF64FloatAttr(tree.inputs[1].number)));
  if (tree.name == "rope_unpermute") {
    int64_t heads = tree.inputs[1].number;
    if (heads < 1 || type.getRank() < 1 || type.getShape()[0] % (2 * heads) != 0)
      return emitError(loc) << "expected the rows of [" << type.getShape() << "] to divide into " << heads
                            << " heads of even size";
    return mlir::Value(wmap::RopeUnpermuteOp::create(builder, loc, type, *input, builder.getI64IntegerAttr(heads)));
  }
  if (type.getRank() != 2)
    return emitError(loc) << "weight function '" << tree.name << "' expects a matrix, got [" << type.getShape() << "]";
  if (tree.name == "unit_rows")
    return mlir::Value(wmap::UnitRowsOp::create(builder, loc, type, *input));
  auto transposed = RankedTensorType::get({type.getShape()[1], type.getShape()[0]}, type.getElementType());
  return mlir::Value(wmap::TransposeOp::create(builder, loc, transposed, *input, ArrayRef<int64_t>{1, 0}));
}

//===----------------------------------------------------------------------===//
// Totality
//===----------------------------------------------------------------------===//

FailureOr<bool> WeightResolver::isDropped(const std::string &name) {
  auto drops = [&](const spec::WeightsDecl *weights, Evaluator *owner) -> FailureOr<bool> {
    for (const spec::WeightItem *item : weights->items) {
      auto *drop = dyn_cast<spec::WeightDrop>(item);
      if (!drop)
        continue;
      Scope scope{owner, std::nullopt};
      if (drop->condition) {
        FailureOr<bool> ok = holds(drop->condition, scope, {});
        if (failed(ok) || !*ok)
          return ok;
      }
      for (const spec::Path *path : drop->paths) {
        FailureOr<std::optional<Match>> found = match(path->segments, name, scope, {});
        if (failed(found))
          return failure();
        if (*found)
          return true;
      }
    }
    return false;
  };
  for (const spec::FamilyDecl *decl : family.getChain())
    if (decl->weights)
      if (FailureOr<bool> result = drops(decl->weights, evaluator); failed(result) || *result)
        return result;
  for (auto [container, owner] : llvm::zip_equal(containers, containerEvaluators))
    for (const spec::FamilyDecl *decl : container->getChain())
      if (decl->weights)
        if (FailureOr<bool> result = drops(decl->weights, owner); failed(result) || *result)
          return result;
  return false;
}

LogicalResult WeightResolver::checkAllUsed(Location loc) {
  if (!checkpoint)
    return success();
  constexpr int most = 8;
  int unused = 0;
  std::vector<std::string> usedNames(used.begin(), used.end());
  for (const rt::StoredTensor &tensor : checkpoint->tensors()) {
    if (used.count(tensor.name))
      continue;
    FailureOr<bool> dropped = isDropped(tensor.name);
    if (failed(dropped))
      return failure();
    if (*dropped || ++unused > most)
      continue;
    InFlightDiagnostic diagnostic = emitError(loc) << "tensor '" << tensor.name << "' "
                                                   << rt::shapeText(tensor.shape)
                                                   << " of the checkpoint is not used by family '"
                                                   << family.getName() << "'"
                                                   << SpecLibrary::hint(tensor.name, usedNames);
    diagnostic.attachNote(family.getChain().front()->getLoc())
        << "if it means nothing to the computation, say 'drop " << tensor.name << "' in the family's weights";
  }
  if (unused > most)
    emitError(loc) << "… and " << unused - most << " other tensors of the checkpoint are not used";
  return success(unused == 0);
}
