//===- BlockHelpers.cpp - Code that the threads of a block share ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/BlockHelpers.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/Hashing.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitStore;

/// Where a swizzle of eight rows of 128 bytes may begin.
static constexpr unsigned sharedAlignment = 1024;
/// The address space of shared memory.
static constexpr unsigned sharedSpace = 3;

Value emitThread(OpBuilder &builder, Location loc) {
  return gpu::ThreadIdOp::create(builder, loc, gpu::Dimension::x);
}

Value emitBlock(OpBuilder &builder, Location loc, Axis axis) {
  return gpu::BlockIdOp::create(
      builder, loc, axis == Axis::X ? gpu::Dimension::x : gpu::Dimension::y);
}

void emitSync(OpBuilder &builder, Location loc) {
  gpu::BarrierOp::create(builder, loc);
}

/// The gpu.module that code is emitted into.
static gpu::GPUModuleOp moduleOf(OpBuilder &builder) {
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  return parent->getParentOfType<gpu::GPUModuleOp>();
}

Value emitSharedSpace(OpBuilder &builder, Location loc) {
  StringRef name = "clade_shared";
  gpu::GPUModuleOp module = moduleOf(builder);
  auto global = module.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    auto type = LLVM::LLVMArrayType::get(top.getI8Type(), 0);
    global = LLVM::GlobalOp::create(top, loc, type, /*isConstant=*/false,
                                    LLVM::Linkage::External, name, Attribute(),
                                    sharedAlignment, sharedSpace);
  }
  return LLVM::AddressOfOp::create(builder, loc, global);
}

Value emitShared(OpBuilder &builder, Location loc) {
  return LLVM::AddrSpaceCastOp::create(
      builder, loc, LLVM::LLVMPointerType::get(builder.getContext()),
      emitSharedSpace(builder, loc));
}

Value emitWarpReduce(OpBuilder &builder, Location loc, Value value,
                     Combine combine) {
  for (int32_t distance = warpSize / 2; distance > 0; distance /= 2) {
    auto other = gpu::ShuffleOp::create(builder, loc, value, distance, warpSize,
                                        gpu::ShuffleMode::XOR);
    value = combine(value, other.getShuffleResult());
  }
  return value;
}

Value emitBlockReduce(OpBuilder &builder, Location loc, int64_t threads,
                      Value value, Value words, Combine combine) {
  value = emitWarpReduce(builder, loc, value, combine);
  Value thread = emitThread(builder, loc),
        lanes = emitIndex(builder, loc, warpSize);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes);
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        lane, emitIndex(builder, loc, 0));
  scf::IfOp::create(builder, loc, isFirst, [&](OpBuilder &b, Location) {
    emitStore(b, loc, value, words, warp);
    scf::YieldOp::create(b, loc);
  });
  emitSync(builder, loc);
  Value joined;
  for (int64_t i = 0; i < threads / warpSize; ++i) {
    Value own = emitLoad(builder, loc, builder.getF32Type(), words,
                         emitIndex(builder, loc, i));
    joined = joined ? combine(joined, own) : own;
  }
  return joined;
}

/// How elements lie in memory: bf16 as its bits, a truth as a byte.
static Type storedType(OpBuilder &builder, Type elementType) {
  if (elementType.isBF16())
    return builder.getI16Type();
  return elementType.isInteger(1) ? builder.getI8Type() : elementType;
}

Value emitLoadFloat(OpBuilder &builder, Location loc, Type elementType,
                    Value base, Value index) {
  Value value =
      emitLoad(builder, loc, storedType(builder, elementType), base, index);
  Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
  if (elementType.isInteger(1))
    return arith::UIToFPOp::create(builder, loc, f32, value);
  if (elementType.isInteger())
    return arith::SIToFPOp::create(builder, loc, f32, value);
  if (elementType.isF16())
    return arith::ExtFOp::create(builder, loc, f32, value);
  if (!elementType.isBF16())
    return value;
  Value bits = arith::ShLIOp::create(
      builder, loc, arith::ExtUIOp::create(builder, loc, i32, value),
      arith::ConstantIntOp::create(builder, loc, i32, 16));
  return arith::BitcastOp::create(builder, loc, f32, bits);
}

