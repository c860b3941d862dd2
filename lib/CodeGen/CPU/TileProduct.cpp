//===- TileProduct.cpp - Products by the tile registers of AMX ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A register tile is 2 x 2 tiles of sums: four loads of a KiB for four
// multiplications of 16 cycles. Of one row it is 1 x 2: two loads of weights,
// each of whose lines is read once, and multiplications that wait for memory.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/TileProduct.h"

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"
#include <array>

using namespace mlir;

namespace clade::cpu {

/// Bytes of a pair of columns of one row.
static constexpr int64_t pairBytes = 4;

namespace {
class TileProductEmitter {
public:
  TileProductEmitter(Location loc, const Target &target,
                     const ProductShape &shape, Value buffer)
      : loc(loc), target(target), shape(shape), buffer(buffer),
        tileRows(std::min(shape.rowTile, Target::tileRows)),
        columnTiles(target.panelRows / Target::tileRows),
        depth(llvm::divideCeil(shape.k, 2)),
        stride(target.panelRows * pairBytes) {}

  void configure(OpBuilder &builder);
  Value integers(OpBuilder &builder, Value a, Value w);
  void emit(OpBuilder &builder, Value a, Value w, int64_t rowTiles);
  void emitPiece(OpBuilder &builder, Value a, Value w, Value steps,
                 Value isFirst, int64_t rowTiles,
                 function_ref<void(OpBuilder &, Value)> beside);

  /// Steps of whole tiles of weights, and the pairs of columns behind them.
  int64_t wholeSteps() const { return depth / Target::tileRows; }
  int64_t restPairs() const { return depth % Target::tileRows; }
  /// What `buffer` holds behind the sums: a piece of a panel or integers.
  int64_t padBytes() const {
    return Target::tileRows * (isBytes() ? tileRowBytes : stride);
  }
  int64_t padOffset() const { return shape.rowTile * target.panelRows * 4; }

private:
  bool isBytes() const { return hasBlocks(shape.form); }
  Value at(OpBuilder &builder, Value base, Value offset) {
    return emitAddress(builder, loc, base, builder.getI8Type(), offset);
  }
  Value at(OpBuilder &builder, Value base, int64_t offset) {
    return at(builder, base, emitIndex(builder, loc, offset));
  }
  void step(OpBuilder &builder, Value a, Value w, int64_t rowTiles,
            bool once = false);
  void forSums(OpBuilder &builder, int64_t rowTiles,
               function_ref<void(int64_t tile, Value address)> body);
  void prefetch(OpBuilder &builder, Value w);
  void zeroSums(OpBuilder &builder, int64_t rowTiles);
  void copyRest(OpBuilder &builder, Value from);
  void fillPad(OpBuilder &builder);

  Location loc;
  const Target &target;
  const ProductShape &shape;
  Value buffer;
  int64_t tileRows, columnTiles, depth, stride;
};
} // namespace

/// Writes zeros behind the last pairs of columns, where a panel ends.
void TileProductEmitter::fillPad(OpBuilder &builder) {
  auto type = VectorType::get(target.width, builder.getI32Type());
  Value zero =
      arith::ConstantOp::create(builder, loc, type, builder.getZeroAttr(type));
  Value pad = at(builder, buffer, padOffset());
  for (int64_t word = restPairs() * target.panelRows;
       word < Target::tileRows * target.panelRows; word += target.width)
    emitStore(builder, loc, zero, pad, emitIndex(builder, loc, word));
}

void TileProductEmitter::configure(OpBuilder &builder) {
  if (restPairs() > 0 && !isBytes())
    fillPad(builder);
  emitTileConfig(builder, loc, tileRows,
                 isBytes() ? groupColumns : tileRowBytes,
                 at(builder, buffer, padOffset() + padBytes()));
}

/// Copies the last pairs of columns of a panel to where zeros follow them.
void TileProductEmitter::copyRest(OpBuilder &builder, Value from) {
  auto type = VectorType::get(target.width, builder.getI32Type());
  Value pad = at(builder, buffer, padOffset());
  scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0),
      emitIndex(builder, loc, restPairs() * target.panelRows),
      emitIndex(builder, loc, target.width), ValueRange{},
      [&](OpBuilder &body, Location, Value word, ValueRange) {
        emitStore(body, loc, emitLoad(body, loc, type, from, word), pad, word);
        scf::YieldOp::create(body, loc);
      });
}

