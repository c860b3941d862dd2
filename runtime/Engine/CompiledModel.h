//===- CompiledModel.h - An artifact with its weights -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What sessions share: the checked artifact, its code, and the weights in the
// compiled layout.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_COMPILEDMODEL_H
#define CLADE_RUNTIME_ENGINE_COMPILEDMODEL_H

#include "runtime/Engine/Artifact.h"

#include <span>

namespace clade::rt {

struct ModelOptions {
  /// Path of the checkpoint; empty for the one that the manifest names.
  std::string checkpoint;
  /// Threads that read weights; 0 for defaultThreadCount().
  int threads = 0;
};

/// A model that is ready to run. Immutable; thread-safe.
class CompiledModel {
public:
  /// Opens the artifact at `path` and loads its weights from the checkpoint.
  static StatusOr<std::shared_ptr<const CompiledModel>>
  load(const std::string &path, const ModelOptions &options = {});

  /// A model with weights that are in memory already: weights[i] is slot i,
  /// valid as long as `owner`. InvalidArgument if their number is not the
  /// manifest's.
  static StatusOr<std::shared_ptr<const CompiledModel>>
  create(std::shared_ptr<const Artifact> artifact,
         std::vector<const void *> weights, std::shared_ptr<const void> owner);

  const Artifact &artifact() const { return *code; }
  const Manifest &manifest() const { return code->manifest(); }
  std::span<const void *const> weights() const { return slots; }
  /// What load() took.
  double loadSeconds() const { return seconds; }

private:
  CompiledModel() = default;
  static Status checkSlots(const Artifact &artifact, size_t found);

  std::shared_ptr<const Artifact> code;
  std::vector<const void *> slots;
  std::shared_ptr<const void> weightOwner;
  double seconds = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_COMPILEDMODEL_H
