//===- RandomModel.h - What is drawn of a model -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_SWEEP_RANDOMMODEL_H
#define CLADE_TEST_CODEGEN_SWEEP_RANDOMMODEL_H

#include "lib/Import/WeightResolver.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/Formats/Checkpoint.h"
#include "test/CodeGen/Sweep/Sweep.h"
#include <nlohmann/json.hpp>

namespace clade::cpu::test {

inline constexpr int64_t vocabOfModels = 40, layersOfModels = 2;

/// What a model has beside kernels of tokens.
enum class Special { None, Scans, Latent, Adapters, Images };

/// A model of Inputs/kernels.spec in random sizes.
struct RandomModel {
  std::string architecture;
  Special special = Special::None;
  nlohmann::json config;
  TestCPU cpu;
  std::string dtype;   ///< "f32" or "bf16".
  std::string weights; ///< "dense", or a form of clade-quantise-weights.
  bool rounds = false; ///< After every published op.
  bool inRows = false; ///< Weights lie as they are published.
  bool absorbs = false;
  int64_t chunk = 0; ///< Of scans.
  import::AdapterPlaces places;
  uint64_t seed = 0;

  /// One of the families, in turn.
  static RandomModel draw(Sweep &sweep, size_t number);
  /// What it is, before what is wrong with it.
  std::string text() const;
};

/// Writes a checkpoint with random factors for all places for adapters that a
/// module has to `folder`, from which the module takes them as weights. False
/// if it cannot be written.
bool fillAdapters(mlir::ModuleOp module, uint64_t seed,
                  const rt::Checkpoint &checkpoint, const std::string &folder);

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_SWEEP_RANDOMMODEL_H
