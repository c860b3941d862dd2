//===- CompileModel.h - From a checkpoint to an artifact --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_COMPILEMODEL_H
#define CLADE_TOOLS_CLADE_COMPILEMODEL_H

#include "tools/clade/Environment.h"

namespace clade::driver {

/// What a compiled model is compiled for.
struct ModelChoice {
  std::string dtype; ///< "bf16", "f32"; empty for the checkpoint's own.
  std::string precision = "fused"; ///< "fused" or "reference".
  std::string cpu = "native";
  /// If set, the module after every stage is written there.
  std::string dumpFolder;
  bool isTraced = false; ///< Code shows every kernel's results.
  bool isPacked = false; ///< The artifact holds its weights.

  void addTo(CLI::App &command);
};

/// From an imported module to the kernels that code is generated from, with
/// weights in panels of `panelRows` rows; 0 leaves them as they are, for the
/// interpreter.
bool formKernels(mlir::ModuleOp module, int64_t panelRows,
                 const ModelChoice &choice);

/// Compiles a checkpoint to an artifact folder. Prints what is wrong.
bool compileToFolder(Environment &environment, const rt::Checkpoint &checkpoint,
                     const ModelChoice &choice, const std::string &folder);

/// The same into the cache, unless it is there already; gives the folder.
std::optional<std::string> compileToCache(Environment &environment,
                                          const rt::Checkpoint &checkpoint,
                                          const ModelChoice &choice);

/// The checkpoint that an artifact was compiled from.
rt::StatusOr<std::string> checkpointOf(const std::string &artifact);

/// Stop tokens: eos_token_id of generation_config.json, or else of the
/// configuration.
std::vector<int32_t> stopTokens(const rt::Checkpoint &checkpoint,
                                const import::Config &config);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_COMPILEMODEL_H
