//===- SerializeTest.cpp - Tests of writing weights tables ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the compiler writes, its reader takes: most tests look at the table
// that runtime/Weights makes of the text.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Serialize.h"
#include "ModuleFixture.h"
#include "runtime/Weights/WeightProgram.h"

#include <cmath>

using namespace clade;

namespace {

using Numbers = std::vector<int32_t>;
using Shape = std::vector<int64_t>;

class SerializeTest : public ModuleFixture {
protected:
  /// The table of a module whose entry uses the parameters `globals`, and whose
  /// two layers use `layered`; all are weights of type `type`.
  std::optional<rt::WeightTable>
  table(const std::string &functions, std::vector<std::string> globals,
        std::vector<std::string> layered = {},
        const std::string &type = "[d = 8], f32") {
    auto params = [&](const std::vector<std::string> &names) {
      std::string text;
      for (const std::string &name : names)
        text += "  %" + name + " = clade.param @" + name + " : !clade.tensor<" +
                type + ">\n";
      return text;
    };
    EXPECT_TRUE(parse(functions +
                      "func.func @main() attributes {clade.entry} {\n" +
                      params(globals) + "  return\n}\nfunc.func @kind() {\n" +
                      params(layered) +
                      "  return\n}\n"
                      "clade.schedule @layers kinds [@kind] rows [0, 0]\n"))
        << diagnostics;
    if (!module)
      return std::nullopt;
    auto slots = assignSlots(*module);
    if (failed(slots))
      return std::nullopt;
    auto written = serializeWeights(*module, *slots);
    if (failed(written))
      return std::nullopt;
    text = *written;
    auto read = rt::WeightTable::parse(text, "table");
    EXPECT_TRUE(read.ok()) << read.status().message() << "\n" << text;
    if (!read.ok())
      return std::nullopt;
    return std::move(*read);
  }

  /// A function of one weight whose body ends with the value %y.
  static std::string function(const std::string &name, const std::string &body,
                              const std::string &type = "tensor<8xf32>") {
    return "wmap.func @" + name + " -> " + type + " {\n" + body +
           "\n  wmap.return %y : " + type + "\n}\n";
  }

  void expectError(const std::string &functions, const std::string &message,
                   std::vector<std::string> globals = {"w"},
                   std::vector<std::string> layered = {}) {
    EXPECT_FALSE(table(functions, globals, layered));
    EXPECT_EQ(diagnostics, message + "\n");
  }

  std::string text;
};

std::string source(const std::string &name) {
  return "  %y = wmap.source \"" + name + "\" : tensor<8xf32>";
}

TEST_F(SerializeTest, EntriesInTheOrderOfSlots) {
  auto read =
      table(function("z", source("z")) + function("a", source("l.{layer}.a")) +
                function("b", source("l.{layer}.b")),
            {"z"}, {"b", "a"});
  ASSERT_TRUE(read) << diagnostics;
  EXPECT_EQ(read->numSlots, 5);
  ASSERT_EQ(read->entries.size(), 3u);
  EXPECT_EQ(read->entries[0].param, "z");
  EXPECT_EQ(read->entries[0].slots, Numbers{0});
  EXPECT_EQ(read->entries[0].layers, Numbers{});
  EXPECT_EQ(read->entries[1].param, "b");
  EXPECT_EQ(read->entries[1].slots, (Numbers{1, 3}));
  EXPECT_EQ(read->entries[1].layers, (Numbers{0, 1}));
  EXPECT_EQ(read->entries[2].slots, (Numbers{2, 4}));
  EXPECT_EQ(read->entries[2].program.name, "l.{layer}.a");
}

TEST_F(SerializeTest, TheTextIsStable) {
  ASSERT_TRUE(table(function("w", source("w")), {"w"})) << diagnostics;
  EXPECT_EQ(text, R"({
 "version": 1,
 "weights": [
  {
   "param": "w",
   "slots": [
    0
   ],
   "program": {
    "op": "source",
    "name": "w",
    "shape": [
     8
    ],
    "dtype": "f32"
   }
  }
 ]
})");
}

TEST_F(SerializeTest, OneWeightInsideAndOutsideOfLayers) {
  auto read = table(function("w", source("w")), {"w"}, {"w"});
  ASSERT_TRUE(read) << diagnostics;
  ASSERT_EQ(read->entries.size(), 1u);
  EXPECT_EQ(read->entries[0].slots, (Numbers{0, 1, 2}));
  EXPECT_EQ(read->entries[0].layers, Numbers{});
}

