//===- RooflineTest.cpp - Predicted times, by hand ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include "lib/PTX/Roofline.h"

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

double seconds(const Prediction &prediction, std::string_view name) {
  for (const RooflineTerm &term : prediction.terms)
    if (term.name == name)
      return term.seconds;
  return 0;
}

LaunchedKernel launched(const LaunchOptions &options, uint32_t registers,
                        const char *target = "sm_80") {
  LaunchedKernel kernel;
  kernel.target = target;
  kernel.blocks = uint64_t(options.grid[0]) * options.grid[1] * options.grid[2];
  kernel.block.threads = options.block[0];
  kernel.block.registers = registers;
  return kernel;
}

/// Each thread copies 16 bytes; reads them `rounds` times.
const char *copy = R"(
.visible .entry copy(.param .u64 in, .param .u64 out, .param .u32 rounds) {
  .reg .b32 %r<9>;
  .reg .b64 %rd<6>;
  .reg .pred %p;
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  ld.param.u32 %r8, [rounds];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r1, %r1, %r2, %r3;
  mul.wide.u32 %rd3, %r1, 16;
  add.u64 %rd4, %rd1, %rd3;
  add.u64 %rd5, %rd2, %rd3;
again:
  ld.global.cg.v4.u32 {%r4, %r5, %r6, %r7}, [%rd4];
  sub.u32 %r8, %r8, 1;
  setp.ne.u32 %p, %r8, 0;
  @%p bra again;
  st.global.v4.u32 [%rd5], {%r4, %r5, %r6, %r7};
  ret;
})";

struct CopyLaunch {
  LaunchOptions options;
  LaunchReport report;
};

CopyLaunch runCopy(uint64_t bytes, unsigned rounds) {
  Harness harness(ptxHeader("sm_80") + copy);
  CopyLaunch result;
  result.options.grid = {uint32_t(bytes / 16 / 256), 1, 1};
  result.options.block = {256, 1, 1};
  result.options.checks.races = false;
  result.options.traceCapacity = 1 << 24;
  uint64_t in = harness.buffer(std::vector<uint8_t>(bytes, 1));
  result.report = harness.launch("copy", result.options, in,
                                 harness.buffer(size_t(bytes)), rounds);
  return result;
}

TEST(Roofline, ACopyIsBytesByBandwidth) {
  constexpr uint64_t bytes = 64 << 20;
  CopyLaunch copy = runCopy(bytes, 1);
  for (const Gpu &gpu : gpus()) {
    Prediction found = predict(gpu, launched(copy.options, 16),
                               copy.report.counters, *copy.report.trace);
    EXPECT_EQ(found.obstacle, "");
    EXPECT_EQ(found.traffic.dramReads * 32, bytes);
    EXPECT_EQ(found.traffic.dramWrites * 32, bytes);
    EXPECT_EQ(found.traffic.l2Hits, 0);
    EXPECT_EQ(found.bound.name, "DRAM");
    EXPECT_DOUBLE_EQ(found.bound.seconds, 2.0 * bytes / gpu.dramBandwidth);
    EXPECT_EQ(found.occupancy.blocks, 8u);
    EXPECT_TRUE(found.notes.empty());
  }
  // 134,217,728 bytes at 3.352 TB/s.
  Prediction h100 = predict(*findGpu("h100"), launched(copy.options, 16),
                            copy.report.counters, *copy.report.trace);
  EXPECT_NEAR(h100.bound.seconds, 40.04e-6, 0.01e-6);
  EXPECT_DOUBLE_EQ(h100.waves, 16384.0 / (132 * 8));
  EXPECT_DOUBLE_EQ(h100.imbalance, 125.0 * 132 / 16384);
  // 32 bytes read and written a sector, at 5120 bytes a clock.
  EXPECT_DOUBLE_EQ(seconds(h100, "L2"), 2.0 * bytes / (5120 * 1.98e9));
  // A warp's request of 512 bytes takes four passes.
  EXPECT_EQ(copy.report.counters.dataPasses, 2 * bytes / 128);
}

TEST(Roofline, WhatFitsL2IsReadOnce) {
  constexpr uint64_t bytes = 8 << 20;
  CopyLaunch copy = runCopy(bytes, 2);
  for (const Gpu &gpu : gpus()) {
    Prediction found = predict(gpu, launched(copy.options, 16),
                               copy.report.counters, *copy.report.trace);
    EXPECT_EQ(found.traffic.l2Reads * 32, 2 * bytes);
    EXPECT_EQ(found.traffic.l2Hits * 32, bytes);
    EXPECT_EQ(found.traffic.dramReads * 32, bytes);
    EXPECT_EQ(found.traffic.dramWrites * 32, bytes);
  }
}

/// Counters of a product of 8192 cubed in bf16.
Counters productCounters(bool ofWarps) {
  Counters counters;
  counters.tensorOperations[unsigned(Format::F16)] = 2ull << 39;
  if (ofWarps)
    counters.warpTensorOperations = counters.tensorOperations;
  return counters;
}

