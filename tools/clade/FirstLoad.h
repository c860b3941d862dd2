//===- FirstLoad.h - Which layout a run begins with -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Panels are read fastest, but have to be made: the first run of a checkpoint
// would wait for them longer than for its file. So it reads the published rows
// where they are, and the panels are made beside it for the next run. Both
// layouts give the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_FIRSTLOAD_H
#define CLADE_TOOLS_CLADE_FIRSTLOAD_H

#include "runtime/Engine/CompiledModel.h"
#include "tools/clade/CompileModel.h"

#include <atomic>
#include <optional>
#include <thread>

namespace clade::driver {

/// The artifacts that a run of a checkpoint may use.
struct LayoutChoice {
  std::string artifact; ///< To load now.
  std::string keep;     ///< Whose weights to make for the next run, or empty.
};

/// Compiles a checkpoint into the cache, in panels if `choice` says so, if
/// their weights are kept already, or if there is little to make; otherwise in
/// rows. Prints what is wrong.
std::optional<LayoutChoice> compileForRun(Environment &environment,
                                          const rt::Checkpoint &checkpoint,
                                          ModelChoice choice,
                                          const rt::WeightCacheOptions &cache);

/// Makes the weights of an artifact for the next run, beside this one: with one
/// thread that others go before. What is not done when it ends is given up.
class WeightKeeper {
public:
  WeightKeeper(std::string artifact, rt::ModelOptions options)
      : artifact(std::move(artifact)), options(std::move(options)) {}
  ~WeightKeeper();
  WeightKeeper(const WeightKeeper &) = delete;
  WeightKeeper &operator=(const WeightKeeper &) = delete;

  /// Begins, if there is an artifact and it has not begun.
  void start();

private:
  std::string artifact;
  rt::ModelOptions options;
  std::atomic<bool> isCancelled{false};
  std::thread thread;
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_FIRSTLOAD_H
