//===- WarpgroupTest.cpp - wgmma in all its layouts -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices of small integers lie in shared memory in each canonical layout (PTX
// ISA 9.7.15.5.1.2.1.3), put there by the formulas of this file; the product is
// compared with a loop.
//
//===----------------------------------------------------------------------===//

#include "FragmentTables.h"
#include "KernelHarness.h"

#include <bit>
#include <cmath>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

struct Product {
  std::string type = "bf16", sum = "f32";
  unsigned n = 64;
  unsigned swizzle = 3; ///< 16 << swizzle bytes; 0 is none.
  bool isAInShared = true;
  bool transposesA = false, transposesB = false;
  bool negatesA = false, negatesB = false;
  bool accumulates = true;

  unsigned bytes() const {
    return type == "tf32" ? 4 : type == "bf16" || type == "f16" ? 2 : 1;
  }
  unsigned k() const { return 32 / bytes(); }
  std::string shape() const {
    return "m64n" + std::to_string(n) + "k" + std::to_string(k());
  }
  bool isInteger() const { return type == "s8" || type == "u8"; }
};

/// One matrix in shared memory: its bytes, and its descriptor without address.
struct Image {
  std::vector<uint8_t> bytes;
  uint64_t descriptor = 0;
};

/// Offset of an element in the canonical layout, and the two strides.
struct Place {
  uint32_t offset, leading, stride;
};

Place placeOf(const Product &p, bool isTransposed, unsigned outers,
              unsigned outer, unsigned k) {
  unsigned width = 16u << p.swizzle, bytes = p.bytes();
  Place place;
  if (!isTransposed && p.swizzle == 0) {
    place.leading = 128, place.stride = 256;
    place.offset = outer % 8 * 16 + outer / 8 * place.stride +
                   k * bytes / 16 * place.leading + k * bytes % 16;
  } else if (!isTransposed) {
    place.leading = 16, place.stride = 8 * width;
    place.offset = outer % 8 * width + outer / 8 * place.stride + k * bytes;
  } else if (p.swizzle == 0) {
    place.stride = 128, place.leading = 128 * (outers / 8);
    place.offset = outer % 8 * 2 + outer / 8 * place.stride + k % 8 * 16 +
                   k / 8 * place.leading;
  } else {
    place.stride = 8 * width, place.leading = 2 * place.stride;
    place.offset = outer * 2 % width + outer * 2 / width * place.leading +
                   k % 8 * width + k / 8 * place.stride;
  }
  uint32_t mask = (1u << p.swizzle) - 1;
  place.offset ^= (place.offset >> 7 & mask) << 4;
  return place;
}

uint32_t codeOf(const std::string &type, int value) {
  auto pick = [&](std::initializer_list<uint32_t> codes) {
    return codes.begin()[value];
  };
  if (type == "f16")
    return pick({0, 0x3C00, 0x4000, 0x4200});
  if (type == "bf16")
    return pick({0, 0x3F80, 0x4000, 0x4040});
  if (type == "e4m3")
    return pick({0, 0x38, 0x40, 0x44});
  if (type == "e5m2")
    return pick({0, 0x3C, 0x40, 0x42});
  if (type == "tf32")
    return std::bit_cast<uint32_t>(float(value));
  return uint32_t(value);
}

int leftValue(unsigned m, unsigned k) {
  return (m * 3 + k * 5 + m * k) % 7 % 4;
}
int rightValue(unsigned k, unsigned n) {
  return (k * 5 + n * 3 + k * n + 1) % 7 % 4;
}
int sumValue(unsigned m, unsigned n) { return (m + n * 2) % 4; }

Image imageOf(const Product &p, bool isA) {
  unsigned outers = isA ? 64 : p.n;
  bool isTransposed = isA ? p.transposesA : p.transposesB;
  Image image;
  image.bytes.resize(isA ? 8192 : 32768);
  Place place = {};
  for (unsigned outer = 0; outer < outers; ++outer)
    for (unsigned k = 0; k < p.k(); ++k) {
      place = placeOf(p, isTransposed, outers, outer, k);
      uint32_t code =
          codeOf(p.type, isA ? leftValue(outer, k) : rightValue(k, outer));
      std::memcpy(&image.bytes.at(place.offset), &code, p.bytes());
    }
  static const uint64_t modes[] = {0, 3, 2, 1};
  image.descriptor = uint64_t(place.leading >> 4) << 16 |
                     uint64_t(place.stride >> 4) << 32 | modes[p.swizzle] << 62;
  return image;
}

std::string vectorOf(const char *prefix, unsigned count) {
  std::string names = "{";
  for (unsigned i = 0; i < count; ++i)
    names += (i ? ", " : "") + std::string(prefix) + std::to_string(i);
  return names + "}";
}

