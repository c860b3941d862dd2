//===- Attention.cpp - Attention over paged keys and values ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which kernels there are, for how many tokens each; slices of contexts.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/AttentionSlices.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/TiledAttention.h"
#include "runtime/include/clade/abi.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;

/// Blocks that keep all multiprocessors of a GPU busy: 108 to 148 of them, with
/// a few blocks each.
static constexpr int64_t busyBlocks = 512;
/// Pages of a slice at least: two for each warp.
static constexpr int64_t leastPages = 8;

int64_t blocksOfToken(const cpu::AttentionShape &shape) {
  return shape.qHeads / blockHeads(shape);
}

int64_t sliceSlots(const cpu::AttentionShape &shape) {
  return busyBlocks / blocksOfToken(shape);
}

int64_t partialBytes(const cpu::AttentionShape &shape) {
  int64_t slots = sliceSlots(shape);
  return slots < 2 ? 0 : slots * shape.qHeads * (shape.valueSize + 2) * 4;
}

PageRange emitPageRange(OpBuilder &builder, Location loc,
                        const cpu::AttentionShape &shape, Value step,
                        Value token) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  cpu::StepView view(builder, loc, step);
  PageRange range;
  range.begin = index(0);
  if (shape.isBidirectional) {
    Value sequence = view.sequenceAt(token);
    Value end = view.firstTokenAt(emitAdd(builder, loc, sequence, index(1)));
    range.contextEnd =
        arith::SubIOp::create(builder, loc, end, view.firstTokenAt(sequence));
  } else {
    range.contextEnd = emitAdd(builder, loc, view.positionAt(token), index(1));
  }
  if (shape.window)
    range.begin = arith::MaxSIOp::create(
        builder, loc, range.begin,
        arith::SubIOp::create(builder, loc, range.contextEnd,
                              index(*shape.window)));
  Value pageTokens = index(CLADE_PAGE_TOKENS);
  range.first = arith::DivUIOp::create(builder, loc, range.begin, pageTokens);
  range.end = cpu::emitCeilDiv(builder, loc, range.contextEnd, pageTokens);
  return range;
}

Slices emitSlices(OpBuilder &builder, Location loc,
                  const cpu::AttentionShape &shape, Value step,
                  const PageRange &pages) {
  Value tokens = cpu::emitToIndex(
      builder, loc, cpu::StepView(builder, loc, step).numTokens());
  Slices slices;
  slices.most = arith::DivUIOp::create(
      builder, loc, emitIndex(builder, loc, sliceSlots(shape)), tokens);
  Value count = arith::SubIOp::create(builder, loc, pages.end, pages.first);
  slices.pages = arith::MaxUIOp::create(
      builder, loc, cpu::emitCeilDiv(builder, loc, count, slices.most),
      emitIndex(builder, loc, leastPages));
  return slices;
}

PartialPlace emitPartialPlace(OpBuilder &builder, Location loc,
                              const cpu::AttentionShape &shape, Value token,
                              Value head, const Slices &slices, Value slice) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  Value row = emitAdd(builder, loc,
                      emitMul(builder, loc, token, index(shape.qHeads)), head);
  Value place =
      emitAdd(builder, loc, emitMul(builder, loc, row, slices.most), slice);
  int64_t sums = sliceSlots(shape) * shape.qHeads * shape.valueSize;
  return {emitMul(builder, loc, place, index(shape.valueSize)),
          emitAdd(builder, loc, emitMul(builder, loc, place, index(2)),
                  index(sums))};
}

void beginOwnTokens(OpBuilder &builder, Location loc, Value step, Value token,
                    bool hasTiles) {
  if (!hasTiles)
    return;
  cpu::StepView view(builder, loc, step);
  Value sequence = view.sequenceAt(token);
  Value end = view.firstTokenAt(
      emitAdd(builder, loc, sequence, emitIndex(builder, loc, 1)));
  Value run =
      arith::SubIOp::create(builder, loc, end, view.firstTokenAt(sequence));
  Value isOwn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                      run, emitIndex(builder, loc, tiledRun));
  auto own = scf::IfOp::create(builder, loc, isOwn);
  builder.setInsertionPointToStart(own.thenBlock());
}

