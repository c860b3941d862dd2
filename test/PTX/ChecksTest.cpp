//===- ChecksTest.cpp - What the machine finds in kernels that are wrong --===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <algorithm>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

/// The only finding of a launch.
Finding onlyFinding(const LaunchReport &report) {
  EXPECT_EQ(report.findings.size(), 1u);
  for (size_t i = 1; i < report.findings.size(); ++i)
    ADD_FAILURE() << report.findings[i].str();
  return report.findings.empty() ? Finding{FindingKind::Trap}
                                 : report.findings[0];
}

Finding findingOf(const std::string &body, uint32_t block,
                  const std::vector<uint32_t> &data, uint32_t grid = 1,
                  const std::string &before = "") {
  Device device;
  uint64_t place = device.upload(data);
  return onlyFinding(
      device.run(kernelText(1, body, before), grid, block, place));
}

/// The address of the i-th word of p0 in %rd0.
const std::string word =
    "mul.wide.u32 %rd0, %i, 4;\nadd.s64 %rd0, %rd0, %pt0;\n";

TEST(PtxChecks, OutOfBoundsOfAnAllocation) {
  Finding finding = findingOf(word + "ld.global.u32 %r0, [%rd0];\n", 64,
                              std::vector<uint32_t>(60));
  EXPECT_EQ(finding.kind, FindingKind::OutOfBounds);
  EXPECT_NE(finding.text.find("reads 4 bytes at 0x"), std::string::npos);
  EXPECT_NE(
      finding.text.find("offset 240 of allocation 1, which has 240 bytes"),
      std::string::npos);
  EXPECT_EQ(finding.thread.thread[0], 60u);
  EXPECT_EQ(finding.count, 4u);
  EXPECT_EQ(finding.place.instruction, "ld.global.u32 %r0, [%rd0];");
  EXPECT_EQ(finding.kernel, "k");
  EXPECT_TRUE(isFatal(finding.kind));
}

TEST(PtxChecks, OutOfBoundsKeepsTheOtherLanesGoing) {
  Device device;
  uint64_t place = device.upload(std::vector<uint32_t>(60));
  LaunchReport report = device.run(
      kernelText(1, word + "st.global.u32 [%rd0], %i;\n"), 1, 64, place);
  EXPECT_EQ(onlyFinding(report).kind, FindingKind::OutOfBounds);
  auto found = device.download<uint32_t>(place, 60);
  for (uint32_t i = 0; i < 60; ++i)
    EXPECT_EQ(found[i], i);
}

TEST(PtxChecks, AddressesOfNothing) {
  EXPECT_NE(findingOf("mov.u64 %rd1, 0;\nld.global.u32 %r0, [%rd1];\n", 1, {1})
                .text.find("a null pointer"),
            std::string::npos);
  EXPECT_NE(
      findingOf("mov.u32 %r1, s;\ncvt.u64.u32 %rd1, %r1;\ncvta.shared.u64 "
                "%rd1, %rd1;\nst.global.u32 [%rd1], %i;\n",
                1, {1}, 1, ".shared .b32 s;\n")
          .text.find("an address of shared memory"),
      std::string::npos);
  EXPECT_EQ(findingOf("mov.u32 %r1, s;\nst.shared.u32 [%r1+4], %i;\n", 1, {1},
                      1, ".shared .b32 s;\n")
                .text,
            "writes 4 bytes at 0x404 of shared memory; the block has the 4 "
            "bytes from 0x400");
  EXPECT_NE(
      findingOf(
          ".local .b32 x[2];\nmov.u64 %rd1, x;\nst.local.u32 [%rd1+16], %i;\n",
          1, {1})
          .text.find("of local memory; the thread has 16 bytes here"),
      std::string::npos);
}

TEST(PtxChecks, UseAfterFree) {
  Device device;
  uint64_t place = device.upload(std::vector<uint32_t>(8));
  ASSERT_TRUE(device.machine.free(place));
  Finding finding = onlyFinding(
      device.run(kernelText(1, "ld.global.u32 %r0, [%pt0+4];\n"), 1, 1, place));
  EXPECT_EQ(finding.kind, FindingKind::UseAfterFree);
  EXPECT_NE(finding.text.find(
                "offset 4 of allocation 1, which has 32 bytes and was freed"),
            std::string::npos);
}

