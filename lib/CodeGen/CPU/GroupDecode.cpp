//===- GroupDecode.cpp - Packed blocks as bf16 ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupCodes.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace clade::cpu {

namespace {
/// All rows of a panel.
class Decoder : GroupCodes {
public:
  Decoder(Location loc, const Target &target, WeightForm form)
      : GroupCodes(loc, target, form, /*firstColumn=*/0, target.panelRows) {}

  void decode(OpBuilder &builder, Value panel, Value first, Value count,
              Value memory);

private:
  void decodeRun(OpBuilder &builder, const Group &group, Value run,
                 ArrayRef<GroupScales> scales, Value memory);
};
} // namespace

/// One run as pairs of bf16: four columns of all rows, or eight of less than
/// eight bits.
void Decoder::decodeRun(OpBuilder &builder, const Group &group, Value run,
                        ArrayRef<GroupScales> scales, Value memory) {
  int64_t pairBytes = 4 * target.panelRows;
  Value place = addressAt(builder, memory, run, 2 * pairBytes);
  auto pairs = VectorType::get(2 * target.width, builder.getBF16Type());
  for (int64_t v = 0; v < vectors; ++v) {
    Run loaded = loadRun(builder, group.address, v, run);
    for (int64_t half = 0; half < halves(); ++half) {
      int64_t part = layout.parts > 1 ? half : 0;
      Value scale = scales[v].scales[part], start;
      if (layout.hasMinimum)
        start = arith::NegFOp::create(builder, loc, scales[v].minimum);
      else if (layout.zero != 0)
        start = arith::MulFOp::create(
            builder, loc, scale,
            arith::ConstantOp::create(
                builder, loc,
                DenseElementsAttr::get(f32s(builder),
                                       -static_cast<float>(layout.zero))));
      Value codes = codesOf(builder, loaded, half);
      auto number = [&](int64_t byte) -> Value {
        Value code = arith::SIToFPOp::create(builder, loc, f32s(builder),
                                             byteOf(builder, codes, byte));
        if (!start)
          return arith::MulFOp::create(builder, loc, code, scale);
        return emitMultiplyAdd(builder, loc, target, code, scale, start);
      };
      for (int64_t pair = 0; pair < 2; ++pair) {
        Value even = number(2 * pair), odd = number(2 * pair + 1);
        // The first operand comes last.
        Value both =
            LLVM::CallIntrinsicOp::create(
                builder, loc, pairs,
                builder.getStringAttr("llvm.x86.avx512bf16.cvtne2ps2bf16.512"),
                {odd, even})
                .getResult(0);
        SmallVector<int64_t> order;
        for (int64_t lane = 0; lane < target.width; ++lane)
          order.append({lane, target.width + lane});
        Value mixed =
            vector::ShuffleOp::create(builder, loc, both, both, order);
        Value at =
            addressAt(builder, place,
                      emitIndex(builder, loc,
                                (pair + half * groupColumns / 4) * pairBytes +
                                    4 * rowOf(v)));
        LLVM::StoreOp::create(builder, loc, mixed, at, /*alignment=*/4);
      }
    }
  }
}

void Decoder::decode(OpBuilder &builder, Value panel, Value first, Value count,
                     Value memory) {
  Value zero = emitIndex(builder, loc, 0), one = emitIndex(builder, loc, 1);
  auto forEach = [&](OpBuilder &b, Value end,
                     function_ref<void(OpBuilder &, Value)> body) {
    scf::ForOp::create(b, loc, zero, end, one, ValueRange{},
                       [&](OpBuilder &inner, Location, Value i, ValueRange) {
                         body(inner, i);
                         scf::YieldOp::create(inner, loc);
                       });
  };
  int64_t groupBytes = groupColumns * 2 * target.panelRows;
  forEach(builder, count, [&](OpBuilder &b, Value i) {
    Group group = groupAt(b, panel, emitAdd(b, loc, first, i));
    SmallVector<GroupScales> scales = scalesOf(b, group);
    Value place = addressAt(b, memory, i, groupBytes);
    forEach(b, emitIndex(b, loc, runs()), [&](OpBuilder &inner, Value run) {
      decodeRun(inner, group, run, scales, place);
    });
  });
}

void emitDecodeGroups(OpBuilder &builder, Location loc, const Target &target,
                      const ProductShape &shape, Value w, Value first,
                      Value count, Value memory) {
  Decoder(loc, target, shape.form).decode(builder, w, first, count, memory);
}

} // namespace clade::cpu
