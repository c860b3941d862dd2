//===- InvertOps.h - The inverse of each wmap op ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_INVERTOPS_H
#define CLADE_LIB_WEIGHTS_INVERTOPS_H

#include "dialect/WMap/WMapDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

#include <optional>
#include <string>

namespace clade {

/// Why the operands of a `wmap` op cannot be told from its result, or nothing
/// if they can; with `mayRound` up to the rounding of a cast or a sum.
std::optional<std::string> lossOf(mlir::Operation *op, bool mayRound = false);

/// The operand `use` of an op without loss, given the value of its result.
mlir::Value invertOp(mlir::OpBuilder &builder, mlir::OpOperand &use,
                     mlir::Value result);

/// The most rows that padRows() gives, as many as a panel may have.
inline constexpr int64_t maxPaddedRows = 1 << 16;

/// A tensor of `type` with `value` as its first rows and zeros behind.
mlir::Value padRows(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value value, mlir::RankedTensorType type);

/// Element `index` along the first axis, without that axis.
mlir::Value pickFirst(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value value, int64_t index);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_INVERTOPS_H
