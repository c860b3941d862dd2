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

#include "lib/CodeGen/CPU/GroupCodes.h"

#include "lib/CodeGen/CPU/TileProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

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

int64_t activationCodeBytes(const Target &target, WeightForm form) {
  bool isWide =
      packedLayoutOf(form).bits == 8 && !target.hasVNNI && !target.isArm;
  return isWide ? 2 : 1;
}

int64_t groupTileBytes(const Target &target, const ProductShape &shape) {
  int64_t columns = activationGroup(shape);
  int64_t perRow = shape.isExact
                       ? columns * 4
                       : columns * activationCodeBytes(target, shape.form) + 4 +
                             4 * packedLayoutOf(shape.form).parts;
  return shape.rowTile * perRow;
}

int64_t groupRegisterRows(const Target &target, const ProductShape &shape) {
  if (shape.isExact)
    return target.registerRows(shape.elementType, shape.rowTile);
  if (usesTiles(target, shape))
    return Target::tileRows;
  // A sum of integers and one of f32 for each place. Where sums of integers run
  // long, those of f32 may be in memory meanwhile; tiles of few rows are rarely
  // full. With 16 registers those of f32 always are, but for a load and a store
  // for each group.
  bool isLong = packedLayoutOf(shape.form).isOfRow && shape.rowTile > 8;
  int64_t most = target.width == 16 ? (isLong ? 12 : 6) : 4;
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
  // What Arm multiplies has signs.
  const rt::PackedLayout &layout = packedLayoutOf(form);
  return layout.bits == 8 && target.isArm ? 0 : layout.zero;
}

namespace {
class GroupEmitter : GroupCodes {
public:
  GroupEmitter(Location loc, const Target &target, const ProductShape &shape,
               int64_t firstColumn, int64_t rows, int64_t columns, Value buffer)
      : GroupCodes(loc, target, shape.form, firstColumn, columns), shape(shape),
        rows(rows), buffer(buffer) {}

  SmallVector<Value> emit(OpBuilder &builder, Value a, Value w);

private:
  using RunBody =
      function_ref<void(OpBuilder &, Value run, SmallVectorImpl<Value> &sums)>;

  void emitGroups(OpBuilder &builder, Value a, Value block, Value count,
                  SmallVectorImpl<Value> &sums);
  SmallVector<Value> emitRow(OpBuilder &builder, Value a, Value w,
                             ArrayRef<Value> init);
  void quantised(OpBuilder &builder, Value a, const Group &group, Value count,
                 MutableArrayRef<Value> sums);
  void addGroup(OpBuilder &builder, Value a, Value group, int64_t part,
                SmallVectorImpl<Value> &sums);
  SmallVector<Value> sumsOfPart(OpBuilder &builder, Value a, const Group &group,
                                Value count, int64_t part);
  SmallVector<Value> sumsOfTiles(OpBuilder &builder, Value a,
                                 const Group &group, ArrayRef<Value> starts);
  void multiply(OpBuilder &builder, Value a, Value step, ArrayRef<Value> codes,
                MutableArrayRef<Value> sums);
  void multiplyWide(OpBuilder &builder, Value a, Value step,
                    ArrayRef<Value> codes, MutableArrayRef<Value> sums);
  void addPairs(OpBuilder &builder, int64_t first, int64_t end, RunBody addRun,
                MutableArrayRef<Value> sums);
  void exact(OpBuilder &builder, Value a, const Group &group, int64_t count,
             SmallVectorImpl<Value> &sums);
  void exactRun(OpBuilder &builder, Value a, const Group &group, Value run,
                ArrayRef<GroupScales> scales, MutableArrayRef<Value> sums);
  Value dot(OpBuilder &builder, Value sum, Value weights, Value activations);
  Value call(OpBuilder &builder, StringRef name, Type type, ValueRange args);
  Value dotArm(OpBuilder &builder, Value sum, Value weights, Value activations);
  SmallVector<Value> forEach(
      OpBuilder &builder, Value end, ValueRange init,
      function_ref<void(OpBuilder &, Value, SmallVectorImpl<Value> &)> body);
  Value least(OpBuilder &builder, int64_t most, int64_t all, Value block);

  /// Whether products of neighbours are added up in 16 bits before they are in
  /// 32.
  bool addsPairs() const {
    return layout.bits < 8 && !target.hasVNNI && !target.isArm;
  }
  /// How many of such sums fit in 16 bits, whatever the codes are.
  int64_t mostPairs() const {
    return INT16_MAX / (2 * ((1 << layout.bits) - 1) * 127);
  }
  bool isWide() const { return activationCodeBytes(target, form) == 2; }
  VectorType words(OpBuilder &builder) {
    return VectorType::get(2 * target.width, builder.getI16Type());
  }
  Value cast(OpBuilder &builder, Type type, Value value) {
    return vector::BitCastOp::create(builder, loc, type, value);
  }

