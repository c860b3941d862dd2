//===- CountersTest.cpp - What launches count, by hand --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small kernels whose counts follow from the width of sectors (32 bytes), lines
// (128 bytes) and banks (32 of 4 bytes).
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include <numeric>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

/// out[i] = in[i * stride], by 4 bytes.
const char *stridedCopy = R"(
.visible .entry copy(.param .u64 in, .param .u64 out, .param .u32 stride) {
  .reg .b32 %r<6>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  ld.param.u32 %r1, [stride];
  mov.u32 %r2, %tid.x;
  mul.lo.u32 %r3, %r2, %r1;
  mul.wide.u32 %rd3, %r3, 4;
  add.u64 %rd4, %rd1, %rd3;
  ld.global.u32 %r4, [%rd4];
  mul.wide.u32 %rd3, %r2, 4;
  add.u64 %rd5, %rd2, %rd3;
  st.global.u32 [%rd5], %r4;
  ret;
})";

const OpCounter &classOf(const LaunchReport &report, Class kind) {
  return report.counters.byClass[unsigned(kind)];
}

TEST(Counters, SectorsOfStridedCopies) {
  // A warp reads 128 bytes: the lanes of a stride of s elements are in 4 * s
  // sectors, and from 8 elements on each in one of its own.
  for (auto [stride, sectors] :
       {std::pair(1u, 4u), {2u, 8u}, {4u, 16u}, {8u, 32u}, {16u, 32u}}) {
    Harness harness(ptxHeader() + stridedCopy);
    uint64_t in = harness.buffer(std::vector<uint32_t>(128 * stride, 7));
    LaunchReport report =
        harness.run("copy", 1, 128, in, harness.buffer(size_t(512)), stride);
    OpCounter load = harness.lineWith(report, "ld.global");
    EXPECT_EQ(load.requests, 4u);
    EXPECT_EQ(load.sectors, 4 * sectors) << stride;
    EXPECT_EQ(load.idealSectors, 16u);
    EXPECT_EQ(load.bytes, 512u);
    OpCounter store = harness.lineWith(report, "st.global");
    EXPECT_EQ(store.requests, 4u);
    EXPECT_EQ(store.sectors, 16u);
    // Parameters are no traffic of global memory.
    const OpCounter &total = report.counters.total;
    EXPECT_EQ(total.requests, 8u);
    EXPECT_EQ(total.sectors, load.sectors + store.sectors);
    EXPECT_EQ(classOf(report, Class::ConstantMemory).sectors, 0u);
  }
}

/// One warp writes rows of a tile and reads its columns; rows have `pitch`
/// bytes.
const char *transpose = R"(
.visible .entry transpose(.param .u64 out, .param .u32 pitch) {
  .reg .b32 %r<9>;
  .reg .b64 %rd<4>;
  .reg .pred %p;
  .shared .align 16 .b8 tile[4224];
  ld.param.u64 %rd1, [out];
  ld.param.u32 %r1, [pitch];
  mov.u32 %r2, %tid.x;
  mov.u32 %r3, tile;
  shl.b32 %r4, %r2, 2;
  add.u32 %r5, %r3, %r4;
  mov.u32 %r6, 0;
rows:
  st.shared.u32 [%r5], %r2;
  add.u32 %r5, %r5, %r1;
  add.u32 %r6, %r6, 1;
  setp.lt.u32 %p, %r6, 32;
  @%p bra rows;
  bar.sync 0;
  mad.lo.u32 %r5, %r2, %r1, %r3;
  mov.u32 %r6, 0;
  mov.u32 %r7, 0;
columns:
  ld.shared.u32 %r8, [%r5];
  add.u32 %r7, %r7, %r8;
  add.u32 %r5, %r5, 4;
  add.u32 %r6, %r6, 1;
  setp.lt.u32 %p, %r6, 32;
  @%p bra columns;
  mul.wide.u32 %rd2, %r4, 1;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r7;
  ret;
})";

