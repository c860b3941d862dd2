//===- VectorHelpers.cpp - Small pieces of vector code --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Memory is accessed through LLVM's own loads and stores: packed layouts are
// plain arrays, for which memref descriptors would only add instructions.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/Hashing.h"

using namespace mlir;

namespace clade::cpu {

Value emitIndex(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value emitAdd(OpBuilder &builder, Location loc, Value a, Value b) {
  return builder.createOrFold<arith::AddIOp>(loc, a, b,
                                             arith::IntegerOverflowFlags::nsw);
}

Value emitMul(OpBuilder &builder, Location loc, Value a, Value b) {
  return builder.createOrFold<arith::MulIOp>(loc, a, b,
                                             arith::IntegerOverflowFlags::nsw);
}

Value emitCeilDiv(OpBuilder &builder, Location loc, Value a, Value b) {
  Value one = emitIndex(builder, loc, 1);
  Value last = arith::SubIOp::create(builder, loc, b, one);
  return builder.createOrFold<arith::DivUIOp>(
      loc, emitAdd(builder, loc, a, last), b);
}

/// The type of memory that elements of `type` occupy.
static Type elementOf(Type type) { return getElementTypeOrSelf(type); }

static unsigned alignmentOf(Type type) {
  return elementOf(type).getIntOrFloatBitWidth() / 8;
}

/// Masked accesses of bf16 go through i16, the type that backends know masks
/// of.
static Type asBits(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  if (!vector || !vector.getElementType().isBF16())
    return type;
  return vector.cloneWith(std::nullopt,
                          IntegerType::get(type.getContext(), 16));
}

static Value bitcast(OpBuilder &builder, Location loc, Type type, Value value) {
  if (value.getType() == type)
    return value;
  return builder.createOrFold<arith::BitcastOp>(loc, type, value);
}

Value emitAddress(OpBuilder &builder, Location loc, Value base,
                  Type elementType, Value index) {
  Value offset = builder.createOrFold<arith::IndexCastOp>(
      loc, builder.getI64Type(), index);
  return LLVM::GEPOp::create(builder, loc, base.getType(), elementType, base,
                             ValueRange{offset});
}

Value emitLoad(OpBuilder &builder, Location loc, Type type, Value base,
               Value index) {
  Value address = emitAddress(builder, loc, base, elementOf(type), index);
  Value bits = LLVM::LoadOp::create(builder, loc, asBits(type), address,
                                    alignmentOf(type));
  return bitcast(builder, loc, type, bits);
}

void emitStore(OpBuilder &builder, Location loc, Value value, Value base,
               Value index, Value mask) {
  Type type = value.getType();
  Value address = emitAddress(builder, loc, base, elementOf(type), index);
  Value bits = bitcast(builder, loc, asBits(type), value);
  if (mask)
    LLVM::MaskedStoreOp::create(builder, loc, bits, address, mask,
                                alignmentOf(type));
  else
    LLVM::StoreOp::create(builder, loc, bits, address, alignmentOf(type));
}

Value emitMaskedLoad(OpBuilder &builder, Location loc, VectorType type,
                     Value base, Value index, Value mask) {
  if (!mask)
    return emitLoad(builder, loc, type, base, index);
  Value address = emitAddress(builder, loc, base, elementOf(type), index);
  Value zero =
      arith::ConstantOp::create(builder, loc, type, builder.getZeroAttr(type));
  Value passThrough = bitcast(builder, loc, asBits(type), zero);
  Value loaded =
      LLVM::MaskedLoadOp::create(builder, loc, passThrough.getType(), address,
                                 mask, passThrough, alignmentOf(type));
  return bitcast(builder, loc, type, loaded);
}

Value emitConstantMask(OpBuilder &builder, Location loc, int64_t width,
                       int64_t count) {
  auto type = VectorType::get(width, builder.getI1Type());
  SmallVector<bool> lanes(width, false);
  std::fill_n(lanes.begin(), count, true);
  return arith::ConstantOp::create(builder, loc, type,
                                   DenseElementsAttr::get(type, lanes));
}

Value emitSplat(OpBuilder &builder, Location loc, Value scalar, int64_t width) {
  auto type = VectorType::get(width, scalar.getType());
  return vector::BroadcastOp::create(builder, loc, type, scalar);
}

Value emitMultiplyAdd(OpBuilder &builder, Location loc, const Target &target,
                      Value a, Value b, Value c) {
  if (target.hasFMA)
    return math::FmaOp::create(builder, loc, a, b, c);
  Value product = arith::MulFOp::create(builder, loc, a, b);
  return arith::AddFOp::create(builder, loc, product, c);
}

Value emitPairSums(OpBuilder &builder, Location loc, const Target &target,
                   Value a, Value b) {
  StringRef name = target.width == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                   : target.width == 8 ? "llvm.x86.avx2.pmadd.wd"
                                       : "llvm.x86.sse2.pmadd.wd";
  return LLVM::CallIntrinsicOp::create(
             builder, loc, VectorType::get(target.width, builder.getI32Type()),
             builder.getStringAttr(name), ValueRange{a, b})
      .getResult(0);
}

/// `type` with its element type replaced.
static Type withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.cloneWith(std::nullopt, element);
  return element;
}

Value emitWiden(OpBuilder &builder, Location loc, Value value) {
  Type type = withElement(value.getType(), builder.getF32Type());
  return arith::ExtFOp::create(builder, loc, type, value);
}

Value emitHalfToFloat(OpBuilder &builder, Location loc, const Target &target,
                      Value bits) {
  Type type = withElement(bits.getType(), builder.getF32Type()),
       words = withElement(bits.getType(), builder.getI32Type());
  if (target.hasF16) {
    Type half = withElement(bits.getType(), builder.getF16Type());
    Value number = arith::BitcastOp::create(builder, loc, half, bits);
    return arith::ExtFOp::create(builder, loc, type, number);
  }
  auto constant = [&](TypedAttr scalar) -> Value {
    Value value = arith::ConstantOp::create(builder, loc, scalar);
    if (auto vector = dyn_cast<VectorType>(type))
      return emitSplat(builder, loc, value, vector.getNumElements());
    return value;
  };
  auto number = [&](uint32_t value) {
    return constant(builder.getI32IntegerAttr(static_cast<int32_t>(value)));
  };
  // As f32 bits the exponent is 112 too small, of subnormals as of others;
  // infinity and NaN keep their exponent of all ones.
  Value wide = arith::ExtUIOp::create(builder, loc, words, bits);
  Value magnitude = arith::AndIOp::create(builder, loc, wide, number(0x7fff));
  Value sign = arith::ShLIOp::create(
      builder, loc, arith::AndIOp::create(builder, loc, wide, number(0x8000)),
      number(16));
  Value scaled = arith::MulFOp::create(
      builder, loc,
      arith::BitcastOp::create(
          builder, loc, type,
          arith::ShLIOp::create(builder, loc, magnitude, number(13))),
      constant(builder.getF32FloatAttr(0x1p112f)));
  Value isSpecial = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::uge, magnitude, number(0x7c00));
  Value special = arith::SelectOp::create(builder, loc, isSpecial,
                                          number(0x7f800000), number(0));
  Value whole = arith::OrIOp::create(
      builder, loc, arith::OrIOp::create(builder, loc, sign, special),
      arith::BitcastOp::create(builder, loc, words, scaled));
  return arith::BitcastOp::create(builder, loc, type, whole);
}

