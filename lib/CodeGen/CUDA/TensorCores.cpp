//===- TensorCores.cpp - Fragments of matrices ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TensorCores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace clade::cuda {

TensorCores::TensorCores(OpBuilder &builder, Location loc)
    : builder(builder), loc(loc), shared(emitSharedSpace(builder, loc)) {
  thread = toI32(emitThread(builder, loc));
  lane = i32<arith::RemUIOp>(thread, warpSize);
}

Value TensorCores::constant(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, builder.getI32Type(),
                                      value);
}

Value TensorCores::toI32(Value index) {
  return arith::IndexCastUIOp::create(builder, loc, builder.getI32Type(),
                                      index);
}

Value TensorCores::toIndex(Value number) {
  return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                      number);
}

Value TensorCores::isBelow(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
}

Value TensorCores::advance(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(builder, loc, pointer.getType(),
                             builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value TensorCores::toGlobal(Value pointer) {
  auto type = LLVM::LLVMPointerType::get(
      builder.getContext(),
      static_cast<unsigned>(NVVM::NVVMMemorySpace::Global));
  return LLVM::AddrSpaceCastOp::create(builder, loc, type, pointer);
}

TensorCores::Values TensorCores::loadFragment(Value address,
                                              bool isTransposed) {
  MLIRContext *context = builder.getContext();
  auto type = LLVM::LLVMStructType::getLiteral(
      context, SmallVector<Type>(4, builder.getI32Type()));
  Value loaded = NVVM::LdMatrixOp::create(
      builder, loc, type, address, 4u,
      isTransposed ? NVVM::MMALayout::col : NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
      NVVM::LdStMatrixEltType::B16);
  Values parts;
  for (int64_t i = 0; i < 4; ++i)
    parts.push_back(LLVM::ExtractValueOp::create(builder, loc, loaded, i));
  return parts;
}

TensorCores::Values TensorCores::multiply(ArrayRef<Value> a, ArrayRef<Value> b,
                                          ArrayRef<Value> sums) {
  auto type = LLVM::LLVMStructType::getLiteral(
      builder.getContext(), SmallVector<Type>(4, builder.getF32Type()));
  Value product = NVVM::MmaOp::create(
      builder, loc, type, a, b, sums, {mmaM, mmaN, mmaK}, std::nullopt,
      std::nullopt, std::array{NVVM::MMATypes::bf16, NVVM::MMATypes::bf16},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  Values next;
  for (int64_t i = 0; i < 4; ++i)
    next.push_back(LLVM::ExtractValueOp::create(builder, loc, product, i));
  return next;
}

void TensorCores::copyAsync(Value target, Value source, int64_t bytes,
                            Value size) {
  NVVM::CpAsyncOp::create(builder, loc, target, source,
                          static_cast<uint32_t>(bytes),
                          bytes == pieceBytes ? NVVM::LoadCacheModifierKind::CG
                                              : NVVM::LoadCacheModifierKind::CA,
                          size);
}

void TensorCores::commit() { NVVM::CpAsyncCommitGroupOp::create(builder, loc); }

void TensorCores::waitFor(uint32_t count) {
  NVVM::CpAsyncWaitGroupOp::create(builder, loc, count);
  emitSync(builder, loc);
}

} // namespace clade::cuda
