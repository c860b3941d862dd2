//===- Product.cpp - Matrix products on packed operands -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The register tile is a loop over K whose accumulators are separate vectors,
// carried from iteration to iteration: the form in which LLVM keeps all of them
// in registers. One row passes its sums to the epilogue directly; larger tiles
// go through a small buffer on the stack, so that the epilogue is emitted once
// and not once a row.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Product.h"

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/TileBlocks.h"
#include "lib/CodeGen/CPU/TileProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CPU/WeightRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace clade::cpu {

/// Bytes of activations that the tiles of one row block read for every panel.
/// More than the second-level cache holds: a panel that is used more often is
/// worth more than activations that are near, as they are read in order.
static constexpr int64_t kRowBlockBytes = 2 << 20;

/// Whether a panel of weights that lie row by row is copied before it is used:
/// by many rows of activations, or by tiles, which are loaded from memory.
static bool usesPanelCopy(const Target &target, const ProductShape &shape) {
  return !shape.partRows.empty() &&
         (shape.rowTile > 8 || usesTiles(target, shape));
}

/// Bytes of the copy.
static int64_t panelCopyBytes(const Target &target, const ProductShape &shape) {
  return usesPanelCopy(target, shape)
             ? target.panelRows *
                   llvm::alignTo(shape.k,
                                 Target::packDepth(shape.elementType)) *
                   shape.elementType.getIntOrFloatBitWidth() / 8
             : 0;
}

/// How far ahead, at least, weights that are transposed on the way are asked
/// for.
static constexpr int64_t kPrefetchBytes = 20 << 10;
/// Steps of K between asking for operands and using them.
static constexpr int64_t kPrefetchSteps = Target::aheadBytes / 128;

namespace {

class ProductEmitter {
public:
  ProductEmitter(Location loc, const Target &target, const ProductShape &shape,
                 ProductEpilogue epilogue)
      : loc(loc), target(target), shape(shape), epilogue(epilogue),
        pack(Target::packDepth(shape.elementType)),
        depth(llvm::divideCeil(shape.k, pack)),
        panels(llvm::divideCeil(shape.n, target.panelRows)),
        isTiled(usesTiles(target, shape)) {
    bool isPlain = !hasBlocks(shape.form);
    registerRows = isPlain
                       ? target.registerRows(shape.elementType, shape.rowTile)
                       : groupRegisterRows(target, shape);
    columnTile = isPlain ? target.columnTile(registerRows)
                         : groupColumnTile(target, shape);
    // Transposing takes as many registers as a vector has lanes.
    if (isTransposed())
      columnTile = target.width;
  }

  void emit(OpBuilder &builder, Value activations, ValueRange weights,
            Value scratch, Value numTokens, Value thread, Value numThreads);
  void emitPanels(OpBuilder &builder, Value activations, Value weights,
                  Value numRows, Value firstPanel, Value endPanel,
                  Value tileBuffer);
  /// Memory for the sums of a tile, if it needs any.
  Value emitBuffer(OpBuilder &builder);

private:
  struct Tile {
    Value panel, rowTile;
  };

  /// Whether weights lie row by row.
  bool isInRows() const { return !shape.partRows.empty(); }
  /// Whether such weights are transposed in registers for each tile; many tiles
  /// of rows share a panel that is transposed once.
  bool isTransposed() const {
    return isInRows() && !usesPanelCopy(target, shape);
  }

