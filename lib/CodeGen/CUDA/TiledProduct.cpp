//===- TiledProduct.cpp - Products on tensor cores ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Instructions of sm_80, which all later architectures have: cp.async brings
// tiles to shared memory, ldmatrix takes fragments from there, mma.sync
// multiplies them. Rows of a tile lie behind each other in pieces of 16 bytes
// that are exchanged by bits of the row's number, so that the eight rows that
// an ldmatrix reads at once, and a warp's copies, are in different banks.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TiledProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

/// The part of the result that a block computes, and how deep a step is. A warp
/// has 64 x 64 of it: 128 accumulators a thread, half of the registers.
static constexpr int64_t tileM = 128, tileN = 128, tileK = 32;
static constexpr int64_t warpsM = 2, warpsN = 2;
static constexpr int64_t warpM = tileM / warpsM, warpN = tileN / warpsN;
static constexpr int64_t tileThreads = warpsM * warpsN * warpSize;
/// Steps whose tiles are in shared memory or on the way to it.
static constexpr int64_t numStages = 4;

static constexpr int64_t elementBytes = 2;
/// Bytes of a row of a tile, of the pieces it is exchanged in, and of a stage.
static constexpr int64_t rowBytes = tileK * elementBytes, pieceBytes = 16;
static constexpr int64_t stageBytes = (tileM + tileN) * rowBytes;
/// Rows of all banks: 128 bytes.
static constexpr int64_t bankBytes = 128;

/// Floats from one row of sums in shared memory to the next: rows of a fragment
/// that one access writes are eight banks apart.
static constexpr int64_t sumStride = tileN + 8;

/// What mma.sync multiplies: 16 x 16 by 16 x 8.
static constexpr int64_t mmaM = 16, mmaN = 8, mmaK = 16;
/// What one ldmatrix gives of the second operand.
static constexpr int64_t loadN = 2 * mmaN;

/// Bytes of a group of rows of tiles of activations, at most, so that they stay
/// in L2 while weights stream by.
static constexpr int64_t groupBytes = int64_t(16) << 20;

static_assert(tileThreads % tileN == 0, "a thread has one column of sums");
static_assert(warpM % mmaM == 0 && warpN % loadN == 0 && tileK % mmaK == 0);

bool canTile(const Product &product) {
  return product.inputType.isBF16() && product.weightType.isBF16() &&
         product.k % 2 == 0;
}

Grid tiledGrid(int64_t n) {
  return {static_cast<int64_t>(llvm::divideCeil(n, tileN)), tileM, tileThreads};
}

int64_t tiledSharedBytes() {
  return std::max(numStages * stageBytes, tileM * sumStride * 4);
}

namespace {

/// Emits the pieces of one product.
class TiledProduct {
public:
  TiledProduct(OpBuilder &builder, Location loc, const Product &product)
      : builder(builder), loc(loc), product(product) {}

  void emit(Epilogue epilogue);

private:
  /// A tile of an operand, and this thread's part in copying it.
  struct Tile {
    Value source;   ///< !llvm.ptr<1>, of the first piece of step 0.
    Value target;   ///< i32, of it in a stage.
    Value row;      ///< i32, of it in the tile.
    Value rows;     ///< i32, how many rows are there; null for all.
    int64_t copies; ///< Rows that this thread copies a piece of.
  };
  using Sums = SmallVector<Value>;

  Value constant(int64_t value) {
    return arith::ConstantIntOp::create(builder, loc, builder.getI32Type(),
                                        value);
  }
  template <typename Op> Value i32(Value a, Value b) {
    return Op::create(builder, loc, a, b);
  }
  template <typename Op> Value i32(Value a, int64_t b) {
    return Op::create(builder, loc, a, constant(b));
  }
  Value toI32(Value index) {
    return arith::IndexCastUIOp::create(builder, loc, builder.getI32Type(),
                                        index);
  }
  Value isBelow(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }
  /// A pointer so many bytes behind another one.
  Value advance(Value pointer, Value bytes) {
    return LLVM::GEPOp::create(builder, loc, pointer.getType(),
                               builder.getI8Type(), pointer,
                               ArrayRef<LLVM::GEPArg>{bytes});
  }
  Value sharedAt(Value offset) { return advance(shared, offset); }

