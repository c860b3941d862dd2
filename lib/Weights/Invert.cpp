//===- Invert.cpp - From compiled weights back to published tensors -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights that are made in the same layers are looked at together: their
// functions become one graph in which equal ops are one op, so that the slices
// of a tensor meet at that tensor even if several weights take them. Then each
// source is recovered from what uses it, down to the weights.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Invert.h"

#include "lib/Weights/InvertOps.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace clade;

namespace {
/// Ops are equal if they compute the same from the same operands.
struct EqualOps : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *op) {
    return OperationEquivalence::computeHash(
        const_cast<Operation *>(op), OperationEquivalence::directHashValue,
        OperationEquivalence::ignoreHashValue,
        OperationEquivalence::IgnoreLocations);
  }
  static bool isEqual(const Operation *a, const Operation *b) {
    if (a == b || a == getEmptyKey() || a == getTombstoneKey() ||
        b == getEmptyKey() || b == getTombstoneKey())
      return a == b;
    return OperationEquivalence::isEquivalentTo(
        const_cast<Operation *>(a), const_cast<Operation *>(b),
        OperationEquivalence::IgnoreLocations);
  }
};

/// All weights that are made in the same layers, as one graph.
class WeightGraph {
public:
  explicit WeightGraph(Location loc) {
    OpBuilder builder(loc.getContext());
    function =
        wmap::FuncOp::create(builder, loc, "graph",
                             RankedTensorType::get({1}, builder.getF32Type()));
    function->getBody().emplaceBlock();
  }

  void add(const WeightUse &use) {
    Block &body = function->getBody().front();
    OpBuilder builder(function->getContext());
    builder.setInsertionPointToEnd(&body);
    IRMapping mapping;
    Block &from = use.function->getRegion(0).front();
    for (Operation &op : from.without_terminator()) {
      Operation *copy = builder.clone(op, mapping);
      auto [known, isNew] = ops.insert(copy);
      if (isNew)
        continue;
      mapping.map(op.getResults(), (*known)->getResults());
      copy->erase();
    }
    auto ret = cast<wmap::ReturnOp>(from.getTerminator());
    weights.try_emplace(mapping.lookup(ret.getValue()), compiledName(use));
  }

  auto sources() { return function->getBody().getOps<wmap::SourceOp>(); }

  /// The compiled weight that is this value, or nothing.
  std::optional<StringRef> weightOf(Value value) const {
    auto it = weights.find(value);
    return it == weights.end() ? std::nullopt
                               : std::optional<StringRef>(it->second);
  }

private:
  OwningOpRef<wmap::FuncOp> function;
  llvm::DenseSet<Operation *, EqualOps> ops;
  llvm::DenseMap<Value, std::string> weights;
};

/// Recovers values of a graph inside one function of the way back.
class Recovery {
public:
  Recovery(const WeightGraph &graph, OpBuilder &builder, bool mayRound)
      : graph(graph), builder(builder), mayRound(mayRound) {}

  /// The value, made from compiled weights; null if some step loses it. Then
  /// `getReason` tells which.
  Value recover(Value value);
  StringRef getReason() const { return reason; }

private:
  Value compute(Value value);
  Value fromSlices(Value value);
  void lose(const Twine &why) {
    if (reason.empty())
      reason = why.str();
  }

  const WeightGraph &graph;
  OpBuilder &builder;
  bool mayRound;
  llvm::DenseMap<Value, Value> known;
  std::string reason;
};
} // namespace

Value Recovery::recover(Value value) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  Value recovered = compute(value);
  known[value] = recovered;
  return recovered;
}

Value Recovery::compute(Value value) {
  if (std::optional<StringRef> weight = graph.weightOf(value))
    return wmap::SourceOp::create(builder, value.getLoc(), value.getType(),
                                  *weight, /*encoding=*/StringAttr(),
                                  /*stack=*/IntegerAttr());
  for (OpOperand &use : value.getUses()) {
    if (isa<wmap::SliceOp, wmap::ShardOp>(use.getOwner()))
      continue;
    if (std::optional<std::string> why = lossOf(use.getOwner(), mayRound)) {
      lose(*why);
      continue;
    }
    if (Value result = recover(use.getOwner()->getResult(0)))
      return invertOp(builder, use, result);
  }
  return fromSlices(value);
}