  void emitTasks(OpBuilder &builder, Value numTokens, Value thread,
                 Value numThreads);
  void emitBlocks(OpBuilder &builder, Value scratch, Value thread,
                  Value numThreads);
  Value panelStep(OpBuilder &builder, Value panel, Value step);
  Value emitPaddedPiece(OpBuilder &builder, Value from, Value first,
                        Value count, Value memory);
  int64_t stepBytes() const;
  Value blockTiles(OpBuilder &builder, Value tiles);
  Tile locate(OpBuilder &builder, Value task, Value tiles, Value perBlock);
  void emitTile(OpBuilder &builder, Tile tile);
  void emitFullTile(OpBuilder &builder, Value a, Value w, Value count);
  SmallVector<Value> emitSums(OpBuilder &builder, Value a, Value w,
                              int64_t firstColumn);
  SmallVector<Value> emitRowSums(OpBuilder &builder, Value a,
                                 int64_t firstColumn, ValueRange init);
  void accumulate(OpBuilder &builder, Value a, Value w, Value step,
                  int64_t firstColumn, MutableArrayRef<Value> sums);
  int64_t activationStepBytes() const {
    return shape.rowTile * pack * target.activationBytes(shape.elementType);
  }
  Value activationStep(OpBuilder &builder, Value a, Value step);
  void prefetch(OpBuilder &builder, Value step, int64_t bytes, uint32_t near);
  SmallVector<Value, 2> rowFactors(OpBuilder &builder, Value aStep,
                                   int64_t row);
  Value loadGroups(OpBuilder &builder, Type type, Value base, int64_t index);
  Value loadHalves(OpBuilder &builder, Value base, int64_t index);
  void accumulateRows(OpBuilder &builder, Value aStep,
                      ArrayRef<SmallVector<Value, 2>> columns,
                      MutableArrayRef<Value> sums);
  SmallVector<Value, 2> factors(OpBuilder &builder, Value groups);
  Value multiplyAdd(OpBuilder &builder, Value a, Value w, Value sum);
  void bufferSums(OpBuilder &builder, Value a, Value w, Value row);
  void emitLoop(OpBuilder &builder, Value end, int64_t step,
                function_ref<void(OpBuilder &, Value)> body);
  void emitRows(OpBuilder &builder, Value panel, Value firstRow, Value count);
  void emitPanelEnd(OpBuilder &builder, Value panel,
                    function_ref<void(OpBuilder &, int64_t columns)> body);
  void callEpilogue(OpBuilder &builder, Value row, Value panel,
                    ArrayRef<Value> sums, int64_t columns);

  int64_t vectors() const { return columnTile / target.width; }

  Location loc;
  const Target &target;
  const ProductShape &shape;
  ProductEpilogue epilogue;
  int64_t pack, depth, panels, registerRows, columnTile;
  bool isTiled;
  Value activations, weights, numTokens, buffer;
  std::optional<WeightRows> inRows;
  Value rowPanel; ///< The panel of the tile whose weights are transposed.
};

} // namespace

/// The part [begin, end) of `tasks` that belongs to `thread`.
static std::pair<Value, Value> emitShare(OpBuilder &builder, Location loc,
                                         Value tasks, Value thread,
                                         Value numThreads) {
  Value one = emitIndex(builder, loc, 1);
  Value next = emitAdd(builder, loc, thread, one);
  auto boundary = [&](Value part) {
    return arith::DivUIOp::create(
        builder, loc, emitMul(builder, loc, tasks, part), numThreads);
  };
  return {boundary(thread), boundary(next)};
}

Value ProductEmitter::emitBuffer(OpBuilder &builder) {
  if (usesTileBlocks(target, shape))
    return emitStackBuffer(builder, loc, tileConfigBytes);
  if (isTiled)
    return emitStackBuffer(builder, loc, tileBufferBytes(target, shape));
  if (shape.rowTile > 1 || columnTile < target.panelRows)
    return emitStackBuffer(builder, loc, shape.rowTile * target.panelRows * 4);
  return {};
}

void ProductEmitter::emitPanels(OpBuilder &builder, Value activations,
                                Value weights, Value numRows, Value firstPanel,
                                Value endPanel, Value tileBuffer) {
  this->activations = activations;
  this->weights = weights;
  numTokens = numRows;
  buffer = tileBuffer;
  if (isTiled)
    emitConfigureTiles(builder, loc, target, shape, buffer);
  scf::ForOp::create(builder, loc, firstPanel, endPanel,
                     emitIndex(builder, loc, 1), ValueRange{},
                     [&](OpBuilder &body, Location, Value panel, ValueRange) {
                       emitTile(body, {panel, emitIndex(body, loc, 0)});
                       scf::YieldOp::create(body, loc);
                     });
  if (isTiled)
    emitReleaseTiles(builder, loc);
}

void ProductEmitter::emit(OpBuilder &builder, Value activations,
                          ValueRange weights, Value scratch, Value numTokens,
                          Value thread, Value numThreads) {
  this->activations = activations;
  this->weights = usesPanelCopy(target, shape) ? scratch : weights.front();
  this->numTokens = numTokens;
  if (isInRows())
    inRows.emplace(loc, target, shape.elementType, shape.k, shape.partRows,
                   weights);
  buffer = emitBuffer(builder);
  if (usesTileBlocks(target, shape)) {
    emitTileConfig(builder, loc, Target::tileRows, /*bytes=*/64, buffer);
    emitBlocks(builder, scratch, thread, numThreads);
    return emitReleaseTiles(builder, loc);
  }
  if (isTiled)
    emitConfigureTiles(builder, loc, target, shape, buffer);
  emitTasks(builder, numTokens, thread, numThreads);
  if (isTiled)
    emitReleaseTiles(builder, loc);
}