  /// What an activation's row has for all lanes.
  Value loadSplat(OpBuilder &builder, Type type, Value base, int64_t offset) {
    return emitSplat(builder, loc, loadAt(builder, type, base, offset),
                     target.width);
  }

  const ProductShape &shape;
  int64_t rows;
  Value buffer;
};
} // namespace

Value GroupEmitter::call(OpBuilder &builder, StringRef name, Type type,
                         ValueRange args) {
  return LLVM::CallIntrinsicOp::create(builder, loc, type,
                                       builder.getStringAttr(name), args)
      .getResult(0);
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

/// `sum` plus the products of four codes of a weight and four of an activation
/// in each lane: as i32, or where pairs are added up (addsPairs) of the even
/// and of the odd two as i16.
Value GroupEmitter::dot(OpBuilder &builder, Value sum, Value weights,
                        Value activations) {
  if (target.isArm)
    return dotArm(builder, sum, weights, activations);
  auto bytes = VectorType::get(4 * target.width, builder.getI8Type());
  Value w = cast(builder, bytes, weights),
        x = cast(builder, bytes, activations);
  if (target.hasVNNI)
    return call(builder,
                target.width == 16 ? "llvm.x86.avx512.vpdpbusd.512"
                                   : "llvm.x86.avx512.vpdpbusd.256",
                i32s(builder), {sum, w, x});
  StringRef name = target.width == 16  ? "llvm.x86.avx512.pmaddubs.w.512"
                   : target.width == 8 ? "llvm.x86.avx2.pmadd.ub.sw"
                                       : "llvm.x86.ssse3.pmadd.ub.sw.128";
  Value pairs = call(builder, name, words(builder), {w, x});
  return arith::AddIOp::create(builder, loc, sum, pairs);
}

/// Adds what `addRun` gives for the runs [first, end), in 16 bits.
void GroupEmitter::addPairs(OpBuilder &builder, int64_t first, int64_t end,
                            RunBody addRun, MutableArrayRef<Value> sums) {
  auto constant = [&](int16_t value) -> Value {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(words(builder), value));
  };
  SmallVector<Value> zeros(sums.size(), constant(0));
  SmallVector<Value> pairs = forEach(
      builder, emitIndex(builder, loc, end - first), zeros,
      [&](OpBuilder &body, Value index, SmallVectorImpl<Value> &inner) {
        addRun(body, emitAdd(body, loc, index, emitIndex(body, loc, first)),
               inner);
      });
  for (auto [pair, sum] : llvm::zip(pairs, sums))
    sum = arith::AddIOp::create(
        builder, loc, sum,
        emitPairSums(builder, loc, target, pair, constant(1)));
}

/// Adds the products of four columns, those of step `step` (index) of a group.
void GroupEmitter::multiply(OpBuilder &builder, Value a, Value step,
                            ArrayRef<Value> codes,
                            MutableArrayRef<Value> sums) {
  if (isWide())
    return multiplyWide(builder, a, step, codes, sums);
  Value base = addressAt(builder, a, step, 4 * shape.rowTile);
  for (int64_t row = 0; row < rows; ++row) {
    Value x = loadSplat(builder, builder.getI32Type(), base, 4 * row);
    for (int64_t v = 0; v < vectors; ++v) {
      Value &sum = sums[row * vectors + v];
      sum = dot(builder, sum, codes[v], x);
    }
  }
}

