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

#include "lib/CodeGen/CPU/TileProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// Runs of four columns in a group of a panel.
static constexpr int64_t steps = groupColumns / 4;

/// Columns that activations share a scale for where rows of weights have one. A
/// multiple of what panels are padded to: of the last group there may be half.
static constexpr int64_t rowFormGroup = 128;

int64_t packedColumns(WeightForm form, int64_t k) {
  return static_cast<int64_t>(
      llvm::alignTo(k, packedLayoutOf(form).groups * groupColumns));
}

int64_t activationGroup(const ProductShape &shape) {
  const rt::PackedLayout &layout = packedLayoutOf(shape.form);
  if (!layout.isOfRow)
    return groupColumns;
  return shape.isExact ? layout.groups * groupColumns : rowFormGroup;
}

int64_t panelBlockBytes(const Target &target, WeightForm form) {
  return target.panelRows * packedLayoutOf(form).blockBytes();
}

int64_t panelBytes(const Target &target, WeightForm form, int64_t k) {
  return target.panelRows *
         packedLayoutOf(form).rowBytes(packedColumns(form, k));
}

int64_t groupTileBytes(const ProductShape &shape) {
  int64_t columns = activationGroup(shape);
  int64_t perRow = shape.isExact
                       ? columns * 4
                       : columns + 4 + 4 * packedLayoutOf(shape.form).parts;
  return shape.rowTile * perRow;
}

int64_t groupRegisterRows(const Target &target, const ProductShape &shape) {
  if (shape.isExact)
    return target.registerRows(shape.elementType, shape.rowTile);
  if (usesTiles(target, shape))
    return Target::tileRows;
  // A sum of integers and one of f32 for each place. Where sums of integers run
  // long, those of f32 may be in memory meanwhile; tiles of few rows are rarely
  // full.
  bool isLong = packedLayoutOf(shape.form).isOfRow && shape.rowTile > 8;
  int64_t most = target.width == 16 ? (isLong ? 12 : 6) : 2;
  int64_t rows = std::min(shape.rowTile, most);
  while (shape.rowTile % rows != 0)
    --rows;
  return rows;
}

int64_t groupColumnTile(const Target &target, const ProductShape &shape) {
  if (shape.isExact)
    return target.columnTile(groupRegisterRows(target, shape));
  // One sum of f32 for each place; those of integers come from memory.
  if (usesTiles(target, shape))
    return Target::tileRows;
  return std::min(target.panelRows, 2 * target.width);
}

int64_t groupOffset(const Target &target, WeightForm form) {
  // Without the unsigned dot product codes of 8 bits have their signs.
  const rt::PackedLayout &layout = packedLayoutOf(form);
  return layout.bits == 8 && !target.hasVNNI ? 0 : layout.zero;
}

namespace {
class GroupEmitter {
public:
  GroupEmitter(Location loc, const Target &target, const ProductShape &shape,
               int64_t firstColumn, int64_t rows, int64_t columns, Value buffer)
      : loc(loc), target(target), shape(shape),
        layout(packedLayoutOf(shape.form)), firstColumn(firstColumn),
        rows(rows), vectors(columns / target.width), buffer(buffer) {}

  SmallVector<Value> emit(OpBuilder &builder, Value a, Value w);
  void decode(OpBuilder &builder, Value w, Value first, Value count,
              Value memory);

private:
  /// A group of a panel: its block, where the group is, and its number in the
  /// block.
  struct Group {
    Value block, address, index;
    /// Where groups of activations are longer, the groups of the panel that are
    /// in one.
    Value count = {};
  };
  /// One load of codes: of eight bits four columns, else eight.
  struct Run {
    Value codes, tops;
  };

