//===- GroupProduct.cpp - Products with quantised weights -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums of integers within a group are exact, and a group's sum is multiplied by
// both scales and added to one accumulator in ascending order of the groups: so
// results depend neither on the register tile nor on the instructions that make
// the sums.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// Rows whose scales and codes alternate in a panel, bytes of their scales, and
/// bytes of their codes of four columns.
static constexpr int64_t unitRows = 16, unitScaleBytes = 32, runBytes = 64;
/// Runs of four columns in a group.
static constexpr int64_t steps = groupColumns / 4;

/// Bytes of the codes and scales of 16 rows.
static int64_t unitBytes(WeightForm form) {
  return unitScaleBytes +
         (form == WeightForm::Int8 ? steps : steps / 2) * runBytes;
}

int64_t groupPanelBytes(const Target &target, WeightForm form) {
  return target.panelRows / unitRows * unitBytes(form);
}

int64_t groupTileBytes(const ProductShape &shape) {
  return shape.rowTile * (shape.isExact ? groupColumns * 4 : groupColumns + 8);
}

int64_t groupRegisterRows(const Target &target, const ProductShape &shape) {
  if (shape.isExact)
    return target.registerRows(shape.elementType, shape.rowTile);
  // A sum of integers and one of f32 for each place.
  int64_t most = target.width == 16 ? 6 : 2;
  int64_t rows = std::min(shape.rowTile, most);
  while (shape.rowTile % rows != 0)
    --rows;
  return rows;
}

int64_t groupColumnTile(const Target &target, const ProductShape &shape) {
  if (shape.isExact)
    return target.columnTile(groupRegisterRows(target, shape));
  return std::min(target.panelRows, 2 * target.width);
}

int64_t groupOffset(const Target &target, WeightForm form) {
  if (form == WeightForm::Int4)
    return 8;
  return target.hasVNNI ? 128 : 0;
}

namespace {
class GroupEmitter {
public:
  GroupEmitter(Location loc, const Target &target, const ProductShape &shape,
               int64_t firstColumn, int64_t rows, int64_t columns)
      : loc(loc), target(target), shape(shape), firstColumn(firstColumn),
        rows(rows), vectors(columns / target.width) {}

  SmallVector<Value> emit(OpBuilder &builder, Value a, Value w);

private:
  void quantised(OpBuilder &builder, Value a, Value w,
                 MutableArrayRef<Value> sums);
  void exact(OpBuilder &builder, Value a, Value w,
             SmallVectorImpl<Value> &sums);
  void exactRun(OpBuilder &builder, Value a, Value w, Value run,
                ArrayRef<Value> scales, MutableArrayRef<Value> sums);
  Value dot(OpBuilder &builder, Value sum, Value weights, Value activations);
  Value call(OpBuilder &builder, StringRef name, Type type, ValueRange args);
  Value pairSums(OpBuilder &builder, Value a, Value b);

  VectorType f32s(OpBuilder &builder) {
    return VectorType::get(target.width, builder.getF32Type());
  }
  VectorType i32s(OpBuilder &builder) {
    return VectorType::get(target.width, builder.getI32Type());
  }
  Value splatInt(OpBuilder &builder, int32_t value) {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(i32s(builder), value));
  }
  /// A value of `type` at a constant number of bytes from `base`.
  Value loadAt(OpBuilder &builder, Type type, Value base, int64_t offset) {
    Value address = emitAddress(builder, loc, base, builder.getI8Type(),
                                emitIndex(builder, loc, offset));
    return LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/1);
  }
  /// Where a column's 16 rows are in a group, and where in their runs.
  int64_t unitOf(int64_t v) const {
    return (firstColumn + v * target.width) / unitRows * unitBytes(shape.form);
  }
  int64_t laneOf(int64_t v) const {
    return (firstColumn + v * target.width) % unitRows;
  }
  Value scale(OpBuilder &builder, Value w, int64_t v) {
    auto type = VectorType::get(target.width, builder.getI16Type());
    return emitHalfToFloat(builder, loc, target,
                           loadAt(builder, type, w, unitOf(v) + 2 * laneOf(v)));
  }
  int64_t runOffset(int64_t v, int64_t run) const {
    return unitOf(v) + unitScaleBytes + run * runBytes + 4 * laneOf(v);
  }

  Location loc;
  const Target &target;
  const ProductShape &shape;
  int64_t firstColumn, rows, vectors;
};
} // namespace

Value GroupEmitter::call(OpBuilder &builder, StringRef name, Type type,
                         ValueRange args) {
  return LLVM::CallIntrinsicOp::create(builder, loc, type,
                                       builder.getStringAttr(name), args)
      .getResult(0);
}

/// Of two vectors of i16, the sums of the products of neighbours as i32.
Value GroupEmitter::pairSums(OpBuilder &builder, Value a, Value b) {
  StringRef name = target.width == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                   : target.width == 8 ? "llvm.x86.avx2.pmadd.wd"
                                       : "llvm.x86.sse2.pmadd.wd";
  return call(builder, name, i32s(builder), {a, b});
}

