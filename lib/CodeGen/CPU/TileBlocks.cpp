//===- TileBlocks.cpp - Products of many rows by tiles --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/TileBlocks.h"

#include "lib/CodeGen/CPU/TileProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// Steps of a piece, of which a panel of 32 rows has 2 KiB each: a part of a
/// first level of 48 KiB that leaves room for sums; or nearly all of it, where
/// one piece is all there is and no sum waits.
static constexpr int64_t pieceSteps = 12, onlySteps = 22;
/// Tiles of rows of a block: with eight panels half a MiB of sums, and half as
/// much of activations for each piece.
static constexpr int64_t blockTiles = 16, mostPanels = 8;
static constexpr int64_t lineBytes = 64;

namespace {
class BlockEmitter {
public:
  BlockEmitter(Location loc, const Target &target, const ProductShape &shape,
               const TileBlocksInput &in)
      : loc(loc), target(target), shape(shape), in(in),
        panels(llvm::divideCeil(shape.n, target.panelRows)),
        steps(llvm::divideCeil(shape.k, tileColumns)),
        pieces(steps <= onlySteps ? 1 : llvm::divideCeil(steps, pieceSteps)),
        perPiece(static_cast<int64_t>(
            llvm::alignTo(llvm::divideCeil(steps, pieces), in.stepAlign))),
        aStepBytes(shape.rowTile * lineBytes) {
    pieces = llvm::divideCeil(steps, perPiece);
  }

  void emit(OpBuilder &builder);

private:
  /// A block of rows and a group of panels: where each begins and how many
  /// there are, in tiles of rows and in panels.
  struct Group {
    Value firstTile, tiles, firstPanel, panels;
  };

  void emitGroup(OpBuilder &builder, const Group &group);
  void emitPiece(OpBuilder &builder, const Group &group, Value piece,
                 Value inGroup);
  Value nextSource(OpBuilder &builder, const Group &group, Value piece,
                   Value inGroup);

  Value index(OpBuilder &b, int64_t value) { return emitIndex(b, loc, value); }
  Value add(OpBuilder &b, Value x, Value y) { return emitAdd(b, loc, x, y); }
  Value sub(OpBuilder &b, Value x, Value y) {
    return arith::SubIOp::create(b, loc, x, y);
  }
  Value mul(OpBuilder &b, Value x, Value y) { return emitMul(b, loc, x, y); }
  Value mul(OpBuilder &b, Value x, int64_t y) { return mul(b, x, index(b, y)); }
  Value div(OpBuilder &b, Value x, Value y) {
    return arith::DivUIOp::create(b, loc, x, y);
  }
  Value min(OpBuilder &b, Value x, Value y) {
    return arith::MinUIOp::create(b, loc, x, y);
  }
  Value max(OpBuilder &b, Value x, Value y) {
    return arith::MaxUIOp::create(b, loc, x, y);
  }
  Value isBelow(OpBuilder &b, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, y);
  }
  Value at(OpBuilder &b, Value base, Value bytes) {
    return emitAddress(b, loc, base, b.getI8Type(), bytes);
  }
  void forEach(OpBuilder &b, Value begin, Value end, int64_t step,
               function_ref<void(OpBuilder &, Value)> body) {
    scf::ForOp::create(b, loc, begin, end, index(b, step), ValueRange{},
                       [&](OpBuilder &inner, Location, Value i, ValueRange) {
                         body(inner, i);
                         scf::YieldOp::create(inner, loc);
                       });
  }
  /// Where the activations of a tile of rows have step `step`.
  Value rowsAt(OpBuilder &b, Value tile, Value step) {
    Value bytes = add(b, mul(b, tile, packedActivationTileBytes(target, shape)),
                      mul(b, step, aStepBytes));
    return at(b, in.activations, bytes);
  }

  Location loc;
  const Target &target;
  const ProductShape &shape;
  const TileBlocksInput &in;
  /// `pieces` of `perPiece` steps, of which the last one may have less.
  int64_t panels, steps, pieces, perPiece, aStepBytes;
};
} // namespace

static int64_t sumsBytes(const Target &target, const ProductShape &shape) {
  return shape.rowTile * target.panelRows * 4;
}

int64_t tileBlocksBytes(const Target &target, const ProductShape &shape) {
  return blockTiles * mostPanels * sumsBytes(target, shape) +
         onlySteps * tileColumns * target.panelRows * 2;
}

/// Work is cut into blocks of rows by one panel, and that into one range for
/// each thread, of which neighbours of one block are a group.
void BlockEmitter::emit(OpBuilder &builder) {
  Value one = index(builder, 1), all = index(builder, panels);
  Value tiles =
      emitCeilDiv(builder, loc, in.numRows, index(builder, shape.rowTile));
  // Blocks that are smaller where there are more threads than panels.
  Value limit =
      div(builder, mul(builder, tiles, panels), mul(builder, in.numThreads, 4));
  limit = max(builder, one, min(builder, limit, index(builder, blockTiles)));
  Value blocks = emitCeilDiv(builder, loc, tiles, limit);
  Value perBlock = emitCeilDiv(builder, loc, tiles, max(builder, blocks, one));
  Value tasks = mul(builder, blocks, all);
  auto boundary = [&](Value part) {
    return div(builder, mul(builder, tasks, part), in.numThreads);
  };
  Value begin = boundary(in.thread),
        end = boundary(add(builder, in.thread, one));
  Value firstBlock = div(builder, begin, all),
        endBlock = emitCeilDiv(builder, loc, end, all);
  forEach(builder, firstBlock, endBlock, 1, [&](OpBuilder &b, Value block) {
    Value firstTask = mul(b, block, all);
    Value first = sub(b, max(b, begin, firstTask), firstTask),
          last = min(b, sub(b, end, firstTask), all);
    Value tile = mul(b, block, perBlock);
    // What is rounded up may leave the last blocks without rows.
    Value count = min(b, perBlock, sub(b, tiles, min(b, tile, tiles)));
    forEach(b, first, last, in.groupPanels, [&](OpBuilder &inner, Value panel) {
      emitGroup(inner, {tile, count, panel,
                        min(inner, index(inner, in.groupPanels),
                            sub(inner, last, panel))});
    });
  });
}