  void emitGroups(OpBuilder &builder, Value a, Value block, Value count,
                  SmallVectorImpl<Value> &sums);
  SmallVector<Value> emitRow(OpBuilder &builder, Value a, Value w,
                             ArrayRef<Value> init);
  void quantised(OpBuilder &builder, Value a, const Group &group,
                 MutableArrayRef<Value> sums);
  void addGroup(OpBuilder &builder, Value a, Value group, int64_t part,
                SmallVectorImpl<Value> &sums);
  SmallVector<Value> sumsOfPart(OpBuilder &builder, Value a, const Group &group,
                                int64_t part);
  SmallVector<Value> sumsOfTiles(OpBuilder &builder, Value a,
                                 const Group &group, ArrayRef<Value> starts);
  void multiply(OpBuilder &builder, Value a, Value step, ArrayRef<Value> codes,
                MutableArrayRef<Value> sums);
  void exact(OpBuilder &builder, Value a, const Group &group, int64_t count,
             SmallVectorImpl<Value> &sums);
  void exactRun(OpBuilder &builder, Value a, const Group &group, Value run,
                ArrayRef<GroupScales> scales, MutableArrayRef<Value> sums);
  Group groupAt(OpBuilder &builder, Value w, Value index);
  void decodeRun(OpBuilder &builder, const Group &group, Value run,
                 ArrayRef<GroupScales> scales, Value memory);
  Value byteOf(OpBuilder &builder, Value codes, int64_t byte);
  Run loadRun(OpBuilder &builder, Value group, int64_t v, Value run);
  Value codesOf(OpBuilder &builder, const Run &run, int64_t half);
  Value dot(OpBuilder &builder, Value sum, Value weights, Value activations);
  Value call(OpBuilder &builder, StringRef name, Type type, ValueRange args);
  Value pairSums(OpBuilder &builder, Value a, Value b);
  Value dotArm(OpBuilder &builder, Value sum, Value weights, Value activations);

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
  Value addressAt(OpBuilder &builder, Value base, Value offset) {
    return emitAddress(builder, loc, base, builder.getI8Type(), offset);
  }
  /// A value of `type` at a constant number of bytes from `base`.
  Value loadAt(OpBuilder &builder, Type type, Value base, int64_t offset) {
    Value address = addressAt(builder, base, emitIndex(builder, loc, offset));
    return LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/1);
  }
  /// What an activation's row has for all lanes.
  Value loadSplat(OpBuilder &builder, Type type, Value base, int64_t offset) {
    return emitSplat(builder, loc, loadAt(builder, type, base, offset),
                     target.width);
  }
  /// The panel's row that is in the first lane of a vector.
  int64_t rowOf(int64_t v) const { return firstColumn + v * target.width; }
  SmallVector<GroupScales> scalesOf(OpBuilder &builder, const Group &group) {
    SmallVector<GroupScales> scales;
    for (int64_t v = 0; v < vectors; ++v)
      scales.push_back(emitGroupScales(
          builder, loc, target, shape.form, group.block, group.address,
          group.index, emitIndex(builder, loc, rowOf(v)), target.width));
    return scales;
  }
  int64_t runs() const { return layout.bits == 8 ? steps : steps / 2; }
  int64_t halves() const { return steps / runs(); }

  Location loc;
  const Target &target;
  const ProductShape &shape;
  const rt::PackedLayout &layout;
  int64_t firstColumn, rows, vectors;
  Value buffer;
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

/// `dot` on AArch64: by an instruction, or byte by byte of each lane. Codes of
/// weights fit in signed bytes there, as no form is multiplied unsigned.
Value GroupEmitter::dotArm(OpBuilder &builder, Value sum, Value weights,
                           Value activations) {
  if (target.hasSignedDot) {
    auto bytes = VectorType::get(4 * target.width, builder.getI8Type());
    auto cast = [&](Value value) -> Value {
      return vector::BitCastOp::create(builder, loc, bytes, value);
    };
    return call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", i32s(builder),
                {sum, cast(weights), cast(activations)});
  }
  for (int32_t byte = 0; byte < 4; ++byte) {
    auto widen = [&](Value value) -> Value {
      if (byte < 3)
        value = arith::ShLIOp::create(builder, loc, value,
                                      splatInt(builder, 24 - 8 * byte));
      return arith::ShRSIOp::create(builder, loc, value, splatInt(builder, 24));
    };
    Value product =
        arith::MulIOp::create(builder, loc, widen(weights), widen(activations));
    sum = arith::AddIOp::create(builder, loc, sum, product);
  }
  return sum;
}

