//===- MmaTest.cpp - mma, one element at a time ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One warp for each element of A (and of B): that element is one, all others
// are zero, so that the product is a row of B (a column of A) at the place that
// the ISA's formulas name (FragmentTables.h).
//
//===----------------------------------------------------------------------===//

#include "FragmentTables.h"
#include "KernelHarness.h"

#include <cmath>
#include <functional>
#include <random>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

struct Variant {
  const char *layout; ///< A row of the ISA's tables.
  const char *type;   ///< Of A and B.
  const char *sum;    ///< Of C and D.
  const char *suffix = "";
};

const Variant variants[] = {
    {"m8n8k4.f64", "f64", "f64"},
    {"m8n8k16.s8", "s8", "s32"},
    {"m8n8k16.s8", "u8", "s32"},
    {"m8n8k32.s4", "s4", "s32"},
    {"m8n8k32.s4", "u4", "s32"},
    {"m8n8k128.b1", "b1", "s32", ".and.popc"},
    {"m16n8k4.tf32", "tf32", "f32"},
    {"m16n8k4.f64", "f64", "f64"},
    {"m16n8k8.f16", "f16", "f32"},
    {"m16n8k8.f16", "f16", "f16"},
    {"m16n8k8.f16", "bf16", "f32"},
    {"m16n8k8.tf32", "tf32", "f32"},
    {"m16n8k8.f64", "f64", "f64"},
    {"m16n8k16.f16", "f16", "f32"},
    {"m16n8k16.f16", "f16", "f16"},
    {"m16n8k16.f16", "bf16", "f32"},
    {"m16n8k16.f64", "f64", "f64"},
    {"m16n8k16.s8", "s8", "s32"},
    {"m16n8k16.s8", "u8", "s32"},
    {"m16n8k16.s8", "e4m3", "f32"},
    {"m16n8k16.s8", "e5m2", "f32"},
    {"m16n8k16.s8", "e5m2", "f16"},
    {"m16n8k32.s4", "s4", "s32"},
    {"m16n8k32.s4", "u4", "s32"},
    {"m16n8k32.s8", "s8", "s32"},
    {"m16n8k32.s8", "u8", "s32"},
    {"m16n8k32.s8", "e4m3", "f32"},
    {"m16n8k32.s8", "e4m3", "f16"},
    {"m16n8k32.s8", "e5m2", "f32"},
    {"m16n8k64.s4", "s4", "s32"},
    {"m16n8k64.s4", "u4", "s32"},
    {"m16n8k128.b1", "b1", "s32", ".and.popc"},
    {"m16n8k256.b1", "b1", "s32", ".and.popc"},
};

/// The bits of 0, 1, 2 and 3, from the definitions of the formats.
uint64_t bitsOf(const std::string &type, int value) {
  auto pick = [&](std::initializer_list<uint64_t> codes) {
    return codes.begin()[value];
  };
  if (type == "f16")
    return pick({0, 0x3C00, 0x4000, 0x4200});
  if (type == "bf16")
    return pick({0, 0x3F80, 0x4000, 0x4040});
  if (type == "tf32" || type == "f32")
    return pick({0, 0x3F800000, 0x40000000, 0x40400000});
  if (type == "f64")
    return pick(
        {0, 0x3FF0000000000000, 0x4000000000000000, 0x4008000000000000});
  if (type == "e4m3")
    return pick({0, 0x38, 0x40, 0x44});
  if (type == "e5m2")
    return pick({0, 0x3C, 0x40, 0x42});
  return uint64_t(value);
}

unsigned sumBits(const std::string &type) {
  return type == "f64" ? 64 : type == "f16" ? 16 : 32;
}

/// Registers of a thread for so many elements.
unsigned registersFor(unsigned elements, unsigned bits) {
  return bits == 64 ? elements : (elements * bits + 31) / 32;
}