TEST(Counters, BankConflictsOfATranspose) {
  // Without padding all elements of a column are in one bank: 32 passes. A row
  // of 33 words puts each in another. One of 34 has two in each of 16 banks.
  for (auto [words, passes] : {std::pair(32u, 32u), {33u, 1u}}) {
    Harness harness(ptxHeader() + transpose);
    LaunchReport report =
        harness.run("transpose", 1, 32, harness.buffer(size_t(128)), words * 4);
    OpCounter store = harness.lineWith(report, "st.shared");
    EXPECT_EQ(store.sharedRequests, 32u);
    EXPECT_EQ(store.sharedWaves, 32u);
    EXPECT_EQ(store.bankConflicts(), 0u);
    OpCounter load = harness.lineWith(report, "ld.shared");
    EXPECT_EQ(load.sharedWaves, 32u * passes) << words;
    EXPECT_EQ(load.idealWaves, 32u);
    EXPECT_EQ(load.bankConflicts(), 32u * (passes - 1));
    // Of the 64 passes and more, and one request to global memory.
    EXPECT_EQ(report.counters.dataPasses, 32u + 32 * passes + 1);
  }
}

TEST(Counters, OperationsByFormat) {
  Harness harness(ptxHeader() + R"(
.visible .entry operate() {
  .reg .f32 %f<4>;
  .reg .f64 %d<4>;
  .reg .b32 %h<4>;
  mov.f32 %f1, 0f3f800000;
  mov.f64 %d1, 0d3ff0000000000000;
  mov.b32 %h1, 0x3c003c00;
  fma.rn.f32 %f2, %f1, %f1, %f1;
  add.f32 %f3, %f1, %f2;
  neg.f32 %f3, %f3;
  mul.f64 %d2, %d1, %d1;
  fma.rn.f16x2 %h2, %h1, %h1, %h1;
  ex2.approx.f32 %f3, %f1;
  ret;
})");
  LaunchReport report = harness.run("operate", 3, 64);
  constexpr uint64_t threads = 3 * 64;
  const auto &operations = report.counters.vectorOperations;
  EXPECT_EQ(operations[unsigned(Format::F32)], (2 + 1 + 1) * threads);
  EXPECT_EQ(operations[unsigned(Format::F64)], threads);
  EXPECT_EQ(operations[unsigned(Format::F16)], 4 * threads);
  EXPECT_EQ(report.counters.tensorShare(), 0);
  EXPECT_GT(report.seconds, 0);
}

TEST(Counters, TensorShare) {
  // m16n8k16 is 2 * 16 * 8 * 16 operations of a warp.
  Harness harness(ptxHeader() + R"(
.visible .entry multiply() {
  .reg .f32 %f<8>;
  .reg .b32 %r<8>;
  .reg .b64 %rd;
  mov.b32 %r1, 0;
  mov.f32 %f1, 0f00000000;
  add.f32 %f1, %f1, %f1;
  mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
    {%f2, %f3, %f4, %f5}, {%r1, %r1, %r1, %r1}, {%r1, %r1},
    {%f1, %f1, %f1, %f1};
  mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32
    {%r2, %r3, %r4, %r5}, {%r1, %r1, %r1, %r1}, {%r1, %r1},
    {%r1, %r1, %r1, %r1};
  ret;
})");
  LaunchReport report = harness.run("multiply", 1, 32);
  const Counters &counters = report.counters;
  EXPECT_EQ(counters.tensorOperations[unsigned(Format::F16)], 4096u);
  EXPECT_EQ(counters.tensorOperations[unsigned(Format::I8)], 8192u);
  EXPECT_EQ(counters.warpTensorOperations, counters.tensorOperations);
  EXPECT_DOUBLE_EQ(counters.tensorShare(), 12288.0 / (12288 + 32));
}