/// `sum` (i32) plus the products of four codes of a weight and four of an
/// activation in each lane, all as i32.
Value GroupEmitter::dot(OpBuilder &builder, Value sum, Value weights,
                        Value activations) {
  if (target.isArm)
    return dotArm(builder, sum, weights, activations);
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
  if (layout.bits < 8) {
    // 63 · 127 · 2 fits in 16 bits.
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

/// Run `run` (index) of vector `v`, with the bits above the fourth of its codes
/// where `codesOf` looks for them.
GroupEmitter::Run GroupEmitter::loadRun(OpBuilder &builder, Value group,
                                        int64_t v, Value run) {
  int64_t rows = target.panelRows, runBytes = 4 * rows,
          first = rows * layout.scaleBytes + 4 * rowOf(v);
  auto at = [&](Value index) {
    return addressAt(
        builder, group,
        emitMul(builder, loc, index, emitIndex(builder, loc, runBytes)));
  };
  Run result{loadAt(builder, i32s(builder), at(run), first), {}};
  if (layout.bits <= 4 || layout.bits == 8)
    return result;
  // One word has the fifth bits of all runs, or two more bits of two runs.
  Value two = emitIndex(builder, loc, 2), word = emitIndex(builder, loc, 0),
        shift = run;
  if (layout.bits == 6) {
    word = arith::DivUIOp::create(builder, loc, run, two);
    shift = emitMul(builder, loc, two,
                    arith::RemUIOp::create(builder, loc, run, two));
  }
  Value tops =
      loadAt(builder, i32s(builder), at(word), first + steps / 2 * runBytes);
  Value bits =
      arith::IndexCastOp::create(builder, loc, builder.getI32Type(), shift);
  result.tops = arith::ShRUIOp::create(
      builder, loc, tops, emitSplat(builder, loc, bits, target.width));
  return result;
}

/// Four codes a lane: those of the run's first columns, or of the columns 16
/// further.
Value GroupEmitter::codesOf(OpBuilder &builder, const Run &run, int64_t half) {
  if (layout.bits == 8)
    return run.codes;
  Value four = splatInt(builder, 4), codes = run.codes;
  if (half == 1)
    codes = arith::ShRUIOp::create(builder, loc, codes, four);
  codes =
      arith::AndIOp::create(builder, loc, codes, splatInt(builder, 0x0f0f0f0f));
  if (!run.tops)
    return codes;
  // Those of the second half are four bits up already.
  int32_t mask = layout.bits == 5 ? 0x01010101 : 0x03030303;
  Value tops = arith::AndIOp::create(
      builder, loc, run.tops, splatInt(builder, half ? mask << 4 : mask));
  if (half == 0)
    tops = arith::ShLIOp::create(builder, loc, tops, four);
  return arith::OrIOp::create(builder, loc, codes, tops);
}

/// Adds the products of four columns, those of step `step` (index) of a group.
void GroupEmitter::multiply(OpBuilder &builder, Value a, Value step,
                            ArrayRef<Value> codes,
                            MutableArrayRef<Value> sums) {
  Value base = addressAt(
      builder, a,
      emitMul(builder, loc, step, emitIndex(builder, loc, 4 * shape.rowTile)));
  for (int64_t row = 0; row < rows; ++row) {
    Value x = loadSplat(builder, builder.getI32Type(), base, 4 * row);
    for (int64_t v = 0; v < vectors; ++v) {
      Value &sum = sums[row * vectors + v];
      sum = dot(builder, sum, codes[v], x);
    }
  }
}

/// The sums of integers of a group by tiles.
SmallVector<Value> GroupEmitter::sumsOfTiles(OpBuilder &builder, Value a,
                                             const Group &group,
                                             ArrayRef<Value> starts) {
  int64_t codesAt = target.panelRows * layout.scaleBytes + 4 * firstColumn;
  Value tile = emitTileIntegers(
      builder, loc, target, shape, a,
      addressAt(builder, group.address, emitIndex(builder, loc, codesAt)),
      buffer);
  SmallVector<Value> integers;
  for (auto [i, start] : llvm::enumerate(starts)) {
    Value products = loadAt(builder, i32s(builder), tile,
                            static_cast<int64_t>(i) * 4 * target.width);
    integers.push_back(arith::AddIOp::create(builder, loc, products, start));
  }
  return integers;
}

/// The sums of integers of one part of a group, row by row.
SmallVector<Value> GroupEmitter::sumsOfPart(OpBuilder &builder, Value a,
                                            const Group &group, int64_t part) {
  int64_t startAt = shape.rowTile * (activationGroup(shape) + 4 + 4 * part);
  SmallVector<Value> integers;
  for (int64_t row = 0; row < rows; ++row) {
    Value start = splatInt(builder, 0);
    if (groupOffset(target, shape.form) != 0)
      start = loadSplat(builder, builder.getI32Type(), a, startAt + 4 * row);
    integers.append(vectors, start);
  }
  if (usesTiles(target, shape))
    return sumsOfTiles(builder, a, group, integers);
  if (!group.count) {
    addGroup(builder, a, group.address, part, integers);
    return integers;
  }
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), group.count,
      emitIndex(builder, loc, 1), integers,
      [&](OpBuilder &body, Location, Value index, ValueRange carried) {
        auto step = [&](Value base, int64_t bytes) {
          return addressAt(
              body, base,
              emitMul(body, loc, index, emitIndex(body, loc, bytes)));
        };
        SmallVector<Value> sums(carried);
        addGroup(body, step(a, shape.rowTile * groupColumns),
                 step(group.address, target.panelRows * layout.groupBytes()),
                 part, sums);
        scf::YieldOp::create(body, loc, sums);
      });
  return SmallVector<Value>(loop.getResults());
}

