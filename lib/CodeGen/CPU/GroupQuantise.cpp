//===- GroupQuantise.cpp - Rows into groups -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A group's scale waits for its largest magnitude, and its codes for the scale:
// four groups go through these steps together, as the four lanes that are
// neighbours everywhere in a vector.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// Groups whose largest magnitude is below this are zero: its reciprocal is a
/// number.
static constexpr float negligible = 0x1p-120f;

/// Groups whose scales are found together.
static constexpr int64_t batch = 4;

static int64_t paddedColumns(const ProductShape &shape) {
  return static_cast<int64_t>(llvm::alignTo(shape.k, activationGroup(shape)));
}

int64_t groupRowBytes(const ProductShape &shape) {
  return static_cast<int64_t>(llvm::alignTo(paddedColumns(shape) * 4, 64));
}

void emitPadRow(OpBuilder &builder, Location loc, const ProductShape &shape,
                Value values) {
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  for (int64_t i = shape.k; i < paddedColumns(shape); ++i)
    emitStore(builder, loc, zero, values, emitIndex(builder, loc, i));
}

namespace {
/// One row and its place.
struct RowPacker {
  Location loc;
  const Target &target;
  const ProductShape &shape;
  Value values;
  /// In the first group of the packed tile: the row's first codes, and where it
  /// has its word of each MR.
  Value codesBase, base;

  void quantise(OpBuilder &builder, Value firstGroup, int64_t count);

private:
  using Combine = function_ref<Value(Value, Value)>;
  using PieceBody = function_ref<SmallVector<Value>(OpBuilder &, Value before,
                                                    ValueRange carried)>;
  struct Scales {
    Value scale, inverse;
  };

  Value constant(OpBuilder &builder, float value) {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(f32s(builder), value));
  }
  Value constant(OpBuilder &builder, int32_t value) {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(i32s(builder), value));
  }
  VectorType f32s(OpBuilder &builder) {
    return VectorType::get(target.width, builder.getF32Type());
  }
  VectorType i32s(OpBuilder &builder) {
    return VectorType::get(target.width, builder.getI32Type());
  }
  Value shuffle(OpBuilder &builder, Value a, Value b,
                function_ref<int64_t(int64_t lane)> from);
  Value reduce(OpBuilder &builder, SmallVector<Value> vectors, Combine combine);
  Value magnitudes(OpBuilder &builder, ArrayRef<Value> group);
  SmallVector<Value> loadPiece(OpBuilder &builder, Value column);
  SmallVector<Value> forPieces(OpBuilder &builder, ValueRange init,
                               PieceBody body);
  void quantisePiece(OpBuilder &builder, ArrayRef<Value> numbers, Value factor,
                     Value place, MutableArrayRef<Value> sums);
  Scales scalesOf(OpBuilder &builder, Value most);
  Value correction(OpBuilder &builder, Value sums, Value scales);
  void storeCodes(OpBuilder &builder, Value codes, int64_t first, Value at);
  void storeWideCodes(OpBuilder &builder, Value codes, int64_t first, Value at);
  void storeLanes(OpBuilder &builder, Value vector, ArrayRef<Value> places,
                  int64_t index);
};
} // namespace

/// Lanes of `a` and, counted on from the width, of `b`.
Value RowPacker::shuffle(OpBuilder &builder, Value a, Value b,
                         function_ref<int64_t(int64_t lane)> from) {
  SmallVector<int32_t> lanes;
  for (int64_t lane = 0; lane < target.width; ++lane)
    lanes.push_back(static_cast<int32_t>(from(lane)));
  return LLVM::ShuffleVectorOp::create(builder, loc, a, b, lanes);
}

/// What `combine` makes of all lanes of each of up to four vectors: lane l has
/// that of vector l modulo 4.
Value RowPacker::reduce(OpBuilder &builder, SmallVector<Value> vectors,
                        Combine combine) {
  vectors.resize(batch, vectors.front());
  // Lanes 4 g … of a pair: the first of g's lanes from `a`, the others of `b`.
  auto pick = [&](Value a, Value b, std::array<int64_t, 4> lanes) {
    return shuffle(builder, a, b, [&](int64_t lane) {
      int64_t from = lanes[lane % 4];
      return lane / 4 * 4 + from % 4 + from / 4 * target.width;
    });
  };
  auto pair = [&](Value a, Value b, std::array<int64_t, 4> low,
                  std::array<int64_t, 4> high) {
    return combine(pick(a, b, low), pick(a, b, high));
  };
  Value first = pair(vectors[0], vectors[1], {0, 4, 1, 5}, {2, 6, 3, 7}),
        second = pair(vectors[2], vectors[3], {0, 4, 1, 5}, {2, 6, 3, 7});
  Value all = pair(first, second, {0, 1, 4, 5}, {2, 3, 6, 7});
  for (int64_t distance = target.width / 2; distance >= batch; distance /= 2)
    all = combine(all, shuffle(builder, all, all, [&](int64_t lane) {
                    return (lane + distance) % target.width;
                  }));
  return all;
}

