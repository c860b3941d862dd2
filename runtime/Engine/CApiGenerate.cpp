//===- CApiGenerate.cpp - Generation for C --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Requests, the callback and the results of clade_generate.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CApi.h"

using namespace clade::rt;
using namespace clade::rt::capi;

namespace {

StatusOr<GenerateRequest> readRequest(const CladeRequest &given) {
  CLADE_RETURN_IF_ERROR(checkPointer(given.prompt, "prompt"));
  GenerateRequest own;
  own.prompt.assign(given.prompt, given.prompt + given.prompt_length);
  if (given.stop_tokens)
    own.stopTokens.assign(given.stop_tokens,
                          given.stop_tokens + given.num_stop_tokens);
  own.maxTokens = given.max_tokens == 0 ? own.maxTokens : given.max_tokens;
  own.ignoreEos = given.ignore_eos != 0;
  own.logProbabilities = given.log_probabilities ? 0 : -1;
  SamplingOptions &sampling = own.sampling;
  auto orOff = [](float value, float off) { return value == 0 ? off : value; };
  sampling.repetitionPenalty = orOff(given.repetition_penalty, 1);
  sampling.temperature = given.temperature;
  sampling.topK = given.top_k;
  sampling.topP = orOff(given.top_p, 1);
  sampling.minP = given.min_p;
  sampling.seed = given.seed;
  own.adapter = given.adapter;
  return own;
}

/// Copies of all requests. They lie as far apart as the caller's struct is
/// large.
StatusOr<std::vector<CladeRequest>> copyRequests(const CladeRequest *requests,
                                                 size_t count) {
  std::vector<CladeRequest> copies;
  if (count == 0)
    return copies;
  CLADE_RETURN_IF_ERROR(checkPointer(requests, "requests"));
  size_t stride = requests->struct_size;
  if (stride < sizeof(size_t) || stride % alignof(CladeRequest) != 0)
    return Status::invalidArgument(
        "'requests' do not have their struct_size; use CLADE_INIT");
  auto bytes = reinterpret_cast<const char *>(requests);
  for (size_t i = 0; i < count; ++i) {
    auto *request = reinterpret_cast<const CladeRequest *>(bytes + i * stride);
    if (request->struct_size != stride)
      return Status::invalidArgument(
          "the struct_size of the requests is not the same");
    CLADE_ASSIGN_OR_RETURN(CladeRequest copy, readStruct(request, "requests"));
    copies.push_back(copy);
  }
  return copies;
}

/// Calls the caller's function with each token, and with its text if wanted.
class Streamer {
public:
  Streamer(CladeTokenCallback callback, void *user)
      : callback(callback), user(user) {}

  Status addRequest(const CompiledModel &model, bool wantText) {
    std::optional<StreamDecoder> &decoder = decoders.emplace_back();
    if (!wantText || !callback)
      return {};
    CLADE_ASSIGN_OR_RETURN(const Tokenizer *tokenizer, model.tokenizer());
    decoder.emplace(*tokenizer);
    return {};
  }

  /// Returns whether to go on. A failure to decode is kept in `problem`.
  bool push(const GeneratedToken &token) {
    if (!problem.ok())
      return false;
    CladeTokenEvent event = {};
    event.struct_size = sizeof(event);
    event.request = token.request;
    event.token = token.token;
    event.log_probability = token.logProbability;
    event.is_last = token.stop.has_value();
    std::string text;
    if (std::optional<StreamDecoder> &decoder = decoders[token.request]) {
      problem = decode(*decoder, token, text);
      if (!problem.ok())
        return false;
      event.text = text.data();
      event.text_length = text.size();
    }
    return callback(user, &event) == 0;
  }

  Status problem;

private:
  static Status decode(StreamDecoder &decoder, const GeneratedToken &token,
                       std::string &text) {
    CLADE_ASSIGN_OR_RETURN(text, decoder.push(token.token));
    if (!token.stop)
      return {};
    CLADE_ASSIGN_OR_RETURN(std::string rest, decoder.finish());
    text += rest;
    return {};
  }

  CladeTokenCallback callback;
  void *user;
  std::vector<std::optional<StreamDecoder>> decoders; ///< One per request.
};

const GenerateResult *resultOf(const CladeGeneration *generation,
                               size_t request) {
  if (!generation || request >= generation->generation.results.size())
    return nullptr;
  return &generation->generation.results[request];
}

} // namespace

CladeStatus clade_generate(CladeSession *session, const CladeRequest *requests,
                           size_t num_requests, CladeTokenCallback on_token,
                           void *user, CladeGeneration **generation) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(session, "session"));
    CLADE_RETURN_IF_ERROR(checkPointer(generation, "generation"));
    CLADE_ASSIGN_OR_RETURN(auto copies, copyRequests(requests, num_requests));
    std::vector<GenerateRequest> own;
    Streamer streamer(on_token, user);
    for (const CladeRequest &copy : copies) {
      CLADE_ASSIGN_OR_RETURN(GenerateRequest request, readRequest(copy));
      own.push_back(std::move(request));
      CLADE_RETURN_IF_ERROR(
          streamer.addRequest(*session->model, copy.want_text != 0));
    }
    GenerateOptions options;
    if (on_token)
      options.onToken = [&](const GeneratedToken &token) {
        return streamer.push(token);
      };
    CLADE_ASSIGN_OR_RETURN(Generation made,
                           generate(*session->session, own, options));
    CLADE_RETURN_IF_ERROR(std::move(streamer.problem));
    *generation = new CladeGeneration{std::move(made)};
    return {};
  });
}

void clade_generation_free(CladeGeneration *generation) { delete generation; }

const int32_t *clade_generation_tokens(const CladeGeneration *generation,
                                       size_t request, size_t *count) {
  const GenerateResult *result = resultOf(generation, request);
  if (count)
    *count = result ? result->tokens.size() : 0;
  return result ? result->tokens.data() : nullptr;
}

const float *
clade_generation_log_probabilities(const CladeGeneration *generation,
                                   size_t request) {
  const GenerateResult *result = resultOf(generation, request);
  if (!result || result->logProbabilities.empty())
    return nullptr;
  return result->logProbabilities.data();
}

CladeStopReason clade_generation_stop_reason(const CladeGeneration *generation,
                                             size_t request) {
  const GenerateResult *result = resultOf(generation, request);
  return static_cast<CladeStopReason>(result ? result->stop
                                             : StopReason::MaxTokens);
}

CladeStatus clade_generation_stats(const CladeGeneration *generation,
                                   CladeStats *stats) {
  return guarded([&]() -> Status {
    CLADE_RETURN_IF_ERROR(checkPointer(generation, "generation"));
    const GenerateStats &made = generation->generation.stats;
    CladeStats own = {};
    own.load_s = made.loadSeconds;
    own.prefill_tok_s = made.prefillRate();
    own.decode_tok_s = made.decodeRate();
    own.rss_mb = static_cast<double>(made.memory.resident.total()) / 1e6;
    return writeStruct(own, stats, "stats");
  });
}
