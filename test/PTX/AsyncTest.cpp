//===- AsyncTest.cpp - Asynchronous copies and mbarriers ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include "lib/PTX/TensorMap.h"

#include <bit>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

/// One block of 32 threads with 4,096 bytes of shared memory at %s, which holds
/// 0xEEEEEEEE; %in and %out point to buffers, %t is the thread.
std::string kernel(const std::string &body) {
  return ptxHeader() +
         ".visible .entry k(.param .u64 pin, .param .u64 pout) {\n"
         ".reg .b32 %r<32>; .reg .b64 %d<32>; .reg .pred %q<8>;\n"
         ".reg .b32 %s, %t; .reg .b64 %in, %out;\n"
         ".shared .align 1024 .b8 tile[4096];\n"
         ".shared .align 8 .b8 bars[64];\n"
         "ld.param.u64 %in, [pin]; ld.param.u64 %out, [pout];\n"
         "mov.u32 %t, %tid.x; mov.u32 %s, tile;\n"
         "mad.lo.u32 %r0, %t, 128, %s; mov.u32 %r1, 0xEEEEEEEE; "
         "mov.u32 %r2, 0;\n"
         "FILL:\nst.shared.u32 [%r0], %r1; add.u32 %r0, %r0, 4; "
         "add.u32 %r2, %r2, 1;\n"
         "setp.lt.u32 %q0, %r2, 32; @%q0 bra FILL;\n"
         "setp.eq.u32 %q1, %t, 0;\nfence.proxy.async;\nbar.sync 0;\n" +
         body + "\nret;\n}\n";
}

std::string copyOut(unsigned bytes) {
  return "bar.sync 0;\nshl.b32 %r20, %t, 2;\nOUT:\n"
         "add.u32 %r21, %s, %r20; ld.shared.u32 %r22, [%r21]; "
         "cvt.u64.u32 %d20, %r20; add.u64 %d20, %d20, %out; "
         "st.global.u32 [%d20], %r22;\n"
         "add.u32 %r20, %r20, 128; setp.lt.u32 %q7, %r20, " +
         std::to_string(bytes) + "; @%q7 bra OUT;\n";
}

std::vector<uint32_t> numbers(unsigned count) {
  std::vector<uint32_t> values(count);
  for (unsigned i = 0; i < count; ++i)
    values[i] = 100 + i;
  return values;
}

std::vector<uint32_t> run(const std::string &body, unsigned words,
                          bool mayFind = false) {
  Harness harness(kernel(body));
  harness.mayFind = mayFind;
  uint64_t out = harness.buffer(std::vector<uint32_t>(words));
  harness.run("k", 1, 32, harness.buffer(numbers(1024)), out);
  return harness.read<uint32_t>(out, words);
}

//===----------------------------------------------------------------------===//
// cp.async
//===----------------------------------------------------------------------===//

TEST(AsyncCopy, SizesAndZeros) {
  for (unsigned bytes : {4u, 8u, 16u})
    for (unsigned source = 0; source <= bytes; source += 4) {
      std::string size = std::to_string(bytes);
      std::vector<uint32_t> found =
          run("mul.lo.u32 %r3, %t, " + size +
                  "; add.u32 %r4, %s, %r3; cvt.u64.u32 %d0, %r3; "
                  "add.u64 %d0, %d0, %in; mov.u32 %r5, " +
                  std::to_string(source) +
                  ";\ncp.async.ca.shared.global [%r4], "
                  "[%d0], " +
                  size + ", %r5;\ncp.async.wait_all;\n" + copyOut(bytes * 32),
              bytes * 8);
      for (unsigned i = 0; i < bytes * 8; ++i) {
        bool isCopied = i * 4 % bytes < source;
        EXPECT_EQ(found[i], isCopied ? 100 + i : 0) << bytes << " " << source;
      }
    }
}

TEST(AsyncCopy, SourceMayBeIgnored) {
  std::vector<uint32_t> found = run(
      "shl.b32 %r3, %t, 2; add.u32 %r4, %s, %r3; cvt.u64.u32 %d0, %r3; "
      "add.u64 %d0, %d0, %in; and.b32 %r5, %t, 1; setp.eq.u32 %q2, %r5, 1;\n"
      "cp.async.ca.shared.global [%r4], [%d0], 4, %q2;\n"
      "cp.async.wait_all;\n" +
          copyOut(128),
      32);
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(found[i], i % 2 ? 0 : 100 + i);
}

