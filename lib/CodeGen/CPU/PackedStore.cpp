//===- PackedStore.cpp - Rows of activations into packed form -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One vector of a row at a time goes to the layout that products read. With one
// row a tile, or P elements that are no fewer than the vector's, that is a
// plain store; otherwise each group of P elements has its own place, MR groups
// apart.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Product.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// Zeros in all lanes from `count` on.
static Value keepFirst(OpBuilder &builder, Location loc, Value values,
                       int64_t count) {
  auto type = cast<VectorType>(values.getType());
  Value mask = emitConstantMask(builder, loc, type.getNumElements(), count);
  Value zero =
      arith::ConstantOp::create(builder, loc, type, builder.getZeroAttr(type));
  return arith::SelectOp::create(builder, loc, mask, values, zero);
}

/// Stores the first `count` lanes (a multiple of P) of `values`, P at a time,
/// `stride` elements apart. With MR = 1 they are neighbours.
static void storeLanes(OpBuilder &builder, Location loc, Value values,
                       Value base, Value start, int64_t count, int64_t pack,
                       int64_t stride) {
  auto type = cast<VectorType>(values.getType());
  if (stride == pack) {
    Value mask;
    if (count < type.getNumElements())
      mask = emitConstantMask(builder, loc, type.getNumElements(), count);
    return emitStore(builder, loc, values, base, start, mask);
  }
  Type element = type.getElementType();
  if (pack > 1) {
    // By way of integers: see buildLowerToLLVMPipeline on bf16.
    int64_t bits = element.getIntOrFloatBitWidth();
    values = arith::BitcastOp::create(
        builder, loc, type.clone(builder.getIntegerType(bits)), values);
    auto groups = VectorType::get(type.getNumElements() / pack,
                                  builder.getIntegerType(bits * pack));
    values = vector::BitCastOp::create(builder, loc, groups, values);
  }
  for (int64_t lane = 0; lane < count; lane += pack) {
    Value group = vector::ExtractOp::create(builder, loc, values, lane / pack);
    Value index = emitAdd(builder, loc, start,
                          emitIndex(builder, loc, lane / pack * stride));
    Value address = emitAddress(builder, loc, base, element, index);
    LLVM::StoreOp::create(builder, loc, group, address,
                          element.getIntOrFloatBitWidth() / 8);
  }
}

/// `emitStorePacked` where the P elements of a row are at least a vector: the
/// last one is followed by zeros up to a whole P.
static void storeTileRow(OpBuilder &builder, Location loc, const Target &target,
                         Type elementType, int64_t rowTile, int64_t k,
                         Value base, Value row, Value kIndex, Value values) {
  int64_t pack = target.activationDepth(elementType);
  int64_t lanes = cast<VectorType>(values.getType()).getNumElements();
  int64_t paddedK = llvm::alignTo(k, pack), last = (k - 1) / lanes * lanes;
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  auto div = [&](Value value, int64_t by) -> Value {
    return arith::DivUIOp::create(builder, loc, value, index(by));
  };
  auto rem = [&](Value value, int64_t by) -> Value {
    return arith::RemUIOp::create(builder, loc, value, index(by));
  };
  auto times = [&](Value value, int64_t by) {
    return emitMul(builder, loc, value, index(by));
  };
  auto add = [&](Value a, Value b) { return emitAdd(builder, loc, a, b); };
  Value start =
      add(add(times(div(row, rowTile),
                    target.packedTileElements(elementType, k, rowTile)),
              times(rem(row, rowTile), pack)),
          add(times(div(kIndex, pack), rowTile * pack), rem(kIndex, pack)));
  if (k == paddedK)
    return emitStore(builder, loc, emitRoundToBF16(builder, loc, values), base,
                     start);
  Value isLast = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       kIndex, index(last));
  auto whole = [&](OpBuilder &inner, Location) {
    emitStore(inner, loc, emitRoundToBF16(inner, loc, values), base, start);
    scf::YieldOp::create(inner, loc);
  };
  auto end = [&](OpBuilder &inner, Location) {
    Value kept = keepFirst(inner, loc, values, k - last);
    emitStore(inner, loc, emitRoundToBF16(inner, loc, kept), base, start);
    auto type = VectorType::get(lanes, inner.getI16Type());
    Value zero =
        arith::ConstantOp::create(inner, loc, type, inner.getZeroAttr(type));
    for (int64_t more = last + lanes; more < paddedK; more += lanes)
      emitStore(inner, loc, zero, base,
                emitAdd(inner, loc, start, emitIndex(inner, loc, more - last)));
    scf::YieldOp::create(inner, loc);
  };
  scf::IfOp::create(builder, loc, isLast, end, whole);
}

void emitStorePacked(OpBuilder &builder, Location loc, const Target &target,
                     Type elementType, int64_t rowTile, int64_t k, Value base,
                     Value row, Value kIndex, Value values) {
  if (target.activationDepth(elementType) > Target::packDepth(elementType))
    return storeTileRow(builder, loc, target, elementType, rowTile, k, base,
                        row, kIndex, values);
  int64_t depth = Target::packDepth(elementType);
  int64_t pack = target.widensActivations(elementType) ? 1 : depth;
  int64_t paddedK = llvm::alignTo(k, depth);
  int64_t lanes = cast<VectorType>(values.getType()).getNumElements();
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };

  // Element (row / MR) * MR * paddedK + kIndex * MR + (row % MR) * P.
  Value start = emitMul(builder, loc, kIndex, index(rowTile));
  Value tile = arith::DivUIOp::create(builder, loc, row, index(rowTile));
  Value inTile = arith::RemUIOp::create(builder, loc, row, index(rowTile));
  start = emitAdd(builder, loc, start,
                  emitMul(builder, loc, tile, index(rowTile * paddedK)));
  start =
      emitAdd(builder, loc, start, emitMul(builder, loc, inTile, index(pack)));

  auto store = [&](OpBuilder &inner, int64_t count) {
    Value kept = values;
    if (count < lanes)
      kept = keepFirst(inner, loc, values, count);
    if (elementType.isBF16())
      kept = emitRoundToBF16(inner, loc, kept);
    if (target.widensActivations(elementType))
      kept = emitWiden(inner, loc, kept);
    storeLanes(inner, loc, kept, base, start, llvm::alignTo(count, depth), pack,
               rowTile * pack);
  };
  int64_t rest = k % lanes;
  if (rest == 0)
    return store(builder, lanes);
  if (k < lanes)
    return store(builder, rest);
  Value whole = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                      kIndex, index(k - rest));
  auto branch = [&](int64_t count) {
    return [&, count](OpBuilder &inner, Location) {
      store(inner, count);
      scf::YieldOp::create(inner, loc);
    };
  };
  scf::IfOp::create(builder, loc, whole, branch(lanes), branch(rest));
}

} // namespace clade::cpu
