//===- NaiveWeights.h - Weight programs by their definition -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The oracle of the weight tests: whole tensors, one formula an operation, one
// element at a time.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_WEIGHTS_NAIVEWEIGHTS_H
#define CLADE_TEST_WEIGHTS_NAIVEWEIGHTS_H

#include "runtime/Weights/WeightProgram.h"

#include <map>

namespace clade::rt::test {

/// A tensor with its elements as f32, which holds bf16, f16 and f32 exactly.
struct NaiveTensor {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<float> values;
  std::vector<std::byte> stored; ///< Of sources.
};

/// The value of `node`, its sources taken from `sources`. Sources may be of any
/// type; they come decoded. A bitcast is of a source.
NaiveTensor evaluate(const WeightNode &node,
                     const std::map<std::string, NaiveTensor> &sources);

/// The stored bytes of an f32, bf16 or f16 tensor.
std::vector<std::byte> encode(const NaiveTensor &tensor);

} // namespace clade::rt::test

#endif // CLADE_TEST_WEIGHTS_NAIVEWEIGHTS_H
