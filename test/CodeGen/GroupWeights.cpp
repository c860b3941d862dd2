//===- GroupWeights.cpp - Random quantised weights ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/GroupWeights.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "runtime/Formats/Dequantize.h"
#include "runtime/Weights/WeightLoader.h"

#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;
using namespace clade;
using namespace clade::cpu;
using namespace clade::cpu::test;

/// Blocks of random bits: every code and every scale, with halves from 2^-5 to
/// 2^-3 of either sign.
static std::vector<std::byte> randomBlocks(rt::DType type, int64_t rows,
                                           int64_t perRow,
                                           std::mt19937 &random) {
  int64_t count = rows * perRow;
  uint32_t scale = 0;
  int64_t size = rt::bytesPerBlock(type);
  std::vector<std::byte> blocks(count * size);
  for (std::byte &byte : blocks)
    byte = std::byte(random());
  for (int64_t i = 0; i < count; ++i) {
    if (rt::hasRowScale(type)) {
      // Of either sign, from 2^-5 to 2^-3; those of a row are the same.
      if (i % perRow == 0)
        scale = static_cast<uint32_t>((random() & 0x80ffffff) | 61u << 24);
      std::memcpy(&blocks[i * size], &scale, sizeof(scale));
      continue;
    }
    int64_t at = i * size + (type == rt::DType::Q6_K ? 208 : 0);
    bool hasMinimum = type == rt::DType::Q4_K || type == rt::DType::Q5_K;
    for (int64_t half = 0; half < (hasMinimum ? 2 : 1); ++half) {
      auto bits = static_cast<uint16_t>((random() & 0x83ff) | 10 << 10 |
                                        (random() & 1) << 10);
      std::memcpy(&blocks[at + 2 * half], &bits, sizeof(bits));
    }
  }
  return blocks;
}

static std::vector<float>
decode(rt::DType dtype, const std::vector<std::byte> &blocks, int64_t count) {
  std::vector<float> values(count);
  rt::decodeToF32(dtype, blocks.data(), count, values.data());
  return values;
}

GroupWeights::GroupWeights(WeightForm form, int64_t n, int64_t k,
                           int64_t panelRows, std::mt19937 &random) {
  rt::DType dtype = packedLayoutOf(form).type;
  columns = llvm::alignTo(k, rt::blockLength(dtype));
  group = packedLayoutOf(form).isOfRow ? 128 : 32;
  std::vector<std::byte> blocks =
      randomBlocks(dtype, n, columns / rt::blockLength(dtype), random);
  rt::StoredTensor tensor;
  tensor.name = "w";
  tensor.dtype = dtype;
  tensor.shape = {n, columns};
  tensor.bytes = blocks;
  auto table = rt::WeightTable::parse(
      R"({"version":1,"weights":[{"param":"packed","slot":0,"program":)"
      R"({"op":"pack_blocks","rows":)" +
          std::to_string(panelRows) +
          R"(,"input":{"op":"source","name":"w","dtype":")" +
          std::string(rt::dtypeName(dtype)) + R"(","shape":[)" +
          std::to_string(n) + "," + std::to_string(columns) + "]}}}]}",
      "weights");
  rt::StoredTensor tensors[] = {tensor};
  auto loaded = rt::loadWeights(*table, rt::WeightSources{tensors, "", {}});
  rt::ByteSpan bytes = loaded->slot(0);
  packed.assign(bytes.begin(), bytes.end());
  numbers = decode(dtype, blocks, n * columns);
  // Without the factor of the minima, what codes stand for before them.
  if (packedLayoutOf(form).hasMinimum)
    for (size_t at = 0; at < blocks.size(); at += rt::bytesPerBlock(dtype))
      blocks[at + 2] = blocks[at + 3] = std::byte(0);
  terms = decode(dtype, blocks, n * columns);
  for (size_t i = 0; i < terms.size(); ++i)
    terms[i] = std::abs(terms[i]) + std::abs(numbers[i] - terms[i]);
}

Operands clade::cpu::test::operandsOf(const Target &target,
                                      const ProductShape &shape) {
  if (decodesWeights(target, shape))
    return Operands::BF16;
  return shape.isExact ? Operands::Exact : Operands::Quantised;
}

void clade::cpu::test::emitPackRow(OpBuilder &builder, Location loc,
                                   const Target &target,
                                   const ProductShape &shape, Value values,
                                   Value row, Value packed) {
  if (!decodesWeights(target, shape)) {
    emitPadRow(builder, loc, shape, values);
    return emitPackGroups(builder, loc, target, shape, values, row, packed);
  }
  auto type = VectorType::get(target.width, builder.getF32Type());
  scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0),
      emitIndex(builder, loc, shape.k), emitIndex(builder, loc, target.width),
      ValueRange{}, [&](OpBuilder &body, Location, Value column, ValueRange) {
        emitStorePacked(body, loc, target, body.getBF16Type(), shape.rowTile,
                        shape.k, packed, row, column,
                        emitLoad(body, loc, type, values, column));
        scf::YieldOp::create(body, loc);
      });
}

ExpectedSum clade::cpu::test::expectedSum(const GroupWeights &weights,
                                          const float *x, int64_t k,
                                          int64_t column, Operands operands) {
  double eps = std::numeric_limits<float>::epsilon();
  const float *w = weights.numbers.data() + column * weights.columns;
  const float *terms = weights.terms.data() + column * weights.columns;
  ExpectedSum expected{0, 0};
  for (int64_t first = 0; first < k; first += weights.group) {
    double largest = 0, all = 0;
    for (int64_t i = first; i < std::min(k, first + weights.group); ++i) {
      expected.sum += double(x[i]) * w[i];
      expected.bound +=
          2 * static_cast<double>(k) * eps * std::abs(double(x[i])) * terms[i];
      largest = std::max(largest, std::abs(double(x[i])));
      all += std::abs(w[i]);
      if (operands == Operands::BF16)
        expected.bound += (0x1p-8 + 0x1p-18) * std::abs(double(x[i]) * w[i]);
    }
    if (operands == Operands::Quantised)
      expected.bound += largest * all * (1 + 260 * eps) / 254;
  }
  return expected;
}
