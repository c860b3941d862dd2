//===- GroupWeights.h - Random quantised weights ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights in blocks, packed by the runtime's own program, and what a product
// with them may give.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_GROUPWEIGHTS_H
#define CLADE_TEST_CODEGEN_GROUPWEIGHTS_H

#include "lib/CodeGen/CPU/GroupProduct.h"
#include <cstddef>
#include <random>
#include <vector>

namespace clade::cpu::test {

/// Numbers of a matrix in blocks, and its blocks in panels.
struct GroupWeights {
  GroupWeights(WeightForm form, int64_t n, int64_t k, int64_t panelRows,
               std::mt19937 &random);

  std::vector<std::byte> packed;
  std::vector<float> numbers; ///< [n][columns]
  std::vector<float> terms;   ///< Magnitudes of code times scale and minimum.
  int64_t columns;
  int64_t group; ///< Columns that quantised activations share a scale for.
};

/// What products of a shape multiply.
enum class Operands {
  Exact,     ///< Activations in f32 and what codes stand for.
  Quantised, ///< Codes of activations and codes of weights.
  BF16,      ///< Both rounded to bf16.
};
Operands operandsOf(const Target &target, const ProductShape &shape);

/// Emits a row of `values`, f32 with room for `groupRowBytes`, as row `row` of
/// the packed activations at `packed`.
void emitPackRow(mlir::OpBuilder &builder, mlir::Location loc,
                 const Target &target, const ProductShape &shape,
                 mlir::Value values, mlir::Value row, mlir::Value packed);

/// What row `column` of weights times k activations at `x` is, and by how much
/// a product may be off. A sum of k products in f32, each rounded at most three
/// times, is off by less than 2 k eps Σ|x w|, eps = 2^-23, where |w| counts a
/// code times its scale and the minimum apart; that of a group of integers is
/// exact. With quantised activations a number is off by half of a step, which
/// is 1/127 of the largest of its group, and by the rounding of the step and
/// its reciprocal. Where both operands are rounded to bf16, each is off by at
/// most 2^-9 of itself.
struct ExpectedSum {
  double sum, bound;
};
ExpectedSum expectedSum(const GroupWeights &weights, const float *x, int64_t k,
                        int64_t column, Operands operands);

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_GROUPWEIGHTS_H