/// What is not waited for is not there: the old bytes are read.
TEST(AsyncCopy, ArrivesAtTheWait) {
  std::string copies =
      "shl.b32 %r3, %t, 2; add.u32 %r4, %s, %r3; cvt.u64.u32 %d0, %r3; "
      "add.u64 %d0, %d0, %in;\n"
      "cp.async.ca.shared.global [%r4], [%d0], 4; cp.async.commit_group;\n"
      "cp.async.ca.shared.global [%r4+128], [%d0+128], 4; "
      "cp.async.commit_group;\n"
      "cp.async.ca.shared.global [%r4+256], [%d0+256], 4;\n";
  for (int remaining : {0, 1, 2}) {
    std::vector<uint32_t> found =
        run(copies + "cp.async.wait_group " + std::to_string(remaining) +
                ";\n" + copyOut(384),
            96, /*mayFind=*/true);
    for (unsigned i = 0; i < 96; ++i) {
      bool isThere = int(i / 32) < 2 - remaining;
      EXPECT_EQ(found[i], isThere ? 100 + i : 0xEEEEEEEE) << remaining;
    }
  }
}

TEST(AsyncCopy, GroupsAreOfThreads) {
  // Odd threads commit once more: their first copy is done with one group left.
  std::vector<uint32_t> found = run(
      "shl.b32 %r3, %t, 2; add.u32 %r4, %s, %r3; cvt.u64.u32 %d0, %r3; "
      "add.u64 %d0, %d0, %in; and.b32 %r5, %t, 1; setp.eq.u32 %q2, %r5, 1;\n"
      "cp.async.ca.shared.global [%r4], [%d0], 4; cp.async.commit_group;\n"
      "@%q2 cp.async.commit_group;\ncp.async.wait_group 1;\n" +
          copyOut(128),
      32, true);
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(found[i], i % 2 ? 100 + i : 0xEEEEEEEE);
}

TEST(AsyncCopy, AnMbarrierTracksCopies) {
  std::vector<uint32_t> found = run(
      "mov.u32 %r10, bars;\n@%q1 mbarrier.init.shared.b64 [%r10], 32;\n"
      "bar.sync 0;\n"
      "shl.b32 %r3, %t, 2; add.u32 %r4, %s, %r3; cvt.u64.u32 %d0, %r3; "
      "add.u64 %d0, %d0, %in;\n"
      "cp.async.ca.shared.global [%r4], [%d0], 4;\n"
      "cp.async.mbarrier.arrive.noinc.shared.b64 [%r10];\n"
      "WAIT:\nmbarrier.try_wait.parity.shared.b64 %q3, [%r10], 0;\n"
      "@!%q3 bra WAIT;\n"
      // Another thread's value, without a barrier of the block.
      "xor.b32 %r3, %r3, 4; add.u32 %r4, %s, %r3; ld.shared.u32 %r5, [%r4]; "
      "cvt.u64.u32 %d1, %r3; add.u64 %d1, %d1, %out; "
      "st.global.u32 [%d1], %r5;\n",
      32);
  EXPECT_EQ(found, numbers(32));
}

//===----------------------------------------------------------------------===//
// mbarrier
//===----------------------------------------------------------------------===//

TEST(Mbarrier, PhasesAndStates) {
  // Each thread counts how often its waits succeed at once.
  std::vector<uint32_t> found =
      run("mov.u32 %r10, bars;\n@%q1 mbarrier.init.shared.b64 [%r10], 32;\n"
          "bar.sync 0;\nmov.u32 %r11, 0;\nLOOP:\n"
          "mbarrier.arrive.shared.b64 %d1, [%r10];\n"
          "WAIT:\nmbarrier.test_wait.shared.b64 %q3, [%r10], %d1;\n"
          "@!%q3 bra WAIT;\n"
          "add.u32 %r11, %r11, 1; setp.lt.u32 %q4, %r11, 5; @%q4 bra LOOP;\n"
          // Phases 0 to 4 are complete: parity 0 is over, parity 1 is not.
          "mbarrier.test_wait.parity.shared.b64 %q5, [%r10], 0;\n"
          "mbarrier.test_wait.parity.shared.b64 %q6, [%r10], 1;\n"
          "selp.u32 %r12, 1, 0, %q5; selp.u32 %r13, 2, 0, %q6; "
          "or.b32 %r12, %r12, %r13;\n"
          "mad.wide.u32 %d2, %t, 4, %out; st.global.u32 [%d2], %r12;\n",
          32);
  for (uint32_t value : found)
    EXPECT_EQ(value, 1u);
}

