//===- TileEmitter.cpp - A tile of a product on tensor cores --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loop over steps, fragments, and the way of sums through shared memory.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TileEmitter.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/PanelTile.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

/// Columns of the weights' fragments that one ldmatrix gives.
static constexpr int64_t loadN = 2 * mmaN;

/// Whether the code below fits: whole fragments, pieces of 16 bytes that are
/// exchanged within rows, and sums of whole columns for each thread.
static constexpr bool isSound(const Tiling &tiling) {
  return tiling.warpM() % mmaM == 0 && tiling.warpN() % loadN == 0 &&
         tiling.warpK() % mmaK == 0 &&
         (tiling.rowBytes() == 64 || tiling.rowBytes() == 128) &&
         tiling.multipliers() % tiling.n == 0 &&
         tiling.m * tiling.k % (8 * tiling.multipliers()) == 0 &&
         tiling.n * tiling.k % (8 * tiling.multipliers()) == 0;
}

/// Whether a tensor map's box is an operand of a step, whose rows are those of
/// a swizzle of 128 bytes, and sums leave the barriers alone.
static constexpr bool canHaveProducer(const Tiling &tiling) {
  return isSound(tiling) && tiling.usesWarpgroups && tiling.warpsK == 1 &&
         tiling.rowBytes() == 128 && std::max(tiling.m, tiling.n) <= 256 &&
         tiling.m * tiling.sumStride() * 4 <= tiling.barriersAt();
}

/// As many stages as fit in the shared memory of a block, on every GPU that
/// runs the code, at most `tiling` has.
static Tiling fit(const Target &target, Tiling tiling) {
  tiling.stages = std::clamp<int64_t>(
      target.portableSharedBytes() / tiling.stageBytes(), 2, tiling.stages);
  return tiling;
}

Tiling largeTiling(const Target &target) {
  // One block fills a multiprocessor: two would ask for twice the memory
  // between two uses of an operand, which is more than L2 has.
  constexpr Tiling tiling{128, 128, 64, 2, 2, 2, 4};
  constexpr Tiling onWarpgroups{128, 128, 64, 8, 1, 1, 6, true};
  static_assert(isSound(tiling) && canHaveProducer(onWarpgroups));
  return fit(target, target.hasWarpgroups() ? onWarpgroups : tiling);
}

Tiling mappedTiling(const Target &target) {
  Tiling tiling = largeTiling(target);
  assert(tiling.usesWarpgroups && "tensor maps are for warpgroups");
  tiling.hasProducer = true;
  return tiling;
}

Tiling wideTiling(const Target &target) {
  constexpr Tiling tiling{128, 256, 64, 8, 1, 1, 4, true, true};
  static_assert(canHaveProducer(tiling));
  return fit(target, tiling);
}

Tiling smallTiling(const Target &target) {
  constexpr Tiling tiling{64, 64, 64, 2, 2, 1, 4};
  static_assert(isSound(tiling));
  return fit(target, tiling);
}

Tiling narrowTiling(const Target &target) {
  constexpr Tiling tiling{64, 32, 64, 2, 2, 1, 8};
  static_assert(isSound(tiling));
  return fit(target, tiling);
}

TileEmitter::TileEmitter(OpBuilder &builder, Location loc, const Tiling &tiling,
                         int64_t n, int64_t k, Type numbers,
                         const rt::PackedLayout *codes)
    : TensorCores(builder, loc, numbers), tiling(tiling), n(n), k(k),
      codes(codes) {
  Value warp = i32<arith::DivUIOp>(thread, warpSize);
  warpDepth = i32<arith::DivUIOp>(warp, tiling.warpsM * tiling.warpsN);
  warp = i32<arith::RemUIOp>(warp, tiling.warpsM * tiling.warpsN);
  warpRow = i32<arith::MulIOp>(i32<arith::DivUIOp>(warp, tiling.warpsN),
                               tiling.warpM());
  warpColumn = i32<arith::MulIOp>(i32<arith::RemUIOp>(warp, tiling.warpsN),
                                  tiling.warpN());
  beginFragments();
}

TileEmitter::~TileEmitter() = default;

Value TileEmitter::columnsFrom(Value column) {
  return n % tiling.n ? left(cpu::emitIndex(builder, loc, n), column, tiling.n)
                      : Value();
}

