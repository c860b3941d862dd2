//===- KernelQueries.h - What a kernel is, for every target -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_KERNELQUERIES_H
#define CLADE_CODEGEN_KERNELQUERIES_H

#include "dialect/Clade/CladeDialect.h"

#include <string>

namespace clade {

/// Whether a kernel works on selected tokens.
bool worksOnSelected(KernelOp kernel);

/// The value that a chain of views looks at.
mlir::Value viewed(mlir::Value value);

/// The parameters of a kernel, in the order of their first use.
llvm::SmallVector<llvm::StringRef> paramsOf(KernelOp kernel);

/// Equal for kernels that differ in the names of their parameters only, which
/// are `params`.
std::string keyOf(KernelOp kernel, llvm::ArrayRef<llvm::StringRef> params);

/// The type in which the result number `i` of a kernel is written: its own, or
/// f32.
mlir::Type resultType(KernelOp kernel, unsigned i, bool isF32);

} // namespace clade

#endif // CLADE_CODEGEN_KERNELQUERIES_H
