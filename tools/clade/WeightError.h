//===- WeightError.h - What quantised weights cost and gain -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same model with its weights dense and in a form, on a text that is part
// of the program: how far the distributions of the next token are apart.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_WEIGHTERROR_H
#define CLADE_TOOLS_CLADE_WEIGHTERROR_H

#include "tools/clade/CompileModel.h"

#include <nlohmann/json.hpp>

namespace clade::driver {

struct WeightError {
  std::string form;
  int64_t tokens = 0;   ///< After each of which the next one is predicted.
  bool isText = false;  ///< Otherwise token numbers drawn at random.
  double mean = 0;      ///< Kullback-Leibler divergence, in nats.
  double largest = 0;   ///< Of one token.
  int64_t agreeing = 0; ///< Tokens with the same most likely next one.
  /// Tokens in a second, reading the text and then one by one: dense, form.
  double prefill[2] = {}, decode[2] = {};

  /// One line.
  std::string text() const;
  nlohmann::json toJson() const;
};

/// Compiles the dense form into the cache, and compares `artifact`, which was
/// made by `choice`, with it. The divergences depend on nothing but the two
/// artifacts. Prints what is wrong.
std::optional<WeightError> measureWeightError(Environment &environment,
                                              const rt::Checkpoint &checkpoint,
                                              const ModelChoice &choice,
                                              const std::string &artifact,
                                              int threads);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_WEIGHTERROR_H
