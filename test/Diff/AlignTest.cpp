//===- AlignTest.cpp - Which steps stand for each other -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/Align.h"
#include "lib/Diff/Compare.h"

#include <gtest/gtest.h>

using namespace clade::diff;

namespace {

Step step(std::string op, std::string address = "",
          std::vector<unsigned> inputs = {},
          std::vector<Argument> arguments = {}) {
  Step result;
  result.op = std::move(op);
  result.address = std::move(address);
  result.entry = "forward";
  result.inputs = std::move(inputs);
  result.arguments = std::move(arguments);
  return result;
}

Trace trace(std::vector<Step> steps) {
  Trace result;
  result.steps = std::move(steps);
  return result;
}

/// '=' for a pair, '+' and '-' for what has no partner.
std::string marks(const std::vector<Pair> &pairs) {
  std::string text;
  for (const Pair &pair : pairs)
    text += pair.from && pair.to ? '=' : pair.to ? '+' : '-';
  return text;
}

std::vector<std::string> differencesAt(size_t place,
                                       const std::vector<Pair> &pairs,
                                       const Trace &from, const Trace &to) {
  return differences(pairs[place], pairs, from, to);
}

TEST(AlignTest, EqualTraces) {
  Trace a = trace({step("embed", "table"), step("linear", "q", {0})});
  std::vector<Pair> pairs = align(a, a);
  EXPECT_EQ(marks(pairs), "==");
  for (size_t i = 0; i < pairs.size(); ++i)
    EXPECT_TRUE(differencesAt(i, pairs, a, a).empty());
}

TEST(AlignTest, EmptyTraces) {
  Trace none, one = trace({step("embed", "table")});
  EXPECT_TRUE(align(none, none).empty());
  EXPECT_EQ(marks(align(none, one)), "+");
  EXPECT_EQ(marks(align(one, none)), "-");
}

/// What is put between two steps says that the second takes something else.
TEST(AlignTest, AnInsertedStepExplainsItsReader) {
  Trace a = trace({step("linear", "q"), step("rope", "", {0})});
  Trace b = trace({step("linear", "q"), step("rms_norm", "q_norm", {0}),
                   step("rope", "", {1})});
  std::vector<Pair> pairs = align(a, b);
  EXPECT_EQ(marks(pairs), "=+=");
  EXPECT_TRUE(differencesAt(2, pairs, a, b).empty());
  pairs = align(b, a);
  EXPECT_EQ(marks(pairs), "=-=");
  EXPECT_TRUE(differencesAt(2, pairs, b, a).empty());
}

/// With the same steps, only what they take can differ.
TEST(AlignTest, OtherInputs) {
  Trace a = trace(
      {step("linear", "q"), step("linear", "k", {}), step("rope", "", {0})});
  Trace b = trace(
      {step("linear", "q"), step("linear", "k", {}), step("rope", "", {1})});
  std::vector<Pair> pairs = align(a, b);
  EXPECT_EQ(marks(pairs), "===");
  EXPECT_EQ(differencesAt(2, pairs, a, b),
            std::vector<std::string>{"takes k, not q"});
}

TEST(AlignTest, Arguments) {
  Trace a =
      trace({step("attend", "", {}, {{"mask", "causal"}, {"cap", "50"}})});
  Trace b =
      trace({step("attend", "", {}, {{"mask", "near(4)"}, {"sink", "s"}})});
  std::vector<Pair> pairs = align(a, b);
  EXPECT_EQ(differencesAt(0, pairs, a, b),
            (std::vector<std::string>{"mask: causal -> near(4)",
                                      "without cap: 50", "with sink: s"}));
}

TEST(AlignTest, ConditionsAndAddresses) {
  Trace a = trace({step("linear", "mlp.up")});
  Trace b = trace({step("linear", "ffn.up")});
  b.steps[0].conditions = {"moe", "not last"};
  std::vector<Pair> pairs = align(a, b);
  EXPECT_EQ(differencesAt(0, pairs, a, b),
            (std::vector<std::string>{"at mlp.up -> at ffn.up",
                                      "always -> if moe and not last"}));
}

/// Norms of two sorts stand for each other, a norm and a product do not.
TEST(AlignTest, OtherOpsAtOneAddress) {
  Trace a = trace({step("rms_norm", "norm")});
  Trace b = trace({step("layer_norm", "norm")});
  Trace c = trace({step("linear", "norm")});
  EXPECT_EQ(marks(align(a, b)), "=");
  EXPECT_EQ(marks(align(a, c)).size(), 2u);
}

/// Steps of layers never stand for steps outside of them.
TEST(AlignTest, LayersAreApart) {
  Trace a = trace({step("rms_norm", "norm")}), b = a;
  b.steps[0].inLayers = true;
  EXPECT_EQ(marks(align(a, b)).size(), 2u);
  b.steps[0].inLayers = false;
  b.steps[0].entry = "image";
  EXPECT_EQ(marks(align(a, b)).size(), 2u);
}

std::vector<Change> changes(std::vector<std::string> names) {
  std::vector<Change> list;
  for (std::string &name : names)
    list.push_back({Change::Kind::Added, std::move(name), "", "[4]", ""});
  return list;
}

std::vector<std::string> merged(std::vector<std::string> names) {
  std::vector<std::string> list;
  for (const Change &change : mergeSiblings(changes(std::move(names))))
    list.push_back(change.name);
  return list;
}

TEST(MergeSiblingsTest, NamesThatDifferInOnePart) {
  using List = std::vector<std::string>;
  EXPECT_EQ(merged({"a.q.bias", "a.k.bias", "a.v.bias"}),
            List{"a.{q, k, v}.bias"});
  EXPECT_EQ(merged({"linear at a.q", "linear at a.k"}),
            List{"linear at a.{q, k}"});
  EXPECT_EQ(merged({"linear at q", "linear at k"}), List{"linear at {q, k}"});
  EXPECT_EQ(merged({"a.q.bias", "b.k.bias"}), (List{"a.q.bias", "b.k.bias"}));
  EXPECT_EQ(merged({"norm at q", "linear at k"}),
            (List{"norm at q", "linear at k"}));
  EXPECT_EQ(merged({"round", "mix"}), (List{"round", "mix"}));
  EXPECT_TRUE(merged({}).empty());
}

TEST(MergeSiblingsTest, OnlyEqualChanges) {
  std::vector<Change> list = changes({"a.q", "a.k"});
  list[1].to = "[8]";
  EXPECT_EQ(mergeSiblings(list).size(), 2u);
  list[1].to = "[4]";
  list[1].where = "elsewhere";
  EXPECT_EQ(mergeSiblings(list).size(), 2u);
}

TEST(CompareMapsTest, AllThreeKinds) {
  std::vector<Change> list = compareMaps({{"a", "1"}, {"b", "2"}, {"c", "3"}},
                                         {{"b", "2"}, {"c", "4"}, {"d", "5"}});
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].kind, Change::Kind::Removed);
  EXPECT_EQ(list[1].kind, Change::Kind::Changed);
  EXPECT_EQ(list[1].from + list[1].to, "34");
  EXPECT_EQ(list[2].name, "d");
}

} // namespace
