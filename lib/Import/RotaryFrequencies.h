//===- RotaryFrequencies.h - Frequencies of rotary embedding ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_ROTARYFREQUENCIES_H
#define CLADE_IMPORT_ROTARYFREQUENCIES_H

#include "lib/Import/SpecValue.h"

namespace clade::import {

/// What clade.rotary_table needs, computed from a record of scaling.
struct RotaryFrequencies {
  std::vector<float> frequencies;
  std::vector<float> longFrequencies; ///< Only longrope.
  double scale = 1;                   ///< Of cosines and sines.
  std::optional<int64_t> originalLength;
  std::optional<double> dynamicFactor;
  /// The position axis of each frequency; empty if there is one.
  std::vector<int64_t> axes;
};

/// Frequencies for heads of `headSize`, rounded to f32 in every step in which
/// transformers' modeling_rope_utils.py rounds. Fails with a message for a
/// record that lacks a key, or holds one of the wrong type or out of range;
/// `locationOf` tells where a dotted key stands.
mlir::FailureOr<RotaryFrequencies> rotaryFrequencies(
    const RopeTable &table, int64_t headSize, mlir::Location loc,
    llvm::function_ref<mlir::Location(llvm::StringRef)> locationOf);

/// Checks that a record has no key that its type of scaling does not read.
mlir::LogicalResult
checkRopeRecord(const RopeTable &table, const std::vector<std::string> &ignored,
                llvm::function_ref<mlir::Location(llvm::StringRef)> locationOf);

} // namespace clade::import

#endif // CLADE_IMPORT_ROTARYFREQUENCIES_H