TEST_F(SerializeTest, EveryOperation) {
  auto read = table(
      function("w",
               "  %a = wmap.source \"a\" : tensor<20x6xf32>\n"
               "  %b = wmap.source \"b\" : tensor<20x32xf32>\n"
               "  %0 = wmap.slice %b axis 1 from 26 : tensor<20x32xf32> -> "
               "tensor<20x6xf32>\n"
               "  %1 = wmap.concat %a, %0 axis 0 : (tensor<20x6xf32>, "
               "tensor<20x6xf32>) -> tensor<40x6xf32>\n"
               "  %2 = wmap.rope_unpermute %1 heads 5 : tensor<40x6xf32> -> "
               "tensor<40x6xf32>\n"
               "  %3 = wmap.transpose %2 [1, 0] : tensor<40x6xf32> -> "
               "tensor<6x40xf32>\n"
               "  %4 = wmap.reshape %3 : tensor<6x40xf32> -> "
               "tensor<40x6xf32>\n"
               "  %5 = wmap.shift %4 by -1.5 : tensor<40x6xf32> -> "
               "tensor<40x6xf32>\n"
               "  %6 = wmap.unit_rows %5 : tensor<40x6xf32> -> "
               "tensor<40x6xf32>\n"
               "  %7 = wmap.cast %6 : tensor<40x6xf32> -> tensor<40x6xbf16>\n"
               "  %y = wmap.pack %7 rows 32 inner 2 : tensor<40x6xbf16> -> "
               "tensor<2x3x32x2xbf16>",
               "tensor<2x3x32x2xbf16>"),
      {"w"}, {}, "[o = 40, i = 6], bf16, #clade.panels<rows = 32, inner = 2>");
  ASSERT_TRUE(read) << diagnostics;
  const rt::WeightNode *node = &read->entries[0].program;
  std::vector<rt::WeightOp> ops;
  for (; !node->inputs.empty(); node = &node->inputs.back())
    ops.push_back(node->op);
  using enum rt::WeightOp;
  EXPECT_EQ(ops, (std::vector{Pack, Cast, UnitRows, Shift, Reshape, Transpose,
                              RopeUnpermute, Concat, Slice}));
  EXPECT_EQ(node->name, "b");

  // The reader derives each type again.
  node = &read->entries[0].program;
  EXPECT_EQ(node->shape, (Shape{2, 3, 32, 2}));
  EXPECT_EQ(node->dtype, rt::DType::BF16);
  const rt::WeightNode &shift = node->inputs[0].inputs[0].inputs[0];
  EXPECT_EQ(shift.value, -1.5f);
  const rt::WeightNode &rope = shift.inputs[0].inputs[0].inputs[0];
  EXPECT_EQ(rope.heads, 5);
  EXPECT_EQ(rope.inputs[0].inputs[1].begin, 26);
  EXPECT_EQ(rope.inputs[0].inputs[1].end, 32);
}

TEST_F(SerializeTest, QuantisedSourceIsCastFromItsBlocks) {
  auto read = table(function("w",
                             "  %y = wmap.source \"w\" {encoding = \"Q8_0\"} : "
                             "tensor<8x32xf32>",
                             "tensor<8x32xf32>"),
                    {"w"}, {}, "[o = 8, i = 32], f32");
  ASSERT_TRUE(read) << diagnostics;
  const rt::WeightNode &program = read->entries[0].program;
  EXPECT_EQ(program.op, rt::WeightOp::Cast);
  EXPECT_EQ(program.dtype, rt::DType::F32);
  EXPECT_EQ(program.inputs[0].dtype, rt::DType::Q8_0);
  EXPECT_EQ(program.inputs[0].shape, (Shape{8, 32}));
}

/// The weights of all experts as one value.
std::string stackOf(const std::string &name, int64_t count,
                    const std::string &each, const std::string &value = "%y") {
  std::string number = std::to_string(count);
  return "  " + value + " = wmap.source \"" + name + "\" {stack = " + number +
         " : i64} : tensor<" + number + "x" + each + ">\n";
}