/// The larger magnitudes of a group's vectors, as bits: without their signs
/// numbers are ordered as their bits are, with what is no number above all.
Value RowPacker::magnitudes(OpBuilder &builder, ArrayRef<Value> group) {
  Value mask = constant(builder, int32_t(0x7fffffff)), largest;
  for (Value part : group) {
    Value bits = arith::BitcastOp::create(builder, loc, i32s(builder), part);
    Value magnitude = arith::AndIOp::create(builder, loc, bits, mask);
    largest = largest ? arith::MaxSIOp::create(builder, loc, largest, magnitude)
                            .getResult()
                      : magnitude;
  }
  return largest;
}

RowPacker::Scales RowPacker::scalesOf(OpBuilder &builder, Value most) {
  Value isZero = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                                       most, constant(builder, negligible));
  auto orZero = [&](Value value) -> Value {
    return arith::SelectOp::create(builder, loc, isZero,
                                   constant(builder, 0.0f), value);
  };
  return {orZero(arith::MulFOp::create(builder, loc, most,
                                       constant(builder, 1.0f / 127))),
          orZero(arith::DivFOp::create(builder, loc, constant(builder, 127.0f),
                                       most))};
}

/// Stores `width` codes (i8), which begin at column `first` of a group, whose
/// packed form is at `at`.
void RowPacker::storeCodes(OpBuilder &builder, Value codes, int64_t first,
                           Value at) {
  int64_t words = target.width / 4;
  auto type = VectorType::get(words, builder.getI32Type());
  Value packed = vector::BitCastOp::create(builder, loc, type, codes);
  if (shape.rowTile == 1 || usesTiles(target, shape))
    return emitStore(builder, loc, packed, at,
                     emitIndex(builder, loc, first / 4));
  for (int64_t word = 0; word < words; ++word)
    emitStore(builder, loc,
              vector::ExtractOp::create(builder, loc, packed, word), at,
              emitIndex(builder, loc, (first / 4 + word) * shape.rowTile));
}

/// The same as codes of 16 bits, from `codes` (i32): of four columns the even
/// ones as one word and the odd ones as another.
void RowPacker::storeWideCodes(OpBuilder &builder, Value codes, int64_t first,
                               Value at) {
  Value second = shuffle(builder, codes, codes, [](int64_t lane) {
    return lane / 4 * 4 + (lane + 2) % 4;
  });
  Value words = arith::OrIOp::create(
      builder, loc,
      arith::AndIOp::create(builder, loc, codes,
                            constant(builder, int32_t(0xffff))),
      arith::ShLIOp::create(builder, loc, second,
                            constant(builder, int32_t(16))));
  for (int64_t lane = 0; lane < target.width; ++lane)
    if (lane % 4 < 2)
      emitStore(builder, loc,
                vector::ExtractOp::create(builder, loc, words, lane), at,
                emitIndex(builder, loc,
                          ((first + lane) / 4 * 2 + lane % 4) * shape.rowTile));
}

/// Stores the first lanes, one to each of `places`, as word `index` there.
void RowPacker::storeLanes(OpBuilder &builder, Value vector,
                           ArrayRef<Value> places, int64_t index) {
  for (auto [lane, place] : llvm::enumerate(places))
    emitStore(builder, loc,
              vector::ExtractOp::create(builder, loc, vector,
                                        static_cast<int64_t>(lane)),
              place, emitIndex(builder, loc, index));
}

/// What a product adds for the sums of the codes of a part: to the integers, or
/// with a minimum times that.
Value RowPacker::correction(OpBuilder &builder, Value sums, Value scales) {
  if (packedLayoutOf(shape.form).hasMinimum)
    return arith::MulFOp::create(
        builder, loc,
        arith::SIToFPOp::create(builder, loc, f32s(builder), sums), scales);
  return arith::MulIOp::create(
      builder, loc, sums,
      constant(builder,
               static_cast<int32_t>(-groupOffset(target, shape.form))));
}

