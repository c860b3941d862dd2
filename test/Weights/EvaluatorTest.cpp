//===- EvaluatorTest.cpp - Each weight operation against the oracle -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Weights/EvaluatorFixture.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

TEST_F(EvaluatorTest, Source) {
  expectMatches(sources.add(DType::BF16, {5, 7}));
  expectMatches(sources.add(DType::F32, {}));
}

TEST_F(EvaluatorTest, Casts) {
  // Longer than one chunk, and not a multiple of it.
  for (const char *to : {"f32", "bf16", "f16"}) {
    expectMatches(cast(to, sources.add(DType::F32, {3, 1001})));
    expectMatches(cast(to, sources.add(DType::BF16, {3, 1001})));
    expectMatches(cast(to, sources.add(DType::F16, {3, 1001})));
    expectMatches(cast(to, sources.add(DType::Q8_0, {100, 32})));
    expectMatches(cast(to, sources.add(DType::Q4_K, {5, 512})));
    expectMatches(cast(to, sources.add(DType::Q6_K, {17, 256})));
  }
}

TEST_F(EvaluatorTest, Concat) {
  std::string a = sources.add(DType::BF16, {3, 4, 5});
  std::string b = sources.add(DType::BF16, {2, 4, 5});
  std::string c = sources.add(DType::BF16, {3, 1, 5});
  std::string d = sources.add(DType::BF16, {3, 4, 2});
  auto concat = [](int axis, const std::string &inputs) {
    return R"({"op":"concat","axis":)" + std::to_string(axis) +
           R"(,"inputs":[)" + inputs + "]}";
  };
  expectMatches(concat(0, a + "," + b + "," + a));
  expectMatches(concat(1, a + "," + c));
  expectMatches(concat(2, d + "," + a));
}

TEST_F(EvaluatorTest, Slice) {
  std::string a = sources.add(DType::F16, {3, 4, 5});
  for (const char *range :
       {R"("axis":0,"begin":1,"end":3)", R"("axis":1,"begin":2,"end":3)",
        R"("axis":2,"begin":0,"end":4)"})
    expectMatches(std::string(R"({"op":"slice",)") + range + R"(,"input":)" +
                  a + "}");
}

TEST_F(EvaluatorTest, BlocksMoveWhole) {
  std::string a = sources.add(DType::Q8_0, {4, 96});
  expectMatches(cast("f32", R"({"op":"slice","axis":1,"begin":32,"end":96,)"
                            R"("input":)" +
                                a + "}"));
  expectMatches(cast("f32", R"({"op":"concat","axis":1,"inputs":[)" + a + "," +
                                a + "]}"));
  expectMatches(
      cast("f32", R"({"op":"rope_unpermute","heads":2,"input":)" + a + "}"));
  expectMatches(
      cast("f32", R"({"op":"reshape","shape":[6,64],"input":)" + a + "}"));
}

TEST_F(EvaluatorTest, Transpose) {
  std::string a = sources.add(DType::BF16, {3, 70, 5});
  for (const char *perm :
       {"[0,1,2]", "[0,2,1]", "[1,0,2]", "[1,2,0]", "[2,0,1]", "[2,1,0]"})
    expectMatches(std::string(R"({"op":"transpose","perm":)") + perm +
                  R"(,"input":)" + a + "}");
  std::string ones = sources.add(DType::F32, {1, 1});
  expectMatches(R"({"op":"transpose","perm":[1,0],"input":)" + ones + "}");
}

TEST_F(EvaluatorTest, Shift) {
  // In bf16, 1 + w loses what w alone has: one rounding, from f32.
  for (DType dtype : {DType::F32, DType::BF16, DType::F16})
    expectMatches(R"({"op":"shift","value":-1.25,"input":)" +
                  sources.add(dtype, {5000}) + "}");
}