/// Adds the products of the codes of one part of a group of the panel.
void GroupEmitter::addGroup(OpBuilder &builder, Value a, Value group,
                            int64_t part, SmallVectorImpl<Value> &integers) {
  // A few rows wait for memory.
  if (target.asksAhead && shape.rowTile <= 8 && part == 0 && firstColumn == 0)
    for (int64_t line = 0; line < target.panelRows * layout.groupBytes();
         line += 64)
      LLVM::Prefetch::create(
          builder, loc,
          addressAt(builder, group,
                    emitIndex(builder, loc, Target::aheadBytes + line)),
          /*rw=*/0, /*hint=*/2, /*cache=*/1);
  Value flip;
  if (layout.bits == 8 && !target.hasVNNI)
    flip = splatInt(builder, static_cast<int32_t>(0x80808080));
  auto addRun = [&](OpBuilder &body, Value run, MutableArrayRef<Value> sums) {
    SmallVector<Run> loaded;
    for (int64_t v = 0; v < vectors; ++v)
      loaded.push_back(loadRun(body, group, v, run));
    for (int64_t half = 0; half < halves(); ++half) {
      if (layout.parts > 1 && half != part)
        continue;
      SmallVector<Value> codes;
      for (const Run &each : loaded) {
        codes.push_back(codesOf(body, each, half));
        if (flip)
          codes.back() = arith::XOrIOp::create(body, loc, codes.back(), flip);
      }
      Value step = emitAdd(body, loc, run, emitIndex(body, loc, half * runs()));
      multiply(body, a, step, codes, sums);
    }
  };
  if (rows == 1 && layout.bits == 8) {
    // Of one row loads are nearly all there is: few of them in a loop let the
    // CPU foresee them.
    auto loop = scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, runs()), emitIndex(builder, loc, 1), integers,
        [&](OpBuilder &body, Location, Value run, ValueRange carried) {
          SmallVector<Value> sums(carried);
          addRun(body, run, sums);
          scf::YieldOp::create(body, loc, sums);
        });
    integers.assign(loop.getResults().begin(), loop.getResults().end());
    return;
  }
  for (int64_t run = 0; run < runs(); ++run)
    addRun(builder, emitIndex(builder, loc, run), integers);
}

