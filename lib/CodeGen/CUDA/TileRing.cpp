//===- TileRing.cpp - A warp that copies, warpgroups that multiply --------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// On sm_90a one thread asks for whole tiles: tensor maps say where they are,
// and the copies (cp.async.bulk.tensor) lay them out in a swizzle of 128 bytes,
// with zeros for rows and elements that are not there. Stages are a ring: the
// producer waits until one is empty, those that multiply until it is full, at
// two barriers of each stage (mbarriers), and nobody waits for all others.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TileEmitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

/// Bytes of an mbarrier.
static constexpr int64_t mbarrierBytes = 8;

TileEmitter::Place TileEmitter::beginRing(int64_t parity) {
  return {constant(0), constant(tiling.barriersAt()), constant(parity)};
}

TileEmitter::Place TileEmitter::following(const Place &place) {
  Value stage = i32<arith::AddIOp>(place.stage, tiling.stageBytes());
  Value isEnd =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, stage,
                            constant(tiling.stages * tiling.stageBytes()));
  auto select = [&](Value atEnd, Value otherwise) -> Value {
    return arith::SelectOp::create(builder, loc, isEnd, atEnd, otherwise);
  };
  return {select(constant(0), stage),
          select(constant(tiling.barriersAt()),
                 i32<arith::AddIOp>(place.full, mbarrierBytes)),
          select(i32<arith::XOrIOp>(place.parity, 1), place.parity)};
}

Value TileEmitter::emptyBarrier(Value full) {
  return i32<arith::AddIOp>(full, tiling.stages * mbarrierBytes);
}

void TileEmitter::beginBarriers() {
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        thread, constant(0));
  {
    auto first = scf::IfOp::create(builder, loc, isFirst);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(first.thenBlock());
    // The producer arrives at those for full stages, with bytes to come; a lane
    // of each warp that multiplies at those for empty ones.
    for (int64_t stage = 0; stage < tiling.stages; ++stage) {
      Value full = constant(tiling.barriersAt() + stage * mbarrierBytes);
      NVVM::MBarrierInitOp::create(builder, loc, sharedAt(full), constant(1),
                                   Value());
      NVVM::MBarrierInitOp::create(builder, loc, sharedAt(emptyBarrier(full)),
                                   constant(tiling.multipliers() / warpSize),
                                   Value());
    }
    NVVM::FenceMbarrierInitOp::create(builder, loc);
    NVVM::FenceProxyOp::create(
        builder, loc, NVVM::ProxyKind::async_shared,
        NVVM::SharedSpaceAttr::get(builder.getContext(),
                                   NVVM::SharedSpace::shared_cta));
  }
  emitSync(builder, loc);
}

void TileEmitter::waitAt(Value barrier, Value parity) {
  auto loop = scf::WhileOp::create(
      builder, loc, TypeRange(), ValueRange(),
      [&](OpBuilder &b, Location, ValueRange) {
        Value isThere = NVVM::MBarrierTryWaitOp::create(
            b, loc, b.getI1Type(), sharedAt(barrier), parity, Value());
        Value isMissing = arith::XOrIOp::create(
            b, loc, isThere, arith::ConstantIntOp::create(b, loc, 1, 1));
        scf::ConditionOp::create(b, loc, isMissing, ValueRange());
      },
      [&](OpBuilder &b, Location, ValueRange) {
        scf::YieldOp::create(b, loc);
      });
  builder.setInsertionPointAfter(loop);
}

void TileEmitter::copyBox(Value target, Value map, Value step, Value row,
                          Value barrier) {
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      builder, loc, sharedAt(target), map,
      ValueRange{i32<arith::MulIOp>(step, tiling.k), row}, sharedAt(barrier),
      /*im2colOffsets=*/ValueRange(), /*multicastMask=*/Value(),
      /*l2CacheHint=*/Value(), NVVM::TMALoadMode::TILE, /*isCTAOnly=*/true,
      /*group=*/nullptr, /*predicate=*/Value());
}

