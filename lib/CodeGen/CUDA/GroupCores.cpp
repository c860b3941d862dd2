//===- GroupCores.cpp - Weights in groups on tensor cores -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/GroupCores.h"

#include "lib/CodeGen/CPU/GroupProduct.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace clade::cuda {

/// 2^23 + 2^22, whose bits are sumBias.
static constexpr double biasNumber = 0x1.8p+23;
static_assert(panelRows == rt::packedBlockRows);
static_assert(recordBatch == 4, "a lane for each group of a batch");

const rt::PackedLayout &layoutOf(StringRef format) {
  return *rt::packedLayout(*rt::parseDType(format));
}

int64_t numGroups(const rt::PackedLayout &layout, int64_t k) {
  return static_cast<int64_t>(llvm::alignTo(
      llvm::divideCeil(k, rt::packedGroupColumns), layout.groups));
}

int64_t panelBytes(const rt::PackedLayout &layout, int64_t k) {
  return panelRows *
         layout.rowBytes(numGroups(layout, k) * rt::packedGroupColumns);
}

int64_t numRecords(const rt::PackedLayout &layout, int64_t k) {
  return static_cast<int64_t>(llvm::alignTo(numGroups(layout, k), recordBatch));
}

int64_t recordRowBytes(const rt::PackedLayout &layout, int64_t k) {
  return numRecords(layout, k) / recordBatch * batchBytes;
}

std::pair<Value, Value> emitScaleBits(OpBuilder &builder, Location loc,
                                      Value byte, Value tops, Value index) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(builder, loc, builder.getI32Type(),
                                        value);
  };
  Value low = arith::ExtUIOp::create(builder, loc, builder.getI32Type(), byte);
  Value top = arith::ShRUIOp::create(
      builder, loc, tops,
      arith::MulIOp::create(builder, loc, index, constant(4)));
  auto bits = [&](Value lower, int64_t mask, int64_t shift) -> Value {
    Value upper = arith::AndIOp::create(builder, loc, top, constant(mask));
    return arith::OrIOp::create(
        builder, loc, lower,
        arith::ShLIOp::create(builder, loc, upper, constant(shift)));
  };
  return {bits(arith::AndIOp::create(builder, loc, low, constant(15)), 3, 4),
          bits(arith::ShRUIOp::create(builder, loc, low, constant(4)), 12, 2)};
}

GroupCores::GroupCores(OpBuilder &builder, Location loc,
                       const rt::PackedLayout &layout, int64_t k)
    : TensorCores(builder, loc), layout(layout), groups(numGroups(layout, k)) {
  rowPair = i32<arith::DivUIOp>(lane, 4);
  quarter = i32<arith::RemUIOp>(lane, 4);
}

GroupCores::Sums GroupCores::zeroSums() {
  return Sums(4, emitFloat(builder, loc, 0));
}

Value GroupCores::loadAt(Type type, Value pointer, Value offset,
                         unsigned alignment) {
  return LLVM::LoadOp::create(builder, loc, type, advance(pointer, offset),
                              alignment);
}

GroupCores::Values GroupCores::loadPair(Value pointer, Value offset,
                                        unsigned bits) {
  auto type = VectorType::get({2}, builder.getIntegerType(bits));
  Value pair = loadAt(type, pointer, offset, bits / 4);
  return {LLVM::ExtractElementOp::create(builder, loc, pair, constant(0)),
          LLVM::ExtractElementOp::create(builder, loc, pair, constant(1))};
}

/// The codes of the group whose runs begin at `runs`, unsigned.
GroupCores::Values GroupCores::loadCodes(Value runs) {
  Value own = i32<arith::MulIOp>(rowPair, 8),
        run = i32<arith::AddIOp>(i32<arith::MulIOp>(quarter, runBytes), own);
  Values low = loadPair(runs, run, 32);
  if (layout.bits == 8) {
    low.append(loadPair(runs, i32<arith::AddIOp>(run, 4 * runBytes), 32));
    return low;
  }
  Values codes, tops;
  Value shift;
  if (layout.bits == 5) {
    tops = loadPair(runs, i32<arith::AddIOp>(own, lowRuns * runBytes), 32);
    shift = quarter;
  } else if (layout.bits == 6) {
    Value word = i32<arith::MulIOp>(i32<arith::DivUIOp>(quarter, 2), runBytes);
    tops = loadPair(
        runs,
        i32<arith::AddIOp>(i32<arith::AddIOp>(own, word), lowRuns * runBytes),
        32);
    shift = i32<arith::MulIOp>(i32<arith::RemUIOp>(quarter, 2), 2);
  }
  int64_t topMask = layout.bits == 5 ? 0x01010101 : 0x03030303;
  for (bool isHigh : {false, true})
    for (auto [row, word] : llvm::enumerate(low)) {
      Value code = isHigh ? i32<arith::ShRUIOp>(word, 4) : word;
      code = i32<arith::AndIOp>(code, 0x0f0f0f0f);
      if (shift) {
        // Those of the second half are four bits up already.
        Value top = i32<arith::ShRUIOp>(tops[row], shift);
        top = i32<arith::AndIOp>(top, isHigh ? topMask << 4 : topMask);
        code =
            i32<arith::OrIOp>(code, isHigh ? top : i32<arith::ShLIOp>(top, 4));
      }
      codes.push_back(code);
    }
  return codes;
}

