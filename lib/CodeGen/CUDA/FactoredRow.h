//===- FactoredRow.h - Norms as factors of a row -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Activations of a product that are a row in memory, times parameters, times
// one number of the row that follows from its squares (a norm by the root mean
// square): the sum over columns does not wait for that number.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_FACTOREDROW_H
#define CLADE_CODEGEN_CUDA_FACTOREDROW_H

#include "dialect/Clade/CladeDialect.h"

#include <optional>

namespace clade::cuda {

struct FactoredRow {
  mlir::BlockArgument row; ///< x, [token, k]
  /// Elementwise functions of x and of parameters and operands [k] that all
  /// tokens share, whose product is what weights are multiplied with.
  llvm::SmallVector<mlir::Value> columns;
  mlir::Value factor; ///< [token], a function of `squares` and constants.
  ReduceOp squares;   ///< The sum or the mean of x².

  /// The input of `linear` in its kernel as columns · factor, if it is that and
  /// no rounding in between counts. Code for GPUs keeps f32 from op to op.
  static std::optional<FactoredRow> of(LinearOp linear);
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_FACTOREDROW_H
