//===- Verification.h - What verifiers share --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_VERIFICATION_H
#define CLADE_DIALECT_VERIFICATION_H

#include "dialect/Clade/CladeDialect.h"

namespace clade {

/// Whether two sizes are known to differ.
bool differ(int64_t a, int64_t b);
/// Whether every axis of `part` is one of `whole`, of the same size.
bool containsAxes(NamedTensorType whole, NamedTensorType part);
/// Reports a type with two axes of one name: ops that find axes by name need
/// names that differ.
mlir::LogicalResult expectDistinctAxes(mlir::Operation *op,
                                       llvm::ArrayRef<NamedTensorType> types);
/// The index of the axis that an op changes. Reports `axis` where it is no
/// feature axis of `input`, and a `result` that differs from `input` in more
/// than the name and the size of that axis.
mlir::FailureOr<int64_t> expectOneAxisChanged(mlir::Operation *op,
                                              mlir::StringAttr axis,
                                              NamedTensorType input,
                                              NamedTensorType result);

} // namespace clade

#endif // CLADE_DIALECT_VERIFICATION_H