/// Packs the elements of a warp's fragments into words of its registers.
class Packer {
public:
  Packer(unsigned elements, unsigned bits)
      : elements(elements), bits(bits),
        bytes(32 * registersFor(elements, bits) * (bits == 64 ? 8 : 4)) {}
  /// A warp's fragment, element by element.
  std::vector<uint8_t>
  pack(const std::function<uint64_t(int, int)> &valueOf) const {
    std::vector<uint8_t> packed(bytes);
    for (int lane = 0; lane < 32; ++lane)
      for (unsigned i = 0; i < elements; ++i)
        set(packed, lane, i, valueOf(lane, int(i)));
    return packed;
  }
  /// One element, the others being zero.
  std::vector<uint8_t> packOne(int lane, unsigned i, uint64_t value) const {
    std::vector<uint8_t> packed(bytes);
    set(packed, lane, i, value);
    return packed;
  }
  void append(std::vector<uint8_t> &to,
              const std::function<uint64_t(int, int)> &valueOf) const {
    appendTo(to, pack(valueOf));
  }
  static void appendTo(std::vector<uint8_t> &to,
                       const std::vector<uint8_t> &packed) {
    to.insert(to.end(), packed.begin(), packed.end());
  }
  uint64_t element(const std::vector<uint8_t> &from, size_t warp, int lane,
                   unsigned i) const {
    uint64_t value = 0;
    size_t at = warp * bytes + lane * (bytes / 32) + i * bits / 8;
    std::memcpy(&value, &from[at], bits / 8);
    return value;
  }

private:
  void set(std::vector<uint8_t> &packed, int lane, unsigned i,
           uint64_t value) const {
    for (unsigned j = 0; j < bits; ++j) {
      unsigned bit = i * bits + j;
      packed[lane * (bytes / 32) + bit / 8] |= (value >> j & 1) << (bit % 8);
    }
  }

  unsigned elements, bits, bytes;
};

/// A kernel whose blocks load fragments, multiply and store the result.
std::string kernelText(const std::string &instruction, unsigned a, unsigned b,
                       unsigned c, unsigned d, bool isDouble) {
  std::string type = isDouble ? "f64" : "b32", reg = isDouble ? "%fd" : "%r";
  unsigned width = isDouble ? 8 : 4;
  std::string text = ptxHeader() +
                     ".visible .entry k(.param .u64 pa, .param .u64 pb, "
                     ".param .u64 pc, .param .u64 pd) {\n"
                     ".reg .b32 %t<4>; .reg .b64 %p<16>; .reg .b32 %r<64>; "
                     ".reg .f64 %fd<64>;\n"
                     "mov.u32 %t0, %ctaid.x; mov.u32 %t1, %tid.x;\n"
                     "mad.lo.u32 %t2, %t0, 32, %t1;\n";
  auto address = [&](const char *name, unsigned count, unsigned at) {
    std::string p = "%p" + std::to_string(at);
    text += "ld.param.u64 " + p + ", [" + name + "];\nmad.wide.u32 " + p +
            ", %t2, " + std::to_string(count * width) + ", " + p + ";\n";
    return p;
  };
  unsigned next = 0;
  std::string lists[4];
  auto list = [&](unsigned count) {
    std::string names = "{";
    for (unsigned i = 0; i < count; ++i)
      names += (i ? ", " : "") + reg + std::to_string(next + i);
    return names + "}";
  };
  auto load = [&](const char *name, unsigned count, unsigned at) {
    std::string p = address(name, count, at), names = list(count);
    for (unsigned i = 0; i < count; ++i)
      text += "ld.global." + type + " " + reg + std::to_string(next + i) +
              ", [" + p + "+" + std::to_string(i * width) + "];\n";
    next += count;
    return names;
  };
  std::string namesA = load("pa", a, 0), namesB = load("pb", b, 1),
              namesC = load("pc", c, 2);
  std::string p = address("pd", d, 3), namesD = list(d);
  text += instruction + " " + namesD + ", " + namesA + ", " + namesB + ", " +
          namesC + ";\n";
  for (unsigned i = 0; i < d; ++i)
    text += "st.global." + type + " [" + p + "+" + std::to_string(i * width) +
            "], " + reg + std::to_string(next + i) + ";\n";
  return text + "ret;\n}\n";
}

/// Small values that tell rows and columns apart.
int leftValue(int m, int k) { return (m * 3 + k * 5 + m * k) % 7 % 4; }
int rightValue(int k, int n) { return (k * 5 + n * 3 + k * n + 1) % 7 % 4; }
int sumValue(int m, int n) { return (m * 2 + n * 3 + 1) % 4; }

struct MmaTest : testing::TestWithParam<Variant> {};