  void findPlace();
  Tile beginTile(Value base, Value firstRow, int64_t stageOffset,
                 int64_t tileRows, Value rowsLeft);
  /// Copies the tiles of `step` (i32) to the stage at `stage` (i32, bytes).
  void fetch(Value stage, Value step);
  void fetchTile(const Tile &tile, Value stage, Value step);
  void commit() { NVVM::CpAsyncCommitGroupOp::create(builder, loc); }
  /// Waits for all copies but those of the last `count` steps.
  void waitFor(uint32_t count) {
    NVVM::CpAsyncWaitGroupOp::create(builder, loc, count);
    emitSync(builder, loc);
  }
  SmallVector<Value> loadFragment(Value offset);
  Value multiply(ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> sums);
  /// Adds the product of the tiles at `stage`.
  Sums multiplyStage(Value stage, Sums sums);
  Sums multiplyAll();
  /// Brings sums to shared memory, where each thread gets those of a column.
  void storeSums(const Sums &sums);

  int64_t numSteps() const {
    return static_cast<int64_t>(llvm::divideCeil(product.k, tileK));
  }
  /// Elements that one copy brings.
  int64_t copyElements() const {
    return product.k % 8 == 0 ? 8 : product.k % 4 == 0 ? 4 : 2;
  }
  /// Bits that a row's pieces are exchanged by: those of the number of its 128
  /// bytes.
  Value exchangeOf(Value row) {
    return i32<arith::RemUIOp>(i32<arith::DivUIOp>(row, bankBytes / rowBytes),
                               rowBytes / pieceBytes);
  }

  OpBuilder &builder;
  Location loc;
  const Product &product;
  Value shared;                            ///< !llvm.ptr<3>
  Value thread, lane, warpRow, warpColumn; ///< i32
  Value firstRow, firstColumn;             ///< Of the tile, index.
  Value rowsLeft;    ///< i32: rows of the tile that are there.
  Value columnsLeft; ///< The same for columns, or null if all are.
  Tile left, right;
  Value leftLane, rightLane; ///< Where this lane's rows of fragments begin.
};

} // namespace

/// Chooses the tile of this block. Blocks that run together take a few rows of
/// tiles, and columns one after another: their activations stay in L2, and
/// weights come from memory once for each such group. Every other group goes
/// back, since the weights it begins with were used last.
void TiledProduct::findPlace() {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  auto minus = [&](Value a, Value b) -> Value {
    return arith::SubIOp::create(builder, loc, a, b);
  };
  int64_t numColumns = tiledGrid(product.n).columns;
  int64_t group = std::clamp<int64_t>(
      groupBytes / (tileM * product.k * elementBytes), 1, 64);
  Value columns = index(numColumns);
  Value number =
      emitAdd(builder, loc,
              emitMul(builder, loc, emitBlock(builder, loc, Axis::Y), columns),
              emitBlock(builder, loc, Axis::X));
  Value numRows = cpu::emitCeilDiv(builder, loc, product.rows, index(tileM));
  Value size = index(group * numColumns);
  Value which = arith::DivUIOp::create(builder, loc, number, size);
  Value inGroup = arith::RemUIOp::create(builder, loc, number, size);
  Value first = emitMul(builder, loc, which, index(group));
  Value height =
      arith::MinUIOp::create(builder, loc, minus(numRows, first), index(group));
  Value column = arith::DivUIOp::create(builder, loc, inGroup, height);
  Value row = emitAdd(builder, loc, first,
                      arith::RemUIOp::create(builder, loc, inGroup, height));
  Value goesBack = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ne,
      arith::AndIOp::create(builder, loc, which, index(1)), index(0));
  column = arith::SelectOp::create(
      builder, loc, goesBack, minus(index(numColumns - 1), column), column);
  firstRow = emitMul(builder, loc, row, index(tileM));
  firstColumn = emitMul(builder, loc, column, index(tileN));
  rowsLeft = toI32(arith::MinUIOp::create(
      builder, loc, minus(product.rows, firstRow), index(tileM)));
  if (product.n % tileN)
    columnsLeft = toI32(arith::MinUIOp::create(
        builder, loc, minus(index(product.n), firstColumn), index(tileN)));
}

