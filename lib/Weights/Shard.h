//===- Shard.h - What each of several devices holds -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight is cut along the axis that its names say: heads, the width of a feed
// forward part and the vocabulary among the devices that share each layer,
// experts among others, and layers among stages. Axes that are several joined,
// as those of fused products are, are cut part by part, so that a device has
// its own heads of each. docs/rationale/sharding.md says which axes, and why.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_SHARD_H
#define CLADE_LIB_WEIGHTS_SHARD_H

#include "lib/Weights/Uses.h"

namespace clade {

/// How many devices share a model, and which of them is meant. Ranks count the
/// devices of a layer first, then those of experts, then stages.
struct Mesh {
  int64_t tensor = 1;   ///< Devices that share every layer ("tp").
  int64_t expert = 1;   ///< Devices that share the experts ("ep").
  int64_t pipeline = 1; ///< Stages of layers ("pp").
  int64_t rank = 0;

  int64_t numRanks() const { return tensor * expert * pipeline; }
  int64_t tensorRank() const { return rank % tensor; }
  int64_t expertRank() const { return rank / tensor % expert; }
  int64_t pipelineRank() const { return rank / (tensor * expert); }

  /// Reads "tp=2,ep=4,pp=1,rank=3"; what is left out is 1, the rank 0. Gives
  /// what is wrong with the text, or nothing.
  static std::optional<std::string> parse(llvm::StringRef text, Mesh &mesh);
  /// What is wrong with the numbers, or nothing.
  std::optional<std::string> check() const;
};

/// The parts of one axis of a weight that a device holds, one behind the other.
struct AxisCut {
  int64_t axis = 0; ///< Of the weight's function.
  std::string name; ///< The named axis that is shared, such as "kv_heads".
  /// Begin and size of each part.
  llvm::SmallVector<std::pair<int64_t, int64_t>> parts;

  int64_t size() const;
};

/// What a device holds of a weight.
struct WeightShard {
  wmap::FuncOp function;
  /// The layers that the device has it for, or −1 outside of layers.
  llvm::SmallVector<int64_t> layers;
  /// At most one for experts and one for the devices of a layer. Without any
  /// the device holds all of it.
  llvm::SmallVector<AxisCut> cuts;
  /// Whether what the product gives is a part of a sum over the devices of the
  /// layer: the cut axis is one that it contracts.
  bool isSummed = false;
};

/// What the mesh's rank holds of each weight of `module`, which has its
/// computation and verifies; weights of other stages are left out. Diagnosed:
/// an axis that the devices cannot share equally, stages without layers.
mlir::FailureOr<llvm::SmallVector<WeightShard>>
planShards(mlir::ModuleOp module, const SlotTable &slots, const Mesh &mesh);

/// Makes a module the weights of a rank: of each function a part remains, with
/// its layers as attribute `layers`, and nothing else. Slices stand where the
/// cuts are; canonicalisation moves them to the sources.
void applyShards(mlir::ModuleOp module, llvm::ArrayRef<WeightShard> shards);

/// The weights of a module that applyShards() made, with slots in order.
llvm::SmallVector<WeightUse> collectShardUses(mlir::ModuleOp module);

/// What a weight reads of a source: the tensors of one name, of all the layers.
struct SourceRead {
  std::string name;
  int64_t stack = 0; ///< Experts that the name stands for; 0 for none.
  /// Elements that are read and in all, of one layer.
  int64_t elements = 0, total = 0;
};

/// The reads of a function after canonicalisation, each name once.
llvm::SmallVector<SourceRead> readsOf(wmap::FuncOp function);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_SHARD_H
