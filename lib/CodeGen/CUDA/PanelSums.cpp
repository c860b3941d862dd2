//===- PanelSums.cpp - Sums that warps of a block share -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/PanelSums.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

int64_t numPanels(int64_t n) {
  return static_cast<int64_t>(llvm::divideCeil(n, panelRows));
}

Value addressOf(OpBuilder &builder, Location loc, Value base, Value number,
                int64_t bytes) {
  return cpu::emitAddress(
      builder, loc, base, builder.getI8Type(),
      cpu::emitMul(builder, loc, number, cpu::emitIndex(builder, loc, bytes)));
}

/// Bytes from the sums of one row of activations to those of the next: two
/// halves of a warp write or read in different banks.
static constexpr int64_t panelRowBytes = 80;

PanelSums::PanelSums(OpBuilder &builder, Location loc, int64_t numWarps,
                     Value rows)
    : TensorCores(builder, loc), numWarps(numWarps), rows(rows),
      warp(i32<arith::DivUIOp>(thread, warpSize)) {
  begin =
      i32<arith::AddIOp>(i32<arith::MulIOp>(warp, warpBytes()),
                         i32<arith::MulIOp>(i32<arith::DivUIOp>(lane, 4), 8));
}

int64_t PanelSums::sharedBytes(int64_t numWarps, int64_t numRows) {
  return numWarps * numRows * panelRowBytes;
}

int64_t PanelSums::warpBytes() const {
  return panelRowBytes * (rows ? inputRows : 1);
}

void PanelSums::storePairs(ArrayRef<Value> sums) {
  auto pairType = VectorType::get({2}, builder.getF32Type());
  Value first =
      i32<arith::AddIOp>(begin, i32<arith::MulIOp>(i32<arith::RemUIOp>(lane, 4),
                                                   2 * panelRowBytes));
  for (int64_t i : {0, 1}) {
    Value pair = LLVM::PoisonOp::create(builder, loc, pairType);
    for (int64_t place : {0, 1})
      pair = LLVM::InsertElementOp::create(
          builder, loc, pair, sums[i + 2 * place], constant(place));
    LLVM::StoreOp::create(
        builder, loc, pair,
        sharedAt(i32<arith::AddIOp>(first, i * panelRowBytes)),
        /*alignment=*/8);
  }
}

/// Of a single row lanes with the same g have the same two sums.
void PanelSums::storeSingle(ArrayRef<Value> sums) {
  Value quarter = i32<arith::RemUIOp>(lane, 4);
  auto own = scf::IfOp::create(builder, loc, isBelow(quarter, constant(2)));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(own.thenBlock());
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        quarter, constant(0));
  Value sum = arith::SelectOp::create(builder, loc, isFirst, sums[0], sums[2]);
  LLVM::StoreOp::create(
      builder, loc, sum,
      sharedAt(i32<arith::AddIOp>(begin, i32<arith::MulIOp>(quarter, 4))));
}

void PanelSums::join(ArrayRef<Value> sums,
                     llvm::function_ref<void(Value, Value, Value)> store) {
  rows ? storePairs(sums) : storeSingle(sums);
  emitSync(builder, loc);
  Value column = i32<arith::RemUIOp>(thread, panelRows), row = constant(0);
  Value isThere = isBelow(thread, constant(panelRows));
  if (rows) {
    // The halves of a warp have rows whose sums are in different banks.
    Value half = i32<arith::RemUIOp>(i32<arith::DivUIOp>(thread, panelRows), 2);
    row = i32<arith::AddIOp>(warp, i32<arith::MulIOp>(half, inputRows / 2));
    isThere = i32<arith::AndIOp>(
        isBelow(thread, constant(panelRows * inputRows)), isBelow(row, rows));
  }
  auto own = scf::IfOp::create(builder, loc, isThere);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(own.thenBlock());
  Value place = i32<arith::AddIOp>(i32<arith::MulIOp>(row, panelRowBytes),
                                   i32<arith::MulIOp>(column, 4));
  Value sum;
  for (int64_t i = 0; i < numWarps; ++i) {
    Value next = LLVM::LoadOp::create(
        builder, loc, builder.getF32Type(),
        sharedAt(i32<arith::AddIOp>(place, i * warpBytes())));
    sum =
        sum ? arith::AddFOp::create(builder, loc, sum, next).getResult() : next;
  }
  store(toIndex(row), toIndex(column), sum);
}

} // namespace clade::cuda
