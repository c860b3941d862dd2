//===- WarpgroupTile.cpp - A step of a tile by warpgroups -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// wgmma, on sm_90a alone: four warps multiply 64 rows with all columns of the
// tile, both from shared memory. Rows of 128 bytes whose pieces are exchanged
// by the row's number are what descriptors call a swizzle of 128 bytes, so
// tiles lie as they do for mma.sync.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TileEmitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace clade::cuda {

static constexpr int64_t warpgroupRows = 64, warpgroupThreads = 128;
/// A descriptor but for its address (PTX ISA, "Matrix Descriptor Format"):
/// groups of eight rows follow each other every 1,024 bytes, in a swizzle of
/// 128 bytes. The other distance is of no meaning there.
static constexpr int64_t descriptorBits =
    (int64_t(1) << 62) | (int64_t(1024 / 16) << 32) | (int64_t(1) << 16);

Value TileEmitter::descriptorAt(Value offset) {
  Type i64 = builder.getI64Type();
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(builder, loc, i64, value);
  };
  Value address = LLVM::PtrToIntOp::create(builder, loc, i64, sharedAt(offset));
  Value place = arith::AndIOp::create(
      builder, loc, arith::ShRUIOp::create(builder, loc, address, number(4)),
      number(0x3fff));
  return arith::OrIOp::create(builder, loc, place, number(descriptorBits));
}

void TileEmitter::waitForWarpgroups(uint32_t count) {
  NVVM::WgmmaWaitGroupSyncOp::create(builder, loc, count);
}

void TileEmitter::waitForStage(uint32_t count) {
  if (!tiling.usesWarpgroups)
    return waitFor(count);
  NVVM::CpAsyncWaitGroupOp::create(builder, loc, count);
  // What copies wrote is read by what is asynchronous itself.
  NVVM::FenceProxyOp::create(
      builder, loc, NVVM::ProxyKind::async_shared,
      NVVM::SharedSpaceAttr::get(builder.getContext(),
                                 NVVM::SharedSpace::shared_cta));
  emitSync(builder, loc);
}

TileEmitter::Values TileEmitter::multiplyOnWarpgroups(Value stage,
                                                      const Values &sums,
                                                      Beside beside) {
  auto type = LLVM::LLVMStructType::getLiteral(
      builder.getContext(),
      SmallVector<Type>(sums.size(), builder.getF32Type()));
  Value all = LLVM::PoisonOp::create(builder, loc, type);
  for (auto [i, sum] : llvm::enumerate(sums))
    all = LLVM::InsertValueOp::create(builder, loc, all, sum,
                                      static_cast<int64_t>(i));
  Value first = i32<arith::AddIOp>(
      stage, i32<arith::MulIOp>(i32<arith::DivUIOp>(thread, warpgroupThreads),
                                warpgroupRows * tiling.rowBytes()));
  Value weight = i32<arith::AddIOp>(stage, tiling.m * tiling.rowBytes());
  NVVM::WGMMATypes numbers =
      isHalf ? NVVM::WGMMATypes::f16 : NVVM::WGMMATypes::bf16;
  NVVM::WgmmaFenceAlignedOp::create(builder, loc);
  for (int64_t depth = 0; depth < tiling.k; depth += mmaK) {
    int64_t at = depth * elementBytes;
    all = NVVM::WgmmaMmaAsyncOp::create(
        builder, loc, type, all, descriptorAt(i32<arith::AddIOp>(first, at)),
        descriptorAt(i32<arith::AddIOp>(weight, at)),
        NVVM::MMAShapeAttr::get(builder.getContext(), warpgroupRows, tiling.n,
                                mmaK),
        numbers, numbers, NVVM::WGMMATypes::f32, NVVM::WGMMAScaleOut::one,
        NVVM::WGMMAScaleIn::one, NVVM::WGMMAScaleIn::one, NVVM::MMALayout::row,
        NVVM::MMALayout::col, NVVM::MMAIntOverflowAttr());
  }
  NVVM::WgmmaGroupSyncAlignedOp::create(builder, loc);
  if (beside)
    beside(0, 1);
  // One step is multiplied while the next begins.
  waitForWarpgroups(1);
  Values next;
  for (size_t i = 0; i < sums.size(); ++i)
    next.push_back(LLVM::ExtractValueOp::create(builder, loc, all,
                                                static_cast<int64_t>(i)));
  return next;
}

} // namespace clade::cuda
