//===- WeightFunctions.h - Functions of weight equations --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which functions weight equations know, and what their arguments are: read by
// the import and by the checks without a configuration. docs/language.md
// describes each.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_WEIGHTFUNCTIONS_H
#define CLADE_IMPORT_WEIGHTFUNCTIONS_H

#include "mlir/IR/Builders.h"

#include <string>
#include <vector>

namespace clade::import {

struct WeightTree;

/// What an argument of a function of weights is.
enum class WeightArg {
  Tensor,
  Contents, ///< A small tensor that is read when the model is imported.
  Number,   ///< A literal or a field.
  Value,    ///< Any value of the configuration: a literal or a field.
};

struct WeightFunction {
  llvm::StringLiteral name;
  /// Its forms, each of another length.
  std::vector<std::vector<WeightArg>> forms;

  /// The form with that many arguments, or null.
  const std::vector<WeightArg> *formOf(size_t count) const;
  /// 'one tensor', 'a tensor and a number', …
  std::string expected() const;
};

/// The function of that name, or null.
const WeightFunction *findWeightFunction(llvm::StringRef name);
/// All names, for hints.
std::vector<std::string> weightFunctionNames();

/// The value of a function that dequantises, f32 or the type that the published
/// decoder gives, for a call whose arguments fit a form; `tensors` has a value
/// for each argument that is a tensor, null for the others. Where tensors and
/// configuration do not agree, says so at `loc`.
mlir::FailureOr<mlir::Value>
emitDequantised(const WeightTree &call, llvm::ArrayRef<mlir::Value> tensors,
                mlir::OpBuilder &builder, mlir::Location loc);
/// Whether that is its job.
bool dequantises(llvm::StringRef function);

} // namespace clade::import

#endif // CLADE_IMPORT_WEIGHTFUNCTIONS_H
