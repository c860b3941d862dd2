//===- SlotsTest.cpp - Tests of the numbers of weights and states ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Slots.h"
#include "ModuleFixture.h"

using namespace clade;

namespace {

using Strings = llvm::SmallVector<llvm::StringRef>;

class SlotsTest : public ModuleFixture {
protected:
  void expectError(const std::string &text, const std::string &message) {
    ASSERT_TRUE(parse(text)) << diagnostics;
    EXPECT_TRUE(failed(assignSlots(*module)));
    EXPECT_EQ(diagnostics, message + "\n");
  }
};

// Four weights of two elements, and what functions do with them.
const char prelude[] = "!w = !clade.tensor<[d = 2], f32>\n"
                       "!k = !clade.tensor<[token, heads = 1, head = 2], f32>\n"
                       "!b = !clade.batch\n";

std::string weights() {
  std::string text;
  for (const char *name : {"a", "b", "c", "d"})
    text += "wmap.func @" + std::string(name) +
            " -> tensor<2xf32> {\n  %0 = wmap.source \"" + name +
            "\" : tensor<2xf32>\n  wmap.return %0 : tensor<2xf32>\n}\n";
  return prelude + text;
}

std::string param(const std::string &name) {
  return "  %" + name + " = clade.param @" + name + " : !w\n";
}

TEST_F(SlotsTest, GlobalsFirstThenLayerAfterLayer) {
  ASSERT_TRUE(
      parse(weights() + "func.func @main() attributes {clade.entry} {\n" +
            param("d") + param("b") +
            "  %again = clade.param @d : !w\n  return\n}\n"
            "func.func @one(%x: !k, %batch: !b) {\n" +
            param("a") +
            "  clade.cache_write %x, %x, %batch state 1 : !k, !k\n  return\n}\n"
            "func.func @two(%x: !k, %batch: !b) {\n" +
            param("c") + param("a") + param("b") +
            "  return\n}\n"
            "clade.schedule @layers kinds [@one, @two] rows [1, 0, 0, 1]\n"))
      << diagnostics;
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots)) << diagnostics;
  EXPECT_EQ(slots->globals, (Strings{"d", "b"}));
  ASSERT_EQ(slots->kinds.size(), 2u);
  EXPECT_EQ(slots->kinds[0].function.getSymName(), "one");
  EXPECT_EQ(slots->kinds[0].params, (Strings{"a"}));
  EXPECT_EQ(slots->kinds[0].numStates, 2);
  EXPECT_EQ(slots->kinds[1].params, (Strings{"c", "a", "b"}));
  EXPECT_EQ(slots->kinds[1].numStates, 0);

  const int64_t expected[4][4] = {
      {1, 0, 2, 0}, {0, 1, 5, 0}, {0, 2, 6, 2}, {1, 3, 7, 4}};
  ASSERT_EQ(slots->layers.size(), 4u);
  for (int row = 0; row < 4; ++row) {
    EXPECT_EQ(slots->layers[row].kind, expected[row][0]);
    EXPECT_EQ(slots->layers[row].layer, expected[row][1]);
    EXPECT_EQ(slots->layers[row].firstWeight, expected[row][2]);
    EXPECT_EQ(slots->layers[row].firstState, expected[row][3]);
  }
  EXPECT_EQ(slots->numWeights, 10);
  EXPECT_EQ(slots->numStates, 4);
}

TEST_F(SlotsTest, ParametersInsideKernelsCount) {
  ASSERT_TRUE(parse(weights() +
                    "func.func @main() attributes {clade.entry} {\n"
                    "  clade.kernel tokenwise () : () -> () {\n  " +
                    param("b") + "    clade.yield\n  }\n" + param("a") +
                    "  return\n}\n"))
      << diagnostics;
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots)) << diagnostics;
  EXPECT_EQ(slots->globals, (Strings{"b", "a"}));
}

TEST_F(SlotsTest, SeveralSchedulesShareAKind) {
  ASSERT_TRUE(parse(weights() + "func.func @kind() {\n" + param("a") +
                    "  return\n}\n"
                    "clade.schedule @first kinds [@kind] rows [0, 0]\n"
                    "clade.schedule @second kinds [@kind] rows [0]\n"))
      << diagnostics;
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots)) << diagnostics;
  EXPECT_EQ(slots->kinds.size(), 1u);
  EXPECT_EQ(slots->firstLayer.lookup("first"), 0);
  EXPECT_EQ(slots->firstLayer.lookup("second"), 2);
  EXPECT_EQ(slots->layers[2].layer, 0);
  EXPECT_EQ(slots->layers[2].firstWeight, 2);
  EXPECT_EQ(slots->numWeights, 3);
}

TEST_F(SlotsTest, EmptyModule) {
  ASSERT_TRUE(parse("")) << diagnostics;
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots));
  EXPECT_EQ(slots->numWeights, 0);
}

TEST_F(SlotsTest, EntryThatIsAKind) {
  expectError("func.func @f() attributes {clade.entry} {\n  return\n}\n"
              "clade.schedule @layers kinds [@f] rows [0]\n",
              "'func.func' op expected an entry or a layer kind, got both");
}

TEST_F(SlotsTest, ParameterOutside) {
  expectError(weights() + "func.func @helper() {\n" + param("a") +
                  "  return\n}\n",
              "'clade.param' op expected a parameter to be used in an entry or "
              "a layer kind, got '@helper'");
}

TEST_F(SlotsTest, StateOutside) {
  expectError(std::string(prelude) +
                  "func.func @main(%x: !k, %batch: !b) attributes "
                  "{clade.entry} {\n"
                  "  clade.cache_write %x, %x, %batch state 0 : !k, !k\n"
                  "  return\n}\n",
              "'clade.cache_write' op expected a state to be used in a layer "
              "kind, got '@main'");
}

TEST_F(SlotsTest, StateTooLarge) {
  expectError(std::string(prelude) +
                  "func.func @kind(%x: !k, %batch: !b) {\n"
                  "  clade.cache_write %x, %x, %batch state 2147483647 : !k, "
                  "!k\n  return\n}\n"
                  "clade.schedule @layers kinds [@kind] rows [0]\n",
              "'clade.cache_write' op expected a state of 0 to 2147483646, got "
              "2147483647");
}

TEST_F(SlotsTest, TooManyStates) {
  expectError(std::string(prelude) +
                  "func.func @kind(%x: !k, %batch: !b) {\n"
                  "  clade.cache_write %x, %x, %batch state 2147483646 : !k, "
                  "!k\n  return\n}\n"
                  "clade.schedule @layers kinds [@kind] rows [0, 0]\n",
              "'clade.schedule' op expected at most 2147483647 weights and "
              "states");
}

} // namespace
