//===- GroupTile.cpp - Tiles of products in groups ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stage of shared memory has the codes of a batch, group by group and row by
// row, and behind them the ends of records in the same order: neither copies
// nor loads meet in a bank.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/GroupTile.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/GroupCores.h"
#include "lib/CodeGen/CUDA/TiledExperts.h"
#include "lib/CodeGen/CUDA/TiledProduct.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

/// Copying shares a batch of all rows by two threads each.
static constexpr bool isSoundForGroups(const Tiling &tiling) {
  return tiling.warpN() == panelRows && tiling.warpsM == 1 &&
         tiling.warpsK == 1 && tiling.threads() == 2 * tiling.m &&
         tiling.threads() % tiling.n == 0 && tiling.m % inputRows == 0;
}

Tiling largeGroupTiling() {
  constexpr Tiling tiling{128, 128, recordBatch * rt::packedGroupColumns, 1, 8,
                          1,   3};
  static_assert(isSoundForGroups(tiling));
  return tiling;
}

Tiling smallGroupTiling() {
  constexpr Tiling tiling{64, 64, recordBatch * rt::packedGroupColumns, 1, 4,
                          1,  4};
  static_assert(isSoundForGroups(tiling));
  return tiling;
}

static int64_t groupStageBytes(const Tiling &tiling) {
  return tiling.m * batchBytes;
}

/// Floats from one row of sums to the next: what half of a warp writes is in
/// different banks.
static int64_t groupSumStride(const Tiling &tiling) { return tiling.n + 4; }

int64_t groupTileBytes(const Tiling &tiling) {
  return std::max(tiling.stages * groupStageBytes(tiling),
                  tiling.m * groupSumStride(tiling) * 4);
}

namespace {
class GroupTile : GroupCores {
public:
  /// Of weights with `n` features and `k` columns, in panels from `tile.weight`
  /// on; rows of the tile's activations are records.
  GroupTile(OpBuilder &builder, Location loc, const Tiling &tiling,
            const rt::PackedLayout &layout, int64_t n, int64_t k,
            const Tile &tile)
      : GroupCores(builder, loc, layout, k), tiling(tiling), tile(tile), n(n),
        k(k), warp(i32<arith::DivUIOp>(thread, warpSize)) {}

  /// `store` gets a row and a column of the tile, and their sum.
  void emit(function_ref<void(Value, Value, Value)> store);

private:
  int64_t numSteps() const { return numRecords(layout, k) / recordBatch; }
  void beginCopies();
  void fetch(Value stage, Value step);
  SmallVector<Weights> loadBatch(Value step);
  void multiplyStage(Value stage, ArrayRef<Weights> weights,
                     MutableArrayRef<Value> sums);
  void multiplyBatches(Value codes, Value ends, ArrayRef<Weights> weights,
                       MutableArrayRef<Value> sums);
  Values multiplyAll();
  void storeSums(ArrayRef<Value> sums);

  const Tiling &tiling;
  const Tile &tile;
  const int64_t n, k;
  Value warp;
  Value panel; ///< Of this warp.
  /// Where the rows begin that this thread copies codes and ends of.
  Value codesFrom, endsFrom;
  Value codesThere, endsThere; ///< Whether these rows are.
};
} // namespace

void GroupTile::beginCopies() {
  int64_t rowBytes = recordRowBytes(layout, k);
  auto rowAt = [&](Value inTile) {
    Value last = i32<arith::SubIOp>(tile.rows, 1);
    Value own = toIndex(i32<arith::MinUIOp>(inTile, last));
    Value number = tile.inputRow ? tile.inputRow(own)
                                 : cpu::emitAdd(builder, loc, tile.row, own);
    return toGlobal(
        cpu::emitAddress(builder, loc, tile.input, builder.getI8Type(),
                         cpu::emitMul(builder, loc, number,
                                      cpu::emitIndex(builder, loc, rowBytes))));
  };
  Value pair = i32<arith::DivUIOp>(thread, 2),
        half = i32<arith::MulIOp>(i32<arith::RemUIOp>(thread, 2), pieceBytes);
  codesFrom = advance(rowAt(pair), half);
  codesThere = isBelow(pair, tile.rows);
  Value own = i32<arith::RemUIOp>(thread, tiling.m),
        group = i32<arith::DivUIOp>(thread, tiling.m);
  endsFrom = advance(
      rowAt(own), i32<arith::AddIOp>(i32<arith::MulIOp>(group, recordEndBytes),
                                     batchEndsAt));
  endsThere = isBelow(own, tile.rows);
}

