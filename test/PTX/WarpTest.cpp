//===- WarpTest.cpp - Control flow, exchange, barriers, calls, atomics ----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

/// Stores %r0 to the i-th word of p0.
const std::string storeResult = "mul.wide.u32 %rd0, %i, 4;\nadd.s64 %rd0, "
                                "%rd0, %pt0;\nst.global.u32 [%rd0], %r0;\n";

/// Runs a kernel that leaves each thread's result in %r0, without findings.
std::vector<uint32_t> results(const std::string &body, uint32_t block,
                              uint32_t grid = 1,
                              const std::string &before = "") {
  Device device;
  uint64_t out = device.reserve(4 * block * grid);
  LaunchReport report =
      device.run(kernelText(1, body + storeResult, before), grid, block, out);
  for (const Finding &finding : report.findings)
    ADD_FAILURE() << finding.str();
  EXPECT_TRUE(report.completed);
  return device.download<uint32_t>(out, block * grid);
}

template <typename Function>
void expectEach(const std::vector<uint32_t> &found, Function function) {
  for (uint32_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(found[i], uint32_t(function(i))) << "of thread " << i;
}

//===----------------------------------------------------------------------===//
// Divergence
//===----------------------------------------------------------------------===//

TEST(PtxControl, BranchesBothWaysAndMeets) {
  // After the branches the whole warp votes: it must have met again.
  expectEach(
      results("setp.lt.u32 %p0, %i, 10;\n@%p0 bra LOW;\n"
              "mov.u32 %r1, 100;\nbra.uni JOIN;\n"
              "LOW: setp.lt.u32 %p1, %i, 3;\n@%p1 bra LOWEST;\n"
              "mov.u32 %r1, 10;\nbra.uni JOIN;\nLOWEST: mov.u32 %r1, 1;\n"
              "JOIN: activemask.b32 %r2;\npopc.b32 %r2, %r2;\n"
              "mad.lo.u32 %r0, %r2, 1000, %r1;\n",
              32),
      [](uint32_t i) {
        return 32000 + (i < 3 ? 1 : i < 10 ? 10 : 100);
      });
}

TEST(PtxControl, LoopsEachAsOften) {
  // The Collatz steps of i + 1.
  expectEach(
      results("mov.u32 %r0, 0;\nadd.u32 %r1, %i, 1;\n"
              "LOOP: setp.eq.u32 %p0, %r1, 1;\n@%p0 bra DONE;\n"
              "and.b32 %r2, %r1, 1;\nsetp.eq.u32 %p1, %r2, 1;\n"
              "@%p1 mad.lo.u32 %r1, %r1, 3, 1;\n@!%p1 shr.u32 %r1, %r1, 1;\n"
              "add.u32 %r0, %r0, 1;\nbra LOOP;\nDONE:\n",
              96),
      [](uint32_t i) {
        uint32_t n = i + 1, steps = 0;
        for (; n != 1; ++steps)
          n = n & 1 ? 3 * n + 1 : n / 2;
        return steps;
      });
}

TEST(PtxControl, ExitsEarly) {
  Device device;
  uint64_t out = device.upload(std::vector<uint32_t>(64, 7));
  LaunchReport report = device.run(
      kernelText(1, "setp.lt.u32 %p0, %i, 40;\n@%p0 exit;\nmov.u32 %r0, %i;\n" +
                        storeResult),
      1, 64, out);
  EXPECT_TRUE(report.clean());
  expectEach(device.download<uint32_t>(out, 64),
             [](uint32_t i) { return i < 40 ? 7 : i; });
}

TEST(PtxControl, JumpsByIndex) {
  expectEach(results("and.b32 %r1, %i, 3;\n"
                     "ts: .branchtargets A, B, C, D;\nbrx.idx %r1, ts;\n"
                     "A: mov.u32 %r0, 5;\nbra E;\nB: mov.u32 %r0, 6;\nbra E;\n"
                     "C: mov.u32 %r0, 7;\nbra E;\nD: mov.u32 %r0, 8;\nE:\n",
                     64),
             [](uint32_t i) { return 5 + i % 4; });
}

TEST(PtxControl, LanesOfAWarpWaitForEachOther) {
  // Every thread takes a lock in turn: lanes spin while another has it.
  Device device;
  uint64_t lock = device.upload(std::vector<uint32_t>{0, 0});
  LaunchReport report = device.run(
      kernelText(
          1, "SPIN: atom.global.cas.b32 %r1, [%pt0], 0, 1;\n"
             "setp.ne.u32 %p0, %r1, 0;\n@%p0 bra SPIN;\n"
             "ld.volatile.global.u32 %r2, [%pt0+4];\nadd.u32 %r2, %r2, %i;\n"
             "st.volatile.global.u32 [%pt0+4], %r2;\nmembar.gl;\n"
             "atom.global.exch.b32 %r3, [%pt0], 0;\n"),
      1, 64, lock);
  EXPECT_TRUE(report.completed);
  EXPECT_EQ(device.download<uint32_t>(lock, 2),
            (std::vector<uint32_t>{0, 64 * 63 / 2}));
}

TEST(PtxControl, BlocksWaitForEachOther) {
  // Each block waits until all have come: more blocks than workers.
  Device device;
  uint64_t counter = device.upload(std::vector<uint32_t>{0});
  LaunchOptions options;
  options.grid = {40, 1, 1};
  options.parameters = packParameters(counter);
  options.deterministic = true;
  LaunchReport report = device.launch(
      device.kernel(
          kernelText(1, "setp.ne.u32 %p0, %i, 0;\nmov.u32 %r5, "
                        "%tid.x;\nsetp.ne.u32 %p0, %r5, 0;\n@%p0 bra WAIT;\n"
                        "red.global.add.u32 [%pt0], 1;\n"
                        "POLL: ld.acquire.gpu.global.u32 %r1, "
                        "[%pt0];\nsetp.lt.u32 %p1, %r1, 40;\n@%p1 bra POLL;\n"
                        "WAIT: bar.sync 0;\n")),
      options);
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(device.download<uint32_t>(counter, 1)[0], 40u);
}

//===----------------------------------------------------------------------===//
// Exchange
//===----------------------------------------------------------------------===//

TEST(PtxExchange, Shuffles) {
  expectEach(results("shfl.sync.up.b32 %r0|%p0, %i, 3, 0, -1;\n@!%p0 add.u32 "
                     "%r0, %r0, 1000;\n",
                     32),
             [](uint32_t i) { return i < 3 ? 1000 + i : i - 3; });
  expectEach(results("shfl.sync.down.b32 %r0|%p0, %i, 5, 31, -1;\n@!%p0 "
                     "add.u32 %r0, %r0, 1000;\n",
                     32),
             [](uint32_t i) { return i > 26 ? 1000 + i : i + 5; });
  expectEach(results("shfl.sync.bfly.b32 %r0, %i, 9, 31, -1;\n", 32),
             [](uint32_t i) { return i ^ 9; });
  // Segments of 8: lane 2 of each; beyond a segment's end nothing moves.
  expectEach(results("shfl.sync.idx.b32 %r0, %i, 2, 0x181f, -1;\n", 32),
             [](uint32_t i) { return (i & 24) | 2; });
  expectEach(results("shfl.sync.down.b32 %r0, %i, 4, 0x181f, -1;\n", 32),
             [](uint32_t i) { return (i & 7) < 4 ? i + 4 : i; });
}

TEST(PtxExchange, WaitsForTheLanesOfTheMask) {
  // Lanes come to the same instruction by different ways.
  expectEach(
      results("and.b32 %r1, %i, 1;\nsetp.eq.u32 %p0, %r1, 0;\n@%p0 bra EVEN;\n"
              "mul.lo.u32 %r2, %i, 7;\nmul.lo.u32 %r2, %r2, 1;\nbra "
              "JOIN;\nEVEN: mul.lo.u32 %r2, %i, 5;\n"
              "JOIN: shfl.sync.bfly.b32 %r0, %r2, 1, 31, -1;\n",
              32),
      [](uint32_t i) {
        uint32_t j = i ^ 1;
        return j & 1 ? 7 * j : 5 * j;
      });
  // Halves of a warp, each with its own mask, in one instruction.
  expectEach(
      results("shr.u32 %r1, %i, 4;\nsetp.eq.u32 %p0, %r1, 0;\nselp.b32 %r2, "
              "0xffff, 0xffff0000, %p0;\nredux.sync.add.u32 %r0, %i, %r2;\n",
              32),
      [](uint32_t i) { return i < 16 ? 120 : 376; });
}

TEST(PtxExchange, WarpBarrierAtDifferentPlaces) {
  expectEach(
      results(
          "setp.lt.u32 %p0, %i, 16;\nmov.u32 %r0, 1;\n@%p0 bra "
          "LOW;\nbar.warp.sync 0xffffffff;\nadd.u32 %r0, %r0, 1;\nbra "
          "END;\nLOW: bar.warp.sync 0xffffffff;\nadd.u32 %r0, %r0, 2;\nEND:\n",
          32),
      [](uint32_t i) { return i < 16 ? 3 : 2; });
}

TEST(PtxExchange, Votes) {
  const std::string third = "rem.u32 %r1, %i, 3;\nsetp.eq.u32 %p0, %r1, 0;\n";
  uint32_t ballot = 0;
  for (uint32_t i = 0; i < 32; i += 3)
    ballot |= 1u << i;
  expectEach(results(third + "vote.sync.ballot.b32 %r0, %p0, -1;\n", 32),
             [=](uint32_t) { return ballot; });
  expectEach(
      results(
          third +
              "vote.sync.any.pred %p1, %p0, -1;\nselp.b32 %r0, 1, 0, %p1;\n",
          32),
      [](uint32_t) { return 1; });
  expectEach(
      results(
          third +
              "vote.sync.all.pred %p1, !%p0, -1;\nselp.b32 %r0, 1, 0, %p1;\n",
          32),
      [](uint32_t) { return 0; });
  expectEach(
      results(
          third +
              "vote.sync.uni.pred %p1, %p0, -1;\nselp.b32 %r0, 1, 0, %p1;\n",
          32),
      [](uint32_t) { return 0; });
  expectEach(results("elect.sync %r1|%p1, 0xffffffff;\nselp.b32 %r0, 100, 0, "
                     "%p1;\nadd.u32 %r0, %r0, %r1;\n",
                     32),
             [](uint32_t i) { return i == 0 ? 100 : 0; });
}

TEST(PtxExchange, MatchesAndReduces) {
  expectEach(
      results("shr.u32 %r1, %i, 3;\nmatch.any.sync.b32 %r0, %r1, -1;\n", 32),
      [](uint32_t i) { return 0xffu << (i & 24); });
  expectEach(results("mov.u64 %rd1, 9;\nmatch.all.sync.b64 %r0|%p1, %rd1, "
                     "-1;\n@!%p1 mov.u32 %r0, 5;\n",
                     32),
             [](uint32_t) { return 0xffffffff; });
  expectEach(
      results(
          "match.all.sync.b32 %r0|%p1, %i, -1;\n@!%p1 add.u32 %r0, %r0, 5;\n",
          32),
      [](uint32_t) { return 5; });
  expectEach(
      results("sub.s32 %r1, %i, 16;\nredux.sync.min.s32 %r0, %r1, -1;\n", 32),
      [](uint32_t) { return -16; });
  expectEach(results("redux.sync.max.u32 %r0, %i, -1;\n", 32),
             [](uint32_t) { return 31; });
  expectEach(results("redux.sync.xor.b32 %r0, %i, -1;\n", 32),
             [](uint32_t) { return 0; });
  // A warp that is not full: its lanes alone take part.
  expectEach(results("vote.sync.ballot.b32 %r0, 1, 0x3ff;\n", 10),
             [](uint32_t) { return 0x3ff; });
}

TEST(PtxSpecial, NumbersThreads) {
  Device device;
  uint64_t out = device.reserve(4 * 240 * 4);
  LaunchOptions options;
  options.grid = {2, 2, 1};
  options.block = {5, 4, 3};
  options.parameters = packParameters(out);
  LaunchReport report = device.launch(
      device.kernel(kernelText(
          1, "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %tid.y;\nmov.u32 %r3, "
             "%tid.z;\nmov.u32 %r4, %ctaid.y;\nmad.lo.u32 %r5, %r3, 4, "
             "%r2;\nmad.lo.u32 %r5, %r5, 5, %r1;\n"
             "mad.lo.u32 %r6, %r4, 2, %ctaid.x;\nmad.lo.u32 %r7, %r6, 60, "
             "%r5;\nmul.wide.u32 %rd0, %r7, 16;\nadd.s64 %rd0, %rd0, %pt0;\n"
             "mov.u32 %r8, %laneid;\nmov.u32 %r9, %warpid;\nmov.u32 %r10, "
             "%lanemask_lt;\nmov.u32 %r11, %nctaid.x;\nst.global.v4.u32 "
             "[%rd0], {%r8, %r9, %r10, %r11};\n")),
      options);
  EXPECT_TRUE(report.clean());
  auto found = device.download<uint32_t>(out, 960);
  for (uint32_t i = 0; i < 240; ++i) {
    uint32_t thread = i % 60;
    EXPECT_EQ(found[4 * i], thread % 32);
    EXPECT_EQ(found[4 * i + 1], thread / 32);
    EXPECT_EQ(found[4 * i + 2], (1u << thread % 32) - 1);
    EXPECT_EQ(found[4 * i + 3], 2u);
  }
}

TEST(PtxMemory, MovesEveryWidth) {
  // Bytes into wider registers, with and without their sign, and back.
  Device device;
  uint64_t in = device.upload(std::vector<uint8_t>{
      0x80, 0xff, 0x01, 0x7f, 0x34, 0x12, 0xcd, 0xab, 1, 2, 3, 4, 5, 6, 7, 8});
  uint64_t out = device.reserve(64);
  LaunchReport report = device.run(
      kernelText(
          2, "ld.global.s8 %r1, [%pt0];\nld.global.u8 %r2, [%pt0];\n"
             "ld.global.s16 %rd1, [%pt0+6];\n"
             "ld.global.nc.v4.u8 {%h0, %h1, _, %h3}, [%pt0];\n"
             "ld.global.L1::no_allocate.v2.b64 {%rd2, %rd3}, [%pt0];\n"
             "st.global.u32 [%pt1], %r1;\nst.global.u32 [%pt1+4], %r2;\n"
             "st.global.u64 [%pt1+8], %rd1;\n"
             "st.global.v2.u16 [%pt1+16], {%h1, %h3};\n"
             "st.global.v2.u8 [%pt1+20], {%h3, 9};\n"
             "st.global.v2.b64 [%pt1+32], {%rd3, %rd2};\n"
             "prefetch.global.L2 [%pt0];\ndiscard.global.L2 [%pt1], 128;\n"),
      1, 1, in, out);
  for (const Finding &finding : report.findings)
    ADD_FAILURE() << finding.str();
  auto found = device.download<uint32_t>(out, 12);
  EXPECT_EQ(found[0], 0xffffff80u);
  EXPECT_EQ(found[1], 0x80u);
  EXPECT_EQ(found[2], 0xffffabcdu);
  EXPECT_EQ(found[3], 0xffffffffu);
  EXPECT_EQ(found[4], 0x007f00ffu);
  EXPECT_EQ(found[5] & 0xffff, 0x097fu);
  EXPECT_EQ(found[8], 0x04030201u);
  EXPECT_EQ(found[11], 0xabcd1234u);
}

TEST(PtxMemory, GenericAddressesOfEverySpace) {
  // Each lane's pointer is into another space, in one instruction.
  Device device;
  uint64_t out = device.upload(std::vector<uint32_t>{111, 0, 0, 0});
  LaunchReport report = device.run(
      kernelText(1,
                 ".local .b32 x;\nmov.u32 %r1, s;\nst.shared.u32 [%r1], 222;\n"
                 "st.local.u32 [x], 333;\ncvt.u64.u32 %rd1, %r1;\n"
                 "cvta.shared.u64 %rd1, %rd1;\nmov.u64 %rd2, x;\n"
                 "cvta.local.u64 %rd2, %rd2;\nsetp.eq.u32 %p0, %i, 1;\n"
                 "selp.b64 %rd3, %rd1, %pt0, %p0;\nsetp.eq.u32 %p1, %i, 2;\n"
                 "selp.b64 %rd3, %rd2, %rd3, %p1;\nld.u32 %r2, [%rd3];\n"
                 "isspacep.shared %p2, %rd3;\n@%p2 add.u32 %r2, %r2, 1000;\n"
                 "isspacep.local %p2, %rd3;\n@%p2 add.u32 %r2, %r2, 2000;\n"
                 "isspacep.global %p2, %rd3;\n@%p2 add.u32 %r2, %r2, 4000;\n"
                 "bar.warp.sync 7;\nmul.wide.u32 %rd0, %i, 4;\n"
                 "add.s64 %rd0, %rd0, %pt0;\nst.global.u32 [%rd0+4], %r2;\n",
                 ".shared .b32 s;\n"),
      1, 3, out);
  for (const Finding &finding : report.findings)
    ADD_FAILURE() << finding.str();
  EXPECT_EQ(device.download<uint32_t>(out, 4),
            (std::vector<uint32_t>{111, 4111, 1222, 2333}));
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

TEST(PtxBarrier, OrdersSharedMemory) {
  // Each thread reads what a thread of another warp wrote, in a loop.
  expectEach(
      results("mov.u32 %r3, s;\nmul.lo.u32 %r4, %i, 4;\nadd.u32 %r4, %r4, "
              "%r3;\nmov.u32 %r1, %i;\nmov.u32 %r2, 0;\n"
              "xor.b32 %r6, %i, 64;\nmad.lo.u32 %r6, %r6, 4, %r3;\n"
              "LOOP: st.shared.u32 [%r4], %r1;\nbar.sync 0;\nld.shared.u32 "
              "%r1, [%r6];\nadd.u32 %r1, %r1, 1;\nbar.sync 0;\n"
              "add.u32 %r2, %r2, 1;\nsetp.lt.u32 %p0, %r2, 5;\n@%p0 bra "
              "LOOP;\nmov.u32 %r0, %r1;\n",
              128, 1, ".shared .align 4 .b8 s[512];\n"),
      [](uint32_t i) { return (i ^ 64) + 5; });
}

TEST(PtxBarrier, CountsAndArrives) {
  // Warp 0 produces and arrives; warp 1 waits for both.
  expectEach(
      results("mov.u32 %r3, s;\nmov.u32 %r0, 0;\nsetp.ge.u32 %p0, %i, "
              "32;\n@%p0 bra CONSUME;\n"
              "mad.lo.u32 %r4, %i, 4, %r3;\nst.shared.u32 [%r4], "
              "%i;\nmembar.cta;\nbar.arrive 3, 64;\nbra END;\n"
              "CONSUME: bar.sync 3, 64;\nsub.u32 %r5, 63, %i;\nmad.lo.u32 %r4, "
              "%r5, 4, %r3;\nld.shared.u32 %r0, [%r4];\nEND:\n",
              64, 1, ".shared .align 4 .b8 s[128];\n"),
      [](uint32_t i) { return i < 32 ? 0 : 63 - i; });
}

TEST(PtxBarrier, Reduces) {
  const std::string odd = "and.b32 %r1, %i, 1;\nsetp.eq.u32 %p0, %r1, 1;\n";
  expectEach(results(odd + "bar.red.popc.u32 %r0, 0, %p0;\n", 100),
             [](uint32_t) { return 50; });
  expectEach(
      results(odd + "bar.red.and.pred %p1, 0, %p0;\nselp.b32 %r0, 1, 0, %p1;\n",
              64),
      [](uint32_t) { return 0; });
  expectEach(
      results(odd + "bar.red.or.pred %p1, 0, !%p0;\nselp.b32 %r0, 1, 0, %p1;\n",
              64),
      [](uint32_t) { return 1; });
}

TEST(PtxBarrier, LeavesOutThreadsThatExited) {
  Device device;
  uint64_t out = device.upload(std::vector<uint32_t>(128, 0));
  LaunchReport report =
      device.run(kernelText(1, "setp.ge.u32 %p0, %i, 70;\n@%p0 exit;\nbar.sync "
                               "0;\nmov.u32 %r0, 1;\n" +
                                   storeResult),
                 1, 128, out);
  EXPECT_TRUE(report.clean());
  expectEach(device.download<uint32_t>(out, 128),
             [](uint32_t i) { return i < 70; });
}

TEST(PtxBarrier, ClusterOfOneBlock) {
  expectEach(
      results("barrier.cluster.arrive.release.aligned;\nmov.u32 %r0, "
              "%cluster_nctarank;\nbarrier.cluster.wait.acquire.aligned;\n",
              64),
      [](uint32_t) { return 1; });
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

const std::string recursive =
    ".func (.param .b32 r) fib (.param .b32 n)\n{\n.reg .pred %p; .reg .b32 "
    "%a<6>;\n"
    "ld.param.b32 %a0, [n];\nsetp.lt.u32 %p, %a0, 2;\n@%p bra BASE;\nsub.u32 "
    "%a1, %a0, 1;\n"
    "{ .param .b32 x; .param .b32 y; st.param.b32 [x], %a1; call (y), fib, "
    "(x); ld.param.b32 %a2, [y]; }\n"
    "sub.u32 %a1, %a0, 2;\n"
    "{ .param .b32 x; .param .b32 y; st.param.b32 [x], %a1; call (y), fib, "
    "(x); ld.param.b32 %a3, [y]; }\n"
    "add.u32 %a4, %a2, %a3;\nst.param.b32 [r], %a4;\nret;\nBASE: st.param.b32 "
    "[r], %a0;\nret;\n}\n"
    ".func (.reg .b32 r) twice (.reg .b32 n) { add.u32 r, n, n; ret; }\n";

TEST(PtxCall, RecursesInDivergentLanes) {
  uint32_t fib[12] = {0, 1};
  for (unsigned i = 2; i < 12; ++i)
    fib[i] = fib[i - 1] + fib[i - 2];
  expectEach(
      results(
          "rem.u32 %r1, %i, 12;\n{ .param .b32 x; .param .b32 y; st.param.b32 "
          "[x], %r1; call (y), fib, (x); ld.param.b32 %r0, [y]; }\n",
          64, 1, recursive),
      [&](uint32_t i) { return fib[i % 12]; });
}

TEST(PtxCall, PassesRegistersAndGoesByAddress) {
  expectEach(results("call (%r0), twice, (%i);\n", 32, 1, recursive),
             [](uint32_t i) { return 2 * i; });
  expectEach(
      results("rem.u32 %r1, %i, 12;\nand.b32 %r2, %i, 1;\nsetp.eq.u32 %p0, "
              "%r2, 0;\nmov.u64 %rd1, fib;\nmov.u64 %rd2, square;\nselp.b64 "
              "%rd3, %rd1, %rd2, %p0;\n"
              "{ .param .b32 x; .param .b32 y; st.param.b32 [x], %r1;\nproto : "
              ".callprototype (.param .b32 _) _ (.param .b32 _);\ncall (y), "
              "%rd3, (x), proto; ld.param.b32 %r0, [y]; }\n",
              64, 1,
              recursive + ".func (.param .b32 r) square (.param .b32 n) { .reg "
                          ".b32 a; ld.param.b32 a, [n]; mul.lo.u32 a, a, a; "
                          "st.param.b32 [r], a; ret; }\n"),
      [](uint32_t i) {
        uint32_t n = i % 12;
        if (i & 1)
          return n * n;
        uint32_t a = 0, b = 1;
        for (; n; --n) {
          uint32_t c = a + b;
          a = b;
          b = c;
        }
        return a;
      });
}

TEST(PtxCall, PrintsWithFormats) {
  Device device;
  std::string printed;
  LaunchOptions options;
  options.block = {2, 1, 1};
  options.print = [&](std::string_view text) { printed += text; };
  std::string before =
      ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 "
      "b);\n.global .align 1 .b8 format[] = {37, 100, 32, 37, 53, 46, 49, 102, "
      "32, 37, 115, 32, 37, 108, 108, 120, 37, 37, 10, 0};\n.global .align 1 "
      ".b8 word[] = {104, 105, 0};\n";
  LaunchReport report = device.launch(
      device.kernel(kernelText(
          0,
          ".local .align 8 .b8 depot[32];\nmov.u64 %rd1, depot;\nst.local.u32 "
          "[%rd1], %i;\nmov.f64 %d1, 0d4004000000000000;\nst.local.f64 "
          "[%rd1+8], %d1;\nmov.u64 %rd2, word;\ncvta.global.u64 %rd2, "
          "%rd2;\nst.local.u64 [%rd1+16], %rd2;\nst.local.u64 [%rd1+24], "
          "255;\ncvta.local.u64 %rd3, %rd1;\nmov.u64 %rd4, "
          "format;\ncvta.global.u64 %rd4, %rd4;\n"
          "{ .param .b64 a; .param .b64 b; .param .b32 r; st.param.b64 [a], "
          "%rd4; st.param.b64 [b], %rd3; call.uni (r), vprintf, (a, b); "
          "ld.param.b32 %r1, [r]; }\n",
          before)),
      options);
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(printed, "0   2.5 hi ff%\n1   2.5 hi ff%\n");
}

//===----------------------------------------------------------------------===//
// Atomics
//===----------------------------------------------------------------------===//

struct AtomicCase {
  std::string instruction;
  uint32_t initial;
  uint32_t expected;
};

TEST(PtxAtomic, UpdatesGlobalAndSharedMemory) {
  float total = 0;
  for (unsigned i = 0; i < 64; ++i)
    total += 0.5f;
  const AtomicCase cases[] = {
      {"add.u32 %r1, [A], %i", 5, 5 + 2016},
      {"min.s32 %r1, [A], %r9", 7, uint32_t(-32)},
      {"max.u32 %r1, [A], %i", 7, 63},
      {"or.b32 %r1, [A], %r8", 0, 0xffffffff},
      {"and.b32 %r1, [A], 0xf0", 0xffff, 0xf0},
      {"xor.b32 %r1, [A], %i", 1, 1},
      {"inc.u32 %r1, [A], 9", 0, 4},
      {"dec.u32 %r1, [A], 9", 3, 9},
      {"add.f32 %r1, [A], 0f3F000000", 0, std::bit_cast<uint32_t>(total)},
      {"add.noftz.f16x2 %r1, [A], 0x3c000000", 0, 0x54000000}};
  for (const AtomicCase &test : cases) {
    for (bool isShared : {false, true}) {
      std::string instruction = test.instruction;
      instruction.replace(instruction.find("[A]"), 3,
                          isShared ? "[s]" : "[%pt0]");
      std::string setUp = "sub.s32 %r9, %i, 32;\nand.b32 %r7, %i, 31;\nmov.u32 "
                          "%r8, 1;\nshl.b32 %r8, %r8, %r7;\n";
      std::string body =
          isShared
              ? setUp +
                    "ld.global.u32 %r2, [%pt0];\nsetp.eq.u32 %p0, %i, 0;\n@%p0 "
                    "st.shared.u32 [s], %r2;\nbar.sync 0;\natom.shared." +
                    instruction +
                    ";\nbar.sync 0;\nld.shared.u32 %r2, [s];\n@%p0 "
                    "st.global.u32 [%pt0], %r2;\n"
              : setUp + "atom.global." + instruction + ";\n";
      Device device;
      uint64_t place = device.upload(std::vector<uint32_t>{test.initial});
      LaunchReport report =
          device.run(kernelText(1, body, ".shared .b32 s;\n"), 1, 64, place);
      for (const Finding &finding : report.findings)
        ADD_FAILURE() << finding.str();
      EXPECT_EQ(device.download<uint32_t>(place, 1)[0], test.expected) << body;
    }
  }
}

TEST(PtxAtomic, GivesTheOldValueOnce) {
  // Over several blocks and workers every thread gets another ticket.
  auto tickets = results(
      "ld.param.u64 %rd5, [p0];\natom.global.add.u32 %r0, [ticket], 1;\n", 128,
      8, ".global .u32 ticket = 0;\n");
  std::sort(tickets.begin(), tickets.end());
  expectEach(tickets, [](uint32_t i) { return i; });
}

TEST(PtxAtomic, WideAndVectors) {
  Device device;
  uint64_t place = device.upload(std::vector<uint64_t>{1, 0, 0, 0});
  LaunchReport report = device.run(
      kernelText(1, "cvt.u64.u32 %rd1, %i;\nred.global.add.u64 [%pt0], "
                    "%rd1;\nred.global.add.f64 [%pt0+8], 0d3FF0000000000000;\n"
                    "mov.f32 %f1, 0f3F800000;\nmov.f32 %f2, "
                    "0f40000000;\nred.relaxed.gpu.global.add.v2.f32 [%pt0+16], "
                    "{%f1, %f2};\n"
                    "atom.global.cas.b64 %rd2, [%pt0+24], 0, 77;\n"),
      1, 32, place);
  EXPECT_TRUE(report.clean());
  auto found = device.download<uint64_t>(place, 4);
  EXPECT_EQ(found[0], 1u + 496);
  EXPECT_EQ(std::bit_cast<double>(found[1]), 32.0);
  EXPECT_EQ(std::bit_cast<float>(uint32_t(found[2])), 32.0f);
  EXPECT_EQ(std::bit_cast<float>(uint32_t(found[2] >> 32)), 64.0f);
  EXPECT_EQ(found[3], 77u);
}

} // namespace
