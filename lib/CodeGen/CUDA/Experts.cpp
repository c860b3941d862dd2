//===- Experts.cpp - Products by experts ----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Experts.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/FP8Product.h"
#include "lib/CodeGen/CUDA/GroupProduct.h"
#include "lib/CodeGen/CUDA/TiledExperts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

static constexpr int64_t expertWarps = 4;

/// Blocks along x that one choice takes.
static int64_t blocksOfChoice(const ExpertsProduct &product) {
  return static_cast<int64_t>(llvm::divideCeil(product.n, expertWarps));
}

Grid streamingExpertsGrid(const ExpertsProduct &product) {
  return {product.active * blocksOfChoice(product), 1, expertWarps * warpSize};
}

Value emitExpert(OpBuilder &builder, Location loc,
                 const ExpertsProduct &product, Value place, Value choice) {
  if (!product.isChosen)
    return choice;
  Value expert = cpu::emitToIndex(
      builder, loc,
      cpu::emitLoad(builder, loc, builder.getI32Type(), product.chosen, place));
  expert =
      arith::MaxSIOp::create(builder, loc, expert, emitIndex(builder, loc, 0));
  return arith::MinSIOp::create(builder, loc, expert,
                                emitIndex(builder, loc, product.experts - 1));
}

void emitStreamingExperts(OpBuilder &builder, Location loc,
                          const ExpertsProduct &product,
                          ExpertsEpilogue epilogue) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  Value thread = emitThread(builder, loc), lanes = index(warpSize),
        blocks = index(blocksOfChoice(product)),
        block = emitBlock(builder, loc, Axis::X),
        token = emitBlock(builder, loc, Axis::Y);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes),
        choice = arith::DivUIOp::create(builder, loc, block, blocks);
  Value column = emitAdd(
      builder, loc,
      emitMul(builder, loc, arith::RemUIOp::create(builder, loc, block, blocks),
              index(expertWarps)),
      warp);
  Value place =
      emitAdd(builder, loc, emitMul(builder, loc, token, index(product.active)),
              choice);
  // A warp behind the last feature has nothing to do; all its lanes agree.
  Value isThere = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        column, index(product.n));
  auto whole = scf::IfOp::create(builder, loc, isThere);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(whole.thenBlock());
  Value expert = emitExpert(builder, loc, product, place, choice);
  Value row = emitAdd(builder, loc,
                      emitMul(builder, loc, expert, index(product.n)), column);
  RowDots dots{product.k,
               product.inputType,
               product.weightType,
               product.input,
               product.weight,
               {},
               {}};
  dots.inputStarts = {emitMul(
      builder, loc, product.hasActiveInput ? place : token, index(product.k))};
  dots.weightStart = emitMul(builder, loc, row, index(product.k));
  Value sum = emitWarpReduce(builder, loc,
                             emitRowDots(builder, loc, lane, dots).front(),
                             [&](Value a, Value b) -> Value {
                               return arith::AddFOp::create(builder, loc, a, b);
                             });
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        lane, index(0));
  auto store = scf::IfOp::create(builder, loc, isFirst);
  builder.setInsertionPointToStart(store.thenBlock());
  epilogue(place, expert, column, sum);
}

SmallVector<ExpertsKernel> expertsKernels(const Target &target,
                                          const ExpertsProduct &product) {
  if (product.groupLayout && product.groupLayout->isFloat)
    return fp8ExpertsKernels(target, product);
  if (product.groupLayout)
    return groupExpertsKernels(target, product);
  SmallVector<ExpertsKernel> kernels{
      {"", streamingExpertsGrid(product), /*sharedBytes=*/0, RowRange(),
       /*readsGroups=*/false, emitStreamingExperts}};
  if (!canTile(product.inputType, product.weightType, product.k))
    return kernels;
  kernels[0].rows.last = streamedTokens;
  auto add = [&](StringRef suffix, const Tiling &tiling, RowRange rows) {
    kernels.push_back(
        {suffix, tiledExpertsGrid(tiling, product), tiling.sharedBytes(), rows,
         product.isChosen,
         [tiling](OpBuilder &builder, Location loc,
                  const ExpertsProduct &product, ExpertsEpilogue epilogue) {
           emitTiledExperts(builder, loc, tiling, product, epilogue);
         }});
  };
  auto firstLarge = static_cast<int32_t>(firstLargeTokens(target, product));
  add("_small", smallTiling(target), {streamedTokens + 1, firstLarge - 1});
  add("_large", largeTiling(target), {firstLarge});
  return kernels;
}

} // namespace clade::cuda
