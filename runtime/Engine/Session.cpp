//===- Session.cpp - Running a model over sequences -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step is cut into pieces of at most `chunk` tokens a sequence; each piece is
// one call of the compiled code on all threads. Rows of logits are brought into
// the batch's order when there was more than one piece.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Session.h"

#include "runtime/Device/DevicePages.h"
#include "runtime/Support/CheckedMath.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

/// Threads' scratch does not share cache lines, also with adjacent prefetch.
constexpr int64_t scratchAlignment = 128;

/// sum(factors[i] * counts[i]), or nothing if it does not fit.
std::optional<int64_t>
checkedSum(std::initializer_list<std::pair<int64_t, int64_t>> terms) {
  std::optional<int64_t> sum = 0;
  for (auto [size, count] : terms) {
    std::optional<int64_t> product = checkedMul(size, count);
    sum = sum && product ? checkedAdd(*sum, *product) : std::nullopt;
  }
  return sum;
}

bool isWanted(const BatchItem &item, int64_t i) {
  if (item.wanted.empty())
    return i + 1 == static_cast<int64_t>(item.tokens.size());
  return item.wanted[static_cast<size_t>(i)] != 0;
}

int64_t countWanted(const BatchItem &item) {
  if (item.wanted.empty())
    return 1;
  return std::ranges::count_if(item.wanted, [](uint8_t w) { return w != 0; });
}

} // namespace

Session::Session(std::shared_ptr<const CompiledModel> model,
                 const SessionOptions &options)
    : sharedModel(std::move(model)),
      chunk(options.chunk == 0 || sharedModel->manifest().wholeSequences
                ? INT32_MAX
                : options.chunk),
      trace(options.trace) {
  contextLimit = sharedModel->manifest().model.maxPositions.value_or(INT32_MAX);
  if (options.maxContext > 0)
    contextLimit = std::min(contextLimit, options.maxContext);
}

StatusOr<std::unique_ptr<Session>>
Session::create(std::shared_ptr<const CompiledModel> model,
                const SessionOptions &options) {
  if (options.chunk < 0)
    return Status::invalidArgument(
        "expected a chunk of at least 0 tokens, got " +
        std::to_string(options.chunk));
  if (options.maxContext < 0)
    return Status::invalidArgument(
        "expected a context of at least 0 tokens, got " +
        std::to_string(options.maxContext));
  std::unique_ptr<Session> session(new Session(std::move(model), options));
  int threads = options.threads ? options.threads : defaultThreadCount();
  if (session->model().onDevice()) {
    CLADE_ASSIGN_OR_RETURN(session->deviceStep,
                           DeviceStep::create(session->model().onDevice()));
    if (session->model().manifest().images) {
      CLADE_ASSIGN_OR_RETURN(session->imageStep,
                             DeviceStep::create(session->model().onDevice(),
                                                /*ofImages=*/true));
    }
    threads = 1; // They have nothing to do.
  }
  CLADE_ASSIGN_OR_RETURN(session->pool, ThreadPool::create(threads));
  CLADE_RETURN_IF_ERROR(session->makeCache(options.cacheBytes));
  CLADE_RETURN_IF_ERROR(session->makePlaces());
  return session;
}

Status Session::makeCache(uint64_t budget) {
  MakePages makePages = makeHostPages;
  uint64_t available = 0;
  if (deviceStep) {
    const std::shared_ptr<CudaStream> &stream = deviceStep->stream();
    CLADE_ASSIGN_OR_RETURN(available, stream->device()->freeBytes());
    makePages = devicePages(stream);
  } else {
    available = availableMemory();
  }
  CLADE_ASSIGN_OR_RETURN(cache, KVCache::create(model().manifest(),
                                                budget ? budget : available / 2,
                                                makePages));
  return {};
}

StatusOr<SequenceId> Session::createSequence(int64_t scaledLength) {
  if (!model().manifest().lengthDependentRotary)
    return cache->createSequence(0);
  if (scaledLength < 1 || scaledLength > INT32_MAX)
    return Status::invalidArgument(
        "the model's rotary scaling depends on the length: expected a length "
        "in [1, 2147483647] for the sequence, got " +
        std::to_string(scaledLength));
  return cache->createSequence(static_cast<int32_t>(scaledLength));
}

//===----------------------------------------------------------------------===//
// Checking a batch
//===----------------------------------------------------------------------===//

