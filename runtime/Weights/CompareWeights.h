//===- CompareWeights.h - How far two sets of weights differ ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same weights, made of two forms of a checkpoint, element by element and
// without a whole copy of either.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_COMPAREWEIGHTS_H
#define CLADE_RUNTIME_WEIGHTS_COMPAREWEIGHTS_H

#include "runtime/Weights/WeightLoader.h"

namespace clade::rt {

/// Two programs of one shape, over two sets of tensors. They live as long as
/// the comparison.
struct WeightPair {
  const WeightNode *first;
  const WeightNode *second;
};

/// How far the elements of a pair differ.
struct WeightDifference {
  /// The largest difference of any element: 0 where values are equal, infinity
  /// where only one is a number.
  double largest = 0;
  double magnitude = 0; ///< The largest magnitude of an element of the first.
};

/// The difference of each pair. Errors are those of binding:
/// NotFound for a tensor that is missing, InvalidArgument for one of another
/// type or shape, and for a pair of two shapes.
StatusOr<std::vector<WeightDifference>>
compareWeights(std::span<const WeightPair> pairs, const WeightSources &first,
               const WeightSources &second, const LoadOptions &options = {});

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_COMPAREWEIGHTS_H