/// Where the `step`th 32 columns of a packed panel begin; of blocks whose
/// columns are a multiple of that, where their block does.
Value ProductEmitter::panelStep(OpBuilder &builder, Value panel, Value step) {
  auto bytes = [&](Value count, int64_t each) {
    return emitMul(builder, loc, count, emitIndex(builder, loc, each));
  };
  Value start = bytes(panel, packedWeightBytes(target, shape) / panels);
  return emitAddress(builder, loc, weights, builder.getI8Type(),
                     emitAdd(builder, loc, start, bytes(step, stepBytes())));
}

/// Bytes of a step of 32 columns of a packed panel.
int64_t ProductEmitter::stepBytes() const {
  if (!hasBlocks(shape.form))
    return target.panelRows * tileColumns * 2;
  return panelBlockBytes(target, shape.form) /
         packedLayoutOf(shape.form).groups;
}

/// The last piece of a panel whose columns end within a step: copied to where
/// zeros follow it.
Value ProductEmitter::emitPaddedPiece(OpBuilder &builder, Value from,
                                      Value first, Value count, Value memory) {
  int64_t steps = llvm::divideCeil(shape.k, tileColumns);
  Value words =
      emitMul(builder, loc, count, emitIndex(builder, loc, stepBytes() / 4));
  Value end = emitAdd(builder, loc, first, count);
  Value isLast = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       end, emitIndex(builder, loc, steps));
  int64_t missing = steps * stepBytes() / 4 - depth * target.panelRows;
  auto type = VectorType::get(target.width, builder.getI32Type());
  auto copy = [&](OpBuilder &inner, Location) {
    Value there = arith::SubIOp::create(inner, loc, words,
                                        emitIndex(inner, loc, missing));
    Value width = emitIndex(inner, loc, target.width);
    scf::ForOp::create(
        inner, loc, emitIndex(inner, loc, 0), there, width, ValueRange{},
        [&](OpBuilder &body, Location, Value i, ValueRange) {
          emitStore(body, loc, emitLoad(body, loc, type, from, i), memory, i);
          scf::YieldOp::create(body, loc);
        });
    Value zero =
        arith::ConstantOp::create(inner, loc, type, inner.getZeroAttr(type));
    scf::ForOp::create(inner, loc, there, words, width, ValueRange{},
                       [&](OpBuilder &body, Location, Value i, ValueRange) {
                         emitStore(body, loc, zero, memory, i);
                         scf::YieldOp::create(body, loc);
                       });
    scf::YieldOp::create(inner, loc, memory);
  };
  return scf::IfOp::create(builder, loc, isLast, copy,
                           [&](OpBuilder &inner, Location) {
                             scf::YieldOp::create(inner, loc, from);
                           })
      .getResult(0);
}

/// Many rows by tiles. Weights that lie row by row are copied panel by panel.
void ProductEmitter::emitBlocks(OpBuilder &builder, Value scratch, Value thread,
                                Value numThreads) {
  TileBlocksInput in;
  in.activations = activations;
  in.numRows = numTokens;
  in.memory =
      emitAddress(builder, loc, scratch, builder.getI8Type(),
                  emitIndex(builder, loc, panelCopyBytes(target, shape)));
  in.thread = thread;
  in.numThreads = numThreads;
  auto piece = [&](OpBuilder &b, Value panel, Value first, Value count,
                   Value memory) -> Value {
    if (hasBlocks(shape.form)) {
      Value start = panelStep(b, panel, emitIndex(b, loc, 0));
      emitDecodeGroups(b, loc, target, shape, start, first, count, memory);
      return memory;
    }
    if (isInRows()) {
      Value isBegin = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                            first, emitIndex(b, loc, 0));
      scf::IfOp::create(b, loc, isBegin, [&](OpBuilder &copy, Location) {
        inRows->copyPanel(copy, panel, weights);
        scf::YieldOp::create(copy, loc);
      });
      panel = emitIndex(b, loc, 0);
    }
    Value from = panelStep(b, panel, first);
    return shape.k % tileColumns == 0
               ? from
               : emitPaddedPiece(b, from, first, count, memory);
  };
  auto source = [&](OpBuilder &b, Value panel, Value step) {
    return panelStep(b, panel, step);
  };
  auto finish = [&](OpBuilder &b, Value panel, Value firstRow, Value count,
                    Value sums) {
    buffer = sums;
    emitRows(b, panel, firstRow, count);
  };
  in.piece = piece;
  in.source = source;
  in.finish = finish;
  if (isInRows())
    in.groupPanels = 1;
  else
    in.sourceStepBytes = stepBytes();
  if (hasBlocks(shape.form))
    in.stepAlign = packedLayoutOf(shape.form).groups;
  emitTileBlocks(builder, loc, target, shape, in);
}

