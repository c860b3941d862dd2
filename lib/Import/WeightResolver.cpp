//===- WeightResolver.cpp - From logical to published weights -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/WeightResolver.h"

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/Evaluator.h"
#include "lib/Import/WeightFunctions.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

std::string WeightTree::key() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << static_cast<int>(kind) << ':' << name << ':' << rt::dtypeName(dtype)
     << ':' << toString(number) << '[';
  llvm::interleaveComma(shape, os);
  os << ';';
  for (auto [begin, end] : ranges)
    os << begin << ".." << end << ' ';
  for (const WeightTree &input : inputs)
    os << input.key();
  if (kind == Kind::Value)
    os << value.key();
  if (contents)
    os << contents->size() << ':' << *contents;
  os << ']';
  return text;
}

//===----------------------------------------------------------------------===//
// Lookup
//===----------------------------------------------------------------------===//

std::optional<WeightTree> WeightResolver::source(const std::string &name,
                                                 std::optional<int64_t> layer) {
  if (inventedType) {
    WeightTree tree;
    tree.name = name;
    tree.dtype = *inventedType;
    if (auto it = shapeOfTemplate.find(name); it != shapeOfTemplate.end())
      tree.shape = it->second;
    return tree;
  }
  const rt::StoredTensor *stored =
      rt::findTensor(published, withLayer(name, layer));
  if (!stored) {
    sought.insert(withLayer(name, layer));
    return std::nullopt;
  }
  WeightTree tree;
  tree.name = name;
  tree.shape = stored->shape;
  tree.dtype = stored->dtype;
  return tree;
}

/// A shape, or a description in JSON.
static constexpr size_t maxContents = 1 << 16;

LogicalResult WeightResolver::readContents(WeightTree &tree,
                                           std::optional<int64_t> layer,
                                           Location loc) {
  const rt::StoredTensor *stored =
      tree.kind == WeightTree::Kind::Source && !inventedType
          ? rt::findTensor(published, withLayer(tree.name, layer))
          : nullptr;
  tree.contents = "";
  if (inventedType)
    return success();
  if (!stored || stored->bytes.size() > maxContents)
    return emitError(loc) << "expected a tensor of at most " << maxContents
                          << " bytes that the file holds as it stands";
  tree.contents->assign(reinterpret_cast<const char *>(stored->bytes.data()),
                        stored->bytes.size());
  return success();
}

/// Equations and functions within each other, and tried for one weight: far
/// more than any family has. Each alternative of an equation may lead to an
/// equation with alternatives.
static constexpr int maxFormDepth = 128;
static constexpr int64_t maxFormSteps = 4096;
/// An equation may repeat a part of a name, and the next one again.
static constexpr size_t maxWeightName = 4096;

FailureOr<std::optional<WeightTree>>
WeightResolver::form(const spec::WeightExpr *expr, const Match &match,
                     Scope scope, ArrayRef<const spec::Path *> prefixes,
                     bool first, std::vector<const spec::WeightItem *> &skip) {
  if (formDepth >= maxFormDepth)
    return emitError(expr->getLoc())
           << "expected at most " << maxFormDepth
           << " weight equations and functions within each other";
  if (++formSteps > maxFormSteps)
    return emitError(expr->getLoc())
           << "expected at most " << maxFormSteps
           << " forms to try for one weight: do alternatives multiply?";
  ++formDepth;
  FailureOr<std::optional<WeightTree>> tree =
      formOf(expr, match, scope, prefixes, first, skip);
  --formDepth;
  return tree;
}

