//===- FP8Product.cpp - Products with weights in FP8 ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/FP8Product.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/FP8Cores.h"
#include "lib/CodeGen/CUDA/PanelSums.h"
#include "lib/CodeGen/CUDA/TiledExperts.h"
#include "lib/CodeGen/CUDA/TiledProduct.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

/// Warps of a block that streams panels: each has a few blocks of columns, if
/// there are so many.
static int64_t streamingWarps(int64_t k) {
  return numFP8Blocks(k) >= 16 ? 8 : 4;
}

static int64_t panelBytes(int64_t k) { return numFP8Blocks(k) * fp8PanelBytes; }

namespace {
/// What a block streams: a panel, and the rows that it is multiplied with.
struct FP8Panel {
  int64_t k;
  Value panel; ///< !llvm.ptr
  Value input; ///< !llvm.ptr to the first row.
  Value rows;  ///< i32: how many there are, 1 … 8; null for a single one.
};

class FP8Stream : FP8Cores {
public:
  FP8Stream(OpBuilder &builder, Location loc, const FP8Panel &operands)
      : FP8Cores(builder, loc), operands(operands),
        numWarps(streamingWarps(operands.k)) {}

  void emit(llvm::function_ref<void(Value, Value, Value)> store) {
    PanelSums(builder, loc, numWarps, operands.rows).join(sumBlocks(), store);
  }

private:
  /// Where this lane's words of its row of activations begin. Rows behind the
  /// last one repeat it and are not stored.
  Value ownInput() {
    Value row = operands.input;
    if (operands.rows)
      row = advance(row, i32<arith::MulIOp>(
                             i32<arith::MinUIOp>(
                                 rowPair, i32<arith::SubIOp>(operands.rows, 1)),
                             operands.k * elementBytes));
    return advance(row, i32<arith::MulIOp>(quarter, 4 * elementBytes));
  }

  /// The sums of the blocks that this warp has.
  Values sumBlocks() {
    Value input = ownInput(), warp = i32<arith::DivUIOp>(thread, warpSize);
    Values zeros(4, emitFloat(builder, loc, 0));
    auto loop = scf::ForOp::create(builder, loc, warp,
                                   constant(numFP8Blocks(operands.k)),
                                   constant(numWarps), zeros);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value block = loop.getInductionVar();
    Weights weights = load(operands.panel, block);
    Value from =
        advance(input, i32<arith::MulIOp>(block, fp8Columns * elementBytes));
    SmallVector<Values> inputs;
    for (int64_t step = 0; step < fp8Steps; ++step)
      inputs.push_back(
          loadPair(builder.getI32Type(),
                   advance(from, constant(step * mmaK * elementBytes))));
    Values sums(loop.getRegionIterArgs());
    multiplyAdd(toFragments(weights), weights.scales, inputs, sums);
    scf::YieldOp::create(builder, loc, sums);
    return Values(loop.getResults());
  }

  const FP8Panel &operands;
  const int64_t numWarps;
};
} // namespace

/// Emits the sums of panel `panel` (index) of a matrix with `n` rows; `store`
/// is called for columns that are there.
static void emitPanel(OpBuilder &builder, Location loc,
                      const FP8Panel &operands, Value panel, int64_t n,
                      llvm::function_ref<void(Value, Value, Value)> store) {
  FP8Stream(builder, loc, operands)
      .emit([&](Value row, Value column, Value sum) {
        column = emitAdd(
            builder, loc,
            emitMul(builder, loc, panel, emitIndex(builder, loc, panelRows)),
            column);
        OpBuilder::InsertionGuard guard(builder);
        if (n % panelRows != 0) {
          Value isThere =
              arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                    column, emitIndex(builder, loc, n));
          auto there = scf::IfOp::create(builder, loc, isThere);
          builder.setInsertionPointToStart(there.thenBlock());
        }
        store(row, column, sum);
      });
}

static void emitStreamingFP8(OpBuilder &builder, Location loc,
                             const Product &product, int64_t rowTile,
                             Epilogue epilogue) {
  Value panel = emitBlock(builder, loc, Axis::X);
  Value first = emitMul(builder, loc, emitBlock(builder, loc, Axis::Y),
                        emitIndex(builder, loc, rowTile));
  FP8Panel operands{
      product.k,
      addressOf(builder, loc, product.weight, panel, panelBytes(product.k)),
      addressOf(builder, loc, product.input, first, product.k * elementBytes),
      {}};
  if (rowTile > 1)
    operands.rows = arith::IndexCastUIOp::create(
        builder, loc, builder.getI32Type(),
        arith::MinUIOp::create(
            builder, loc,
            arith::SubIOp::create(builder, loc, product.rows, first),
            emitIndex(builder, loc, rowTile)));
  emitPanel(builder, loc, operands, panel, product.n,
            [&](Value row, Value column, Value sum) {
              epilogue(emitAdd(builder, loc, first, row), column, sum);
            });
}

SmallVector<ProductKernel> fp8ProductKernels(const Target &target,
                                             const Product &product) {
  SmallVector<ProductKernel> kernels;
  int64_t warps = streamingWarps(product.k);
  auto add = [&](StringRef suffix, int64_t rowTile, RowRange rows) {
    kernels.push_back({suffix,
                       {numPanels(product.n), rowTile, warps * warpSize},
                       PanelSums::sharedBytes(warps, rowTile),
                       rows,
                       [rowTile](OpBuilder &builder, Location loc,
                                 const Product &product, Epilogue epilogue) {
                         emitStreamingFP8(builder, loc, product, rowTile,
                                          epilogue);
                       }});
  };
  add("_one", 1, {1, 1});
  add("", inputRows, {2});
  addTiledKernels(target, product, kernels);
  return kernels;
}

static void emitStreamingFP8Experts(OpBuilder &builder, Location loc,
                                    const ExpertsProduct &product,
                                    ExpertsEpilogue epilogue) {
  Value panels = emitIndex(builder, loc, numPanels(product.n)),
        block = emitBlock(builder, loc, Axis::X),
        token = emitBlock(builder, loc, Axis::Y);
  Value choice = arith::DivUIOp::create(builder, loc, block, panels),
        panel = arith::RemUIOp::create(builder, loc, block, panels);
  Value place = emitAdd(
      builder, loc,
      emitMul(builder, loc, token, emitIndex(builder, loc, product.active)),
      choice);
  Value expert = emitExpert(builder, loc, product, place, choice);
  Value ofAll =
      emitAdd(builder, loc, emitMul(builder, loc, expert, panels), panel);
  FP8Panel operands{
      product.k,
      addressOf(builder, loc, product.weight, ofAll, panelBytes(product.k)),
      addressOf(builder, loc, product.input,
                product.hasActiveInput ? place : token,
                product.k * elementBytes),
      {}};
  emitPanel(builder, loc, operands, panel, product.n,
            [&](Value, Value column, Value sum) {
              epilogue(place, expert, column, sum);
            });
}

SmallVector<ExpertsKernel> fp8ExpertsKernels(const Target &target,
                                             const ExpertsProduct &product) {
  int64_t warps = streamingWarps(product.k);
  SmallVector<ExpertsKernel> kernels{
      {"",
       {product.active * numPanels(product.n), 1, warps * warpSize},
       PanelSums::sharedBytes(warps, /*numRows=*/1),
       RowRange(),
       /*readsGroups=*/false,
       emitStreamingFP8Experts}};
  addTiledExperts(target, product, kernels);
  return kernels;
}

} // namespace clade::cuda
