//===- Generate.h - From prompts to tokens ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loop around Session::step: prefill, then token by token, for several
// requests at once, until each has a reason to stop.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_GENERATE_H
#define CLADE_RUNTIME_ENGINE_GENERATE_H

#include "runtime/Engine/Sampler.h"
#include "runtime/Engine/Session.h"

#include <functional>

namespace clade::rt {

/// Why a request ended.
enum class StopReason : int {
  MaxTokens = 0, ///< It has the tokens it asked for.
  StopToken = 1, ///< The last token is one of its stop tokens.
  Context = 2,   ///< The sequence is as long as the session allows.
  Callback = 3,  ///< The callback returned false.
};

/// "max_tokens", "stop_token", "context", "callback".
const char *stopReasonName(StopReason reason);

/// One text to continue.
struct GenerateRequest {
  std::vector<int32_t> prompt = {}; ///< At least one token.
  int64_t maxTokens = 16;
  SamplingOptions sampling = {};
  /// Tokens that end the text, beside the model's own.
  std::vector<int32_t> stopTokens = {};
  bool ignoreEos = false; ///< The model's own tokens do not end the text.
  /// Tokens to decode one by one instead of sampled ones. They end with the
  /// list or with maxTokens; stop tokens do not matter.
  std::vector<int32_t> forced = {};
  /// Also the logarithms of this many top probabilities for each token; -1 for
  /// none, 0 for those of the chosen tokens only.
  int32_t logProbabilities = -1;
  /// Images whose rows stand for the prompt's tokens for them, in order; may be
  /// null.
  std::shared_ptr<const ImagePatches> images = nullptr;
  int32_t adapter = 0; ///< See Session::setAdapter.
  /// The type of each token of the prompt; empty means 0. Tokens that are made
  /// have type 0.
  std::vector<int32_t> types = {};
};

/// A token that was just chosen.
struct GeneratedToken {
  size_t request = 0; ///< Index of its request.
  int32_t token = 0;
  float logProbability = 0;       ///< Of the unchanged logits, if asked for.
  std::vector<ScoredToken> top;   ///< If asked for.
  std::optional<StopReason> stop; ///< Set with the request's last token.
};

/// Logits [vocab] after the token at `position` of a request.
using LogitsCallback = std::function<void(size_t request, int64_t position,
                                          std::span<const float> logits)>;
/// Receives each token; false ends its request. Must not throw.
using TokenCallback = std::function<bool(const GeneratedToken &token)>;

/// The experts of a token of a request.
using RequestRouteCallback =
    std::function<void(size_t request, const Route &route)>;

struct GenerateOptions {
  TokenCallback onToken = nullptr;
  /// If set, logits of every prompt and generated token are computed, also
  /// after the last one, and handed out in order for each request.
  LogitsCallback onLogits = nullptr;
  /// If set, gets each choice of experts for a token of a request and may
  /// change it; several at once, from any thread. Must not throw.
  RequestRouteCallback onRoute = nullptr;
  /// Requests that run at once; 0 for all. Others wait for their turn.
  size_t maxSequences = 0;
};

/// The continuation of one request.
struct GenerateResult {
  std::vector<int32_t> tokens;         ///< A stop token is included.
  std::vector<float> logProbabilities; ///< If asked for.
  std::vector<std::vector<ScoredToken>> topProbabilities; ///< If asked for.
  StopReason stop = StopReason::MaxTokens;
};

/// What the work took. A step with prompt tokens counts as prefill.
/// What a process has resident, and what of it the engine asked for, in bytes.
struct MemoryUse {
  ResidentMemory resident;
  uint64_t weights = 0; ///< Of the model, wherever they lie.
  uint64_t cache = 0;   ///< Pages of states, also of sequences that ended.
  uint64_t plan = 0;    ///< The step's workspace, scratch memory and results.
};

struct GenerateStats {
  double loadSeconds = 0; ///< Of the model.
  int64_t prefillTokens = 0, decodeTokens = 0;
  double prefillSeconds = 0, decodeSeconds = 0;
  MemoryUse memory;           ///< At the end, with the model loaded.
  double prefillRate() const; ///< Tokens a second; 0 if there were none.
  double decodeRate() const;
};

struct Generation {
  std::vector<GenerateResult> results; ///< One per request, in their order.
  GenerateStats stats;
};

/// Continues all requests. InvalidArgument names a request that makes no sense,
/// before anything runs. Cancelled after Session::cancel(). The sequences are
/// freed in any case.
StatusOr<Generation> generate(Session &session,
                              std::span<const GenerateRequest> requests,
                              const GenerateOptions &options = {});

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_GENERATE_H