TEST_P(MmaTest, EveryElementIsWhereTheIsaSays) {
  const Variant &v = GetParam();
  const isa::Layout &isa = isa::layout(v.layout);
  std::string type = v.type, sum = v.sum, shape = v.layout;
  shape = shape.substr(0, shape.find('.'));
  bool isBit = type == "b1";
  Packer packA(isa.elementsA, isa.bits), packB(isa.elementsB, isa.bits),
      packC(isa.elementsC, sumBits(sum));
  unsigned numA = registersFor(isa.elementsA, isa.bits),
           numB = registersFor(isa.elementsB, isa.bits),
           numC = registersFor(isa.elementsC, sumBits(sum));
  std::string instruction = "mma.sync.aligned." + shape + ".row.col." + sum +
                            "." + type + "." + type + "." + sum + v.suffix;
  Harness harness(
      kernelText(instruction, numA, numB, numC, numC, type == "f64"));
  auto value = [&](int x) { return isBit ? x & 1 : x; };

  struct Warp {
    bool isOneInA;
    isa::Place one;
  };
  std::vector<uint8_t> wholeA = packA.pack([&](int lane, int i) {
    isa::Place p = isa.a(lane, i);
    return bitsOf(type, value(leftValue(p.row, p.column)));
  });
  std::vector<uint8_t> wholeB = packB.pack([&](int lane, int i) {
    isa::Place p = isa.b(lane, i);
    return bitsOf(type, value(rightValue(p.row, p.column)));
  });
  std::vector<uint8_t> wholeC = packC.pack([&](int lane, int i) {
    isa::Place p = isa.c(lane, i);
    return bitsOf(sum, sumValue(p.row, p.column));
  });
  std::vector<Warp> warps;
  std::vector<uint8_t> a, b, c;
  for (bool inA : {true, false})
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < (inA ? isa.elementsA : isa.elementsB); ++i) {
        uint64_t one = bitsOf(type, 1);
        Packer::appendTo(a,
                         inA ? packA.packOne(lane, unsigned(i), one) : wholeA);
        Packer::appendTo(b,
                         inA ? wholeB : packB.packOne(lane, unsigned(i), one));
        Packer::appendTo(c, wholeC);
        warps.push_back({inA, inA ? isa.a(lane, i) : isa.b(lane, i)});
      }
  uint64_t bufferD = harness.buffer(c.size());
  harness.run("k", unsigned(warps.size()), 32, harness.buffer(a),
              harness.buffer(b), harness.buffer(c), bufferD);
  std::vector<uint8_t> d = harness.read<uint8_t>(bufferD, c.size());

  auto sumOf = [&](int total) -> uint64_t {
    // Up to 6: beyond the table, by arithmetic.
    if (sum == "s32")
      return uint32_t(total);
    if (sum == "f32")
      return std::bit_cast<uint32_t>(float(total));
    if (sum == "f64")
      return std::bit_cast<uint64_t>(double(total));
    static const uint64_t half[] = {0,      0x3C00, 0x4000, 0x4200,
                                    0x4400, 0x4500, 0x4600};
    return half[total];
  };
  unsigned wrong = 0;
  for (size_t w = 0; w < warps.size(); ++w)
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < isa.elementsC; ++i) {
        isa::Place p = isa.c(lane, i);
        const Warp &warp = warps[w];
        int total = sumValue(p.row, p.column);
        if (warp.isOneInA && p.row == warp.one.row)
          total += value(rightValue(warp.one.column, p.column));
        if (!warp.isOneInA && p.column == warp.one.column)
          total += value(leftValue(p.row, warp.one.row));
        wrong += packC.element(d, w, lane, i) != sumOf(total);
      }
  EXPECT_EQ(wrong, 0u) << instruction;
}

INSTANTIATE_TEST_SUITE_P(All, MmaTest, testing::ValuesIn(variants),
                         [](const auto &info) {
                           std::string name = info.param.layout;
                           name = name.substr(0, name.find('.'));
                           return name + "_" + info.param.type + "_" +
                                  info.param.sum;
                         });