TiledProduct::Tile TiledProduct::beginTile(Value base, Value first,
                                           int64_t stageOffset,
                                           int64_t tileRows, Value rowsLeft) {
  Tile tile;
  int64_t elements = copyElements(), perRow = tileK / elements;
  tile.copies = tileRows * perRow / tileThreads;
  tile.rows = rowsLeft;
  tile.row = i32<arith::DivUIOp>(thread, perRow);
  // Where in its row the piece is, in bytes.
  Value at = i32<arith::MulIOp>(i32<arith::RemUIOp>(thread, perRow),
                                elements * elementBytes);
  Value piece = i32<arith::XOrIOp>(i32<arith::DivUIOp>(at, pieceBytes),
                                   exchangeOf(tile.row));
  tile.target = i32<arith::AddIOp>(
      i32<arith::AddIOp>(i32<arith::MulIOp>(tile.row, rowBytes),
                         i32<arith::MulIOp>(piece, pieceBytes)),
      i32<arith::AddIOp>(i32<arith::RemUIOp>(at, pieceBytes), stageOffset));
  auto toIndex = [&](Value value) -> Value {
    return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                        value);
  };
  Value offset =
      emitMul(builder, loc, emitAdd(builder, loc, first, toIndex(tile.row)),
              emitIndex(builder, loc, product.k * elementBytes));
  Value address = cpu::emitAddress(builder, loc, base, builder.getI8Type(),
                                   emitAdd(builder, loc, offset, toIndex(at)));
  auto globalSpace = static_cast<unsigned>(NVVM::NVVMMemorySpace::Global);
  tile.source = LLVM::AddrSpaceCastOp::create(
      builder, loc,
      LLVM::LLVMPointerType::get(builder.getContext(), globalSpace), address);
  return tile;
}

void TiledProduct::fetchTile(const Tile &tile, Value stage, Value step) {
  int64_t elements = copyElements(), bytes = elements * elementBytes,
          rowStep = tileThreads * elements / tileK;
  Value begin = advance(tile.source, i32<arith::MulIOp>(step, rowBytes));
  Value target = i32<arith::AddIOp>(stage, tile.target);
  // Behind the end of rows, zeros are added to the sums.
  Value isInRow;
  if (product.k % tileK) {
    Value at = i32<arith::AddIOp>(
        i32<arith::MulIOp>(step, tileK),
        i32<arith::MulIOp>(i32<arith::RemUIOp>(thread, tileK / elements),
                           elements));
    isInRow = isBelow(at, constant(product.k));
  }
  for (int64_t i = 0; i < tile.copies; ++i) {
    Value isThere = isInRow;
    if (tile.rows) {
      Value isRow =
          isBelow(i32<arith::AddIOp>(tile.row, i * rowStep), tile.rows);
      isThere = isThere ? i32<arith::AndIOp>(isThere, isRow) : isRow;
    }
    Value size = isThere ? arith::SelectOp::create(builder, loc, isThere,
                                                   constant(bytes), constant(0))
                         : Value();
    Value from = advance(begin, arith::ConstantIntOp::create(
                                    builder, loc, builder.getI64Type(),
                                    i * rowStep * product.k * elementBytes));
    NVVM::CpAsyncOp::create(
        builder, loc,
        sharedAt(i32<arith::AddIOp>(target, i * rowStep * rowBytes)), from,
        static_cast<uint32_t>(bytes),
        bytes == pieceBytes ? NVVM::LoadCacheModifierKind::CG
                            : NVVM::LoadCacheModifierKind::CA,
        size);
  }
}

void TiledProduct::fetch(Value stage, Value step) {
  fetchTile(left, stage, step);
  fetchTile(right, stage, step);
}

SmallVector<Value> TiledProduct::loadFragment(Value offset) {
  Type i32Type = builder.getI32Type();
  MLIRContext *context = builder.getContext();
  auto type =
      LLVM::LLVMStructType::getLiteral(context, SmallVector<Type>(4, i32Type));
  Value loaded = NVVM::LdMatrixOp::create(
      builder, loc, type, sharedAt(offset), 4u, NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
      NVVM::LdStMatrixEltType::B16);
  SmallVector<Value> parts;
  for (int64_t i = 0; i < 4; ++i)
    parts.push_back(LLVM::ExtractValueOp::create(builder, loc, loaded, i));
  return parts;
}

