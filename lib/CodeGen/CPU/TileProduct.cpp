//===- TileProduct.cpp - Products by the tile registers of AMX ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles are named by number: LLVM's intrinsics for that are the instructions
// and nothing else, in the order in which they are emitted. Its allocation of
// tiles would configure them anew in every function and around calls.
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

/// Which tiles hold what: four of sums, two of activations, two of weights.
static constexpr int64_t firstRows = 4, firstColumns = 6;
/// Bytes of a tile's row and of a pair of columns of one row.
static constexpr int64_t rowBytes = 64, pairBytes = 4;

void emitTileConfig(OpBuilder &builder, Location loc, int64_t rows,
                    int64_t bytes, Value memory) {
  // Palette 1: bytes of a row as 16 bits from byte 16 on, rows from byte 48 on.
  std::array<int8_t, tileConfigBytes> config = {1};
  for (int64_t tile = 0; tile < 8; ++tile) {
    bool isRows = tile >= firstRows && tile < firstColumns;
    config[16 + 2 * tile] = static_cast<int8_t>(isRows ? bytes : rowBytes);
    config[48 + tile] =
        static_cast<int8_t>(tile < firstColumns ? rows : bytes / 4);
  }
  auto type = VectorType::get(tileConfigBytes, builder.getI8Type());
  Value operand = arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(type, ArrayRef<int8_t>(config)));
  emitStore(builder, loc, operand, memory, emitIndex(builder, loc, 0));
  LLVM::CallIntrinsicOp::create(builder, loc,
                                builder.getStringAttr("llvm.x86.ldtilecfg"),
                                ValueRange{memory});
}

namespace {
class TileEmitter {
public:
  TileEmitter(Location loc, const Target &target, const ProductShape &shape,
              Value buffer)
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
    return Target::tileRows * (isBytes() ? rowBytes : stride);
  }
  int64_t padOffset() const { return shape.rowTile * target.panelRows * 4; }

private:
  bool isBytes() const { return hasBlocks(shape.form); }
  void call(OpBuilder &builder, StringRef name, ValueRange arguments) {
    LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name),
                                  arguments);
  }
  Value number(OpBuilder &builder, int64_t tile) {
    return LLVM::ConstantOp::create(builder, loc, builder.getI8Type(), tile);
  }
  Value at(OpBuilder &builder, Value base, Value offset) {
    return emitAddress(builder, loc, base, builder.getI8Type(), offset);
  }
  Value at(OpBuilder &builder, Value base, int64_t offset) {
    return at(builder, base, emitIndex(builder, loc, offset));
  }
  /// Loads or stores a tile whose rows are `stride` bytes apart.
  void move(OpBuilder &builder, StringRef name, int64_t tile, Value address,
            int64_t stride) {
    Value apart =
        LLVM::ConstantOp::create(builder, loc, builder.getI64Type(), stride);
    call(builder, name, {number(builder, tile), address, apart});
  }
  void step(OpBuilder &builder, Value a, Value w, int64_t rowTiles);
  void moveSums(OpBuilder &builder, StringRef name, int64_t rowTiles);
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
void TileEmitter::fillPad(OpBuilder &builder) {
  auto type = VectorType::get(target.width, builder.getI32Type());
  Value zero =
      arith::ConstantOp::create(builder, loc, type, builder.getZeroAttr(type));
  Value pad = at(builder, buffer, padOffset());
  for (int64_t word = restPairs() * target.panelRows;
       word < Target::tileRows * target.panelRows; word += target.width)
    emitStore(builder, loc, zero, pad, emitIndex(builder, loc, word));
}

void TileEmitter::configure(OpBuilder &builder) {
  if (restPairs() > 0 && !isBytes())
    fillPad(builder);
  emitTileConfig(builder, loc, tileRows, isBytes() ? groupColumns : rowBytes,
                 at(builder, buffer, padOffset() + padBytes()));
}