/// Puts slices that cover an axis one behind the other, or zeros behind one
/// that says so.
Value Recovery::fromSlices(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  for (Operation *user : value.getUsers()) {
    auto slice = dyn_cast<wmap::SliceOp>(user);
    if (!slice || !slice->hasAttr(paddingAttr) || slice.getAxis() != 0)
      continue;
    if (type.getDimSize(0) > maxPaddedRows)
      lose("zeros are put behind at most " + Twine(maxPaddedRows) + " rows");
    else if (Value part = recover(slice.getResult()))
      return padRows(builder, value.getLoc(), part, type);
  }
  for (int64_t axis = 0; axis < type.getRank(); ++axis) {
    llvm::SmallVector<std::pair<int64_t, Value>> slices; // With their begins.
    auto add = [&](auto slice) {
      if (slice && static_cast<int64_t>(slice.getAxis()) == axis)
        slices.emplace_back(slice.getBegin(), slice.getResult());
    };
    for (Operation *user : value.getUsers()) {
      add(dyn_cast<wmap::SliceOp>(user));
      add(dyn_cast<wmap::ShardOp>(user));
    }
    llvm::stable_sort(slices, llvm::less_first());
    SmallVector<Value> parts;
    int64_t end = 0;
    for (auto [begin, slice] : slices) {
      if (begin != end)
        continue; // It covers what is covered, or leaves a gap behind.
      Value part = recover(slice);
      if (!part)
        continue;
      parts.push_back(part);
      end += cast<RankedTensorType>(part.getType()).getDimSize(axis);
    }
    if (end == type.getDimSize(axis))
      return parts.size() == 1
                 ? parts.front()
                 : wmap::ConcatOp::create(builder, value.getLoc(), type, parts,
                                          builder.getI64IntegerAttr(axis))
                       .getResult();
    if (!slices.empty())
      lose("the weights hold " + Twine(end) + " of " +
           Twine(type.getDimSize(axis)) + " along axis " + Twine(axis));
  }
  return {};
}

std::string clade::compiledName(const WeightUse &use) {
  std::string name = wmap::FuncOp(use.function).getSymName().str();
  if (use.isInLayers() && !StringRef(name).contains(layerPlaceholder))
    name += "@{layer}";
  return name;
}

/// Adds the function of one tensor, or of the tensors of one name in several
/// layers. `expert` is its number in a stacked source, or negative.
static void invertSource(WeightGraph &graph, wmap::SourceOp source,
                         int64_t expert, ArrayRef<int64_t> layers,
                         bool mayRound, llvm::StringSet<> &given,
                         InverseWeights &inverse) {
  std::string name = source.getName().str();
  if (expert >= 0)
    name = withExpert(name, expert);
  WeightUse use;
  // A tensor that is not one of each layer comes back once, from the first.
  bool isLayered = StringRef(name).contains(layerPlaceholder);
  for (int64_t layer : isLayered ? layers : layers.take_front()) {
    std::string tensor = withLayer(
        name, layer < 0 ? std::nullopt : std::optional<int64_t>(layer));
    if (!given.insert(tensor).second)
      continue; // Another weight gave it already.
    use.slots.push_back(inverse.tensors.size());
    use.layers.push_back(layer);
    inverse.tensors.push_back(tensor);
  }
  if (use.slots.empty())
    return;
  OpBuilder builder(source.getContext());
  builder.setInsertionPointToEnd(inverse.module->getBody());
  Location loc = source.getLoc();
  auto type = source.getResult().getType();
  if (expert >= 0)
    type = RankedTensorType::get(type.getShape().drop_front(),
                                 type.getElementType());
  std::string symbol = name;
  for (int copy = 1; inverse.module->lookupSymbol(symbol); ++copy)
    symbol = name + "~" + std::to_string(copy);
  use.function = wmap::FuncOp::create(builder, loc, symbol, type);
  builder.setInsertionPointToEnd(&use.function.getBody().emplaceBlock());
  Recovery recovery(graph, builder, mayRound);
  Value value;
  std::string reason;
  if (source.getEncoding()) {
    reason = ("blocks of " + *source.getEncoding() + " are dequantised").str();
  } else {
    value = recovery.recover(source.getResult());
    reason = recovery.getReason();
  }
  if (value && expert >= 0)
    value = pickFirst(builder, loc, value, expert);
  if (value) {
    wmap::ReturnOp::create(builder, loc, value);
    inverse.uses.push_back(std::move(use));
    return;
  }
  use.function.erase();
  for (size_t slot : use.slots)
    given.erase(inverse.tensors[slot]);
  inverse.tensors.resize(inverse.tensors.size() - use.slots.size());
  WeightLoss loss{source.getName().str(), reason};
  if (!llvm::is_contained(inverse.losses, loss))
    inverse.losses.push_back(std::move(loss));
}

InverseWeights clade::invertWeights(ModuleOp module, const SlotTable &slots,
                                    bool mayRound) {
  InverseWeights inverse;
  inverse.module = ModuleOp::create(module.getLoc());
  llvm::MapVector<SmallVector<int64_t>, SmallVector<WeightUse>> groups;
  for (WeightUse &use : collectUses(module, slots))
    groups[use.layers].push_back(use);
  llvm::StringSet<> given;
  for (auto &[layers, uses] : groups) {
    WeightGraph graph(module.getLoc());
    for (const WeightUse &use : uses)
      graph.add(use);
    for (wmap::SourceOp source : graph.sources()) {
      int64_t count = source.getStack().value_or(0);
      if (count == 0)
        invertSource(graph, source, -1, layers, mayRound, given, inverse);
      for (int64_t expert = 0; expert < count; ++expert)
        invertSource(graph, source, expert, layers, mayRound, given, inverse);
    }
  }
  return inverse;
}