TEST(Counters, TraceKeepsTheFirstBlocks) {
  Harness harness(ptxHeader() + stridedCopy);
  uint64_t in = harness.buffer(std::vector<uint32_t>(32, 7));
  uint64_t out = harness.buffer(size_t(128));
  LaunchOptions options;
  options.grid = {100, 1, 1};
  options.workers = 2;
  options.checks.races = false;
  // A block asks for one line and writes one.
  for (auto [capacity, kept] : {std::pair(1000u, 100u),
                                {200u, 100u},
                                {199u, 99u},
                                {7u, 3u},
                                {1u, 0u}}) {
    options.traceCapacity = capacity;
    LaunchReport report = harness.launch("copy", options, in, out, 1u);
    ASSERT_TRUE(report.trace);
    EXPECT_EQ(report.trace->numBlocks, 100u);
    ASSERT_EQ(report.trace->blocks.size(), kept) << capacity;
    for (const auto &requests : report.trace->blocks) {
      ASSERT_EQ(requests.size(), 2u);
      EXPECT_EQ(requests[0].kind(), RequestKind::Read);
      EXPECT_EQ(requests[0].sectors(), 15);
      EXPECT_TRUE(report.trace->origins[requests[0].op()].usesL1);
      EXPECT_EQ(requests[1].kind(), RequestKind::Write);
    }
  }
  options.traceCapacity = 0;
  EXPECT_FALSE(harness.launch("copy", options, in, out, 1u).trace);
}

/// Which requests may be served by L1, and what kind they are.
TEST(Counters, RequestsSayWhichCachesTheyUse) {
  struct Case {
    const char *instruction;
    RequestKind kind;
    bool usesL1;
  } const cases[] = {
      {"ld.global.u32 %r1, [%rd1];", RequestKind::Read, true},
      {"ld.global.nc.u32 %r1, [%rd1];", RequestKind::Read, true},
      {"ld.global.cg.u32 %r1, [%rd1];", RequestKind::Read, false},
      {"ld.volatile.global.u32 %r1, [%rd1];", RequestKind::Read, false},
      {"ld.relaxed.gpu.global.u32 %r1, [%rd1];", RequestKind::Read, false},
      {"ld.acquire.gpu.global.u32 %r1, [%rd1];", RequestKind::Read, false},
      {"cp.async.ca.shared.global [tile], [%rd1], 4;", RequestKind::Read, true},
      {"cp.async.cg.shared.global [tile], [%rd1], 16;", RequestKind::Read,
       false},
      {"atom.global.add.u32 %r1, [%rd1], 1;", RequestKind::Atomic, false},
      {"red.global.add.u32 [%rd1], 1;", RequestKind::Atomic, false},
      {"st.global.u32 [%rd1], 1;", RequestKind::Write, false},
  };
  for (const Case &each : cases) {
    Harness harness(ptxHeader() +
                    ".visible .entry k(.param .u64 in) {\n.reg .b32 %r<2>;\n"
                    ".reg .b64 %rd<2>;\n.shared .align 16 .b8 tile[16];\n"
                    "ld.param.u64 %rd1, [in];\n" +
                    each.instruction + "\ncp.async.wait_all;\nret;\n}\n");
    LaunchOptions options;
    options.block = {1, 1, 1};
    options.traceCapacity = 100;
    LaunchReport report =
        harness.launch("k", options, harness.buffer(std::vector<uint32_t>(8)));
    ASSERT_EQ(report.trace->blocks.size(), 1u);
    ASSERT_EQ(report.trace->blocks[0].size(), 1u) << each.instruction;
    const Request &request = report.trace->blocks[0][0];
    EXPECT_EQ(request.kind(), each.kind) << each.instruction;
    EXPECT_EQ(request.sectors(), 1) << each.instruction;
    EXPECT_EQ(report.trace->origins[request.op()].usesL1, each.usesL1)
        << each.instruction;
  }
}

} // namespace
