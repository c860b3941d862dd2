//===- Shard.cpp - What each of several devices holds ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Shard.h"

#include "lib/Weights/ShardAxes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace clade;

static constexpr StringLiteral layersAttr = "layers";
static constexpr int64_t maxRanks = 1 << 20;

//===----------------------------------------------------------------------===//
// The mesh
//===----------------------------------------------------------------------===//

std::optional<std::string> Mesh::parse(StringRef text, Mesh &mesh) {
  SmallVector<StringRef> entries;
  text.split(entries, ',');
  llvm::StringSet<> seen;
  for (StringRef entry : entries) {
    auto [key, number] = entry.split('=');
    int64_t *field = llvm::StringSwitch<int64_t *>(key)
                         .Case("tp", &mesh.tensor)
                         .Case("ep", &mesh.expert)
                         .Case("pp", &mesh.pipeline)
                         .Case("rank", &mesh.rank)
                         .Default(nullptr);
    if (!field || !seen.insert(key).second || number.getAsInteger(10, *field))
      return ("expected numbers such as tp=2,ep=1,pp=1,rank=0, got '" + entry +
              "'")
          .str();
  }
  return mesh.check();
}

std::optional<std::string> Mesh::check() const {
  for (auto [key, count] : {std::pair<const char *, int64_t>{"tp", tensor},
                            {"ep", expert},
                            {"pp", pipeline}})
    if (count < 1 || count > maxRanks)
      return (llvm::Twine(key) + "=" + llvm::Twine(count) + ": expected 1 to " +
              llvm::Twine(maxRanks) + " devices")
          .str();
  if (tensor > maxRanks / expert || tensor * expert > maxRanks / pipeline)
    return ("expected at most " + llvm::Twine(maxRanks) + " devices").str();
  if (rank < 0 || rank >= numRanks())
    return ("rank=" + llvm::Twine(rank) + ": expected one of " +
            llvm::Twine(numRanks()) + " devices, 0 to " +
            llvm::Twine(numRanks() - 1))
        .str();
  return std::nullopt;
}

int64_t AxisCut::size() const {
  int64_t sum = 0;
  for (auto [begin, size] : parts)
    sum += size;
  return sum;
}

//===----------------------------------------------------------------------===//
// Which stage has a weight
//===----------------------------------------------------------------------===//

/// The stages that the entries use a parameter in.
static llvm::SmallDenseSet<int64_t> stagesOf(ModuleOp module, StringRef name,
                                             int64_t stages) {
  llvm::SmallDenseSet<int64_t> found;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr(entryAttr))
      continue;
    auto layers = llvm::to_vector(function.getOps<LayersOp>());
    function.walk([&](ParamOp param) {
      if (param.getName() != name)
        return;
      for (Operation *user : param->getUsers()) {
        // What comes before the layers, or makes an image's features, is the
        // first stage's.
        Operation *place =
            function.getBody().front().findAncestorOpInBlock(*user);
        bool isFirst = function.getSymName() != "forward" || layers.empty() ||
                       (place && place->isBeforeInBlock(layers.back()));
        found.insert(isFirst ? 0 : stages - 1);
      }
    });
  }
  return found;
}

/// The stage of each row of the schedules that is one of text.
static SmallVector<int64_t>
stagesOfLayers(ModuleOp module, const SlotTable &slots, int64_t stages) {
  SmallVector<int64_t> result(slots.layers.size(), 0);
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward)
    return result;
  forward.walk([&](LayersOp op) {
    auto schedule = module.lookupSymbol<ScheduleOp>(op.getSchedule());
    int64_t first = slots.firstLayer.lookup(op.getSchedule()),
            count = schedule.getRows().size();
    // The first stages have one more where they do not divide.
    for (int64_t stage = 0, layer = 0; stage < stages; ++stage)
      for (int64_t i = 0; i < count / stages + (stage < count % stages); ++i)
        result[first + layer++] = stage;
  });
  return result;
}

//===----------------------------------------------------------------------===//
// Where a weight is cut
//===----------------------------------------------------------------------===//

