//===- WeightProgramTest.cpp - Shape and dtype rules of programs ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/WeightProgram.h"
#include "test/Formats/TestFiles.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

using Shape = std::vector<int64_t>;

/// The JSON of a source "t".
std::string source(const std::string &dtype, const std::string &shape) {
  return R"({"op":"source","name":"t","dtype":")" + dtype + R"(","shape":)" +
         shape + "}";
}

void expectType(const std::string &text, DType dtype, const Shape &shape) {
  auto node = parseWeightProgram(text);
  ASSERT_OK(node);
  EXPECT_EQ(node->dtype, dtype) << text;
  EXPECT_EQ(node->shape, shape) << text;
}

void expectRejected(const std::string &text, const std::string &message) {
  auto node = parseWeightProgram(text);
  ASSERT_FALSE(node.ok()) << text;
  expectError(node.status(), StatusCode::InvalidArgument, message);
}

const std::string wide = source("bf16", "[4,6]");

TEST(WeightProgram, Types) {
  expectType(wide, DType::BF16, {4, 6});
  expectType(source("F32", "[]"), DType::F32, {});
  expectType(R"({"op":"concat","axis":0,"inputs":[)" + wide + "," +
                 source("bf16", "[1,6]") + "]}",
             DType::BF16, {5, 6});
  expectType(R"({"op":"slice","axis":1,"begin":2,"end":5,"input":)" + wide +
                 "}",
             DType::BF16, {4, 3});
  expectType(R"({"op":"transpose","perm":[1,0],"input":)" + wide + "}",
             DType::BF16, {6, 4});
  expectType(R"({"op":"reshape","shape":[2,12],"input":)" + wide + "}",
             DType::BF16, {2, 12});
  expectType(R"({"op":"cast","dtype":"f32","input":)" +
                 source("q4_k", "[2,256]") + "}",
             DType::F32, {2, 256});
  expectType(R"({"op":"shift","value":-1,"input":)" + wide + "}", DType::BF16,
             {4, 6});
  expectType(R"({"op":"rope_unpermute","heads":2,"input":)" + wide + "}",
             DType::BF16, {4, 6});
  expectType(R"({"op":"rope_permute","heads":1,"input":)" +
                 source("q8_0", "[4,32]") + "}",
             DType::Q8_0, {4, 32});
  expectType(R"({"op":"unit_rows","input":)" + wide + "}", DType::BF16, {4, 6});
  expectType(R"({"op":"pack","rows":3,"inner":4,"input":)" + wide + "}",
             DType::BF16, {2, 2, 3, 4});
}

TEST(WeightProgram, OpNames) {
  EXPECT_EQ(weightOpName(WeightOp::Source), "source");
  EXPECT_EQ(weightOpName(WeightOp::RopePermute), "rope_permute");
  EXPECT_EQ(weightOpName(WeightOp::Pack), "pack");
}

TEST(WeightProgram, Form) {
  EXPECT_EQ(parseWeightProgram("{").status().code(), StatusCode::Corruption);
  expectRejected("3", "expected an operation {\"op\": ...}, got a value of "
                      "type number");
  expectRejected("{}", "expected 'op', a string");
  expectRejected(R"({"op":"sorce"})", "unknown operation 'sorce'");
  expectRejected(R"({"op":"unit_rows"})", "'unit_rows': expected 'input'");
  expectRejected(R"({"op":"unit_rows","input":7})",
                 "'unit_rows': expected an operation {\"op\": ...}, got a "
                 "value of type number");
}

TEST(WeightProgram, UnknownKeys) {
  std::string input = R"(,"extra":1,"input":)" + wide + "}";
  for (std::string op : {"source", "slice", "transpose", "reshape", "cast",
                         "shift", "rope_unpermute", "unit_rows", "pack"})
    expectRejected(R"({"op":")" + op + R"(","extra":1})",
                   "'" + op + "': unknown key 'extra'");
  expectRejected(R"({"op":"concat","axis":0,"extra":1})",
                 "'concat': unknown key 'extra'");
}

TEST(WeightProgram, Depth) {
  auto nested = [](int depth) {
    std::string text = wide;
    for (int i = 1; i < depth; ++i)
      text = R"({"op":"concat","axis":0,"inputs":[)" + text + "]}";
    return text;
  };
  ASSERT_OK(parseWeightProgram(nested(32)));
  auto deep = parseWeightProgram(nested(33));
  ASSERT_FALSE(deep.ok());
  EXPECT_TRUE(deep.status().message().ends_with(
      "the program is deeper than 32 operations"))
      << deep.status().message();
  EXPECT_FALSE(parseWeightProgram(nested(1000)).ok());
}

