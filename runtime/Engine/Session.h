//===- Session.h - Running a model over sequences ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The core of the engine: sequences with their cache, and step(), which runs
// any mix of prefill and decode through the compiled code on a thread pool.
// Choosing tokens is not done here (Sampler.h, Generate.h).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_SESSION_H
#define CLADE_RUNTIME_ENGINE_SESSION_H

#include "runtime/Device/DeviceModel.h"
#include "runtime/Engine/CompiledModel.h"
#include "runtime/Engine/KVCache.h"
#include "runtime/Engine/Route.h"
#include "runtime/Engine/ThreadPool.h"
#include "runtime/Weights/WeightProgram.h"

#include <functional>

namespace clade::rt {

using RouteFunction = std::function<void(SequenceId, const Route &)>;
using TraceFunction = std::function<void(const void *values, int64_t bytes)>;

struct SessionOptions {
  int threads = 0;         ///< 0 for defaultThreadCount().
  uint64_t cacheBytes = 0; ///< Budget of keys and values; 0 for half of the
                           ///< memory that is available now, on the GPU for
                           ///< code for one.
  /// Tokens of one sequence that one call of the code gets; longer inputs are
  /// cut, but for models that read whole sequences. 0 for no limit. Bounds the
  /// workspace.
  int32_t chunk = 512;
  /// Tokens that a sequence may have; 0 for the model's own limit.
  int64_t maxContext = 0;
  /// Gets each result of each kernel of code that was compiled to be traced:
  /// see CladeStep::trace.
  TraceFunction trace;
};

/// New tokens of one sequence, for one step.
struct BatchItem {
  SequenceId sequence = SequenceId::None;
  std::span<const int32_t> tokens; ///< At least one.
  /// wanted[i] != 0 asks for the logits after tokens[i]. Empty means the last
  /// token's only.
  std::span<const uint8_t> wanted = {};
  /// For each token the row of the session's images that stands for it, or -1.
  /// Empty means that none does.
  std::span<const int32_t> mediaRows = {};
  /// Of a model whose positions have them, for each token its time, row and
  /// column. Empty means those of a text without images.
  std::span<const int32_t> mediaPositions = {};
  /// Of a model whose tokens have types, the type of each. Empty means 0.
  std::span<const int32_t> types = {};
};

/// Rows of logits, f32 [rows][width], in the order of the batch's wanted
/// tokens.
struct Logits {
  const float *data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;
  /// What became of each row that something was asked of; null if all of `data`
  /// is there.
  const ChosenRow *chosen = nullptr;
  bool hasRow(int64_t i) const { return !chosen || chosen[i].hasLogits; }
  std::span<const float> row(int64_t i) const {
    return {data + i * width, static_cast<size_t>(width)};
  }
};

/// Not thread-safe, except for cancel().
class Session {
public:
  static StatusOr<std::unique_ptr<Session>>
  create(std::shared_ptr<const CompiledModel> model,
         const SessionOptions &options);

  /// An empty sequence. `scaledLength` is the length that a length-dependent
  /// rotary scaling is fixed for: usually prompt and expected tokens. Such
  /// models need it (InvalidArgument if it is not positive), others ignore it.
  StatusOr<SequenceId> createSequence(int64_t scaledLength = 0);
  Status freeSequence(SequenceId id) { return cache->freeSequence(id); }
  /// See KVCache::copySequence.
  StatusOr<SequenceId> copySequence(SequenceId id) {
    return cache->copySequence(id);
  }
  /// See KVCache::truncate.
  Status truncate(SequenceId id, int64_t length) {
    return cache->truncate(id, length);
  }
  StatusOr<int64_t> length(SequenceId id) const { return cache->length(id); }

  /// Loads a LoRA adapter in PEFT's form beside the weights; gives its number,
  /// from 1. Unsupported for code without places for adapters and for an
  /// adapter of what has no place, ResourceExhausted if all places are taken,
  /// else the errors of Adapter::open.
  StatusOr<int32_t> loadAdapter(const std::string &path);
  /// Tokens that the sequence gets from now on are computed with this adapter;
  /// 0 for none, as at first.
  Status setAdapter(SequenceId id, int32_t adapter);
  /// InvalidArgument for a number that no adapter has.
  Status checkAdapter(int32_t adapter) const;

  /// InvalidArgument unless these are the types of as many tokens, or none.
  Status checkTypes(std::span<const int32_t> types, size_t numTokens) const;

  /// Appends the tokens of each item to its sequence and computes the wanted
  /// logits, valid until the next step. Of a model that reads whole sequences,
  /// such as an encoder, each is new, and rows are what the model gives
  /// instead. Nothing has changed after InvalidArgument (empty batch, unknown
  /// or repeated sequence, token outside the vocabulary, context limit, a type
  /// that the model has not). After ResourceExhausted or Cancelled, sequences
  /// keep the pieces that were done: see length(). `draws`, if any, say for
  /// each row what matters of it: code for a GPU gives Logits::chosen then, and
  /// leaves rows out.
  StatusOr<Logits> step(std::span<const BatchItem> batch,
                        std::span<const TokenDraw> draws = {});