/// The tiles of a thread, one after the other.
void ProductEmitter::emitTasks(OpBuilder &builder, Value numTokens,
                               Value thread, Value numThreads) {
  Value rows = emitIndex(builder, loc, shape.rowTile);
  Value tiles = emitCeilDiv(builder, loc, numTokens, rows);
  Value tasks = emitMul(builder, loc, tiles, emitIndex(builder, loc, panels));
  Value perBlock = blockTiles(builder, tiles);
  auto [begin, end] = emitShare(builder, loc, tasks, thread, numThreads);
  Value one = emitIndex(builder, loc, 1);
  if (!usesPanelCopy(target, shape)) {
    scf::ForOp::create(builder, loc, begin, end, one, ValueRange{},
                       [&](OpBuilder &body, Location, Value task, ValueRange) {
                         emitTile(body, locate(body, task, tiles, perBlock));
                         scf::YieldOp::create(body, loc);
                       });
    return;
  }
  // The panel that the scratch memory holds is carried; none at first.
  Value none = emitIndex(builder, loc, panels);
  scf::ForOp::create(
      builder, loc, begin, end, one, none,
      [&](OpBuilder &body, Location, Value task, ValueRange held) {
        Tile tile = locate(body, task, tiles, perBlock);
        Value isOther = arith::CmpIOp::create(
            body, loc, arith::CmpIPredicate::ne, tile.panel, held.front());
        scf::IfOp::create(body, loc, isOther, [&](OpBuilder &copy, Location) {
          inRows->copyPanel(copy, tile.panel, this->weights);
          scf::YieldOp::create(copy, loc);
        });
        Value panel = tile.panel;
        emitTile(body, tile);
        scf::YieldOp::create(body, loc, panel);
      });
}

/// Row tiles of one block: as many as fit kRowBlockBytes, evened out so that
/// the last block is not a small one.
Value ProductEmitter::blockTiles(OpBuilder &builder, Value tiles) {
  int64_t bytes = packedActivationTileBytes(target, shape);
  Value limit =
      emitIndex(builder, loc, std::max<int64_t>(1, kRowBlockBytes / bytes));
  Value one = emitIndex(builder, loc, 1);
  Value some = arith::MaxUIOp::create(builder, loc, tiles, one);
  Value blocks = emitCeilDiv(builder, loc, some, limit);
  return emitCeilDiv(builder, loc, some, blocks);
}

/// Tasks are numbered block by block, in a block panel by panel, in a panel row
/// tile by row tile.
ProductEmitter::Tile ProductEmitter::locate(OpBuilder &builder, Value task,
                                            Value tiles, Value perBlock) {
  auto sub = [&](Value a, Value b) -> Value {
    return arith::SubIOp::create(builder, loc, a, b);
  };
  auto div = [&](Value a, Value b) -> Value {
    return arith::DivUIOp::create(builder, loc, a, b);
  };
  Value blockTasks =
      emitMul(builder, loc, perBlock, emitIndex(builder, loc, panels));
  Value block = div(task, blockTasks);
  Value first = emitMul(builder, loc, block, perBlock);
  Value inBlock = sub(task, emitMul(builder, loc, block, blockTasks));
  Value rows =
      arith::MinUIOp::create(builder, loc, perBlock, sub(tiles, first));
  Value panel = div(inBlock, rows);
  Value row = sub(inBlock, emitMul(builder, loc, panel, rows));
  return {panel, emitAdd(builder, loc, first, row)};
}

void ProductEmitter::emitTile(OpBuilder &builder, Tile tile) {
  Type byte = builder.getI8Type();
  Value aStride =
      emitIndex(builder, loc, packedActivationTileBytes(target, shape));
  Value wStride =
      emitIndex(builder, loc, packedWeightBytes(target, shape) / panels);
  Value a = emitAddress(builder, loc, activations, byte,
                        emitMul(builder, loc, tile.rowTile, aStride));
  Value w = isInRows()
                ? weights
                : emitAddress(builder, loc, weights, byte,
                              emitMul(builder, loc, tile.panel, wStride));
  rowPanel = tile.panel;

  if (!buffer) {
    SmallVector<Value> sums = emitSums(builder, a, w, 0);
    emitPanelEnd(builder, tile.panel, [&](OpBuilder &end, int64_t columns) {
      callEpilogue(end, tile.rowTile, tile.panel, sums, columns);
    });
    return;
  }

  Value firstRow = emitMul(builder, loc, tile.rowTile,
                           emitIndex(builder, loc, shape.rowTile));
  Value count = arith::MinUIOp::create(
      builder, loc, emitIndex(builder, loc, shape.rowTile),
      arith::SubIOp::create(builder, loc, numTokens, firstRow));
  if (isTiled && !hasBlocks(shape.form))
    emitTileSums(builder, loc, target, shape, a, w, count, buffer);
  else if (registerRows == shape.rowTile)
    emitFullTile(builder, a, w, count);
  else
    emitLoop(builder, count, registerRows,
             [&](OpBuilder &body, Value row) { bufferSums(body, a, w, row); });
  emitRows(builder, tile.panel, firstRow, count);
}

