//===- EvaluatorFixture.h - Programs against the oracle ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_WEIGHTS_EVALUATORFIXTURE_H
#define CLADE_TEST_WEIGHTS_EVALUATORFIXTURE_H

#include "test/Weights/Sources.h"

namespace clade::rt::test {

class EvaluatorTest : public ::testing::Test {
protected:
  /// Evaluates `program` whole and by pieces, and compares with the oracle.
  void expectMatches(const std::string &program) {
    auto node = parseWeightProgram(program);
    ASSERT_OK(node);
    auto bound = bindProgram(
        *node, [&](const WeightNode &source) { return sources(source); });
    ASSERT_OK(bound);
    const Evaluator &evaluator = **bound;
    std::vector<std::byte> expected = encode(evaluate(*node, sources.decoded));
    ASSERT_EQ(evaluator.bytes(evaluator.count()),
              static_cast<int64_t>(expected.size()));
    EXPECT_EQ(evaluator.count() % evaluator.granule(), 0);

    Scratch scratch;
    std::vector<std::byte> whole(expected.size());
    evaluator.read(0, evaluator.count(), whole.data(), scratch);
    EXPECT_TRUE(whole == expected) << program;
    expectPiecesMatch(evaluator, expected, scratch);
  }

  void expectPiecesMatch(const Evaluator &evaluator,
                         const std::vector<std::byte> &expected,
                         Scratch &scratch) {
    for (int i = 0; i < 20; ++i) {
      int64_t count = evaluator.count();
      int64_t begin = static_cast<int64_t>(sources.random()) % count;
      int64_t end =
          begin + 1 + static_cast<int64_t>(sources.random()) % (count - begin);
      int64_t at = evaluator.bytes(begin);
      Scratch::Frame frame(scratch);
      const std::byte *piece = evaluator.fetch(begin, end, scratch);
      EXPECT_EQ(std::memcmp(piece, &expected[static_cast<size_t>(at)],
                            static_cast<size_t>(evaluator.bytes(end - begin))),
                0)
          << "elements [" << begin << ", " << end << ")";
    }
  }

  std::string cast(const std::string &dtype, const std::string &input) {
    return R"({"op":"cast","dtype":")" + dtype + R"(","input":)" + input + "}";
  }
  std::string pack(int rows, int inner, const std::string &input) {
    return R"({"op":"pack","rows":)" + std::to_string(rows) + R"(,"inner":)" +
           std::to_string(inner) + R"(,"input":)" + input + "}";
  }

  Sources sources;
};

} // namespace clade::rt::test

#endif // CLADE_TEST_WEIGHTS_EVALUATORFIXTURE_H
