//===- Probes.cpp - What a machine can do at most -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Probes.h"

#include "lib/CodeGen/CPU/TileOps.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// Sums that do not depend on each other: enough to fill the pipelines of the
/// multipliers, and to have several reads under way.
static constexpr int64_t peakSums = 12, readSums = 8;

using ProbeBody = function_ref<void(OpBuilder &, Value data, Value step,
                                    MutableArrayRef<Value> sums)>;

/// func @name(data, steps): `body` computes on `count` vectors that end up in
/// `data`, so that nothing is dropped.
static void addProbe(ModuleOp module, StringRef name, VectorType type,
                     int64_t count, ProbeBody body) {
  OpBuilder builder(module.getContext());
  Location loc = module.getLoc();
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      builder, loc, name,
      builder.getFunctionType({LLVM::LLVMPointerType::get(builder.getContext()),
                               builder.getIndexType()},
                              {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  Value data = function.getArgument(0);
  auto place = [&](int64_t sum) {
    return emitIndex(builder, loc, sum * type.getNumElements());
  };
  SmallVector<Value> sums;
  for (int64_t sum = 0; sum < count; ++sum)
    sums.push_back(emitLoad(builder, loc, type, data, place(sum)));
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), function.getArgument(1),
      emitIndex(builder, loc, 1), sums,
      [&](OpBuilder &inner, Location, Value step, ValueRange values) {
        SmallVector<Value> next(values);
        body(inner, data, step, next);
        scf::YieldOp::create(inner, loc, next);
      });
  for (auto [sum, value] : llvm::enumerate(loop.getResults()))
    emitStore(builder, loc, value, data, place(sum));
  func::ReturnOp::create(builder, loc);
}

/// The probe of products by tiles: what their inner loop does with what it has
/// loaded. Four sums hide the latency of an instruction.
static int64_t addTileProbe(ModuleOp module, StringRef name, bool isBytes) {
  constexpr int64_t tiles = 4, rows = Target::tileRows, columns = 16;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  auto function = func::FuncOp::create(
      builder, loc, name,
      builder.getFunctionType({LLVM::LLVMPointerType::get(builder.getContext()),
                               builder.getIndexType()},
                              {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  emitTileConfig(builder, loc, rows, /*bytes=*/64,
                 emitStackBuffer(builder, loc, tileConfigBytes));
  for (int64_t tile = 0; tile < 8; ++tile)
    emitZeroTile(builder, loc, tile);
  scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                     function.getArgument(1), emitIndex(builder, loc, 1),
                     ValueRange{},
                     [&](OpBuilder &inner, Location, Value, ValueRange) {
                       for (int64_t tile = 0; tile < tiles; ++tile)
                         (isBytes ? emitMultiplyByteTiles : emitMultiplyTiles)(
                             inner, loc, tile, firstRowTile + tile / 2,
                             firstColumnTile + tile % 2);
                       scf::YieldOp::create(inner, loc);
                     });
  emitReleaseTiles(builder, loc);
  func::ReturnOp::create(builder, loc);
  return tiles * rows * columns * (isBytes ? 64 : 32) * 2;
}

/// The probe of products of codes of 8 bits as 16 bits: an instruction
/// multiplies and adds two of each lane, another one adds that to a sum.
static int64_t addWordProbe(ModuleOp module, StringRef name,
                            const Target &target) {
  MLIRContext *context = module.getContext();
  Location loc = module.getLoc();
  auto type = VectorType::get(target.width, IntegerType::get(context, 32)),
       words = VectorType::get(2 * target.width, IntegerType::get(context, 16));
  addProbe(module, name, type, peakSums,
           [&](OpBuilder &b, Value data, Value, MutableArrayRef<Value> sums) {
             Value x = emitLoad(b, loc, words, data, emitIndex(b, loc, 0));
             for (Value &sum : sums) {
               // With the sum itself: the products of all sums differ.
               Value factor = vector::BitCastOp::create(b, loc, words, sum);
               sum = arith::AddIOp::create(
                   b, loc, sum, emitPairSums(b, loc, target, x, factor));
             }
           });
  return peakSums * target.width * 4;
}

int64_t cpu::addPeakProbe(ModuleOp module, StringRef name, const Target &target,
                          Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::BF16 && target.hasTiles)
    return addTileProbe(module, name, /*isBytes=*/false);
  if (arithmetic == Arithmetic::Int8 && target.hasByteTiles)
    return addTileProbe(module, name, /*isBytes=*/true);
  MLIRContext *context = module.getContext();
  Location loc = module.getLoc();
  if (arithmetic == Arithmetic::Int8 && !target.hasVNNI && !target.isArm)
    return addWordProbe(module, name, target);
  bool usesPairs = arithmetic == Arithmetic::BF16 && target.hasBF16,
       usesFours = arithmetic == Arithmetic::Int8 && target.hasVNNI;
  auto type = VectorType::get(target.width,
                              usesFours ? Type(IntegerType::get(context, 32))
                                        : Type(Float32Type::get(context)));
  VectorType factors = type;
  std::string intrinsic, bits = std::to_string(target.width * 32);
  if (usesPairs) {
    factors = VectorType::get(target.width * 2, BFloat16Type::get(context));
    intrinsic = "llvm.x86.avx512bf16.dpbf16ps." + bits;
  } else if (usesFours) {
    factors = VectorType::get(target.width * 4, IntegerType::get(context, 8));
    intrinsic = "llvm.x86.avx512.vpdpbusd." + bits;
  }
  addProbe(module, name, type, peakSums,
           [&](OpBuilder &b, Value, Value, MutableArrayRef<Value> sums) {
             Value x = arith::ConstantOp::create(b, loc, factors,
                                                 b.getZeroAttr(factors));
             for (Value &sum : sums)
               sum = intrinsic.empty()
                         ? emitMultiplyAdd(b, loc, target, sum, x, x)
                         : LLVM::CallIntrinsicOp::create(
                               b, loc, type, b.getStringAttr(intrinsic),
                               ValueRange{sum, x, x})
                               .getResult(0);
           });
  return peakSums * target.width * (usesFours ? 8 : usesPairs ? 4 : 2);
}

int64_t cpu::addReadProbe(ModuleOp module, StringRef name,
                          const Target &target) {
  Location loc = module.getLoc();
  auto type =
      VectorType::get(target.width, IntegerType::get(module.getContext(), 32));
  addProbe(
      module, name, type, readSums,
      [&](OpBuilder &b, Value data, Value step, MutableArrayRef<Value> sums) {
        Value start =
            emitMul(b, loc, step, emitIndex(b, loc, readSums * target.width));
        for (auto [i, sum] : llvm::enumerate(sums)) {
          Value index =
              emitAdd(b, loc, start, emitIndex(b, loc, i * target.width));
          sum = arith::OrIOp::create(b, loc, sum,
                                     emitLoad(b, loc, type, data, index));
        }
      });
  return readSums * target.width * 4;
}
