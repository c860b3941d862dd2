//===- MatrixMoveTest.cpp - ldmatrix, stmatrix, movmatrix and wmma --------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include <bit>
#include <cmath>
#include <cstdint>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

/// One warp with 1,024 bytes of shared memory, 256 words: filled from `in` and
/// given back in `out`. `body` has the tile's address in %r0, the lane in %r1
/// and registers %d0 to %d3.
std::string moveKernel(const std::string &body) {
  return ptxHeader() +
         ".visible .entry k(.param .u64 in, .param .u64 out, "
         ".param .u64 regs) {\n"
         ".reg .b32 %r<16>; .reg .b32 %d<8>; .reg .b64 %p<8>; .reg .pred %q;\n"
         ".shared .align 128 .b8 tile[1024];\n"
         "ld.param.u64 %p0, [in]; ld.param.u64 %p1, [out]; "
         "ld.param.u64 %p2, [regs];\n"
         "mov.u32 %r0, tile; mov.u32 %r1, %tid.x;\n"
         "mad.wide.u32 %p3, %r1, 32, %p0; mad.wide.u32 %p4, %r1, 32, %p1; "
         "mad.wide.u32 %p5, %r1, 16, %p2;\n"
         "mad.lo.u32 %r2, %r1, 32, %r0;\n"
         "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%p3];\n"
         "st.shared.v4.u32 [%r2], {%r4, %r5, %r6, %r7};\n"
         "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%p3+16];\n"
         "st.shared.v4.u32 [%r2+16], {%r4, %r5, %r6, %r7};\n"
         "ld.global.v4.u32 {%d0, %d1, %d2, %d3}, [%p5];\n"
         "bar.warp.sync -1;\n" +
         body +
         "\nbar.warp.sync -1;\n"
         "ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2];\n"
         "st.global.v4.u32 [%p4], {%r4, %r5, %r6, %r7};\n"
         "ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2+16];\n"
         "st.global.v4.u32 [%p4+16], {%r4, %r5, %r6, %r7};\n"
         "st.global.v4.u32 [%p5], {%d0, %d1, %d2, %d3};\nret;\n}\n";
}

struct Moved {
  std::vector<uint8_t> shared;
  std::vector<uint32_t> registers; ///< Four a lane.
  uint16_t half(int byte) const {
    return uint16_t(shared[byte] | shared[byte + 1] << 8);
  }
};

std::vector<uint8_t> pattern() {
  std::vector<uint8_t> bytes(1024);
  for (int i = 0; i < 512; ++i) {
    bytes[2 * i] = uint8_t(i * 7 + 1);
    bytes[2 * i + 1] = uint8_t(i / 3 + 128);
  }
  return bytes;
}

std::vector<uint32_t> registerPattern() {
  std::vector<uint32_t> values(128);
  for (uint32_t i = 0; i < 128; ++i)
    values[i] = 0x10001u * i * 2 + 0x10000;
  return values;
}

Moved moveThrough(const std::string &body) {
  Harness harness(moveKernel(body));
  uint64_t out = harness.buffer(1024);
  uint64_t registers = harness.buffer(registerPattern());
  harness.run("k", 1, 32, harness.buffer(pattern()), out, registers);
  return {harness.read<uint8_t>(out, 1024),
          harness.read<uint32_t>(registers, 128)};
}

std::string registerList(int count) {
  std::string names = "{";
  for (int i = 0; i < count; ++i)
    names += (i ? ", %d" : "%d") + std::to_string(i);
  return names + "}";
}

/// PTX ISA 9.7.14.5.15: row j of matrix i is at the address of thread 8i + j;
/// thread t gets elements 2(t % 4) and the next of row t / 4, or the
/// transposed.
TEST(MatrixMove, LoadsEveryElement) {
  for (int count : {1, 2, 4})
    for (bool transposed : {false, true}) {
      Moved moved = moveThrough(
          // Rows in an order that is not that of the lanes.
          "xor.b32 %r8, %r1, 5;\nmad.lo.u32 %r8, %r8, 32, %r0;\n"
          "ldmatrix.sync.aligned.m8n8.x" +
          std::to_string(count) + (transposed ? ".trans" : "") +
          ".shared.b16 " + registerList(count) + ", [%r8];");
      std::vector<uint8_t> memory = pattern();
      auto element = [&](int matrix, int row, int column) {
        int at = ((matrix * 8 + row) ^ 5) * 32 + column * 2;
        return uint32_t(memory[at] | memory[at + 1] << 8);
      };
      for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < count; ++i) {
          int a = lane / 4, b = lane % 4 * 2;
          uint32_t low = transposed ? element(i, b, a) : element(i, a, b);
          uint32_t high =
              transposed ? element(i, b + 1, a) : element(i, a, b + 1);
          EXPECT_EQ(moved.registers[lane * 4 + i], low | high << 16)
              << lane << " " << i;
        }
    }
}

