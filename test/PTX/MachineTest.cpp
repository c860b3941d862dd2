//===- MachineTest.cpp - Memory, modules and counters of the machine ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

TEST(PtxMachine, AllocatesCopiesAndFrees) {
  Machine machine;
  uint64_t a = *machine.allocate(100), b = *machine.allocate(100, 4096);
  EXPECT_EQ(b % 4096, 0u);
  EXPECT_EQ(machine.bytesInUse(), 200u);
  std::vector<uint8_t> data(100, 7), back(100);
  EXPECT_EQ(*machine.countUninitialised(a, 100), 100u);
  ASSERT_TRUE(machine.copyIn(a, data.data(), 100));
  ASSERT_TRUE(machine.copy(b + 50, a, 50));
  EXPECT_EQ(*machine.countUninitialised(b, 100), 50u);
  ASSERT_TRUE(machine.copyOut(back.data(), b + 50, 50));
  EXPECT_EQ(back[49], 7);
  ASSERT_TRUE(machine.fill(b, 0x01020304, 4, 25));
  ASSERT_TRUE(machine.copyOut(back.data(), b, 100));
  EXPECT_EQ(back[99], 1);
  EXPECT_EQ(machine.find(a + 99)->base, a);
  EXPECT_FALSE(machine.find(a + 100));
  ASSERT_TRUE(machine.free(a));
  EXPECT_TRUE(machine.find(a)->isFree);
  EXPECT_EQ(machine.bytesInUse(), 100u);
}

TEST(PtxMachine, SaysWhatIsWrongWithMemory) {
  Machine machine;
  uint64_t a = *machine.allocate(100);
  std::vector<uint8_t> data(200);
  EXPECT_EQ(machine.allocate(0).error().message,
            "expected an allocation of at least one byte");
  EXPECT_EQ(machine.allocate(8, 3).error().message,
            "expected an alignment that is a power of two, found 3");
  EXPECT_NE(machine.allocate(uint64_t(1) << 60)
                .error()
                .message.find("device memory is exhausted"),
            std::string::npos);
  EXPECT_EQ(
      machine.copyIn(a + 50, data.data(), 51).error().message,
      "51 bytes at offset 50 do not lie inside allocation 1 of 100 bytes");
  EXPECT_EQ(machine.copyOut(data.data(), 16, 4).error().message,
            "0x10 is in no allocation");
  EXPECT_EQ(machine.fill(a, 0, 3, 1).error().message,
            "expected elements of 1, 2 or 4 bytes, found 3");
  EXPECT_NE(machine.free(a + 1).error().message.find(
                "is not the start of an allocation"),
            std::string::npos);
  ASSERT_TRUE(machine.free(a));
  EXPECT_NE(machine.free(a).error().message.find("is freed twice"),
            std::string::npos);
  EXPECT_NE(
      machine.copyIn(a, data.data(), 1).error().message.find("which was freed"),
      std::string::npos);
}

TEST(PtxMachine, PlacesGlobals) {
  Machine machine;
  auto id = machine.load(
      *parse(header() + ".visible .global .align 8 .u64 table[3] = {5, data, "
                        "generic(data)};\n.global .u32 data[2] = "
                        "{7};\n.visible .entry k() { ret; }\n",
             "m.ptx"));
  ASSERT_TRUE(id);
  GlobalSymbol table = *machine.findGlobal(*id, "table");
  EXPECT_EQ(table.size, 24u);
  uint64_t values[3];
  ASSERT_TRUE(machine.copyOut(values, table.address, 24));
  uint64_t data = machine.findGlobal(*id, "data")->address;
  EXPECT_EQ(values[0], 5u);
  EXPECT_EQ(values[1], data);
  EXPECT_EQ(values[2], data);
  uint32_t words[2];
  ASSERT_TRUE(machine.copyOut(words, data, 8));
  EXPECT_EQ(words[0], 7u);
  EXPECT_EQ(words[1], 0u);
  EXPECT_EQ(machine.findGlobal(*id, "none").error().str(),
            "m.ptx: error: no global variable 'none'" + std::string())
      << "names the module";
  EXPECT_NE(machine.findKernel(*id, "q").error().message.find(
                "no kernel 'q'; the module has k"),
            std::string::npos);
  ASSERT_TRUE(machine.unload(*id));
  EXPECT_EQ(machine.unload(*id).error().message, "no module 1 is loaded");
  EXPECT_EQ(machine.findKernel(*id, "k").error().message,
            "no module 1 is loaded");
}

