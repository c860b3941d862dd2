//===- GenerateTest.cpp - From prompts to tokens --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loop over the toy model against the reference's greedy tokens, and each
// reason to stop.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Generate.h"
#include "ToyModel.h"
#include "ToySupport.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class GenerateTest : public ::testing::Test {
protected:
  void SetUp() override {
    Manifest manifest = toyManifest();
    manifest.model.eos = {};
    model = makeToyModel(folder, manifest);
    ASSERT_NE(model, nullptr);
    makeSession({.threads = 2});
  }
  void makeSession(SessionOptions options) {
    auto created = Session::create(model, options);
    ASSERT_OK(created);
    session = std::move(*created);
  }
  Generation run(std::vector<GenerateRequest> requests,
                 const GenerateOptions &options = {}) {
    auto made = generate(*session, requests, options);
    EXPECT_TRUE(made.ok()) << messageOf(made);
    EXPECT_EQ(session->keyValueCache().usedBytes(), 0u);
    return made.ok() ? std::move(*made) : Generation();
  }
  /// The reference's greedy continuation.
  std::vector<int32_t> expected(std::vector<int32_t> tokens, size_t count) {
    size_t length = tokens.size();
    for (size_t i = 0; i < count; ++i) {
      std::vector<float> row = toyReference(weights, tokens).back();
      tokens.push_back(
          static_cast<int32_t>(std::ranges::max_element(row) - row.begin()));
    }
    return {tokens.begin() + static_cast<ptrdiff_t>(length), tokens.end()};
  }

  TemporaryFolder folder;
  const ToyWeights weights = toyWeights();
  std::shared_ptr<const CompiledModel> model;
  std::unique_ptr<Session> session;
};

TEST_F(GenerateTest, GreedyForSeveralRequests) {
  std::vector<GenerateRequest> requests(3);
  for (unsigned i = 0; i < 3; ++i) {
    requests[i].prompt = toyTokens(5 + 40 * i, i);
    requests[i].maxTokens = 10 + 20 * i;
  }
  for (size_t atOnce : {0, 1, 2}) {
    Generation made = run(requests, {.maxSequences = atOnce});
    ASSERT_EQ(made.results.size(), 3u);
    for (unsigned i = 0; i < 3; ++i) {
      EXPECT_EQ(made.results[i].tokens,
                expected(requests[i].prompt, 10 + 20 * i));
      EXPECT_EQ(made.results[i].stop, StopReason::MaxTokens);
    }
    EXPECT_GT(made.stats.prefillRate(), 0);
    EXPECT_GT(made.stats.decodeRate(), 0);
    EXPECT_GT(made.stats.memory.resident.total(), 0u);
    EXPECT_GT(made.stats.memory.cache, 0u);
    EXPECT_GT(made.stats.memory.plan, 0u);
    if (atOnce == 0) {
      EXPECT_EQ(made.stats.prefillTokens, 5 + 45 + 85);
      EXPECT_EQ(made.stats.decodeTokens, 9 + 29 + 49);
    }
  }
}

TEST_F(GenerateTest, StopTokens) {
  std::vector<int32_t> prompt = toyTokens(6, 4);
  std::vector<int32_t> all = expected(prompt, 12);
  int32_t stop = all[7];
  auto first = static_cast<size_t>(std::ranges::find(all, stop) - all.begin());
  std::vector<int32_t> cut(all.begin(),
                           all.begin() + static_cast<ptrdiff_t>(first) + 1);
  GenerateRequest request{.prompt = prompt, .maxTokens = 12};
  request.stopTokens = {49, stop};
  Generation made = run({request});
  EXPECT_EQ(made.results[0].tokens, cut);
  EXPECT_EQ(made.results[0].stop, StopReason::StopToken);
  // The model's own.
  Manifest manifest = toyManifest();
  manifest.model.eos = {stop};
  model = makeToyModel(folder, manifest);
  makeSession({.threads = 1});
  request.stopTokens = {};
  EXPECT_EQ(run({request}).results[0].tokens, cut);
  request.ignoreEos = true;
  EXPECT_EQ(run({request}).results[0].tokens, all);
}

TEST_F(GenerateTest, ContextIsFull) {
  makeSession({.threads = 1, .maxContext = 20});
  GenerateRequest request{.prompt = toyTokens(15, 1), .maxTokens = 100};
  Generation made = run({request});
  // The sixth is chosen from the 20th position and cannot be fed.
  EXPECT_EQ(made.results[0].tokens, expected(request.prompt, 6));
  EXPECT_EQ(made.results[0].stop, StopReason::Context);
  request.prompt = toyTokens(21, 1);
  expectError(generate(*session, {{request}}).takeStatus(),
              StatusCode::InvalidArgument,
              "request 0: the prompt has 21 tokens, but the limit is 20");
}

TEST_F(GenerateTest, CallbackEndsOneRequest) {
  std::vector<GenerateRequest> requests(2);
  requests[0] = {.prompt = toyTokens(3, 1), .maxTokens = 9};
  requests[1] = {.prompt = toyTokens(4, 2), .maxTokens = 9};
  std::vector<std::vector<int32_t>> streamed(2);
  GenerateOptions options;
  options.onToken = [&](const GeneratedToken &token) {
    streamed[token.request].push_back(token.token);
    EXPECT_EQ(token.stop.has_value(), streamed[token.request].size() == 9);
    return token.request == 1 || streamed[0].size() < 4;
  };
  Generation made = run(requests, options);
  EXPECT_EQ(made.results[0].stop, StopReason::Callback);
  EXPECT_EQ(made.results[0].tokens, expected(requests[0].prompt, 4));
  EXPECT_EQ(made.results[1].tokens, expected(requests[1].prompt, 9));
  for (size_t i : {0, 1})
    EXPECT_EQ(streamed[i], made.results[i].tokens);
}