SmallVector<Value> emitLoadFloats(OpBuilder &builder, Location loc,
                                  Type elementType, Value base, Value index,
                                  int64_t count) {
  bool isHalf = elementType.isF16(), isNarrow = elementType.isBF16() || isHalf;
  int64_t elementBytes = isNarrow ? 2 : 4;
  if (count == 1)
    return {emitLoadFloat(builder, loc, elementType, base, index)};
  Type i32 = builder.getI32Type(), f32 = builder.getF32Type();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(builder, loc, i32, value);
  };
  SmallVector<Value> elements;
  int64_t together = std::min(count, 16 / elementBytes);
  auto halfOf = [&](Value word, int64_t shift) -> Value {
    Value bits = arith::TruncIOp::create(
        builder, loc, builder.getI16Type(),
        arith::ShRUIOp::create(builder, loc, word, constant(shift)));
    Value half =
        arith::BitcastOp::create(builder, loc, builder.getF16Type(), bits);
    return arith::ExtFOp::create(builder, loc, f32, half);
  };
  // Numbers of 16 bits are halves of words.
  auto type = VectorType::get({isNarrow ? together / 2 : together},
                              isNarrow ? i32 : f32);
  for (int64_t first = 0; first < count; first += together) {
    Value address = cpu::emitAddress(
        builder, loc, base, elementType,
        emitAdd(builder, loc, index, emitIndex(builder, loc, first)));
    Value loaded =
        LLVM::LoadOp::create(builder, loc, type, address,
                             static_cast<unsigned>(together * elementBytes));
    for (int64_t i = 0; i < type.getNumElements(); ++i) {
      Value word =
          LLVM::ExtractElementOp::create(builder, loc, loaded, constant(i));
      if (!isNarrow) {
        elements.push_back(word);
        continue;
      }
      if (isHalf) {
        elements.append({halfOf(word, 0), halfOf(word, 16)});
        continue;
      }
      for (Value bits :
           {Value(arith::ShLIOp::create(builder, loc, word, constant(16))),
            Value(arith::AndIOp::create(builder, loc, word, constant(-65536)))})
        elements.push_back(arith::BitcastOp::create(builder, loc, f32, bits));
    }
  }
  return elements;
}

void emitStoreFloat(OpBuilder &builder, Location loc, Value value,
                    Type elementType, Value base, Value index) {
  if (elementType.isBF16())
    value = cpu::emitRoundToBF16(builder, loc, value);
  else if (elementType.isF16())
    value = arith::TruncFOp::create(builder, loc, elementType, value);
  else if (elementType.isInteger())
    value = arith::FPToSIOp::create(builder, loc,
                                    storedType(builder, elementType), value);
  emitStore(builder, loc, value, base, index);
}

void emitStoreStreamed(OpBuilder &builder, Location loc, Value value,
                       Type elementType, Value base, Value index) {
  bool isNarrow = elementType.isBF16();
  if (!isNarrow && !elementType.isF32())
    return emitStoreFloat(builder, loc, value, elementType, base, index);
  if (isNarrow)
    value = arith::BitcastOp::create(builder, loc, builder.getI16Type(),
                                     cpu::emitRoundToBF16(builder, loc, value));
  auto global = LLVM::LLVMPointerType::get(
      builder.getContext(),
      static_cast<unsigned>(NVVM::NVVMMemorySpace::Global));
  Value address = LLVM::AddrSpaceCastOp::create(
      builder, loc, global,
      cpu::emitAddress(builder, loc, base, elementType, index));
  // LLVM has no form of it. It clobbers nothing that is loaded here.
  LLVM::InlineAsmOp::create(
      builder, loc, TypeRange(), ValueRange{address, value},
      isNarrow ? "st.global.cs.b16 [$0], $1;" : "st.global.cs.f32 [$0], $1;",
      isNarrow ? "l,h" : "l,f", /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr(), ArrayAttr());
}

