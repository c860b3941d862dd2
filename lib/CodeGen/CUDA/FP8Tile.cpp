//===- FP8Tile.cpp - Tiles of products with weights in FP8 ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block has a tile of the result, each warp the rows of one panel. Rows of
// activations come to shared memory, a few steps ahead; codes go to registers,
// one step ahead, since no other warp of the block needs them, and become
// fragments once for all rows. Pieces of 16 bytes are exchanged in pairs by the
// row's number: four rows of the 8 bytes that lanes load are all banks.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/FP8Product.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/FP8Cores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

static constexpr int64_t rowBytes = fp8Columns * elementBytes,
                         rowPieces = rowBytes / pieceBytes;

/// Copies are of whole rows by 16 threads each, of as many rows at once.
static constexpr bool isSoundForFP8(const Tiling &tiling) {
  return tiling.warpN() == panelRows && tiling.warpsM == 1 &&
         tiling.warpsK == 1 && tiling.k == fp8Columns &&
         tiling.threads() % (8 * rowPieces) == 0 &&
         tiling.threads() % tiling.n == 0 && tiling.m % inputRows == 0 &&
         tiling.m % (tiling.threads() / rowPieces) == 0;
}

/// Floats from one row of sums to the next: what half of a warp writes is in
/// different banks.
static int64_t sumStride(const Tiling &tiling) { return tiling.n + 4; }

static int64_t stageBytes(const Tiling &tiling) { return tiling.m * rowBytes; }

static Tiling fitFP8(const Target &target, Tiling tiling) {
  tiling.stages = std::clamp<int64_t>(
      target.portableSharedBytes() / stageBytes(tiling), 2, tiling.stages);
  return tiling;
}

Tiling largeFP8Tiling(const Target &target) {
  constexpr Tiling tiling{128, 128, fp8Columns, 1, 8, 1, 4};
  static_assert(isSoundForFP8(tiling));
  return fitFP8(target, tiling);
}

Tiling smallFP8Tiling(const Target &target) {
  constexpr Tiling tiling{64, 64, fp8Columns, 1, 4, 1, 4};
  static_assert(isSoundForFP8(tiling));
  return fitFP8(target, tiling);
}

int64_t fp8TileBytes(const Tiling &tiling) {
  return std::max(tiling.stages * stageBytes(tiling),
                  tiling.m * sumStride(tiling) * 4);
}

namespace {
class FP8Tile : FP8Cores {
public:
  FP8Tile(OpBuilder &builder, Location loc, const Tiling &tiling, int64_t n,
          int64_t k, const Tile &tile)
      : FP8Cores(builder, loc), tiling(tiling), tile(tile), n(n), k(k),
        warp(i32<arith::DivUIOp>(thread, warpSize)) {}

  void emit(llvm::function_ref<void(Value, Value, Value)> store);

private:
  int64_t numSteps() const { return numFP8Blocks(k); }
  /// Rows that are copied at once.
  int64_t rowStep() const { return tiling.threads() / rowPieces; }
  Value exchangeOf(Value row) {
    return i32<arith::MulIOp>(i32<arith::RemUIOp>(row, 4), 2);
  }
  void beginCopies();
  void fetch(Value stage, Value step);
  void multiplyStage(Value stage, const Weights &weights,
                     MutableArrayRef<Value> sums);
  Values multiplyAll();
  void storeSums(ArrayRef<Value> sums);
  void findPanel();

  const Tiling &tiling;
  const Tile &tile;
  const int64_t n, k;
  Value warp;
  Value panel; ///< Of this warp.
  /// Where the rows are that this thread copies pieces of, !llvm.ptr<1>; in a
  /// stage, i32; and the first one's number.
  Values sources;
  Value target, firstRow;
};
} // namespace

void FP8Tile::beginCopies() {
  Value piece = i32<arith::RemUIOp>(thread, rowPieces);
  firstRow = i32<arith::DivUIOp>(thread, rowPieces);
  // Rows that a thread copies are a multiple of eight apart.
  target = i32<arith::AddIOp>(
      i32<arith::MulIOp>(firstRow, rowBytes),
      i32<arith::MulIOp>(i32<arith::XOrIOp>(piece, exchangeOf(firstRow)),
                         pieceBytes));
  Value last = i32<arith::SubIOp>(tile.rows, 1);
  for (int64_t i = 0; i < tiling.m; i += rowStep()) {
    Value inTile =
        toIndex(i32<arith::MinUIOp>(i32<arith::AddIOp>(firstRow, i), last));
    Value row = tile.inputRow ? tile.inputRow(inTile)
                              : cpu::emitAdd(builder, loc, tile.row, inTile);
    Value bytes = cpu::emitAdd(
        builder, loc,
        cpu::emitMul(builder, loc, row,
                     cpu::emitIndex(builder, loc, k * elementBytes)),
        toIndex(i32<arith::MulIOp>(piece, pieceBytes)));
    sources.push_back(toGlobal(cpu::emitAddress(builder, loc, tile.input,
                                                builder.getI8Type(), bytes)));
  }
}