Value emitRoundToBF16(OpBuilder &builder, Location loc, Value value) {
  Type type = withElement(value.getType(), builder.getBF16Type());
  return arith::TruncFOp::create(builder, loc, type, value);
}

Value emitConstantArray(OpBuilder &builder, Location loc,
                        ArrayRef<float> values) {
  auto module =
      builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  std::string name = "clade_constant_" +
                     std::to_string(llvm::hash_combine_range(
                         reinterpret_cast<const uint32_t *>(values.begin()),
                         reinterpret_cast<const uint32_t *>(values.end())));
  auto global = module.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    auto type = LLVM::LLVMArrayType::get(builder.getF32Type(), values.size());
    auto tensor = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                        builder.getF32Type());
    global = LLVM::GlobalOp::create(builder, loc, type, /*isConstant=*/true,
                                    LLVM::Linkage::Internal, name,
                                    DenseElementsAttr::get(tensor, values));
  }
  return LLVM::AddressOfOp::create(builder, loc, global);
}

/// Lanes of two vectors, of the second one from `width` on.
static Value shuffle(OpBuilder &builder, Location loc, Value a, Value b,
                     int64_t width, function_ref<int64_t(int64_t)> lane) {
  SmallVector<int64_t> mask;
  for (int64_t i = 0; i < width; ++i)
    mask.push_back(lane(i));
  return vector::ShuffleOp::create(builder, loc, a, b, mask);
}

