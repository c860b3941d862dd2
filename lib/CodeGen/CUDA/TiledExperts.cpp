//===- TiledExperts.cpp - Experts on tensor cores -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TiledExperts.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/GroupCores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

/// Threads of the one block that groups.
static constexpr int64_t groupThreads = 512;
/// Tokens for which the workspace has room at least.
static constexpr int64_t roomTokens = 64;

int64_t groupBytesPerToken(const ExpertsProduct &product) {
  auto begins =
      static_cast<int64_t>(llvm::divideCeil(product.experts + 1, roomTokens));
  return 4 * (product.active + begins);
}

// A grid has a block for so many rows at most.
Grid groupsGrid() { return {1, 1 << 16, groupThreads}; }

int64_t groupsSharedBytes(const ExpertsProduct &product) {
  return 2 * 4 * product.experts;
}

/// Number `at` (index) of an array of i32, as an index.
static Value emitLoadNumber(OpBuilder &builder, Location loc, Value base,
                            Value at) {
  return cpu::emitToIndex(
      builder, loc,
      cpu::emitLoad(builder, loc, builder.getI32Type(), base, at));
}

/// Adds one to number `at` of the i32 at `base` in shared memory; gives what
/// was there.
static Value emitCount(OpBuilder &builder, Location loc, Value base, Value at) {
  Value one =
      arith::ConstantIntOp::create(builder, loc, builder.getI32Type(), 1);
  Value address =
      cpu::emitAddress(builder, loc, base, builder.getI32Type(), at);
  return LLVM::AtomicRMWOp::create(builder, loc, LLVM::AtomicBinOp::add,
                                   address, one,
                                   LLVM::AtomicOrdering::monotonic, "block");
}

void emitGroups(OpBuilder &builder, Location loc,
                const ExpertsProduct &product) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  Type i32 = builder.getI32Type();
  // One block does it all; others are there for very many tokens only.
  Value isFirst =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                            emitBlock(builder, loc, Axis::Y), index(0));
  auto whole = scf::IfOp::create(builder, loc, isFirst);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(whole.thenBlock());
  Value thread = emitThread(builder, loc), experts = index(product.experts);
  Value counts = emitShared(builder, loc);
  Value next = cpu::emitAddress(builder, loc, counts, i32, experts);
  Value order = cpu::emitAddress(builder, loc, product.groups, i32,
                                 index(product.experts + 1));
  Value zero = arith::ConstantIntOp::create(builder, loc, i32, 0);
  Value places = emitMul(builder, loc, product.rows, index(product.active));
  auto expertAt = [&](Value place) -> Value {
    Value expert = emitLoadNumber(builder, loc, product.chosen, place);
    expert = arith::MaxSIOp::create(builder, loc, expert, index(0));
    return arith::MinSIOp::create(builder, loc, expert,
                                  index(product.experts - 1));
  };
  emitStridedLoop(builder, loc, thread, groupThreads, experts,
                  [&](Value expert) {
                    cpu::emitStore(builder, loc, zero, counts, expert);
                  });
  emitSync(builder, loc);
  emitStridedLoop(builder, loc, thread, groupThreads, places, [&](Value place) {
    emitCount(builder, loc, counts, expertAt(place));
  });
  emitSync(builder, loc);
  // A group begins behind all before it; the last number is the end of all.
  emitStridedLoop(
      builder, loc, thread, groupThreads, index(product.experts + 1),
      [&](Value expert) {
        auto sum = scf::ForOp::create(builder, loc, index(0), expert, index(1),
                                      ValueRange{zero});
        {
          OpBuilder::InsertionGuard inner(builder);
          builder.setInsertionPointToStart(sum.getBody());
          Value count =
              cpu::emitLoad(builder, loc, i32, counts, sum.getInductionVar());
          Value total = arith::AddIOp::create(builder, loc, count,
                                              sum.getRegionIterArg(0));
          scf::YieldOp::create(builder, loc, total);
        }
        cpu::emitStore(builder, loc, sum.getResult(0), product.groups, expert);
        Value isExpert = arith::CmpIOp::create(
            builder, loc, arith::CmpIPredicate::ult, expert, experts);
        auto keep = scf::IfOp::create(builder, loc, isExpert);
        OpBuilder::InsertionGuard inner(builder);
        builder.setInsertionPointToStart(keep.thenBlock());
        cpu::emitStore(builder, loc, sum.getResult(0), next, expert);
      });
  emitSync(builder, loc);
  emitStridedLoop(builder, loc, thread, groupThreads, places, [&](Value place) {
    Value at = emitCount(builder, loc, next, expertAt(place));
    Value number = arith::IndexCastUIOp::create(builder, loc, i32, place);
    cpu::emitStore(builder, loc, number, order,
                   cpu::emitToIndex(builder, loc, at));
  });
}

static int64_t columnsOf(const Tiling &tiling, const ExpertsProduct &product) {
  return static_cast<int64_t>(llvm::divideCeil(product.n, tiling.n));
}