/// The four products of m8n8k4, in all layouts and for both sizes of sums.
TEST(Mma, QuadPairs) {
  for (bool isRowA : {true, false})
    for (bool isRowB : {true, false})
      for (std::string sum : {"f16", "f32"}) {
        Packer packA(4, 16), packC(8, sumBits(sum));
        unsigned numC = registersFor(8, sumBits(sum));
        auto order = [](bool isRow) {
          return std::string(isRow ? "row" : "col");
        };
        Harness harness(kernelText("mma.sync.aligned.m8n8k4." + order(isRowA) +
                                       "." + order(isRowB) + "." + sum +
                                       ".f16.f16." + sum,
                                   2, 2, numC, numC, false));
        auto placeC = [&](int lane, int i) {
          return sum == "f16" ? isa::quadC16(lane, i) : isa::quadC32(lane, i);
        };
        std::vector<uint8_t> a, b, c;
        // Each product has values of its own.
        auto left = [](int q, int m, int k) { return leftValue(m + q, k); };
        auto right = [](int q, int k, int n) { return rightValue(k, n + q); };
        packA.append(a, [&](int lane, int i) {
          isa::Place p = isa::quadA(isRowA, lane, i);
          return bitsOf("f16", left(isa::quadOf(lane), p.row, p.column));
        });
        packA.append(b, [&](int lane, int i) {
          isa::Place p = isa::quadB(isRowB, lane, i);
          return bitsOf("f16", right(isa::quadOf(lane), p.row, p.column));
        });
        packC.append(c, [&](int lane, int i) {
          isa::Place p = placeC(lane, i);
          return bitsOf(sum, sumValue(p.row, p.column));
        });
        uint64_t bufferD = harness.buffer(c.size());
        harness.run("k", 1, 32, harness.buffer(a), harness.buffer(b),
                    harness.buffer(c), bufferD);
        std::vector<uint8_t> d = harness.read<uint8_t>(bufferD, c.size());
        for (int lane = 0; lane < 32; ++lane)
          for (int i = 0; i < 8; ++i) {
            isa::Place p = placeC(lane, i);
            int q = isa::quadOf(lane), total = sumValue(p.row, p.column);
            for (int k = 0; k < 4; ++k)
              total += left(q, p.row, k) * right(q, k, p.column);
            uint64_t expected =
                sum == "f32" ? std::bit_cast<uint32_t>(float(total)) : [&] {
                  // An integer below 2048 is exact in f16.
                  int e = 0;
                  while (total >> (e + 1))
                    ++e;
                  return total == 0 ? 0u
                                    : unsigned((e + 15) << 10 |
                                               (total << (10 - e) & 0x3FF));
                }();
            EXPECT_EQ(packC.element(d, 0, lane, unsigned(i)), expected);
          }
      }
}

/// D = A * B + C of random values against sums in f64: the error of k + 1
/// roundings to nearest of an f32 sum.
TEST(Mma, SumsAreF32) {
  const isa::Layout &isa = isa::layout("m16n8k16.f16");
  Harness harness(
      kernelText("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 4, 2, 4,
                 4, false));
  std::mt19937 random(7);
  auto bfloat = [&] {
    float f = std::uniform_real_distribution<float>(-2, 2)(random);
    return uint64_t(std::bit_cast<uint32_t>(f) >> 16);
  };
  auto valueOf = [](uint64_t bits) {
    return double(std::bit_cast<float>(uint32_t(bits << 16)));
  };
  constexpr int warps = 64;
  std::vector<uint8_t> a, b, c;
  std::vector<std::array<double, 256>> left(warps);
  std::vector<std::array<double, 128>> right(warps), sums(warps);
  Packer packA(8, 16), packB(4, 16), packC(4, 32);
  for (int w = 0; w < warps; ++w) {
    packA.append(a, [&](int lane, int i) {
      uint64_t bits = bfloat();
      isa::Place p = isa.a(lane, i);
      left[w][p.row * 16 + p.column] = valueOf(bits);
      return bits;
    });
    packB.append(b, [&](int lane, int i) {
      uint64_t bits = bfloat();
      isa::Place p = isa.b(lane, i);
      right[w][p.row * 8 + p.column] = valueOf(bits);
      return bits;
    });
    packC.append(c, [&](int lane, int i) -> uint64_t {
      float f = std::uniform_real_distribution<float>(-1, 1)(random);
      isa::Place p = isa.c(lane, i);
      sums[w][p.row * 8 + p.column] = f;
      return std::bit_cast<uint32_t>(f);
    });
  }
  uint64_t bufferD = harness.buffer(c.size());
  harness.run("k", warps, 32, harness.buffer(a), harness.buffer(b),
              harness.buffer(c), bufferD);
  std::vector<uint8_t> d = harness.read<uint8_t>(bufferD, c.size());
  for (int w = 0; w < warps; ++w)
    for (int lane = 0; lane < 32; ++lane)
      for (unsigned i = 0; i < 4; ++i) {
        isa::Place p = isa.c(lane, int(i));
        double exact = sums[w][p.row * 8 + p.column], size = std::fabs(exact);
        for (int k = 0; k < 16; ++k) {
          double product = left[w][p.row * 16 + k] * right[w][k * 8 + p.column];
          exact += product;
          size += std::fabs(product);
        }
        float found =
            std::bit_cast<float>(uint32_t(packC.element(d, w, lane, i)));
        EXPECT_LE(std::fabs(found - exact), 17 * 0x1p-24 * size);
      }
}

