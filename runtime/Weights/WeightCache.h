//===- WeightCache.h - Made weights kept for the next load ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights that have to be made of a checkpoint are made in a file of a folder
// of bounded size; the next load of the same plan and files maps that file. An
// entry is a folder of packed.bin and packed.json (PackedWeights.h) under the
// hash of what it was made of, and appears under its name when it is complete.
// docs/performance/loading.md says what that is worth.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_WEIGHTCACHE_H
#define CLADE_RUNTIME_WEIGHTS_WEIGHTCACHE_H

#include "runtime/Weights/PackedWeights.h"

#include <optional>

namespace clade::rt {

struct WeightCacheOptions {
  /// Where entries are; made if it is missing. Empty: nothing is kept.
  std::string folder;
  /// Bytes of all entries; those that were not used for longest go first.
  int64_t maxBytes = 0;
  /// Weights of fewer bytes are made each time.
  int64_t minBytes = int64_t(64) << 20;
};

/// Bytes of the weights that have to be made, each slot for itself: those that
/// do not lie in a file as they are. Nothing beyond 63 bits.
std::optional<int64_t> bytesToMake(const WeightTable &table);

/// Whether the weights of `table`, whose JSON is `tableText`, would come from
/// the cache.
bool isCached(const WeightCacheOptions &options, const WeightTable &table,
              std::string_view tableText, const Checkpoint &checkpoint);

/// The weights of `table`, whose JSON is `tableText`, from the cache, into
/// which they are made if they are not there. Nothing if they are too small or
/// too large for it, or it cannot be written: a cache is no reason to fail.
/// Errors are those of the checkpoint (see loadWeights()), and Cancelled. Safe
/// with other processes that use the folder.
StatusOr<std::optional<PackedWeights>>
cachedWeights(const WeightCacheOptions &options, const WeightTable &table,
              std::string_view tableText, const Checkpoint &checkpoint,
              const LoadOptions &loadOptions = {});

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_WEIGHTCACHE_H