/// The sums of a row tile that is one register tile: of fewer rows where at
/// most two of these have all rows that there are.
void ProductEmitter::emitFullTile(OpBuilder &builder, Value a, Value w,
                                  Value count) {
  auto whole = [&](OpBuilder &b) { bufferSums(b, a, w, emitIndex(b, loc, 0)); };
  if (shape.rowTile <= 8)
    return whole(builder);
  int64_t rows = registerRows / 3;
  Value isFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule,
                                      count, emitIndex(builder, loc, 2 * rows));
  scf::IfOp::create(
      builder, loc, isFew,
      [&](OpBuilder &b, Location) {
        llvm::SaveAndRestore few(registerRows, rows);
        emitLoop(b, count, rows, [&](OpBuilder &body, Value row) {
          bufferSums(body, a, w, row);
        });
        scf::YieldOp::create(b, loc);
      },
      [&](OpBuilder &b, Location) {
        whole(b);
        scf::YieldOp::create(b, loc);
      });
}

/// Computes the register tiles of a panel from row `row` of a row tile on and
/// stores their sums into the buffer.
void ProductEmitter::bufferSums(OpBuilder &builder, Value a, Value w,
                                Value row) {
  // Whatever the layout, 32 bits of one row lie beside those of the next.
  Value rowA =
      emitAddress(builder, loc, a, builder.getI8Type(),
                  emitMul(builder, loc, row, emitIndex(builder, loc, 4)));
  Type f32 = builder.getF32Type();
  Value rowSums = emitAddress(
      builder, loc, buffer, f32,
      emitMul(builder, loc, row, emitIndex(builder, loc, target.panelRows)));
  for (int64_t first = 0; first < target.panelRows; first += columnTile) {
    SmallVector<Value> sums = emitSums(builder, rowA, w, first);
    for (auto [i, sum] : llvm::enumerate(sums)) {
      int64_t row = i / vectors(), column = i % vectors() * target.width;
      emitStore(
          builder, loc, sum, rowSums,
          emitIndex(builder, loc, row * target.panelRows + first + column));
    }
  }
}

/// A loop over [0, end) in steps of `step`.
void ProductEmitter::emitLoop(OpBuilder &builder, Value end, int64_t step,
                              function_ref<void(OpBuilder &, Value)> body) {
  scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0), end,
                     emitIndex(builder, loc, step), ValueRange{},
                     [&](OpBuilder &inner, Location, Value i, ValueRange) {
                       body(inner, i);
                       scf::YieldOp::create(inner, loc);
                     });
}

/// The loop over K for one register tile; the sums come row by row.
SmallVector<Value> ProductEmitter::emitSums(OpBuilder &builder, Value a,
                                            Value w, int64_t firstColumn) {
  if (hasBlocks(shape.form))
    return emitGroupSums(builder, loc, target, shape, a, w, firstColumn,
                         registerRows, columnTile, buffer);
  auto type = VectorType::get(target.width, builder.getF32Type());
  Value zero =
      arith::ConstantOp::create(builder, loc, type, builder.getZeroAttr(type));
  SmallVector<Value> init(registerRows * vectors(), zero);
  if (isTransposed())
    return emitRowSums(builder, a, firstColumn, init);
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), emitIndex(builder, loc, depth),
      emitIndex(builder, loc, 1), init,
      [&](OpBuilder &body, Location, Value step, ValueRange carried) {
        SmallVector<Value> sums(carried);
        accumulate(body, a, w, step, firstColumn, sums);
        scf::YieldOp::create(body, loc, sums);
      });
  return SmallVector<Value>(loop.getResults());
}

