//===- Power.h - Powers of floating-point numbers ------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// x^y has no instruction, and polynomials of f32 would multiply their error by
// y·log(x). It is 2^(y·log2(x)) in f64, so that the error is that of rounding
// to f32.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_POWER_H
#define CLADE_CODEGEN_CUDA_POWER_H

#include "dialect/Clade/CladeDialect.h"
#include "mlir/IR/Builders.h"

namespace clade::cuda {

/// x^y in f64 for normal x above zero, with a relative error below 2^-40 where
/// the result is an f32 or rounds to one.
mlir::Value emitPower(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value x, mlir::Value y);

/// An elementwise op of two f32. Powers of zero, of infinity and of what is
/// below zero are those of C's pow.
mlir::Value emitBinary(mlir::OpBuilder &builder, mlir::Location loc,
                       BinaryKind kind, mlir::Value a, mlir::Value b);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_POWER_H