TEST(PtxChecks, Misalignment) {
  Finding finding = findingOf("ld.global.v2.u32 {%r0, %r1}, [%pt0+4];\n", 1,
                              std::vector<uint32_t>(8));
  EXPECT_EQ(finding.kind, FindingKind::Misaligned);
  EXPECT_NE(finding.text.find("which is not a multiple of 8"),
            std::string::npos);
  EXPECT_EQ(findingOf("mov.u32 %r1, s;\nst.shared.u16 [%r1+1], 5;\n", 1, {1}, 1,
                      ".shared .b32 s;\n")
                .kind,
            FindingKind::Misaligned);
}

TEST(PtxChecks, WritesToConstants) {
  Finding finding =
      findingOf("mov.u64 %rd1, table;\nst.global.u32 [%rd1], %i;\n", 1, {1}, 1,
                ".const .u32 table[2] = {1, 2};\n");
  EXPECT_EQ(finding.kind, FindingKind::WriteToReadOnly);
  EXPECT_NE(finding.text.find("of 'table', which has 8 bytes and is read-only"),
            std::string::npos);
}

//===----------------------------------------------------------------------===//
// Values that were never initialised
//===----------------------------------------------------------------------===//

TEST(PtxChecks, UninitialisedRegisterDecidesABranch) {
  Finding finding =
      findingOf("setp.eq.u32 %p0, %r5, 3;\n@%p0 bra L;\nL:\n", 32, {1});
  EXPECT_EQ(finding.kind, FindingKind::UninitialisedValue);
  EXPECT_EQ(finding.text, "the guard %p0 was never given a value");
  // Where only some lanes were given one.
  EXPECT_EQ(findingOf("setp.lt.u32 %p1, %i, 16;\n@%p1 setp.eq.u32 %p0, %i, "
                      "3;\n@%p0 bra L;\nL:\n",
                      32, {1})
                .thread.thread[0],
            16u);
}

TEST(PtxChecks, UninitialisedMemoryReachesMemory) {
  Finding finding =
      findingOf("mov.u32 %r1, s;\nld.shared.u32 %r2, [%r1];\nadd.u32 %r3, %r2, "
                "1;\nst.global.u32 [%pt0], %r3;\n",
                1, {1}, 1, ".shared .b32 s;\n");
  EXPECT_EQ(finding.kind, FindingKind::UninitialisedValue);
  EXPECT_NE(finding.text.find("the value that is stored, %r3 holds what line"),
            std::string::npos);
  EXPECT_NE(finding.text.find("read from memory that was never written"),
            std::string::npos);
  // Global memory that nobody wrote, as an address.
  Device device;
  uint64_t place = device.reserve(64);
  EXPECT_EQ(
      onlyFinding(
          device.run(kernelText(1, "ld.global.u64 %rd1, [%pt0];\nadd.s64 %rd1, "
                                   "%rd1, %pt0;\nst.global.u32 [%rd1], 5;\n"),
                     1, 1, place))
          .text.substr(0, 16),
      "the address %rd1");
}

TEST(PtxChecks, UninitialisedValuesMayBeCarriedAbout) {
  // Nothing depends on them: not a finding.
  Device device;
  uint64_t place = device.upload(std::vector<uint32_t>{1, 2});
  LaunchReport report = device.run(
      kernelText(
          1,
          "mov.b64 %rd1, {%i, %r7};\nmov.b64 {%r0, _}, %rd1;\nsetp.eq.u32 %p0, "
          "%i, 0;\nselp.b32 %r1, %i, %r6, %p0;\nxor.b32 %r2, %r7, "
          "%r7;\nadd.u32 %r3, %r2, 5;\nst.global.v2.u32 [%pt0], {%r3, %r9};\n"),
      1, 1, place);
  for (const Finding &finding : report.findings)
    ADD_FAILURE() << finding.str();
  EXPECT_EQ(device.download<uint32_t>(place, 1)[0], 5u);
  // The second word is as if never written.
  EXPECT_EQ(*device.machine.countUninitialised(place, 8), 4u);
}

