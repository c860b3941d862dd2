//===- PanelTile.cpp - Tiles of weights in codes --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/PanelTile.h"

#include "lib/CodeGen/CUDA/GroupCores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace clade::cuda {

/// The bits of 2^23, whose lowest byte is a code, and of 2^7, whose third byte
/// is one of seven bits: they are then that number and the code.
static constexpr int64_t wideBits = 0x4b000000, narrowBits = 0x43000000;
static constexpr double wideNumber = 0x1p+23, narrowNumber = 0x1p+7;
/// What codes of E4M3 in the exponent and mantissa of f32 are multiplied by.
static constexpr double fp8Scale = 0x1p+120;

static int64_t warpsOf(const Tiling &tiling) {
  return tiling.multipliers() / warpSize;
}

PanelTile::PanelTile(OpBuilder &builder, Location loc, const Tiling &tiling,
                     const rt::PackedLayout &layout, int64_t n, int64_t k,
                     Value weight, Value column)
    : TensorCores(builder, loc), tiling(tiling), layout(layout),
      groups(cuda::numGroups(layout, k)),
      panelsAtOnce(std::min(tiling.n / panelRows, warpsOf(tiling))),
      panelsOfWarp(tiling.n / panelRows / panelsAtOnce),
      groupsAtOnce(warpsOf(tiling) / panelsAtOnce),
      warp(i32<arith::DivUIOp>(thread, warpSize)),
      row(i32<arith::RemUIOp>(lane, panelRows)),
      half(i32<arith::DivUIOp>(lane, panelRows)) {
  assert(panelsOfWarp * panelsAtOnce * panelRows == tiling.n &&
         groupsAtOnce * panelsAtOnce == warpsOf(tiling) &&
         "warps share panels evenly");
  Value first = arith::DivUIOp::create(builder, loc, column, index(panelRows)),
        last = index(numPanels(n) - 1);
  Value firstPanel = i32<arith::RemUIOp>(warp, panelsAtOnce);
  for (int64_t i = 0; i < panelsOfWarp; ++i) {
    Value own = i32<arith::AddIOp>(firstPanel, i * panelsAtOnce);
    // A warp behind the last panel repeats it.
    Value number = arith::MinUIOp::create(
        builder, loc, cpu::emitAdd(builder, loc, first, toIndex(own)), last);
    panelAt.push_back(toGlobal(
        addressOf(builder, loc, weight, number, panelBytes(layout, k))));
  }
  rowAt = i32<arith::AddIOp>(
      i32<arith::MulIOp>(
          i32<arith::AddIOp>(i32<arith::MulIOp>(firstPanel, panelRows), row),
          tiling.rowBytes()),
      tiling.m * tiling.rowBytes());
}

int64_t PanelTile::numGroups() const {
  return panelsOfWarp * (tiling.k / rt::packedGroupColumns) / groupsAtOnce;
}

/// Which group of a step it is.
Value PanelTile::groupOf(int64_t which) {
  return i32<arith::AddIOp>(i32<arith::DivUIOp>(warp, panelsAtOnce),
                            which / panelsOfWarp * groupsAtOnce);
}

Value PanelTile::loadAt(Type type, Value pointer, Value offset) {
  return LLVM::LoadOp::create(
      builder, loc, type, advance(pointer, offset),
      static_cast<unsigned>(type.getIntOrFloatBitWidth() / 8));
}

/// In the order of memory: what a block shares, then what a group has.
void PanelTile::loadScales(Codes &codes, Value unit, Value group) {
  Type i8 = builder.getI8Type(), i16 = builder.getI16Type(),
       word = builder.getI32Type();
  auto at = [&](int64_t size, int64_t before) {
    return i32<arith::AddIOp>(i32<arith::MulIOp>(row, size), before);
  };
  auto add = [&](Type type, Value from, Value offset) {
    codes.scales.push_back(loadAt(type, from, offset));
  };
  if (layout.isOfRow || layout.isFloat)
    return add(builder.getF32Type(), unit, at(4, 0));
  add(i16, layout.headBytes ? unit : group, at(2, 0));
  if (layout.hasMinimum) {
    add(i16, unit, at(2, halfField));
    add(word, unit, at(4, 2 * halfField));
  }
  if (layout.headBytes)
    for (int64_t part = 0; part < layout.parts; ++part)
      add(i8, group, at(1, byteField * part));
}