/// Asks for weights that come some steps behind those at `w`: a row waits for
/// memory.
void TileProductEmitter::prefetch(OpBuilder &builder, Value w) {
  for (int64_t line = 0; line < padBytes(); line += 64)
    LLVM::Prefetch::create(builder, loc,
                           at(builder, w, Target::aheadBytes + line),
                           /*rw=*/0, /*hint=*/2, /*cache=*/1);
}

/// Adds the products of 32 columns to the first `rowTiles` rows of tiles.
void TileProductEmitter::step(OpBuilder &builder, Value a, Value w,
                              int64_t rowTiles, bool once) {
  for (int64_t j = 0; j < columnTiles; ++j)
    emitLoadTile(builder, loc, firstColumnTile + j,
                 at(builder, w, j * tileRowBytes), stride);
  for (int64_t i = 0; i < rowTiles; ++i) {
    (once ? emitLoadTileOnce : emitLoadTile)(
        builder, loc, firstRowTile + i,
        at(builder, a, i * tileRows * tileRowBytes), tileRowBytes);
    for (int64_t j = 0; j < columnTiles; ++j)
      emitMultiplyTiles(builder, loc, i * columnTiles + j, firstRowTile + i,
                        firstColumnTile + j);
  }
}

void TileProductEmitter::zeroSums(OpBuilder &builder, int64_t rowTiles) {
  for (int64_t tile = 0; tile < rowTiles * columnTiles; ++tile)
    emitZeroTile(builder, loc, tile);
}

/// Calls `body` with each tile of sums of the first `rowTiles` rows of tiles,
/// and where in the buffer it belongs.
void TileProductEmitter::forSums(
    OpBuilder &builder, int64_t rowTiles,
    function_ref<void(int64_t tile, Value address)> body) {
  for (int64_t i = 0; i < rowTiles; ++i)
    for (int64_t j = 0; j < columnTiles; ++j)
      body(i * columnTiles + j,
           at(builder, buffer,
              i * tileRows * target.panelRows * 4 + j * tileRowBytes));
}

void TileProductEmitter::emitPiece(
    OpBuilder &builder, Value a, Value w, Value steps, Value isFirst,
    int64_t rowTiles, function_ref<void(OpBuilder &, Value)> beside) {
  scf::IfOp::create(
      builder, loc, isFirst,
      [&](OpBuilder &begin, Location) {
        zeroSums(begin, rowTiles);
        scf::YieldOp::create(begin, loc);
      },
      [&](OpBuilder &goOn, Location) {
        forSums(goOn, rowTiles, [&](int64_t tile, Value address) {
          emitLoadTile(goOn, loc, tile, address, target.panelRows * 4);
        });
        scf::YieldOp::create(goOn, loc);
      });
  auto advance = [&](OpBuilder &b, Value base, Value i, int64_t bytes) {
    return at(b, base, emitMul(b, loc, i, emitIndex(b, loc, bytes)));
  };
  scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0), steps,
                     emitIndex(builder, loc, 1), ValueRange{},
                     [&](OpBuilder &body, Location, Value i, ValueRange) {
                       beside(body, i);
                       step(body,
                            advance(body, a, i, shape.rowTile * tileRowBytes),
                            advance(body, w, i, Target::tileRows * stride),
                            rowTiles, /*once=*/true);
                       scf::YieldOp::create(body, loc);
                     });
  forSums(builder, rowTiles, [&](int64_t tile, Value address) {
    emitStoreTile(builder, loc, tile, address, target.panelRows * 4);
  });
}

