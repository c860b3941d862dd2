//===- FP8Cores.cpp - Weights in FP8 on tensor cores ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/FP8Cores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace clade::cuda {

FP8Cores::FP8Cores(OpBuilder &builder, Location loc)
    : TensorCores(builder, loc, builder.getF16Type()),
      rowPair(i32<arith::DivUIOp>(lane, 4)),
      quarter(i32<arith::RemUIOp>(lane, 4)) {}

FP8Cores::Values FP8Cores::loadPair(Type type, Value pointer) {
  Value pair = LLVM::LoadOp::create(builder, loc, VectorType::get({2}, type),
                                    pointer, /*alignment=*/8);
  return {LLVM::ExtractElementOp::create(builder, loc, pair, constant(0)),
          LLVM::ExtractElementOp::create(builder, loc, pair, constant(1))};
}

FP8Cores::Weights FP8Cores::load(Value panel, Value block) {
  Value own = i32<arith::MulIOp>(rowPair, 8);
  Value base = advance(
      panel, i32<arith::AddIOp>(i32<arith::MulIOp>(block, fp8PanelBytes), own));
  Weights weights;
  weights.scales = loadPair(builder.getF32Type(), base);
  // Columns 4 t … of each 16 are run t of four.
  Value runs =
      advance(base, i32<arith::AddIOp>(i32<arith::MulIOp>(quarter, runBytes),
                                       runBytes));
  for (int64_t step = 0; step < fp8Steps; ++step)
    weights.codes.append(loadPair(
        builder.getI32Type(), advance(runs, constant(step * 4 * runBytes))));
  return weights;
}

SmallVector<FP8Cores::Values> FP8Cores::toFragments(const Weights &weights) {
  // Signs of both halves of a word, and the seven bits behind them.
  constexpr int64_t signs = int32_t(0x80008000), rest = 0x3f803f80;
  auto widen = [&](Value bytes) {
    return i32<arith::OrIOp>(
        i32<arith::AndIOp>(bytes, signs),
        i32<arith::AndIOp>(i32<arith::ShRUIOp>(bytes, 1), rest));
  };
  SmallVector<Values> fragments;
  for (size_t step = 0; step < static_cast<size_t>(fp8Steps); ++step) {
    ArrayRef<Value> rows = ArrayRef(weights.codes).slice(2 * step, 2);
    Values &fragment = fragments.emplace_back();
    // The upper bytes of halves are codes: first 0 and 2, then 1 and 3.
    for (Value row : rows)
      fragment.push_back(widen(i32<arith::ShLIOp>(row, 8)));
    for (Value row : rows)
      fragment.push_back(widen(row));
  }
  return fragments;
}

void FP8Cores::multiplyAdd(ArrayRef<Values> fragments, ArrayRef<Value> scales,
                           ArrayRef<Values> inputs,
                           MutableArrayRef<Value> sums) {
  Values parts(4, emitFloat(builder, loc, 0));
  for (auto [fragment, input] : llvm::zip_equal(fragments, inputs))
    parts = multiply(fragment, input, parts);
  for (size_t i = 0; i < 4; ++i)
    sums[i] =
        math::FmaOp::create(builder, loc, parts[i], scales[i / 2], sums[i]);
}

} // namespace clade::cuda
