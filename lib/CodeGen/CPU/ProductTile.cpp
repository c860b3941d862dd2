//===- ProductTile.cpp - A tile of a product in registers -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The register tile is a loop over K whose accumulators are separate vectors,
// carried from iteration to iteration: the form in which LLVM keeps all of them
// in registers. One row passes its sums to the epilogue directly; larger tiles
// go through a small buffer on the stack, so that the epilogue is emitted once
// and not once a row.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/ProductEmitter.h"
#include "lib/CodeGen/CPU/TileProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace clade::cpu {

/// How far ahead, at least, weights that are transposed on the way are asked
/// for.
static constexpr int64_t kPrefetchBytes = 20 << 10;
/// Steps of K between asking for operands and using them.
static constexpr int64_t kPrefetchSteps = Target::aheadBytes / 128;

void ProductEmitter::emitTile(OpBuilder &builder, Tile tile) {
  Type byte = builder.getI8Type();
  Value aStride =
      emitIndex(builder, loc, packedActivationTileBytes(target, shape));
  Value wStride =
      emitIndex(builder, loc, packedWeightBytes(target, shape) / panels);
  Value a = emitAddress(builder, loc, activations, byte,
                        emitMul(builder, loc, tile.rowTile, aStride));
  Value w = isInRows()
                ? weights
                : emitAddress(builder, loc, weights, byte,
                              emitMul(builder, loc, tile.panel, wStride));
  rowPanel = tile.panel;

  if (!buffer) {
    SmallVector<Value> sums = emitSums(builder, a, w, 0);
    emitPanelEnd(builder, tile.panel, [&](OpBuilder &end, int64_t columns) {
      callEpilogue(end, tile.rowTile, tile.panel, sums, columns);
    });
    return;
  }

  Value firstRow = emitMul(builder, loc, tile.rowTile,
                           emitIndex(builder, loc, shape.rowTile));
  Value count = arith::MinUIOp::create(
      builder, loc, emitIndex(builder, loc, shape.rowTile),
      arith::SubIOp::create(builder, loc, numTokens, firstRow));
  if (isTiled && !hasBlocks(shape.form))
    emitTileSums(builder, loc, target, shape, a, w, count, buffer);
  else if (registerRows == shape.rowTile)
    emitFullTile(builder, a, w, count);
  else
    emitLoop(builder, count, registerRows,
             [&](OpBuilder &body, Value row) { bufferSums(body, a, w, row); });
  emitRows(builder, tile.panel, firstRow, count);
}

/// The sums of a row tile that is one register tile: of fewer rows where at
/// most two of these have all rows that there are.
void ProductEmitter::emitFullTile(OpBuilder &builder, Value a, Value w,
                                  Value count) {
  auto whole = [&](OpBuilder &b) { bufferSums(b, a, w, emitIndex(b, loc, 0)); };
  if (shape.rowTile <= 8)
    return whole(builder);
  int64_t rows = registerRows / 3;
  Value isFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule,
                                      count, emitIndex(builder, loc, 2 * rows));
  scf::IfOp::create(
      builder, loc, isFew,
      [&](OpBuilder &b, Location) {
        llvm::SaveAndRestore few(registerRows, rows);
        emitLoop(b, count, rows, [&](OpBuilder &body, Value row) {
          bufferSums(body, a, w, row);
        });
        scf::YieldOp::create(b, loc);
      },
      [&](OpBuilder &b, Location) {
        whole(b);
        scf::YieldOp::create(b, loc);
      });
}

/// Computes the register tiles of a panel from row `row` of a row tile on and
/// stores their sums into the buffer.
void ProductEmitter::bufferSums(OpBuilder &builder, Value a, Value w,
                                Value row) {
  // Whatever the layout, 32 bits of one row lie beside those of the next.
  Value rowA =
      emitAddress(builder, loc, a, builder.getI8Type(),
                  emitMul(builder, loc, row, emitIndex(builder, loc, 4)));
  Type f32 = builder.getF32Type();
  Value rowSums = emitAddress(
      builder, loc, buffer, f32,
      emitMul(builder, loc, row, emitIndex(builder, loc, target.panelRows)));
  for (int64_t first = 0; first < target.panelRows; first += columnTile) {
    SmallVector<Value> sums = emitSums(builder, rowA, w, first);
    for (auto [i, sum] : llvm::enumerate(sums)) {
      int64_t row = i / vectors(), column = i % vectors() * target.width;
      emitStore(
          builder, loc, sum, rowSums,
          emitIndex(builder, loc, row * target.panelRows + first + column));
    }
  }
}

