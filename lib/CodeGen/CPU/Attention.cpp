//===- Attention.cpp - Attention over paged keys and values ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Plans tiles and deals them out to threads. A tile never crosses a sequence,
// and which thread computes it does not change its arithmetic.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Attention.h"

#include "lib/CodeGen/CPU/AttentionTile.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "runtime/include/clade/abi.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;

namespace clade::cpu {

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

static int64_t maxTileRows(const Target &target, const AttentionShape &shape) {
  // What is made of values serves all rows.
  if (hasTilesOfAttention(target, shape))
    return 64;
  return target.width == 16 ? 32 : 16;
}

/// Rows of the sums of values that fit the registers beside a few columns.
static int64_t maxRowBlock(const Target &target) {
  return target.accumulators >= 16 ? 8 : 4;
}

static TilePlan packedTile(const Target &target, int64_t heads,
                           int64_t tokens) {
  TilePlan plan;
  plan.form = TilePlan::Form::Packed;
  plan.heads = heads;
  plan.tokens = tokens;
  plan.rows = llvm::alignTo(plan.tokens * heads, target.width);
  int64_t vectors = plan.rows / target.width;
  plan.keyBlock = llvm::bit_floor(static_cast<uint64_t>(
      std::max<int64_t>(1, target.accumulators / vectors)));
  plan.keyBlock = std::min<int64_t>(plan.keyBlock, CLADE_PAGE_TOKENS);
  plan.rowBlock = std::min(plan.rows, maxRowBlock(target));
  return plan;
}

static TilePlan singleTile(const Target &target, int64_t heads) {
  TilePlan plan;
  plan.form = TilePlan::Form::Dot;
  plan.heads = heads;
  plan.tokens = 1;
  plan.rows = llvm::PowerOf2Ceil(heads);
  plan.keyBlock = std::max<int64_t>(1, target.width / plan.rows);
  plan.rowBlock = std::min(plan.rows, maxRowBlock(target));
  return plan;
}

AttentionPlan AttentionPlan::of(const Target &target,
                                const AttentionShape &shape) {
  // Beyond this many heads the lanes of the packed form are filled well.
  constexpr int64_t maxDotHeads = 8;
  // One row of latents for all heads is one task: its heads are shared out,
  // as far as they fill a vector, so that as many cores have one.
  constexpr int64_t enoughTasks = 16;
  int64_t group = shape.qHeads / shape.kvHeads;
  AttentionPlan plan;
  int64_t mostRows = maxTileRows(target, shape);
  plan.headParts = llvm::divideCeil(group, mostRows);
  while (shape.hasSharedRows && shape.kvHeads * plan.headParts < enoughTasks &&
         group >= 2 * plan.headParts * target.width)
    plan.headParts *= 2;
  int64_t heads = llvm::divideCeil(group, plan.headParts);
  int64_t tokens = std::max<int64_t>(1, mostRows / heads);
  plan.full = packedTile(target, heads, tokens);
  if (hasTilesOfAttention(target, shape)) {
    plan.full.usesTiles = true;
    plan.full.keyBlock = CLADE_PAGE_TOKENS;
  }
  if (heads <= maxDotHeads)
    plan.single = singleTile(target, heads);
  else if ((shape.hasSharedRows || plan.full.usesTiles) && tokens > 1)
    plan.single = packedTile(target, heads, 1);
  return plan;
}

ScratchLayout::ScratchLayout(const Target &target,
                             const AttentionShape &shape) {
  int64_t rows = maxTileRows(target, shape);
  int64_t maxChunk = 2 * target.width;
  sums = queries + 4 * rows * llvm::alignTo(shape.keySize, maxChunk);
  positions = sums + 4 * rows * llvm::alignTo(shape.valueSize, maxChunk);
  inverses = positions + 4 * rows;
  sinks = inverses + 4 * rows;
  slopes = sinks + 4 * rows;
  mixed = slopes + 4 * rows;
  scores = mixed;
  if (hasTilesOfAttention(target, shape))
    scores += mixedPages * mixedBytesOfPage(shape);
}

/// Positions are 32 bits wide: a wider window is none.
static std::optional<int64_t> finiteWindow(const AttentionShape &shape) {
  if (shape.window && *shape.window > std::numeric_limits<int32_t>::max())
    return std::nullopt;
  return shape.window;
}

AttentionScratch attentionScratch(const Target &target,
                                  const AttentionShape &shape) {
  TilePlan plan = AttentionPlan::of(target, shape).full;
  AttentionScratch scratch;
  scratch.bytesPerToken = 4 * plan.rows;
  // Scores begin with a page and end with a block of keys.
  scratch.fixedBytes = ScratchLayout(target, shape).scores +
                       scratch.bytesPerToken * 2 * CLADE_PAGE_TOKENS;
  if (std::optional<int64_t> window = finiteWindow(shape))
    scratch.maxTokens = *window + plan.tokens;
  return scratch;
}

int64_t attentionScratchBytes(const Target &target, const AttentionShape &shape,
                              int64_t contextTokens) {
  AttentionScratch scratch = attentionScratch(target, shape);
  int64_t tokens = contextTokens;
  if (scratch.maxTokens)
    tokens = std::min(tokens, *scratch.maxTokens);
  return scratch.fixedBytes + scratch.bytesPerToken * tokens;
}

int64_t attentionSliceBytes(const Target &target, const AttentionShape &shape) {
  if (!hasSlices(shape))
    return 0;
  AttentionPlan plan = AttentionPlan::of(target, shape);
  return shape.kvHeads * plan.headParts * maxSlices *
         SliceLayout(target, shape, plan.one()).bytes;
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

Values emitLoop(OpBuilder &builder, Location loc, Value lower, Value upper,
                int64_t step, ValueRange carried,
                llvm::function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(builder, loc, lower, upper,
                                 emitIndex(builder, loc, step), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(builder, loc, next);
  return Values(loop.getResults());
}

namespace {

/// Walks the tiles of a step and emits those tasks of each that `thread` owns.
class AttentionEmitter {
public:
  AttentionEmitter(OpBuilder &builder, Location loc, const Target &target,
                   const AttentionShape &shape, Value step,
                   const AttentionValues &call)
      : builder(builder), loc(loc), target(target), shape(shape),
        plan(AttentionPlan::of(target, shape)), step(step), call(call) {
    this->shape.window = finiteWindow(shape);
    StepView view(builder, loc, step);
    numTokens = emitToIndex(builder, loc, view.numTokens());
    sequenceOf = view.sequenceOf();
  }

  void emit(Value thread, Value numThreads);

private:
  Value index(int64_t value) { return emitIndex(builder, loc, value); }
  Value add(Value a, Value b) { return emitAdd(builder, loc, a, b); }
  Value sequenceAt(Value token);
  Value countTokens(Value first, Value sequence);
  Slices slicesOf(const Tile &tile);
  Value emitTiles(Value thread, Value numThreads, bool joins);
  void emitTask(Tile tile, Value task);
  void emitJoin(Tile tile, Value task);
  void setHeads(Tile &tile, Value task);
  void emitTile(const Tile &tile);
  int64_t tasksOfTile() const { return shape.kvHeads * plan.headParts; }

  OpBuilder &builder;
  Location loc;
  const Target &target;
  AttentionShape shape;
  AttentionPlan plan;
  Value step;
  const AttentionValues &call;
  Value numTokens, sequenceOf;
};

} // namespace

Value AttentionEmitter::sequenceAt(Value token) {
  return emitLoad(builder, loc, builder.getI32Type(), sequenceOf, token);
}

/// The tokens of the tile that begins at `first`: those of its sequence, which
/// are adjacent, as far as they fit.
Value AttentionEmitter::countTokens(Value first, Value sequence) {
  Value end = arith::MinSIOp::create(
      builder, loc, add(first, index(plan.full.tokens)), numTokens);
  Value one = index(1);
  auto count = [&](Value token, ValueRange carried) -> Values {
    Value same = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       sequenceAt(token), sequence);
    Value next = add(carried[0], one);
    return {arith::SelectOp::create(builder, loc, same, next, carried[0])};
  };
  return emitLoop(builder, loc, add(first, one), end, 1, one, count)[0];
}

/// The slices of the context of a tile; one, unless its token is the only one
/// of its sequence: there is memory for one such token.
Slices AttentionEmitter::slicesOf(const Tile &tile) {
  Value one = index(1), pageTokens = index(CLADE_PAGE_TOKENS);
  Value last = emitToIndex(builder, loc,
                           emitLoad(builder, loc, builder.getI32Type(),
                                    call.positions, tile.firstToken));
  Value end = add(last, one), first = index(0);
  if (shape.window)
    first = arith::MaxSIOp::create(
        builder, loc,
        arith::SubIOp::create(builder, loc, end, index(*shape.window)), first);
  Value pages = arith::SubIOp::create(
      builder, loc, emitCeilDiv(builder, loc, end, pageTokens),
      arith::DivUIOp::create(builder, loc, first, pageTokens));
  Value ofSlice = arith::MaxUIOp::create(
      builder, loc, emitCeilDiv(builder, loc, pages, index(maxSlices)),
      index(minSlicePages));
  auto firstTokenOf = [&](Value sequence) -> Value {
    return emitLoad(builder, loc, builder.getI32Type(), call.firstTokens,
                    sequence);
  };
  Value next = arith::SubIOp::create(
      builder, loc,
      emitToIndex(builder, loc, firstTokenOf(add(tile.sequence, one))), one);
  Value isAlone = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::eq, next,
      emitToIndex(builder, loc, firstTokenOf(tile.sequence)));
  auto select = [&](Value a, Value b) -> Value {
    return arith::SelectOp::create(builder, loc, isAlone, a, b);
  };
  // Otherwise all pages, at most as many as there can be positions.
  Slices slices{select(emitCeilDiv(builder, loc, pages, ofSlice), one),
                select(ofSlice, index(std::numeric_limits<int32_t>::max())),
                {}};
  slices.areSeveral = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ugt, slices.count, one);
  return slices;
}