FailureOr<std::optional<WeightTree>>
WeightResolver::formOf(const spec::WeightExpr *expr, const Match &match,
                       Scope scope, ArrayRef<const spec::Path *> prefixes,
                       bool first,
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
    const WeightFunction *function = findWeightFunction(tree.name);
    const std::vector<WeightArg> *kinds =
        function ? function->formOf(call->args.size()) : nullptr;
    for (auto [index, argument] : llvm::enumerate(call->args)) {
      FailureOr<std::optional<WeightTree>> input =
          form(argument, match, scope, prefixes, first && index == 0, skip);
      if (failed(input) || !*input)
        return input;
      WeightArg kind = kinds ? (*kinds)[index] : WeightArg::Number;
      if (kind == WeightArg::Number &&
          (*input)->kind == WeightTree::Kind::Value)
        return emitError(argument->getLoc())
               << "expected a number, got " << (*input)->value.describe();
      if (kind == WeightArg::Contents &&
          failed(readContents(**input, scope.layer, argument->getLoc())))
        return failure();
      tree.inputs.push_back(std::move(**input));
    }
    return std::optional(tree);
  }
  auto *ref = cast<spec::WeightRef>(expr);
  // A lone name that is a field or variable is its value: rope_unpermute(w,
  // q_heads).
  if (!first && ref->path->segments.size() == 1 &&
      ref->path->segments[0].size() == 1 &&
      ref->path->segments[0][0].isText() &&
      scope.evaluator->getFamily().findField(ref->path->segments[0][0].text)) {
    FailureOr<SpecValue> value = scope.evaluator->field(
        ref->path->segments[0][0].text, scope.layer, ref->getLoc());
    if (failed(value))
      return failure();
    bool isNumber = value->isNumber();
    tree.kind = isNumber ? WeightTree::Kind::Number : WeightTree::Kind::Value;
    if (isNumber)
      tree.number = value->asDouble();
    else
      tree.value = std::move(*value);
    return std::optional(tree);
  }
  size_t set = 0;
  std::string name;
  if (!ref->path->isAbsolute)
    for (const spec::Path *prefix : prefixes) {
      FailureOr<std::string> piece =
          instantiate(prefix->segments, match, scope, set);
      if (failed(piece))
        return failure();
      name += *piece + ".";
    }
  FailureOr<std::string> own =
      instantiate(ref->path->segments, match, scope, set);
  if (failed(own))
    return failure();
  name += *own;
  if (first && !match.rest.empty())
    name += (name.empty() ? "" : ".") + match.rest;
  if (name.size() > maxWeightName)
    return emitError(ref->getLoc())
           << "expected the name of a weight to have at most " << maxWeightName
           << " characters, got " << name.size();
  FailureOr<std::optional<WeightTree>> found = lookupIn(name, scope, skip);
  if (failed(found) || !*found || !ref->index)
    return found;
  return emitError(ref->getLoc())
         << "a slice in a weight equation has no compiled form yet";
}

