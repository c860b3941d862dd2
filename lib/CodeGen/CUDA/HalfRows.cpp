//===- HalfRows.cpp - Activations in f16 ----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/HalfRows.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitMul;

/// The exponent of the largest number of a row.
static constexpr int64_t topExponent = 14;
/// Of f32: bits of the fraction, and what is added to exponents.
static constexpr int64_t fractionBits = 23, exponentBias = 127;

int64_t HalfRows::bytesPerToken() const {
  // Of an odd number of numbers in all, two more bytes come before scales.
  return perToken * (2 * k + 4) + perToken * k % 2 * 2;
}

Value HalfRows::rowAt(OpBuilder &builder, Location loc, Value base,
                      Value row) const {
  return emitAddress(builder, loc, base, builder.getF16Type(),
                     emitMul(builder, loc, row, emitIndex(builder, loc, k)));
}

Value HalfRows::scaleAt(OpBuilder &builder, Location loc, Value base,
                        Value tokens, Value row) const {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  Value words = cpu::emitCeilDiv(
      builder, loc, emitMul(builder, loc, tokens, index(perToken * k)),
      index(2));
  return emitAddress(builder, loc, base, builder.getI32Type(),
                     emitAdd(builder, loc, words, row));
}

std::pair<Value, Value> emitHalfScale(OpBuilder &builder, Location loc,
                                      Value most) {
  Type i32 = builder.getI32Type(), f32 = builder.getF32Type();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(builder, loc, i32, value);
  };
  Value bits = arith::BitcastOp::create(builder, loc, i32, most);
  Value exponent =
      arith::ShRUIOp::create(builder, loc, bits, constant(fractionBits));
  // Rows of less than 2^-112 have the scale of these; both are normal numbers.
  exponent =
      arith::MaxSIOp::create(builder, loc, exponent, constant(topExponent + 1));
  auto power = [&](Value biased) -> Value {
    return arith::BitcastOp::create(
        builder, loc, f32,
        arith::ShLIOp::create(builder, loc, biased, constant(fractionBits)));
  };
  Value scale = power(
      arith::SubIOp::create(builder, loc, exponent, constant(topExponent)));
  Value inverse = power(arith::SubIOp::create(
      builder, loc, constant(2 * exponentBias + topExponent), exponent));
  return {scale, inverse};
}

/// Where number `column` (index) is, whose two last bits change places.
static Value emitFP8Place(OpBuilder &builder, Location loc, Value column) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  auto bit = [&](int64_t number) -> Value {
    return arith::RemUIOp::create(
        builder, loc,
        arith::DivUIOp::create(builder, loc, column, index(number)), index(2));
  };
  Value whole =
      emitMul(builder, loc,
              arith::DivUIOp::create(builder, loc, column, index(4)), index(4));
  Value low = bit(2), high = emitMul(builder, loc, bit(1), index(2));
  return emitAdd(builder, loc, whole, emitAdd(builder, loc, high, low));
}

void RowEmitter::storeHalves(Value value, Value base, Value tokens,
                             const HalfRows &rows) {
  Location loc = value.getLoc();
  auto all = RowLayout::contiguous(cast<NamedTensorType>(value.getType()));
  Value k = emitIndex(builder, loc, rows.k);
  auto largest = [&](Value a, Value b) -> Value {
    return arith::MaximumFOp::create(builder, loc, a, b);
  };
  auto numberAt = [&](Value first, Value column) {
    return get(value,
               unflatten(all, emitAdd(builder, loc, first, column), loc));
  };
  /// The row whose numbers begin at `first`, with `stride` threads of which
  /// this is number `self`; `join` gives all the largest of theirs.
  auto storeRow = [&](Value first, Value number, Value self, int64_t stride,
                      llvm::function_ref<Value(Value)> join) {
    auto loop = scf::ForOp::create(builder, loc, self, k,
                                   emitIndex(builder, loc, stride),
                                   ValueRange{emitFloat(builder, loc, 0)});
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value size = math::AbsFOp::create(
          builder, loc, numberAt(first, loop.getInductionVar()));
      scf::YieldOp::create(builder, loc,
                           largest(loop.getRegionIterArg(0), size));
    }
    auto [scale, inverse] =
        emitHalfScale(builder, loc, join(loop.getResult(0)));
    Value row = emitAdd(builder, loc,
                        emitMul(builder, loc, this->row,
                                emitIndex(builder, loc, rows.perToken)),
                        number);
    Value target = rows.rowAt(builder, loc, base, row);
    if (rows.isForFP8)
      scale = arith::MulFOp::create(builder, loc, scale,
                                    emitFloat(builder, loc, 0x1p8));
    emitStridedLoop(builder, loc, self, stride, k, [&](Value column) {
      Value scaled =
          arith::MulFOp::create(builder, loc, numberAt(first, column), inverse);
      Value place = rows.isForFP8 ? emitFP8Place(builder, loc, column) : column;
      emitStoreFloat(builder, loc, scaled, builder.getF16Type(), target, place);
    });
    Value isFirst =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, self,
                              emitIndex(builder, loc, 0));
    auto branch = scf::IfOp::create(builder, loc, isFirst);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    emitStoreFloat(builder, loc, scale, builder.getF32Type(),
                   rows.scaleAt(builder, loc, base, tokens, row),
                   emitIndex(builder, loc, 0));
  };
  if (rows.perToken == 1) {
    Value words = newShared(threads / warpSize * 4),
          zero = emitIndex(builder, loc, 0);
    return storeRow(zero, zero, thread, threads, [&](Value own) {
      return emitBlockReduce(builder, loc, threads, own, words, largest);
    });
  }
  forEachWarp(rows.perToken, loc, [&](Value at, Value lane) {
    storeRow(emitMul(builder, loc, at, k), at, lane, warpSize, [&](Value own) {
      return emitWarpReduce(builder, loc, own, largest);
    });
  });
}

} // namespace clade::cuda