/// What codes are multiplied by, of two rows: see PackedBlocks.h.
void GroupCores::loadScales(Value unit, Value group, Value index,
                            Weights &weights) {
  auto byteAt = [&](Value row, int64_t step) {
    return i32<arith::AddIOp>(i32<arith::MulIOp>(row, 2), step);
  };
  auto halves = [&](Value from, int64_t at) {
    Values pair = loadPair(
        from, i32<arith::AddIOp>(i32<arith::MulIOp>(rowPair, 4), at), 16);
    return Values{halfToFloat(pair[0]), halfToFloat(pair[1])};
  };
  if (layout.headBytes == 0) {
    weights.scales = halves(group, 0);
    return;
  }
  Values scales = halves(unit, 0);
  auto times = [&](Value integer, Value scale) -> Value {
    return arith::MulFOp::create(builder, loc, toFloat(integer), scale);
  };
  if (!layout.hasMinimum) {
    for (int64_t part = 0; part < layout.parts; ++part) {
      Values bytes = loadPair(group, byteAt(rowPair, byteField * part), 8);
      for (auto [byte, scale] : llvm::zip_equal(bytes, scales))
        weights.scales.push_back(times(
            arith::ExtSIOp::create(builder, loc, builder.getI32Type(), byte),
            scale));
    }
    return;
  }
  Values minima = halves(unit, halfField);
  Values tops = loadPair(
      unit, i32<arith::AddIOp>(i32<arith::MulIOp>(rowPair, 8), 2 * halfField),
      32);
  for (auto [row, byte] :
       llvm::enumerate(loadPair(group, byteAt(rowPair, 0), 8))) {
    auto [ofScale, ofMinimum] =
        emitScaleBits(builder, loc, byte, tops[row], index);
    weights.scales.push_back(times(ofScale, scales[row]));
    weights.minima.push_back(times(ofMinimum, minima[row]));
  }
}

SmallVector<GroupCores::Weights> GroupCores::load(Value panel, Value first,
                                                  int64_t count) {
  int64_t stride = panelRows * layout.groupBytes();
  SmallVector<Weights> weights(static_cast<size_t>(count));
  auto runsOf = [&](Value group) {
    return advance(group, constant(panelRows * layout.scaleBytes));
  };
  if (layout.headBytes == 0 || layout.isOfRow) {
    Value begin = advance(panel, constant(panelRows * layout.headBytes));
    for (int64_t i = 0; i < count; ++i) {
      Value number = i32<arith::AddIOp>(first, i);
      if (groups % recordBatch != 0)
        number = i32<arith::MinUIOp>(number, groups - 1);
      Value group = advance(begin, i32<arith::MulIOp>(number, stride));
      weights[i].codes = loadCodes(runsOf(group));
      if (!layout.isOfRow)
        loadScales(group, group, {}, weights[i]);
    }
    return weights;
  }
  // A batch is of one block. Each lane with a g has the scales of one group.
  Value unit = advance(
      panel, i32<arith::MulIOp>(i32<arith::DivUIOp>(first, layout.groups),
                                panelRows * layout.blockBytes()));
  Value index = i32<arith::RemUIOp>(first, layout.groups);
  auto groupAt = [&](Value number) {
    return advance(unit, i32<arith::AddIOp>(i32<arith::MulIOp>(number, stride),
                                            panelRows * layout.headBytes));
  };
  Weights own;
  Value ofLane = i32<arith::AddIOp>(index, quarter);
  loadScales(unit, groupAt(ofLane), ofLane, own);
  for (int64_t i = 0; i < count; ++i) {
    weights[i].codes = loadCodes(runsOf(groupAt(i32<arith::AddIOp>(index, i))));
    Value from =
        i32<arith::AddIOp>(i32<arith::MulIOp>(rowPair, recordBatch), i);
    auto share = [&](ArrayRef<Value> values, Values &shared) {
      for (Value value : values)
        shared.push_back(gpu::ShuffleOp::create(builder, loc, value, from,
                                                constant(warpSize),
                                                gpu::ShuffleMode::IDX)
                             .getShuffleResult());
    };
    share(own.scales, weights[i].scales);
    share(own.minima, weights[i].minima);
  }
  return weights;
}

