//===- WeightRows.cpp - Weights read as they are published ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/WeightRows.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

WeightRows::WeightRows(Location loc, const Target &target, Type elementType,
                       int64_t k, ArrayRef<int64_t> partRows, ValueRange parts)
    : loc(loc), target(target), elementType(elementType), k(k),
      pack(Target::packDepth(elementType)), partRows(partRows), parts(parts) {
  for (int64_t count : partRows)
    n += count;
}

SmallVector<Value> WeightRows::rows(OpBuilder &builder, Value panel,
                                    int64_t firstColumn) const {
  // Each part as if it began where the first one does.
  Value base = parts.front();
  int64_t before = 0;
  for (auto [part, count] : llvm::zip_equal(parts, partRows)) {
    if (before > 0) {
      Value start = emitAddress(builder, loc, part, elementType,
                                emitIndex(builder, loc, -before * k));
      Value isHere = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::uge, panel,
          emitIndex(builder, loc, before / target.panelRows));
      base = arith::SelectOp::create(builder, loc, isHere, start, base);
    }
    before += count;
  }
  Value first =
      emitMul(builder, loc, panel, emitIndex(builder, loc, target.panelRows));
  SmallVector<Value> result;
  for (int64_t i = 0; i < target.width; ++i) {
    Value row =
        emitAdd(builder, loc, first, emitIndex(builder, loc, firstColumn + i));
    if (n % target.panelRows != 0)
      row = arith::MinUIOp::create(builder, loc, row,
                                   emitIndex(builder, loc, n - 1));
    result.push_back(
        emitAddress(builder, loc, base, elementType,
                    emitMul(builder, loc, row, emitIndex(builder, loc, k))));
  }
  return result;
}

SmallVector<Value> WeightRows::transposed(OpBuilder &builder,
                                          ArrayRef<Value> rows, Value first,
                                          int64_t count, bool isLast) const {
  // Not a vector of bf16, which LLVM takes apart where the CPU has none.
  Type stored = elementType.isF32() ? elementType : Type(builder.getI16Type());
  auto type = VectorType::get(target.width * pack, stored);
  Value element = emitMul(builder, loc, first, emitIndex(builder, loc, pack));
  int64_t elements =
      isLast ? k - (llvm::divideCeil(k, pack) - count) * pack : count * pack;
  Value mask;
  if (elements < target.width * pack)
    mask = emitConstantMask(builder, loc, target.width * pack, elements);
  Type group = elementType.isF32() ? elementType : Type(builder.getI32Type());
  SmallVector<Value> vectors;
  for (Value row : rows) {
    Value loaded = mask ? emitMaskedLoad(builder, loc, type, row, element, mask)
                        : emitLoad(builder, loc, type, row, element);
    vectors.push_back(vector::BitCastOp::create(
        builder, loc, VectorType::get(target.width, group), loaded));
  }
  emitTranspose(builder, loc, vectors);
  vectors.resize(count);
  return vectors;
}

void WeightRows::prefetch(OpBuilder &builder, ArrayRef<Value> rows, Value first,
                          int64_t ahead) const {
  Value at = emitAdd(
      builder, loc, emitMul(builder, loc, first, emitIndex(builder, loc, pack)),
      emitIndex(builder, loc, ahead * k));
  for (Value row : rows)
    LLVM::Prefetch::create(
        builder, loc, emitAddress(builder, loc, row, elementType, at),
        builder.getI32IntegerAttr(0), builder.getI32IntegerAttr(2),
        builder.getI32IntegerAttr(1));
}

SmallVector<Value> WeightRows::forGroups(OpBuilder &builder, ValueRange init,
                                         Body body) const {
  int64_t depth = llvm::divideCeil(k, pack), width = target.width;
  // A group that is not whole is left to the rest.
  int64_t whole = k / pack / width * width;
  SmallVector<Value> carried(init);
  if (whole > 0) {
    auto loop = scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, whole), emitIndex(builder, loc, width), carried,
        [&](OpBuilder &inner, Location, Value first, ValueRange values) {
          scf::YieldOp::create(
              inner, loc, body(inner, first, width, /*isLast=*/false, values));
        });
    carried.assign(loop.getResults().begin(), loop.getResults().end());
  }
  if (whole < depth)
    carried = body(builder, emitIndex(builder, loc, whole), depth - whole,
                   /*isLast=*/true, carried);
  return carried;
}

void WeightRows::copyPanel(OpBuilder &builder, Value panel,
                           Value memory) const {
  Type group = elementType.isF32() ? elementType : Type(builder.getI32Type());
  for (int64_t column = 0; column < target.panelRows; column += target.width) {
    SmallVector<Value> from = rows(builder, panel, column);
    forGroups(builder, {},
              [&](OpBuilder &inner, Value first, int64_t count, bool isLast,
                  ValueRange) {
                prefetch(inner, from, first, target.panelRows);
                for (auto [i, groups] : llvm::enumerate(
                         transposed(inner, from, first, count, isLast))) {
                  Value step =
                      emitAdd(inner, loc, first, emitIndex(inner, loc, i));
                  Value at = emitMul(inner, loc, step,
                                     emitIndex(inner, loc, target.panelRows));
                  emitStore(inner, loc, groups,
                            emitAddress(inner, loc, memory, group, at),
                            emitIndex(inner, loc, column));
                }
                return SmallVector<Value>();
              });
  }
}

} // namespace clade::cpu
