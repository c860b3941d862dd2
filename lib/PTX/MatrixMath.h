//===- MatrixMath.h - Products of small tiles -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// c += a * b for the tiles of one matrix instruction, all row-major and
// contiguous: a is m x k, b is k x n, c is m x n; n is a multiple of 4.
//
// Numerics. The ISA leaves the order and the rounding of the accumulation open
// and asks for at least single precision. Here every product is exact (two
// f16, bf16, tf32 or 8-bit values fit in f32; what lies below its smallest
// subnormal is lost), and the sum runs over k in ascending order, starting from
// c, rounded to nearest even after each addition: the same on every machine,
// and the most common definition of an f32 dot product. docs/ptx.md says how
// far hardware is from it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_MATRIXMATH_H
#define CLADE_PTX_MATRIXMATH_H

#include "lib/PTX/Fragments.h"

#include <cstdint>

namespace clade::ptx {

void multiplyTile(const float *a, const float *b, float *c, MatrixShape shape);
/// Each step is one fused multiply-add, as the ISA asks of .f64.
void multiplyTile(const double *a, const double *b, double *c,
                  MatrixShape shape);
/// Wraps, or with `saturates` clamps the whole sum to 32 bits at the end.
void multiplyTile(const int32_t *a, const int32_t *b, int32_t *c,
                  MatrixShape shape, bool saturates);
/// Of single bits, packed along k from the low bit: a is m x k / 32 words, b is
/// n x k / 32 words. c += popcount(a op b), op being xor or and.
void multiplyBits(const uint32_t *a, const uint32_t *b, int32_t *c,
                  MatrixShape shape, bool isXor);

} // namespace clade::ptx

#endif // CLADE_PTX_MATRIXMATH_H
