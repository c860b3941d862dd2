//===- SessionTest.cpp - Steps over sequences -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The toy model's logits must equal the reference's bit for bit, however the
// tokens are cut into pieces, mixed into batches, or spread over threads.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Session.h"
#include "ToyModel.h"
#include "ToySupport.h"

#include <chrono>
#include <random>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class SessionTest : public ::testing::Test {
protected:
  std::unique_ptr<Session> makeSession(SessionOptions options) {
    if (!model)
      model = makeToyModel(folder);
    auto session = Session::create(model, options);
    EXPECT_TRUE(session.ok()) << messageOf(session);
    return session.ok() ? std::move(*session) : nullptr;
  }

  /// Feeds `tokens` in steps of `piece` and compares all logits.
  void checkSequence(Session &session, SequenceId id,
                     const std::vector<int32_t> &tokens, size_t piece) {
    auto expected = toyReference(weights, tokens);
    for (size_t begin = 0; begin < tokens.size(); begin += piece) {
      size_t count = std::min(piece, tokens.size() - begin);
      std::vector<uint8_t> wanted(count, 1);
      BatchItem item{id, std::span(tokens).subspan(begin, count), wanted};
      auto logits = session.step({&item, 1});
      ASSERT_OK(logits);
      ASSERT_EQ(logits->rows, static_cast<int64_t>(count));
      for (size_t i = 0; i < count; ++i)
        checkRow(logits->row(static_cast<int64_t>(i)), expected[begin + i],
                 begin + i);
    }
  }

  static void checkRow(std::span<const float> got,
                       const std::vector<float> &expected, size_t position) {
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i], expected[i]) << "position " << position << ", " << i;
  }

  TemporaryFolder folder;
  const ToyWeights weights = toyWeights();
  std::shared_ptr<const CompiledModel> model;
};

TEST_F(SessionTest, PiecesAndThreadsDoNotChangeLogits) {
  std::vector<int32_t> tokens = toyTokens(200, 1);
  for (int threads : {1, 2, 3, 8})
    for (int32_t chunk : {1, 7, 64, 0})
      for (size_t piece : {1, 7, 64, 200}) {
        // Many threads for few cores take long to meet; one chunk will do.
        if (threads > 2 && chunk != 7)
          continue;
        SCOPED_TRACE(testing::Message() << threads << " threads, chunk "
                                        << chunk << ", piece " << piece);
        auto session = makeSession({.threads = threads, .chunk = chunk});
        auto id = session->createSequence();
        ASSERT_OK(id);
        checkSequence(*session, *id, tokens, piece);
        if (HasFatalFailure())
          return;
      }
}

