//===- PageAttention.cpp - Attention of a few heads, page by page ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The block: its warps, their sums joined, and what is stored.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/PageAttention.h"

#include "lib/CodeGen/CPU/StepABI.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;

int64_t blockHeads(const cpu::AttentionShape &shape) {
  RowPieces keys(shape.keySize, shape.elementType),
      values(shape.valueSize, shape.elementType);
  int64_t most = mostRegisters / (keys.elements() + values.elements());
  int64_t group = shape.qHeads / shape.kvHeads, heads = 1;
  for (int64_t count = 1; count <= std::min(most, group); ++count)
    if (group % count == 0)
      heads = count;
  return heads;
}

/// Floats of a head's sums of a warp.
static int64_t sumFloats(const RowPieces &values) {
  return values.elements() * values.stride();
}

int64_t pageAttentionShared(const cpu::AttentionShape &shape) {
  RowPieces values(shape.valueSize, shape.elementType);
  return pageWarps * blockHeads(shape) * (sumFloats(values) + 2) * 4;
}

PageAttention::PageAttention(OpBuilder &b, Location loc,
                             const cpu::AttentionShape &shape,
                             const AttentionOperands &operands, bool isSlice)
    : b(b), loc(loc), shape(shape), operands(operands), isSlice(isSlice),
      heads(blockHeads(shape)), keys(shape.keySize, shape.elementType),
      values(shape.valueSize, shape.elementType), thread(emitThread(b, loc)),
      shared(emitSharedSpace(b, loc)) {
  lane = make<arith::RemUIOp>(thread, index(warpSize));
  warp = make<arith::DivUIOp>(thread, index(warpSize));
}

//===----------------------------------------------------------------------===//
// The block
//===----------------------------------------------------------------------===//

/// The pages of this warp, one after another.
void PageAttention::emitWarpPages() {
  auto numHeads = static_cast<size_t>(heads);
  // Carried: of each head the largest score, this lane's part of the sum of the
  // weights, and of the weighted values.
  // Of a group there may be no key in a page: what is largest then is finite.
  double lowest =
      shape.hasGroups ? std::numeric_limits<float>::lowest() : -INFINITY;
  Values initial(numHeads, emitFloat(b, loc, lowest));
  initial.append(numHeads * static_cast<size_t>(1 + values.elements()),
                 emitFloat(b, loc, 0));
  auto loop = scf::ForOp::create(b, loc, emitAdd(b, loc, pages.first, warp),
                                 pages.end, index(pageWarps), initial);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value page = loop.getInductionVar();
    Value key =
        emitAdd(b, loc, emitMul(b, loc, page, index(CLADE_PAGE_TOKENS)), lane);
    Values scores = emitScores(page), next, totals, weights;
    Values sums(loop.getRegionIterArgs().drop_front(2 * heads));
    for (size_t head = 0; head < numHeads; ++head) {
      Value score = finishScore(scores[head], key, static_cast<int64_t>(head));
      Value old = loop.getRegionIterArg(static_cast<unsigned>(head));
      // Without groups at least one key of a page is attended, so the maximum
      // is finite.
      Value largest = emitWarpReduce(b, loc, score, [&](Value x, Value y) {
        return make<arith::MaximumFOp>(x, y);
      });
      largest = make<arith::MaximumFOp>(old, largest);
      Value weight = exp(make<arith::SubFOp>(score, largest)),
            shrink = exp(make<arith::SubFOp>(old, largest));
      next.push_back(largest);
      weights.push_back(weight);
      totals.push_back(
          fma(loop.getRegionIterArg(static_cast<unsigned>(numHeads + head)),
              shrink, weight));
      auto elements = static_cast<size_t>(values.elements());
      for (Value &sum : MutableArrayRef(sums).slice(head * elements, elements))
        sum = make<arith::MulFOp>(sum, shrink);
    }
    llvm::append_range(next, totals);
    llvm::append_range(next, addValues(page, weights, std::move(sums)));
    scf::YieldOp::create(b, loc, next);
  }
  auto results = loop.getResults();
  largest = Values(results.take_front(numHeads));
  totals = Values(results.drop_front(numHeads).take_front(numHeads));
  sums = Values(results.drop_front(2 * numHeads));
  auto add = [&](Value x, Value y) { return make<arith::AddFOp>(x, y); };
  for (Value &total : totals)
    total = emitWarpReduce(b, loc, total, add);
  for (Value &sum : sums)
    for (int64_t bit = values.lanes; bit < warpSize; bit *= 2)
      sum = add(sum, exchange(sum, bit));
}