void TileEmitter::produce(const Tile &tile) {
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        thread, constant(tiling.multipliers()));
  auto first = scf::IfOp::create(builder, loc, isFirst);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(first.thenBlock());
  Value row = toI32(tile.row), column = toI32(tile.column);
  // Stages are empty at first: the phase before the first one is complete.
  Place begin = beginRing(/*parity=*/1);
  auto loop = scf::ForOp::create(
      builder, loc, constant(0), constant(numSteps()), constant(1),
      ValueRange{begin.stage, begin.full, begin.parity});
  builder.setInsertionPointToStart(loop.getBody());
  Value step = loop.getInductionVar();
  Place place{loop.getRegionIterArg(0), loop.getRegionIterArg(1),
              loop.getRegionIterArg(2)};
  waitAt(emptyBarrier(place.full), place.parity);
  // What is not there counts too: boxes are whole.
  NVVM::MBarrierArriveExpectTxOp::create(
      builder, loc, TypeRange(), sharedAt(place.full),
      constant(tiling.stageBytes()), NVVM::MemScopeKind::CTA,
      /*relaxed=*/false, /*predicate=*/Value());
  copyBox(place.stage, tile.inputMap, step, row, place.full);
  copyBox(i32<arith::AddIOp>(place.stage, tiling.m * tiling.rowBytes()),
          tile.weightMap, step, column, place.full);
  Place next = following(place);
  scf::YieldOp::create(builder, loc,
                       ValueRange{next.stage, next.full, next.parity});
}

TileEmitter::Values TileEmitter::multiplyRing() {
  Values initial(tiling.warpM() * tiling.warpN() / warpSize,
                 emitFloat(builder, loc, 0));
  Place begin = beginRing(/*parity=*/0);
  // Behind the sums: the place, and the barrier of the step before.
  llvm::append_range(
      initial, ValueRange{begin.stage, begin.full, begin.parity, begin.full});
  auto loop = scf::ForOp::create(builder, loc, constant(0),
                                 constant(numSteps()), constant(1), initial);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Values carried(loop.getRegionIterArgs());
  Value before = carried.pop_back_val();
  Place place;
  place.parity = carried.pop_back_val();
  place.full = carried.pop_back_val();
  place.stage = carried.pop_back_val();
  waitAt(place.full, place.parity);
  Values sums = multiplyOnWarpgroups(place.stage, carried);
  // The products of the step before are complete: its stage is empty.
  Value isFirstLane = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::eq, lane, constant(0));
  Value hasBefore =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                            loop.getInductionVar(), constant(0));
  auto arrive = scf::IfOp::create(builder, loc,
                                  i32<arith::AndIOp>(isFirstLane, hasBefore));
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(arrive.thenBlock());
    NVVM::MBarrierArriveOp::create(builder, loc, TypeRange(),
                                   sharedAt(emptyBarrier(before)), Value());
  }
  Place next = following(place);
  llvm::append_range(
      sums, ValueRange{next.stage, next.full, next.parity, place.full});
  scf::YieldOp::create(builder, loc, sums);
  return Values(loop.getResults().drop_back(4));
}

void TileEmitter::syncMultipliers() {
  NVVM::BarrierOp::create(builder, loc, TypeRange(), constant(1),
                          constant(tiling.multipliers()),
                          NVVM::BarrierReductionAttr(), Value());
}

void TileEmitter::emitWithProducer(
    const Tile &tile, llvm::function_ref<void(Value, Value, Value)> store) {
  beginBarriers();
  auto roles = scf::IfOp::create(
      builder, loc, isBelow(thread, constant(tiling.multipliers())),
      /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(roles.elseBlock());
  produce(tile);
  builder.setInsertionPointToStart(roles.thenBlock());
  Values sums = multiplyRing();
  waitForWarpgroups(0);
  // Sums take the place of stages, which the other warpgroup may still read.
  syncMultipliers();
  storeSums(sums);
  syncMultipliers();
  readSums(tiling.multipliers(), tiling.n, tiling.sumStride(), tile.rows,
           tile.columns, store);
}

} // namespace clade::cuda