/// `sum` (i32) plus the products of four codes of a weight and four of an
/// activation in each lane, all as i32.
Value GroupEmitter::dot(OpBuilder &builder, Value sum, Value weights,
                        Value activations) {
  auto bytes = VectorType::get(4 * target.width, builder.getI8Type());
  auto cast = [&](Type type, Value value) -> Value {
    return vector::BitCastOp::create(builder, loc, type, value);
  };
  if (target.hasVNNI)
    return call(builder,
                target.width == 16 ? "llvm.x86.avx512.vpdpbusd.512"
                                   : "llvm.x86.avx512.vpdpbusd.256",
                i32s(builder),
                {sum, cast(bytes, weights), cast(bytes, activations)});
  auto words = VectorType::get(2 * target.width, builder.getI16Type());
  if (shape.form == WeightForm::Int4) {
    // 15 · 127 · 2 fits in 16 bits.
    StringRef name = target.width == 16  ? "llvm.x86.avx512.pmaddubs.w.512"
                     : target.width == 8 ? "llvm.x86.avx2.pmadd.ub.sw"
                                         : "llvm.x86.ssse3.pmadd.ub.sw.128";
    Value pairs = call(builder, name, words,
                       {cast(bytes, weights), cast(bytes, activations)});
    Value ones = arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(words, static_cast<int16_t>(1)));
    return arith::AddIOp::create(builder, loc, sum,
                                 pairSums(builder, pairs, ones));
  }
  // Codes of both signs: the even ones and the odd ones as 16 bits.
  Value eight = arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(words, static_cast<int16_t>(8)));
  auto odd = [&](Value value) -> Value {
    return arith::ShRSIOp::create(builder, loc, value, eight);
  };
  auto even = [&](Value value) -> Value {
    return odd(arith::ShLIOp::create(builder, loc, value, eight));
  };
  Value w = cast(words, weights), x = cast(words, activations);
  Value both =
      arith::AddIOp::create(builder, loc, pairSums(builder, even(w), even(x)),
                            pairSums(builder, odd(w), odd(x)));
  return arith::AddIOp::create(builder, loc, sum, both);
}

void GroupEmitter::quantised(OpBuilder &builder, Value a, Value w,
                             MutableArrayRef<Value> sums) {
  int64_t tile = shape.rowTile, scaleAt = tile * groupColumns,
          startAt = scaleAt + 4 * tile;
  bool hasOffset = groupOffset(target, shape.form) != 0;
  SmallVector<Value> integers;
  for (int64_t row = 0; row < rows; ++row) {
    Value start = splatInt(builder, 0);
    if (hasOffset)
      start =
          emitSplat(builder, loc,
                    loadAt(builder, builder.getI32Type(), a, startAt + 4 * row),
                    target.width);
    integers.append(vectors, start);
  }
  auto multiply = [&](int64_t step, ArrayRef<Value> codes) {
    for (int64_t row = 0; row < rows; ++row) {
      Value x = emitSplat(
          builder, loc,
          loadAt(builder, builder.getI32Type(), a, 4 * (step * tile + row)),
          target.width);
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = integers[row * vectors + v];
        sum = dot(builder, sum, codes[v], x);
      }
    }
  };
  auto load = [&](int64_t v, int64_t run) {
    return loadAt(builder, i32s(builder), w, runOffset(v, run));
  };
  if (shape.form == WeightForm::Int8) {
    // Without the unsigned dot product codes have their signs.
    Value flip;
    if (!target.hasVNNI)
      flip = splatInt(builder, static_cast<int32_t>(0x80808080));
    for (int64_t step = 0; step < steps; ++step) {
      SmallVector<Value> codes;
      for (int64_t v = 0; v < vectors; ++v) {
        codes.push_back(load(v, step));
        if (flip)
          codes.back() =
              arith::XOrIOp::create(builder, loc, codes.back(), flip);
      }
      multiply(step, codes);
    }
  } else {
    Value low = splatInt(builder, 0x0f0f0f0f), four = splatInt(builder, 4);
    for (int64_t run = 0; run < steps / 2; ++run) {
      SmallVector<Value> first, second;
      for (int64_t v = 0; v < vectors; ++v) {
        Value pair = load(v, run);
        first.push_back(arith::AndIOp::create(builder, loc, pair, low));
        Value shifted = arith::ShRUIOp::create(builder, loc, pair, four);
        second.push_back(arith::AndIOp::create(builder, loc, shifted, low));
      }
      multiply(run, first);
      multiply(run + steps / 2, second);
    }
  }
  SmallVector<Value> scales;
  for (int64_t v = 0; v < vectors; ++v)
    scales.push_back(scale(builder, w, v));
  for (int64_t row = 0; row < rows; ++row) {
    Value own =
        emitSplat(builder, loc,
                  loadAt(builder, builder.getF32Type(), a, scaleAt + 4 * row),
                  target.width);
    for (int64_t v = 0; v < vectors; ++v) {
      int64_t i = row * vectors + v;
      Value both = arith::MulFOp::create(builder, loc, scales[v], own);
      Value number =
          arith::SIToFPOp::create(builder, loc, f32s(builder), integers[i]);
      sums[i] = emitMultiplyAdd(builder, loc, target, number, both, sums[i]);
    }
  }
}