/// Adds one step of K (P elements) to every sum of the tile.
void ProductEmitter::accumulate(OpBuilder &builder, Value a, Value w,
                                Value step, int64_t firstColumn,
                                MutableArrayRef<Value> sums) {
  Type element = shape.elementType;
  Type group = element.isF32() ? element : Type(builder.getI32Type());
  bool isHalf = shape.form == WeightForm::Half;
  Value wStep =
      emitAddress(builder, loc, w, isHalf ? builder.getI16Type() : element,
                  emitMul(builder, loc, step,
                          emitIndex(builder, loc, target.panelRows * pack)));
  Value aStep = activationStep(builder, a, step);
  if (target.asksAhead(shape.rowTile)) {
    // One row waits for memory, and many for the second level.
    bool isMany = shape.rowTile > Target::fewRows;
    prefetch(builder, wStep, target.panelRows * (isHalf ? 2 : 4),
             isMany ? 3 : 2);
    if (isMany)
      prefetch(builder, aStep, activationStepBytes(), 3);
  }
  SmallVector<SmallVector<Value, 2>> columns;
  for (int64_t v = 0; v < vectors(); ++v) {
    int64_t column = firstColumn + v * target.width;
    if (isHalf)
      columns.push_back({loadHalves(builder, wStep, column)});
    else
      columns.push_back(factors(
          builder, loadGroups(builder, VectorType::get(target.width, group),
                              wStep, column)));
  }
  accumulateRows(builder, aStep, columns, sums);
}

/// The activations of step `step` of K, for all rows of the tile.
Value ProductEmitter::activationStep(OpBuilder &builder, Value a, Value step) {
  return emitAddress(builder, loc, a, builder.getI8Type(),
                     emitMul(builder, loc, step,
                             emitIndex(builder, loc, activationStepBytes())));
}

/// Asks for an operand's step of K, `bytes` long, that is kPrefetchSteps behind
/// `step`: to the first level of caches (`near` is 3) or to the second (2).
void ProductEmitter::prefetch(OpBuilder &builder, Value step, int64_t bytes,
                              uint32_t near) {
  for (int64_t at = 0; at < bytes; at += 64)
    LLVM::Prefetch::create(
        builder, loc,
        emitAddress(builder, loc, step, builder.getI8Type(),
                    emitIndex(builder, loc, kPrefetchSteps * bytes + at)),
        /*rw=*/0, /*hint=*/near, /*cache=*/1);
}

/// `factors` of the activations of row `row`, the same in all lanes.
SmallVector<Value, 2> ProductEmitter::rowFactors(OpBuilder &builder,
                                                 Value aStep, int64_t row) {
  auto splat = [&](Type type, int64_t index) {
    // 32 bits each: a number in f32, or the P numbers of a row.
    Value address =
        emitAddress(builder, loc, aStep, type, emitIndex(builder, loc, index));
    Value scalar =
        LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/4);
    return emitSplat(builder, loc, scalar, target.width);
  };
  Type f32 = builder.getF32Type();
  if (target.widensActivations(shape.elementType))
    return {splat(f32, row), splat(f32, shape.rowTile + row)};
  if (shape.elementType.isF32())
    return {splat(f32, row)};
  return factors(builder, splat(builder.getI32Type(), row));
}

/// Loads groups from group `index` of `base` on.
Value ProductEmitter::loadGroups(OpBuilder &builder, Type type, Value base,
                                 int64_t index) {
  Type element = shape.elementType;
  Value address = emitAddress(builder, loc, base, element,
                              emitIndex(builder, loc, index * pack));
  return LLVM::LoadOp::create(builder, loc, type, address,
                              element.getIntOrFloatBitWidth() / 8);
}

/// A vector of weights in f16, from number `index` of `base` on, as f32.
Value ProductEmitter::loadHalves(OpBuilder &builder, Value base,
                                 int64_t index) {
  auto type = VectorType::get(target.width, builder.getI16Type());
  return emitHalfToFloat(
      builder, loc, target,
      emitLoad(builder, loc, type, base, emitIndex(builder, loc, index)));
}

/// Adds to every sum of the tile the products of one group of each row of
/// activations with `columns`, a vector of the tile each.
void ProductEmitter::accumulateRows(OpBuilder &builder, Value aStep,
                                    ArrayRef<SmallVector<Value, 2>> columns,
                                    MutableArrayRef<Value> sums) {
  for (int64_t row = 0; row < registerRows; ++row) {
    SmallVector<Value, 2> splats = rowFactors(builder, aStep, row);
    for (auto [v, column] : llvm::enumerate(columns))
      for (auto [splat, factor] : llvm::zip_equal(splats, column)) {
        Value &sum = sums[row * columns.size() + v];
        sum = multiplyAdd(builder, splat, factor, sum);
      }
  }
}