TEST(WeightProgram, Source) {
  expectRejected(R"({"op":"source"})", "'source': expected 'name', a string");
  expectRejected(R"({"op":"source","name":""})",
                 "'source': expected 'name', a string");
  expectRejected(R"({"op":"source","name":"t"})",
                 "'source': expected 'shape', an array of integers");
  expectRejected(R"({"op":"source","name":"t","shape":[1]})",
                 "'source': expected 'dtype', a string");
  expectRejected(source("f31", "[1]"), "'source': unknown dtype 'f31'");
  expectRejected(source("f32", "[-1]"),
                 "'source': expected 'shape' from 0 to 281474976710656 in each "
                 "element, got '-1'");
  expectRejected(source("f32", "[2.5]"),
                 "'source': expected 'shape' from 0 to 281474976710656 in each "
                 "element, got '2.5'");
  expectRejected(source("f32", "[1,1,1,1,1,1,1,1,1]"),
                 "'source': 'shape' has 9 elements, expected at most 8");
  expectRejected(source("f32", "[2,0]"),
                 "'source': shape [2, 0] has a zero, expected positive "
                 "dimensions");
  expectRejected(source("u8", "[281474976710656,281474976710656]"),
                 "'source': no tensor can be U8 [281474976710656, "
                 "281474976710656]: its size does not fit in 63 bits");
  expectRejected(source("q6_k", "[128]"),
                 "'source': no tensor can be Q6_K [128]: rows must be whole "
                 "blocks of 256");
}

TEST(WeightProgram, Concat) {
  auto concat = [](const std::string &axis, const std::string &inputs) {
    return R"({"op":"concat","axis":)" + axis + R"(,"inputs":)" + inputs + "}";
  };
  for (std::string inputs : {"[]", "3"})
    expectRejected(concat("0", inputs),
                   "'concat': expected 'inputs', an array of programs");
  expectRejected(concat("2", "[" + wide + "]"),
                 "'concat': 'axis' is 2, but the input is BF16 [4, 6]");
  expectRejected(concat("-1", "[" + wide + "]"),
                 "'concat': expected 'axis' from 0 to 8, got '-1'");
  expectRejected(concat("0", "[" + wide + "," + source("bf16", "[4,5]") + "]"),
                 "'concat': inputs BF16 [4, 6] and BF16 [4, 5] do not agree "
                 "outside axis 0");
  expectRejected(concat("0", "[" + wide + "," + source("f32", "[4,6]") + "]"),
                 "'concat': inputs BF16 [4, 6] and F32 [4, 6] do not agree "
                 "outside axis 0");
  expectRejected(concat("0", "[" + wide + "," + source("bf16", "[4]") + "]"),
                 "'concat': inputs BF16 [4, 6] and BF16 [4] do not agree "
                 "outside axis 0");
}

TEST(WeightProgram, Slice) {
  auto slice = [](const std::string &range, const std::string &input) {
    return R"({"op":"slice",)" + range + R"(,"input":)" + input + "}";
  };
  expectRejected(slice(R"("axis":0,"begin":0)", wide),
                 "'slice': expected 'end'");
  expectRejected(slice(R"("axis":1,"begin":3,"end":7)", wide),
                 "'slice': range [3, 7) does not lie in axis 1 of BF16 [4, 6]");
  expectRejected(slice(R"("axis":0,"begin":2,"end":2)", wide),
                 "'slice': range [2, 2) does not lie in axis 0 of BF16 [4, 6]");
  expectRejected(
      slice(R"("axis":1,"begin":0,"end":48)", source("q8_0", "[2,64]")),
      "'slice': range [0, 48) cuts a block of Q8_0");
}

TEST(WeightProgram, Transpose) {
  auto transpose = [](const std::string &perm, const std::string &input) {
    return R"({"op":"transpose","perm":)" + perm + R"(,"input":)" + input + "}";
  };
  for (std::string perm : {"[0, 0]", "[0]", "[0, 2]"})
    expectRejected(transpose(perm, wide),
                   "'transpose': 'perm' " + perm +
                       " is not a permutation of the axes of BF16 [4, 6]");
  expectRejected(transpose("[1,0]", source("q8_0", "[32,32]")),
                 "'transpose': the input is Q8_0 [32, 32], expected a plain "
                 "dtype; cast it first");
}

