//===- TiledExpertsTest.cpp - Experts on tensor cores ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The grouping of choices and the products of groups on the PTX machine.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TiledExperts.h"

#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

#include <algorithm>
#include <numeric>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

/// Which experts tokens choose: all different for each token, and some experts
/// much more than others, the last one never.
std::vector<int32_t> choicesOf(int64_t rows, const ExpertsProduct &product) {
  std::vector<int32_t> chosen;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < product.active; ++i) {
      int64_t step = 1 + row % 3;
      chosen.push_back(
          static_cast<int32_t>((row * row % 5 + i * step) %
                               std::max<int64_t>(product.experts - 1, 1)));
    }
  return chosen;
}

/// The groups of choices, as the kernel writes them.
std::vector<int32_t> groupsOf(const std::vector<int32_t> &chosen, int64_t rows,
                              ExpertsProduct product) {
  std::string text =
      kernelText(targetOf("sm_80"), groupsGrid().threads, 2,
                 [&](OpBuilder &builder, Location loc, ValueRange arguments) {
                   product.chosen = arguments[0];
                   product.groups = arguments[1];
                   product.rows = arguments[2];
                   emitGroups(builder, loc, product);
                 });
  ptx::test::Harness harness(text);
  auto bytes = static_cast<size_t>(groupBytesPerToken(product) *
                                   std::max<int64_t>(rows, 64));
  uint64_t groups = harness.buffer(bytes);
  ptx::LaunchReport report = harness.launch(
      "kernel", launchOf(groupsGrid(), rows, groupsSharedBytes(product)),
      harness.buffer(chosen), groups, static_cast<uint64_t>(rows));
  EXPECT_TRUE(report.clean());
  return harness.read<int32_t>(groups, static_cast<size_t>(product.experts) +
                                           1 + chosen.size());
}

TEST(TiledExpertsTest, GroupsHoldEachChoiceOnce) {
  for (auto [rows, experts, active] :
       {std::tuple(9, 8, 2), {64, 130, 4}, {1000, 5, 3}, {1, 600, 1}}) {
    ExpertsProduct product;
    product.experts = experts;
    product.active = active;
    std::vector<int32_t> chosen = choicesOf(rows, product);
    std::vector<int32_t> groups = groupsOf(chosen, rows, product);
    auto order = groups.begin() + experts + 1;
    EXPECT_EQ(groups[0], 0);
    EXPECT_EQ(groups[static_cast<size_t>(experts)], rows * active);
    for (int32_t expert = 0; expert < experts; ++expert)
      for (int32_t i = groups[static_cast<size_t>(expert)];
           i < groups[static_cast<size_t>(expert) + 1]; ++i)
        EXPECT_EQ(chosen[static_cast<size_t>(order[i])], expert);
    std::sort(order, groups.end());
    for (int32_t i = 0; i < rows * active; ++i)
      EXPECT_EQ(order[i], i);
  }
}

/// Numbers of experts that no router gives do not reach other memory.
TEST(TiledExpertsTest, GroupsTakeWrongChoicesForTheNearest) {
  ExpertsProduct product;
  product.experts = 4;
  product.active = 1;
  std::vector<int32_t> groups = groupsOf({-5, 3, 2000000000}, 3, product);
  EXPECT_EQ(std::vector<int32_t>(groups.begin(), groups.begin() + 5),
            (std::vector<int32_t>{0, 1, 1, 1, 3}));
}

struct Case {
  const char *name;
  int64_t rows, experts, active, n, k;
  bool hasActiveInput, isChosen;
};

class TiledExpertsProductTest : public testing::TestWithParam<Case> {};

TEST_P(TiledExpertsProductTest, IsExact) {
  const Case &shape = GetParam();
  ExpertsProduct product;
  product.experts = shape.experts;
  product.active = shape.active;
  product.n = shape.n;
  product.k = shape.k;
  product.hasActiveInput = shape.hasActiveInput;
  product.isChosen = shape.isChosen;
  int64_t places = shape.rows * shape.active;
  std::vector<int32_t> chosen = choicesOf(shape.rows, product);
  std::vector<int32_t> groups = groupsOf(chosen, shape.rows, product);
  auto input =
      bfloats((shape.hasActiveInput ? places : shape.rows) * shape.k, 0);
  auto weight = bfloats(shape.experts * shape.n * shape.k, 12345);
  Target target = targetOf("sm_80");
  for (const Tiling &tiling : {smallTiling(target), largeTiling(target)}) {
    ptx::test::Harness harness(kernelText(
        target, tiling.threads(), 4,
        [&](OpBuilder &builder, Location loc, ValueRange arguments) {
          Type bf16 = builder.getBF16Type();
          product.inputType = product.weightType = bf16;
          product.input = arguments[0];
          product.weight = arguments[1];
          product.groups = arguments[2];
          product.rows = arguments[4];
          emitTiledExperts(
              builder, loc, tiling, product,
              [&](Value place, Value, Value column, Value sum) {
                Value first = cpu::emitMul(
                    builder, loc, place, cpu::emitIndex(builder, loc, shape.n));
                emitStoreFloat(builder, loc, sum, bf16, arguments[3],
                               cpu::emitAdd(builder, loc, first, column));
              });
        }));
    auto count = static_cast<size_t>(places * shape.n);
    uint64_t output = harness.buffer(count * 2);
    ptx::LaunchReport report = harness.launch(
        "kernel",
        launchOf(tiledExpertsGrid(tiling, product), shape.rows,
                 tiling.sharedBytes()),
        harness.buffer(input), harness.buffer(weight), harness.buffer(groups),
        output, static_cast<uint64_t>(shape.rows));
    EXPECT_TRUE(report.clean());
    EXPECT_EQ(report.counters.total.bankConflicts(), 0u);
    auto found = harness.read<uint16_t>(output, count);
    for (int64_t place = 0; place < places; ++place)
      for (int64_t column = 0; column < shape.n; ++column) {
        int64_t expert = shape.isChosen ? chosen[static_cast<size_t>(place)]
                                        : place % shape.active,
                row = shape.hasActiveInput ? place : place / shape.active;
        SCOPED_TRACE(std::to_string(place) + ", " + std::to_string(column));
        expectProduct(
            found[static_cast<size_t>(place * shape.n + column)],
            &input[static_cast<size_t>(row * shape.k)],
            &weight[static_cast<size_t>((expert * shape.n + column) * shape.k)],
            shape.k);
      }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, TiledExpertsProductTest,
    testing::Values(Case{"SharedInput", 150, 6, 2, 80, 72, false, true},
                    Case{"InputOfEachChoice", 150, 6, 2, 72, 80, true, true},
                    Case{"SmallPieces", 20, 4, 3, 130, 36, true, true},
                    Case{"Heads", 140, 3, 3, 40, 64, true, false}),
    [](const testing::TestParamInfo<Case> &info) { return info.param.name; });

} // namespace
