//===- Tensors.h - Tensors of a checkpoint by their names -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A header of thousands of tensors as the few names that it repeats: numbers in
// names become '{layer}' and '{e}'. What two checkpoints call the same thing is
// told from the words of names and from shapes.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_TENSORS_H
#define CLADE_ONBOARD_TENSORS_H

#include "lib/Import/Probe.h"

namespace clade::onboard {

/// Tensors whose names differ in numbers only, and that have one shape.
struct TensorGroup {
  std::string name; ///< 'model.layers.{layer}.mlp.experts.{e}.w1.weight'
  std::vector<int64_t> shape;
  rt::DType dtype = rt::DType::F32;
  size_t count = 0;
  std::set<int64_t> layers;
};

/// The name with '{layer}' for its first number and '{e}' for the next.
std::string templateOf(llvm::StringRef name);
/// The first number in a name.
std::optional<int64_t> layerOf(llvm::StringRef name);
/// Groups in the order of their first tensors.
std::vector<TensorGroup>
groupTensors(llvm::ArrayRef<const rt::StoredTensor *> tensors);
/// 'model.layers.{0..3}.mlp.w1.weight [64, 32]'
std::string describe(const TensorGroup &group);

/// Weights of one name that a family lacks.
struct WeightGroup {
  std::string name; ///< Logical, with '{layer}' and '{e}'.
  import::Shape outer, inner;
  int64_t experts = 0;
  size_t count = 0;
  std::set<int64_t> layers;
  std::vector<int64_t> found; ///< Of weights of another shape.
  /// [rows] or [rows, columns].
  std::vector<int64_t> shape() const;
};
std::vector<WeightGroup>
groupWeights(llvm::ArrayRef<import::WantedWeight> weights);
std::string describe(const WeightGroup &group);
/// 'q_heads * head': the axes of a shape, as the size of their product.
std::string productOf(const import::Shape &shape);

/// The name in front of '.weight' or '.bias'; the whole name of other tensors.
llvm::StringRef moduleOf(llvm::StringRef name);

/// How alike two modules are by the words of their names, from 0 to 1: 'wq' and
/// 'self_attn.q_proj' have the same words.
double similarity(llvm::StringRef a, llvm::StringRef b);

/// How a weight that a family lacks is made of a tensor that it does not use.
struct Pairing {
  std::string logical;  ///< Module, or tensor of a part.
  std::string equation; ///< What stands behind 'logical = '.
  double certainty = 0; ///< 0 to 1
  /// Other modules of the same shapes, each with the likeness of its name.
  std::vector<std::pair<std::string, double>> others;
};
/// Pairs what is missing with what is unused; what has a pair is taken from
/// both lists.
std::vector<Pairing> pair(std::vector<WeightGroup> &missing,
                          std::vector<TensorGroup> &unused);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_TENSORS_H
