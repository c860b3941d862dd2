//===- DrawEmitter.cpp - Weights of tokens in kernels ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/DrawEmitter.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cstddef>
#include <limits>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::emitStore;
using rt::DrawKind;
using rt::DrawnToken;
using rt::TokenDraw;

DrawEmitter::DrawEmitter(OpBuilder &builder, Location loc, int64_t vocab,
                         const DrawPlaces &places)
    : ChoiceEmitter(builder, loc, vocab), places(places),
      i32(builder.getI32Type()), i64(builder.getI64Type()),
      f64(builder.getF64Type()) {}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value DrawEmitter::whole(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, i64, value);
}

Value DrawEmitter::number(double value) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getF64FloatAttr(value));
}

Value DrawEmitter::compare(Compare how, Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, how, a, b);
}

Value DrawEmitter::both(Value a, Value b) {
  return arith::AndIOp::create(builder, loc, a, b);
}

Value DrawEmitter::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(builder, loc, condition, a, b);
}

Value DrawEmitter::sum(Value a, Value b) {
  return arith::AddIOp::create(builder, loc, a, b);
}

Value DrawEmitter::difference(Value a, Value b) {
  return arith::SubIOp::create(builder, loc, a, b);
}

Value DrawEmitter::toWhole(Value value) {
  return arith::ExtUIOp::create(builder, loc, i64, value);
}

Value DrawEmitter::toNumber(Value value) {
  return arith::ExtFOp::create(builder, loc, f64, value);
}

Value DrawEmitter::rounded(StringRef name, Value a, Value b) {
  return LLVM::CallIntrinsicOp::create(
             builder, loc, f64, builder.getStringAttr(name), ValueRange{a, b})
      .getResult(0);
}

Value DrawEmitter::add(Value a, Value b) {
  return rounded("llvm.nvvm.add.rn.d", a, b);
}

Value DrawEmitter::multiply(Value a, Value b) {
  return rounded("llvm.nvvm.mul.rn.d", a, b);
}

Value DrawEmitter::isAbove(Value a, Value b) {
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, a, b);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value DrawEmitter::memberOf(Value base, Value index, int64_t size,
                            size_t member) {
  Value bytes = emitAdd(
      builder, loc, emitMul(builder, loc, index, emitIndex(builder, loc, size)),
      emitIndex(builder, loc, static_cast<int64_t>(member)));
  return cpu::emitAddress(builder, loc, base, builder.getI8Type(), bytes);
}

Value DrawEmitter::loadDraw(Type type, size_t member) {
  return emitLoad(builder, loc, type,
                  memberOf(places.draws, row, sizeof(TokenDraw), member),
                  emitIndex(builder, loc, 0));
}

Value DrawEmitter::drawnMember(size_t member) {
  return memberOf(places.drawn, row, sizeof(DrawnToken), member);
}

void DrawEmitter::storeDrawn(Value value, size_t member) {
  emitStore(builder, loc, value, drawnMember(member),
            emitIndex(builder, loc, 0));
}

Value DrawEmitter::isKind(DrawKind kind) {
  return compare(Compare::eq, loadDraw(i32, offsetof(TokenDraw, kind)),
                 integer(static_cast<int64_t>(kind)));
}

Value DrawEmitter::bucketOfRow(Value bucket) {
  return emitAdd(
      builder, loc,
      emitMul(builder, loc, row, emitIndex(builder, loc, rt::numBuckets)),
      bucket);
}

Value DrawEmitter::sharedAt(int64_t bytes) {
  return memberOf(emitShared(builder, loc), emitIndex(builder, loc, 0), 1,
                  static_cast<size_t>(bytes));
}

Value DrawEmitter::atomicAdd(Value value, Value base, Value at,
                             StringRef scope) {
  return LLVM::AtomicRMWOp::create(
      builder, loc, LLVM::AtomicBinOp::add,
      cpu::emitAddress(builder, loc, base, value.getType(), at), value,
      LLVM::AtomicOrdering::monotonic, scope);
}