PanelTile::Codes PanelTile::load(int64_t which, Value step) {
  Codes codes;
  Value panel = panelAt[static_cast<size_t>(panelOf(which))];
  Value own = i32<arith::AddIOp>(
      i32<arith::MulIOp>(step, tiling.k / rt::packedGroupColumns),
      groupOf(which));
  own = i32<arith::MinUIOp>(own, constant(groups - 1));
  Value unit = panel;
  codes.inBlock = own;
  if (!layout.isOfRow) {
    unit = advance(panel,
                   i32<arith::MulIOp>(i32<arith::DivUIOp>(own, layout.groups),
                                      panelRows * layout.blockBytes()));
    codes.inBlock = i32<arith::RemUIOp>(own, layout.groups);
  }
  Value group = advance(
      unit,
      i32<arith::AddIOp>(
          i32<arith::MulIOp>(codes.inBlock, panelRows * layout.groupBytes()),
          panelRows * layout.headBytes));
  loadScales(codes, unit, group);
  Value lanes = i32<arith::AddIOp>(i32<arith::MulIOp>(row, 4),
                                   panelRows * layout.scaleBytes);
  int64_t runs = layout.bits == 8 ? 4 : 2;
  Value first =
      i32<arith::AddIOp>(lanes, i32<arith::MulIOp>(half, runs * runBytes));
  for (int64_t run = 0; run < runs; ++run)
    codes.words.push_back(loadAt(builder.getI32Type(), group,
                                 i32<arith::AddIOp>(first, run * runBytes)));
  Value behind = i32<arith::AddIOp>(lanes, lowRuns * runBytes);
  if (layout.bits == 6)
    behind = i32<arith::AddIOp>(behind, i32<arith::MulIOp>(half, runBytes));
  if (layout.bits == 5 || layout.bits == 6)
    codes.tops.push_back(loadAt(builder.getI32Type(), group, behind));
  return codes;
}

PanelTile::Values PanelTile::bytesOf(const Codes &codes) {
  if (layout.bits == 8)
    return codes.words;
  Value tops;
  if (layout.bits == 5) // Bit s of a byte is of column 4 s.
    tops = i32<arith::ShRUIOp>(codes.tops[0], i32<arith::MulIOp>(half, 2));
  else if (layout.bits == 6)
    tops = codes.tops[0];
  int64_t width = layout.bits - 4;
  int64_t mask = (int64_t(1) << width) - 1;
  mask *= 0x10101010;
  Values bytes;
  for (int64_t high : {0, 1})
    for (int64_t run : {0, 1}) {
      Value word = codes.words[static_cast<size_t>(run)];
      if (high)
        word = i32<arith::ShRUIOp>(word, 4);
      word = i32<arith::AndIOp>(word, 0x0f0f0f0f);
      if (tops) {
        // Those of columns 16 further are four bits up already.
        int64_t shift = 4 * high + width * run - 4;
        Value top = tops;
        if (shift < 0)
          top = i32<arith::ShLIOp>(top, -shift);
        else if (shift > 0)
          top = i32<arith::ShRUIOp>(top, shift);
        word = i32<arith::OrIOp>(word, i32<arith::AndIOp>(top, mask));
      }
      bytes.push_back(word);
    }
  return bytes;
}

std::array<PanelTile::Scale, 2> PanelTile::scalesOf(const Codes &codes) {
  auto toBoth = [&](Scale scale) { return std::array{scale, scale}; };
  // What is added for codes that come with `narrowNumber`: exact, as scales
  // have 19 bits at most.
  auto symmetric = [&](Value scale) {
    double zero = narrowNumber + static_cast<double>(layout.zero);
    return Scale{scale, make<arith::MulFOp>(scale, number(-zero))};
  };
  ArrayRef<Value> raw(codes.scales);
  if (layout.isOfRow || layout.isFloat)
    return toBoth({raw[0], {}});
  Value scale = halfToFloat(raw[0]);
  if (layout.bits == 8)
    return toBoth({scale, {}});
  if (!layout.headBytes)
    return toBoth(symmetric(scale));
  auto times = [&](Value integer, Value factor) {
    return make<arith::MulFOp>(toFloat(integer), factor);
  };
  auto widen = [&](Value byte) -> Value {
    return arith::ExtSIOp::create(builder, loc, builder.getI32Type(), byte);
  };
  if (!layout.hasMinimum)
    return {symmetric(times(widen(raw[1]), scale)),
            symmetric(times(widen(raw[2]), scale))};
  auto [ofScale, ofMinimum] =
      emitScaleBits(builder, loc, raw[3], raw[2], codes.inBlock);
  scale = times(ofScale, scale);
  Value minimum = times(ofMinimum, halfToFloat(raw[1]));
  // Off by 2^-17 of the scale at most, far less than rounding to bf16 is.
  Value offset =
      math::FmaOp::create(builder, loc, scale, number(-narrowNumber),
                          arith::NegFOp::create(builder, loc, minimum));
  return toBoth({scale, offset});
}