/// The sums of a register tile with weights that are transposed on the way: the
/// same products in the same order as with panels.
SmallVector<Value> ProductEmitter::emitRowSums(OpBuilder &builder, Value a,
                                               int64_t firstColumn,
                                               ValueRange init) {
  // A register tile is one vector wide here.
  int64_t rowBytes = shape.k * shape.elementType.getIntOrFloatBitWidth() / 8;
  int64_t ahead =
      llvm::alignTo(llvm::divideCeil(kPrefetchBytes, rowBytes), target.width);
  SmallVector<Value> rows = inRows->rows(builder, rowPanel, firstColumn);
  return inRows->forGroups(
      builder, init,
      [&](OpBuilder &body, Value first, int64_t count, bool isLast,
          ValueRange carried) {
        SmallVector<Value> sums(carried);
        SmallVector<Value> groups =
            inRows->transposed(body, rows, first, count, isLast);
        inRows->prefetch(body, rows, first, ahead);
        for (auto [i, column] : llvm::enumerate(groups)) {
          Value step = emitAdd(body, loc, first, emitIndex(body, loc, i));
          accumulateRows(body, activationStep(body, a, step),
                         {factors(body, column)}, sums);
        }
        return sums;
      });
}

/// What `multiplyAdd` takes of a vector of groups: f32 itself, pairs of bf16
/// for the CPU's dot product, or their even and their odd elements as f32.
/// Without the dot product there must be no vector of bf16: LLVM would take it
/// apart, element by element.
SmallVector<Value, 2> ProductEmitter::factors(OpBuilder &builder,
                                              Value groups) {
  if (shape.elementType.isF32())
    return {groups};
  auto type = cast<VectorType>(groups.getType());
  if (target.hasBF16) {
    auto pairs = VectorType::get(2 * target.width, builder.getBF16Type());
    return {vector::BitCastOp::create(builder, loc, pairs, groups)};
  }
  auto constant = [&](int32_t bits) {
    return arith::ConstantOp::create(builder, loc, type,
                                     DenseElementsAttr::get(type, bits));
  };
  auto asFloat = [&](Value bits) -> Value {
    Type f32 = type.cloneWith(std::nullopt, builder.getF32Type());
    return arith::BitcastOp::create(builder, loc, f32, bits);
  };
  Value even = arith::ShLIOp::create(builder, loc, groups, constant(16));
  Value odd = arith::AndIOp::create(builder, loc, groups,
                                    constant(static_cast<int32_t>(0xffff0000)));
  return {asFloat(even), asFloat(odd)};
}

Value ProductEmitter::multiplyAdd(OpBuilder &builder, Value a, Value w,
                                  Value sum) {
  if (shape.elementType.isF32() || !target.hasBF16)
    return emitMultiplyAdd(builder, loc, target, a, w, sum);
  auto name = builder.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512");
  return LLVM::CallIntrinsicOp::create(builder, loc, sum.getType(), name,
                                       ValueRange{sum, a, w})
      .getResult(0);
}

/// Passes the buffered sums of `count` rows of a tile to the epilogue.
void ProductEmitter::emitRows(OpBuilder &builder, Value panel, Value firstRow,
                              Value count) {
  auto type = VectorType::get(target.width, builder.getF32Type());
  emitPanelEnd(builder, panel, [&](OpBuilder &end, int64_t columns) {
    emitLoop(end, count, 1, [&](OpBuilder &body, Value i) {
      Value rowSums =
          emitMul(body, loc, i, emitIndex(body, loc, target.panelRows));
      SmallVector<Value> sums;
      for (int64_t first = 0; first < columns; first += target.width)
        sums.push_back(
            emitLoad(body, loc, type, buffer,
                     emitAdd(body, loc, rowSums, emitIndex(body, loc, first))));
      callEpilogue(body, emitAdd(body, loc, firstRow, i), panel, sums, columns);
    });
  });
}

/// Emits `body` for the whole panels and, where n leaves a rest, once more for
/// the last one.
void ProductEmitter::emitPanelEnd(
    OpBuilder &builder, Value panel,
    function_ref<void(OpBuilder &, int64_t)> body) {
  int64_t rest = shape.n % target.panelRows;
  if (rest == 0)
    return body(builder, target.panelRows);
  if (panels == 1)
    return body(builder, rest);
  Value last = emitIndex(builder, loc, panels - 1);
  Value whole = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                      panel, last);
  auto branch = [&](int64_t columns) {
    return [&, columns](OpBuilder &inner, Location) {
      body(inner, columns);
      scf::YieldOp::create(inner, loc);
    };
  };
  scf::IfOp::create(builder, loc, whole, branch(target.panelRows),
                    branch(rest));
}