TEST_F(GenerateTest, ForcedTokensAndAllLogits) {
  std::vector<int32_t> tokens = toyTokens(70, 3);
  auto rows = toyReference(weights, tokens);
  GenerateRequest request;
  request.prompt = {tokens.begin(), tokens.begin() + 40};
  request.forced = {tokens.begin() + 40, tokens.end()};
  request.stopTokens = request.forced;
  request.maxTokens = 1000;
  request.logProbabilities = 2;
  int64_t next = 0;
  GenerateOptions options;
  options.onLogits = [&](size_t, int64_t position, std::span<const float> row) {
    EXPECT_EQ(position, next++);
    auto &expected = rows[static_cast<size_t>(position)];
    EXPECT_TRUE(std::ranges::equal(row, expected)) << position;
  };
  Generation made = run({request}, options);
  EXPECT_EQ(next, 70);
  const GenerateResult &result = made.results[0];
  EXPECT_EQ(result.tokens, request.forced);
  EXPECT_EQ(result.stop, StopReason::MaxTokens);
  ASSERT_EQ(result.logProbabilities.size(), 30u);
  ASSERT_EQ(result.topProbabilities.size(), 30u);
  EXPECT_EQ(result.logProbabilities[3], logProbability(rows[42], tokens[43]));
  EXPECT_EQ(result.topProbabilities[3].size(), 2u);
}

TEST_F(GenerateTest, NothingToMake) {
  GenerateRequest request{.prompt = toyTokens(8, 1), .maxTokens = 0};
  int rows = 0;
  GenerateOptions options;
  options.onLogits = [&](size_t, int64_t, std::span<const float>) { ++rows; };
  EXPECT_TRUE(run({request}, options).results[0].tokens.empty());
  EXPECT_EQ(rows, 8);
  EXPECT_TRUE(run({}).results.empty());
}

TEST_F(GenerateTest, SamplingDoesNotDependOnTheBatch) {
  GenerateRequest request{.prompt = toyTokens(5, 1), .maxTokens = 30};
  request.sampling = {.temperature = 1.5f, .topK = 20, .seed = 5};
  std::vector<int32_t> alone = run({request}).results[0].tokens;
  GenerateRequest other = request;
  other.sampling.seed = 6;
  Generation both = run({other, request});
  EXPECT_EQ(both.results[1].tokens, alone);
  EXPECT_NE(both.results[0].tokens, alone);
}

TEST_F(GenerateTest, RepetitionPenaltyKnowsThePrompt) {
  GenerateRequest request{.prompt = toyTokens(5, 1), .maxTokens = 40};
  request.sampling.repetitionPenalty = 1e6f;
  std::vector<int32_t> tokens = run({request}).results[0].tokens;
  // Positive logits come first, and each token at most once while there are
  // some that were not seen.
  std::map<int32_t, int> counts;
  for (int32_t token : request.prompt)
    ++counts[token];
  for (size_t i = 0; i < 8; ++i)
    EXPECT_EQ(++counts[tokens[i]], 1) << i;
}

TEST_F(GenerateTest, Cancel) {
  GenerateRequest request{.prompt = toyTokens(5, 1), .maxTokens = 1000};
  GenerateOptions options;
  int count = 0;
  options.onToken = [&](const GeneratedToken &) {
    if (++count == 3)
      session->cancel();
    return true;
  };
  expectError(generate(*session, {{request}}, options).takeStatus(),
              StatusCode::Cancelled, "the step was cancelled");
  EXPECT_EQ(count, 3);
  EXPECT_EQ(session->keyValueCache().usedBytes(), 0u);
}

TEST_F(GenerateTest, BadRequests) {
  auto refuse = [&](GenerateRequest request, const char *message) {
    GenerateRequest good{.prompt = {1}};
    std::vector<GenerateRequest> both = {good, std::move(request)};
    expectError(generate(*session, both).takeStatus(),
                StatusCode::InvalidArgument,
                std::string("request 1: ") + message);
  };
  refuse({}, "the prompt has no tokens");
  refuse({.prompt = {50}}, "expected a token in [0, 49], got 50");
  refuse({.prompt = {1}, .forced = {-1}},
         "expected a token in [0, 49], got -1");
  refuse({.prompt = {1}, .types = {0}}, "the model takes no types of tokens");
  refuse({.prompt = {1}, .maxTokens = -1},
         "expected at least 0 tokens to make, got -1");
  refuse({.prompt = {1}, .sampling = {.topP = 2}},
         "expected 'top_p' in (0, 1]");
}

TEST(StopReasonTest, Names) {
  EXPECT_STREQ(stopReasonName(StopReason::MaxTokens), "max_tokens");
  EXPECT_STREQ(stopReasonName(StopReason::StopToken), "stop_token");
  EXPECT_STREQ(stopReasonName(StopReason::Context), "context");
  EXPECT_STREQ(stopReasonName(StopReason::Callback), "callback");
}

} // namespace
