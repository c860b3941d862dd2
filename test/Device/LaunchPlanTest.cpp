//===- LaunchPlanTest.cpp - The launches of a step, read and written ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/LaunchPlan.h"

#include <gtest/gtest.h>

using namespace clade::rt;

namespace {

using Space = LaunchArgument::Space;

constexpr int64_t numWeights = 3, numStates = 2;

LaunchPlan example() {
  LaunchPlan plan;
  plan.fixedBytes = 128;
  plan.tokenBytes = 512;
  plan.selectedBytes = 64;
  plan.choiceBytes = 48;
  plan.routers = {{/*offset=*/0, /*layer=*/1, /*active=*/2, /*experts=*/8},
                  {/*offset=*/16, /*layer=*/2, /*active=*/4, /*experts=*/4}};
  plan.kernels["first"] = {false, 1, 1, 128, 64};
  plan.kernels["last"] = {true, 7, 8, 96, 0};
  plan.launches.push_back(
      {"first", {{Space::Weight, 2}, {Space::State, 1}, {Space::Token, 256}}});
  plan.launches.back().arguments.push_back(
      {Space::Weight, 1, LaunchMap{72, 40, 64, 256}});
  plan.launches.back().arguments.push_back(
      {Space::Token, 64, LaunchMap{96, 0, 32, 128}});
  plan.launches.push_back({"last", {{Space::Selected, 8}, {Space::Output, 0}}});
  plan.launches.push_back(
      {"first",
       {{Space::Fixed, 64}, {Space::Input, 2}, {Space::Choices, 16}},
       1,
       8,
       5});
  plan.launches.push_back({"last", {}, 9});
  plan.launches.push_back({"first", {}, 1, INT32_MAX, {}, 16, 4});
  plan.traces = {{1, {Space::Token, 384}, 128},
                 {1, {Space::Selected, 8}, 56},
                 {5, {Space::Output, 0}, 1000}};
  return plan;
}

/// The example with launches that choose tokens.
LaunchPlan greedyExample() {
  LaunchPlan plan = example();
  plan.kernels["choose"] = {true, 3, 1, 64, 32};
  plan.greedy =
      LaunchGreedy{{{"choose", {{Space::Output, 0}, {Space::Selected, 16}}, 2}},
                   {Space::Selected, 24}};
  return plan;
}

/// The example with launches that draw tokens.
LaunchPlan drawsExample() {
  LaunchPlan plan = example();
  plan.selectedBytes = 8256;
  plan.kernels["draw"] = {true, 3, 1, 64, 32};
  plan.draws = LaunchDraws{
      {{"draw",
        {{Space::Output, 0}, {Space::Input, 3}, {Space::Selected, 32}}}},
      {Space::Selected, 32},
      {Space::Selected, 56}};
  return plan;
}

StatusOr<LaunchPlan> read(std::string_view text) {
  return LaunchPlan::fromJson(text, numWeights, numStates);
}

/// The text of a plan with the first such piece of it replaced.
std::string changed(const std::string &from, const std::string &to,
                    const LaunchPlan &plan = example()) {
  std::string text = plan.toJson();
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(LaunchPlanTest, ReadsWhatItWrites) {
  StatusOr<LaunchPlan> plan = read(example().toJson());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(*plan, example());
  StatusOr<LaunchPlan> greedy = read(greedyExample().toJson());
  ASSERT_TRUE(greedy.ok()) << greedy.status().message();
  EXPECT_EQ(*greedy, greedyExample());
  EXPECT_FALSE(*greedy == *plan);
  StatusOr<LaunchPlan> draws = read(drawsExample().toJson());
  ASSERT_TRUE(draws.ok()) << draws.status().message();
  EXPECT_EQ(*draws, drawsExample());
  EXPECT_FALSE(*draws == *plan);
}

struct BadPlan {
  std::string text, message;
};

class BadPlanTest : public testing::TestWithParam<BadPlan> {};

TEST_P(BadPlanTest, IsRefused) {
  StatusOr<LaunchPlan> plan = read(GetParam().text);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.status().message().find(GetParam().message), std::string::npos)
      << plan.status().message();
}

INSTANTIATE_TEST_SUITE_P(
    All, BadPlanTest,
    testing::Values(
        BadPlan{"{", "parse error"}, BadPlan{"[]", "expected an object"},
        BadPlan{changed("\"version\": 8", "\"version\": 7"),
                "expected version 8, got 7"},
        BadPlan{changed("\"launches\": 5,", "\"launches\": 6,"),
                "trace 2: expected 'launches' from 0 to 5, got '6'"},
        BadPlan{changed("\"launches\": 5,", "\"launches\": 0,"),
                "trace 2: 'launches': expected at least 1, got 0"},
        BadPlan{changed("\"row_bytes\": 128", "\"row_bytes\": 129"),
                "trace 0: 'row_bytes': expected 1 to 128, got 129"},
        BadPlan{changed("\"row_bytes\": 56", "\"row_bytes\": 0"),
                "trace 1: 'row_bytes': expected 1 to 56, got 0"},
        BadPlan{changed("\"row_bytes\": 1000", "\"row_bytes\": 1000, \"x\": 1"),
                "trace 2: unknown"},
        BadPlan{changed("\"traces\": [", "\"traces\": [1,"),
                "trace 0: expected an object"},
        BadPlan{changed("\"traces\": [",
                        "\"traces\": [{\"launches\": 1, \"row_bytes\": 1, "
                        "\"value\": [\"fixed\", 0]},"),
                "trace 0: expected rows of tokens or of the output"},
        BadPlan{changed("\"launches\"", "\"lunches\""),
                "unknown key 'lunches'"},
        BadPlan{changed("\"token_bytes\": 512", "\"token_bytes\": -1"),
                "'token_bytes'"},
        BadPlan{changed("\"rows\": \"token\"", "\"rows\": \"all\""),
                "'first': 'rows': expected 'token' or 'selected', got 'all'"},
        BadPlan{changed("\"threads\": 128", "\"threads\": 0"),
                "'first': 'threads': expected at least 1, got 0"},
        BadPlan{changed("\"threads\": 128", "\"threads\": 2048"), "'first': "},
        BadPlan{changed("\"kernel\": \"last\"", "\"kernel\": \"other\""),
                "launch 1: unknown kernel 'other'"},
        BadPlan{changed("\"max_rows\": 8", "\"max_rows\": 0"),
                "launch 2: expected rows from at least 1 on, got 1 to 0"},
        BadPlan{changed("\"min_rows\": 9", "\"min_rows\": 0"),
                "launch 3: expected rows from at least 1 on, got 0 to "},
        BadPlan{changed("\"min_rows\": 9", "\"min_rows\": \"all\""),
                "launch 3: expected 'min_rows' from 0 to"},
        BadPlan{changed("\"min_rows\": 9", "\"min_rows\": 2147483648"),
                "launch 3: expected 'min_rows' from 0 to"},
        BadPlan{changed("\"min_longest\": 16", "\"min_longest\": 0"),
                "launch 4: 'min_longest' and 'max_shortest': expected at least "
                "1, got 0 and 4"},
        BadPlan{changed("\"max_shortest\": 4", "\"max_shortest\": 0"),
                "launch 4: 'min_longest' and 'max_shortest': expected at least "
                "1, got 16 and 0"},
        BadPlan{changed("\"columns\": 5", "\"columns\": 0"),
                "launch 2: 'columns': expected at least 1, got 0"},
        BadPlan{changed("\"columns\": 5", "\"columns\": 2147483648"),
                "launch 2: expected 'columns' from 0 to"},
        BadPlan{changed("\"fixed_bytes\": 128", "\"fixed_bytes\": -1"),
                "'fixed_bytes'"},
        // Numbers behind the end of what they are numbers of.
        BadPlan{changed("\"weight\",\n     2", "\"weight\",\n     3"),
                "launch 0: 'weight': expected a number below 3, got 3"},
        BadPlan{changed("\"state\",\n     1", "\"state\",\n     2"),
                "launch 0: 'state': expected a number below 2, got 2"},
        BadPlan{changed("\"input\",\n     2", "\"input\",\n     4"),
                "launch 2: 'input': expected a number below 4, got 4"},
        BadPlan{changed("\"choices\",\n     16", "\"choices\",\n     48"),
                "launch 2: 'choices': expected a number below 48, got 48"},
        BadPlan{changed("\"box_rows\": 256", "\"box_rows\": 257"),
                "launch 0: tensor map: expected 'box_rows' from 0 to 256"},
        BadPlan{changed("\"box_rows\": 128", "\"box_rows\": 0"),
                "launch 0: tensor map: 'box_rows': expected a multiple of 1, "
                "got 0"},
        BadPlan{changed("\"box_columns\": 32", "\"box_columns\": 36"),
                "launch 0: tensor map: 'box_columns': expected a multiple of "
                "8, got 36"},
        BadPlan{changed("\"columns\": 72", "\"columns\": 71"),
                "launch 0: tensor map: 'columns': expected a multiple of 8, "
                "got 71"},
        BadPlan{changed("\"rows\": 40", "\"rows\": 0"),
                "launch 0: tensor map: 'rows': expected at least 1, got 0"},
        BadPlan{changed("\"rows\": 40", "\"lines\": 40"),
                "launch 0: tensor map: unknown key 'lines'"},
        BadPlan{changed(",\n      \"rows\": 40", ""),
                "launch 0: tensor map: expected 'rows' for weights alone"},
        BadPlan{changed("\"columns\": 96", "\"columns\": 96, \"rows\": 1"),
                "launch 0: tensor map: expected 'rows' for weights alone"},
        BadPlan{changed("\"token\",\n     64", "\"selected\",\n     16"),
                "launch 0: tensor map: expected weights or rows of tokens, got "
                "'selected'"},
        BadPlan{changed("\"state\",\n     1", "\"state\",\n     1, 2"),
                "launch 0: tensor map: expected an object, got 2"},
        BadPlan{changed("\"state\",\n     1", "\"state\",\n     1, {}, 2"),
                "expected an argument as a name and a number"},
        BadPlan{
            changed("\"active\": 4", "\"active\": 5"),
            "router 1: expected 1 to 4 choices in 48 bytes, got 5 behind 16"},
        BadPlan{
            changed("\"offset\": 16", "\"offset\": 20"),
            "router 1: expected 1 to 4 choices in 48 bytes, got 4 behind 20"},
        BadPlan{changed("\"routers\"", "\"rooters\""), "unknown key 'rooters'"},
        BadPlan{changed("\"fixed\",\n     64", "\"fixed\",\n     128"),
                "launch 2: 'fixed': expected a number below 128, got 128"},
        BadPlan{changed("\"token\",\n     256", "\"token\",\n     512"),
                "launch 0: 'token': expected a number below 512, got 512"},
        BadPlan{changed("\"selected\",\n     8", "\"selected\",\n     64"),
                "launch 1: 'selected': expected a number below 64, got 64"},
        BadPlan{changed("\"weight\",\n     2", "\"texture\",\n     2"),
                "launch 0: unknown argument \"texture\""},
        BadPlan{changed("\"weight\",\n     2", "\"weight\",\n     -2"),
                "expected an argument as a name and a number"},
        BadPlan{changed("\"weight\",\n     2", "\"weight\""),
                "expected an argument as a name and a number"}));

/// The example with such a member `greedy`, or with a piece of its own changed.
std::string withGreedy(const std::string &member) {
  return changed("\"kernels\"", "\"greedy\": " + member + ", \"kernels\"");
}
std::string changedGreedy(const std::string &from, const std::string &to) {
  return changed(from, to, greedyExample());
}

INSTANTIATE_TEST_SUITE_P(
    Greedy, BadPlanTest,
    testing::Values(
        BadPlan{withGreedy("[]"), "'greedy': expected an object"},
        BadPlan{withGreedy("{\"launches\": []}"),
                "'greedy': expected an array 'tokens'"},
        BadPlan{withGreedy("{\"tokens\": [\"selected\", 0]}"),
                "'greedy': expected an array 'launches'"},
        BadPlan{withGreedy("{\"rows\": 1}"), "'greedy': unknown key 'rows'"},
        BadPlan{withGreedy("{\"launches\": [], \"tokens\": [\"token\", 0]}"),
                "'greedy': expected tokens of 4 bytes in the 64 of selected "
                "rows, got [\"token\",0]"},
        BadPlan{withGreedy("{\"launches\": [], "
                           "\"tokens\": [\"selected\", 61]}"),
                "'greedy': expected tokens of 4 bytes in the 64 of selected "
                "rows, got [\"selected\",61]"},
        BadPlan{withGreedy("{\"launches\": [], "
                           "\"tokens\": [\"selected\", 64]}"),
                "'greedy': 'selected': expected a number below 64, got 64"},
        BadPlan{
            changedGreedy("\"kernel\": \"choose\"", "\"kernel\": \"other\""),
            "'greedy': launch 0: unknown kernel 'other'"},
        BadPlan{changedGreedy("\"min_rows\": 2", "\"min_rows\": 0"),
                "'greedy': launch 0: expected rows from at least 1 on, got 0 "
                "to "},
        BadPlan{
            changedGreedy("\"selected\",\n      16", "\"selected\",\n      64"),
            "'greedy': launch 0: 'selected': expected a number below 64, "
            "got 64"}));

std::string changedDraws(const std::string &from, const std::string &to) {
  return changed(from, to, drawsExample());
}

INSTANTIATE_TEST_SUITE_P(
    Draws, BadPlanTest,
    testing::Values(
        BadPlan{changed("\"kernels\"", "\"draws\": 1, \"kernels\""),
                "'draws': expected an object"},
        BadPlan{changed("\"kernels\"", "\"draws\": {\"launches\": []}, "
                                       "\"kernels\""),
                "'draws': expected an array 'rows'"},
        BadPlan{changedDraws("\"candidates\": [", "\"others\": ["),
                "'draws': unknown key 'others'"},
        BadPlan{changedDraws("\"selected_bytes\": 8256",
                             "\"selected_bytes\": 8247"),
                "'draws': expected candidates of 8192 bytes in the 8247 of "
                "selected rows, got [\"selected\",56]"},
        BadPlan{changedDraws("\"rows\": [\n   \"selected\",\n   32",
                             "\"rows\": [\n   \"selected\",\n   8233"),
                "'draws': expected rows of 24 bytes in the 8256 of selected "
                "rows, got [\"selected\",8233]"},
        BadPlan{changedDraws("\"rows\": [\n   \"selected\"",
                             "\"rows\": [\n   \"token\""),
                "'draws': expected rows of 24 bytes in the 8256 of selected "
                "rows, got [\"token\",32]"},
        BadPlan{changedDraws("\"kernel\": \"draw\"", "\"kernel\": \"other\""),
                "'draws': launch 0: unknown kernel 'other'"},
        BadPlan{changedDraws("\"input\",\n      3", "\"input\",\n      4"),
                "'draws': launch 0: 'input': expected a number below 4, "
                "got 4"}));

} // namespace