Grid tiledExpertsGrid(const Tiling &tiling, const ExpertsProduct &product) {
  // No expert is chosen more than once by a token.
  return {product.experts * columnsOf(tiling, product), tiling.m,
          tiling.threads()};
}

int64_t firstLargeTokens(const Target &target, const ExpertsProduct &product) {
  return std::max(largeTiling(target).m * product.experts / product.active,
                  smallTiling(target).m + 1);
}

void emitExpertTile(OpBuilder &builder, Location loc, int64_t m,
                    int64_t columnBlocks, const ExpertsProduct &product,
                    llvm::function_ref<void(const ExpertTile &)> body) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  Value block = emitBlock(builder, loc, Axis::X), columns = index(columnBlocks);
  Value expert = arith::DivUIOp::create(builder, loc, block, columns);
  Value first =
      emitMul(builder, loc, emitBlock(builder, loc, Axis::Y), index(m));
  Value begin, count = product.rows, order;
  if (product.isChosen) {
    begin = emitLoadNumber(builder, loc, product.groups, expert);
    Value end = emitLoadNumber(builder, loc, product.groups,
                               emitAdd(builder, loc, expert, index(1)));
    count = arith::SubIOp::create(builder, loc, end, begin);
    order = cpu::emitAddress(builder, loc, product.groups, builder.getI32Type(),
                             index(product.experts + 1));
  }
  // Groups are of different sizes: most end before the grid does.
  Value isThere = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        first, count);
  auto whole = scf::IfOp::create(builder, loc, isThere);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(whole.thenBlock());
  ExpertTile tile;
  tile.expert = expert;
  tile.columnBlock = arith::RemUIOp::create(builder, loc, block, columns);
  Value left = arith::MinUIOp::create(
      builder, loc, arith::SubIOp::create(builder, loc, count, first),
      index(m));
  tile.count =
      arith::IndexCastUIOp::create(builder, loc, builder.getI32Type(), left);
  tile.placeOf = [&, first, begin, order, expert](Value row) -> Value {
    row = emitAdd(builder, loc, first, row);
    if (product.isChosen)
      return emitLoadNumber(builder, loc, order,
                            emitAdd(builder, loc, begin, row));
    return emitAdd(builder, loc,
                   emitMul(builder, loc, row, index(product.active)), expert);
  };
  tile.inputRow = [&](Value row) -> Value {
    Value place = tile.placeOf(row);
    if (product.hasActiveInput)
      return place;
    return arith::DivUIOp::create(builder, loc, place, index(product.active));
  };
  body(tile);
}

void emitTiledExperts(OpBuilder &builder, Location loc, const Tiling &tiling,
                      const ExpertsProduct &product, ExpertsEpilogue epilogue) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  emitExpertTile(
      builder, loc, tiling.m, columnsOf(tiling, product), product,
      [&](const ExpertTile &own) {
        const rt::PackedLayout *codes = product.groupLayout;
        TileEmitter emitter(builder, loc, tiling, product.n, product.k,
                            codes ? builder.getBF16Type() : product.weightType,
                            codes);
        Tile tile;
        tile.input = product.input;
        int64_t bytes =
            codes ? numPanels(product.n) * panelBytes(*codes, product.k)
                  : product.n * product.k * elementBytes;
        tile.weight =
            addressOf(builder, loc, product.weight, own.expert, bytes);
        tile.row = index(0);
        tile.column = emitMul(builder, loc, own.columnBlock, index(tiling.n));
        tile.rows = own.count;
        tile.columns = emitter.columnsFrom(tile.column);
        tile.inputRow = own.inputRow;
        emitter.emit(tile, [&](Value row, Value column, Value sum) {
          epilogue(own.placeOf(row), own.expert,
                   emitAdd(builder, loc, tile.column, column), sum);
        });
      });
}

bool addTiledExperts(const Target &target, const ExpertsProduct &product,
                     SmallVectorImpl<ExpertsKernel> &kernels) {
  if (product.groupLayout
          ? !canTileCodes(product.k)
          : !canTile(product.inputType, product.weightType, product.k))
    return false;
  kernels.back().rows.last = streamedTokens;
  auto add = [&](StringRef suffix, const Tiling &tiling, RowRange rows) {
    kernels.push_back(
        {suffix, tiledExpertsGrid(tiling, product), tiling.sharedBytes(), rows,
         product.isChosen,
         [tiling](OpBuilder &builder, Location loc,
                  const ExpertsProduct &product, ExpertsEpilogue epilogue) {
           emitTiledExperts(builder, loc, tiling, product, epilogue);
         },
         /*readsRows=*/product.groupLayout != nullptr});
  };
  auto firstLarge = static_cast<int32_t>(firstLargeTokens(target, product));
  add("_small", smallTiling(target), {streamedTokens + 1, firstLarge - 1});
  add("_large", largeTiling(target), {firstLarge});
  return true;
}

} // namespace clade::cuda
