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

bool WeightTree::isStacked() const {
  if (kind == Kind::Factors && factors.isStacked)
    return true;
  auto isExpert = [](const Range &range) { return range.isExpert(); };
  return stack > 0 || llvm::any_of(ranges, isExpert) ||
         llvm::any_of(
             inputs, [](const WeightTree &input) { return input.isStacked(); });
}

std::vector<std::string>
WeightTree::tensorNames(std::optional<int64_t> layer) const {
  std::string inLayer = withLayer(name, layer);
  if (stack == 0)
    return {inLayer};
  std::vector<std::string> names;
  for (int64_t i = 0; i < stack; ++i)
    names.push_back(withExpert(inLayer, i));
  return names;
}

std::string WeightTree::key() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << static_cast<int>(kind) << ':' << name << ':' << rt::dtypeName(dtype)
     << ':' << stack << ':' << toString(number) << '[';
  if (kind == Kind::Factors)
    os << static_cast<int>(factors.kind) << ',' << factors.experts << ','
       << factors.half << ',' << factors.isTransposed << factors.isStacked
       << ';';
  llvm::interleaveComma(shape, os);
  os << ';';
  for (Range range : ranges)
    os << range.begin << ".." << range.end << ' ';
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
                                                 const Scope &scope) {
  if (isInAdapter)
    return factorsOf(name, scope);
  WeightTree tree;
  tree.name = name;
  if (StringRef(name).contains(expertPlaceholder))
    tree.stack = scope.experts;
  if (inventedType) {
    tree.dtype = *inventedType;
    if (auto it = shapeOfTemplate.find(name); it != shapeOfTemplate.end())
      tree.shape = it->second;
    return tree;
  }
  // Of a stack, all tensors must be there and be alike.
  std::string inLayer = withLayer(name, scope.layer);
  for (int64_t i = 0; i < std::max<int64_t>(tree.stack, 1); ++i) {
    std::string full = tree.stack > 0 ? withExpert(inLayer, i) : inLayer;
    const rt::StoredTensor *stored = rt::findTensor(published, full);
    bool isAlike = i == 0 || (stored && stored->shape == tree.shape &&
                              stored->dtype == tree.dtype);
    if (!stored || !isAlike) {
      sought.insert(stored ? full + "' like '" + withExpert(inLayer, 0) : full);
      return std::nullopt;
    }
    tree.shape = stored->shape;
    tree.dtype = stored->dtype;
  }
  return tree;
}

/// A shape, or a description in JSON.
static constexpr size_t maxContents = 1 << 16;

LogicalResult WeightResolver::readContents(WeightTree &tree,
                                           std::optional<int64_t> layer,
                                           Location loc) {
  tree.contents = "";
  if (inventedType || isInAdapter)
    return success();
  bool isSource = tree.kind == WeightTree::Kind::Source;
  std::vector<std::string> names;
  if (isSource)
    names = tree.tensorNames(layer);
  for (const std::string &name : names) {
    const rt::StoredTensor *stored = rt::findTensor(published, name);
    isSource &= stored && stored->bytes.size() <= maxContents;
    if (!isSource)
      break;
    std::string_view bytes(reinterpret_cast<const char *>(stored->bytes.data()),
                           stored->bytes.size());
    if (name == names.front())
      *tree.contents = bytes;
    else if (*tree.contents != bytes)
      return emitError(loc) << "expected tensor '" << name << "' to hold what '"
                            << names.front() << "' holds: experts are stacked";
  }
  if (!isSource)
    return emitError(loc) << "expected a tensor of at most " << maxContents
                          << " bytes that the file holds as it stands";
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
                     const Scope &scope, bool first,
                     std::vector<const spec::WeightItem *> &skip) {
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
      formOf(expr, match, scope, first, skip);
  --formDepth;
  return tree;
}