TEST(MatrixMove, StoresEveryElement) {
  for (int count : {1, 2, 4})
    for (bool transposed : {false, true}) {
      Moved moved =
          moveThrough("mad.lo.u32 %r8, %r1, 32, %r0;\n"
                      "stmatrix.sync.aligned.m8n8.x" +
                      std::to_string(count) + (transposed ? ".trans" : "") +
                      ".shared.b16 [%r8], " + registerList(count) + ";");
      std::vector<uint32_t> registers = registerPattern();
      for (int matrix = 0; matrix < count; ++matrix)
        for (int row = 0; row < 8; ++row)
          for (int column = 0; column < 8; ++column) {
            int r = transposed ? column : row, c = transposed ? row : column;
            uint32_t word = registers[(r * 4 + c / 2) * 4 + matrix];
            EXPECT_EQ(moved.half((matrix * 8 + row) * 32 + column * 2),
                      uint16_t(c % 2 ? word >> 16 : word));
          }
    }
}

TEST(MatrixMove, LoadsBytesTransposed) {
  Moved moved = moveThrough("mad.lo.u32 %r8, %r1, 16, %r0;\n"
                            "ldmatrix.sync.aligned.m16n16.x2.trans.shared.b8 "
                            "{%d0, %d1, %d2, %d3}, [%r8];");
  std::vector<uint8_t> memory = pattern();
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r)
      for (int i = 0; i < 4; ++i) {
        // Element (lane / 4 + 8 (r % 2), 4 (lane % 4) + i) of the transposed.
        int row = lane / 4 + r % 2 * 8, column = lane % 4 * 4 + i;
        EXPECT_EQ(moved.registers[lane * 4 + r] >> (8 * i) & 0xFF,
                  memory[(r / 2 * 16 + column) * 16 + row]);
      }
}

TEST(MatrixMove, TransposesRegisters) {
  Moved moved = moveThrough("movmatrix.sync.aligned.m8n8.trans.b16 %d1, %d0;");
  std::vector<uint32_t> before = registerPattern();
  for (int row = 0; row < 8; ++row)
    for (int column = 0; column < 8; ++column) {
      auto half = [](uint32_t word, int i) {
        return word >> (16 * i) & 0xFFFF;
      };
      EXPECT_EQ(
          half(moved.registers[(row * 4 + column / 2) * 4 + 1], column % 2),
          half(before[(column * 4 + row / 2) * 4], row % 2));
    }
}

//===----------------------------------------------------------------------===//
// wmma
//===----------------------------------------------------------------------===//

struct Wmma {
  const char *shape;
  unsigned m, n, k;
  const char *type;
  unsigned bits;
  unsigned numA, numB, numC; ///< Registers, from the ISA's table.
  const char *sum;
};

const Wmma wmmas[] = {
    {"m16n16k16", 16, 16, 16, "f16", 16, 8, 8, 8, "f32"},
    {"m16n16k16", 16, 16, 16, "f16", 16, 8, 8, 4, "f16"},
    {"m32n8k16", 32, 8, 16, "f16", 16, 8, 8, 8, "f32"},
    {"m8n32k16", 8, 32, 16, "f16", 16, 8, 8, 8, "f32"},
    {"m16n16k16", 16, 16, 16, "bf16", 16, 4, 4, 8, "f32"},
    {"m32n8k16", 32, 8, 16, "bf16", 16, 8, 2, 8, "f32"},
    {"m8n32k16", 8, 32, 16, "bf16", 16, 2, 8, 8, "f32"},
    {"m16n16k8", 16, 16, 8, "tf32", 32, 4, 4, 8, "f32"},
    {"m16n16k16", 16, 16, 16, "s8", 8, 2, 2, 8, "s32"},
    {"m32n8k16", 32, 8, 16, "u8", 8, 4, 1, 8, "s32"},
    {"m8n32k16", 8, 32, 16, "s8", 8, 1, 4, 8, "s32"},
    {"m8n8k4", 8, 8, 4, "f64", 64, 1, 1, 2, "f64"},
    {"m8n8k32", 8, 8, 32, "s4", 4, 1, 1, 2, "s32"},
    {"m8n8k128", 8, 8, 128, "b1", 1, 1, 1, 2, "s32"},
};