Status Session::checkItem(const BatchItem &item) const {
  StatusOr<int64_t> length = cache->length(item.sequence);
  if (!length.ok())
    return length.takeStatus();
  if (item.tokens.empty())
    return Status::invalidArgument("a sequence of the batch has no new tokens");
  if (!item.wanted.empty() && item.wanted.size() != item.tokens.size())
    return Status::invalidArgument(
        "expected a mask of " + std::to_string(item.tokens.size()) +
        " tokens, got " + std::to_string(item.wanted.size()));
  if (!item.mediaRows.empty() && item.mediaRows.size() != item.tokens.size())
    return Status::invalidArgument("expected a row or -1 for each of " +
                                   std::to_string(item.tokens.size()) +
                                   " tokens, got " +
                                   std::to_string(item.mediaRows.size()));
  if (!item.mediaPositions.empty() &&
      item.mediaPositions.size() != 3 * item.tokens.size())
    return Status::invalidArgument("expected three positions for each of " +
                                   std::to_string(item.tokens.size()) +
                                   " tokens, got " +
                                   std::to_string(item.mediaPositions.size()));
  int64_t rows = numMediaRows();
  for (int32_t row : item.mediaRows)
    if (row < -1 || row >= rows)
      return Status::invalidArgument("expected a row of images below " +
                                     std::to_string(rows) + " or -1, got " +
                                     std::to_string(row));
  int64_t vocab = model().manifest().model.vocab;
  for (int32_t token : item.tokens)
    if (token < 0 || token >= vocab)
      return Status::invalidArgument("expected a token in [0, " +
                                     std::to_string(vocab - 1) + "], got " +
                                     std::to_string(token));
  CLADE_RETURN_IF_ERROR(checkTypes(item.types, item.tokens.size()));
  if (model().manifest().wholeSequences && *length > 0)
    return Status::invalidArgument(
        "the model reads a sequence as a whole: one of " +
        std::to_string(*length) + " tokens cannot get more");
  auto added = static_cast<int64_t>(item.tokens.size());
  if (added > contextLimit - *length)
    return Status::invalidArgument(
        "a sequence of " + std::to_string(*length) + " tokens cannot get " +
        std::to_string(added) + " more: the limit is " +
        std::to_string(contextLimit));
  return {};
}

Status Session::checkTypes(std::span<const int32_t> types,
                           size_t numTokens) const {
  int32_t known = model().manifest().tokenTypes;
  if (types.empty())
    return {};
  if (known == 0)
    return Status::invalidArgument("the model takes no types of tokens");
  if (types.size() != numTokens)
    return Status::invalidArgument("expected a type for each of " +
                                   std::to_string(numTokens) + " tokens, got " +
                                   std::to_string(types.size()));
  for (int32_t type : types)
    if (type < 0 || type >= known)
      return Status::invalidArgument("expected a type in [0, " +
                                     std::to_string(known - 1) + "], got " +
                                     std::to_string(type));
  return {};
}

Status Session::checkBatch(std::span<const BatchItem> batch) const {
  if (batch.empty())
    return Status::invalidArgument("the batch is empty");
  int64_t total = 0;
  for (const BatchItem &item : batch) {
    CLADE_RETURN_IF_ERROR(checkItem(item));
    total += static_cast<int64_t>(item.tokens.size());
  }
  if (total > INT32_MAX)
    return Status::invalidArgument("the batch has more than 2147483647 tokens");
  return {};
}

//===----------------------------------------------------------------------===//
// Running it
//===----------------------------------------------------------------------===//

StatusOr<Logits> Session::step(std::span<const BatchItem> batch,
                               std::span<const TokenDraw> asked) {
  CLADE_RETURN_IF_ERROR(checkBatch(batch));
  CLADE_RETURN_IF_ERROR(beginStep(batch));
  if (!asked.empty() && static_cast<int64_t>(asked.size()) != numRows)
    return Status::invalidArgument("expected a draw for each of " +
                                   std::to_string(numRows) + " rows, got " +
                                   std::to_string(asked.size()));
  draws = deviceStep ? asked : std::span<const TokenDraw>();
  chosen.assign(draws.size(), {});
  firstCandidates.assign(draws.size(), 0);
  candidates.clear();
  int64_t width = model().manifest().logitsWidth();
  // A row has at most 2^31 entries. Rows that nobody writes take no memory.
  std::optional<int64_t> bytes =
      checkedMul<int64_t>(width * sizeof(float), numRows);
  CLADE_RETURN_IF_ERROR(logits.reserve(
      bytes ? static_cast<uint64_t>(*bytes) : UINT64_MAX, "the logits"));
  while (fillPiece()) {
    if (cancelled.load(std::memory_order_relaxed))
      return Status::cancelled("the step was cancelled");
    CLADE_RETURN_IF_ERROR(runPiece());
  }
  for (size_t i = 0; i < chosen.size(); ++i)
    chosen[i].candidates = {candidates.data() + firstCandidates[i],
                            chosen[i].candidates.size()};
  return Logits{reinterpret_cast<const float *>(logits.data()), numRows, width,
                draws.empty() ? nullptr : chosen.data()};
}