void AttentionEmitter::emitTile(const Tile &tile) {
  auto emitAs = [&](const TilePlan &form, const Tile &tile) {
    TileEmitter(builder, loc, target, shape, form, call, tile).emit();
  };
  if (!plan.single)
    return emitAs(plan.full, tile);
  Value isSingle = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                         tile.tokens, index(1));
  auto branch = scf::IfOp::create(builder, loc, isSingle,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  emitAs(*plan.single, tile);
  builder.setInsertionPointToStart(branch.elseBlock());
  Tile whole = tile;
  whole.slices.reset();
  emitAs(plan.full, whole);
}

/// The heads of task `task` of a tile: one key/value head, and a part of its
/// query heads; and where the slice, or the first of them, leaves what it has.
void AttentionEmitter::setHeads(Tile &tile, Value task) {
  int64_t group = shape.qHeads / shape.kvHeads;
  Value parts = index(plan.headParts);
  Value heads = index(plan.full.heads);
  Value part = arith::RemUIOp::create(builder, loc, task, parts);
  Value firstOfPart = emitMul(builder, loc, part, heads);
  Value left = arith::SubIOp::create(builder, loc, index(group), firstOfPart);
  tile.kvHead = arith::DivUIOp::create(builder, loc, task, parts);
  tile.heads = arith::MinSIOp::create(builder, loc, left, heads);
  tile.firstQueryHead =
      add(emitMul(builder, loc, tile.kvHead, index(group)), firstOfPart);
  if (!tile.slices)
    return;
  Value before = emitMul(builder, loc, tile.sequence, index(tasksOfTile())),
        number = emitMul(builder, loc, add(before, task), index(maxSlices));
  if (tile.slice)
    number = add(number, tile.slice);
  int64_t bytes = SliceLayout(target, shape, plan.one()).bytes;
  tile.partOfSlice = emitAddress(builder, loc, call.slices, builder.getI8Type(),
                                 emitMul(builder, loc, number, index(bytes)));
}

