//===- GroupProduct.cpp - Products with weights in groups -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/GroupProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/GroupCores.h"
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

/// Groups that are on their way together. Blocks of eight have whole batches.
static constexpr int64_t groupBatch = recordBatch;
/// Threads of a block that streams panels of rows of `k` columns.
static int64_t streamingGroupThreads(const rt::PackedLayout &layout,
                                     int64_t k) {
  // Each warp has a few batches, if there are so many.
  return warpSize * (numGroups(layout, k) >= 16 * groupBatch ? 8 : 4);
}

/// The block's shared memory, for so many rows of activations.
static int64_t streamingGroupBytes(const rt::PackedLayout &layout, int64_t k,
                                   int64_t rows) {
  return PanelSums::sharedBytes(streamingGroupThreads(layout, k) / warpSize,
                                rows);
}

namespace {
class PanelStream : GroupCores {
public:
  PanelStream(OpBuilder &builder, Location loc, const rt::PackedLayout &layout,
              const StreamedPanel &operands)
      : GroupCores(builder, loc, layout, operands.k), operands(operands),
        rows(operands.rows ? inputRows : 1),
        numWarps(streamingGroupThreads(layout, operands.k) / warpSize),
        warp(i32<arith::DivUIOp>(thread, warpSize)) {
    codes = advance(rowAt(rowPair), i32<arith::MulIOp>(quarter, 8));
    for (int64_t i = 0; i < std::min<int64_t>(rows, 2); ++i)
      ends.push_back(
          advance(rowAt(i32<arith::AddIOp>(i32<arith::MulIOp>(quarter, 2), i)),
                  constant(batchEndsAt)));
  }

  void emit(function_ref<void(Value, Value, Value)> store) {
    Values sums = sumGroups();
    finish(operands.panel, sums);
    PanelSums(builder, loc, numWarps, operands.rows).join(sums, store);
  }

private:
  /// Where a row of activations begins. Rows behind the last one repeat it and
  /// are not stored.
  Value rowAt(Value row) {
    if (!operands.rows)
      return operands.input;
    Value last = i32<arith::SubIOp>(operands.rows, 1);
    return advance(operands.input,
                   i32<arith::MulIOp>(i32<arith::MinUIOp>(row, last),
                                      recordRowBytes(layout, operands.k)));
  }

  /// Adds `count` groups from `first` on.
  Values addGroups(Value first, int64_t count, ValueRange carried) {
    SmallVector<Weights> weights = load(operands.panel, first, count);
    SmallVector<Inputs> inputs;
    Value batch = i32<arith::MulIOp>(i32<arith::DivUIOp>(first, recordBatch),
                                     batchBytes),
          inBatch = i32<arith::RemUIOp>(first, recordBatch);
    for (int64_t i = 0; i < count; ++i) {
      auto place = [&](int64_t bytes) {
        return i32<arith::AddIOp>(
            batch, i32<arith::MulIOp>(i32<arith::AddIOp>(inBatch, i), bytes));
      };
      // Where rows have one scale, a batch has one end.
      SmallVector<Value> ownEnds;
      if (!layout.isOfRow || i == 0)
        for (Value end : ends)
          ownEnds.push_back(advance(end, place(recordEndBytes)));
      inputs.push_back(
          loadInputs(advance(codes, place(recordCodeBytes)), ownEnds));
    }
    Values sums(carried);
    if (layout.isOfRow) {
      multiplyAddBatch(weights, inputs, sums);
      return sums;
    }
    for (auto [weight, input] : llvm::zip_equal(weights, inputs))
      multiplyAdd(weight, input, sums);
    return sums;
  }

  /// The sums of the groups that this warp has.
  Values sumGroups() {
    Values sums = zeroSums();
    int64_t whole = groups / groupBatch * groupBatch, last = groups;
    // Where a batch has one scale, zeros fill the last one.
    if (layout.isOfRow)
      last = whole = numRecords(layout, operands.k);
    auto addLoop = [&](int64_t begin, int64_t end, int64_t count) {
      if (begin == end)
        return;
      Value first = i32<arith::AddIOp>(i32<arith::MulIOp>(warp, count), begin);
      auto loop = scf::ForOp::create(builder, loc, first, constant(end),
                                     constant(count * numWarps), sums);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(
          builder, loc,
          addGroups(loop.getInductionVar(), count, loop.getRegionIterArgs()));
      sums = loop.getResults();
    };
    addLoop(0, whole, groupBatch);
    addLoop(whole, last, 1);
    return sums;
  }