namespace {
/// One of equal devices.
struct Share {
  int64_t rank, count;
};
} // namespace

/// The part of a stretch of `part.count` things that a device holds, in things.
static std::optional<std::pair<int64_t, int64_t>> shareOf(const AxisPart &part,
                                                          Share share) {
  if (part.count == 0)
    return std::make_pair(int64_t(0), int64_t(1));
  if (part.count % share.count == 0) {
    int64_t size = part.count / share.count;
    return std::make_pair(share.rank * size, size);
  }
  // Each head of keys and values serves whole groups of queries: devices that
  // have a part of such a group have the same head.
  if (part.name == "kv_heads" && share.count % part.count == 0)
    return std::make_pair(share.rank / (share.count / part.count), int64_t(1));
  // Rows of tokens need not be as many on each device.
  if (part.name == "vocab" && part.count > share.count) {
    int64_t size = part.count / share.count, rest = part.count % share.count;
    return std::make_pair(share.rank * size + std::min(share.rank, rest),
                          size + (share.rank < rest));
  }
  return std::nullopt;
}

/// Appends a part; one that begins where the last ends makes it longer.
static void append(AxisCut &cut, int64_t begin, int64_t size) {
  if (!cut.parts.empty() &&
      cut.parts.back().first + cut.parts.back().second == begin)
    cut.parts.back().second += size;
  else
    cut.parts.emplace_back(begin, size);
}

/// The axis of the function's value that a named axis is the outermost of, and
/// the elements along it of each step. Nothing if it lies inside another.
static std::optional<std::pair<int64_t, int64_t>>
placeOf(NamedTensorType named, ArrayRef<int64_t> shape, int64_t axis) {
  int64_t dim = 0, before = 1;
  for (int64_t i = 0; i < axis; ++i) {
    before *= named.getShape()[i];
    while (dim < static_cast<int64_t>(shape.size()) && before == shape[dim] &&
           before > 1) {
      before = 1;
      ++dim;
    }
  }
  // Axes of one element lie nowhere.
  while (dim < static_cast<int64_t>(shape.size()) && shape[dim] == 1 &&
         named.getShape()[axis] > 1)
    ++dim;
  if (before != 1 || dim == static_cast<int64_t>(shape.size()) ||
      shape[dim] % named.getShape()[axis] != 0)
    return std::nullopt;
  return std::make_pair(dim, shape[dim] / named.getShape()[axis]);
}

namespace {
/// Plans the cuts of one weight.
class ShardPlanner {
public:
  ShardPlanner(ParamOp param, wmap::FuncOp function, const Mesh &mesh)
      : param(param), function(function), mesh(mesh),
        named(param.getResult().getType()),
        shape(cast<RankedTensorType>(function.getResultType()).getShape()) {}

  LogicalResult plan(WeightShard &shard) {
    int64_t first = 0;
    if (isOfExperts()) {
      first = 1;
      if (mesh.expert > 1 &&
          failed(cut(0, {{named.getShape()[0], "experts", named.getShape()[0]}},
                     {mesh.expertRank(), mesh.expert}, shard)))
        return failure();
    }
    if (mesh.tensor == 1)
      return success();
    for (int64_t axis = first; axis < named.getRank(); ++axis) {
      SmallVector<AxisPart> parts = partsOfWeight(param, axis);
      if (llvm::none_of(parts, [](const AxisPart &p) { return p.count > 0; }))
        continue;
      if (failed(cut(axis, parts, {mesh.tensorRank(), mesh.tensor}, shard)))
        return failure();
      shard.isSummed = isContracted(axis);
      return success();
    }
    return success();
  }

private:
  bool isOfExperts() {
    return llvm::any_of(param->getUsers(), [&](Operation *user) {
      auto linear = dyn_cast<ExpertLinearOp>(user);
      return linear && (linear.getWeight() == param.getResult() ||
                        linear.getBias() == param.getResult());
    });
  }