TEST_F(SerializeTest, StackOfTheTensorsOfExperts) {
  auto read = table(function("w", stackOf("experts.{expert}.w", 4, "6x8xbf16"),
                             "tensor<4x6x8xbf16>"),
                    {"w"}, {}, "[e = 4, o = 6, i = 8], bf16");
  ASSERT_TRUE(read) << diagnostics;
  const rt::WeightNode &program = read->entries[0].program;
  EXPECT_EQ(program.op, rt::WeightOp::Stack);
  EXPECT_EQ(program.stacked, 4);
  EXPECT_EQ(program.shape, (Shape{4, 6, 8}));
  EXPECT_EQ(program.dtype, rt::DType::BF16);
  const rt::WeightNode &source = program.inputs[0];
  EXPECT_EQ(source.op, rt::WeightOp::Source);
  EXPECT_EQ(source.name, "experts.{expert}.w");
  EXPECT_EQ(source.shape, (Shape{6, 8}));
  EXPECT_EQ(source.dtype, rt::DType::BF16);
}

TEST_F(SerializeTest, TheTextOfAStack) {
  ASSERT_TRUE(
      table(function("w", stackOf("e.{expert}", 2, "8xf32"), "tensor<2x8xf32>"),
            {"w"}, {}, "[e = 2, d = 8], f32"))
      << diagnostics;
  size_t begin = text.find("\"program\"");
  ASSERT_NE(begin, std::string::npos);
  EXPECT_EQ(text.substr(begin), R"("program": {
    "op": "stack",
    "count": 2,
    "input": {
     "op": "source",
     "name": "e.{expert}",
     "shape": [
      8
     ],
     "dtype": "f32"
    }
   }
  }
 ]
})");
}

TEST_F(SerializeTest, StackOfBlocksIsCastAsAWhole) {
  auto read = table(
      function("w",
               "  %y = wmap.source \"blk.{expert}\" {encoding = \"Q8_0\", "
               "stack = 3 : i64} : tensor<3x8x32xf32>",
               "tensor<3x8x32xf32>"),
      {"w"}, {}, "[e = 3, o = 8, i = 32], f32");
  ASSERT_TRUE(read) << diagnostics;
  const rt::WeightNode &program = read->entries[0].program;
  EXPECT_EQ(program.op, rt::WeightOp::Cast);
  EXPECT_EQ(program.dtype, rt::DType::F32);
  EXPECT_EQ(program.shape, (Shape{3, 8, 32}));
  const rt::WeightNode &stack = program.inputs[0];
  EXPECT_EQ(stack.op, rt::WeightOp::Stack);
  EXPECT_EQ(stack.stacked, 3);
  EXPECT_EQ(stack.dtype, rt::DType::Q8_0);
  EXPECT_EQ(stack.inputs[0].name, "blk.{expert}");
  EXPECT_EQ(stack.inputs[0].shape, (Shape{8, 32}));
}

TEST_F(SerializeTest, StackInEachLayer) {
  auto read = table(function("w", stackOf("l.{layer}.e.{expert}", 2, "8xf32"),
                             "tensor<2x8xf32>"),
                    {}, {"w"}, "[e = 2, d = 8], f32");
  ASSERT_TRUE(read) << diagnostics;
  ASSERT_EQ(read->entries.size(), 1u);
  EXPECT_EQ(read->entries[0].slots, (Numbers{0, 1}));
  EXPECT_EQ(read->entries[0].layers, (Numbers{0, 1}));
  EXPECT_EQ(read->entries[0].program.inputs[0].name, "l.{layer}.e.{expert}");
}

TEST_F(SerializeTest, StacksJoinedAndPackedForEachExpert) {
  auto read = table(
      function("w",
               stackOf("{expert}.gate", 4, "6x8xf32", "%a") +
                   stackOf("{expert}.up", 4, "6x8xf32", "%b") +
                   "  %0 = wmap.concat %a, %b axis 1 : (tensor<4x6x8xf32>, "
                   "tensor<4x6x8xf32>) -> tensor<4x12x8xf32>\n"
                   "  %y = wmap.pack %0 rows 16 inner 2 : tensor<4x12x8xf32> "
                   "-> tensor<4x1x4x16x2xf32>",
               "tensor<4x1x4x16x2xf32>"),
      {"w"}, {},
      "[e = 4, o = 12, i = 8], f32, #clade.panels<rows = 16, inner = 2, "
      "groups = 4>");
  ASSERT_TRUE(read) << diagnostics;
  const rt::WeightNode &program = read->entries[0].program;
  EXPECT_EQ(program.op, rt::WeightOp::Pack);
  EXPECT_EQ(program.shape, (Shape{4, 1, 4, 16, 2}));
  const rt::WeightNode &concat = program.inputs[0];
  EXPECT_EQ(concat.axis, 1);
  EXPECT_EQ(concat.shape, (Shape{4, 12, 8}));
  ASSERT_EQ(concat.inputs.size(), 2u);
  EXPECT_EQ(concat.inputs[0].inputs[0].name, "{expert}.gate");
  EXPECT_EQ(concat.inputs[1].inputs[0].name, "{expert}.up");
}