TEST(PtxChecks, UninitialisedShuffle) {
  // Lane 31 gets the value of a lane that is not there.
  Finding finding = findingOf(
      "setp.lt.u32 %p0, %i, 16;\n@!%p0 bra END;\nshfl.sync.down.b32 %r1, %i, "
      "8, 31, 0xffff;\nsetp.eq.u32 %p1, %r1, 3;\n@%p1 bra END;\nEND:\n",
      32, {1});
  EXPECT_EQ(finding.kind, FindingKind::UninitialisedValue);
  EXPECT_EQ(finding.thread.thread[0], 8u);
}

TEST(PtxChecks, UninitialisedChecksCanBeLeftOut) {
  Device device;
  LaunchOptions options;
  options.checks.uninitialised = false;
  EXPECT_TRUE(
      device
          .launch(device.kernel(kernelText(
                      0, "setp.eq.u32 %p0, %r5, 3;\n@%p0 bra L;\nL:\n")),
                  options)
          .clean());
}

TEST(PtxChecks, LocalMemoryIsNewInEachBlock) {
  // Block 0 writes its local variable, block 1 only reads it.
  Device device;
  uint64_t place = device.reserve(4);
  LaunchOptions options;
  options.grid = {2, 1, 1};
  options.block = {1, 1, 1};
  options.deterministic = true;
  options.parameters = packParameters(place);
  Finding finding = onlyFinding(
      device.launch(device.kernel(kernelText(
                        1, ".local .b32 x;\nsetp.eq.u32 %p0, %i, 0;\n"
                           "@%p0 st.local.u32 [x], 5;\nld.local.u32 %r1, [x];\n"
                           "st.global.u32 [%pt0], %r1;\n")),
                    options));
  EXPECT_EQ(finding.kind, FindingKind::UninitialisedValue);
  EXPECT_EQ(finding.thread.block[0], 1u);
}

