//===- VerifyWeights.h - Level 1: weights there and back --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_VERIFYWEIGHTS_H
#define CLADE_TOOLS_CLADE_VERIFYWEIGHTS_H

#include "lib/Weights/Invert.h"
#include "tools/clade/CompileModel.h"

namespace clade::driver {

/// What became of the tensors of a checkpoint, by their published names.
struct WeightRoundTrip {
  std::vector<std::string> restored; ///< Came back bit for bit.
  std::vector<std::string> changed;  ///< Came back with other bits.
  std::vector<WeightLoss> losses;    ///< Cannot come back, and why.
  /// Not read: dropped by name, or another name of what is read.
  std::vector<std::string> unread;

  bool ok() const { return changed.empty(); }
};

/// Makes the compiled weights of a checkpoint, and the published tensors from
/// those by the derived inverse. Prints what goes wrong.
mlir::FailureOr<WeightRoundTrip>
roundTripWeights(Environment &environment, const rt::Checkpoint &checkpoint,
                 const ModelChoice &choice);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_VERIFYWEIGHTS_H