  /// Whether an axis is one of those that a product takes away.
  bool isContracted(int64_t axis) {
    for (Operation *user : param->getUsers()) {
      int64_t rows = 1;
      if (auto linear = dyn_cast<LinearOp>(user);
          linear && linear.getWeight() == param.getResult())
        rows = linear.getNumOutputs();
      else if (auto linear = dyn_cast<ExpertLinearOp>(user);
               linear && linear.getWeight() == param.getResult())
        rows = linear.getNumOutputs() * linear.getNumExperts();
      else if (auto embed = dyn_cast<EmbedOp>(user))
        return axis == 0; // Other rows count as zero.
      else
        continue;
      int64_t before = 1;
      for (int64_t size : named.getShape().take_front(axis))
        before *= size;
      return before >= rows;
    }
    return false;
  }

  LogicalResult cut(int64_t axis, ArrayRef<AxisPart> parts, Share share,
                    WeightShard &shard) {
    auto place = placeOf(named, shape, axis);
    if (!place)
      return success(); // Inside another axis: each device has all of it.
    AxisCut result;
    result.axis = place->first;
    llvm::SmallVector<StringRef> names;
    int64_t begin = 0;
    for (const AxisPart &part : parts) {
      auto own = shareOf(part, share);
      if (!own)
        return emitError(param.getLoc())
               << "axis '" << part.name << "' of weight '"
               << function.getSymName() << "' has " << part.count << ", which "
               << share.count << " devices cannot share equally";
      int64_t step = part.count ? part.size / part.count : part.size;
      append(result, (begin + own->first * step) * place->second,
             own->second * step * place->second);
      if (part.count && !llvm::is_contained(names, part.name))
        names.push_back(part.name);
      begin += part.size;
    }
    result.name = llvm::join(names, "+");
    shard.cuts.push_back(std::move(result));
    return success();
  }

  ParamOp param;
  wmap::FuncOp function;
  const Mesh &mesh;
  NamedTensorType named;
  ArrayRef<int64_t> shape;
};
} // namespace

FailureOr<SmallVector<WeightShard>>
clade::planShards(ModuleOp module, const SlotTable &slots, const Mesh &mesh) {
  llvm::StringMap<ParamOp> params;
  module.walk(
      [&](ParamOp param) { params.try_emplace(param.getName(), param); });
  SmallVector<int64_t> stages = stagesOfLayers(module, slots, mesh.pipeline);
  if (mesh.pipeline > 1 && !llvm::is_contained(stages, mesh.pipelineRank()))
    return emitError(module.getLoc())
           << "stage " << mesh.pipelineRank() << " of " << mesh.pipeline
           << " has no layers";
  // Which layers of a weight are of this stage, by slot.
  llvm::DenseMap<int64_t, int64_t> stageOfSlot;
  for (auto [layer, stage] : llvm::zip_equal(slots.layers, stages))
    for (size_t i = 0; i < slots.kinds[layer.kind].params.size(); ++i)
      stageOfSlot[layer.firstWeight + i] = stage;
  SmallVector<WeightShard> shards;
  for (const WeightUse &use : collectUses(module, slots)) {
    WeightShard shard;
    shard.function = use.function;
    for (auto [slot, layer] : llvm::zip_equal(use.slots, use.layers)) {
      bool isOwn = layer < 0 ? stagesOf(module, shard.function.getSymName(),
                                        mesh.pipeline)
                                   .contains(mesh.pipelineRank())
                             : stageOfSlot.lookup(slot) == mesh.pipelineRank();
      if (isOwn)
        shard.layers.push_back(layer);
    }
    if (shard.layers.empty())
      continue;
    ParamOp param = params.lookup(shard.function.getSymName());
    if (failed(ShardPlanner(param, shard.function, mesh).plan(shard)))
      return failure();
    shards.push_back(std::move(shard));
  }
  return shards;
}

//===----------------------------------------------------------------------===//
// Cutting
//===----------------------------------------------------------------------===//

