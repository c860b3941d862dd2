//===- TileOps.cpp - The tile registers of AMX ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/TileOps.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <array>

using namespace mlir;

namespace clade::cpu {

static void call(OpBuilder &builder, Location loc, StringRef name,
                 ValueRange arguments) {
  LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name),
                                arguments);
}

static Value number(OpBuilder &builder, Location loc, int64_t tile) {
  return LLVM::ConstantOp::create(builder, loc, builder.getI8Type(), tile);
}

static void move(OpBuilder &builder, Location loc, StringRef name, int64_t tile,
                 Value address, int64_t stride) {
  Value apart =
      LLVM::ConstantOp::create(builder, loc, builder.getI64Type(), stride);
  call(builder, loc, name, {number(builder, loc, tile), address, apart});
}

void emitTileConfig(OpBuilder &builder, Location loc, int64_t rows,
                    int64_t bytes, Value memory) {
  // Palette 1: bytes of a row as 16 bits from byte 16 on, rows from byte 48 on.
  std::array<int8_t, tileConfigBytes> config = {1};
  for (int64_t tile = 0; tile < 8; ++tile) {
    bool isRows = tile >= firstRowTile && tile < firstColumnTile;
    config[16 + 2 * tile] = static_cast<int8_t>(isRows ? bytes : tileRowBytes);
    config[48 + tile] =
        static_cast<int8_t>(tile < firstColumnTile ? rows : bytes / 4);
  }
  auto type = VectorType::get(tileConfigBytes, builder.getI8Type());
  Value operand = arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(type, ArrayRef<int8_t>(config)));
  emitStore(builder, loc, operand, memory, emitIndex(builder, loc, 0));
  call(builder, loc, "llvm.x86.ldtilecfg", memory);
}

void emitReleaseTiles(OpBuilder &builder, Location loc) {
  call(builder, loc, "llvm.x86.tilerelease", {});
}

void emitZeroTile(OpBuilder &builder, Location loc, int64_t tile) {
  call(builder, loc, "llvm.x86.tilezero", number(builder, loc, tile));
}

void emitLoadTile(OpBuilder &builder, Location loc, int64_t tile, Value address,
                  int64_t stride) {
  move(builder, loc, "llvm.x86.tileloadd64", tile, address, stride);
}

void emitLoadTileOnce(OpBuilder &builder, Location loc, int64_t tile,
                      Value address, int64_t stride) {
  move(builder, loc, "llvm.x86.tileloaddt164", tile, address, stride);
}

void emitStoreTile(OpBuilder &builder, Location loc, int64_t tile,
                   Value address, int64_t stride) {
  move(builder, loc, "llvm.x86.tilestored64", tile, address, stride);
}

static void multiply(OpBuilder &builder, Location loc, StringRef name,
                     int64_t sums, int64_t rows, int64_t columns) {
  call(builder, loc, name,
       {number(builder, loc, sums), number(builder, loc, rows),
        number(builder, loc, columns)});
}

void emitMultiplyTiles(OpBuilder &builder, Location loc, int64_t sums,
                       int64_t rows, int64_t columns) {
  multiply(builder, loc, "llvm.x86.tdpbf16ps", sums, rows, columns);
}

void emitMultiplyByteTiles(OpBuilder &builder, Location loc, int64_t sums,
                           int64_t rows, int64_t columns) {
  multiply(builder, loc, "llvm.x86.tdpbsud", sums, rows, columns);
}

} // namespace clade::cpu