/// Copies the last pairs of columns of a panel to where zeros follow them.
void TileEmitter::copyRest(OpBuilder &builder, Value from) {
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

/// Adds the products of 32 columns to the first `rowTiles` rows of tiles.
void TileEmitter::step(OpBuilder &builder, Value a, Value w, int64_t rowTiles) {
  for (int64_t j = 0; j < columnTiles; ++j)
    move(builder, "llvm.x86.tileloadd64", firstColumns + j,
         at(builder, w, j * rowBytes), stride);
  for (int64_t i = 0; i < rowTiles; ++i) {
    move(builder, "llvm.x86.tileloadd64", firstRows + i,
         at(builder, a, i * tileRows * rowBytes), rowBytes);
    for (int64_t j = 0; j < columnTiles; ++j)
      call(builder, "llvm.x86.tdpbf16ps",
           {number(builder, i * columnTiles + j),
            number(builder, firstRows + i), number(builder, firstColumns + j)});
  }
}

void TileEmitter::zeroSums(OpBuilder &builder, int64_t rowTiles) {
  for (int64_t tile = 0; tile < rowTiles * columnTiles; ++tile)
    call(builder, "llvm.x86.tilezero", number(builder, tile));
}

/// Loads the sums of the first `rowTiles` rows of tiles or stores them.
void TileEmitter::moveSums(OpBuilder &builder, StringRef name,
                           int64_t rowTiles) {
  for (int64_t i = 0; i < rowTiles; ++i)
    for (int64_t j = 0; j < columnTiles; ++j)
      move(builder, name, i * columnTiles + j,
           at(builder, buffer,
              i * tileRows * target.panelRows * 4 + j * rowBytes),
           target.panelRows * 4);
}

void TileEmitter::emitPiece(OpBuilder &builder, Value a, Value w, Value steps,
                            Value isFirst, int64_t rowTiles,
                            function_ref<void(OpBuilder &, Value)> beside) {
  scf::IfOp::create(
      builder, loc, isFirst,
      [&](OpBuilder &begin, Location) {
        zeroSums(begin, rowTiles);
        scf::YieldOp::create(begin, loc);
      },
      [&](OpBuilder &goOn, Location) {
        moveSums(goOn, "llvm.x86.tileloadd64", rowTiles);
        scf::YieldOp::create(goOn, loc);
      });
  auto advance = [&](OpBuilder &b, Value base, Value i, int64_t bytes) {
    return at(b, base, emitMul(b, loc, i, emitIndex(b, loc, bytes)));
  };
  scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0), steps,
                     emitIndex(builder, loc, 1), ValueRange{},
                     [&](OpBuilder &body, Location, Value i, ValueRange) {
                       beside(body, i);
                       step(body, advance(body, a, i, shape.rowTile * rowBytes),
                            advance(body, w, i, Target::tileRows * stride),
                            rowTiles);
                       scf::YieldOp::create(body, loc);
                     });
  moveSums(builder, "llvm.x86.tilestored64", rowTiles);
}

void TileEmitter::emit(OpBuilder &builder, Value a, Value w, int64_t rowTiles) {
  zeroSums(builder, rowTiles);
  int64_t aBytes = shape.rowTile * rowBytes, wBytes = padBytes();
  auto advance = [&](OpBuilder &b, Value base, Value step, int64_t bytes) {
    return at(b, base, emitMul(b, loc, step, emitIndex(b, loc, bytes)));
  };
  if (wholeSteps() > 0)
    scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                       emitIndex(builder, loc, wholeSteps()),
                       emitIndex(builder, loc, 1), ValueRange{},
                       [&](OpBuilder &body, Location, Value i, ValueRange) {
                         step(body, advance(body, a, i, aBytes),
                              advance(body, w, i, wBytes), rowTiles);
                         scf::YieldOp::create(body, loc);
                       });
  if (restPairs() > 0) {
    copyRest(builder, at(builder, w, wholeSteps() * wBytes));
    step(builder, at(builder, a, wholeSteps() * aBytes),
         at(builder, buffer, padOffset()), rowTiles);
  }
  moveSums(builder, "llvm.x86.tilestored64", rowTiles);
}

Value TileEmitter::integers(OpBuilder &builder, Value a, Value w) {
  Value tile = at(builder, buffer, padOffset());
  call(builder, "llvm.x86.tilezero", number(builder, 0));
  move(builder, "llvm.x86.tileloadd64", firstColumns, w, stride);
  move(builder, "llvm.x86.tileloadd64", firstRows, a, groupColumns);
  call(builder, "llvm.x86.tdpbsud",
       {number(builder, 0), number(builder, firstRows),
        number(builder, firstColumns)});
  move(builder, "llvm.x86.tilestored64", 0, tile, rowBytes);
  return tile;
}

int64_t tileBufferBytes(const Target &target, const ProductShape &shape) {
  TileEmitter emitter(UnknownLoc::get(shape.elementType.getContext()), target,
                      shape, {});
  return emitter.padOffset() + emitter.padBytes() + tileConfigBytes;
}

void emitConfigureTiles(OpBuilder &builder, Location loc, const Target &target,
                        const ProductShape &shape, Value buffer) {
  TileEmitter(loc, target, shape, buffer).configure(builder);
}

void emitReleaseTiles(OpBuilder &builder, Location loc) {
  LLVM::CallIntrinsicOp::create(builder, loc,
                                builder.getStringAttr("llvm.x86.tilerelease"),
                                ValueRange{});
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
  TileEmitter emitter(loc, target, shape, buffer);
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
  TileEmitter emitter(loc, target, shape, sums);
  forTilesOfRows(builder, loc, rows, [&](OpBuilder &inner, int64_t rowTiles) {
    emitter.emitPiece(inner, a, w, steps, isFirst, rowTiles, beside);
  });
}

Value emitTileIntegers(OpBuilder &builder, Location loc, const Target &target,
                       const ProductShape &shape, Value a, Value w,
                       Value buffer) {
  return TileEmitter(loc, target, shape, buffer).integers(builder, a, w);
}

} // namespace clade::cpu
