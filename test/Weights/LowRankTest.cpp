//===- LowRankTest.cpp - What an adapter adds to a weight -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Weights/EvaluatorFixture.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

std::string lowRank(const std::string &scale, const std::string &left,
                    const std::string &right) {
  return R"({"op":"low_rank","scale":)" + scale + R"(,"inputs":[)" + left +
         "," + right + "]}";
}

std::string add(const std::string &base, const std::string &change) {
  return R"({"op":"add","inputs":[)" + base + "," + change + "]}";
}

std::string slice(int axis, int begin, int end, const std::string &input) {
  return R"({"op":"slice","axis":)" + std::to_string(axis) + R"(,"begin":)" +
         std::to_string(begin) + R"(,"end":)" + std::to_string(end) +
         R"(,"input":)" + input + "}";
}

TEST_F(EvaluatorTest, LowRank) {
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    expectMatches(
        lowRank("2", sources.add(dtype, {7, 3}), sources.add(dtype, {3, 5})));
    expectMatches(lowRank("-0.3", sources.add(dtype, {3, 1}),
                          sources.add(DType::F32, {1, 2500})));
  }
}

TEST_F(EvaluatorTest, LowRankOfStacks) {
  std::string product = lowRank("0.5", sources.add(DType::F32, {3, 4, 2}),
                                sources.add(DType::BF16, {3, 2, 6}));
  expectMatches(product);
  expectMatches(slice(0, 1, 3, product));
  expectMatches(slice(1, 1, 2, product));
  expectMatches(R"({"op":"transpose","perm":[0,2,1],"input":)" + product + "}");
}

TEST_F(EvaluatorTest, LowRankOfTransposedFactors) {
  std::string a = sources.add(DType::F32, {4, 300});
  std::string b = sources.add(DType::F32, {9, 4});
  auto turned = [](const std::string &input) {
    return R"({"op":"transpose","perm":[1,0],"input":)" + input + "}";
  };
  expectMatches(lowRank("1", turned(a), turned(b)));
}

TEST_F(EvaluatorTest, AddRoundsOnce) {
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    std::string sum = add(sources.add(dtype, {40, 130}),
                          lowRank("1.5", sources.add(DType::F32, {40, 4}),
                                  sources.add(DType::F32, {4, 130})));
    expectMatches(sum);
    expectMatches(pack(16, 2, sum));
    expectMatches(slice(1, 7, 100, sum));
  }
}

TEST_F(EvaluatorTest, AddOfBlocksThatAreCast) {
  expectMatches(add(cast("bf16", sources.add(DType::Q8_0, {5, 64})),
                    lowRank("1", sources.add(DType::F32, {5, 2}),
                            sources.add(DType::F32, {2, 64}))));
}

TEST(LowRankProgram, Errors) {
  auto source = [](const std::string &dtype, const std::string &shape) {
    return R"({"op":"source","name":"t","dtype":")" + dtype + R"(","shape":)" +
           shape + "}";
  };
  auto expectRejected = [](const std::string &text,
                           const std::string &message) {
    auto node = parseWeightProgram(text);
    ASSERT_FALSE(node.ok()) << text;
    EXPECT_NE(node.status().message().find(message), std::string::npos)
        << node.status().message();
  };
  std::string left = source("f32", "[4,2]"), right = source("f32", "[2,6]");
  expectRejected(lowRank("1", left, left),
                 "'low_rank': inputs F32 [4, 2] and F32 [4, 2] are no matrices "
                 "to multiply");
  expectRejected(lowRank("1", source("f32", "[3,4,2]"), right),
                 "are no matrices to multiply");
  expectRejected(
      lowRank("1", source("f32", "[3,4,2]"), source("f32", "[2,2,6]")),
      "are no matrices to multiply");
  expectRejected(lowRank("1", source("i32", "[4,2]"), right),
                 "an input is I32 [4, 2], expected dtype f32, bf16 or f16");
  expectRejected(lowRank("1e99", left, right), "'scale' does not fit in f32");
  expectRejected(R"({"op":"low_rank","inputs":[)" + left + "," + right + "]}",
                 "expected 'scale', a number");
  std::string product = lowRank("1", left, right);
  expectRejected(add(source("bf16", "[4,5]"), product),
                 "'add': inputs are BF16 [4, 5] and F32 [4, 6], expected f32, "
                 "bf16 or f16 and F32 of the same shape");
  expectRejected(add(source("bf16", "[4,6]"), source("bf16", "[4,6]")),
                 "and F32 of the same shape");
  expectRejected(add(source("i32", "[4,6]"), product),
                 "expected f32, bf16 or f16");
}

} // namespace
