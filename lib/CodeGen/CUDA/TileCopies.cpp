//===- TileCopies.cpp - Tiles on their way to shared memory ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of a tile lie behind each other in pieces of 16 bytes that are exchanged
// by bits of the row's number, so that the eight rows that an ldmatrix reads at
// once, and a warp's copies, are in different banks. What is not there becomes
// zeros: a copy of no bytes.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TileEmitter.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"

using namespace mlir;

namespace clade::cuda {

bool canTile(Type inputType, Type weightType, int64_t k) {
  return canMultiply(inputType, weightType) && k % 2 == 0;
}

TileEmitter::Copies
TileEmitter::beginCopies(Value base, Value firstRow, int64_t offset,
                         int64_t tileRows, Value rowsThere,
                         llvm::function_ref<Value(Value)> sourceRow) {
  int64_t elements = copyElements(), perRow = tiling.k / elements;
  Copies copies;
  copies.count = tileRows / rowStep();
  copies.rows = rowsThere;
  copies.row = i32<arith::DivUIOp>(thread, perRow);
  // Where in its row the piece is, in bytes.
  Value at = i32<arith::MulIOp>(i32<arith::RemUIOp>(thread, perRow),
                                elements * elementBytes);
  auto rowOf = [&](int64_t i) {
    return i32<arith::AddIOp>(copies.row, i * rowStep());
  };
  // Rows at a distance of eight are exchanged by the same bits.
  for (int64_t i = 0; i < (rowStep() % 8 ? copies.count : 1); ++i) {
    Value row = rowOf(i);
    Value piece = i32<arith::XOrIOp>(i32<arith::DivUIOp>(at, pieceBytes),
                                     exchangeOf(row, tiling.rowBytes()));
    copies.targets.push_back(i32<arith::AddIOp>(
        i32<arith::AddIOp>(i32<arith::MulIOp>(row, tiling.rowBytes()),
                           i32<arith::MulIOp>(piece, pieceBytes)),
        i32<arith::AddIOp>(i32<arith::RemUIOp>(at, pieceBytes), offset)));
  }
  auto sourceOf = [&](Value row) -> Value {
    Value bytes = cpu::emitMul(builder, loc, row,
                               cpu::emitIndex(builder, loc, k * elementBytes));
    Value address =
        cpu::emitAddress(builder, loc, base, builder.getI8Type(),
                         cpu::emitAdd(builder, loc, bytes, toIndex(at)));
    return toGlobal(address);
  };
  if (!sourceRow) {
    copies.sources.push_back(
        sourceOf(cpu::emitAdd(builder, loc, firstRow, toIndex(copies.row))));
    return copies;
  }
  Value last = i32<arith::SubIOp>(rowsThere, 1);
  for (int64_t i = 0; i < copies.count; ++i)
    copies.sources.push_back(
        sourceOf(sourceRow(toIndex(i32<arith::MinUIOp>(rowOf(i), last)))));
  return copies;
}

void TileEmitter::fetchOne(const Copies &copies, Value stage, Value step) {
  int64_t elements = copyElements(), bytes = elements * elementBytes;
  Value offset = i32<arith::MulIOp>(step, tiling.rowBytes());
  // Constant distances from a pointer are part of instructions.
  Value begin = sharedAt(i32<arith::AddIOp>(stage, copies.targets[0]));
  Value isInRow; // Null where all steps are whole.
  if (k % tiling.k) {
    Value at = i32<arith::AddIOp>(
        i32<arith::MulIOp>(step, tiling.k),
        i32<arith::MulIOp>(i32<arith::RemUIOp>(thread, tiling.k / elements),
                           elements));
    isInRow = isBelow(at, constant(k));
  }
  for (int64_t i = 0; i < copies.count; ++i) {
    Value isThere = isInRow;
    if (copies.rows) {
      Value isRow =
          isBelow(i32<arith::AddIOp>(copies.row, i * rowStep()), copies.rows);
      isThere = isThere ? i32<arith::AndIOp>(isThere, isRow) : isRow;
    }
    Value size = isThere ? arith::SelectOp::create(builder, loc, isThere,
                                                   constant(bytes), constant(0))
                         : Value();
    Value source;
    if (copies.sources.size() > 1)
      source = advance(copies.sources[i], offset);
    else
      source = advance(
          advance(copies.sources[0], offset),
          arith::ConstantIntOp::create(builder, loc, builder.getI64Type(),
                                       i * rowStep() * k * elementBytes));
    Value target =
        copies.targets.size() > 1
            ? sharedAt(i32<arith::AddIOp>(stage, copies.targets[i]))
            : advance(begin, constant(i * rowStep() * tiling.rowBytes()));
    copyAsync(target, source, bytes, size);
  }
}

void TileEmitter::fetch(Value stage, Value step) {
  fetchOne(inputCopies, stage, step);
  if (!panels)
    fetchOne(weightCopies, stage, step);
}

} // namespace clade::cuda