/// A loop over [0, end) in steps of `step`.
void ProductEmitter::emitLoop(OpBuilder &builder, Value end, int64_t step,
                              function_ref<void(OpBuilder &, Value)> body) {
  scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0), end,
                     emitIndex(builder, loc, step), ValueRange{},
                     [&](OpBuilder &inner, Location, Value i, ValueRange) {
                       body(inner, i);
                       scf::YieldOp::create(inner, loc);
                     });
}

/// The loop over K for one register tile; the sums come row by row.
SmallVector<Value> ProductEmitter::emitSums(OpBuilder &builder, Value a,
                                            Value w, int64_t firstColumn) {
  if (hasBlocks(shape.form))
    return emitGroupSums(builder, loc, target, shape, a, w, firstColumn,
                         registerRows, columnTile, buffer);
  auto type = VectorType::get(target.width, builder.getF32Type());
  Value zero =
      arith::ConstantOp::create(builder, loc, type, builder.getZeroAttr(type));
  SmallVector<Value> init(registerRows * vectors(), zero);
  if (isTransposed())
    return emitRowSums(builder, a, firstColumn, init);
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), emitIndex(builder, loc, depth),
      emitIndex(builder, loc, 1), init,
      [&](OpBuilder &body, Location, Value step, ValueRange carried) {
        SmallVector<Value> sums(carried);
        accumulate(body, a, w, step, firstColumn, sums);
        scf::YieldOp::create(body, loc, sums);
      });
  return SmallVector<Value>(loop.getResults());
}

/// Adds one step of K (P elements) to every sum of the tile.
void ProductEmitter::accumulate(OpBuilder &builder, Value a, Value w,
                                Value step, int64_t firstColumn,
                                MutableArrayRef<Value> sums) {
  Type element = shape.elementType;
  Type group = element.isF32() ? element : Type(builder.getI32Type());
  bool isHalf = shape.form == WeightForm::Half;
  Value wStep =
      emitAddress(builder, loc, w, isHalf ? builder.getI16Type() : element,
                  emitMul(builder, loc, step,
                          emitIndex(builder, loc, target.panelRows * pack)));
  Value aStep = activationStep(builder, a, step);
  if (target.asksAhead(shape.rowTile)) {
    // One row waits for memory, and many for the second level.
    bool isMany = shape.rowTile > Target::fewRows;
    prefetch(builder, wStep, target.panelRows * (isHalf ? 2 : 4),
             isMany ? 3 : 2);
    if (isMany)
      prefetch(builder, aStep, activationStepBytes(), 3);
  }
  SmallVector<SmallVector<Value, 2>> columns;
  for (int64_t v = 0; v < vectors(); ++v) {
    int64_t column = firstColumn + v * target.width;
    if (isHalf)
      columns.push_back({loadHalves(builder, wStep, column)});
    else
      columns.push_back(factors(
          builder, loadGroups(builder, VectorType::get(target.width, group),
                              wStep, column)));
  }
  accumulateRows(builder, aStep, columns, sums);
}

/// The activations of step `step` of K, for all rows of the tile.
Value ProductEmitter::activationStep(OpBuilder &builder, Value a, Value step) {
  return emitAddress(builder, loc, a, builder.getI8Type(),
                     emitMul(builder, loc, step,
                             emitIndex(builder, loc, activationStepBytes())));
}

/// Asks for an operand's step of K, `bytes` long, that is kPrefetchSteps behind
/// `step`: to the first level of caches (`near` is 3) or to the second (2).
void ProductEmitter::prefetch(OpBuilder &builder, Value step, int64_t bytes,
                              uint32_t near) {
  for (int64_t at = 0; at < bytes; at += 64)
    LLVM::Prefetch::create(
        builder, loc,
        emitAddress(builder, loc, step, builder.getI8Type(),
                    emitIndex(builder, loc, kPrefetchSteps * bytes + at)),
        /*rw=*/0, /*hint=*/near, /*cache=*/1);
}

/// `factors` of the activations of row `row`, the same in all lanes.
SmallVector<Value, 2> ProductEmitter::rowFactors(OpBuilder &builder,
                                                 Value aStep, int64_t row) {
  auto splat = [&](Type type, int64_t index) {
    // 32 bits each: a number in f32, or the P numbers of a row.
    Value address =
        emitAddress(builder, loc, aStep, type, emitIndex(builder, loc, index));
    Value scalar =
        LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/4);
    return emitSplat(builder, loc, scalar, target.width);
  };
  Type f32 = builder.getF32Type();
  if (target.widensActivations(shape.elementType))
    return {splat(f32, row), splat(f32, shape.rowTile + row)};
  if (shape.elementType.isF32())
    return {splat(f32, row)};
  return factors(builder, splat(builder.getI32Type(), row));
}

/// Loads groups from group `index` of `base` on.
Value ProductEmitter::loadGroups(OpBuilder &builder, Type type, Value base,
                                 int64_t index) {
  Type element = shape.elementType;
  Value address = emitAddress(builder, loc, base, element,
                              emitIndex(builder, loc, index * pack));
  return LLVM::LoadOp::create(builder, loc, type, address,
                              element.getIntOrFloatBitWidth() / 8);
}

/// A vector of weights in f16, from number `index` of `base` on, as f32.
Value ProductEmitter::loadHalves(OpBuilder &builder, Value base,
                                 int64_t index) {
  auto type = VectorType::get(target.width, builder.getI16Type());
  return emitHalfToFloat(
      builder, loc, target,
      emitLoad(builder, loc, type, base, emitIndex(builder, loc, index)));
}

/// Adds to every sum of the tile the products of one group of each row of
/// activations with `columns`, a vector of the tile each.
void ProductEmitter::accumulateRows(OpBuilder &builder, Value aStep,
                                    ArrayRef<SmallVector<Value, 2>> columns,
                                    MutableArrayRef<Value> sums) {
  for (int64_t row = 0; row < registerRows; ++row) {
    SmallVector<Value, 2> splats = rowFactors(builder, aStep, row);
    for (auto [v, column] : llvm::enumerate(columns))
      for (auto [splat, factor] : llvm::zip_equal(splats, column)) {
        Value &sum = sums[row * columns.size() + v];
        sum = multiplyAdd(builder, splat, factor, sum);
      }
  }
}

/// The sums of a register tile with weights that are transposed on the way: the
/// same products in the same order as with panels.
SmallVector<Value> ProductEmitter::emitRowSums(OpBuilder &builder, Value a,
                                               int64_t firstColumn,
                                               ValueRange init) {
  // A register tile is one vector wide here.
  int64_t rowBytes = shape.k * shape.elementType.getIntOrFloatBitWidth() / 8;
  int64_t ahead =
      llvm::alignTo(llvm::divideCeil(kPrefetchBytes, rowBytes), target.width);
  SmallVector<Value> rows = inRows->rows(builder, rowPanel, firstColumn);
  return inRows->forGroups(
      builder, init,
      [&](OpBuilder &body, Value first, int64_t count, bool isLast,
          ValueRange carried) {
        SmallVector<Value> sums(carried);
        SmallVector<Value> groups =
            inRows->transposed(body, rows, first, count, isLast);
        inRows->prefetch(body, rows, first, ahead);
        for (auto [i, column] : llvm::enumerate(groups)) {
          Value step = emitAdd(body, loc, first, emitIndex(body, loc, i));
          accumulateRows(body, activationStep(body, a, step),
                         {factors(body, column)}, sums);
        }
        return sums;
      });
}