Status Session::beginStep(std::span<const BatchItem> batch) {
  pending.clear();
  growths.clear();
  numRows = 0;
  onePiece = true;
  for (const BatchItem &item : batch) {
    pending.push_back({&item, 0, *cache->length(item.sequence), numRows});
    growths.push_back({item.sequence, 0});
    numRows += countWanted(item);
    onePiece &= item.tokens.size() <= static_cast<size_t>(chunk);
  }
  std::ranges::sort(growths, {}, &KVCache::Growth::id);
  if (std::ranges::adjacent_find(growths, {}, &KVCache::Growth::id) !=
      growths.end())
    return Status::invalidArgument("a sequence is in the batch twice");
  return {};
}

/// Describes the next piece, or returns false if nothing is left.
bool Session::fillPiece() {
  for (auto *list :
       {&tokens, &positions, &sequenceOf, &firstToken, &selected,
        &scaledLengths, &mediaRows, &mediaPositions, &adapters, &types})
    list->clear();
  rowOfSelected.clear();
  growths.clear();
  longest = 0;
  for (Pending &work : pending) {
    const BatchItem &item = *work.item;
    auto left = static_cast<int64_t>(item.tokens.size()) - work.done;
    int64_t count = std::min<int64_t>(left, chunk);
    if (count == 0)
      continue;
    auto row = static_cast<int32_t>(growths.size());
    firstToken.push_back(static_cast<int32_t>(tokens.size()));
    for (int64_t i = work.done; i < work.done + count; ++i) {
      if (isWanted(item, i)) {
        selected.push_back(static_cast<int32_t>(tokens.size()));
        rowOfSelected.push_back(work.firstRow++);
      }
      tokens.push_back(item.tokens[static_cast<size_t>(i)]);
      for (int64_t axis = 0; axis < 3; ++axis)
        mediaPositions.push_back(
            item.mediaPositions.empty()
                ? static_cast<int32_t>(work.position)
                : item.mediaPositions[static_cast<size_t>(3 * i + axis)]);
      mediaRows.push_back(
          item.mediaRows.empty() ? -1 : item.mediaRows[static_cast<size_t>(i)]);
      positions.push_back(static_cast<int32_t>(work.position++));
      sequenceOf.push_back(row);
      types.push_back(item.types.empty() ? 0
                                         : item.types[static_cast<size_t>(i)]);
      adapters.push_back(cache->adapter(item.sequence));
    }
    scaledLengths.push_back(cache->scaledLength(item.sequence));
    growths.push_back({item.sequence, count});
    work.done += count;
    longest = std::max(longest, work.position);
  }
  firstToken.push_back(static_cast<int32_t>(tokens.size()));
  return !tokens.empty();
}

Status Session::reserveFor(const ManifestWorkspace &sizes,
                           const ManifestScratch &scratchSizes,
                           int64_t numTokens, int64_t numSelected,
                           int64_t numSequences, int64_t context) {
  std::optional<int64_t> shared =
      checkedSum({{sizes.fixed, 1},
                  {sizes.perToken, numTokens},
                  {sizes.perSelected, numSelected},
                  {sizes.perSequence, numSequences}});
  CLADE_RETURN_IF_ERROR(workspace.reserve(
      shared ? static_cast<uint64_t>(*shared) : UINT64_MAX, "the workspace"));

  int64_t whole = ceilDiv(context, CLADE_PAGE_TOKENS) * CLADE_PAGE_TOKENS;
  std::optional<int64_t> own =
      checkedSum({{scratchSizes.fixed, 1}, {scratchSizes.perContext, whole}});
  if (own)
    own = checkedAlignUp(*own, scratchAlignment);
  std::optional<int64_t> all =
      own ? checkedMul<int64_t>(*own, pool->size()) : std::nullopt;
  CLADE_RETURN_IF_ERROR(scratch.reserve(
      all ? static_cast<uint64_t>(*all) : UINT64_MAX, "the threads' scratch"));
  scratchBytes = *own;
  return {};
}

uint64_t Session::planBytes() const {
  return workspace.size() + scratch.size() + logits.size() + pieceOutput.size();
}

Status Session::reserveMemory() {
  const Manifest &manifest = model().manifest();
  auto count = [](const auto &list) {
    return static_cast<int64_t>(list.size());
  };
  // A GPU has memory of its own for a step.
  if (!deviceStep)
    CLADE_RETURN_IF_ERROR(reserveFor(manifest.workspace, manifest.scratch,
                                     count(tokens), count(selected),
                                     count(growths), longest));
  if (onePiece)
    return {};
  // Not larger than the logits, whose size was checked.
  uint64_t rowBytes =
      static_cast<uint64_t>(manifest.logitsWidth()) * sizeof(float);
  return pieceOutput.reserve(selected.size() * rowBytes,
                             "the logits of a piece");
}