/// Copies the records of batch `step` to the stage at `stage` (i32, bytes).
void GroupTile::fetch(Value stage, Value step) {
  Value at = i32<arith::MulIOp>(step, batchBytes);
  auto sizeIf = [&](Value isThere) -> Value {
    return arith::SelectOp::create(builder, loc, isThere, constant(pieceBytes),
                                   constant(0));
  };
  Value size = sizeIf(codesThere), from = advance(codesFrom, at);
  Value own = i32<arith::AddIOp>(stage, i32<arith::MulIOp>(thread, pieceBytes));
  for (int64_t i = 0; i < recordBatch; ++i)
    copyAsync(sharedAt(i32<arith::AddIOp>(own, i * tiling.m * recordCodeBytes)),
              advance(from, constant(i * recordCodeBytes)), pieceBytes, size);
  size = sizeIf(endsThere);
  from = advance(endsFrom, at);
  own = i32<arith::AddIOp>(own, tiling.m * batchEndsAt);
  for (int64_t i = 0; i < recordBatch; i += 2)
    copyAsync(sharedAt(i32<arith::AddIOp>(own, i * tiling.m * recordEndBytes)),
              advance(from, constant(i * recordEndBytes)), pieceBytes, size);
}

/// The groups of batch `step`, or of the last one in its place. Behind a row's
/// last group are records of zeros.
SmallVector<GroupTile::Weights> GroupTile::loadBatch(Value step) {
  Value first = i32<arith::MulIOp>(
      i32<arith::MinUIOp>(step, constant(numSteps() - 1)), recordBatch);
  return load(panel, first, recordBatch);
}

/// Where rows have one scale, a batch at a time.
void GroupTile::multiplyBatches(Value codes, Value ends,
                                ArrayRef<Weights> weights,
                                MutableArrayRef<Value> sums) {
  for (int64_t row = 0; row < tiling.m; row += inputRows) {
    SmallVector<Inputs> inputs;
    Value end = advance(ends, constant(row * recordEndBytes));
    for (int64_t i = 0; i < recordBatch; ++i) {
      Value own =
          advance(codes, constant((i * tiling.m + row) * recordCodeBytes));
      SmallVector<Value, 2> ownEnds;
      if (i == 0)
        ownEnds = {end, advance(end, constant(recordEndBytes))};
      inputs.push_back(loadInputs(own, ownEnds));
    }
    multiplyAddBatch(weights, inputs,
                     sums.slice(static_cast<size_t>(row / inputRows * 4), 4));
  }
}

void GroupTile::multiplyStage(Value stage, ArrayRef<Weights> weights,
                              MutableArrayRef<Value> sums) {
  Value codes = sharedAt(i32<arith::AddIOp>(
            stage,
            i32<arith::AddIOp>(i32<arith::MulIOp>(rowPair, recordCodeBytes),
                               i32<arith::MulIOp>(quarter, 8)))),
        ends = sharedAt(i32<arith::AddIOp>(
            stage,
            i32<arith::AddIOp>(i32<arith::MulIOp>(quarter, 2 * recordEndBytes),
                               tiling.m * batchEndsAt)));
  if (layout.isOfRow)
    return multiplyBatches(codes, ends, weights, sums);
  for (auto [i, weight] : llvm::enumerate(weights))
    for (int64_t row = 0; row < tiling.m; row += inputRows) {
      int64_t place = static_cast<int64_t>(i) * tiling.m + row;
      Value end = advance(ends, constant(place * recordEndBytes));
      Inputs inputs =
          loadInputs(advance(codes, constant(place * recordCodeBytes)),
                     {end, advance(end, constant(recordEndBytes))});
      multiplyAdd(weight, inputs,
                  sums.slice(static_cast<size_t>(row / inputRows * 4), 4));
    }
}

GroupTile::Values GroupTile::multiplyAll() {
  int64_t ahead = tiling.stages - 1, bytes = groupStageBytes(tiling);
  for (int64_t step = 0; step < ahead; ++step) {
    if (step < numSteps())
      fetch(constant(step * bytes), constant(step));
    commit();
  }
  Values carried(static_cast<size_t>(tiling.m / inputRows * 4),
                 emitFloat(builder, loc, 0));
  size_t numSums = carried.size();
  SmallVector<Weights> batch = loadBatch(constant(0));
  auto forEach = [&](auto visit) {
    for (Weights &weights : batch)
      for (Values *values : {&weights.codes, &weights.scales, &weights.minima})
        for (Value &value : *values)
          visit(value);
  };
  forEach([&](Value &value) { carried.push_back(value); });
  auto loop = scf::ForOp::create(builder, loc, constant(0),
                                 constant(numSteps()), constant(1), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value step = loop.getInductionVar();
  auto stageOf = [&](Value number) {
    return i32<arith::MulIOp>(i32<arith::RemUIOp>(number, tiling.stages),
                              bytes);
  };
  // The batch is there, and nobody reads that of the step before.
  waitFor(static_cast<uint32_t>(ahead - 1));
  Value later = i32<arith::AddIOp>(step, ahead);
  auto isStep =
      scf::IfOp::create(builder, loc, isBelow(later, constant(numSteps())));
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(isStep.thenBlock());
    fetch(stageOf(later), later);
  }
  commit();
  ValueRange given = loop.getRegionIterArgs();
  Values sums(given.take_front(numSums));
  auto next = given.drop_front(numSums).begin();
  forEach([&](Value &value) { value = *next++; });
  SmallVector<Weights> current = batch;
  batch = loadBatch(i32<arith::AddIOp>(step, 1));
  multiplyStage(stageOf(step), current, sums);
  forEach([&](Value &value) { sums.push_back(value); });
  scf::YieldOp::create(builder, loc, sums);
  return Values(loop.getResults().take_front(numSums));
}