/// The numbers of a piece of a group: 32 columns from `column` (index) on.
SmallVector<Value> RowPacker::loadPiece(OpBuilder &builder, Value column) {
  SmallVector<Value> vectors;
  for (int64_t i = 0; i < groupColumns; i += target.width)
    vectors.push_back(
        emitLoad(builder, loc, f32s(builder), values,
                 emitAdd(builder, loc, column, emitIndex(builder, loc, i))));
  return vectors;
}

/// Emits `body` for each piece of a group, with the columns before it; what it
/// gives is carried on.
SmallVector<Value> RowPacker::forPieces(OpBuilder &builder, ValueRange init,
                                        PieceBody body) {
  int64_t columns = activationGroup(shape);
  Value zero = emitIndex(builder, loc, 0);
  if (columns == groupColumns)
    return body(builder, zero, init);
  auto loop = scf::ForOp::create(
      builder, loc, zero, emitIndex(builder, loc, columns),
      emitIndex(builder, loc, groupColumns), init,
      [&](OpBuilder &inner, Location, Value before, ValueRange carried) {
        scf::YieldOp::create(inner, loc, body(inner, before, carried));
      });
  return SmallVector<Value>(loop.getResults());
}

/// Stores the codes of a piece, whose numbers are multiplied by `factor`, and
/// adds them to the sums of its parts.
void RowPacker::quantisePiece(OpBuilder &builder, ArrayRef<Value> numbers,
                              Value factor, Value place,
                              MutableArrayRef<Value> sums) {
  for (auto [v, part] : llvm::enumerate(numbers)) {
    Value scaled = arith::MulFOp::create(builder, loc, part, factor);
    Value whole = math::RoundEvenOp::create(builder, loc, scaled);
    Value integers =
        arith::FPToSIOp::create(builder, loc, i32s(builder), whole);
    Value &sum = sums[v * sums.size() / numbers.size()];
    sum = sum ? arith::AddIOp::create(builder, loc, sum, integers).getResult()
              : integers;
    if (activationCodeBytes(target, shape.form) == 2) {
      storeWideCodes(builder, integers, static_cast<int64_t>(v) * target.width,
                     place);
      continue;
    }
    Value codes = arith::TruncIOp::create(
        builder, loc, VectorType::get(target.width, builder.getI8Type()),
        integers);
    storeCodes(builder, codes, static_cast<int64_t>(v) * target.width, place);
  }
}