uint64_t codeOf(const std::string &type, int value) {
  if (type == "f16")
    return (const uint64_t[]){0, 0x3C00, 0x4000, 0x4200}[value];
  if (type == "bf16")
    return (const uint64_t[]){0, 0x3F80, 0x4000, 0x4040}[value];
  if (type == "tf32" || type == "f32")
    return std::bit_cast<uint32_t>(float(value));
  if (type == "f64")
    return std::bit_cast<uint64_t>(double(value));
  return uint64_t(value);
}

double valueOf(const std::string &type, uint64_t code) {
  if (type == "f32")
    return std::bit_cast<float>(uint32_t(code));
  if (type == "f64")
    return std::bit_cast<double>(code);
  if (type == "s32")
    return int32_t(code);
  // f16: an integer.
  int exponent = int(code >> 10 & 31) - 15;
  return code ? std::ldexp(1 + double(code & 1023) / 1024, exponent) : 0;
}

/// A matrix in memory, with a leading dimension that is not tight.
struct Matrix {
  unsigned rows, columns, stride;
  bool isRow;
  unsigned bits;
  std::vector<uint8_t> bytes;

  Matrix(unsigned rows, unsigned columns, unsigned stride, bool isRow,
         unsigned bits)
      : rows(rows), columns(columns), stride(stride), isRow(isRow), bits(bits),
        bytes(size_t(stride) * (isRow ? rows : columns) * bits / 8 + 64) {}
  size_t bitOf(unsigned row, unsigned column) const {
    return size_t(isRow ? row * stride + column : column * stride + row) * bits;
  }
  void set(unsigned row, unsigned column, uint64_t value) {
    for (unsigned i = 0; i < bits; ++i)
      bytes[(bitOf(row, column) + i) / 8] |= (value >> i & 1)
                                             << ((bitOf(row, column) + i) % 8);
  }
  uint64_t get(unsigned row, unsigned column) const {
    uint64_t value = 0;
    std::memcpy(&value, &bytes[bitOf(row, column) / 8], bits / 8);
    return value;
  }
};

std::string wmmaKernel(const Wmma &w, bool rowA, bool rowB, bool rowC,
                       unsigned strideA, unsigned strideB, unsigned strideC) {
  bool isDouble = w.bits == 64, isBit = w.bits == 1;
  unsigned next = 0;
  auto list = [&](unsigned count) {
    std::string names = "{";
    for (unsigned i = 0; i < count; ++i)
      names += (i ? ", " : "") + std::string(isDouble ? "%fd" : "%r") +
               std::to_string(next + i);
    next += count;
    return names + "}";
  };
  std::string a = list(w.numA), b = list(w.numB), c = list(w.numC),
              d = list(w.numC);
  auto order = [](bool isRow) { return std::string(isRow ? ".row" : ".col"); };
  std::string shape = "." + std::string(w.shape), sync = ".sync.aligned";
  std::string types =
      std::string(".") + w.sum + "." + w.type + "." + w.type + "." + w.sum;
  if (std::string(w.type) == "f16")
    types = std::string(".") + w.sum + "." + w.sum;
  return ptxHeader() +
         ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc, "
         ".param .u64 pd) {\n.reg .b32 %r<64>; .reg .f64 %fd<16>; "
         ".reg .b64 %p<4>;\n"
         "ld.param.u64 %p0, [pa]; ld.param.u64 %p1, [pb]; "
         "ld.param.u64 %p2, [pc]; ld.param.u64 %p3, [pd];\n"
         "wmma.load.a" +
         sync + order(rowA) + shape + ".global." + w.type + " " + a +
         ", [%p0], " + std::to_string(strideA) + ";\nwmma.load.b" + sync +
         order(rowB) + shape + ".global." + w.type + " " + b + ", [%p1], " +
         std::to_string(strideB) + ";\nwmma.load.c" + sync + order(rowC) +
         shape + ".global." + w.sum + " " + c + ", [%p2], " +
         std::to_string(strideC) + ";\nwmma.mma" +
         std::string(isBit ? ".and.popc" : "") + sync + order(rowA) +
         order(rowB) + shape + types + " " + d + ", " + a + ", " + b + ", " +
         c + ";\nwmma.store.d" + sync + order(!rowC) + shape + ".global." +
         w.sum + " [%p3], " + d + ", " + std::to_string(strideC) +
         ";\nret;\n}\n";
}

