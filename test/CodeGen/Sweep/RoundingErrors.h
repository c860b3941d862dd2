//===- RoundingErrors.h - How far a kernel may be off -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel computes the ops of its body with roundings of its own. Each op's
// result may be off by what its arithmetic allows: a multiple of eps of its
// element type, of the length of its sums, and of the magnitudes that meet in
// them. What becomes of that in the ops behind it is measured: a second run of
// the interpreter disturbs every op of a kernel by so much, of random sign, and
// the kernels' results move.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_SWEEP_ROUNDINGERRORS_H
#define CLADE_TEST_CODEGEN_SWEEP_ROUNDINGERRORS_H

#include "lib/Reference/Interpreter.h"
#include <map>
#include <random>

namespace clade::cpu::test {

/// One result of an op in a layer (-1: outside of layers).
struct EventKey {
  mlir::Operation *op;
  unsigned result;
  int64_t layer;
  auto operator<=>(const EventKey &) const = default;
};
using Observations = std::map<EventKey, reference::Tensor>;

/// Frames of the longest film that a sweep draws.
inline constexpr int64_t mostFrames = 3;

/// Disturbs a run of the interpreter.
class RoundingErrors {
public:
  explicit RoundingErrors(unsigned seed) : random(seed) {}

  /// What an undisturbed run of the same step gave, before each step.
  void begin(const Observations &exact) {
    undisturbed = &exact;
    values.clear();
    moved.clear();
  }
  /// The observer of the disturbed run. Results of kernels are noted and put
  /// back to the undisturbed ones.
  void observe(const reference::Event &event);

  /// How far each element of a kernel's result may be off.
  double bound(const EventKey &key) const;

private:
  double amplitude(const reference::Event &event, double largest);
  double largestOf(mlir::Value value, int64_t layer) const;
  double largestRow(mlir::Value value, int64_t layer) const;
  double attentionError(const reference::Event &event);

  std::mt19937 random;
  const Observations *undisturbed = nullptr;
  Observations values;
  std::map<EventKey, double> moved;
  /// Of each attention: length of the longest key and largest value.
  std::map<EventKey, std::pair<double, double>> cached;
  /// Tokens that a layer's states have seen, of all sequences together.
  std::map<EventKey, int64_t> seen;
};

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_SWEEP_ROUNDINGERRORS_H