/// `count` groups, four at most, from `firstGroup` (index) on.
void RowPacker::quantise(OpBuilder &builder, Value firstGroup, int64_t count) {
  int64_t columns = activationGroup(shape),
          parts = packedLayoutOf(shape.form).parts,
          codeBytes = activationCodeBytes(target, shape.form);
  Value first =
      emitMul(builder, loc, firstGroup, emitIndex(builder, loc, columns));
  SmallVector<Value> starts, places, codePlaces;
  for (int64_t g = 0; g < count; ++g) {
    starts.push_back(
        emitAdd(builder, loc, first, emitIndex(builder, loc, g * columns)));
    Value group = emitAdd(builder, loc, firstGroup, emitIndex(builder, loc, g));
    Value offset =
        emitMul(builder, loc, group,
                emitIndex(builder, loc, groupTileBytes(target, shape)));
    places.push_back(
        emitAddress(builder, loc, base, builder.getI8Type(), offset));
    codePlaces.push_back(
        emitAddress(builder, loc, codesBase, builder.getI8Type(), offset));
  }
  // A group of one piece stays in registers.
  SmallVector<SmallVector<Value>> pieces;
  bool isOnePiece = columns == groupColumns;
  SmallVector<Value> zeros(isOnePiece ? 0 : count,
                           constant(builder, int32_t(0)));
  SmallVector<Value> largest = forPieces(
      builder, zeros, [&](OpBuilder &body, Value before, ValueRange carried) {
        SmallVector<Value> next;
        for (auto [g, start] : llvm::enumerate(starts)) {
          pieces.push_back(loadPiece(body, emitAdd(body, loc, start, before)));
          Value most = magnitudes(body, pieces.back());
          next.push_back(
              isOnePiece ? most
                         : arith::MaxSIOp::create(body, loc, carried[g], most)
                               .getResult());
        }
        return next;
      });
  Value most = reduce(builder, largest, [&](Value a, Value b) -> Value {
    return arith::MaxSIOp::create(builder, loc, a, b);
  });
  Scales scales = scalesOf(
      builder, arith::BitcastOp::create(builder, loc, f32s(builder), most));

  // Of group g part p is total g · parts + p.
  SmallVector<Value> factors;
  for (int64_t g = 0; g < count; ++g)
    factors.push_back(
        shuffle(builder, scales.inverse, scales.inverse,
                [&](int64_t lane) { return lane / batch * batch + g; }));
  zeros.assign(isOnePiece ? 0 : count * parts, constant(builder, int32_t(0)));
  SmallVector<Value> totals = forPieces(
      builder, zeros, [&](OpBuilder &body, Value before, ValueRange carried) {
        SmallVector<Value> next(carried);
        next.resize(count * parts);
        Value codesBefore = emitMul(
            body, loc, before, emitIndex(body, loc, shape.rowTile * codeBytes));
        for (int64_t g = 0; g < count; ++g)
          quantisePiece(
              body,
              isOnePiece
                  ? pieces[g]
                  : loadPiece(body, emitAdd(body, loc, starts[g], before)),
              factors[g],
              emitAddress(body, loc, codePlaces[g], body.getI8Type(),
                          codesBefore),
              MutableArrayRef(next).slice(g * parts, parts));
        return next;
      });
  int64_t scalesAt = columns * codeBytes / 4 * shape.rowTile;
  storeLanes(builder, scales.scale, places, scalesAt);
  for (int64_t part = 0; part < parts; ++part) {
    SmallVector<Value> ofPart;
    for (int64_t g = 0; g < count; ++g)
      ofPart.push_back(totals[g * parts + part]);
    Value sums = reduce(builder, ofPart, [&](Value a, Value b) -> Value {
      return arith::AddIOp::create(builder, loc, a, b);
    });
    storeLanes(builder, correction(builder, sums, scales.scale), places,
               scalesAt + (1 + part) * shape.rowTile);
  }
}

static void emitQuantisedRow(OpBuilder &builder, Location loc, RowPacker packer,
                             int64_t groups) {
  int64_t whole = groups / batch * batch;
  if (whole > 0)
    scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                       emitIndex(builder, loc, whole),
                       emitIndex(builder, loc, batch), ValueRange{},
                       [&](OpBuilder &body, Location, Value group, ValueRange) {
                         packer.quantise(body, group, batch);
                         scf::YieldOp::create(body, loc);
                       });
  if (whole < groups)
    packer.quantise(builder, emitIndex(builder, loc, whole), groups - whole);
}

void emitPackGroups(OpBuilder &builder, Location loc, const Target &target,
                    const ProductShape &shape, Value values, Value row,
                    Value base) {
  if (shape.isExact) {
    auto type = VectorType::get(target.width, builder.getF32Type());
    scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, paddedColumns(shape)),
        emitIndex(builder, loc, target.width), ValueRange{},
        [&](OpBuilder &body, Location, Value column, ValueRange) {
          emitStorePacked(body, loc, target, body.getF32Type(), shape.rowTile,
                          paddedColumns(shape), base, row, column,
                          emitLoad(body, loc, type, values, column));
          scf::YieldOp::create(body, loc);
        });
    return;
  }
  Value tileRows = emitIndex(builder, loc, shape.rowTile);
  Value tile = arith::DivUIOp::create(builder, loc, row, tileRows),
        inTile = arith::RemUIOp::create(builder, loc, row, tileRows);
  Value place =
      emitAdd(builder, loc,
              emitMul(builder, loc, tile,
                      emitIndex(builder, loc,
                                packedActivationTileBytes(target, shape))),
              emitMul(builder, loc, inTile, emitIndex(builder, loc, 4)));
  Value numbers = emitAddress(builder, loc, base, builder.getI8Type(), place),
        codes = numbers;
  // A tile takes the codes of a row side by side.
  if (usesTiles(target, shape))
    codes = emitAddress(builder, loc, numbers, builder.getI8Type(),
                        emitMul(builder, loc, inTile,
                                emitIndex(builder, loc, groupColumns - 4)));
  RowPacker packer{loc, target, shape, values, codes, numbers};
  emitQuantisedRow(builder, loc, packer,
                   paddedColumns(shape) / activationGroup(shape));
}

} // namespace clade::cpu