/// One run of 64 bytes: four columns, or eight of four bits.
void GroupEmitter::exactRun(OpBuilder &builder, Value a, Value w, Value run,
                            ArrayRef<Value> scales,
                            MutableArrayRef<Value> sums) {
  Value at = emitMul(builder, loc, run, emitIndex(builder, loc, runBytes));
  Value codesAt = emitAddress(builder, loc, w, builder.getI8Type(), at);
  Value columnAt = emitAddress(
      builder, loc, a, builder.getF32Type(),
      emitMul(builder, loc, run, emitIndex(builder, loc, 4 * shape.rowTile)));
  bool isInt8 = shape.form == WeightForm::Int8;
  SmallVector<Value> codes;
  for (int64_t v = 0; v < vectors; ++v)
    codes.push_back(loadAt(builder, i32s(builder), codesAt, runOffset(v, 0)));
  for (int64_t part = 0; part < (isInt8 ? 4 : 8); ++part) {
    // Column 4 run + part, or with the upper half of a byte 16 more.
    int64_t bits = isInt8 ? 8 * part : 8 * (part % 4) + 4 * (part / 4),
            column = part % 4 + part / 4 * (groupColumns / 2);
    SmallVector<Value> numbers;
    for (int64_t v = 0; v < vectors; ++v) {
      Value code = codes[v];
      if (bits > 0)
        code = arith::ShRUIOp::create(
            builder, loc, code, splatInt(builder, static_cast<int32_t>(bits)));
      code = arith::AndIOp::create(builder, loc, code,
                                   splatInt(builder, isInt8 ? 255 : 15));
      code = arith::SubIOp::create(builder, loc, code,
                                   splatInt(builder, isInt8 ? 128 : 8));
      Value number = arith::SIToFPOp::create(builder, loc, f32s(builder), code);
      numbers.push_back(arith::MulFOp::create(builder, loc, number, scales[v]));
    }
    for (int64_t row = 0; row < rows; ++row) {
      Value x = emitSplat(builder, loc,
                          loadAt(builder, builder.getF32Type(), columnAt,
                                 4 * (column * shape.rowTile + row)),
                          target.width);
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = sums[row * vectors + v];
        sum = emitMultiplyAdd(builder, loc, target, x, numbers[v], sum);
      }
    }
  }
}

void GroupEmitter::exact(OpBuilder &builder, Value a, Value w,
                         SmallVectorImpl<Value> &sums) {
  SmallVector<Value> scales;
  for (int64_t v = 0; v < vectors; ++v)
    scales.push_back(scale(builder, w, v));
  int64_t runs = shape.form == WeightForm::Int8 ? steps : steps / 2;
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), emitIndex(builder, loc, runs),
      emitIndex(builder, loc, 1), sums,
      [&](OpBuilder &body, Location, Value run, ValueRange carried) {
        SmallVector<Value> inner(carried);
        exactRun(body, a, w, run, scales, inner);
        scf::YieldOp::create(body, loc, inner);
      });
  sums.assign(loop.getResults().begin(), loop.getResults().end());
}

SmallVector<Value> GroupEmitter::emit(OpBuilder &builder, Value a, Value w) {
  Value zero = arith::ConstantOp::create(builder, loc,
                                         builder.getZeroAttr(f32s(builder)));
  SmallVector<Value> init(rows * vectors, zero);
  Value aStep = emitIndex(builder, loc, groupTileBytes(shape)),
        wStep = emitIndex(builder, loc, groupPanelBytes(target, shape.form));
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0),
      emitIndex(builder, loc, llvm::divideCeil(shape.k, groupColumns)),
      emitIndex(builder, loc, 1), init,
      [&](OpBuilder &body, Location, Value group, ValueRange carried) {
        Type byte = body.getI8Type();
        Value aGroup =
            emitAddress(body, loc, a, byte, emitMul(body, loc, group, aStep));
        Value wGroup =
            emitAddress(body, loc, w, byte, emitMul(body, loc, group, wStep));
        SmallVector<Value> sums(carried);
        if (shape.isExact)
          exact(body, aGroup, wGroup, sums);
        else
          quantised(body, aGroup, wGroup, sums);
        scf::YieldOp::create(body, loc, sums);
      });
  return SmallVector<Value>(loop.getResults());
}

SmallVector<Value> emitGroupSums(OpBuilder &builder, Location loc,
                                 const Target &target,
                                 const ProductShape &shape, Value a, Value w,
                                 int64_t firstColumn, int64_t rows,
                                 int64_t columns) {
  return GroupEmitter(loc, target, shape, firstColumn, rows, columns)
      .emit(builder, a, w);
}

} // namespace clade::cpu