std::string kernelText(const Product &p) {
  unsigned numD = p.sum == "f16" ? p.n / 4 : p.n / 2;
  std::string text =
      ptxHeader() +
      ".visible .entry k(.param .u64 images, .param .u64 descA, "
      ".param .u64 descB, .param .u64 regs, .param .u64 sums) {\n"
      ".reg .b32 %r<16>; .reg .b32 %a<4>; .reg .b32 %d<128>; .reg .b64 %p<8>; "
      ".reg .pred %q<2>;\n"
      ".shared .align 1024 .b8 tile[40960];\n"
      "ld.param.u64 %p0, [images]; ld.param.u64 %p1, [descA]; "
      "ld.param.u64 %p2, [descB]; ld.param.u64 %p3, [regs]; "
      "ld.param.u64 %p4, [sums];\n"
      "mov.u32 %r0, tile; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 4;\n"
      "COPY:\ncvt.u64.u32 %p5, %r2; add.u64 %p5, %p5, %p0; "
      "add.u32 %r3, %r0, %r2;\n"
      "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%p5];\n"
      "st.shared.v4.u32 [%r3], {%r4, %r5, %r6, %r7};\n"
      "add.u32 %r2, %r2, 2048; setp.lt.u32 %q0, %r2, 40960;\n"
      "@%q0 bra COPY;\n"
      "fence.proxy.async.shared::cta;\nbar.sync 0;\n"
      "shr.u32 %r8, %r0, 4; cvt.u64.u32 %p5, %r8; or.b64 %p1, %p1, %p5;\n"
      "add.u64 %p5, %p5, 512; or.b64 %p2, %p2, %p5;\n"
      "mad.wide.u32 %p3, %r1, 16, %p3;\n"
      "ld.global.v4.u32 {%a0, %a1, %a2, %a3}, [%p3];\n"
      "mad.wide.u32 %p4, %r1, " +
      std::to_string(numD * 4) + ", %p4;\n";
  for (unsigned i = 0; i < numD; ++i)
    text += "ld.global.u32 %d" + std::to_string(i) + ", [%p4+" +
            std::to_string(4 * i) + "];\n";
  text += "wgmma.fence.sync.aligned;\nsetp.eq.u32 %q1, %r1, ";
  text += p.accumulates ? "%r1" : "-1";
  text += ";\nwgmma.mma_async.sync.aligned." + p.shape() + "." + p.sum + "." +
          p.type + "." + p.type + " " + vectorOf("%d", numD) + ", " +
          (p.isAInShared ? "%p1" : vectorOf("%a", 4)) + ", %p2, %q1";
  if (!p.isInteger())
    text += std::string(p.negatesA ? ", -1" : ", 1") +
            (p.negatesB ? ", -1" : ", 1");
  if (p.bytes() == 2 && p.isAInShared)
    text += p.transposesA ? ", 1" : ", 0";
  if (p.bytes() == 2)
    text += p.transposesB ? ", 1" : ", 0";
  text += ";\nwgmma.commit_group.sync.aligned;\n"
          "wgmma.wait_group.sync.aligned 0;\n";
  for (unsigned i = 0; i < numD; ++i)
    text += "st.global.u32 [%p4+" + std::to_string(4 * i) + "], %d" +
            std::to_string(i) + ";\n";
  return text + "ret;\n}\n";
}

uint32_t sumCode(const std::string &sum, int value) {
  if (sum == "s32")
    return uint32_t(value);
  if (sum == "f32")
    return std::bit_cast<uint32_t>(float(value));
  if (value == 0)
    return 0;
  int size = std::abs(value), exponent = 0;
  while (size >> (exponent + 1))
    ++exponent;
  uint32_t code = uint32_t(exponent + 15) << 10 |
                  (uint32_t(size) << 10 >> exponent & 0x3FF);
  return code | (value < 0 ? 0x8000 : 0);
}

