//===- Shards.h - The weights of one of several devices ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// 'clade inspect --shard' and 'clade convert --to weights'.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_SHARDS_H
#define CLADE_TOOLS_CLADE_SHARDS_H

#include "tools/clade/Convert.h"

#include "lib/Weights/Shard.h"

namespace clade::driver {

/// The compiled weights of a mesh's rank.
struct RankWeights {
  import::ImportedModel model; ///< Whose module holds them, and nothing else.
  llvm::SmallVector<WeightUse> uses;
  /// What 'clade inspect --shard --json' prints.
  nlohmann::json description;
};

/// Adds --shard, which takes what Mesh::parse() reads.
void addShardOption(CLI::App &command, std::string &shard);

/// Imports and fuses a checkpoint and leaves what the rank has of it. No tensor
/// is read. Prints what is wrong.
std::optional<RankWeights> weightsOfRank(Environment &environment,
                                         const rt::Checkpoint &checkpoint,
                                         const ModelChoice &choice,
                                         const std::string &shard);

/// A type as its IR says it, and sizes such as 64x32.
std::string typeText(mlir::Type type);
std::string shapeText(const nlohmann::json &shape);

/// Prints the description of a rank as a table.
void printRank(const nlohmann::json &description);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_SHARDS_H