TEST(Mbarrier, DropsAndCounts) {
  std::vector<uint32_t> found =
      run("mov.u32 %r10, bars;\n@!%q1 bra DONE;\n"
          "mbarrier.init.shared.b64 [%r10], 3;\n"
          "mbarrier.arrive.noComplete.shared.b64 %d1, [%r10], 1;\n"
          "mbarrier.pending_count.b64 %r11, %d1;\n"
          "mbarrier.arrive_drop.shared.b64 %d2, [%r10];\n"
          "mbarrier.pending_count.b64 %r12, %d2;\n"
          "mbarrier.arrive.shared.b64 %d3, [%r10];\n"
          "mbarrier.test_wait.shared.b64 %q3, [%r10], %d3;\n"
          // The next phase expects two.
          "mov.u32 %r13, 2; mbarrier.arrive.shared.b64 %d4, [%r10], %r13;\n"
          "mbarrier.test_wait.shared.b64 %q4, [%r10], %d4;\n"
          "selp.u32 %r14, 1, 0, %q3; selp.u32 %r15, 1, 0, %q4;\n"
          "st.global.v4.u32 [%out], {%r11, %r12, %r14, %r15};\nDONE:\n",
          4);
  EXPECT_EQ(found, (std::vector<uint32_t>{3, 2, 1, 1}));
}

TEST(Mbarrier, CountsBytes) {
  std::vector<uint32_t> found =
      run("mov.u32 %r10, bars;\n@!%q1 bra DONE;\n"
          "mbarrier.init.shared.b64 [%r10], 1;\n"
          "mbarrier.expect_tx.relaxed.cta.shared.b64 [%r10], 100;\n"
          "mbarrier.arrive.shared.b64 %d1, [%r10];\n"
          "mbarrier.test_wait.shared.b64 %q3, [%r10], %d1;\n"
          "mbarrier.complete_tx.shared.b64 [%r10], 60;\n"
          "mbarrier.complete_tx.shared.b64 [%r10], 40;\n"
          "mbarrier.test_wait.shared.b64 %q4, [%r10], %d1;\n"
          "selp.u32 %r14, 1, 0, %q3; selp.u32 %r15, 1, 0, %q4;\n"
          "st.global.v2.u32 [%out], {%r14, %r15};\nDONE:\n",
          2);
  EXPECT_EQ(found, (std::vector<uint32_t>{0, 1}));
}

//===----------------------------------------------------------------------===//
// Bulk copies
//===----------------------------------------------------------------------===//

const std::string bulkWait =
    "WAIT:\nmbarrier.try_wait.parity.shared.b64 %q3, [%r10], 0;\n"
    "@!%q3 bra WAIT;\n";

TEST(BulkCopy, BothWays) {
  std::vector<uint32_t> found =
      run("mov.u32 %r10, bars;\n@%q1 mbarrier.init.shared.b64 [%r10], 1;\n"
          "bar.sync 0;\n@!%q1 bra ISSUED;\n"
          "mbarrier.arrive.expect_tx.shared.b64 _, [%r10], 256;\n"
          "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
          "[%s], [%in], 256, [%r10];\nISSUED:\n" +
              bulkWait +
              "bar.sync 0;\n@!%q1 bra DONE;\n"
              "cp.async.bulk.global.shared::cta.bulk_group [%out], [%s], 256;\n"
              "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n"
              "DONE:\n",
          64);
  EXPECT_EQ(found, numbers(64));
}

/// cp.reduce into global memory, for every operation and some types.
TEST(BulkCopy, Reductions) {
  struct Case {
    const char *operation;
    uint32_t global, shared, expected;
  };
  for (Case c : {Case{"add.u32", 5, 7, 12},
                 Case{"add.f32", 0x3F800000, 0x40000000, 0x40400000},
                 Case{"min.s32", 0xFFFFFFFF, 3, 0xFFFFFFFF},
                 Case{"max.u32", 0xFFFFFFFF, 3, 0xFFFFFFFF},
                 Case{"and.b32", 0xF0F0, 0xFF00, 0xF000},
                 Case{"or.b32", 0xF0F0, 0xFF00, 0xFFF0},
                 Case{"xor.b32", 0xF0F0, 0xFF00, 0x0FF0},
                 Case{"inc.u32", 7, 7, 0}, Case{"inc.u32", 6, 7, 7},
                 Case{"dec.u32", 0, 7, 7}, Case{"dec.u32", 5, 7, 4},
                 Case{"add.noftz.f16", 0x3C003C00, 0x40003C00, 0x42004000},
                 Case{"add.noftz.bf16", 0x3F803F80, 0x40003F80, 0x40404000}}) {
    Harness harness(
        kernel("mov.u32 %r3, " + std::to_string(c.shared) +
               "; shl.b32 %r4, %t, 2; add.u32 %r4, %r4, %s; st.shared.u32 "
               "[%r4], %r3;\n"
               "fence.proxy.async.shared::cta;\nbar.sync 0;\n@!%q1 bra DONE;\n"
               "cp.reduce.async.bulk.global.shared::cta.bulk_group." +
               std::string(c.operation) +
               " [%out], [%s], 128;\ncp.async.bulk.commit_group;\n"
               "cp.async.bulk.wait_group 0;\nDONE:\n"));
    uint64_t out = harness.buffer(std::vector<uint32_t>(32, c.global));
    harness.run("k", 1, 32, out, out);
    for (uint32_t found : harness.read<uint32_t>(out, 32))
      EXPECT_EQ(found, c.expected) << c.operation;
  }
}