TEST_F(SerializeTest, StackOfLayersOutsideOfLayers) {
  EXPECT_FALSE(table(
      function("w", stackOf("{layer}.{expert}", 2, "8xf32"), "tensor<2x8xf32>"),
      {"w"}, {}, "[e = 2, d = 8], f32"));
  EXPECT_EQ(diagnostics,
            "'wmap.source' op expected a name without '{layer}' outside of "
            "layers, got '{layer}.{expert}'\n");
}

TEST_F(SerializeTest, UnknownElementTypeInAStack) {
  EXPECT_FALSE(
      table(function("w", stackOf("{expert}", 2, "8xi4"), "tensor<2x8xi4>"),
            {"w"}, {}, "[e = 2, d = 8], i4"));
  EXPECT_EQ(diagnostics, "'wmap.source' op expected an element type that "
                         "weights can have, got 'i4'\n");
}

TEST_F(SerializeTest, OperationsOfQuantisedSources) {
  auto read = table(
      function(
          "w",
          "  %w = wmap.source \"w\" : tensor<8x4xui8>\n"
          "  %c = wmap.bitcast %w {high_first} : tensor<8x4xui8> -> "
          "tensor<8x8xui4>\n"
          "  %t = wmap.constant [-0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, "
          "9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 0.1] : tensor<16xf32>\n"
          "  %g = wmap.gather %t by %c : (tensor<16xf32>, tensor<8x8xui4>) -> "
          "tensor<8x8xf32>\n"
          "  %z = wmap.source \"z\" : tensor<8x2xf16>\n"
          "  %0 = wmap.subtract %g minus %z blocks [1, 4] : (tensor<8x8xf32>, "
          "tensor<8x2xf16>) -> tensor<8x8xf32>\n"
          "  %b = wmap.source \"s\" : tensor<2x1xui8>\n"
          "  %s = wmap.bitcast %b : tensor<2x1xui8> -> tensor<2x1xf8E8M0FNU>\n"
          "  %y = wmap.scale %0 by %s blocks [5, 8] : (tensor<8x8xf32>, "
          "tensor<2x1xf8E8M0FNU>) -> tensor<8x8xf32>",
          "tensor<8x8xf32>"),
      {"w"}, {}, "[o = 8, i = 8], f32");
  ASSERT_TRUE(read) << diagnostics;
  using enum rt::WeightOp;
  const rt::WeightNode &scale = read->entries[0].program;
  EXPECT_EQ(scale.op, Scale);
  EXPECT_EQ(scale.block, (Shape{5, 8}));
  EXPECT_EQ(scale.inputs[1].op, Bitcast);
  EXPECT_EQ(scale.inputs[1].dtype, rt::DType::F8_E8M0);
  const rt::WeightNode &subtract = scale.inputs[0];
  EXPECT_EQ(subtract.op, Subtract);
  EXPECT_EQ(subtract.block, (Shape{1, 4}));
  const rt::WeightNode &gather = subtract.inputs[0];
  EXPECT_EQ(gather.op, Gather);
  EXPECT_EQ(gather.inputs[0].values.size(), 16u);
  EXPECT_TRUE(std::signbit(gather.inputs[0].values[0]));
  EXPECT_EQ(gather.inputs[0].values[15], 0.1f);
  EXPECT_EQ(gather.inputs[1].dtype, rt::DType::U4_HIGH);
}

