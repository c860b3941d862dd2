//===- WeightLoader.h - Runs a weight table ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes all compiled weights of a model from its checkpoint: in parallel, by
// blocks of rows, without a whole intermediate copy of any tensor.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_WEIGHTLOADER_H
#define CLADE_RUNTIME_WEIGHTS_WEIGHTLOADER_H

#include "runtime/Formats/Checkpoint.h"
#include "runtime/Weights/WeightProgram.h"

#include <atomic>
#include <functional>
#include <span>

namespace clade::rt {

struct LoadOptions {
  /// Threads that work, the caller's included; 0 for one a processor.
  int threads = 0;
  /// Called on the caller's thread with bytes made so far and in all; the last
  /// call has them equal. May be empty. Must not throw.
  std::function<void(int64_t done, int64_t total)> progress;
  /// If it becomes true, loading ends soon with Cancelled. May be null.
  const std::atomic<bool> *cancel = nullptr;
  /// Let a weight that is a checkpoint tensor as it stands point into the
  /// mapping instead of being copied, at the alignment that its elements have
  /// there. What only a few rows of are read, such as embeddings, then costs
  /// neither time nor memory.
  bool useMappings = true;
  /// If not negative, a file that is open for reading and writing: weights are
  /// made where it is mapped, one behind the other from its start, and it gets
  /// their size. Nothing is used in place.
  int file = -1;
  /// With a file: where each slot begins in it instead, its whole size, and
  /// what lies between is left as it is.
  std::span<const int64_t> offsets = {};
  int64_t fileBytes = 0;
};

/// The compiled weights. Movable; moving keeps all addresses. Thread-safe: it
/// never changes. Keeps the mappings it points into alive.
class LoadedWeights {
public:
  LoadedWeights() = default;
  LoadedWeights(LoadedWeights &&other) noexcept { *this = std::move(other); }
  LoadedWeights &operator=(LoadedWeights &&other) noexcept;
  ~LoadedWeights();

  int32_t numSlots() const { return static_cast<int32_t>(slots.size()); }
  /// The weight of `slot` in [0, numSlots()): dense; 64-byte aligned if it was
  /// made, else aligned to its elements.
  ByteSpan slot(int32_t slot) const { return spans[static_cast<size_t>(slot)]; }
  /// The addresses of all slots, as CladeStep::weights wants them.
  const void *const *table() const { return slots.data(); }

  /// All made weights in one piece; the alignment of each is 64 bytes.
  ByteSpan allocated() const { return {arena, static_cast<size_t>(arenaUsed)}; }
  /// Bytes allocated for weights, and bytes used in place from the mappings.
  int64_t allocatedBytes() const { return arenaUsed; }
  int64_t mappedBytes() const { return mapped; }
  /// Bytes of tensors that were asked for to make weights, what was asked for
  /// twice counted twice; and the most memory that a thread had beside them.
  int64_t readBytes() const { return read; }
  int64_t scratchBytes() const { return scratch; }

private:
  friend class WeightLoader;
  std::byte *arena = nullptr; ///< One mapping with all made weights.
  size_t arenaSize = 0;
  int64_t arenaUsed = 0;
  int64_t mapped = 0;
  int64_t read = 0;
  int64_t scratch = 0;
  std::vector<const void *> slots;
  std::vector<ByteSpan> spans;
  std::vector<std::shared_ptr<const MappedFile>> mappings;
};

/// Tensors that weights are made from.
struct WeightSources {
  std::span<const StoredTensor> tensors; ///< Sorted by name.
  std::string place;                     ///< Where they are, for messages.
  /// What the loaded weights keep alive if they point into `tensors`.
  std::vector<std::shared_ptr<const MappedFile>> mappings;
};

/// The data of a source in `sources`, for layer `layer`: NotFound without such
/// a tensor, InvalidArgument for one of another dtype or shape.
StatusOr<ByteSpan> resolveSource(const WeightSources &sources,
                                 const WeightNode &source, int64_t layer);

/// Calls `work(isCaller)` on the caller's thread and on others at once,
/// together `threads` (0 for one a processor) but at most `jobs`, and waits for
/// all. If the system gives fewer threads, those there are do the work.
void runThreads(int threads, int64_t jobs,
                const std::function<void(bool isCaller)> &work);

/// Makes every slot of `table` from `checkpoint`. Slots of one entry that come
/// from the same layer, or from a program without layers, share one weight.
/// Errors name parameter and
/// tensor: NotFound for a tensor that the checkpoint lacks, InvalidArgument for
/// one with another shape or dtype, ResourceExhausted without enough memory,
/// Cancelled.
StatusOr<LoadedWeights> loadWeights(const WeightTable &table,
                                    const Checkpoint &checkpoint,
                                    const LoadOptions &options = {});

/// The same from tensors that need not be a checkpoint's. Without mappings that
/// hold them the bytes outlive the loaded weights.
StatusOr<LoadedWeights> loadWeights(const WeightTable &table,
                                    const WeightSources &sources,
                                    const LoadOptions &options = {});

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_WEIGHTLOADER_H
