//===- ProbesTest.cpp - Probes of the machine's limits --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Probes.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"
#include "test/CodeGen/TileEmulation.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

class ProbesTest : public testing::TestWithParam<TestCPU> {};

TEST_P(ProbesTest, RunAsOftenAsTheyAreAskedTo) {
  std::unique_ptr<MLIRContext> context = makeContext();
  Location loc = UnknownLoc::get(context.get());
  FailureOr<Target> target =
      Target::resolve(loc, GetParam().cpu, GetParam().features);
  ASSERT_TRUE(succeeded(target));
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  const std::vector<std::string> names = {"f32", "bf16", "int8", "read"};
  std::vector<int64_t> operations;
  for (int i = 0; i < 3; ++i)
    operations.push_back(
        addPeakProbe(*module, names[i], *target, static_cast<Arithmetic>(i)));
  int64_t readBytes = addReadProbe(*module, "read", *target);
  std::unique_ptr<LoadedCode> loaded = loadKernels(*module, *target, names);
  ASSERT_TRUE(loaded);
  constexpr int64_t steps = 3;
  Buffer data(std::max<int64_t>(4096, steps * readBytes));
  for (int i = 0; i < 3; ++i) {
    int64_t before = tiles::multiplyAdds();
    loaded->function<ProbeFunction>(names[i].c_str())(data.as<void>(), steps);
    EXPECT_TRUE(tiles::areReleased());
    bool isTiled =
        (i == 1 && target->hasTiles) || (i == 2 && target->hasByteTiles);
    if (isTiled && areTilesEmulated()) {
      EXPECT_EQ(2 * (tiles::multiplyAdds() - before), steps * operations[i]);
    } else {
      EXPECT_EQ(tiles::multiplyAdds(), before);
    }
    EXPECT_GE(operations[i], operations[0]);
  }
  // Sums of nothing, and the bits that are read are collected in front.
  std::memset(data.as<char>() + steps * readBytes - 1, 0x40, 1);
  loaded->function<ProbeFunction>("read")(data.as<void>(), steps);
  int64_t set = 0;
  for (int64_t i = 0; i < readBytes; ++i)
    set += data.as<uint8_t>()[i] != 0;
  EXPECT_EQ(set, 1);
}

INSTANTIATE_TEST_SUITE_P(All, ProbesTest, testing::ValuesIn(productCPUs()),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

} // namespace