TEST(PtxChecks, WritesCountAlsoWhereNobodyAsks) {
  Device device;
  uint64_t place = device.reserve(8);
  LaunchOptions options;
  options.checks.uninitialised = false;
  options.parameters = packParameters(place);
  EXPECT_TRUE(device
                  .launch(device.kernel(kernelText(
                              1, "st.global.u32 [%pt0], 5;\n"
                                 "atom.global.exch.b32 %r1, [%pt0+4], 6;\n")),
                          options)
                  .clean());
  EXPECT_EQ(*device.machine.countUninitialised(place, 8), 0u);
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

TEST(PtxChecks, DivergentBarrier) {
  Finding finding =
      findingOf("setp.lt.u32 %p0, %i, 10;\n@%p0 bra LOW;\nbar.sync 0;\nbra "
                "END;\nLOW: bar.sync 0;\nEND:\n",
                64, {1});
  EXPECT_EQ(finding.kind, FindingKind::DivergentBarrier);
  ASSERT_TRUE(finding.otherPlace);
  EXPECT_NE(finding.otherPlace->line, finding.place.line);
  EXPECT_NE(finding.text.find("execute it without"), std::string::npos);
}

TEST(PtxChecks, DeadlockAtABarrier) {
  Device device;
  LaunchReport report = device.run(
      kernelText(0, "setp.lt.u32 %p0, %i, 32;\n@%p0 bra LOW;\nbar.sync 1;\nbra "
                    "END;\nLOW: bar.sync 0;\nEND:\n"),
      1, 64);
  Finding finding = onlyFinding(report);
  EXPECT_EQ(finding.kind, FindingKind::BarrierDeadlock);
  EXPECT_EQ(finding.text, "32 threads wait here and nothing can let them go "
                          "on; others wait elsewhere");
  ASSERT_TRUE(finding.otherPlace && finding.otherThread);
  EXPECT_EQ(finding.otherPlace->instruction, "bar.sync 1;");
  EXPECT_EQ(finding.otherThread->thread[0], 32u);
  EXPECT_FALSE(report.completed);
}

TEST(PtxChecks, WrongBarriers) {
  EXPECT_EQ(findingOf("bar.sync 16;\n", 32, {1}).text,
            "barrier 16; a block has barriers 0 to 15");
  EXPECT_EQ(findingOf("bar.sync 1, 40;\n", 64, {1}).text,
            "barrier 1 is for 40 threads; expected a multiple of 32 up to the "
            "64 of the block");
  // The third warp then waits for others in vain.
  Device device;
  LaunchReport report = device.run(
      kernelText(0, "setp.lt.u32 %p0, %i, 32;\n@%p0 bra LOW;\nbar.sync 2, 96;\n"
                    "bra END;\nLOW: bar.sync 2, 64;\nEND:\n"),
      1, 96);
  ASSERT_EQ(report.findings.size(), 2u);
  auto isInvalid = [](const Finding &finding) {
    return finding.kind == FindingKind::InvalidBarrier;
  };
  auto invalid =
      std::find_if(report.findings.begin(), report.findings.end(), isInvalid);
  ASSERT_NE(invalid, report.findings.end());
  EXPECT_EQ(invalid->text, "barrier 2 is for 96 threads here, but for 64 "
                           "threads where others wait");
}

TEST(PtxChecks, LanesThatNeverCome) {
  Finding finding =
      findingOf("setp.lt.u32 %p0, %i, 16;\n@%p0 bra END;\nshfl.sync.idx.b32 "
                "%r1, %i, 16, 31, -1;\nEND: bar.sync 0;\n",
                32, {1});
  EXPECT_EQ(finding.kind, FindingKind::WarpSyncMismatch);
  EXPECT_EQ(finding.text, "waits for the lanes 0xffffffff of its warp, but "
                          "0x0000ffff never come here");
  EXPECT_EQ(findingOf("vote.sync.any.pred %p1, 1, 0xff;\n", 16, {1}).text,
            "lane 8 is not in its own mask of members");
}

TEST(PtxChecks, EndlessLoop) {
  Device device;
  LaunchOptions options;
  options.budget = 100000;
  LaunchReport report =
      device.launch(device.kernel(kernelText(0, "L: bra L;\n")), options);
  EXPECT_EQ(onlyFinding(report).kind, FindingKind::BudgetExhausted);
  EXPECT_FALSE(report.completed);
}

//===----------------------------------------------------------------------===//
// Launches, calls, traps
//===----------------------------------------------------------------------===//

TEST(PtxChecks, IllegalLaunches) {
  Device device;
  Kernel kernel =
      device.kernel(header() + ".entry k() .maxntid 64 { .shared .b8 s[1000]; "
                               ".reg .b32 %r; mov.u32 %r, s; ret; }");
  auto textOf = [&](std::array<uint32_t, 3> grid, std::array<uint32_t, 3> block,
                    uint32_t shared) {
    LaunchOptions options;
    options.grid = grid;
    options.block = block;
    options.dynamicShared = shared;
    Finding finding = onlyFinding(device.launch(kernel, options));
    EXPECT_EQ(finding.kind, FindingKind::IllegalLaunch);
    return finding.text;
  };
  EXPECT_EQ(textOf({0, 1, 1}, {32, 1, 1}, 0),
            "it is launched with a grid of 0x1x1 blocks; it may have 1 to "
            "2147483647x65535x65535");
  EXPECT_EQ(textOf({1, 1, 1}, {32, 1, 65}, 0),
            "it is launched with a block of 32x1x65 threads; it may have 1 to "
            "1024x1024x64");
  EXPECT_EQ(textOf({1, 1, 1}, {64, 32, 1}, 0),
            "it is launched with a block of 64x32x1 = 2048 threads; it may "
            "have 1024");
  EXPECT_EQ(textOf({1, 1, 1}, {128, 1, 1}, 0),
            "it is launched with a block of 128 threads; the kernel says "
            ".maxntid 64x1x1");
  EXPECT_EQ(textOf({1, 1, 1}, {64, 1, 1}, 240000),
            "it is launched with 241000 bytes of shared memory (1000 static, "
            "240000 dynamic); a block may have 232448");
}

TEST(PtxChecks, LaunchesThatCannotBegin) {
  Device device;
  LaunchOptions options;
  options.parameters = {1, 2};
  EXPECT_EQ(device.machine.launch(device.kernel(kernelText(1, "")), options)
                .error()
                .message,
            "kernel 'k' takes 8 bytes of parameters, found 2");
  options.parameters.clear();
  options.cluster = {2, 1, 1};
  EXPECT_EQ(device.machine.launch(device.kernel(kernelText(0, "")), options)
                .error()
                .message,
            "kernel 'k' is launched in clusters of 2x1x1 blocks; the machine "
            "has clusters of one block");
}

TEST(PtxChecks, TrapsAndCalls) {
  EXPECT_EQ(findingOf("setp.eq.u32 %p0, %i, 5;\n@%p0 trap;\n", 32, {1})
                .thread.thread[0],
            5u);
  EXPECT_EQ(
      findingOf(
          "mov.u64 %rd1, 1234;\nproto : .callprototype _;\ncall %rd1, proto;\n",
          1, {1})
          .text,
      "the address that is called is no function's");
  EXPECT_EQ(
      findingOf("call f;\n", 1, {1}, 1, ".func f { call f; ret; }\n").kind,
      FindingKind::StackOverflow);
  EXPECT_EQ(findingOf("mov.u32 %r1, 7;\nts: .branchtargets A, B;\nbrx.idx %r1, "
                      "ts;\nA: B:\n",
                      1, {1})
                .text,
            "the index is 7; the list has 2 labels");
}

TEST(PtxChecks, Assertions) {
  std::string before =
      ".extern .func __assertfail (.param .b64 a, .param .b64 b, .param .b32 "
      "c, .param .b64 d, .param .b64 e);\n.global .b8 text[] = {105, 60, 51, "
      "0};\n.global .b8 file[] = {97, 46, 99, 117, 0};\n";
  Finding finding = findingOf(
      "setp.lt.u32 %p0, %i, 3;\n@%p0 bra OK;\nmov.u64 %rd1, "
      "text;\ncvta.global.u64 %rd1, %rd1;\nmov.u64 %rd2, "
      "file;\ncvta.global.u64 %rd2, %rd2;\n{ .param .b64 a; .param .b64 b; "
      ".param .b32 c; .param .b64 d; .param .b64 e; st.param.b64 [a], %rd1; "
      "st.param.b64 [b], %rd2; st.param.b32 [c], 12; st.param.b64 [d], %rd2; "
      "st.param.b64 [e], 1; call.uni __assertfail, (a, b, c, d, e); }\nOK:\n",
      8, {1}, 1, before);
  EXPECT_EQ(finding.kind, FindingKind::AssertFailed);
  EXPECT_EQ(finding.text, "assertion 'i<3' failed at a.cu:12 in a.cu");
  EXPECT_EQ(finding.thread.thread[0], 3u);
}

TEST(PtxChecks, FindingsNameTheSource) {
  Device device;
  uint64_t place = device.upload(std::vector<uint32_t>{1});
  LaunchReport report = device.run(
      kernelText(1, ".loc 1 17 3\nld.global.u32 %r0, [%pt0+400];\n") +
          ".file 1 \"k.cu\"\n",
      2, 32, place);
  Finding finding = onlyFinding(report);
  std::string text = finding.str();
  EXPECT_EQ(text.substr(0, 22), "out-of-bounds in k: re") << text;
  EXPECT_NE(text.find("ld.global.u32 %r0, [%pt0+400];\n    block (0,0,0) "
                      "thread (0,0,0)\n    from k.cu:17"),
            std::string::npos)
      << text;
  EXPECT_EQ(finding.count, 64u);
}

TEST(PtxChecks, EndsAfterManyFindings) {
  Device device;
  uint64_t place = device.upload(std::vector<uint32_t>{1});
  std::string body;
  for (unsigned i = 0; i < 10; ++i)
    body += "ld.global.u32 %r0, [%pt0+" + std::to_string(400 + 4 * i) + "];\n";
  LaunchOptions options;
  options.maxFindings = 4;
  options.parameters = packParameters(place);
  LaunchReport report =
      device.launch(device.kernel(kernelText(1, body)), options);
  EXPECT_EQ(report.findings.size(), 4u);
  EXPECT_FALSE(report.completed);
}

} // namespace