void GroupTile::storeSums(ArrayRef<Value> sums) {
  auto pairType = VectorType::get({2}, builder.getF32Type());
  int64_t stride = groupSumStride(tiling) * 4;
  Value first = i32<arith::AddIOp>(
      i32<arith::MulIOp>(quarter, 2 * stride),
      i32<arith::AddIOp>(i32<arith::MulIOp>(warp, panelRows * 4),
                         i32<arith::MulIOp>(rowPair, 8)));
  for (int64_t row = 0; row < tiling.m; row += inputRows)
    for (int64_t i : {0, 1}) {
      size_t own = static_cast<size_t>(row / inputRows * 4 + i);
      Value pair = LLVM::PoisonOp::create(builder, loc, pairType);
      for (int64_t place : {0, 1})
        pair = LLVM::InsertElementOp::create(
            builder, loc, pair, sums[own + 2 * static_cast<size_t>(place)],
            constant(place));
      LLVM::StoreOp::create(
          builder, loc, pair,
          sharedAt(i32<arith::AddIOp>(first, (row + i) * stride)),
          /*alignment=*/8);
    }
}

void GroupTile::emit(function_ref<void(Value, Value, Value)> store) {
  Value columns;
  if (n % tiling.n)
    columns = left(cpu::emitIndex(builder, loc, n), tile.column, tiling.n);
  beginCopies();
  // A warp behind the last panel repeats it.
  auto panels = static_cast<int64_t>(llvm::divideCeil(n, panelRows));
  Value number = arith::DivUIOp::create(
      builder, loc, tile.column, cpu::emitIndex(builder, loc, panelRows));
  number = arith::MinUIOp::create(
      builder, loc, cpu::emitAdd(builder, loc, number, toIndex(warp)),
      cpu::emitIndex(builder, loc, panels - 1));
  panel = cpu::emitAddress(
      builder, loc, tile.weight, builder.getI8Type(),
      cpu::emitMul(builder, loc, number,
                   cpu::emitIndex(builder, loc, panelBytes(layout, k))));
  Values sums = multiplyAll();
  finish(panel, sums);
  waitFor(0);
  storeSums(sums);
  emitSync(builder, loc);
  readSums(tiling.threads(), tiling.n, groupSumStride(tiling), tile.rows,
           columns, store);
}

void emitTiledGroups(OpBuilder &builder, Location loc, const Target &target,
                     const Tiling &tiling, const Product &product,
                     Epilogue epilogue) {
  Tile tile;
  tile.input = product.input;
  tile.weight = product.weight;
  std::tie(tile.row, tile.column) =
      emitTilePlace(builder, loc, target, tiling, product.n,
                    recordRowBytes(*product.groups, product.k), product.rows);
  Value left = arith::MinUIOp::create(
      builder, loc, arith::SubIOp::create(builder, loc, product.rows, tile.row),
      cpu::emitIndex(builder, loc, tiling.m));
  tile.rows =
      arith::IndexCastUIOp::create(builder, loc, builder.getI32Type(), left);
  GroupTile(builder, loc, tiling, *product.groups, product.n, product.k, tile)
      .emit([&](Value row, Value column, Value sum) {
        epilogue(cpu::emitAdd(builder, loc, tile.row, row),
                 cpu::emitAdd(builder, loc, tile.column, column), sum);
      });
}

void emitTiledExpertGroups(OpBuilder &builder, Location loc,
                           const Tiling &tiling, const ExpertsProduct &product,
                           ExpertsEpilogue epilogue) {
  auto index = [&](int64_t value) {
    return cpu::emitIndex(builder, loc, value);
  };
  const rt::PackedLayout &layout = *product.groupLayout;
  int64_t matrixBytes =
      static_cast<int64_t>(llvm::divideCeil(product.n, panelRows)) *
      panelBytes(layout, product.k);
  emitExpertTile(
      builder, loc, tiling.m, tiledGrid(tiling, product.n).columns, product,
      [&](const ExpertTile &own) {
        Tile tile;
        tile.input = product.input;
        tile.weight = cpu::emitAddress(
            builder, loc, product.weight, builder.getI8Type(),
            cpu::emitMul(builder, loc, own.expert, index(matrixBytes)));
        tile.row = index(0);
        tile.column =
            cpu::emitMul(builder, loc, own.columnBlock, index(tiling.n));
        tile.rows = own.count;
        tile.inputRow = own.inputRow;
        GroupTile(builder, loc, tiling, layout, product.n, product.k, tile)
            .emit([&](Value row, Value column, Value sum) {
              epilogue(own.placeOf(row), own.expert,
                       cpu::emitAdd(builder, loc, tile.column, column), sum);
            });
      });
}

} // namespace clade::cuda