TEST(PtxMachine, SharesMemoryBetweenModulesOfAKernel) {
  // Dynamic shared memory follows the static one, aligned.
  Device device;
  Kernel kernel = device.kernel(
      header() +
      ".extern .shared .align 64 .b8 d[];\n.shared .b8 s[10];\n.shared .b8 "
      "unused[1000];\n.visible .entry k(.param .u64 p) { .reg .b32 %r<4>; .reg "
      ".b64 %p; ld.param.u64 %p, [p]; mov.u32 %r0, d; mov.u32 %r1, s; mov.u32 "
      "%r2, %dynamic_smem_size; st.global.u32 [%p], %r0; st.global.u32 [%p+4], "
      "%r1; st.global.u32 [%p+8], %r2; ret; }\n");
  EXPECT_EQ(kernel.staticShared(), 10u);
  LaunchOptions options;
  options.dynamicShared = 256;
  uint64_t out = device.reserve(12);
  options.parameters = packParameters(out);
  EXPECT_TRUE(device.launch(kernel, options).clean());
  EXPECT_EQ(device.download<uint32_t>(out, 3),
            (std::vector<uint32_t>{1088, 1024, 256}));
}

TEST(PtxMachine, CountsSectorsBanksAndClasses) {
  Device device;
  uint64_t in = device.upload(std::vector<uint32_t>(2048));
  std::string body =
      "mul.wide.u32 %rd0, %i, 4;\nadd.s64 %rd0, %rd0, %pt0;\nld.global.u32 "
      "%r0, [%rd0];\n" // 4 sectors
      "mul.wide.u32 %rd1, %i, 128;\nadd.s64 %rd1, %rd1, "
      "%pt0;\nld.global.u32 %r1, [%rd1];\n" // 32 sectors
      "ld.global.u32 %r2, [%pt0];\n"        // 1 sector
      "mov.u32 %r3, s;\nmad.lo.u32 %r4, %i, 8, %r3;\nst.shared.u32 [%r4], "
      "%i;\n" // 2-way conflict
      "bar.warp.sync -1;\n"
      "mad.lo.u32 %r5, %i, 4, %r3;\nst.shared.u32 [%r5], %i;\n" // none
      "bar.warp.sync -1;\n"
      "mad.lo.u32 %r6, %i, 128, %r3;\nst.shared.u32 [%r6], %i;\n" // 32-way
      "fma.rn.f32 %f1, 0f3F800000, 0f40000000, 0f40000000;\n";
  LaunchReport report = device.run(
      kernelText(1, body, ".shared .align 16 .b8 s[4096];\n"), 1, 32, in);
  EXPECT_TRUE(report.clean());
  auto lineOf = [&](const std::string &text) {
    unsigned line = 1;
    std::string all = kernelText(1, body, ".shared .align 16 .b8 s[4096];\n");
    for (size_t i = 0; i < all.find(text); ++i)
      line += all[i] == '\n';
    return report.counters.byLine[line];
  };
  EXPECT_EQ(lineOf("ld.global.u32 %r0").sectors, 4u);
  EXPECT_EQ(lineOf("ld.global.u32 %r0").idealSectors, 4u);
  EXPECT_EQ(lineOf("ld.global.u32 %r1").sectors, 32u);
  EXPECT_EQ(lineOf("ld.global.u32 %r1").idealSectors, 4u);
  EXPECT_EQ(lineOf("ld.global.u32 %r2").sectors, 1u);
  EXPECT_EQ(lineOf("st.shared.u32 [%r4]").sharedWaves, 2u);
  EXPECT_EQ(lineOf("st.shared.u32 [%r5]").sharedWaves, 1u);
  EXPECT_EQ(lineOf("st.shared.u32 [%r6]").sharedWaves, 32u);
  EXPECT_EQ(report.counters.byClass[unsigned(Class::Float32)].lanes, 32u);
  EXPECT_EQ(report.counters.byClass[unsigned(Class::GlobalMemory)].warps, 3u);
  EXPECT_EQ(report.counters.blocks, 1u);
  EXPECT_EQ(report.counters.threads, 32u);
}

TEST(PtxMachine, RunsTheSameOverAnyWorkers) {
  std::vector<uint32_t> first;
  for (unsigned workers : {1u, 2u, 5u}) {
    Device device;
    uint64_t out = device.reserve(4 * 64 * 33);
    LaunchOptions options;
    options.grid = {33, 1, 1};
    options.block = {64, 1, 1};
    options.workers = workers;
    options.parameters = packParameters(out);
    LaunchReport report = device.launch(
        device.kernel(kernelText(
            1, "mul.wide.u32 %rd0, %i, 4;\nadd.s64 %rd0, %rd0, "
               "%pt0;\nmul.lo.u32 %r0, %i, %i;\nst.global.u32 [%rd0], %r0;\n")),
        options);
    EXPECT_TRUE(report.clean());
    EXPECT_EQ(report.counters.blocks, 33u);
    auto found = device.download<uint32_t>(out, 64 * 33);
    if (first.empty())
      first = found;
    EXPECT_EQ(found, first);
  }
  EXPECT_EQ(first[2000], 4000000u);
}

} // namespace