/// Several sequences advance in steps of a random mix; each must come out as if
/// it were alone.
TEST_F(SessionTest, MixedBatches) {
  std::vector<std::vector<int32_t>> texts;
  for (unsigned i = 0; i < 5; ++i)
    texts.push_back(toyTokens(90 + 37 * i, i));
  std::vector<std::vector<std::vector<float>>> expected;
  for (const auto &text : texts)
    expected.push_back(toyReference(weights, text));
  for (int32_t chunk : {0, 5, 33}) {
    auto session = makeSession({.threads = 2, .chunk = chunk});
    std::vector<SequenceId> ids;
    for (size_t i = 0; i < texts.size(); ++i)
      ids.push_back(*session->createSequence());
    std::mt19937 random(static_cast<unsigned>(chunk));
    while (true) {
      std::vector<BatchItem> batch;
      std::vector<std::vector<uint8_t>> masks;
      std::vector<std::pair<size_t, size_t>> rows; // text, position
      masks.reserve(texts.size());
      for (size_t i = 0; i < texts.size(); ++i) {
        auto done = static_cast<size_t>(*session->length(ids[i]));
        size_t count = std::min<size_t>(texts[i].size() - done,
                                        random() % 3 ? 1 : random() % 50);
        if (count == 0)
          continue;
        auto &mask = masks.emplace_back(count);
        for (size_t k = 0; k < count; ++k)
          if ((mask[k] = random() % 2))
            rows.push_back({i, done + k});
        batch.push_back(
            {ids[i], std::span(texts[i]).subspan(done, count), mask});
      }
      if (batch.empty())
        break;
      auto logits = session->step(batch);
      ASSERT_OK(logits);
      ASSERT_EQ(logits->rows, static_cast<int64_t>(rows.size()));
      for (size_t r = 0; r < rows.size(); ++r)
        checkRow(logits->row(static_cast<int64_t>(r)),
                 expected[rows[r].first][rows[r].second], rows[r].second);
      if (HasFatalFailure())
        return;
    }
    for (size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(*session->length(ids[i]),
                static_cast<int64_t>(texts[i].size()));
  }
}

TEST_F(SessionTest, WithoutMaskTheLastTokenIsWanted) {
  auto session = makeSession({.threads = 1, .chunk = 4});
  std::vector<int32_t> tokens = toyTokens(11, 5);
  BatchItem item{*session->createSequence(), tokens, {}};
  auto logits = session->step({&item, 1});
  ASSERT_OK(logits);
  ASSERT_EQ(logits->rows, 1);
  checkRow(logits->row(0), toyReference(weights, tokens).back(), 10);
}

/// A CPU gives rows whatever is asked of them.
TEST_F(SessionTest, DrawsAreForRows) {
  auto session = makeSession({.threads = 1});
  std::vector<int32_t> tokens = toyTokens(3, 1);
  BatchItem item{*session->createSequence(), tokens};
  TokenDraw draws[2];
  draws[0].kind = DrawKind::Largest;
  expectError(session->step({&item, 1}, draws).takeStatus(),
              StatusCode::InvalidArgument,
              "expected a draw for each of 1 rows, got 2");
  auto logits = session->step({&item, 1}, {draws, 1});
  ASSERT_OK(logits);
  EXPECT_EQ(logits->chosen, nullptr);
  EXPECT_TRUE(logits->hasRow(0));
  checkRow(logits->row(0), toyReference(weights, tokens)[2], 2);
}

TEST_F(SessionTest, TruncateAndContinue) {
  auto session = makeSession({.threads = 2});
  std::vector<int32_t> tokens = toyTokens(60, 8), other = toyTokens(60, 9);
  SequenceId id = *session->createSequence();
  checkSequence(*session, id, tokens, 60);
  ASSERT_OK(session->truncate(id, 0));
  checkSequence(*session, id, other, 13);
  // Back to a common beginning of 10 tokens.
  ASSERT_OK(session->truncate(id, 10));
  std::copy(other.begin(), other.begin() + 10, tokens.begin());
  std::vector<uint8_t> wanted(50, 1);
  BatchItem item{id, std::span(tokens).subspan(10), wanted};
  auto logits = session->step({&item, 1});
  ASSERT_OK(logits);
  auto expected = toyReference(weights, tokens);
  for (size_t i = 0; i < 50; ++i)
    checkRow(logits->row(static_cast<int64_t>(i)), expected[10 + i], 10 + i);
}

TEST_F(SessionTest, ScaledLengths) {
  Manifest manifest = toyManifest();
  manifest.lengthDependentRotary = true;
  model = makeToyModel(folder, manifest);
  auto session = makeSession({.threads = 1});
  expectError(session->createSequence().takeStatus(),
              StatusCode::InvalidArgument,
              "the model's rotary scaling depends on the length: expected a "
              "length in [1, 2147483647] for the sequence, got 0");
  std::vector<int32_t> tokens = toyTokens(20, 2);
  BatchItem items[] = {{*session->createSequence(100), tokens, {}},
                       {*session->createSequence(900), tokens, {}}};
  auto logits = session->step(items);
  ASSERT_OK(logits);
  checkRow(logits->row(0), toyReference(weights, tokens, 100).back(), 19);
  checkRow(logits->row(1), toyReference(weights, tokens, 900).back(), 19);
}

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

TEST_F(SessionTest, BadBatches) {
  Manifest manifest = toyManifest();
  manifest.model.maxPositions = 100;
  model = makeToyModel(folder, manifest);
  auto session = makeSession({.threads = 1});
  EXPECT_EQ(session->maxContext(), 100);
  SequenceId id = *session->createSequence();
  auto refuse = [&](std::vector<BatchItem> batch, const char *message) {
    expectError(session->step(batch).takeStatus(), StatusCode::InvalidArgument,
                message);
    EXPECT_EQ(*session->length(id), 0);
  };
  std::vector<int32_t> good = {1, 2, 3}, bad = {1, 50}, negative = {-1};
  std::vector<int32_t> tooMany(101, 1);
  std::vector<uint8_t> mask = {1};
  refuse({}, "the batch is empty");
  refuse({{SequenceId::None, good, {}}},
         "the sequence does not exist or was freed");
  refuse({{id, {}, {}}}, "a sequence of the batch has no new tokens");
  refuse({{id, good, mask}}, "expected a mask of 3 tokens, got 1");
  refuse({{id, bad, {}}}, "expected a token in [0, 49], got 50");
  refuse({{id, negative, {}}}, "expected a token in [0, 49], got -1");
  refuse({{id, good, {}}, {id, good, {}}}, "a sequence is in the batch twice");
  refuse({{id, tooMany, {}}},
         "a sequence of 0 tokens cannot get 101 more: the limit is 100");
}

TEST_F(SessionTest, WholeSequences) {
  Manifest manifest = toyManifest();
  manifest.wholeSequences = true;
  manifest.tokenTypes = 2;
  model = makeToyModel(folder, manifest);
  auto session = makeSession({.threads = 1, .chunk = 4});
  std::vector<int32_t> tokens = toyTokens(20, 2), types(20, 1), few = {0, 1};
  SequenceId id = *session->createSequence();
  auto refuse = [&](BatchItem item, const char *message) {
    expectError(session->step({&item, 1}).takeStatus(),
                StatusCode::InvalidArgument, message);
  };
  BatchItem item{id, tokens};
  item.types = few;
  refuse(item, "expected a type for each of 20 tokens, got 2");
  types[3] = 2;
  item.types = types;
  refuse(item, "expected a type in [0, 1], got 2");
  types[3] = 0;
  ASSERT_OK(session->step({&item, 1}));
  item.types = {};
  refuse(item, "the model reads a sequence as a whole: one of 20 tokens cannot "
               "get more");
}

TEST_F(SessionTest, ModelsWithoutTypes) {
  model = makeToyModel(folder);
  auto session = makeSession({.threads = 1});
  std::vector<int32_t> tokens = toyTokens(3, 2), types(3, 0);
  BatchItem item{*session->createSequence(), tokens};
  item.types = types;
  expectError(session->step({&item, 1}).takeStatus(),
              StatusCode::InvalidArgument,
              "the model takes no types of tokens");
}

TEST_F(SessionTest, BadOptions) {
  model = makeToyModel(folder);
  auto refuse = [&](SessionOptions options, const char *message) {
    expectError(Session::create(model, options).takeStatus(),
                StatusCode::InvalidArgument, message);
  };
  refuse({.chunk = -1}, "expected a chunk of at least 0 tokens, got -1");
  refuse({.maxContext = -1}, "expected a context of at least 0 tokens, got -1");
  refuse({.threads = -1}, "expected a number of threads in [1, 1024], got -1");
}

TEST_F(SessionTest, CacheBudget) {
  // 20 pages of all three states.
  uint64_t pageBytes = 3 * TOY_KV_HEADS * (TOY_KEY_SIZE + TOY_VALUE_SIZE) * 4 *
                       CLADE_PAGE_TOKENS;
  auto session =
      makeSession({.threads = 1, .cacheBytes = 20 * pageBytes, .chunk = 32});
  std::vector<int32_t> tokens = toyTokens(2000, 1);
  SequenceId id = *session->createSequence();
  BatchItem item{id, tokens, {}};
  expectError(session->step({&item, 1}).takeStatus(),
              StatusCode::ResourceExhausted, "the keys and values need ");
  // The pieces that fitted were kept, and the session goes on.
  EXPECT_EQ(*session->length(id) % 32, 0);
  EXPECT_GT(*session->length(id), 20 * 32) << "the window's pages are reused";
  ASSERT_OK(session->freeSequence(id));
  checkSequence(*session, *session->createSequence(),
                {tokens.begin(), tokens.begin() + 300}, 100);
}

TEST_F(SessionTest, WorkspaceThatCannotBe) {
  Manifest manifest = toyManifest();
  manifest.workspace.perToken = int64_t(1) << 50;
  model = makeToyModel(folder, manifest);
  auto session = makeSession({.threads = 1, .chunk = 0});
  std::vector<int32_t> tokens = toyTokens(1 << 14, 1);
  BatchItem item{*session->createSequence(), tokens, {}};
  expectError(session->step({&item, 1}).takeStatus(),
              StatusCode::ResourceExhausted,
              "cannot allocate 18446744073709551615 bytes for the workspace");
}

TEST_F(SessionTest, Cancel) {
  auto session = makeSession({.threads = 2, .chunk = 1});
  std::vector<int32_t> tokens = toyTokens(3000, 1);
  SequenceId id = *session->createSequence();
  BatchItem item{id, tokens, {}};
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    session->cancel();
  });
  Status status = session->step({&item, 1}).takeStatus();
  other.join();
  expectError(status, StatusCode::Cancelled, "the step was cancelled");
  EXPECT_LT(*session->length(id), 3000);
  item.tokens = item.tokens.first(1);
  expectError(session->step({&item, 1}).takeStatus(), StatusCode::Cancelled,
              "");
  session->clearCancel();
  EXPECT_TRUE(session->step({&item, 1}).ok());
}

TEST_F(SessionTest, SessionsShareAModel) {
  model = makeToyModel(folder);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i)
    threads.emplace_back([this, i] {
      auto session = Session::create(model, {.threads = 2});
      ASSERT_OK(session);
      checkSequence(**session, *(*session)->createSequence(), toyTokens(70, i),
                    20);
    });
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace
