//===- RandomCheckpoint.h - Random weights in their published form -*- C++ -*-//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_RANDOMCHECKPOINT_H
#define CLADE_TOOLS_CLADE_RANDOMCHECKPOINT_H

#include "tools/clade/Environment.h"

#include <nlohmann/json.hpp>

namespace clade::driver {

/// What a checkpoint of random weights is made of.
struct RandomCheckpoint {
  /// The family; null for the one that serves the configuration.
  const spec::FamilyDecl *family = nullptr;
  nlohmann::json config;
  std::string dtype = "f32"; ///< f32, bf16 or f16.
  uint64_t seed = 0;         ///< The same one gives the same bytes.
  double mostParameters = 4e9;
};

/// 'key=value' in a configuration, with a dotted key; the value is JSON, or
/// else a string. Usage, with a message, for what is neither.
int applySetting(nlohmann::json &config, const std::string &setting);

/// Writes config.json and model.safetensors with every tensor that the family
/// reads, under its published name. Gives the exit status; prints what is
/// wrong, and if `isTold` what was made.
int writeRandomCheckpoint(Environment &environment,
                          const RandomCheckpoint &wanted,
                          const std::string &folder, bool isTold);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_RANDOMCHECKPOINT_H
