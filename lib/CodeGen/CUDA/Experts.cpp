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

Grid sharedExpertsGrid(const ExpertsProduct &product) {
  return {blocksOfChoice(product), sharedTokens, expertWarps * warpSize};
}

void emitSharedExperts(OpBuilder &builder, Location loc,
                       const ExpertsProduct &product,
                       ExpertsEpilogue epilogue) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, predicate, a, b).getResult();
  };
  Value thread = emitThread(builder, loc), lanes = index(warpSize);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes);
  Value column = emitAdd(builder, loc,
                         emitMul(builder, loc, emitBlock(builder, loc, Axis::X),
                                 index(expertWarps)),
                         warp);
  auto whole = scf::IfOp::create(
      builder, loc,
      compare(arith::CmpIPredicate::ult, column, index(product.n)));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(whole.thenBlock());
  Value first = emitMul(builder, loc, emitBlock(builder, loc, Axis::Y),
                        index(sharedTokens));
  Value last = arith::SubIOp::create(builder, loc, product.rows, index(1));
  /// The token `i` of the warp; those behind the last repeat it.
  auto tokenAt = [&](Value i) -> Value {
    return arith::MinUIOp::create(builder, loc, emitAdd(builder, loc, first, i),
                                  last);
  };
  auto expertOf = [&](Value token) {
    return emitExpert(builder, loc, product, token, /*choice=*/index(0));
  };
  /// Sums for tokens that chose `expert`, each in all lanes.
  auto sumsOf = [&](ArrayRef<Value> tokens, Value expert) {
    RowDots dots{product.k,
                 product.inputType,
                 product.weightType,
                 product.input,
                 product.weight,
                 {},
                 {}};
    for (Value token : tokens)
      dots.inputStarts.push_back(
          emitMul(builder, loc, token, index(product.k)));
    Value row = emitAdd(
        builder, loc, emitMul(builder, loc, expert, index(product.n)), column);
    dots.weightStart = emitMul(builder, loc, row, index(product.k));
    SmallVector<Value> sums = emitRowDots(builder, loc, lane, dots);
    for (Value &sum : sums)
      sum = emitWarpReduce(builder, loc, sum, [&](Value a, Value b) -> Value {
        return arith::AddFOp::create(builder, loc, a, b);
      });
    return sums;
  };
  // Lane i keeps the sum of token i.
  auto keep = [&](Value i, Value sum, Value own) -> Value {
    return arith::SelectOp::create(
        builder, loc, compare(arith::CmpIPredicate::eq, lane, i), sum, own);
  };
  SmallVector<Value> tokens;
  for (int64_t i = 0; i < sharedTokens; ++i)
    tokens.push_back(tokenAt(index(i)));
  Value expert = expertOf(tokens[0]), isShared;
  for (Value token : ArrayRef(tokens).drop_front()) {
    Value isSame = compare(arith::CmpIPredicate::eq, expertOf(token), expert);
    isShared =
        isShared ? Value(arith::AndIOp::create(builder, loc, isShared, isSame))
                 : isSame;
  }
  Value zero = emitFloat(builder, loc, 0);
  auto sums = scf::IfOp::create(
      builder, loc, isShared,
      [&](OpBuilder &, Location) {
        Value own = zero;
        for (auto [i, sum] : llvm::enumerate(sumsOf(tokens, expert)))
          own = keep(index(static_cast<int64_t>(i)), sum, own);
        scf::YieldOp::create(builder, loc, own);
      },
      [&](OpBuilder &, Location) {
        auto loop =
            scf::ForOp::create(builder, loc, index(0), index(sharedTokens),
                               index(1), ValueRange{zero});
        {
          OpBuilder::InsertionGuard inner(builder);
          builder.setInsertionPointToStart(loop.getBody());
          Value i = loop.getInductionVar(), token = tokenAt(i);
          Value sum = sumsOf(token, expertOf(token)).front();
          scf::YieldOp::create(builder, loc,
                               keep(i, sum, loop.getRegionIterArg(0)));
        }
        scf::YieldOp::create(builder, loc, loop.getResult(0));
      });
  Value token = emitAdd(builder, loc, first, lane);
  Value isStored = arith::AndIOp::create(
      builder, loc,
      compare(arith::CmpIPredicate::ult, lane, index(sharedTokens)),
      compare(arith::CmpIPredicate::ult, token, product.rows));
  auto store = scf::IfOp::create(builder, loc, isStored);
  builder.setInsertionPointToStart(store.thenBlock());
  epilogue(token, expertOf(token), column, sums.getResult(0));
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
  if (!addTiledExperts(target, product, kernels) && product.active == 1) {
    kernels[0].rows.last = streamedTokens;
    kernels.push_back({"_shared", sharedExpertsGrid(product),
                       /*sharedBytes=*/0, RowRange{streamedTokens + 1},
                       /*readsGroups=*/false, emitSharedExperts});
  }
  return kernels;
}

} // namespace clade::cuda