GroupCores::Inputs GroupCores::loadInputs(Value codes, ArrayRef<Value> ends) {
  Inputs inputs;
  inputs.codes = loadPair(codes, constant(0), 32);
  int64_t words = layout.parts == 1 ? 2 : 4;
  auto type = VectorType::get({words}, builder.getI32Type());
  SmallVector<Values> starts(static_cast<size_t>(layout.parts));
  for (Value end : ends) {
    Value loaded =
        loadAt(type, end, constant(0), static_cast<unsigned>(4 * words));
    auto word = [&](int64_t place) -> Value {
      return LLVM::ExtractElementOp::create(builder, loc, loaded,
                                            constant(place));
    };
    auto number = [&](Value bits) -> Value {
      return arith::BitcastOp::create(builder, loc, builder.getF32Type(), bits);
    };
    inputs.scales.push_back(number(word(0)));
    for (int64_t part = 0; part < layout.parts; ++part)
      starts[static_cast<size_t>(part)].push_back(
          layout.hasMinimum ? number(word(1)) : word(1 + part));
  }
  for (const Values &each : starts)
    inputs.starts.append(each);
  return inputs;
}

/// The four sums of `columns` columns that begin with `starts`.
GroupCores::Values GroupCores::multiply(ArrayRef<Value> a, ArrayRef<Value> b,
                                        ArrayRef<Value> starts,
                                        int64_t columns) {
  Type type = LLVM::LLVMStructType::getLiteral(
      builder.getContext(), SmallVector<Type>(4, builder.getI32Type()));
  Value product = NVVM::MmaOp::create(
      builder, loc, type, a, b, starts, {mmaM, mmaN, columns}, std::nullopt,
      NVVM::MMAIntOverflow::wrapped,
      std::array{NVVM::MMATypes::u8, NVVM::MMATypes::s8},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  Values sums;
  for (int64_t i = 0; i < 4; ++i)
    sums.push_back(LLVM::ExtractValueOp::create(builder, loc, product, i));
  return sums;
}

/// The number whose sum of integers began with sumBias.
Value GroupCores::unbiased(Value bits) {
  return arith::SubFOp::create(
      builder, loc,
      arith::BitcastOp::create(builder, loc, builder.getF32Type(), bits),
      emitFloat(builder, loc, biasNumber));
}

void GroupCores::multiplyAddBatch(ArrayRef<Weights> weights,
                                  ArrayRef<Inputs> inputs,
                                  MutableArrayRef<Value> sums) {
  const Inputs &first = inputs.front();
  size_t columns = first.scales.size();
  Values integers;
  for (size_t i = 0; i < 4; ++i)
    integers.push_back(first.starts[i % 2 % columns]);
  for (auto [weight, input] : llvm::zip_equal(weights, inputs))
    integers =
        multiply(weight.codes, input.codes, integers, rt::packedGroupColumns);
  for (size_t i = 0; i < 4; ++i)
    if (i % 2 < columns)
      sums[i] = math::FmaOp::create(builder, loc, unbiased(integers[i]),
                                    first.scales[i % 2], sums[i]);
}

void GroupCores::finish(Value panel, MutableArrayRef<Value> sums) {
  if (!layout.isOfRow)
    return;
  Values scales = loadPair(panel, i32<arith::MulIOp>(rowPair, 8), 32);
  for (Value &scale : scales)
    scale = arith::BitcastOp::create(builder, loc, builder.getF32Type(), scale);
  for (auto [i, sum] : llvm::enumerate(sums))
    sum = arith::MulFOp::create(builder, loc, sum, scales[i % 4 / 2]);
}

void GroupCores::multiplyAdd(const Weights &weights, const Inputs &inputs,
                             MutableArrayRef<Value> sums) {
  // Of a single row of activations all columns are the same, and one is kept.
  size_t columns = inputs.scales.size();
  auto columnOf = [](int64_t sum) { return static_cast<size_t>(sum % 2); };
  for (int64_t part = 0; part < layout.parts; ++part) {
    ArrayRef<Value> a(weights.codes), b(inputs.codes);
    if (layout.parts > 1) {
      a = a.slice(static_cast<size_t>(2 * part), 2);
      b = b.slice(static_cast<size_t>(part), 1);
    }
    Values starts(2, constant(sumBias));
    if (!layout.hasMinimum)
      for (size_t i : {0, 1})
        starts[i] =
            inputs.starts[static_cast<size_t>(part) * columns + i % columns];
    Values product =
        multiply(a, b, {starts[0], starts[1], starts[0], starts[1]},
                 rt::packedGroupColumns / layout.parts);
    for (int64_t i = 0; i < 4; ++i) {
      if (columnOf(i) >= columns)
        continue;
      Value both =
          arith::MulFOp::create(builder, loc, weights.scales[2 * part + i / 2],
                                inputs.scales[columnOf(i)]);
      sums[i] = math::FmaOp::create(builder, loc, unbiased(product[i]), both,
                                    sums[i]);
    }
  }
  if (!layout.hasMinimum)
    return;
  for (int64_t i = 0; i < 4; ++i)
    if (columnOf(i) < columns)
      sums[i] = math::FmaOp::create(
          builder, loc,
          arith::NegFOp::create(builder, loc, weights.minima[i / 2]),
          inputs.starts[columnOf(i)], sums[i]);
}

} // namespace clade::cuda