void GroupEmitter::quantised(OpBuilder &builder, Value a, const Group &group,
                             MutableArrayRef<Value> sums) {
  int64_t scaleAt = shape.rowTile * activationGroup(shape),
          sumAt = scaleAt + 4 * shape.rowTile;
  Type f32 = builder.getF32Type();
  SmallVector<GroupScales> scales;
  for (int64_t part = 0; part < layout.parts; ++part) {
    SmallVector<Value> integers = sumsOfPart(builder, a, group, part);
    if (part == 0 && !layout.isOfRow)
      scales = scalesOf(builder, group);
    for (int64_t row = 0; row < rows; ++row) {
      Value own = loadSplat(builder, f32, a, scaleAt + 4 * row);
      for (int64_t v = 0; v < vectors; ++v) {
        int64_t i = row * vectors + v;
        Value both = own;
        if (!layout.isOfRow)
          both =
              arith::MulFOp::create(builder, loc, scales[v].scales[part], own);
        Value number =
            arith::SIToFPOp::create(builder, loc, f32s(builder), integers[i]);
        sums[i] = emitMultiplyAdd(builder, loc, target, number, both, sums[i]);
      }
    }
  }
  if (!layout.hasMinimum)
    return;
  for (int64_t v = 0; v < vectors; ++v) {
    Value minimum = arith::NegFOp::create(builder, loc, scales[v].minimum);
    for (int64_t row = 0; row < rows; ++row) {
      Value own = loadSplat(builder, f32, a, sumAt + 4 * row);
      Value &sum = sums[row * vectors + v];
      sum = emitMultiplyAdd(builder, loc, target, minimum, own, sum);
    }
  }
}

/// The `byte`th of each lane's four codes.
Value GroupEmitter::byteOf(OpBuilder &builder, Value codes, int64_t byte) {
  if (byte > 0)
    codes = arith::ShRUIOp::create(
        builder, loc, codes, splatInt(builder, static_cast<int32_t>(8 * byte)));
  return arith::AndIOp::create(builder, loc, codes, splatInt(builder, 255));
}

/// One run: four columns of all rows, or eight of less than eight bits.
void GroupEmitter::exactRun(OpBuilder &builder, Value a, const Group &group,
                            Value run, ArrayRef<GroupScales> scales,
                            MutableArrayRef<Value> sums) {
  Value columnAt = emitAddress(
      builder, loc, a, builder.getF32Type(),
      emitMul(builder, loc, run, emitIndex(builder, loc, 4 * shape.rowTile)));
  SmallVector<Run> loaded;
  for (int64_t v = 0; v < vectors; ++v)
    loaded.push_back(loadRun(builder, group.address, v, run));
  for (int64_t place = 0; place < 4 * halves(); ++place) {
    // Column 4 run + byte, or of the second half 16 more.
    int64_t half = place / 4, byte = place % 4,
            column = byte + half * (groupColumns / 2),
            part = layout.parts > 1 ? half : 0;
    SmallVector<Value> numbers;
    for (int64_t v = 0; v < vectors; ++v) {
      Value code = byteOf(builder, codesOf(builder, loaded[v], half), byte);
      if (layout.zero != 0)
        code = arith::SubIOp::create(
            builder, loc, code,
            splatInt(builder, static_cast<int32_t>(layout.zero)));
      Value number = arith::SIToFPOp::create(builder, loc, f32s(builder), code);
      number =
          arith::MulFOp::create(builder, loc, number, scales[v].scales[part]);
      if (layout.hasMinimum)
        number = arith::SubFOp::create(builder, loc, number, scales[v].minimum);
      numbers.push_back(number);
    }
    for (int64_t row = 0; row < rows; ++row) {
      Value x = loadSplat(builder, builder.getF32Type(), columnAt,
                          4 * (column * shape.rowTile + row));
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = sums[row * vectors + v];
        sum = emitMultiplyAdd(builder, loc, target, x, numbers[v], sum);
      }
    }
  }
}

/// `count` runs that have the scales of one group.
void GroupEmitter::exact(OpBuilder &builder, Value a, const Group &group,
                         int64_t count, SmallVectorImpl<Value> &sums) {
  SmallVector<GroupScales> scales = scalesOf(builder, group);
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), emitIndex(builder, loc, count),
      emitIndex(builder, loc, 1), sums,
      [&](OpBuilder &body, Location, Value run, ValueRange carried) {
        SmallVector<Value> inner(carried);
        exactRun(body, a, group, run, scales, inner);
        scf::YieldOp::create(body, loc, inner);
      });
  sums.assign(loop.getResults().begin(), loop.getResults().end());
}

