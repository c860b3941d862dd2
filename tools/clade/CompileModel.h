//===- CompileModel.h - From a checkpoint to an artifact --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_COMPILEMODEL_H
#define CLADE_TOOLS_CLADE_COMPILEMODEL_H

#include "tools/clade/Environment.h"

#include "runtime/Engine/Manifest.h"

namespace clade::driver {

/// What a compiled model is compiled for.
struct ModelChoice {
  std::string dtype; ///< "bf16", "f32"; empty for the checkpoint's own.
  std::string precision = "fused"; ///< "fused" or "reference".
  /// Latent attention: "expanded" to keys and values of each head, "absorbed"
  /// into queries and outputs, or "auto".
  std::string latent = "auto";
  /// Tokens of a prompt that a linear recurrence computes at a time; 0 for one
  /// after the other.
  int64_t scanChunk = 32;
  /// What the weights of products are held as: "dense", numbers of the type
  /// that is computed in, or a form of clade-quantise-weights; empty for dense
  /// or, where that is what the checkpoint has and f32 is computed in, f16.
  std::string weights;
  /// How weights lie that are published row by row in the type they are
  /// multiplied in: "panels", "rows", or empty for panels and, where a command
  /// has a reason, rows.
  std::string layout;
  std::string target = "cpu"; ///< "cpu" or "cuda".
  std::string cpu = "native";
  std::string arch; ///< Of GPUs; empty for the oldest one that is served.
  /// If set, the module after every stage is written there.
  std::string dumpFolder;
  bool isTraced = false;        ///< Code shows every kernel's results.
  bool isPacked = false;        ///< The artifact holds its weights.
  import::AdapterPlaces places; ///< For adapters that are loaded at run time.

  bool isCuda() const { return target == "cuda"; }
  bool hasRows() const { return layout == "rows"; }
  void addTo(CLI::App &command);
  /// The options --target and --arch.
  void addTargetTo(CLI::App &command);
  void addLatentTo(CLI::App &command);
};

/// Gives latent attention the form that was chosen: by default the absorbed one
/// where that keeps less of a token, unless values round as in the reference.
/// Prints what is wrong.
bool chooseLatentForm(mlir::ModuleOp module, const ModelChoice &choice);

/// The option --weights, which sets `weights`.
void addWeightsOption(CLI::App &command, std::string &weights);

/// What the weights of products of an imported module are held as: the choice,
/// if it says so.
std::string weightFormOf(mlir::ModuleOp module, const ModelChoice &choice);

/// Gives the weights of products that form. Prints what is wrong.
bool chooseWeightForm(mlir::ModuleOp module, const ModelChoice &choice);

/// The fusions that every target shares, after the choices of the forms of
/// latent attention and of weights. Prints what is wrong.
bool fuseModule(mlir::ModuleOp module, const ModelChoice &choice);

/// From an imported module to the kernels that code is generated from, with
/// weights in panels of `panelRows` rows, where the choice is not to leave them
/// in rows; 0 leaves all as they are, for the interpreter.
bool formKernels(mlir::ModuleOp module, int64_t panelRows,
                 const ModelChoice &choice);

/// The form of latent attention that an artifact has, as `ModelChoice::latent`.
std::string latentFormOf(const rt::Manifest &manifest);

/// Compiles a checkpoint to an artifact folder. Prints what is wrong.
bool compileToFolder(Environment &environment, const rt::Checkpoint &checkpoint,
                     const ModelChoice &choice, const std::string &folder);

/// The machine that a choice is compiled for. Prints what is wrong.
std::optional<rt::ManifestTarget> targetOf(Environment &environment,
                                           const ModelChoice &choice);

/// The checkpoint's files that say how it takes images: names and texts.
rt::StatusOr<std::map<std::string, std::string>>
processorFiles(const rt::Checkpoint &checkpoint);

std::string absolutePath(const std::string &path);

/// The checkpoint that an artifact was compiled from.
rt::StatusOr<std::string> checkpointOf(const std::string &artifact);

/// Stop tokens: eos_token_id of generation_config.json, or else of the
/// configuration.
std::vector<int32_t> stopTokens(const rt::Checkpoint &checkpoint,
                                const import::Config &config);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_COMPILEMODEL_H