/// Of the input the four matrices are two halves of rows, then of columns; of
/// the weight the other way round.
void TileEmitter::beginFragments() {
  auto offsetOf = [&](Value first, Value row, Value half) {
    Value piece = i32<arith::XOrIOp>(half, exchangeOf(row, tiling.rowBytes()));
    // Steps over pieces change bits that only the exchange has set.
    piece = i32<arith::XOrIOp>(
        piece, i32<arith::MulIOp>(warpDepth, tiling.warpK() * 2 / 16));
    return i32<arith::AddIOp>(
        i32<arith::MulIOp>(i32<arith::AddIOp>(first, row), tiling.rowBytes()),
        i32<arith::MulIOp>(piece, 16));
  };
  inputLane = offsetOf(warpRow, i32<arith::RemUIOp>(lane, 16),
                       i32<arith::DivUIOp>(lane, 16));
  Value row =
      i32<arith::AddIOp>(i32<arith::RemUIOp>(lane, 8),
                         i32<arith::MulIOp>(i32<arith::DivUIOp>(lane, 16), 8));
  weightLane = i32<arith::AddIOp>(
      offsetOf(warpColumn, row,
               i32<arith::RemUIOp>(i32<arith::DivUIOp>(lane, 8), 2)),
      tiling.m * tiling.rowBytes());
}

TileEmitter::Values TileEmitter::multiplyStage(Value stage, Values sums,
                                               Beside beside) {
  for (int64_t depth = 0; depth < tiling.warpK(); depth += mmaK) {
    auto beginOf = [&](Value laneOffset) {
      return sharedAt(
          i32<arith::AddIOp>(stage, i32<arith::XOrIOp>(laneOffset, depth * 2)));
    };
    Value input = beginOf(inputLane), weight = beginOf(weightLane);
    SmallVector<Values> rows, columns;
    for (int64_t i = 0; i < tiling.warpM(); i += mmaM)
      rows.push_back(
          loadFragment(advance(input, constant(i * tiling.rowBytes()))));
    for (int64_t i = 0; i < tiling.warpN(); i += loadN)
      columns.push_back(
          loadFragment(advance(weight, constant(i * tiling.rowBytes()))));
    MutableArrayRef<Value> next(sums);
    for (ArrayRef<Value> a : rows)
      for (ArrayRef<Value> pair : columns)
        for (ArrayRef<Value> b : {pair.take_front(2), pair.drop_front(2)}) {
          llvm::copy(multiply(a, b, next.take_front(4)), next.begin());
          next = next.drop_front(4);
        }
    beside(depth / mmaK, tiling.warpK() / mmaK);
  }
  return sums;
}

void TileEmitter::fetchFirst() {
  SmallVector<PanelTile::Codes> codes;
  for (int64_t step = 0; step < stepsAhead(); ++step) {
    if (step < numSteps())
      fetch(constant(step * tiling.stageBytes()), constant(step));
    commit();
    for (int64_t i = 0; panels && i < panels->numGroups(); ++i)
      codes.push_back(panels->load(i, constant(step)));
  }
  for (auto [at, group] : llvm::enumerate(codes)) {
    int64_t step = static_cast<int64_t>(at) / panels->numGroups();
    panels->store(static_cast<int64_t>(at) % panels->numGroups(), group,
                  constant(step * tiling.stageBytes()));
  }
}