void emitStridedLoop(OpBuilder &builder, Location loc, Value thread,
                     int64_t threads, Value count,
                     llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(builder, loc, thread, count,
                                 emitIndex(builder, loc, threads));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

Value emitFloat(OpBuilder &builder, Location loc, double value) {
  return arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
}

Value emitDeviceArray(OpBuilder &builder, Location loc,
                      ArrayRef<float> values) {
  std::string name = "clade_constant_" +
                     std::to_string(llvm::hash_combine_range(
                         reinterpret_cast<const uint32_t *>(values.begin()),
                         reinterpret_cast<const uint32_t *>(values.end())));
  gpu::GPUModuleOp module = moduleOf(builder);
  auto global = module.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    auto type = LLVM::LLVMArrayType::get(top.getF32Type(), values.size());
    auto tensor = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                        top.getF32Type());
    global = LLVM::GlobalOp::create(top, loc, type, /*isConstant=*/true,
                                    LLVM::Linkage::Internal, name,
                                    DenseElementsAttr::get(tensor, values));
  }
  return LLVM::AddressOfOp::create(builder, loc, global);
}

std::pair<Value, Value> emitSinCos(OpBuilder &builder, Location loc,
                                   Value angle) {
  Type f64 = builder.getF64Type(), i64 = builder.getI64Type();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getF64FloatAttr(value));
  };
  auto integer = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(builder, loc, i64, value);
  };
  auto fma = [&](Value a, Value b, Value c) -> Value {
    return math::FmaOp::create(builder, loc, a, b, c);
  };
  // angle = quarter * pi/2 + rest, |rest| <= pi/4; pi/2 in two parts.
  Value x = arith::ExtFOp::create(builder, loc, f64, angle);
  Value quarter = math::RoundEvenOp::create(
      builder, loc,
      arith::MulFOp::create(builder, loc, x, constant(0x1.45f306dc9c883p-1)));
  Value rest = fma(quarter, constant(-0x1.921fb54442d18p+0), x);
  rest = fma(quarter, constant(-0x1.1a62633145c07p-54), rest);
  // Taylor's series: what is left out is below 2^-54 of one.
  auto series = [&](int first) {
    Value square = arith::MulFOp::create(builder, loc, rest, rest);
    double factor = 1;
    SmallVector<double> coefficients{1};
    for (int i = first + 2; i <= 16 + first; i += 2) {
      factor /= -1.0 * i * (i - 1);
      coefficients.push_back(factor);
    }
    Value sum = constant(coefficients.back());
    for (double coefficient : llvm::reverse(ArrayRef(coefficients).drop_back()))
      sum = fma(sum, square, constant(coefficient));
    return sum;
  };
  Value sine = arith::MulFOp::create(builder, loc, rest, series(1)),
        cosine = series(0);
  Value number = arith::FPToSIOp::create(builder, loc, i64, quarter);
  auto hasBit = [&](Value value, int64_t bit) -> Value {
    return arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ne,
        arith::AndIOp::create(builder, loc, value, integer(bit)), integer(0));
  };
  Value swaps = hasBit(number, 1);
  auto finish = [&](Value onOdd, Value onEven, Value isNegative) -> Value {
    Value value = arith::SelectOp::create(builder, loc, swaps, onOdd, onEven);
    value = arith::SelectOp::create(builder, loc, isNegative,
                                    arith::NegFOp::create(builder, loc, value),
                                    value);
    return arith::TruncFOp::create(builder, loc, builder.getF32Type(), value);
  };
  Value next = arith::AddIOp::create(builder, loc, number, integer(1));
  return {finish(cosine, sine, hasBit(number, 2)),
          finish(sine, cosine, hasBit(next, 2))};
}

} // namespace clade::cuda
