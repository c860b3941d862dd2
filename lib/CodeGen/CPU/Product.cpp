//===- Product.cpp - Which tiles of a product a thread computes -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Product.h"

#include "lib/CodeGen/CPU/ProductEmitter.h"
#include "lib/CodeGen/CPU/TileBlocks.h"
#include "lib/CodeGen/CPU/TileProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cpu {

/// Bytes of activations that the tiles of one row block read for every panel.
/// More than the second-level cache holds: a panel that is used more often is
/// worth more than activations that are near, as they are read in order.
static constexpr int64_t kRowBlockBytes = 2 << 20;

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