TEST_F(SerializeTest, ElementTypesOfSources) {
  const std::pair<const char *, rt::DType> types[] = {
      {"f64", rt::DType::F64},        {"f16", rt::DType::F16},
      {"bf16", rt::DType::BF16},      {"f8E4M3FN", rt::DType::F8_E4M3},
      {"f8E5M2", rt::DType::F8_E5M2}, {"f8E8M0FNU", rt::DType::F8_E8M0}};
  for (auto [name, dtype] : types) {
    auto read = table(function("w", "  %0 = wmap.source \"w\" : tensor<8x" +
                                        std::string(name) +
                                        ">\n  %y = wmap.cast %0 : tensor<8x" +
                                        name + "> -> tensor<8xf32>"),
                      {"w"});
    ASSERT_TRUE(read) << name << diagnostics;
    EXPECT_EQ(read->entries[0].program.inputs[0].dtype, dtype) << name;
  }
}

TEST_F(SerializeTest, IntegerElements) {
  const std::pair<const char *, rt::DType> types[] = {
      {"i8", rt::DType::I8},    {"i16", rt::DType::I16},
      {"i32", rt::DType::I32},  {"i64", rt::DType::I64},
      {"ui8", rt::DType::U8},   {"ui16", rt::DType::U16},
      {"ui32", rt::DType::U32}, {"ui64", rt::DType::U64}};
  for (auto [name, dtype] : types) {
    std::string type = "tensor<8x" + std::string(name) + ">";
    auto read = table(function("w", "  %y = wmap.source \"w\" : " + type, type),
                      {"w"}, {}, "[d = 8], " + std::string(name));
    ASSERT_TRUE(read) << name << diagnostics;
    EXPECT_EQ(read->entries[0].program.dtype, dtype) << name;
  }
}

TEST_F(SerializeTest, LayerOutsideOfLayers) {
  expectError(function("w", source("l.{layer}.w")),
              "'wmap.source' op expected a name without '{layer}' outside of "
              "layers, got 'l.{layer}.w'");
}

TEST_F(SerializeTest, NameThatIsNotUTF8) {
  expectError(function("w", source("\\FF")),
              "'wmap.source' op expected a name in UTF-8");
}

TEST_F(SerializeTest, UnknownElementType) {
  EXPECT_FALSE(table(
      function("w", "  %y = wmap.source \"w\" : tensor<8xi4>", "tensor<8xi4>"),
      {"w"}, {}, "[d = 8], i4"));
  EXPECT_EQ(diagnostics, "'wmap.source' op expected an element type that "
                         "weights can have, got 'i4'\n");
}

TEST_F(SerializeTest, OpOfAnotherDialect) {
  expectError("func.func private @f() -> tensor<8xf32>\n" +
                  function("w", "  %y = func.call @f() : () -> tensor<8xf32>"),
              "'func.call' op expected a wmap op in a wmap.func");
}

TEST_F(SerializeTest, TooDeep) {
  std::string body = "  %0 = wmap.source \"w\" : tensor<8xf32>\n";
  for (int i = 0; i < 30; ++i)
    body += "  %" + std::to_string(i + 1) + " = wmap.shift %" +
            std::to_string(i) + " by 1.0 : tensor<8xf32> -> tensor<8xf32>\n";
  std::string deeper =
      "  %y = wmap.shift %30 by 1.0 : tensor<8xf32> -> tensor<8xf32>";
  std::string cast = "  %y = wmap.reshape %29 : tensor<8xf32> -> tensor<8xf32>";
  EXPECT_TRUE(table(function("w", body + cast), {"w"})) << diagnostics;
  expectError(function("w", body + deeper),
              "'wmap.source' op expected at most 31 ops on the way from a "
              "source to the weight");
}

TEST_F(SerializeTest, TooManyUses) {
  // Each value is used twice by the next: 2¹⁷ sources in all.
  std::string body = "  %0 = wmap.source \"w\" : tensor<1xf32>\n";
  for (int i = 0; i < 17; ++i) {
    std::string type = "tensor<" + std::to_string(1 << i) + "xf32>";
    std::string next = "tensor<" + std::to_string(2 << i) + "xf32>";
    std::string name = i == 16 ? "y" : std::to_string(i + 1);
    std::string before = std::to_string(i);
    body += "  %" + name + " = wmap.concat %" + before + ", %" + before +
            " axis 0 : (" + type + ", " + type + ") -> " + next + "\n";
  }
  EXPECT_FALSE(table(function("w", body, "tensor<131072xf32>"), {"w"}, {},
                     "[d = 131072], f32"));
  EXPECT_NE(diagnostics.find("expected at most 65536 ops in a weight, each "
                             "counted once for each use"),
            std::string::npos)
      << diagnostics;
}

} // namespace