void expectProduct(const Wmma &w, bool rowA, bool rowB, bool rowC) {
  unsigned bitsC = std::string(w.sum) == "f16"   ? 16
                   : std::string(w.sum) == "f64" ? 64
                                                 : 32;
  unsigned strideA = std::max(rowA ? w.k : w.m, 256 / std::min(w.bits, 32u)),
           strideB = std::max(rowB ? w.n : w.k, 256 / std::min(w.bits, 32u)),
           strideC = 48;
  Matrix a(w.m, w.k, strideA, rowA, w.bits), b(w.k, w.n, strideB, rowB, w.bits),
      c(w.m, w.n, strideC, rowC, bitsC), d(w.m, w.n, strideC, !rowC, bitsC);
  int limit = w.bits == 1 ? 2 : 4;
  auto left = [&](unsigned m, unsigned k) {
    return int(m * 3 + k * k) % limit;
  };
  auto right = [&](unsigned k, unsigned n) { return int(k + n * n) % limit; };
  for (unsigned m = 0; m < w.m; ++m)
    for (unsigned k = 0; k < w.k; ++k)
      a.set(m, k, codeOf(w.type, left(m, k)));
  for (unsigned k = 0; k < w.k; ++k)
    for (unsigned n = 0; n < w.n; ++n)
      b.set(k, n, codeOf(w.type, right(k, n)));
  for (unsigned m = 0; m < w.m; ++m)
    for (unsigned n = 0; n < w.n; ++n)
      c.set(m, n, codeOf(w.sum, (m + n) % 4));
  Harness harness(wmmaKernel(w, rowA, rowB, rowC, strideA, strideB, strideC));
  uint64_t out = harness.buffer(d.bytes.size());
  harness.run("k", 1, 32, harness.buffer(a.bytes), harness.buffer(b.bytes),
              harness.buffer(c.bytes), out);
  d.bytes = harness.read<uint8_t>(out, d.bytes.size());
  for (unsigned m = 0; m < w.m; ++m)
    for (unsigned n = 0; n < w.n; ++n) {
      int expected = (m + n) % 4;
      for (unsigned k = 0; k < w.k; ++k)
        expected += left(m, k) * right(k, n);
      EXPECT_EQ(valueOf(w.sum, d.get(m, n)), expected)
          << w.shape << " " << w.type << " at " << m << ", " << n;
    }
}

TEST(Wmma, EveryShapeTypeAndOrder) {
  for (const Wmma &w : wmmas)
    for (bool rowA : {true, false})
      for (bool rowB : {true, false})
        for (bool rowC : {true, false}) {
          // Elements below a byte have one order only.
          if (w.bits < 8 && (!rowA || rowB))
            continue;
          expectProduct(w, rowA, rowB, rowC);
        }
}

TEST(Wmma, ElementwiseOperationsKeepTheMatrix) {
  // Twice the fragment is twice the matrix.
  Harness harness(
      ptxHeader() +
      ".visible .entry k(.param .u64 in, .param .u64 out) {\n"
      ".reg .f32 %f<8>; .reg .b64 %p<2>;\n"
      "ld.param.u64 %p0, [in]; ld.param.u64 %p1, [out];\n"
      "wmma.load.c.sync.aligned.row.m16n16k16.f32 "
      "{%f0,%f1,%f2,%f3,%f4,%f5,%f6,%f7}, [%p0];\n"
      "add.f32 %f0,%f0,%f0; add.f32 %f1,%f1,%f1; add.f32 %f2,%f2,%f2; "
      "add.f32 %f3,%f3,%f3; add.f32 %f4,%f4,%f4; add.f32 %f5,%f5,%f5; "
      "add.f32 %f6,%f6,%f6; add.f32 %f7,%f7,%f7;\n"
      "wmma.store.d.sync.aligned.col.m16n16k16.f32 [%p1], "
      "{%f0,%f1,%f2,%f3,%f4,%f5,%f6,%f7};\nret;\n}\n");
  std::vector<float> in(256);
  for (int i = 0; i < 256; ++i)
    in[i] = float(i);
  uint64_t out = harness.buffer(1024);
  harness.run("k", 1, 32, harness.buffer(in), out);
  std::vector<float> found = harness.read<float>(out, 256);
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 16; ++column)
      EXPECT_EQ(found[column * 16 + row], 2 * in[row * 16 + column]);
}

} // namespace