//===----------------------------------------------------------------------===//
// Tensor copies
//===----------------------------------------------------------------------===//

struct TensorCase {
  std::vector<uint64_t> sizes;
  std::vector<uint32_t> box;
  std::vector<int32_t> at;
  unsigned swizzle;
};

TensorMap mapOf(const TensorCase &c, uint64_t address) {
  TensorMapRequest request;
  std::vector<uint64_t> strides;
  uint64_t stride = c.sizes[0] * 4;
  for (size_t i = 1; i < c.sizes.size(); ++i) {
    strides.push_back(stride);
    stride *= c.sizes[i];
  }
  std::vector<uint32_t> steps(c.sizes.size(), 1);
  request.type = unsigned(TensorType::U32);
  request.rank = unsigned(c.sizes.size());
  request.address = address;
  request.sizes = c.sizes.data();
  request.strides = strides.data();
  request.box = c.box.data();
  request.steps = steps.data();
  request.swizzle = c.swizzle;
  Result<TensorMap> map = encodeTensorMap(request);
  EXPECT_TRUE(map) << map.error().message;
  return *map;
}

std::string coordinates(const TensorCase &c) {
  std::string text = "{";
  for (size_t i = 0; i < c.at.size(); ++i)
    text += (i ? ", %r" : "%r") + std::to_string(24 + i);
  return text + "}";
}

std::string tensorKernel(const TensorCase &c, bool isStore, unsigned bytes) {
  std::string rank = std::to_string(c.sizes.size()) + "d";
  std::string body;
  for (size_t i = 0; i < c.at.size(); ++i)
    body += "mov.s32 %r" + std::to_string(24 + i) + ", " +
            std::to_string(c.at[i]) + ";\n";
  if (isStore)
    return kernel(body +
                  "shl.b32 %r3, %t, 2;\nIN:\nadd.u32 %r4, %s, %r3; "
                  "st.shared.u32 [%r4], %r3; add.u32 %r3, %r3, 128; "
                  "setp.lt.u32 %q2, %r3, " +
                  std::to_string(bytes) +
                  "; @%q2 bra IN;\nfence.proxy.async;\nbar.sync 0;\n"
                  "@!%q1 bra DONE;\ncp.async.bulk.tensor." +
                  rank + ".global.shared::cta.tile.bulk_group [%in, " +
                  coordinates(c) +
                  "], [%s];\ncp.async.bulk.commit_group;\n"
                  "cp.async.bulk.wait_group 0;\nDONE:\n");
  return kernel(
      body +
      "mov.u32 %r10, bars;\n@%q1 mbarrier.init.shared.b64 [%r10], 1;\n"
      "fence.proxy.async;\nbar.sync 0;\n@!%q1 bra ISSUED;\n"
      "mbarrier.arrive.expect_tx.shared.b64 _, [%r10], " +
      std::to_string(bytes) + ";\ncp.async.bulk.tensor." + rank +
      ".shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%s], [%in, " +
      coordinates(c) + "], [%r10];\nISSUED:\n" + bulkWait + copyOut(bytes));
}

/// Calls `visit(offset in shared memory, linear element or nothing)`.
template <typename Visit>
void forEachElement(const TensorCase &c, Visit visit) {
  uint64_t total = 1;
  for (uint32_t extent : c.box)
    total *= extent;
  for (uint64_t i = 0; i < total; ++i) {
    uint64_t rest = i, linear = 0, scale = 1;
    bool isInside = true;
    for (size_t dim = 0; dim < c.sizes.size(); ++dim) {
      int64_t at = c.at[dim] + int64_t(rest % c.box[dim]);
      rest /= c.box[dim];
      isInside &= at >= 0 && at < int64_t(c.sizes[dim]);
      linear += uint64_t(at) * scale;
      scale *= c.sizes[dim];
    }
    uint32_t offset = uint32_t(i * 4);
    uint32_t mask = (1u << c.swizzle) - 1;
    offset ^= (offset >> 7 & mask) << 4;
    visit(offset, isInside ? std::optional<uint64_t>(linear) : std::nullopt);
  }
}