TEST(Mma, IntegersWrapOrSaturate) {
  for (bool saturates : {false, true}) {
    std::string name = "mma.sync.aligned.m16n8k16.row.col";
    name += saturates ? ".satfinite" : "";
    Harness harness(kernelText(name + ".s32.u8.u8.s32", 2, 1, 4, 4, false));
    std::vector<uint32_t> a(64, 0xFFFFFFFF), b(32, 0xFFFFFFFF),
        c(128, 0x7FFFFFF0);
    uint64_t bufferD = harness.buffer(512);
    harness.run("k", 1, 32, harness.buffer(a), harness.buffer(b),
                harness.buffer(c), bufferD);
    uint32_t expected =
        saturates ? 0x7FFFFFFF : uint32_t(0x7FFFFFF0u + 16 * 255 * 255);
    for (uint32_t found : harness.read<uint32_t>(bufferD, 128))
      EXPECT_EQ(found, expected);
  }
}

TEST(Mma, BitsCanBeXored) {
  Harness harness(kernelText("mma.sync.aligned.m8n8k128.row.col.s32.b1.b1.s32."
                             "xor.popc",
                             1, 1, 2, 2, false));
  std::vector<uint32_t> a(32, 0xFF), b(32, 0xF0), c(64, 5);
  uint64_t bufferD = harness.buffer(256);
  harness.run("k", 1, 32, harness.buffer(a), harness.buffer(b),
              harness.buffer(c), bufferD);
  for (int32_t found : harness.read<int32_t>(bufferD, 64))
    EXPECT_EQ(found, 5 + 4 * 4);
}

std::string errorOf(const std::string &instruction) {
  std::string text = ptxHeader() +
                     ".visible .entry k() {\n.reg .b32 %r<32>;\n"
                     ".reg .f64 %fd<16>;\n" +
                     instruction + ";\nret;\n}\n";
  Machine machine;
  Result<Module> parsed = parse(text, "k.ptx");
  if (!parsed)
    return parsed.error().message;
  Result<ModuleId> loaded = machine.load(std::move(*parsed));
  if (!loaded)
    return loaded.error().message;
  Result<Kernel> kernel = machine.findKernel(*loaded, "k");
  return kernel ? "" : kernel.error().message;
}

TEST(Mma, ErrorsAreClear) {
  auto expectError = [](const char *instruction, const char *part) {
    std::string error = errorOf(instruction);
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  expectError("mma.sync.aligned.m16n8k64.row.col.f32.f16.f16.f32 {%r0,%r1,%r2,"
              "%r3}, {%r4,%r5}, {%r6}, {%r0,%r1,%r2,%r3}",
              "there is no shape .m16n8k64 for .f16");
  expectError("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%r0,%r1,%r2,"
              "%r3}, {%r4,%r5,%r6}, {%r6}, {%r0,%r1,%r2,%r3}",
              "operand a has 3 registers, but this shape and type need 2");
  expectError("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f16 {%r0,%r1,"
              "%r2,%r3}, {%r4,%r5}, {%r6}, {%r0,%r1}",
              "the types of D, A, B and C do not go together");
  expectError("mma.sync.aligned.row.col.f32.f16.f16.f32 {%r0,%r1,%r2,%r3}, "
              "{%r4,%r5}, {%r6}, {%r0,%r1,%r2,%r3}",
              "expected a shape, two layouts and the types");
  expectError("mma.sync.aligned.m16n8k8.sideways.col.f32.f16.f16.f32 {%r0,%r1,"
              "%r2,%r3}, {%r4,%r5}, {%r6}, {%r0,%r1,%r2,%r3}",
              "'.sideways' is not known");
  expectError("ldmatrix.sync.aligned.m8n8.x3.shared.b16 {%r0}, [%r1]",
              "expected .m8n8 with .x1, .x2 or .x4");
  expectError("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r0}, [%r1]",
              "expected 2 registers, found 1");
  expectError("movmatrix.sync.aligned.m8n8.b16 %r0, %r1",
              "expected .m8n8.trans.b16");
  expectError("setmaxnreg.inc.sync.aligned.u32 20",
              "multiple of 8 from 24 to 256");
}

} // namespace