Value TiledProduct::multiply(ArrayRef<Value> a, ArrayRef<Value> b,
                             ArrayRef<Value> sums) {
  auto type = LLVM::LLVMStructType::getLiteral(
      builder.getContext(), SmallVector<Type>(4, builder.getF32Type()));
  return NVVM::MmaOp::create(
      builder, loc, type, a, b, sums, {mmaM, mmaN, mmaK}, std::nullopt,
      std::nullopt, std::array{NVVM::MMATypes::bf16, NVVM::MMATypes::bf16},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
}

TiledProduct::Sums TiledProduct::multiplyStage(Value stage, Sums sums) {
  for (int64_t depth = 0; depth < tileK; depth += mmaK) {
    // A step over pieces changes bits that only the exchange has set.
    auto beginOf = [&](Value laneOffset) {
      return i32<arith::AddIOp>(
          stage, i32<arith::XOrIOp>(laneOffset, depth * elementBytes));
    };
    Value leftBegin = beginOf(leftLane), rightBegin = beginOf(rightLane);
    SmallVector<SmallVector<Value>> rows, columns;
    for (int64_t i = 0; i < warpM; i += mmaM)
      rows.push_back(loadFragment(i32<arith::AddIOp>(leftBegin, i * rowBytes)));
    for (int64_t i = 0; i < warpN; i += loadN)
      columns.push_back(
          loadFragment(i32<arith::AddIOp>(rightBegin, i * rowBytes)));
    MutableArrayRef<Value> next(sums);
    for (ArrayRef<Value> a : rows)
      for (ArrayRef<Value> pair : columns)
        for (ArrayRef<Value> b : {pair.take_front(2), pair.drop_front(2)}) {
          Value product = multiply(a, b, next.take_front(4));
          for (int64_t i = 0; i < 4; ++i)
            next[i] = LLVM::ExtractValueOp::create(builder, loc, product, i);
          next = next.drop_front(4);
        }
  }
  return sums;
}

TiledProduct::Sums TiledProduct::multiplyAll() {
  for (int64_t step = 0; step < numStages - 1; ++step) {
    if (step < numSteps())
      fetch(constant(step * stageBytes), constant(step));
    commit();
  }
  SmallVector<Value> initial(warpM * warpN / warpSize,
                             emitFloat(builder, loc, 0));
  initial.push_back(constant(0));
  initial.push_back(constant((numStages - 1) * stageBytes));
  auto loop = scf::ForOp::create(builder, loc, constant(0),
                                 constant(numSteps()), constant(1), initial);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> carried(loop.getRegionIterArgs());
  Value writeStage = carried.pop_back_val(), readStage = carried.pop_back_val();
  // The step's tiles are there, and nobody reads those of the step before.
  waitFor(numStages - 2);
  Value ahead = i32<arith::AddIOp>(loop.getInductionVar(), numStages - 1);
  auto isStep =
      scf::IfOp::create(builder, loc, isBelow(ahead, constant(numSteps())));
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(isStep.thenBlock());
    fetch(writeStage, ahead);
  }
  commit();
  Sums sums = multiplyStage(readStage, std::move(carried));
  for (Value stage : {readStage, writeStage}) {
    Value next = i32<arith::AddIOp>(stage, stageBytes);
    Value isEnd = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        next, constant(numStages * stageBytes));
    sums.push_back(
        arith::SelectOp::create(builder, loc, isEnd, constant(0), next));
  }
  scf::YieldOp::create(builder, loc, sums);
  return Sums(loop.getResults().drop_back(2));
}