TEST(Roofline, AProductIsOperationsByPeak) {
  Trace trace;
  LaunchedKernel kernel;
  kernel.target = "sm_90a";
  kernel.block = {384, 168, 200 << 10};
  kernel.blocks = 132 * 8;
  Prediction found =
      predict(*findGpu("h100"), kernel, productCounters(false), trace);
  EXPECT_EQ(found.bound.name, "tensor cores");
  EXPECT_DOUBLE_EQ(found.bound.seconds, double(2ull << 39) / 989.4e12);
  EXPECT_EQ(found.occupancy.blocks, 1u);
  EXPECT_EQ(found.waves, 8);
  // Instructions of a warp do not reach the peak of Hopper.
  found = predict(*findGpu("h100"), kernel, productCounters(true), trace);
  EXPECT_DOUBLE_EQ(found.bound.seconds, double(2ull << 39) / 989.4e12 / 0.63);
  // One block more, and the busiest multiprocessor has nine.
  kernel.blocks = 132 * 8 + 1;
  found = predict(*findGpu("h100"), kernel, productCounters(false), trace);
  EXPECT_DOUBLE_EQ(found.bound.seconds,
                   double(2ull << 39) / 989.4e12 * 9 * 132 / (132 * 8 + 1));
  // Older ones do not run what is for one architecture, nor do newer ones.
  for (const char *id : {"a100", "b200"}) {
    found = predict(*findGpu(id), kernel, productCounters(false), trace);
    EXPECT_EQ(found.obstacle, std::string("the module's target sm_90a does not "
                                          "run on ") +
                                  std::string(findGpu(id)->architecture));
    EXPECT_TRUE(found.terms.empty());
  }
  kernel.target = "sm_80";
  found = predict(*findGpu("a100"), kernel, productCounters(true), trace);
  EXPECT_EQ(found.obstacle,
            "a block of 384 threads with 168 registers each and "
            "204800 bytes of shared memory does not fit");
}

TEST(Roofline, PipesAndIssue) {
  Counters counters;
  auto count = [&](Class kind, uint64_t warps) {
    counters.byClass[unsigned(kind)].warps = warps;
    counters.total.warps += warps;
  };
  count(Class::Float32, 1'000'000);
  count(Class::SpecialFunction, 100'000);
  count(Class::Integer, 300'000);
  count(Class::Compare, 100'000);
  count(Class::Move, 5'000'000);
  LaunchedKernel kernel;
  kernel.target = "sm_80";
  kernel.blocks = 108;
  kernel.block = {128, 32, 0};
  Trace trace;
  Prediction found = predict(*findGpu("a100"), kernel, counters, trace);
  double clock = 108 * 1.41e9;
  EXPECT_DOUBLE_EQ(seconds(found, "float32"), 1e6 * 32 / 64 / clock);
  EXPECT_DOUBLE_EQ(seconds(found, "special functions"), 1e5 * 2 / clock);
  EXPECT_DOUBLE_EQ(seconds(found, "integer"), 4e5 / 2 / clock);
  EXPECT_DOUBLE_EQ(seconds(found, "issue"), 1.5e6 / 4 / clock);
  EXPECT_EQ(found.bound.name, "float32");
}

TEST(Roofline, SaysWhatIsLeftOut) {
  Counters counters;
  counters.tensorOperations[unsigned(Format::F8)] = 1000;
  LaunchedKernel kernel;
  kernel.target = "sm_80";
  Trace trace;
  trace.numBlocks = 1;
  Prediction found = predict(*findGpu("a100"), kernel, counters, trace);
  ASSERT_EQ(found.notes.size(), 3u);
  EXPECT_EQ(found.notes[0], "the caches saw the first 0 of 1 blocks; their "
                            "traffic is scaled to all");
  EXPECT_EQ(found.notes[1], "registers are not known: the occupancy is that of "
                            "threads and shared memory alone");
  EXPECT_EQ(found.notes[2],
            "its tensor cores have no f8; these operations are left out");
}

TEST(Gpu, RunsTargets) {
  const Gpu &a100 = *findGpu("a100"), &h100 = *findGpu("h100"),
            &b200 = *findGpu("b200");
  EXPECT_TRUE(a100.runs("sm_75"));
  EXPECT_TRUE(a100.runs("sm_80"));
  EXPECT_FALSE(a100.runs("sm_86"));
  EXPECT_TRUE(h100.runs("sm_90a"));
  EXPECT_TRUE(h100.runs("sm_90"));
  EXPECT_FALSE(b200.runs("sm_90a"));
  EXPECT_TRUE(b200.runs("sm_90"));
  EXPECT_TRUE(b200.runs("sm_100a"));
  EXPECT_TRUE(b200.runs("sm_100f"));
  EXPECT_FALSE(b200.runs("sm_103f"));
  EXPECT_FALSE(b200.runs("texmode_unified"));
  EXPECT_EQ(findGpu("h200"), nullptr);
}

/// Peaks follow from units and clocks where both are published.
TEST(Gpu, RatesAgreeWithEachOther) {
  const Gpu &a100 = *findGpu("a100"), &h100 = *findGpu("h100");
  // A100: 19.5 TFLOPS of f32, 9.7 of f64; H100: 66.9 and 33.5.
  auto peak = [](const Gpu &gpu, unsigned threads) {
    return 2e-12 * gpu.multiprocessors * gpu.clock * threads;
  };
  EXPECT_NEAR(peak(a100, a100.float32), 19.5, 0.05);
  EXPECT_NEAR(peak(a100, a100.float64), 9.7, 0.05);
  EXPECT_NEAR(peak(h100, h100.float32), 66.9, 0.05);
  EXPECT_NEAR(peak(h100, h100.float64), 33.5, 0.05);
}

} // namespace