FailureOr<std::optional<WeightTree>>
WeightResolver::formOf(const spec::WeightExpr *expr, const Match &match,
                       const Scope &scope, bool first,
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
    // Adapters change what a quantised tensor stands for.
    if (isAnyAdapter && dequantises(tree.name))
      return std::optional<WeightTree>();
    const WeightFunction *function = findWeightFunction(tree.name);
    const std::vector<WeightArg> *kinds =
        function ? function->formOf(call->args.size()) : nullptr;
    for (auto [index, argument] : llvm::enumerate(call->args)) {
      FailureOr<std::optional<WeightTree>> input =
          form(argument, match, scope, first && index == 0, skip);
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
    // A parameter that an equation transposes is published [in, out].
    if (isInAdapter && tree.name == "transpose" && tree.inputs.size() == 1) {
      WeightTree *of = &tree.inputs[0];
      while (of->kind == WeightTree::Kind::Slice)
        of = &of->inputs[0];
      if (of->kind == WeightTree::Kind::Factors &&
          of->factors.kind == rt::AdapterFactors::Kind::Parameter)
        of->factors.isTransposed = true;
    }
    return std::optional(tree);
  }
  auto *ref = cast<spec::WeightRef>(expr);
  // A lone name that is a field or variable is its value: rope_unpermute(w,
  // q_heads).
  if (!first && ref->path->segments.size() == 1 &&
      ref->path->segments[0].size() == 1 &&
      ref->path->segments[0][0].isText() &&
      familyOf(scope).findField(ref->path->segments[0][0].text)) {
    FailureOr<SpecValue> value = scope.evaluator->fieldOf(
        scope.part ? *scope.part : scope.evaluator->getRoot(),
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
  bool isBelow = scope.part && !scope.part->prefix.empty();
  std::string name = isBelow ? scope.part->prefix + "." : "";
  if (!ref->path->isAbsolute)
    for (const spec::WeightFor *loop : scope.loops) {
      if (!loop->at)
        continue;
      FailureOr<std::string> piece =
          instantiate(loop->at->segments, match, scope, set);
      if (failed(piece))
        return failure();
      name += *piece + ".";
    }
  FailureOr<std::string> own =
      instantiate(ref->path->segments, match, scope, set);
  if (failed(own))
    return failure();
  name += *own;
  if (isBelow && own->empty())
    name = scope.part->prefix;
  if (first && !match.rest.empty())
    name += (name.empty() ? "" : ".") + match.rest;
  if (name.size() > maxWeightName)
    return emitError(ref->getLoc())
           << "expected the name of a weight to have at most " << maxWeightName
           << " characters, got " << name.size();
  Scope outside{scope.evaluator, scope.layer, scope.experts, {}};
  FailureOr<std::optional<WeightTree>> found = lookupIn(name, outside, skip);
  if (failed(found) || !*found || !ref->index)
    return found;
  FailureOr<std::vector<WeightTree::Range>> ranges =
      rangesOf(ref, match, scope);
  if (failed(ranges))
    return failure();
  tree.kind = WeightTree::Kind::Slice;
  tree.ranges = std::move(*ranges);
  tree.inputs.push_back(std::move(**found));
  return std::optional(tree);
}

FailureOr<std::vector<WeightTree::Range>>
WeightResolver::rangesOf(const spec::WeightRef *ref, const Match &match,
                         const Scope &scope) {
  std::vector<WeightTree::Range> ranges;
  for (const spec::Arg &arg : *ref->index) {
    Location loc = arg.value->getLoc();
    FailureOr<SpecValue> value =
        scope.evaluator->evalConfig(arg.value, Frame::Context::Weights,
                                    match.bindings, scope.layer, scope.part);
    if (failed(value))
      return failure();
    auto isNumber = [](const SpecValue &number) {
      return number.is(SpecValue::Kind::Int) && number.dim.size >= 0;
    };
    bool isExpert =
        value->is(SpecValue::Kind::String) && value->text == expertPlaceholder;
    if (isExpert) {
      ranges.push_back({-1, -1});
    } else if (isNumber(*value)) {
      ranges.push_back({value->dim.size, -1});
    } else if (value->is(SpecValue::Kind::Range) &&
               isNumber(value->elements[0]) && isNumber(value->elements[1]) &&
               value->elements[0].dim.size < value->elements[1].dim.size) {
      ranges.push_back(
          {value->elements[0].dim.size, value->elements[1].dim.size});
    } else {
      return emitError(loc) << "expected an index from 0 or a range such as "
                               "'0 .. ffn' of an axis, got "
                            << value->describe();
    }
  }
  auto isExpert = [](WeightTree::Range range) { return range.isExpert(); };
  if (llvm::count_if(ranges, isExpert) > 1)
    return emitError(ref->getLoc())
           << "expected the number of the expert as one index, got it twice";
  return ranges;
}

FailureOr<bool> WeightResolver::isInLoops(const Match &match,
                                          const Scope &scope) {
  for (const spec::WeightFor *loop : scope.loops)
    for (const spec::WeightBinding &binding : loop->bindings) {
      auto it = match.bindings.find(binding.name.name);
      if (it == match.bindings.end())
        return emitError(binding.name.loc) << "expected '{" << binding.name.name
                                           << "}' in the name in front of '='";
      FailureOr<SpecValue> range =
          scope.evaluator->evalConfig(binding.range, Frame::Context::Weights,
                                      match.bindings, scope.layer, scope.part);
      if (failed(range))
        return failure();
      const SpecValue &value = it->second;
      bool isIn = false;
      if (range->is(SpecValue::Kind::List)) {
        isIn = llvm::any_of(range->elements, [&](const SpecValue &element) {
          return element.equals(value);
        });
      } else if (range->is(SpecValue::Kind::Int)) {
        bool isExpert = value.is(SpecValue::Kind::String) &&
                        value.text == expertPlaceholder;
        isIn = isExpert
                   ? range->dim.size == scope.experts
                   : value.is(SpecValue::Kind::Int) && value.dim.size >= 0 &&
                         value.dim.size < range->dim.size;
      } else if (range->is(SpecValue::Kind::Range)) {
        const SpecValue &begin = range->elements[0], &end = range->elements[1];
        isIn = value.is(SpecValue::Kind::Int) &&
               value.dim.size >= begin.dim.size &&
               (!end.is(SpecValue::Kind::Int) || value.dim.size < end.dim.size);
      } else {
        return emitError(binding.range->getLoc())
               << "expected a number or a set of names after 'in', got "
               << range->describe();
      }
      if (!isIn)
        return false;
    }
  return true;
}

FailureOr<std::optional<WeightTree>>
WeightResolver::applyEquation(const spec::WeightEquation *equation,
                              const std::string &logical, const Scope &scope,
                              std::vector<const spec::WeightItem *> &skip) {
  SmallVector<spec::PathSegment> segments;
  if (!equation->path->isAbsolute)
    for (const spec::WeightFor *loop : scope.loops)
      if (loop->at)
        llvm::append_range(segments, loop->at->segments);
  llvm::append_range(segments, equation->path->segments);
  // The names of a part are those below its path.
  std::string own = scope.part && !scope.part->prefix.empty()
                        ? logical.substr(scope.part->prefix.size() + 1)
                        : logical;
  FailureOr<std::optional<Match>> found = match(segments, own, scope, {});
  if (failed(found) || !*found)
    return failed(found) ? FailureOr<std::optional<WeightTree>>(failure())
                         : std::optional<WeightTree>();
  FailureOr<bool> applies = isInLoops(**found, scope);
  if (succeeded(applies) && *applies && equation->condition)
    applies = holds(equation->condition, scope, (*found)->bindings);
  if (failed(applies))
    return failure();
  if (!*applies)
    return std::optional<WeightTree>();
  // Equations chain and never re-enter themselves.
  skip.push_back(equation);
  FailureOr<std::optional<WeightTree>> result = std::optional<WeightTree>();
  for (const spec::WeightExpr *alternative : equation->alternatives) {
    result = form(alternative, **found, scope, /*first=*/true, skip);
    // Without a checkpoint the form is one whose shapes can be told.
    bool isOpen = inventedType && succeeded(result) && *result &&
                  alternative != equation->alternatives.back() &&
                  !inventedSource(**result);
    if (failed(result) || (*result && !isOpen))
      break;
  }
  skip.pop_back();
  return result;
}

FailureOr<std::optional<WeightTree>>
WeightResolver::lookupItems(ArrayRef<const spec::WeightItem *> items,
                            const std::string &logical, const Scope &scope,
                            std::vector<const spec::WeightItem *> &skip) {
  for (const spec::WeightItem *item : items) {
    FailureOr<std::optional<WeightTree>> result = std::optional<WeightTree>();
    if (auto *equation = dyn_cast<spec::WeightEquation>(item)) {
      if (!llvm::is_contained(skip, item))
        result = applyEquation(equation, logical, scope, skip);
    } else if (auto *loop = dyn_cast<spec::WeightFor>(item)) {
      Scope inner = scope;
      inner.loops.push_back(loop);
      result = lookupItems(loop->items, logical, inner, skip);
    }
    if (failed(result) || *result)
      return result;
  }
  return std::optional<WeightTree>();
}

FailureOr<std::optional<WeightTree>>
WeightResolver::lookupIn(const std::string &logical, const Scope &scope,
                         std::vector<const spec::WeightItem *> &skip) {
  auto items = [&](ArrayRef<const spec::WeightItem *> list, Evaluator *owner,
                   FamilyInstance *part = nullptr) {
    return lookupItems(list, logical,
                       Scope{owner, scope.layer, scope.experts, {}, part},
                       skip);
  };
  for (FamilyInstance *instance : instancesOf(logical))
    for (const spec::FamilyDecl *decl : instance->family.getChain()) {
      if (!decl->weights)
        continue;
      auto result = items(decl->weights->items, evaluator, instance);
      if (failed(result) || *result)
        return result;
    }
  // Adapters know the names of the published implementation only.
  for (auto [container, owner] :
       llvm::zip_equal(containers, containerEvaluators))
    for (const spec::FamilyDecl *decl : container->getChain()) {
      if (!decl->weights || isInAdapter)
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
  return source(logical, scope);
}

FailureOr<std::optional<WeightTree>>
WeightResolver::lookup(const std::string &logical, std::optional<int64_t> layer,
                       int64_t experts) {
  std::vector<const spec::WeightItem *> skip;
  formSteps = 0;
  Scope scope{evaluator, layer, experts, {}};
  auto base = lookupIn(logical, scope, skip);
  if (failed(base) || !*base || !adapterUse)
    return base;
  formSteps = 0;
  isInAdapter = true;
  auto added = lookupIn(logical, scope, skip);
  isInAdapter = false;
  if (failed(added) || !*added)
    return failed(added) ? added : base;
  WeightTree tree;
  tree.kind = WeightTree::Kind::Adapted;
  tree.inputs = {std::move(**base), std::move(**added)};
  return std::optional(std::move(tree));
}

FailureOr<std::optional<WeightTree>>
WeightResolver::lookup(const Request &request, int64_t layer) {
  auto found = lookup(request.logical, layer, request.experts);
  // What a probe misses in one layer it misses in layers of the same kind.
  bool isMissed = probe && succeeded(found) && !*found &&
                  request.tree.kind == WeightTree::Kind::Source &&
                  request.tree.contents;
  if (!isMissed)
    return found;
  std::string name = withLayer(request.logical, layer);
  if (request.experts > 0)
    name = withExpert(name, 0);
  auto first = llvm::find_if(probe->missing, [&](const WantedWeight &weight) {
    return weight.logical == request.logical;
  });
  bool isNew = first != probe->missing.end() &&
               llvm::none_of(probe->missing, [&](const WantedWeight &weight) {
                 return weight.name == name;
               });
  if (isNew) {
    WantedWeight again = *first;
    again.name = name;
    probe->missing.push_back(std::move(again));
  }
  return std::optional(request.tree);
}

std::vector<FamilyInstance *>
WeightResolver::instancesOf(StringRef name) const {
  std::vector<FamilyInstance *> all, found;
  evaluator->getRoot().collect(all);
  // Parts come behind what they are parts of.
  for (FamilyInstance *instance : llvm::reverse(all)) {
    StringRef rest = name;
    if (instance->prefix.empty() ||
        (rest.consume_front(instance->prefix) && rest.starts_with(".")))
      found.push_back(instance);
  }
  return found;
}

const Family &WeightResolver::familyOf(const Scope &scope) {
  return scope.part ? scope.part->family : scope.evaluator->getRoot().family;
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

FailureOr<WeightTree> WeightResolver::resolve(const std::string &logical,
                                              std::optional<int64_t> layer,
                                              int64_t experts,
                                              ArrayRef<int64_t> expected,
                                              Location loc) {
  sought.clear();
  FailureOr<std::optional<WeightTree>> tree = lookup(logical, layer, experts);
  if (failed(tree))
    return failure();
  if (inventedType && *tree) {
    if (failed(invent(logical, **tree, layer, experts, expected, loc)))
      return failure();
  }
  std::string name = withLayer(logical, layer);
  if (!*tree && experts > 0)
    name = withExpert(name, 0);
  if (!*tree && probe) {
    probe->missing.push_back(
        {logical, name, probe->outer, probe->inner, experts});
    WeightTree invented = inventedSource(logical, experts, expected);
    requests.push_back({logical, experts, invented, loc});
    return invented;
  }
  if (!*tree)
    return emitError(loc) << "no tensor for weight '" << name
                          << "' in the checkpoint" << missingHint(name);
  markUsed(logical, **tree, layer, loc);
  const WeightTree &own =
      (*tree)->kind == WeightTree::Kind::Adapted ? (*tree)->inputs[0] : **tree;
  // A weight that an equation takes from elsewhere may also be in the file:
  // then the bits must agree.
  bool elsewhere = own.kind == WeightTree::Kind::Source && own.name != logical;
  if (elsewhere && rt::findTensor(published, name) &&
      used.try_emplace(name, loc).second)
    duplicates.push_back({name, withLayer(own.name, layer), loc});
  requests.push_back({logical, experts, **tree, loc});
  return **tree;
}

std::vector<WeightResolver::Duplicate> WeightResolver::getDuplicates() const {
  std::vector<Duplicate> unread;
  llvm::copy_if(duplicates, std::back_inserter(unread),
                [&](const Duplicate &one) {
                  return !wholes.contains(one.held) && !parts.count(one.held);
                });
  return unread;
}

void WeightResolver::markUsed(const std::string &logical,
                              const WeightTree &tree,
                              std::optional<int64_t> layer, Location loc) {
  markTensorsUsed(tree, layer, loc);
  if (tree.kind == WeightTree::Kind::Adapted)
    markAdapterUsed(tree.inputs[1], logical, layer, /*isPart=*/false);
}

void WeightResolver::markTensorsUsed(const WeightTree &tree,
                                     std::optional<int64_t> layer, Location loc,
                                     const WeightTree *slice) {
  if (tree.kind == WeightTree::Kind::Source)
    for (const std::string &name : tree.tensorNames(layer)) {
      used.try_emplace(name, loc);
      if (inventedType)
        invented.try_emplace(name, tree.shape);
      else if (slice)
        parts[name].push_back(slice->ranges);
      else
        wholes.insert(name);
    }
  const WeightTree *own =
      tree.kind == WeightTree::Kind::Slice ? &tree : nullptr;
  for (const WeightTree &input : tree.inputs)
    markTensorsUsed(input, layer, loc, own);
}