void emitTranspose(OpBuilder &builder, Location loc,
                   SmallVectorImpl<Value> &rows) {
  int64_t width = rows.size();
  auto unpack = [&](Value a, Value b, int64_t run, bool isHigh) {
    // Runs of `run` lanes, alternating between a and b, in each four lanes.
    return shuffle(builder, loc, a, b, width, [&](int64_t lane) {
      int64_t block = lane / 4 * 4, in = lane % 4;
      int64_t from = in / (2 * run) * run + in % run + (isHigh ? 2 : 0);
      return block + from + (in / run % 2 == 1 ? width : 0);
    });
  };
  SmallVector<Value> next(width);
  for (int64_t i = 0; i < width; i += 2) {
    next[i] = unpack(rows[i], rows[i + 1], 1, false);
    next[i + 1] = unpack(rows[i], rows[i + 1], 1, true);
  }
  for (int64_t i = 0; i < width; i += 4)
    for (int64_t half = 0; half < 2; ++half) {
      rows[i + 2 * half] = unpack(next[i + half], next[i + half + 2], 2, false);
      rows[i + 2 * half + 1] =
          unpack(next[i + half], next[i + half + 2], 2, true);
    }
  // Block b of rows[4 i + j] is column 4 b + j of rows 4 i … 4 i + 3.
  auto blocks = [&](Value a, Value b, int64_t first, int64_t step) {
    int64_t each = width / 8; // Blocks that come from a, and from b.
    return shuffle(builder, loc, a, b, width, [&](int64_t lane) {
      int64_t block = lane / 4;
      int64_t from = first + block % each * step;
      return from * 4 + lane % 4 + (block >= each ? width : 0);
    });
  };
  if (width == 8) {
    for (int64_t j = 0; j < 4; ++j) {
      next[j] = blocks(rows[j], rows[4 + j], 0, 1);
      next[4 + j] = blocks(rows[j], rows[4 + j], 1, 1);
    }
    rows.assign(next.begin(), next.end());
  } else if (width == 16) {
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t odd = 0; odd < 2; ++odd) {
        Value low = blocks(rows[j], rows[4 + j], odd, 2),
              high = blocks(rows[8 + j], rows[12 + j], odd, 2);
        next[4 * odd + j] = blocks(low, high, 0, 2);
        next[8 + 4 * odd + j] = blocks(low, high, 1, 2);
      }
    rows.assign(next.begin(), next.end());
  }
}

Value emitStackBuffer(OpBuilder &builder, Location loc, int64_t bytes) {
  OpBuilder::InsertionGuard guard(builder);
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  auto function = dyn_cast<FunctionOpInterface>(parent);
  if (!function)
    function = parent->getParentOfType<FunctionOpInterface>();
  builder.setInsertionPointToStart(&function.getFunctionBody().front());
  Value count =
      LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(bytes));
  return LLVM::AllocaOp::create(
      builder, loc, LLVM::LLVMPointerType::get(builder.getContext()),
      builder.getI8Type(), count, /*alignment=*/64);
}

} // namespace clade::cpu