void BlockEmitter::emitGroup(OpBuilder &builder, const Group &group) {
  forEach(builder, index(builder, 0), index(builder, pieces), 1,
          [&](OpBuilder &b, Value piece) {
            forEach(b, index(b, 0), group.panels, 1,
                    [&](OpBuilder &inner, Value inGroup) {
                      emitPiece(inner, group, piece, inGroup);
                    });
          });
}

/// Where the weights lie that come behind a piece of a panel: the next panel of
/// the group, the next piece, or the next group.
Value BlockEmitter::nextSource(OpBuilder &builder, const Group &group,
                               Value piece, Value inGroup) {
  auto select = [&](Value condition, Value x, Value y) -> Value {
    return arith::SelectOp::create(builder, loc, condition, x, y);
  };
  Value zero = index(builder, 0), one = index(builder, 1);
  Value nextPanel = add(builder, inGroup, one),
        nextPiece = add(builder, piece, one);
  Value isInGroup = isBelow(builder, nextPanel, group.panels),
        isInPanel = isBelow(builder, nextPiece, index(builder, pieces));
  Value panel =
      add(builder, group.firstPanel,
          select(isInGroup, nextPanel, select(isInPanel, zero, group.panels)));
  panel = min(builder, panel, index(builder, panels - 1));
  Value first = select(isInGroup, piece, select(isInPanel, nextPiece, zero));
  return in.source(builder, panel, mul(builder, first, perPiece));
}

void BlockEmitter::emitPiece(OpBuilder &builder, const Group &group,
                             Value piece, Value inGroup) {
  Value zero = index(builder, 0), one = index(builder, 1);
  Value panel = add(builder, group.firstPanel, inGroup);
  Value first = mul(builder, piece, perPiece);
  Value count = min(builder, index(builder, perPiece),
                    sub(builder, index(builder, steps), first));
  Value pieceMemory =
      at(builder, in.memory,
         index(builder, blockTiles * mostPanels * sumsBytes(target, shape)));
  Value w = in.piece(builder, panel, first, count, pieceMemory);
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        piece, zero);
  Value isLast = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       piece, index(builder, pieces - 1));
  bool asksForWeights = in.sourceStepBytes > 0, waits = pieces > 1;
  Value next =
      asksForWeights ? nextSource(builder, group, piece, inGroup) : Value();
  int64_t weightLines = llvm::divideCeil(in.sourceStepBytes, lineBytes),
          sumLines =
              llvm::divideCeil(sumsBytes(target, shape) / lineBytes, perPiece);
  auto part = [&](OpBuilder &b, Value number) {
    return div(b, mul(b, number, weightLines), group.tiles);
  };

  forEach(builder, zero, group.tiles, 1, [&](OpBuilder &b, Value inBlock) {
    Value tile = add(b, group.firstTile, inBlock);
    Value sums = at(b, in.memory,
                    mul(b, add(b, mul(b, inGroup, blockTiles), inBlock),
                        sumsBytes(target, shape)));
    Value firstRow = mul(b, tile, shape.rowTile);
    Value rows = min(b, index(b, shape.rowTile), sub(b, in.numRows, firstRow));
    Value a = rowsAt(b, tile, first);
    Value weightsBegin = part(b, inBlock),
          weightsEnd = part(b, add(b, inBlock, one));
    auto ask = [&](OpBuilder &inner, Value address, uint32_t isWritten,
                   uint32_t near) {
      LLVM::Prefetch::create(inner, loc, address, isWritten, near,
                             /*cache=*/1);
    };
    auto beside = [&](OpBuilder &inner, Value step) {
      // The sums of the next tile, for the first level.
      if (waits)
        for (int64_t line = 0; line < sumLines; ++line)
          ask(inner,
              at(inner, sums,
                 add(inner, mul(inner, step, sumLines * lineBytes),
                     index(inner,
                           sumsBytes(target, shape) + line * lineBytes))),
              /*isWritten=*/1, /*near=*/3);
      // This tile's part of the next piece of weights, for the second.
      if (asksForWeights) {
        Value from = at(inner, next, mul(inner, step, in.sourceStepBytes));
        forEach(inner, weightsBegin, weightsEnd, 1,
                [&](OpBuilder &body, Value line) {
                  ask(body, at(body, from, mul(body, line, lineBytes)),
                      /*isWritten=*/0, /*near=*/2);
                });
      }
    };
    emitTilePiece(b, loc, target, shape, a, w, count, rows, isFirst, sums,
                  beside);
    scf::IfOp::create(b, loc, isLast, [&](OpBuilder &end, Location) {
      in.finish(end, panel, firstRow, rows, sums);
      scf::YieldOp::create(end, loc);
    });
  });
}

void emitTileBlocks(OpBuilder &builder, Location loc, const Target &target,
                    const ProductShape &shape, const TileBlocksInput &in) {
  BlockEmitter(loc, target, shape, in).emit(builder);
}

} // namespace clade::cpu