/// Task `task` of a tile: heads, and one of the slices.
void AttentionEmitter::emitTask(Tile tile, Value task) {
  if (tile.slices) {
    tile.slice = arith::RemUIOp::create(builder, loc, task, tile.slices->count);
    task = arith::DivUIOp::create(builder, loc, task, tile.slices->count);
  }
  setHeads(tile, task);
  emitTile(tile);
}

void AttentionEmitter::emitJoin(Tile tile, Value task) {
  setHeads(tile, task);
  TileEmitter(builder, loc, target, shape, plan.one(), call, tile).emitJoin();
}

/// Walks all tiles, and emits those tasks of each that are `thread`'s: to
/// attend, or to join slices. Returns whether a tile has several (i1).
Value AttentionEmitter::emitTiles(Value thread, Value numThreads, bool joins) {
  // `turn` is the thread that takes the first task of the next tile.
  Value zero = index(0);
  Value no =
      arith::ConstantOp::create(builder, loc, builder.getBoolAttr(false));
  SmallVector<Type> types{builder.getIndexType(), builder.getIndexType(),
                          builder.getI1Type()};
  SmallVector<Location> locs(types.size(), loc);
  auto loop =
      scf::WhileOp::create(builder, loc, types, ValueRange{zero, zero, no});
  OpBuilder::InsertionGuard guard(builder);
  Block *before = builder.createBlock(&loop.getBefore(), {}, types, locs);
  Value more = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                     before->getArgument(0), numTokens);
  scf::ConditionOp::create(builder, loc, more, before->getArguments());

  Block *after = builder.createBlock(&loop.getAfter(), {}, types, locs);
  Value turn = after->getArgument(1), sliced = after->getArgument(2);
  Tile tile;
  tile.firstToken = after->getArgument(0);
  Value sequence = sequenceAt(tile.firstToken);
  tile.sequence = emitToIndex(builder, loc, sequence);
  tile.tokens = countTokens(tile.firstToken, sequence);
  Value tasks = index(tasksOfTile());
  if (hasSlices(shape)) {
    tile.slices = slicesOf(tile);
    Value isCut = tile.slices->areSeveral;
    sliced = arith::OrIOp::create(builder, loc, sliced, isCut);
    tasks = joins ? arith::SelectOp::create(builder, loc, isCut, tasks, zero)
                        .getResult()
                  : emitMul(builder, loc, tasks, tile.slices->count);
  }
  Value distance =
      arith::SubIOp::create(builder, loc, add(thread, numThreads), turn);
  Value firstTask = arith::RemUIOp::create(builder, loc, distance, numThreads);
  auto owned = scf::ForOp::create(builder, loc, firstTask, tasks, numThreads);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(owned.getBody());
    if (joins)
      emitJoin(tile, owned.getInductionVar());
    else
      emitTask(tile, owned.getInductionVar());
  }
  Value nextTurn =
      arith::RemUIOp::create(builder, loc, add(turn, tasks), numThreads);
  scf::YieldOp::create(
      builder, loc,
      ValueRange{add(tile.firstToken, tile.tokens), nextTurn, sliced});
  return loop.getResult(2);
}