/// Joins the warps' sums and stores the rows.
void PageAttention::joinWarps() {
  int64_t floats = sumFloats(values);
  // Shared memory: the sums of each warp and head, then their scores and
  // weights. Numbers of floats.
  auto numHeads = static_cast<size_t>(heads);
  int64_t statsStart = pageWarps * heads * floats;
  Type f32 = b.getF32Type();
  Value isOwner = isLess(lane, index(values.lanes)),
        first = emitMul(b, loc, warp, index(heads * floats));
  scf::IfOp::create(b, loc, isOwner, [&](OpBuilder &, Location) {
    for (auto [i, sum] : llvm::enumerate(sums))
      cpu::emitStore(
          b, loc, sum, shared,
          emitAdd(b, loc, first,
                  emitAdd(b, loc, lane,
                          index(static_cast<int64_t>(i) * values.stride()))));
    scf::YieldOp::create(b, loc);
  });
  scf::IfOp::create(
      b, loc, isEqual(lane, index(0)), [&](OpBuilder &, Location) {
        Value stats = emitMul(b, loc, warp, index(2 * heads));
        for (size_t head = 0; head < numHeads; ++head)
          for (auto [which, value] :
               llvm::enumerate(std::array{largest[head], totals[head]}))
            cpu::emitStore(b, loc, value, shared,
                           emitAdd(b, loc, stats,
                                   index(statsStart + static_cast<int64_t>(
                                                          2 * head + which))));
        scf::YieldOp::create(b, loc);
      });
  emitSync(b, loc);
  for (int64_t head = 0; head < heads; ++head) {
    auto stat = [&](int64_t part, int64_t which) {
      return emitLoad(b, loc, f32, shared,
                      index(statsStart + 2 * (part * heads + head) + which));
    };
    Value qHead = emitAdd(b, loc, firstHead, index(head));
    Value most = emitFloat(b, loc, -INFINITY), sink;
    if (operands.sinks && !isSlice) // One more score, which has no value.
      most = sink =
          emitLoadFloat(b, loc, shape.sinkType, operands.sinks, qHead);
    for (int64_t part = 0; part < pageWarps; ++part)
      most = make<arith::MaximumFOp>(most, stat(part, 0));
    Values weights;
    Value total =
        sink ? exp(make<arith::SubFOp>(sink, most)) : emitFloat(b, loc, 0);
    for (int64_t part = 0; part < pageWarps; ++part) {
      weights.push_back(exp(make<arith::SubFOp>(stat(part, 0), most)));
      total = fma(weights.back(), stat(part, 1), total);
    }
    PartialPlace place;
    Value start;
    if (isSlice) {
      place = emitPartialPlace(b, loc, shape, token, qHead, slices, slice);
      scf::IfOp::create(
          b, loc, isEqual(thread, index(0)), [&](OpBuilder &, Location) {
            cpu::emitStore(b, loc, most, operands.partial, place.stats);
            cpu::emitStore(b, loc, total, operands.partial,
                           emitAdd(b, loc, place.stats, index(1)));
            scf::YieldOp::create(b, loc);
          });
    } else {
      Value row =
          emitAdd(b, loc, emitMul(b, loc, token, index(shape.qHeads)), qHead);
      start = emitMul(b, loc, row, index(shape.valueSize));
    }
    emitStridedLoop(
        b, loc, thread, attentionThreads, index(shape.valueSize),
        [&](Value feature) {
          // Where its lane has it, and the lane.
          Value piece = make<arith::DivUIOp>(feature, index(values.piece));
          Value element = emitAdd(
              b, loc,
              emitMul(b, loc, make<arith::DivUIOp>(piece, index(values.lanes)),
                      index(values.piece)),
              make<arith::RemUIOp>(feature, index(values.piece)));
          Value at =
              emitAdd(b, loc, emitMul(b, loc, element, index(values.stride())),
                      make<arith::RemUIOp>(piece, index(values.lanes)));
          Value sum = emitFloat(b, loc, 0);
          for (int64_t part = 0; part < pageWarps; ++part)
            sum = fma(weights[static_cast<size_t>(part)],
                      emitLoad(b, loc, f32, shared,
                               emitAdd(b, loc, at,
                                       index((part * heads + head) * floats))),
                      sum);
          if (isSlice)
            cpu::emitStore(b, loc, sum, operands.partial,
                           emitAdd(b, loc, place.sums, feature));
          else
            emitStoreFloat(b, loc, make<arith::DivFOp>(sum, total),
                           shape.elementType, operands.output,
                           emitAdd(b, loc, start, feature));
        });
  }
}

void PageAttention::emitPages() {
  loadQueries();
  if (!shape.slopes.empty()) {
    Value all = emitDeviceArray(b, loc, shape.slopes);
    for (int64_t head = 0; head < heads; ++head)
      slopes.push_back(emitLoad(b, loc, b.getF32Type(), all,
                                emitAdd(b, loc, firstHead, index(head))));
  }
  emitWarpPages();
  joinWarps();
}

void PageAttention::emit(bool hasTiles) {
  Value block = emitBlock(b, loc, Axis::X);
  token = emitBlock(b, loc, Axis::Y);
  OpBuilder::InsertionGuard whole(b);
  beginOwnTokens(b, loc, operands.step, token, hasTiles);
  Value blocks = index(blocksOfToken(shape));
  slice = make<arith::DivUIOp>(block, blocks);
  firstHead =
      emitMul(b, loc, make<arith::RemUIOp>(block, blocks), index(heads));
  kvHead = make<arith::DivUIOp>(firstHead, index(shape.qHeads / shape.kvHeads));
  cpu::StepView view(b, loc, operands.step);
  sequence = view.sequenceAt(token);
  position = view.positionAt(token);
  pages = emitPageRange(b, loc, shape, operands.step, token);
  if (shape.hasGroups) {
    keyGroups = cpu::emitAddress(b, loc, operands.groups, b.getI32Type(),
                                 view.firstTokenAt(sequence));
    ownGroup = emitLoad(b, loc, b.getI32Type(), operands.groups, token);
  }
  if (!isSlice)
    return emitPages();
  slices = emitSlices(b, loc, shape, operands.step, pages);
  pages.first =
      emitAdd(b, loc, pages.first, emitMul(b, loc, slice, slices.pages));
  pages.end = make<arith::MinSIOp>(pages.end,
                                   emitAdd(b, loc, pages.first, slices.pages));
  // Blocks behind the last slice have nothing to do.
  auto isThere = scf::IfOp::create(b, loc, isLess(pages.first, pages.end));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(isThere.thenBlock());
  emitPages();
}

void emitPageAttention(OpBuilder &builder, Location loc,
                       const cpu::AttentionShape &shape,
                       const AttentionOperands &operands, bool isSlice,
                       bool hasTiles) {
  PageAttention(builder, loc, shape, operands, isSlice).emit(hasTiles);
}

} // namespace clade::cuda
