//===- RouteTest.cpp - Experts that a run notes or changes ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade;
using namespace clade::reference;

namespace {

/// Two layers that choose two of four scores, which grow with the token, and
/// hand on the sum of what they chose.
class RouteTest : public ReferenceTest {
protected:
  void SetUp() override { addWeight("scores", {4}, {1, 4, 2, 3}); }

  bool run(std::vector<int32_t> tokens, const char *marks = "routed") {
    const char *aliases = "!s = !clade.tensor<[token, n = 4], f32>\n"
                          "!v = !clade.tensor<[token, k = 2], f32>\n"
                          "!i = !clade.tensor<[token, k = 2], i32>\n"
                          "!w = !clade.tensor<[n = 4], f32>\n";
    std::string body =
        "  %r = clade.spread %x : !hidden -> !s\n"
        "  %w = clade.param @scores : !w\n"
        "  %s = clade.binary mul %r, %w : !s, !w -> !s\n"
        "  %v, %i = clade.top_k %s " +
        std::string(marks) +
        " : !s -> !v, !i\n"
        "  %y = clade.reduce sum %v over [\"k\"] : !v -> !hidden\n";
    return runLayerOps(aliases, body, std::move(tokens));
  }
  /// Runs a step of a new sequence with a router.
  bool route(std::vector<int32_t> tokens,
             std::function<void(int, const rt::Route &)> router) {
    interpreter->setRouter(std::move(router));
    int sequence = interpreter->addSequence(tokens.size());
    return step({{sequence, std::move(tokens), {}}});
  }
};

TEST_F(RouteTest, SeesEachTokenOfEachLayer) {
  ASSERT_TRUE(run({1, 2})) << diagnostics;
  std::vector<std::string> seen;
  ASSERT_TRUE(route({1, 2}, [&](int sequence, const rt::Route &made) {
    seen.push_back(std::to_string(sequence) + ": layer " +
                   std::to_string(made.layer) + ", position " +
                   std::to_string(made.position) + " of " +
                   std::to_string(made.numExperts) + ":");
    for (int32_t expert : made.experts)
      seen.back() += " " + std::to_string(expert);
  }));
  EXPECT_EQ(seen, (std::vector<std::string>{
                      "1: layer 0, position 0 of 4: 1 3",
                      "1: layer 0, position 1 of 4: 1 3",
                      "1: layer 1, position 0 of 4: 1 3",
                      "1: layer 1, position 1 of 4: 1 3",
                  }));
}

TEST_F(RouteTest, OtherExpertsBringTheirValues) {
  ASSERT_TRUE(run({1, 2})) << diagnostics;
  EXPECT_EQ(last("clade.layers"), (std::vector<float>{49, 98}));
  // In the first layer, for the second token: 1 and 2 instead of 4 and 3.
  ASSERT_TRUE(route({1, 2}, [](int, const rt::Route &made) {
    if (made.layer == 0 && made.position == 1) {
      made.experts[0] = 0;
      made.experts[1] = 2;
    }
  }));
  EXPECT_EQ(last("clade.layers"), (std::vector<float>{49, 42}));
  // Without a router all is as before.
  ASSERT_TRUE(route({1, 2}, nullptr));
  EXPECT_EQ(last("clade.layers"), (std::vector<float>{49, 98}));
}

TEST_F(RouteTest, OnlyMarkedChoicesAreShown) {
  ASSERT_TRUE(run({1}, "")) << diagnostics;
  int calls = 0;
  ASSERT_TRUE(route({1}, [&](int, const rt::Route &) { ++calls; }));
  EXPECT_EQ(calls, 0);
}

TEST_F(RouteTest, RefusesExpertsThatAreNotThere) {
  ASSERT_TRUE(run({1})) << diagnostics;
  for (int32_t expert : {-1, 4}) {
    diagnostics.clear();
    EXPECT_FALSE(route(
        {1}, [&](int, const rt::Route &made) { made.experts[1] = expert; }));
    EXPECT_NE(diagnostics.find("expected an expert from 0 to 3, got " +
                               std::to_string(expert)),
              std::string::npos)
        << diagnostics;
  }
}

} // namespace