  /// Computes the rows of images (the entry `image`), for mediaRows of later
  /// steps; gives the number of the first. InvalidArgument for a model without
  /// such an entry, and for patches that do not fit its layout.
  StatusOr<int64_t> addImages(const ImagePatches &images);
  /// Forgets the rows of all images.
  void clearImages() { media.clear(); }
  /// Rows of images that there are.
  int64_t numMediaRows() const;
  /// Rows that `images` have in the session's model.
  int64_t mediaRowsOf(const ImagePatches &images) const;

  /// Calls `router` for each token in each layer with routed experts of each
  /// later step, from any of the threads, several at once; it may change them.
  /// Null for none.
  void setRouter(RouteFunction function) { router = std::move(function); }

  /// Makes the running step end with Cancelled at the next piece, and every
  /// step after it, until clearCancel(). Callable from any thread.
  void cancel() { cancelled.store(true, std::memory_order_relaxed); }
  void clearCancel() { cancelled.store(false, std::memory_order_relaxed); }

  const CompiledModel &model() const { return *sharedModel; }
  int threads() const { return pool->size(); }
  const KVCache &keyValueCache() const { return *cache; }
  /// Bytes of the workspace, scratch memory and results of steps so far.
  uint64_t planBytes() const;
  /// Tokens that a sequence may have.
  int64_t maxContext() const { return contextLimit; }

private:
  /// What is left to do of one batch item.
  struct Pending {
    const BatchItem *item;
    int64_t done;     ///< Tokens of the item that earlier pieces took.
    int64_t position; ///< Of the next token in its sequence.
    int64_t firstRow; ///< Row of its first wanted token in the result.
  };

  Session(std::shared_ptr<const CompiledModel> model,
          const SessionOptions &options);
  Status makeCache(uint64_t budget);
  Status makePlaces();
  Status fillPlace(int32_t slot, int32_t place, ByteSpan matrices);
  Status checkBatch(std::span<const BatchItem> batch) const;
  Status checkItem(const BatchItem &item) const;
  Status beginStep(std::span<const BatchItem> batch);
  bool fillPiece();
  Status runPiece();
  Status reserveMemory();
  Status reserveFor(const ManifestWorkspace &sizes,
                    const ManifestScratch &scratchSizes, int64_t numTokens,
                    int64_t numSelected, int64_t numSequences, int64_t context);
  CladeStep emptyStep();
  Status runImages(const ImagePatches &images, int64_t first, int64_t end,
                   int64_t firstPatch, float *output);
  void scatterRows();
  void keepChosen();
  void route(int32_t layer, int32_t token, std::span<int32_t> experts,
             int32_t numExperts, bool isAsked = false) const;

  std::shared_ptr<const CompiledModel> sharedModel;
  const int32_t chunk;
  TraceFunction trace;
  RouteFunction router;
  int64_t contextLimit;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<DeviceStep> deviceStep; ///< If the code is for a GPU.
  std::unique_ptr<DeviceStep> imageStep;  ///< And the model takes images.
  std::unique_ptr<KVCache> cache;
  std::atomic<bool> cancelled{false};

  // The step's state. Members so that a steady state allocates nothing.
  std::vector<Pending> pending;
  std::vector<KVCache::Growth> growths;
  std::vector<int32_t> tokens, positions, sequenceOf, firstToken, selected,
      scaledLengths, mediaRows, mediaPositions, adapters, types;
  std::vector<float> media;           ///< Rows of images.
  std::vector<int64_t> rowOfSelected; ///< Row of the result for selected[i].
  int64_t numRows = 0;
  int64_t longest = 0; ///< Tokens of the longest sequence after the piece.
  bool onePiece = false;
  /// What is asked of the rows of the step, and of a piece; empty if the rows
  /// themselves are.
  std::span<const TokenDraw> draws;
  std::vector<TokenDraw> pieceDraws;
  std::vector<ChosenRow> chosen, pieceChosen;
  /// Of all rows of the step, where a row has `firstCandidates`.
  std::vector<TokenCandidate> candidates;
  std::vector<size_t> firstCandidates;
  AlignedBuffer workspace, scratch, logits, pieceOutput;
  int64_t scratchBytes = 0;

  /// Those of the model, and the session's own places for adapters.
  std::vector<const void *> weights;
  WeightTable adapterTable;          ///< How an adapter fills a place.
  std::vector<int64_t> placeOffsets; ///< Of its slots, in all places' memory.
  AlignedBuffer adapterMemory;
  DeviceBuffer deviceAdapters; ///< In its place if the code is for a GPU.
  int32_t numAdapters = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_SESSION_H
