//===- Interleave.cpp - The inner loops of packing ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The common unit of four bytes (two bf16, one f32) is transposed in registers,
// sixteen rows by sixteen units at a time where the CPU can
// (InterleaveWide.cpp), else four by four; the other sizes are copied one by
// one.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/Interleave.h"

#include <cstring>

using namespace clade::rt;

namespace {

using Rows = std::span<const std::byte *const>;

/// Four units of four bytes, in GCC's and clang's portable vector form.
typedef uint32_t Quad __attribute__((vector_size(16)));

Quad loadQuad(const std::byte *from) {
  Quad value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

void storeQuad(std::byte *to, Quad value) {
  std::memcpy(to, &value, sizeof(value));
}

/// Units [unit, unit + 4) of four rows to four places `stride` bytes apart.
void transposeQuads(const std::byte *const *rows, int64_t unit, int64_t stride,
                    std::byte *out) {
  Quad a = loadQuad(rows[0] + unit * 4), b = loadQuad(rows[1] + unit * 4);
  Quad c = loadQuad(rows[2] + unit * 4), d = loadQuad(rows[3] + unit * 4);
  Quad ab01 = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  Quad ab23 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  Quad cd01 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  Quad cd23 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  storeQuad(out, __builtin_shufflevector(ab01, cd01, 0, 1, 4, 5));
  storeQuad(out + stride, __builtin_shufflevector(ab01, cd01, 2, 3, 6, 7));
  storeQuad(out + 2 * stride, __builtin_shufflevector(ab23, cd23, 0, 1, 4, 5));
  storeQuad(out + 3 * stride, __builtin_shufflevector(ab23, cd23, 2, 3, 6, 7));
}

/// Units [first, last) of the rows from `firstRow` on, unit by unit. Bytes is
/// known at compile time for the common sizes, so that a copy is one move.
template <size_t Bytes>
void copyUnits(Rows rows, size_t firstRow, int64_t first, int64_t last,
               int64_t stride, std::byte *out) {
  for (int64_t unit = first; unit < last; ++unit)
    for (size_t r = firstRow; r < rows.size(); ++r)
      std::memcpy(out + unit * stride + static_cast<int64_t>(r * Bytes),
                  rows[r] + unit * static_cast<int64_t>(Bytes), Bytes);
}

void interleaveQuads(Rows rows, int64_t units, int64_t stride, std::byte *out) {
  size_t fours = rows.size() / 4 * 4;
  int64_t done = interleaveWide(rows, units, stride, out);
  int64_t whole = units / 4 * 4;
  // Four units at a time write four whole lines of the panel.
  for (int64_t unit = done; unit < whole; unit += 4)
    for (size_t r = 0; r < fours; r += 4)
      transposeQuads(&rows[r], unit, stride,
                     out + unit * stride + static_cast<int64_t>(r * 4));
  copyUnits<4>(rows, fours, done, whole, stride, out);
  copyUnits<4>(rows, 0, whole, units, stride, out);
}

/// Any unit size; also the last unit of a row that ends within it.
void copyAnySize(Rows rows, int64_t unit, size_t unitBytes, size_t copied,
                 int64_t stride, std::byte *out) {
  for (size_t r = 0; r < rows.size(); ++r)
    std::memcpy(out + unit * stride + static_cast<int64_t>(r * unitBytes),
                rows[r] + unit * static_cast<int64_t>(unitBytes), copied);
}

} // namespace

void clade::rt::interleaveRows(Rows rows, int64_t width, int64_t elementBytes,
                               int64_t inner, int64_t panelRows,
                               std::byte *out) {
  int64_t unitBytes = elementBytes * inner;
  int64_t stride = unitBytes * panelRows;
  int64_t units = width / inner;
  switch (unitBytes) {
  case 1:
    copyUnits<1>(rows, 0, 0, units, stride, out);
    break;
  case 2:
    copyUnits<2>(rows, 0, 0, units, stride, out);
    break;
  case 4:
    interleaveQuads(rows, units, stride, out);
    break;
  case 8:
    copyUnits<8>(rows, 0, 0, units, stride, out);
    break;
  case 16:
    copyUnits<16>(rows, 0, 0, units, stride, out);
    break;
  default:
    for (int64_t unit = 0; unit < units; ++unit)
      copyAnySize(rows, unit, static_cast<size_t>(unitBytes),
                  static_cast<size_t>(unitBytes), stride, out);
  }
  if (int64_t rest = width % inner)
    copyAnySize(rows, units, static_cast<size_t>(unitBytes),
                static_cast<size_t>(rest * elementBytes), stride, out);
}