void FP8Tile::fetch(Value stage, Value step) {
  Value at = i32<arith::MulIOp>(step, rowBytes),
        to = sharedAt(i32<arith::AddIOp>(stage, target));
  for (auto [i, source] : llvm::enumerate(sources)) {
    int64_t distance = static_cast<int64_t>(i) * rowStep();
    Value isThere = isBelow(i32<arith::AddIOp>(firstRow, distance), tile.rows);
    Value size = arith::SelectOp::create(builder, loc, isThere,
                                         constant(pieceBytes), constant(0));
    copyAsync(advance(to, constant(distance * rowBytes)), advance(source, at),
              pieceBytes, size);
  }
}

void FP8Tile::multiplyStage(Value stage, const Weights &weights,
                            MutableArrayRef<Value> sums) {
  SmallVector<Values> fragments = toFragments(weights);
  // Of 16 columns a lane has half a piece: t / 2 of two.
  Value half = i32<arith::MulIOp>(i32<arith::RemUIOp>(quarter, 2), 8);
  SmallVector<Value> places;
  for (int64_t step = 0; step < fp8Steps; ++step) {
    Value piece = i32<arith::XOrIOp>(
        i32<arith::AddIOp>(i32<arith::DivUIOp>(quarter, 2), 2 * step),
        exchangeOf(rowPair));
    places.push_back(sharedAt(i32<arith::AddIOp>(
        i32<arith::AddIOp>(stage, i32<arith::MulIOp>(rowPair, rowBytes)),
        i32<arith::AddIOp>(i32<arith::MulIOp>(piece, pieceBytes), half))));
  }
  for (int64_t row = 0; row < tiling.m; row += inputRows) {
    SmallVector<Values> inputs;
    for (Value place : places)
      inputs.push_back(loadPair(builder.getI32Type(),
                                advance(place, constant(row * rowBytes))));
    multiplyAdd(fragments, weights.scales, inputs,
                sums.slice(static_cast<size_t>(row / inputRows * 4), 4));
  }
}

FP8Tile::Values FP8Tile::multiplyAll() {
  int64_t ahead = tiling.stages - 1, bytes = stageBytes(tiling);
  for (int64_t step = 0; step < ahead; ++step) {
    if (step < numSteps())
      fetch(constant(step * bytes), constant(step));
    commit();
  }
  Values carried(static_cast<size_t>(tiling.m / inputRows * 4),
                 emitFloat(builder, loc, 0));
  size_t numSums = carried.size();
  Weights first = load(panel, constant(0));
  carried.append(first.codes);
  carried.append(first.scales);
  auto loop = scf::ForOp::create(builder, loc, constant(0),
                                 constant(numSteps()), constant(1), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value step = loop.getInductionVar();
  auto stageOf = [&](Value number) {
    return i32<arith::MulIOp>(i32<arith::RemUIOp>(number, tiling.stages),
                              bytes);
  };
  // The step is there, and nobody reads the one before.
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
  Weights current;
  current.codes = Values(given.drop_front(numSums).drop_back(2));
  current.scales = Values(given.take_back(2));
  // The last one repeats itself.
  Weights next = load(
      panel, i32<arith::MinUIOp>(i32<arith::AddIOp>(step, 1), numSteps() - 1));
  multiplyStage(stageOf(step), current, sums);
  sums.append(next.codes);
  sums.append(next.scales);
  scf::YieldOp::create(builder, loc, sums);
  return Values(loop.getResults().take_front(numSums));
}

void FP8Tile::storeSums(ArrayRef<Value> sums) {
  auto pairType = VectorType::get({2}, builder.getF32Type());
  int64_t stride = sumStride(tiling) * 4;
  Value first = i32<arith::AddIOp>(
      i32<arith::MulIOp>(quarter, 2 * stride),
      i32<arith::AddIOp>(i32<arith::MulIOp>(warp, panelRows * 4),
                         i32<arith::MulIOp>(rowPair, 8)));
  for (int64_t row = 0; row < tiling.m; row += inputRows)
    for (int64_t i : {0, 1}) {
      auto own = static_cast<size_t>(row / inputRows * 4 + i);
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

/// A warp behind the last panel repeats it.
void FP8Tile::findPanel() {
  auto panels = static_cast<int64_t>(llvm::divideCeil(n, panelRows));
  Value number = arith::DivUIOp::create(
      builder, loc, tile.column, cpu::emitIndex(builder, loc, panelRows));
  number = arith::MinUIOp::create(
      builder, loc, cpu::emitAdd(builder, loc, number, toIndex(warp)),
      cpu::emitIndex(builder, loc, panels - 1));
  panel = cpu::emitAddress(
      builder, loc, tile.weight, builder.getI8Type(),
      cpu::emitMul(builder, loc, number,
                   cpu::emitIndex(builder, loc, numSteps() * fp8PanelBytes)));
}

void FP8Tile::emit(llvm::function_ref<void(Value, Value, Value)> store) {
  Value columns = tile.columns;
  if (n % tiling.n)
    columns = left(cpu::emitIndex(builder, loc, n), tile.column, tiling.n);
  findPanel();
  beginCopies();
  Values sums = multiplyAll();
  waitFor(0);
  storeSums(sums);
  emitSync(builder, loc);
  readSums(tiling.threads(), tiling.n, sumStride(tiling), tile.rows, columns,
           store);
}

void emitFP8Tile(OpBuilder &builder, Location loc, const Tiling &tiling,
                 int64_t n, int64_t k, const Tile &tile,
                 llvm::function_ref<void(Value, Value, Value)> store) {
  FP8Tile(builder, loc, tiling, n, k, tile).emit(store);
}

} // namespace clade::cuda
