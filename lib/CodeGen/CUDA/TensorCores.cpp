//===- TensorCores.cpp - Fragments of matrices ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TensorCores.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

/// Rows of sums that a thread stores at once.
static constexpr int64_t storeBatch = 8;
/// What all banks of shared memory hold side by side.
static constexpr int64_t bankBytes = 128;

TensorCores::TensorCores(OpBuilder &builder, Location loc, Type numbers)
    : builder(builder), loc(loc), shared(emitSharedSpace(builder, loc)),
      isHalf(numbers && numbers.isF16()) {
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

Value TensorCores::intrinsic(StringRef name, Type type, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(builder, loc, type,
                                       builder.getStringAttr(name), operands)
      ->getResult(0);
}

Value TensorCores::exp2(Value x) {
  return intrinsic("llvm.nvvm.ex2.approx.ftz", builder.getF32Type(), x);
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

Value TensorCores::halfToFloat(Value bits) {
  Value half =
      arith::BitcastOp::create(builder, loc, builder.getF16Type(), bits);
  return arith::ExtFOp::create(builder, loc, builder.getF32Type(), half);
}

Value TensorCores::toFloat(Value integer) {
  return arith::SIToFPOp::create(builder, loc, builder.getF32Type(), integer);
}

Value TensorCores::packBF16(Value low, Value high) {
  auto pair = VectorType::get({2}, builder.getBF16Type());
  Value packed = intrinsic("llvm.nvvm.ff2bf16x2.rn", pair, {high, low});
  return LLVM::BitcastOp::create(builder, loc, builder.getI32Type(), packed);
}

Value TensorCores::exchangeOf(Value row, int64_t rowBytes) {
  return i32<arith::RemUIOp>(i32<arith::DivUIOp>(row, bankBytes / rowBytes),
                             rowBytes / pieceBytes);
}

TensorCores::Values TensorCores::asHalves(ArrayRef<Value> words) {
  auto type = VectorType::get({2}, builder.getF16Type());
  Values halves;
  for (Value word : words)
    halves.push_back(LLVM::BitcastOp::create(builder, loc, type, word));
  return halves;
}

TensorCores::Values TensorCores::multiply(ArrayRef<Value> a, ArrayRef<Value> b,
                                          ArrayRef<Value> sums) {
  auto type = LLVM::LLVMStructType::getLiteral(
      builder.getContext(), SmallVector<Type>(4, builder.getF32Type()));
  NVVM::MMATypes numbers = isHalf ? NVVM::MMATypes::f16 : NVVM::MMATypes::bf16;
  Values first(a), second(b);
  if (isHalf) {
    first = asHalves(a);
    second = asHalves(b);
  }
  Value product = NVVM::MmaOp::create(
      builder, loc, type, first, second, sums, {mmaM, mmaN, mmaK}, std::nullopt,
      std::nullopt, std::array{numbers, numbers},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  Values next;
  for (int64_t i = 0; i < 4; ++i)
    next.push_back(LLVM::ExtractValueOp::create(builder, loc, product, i));
  return next;
}

TensorCores::Values TensorCores::multiplyTF32(ArrayRef<Value> a,
                                              ArrayRef<Value> b,
                                              ArrayRef<Value> sums) {
  auto type = LLVM::LLVMStructType::getLiteral(
      builder.getContext(), SmallVector<Type>(4, builder.getF32Type()));
  Value product = NVVM::MmaOp::create(
      builder, loc, type, Values(a), Values(b), sums, {mmaM, mmaN, mmaKOfTF32},
      std::nullopt, std::nullopt,
      std::array{NVVM::MMATypes::tf32, NVVM::MMATypes::tf32},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  Values next;
  for (int64_t i = 0; i < 4; ++i)
    next.push_back(LLVM::ExtractValueOp::create(builder, loc, product, i));
  return next;
}

Value TensorCores::toTF32(Value number) {
  return NVVM::ConvertFloatToTF32Op::create(builder, loc, builder.getI32Type(),
                                            number, NVVM::FPRoundingMode::RNA);
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

Value TensorCores::left(Value count, Value first, int64_t limit) {
  Value rest = arith::SubIOp::create(builder, loc, count, first);
  return toI32(arith::MinUIOp::create(builder, loc, rest,
                                      cpu::emitIndex(builder, loc, limit)));
}

void TensorCores::readSums(
    int64_t threads, int64_t n, int64_t stride, Value rows, Value columns,
    llvm::function_ref<void(Value, Value, Value)> store) {
  // Each thread has a column of sums, so that a warp's accesses are rows.
  Value column = i32<arith::RemUIOp>(thread, n);
  OpBuilder::InsertionGuard guard(builder);
  if (columns) {
    auto isThere = scf::IfOp::create(builder, loc, isBelow(column, columns));
    builder.setInsertionPointToStart(isThere.thenBlock());
  }
  auto storeRow = [&](Value row) {
    Value place = i32<arith::AddIOp>(i32<arith::MulIOp>(row, stride * 4),
                                     i32<arith::MulIOp>(column, 4));
    Value sum = LLVM::LoadOp::create(builder, loc, builder.getF32Type(),
                                     sharedAt(place));
    store(toIndex(row), toIndex(column), sum);
  };
  // A few rows at once, so that what they load is under way together.
  int64_t step = threads / n, batch = storeBatch * step;
  Value first = i32<arith::DivUIOp>(thread, n);
  Value left = i32<arith::SubIOp>(i32<arith::AddIOp>(rows, step - 1), first);
  Value end = i32<arith::AddIOp>(
      first, i32<arith::MulIOp>(i32<arith::DivUIOp>(left, batch), batch));
  auto loop = scf::ForOp::create(builder, loc, first, end, constant(batch));
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(loop.getBody());
    for (int64_t i = 0; i < storeBatch; ++i)
      storeRow(i32<arith::AddIOp>(loop.getInductionVar(), i * step));
  }
  auto rest = scf::ForOp::create(builder, loc, end, rows, constant(step));
  builder.setInsertionPointToStart(rest.getBody());
  storeRow(rest.getInductionVar());
}

} // namespace clade::cuda