void TileProductEmitter::emit(OpBuilder &builder, Value a, Value w,
                              int64_t rowTiles) {
  zeroSums(builder, rowTiles);
  int64_t aBytes = shape.rowTile * tileRowBytes, wBytes = padBytes();
  auto advance = [&](OpBuilder &b, Value base, Value step, int64_t bytes) {
    return at(b, base, emitMul(b, loc, step, emitIndex(b, loc, bytes)));
  };
  if (wholeSteps() > 0)
    scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, wholeSteps()), emitIndex(builder, loc, 1),
        ValueRange{}, [&](OpBuilder &body, Location, Value i, ValueRange) {
          Value columns = advance(body, w, i, wBytes);
          if (target.asksAhead(shape.rowTile))
            prefetch(body, columns);
          step(body, advance(body, a, i, aBytes), columns, rowTiles);
          scf::YieldOp::create(body, loc);
        });
  if (restPairs() > 0) {
    copyRest(builder, at(builder, w, wholeSteps() * wBytes));
    step(builder, at(builder, a, wholeSteps() * aBytes),
         at(builder, buffer, padOffset()), rowTiles);
  }
  forSums(builder, rowTiles, [&](int64_t tile, Value address) {
    emitStoreTile(builder, loc, tile, address, target.panelRows * 4);
  });
}

Value TileProductEmitter::integers(OpBuilder &builder, Value a, Value w) {
  Value tile = at(builder, buffer, padOffset());
  emitZeroTile(builder, loc, 0);
  emitLoadTile(builder, loc, firstColumnTile, w, stride);
  emitLoadTile(builder, loc, firstRowTile, a, groupColumns);
  emitMultiplyByteTiles(builder, loc, 0, firstRowTile, firstColumnTile);
  emitStoreTile(builder, loc, 0, tile, tileRowBytes);
  return tile;
}

int64_t tileBufferBytes(const Target &target, const ProductShape &shape) {
  TileProductEmitter emitter(UnknownLoc::get(shape.elementType.getContext()),
                             target, shape, {});
  return emitter.padOffset() + emitter.padBytes() + tileConfigBytes;
}

void emitConfigureTiles(OpBuilder &builder, Location loc, const Target &target,
                        const ProductShape &shape, Value buffer) {
  TileProductEmitter(loc, target, shape, buffer).configure(builder);
}

/// Emits `body` for two tiles of rows and for one: rows of the second may be
/// there that nobody wants.
static void forTilesOfRows(OpBuilder &builder, Location loc, Value rows,
                           function_ref<void(OpBuilder &, int64_t)> body) {
  Value isMore =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ugt, rows,
                            emitIndex(builder, loc, Target::tileRows));
  auto branch = [&](int64_t rowTiles) {
    return [&, rowTiles](OpBuilder &inner, Location) {
      body(inner, rowTiles);
      scf::YieldOp::create(inner, loc);
    };
  };
  scf::IfOp::create(builder, loc, isMore, branch(2), branch(1));
}

void emitTileSums(OpBuilder &builder, Location loc, const Target &target,
                  const ProductShape &shape, Value a, Value w, Value count,
                  Value buffer) {
  TileProductEmitter emitter(loc, target, shape, buffer);
  if (shape.rowTile <= Target::tileRows)
    return emitter.emit(builder, a, w, 1);
  forTilesOfRows(builder, loc, count, [&](OpBuilder &inner, int64_t rowTiles) {
    emitter.emit(inner, a, w, rowTiles);
  });
}

void emitTilePiece(OpBuilder &builder, Location loc, const Target &target,
                   const ProductShape &shape, Value a, Value w, Value steps,
                   Value rows, Value isFirst, Value sums,
                   function_ref<void(OpBuilder &, Value)> beside) {
  TileProductEmitter emitter(loc, target, shape, sums);
  forTilesOfRows(builder, loc, rows, [&](OpBuilder &inner, int64_t rowTiles) {
    emitter.emitPiece(inner, a, w, steps, isFirst, rowTiles, beside);
  });
}

Value emitTileIntegers(OpBuilder &builder, Location loc, const Target &target,
                       const ProductShape &shape, Value a, Value w,
                       Value buffer) {
  return TileProductEmitter(loc, target, shape, buffer).integers(builder, a, w);
}

} // namespace clade::cpu
