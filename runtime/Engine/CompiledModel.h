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

#include "runtime/Device/DeviceModel.h"
#include "runtime/Engine/Artifact.h"
#include "runtime/Formats/Checkpoint.h"
#include "runtime/Support/ReadAhead.h"
#include "runtime/Tokenizer/Tokenizer.h"
#include "runtime/Weights/WeightCache.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <span>

namespace clade::rt {

struct ModelOptions {
  /// Path of the checkpoint; empty for the one that the manifest names.
  std::string checkpoint;
  /// Threads that read weights; 0 for defaultThreadCount().
  int threads = 0;
  /// Called on the caller's thread with bytes of weights made so far and in
  /// all. May be empty. Must not throw.
  std::function<void(int64_t done, int64_t total)> progress = nullptr;
  /// Read all packed weights and compare their hashes. Weights that are made
  /// from the checkpoint have none.
  bool verifyWeights = false;
  /// Where weights that are made from a checkpoint are kept for the next load;
  /// nowhere if it has no folder.
  WeightCacheOptions weightCache = {};
  /// The GPU that code for one runs on, from 0.
  int device = 0;
};

/// A model that is ready to run. Thread-safe.
class CompiledModel {
public:
  /// Opens the artifact at `path` and loads its weights: those it holds, or
  /// those of the checkpoint, also if `options` names another one.
  static StatusOr<std::shared_ptr<const CompiledModel>>
  load(const std::string &path, const ModelOptions &options = {});

  /// A model with weights that are in memory already: weights[i] is slot i,
  /// valid as long as `owner`. InvalidArgument if their number is not the
  /// manifest's, Unsupported for code for a GPU.
  static StatusOr<std::shared_ptr<const CompiledModel>>
  create(std::shared_ptr<const Artifact> artifact,
         std::vector<const void *> weights, std::shared_ptr<const void> owner);

  /// Bytes that load() would have to make of `checkpoint` before the first
  /// step: none that the artifact holds, that `cache` does, or that are used
  /// where they lie in the checkpoint.
  static StatusOr<int64_t> bytesToMake(const std::string &path,
                                       const Checkpoint &checkpoint,
                                       const WeightCacheOptions &cache);
  /// Makes the weights of the artifact at `path` into `options.weightCache`,
  /// unless they are there, with one thread. Ends soon with Cancelled once
  /// `cancel` is true, and leaves nothing half made.
  static Status keepWeights(const std::string &path,
                            const ModelOptions &options,
                            const std::atomic<bool> &cancel);

  const Artifact &artifact() const { return *code; }
  const Manifest &manifest() const { return code->manifest(); }
  /// Empty if the code is for a GPU.
  std::span<const void *const> weights() const { return slots; }
  /// Kernels and weights on the GPU, or null.
  const std::shared_ptr<const DeviceModel> &onDevice() const {
    return deviceModel;
  }
  /// Whether tokenizer() has something to read. Says so without reading it.
  bool hasTokenizer() const;
  /// The tokenizer of the artifact, or of its checkpoint; read when it is first
  /// asked for. NotFound if there is none. Valid as long as the model.
  StatusOr<const Tokenizer *> tokenizer() const;
  /// Bytes of the weights in memory or in mapped files, those that slots share
  /// once; 0 after create() and for weights on a GPU.
  uint64_t weightBytes() const;
  /// What load() took.
  double loadSeconds() const { return seconds; }

private:
  CompiledModel() = default;
  /// Whether the artifact's certificate is about its plan and, if there is one,
  /// the checkpoint.
  Status checkCertificate(const Checkpoint *opened) const;
  Status loadPacked(const ModelOptions &options);
  Status loadFromCheckpoint(const ModelOptions &options);
  void usePacked(const PackedWeights &packed);
  /// Brings the weights of code for a GPU there and forgets them here.
  Status moveToDevice(const ModelOptions &options);
  static Status checkSlots(const Artifact &artifact, size_t found);

  std::shared_ptr<const Artifact> code;
  std::vector<const void *> slots;
  std::vector<ByteSpan> slotBytes; ///< The same with sizes.
  std::shared_ptr<const void> weightOwner;
  std::unique_ptr<ReadAhead> readAhead; ///< Of what stays in the checkpoint.
  std::shared_ptr<const DeviceModel> deviceModel;
  std::string checkpoint; ///< Path of what the weights were made of.
  mutable std::mutex tokenizerLock;
  mutable std::unique_ptr<const Tokenizer> sharedTokenizer;
  double seconds = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_COMPILEDMODEL_H