/// The first `count` groups of a block, with the activations from `a` on.
void GroupEmitter::emitGroups(OpBuilder &builder, Value a, Value block,
                              Value count, SmallVectorImpl<Value> &sums) {
  Value head =
      addressAt(builder, block,
                emitIndex(builder, loc, target.panelRows * layout.headBytes));
  auto body = [&](OpBuilder &body, Value index, SmallVectorImpl<Value> &inner) {
    auto step = [&](Value base, int64_t bytes) {
      return addressAt(body, base,
                       emitMul(body, loc, index, emitIndex(body, loc, bytes)));
    };
    Value aGroup = step(a, groupTileBytes(shape));
    Group group{block, step(head, target.panelRows * layout.groupBytes()),
                index};
    if (shape.isExact)
      exact(body, aGroup, group, runs(), inner);
    else
      quantised(body, aGroup, group, inner);
  };
  Value zero = emitIndex(builder, loc, 0);
  if (layout.groups == 1)
    return body(builder, zero, sums);
  auto loop = scf::ForOp::create(
      builder, loc, zero, count, emitIndex(builder, loc, 1), sums,
      [&](OpBuilder &inner, Location, Value index, ValueRange carried) {
        SmallVector<Value> values(carried);
        body(inner, index, values);
        scf::YieldOp::create(inner, loc, values);
      });
  sums.assign(loop.getResults().begin(), loop.getResults().end());
}

/// The sums where the weights of a row have one scale.
SmallVector<Value> GroupEmitter::emitRow(OpBuilder &builder, Value a, Value w,
                                         ArrayRef<Value> init) {
  Value zero = emitIndex(builder, loc, 0), one = emitIndex(builder, loc, 1);
  Value codes = addressAt(
      builder, w, emitIndex(builder, loc, target.panelRows * layout.headBytes));
  int64_t columns = packedColumns(shape.form, shape.k);
  if (shape.isExact) {
    SmallVector<Value> sums(init);
    exact(builder, a, {w, codes, zero}, columns / 4, sums);
    return sums;
  }
  int64_t perGroup = rowFormGroup / groupColumns,
          panelGroups = columns / groupColumns;
  auto loop = scf::ForOp::create(
      builder, loc, zero,
      emitIndex(builder, loc, llvm::divideCeil(columns, rowFormGroup)), one,
      init, [&](OpBuilder &body, Location, Value index, ValueRange carried) {
        auto step = [&](Value base, int64_t bytes) {
          return addressAt(
              body, base,
              emitMul(body, loc, index, emitIndex(body, loc, bytes)));
        };
        // Of the last group there may be less in the panel.
        Value count = emitIndex(body, loc, perGroup);
        if (panelGroups % perGroup != 0)
          count = arith::MinUIOp::create(
              body, loc, count,
              arith::SubIOp::create(body, loc,
                                    emitIndex(body, loc, panelGroups),
                                    emitMul(body, loc, index, count)));
        Value address =
            step(codes, perGroup * target.panelRows * layout.groupBytes());
        SmallVector<Value> sums(carried);
        quantised(body, step(a, groupTileBytes(shape)),
                  {w, address, zero, count}, sums);
        scf::YieldOp::create(body, loc, sums);
      });
  SmallVector<GroupScales> scales = scalesOf(builder, {w, codes, zero});
  SmallVector<Value> sums;
  for (auto [i, sum] : llvm::enumerate(loop.getResults()))
    sums.push_back(arith::MulFOp::create(builder, loc, sum,
                                         scales[i % vectors].scales.front()));
  return sums;
}