//===----------------------------------------------------------------------===//
// Weights, as TokenDraw.h defines them
//===----------------------------------------------------------------------===//

void DrawEmitter::loadScale() {
  top = toNumber(emitLoad(builder, loc, builder.getF32Type(),
                          drawnMember(offsetof(DrawnToken, top)),
                          emitIndex(builder, loc, 0)));
  scale = loadDraw(f64, offsetof(TokenDraw, scale));
}

Value DrawEmitter::logitOf(const SliceLogit &logit) {
  return select(
      logit.isInside, logit.logit,
      emitFloat(builder, loc, -std::numeric_limits<float>::infinity()));
}

Value DrawEmitter::exponentOf(Value logit) {
  Value below = arith::SubFOp::create(builder, loc, toNumber(logit), top);
  Value exponent = multiply(below, scale);
  return select(isAbove(exponent, least()), exponent, least());
}

Value DrawEmitter::weightOf(Value exponent) {
  auto bitsOf = [&](Value value) -> Value {
    return arith::BitcastOp::create(builder, loc, i64, value);
  };
  Value shifted = add(exponent, number(rt::roundingShift));
  Value next = add(shifted, number(-rt::roundingShift));
  Value rest = arith::SubFOp::create(builder, loc, exponent, next);
  Value power = number(rt::powerCoefficients.back());
  for (double coefficient :
       llvm::reverse(ArrayRef(rt::powerCoefficients).drop_back()))
    power = add(multiply(power, rest), number(coefficient));
  // 2^(n + bits), by its bits.
  uint64_t bias = static_cast<uint64_t>(rt::weightBits(vocab)) + 1023 -
                  std::bit_cast<uint64_t>(rt::roundingShift);
  Value unit = arith::BitcastOp::create(
      builder, loc, f64,
      arith::ShLIOp::create(
          builder, loc, sum(bitsOf(shifted), whole(static_cast<int64_t>(bias))),
          whole(52)));
  Value rounded = add(multiply(power, unit), number(0x1p52));
  return both(bitsOf(rounded), whole((int64_t(1) << 52) - 1));
}

//===----------------------------------------------------------------------===//
// Sums over a block
//===----------------------------------------------------------------------===//

DrawEmitter::Scan DrawEmitter::scan(Value own) {
  Value lanes = emitIndex(builder, loc, warpSize);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes);
  Value words = emitShared(builder, loc), sums = sharedAt(8 * sliceThreads);
  // What an earlier scan left was read by all.
  emitSync(builder, loc);
  emitStore(builder, loc, own, words, thread);
  emitSync(builder, loc);
  // All lanes of a warp read the same word.
  auto over = [&](Value base, Value first, int64_t count, Value self) {
    auto loop = scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, count), emitIndex(builder, loc, 1),
        ValueRange{whole(0), whole(0)},
        [&](OpBuilder &b, Location, Value at, ValueRange carried) {
          Value word = emitLoad(b, loc, i64, base, emitAdd(b, loc, first, at));
          Value isBefore = compare(Compare::ult, at, self);
          scf::YieldOp::create(
              b, loc,
              ValueRange{sum(carried[0], select(isBefore, word, whole(0))),
                         sum(carried[1], word)});
        });
    return Scan{loop.getResult(0), loop.getResult(1)};
  };
  Scan inWarp = over(words, emitMul(builder, loc, warp, lanes), warpSize, lane);
  emitIf(compare(Compare::eq, lane, emitIndex(builder, loc, 0)),
         [&] { emitStore(builder, loc, inWarp.all, sums, warp); });
  emitSync(builder, loc);
  Scan ofWarps = over(sums, emitIndex(builder, loc, 0), sliceWarps, warp);
  return {sum(ofWarps.before, inWarp.before), ofWarps.all};
}