/// A step with what all steps have, after reserveFor().
CladeStep Session::emptyStep() {
  CladeStep step = {};
  step.struct_size = sizeof(CladeStep);
  step.abi_version = CLADE_ABI_VERSION;
  step.num_threads = pool->size();
  step.weights = weights.data();
  step.workspace = workspace.data();
  step.scratch = scratch.data();
  step.scratch_bytes = scratchBytes;
  step.barrier = ThreadPool::barrierCallback;
  step.barrier_state = pool.get();
  return step;
}

Status Session::runPiece() {
  CLADE_RETURN_IF_ERROR(reserveMemory());
  CLADE_RETURN_IF_ERROR(cache->grow(growths));
  const Manifest &manifest = model().manifest();
  CladeStep step = emptyStep();
  step.num_tokens = static_cast<int32_t>(tokens.size());
  step.num_sequences = static_cast<int32_t>(growths.size());
  step.num_selected = static_cast<int32_t>(selected.size());
  step.num_layers = static_cast<int32_t>(manifest.layers.size());
  step.tokens = tokens.data();
  step.positions = positions.data();
  step.sequence_of = sequenceOf.data();
  step.first_token = firstToken.data();
  step.selected = selected.data();
  step.scaled_lengths = scaledLengths.data();
  step.layers = manifest.layers.data();
  step.media = media.data();
  step.media_rows = mediaRows.data();
  step.media_positions = mediaPositions.data();
  step.adapters = adapters.data();
  step.token_types = types.data();
  step.states = cache->states(growths).data();
  step.output =
      reinterpret_cast<float *>((onePiece ? logits : pieceOutput).data());
  if (trace) {
    step.trace = [](void *state, const void *values, int64_t bytes) {
      (*static_cast<TraceFunction *>(state))(values, bytes);
    };
    step.trace_state = &trace;
  }
  if (router) {
    step.route = [](void *session, int32_t layer, int32_t token,
                    int32_t *experts, int32_t count, int32_t numExperts) {
      static_cast<const Session *>(session)->route(
          layer, token, {experts, static_cast<size_t>(count)}, numExperts);
    };
    step.route_state = this;
  }
  if (deviceStep) {
    DeviceRouter choose;
    if (router)
      choose = [this](const LaunchRouter &made, int32_t token,
                      std::span<int32_t> experts, bool isAsked) {
        route(made.layer, token, experts, made.experts, isAsked);
      };
    pieceDraws.clear();
    if (!draws.empty())
      for (int64_t row : rowOfSelected)
        pieceDraws.push_back(draws[static_cast<size_t>(row)]);
    pieceChosen.resize(pieceDraws.size());
    CLADE_RETURN_IF_ERROR(
        deviceStep->run(step, choose, pieceDraws, pieceChosen));
  } else {
    CladeStepFunction forward = model().artifact().forward();
    pool->run([&step, forward](int thread) { forward(&step, thread); });
  }
  cache->advance(growths);
  if (!draws.empty())
    keepChosen();
  if (!onePiece)
    scatterRows();
  return {};
}

/// Keeps what the rows of a piece gave beyond the next piece.
void Session::keepChosen() {
  for (size_t i = 0; i < rowOfSelected.size(); ++i) {
    auto row = static_cast<size_t>(rowOfSelected[i]);
    chosen[row] = pieceChosen[i];
    firstCandidates[row] = candidates.size();
    candidates.insert(candidates.end(), pieceChosen[i].candidates.begin(),
                      pieceChosen[i].candidates.end());
  }
}

void Session::route(int32_t layer, int32_t token, std::span<int32_t> experts,
                    int32_t numExperts, bool isAsked) const {
  auto i = static_cast<size_t>(token);
  SequenceId sequence = growths[static_cast<size_t>(sequenceOf[i])].id;
  router(sequence, {layer, positions[i], experts, numExperts, isAsked});
}

void Session::scatterRows() {
  auto rowBytes =
      static_cast<size_t>(model().manifest().logitsWidth()) * sizeof(float);
  for (size_t i = 0; i < rowOfSelected.size(); ++i)
    if (draws.empty() || pieceChosen[i].hasLogits)
      std::memcpy(logits.data() +
                      static_cast<size_t>(rowOfSelected[i]) * rowBytes,
                  pieceOutput.data() + i * rowBytes, rowBytes);
}