void emitJoinSlices(OpBuilder &builder, Location loc,
                    const cpu::AttentionShape &shape,
                    const AttentionOperands &operands, bool hasTiles) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  Type f32 = builder.getF32Type();
  Value head = emitBlock(builder, loc, Axis::X),
        token = emitBlock(builder, loc, Axis::Y);
  OpBuilder::InsertionGuard whole(builder);
  beginOwnTokens(builder, loc, operands.step, token, hasTiles);
  PageRange pages = emitPageRange(builder, loc, shape, operands.step, token);
  Slices slices = emitSlices(builder, loc, shape, operands.step, pages);
  Value count = cpu::emitCeilDiv(
      builder, loc, arith::SubIOp::create(builder, loc, pages.end, pages.first),
      slices.pages);
  PartialPlace first =
      emitPartialPlace(builder, loc, shape, token, head, slices, index(0));
  /// Number `which` of the stats of a slice.
  auto stat = [&](Value slice, int64_t which) {
    Value at = emitAdd(builder, loc, emitMul(builder, loc, slice, index(2)),
                       index(which));
    return emitLoad(builder, loc, f32, operands.partial,
                    emitAdd(builder, loc, first.stats, at));
  };
  // A sink is one more score, which has no value.
  Value sink = operands.sinks ? emitLoadFloat(builder, loc, shape.sinkType,
                                              operands.sinks, head)
                              : emitFloat(builder, loc, -INFINITY);
  auto largest = scf::ForOp::create(builder, loc, index(0), count, index(1),
                                    ValueRange{sink});
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(largest.getBody());
    Value next =
        arith::MaximumFOp::create(builder, loc, largest.getRegionIterArg(0),
                                  stat(largest.getInductionVar(), 0));
    scf::YieldOp::create(builder, loc, next);
  }
  auto weightOf = [&](Value score) -> Value {
    return math::ExpOp::create(
        builder, loc,
        arith::SubFOp::create(builder, loc, score, largest.getResult(0)));
  };
  Value total = operands.sinks ? weightOf(sink) : emitFloat(builder, loc, 0);
  Value row = emitAdd(builder, loc,
                      emitMul(builder, loc, token, index(shape.qHeads)), head);
  Value start = emitMul(builder, loc, row, index(shape.valueSize));
  emitStridedLoop(
      builder, loc, emitThread(builder, loc), attentionThreads,
      index(shape.valueSize), [&](Value feature) {
        auto loop =
            scf::ForOp::create(builder, loc, index(0), count, index(1),
                               ValueRange{total, emitFloat(builder, loc, 0)});
        {
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToStart(loop.getBody());
          Value slice = loop.getInductionVar();
          Value weight = weightOf(stat(slice, 0));
          Value at = emitAdd(
              builder, loc,
              emitMul(builder, loc, slice, index(shape.valueSize)), feature);
          Value sum = emitLoad(builder, loc, f32, operands.partial,
                               emitAdd(builder, loc, first.sums, at));
          Value next[] = {math::FmaOp::create(builder, loc, weight,
                                              stat(slice, 1),
                                              loop.getRegionIterArg(0)),
                          math::FmaOp::create(builder, loc, weight, sum,
                                              loop.getRegionIterArg(1))};
          scf::YieldOp::create(builder, loc, next);
        }
        emitStoreFloat(builder, loc,
                       arith::DivFOp::create(builder, loc, loop.getResult(1),
                                             loop.getResult(0)),
                       shape.elementType, operands.output,
                       emitAdd(builder, loc, start, feature));
      });
}

SmallVector<AttentionKernel>
attentionKernels(const Target &target, const cpu::AttentionShape &shape) {
  SmallVector<AttentionKernel> kernels;
  int64_t blocks = blocksOfToken(shape), slots = sliceSlots(shape);
  bool hasTiles = canTileAttention(target, shape);
  int32_t mostTokens =
      hasTiles ? tiledRun - 1 : std::numeric_limits<int32_t>::max();
  auto rangeOf = [&](int64_t first, int64_t end, int64_t columns) {
    return LaunchRange{
        {static_cast<int32_t>(first), static_cast<int32_t>(end - 1)},
        columns,
        /*minLongest=*/1,
        mostTokens};
  };
  auto pages = [shape, hasTiles](bool isSlice) {
    return [shape, hasTiles, isSlice](OpBuilder &builder, Location loc,
                                      const AttentionOperands &operands) {
      emitPageAttention(builder, loc, shape, operands, isSlice, hasTiles);
    };
  };
  // With half the slots or more, each token has one slice.
  int64_t last = slots / 2;
  if (last > 0) {
    AttentionKernel slices{"_slices",
                           {blocks * slots, 1, attentionThreads},
                           {},
                           pageAttentionShared(shape),
                           /*readsState=*/true,
                           /*writesPartial=*/true,
                           /*readsPartial=*/false,
                           pages(/*isSlice=*/true)};
    for (int64_t first = 1; first <= last; first *= 2)
      slices.ranges.push_back(rangeOf(first, std::min(2 * first, last + 1),
                                      blocks * (slots / first)));
    kernels.push_back(std::move(slices));
    kernels.push_back({"_join",
                       {shape.qHeads, 1, attentionThreads},
                       {rangeOf(1, last + 1, shape.qHeads)},
                       /*sharedBytes=*/0,
                       /*readsState=*/false,
                       /*writesPartial=*/false,
                       /*readsPartial=*/true,
                       [shape, hasTiles](OpBuilder &builder, Location loc,
                                         const AttentionOperands &operands) {
                         emitJoinSlices(builder, loc, shape, operands,
                                        hasTiles);
                       }});
  }
  kernels.push_back({"",
                     {blocks, 1, attentionThreads},
                     {rangeOf(last + 1, int64_t(1) << 31, blocks)},
                     pageAttentionShared(shape),
                     /*readsState=*/true,
                     /*writesPartial=*/false,
                     /*readsPartial=*/false,
                     pages(/*isSlice=*/false)});
  if (!hasTiles)
    return kernels;
  Grid grid = tiledAttentionGrid(shape);
  kernels.push_back({"_tiled",
                     grid,
                     {{{tiledRun}, grid.columns, tiledRun}},
                     tiledAttentionShared(shape),
                     /*readsState=*/true,
                     /*writesPartial=*/false,
                     /*readsPartial=*/false,
                     [shape](OpBuilder &builder, Location loc,
                             const AttentionOperands &operands) {
                       emitTiledAttention(builder, loc, shape, operands);
                     }});
  return kernels;
}

} // namespace clade::cuda
