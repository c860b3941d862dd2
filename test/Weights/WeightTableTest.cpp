//===- WeightTableTest.cpp - Reading weight tables ------------------------===//
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

const std::string plain =
    R"({"op":"source","name":"t","dtype":"f32","shape":[1]})";
const std::string layered =
    R"({"op":"source","name":"l.{layer}","dtype":"f32","shape":[1]})";

std::string table(const std::string &weights) {
  return R"({"version":1,"weights":[)" + weights + "]}";
}

std::string entry(const std::string &fields, const std::string &program) {
  return R"({"param":"p",)" + fields + R"(,"program":)" + program + "}";
}

void expectRejected(const std::string &text, const std::string &message,
                    StatusCode code = StatusCode::InvalidArgument) {
  auto result = WeightTable::parse(text, "f");
  ASSERT_FALSE(result.ok()) << text;
  expectError(result.status(), code, "'f': " + message);
}

TEST(WeightTable, Reads) {
  auto result = WeightTable::parse(
      table(entry(R"("slot":1)", plain) + "," +
            entry(R"("slots":[2,0],"layers":[5,7])", layered)),
      "f");
  ASSERT_OK(result);
  EXPECT_EQ(result->numSlots, 3);
  ASSERT_EQ(result->entries.size(), 2u);
  const WeightEntry &second = result->entries[1];
  EXPECT_EQ(second.param, "p");
  EXPECT_EQ(second.slots, (std::vector<int32_t>{2, 0}));
  EXPECT_EQ(second.layers, (std::vector<int32_t>{5, 7}));
  EXPECT_TRUE(mentionsLayer(second.program));
  EXPECT_FALSE(mentionsLayer(result->entries[0].program));
  ASSERT_OK(WeightTable::parse(table(""), "f"));
}

TEST(WeightTable, ExpandLayer) {
  EXPECT_EQ(expandLayer("a.{layer}.b{layer}", 12), "a.12.b12");
  EXPECT_EQ(expandLayer("{layer", 12), "{layer");
  EXPECT_EQ(expandLayer("", 1), "");
}

TEST(WeightTable, Document) {
  EXPECT_EQ(WeightTable::parse("{", "f").status().code(),
            StatusCode::Corruption);
  expectRejected("[]", "expected an object {\"version\": 1, ...}",
                 StatusCode::Corruption);
  expectRejected(R"({"weights":[]})", "expected 'version'");
  expectRejected(R"({"version":2,"weights":[]})", "has version 2, expected 1",
                 StatusCode::Unsupported);
  expectRejected(R"({"version":1})", "expected 'weights', an array",
                 StatusCode::Corruption);
  expectRejected(R"({"version":1,"weights":[],"x":1})", "unknown key 'x'");
  expectRejected(table("3"),
                 "'weights' holds a value of type number, expected an object");
  expectRejected(table("{}"), "expected 'param', a string");
}

TEST(WeightTable, Entries) {
  std::string begin = "weight 'p': ";
  for (std::string fields : {R"("layers":[1])", R"("slot":0,"slots":[0])"})
    expectRejected(table(entry(fields, plain)),
                   begin + "expected either 'slot' or 'slots'");
  expectRejected(table(entry(R"("slots":[])", plain)),
                 begin + "'slots' is empty");
  expectRejected(table(entry(R"("slot":-1)", plain)),
                 begin + "expected 'slot' from 0 to 1048575, got '-1'");
  expectRejected(table(entry(R"("slots":["a"])", plain)),
                 begin + "expected 'slots' from 0 to 1048575 in each element, "
                         "got '\"a\"'");
  expectRejected(table(entry(R"("slots":[0,1],"layers":[0])", layered)),
                 begin + "has 2 slots and 1 layers, expected as many layers as "
                         "slots");
  expectRejected(table(R"({"param":"p","slot":0})"),
                 begin + "expected 'program'");
  expectRejected(table(entry(R"("slot":0,"x":1)", plain)),
                 begin + "unknown key 'x'");
  expectRejected(table(entry(R"("slot":0)", layered)),
                 begin + "the program names '{layer}', but there are no "
                         "'layers'");
  expectRejected(table(entry(R"("slot":0)", R"({"op":"x"})")),
                 begin + "unknown operation 'x'");
}

TEST(WeightTable, Stacks) {
  auto stack = [](const std::string &members) {
    return entry(R"("slot":0)", R"({"op":"stack",)" + members + "}");
  };
  std::string begin = "weight 'p': 'stack': ", input = R"("input":)" + plain;
  auto result = WeightTable::parse(table(stack(R"("count":2,)" + input)), "f");
  ASSERT_OK(result);
  EXPECT_EQ(result->entries[0].program.shape, (std::vector<int64_t>{2, 1}));
  expectRejected(table(stack(R"("count":2,"axis":1,)" + input)),
                 begin + "unknown key 'axis'");
  expectRejected(table(stack(R"("count":2,"shape":[2,1],)" + input)),
                 begin + "unknown key 'shape'");
  expectRejected(table(stack(R"("count":2,"inputs":[])")),
                 begin + "unknown key 'inputs'");
  expectRejected(table(stack(R"("count":2)")), begin + "expected 'input'");
  // What a layer's experts are called needs its layer.
  std::string layers = R"({"op":"stack","count":2,"input":)" + layered + "}";
  expectRejected(table(entry(R"("slot":0)", layers)),
                 "weight 'p': the program names '{layer}', but there are no "
                 "'layers'");
  ASSERT_OK(WeightTable::parse(
      table(entry(R"("slots":[0],"layers":[3])", layers)), "f"));
}

TEST(WeightTable, ExpandExpert) {
  EXPECT_EQ(expandExpert("e.{expert}.{expert}", 127), "e.127.127");
  EXPECT_EQ(expandExpert("l.{layer}.{expert", 1), "l.{layer}.{expert");
}

TEST(WeightTable, Slots) {
  expectRejected(table(entry(R"("slot":0)", plain) +
                       R"(,{"param":"q","slot":0,"program":)" + plain + "}"),
                 "slot 0 is filled by both weight 'p' and weight 'q'");
  expectRejected(table(entry(R"("slots":[0,2])", plain)),
                 "no weight fills slot 1 of 3");
}

TEST(WeightTable, Open) {
  TempDir dir;
  ASSERT_OK(WeightTable::open(dir.write("w.json", table(""))));
  std::string broken = dir.write("broken.json", "[]");
  EXPECT_EQ(WeightTable::open(broken).status().message(),
            "'" + broken + "': expected an object {\"version\": 1, ...}");
  EXPECT_EQ(WeightTable::open(dir / "none").status().code(),
            StatusCode::NotFound);
}

} // namespace