  const StreamedPanel &operands;
  const int64_t rows, numWarps;
  Value warp;  ///< i32
  Value codes; ///< Where this lane's codes of activations begin.
  SmallVector<Value, 2> ends;
};
} // namespace

void emitStreamPanel(OpBuilder &builder, Location loc,
                     const rt::PackedLayout &layout,
                     const StreamedPanel &operands,
                     function_ref<void(Value, Value, Value)> store) {
  PanelStream(builder, loc, layout, operands).emit(store);
}

/// Calls `body` where `column` is below `n`; all are where panels are full.
static void ifColumn(OpBuilder &builder, Location loc, int64_t n, Value column,
                     function_ref<void()> body) {
  OpBuilder::InsertionGuard guard(builder);
  if (n % panelRows != 0) {
    Value isThere =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, column,
                              emitIndex(builder, loc, n));
    auto there = scf::IfOp::create(builder, loc, isThere);
    builder.setInsertionPointToStart(there.thenBlock());
  }
  body();
}

static void emitStreamingGroups(OpBuilder &builder, Location loc,
                                const Product &product, int64_t rowTile,
                                Epilogue epilogue) {
  const rt::PackedLayout &layout = *product.groups;
  Value panel = emitBlock(builder, loc, Axis::X);
  Value first = emitMul(builder, loc, emitBlock(builder, loc, Axis::Y),
                        emitIndex(builder, loc, rowTile));
  StreamedPanel operands{product.k,
                         addressOf(builder, loc, product.weight, panel,
                                   panelBytes(layout, product.k)),
                         addressOf(builder, loc, product.input, first,
                                   recordRowBytes(layout, product.k)),
                         {}};
  if (rowTile > 1)
    operands.rows = arith::IndexCastUIOp::create(
        builder, loc, builder.getI32Type(),
        arith::MinUIOp::create(
            builder, loc,
            arith::SubIOp::create(builder, loc, product.rows, first),
            emitIndex(builder, loc, rowTile)));
  emitStreamPanel(
      builder, loc, layout, operands, [&](Value row, Value column, Value sum) {
        column = emitAdd(
            builder, loc,
            emitMul(builder, loc, panel, emitIndex(builder, loc, panelRows)),
            column);
        ifColumn(builder, loc, product.n, column, [&] {
          epilogue(emitAdd(builder, loc, first, row), column, sum);
        });
      });
}

SmallVector<ProductKernel> groupProductKernels(const Target &target,
                                               const Product &product) {
  SmallVector<ProductKernel> kernels;
  auto add = [&](StringRef suffix, int64_t rowTile, RowRange rows) {
    kernels.push_back({suffix,
                       {numPanels(product.n), rowTile,
                        streamingGroupThreads(*product.groups, product.k)},
                       streamingGroupBytes(*product.groups, product.k, rowTile),
                       rows,
                       [rowTile](OpBuilder &builder, Location loc,
                                 const Product &product, Epilogue epilogue) {
                         emitStreamingGroups(builder, loc, product, rowTile,
                                             epilogue);
                       }});
  };
  add("_one", 1, {1, 1});
  add("", inputRows, {2});
  addTiledKernels(target, product, kernels);
  return kernels;
}

static void emitStreamingExpertGroups(OpBuilder &builder, Location loc,
                                      const ExpertsProduct &product,
                                      ExpertsEpilogue epilogue) {
  const rt::PackedLayout &layout = *product.groupLayout;
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
  StreamedPanel operands{product.k,
                         addressOf(builder, loc, product.weight, ofAll,
                                   panelBytes(layout, product.k)),
                         addressOf(builder, loc, product.input,
                                   product.hasActiveInput ? place : token,
                                   recordRowBytes(layout, product.k)),
                         {}};
  emitStreamPanel(
      builder, loc, layout, operands, [&](Value, Value column, Value sum) {
        column = emitAdd(
            builder, loc,
            emitMul(builder, loc, panel, emitIndex(builder, loc, panelRows)),
            column);
        ifColumn(builder, loc, product.n, column,
                 [&] { epilogue(place, expert, column, sum); });
      });
}

SmallVector<ExpertsKernel> groupExpertsKernels(const Target &target,
                                               const ExpertsProduct &product) {
  const rt::PackedLayout &layout = *product.groupLayout;
  SmallVector<ExpertsKernel> kernels{
      {"",
       {product.active * numPanels(product.n), 1,
        streamingGroupThreads(layout, product.k)},
       streamingGroupBytes(layout, product.k, /*rows=*/1),
       RowRange(),
       /*readsGroups=*/false,
       emitStreamingExpertGroups}};
  addTiledExperts(target, product, kernels);
  return kernels;
}

} // namespace clade::cuda
