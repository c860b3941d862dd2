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

} // namespace