SmallVector<Value> GroupEmitter::emit(OpBuilder &builder, Value a, Value w) {
  Value zero = arith::ConstantOp::create(builder, loc,
                                         builder.getZeroAttr(f32s(builder)));
  SmallVector<Value> init(rows * vectors, zero);
  if (layout.isOfRow)
    return emitRow(builder, a, w, init);
  int64_t groups = llvm::divideCeil(shape.k, groupColumns),
          perBlock = layout.groups;
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0),
      emitIndex(builder, loc, llvm::divideCeil(groups, perBlock)),
      emitIndex(builder, loc, 1), init,
      [&](OpBuilder &body, Location, Value block, ValueRange carried) {
        auto step = [&](Value base, int64_t bytes) {
          return addressAt(
              body, base,
              emitMul(body, loc, block, emitIndex(body, loc, bytes)));
        };
        // Of the last block there may be fewer activations.
        Value count = emitIndex(body, loc, perBlock);
        if (groups % perBlock != 0)
          count = arith::MinUIOp::create(
              body, loc, count,
              arith::SubIOp::create(body, loc, emitIndex(body, loc, groups),
                                    emitMul(body, loc, block, count)));
        SmallVector<Value> sums(carried);
        emitGroups(body, step(a, perBlock * groupTileBytes(shape)),
                   step(w, panelBlockBytes(target, shape.form)), count, sums);
        scf::YieldOp::create(body, loc, sums);
      });
  return SmallVector<Value>(loop.getResults());
}

/// Group `index` of the panel at `w`.
GroupEmitter::Group GroupEmitter::groupAt(OpBuilder &builder, Value w,
                                          Value index) {
  auto step = [&](Value base, Value count, int64_t bytes) {
    return addressAt(
        builder, base,
        emitMul(builder, loc, count, emitIndex(builder, loc, bytes)));
  };
  Value block = w, inBlock = index;
  // The scales of rows stand in front of all groups.
  if (!layout.isOfRow) {
    Value perBlock = emitIndex(builder, loc, layout.groups);
    block = step(w, arith::DivUIOp::create(builder, loc, index, perBlock),
                 panelBlockBytes(target, shape.form));
    inBlock = arith::RemUIOp::create(builder, loc, index, perBlock);
  }
  Value head =
      addressAt(builder, block,
                emitIndex(builder, loc, target.panelRows * layout.headBytes));
  Value address = step(head, inBlock, target.panelRows * layout.groupBytes());
  return {block, address,
          layout.isOfRow ? emitIndex(builder, loc, 0) : inBlock};
}

/// One run as pairs of bf16: four columns of all rows, or eight of less than
/// eight bits.
void GroupEmitter::decodeRun(OpBuilder &builder, const Group &group, Value run,
                             ArrayRef<GroupScales> scales, Value memory) {
  int64_t pairBytes = 4 * target.panelRows;
  Value place = addressAt(
      builder, memory,
      emitMul(builder, loc, run, emitIndex(builder, loc, 2 * pairBytes)));
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
        Value both = call(builder, "llvm.x86.avx512bf16.cvtne2ps2bf16.512",
                          pairs, {odd, even});
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

void GroupEmitter::decode(OpBuilder &builder, Value w, Value first, Value count,
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
    Group group = groupAt(b, w, emitAdd(b, loc, first, i));
    SmallVector<GroupScales> scales = scalesOf(b, group);
    Value place =
        addressAt(b, memory, emitMul(b, loc, i, emitIndex(b, loc, groupBytes)));
    forEach(b, emitIndex(b, loc, runs()), [&](OpBuilder &inner, Value run) {
      decodeRun(inner, group, run, scales, place);
    });
  });
}

void emitDecodeGroups(OpBuilder &builder, Location loc, const Target &target,
                      const ProductShape &shape, Value w, Value first,
                      Value count, Value memory) {
  GroupEmitter(loc, target, shape, /*firstColumn=*/0, /*rows=*/0,
               target.panelRows, {})
      .decode(builder, w, first, count, memory);
}

SmallVector<Value> emitGroupSums(OpBuilder &builder, Location loc,
                                 const Target &target,
                                 const ProductShape &shape, Value a, Value w,
                                 int64_t firstColumn, int64_t rows,
                                 int64_t columns, Value buffer) {
  return GroupEmitter(loc, target, shape, firstColumn, rows, columns, buffer)
      .emit(builder, a, w);
}

} // namespace clade::cpu
