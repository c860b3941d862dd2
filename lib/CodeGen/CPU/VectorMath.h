//===- VectorMath.h - Math on vectors without calls -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A pass of the CPU pipeline, run before math becomes LLVM intrinsics.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_VECTORMATH_H
#define CLADE_CODEGEN_CPU_VECTORMATH_H

#include "mlir/Pass/Pass.h"
#include <memory>

namespace clade::cpu {

/// Replaces exp, expm1, log, log2, log1p, tanh and erf on vectors of f32 (and
/// of narrower floats, through f32) by MLIR's polynomial approximations, which
/// are exact to a few units in the last place. Other functions of vectors,
/// whose approximations there are coarser (exp2, atan) or fail for large
/// arguments (sin, cos), become calls to libm lane by lane; scalars always do.
/// Without `hasFMA`, multiply-adds become a product and a sum.
std::unique_ptr<mlir::Pass> createExpandVectorMathPass(bool hasFMA);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_VECTORMATH_H