/// What `multiplyAdd` takes of a vector of groups: f32 itself, pairs of bf16
/// for the CPU's dot product, or their even and their odd elements as f32.
/// Without the dot product there must be no vector of bf16: LLVM would take it
/// apart, element by element.
SmallVector<Value, 2> ProductEmitter::factors(OpBuilder &builder,
                                              Value groups) {
  if (shape.elementType.isF32())
    return {groups};
  auto type = cast<VectorType>(groups.getType());
  if (target.hasBF16) {
    auto pairs = VectorType::get(2 * target.width, builder.getBF16Type());
    return {vector::BitCastOp::create(builder, loc, pairs, groups)};
  }
  auto constant = [&](int32_t bits) {
    return arith::ConstantOp::create(builder, loc, type,
                                     DenseElementsAttr::get(type, bits));
  };
  auto asFloat = [&](Value bits) -> Value {
    Type f32 = type.cloneWith(std::nullopt, builder.getF32Type());
    return arith::BitcastOp::create(builder, loc, f32, bits);
  };
  Value even = arith::ShLIOp::create(builder, loc, groups, constant(16));
  Value odd = arith::AndIOp::create(builder, loc, groups,
                                    constant(static_cast<int32_t>(0xffff0000)));
  return {asFloat(even), asFloat(odd)};
}

Value ProductEmitter::multiplyAdd(OpBuilder &builder, Value a, Value w,
                                  Value sum) {
  if (shape.elementType.isF32() || !target.hasBF16)
    return emitMultiplyAdd(builder, loc, target, a, w, sum);
  auto name = builder.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512");
  return LLVM::CallIntrinsicOp::create(builder, loc, sum.getType(), name,
                                       ValueRange{sum, a, w})
      .getResult(0);
}

/// Passes the buffered sums of `count` rows of a tile to the epilogue.
void ProductEmitter::emitRows(OpBuilder &builder, Value panel, Value firstRow,
                              Value count) {
  auto type = VectorType::get(target.width, builder.getF32Type());
  emitPanelEnd(builder, panel, [&](OpBuilder &end, int64_t columns) {
    emitLoop(end, count, 1, [&](OpBuilder &body, Value i) {
      Value rowSums =
          emitMul(body, loc, i, emitIndex(body, loc, target.panelRows));
      SmallVector<Value> sums;
      for (int64_t first = 0; first < columns; first += target.width)
        sums.push_back(
            emitLoad(body, loc, type, buffer,
                     emitAdd(body, loc, rowSums, emitIndex(body, loc, first))));
      callEpilogue(body, emitAdd(body, loc, firstRow, i), panel, sums, columns);
    });
  });
}

/// Emits `body` for the whole panels and, where n leaves a rest, once more for
/// the last one.
void ProductEmitter::emitPanelEnd(
    OpBuilder &builder, Value panel,
    function_ref<void(OpBuilder &, int64_t)> body) {
  int64_t rest = shape.n % target.panelRows;
  if (rest == 0)
    return body(builder, target.panelRows);
  if (panels == 1)
    return body(builder, rest);
  Value last = emitIndex(builder, loc, panels - 1);
  Value whole = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                      panel, last);
  auto branch = [&](int64_t columns) {
    return [&, columns](OpBuilder &inner, Location) {
      body(inner, columns);
      scf::YieldOp::create(inner, loc);
    };
  };
  scf::IfOp::create(builder, loc, whole, branch(target.panelRows),
                    branch(rest));
}

void ProductEmitter::callEpilogue(OpBuilder &builder, Value row, Value panel,
                                  ArrayRef<Value> sums, int64_t columns) {
  Value base =
      emitMul(builder, loc, panel, emitIndex(builder, loc, target.panelRows));
  for (int64_t first = 0; first < columns; first += target.width) {
    Value column = emitAdd(builder, loc, base, emitIndex(builder, loc, first));
    Value mask;
    if (columns - first < target.width)
      mask = emitConstantMask(builder, loc, target.width, columns - first);
    epilogue(builder, loc, row, column, sums[first / target.width], mask);
  }
}

} // namespace clade::cpu