const std::vector<TensorCase> &tensorCases() {
  static const std::vector<TensorCase> cases = {
      {{64}, {32}, {8}, 0},
      {{64}, {32}, {-8}, 0},
      {{40, 20}, {32, 8}, {4, 3}, 3},
      {{40, 20}, {16, 8}, {30, 16}, 2},
      {{40, 20}, {8, 16}, {-4, -2}, 1},
      {{40, 20}, {8, 16}, {100, 0}, 0},
      {{16, 6, 5}, {8, 4, 3}, {4, 3, 3}, 1},
      {{8, 4, 4, 4}, {4, 2, 2, 2}, {2, 3, 1, 2}, 0},
      {{8, 4, 3, 3, 3}, {8, 2, 2, 2, 2}, {0, 1, 1, 1, 2}, 1},
  };
  return cases;
}

TEST(TensorCopy, Loads) {
  for (const TensorCase &c : tensorCases()) {
    uint64_t total = 1;
    for (uint64_t size : c.sizes)
      total *= size;
    unsigned bytes = 4;
    for (uint32_t extent : c.box)
      bytes *= extent;
    Harness harness(tensorKernel(c, false, bytes));
    TensorMap map = mapOf(c, harness.buffer(numbers(unsigned(total))));
    uint64_t out = harness.buffer(std::vector<uint32_t>(bytes / 4));
    uint64_t mapAddress = harness.machine.allocate(sizeof(map)).operator*();
    EXPECT_TRUE(harness.machine.copyIn(mapAddress, &map, sizeof(map)));
    LaunchReport report = harness.run("k", 1, 32, mapAddress, out);
    // The whole box at once; the map itself is no traffic.
    OpCounter count = harness.lineWith(report, "cp.async.bulk.tensor");
    EXPECT_EQ(count.sharedWaves, (bytes + 127) / 128);
    EXPECT_LE(count.idealSectors, (bytes + 31) / 32);
    if (c.at == std::vector<int32_t>{8}) { // 128 bytes from byte 32 on.
      EXPECT_EQ(count.requests, 1u);
      EXPECT_EQ(count.sectors, 4u);
    }
    std::vector<uint32_t> found = harness.read<uint32_t>(out, bytes / 4);
    forEachElement(c, [&](uint32_t offset, std::optional<uint64_t> element) {
      EXPECT_EQ(found[offset / 4], element ? 100 + uint32_t(*element) : 0)
          << c.sizes.size() << "d at " << offset;
    });
  }
}

TEST(TensorCopy, Stores) {
  for (const TensorCase &c : tensorCases()) {
    uint64_t total = 1;
    for (uint64_t size : c.sizes)
      total *= size;
    unsigned bytes = 4;
    for (uint32_t extent : c.box)
      bytes *= extent;
    Harness harness(tensorKernel(c, true, bytes));
    uint64_t tensor = harness.buffer(numbers(unsigned(total)));
    TensorMap map = mapOf(c, tensor);
    uint64_t mapAddress = *harness.machine.allocate(sizeof(map));
    EXPECT_TRUE(harness.machine.copyIn(mapAddress, &map, sizeof(map)));
    harness.run("k", 1, 32, mapAddress, tensor);
    std::vector<uint32_t> expected = numbers(unsigned(total));
    forEachElement(c, [&](uint32_t offset, std::optional<uint64_t> element) {
      if (element)
        expected[*element] = offset;
    });
    EXPECT_EQ(harness.read<uint32_t>(tensor, total), expected);
  }
}

TEST(TensorCopy, AWrongMapIsAFinding) {
  TensorCase c = tensorCases()[2];
  Harness harness(tensorKernel(c, false, 1024));
  harness.mayFind = true;
  uint64_t in = harness.buffer(numbers(1024));
  LaunchReport report = harness.run("k", 1, 32, in, in);
  bool isFound = false;
  for (const Finding &finding : report.findings)
    isFound |=
        finding.text.find("does not hold a tensor map") != std::string::npos;
  EXPECT_TRUE(isFound);
}

} // namespace