void expectProduct(const Product &p) {
  SCOPED_TRACE(p.shape() + " " + p.type + " " + p.sum + " swizzle " +
               std::to_string(p.swizzle) + (p.transposesA ? " trans A" : "") +
               (p.transposesB ? " trans B" : "") +
               (p.isAInShared ? "" : " A in registers"));
  Harness harness(kernelText(p));
  Image a = imageOf(p, true), b = imageOf(p, false);
  std::vector<uint8_t> images = a.bytes;
  images.insert(images.end(), b.bytes.begin(), b.bytes.end());

  const char *like = p.bytes() == 2   ? "m16n8k16.f16"
                     : p.bytes() == 4 ? "m16n8k8.tf32"
                                      : "m16n8k32.s8";
  const isa::Layout &layout = isa::layout(like);
  std::vector<uint32_t> registers(128 * 4);
  unsigned perWord = 4 / p.bytes();
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < layout.elementsA; ++i) {
      isa::Place place = isa::warpgroupA(layout.a, thread, i);
      registers[thread * 4 + i / perWord] |=
          codeOf(p.type, leftValue(place.row, place.column))
          << (i % perWord * 8 * p.bytes());
    }
  bool isHalf = p.sum == "f16";
  unsigned numD = isHalf ? p.n / 4 : p.n / 2;
  auto word = [&](int thread, unsigned r, auto valueAt) {
    auto code = [&](unsigned i) {
      isa::Place place = isa::warpgroupD(thread, int(i));
      return sumCode(p.sum, valueAt(place.row, place.column));
    };
    return isHalf ? code(2 * r) | code(2 * r + 1) << 16 : code(r);
  };
  std::vector<uint32_t> sums;
  for (int thread = 0; thread < 128; ++thread)
    for (unsigned r = 0; r < numD; ++r)
      sums.push_back(word(thread, r, [](int m, int n) {
        return sumValue(unsigned(m), unsigned(n));
      }));
  uint64_t buffer = harness.buffer(sums);
  LaunchReport report =
      harness.run("k", 1, 128, harness.buffer(images), a.descriptor,
                  b.descriptor, harness.buffer(registers), buffer);
  std::vector<uint32_t> found = harness.read<uint32_t>(buffer, sums.size());

  unsigned wrong = 0;
  int sign = p.negatesA == p.negatesB ? 1 : -1;
  for (int thread = 0; thread < 128; ++thread)
    for (unsigned r = 0; r < numD; ++r) {
      uint32_t expected = word(thread, r, [&](int m, int n) {
        int total = p.accumulates ? sumValue(unsigned(m), unsigned(n)) : 0;
        for (unsigned k = 0; k < p.k(); ++k)
          total +=
              sign * leftValue(unsigned(m), k) * rightValue(k, unsigned(n));
        return total;
      });
      wrong += found[thread * numD + r] != expected;
    }
  EXPECT_EQ(wrong, 0u);
  // Rows have 32 bytes, a pass over the banks 128. Each warp reads its 16 rows
  // of A and a quarter of B.
  OpCounter count = harness.lineWith(report, "wgmma.mma_async");
  EXPECT_EQ(count.flops, 2u * 64 * p.n * p.k());
  EXPECT_EQ(count.sharedWaves, 4 * ((p.isAInShared ? 4 : 0) + (p.n + 15) / 16));
  EXPECT_EQ(count.bankConflicts(), 0u);
}

TEST(Warpgroup, EverySwizzleAndOrder) {
  for (unsigned swizzle = 0; swizzle < 4; ++swizzle)
    for (bool transA : {false, true})
      for (bool transB : {false, true}) {
        Product p;
        p.swizzle = swizzle;
        p.transposesA = transA, p.transposesB = transB;
        expectProduct(p);
        if (!transA) {
          p.isAInShared = false;
          expectProduct(p);
        }
      }
}

TEST(Warpgroup, EveryType) {
  for (const char *type : {"f16", "bf16", "tf32", "e4m3", "e5m2", "s8", "u8"})
    for (const char *sum : {"f32", "f16", "s32"})
      for (bool isAInShared : {true, false}) {
        Product p;
        p.type = type, p.sum = sum, p.isAInShared = isAInShared;
        bool isInteger = p.isInteger();
        bool mayBeHalf = p.type == "f16" || p.bytes() == 1;
        if (isInteger != (p.sum == "s32") || (p.sum == "f16" && !mayBeHalf))
          continue;
        expectProduct(p);
      }
}

TEST(Warpgroup, EveryWidth) {
  for (unsigned n = 8; n <= 256; n += 8) {
    Product p;
    p.n = n;
    expectProduct(p);
  }
}

TEST(Warpgroup, SignsAndScale) {
  for (bool negatesA : {false, true})
    for (bool negatesB : {false, true})
      for (bool accumulates : {false, true}) {
        Product p;
        p.negatesA = negatesA, p.negatesB = negatesB;
        p.accumulates = accumulates;
        expectProduct(p);
      }
}

TEST(Warpgroup, ErrorsAreClear) {
  auto expectError = [](const std::string &instruction, const char *part) {
    Machine machine;
    Result<Module> parsed = parse(
        ptxHeader() +
            ".visible .entry k() {\n.reg .b32 %r<32>; .reg .b64 %p<4>;\n" +
            instruction + ";\nret;\n}\n",
        "k.ptx");
    ASSERT_TRUE(parsed) << parsed.error().str();
    Result<ModuleId> loaded = machine.load(std::move(*parsed));
    Result<Kernel> kernel = machine.findKernel(*loaded, "k");
    ASSERT_FALSE(kernel);
    EXPECT_NE(kernel.error().message.find(part), std::string::npos)
        << kernel.error().message;
  };
  std::string wgmma = "wgmma.mma_async.sync.aligned.";
  expectError(wgmma + "m64n12k16.f32.f16.f16 {%r0, %r1, %r2, %r3}, %p0, %p1, "
                      "1, 1, 1, 0, 0",
              "there is no product .m64n12k16 of these types");
  expectError(wgmma + "m64n8k16.f32.f16.f16 {%r0, %r1, %r2}, %p0, %p1, 1, 1, "
                      "1, 0, 0",
              "operand d needs 4 registers");
  expectError(wgmma + "m64n8k16.f32.f16.f16 {%r0, %r1, %r2, %r3}, %p0, %p1, "
                      "1, 2, 1, 0, 0",
              "must be 1 or -1");
  expectError(wgmma + "m64n8k16.f32.f16.f16 {%r0, %r1, %r2, %r3}, {%r4, %r5}, "
                      "%p1, 1, 1, 1, 0",
              "operand a needs 4 registers");
  expectError("wgmma.begin.sync.aligned", "expected .mma_async, .fence");
}

} // namespace