/// The same with codes of 16 bits, the even and the odd ones of four columns.
void GroupEmitter::multiplyWide(OpBuilder &builder, Value a, Value step,
                                ArrayRef<Value> codes,
                                MutableArrayRef<Value> sums) {
  auto constant = [&](int16_t value) -> Value {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(words(builder), value));
  };
  SmallVector<Value> even, odd;
  for (Value code : codes) {
    Value both = cast(builder, words(builder), code);
    even.push_back(arith::AndIOp::create(builder, loc, both, constant(255)));
    odd.push_back(arith::ShRUIOp::create(builder, loc, both, constant(8)));
  }
  Value base = addressAt(builder, a, step, 8 * shape.rowTile);
  for (int64_t row = 0; row < rows; ++row) {
    auto load = [&](int64_t word) {
      return cast(builder, words(builder),
                  loadSplat(builder, builder.getI32Type(), base,
                            4 * (word * shape.rowTile + row)));
    };
    Value evenX = load(0), oddX = load(1);
    for (int64_t v = 0; v < vectors; ++v) {
      Value &sum = sums[row * vectors + v];
      Value products = arith::AddIOp::create(
          builder, loc, emitPairSums(builder, loc, target, even[v], evenX),
          emitPairSums(builder, loc, target, odd[v], oddX));
      sum = arith::AddIOp::create(builder, loc, sum, products);
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

/// The sums of integers of one part of a group, row by row. Where a group of
/// activations is longer, `count` groups of the panel are in it; otherwise it
/// is null.
SmallVector<Value> GroupEmitter::sumsOfPart(OpBuilder &builder, Value a,
                                            const Group &group, Value count,
                                            int64_t part) {
  int64_t codeBytes = activationCodeBytes(target, form),
          startAt = shape.rowTile *
                    (codeBytes * activationGroup(shape) + 4 + 4 * part);
  auto starts = [&] {
    SmallVector<Value> values;
    for (int64_t row = 0; row < rows; ++row) {
      Value start = splatInt(builder, 0);
      if (groupOffset(target, shape.form) != 0)
        start = loadSplat(builder, builder.getI32Type(), a, startAt + 4 * row);
      values.append(vectors, start);
    }
    return values;
  };
  if (usesTiles(target, shape))
    return sumsOfTiles(builder, a, group, starts());
  // An instruction that multiplies and adds begins with what is to be added;
  // otherwise that would take registers until the end.
  bool beginsWithStart = target.hasVNNI || target.isArm;
  SmallVector<Value> integers(rows * vectors, splatInt(builder, 0));
  if (beginsWithStart)
    integers = starts();
  if (!count)
    addGroup(builder, a, group.address, part, integers);
  else
    integers = forEach(
        builder, count, integers,
        [&](OpBuilder &body, Value index, SmallVectorImpl<Value> &sums) {
          addGroup(body,
                   addressAt(body, a, index,
                             codeBytes * shape.rowTile * groupColumns),
                   addressAt(body, group.address, index, panelGroupBytes()),
                   part, sums);
        });
  if (!beginsWithStart)
    for (auto [sum, start] : llvm::zip(integers, starts()))
      sum = arith::AddIOp::create(builder, loc, sum, start);
  return integers;
}

/// Adds the products of the codes of one part of a group of the panel.
void GroupEmitter::addGroup(OpBuilder &builder, Value a, Value group,
                            int64_t part, SmallVectorImpl<Value> &integers) {
  // A few rows wait for memory.
  if (shape.rowTile <= Target::fewRows && target.asksAhead(shape.rowTile) &&
      part == 0 && firstColumn == 0)
    for (int64_t line = 0; line < target.panelRows * layout.groupBytes();
         line += 64)
      LLVM::Prefetch::create(
          builder, loc,
          addressAt(builder, group,
                    emitIndex(builder, loc, Target::aheadBytes + line)),
          /*rw=*/0, /*hint=*/2, /*cache=*/1);
  Value flip;
  if (layout.bits == 8 && target.isArm)
    flip = splatInt(builder, static_cast<int32_t>(0x80808080));
  const int64_t stepsOfRun = layout.parts > 1 ? 1 : halves();
  auto addRun = [&](OpBuilder &body, Value run, SmallVectorImpl<Value> &sums) {
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
  // Sums of integers may be taken in any order, and LLVM takes them in one for
  // which the codes of a whole group have to be kept: a loop keeps it from
  // that.
  if (addsPairs()) {
    int64_t most = mostPairs() / stepsOfRun;
    for (int64_t first = 0; first < runs(); first += most)
      addPairs(builder, first, std::min(first + most, runs()), addRun,
               integers);
    return;
  }
  // Of one row loads are nearly all there is: few of them in a loop let the CPU
  // foresee them.
  if (isWide() || (rows == 1 && layout.bits == 8)) {
    auto sums =
        forEach(builder, emitIndex(builder, loc, runs()), integers, addRun);
    integers.assign(sums.begin(), sums.end());
    return;
  }
  for (int64_t run = 0; run < runs(); ++run)
    addRun(builder, emitIndex(builder, loc, run), integers);
}

/// Adds a group of activations times what `sumsOfPart` takes of weights.
void GroupEmitter::quantised(OpBuilder &builder, Value a, const Group &group,
                             Value count, MutableArrayRef<Value> sums) {
  int64_t scaleAt = shape.rowTile * activationGroup(shape) *
                    activationCodeBytes(target, form),
          sumAt = scaleAt + 4 * shape.rowTile;
  Type f32 = builder.getF32Type();
  SmallVector<GroupScales> scales;
  for (int64_t part = 0; part < layout.parts; ++part) {
    SmallVector<Value> integers = sumsOfPart(builder, a, group, count, part);
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

/// One run: four columns of all rows, or eight of less than eight bits.
void GroupEmitter::exactRun(OpBuilder &builder, Value a, const Group &group,
                            Value run, ArrayRef<GroupScales> scales,
                            MutableArrayRef<Value> sums) {
  Value columnAt = addressAt(builder, a, run, 16 * shape.rowTile);
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
  auto added =
      forEach(builder, emitIndex(builder, loc, count), sums,
              [&](OpBuilder &body, Value run, SmallVectorImpl<Value> &inner) {
                exactRun(body, a, group, run, scales, inner);
              });
  sums.assign(added.begin(), added.end());
}

/// A loop over [0, end) (index), with sums that `body` adds to.
SmallVector<Value> GroupEmitter::forEach(
    OpBuilder &builder, Value end, ValueRange init,
    function_ref<void(OpBuilder &, Value, SmallVectorImpl<Value> &)> body) {
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), end, emitIndex(builder, loc, 1),
      init, [&](OpBuilder &inner, Location, Value index, ValueRange carried) {
        SmallVector<Value> sums(carried);
        body(inner, index, sums);
        scf::YieldOp::create(inner, loc, sums);
      });
  return SmallVector<Value>(loop.getResults());
}

/// How many of `all` are in piece `index` (index) of `most`; of the last there
/// may be fewer.
Value GroupEmitter::least(OpBuilder &builder, int64_t most, int64_t all,
                          Value index) {
  Value whole = emitIndex(builder, loc, most);
  if (all % most == 0)
    return whole;
  return arith::MinUIOp::create(
      builder, loc, whole,
      arith::SubIOp::create(builder, loc, emitIndex(builder, loc, all),
                            emitMul(builder, loc, index, whole)));
}

/// The first `count` groups of a block, with the activations from `a` on.
void GroupEmitter::emitGroups(OpBuilder &builder, Value a, Value block,
                              Value count, SmallVectorImpl<Value> &sums) {
  Value head =
      addressAt(builder, block,
                emitIndex(builder, loc, target.panelRows * layout.headBytes));
  auto add = [&](OpBuilder &body, Value index, SmallVectorImpl<Value> &inner) {
    Value aGroup = addressAt(body, a, index, groupTileBytes(target, shape));
    Group group{block, addressAt(body, head, index, panelGroupBytes()), index};
    if (shape.isExact)
      exact(body, aGroup, group, runs(), inner);
    else
      quantised(body, aGroup, group, /*count=*/{}, inner);
  };
  if (layout.groups == 1)
    return add(builder, emitIndex(builder, loc, 0), sums);
  auto added = forEach(builder, count, sums, add);
  sums.assign(added.begin(), added.end());
}

/// The sums where the weights of a row have one scale.
SmallVector<Value> GroupEmitter::emitRow(OpBuilder &builder, Value a, Value w,
                                         ArrayRef<Value> init) {
  Value zero = emitIndex(builder, loc, 0);
  Value codes = addressAt(
      builder, w, emitIndex(builder, loc, target.panelRows * layout.headBytes));
  int64_t columns = packedColumns(shape.form, shape.k);
  SmallVector<Value> sums(init);
  if (shape.isExact) {
    exact(builder, a, {w, codes, zero}, columns / 4, sums);
    return sums;
  }
  constexpr int64_t perGroup = rowFormGroup / groupColumns;
  sums = forEach(
      builder, emitIndex(builder, loc, llvm::divideCeil(columns, rowFormGroup)),
      sums, [&](OpBuilder &body, Value index, SmallVectorImpl<Value> &inner) {
        Value address =
            addressAt(body, codes, index, perGroup * panelGroupBytes());
        quantised(body,
                  addressAt(body, a, index, groupTileBytes(target, shape)),
                  {w, address, zero},
                  least(body, perGroup, columns / groupColumns, index), inner);
      });
  SmallVector<GroupScales> scales = scalesOf(builder, {w, codes, zero});
  for (auto [i, sum] : llvm::enumerate(sums))
    sum = arith::MulFOp::create(builder, loc, sum,
                                scales[i % vectors].scales.front());
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
  return forEach(
      builder, emitIndex(builder, loc, llvm::divideCeil(groups, perBlock)),
      init, [&](OpBuilder &body, Value block, SmallVectorImpl<Value> &sums) {
        // Of the last block there may be fewer activations.
        emitGroups(
            body,
            addressAt(body, a, block, perBlock * groupTileBytes(target, shape)),
            addressAt(body, w, block, panelBlockBytes(target, shape.form)),
            least(body, perBlock, groups, block), sums);
      });
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