/// What byte `byte` of `word` stands for.
Value PanelTile::numberOf(Value word, int64_t byte, const Scale &scale) {
  if (layout.isFloat)
    return make<arith::MulFOp>(fp8NumberOf(word, byte), scale.factor);
  // Bytes of both words are numbered through.
  auto among = [&](int64_t bits, int64_t selector) -> Value {
    Value chosen = NVVM::PermuteOp::create(
        builder, loc, builder.getI32Type(), word, constant(bits),
        constant(selector), NVVM::PermuteMode::DEFAULT);
    return arith::BitcastOp::create(builder, loc, builder.getF32Type(), chosen);
  };
  if (scale.offset)
    return math::FmaOp::create(builder, loc,
                               among(narrowBits, 0x7044 | byte << 8),
                               scale.factor, scale.offset);
  Value code = make<arith::SubFOp>(
      among(wideBits, 0x7440 | byte),
      number(wideNumber + static_cast<double>(layout.zero)));
  return make<arith::MulFOp>(code, scale.factor);
}

/// The sign, and seven bits that f32 has in the same order four places behind:
/// 2^-120 of the number, below the normal numbers of E4M3, too.
Value PanelTile::fp8NumberOf(Value word, int64_t byte) {
  Value top = byte == 3 ? word : i32<arith::ShLIOp>(word, 24 - 8 * byte);
  Value bits =
      i32<arith::AndIOp>(i32<arith::ShRSIOp>(top, 4), int32_t(0x87f00000));
  return make<arith::MulFOp>(
      arith::BitcastOp::create(builder, loc, builder.getF32Type(), bits),
      number(fp8Scale));
}

void PanelTile::store(int64_t which, const Codes &codes, Value stage) {
  Values bytes = bytesOf(codes);
  std::array<Scale, 2> scales = scalesOf(codes);
  Value begin = i32<arith::AddIOp>(i32<arith::AddIOp>(stage, rowAt),
                                   panelOf(which) * panelsAtOnce * panelRows *
                                       tiling.rowBytes());
  auto type = VectorType::get({4}, builder.getI32Type());
  for (int64_t piece : {0, 1}) {
    Value all = LLVM::PoisonOp::create(builder, loc, type);
    for (int64_t pair = 0; pair < 4; ++pair) {
      Value word = bytes[static_cast<size_t>(2 * piece + pair / 2)];
      auto numberAt = [&](int64_t byte) {
        return numberOf(word, byte, scales[static_cast<size_t>(piece)]);
      };
      Value low = numberAt(2 * (pair % 2)), high = numberAt(2 * (pair % 2) + 1);
      all = LLVM::InsertElementOp::create(builder, loc, all,
                                          packBF16(low, high), constant(pair));
    }
    // Codes of 8 bits follow each other; others are of columns 16 apart.
    Value place = layout.bits == 8
                      ? i32<arith::AddIOp>(i32<arith::MulIOp>(half, 2), piece)
                      : i32<arith::AddIOp>(half, 2 * piece);
    place = i32<arith::AddIOp>(
        i32<arith::MulIOp>(groupOf(which),
                           rt::packedGroupColumns * elementBytes / pieceBytes),
        place);
    place = i32<arith::XOrIOp>(place, exchangeOf(row, tiling.rowBytes()));
    LLVM::StoreOp::create(builder, loc, all,
                          sharedAt(i32<arith::AddIOp>(
                              begin, i32<arith::MulIOp>(place, pieceBytes))),
                          /*alignment=*/pieceBytes);
  }
}

} // namespace clade::cuda