/// The parts of a cut of a value, joined.
static Value emitCut(OpBuilder &builder, Location loc, Value value,
                     const AxisCut &cut) {
  auto whole = cast<RankedTensorType>(value.getType());
  auto typeOf = [&](int64_t size) {
    SmallVector<int64_t> shape(whole.getShape());
    shape[cut.axis] = size;
    return RankedTensorType::get(shape, whole.getElementType());
  };
  IntegerAttr axis = builder.getI64IntegerAttr(cut.axis);
  int64_t extent = whole.getShape()[cut.axis];
  SmallVector<Value> parts;
  for (auto [begin, size] : cut.parts) {
    if (cut.parts.size() == 1 && extent % size == 0 && begin % size == 0)
      return wmap::ShardOp::create(builder, loc, typeOf(size), value, axis,
                                   builder.getI64IntegerAttr(begin / size),
                                   builder.getI64IntegerAttr(extent / size));
    parts.push_back(wmap::SliceOp::create(builder, loc, typeOf(size), value,
                                          axis,
                                          builder.getI64IntegerAttr(begin)));
  }
  if (parts.size() == 1)
    return parts.front();
  return wmap::ConcatOp::create(builder, loc, typeOf(cut.size()), parts, axis);
}

void clade::applyShards(ModuleOp module, ArrayRef<WeightShard> shards) {
  llvm::DenseMap<Operation *, const WeightShard *> kept;
  for (const WeightShard &shard : shards)
    kept[wmap::FuncOp(shard.function)] = &shard;
  for (Operation &op : llvm::make_early_inc_range(*module.getBody())) {
    const WeightShard *shard = kept.lookup(&op);
    if (!shard) {
      op.erase();
      continue;
    }
    auto function = cast<wmap::FuncOp>(op);
    auto end = cast<wmap::ReturnOp>(function.getBody().front().getTerminator());
    OpBuilder builder(end);
    Value value = end.getValue();
    for (const AxisCut &cut : shard->cuts)
      value = emitCut(builder, function.getLoc(), value, cut);
    end.getValueMutable().assign(value);
    function.setResultTypeAttr(TypeAttr::get(value.getType()));
    if (!llvm::is_contained(shard->layers, -1))
      function->setAttr(layersAttr,
                        builder.getDenseI64ArrayAttr(shard->layers));
  }
}

SmallVector<WeightUse> clade::collectShardUses(ModuleOp module) {
  SmallVector<WeightUse> uses;
  int64_t slot = 0;
  for (auto function : module.getOps<wmap::FuncOp>()) {
    WeightUse use;
    use.function = function;
    if (auto layers = function->getAttrOfType<DenseI64ArrayAttr>(layersAttr))
      use.layers.assign(layers.asArrayRef().begin(), layers.asArrayRef().end());
    else
      use.layers.push_back(-1);
    for (size_t i = 0; i < use.layers.size(); ++i)
      use.slots.push_back(slot++);
    uses.push_back(std::move(use));
  }
  return uses;
}

//===----------------------------------------------------------------------===//
// What is read
//===----------------------------------------------------------------------===//

/// Elements of `value` that are read, if slices of it are.
static int64_t elementsRead(Value value) {
  int64_t whole = cast<RankedTensorType>(value.getType()).getNumElements();
  int64_t read = 0;
  for (Operation *user : value.getUsers()) {
    auto slice = dyn_cast<wmap::SliceOp>(user);
    if (!slice)
      return whole;
    read += elementsRead(slice.getResult());
  }
  return std::min(read, whole);
}

SmallVector<SourceRead> clade::readsOf(wmap::FuncOp function) {
  llvm::MapVector<StringRef, SourceRead> reads;
  function.walk([&](wmap::SourceOp source) {
    SourceRead &read = reads[source.getName()];
    read.name = source.getName().str();
    read.stack = source.getStack().value_or(0);
    read.total = source.getResult().getType().getNumElements();
    read.elements =
        std::min(read.total, read.elements + elementsRead(source.getResult()));
  });
  SmallVector<SourceRead> result;
  for (auto &[name, read] : reads)
    result.push_back(std::move(read));
  return result;
}