void AttentionEmitter::emit(Value thread, Value numThreads) {
  Value sliced = emitTiles(thread, numThreads, /*joins=*/false);
  if (!hasSlices(shape))
    return;
  auto branch = scf::IfOp::create(builder, loc, sliced);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  emitBarrier(builder, loc, step, thread);
  emitTiles(thread, numThreads, /*joins=*/true);
}

void emitAttention(OpBuilder &builder, Location loc, const Target &target,
                   const AttentionShape &shape, Value step, Value state,
                   Value queries, Value output, Value thread, Value numThreads,
                   Value scratch, Value slices, Value sinks, Value groups) {
  KVStateView view(builder, loc, state);
  AttentionValues call;
  call.state = state;
  call.keys = view.keys();
  call.values = shape.hasSharedRows ? call.keys : view.values();
  call.positions = StepView(builder, loc, step).positions();
  if (shape.isBidirectional || hasSlices(shape))
    call.firstTokens = StepView(builder, loc, step).firstToken();
  call.queries = queries;
  call.output = output;
  call.scratch = scratch;
  call.slices = slices;
  call.sinks = sinks;
  call.groups = groups;
  if (!shape.slopes.empty())
    call.slopes = emitConstantArray(builder, loc, shape.slopes);
  AttentionEmitter(builder, loc, target, shape, step, call)
      .emit(thread, numThreads);
}

} // namespace clade::cpu