void ProductEmitter::callEpilogue(OpBuilder &builder, Value row, Value panel,
                                  ArrayRef<Value> sums, int64_t columns) {
  Value base =
      emitMul(builder, loc, panel, emitIndex(builder, loc, target.panelRows));
  for (int64_t first = 0; first < columns; first += target.width) {
    Value column = emitAdd(builder, loc, base, emitIndex(builder, loc, first));
    Value mask;
    if (columns - first < target.width)
      mask = emitConstantMask(builder, loc, target.width, columns - first);
    epilogue(builder, loc, row, column, sums[first / target.width], mask);
  }
}

/// Whether many rows of such a product are multiplied by tiles of bytes.
static bool hasTilesOfBytes(const Target &target, const ProductShape &shape) {
  return target.hasByteTiles && shape.form == WeightForm::Int8 &&
         !shape.isExact;
}

bool decodesWeights(const Target &target, const ProductShape &shape) {
  return target.hasTiles && target.hasBF16 && hasBlocks(shape.form) &&
         !shape.isExact && !shape.ofExperts &&
         shape.rowTile == 2 * Target::tileRows;
}

bool usesTileBlocks(const Target &target, const ProductShape &shape) {
  return usesTiles(target, shape) && !shape.ofExperts &&
         shape.rowTile == 2 * Target::tileRows;
}

bool usesTiles(const Target &target, const ProductShape &shape) {
  if (decodesWeights(target, shape))
    return true;
  if (hasTilesOfBytes(target, shape))
    return shape.rowTile == Target::tileRows;
  return target.hasTiles && shape.form == WeightForm::Plain &&
         shape.elementType.isBF16();
}

int64_t productRowTile(const Target &target, const ProductShape &shape,
                       TokenClass tokens) {
  if (tokens != TokenClass::Many)
    return target.rowTile(tokens);
  ProductShape many = shape;
  many.rowTile = 2 * Target::tileRows;
  if (decodesWeights(target, many))
    return many.rowTile;
  if (hasTilesOfBytes(target, shape))
    return Target::tileRows;
  // Two tiles of rows share what is loaded of weights.
  return usesTiles(target, shape) ? 2 * Target::tileRows
                                  : target.rowTile(tokens);
}

int64_t packedWeightBytes(const Target &target, const ProductShape &shape) {
  if (hasBlocks(shape.form))
    return llvm::divideCeil(shape.n, target.panelRows) *
           panelBytes(target, shape.form, shape.k);
  int64_t bits = shape.form == WeightForm::Half
                     ? 16
                     : shape.elementType.getIntOrFloatBitWidth();
  return target.packedWeightElements(shape.elementType, shape.n, shape.k) *
         bits / 8;
}

int64_t productScratchBytes(const Target &target, const ProductShape &shape) {
  return panelCopyBytes(target, shape) +
         (usesTileBlocks(target, shape) ? tileBlocksBytes(target, shape) : 0);
}

int64_t packedActivationTileBytes(const Target &target,
                                  const ProductShape &shape) {
  if (decodesWeights(target, shape)) {
    auto bf16 = BFloat16Type::get(shape.elementType.getContext());
    return 2 * target.packedTileElements(bf16, shape.k, shape.rowTile);
  }
  if (hasBlocks(shape.form))
    return llvm::divideCeil(shape.k, activationGroup(shape)) *
           groupTileBytes(target, shape);
  return target.packedActivationElements(shape.elementType, shape.rowTile,
                                         shape.k, shape.rowTile) *
         target.activationBytes(shape.elementType);
}

void emitProduct(OpBuilder &builder, Location loc, const Target &target,
                 const ProductShape &shape, Value packedActivations,
                 ValueRange weights, Value scratch, Value numTokens,
                 Value thread, Value numThreads, ProductEpilogue epilogue) {
  ProductEmitter(loc, target, shape, epilogue)
      .emit(builder, packedActivations, weights, scratch, numTokens, thread,
            numThreads);
}

void emitProductPanels(OpBuilder &builder, Location loc, const Target &target,
                       const ProductShape &shape, Value packedActivations,
                       Value packedWeights, Value numRows, Value firstPanel,
                       Value endPanel, Value buffer, ProductEpilogue epilogue) {
  ProductEmitter(loc, target, shape, epilogue)
      .emitPanels(builder, packedActivations, packedWeights, numRows,
                  firstPanel, endPanel, buffer);
}

Value emitProductBuffer(OpBuilder &builder, Location loc, const Target &target,
                        const ProductShape &shape) {
  auto nothing = [](OpBuilder &, Location, Value, Value, Value, Value) {};
  return ProductEmitter(loc, target, shape, nothing).emitBuffer(builder);
}

} // namespace clade::cpu