TileEmitter::Values TileEmitter::multiplyAll() {
  int64_t ahead = stepsAhead(), end = tiling.stages * tiling.stageBytes();
  fetchFirst();
  Values initial(tiling.warpM() * tiling.warpN() / warpSize,
                 emitFloat(builder, loc, 0));
  initial.push_back(constant(0));
  initial.push_back(constant(ahead * tiling.stageBytes()));
  auto loop = scf::ForOp::create(builder, loc, constant(0),
                                 constant(numSteps()), constant(1), initial);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Values carried(loop.getRegionIterArgs());
  Value writeStage = carried.pop_back_val(), readStage = carried.pop_back_val();
  // The step's tiles are there, and nobody reads those of the step before.
  waitForStage(static_cast<uint32_t>(ahead - 1));
  Value next = i32<arith::AddIOp>(loop.getInductionVar(), ahead);
  SmallVector<PanelTile::Codes> codes;
  for (int64_t i = 0; panels && i < panels->numGroups(); ++i)
    codes.push_back(panels->load(i, next));
  auto isStep =
      scf::IfOp::create(builder, loc, isBelow(next, constant(numSteps())));
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(isStep.thenBlock());
    fetch(writeStage, next);
  }
  commit();
  // Codes become weights while tensor cores multiply. Behind the last step
  // these are of no meaning, and nobody reads them.
  auto unpack = [&](int64_t part, int64_t numParts) {
    auto count = static_cast<int64_t>(codes.size());
    for (int64_t i = part * count / numParts; i < (part + 1) * count / numParts;
         ++i)
      panels->store(i, codes[static_cast<size_t>(i)], writeStage);
  };
  Values sums = tiling.usesWarpgroups
                    ? multiplyOnWarpgroups(readStage, carried, unpack)
                    : multiplyStage(readStage, std::move(carried), unpack);
  for (Value stage : {readStage, writeStage}) {
    Value following = i32<arith::AddIOp>(stage, tiling.stageBytes());
    Value isEnd = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        following, constant(end));
    sums.push_back(
        arith::SelectOp::create(builder, loc, isEnd, constant(0), following));
  }
  scf::YieldOp::create(builder, loc, sums);
  return Values(loop.getResults().drop_back(2));
}

void TileEmitter::storeSums(const Values &sums) {
  if (tiling.warpsK == 1)
    return storePart(sums, /*isFirst=*/true);
  for (int64_t part = 0; part < tiling.warpsK; ++part) {
    Value isOwn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        warpDepth, constant(part));
    auto own = scf::IfOp::create(builder, loc, isOwn);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(own.thenBlock());
    storePart(sums, part == 0);
    builder.setInsertionPointAfter(own);
    if (part + 1 < tiling.warpsK)
      emitSync(builder, loc);
  }
}

void TileEmitter::storePart(const Values &sums, bool isFirst) {
  auto pairType = VectorType::get({2}, builder.getF32Type());
  int64_t stride = tiling.sumStride() * 4;
  Value row = i32<arith::AddIOp>(warpRow, i32<arith::DivUIOp>(lane, 4));
  Value column = i32<arith::AddIOp>(
      warpColumn, i32<arith::MulIOp>(i32<arith::RemUIOp>(lane, 4), 2));
  Value begin = i32<arith::AddIOp>(i32<arith::MulIOp>(row, stride),
                                   i32<arith::MulIOp>(column, 4));
  ArrayRef<Value> next(sums);
  for (int64_t i = 0; i < tiling.warpM(); i += mmaM)
    for (int64_t j = 0; j < tiling.warpN(); j += mmaN)
      for (int64_t half = 0; half < mmaM; half += mmaM / 2) {
        Value address =
            sharedAt(i32<arith::AddIOp>(begin, (i + half) * stride + j * 4));
        Value pair = LLVM::PoisonOp::create(builder, loc, pairType);
        for (int64_t place : {0, 1})
          pair = LLVM::InsertElementOp::create(builder, loc, pair, next[place],
                                               constant(place));
        next = next.drop_front(2);
        if (!isFirst)
          pair = LLVM::FAddOp::create(builder, loc, pair,
                                      LLVM::LoadOp::create(builder, loc,
                                                           pairType, address,
                                                           /*alignment=*/8));
        LLVM::StoreOp::create(builder, loc, pair, address, /*alignment=*/8);
      }
}

void TileEmitter::emit(const Tile &tile,
                       llvm::function_ref<void(Value, Value, Value)> store) {
  if (tiling.hasProducer)
    return emitWithProducer(tile, store);
  inputCopies =
      beginCopies(tile.input, tile.row, 0, tiling.m, tile.rows, tile.inputRow);
  if (codes)
    panels = std::make_unique<PanelTile>(builder, loc, tiling, *codes, n, k,
                                         tile.weight, tile.column);
  else
    weightCopies =
        beginCopies(tile.weight, tile.column, tiling.m * tiling.rowBytes(),
                    tiling.n, tile.columns, nullptr);
  Values sums = multiplyAll();
  if (tiling.usesWarpgroups)
    waitForWarpgroups(0);
  waitFor(0);
  storeSums(sums);
  emitSync(builder, loc);

  readSums(tiling.multipliers(), tiling.n, tiling.sumStride(), tile.rows,
           tile.columns, store);
}

} // namespace clade::cuda
