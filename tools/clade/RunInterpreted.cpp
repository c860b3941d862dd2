//===- RunInterpreted.cpp - Generation by the interpreter -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/RunInterpreted.h"

#include "tools/clade/Environment.h"

#include "llvm/ADT/ScopeExit.h"

#include <chrono>

using namespace clade;
using namespace clade::driver;
using mlir::failure;
using mlir::FailureOr;
using mlir::succeeded;

namespace {
/// A request on its way.
struct Active {
  const rt::GenerateRequest *request;
  rt::Sampler sampler;
  int sequence;
  std::vector<int32_t> history;      ///< Prompt and chosen tokens.
  std::vector<int32_t> mediaRows;    ///< Of the prompt; empty without images.
  rt::MediaPositions mediaPositions; ///< Likewise.
  int64_t fed = 0;                   ///< Tokens of the history that have run.
  bool done = false;
};
} // namespace

/// The next token of a request, from the logits after its last one.
static rt::StatusOr<int32_t>
chooseToken(Active &active, rt::GenerateResult &result,
            std::span<const float> logits,
            const std::vector<int32_t> &stopTokens) {
  const rt::GenerateRequest &request = *active.request;
  int32_t token = 0;
  if (!request.forced.empty()) {
    token = request.forced[result.tokens.size()];
  } else {
    CLADE_ASSIGN_OR_RETURN(token, active.sampler.sample(logits));
  }
  active.sampler.observe(token);
  result.tokens.push_back(token);
  active.history.push_back(token);
  bool isStop = llvm::is_contained(request.stopTokens, token) ||
                (!request.ignoreEos && llvm::is_contained(stopTokens, token));
  if (request.forced.empty() && isStop)
    result.stop = rt::StopReason::StopToken;
  int64_t limit = request.maxTokens;
  if (!request.forced.empty())
    limit = std::min<int64_t>(limit, request.forced.size());
  active.done = result.stop == rt::StopReason::StopToken ||
                static_cast<int64_t>(result.tokens.size()) >= limit;
  return token;
}

FailureOr<rt::Generation>
driver::generateInterpreted(reference::Interpreter &interpreter, int64_t vocab,
                            const std::vector<rt::GenerateRequest> &requests,
                            const std::vector<int32_t> &stopTokens,
                            int64_t chunk, const rt::GenerateOptions &options,
                            const rt::ManifestImages *images) {
  rt::Generation generation;
  generation.results.resize(requests.size());
  std::vector<Active> active;
  for (const rt::GenerateRequest &request : requests) {
    rt::StatusOr<rt::Sampler> sampler =
        rt::Sampler::create(request.sampling, vocab);
    if (!sampler.ok())
      return fail(sampler.status()), failure();
    if (!request.types.empty() && request.types.size() != request.prompt.size())
      return fail("expected a type for each of " +
                  std::to_string(request.prompt.size()) + " tokens, got " +
                  std::to_string(request.types.size())),
             failure();
    int64_t expected = request.prompt.size() + request.maxTokens;
    active.push_back({&request,
                      std::move(*sampler),
                      interpreter.addSequence(expected),
                      request.prompt,
                      {},
                      {},
                      0,
                      false});
    if (request.images) {
      int64_t rows = request.images->numRows(images->layout.fold);
      auto first = interpreter.addImages(*request.images, images->layout.fold);
      if (failed(first))
        return failure();
      auto places = rt::mediaRows(request.prompt, images->tokens, *first, rows);
      if (!places.ok())
        return fail(places.status()), failure();
      active.back().mediaRows = std::move(*places);
      active.back().mediaPositions =
          rt::mediaPositions(request.prompt, images->tokens,
                             request.images.get(), images->layout.merge);
    }
    for (int32_t token : request.prompt)
      active.back().sampler.observe(token);
    active.back().done = request.maxTokens == 0 && !options.onLogits;
  }
  bool wantsAll = static_cast<bool>(options.onLogits);
  if (options.onRoute)
    interpreter.setRouter([&](int sequence, const rt::Route &route) {
      auto owner = llvm::find_if(
          active, [&](const Active &one) { return one.sequence == sequence; });
      options.onRoute(owner - active.begin(), route);
    });
  llvm::scope_exit forget([&] { interpreter.setRouter(nullptr); });
  for (;;) {
    // One piece of every request that has tokens to run.
    std::vector<reference::SequenceChunk> chunks;
    std::vector<size_t> owners;
    bool prefill = false;
    for (auto [index, one] : llvm::enumerate(active)) {
      int64_t pending = one.history.size() - one.fed;
      if (pending == 0 || (one.done && !wantsAll))
        continue;
      int64_t count = chunk > 0 ? std::min(chunk, pending) : pending;
      auto begin = one.history.begin() + one.fed;
      chunks.push_back({one.sequence,
                        {begin, begin + count},
                        std::vector<bool>(count, wantsAll),
                        {},
                        {}});
      chunks.back().wanted.back() = true;
      const rt::MediaPositions &grid = one.mediaPositions;
      int64_t known = grid.positions.size() / 3;
      if (known > 0)
        for (int64_t i = 3 * one.fed; i < 3 * (one.fed + count); ++i)
          chunks.back().mediaPositions.push_back(
              i < 3 * known ? grid.positions[i] : grid.next + i / 3 - known);
      // Tokens that are made have type 0.
      if (!one.request->types.empty())
        for (int64_t i = one.fed; i < one.fed + count; ++i)
          chunks.back().types.push_back(
              i < static_cast<int64_t>(one.request->types.size())
                  ? one.request->types[i]
                  : 0);
      if (!one.mediaRows.empty())
        for (int64_t i = one.fed; i < one.fed + count; ++i)
          chunks.back().mediaRows.push_back(
              i < static_cast<int64_t>(one.mediaRows.size()) ? one.mediaRows[i]
                                                             : -1);
      prefill |=
          one.fed + count <= static_cast<int64_t>(one.request->prompt.size());
      owners.push_back(index);
    }
    if (chunks.empty())
      break;
    auto start = std::chrono::steady_clock::now();
    auto rows = interpreter.step(chunks);
    if (failed(rows))
      return failure();
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count();
    size_t row = 0;
    for (auto [piece, index] : llvm::zip_equal(chunks, owners)) {
      Active &one = active[index];
      (prefill ? generation.stats.prefillTokens
               : generation.stats.decodeTokens) += piece.tokens.size();
      for (size_t i = 0; i < piece.tokens.size(); ++i) {
        if (!piece.wanted[i])
          continue;
        if (wantsAll)
          options.onLogits(index, one.fed + i, (*rows)[row]);
        ++row;
      }
      one.fed += piece.tokens.size();
      bool caughtUp = one.fed == static_cast<int64_t>(one.history.size());
      if (!caughtUp || one.done || one.request->maxTokens == 0)
        continue;
      rt::GenerateResult &result = generation.results[index];
      rt::StatusOr<int32_t> token =
          chooseToken(one, result, (*rows)[row - 1], stopTokens);
      if (!token.ok())
        return fail(token.status()), failure();
      if (options.onToken &&
          !options.onToken(
              {index,
               *token,
               0,
               {},
               one.done ? std::optional(result.stop) : std::nullopt}))
        one.done = true;
    }
    (prefill ? generation.stats.prefillSeconds
             : generation.stats.decodeSeconds) += seconds;
  }
  for (const Active &one : active)
    interpreter.removeSequence(one.sequence);
  return generation;
}
