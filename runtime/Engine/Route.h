//===- Route.h - The experts that a router chose ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the compiled code and the reference interpreter show of each choice of
// experts, and let be changed: two runs of a routed model can be compared only
// if they choose the same experts where scores are nearly equal.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_ROUTE_H
#define CLADE_RUNTIME_ENGINE_ROUTE_H

#include <cstdint>
#include <span>

namespace clade::rt {

/// The choice for one token in one layer. Code for a CPU shows its own and
/// takes what is written in its place; code for a GPU asks before a step, and
/// shows what it would have chosen behind it.
struct Route {
  int32_t layer = 0;    ///< Index of the layer in the published model.
  int64_t position = 0; ///< Of the token in its sequence.
  /// The experts' numbers, the best first. Others may be written here, each in
  /// [0, numExperts): their scores are then those that count.
  std::span<int32_t> experts;
  int32_t numExperts = 0; ///< That there are to choose from.
  /// Nothing is chosen yet: experts are -1, and are the code's own choice where
  /// they stay so.
  bool isAsked = false;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_ROUTE_H