TEST_F(EvaluatorTest, RopePermutations) {
  std::string a = sources.add(DType::F32, {24, 3});
  std::string bias = sources.add(DType::F32, {24});
  for (const char *op : {"rope_unpermute", "rope_permute"})
    for (const char *heads : {"1", "3", "12"}) {
      std::string begin = std::string(R"({"op":")") + op + R"(","heads":)" +
                          heads + R"(,"input":)";
      expectMatches(begin + a + "}");
      expectMatches(begin + bias + "}");
    }
  // One undoes the other.
  auto node =
      parseWeightProgram(R"({"op":"rope_permute","heads":3,"input":)"
                         R"({"op":"rope_unpermute","heads":3,"input":)" +
                         a + "}}");
  ASSERT_OK(node);
  EXPECT_EQ(evaluate(*node, sources.decoded).values,
            sources.decoded["t0"].values);
}

TEST_F(EvaluatorTest, UnitRows) {
  for (DType dtype : {DType::F32, DType::BF16, DType::F16})
    expectMatches(R"({"op":"unit_rows","input":)" +
                  sources.add(dtype, {7, 300}) + "}");
}

TEST_F(EvaluatorTest, UnitRowsOfZerosAreZeros) {
  std::string zeros = sources.add(DType::BF16, {1, 4});
  sources.stored["t0"].assign(8, std::byte(0));
  sources.decoded["t0"].values.assign(4, 0.0f);
  expectMatches(R"({"op":"unit_rows","input":)" + zeros + "}");
}

TEST_F(EvaluatorTest, UnitRowsRoundsTheNormFirst) {
  // What torch.nn.functional.normalize gives for this bf16 row; with an
  // unrounded norm every element would be one unit smaller.
  std::string row = sources.add(DType::BF16, {1, 3});
  std::vector<uint16_t> bits = {0xbf4a, 0x3f0a, 0xbedf};
  std::memcpy(sources.stored["t0"].data(), bits.data(), 6);
  auto node = parseWeightProgram(R"({"op":"unit_rows","input":)" + row + "}");
  ASSERT_OK(node);
  auto bound = bindProgram(
      *node, [&](const WeightNode &source) { return sources(source); });
  ASSERT_OK(bound);
  Scratch scratch;
  std::vector<uint16_t> result(3);
  (*bound)->read(0, 3, reinterpret_cast<std::byte *>(result.data()), scratch);
  EXPECT_EQ(result, (std::vector<uint16_t>{0xbf41, 0x3f04, 0xbed5}));
}

TEST_F(EvaluatorTest, PackUnitSizes) {
  // Every unit size with a loop of its own, and others; ragged both ways.
  for (DType dtype : {DType::BF16, DType::F32})
    for (int inner : {1, 2, 3, 4, 8})
      for (int rows : {1, 3, 16, 32})
        for (int64_t columns : {1, 5, 8, 67})
          expectMatches(pack(rows, inner, sources.add(dtype, {37, columns})));
}

TEST_F(EvaluatorTest, PackLongRows) {
  // More columns than a piece, with and without a rest.
  expectMatches(pack(16, 2, sources.add(DType::BF16, {20, 5001})));
  expectMatches(pack(8, 2, cast("bf16", sources.add(DType::Q4_K, {9, 4352}))));
  expectMatches(pack(8, 3, cast("f32", sources.add(DType::Q6_K, {9, 2560}))));
}

TEST_F(EvaluatorTest, PackOfComputedRows) {
  std::string a = sources.add(DType::BF16, {40, 100});
  std::string b = sources.add(DType::BF16, {100, 23});
  expectMatches(pack(16, 2, R"({"op":"unit_rows","input":)" + a + "}"));
  std::string turned = R"({"op":"transpose","perm":[1,0],"input":)" + b + "}";
  expectMatches(pack(16, 2, turned));
  expectMatches(
      pack(16, 2,
           R"({"op":"concat","axis":0,"inputs":[)" + a + "," + turned + "]}"));
}

TEST_F(EvaluatorTest, PackOfAStackOfMatrices) {
  for (DType dtype : {DType::BF16, DType::F32})
    for (int64_t rows : {1, 16, 37})
      expectMatches(pack(16, 2, sources.add(dtype, {3, rows, 67})));
  std::string turned = R"({"op":"transpose","perm":[0,2,1],"input":)" +
                       sources.add(DType::BF16, {3, 20, 40}) + "}";
  expectMatches(pack(16, 2, turned));
}

TEST_F(EvaluatorTest, StackTakesTheTensorOfEachExpert) {
  // "t0", "t1" and "t2" are the tensors of experts 0, 1 and 2.
  std::string text;
  for (int i = 0; i < 3; ++i)
    text = sources.add(DType::BF16, {5, 6});
  text.replace(text.find("t2"), 2, "t{expert}");
  std::string stack = R"({"op":"stack","count":3,"input":)" + text + "}";
  expectMatches(stack);
  expectMatches(pack(4, 2, cast("f32", stack)));
  expectMatches(R"({"op":"stack","count":3,"input":{"op":"slice","axis":1,)"
                R"("begin":1,"end":4,"input":)" +
                text + "}}");
}

TEST_F(EvaluatorTest, ResolverErrorsPassThrough) {
  auto node = parseWeightProgram(cast("f32", sources.add(DType::BF16, {2})));
  ASSERT_OK(node);
  auto bound = bindProgram(*node, [](const WeightNode &) -> StatusOr<ByteSpan> {
    return Status::notFound("no data");
  });
  expectError(bound.status(), StatusCode::NotFound, "no data");
}

} // namespace
