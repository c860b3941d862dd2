//===- EquationsTest.cpp - Tensors under other names ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Questions.h"

#include <gtest/gtest.h>

using namespace clade::onboard;

namespace {

std::vector<std::string>
equations(std::vector<std::pair<std::string, std::string>> names,
          double certainty = 1) {
  std::vector<Pairing> pairings;
  for (auto &[logical, published] : names)
    pairings.push_back({logical, published, certainty, {}});
  return equationsOf(pairings);
}
using Texts = std::vector<std::string>;

TEST(EquationsTest, SiblingsAreOneEquation) {
  EXPECT_EQ(equations({{"h.{layer}.a", "h.{layer}.x"},
                       {"h.{layer}.b", "h.{layer}.y"},
                       {"norm", "last"}}),
            Texts({"h.{layer}.{\"a\", \"b\"} = h.{layer}.{\"x\", \"y\"}",
                   "norm = last"}));
}

TEST(EquationsTest, AMovedModuleIsSaidOnceBehindItsParts) {
  EXPECT_EQ(equations({{"l.{layer}.mlp.gate", "l.{layer}.moe.gate"},
                       {"l.{layer}.mlp.bias", "l.{layer}.moe.bias"},
                       {"l.{layer}.mlp.up", "l.{layer}.moe.w1"}}),
            Texts({"l.{layer}.mlp.up = l.{layer}.moe.w1",
                   "l.{layer}.mlp = l.{layer}.moe"}));
}

TEST(EquationsTest, OneMoveIsWrittenInFull) {
  EXPECT_EQ(equations({{"a.b.c", "x.b.c"}}), Texts({"a.b.c = x.b.c"}));
}

TEST(EquationsTest, DoubtsStandAlone) {
  EXPECT_EQ(
      equations({{"a.b", "a.c"}, {"a.d", "a.e"}}, 0.3),
      Texts({"a.b = a.c if todo(\"likely by its name and shape\", true)",
             "a.d = a.e if todo(\"likely by its name and shape\", true)"}));
}

TEST(EquationsTest, MadeTensorsStandAlone) {
  EXPECT_EQ(equations({{"a.b.weight", "transpose(a.c.weight)"},
                       {"a.d.weight", "a.e.weight[0 .. d]"}}),
            Texts({"a.b.weight = transpose(a.c.weight)",
                   "a.d.weight = a.e.weight[0 .. d]"}));
}

} // namespace