FailureOr<std::optional<WeightTree>>
WeightResolver::applyEquation(const spec::WeightEquation *equation,
                              const std::string &logical, Scope scope,
                              const Bindings &bindings,
                              ArrayRef<const spec::Path *> prefixes,
                              std::vector<const spec::WeightItem *> &skip) {
  SmallVector<spec::PathSegment> segments;
  if (!equation->path->isAbsolute)
    for (const spec::Path *prefix : prefixes)
      llvm::append_range(segments, prefix->segments);
  llvm::append_range(segments, equation->path->segments);
  FailureOr<std::optional<Match>> found =
      match(segments, logical, scope, bindings);
  if (failed(found) || !*found)
    return failed(found) ? FailureOr<std::optional<WeightTree>>(failure())
                         : std::optional<WeightTree>();
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

FailureOr<std::optional<WeightTree>>
WeightResolver::lookupItems(ArrayRef<const spec::WeightItem *> items,
                            const std::string &logical, Scope scope,
                            const Bindings &bindings,
                            ArrayRef<const spec::Path *> prefixes,
                            std::vector<const spec::WeightItem *> &skip) {
  for (const spec::WeightItem *item : items) {
    if (auto *equation = dyn_cast<spec::WeightEquation>(item)) {
      if (llvm::is_contained(skip, item))
        continue;
      auto result =
          applyEquation(equation, logical, scope, bindings, prefixes, skip);
      if (failed(result) || *result)
        return result;
    } else if (isa<spec::WeightFor>(item)) {
      return emitError(item->getLoc())
             << "'for' in weights has no compiled form yet";
    }
  }
  return std::optional<WeightTree>();
}

FailureOr<std::optional<WeightTree>>
WeightResolver::lookupIn(const std::string &logical, Scope scope,
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
  for (auto [container, owner] :
       llvm::zip_equal(containers, containerEvaluators))
    for (const spec::FamilyDecl *decl : container->getChain()) {
      if (!decl->weights)
        continue;
      auto result = items(decl->weights->items, owner);
      if (failed(result) || *result)
        return result;
    }
  for (const spec::WeightsDecl *weights :
       family.getLibrary().getPreludeWeights()) {
    auto result = items(weights->items, evaluator);
    if (failed(result) || *result)
      return result;
  }
  return source(logical, scope.layer);
}

FailureOr<std::optional<WeightTree>>
WeightResolver::lookup(const std::string &logical,
                       std::optional<int64_t> layer) {
  std::vector<const spec::WeightItem *> skip;
  formSteps = 0;
  return lookupIn(logical, Scope{evaluator, layer}, skip);
}

std::string WeightResolver::missingHint(const std::string &name) const {
  std::vector<std::string> names;
  for (const rt::StoredTensor &tensor : published)
    names.push_back(tensor.name);
  std::string text;
  llvm::raw_string_ostream os(text);
  size_t shown = 0;
  constexpr size_t most = 8;
  for (const std::string &other : sought)
    if (other != name && ++shown <= most)
      os << (text.empty() ? ", nor '" : ", '") << other << "'";
  if (shown > most)
    os << " and " << shown - most << " more";
  return text + SpecLibrary::hint(name, names);
}

LogicalResult WeightResolver::recordInvented(const WeightTree &tree,
                                             std::optional<int64_t> layer,
                                             Location loc) {
  std::string name = withLayer(tree.name, layer);
  auto [it, isNew] = invented.try_emplace(name, tree.shape);
  if (isNew || it->second == tree.shape)
    return success();
  return emitError(loc) << "tensor '" << name << "' is used as "
                        << rt::shapeText(it->second) << " and as "
                        << rt::shapeText(tree.shape);
}

FailureOr<WeightTree> WeightResolver::resolve(const std::string &logical,
                                              std::optional<int64_t> layer,
                                              ArrayRef<int64_t> expected,
                                              Location loc) {
  sought.clear();
  FailureOr<std::optional<WeightTree>> tree = lookup(logical, layer);
  if (failed(tree))
    return failure();
  if (inventedType && *tree) {
    if ((*tree)->kind != WeightTree::Kind::Source)
      return emitError(loc) << "weight '" << logical
                            << "' is computed from tensors whose shapes only a "
                               "checkpoint tells";
    (*tree)->shape = expected;
    shapeOfTemplate[(*tree)->name] = expected;
    if (failed(recordInvented(**tree, layer, loc)))
      return failure();
  }
  std::string name = withLayer(logical, layer);
  if (!*tree)
    return emitError(loc) << "no tensor for weight '" << name
                          << "' in the checkpoint" << missingHint(name);
  markUsed(**tree, layer, loc);
  // A weight that an equation takes from elsewhere may also be in the file:
  // then the bits must agree.
  bool elsewhere =
      (*tree)->kind == WeightTree::Kind::Source && (*tree)->name != logical;
  if (elsewhere && rt::findTensor(published, name) &&
      used.try_emplace(name, loc).second)
    duplicates.push_back({name, withLayer((*tree)->name, layer), loc});
  requests.push_back({logical, **tree, loc});
  return **tree;
}

void WeightResolver::markUsed(const WeightTree &tree,
                              std::optional<int64_t> layer, Location loc) {
  if (tree.kind == WeightTree::Kind::Source) {
    used.try_emplace(withLayer(tree.name, layer), loc);
    if (inventedType)
      invented.try_emplace(withLayer(tree.name, layer), tree.shape);
  }
  for (const WeightTree &input : tree.inputs)
    markUsed(input, layer, loc);
}

//===----------------------------------------------------------------------===//
// Totality
//===----------------------------------------------------------------------===//

FailureOr<bool> WeightResolver::isDropped(const std::string &name) {
  auto drops = [&](const spec::WeightsDecl *weights,
                   Evaluator *owner) -> FailureOr<bool> {
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
        FailureOr<std::optional<Match>> found =
            match(path->segments, name, scope, {});
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
      if (FailureOr<bool> result = drops(decl->weights, evaluator);
          failed(result) || *result)
        return result;
  for (auto [container, owner] :
       llvm::zip_equal(containers, containerEvaluators))
    for (const spec::FamilyDecl *decl : container->getChain())
      if (decl->weights)
        if (FailureOr<bool> result = drops(decl->weights, owner);
            failed(result) || *result)
          return result;
  return false;
}

LogicalResult WeightResolver::checkAllUsed() {
  constexpr int most = 8;
  int unused = 0;
  Location place = family.getChain().front()->getLoc();
  std::vector<std::string> usedNames;
  for (const auto &[name, loc] : used)
    usedNames.push_back(name);
  for (const rt::StoredTensor &tensor : published) {
    if (used.count(tensor.name))
      continue;
    FailureOr<bool> dropped = isDropped(tensor.name);
    if (failed(dropped))
      return failure();
    if (*dropped || ++unused > most)
      continue;
    InFlightDiagnostic diagnostic =
        emitError(place) << "tensor '" << tensor.name << "' "
                         << rt::shapeText(tensor.shape)
                         << " of the checkpoint is not used by family '"
                         << family.getName() << "'"
                         << SpecLibrary::hint(tensor.name, usedNames);
    if (std::optional<std::string> near =
            SpecLibrary::nearest(tensor.name, usedNames))
      diagnostic.attachNote(used.find(*near)->second)
          << "'" << *near << "' is used here";
    diagnostic.attachNote(place)
        << "if it means nothing to the computation, say 'drop " << tensor.name
        << "' in the family's weights";
  }
  if (unused > most)
    emitError(place) << "… and " << unused - most
                     << " other tensors of the checkpoint are not used";
  return success(unused == 0);
}