void TiledProduct::storeSums(const Sums &sums) {
  auto pairType = VectorType::get({2}, builder.getF32Type());
  Value row = i32<arith::AddIOp>(warpRow, i32<arith::DivUIOp>(lane, 4));
  Value column = i32<arith::AddIOp>(
      warpColumn, i32<arith::MulIOp>(i32<arith::RemUIOp>(lane, 4), 2));
  Value begin = i32<arith::AddIOp>(i32<arith::MulIOp>(row, sumStride * 4),
                                   i32<arith::MulIOp>(column, 4));
  ArrayRef<Value> next(sums);
  for (int64_t i = 0; i < warpM; i += mmaM)
    for (int64_t j = 0; j < warpN; j += mmaN)
      for (int64_t half = 0; half < mmaM; half += mmaM / 2) {
        Value pair = LLVM::PoisonOp::create(builder, loc, pairType);
        for (int64_t place : {0, 1})
          pair = LLVM::InsertElementOp::create(builder, loc, pair, next[place],
                                               constant(place));
        next = next.drop_front(2);
        LLVM::StoreOp::create(builder, loc, pair,
                              sharedAt(i32<arith::AddIOp>(
                                  begin, ((i + half) * sumStride + j) * 4)),
                              /*alignment=*/8);
      }
}

void TiledProduct::emit(Epilogue epilogue) {
  shared = emitSharedSpace(builder, loc);
  thread = toI32(emitThread(builder, loc));
  lane = i32<arith::RemUIOp>(thread, warpSize);
  Value warp = i32<arith::DivUIOp>(thread, warpSize);
  warpRow = i32<arith::MulIOp>(i32<arith::DivUIOp>(warp, warpsN), warpM);
  warpColumn = i32<arith::MulIOp>(i32<arith::RemUIOp>(warp, warpsN), warpN);
  findPlace();
  left = beginTile(product.input, firstRow, 0, tileM, rowsLeft);
  right = beginTile(product.weight, firstColumn, tileM * rowBytes, tileN,
                    columnsLeft);
  // Four matrices of 8 x 8: lanes 0 … 7 say where the rows of the first begin,
  // and so on. Of the first operand they are two halves of rows, then of
  // columns; of the second the other way round.
  auto laneOffset = [&](Value first, Value row, Value half) {
    Value piece = i32<arith::XOrIOp>(half, exchangeOf(row));
    return i32<arith::AddIOp>(
        i32<arith::MulIOp>(i32<arith::AddIOp>(first, row), rowBytes),
        i32<arith::MulIOp>(piece, pieceBytes));
  };
  leftLane = laneOffset(warpRow, i32<arith::RemUIOp>(lane, 16),
                        i32<arith::DivUIOp>(lane, 16));
  Value rightRow =
      i32<arith::AddIOp>(i32<arith::RemUIOp>(lane, 8),
                         i32<arith::MulIOp>(i32<arith::DivUIOp>(lane, 16), 8));
  rightLane = i32<arith::AddIOp>(
      laneOffset(warpColumn, rightRow,
                 i32<arith::RemUIOp>(i32<arith::DivUIOp>(lane, 8), 2)),
      tileM * rowBytes);
  Sums sums = multiplyAll();
  waitFor(0);
  storeSums(sums);
  emitSync(builder, loc);

  auto toIndex = [&](Value value) -> Value {
    return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                        value);
  };
  Value ownColumn = i32<arith::RemUIOp>(thread, tileN);
  OpBuilder::InsertionGuard guard(builder);
  if (columnsLeft) {
    auto isThere =
        scf::IfOp::create(builder, loc, isBelow(ownColumn, columnsLeft));
    builder.setInsertionPointToStart(isThere.thenBlock());
  }
  auto loop =
      scf::ForOp::create(builder, loc, i32<arith::DivUIOp>(thread, tileN),
                         rowsLeft, constant(tileThreads / tileN));
  builder.setInsertionPointToStart(loop.getBody());
  Value ownRow = loop.getInductionVar();
  Value place = i32<arith::AddIOp>(i32<arith::MulIOp>(ownRow, sumStride * 4),
                                   i32<arith::MulIOp>(ownColumn, 4));
  Value sum =
      LLVM::LoadOp::create(builder, loc, builder.getF32Type(), sharedAt(place));
  epilogue(emitAdd(builder, loc, firstRow, toIndex(ownRow)),
           emitAdd(builder, loc, firstColumn, toIndex(ownColumn)), sum);
}

void emitTiledProduct(OpBuilder &builder, Location loc, const Product &product,
                      Epilogue epilogue) {
  TiledProduct(builder, loc, product).emit(epilogue);
}

} // namespace clade::cuda