TEST(WeightProgram, ReshapeAndCast) {
  expectRejected(R"({"op":"reshape","shape":[5,5],"input":)" + wide + "}",
                 "'reshape': shape [5, 5] does not have as many elements as "
                 "BF16 [4, 6]");
  expectRejected(R"({"op":"reshape","shape":[64,16],"input":)" +
                     source("q8_0", "[32,32]") + "}",
                 "'reshape': no tensor can be Q8_0 [64, 16]: rows must be "
                 "whole blocks of 32");
  expectRejected(R"({"op":"cast","dtype":"i8","input":)" + wide + "}",
                 "'cast': cannot cast to I8, expected f32, bf16 or f16");
}

TEST(WeightProgram, ComputeNeedsFloats) {
  std::string input = R"("input":)" + source("q8_0", "[2,32]") + "}";
  std::string message =
      "the input is Q8_0 [2, 32], expected dtype f32, bf16 or f16; cast it "
      "first";
  expectRejected(R"({"op":"shift","value":1,)" + input, "'shift': " + message);
  expectRejected(R"({"op":"unit_rows",)" + input, "'unit_rows': " + message);
  expectRejected(R"({"op":"unit_rows","input":)" + source("f32", "[4]") + "}",
                 "'unit_rows': the input is F32 [4], expected two axes");
}

TEST(WeightProgram, Shift) {
  expectRejected(R"({"op":"shift","value":"1","input":)" + wide + "}",
                 "'shift': expected 'value', a number");
  expectRejected(R"({"op":"shift","value":1e300,"input":)" + wide + "}",
                 "'shift': 'value' does not fit in f32");
}

TEST(WeightProgram, Rope) {
  auto rope = [](const std::string &heads, const std::string &input) {
    return R"({"op":"rope_unpermute","heads":)" + heads + R"(,"input":)" +
           input + "}";
  };
  for (std::string heads : {"0", "3", "4"})
    expectRejected(rope(heads, wide),
                   "'rope_unpermute': the first axis of BF16 [4, 6] is not a "
                   "multiple of two times " +
                       heads + " heads");
  expectRejected(rope("1", source("f32", "[]")),
                 "'rope_unpermute': the first axis of F32 [] is not a multiple "
                 "of two times 1 heads");
  expectRejected(rope("1", source("q8_0", "[64]")),
                 "'rope_unpermute': the input is Q8_0 [64], whose blocks span "
                 "rows; cast it first");
}

TEST(WeightProgram, Pack) {
  auto pack = [](const std::string &rows, const std::string &inner,
                 const std::string &input) {
    return R"({"op":"pack","rows":)" + rows + R"(,"inner":)" + inner +
           R"(,"input":)" + input + "}";
  };
  expectRejected(pack("0", "2", wide),
                 "'pack': 'rows' and 'inner' are 0 and 2, expected positive "
                 "numbers");
  expectRejected(pack("100000", "2", wide),
                 "'pack': expected 'rows' from 0 to 65536, got '100000'");
  expectType(pack("4", "2", source("f32", "[3,6,4]")), DType::F32,
             {3, 2, 2, 4, 2});
  expectRejected(pack("4", "2", source("f32", "[2,3,4,5]")),
                 "'pack': the input is F32 [2, 3, 4, 5], expected two or three "
                 "axes and a plain dtype");
  expectRejected(
      pack("4", "2", source("q8_0", "[2,32]")),
      "'pack': the input is Q8_0 [2, 32], expected two or three axes "
      "and a plain dtype");
}

TEST(WeightProgram, Stack) {
  auto stack = [](const std::string &count, const std::string &input) {
    return R"({"op":"stack","count":)" + count + R"(,"input":)" + input + "}";
  };
  expectType(stack("3", wide), DType::BF16, {3, 4, 6});
  expectType(stack("2", source("q8_0", "[4,32]")), DType::Q8_0, {2, 4, 32});
  expectRejected(stack("0", wide),
                 "'stack': 'count' is 0, expected a positive number");
  expectRejected(stack("100000", wide),
                 "'stack': expected 'count' from 0 to 65536, got '100000'");
  expectRejected(stack("2", stack("3", wide)),
                 "'stack': the input holds another stack");
  expectRejected(stack("2", source("f32", "[1,1,1,1,1,1,1,1]")),
                 "'stack': the input is F32 [1, 1, 1, 1, 1, 1, 1, 1], expected "
                 "fewer axes");
}

TEST(WeightProgram, ErrorsNameThePath) {
  expectRejected(R"({"op":"pack","rows":4,"inner":2,"input":)"
                 R"({"op":"cast","dtype":"i8","input":)" +
                     wide + "}}",
                 "'pack': 'cast': cannot cast to I8, expected f32, bf16 or "
                 "f16");
}

} // namespace
