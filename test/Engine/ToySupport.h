//===- ToySupport.h - The hand-written model as an artifact -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the toy model's artifact, makes its weights, and computes its logits
// the obvious way.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_ENGINE_TOYSUPPORT_H
#define CLADE_TEST_ENGINE_TOYSUPPORT_H

#include "runtime/Engine/CompiledModel.h"

#include <gtest/gtest.h>

namespace clade::rt::test {

/// A directory that is removed at the end of the scope.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(const std::string &name) const {
    return path + "/" + name;
  }
  const std::string path;
};

/// Fails the test with the status' message unless it is OK.
#define ASSERT_OK(expression)                                                  \
  do {                                                                         \
    const auto &statusOf = (expression);                                       \
    ASSERT_TRUE(statusOf.ok()) << clade::rt::test::messageOf(statusOf);        \
  } while (false)

inline const std::string &messageOf(const Status &status) {
  return status.message();
}
template <typename T> const std::string &messageOf(const StatusOr<T> &result) {
  return result.status().message();
}

/// A Status' code and the start of its message.
void expectError(const Status &status, StatusCode code,
                 const std::string &message);

using ToyWeights = std::vector<std::vector<float>>; ///< One per slot.

/// The toy model: layers 0 and 2 are full (group 0), layer 1 has a window.
Manifest toyManifest();
/// Path of the shared object that ToyStep.c became.
std::string toyCode();
/// Weights with some spread, always the same.
ToyWeights toyWeights();
/// Writes and opens the artifact with `manifest` and toyWeights().
std::shared_ptr<const CompiledModel>
makeToyModel(const TemporaryFolder &folder, Manifest manifest = toyManifest());

/// The weight table that reads slot i from the tensor `slot.i`.
std::string toyWeightTable();
/// Writes toyWeights() as a checkpoint to the directory `path`.
Status writeToyCheckpoint(const std::string &path);

/// A tokenizer.json for the toy's vocabulary: letters, and the bytes of
/// characters that have no token.
std::string toyTokenizer();

/// Logits [tokens][vocab] of a whole sequence.
std::vector<std::vector<float>> toyReference(const ToyWeights &weights,
                                             const std::vector<int32_t> &tokens,
                                             int32_t scaledLength = 0);

/// `count` tokens of the toy's vocabulary, always the same for one `seed`.
std::vector<int32_t> toyTokens(size_t count, unsigned seed);

} // namespace clade::rt::test

#endif // CLADE_TEST_ENGINE_TOYSUPPORT_H
