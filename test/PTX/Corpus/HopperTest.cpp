//===- HopperTest.cpp - Tensor copies and warp-group products (sm_90a) ----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"
#include "test/PTX/Corpus/Narrow.h"

using namespace corpus;

namespace {
class Hopper : public Kernels {
protected:
  Hopper() : Kernels("Hopper") {}
};
} // namespace
INSTANTIATE_TEST_SUITE_P(PTX, Hopper, testing::Values("sm_90a"),
                         [](const auto &info) { return info.param; });

/// A row-major matrix in memory that is copied in boxes.
static CUtensorMap describe(CUdeviceptr address, CUtensorMapDataType type,
                            unsigned elementBytes, uint64_t width,
                            uint64_t height, uint32_t boxWidth,
                            uint32_t boxHeight, CUtensorMapSwizzle swizzle) {
  CUtensorMap map;
  cuuint64_t sizes[] = {width, height}, strides[] = {width * elementBytes};
  cuuint32_t box[] = {boxWidth, boxHeight}, steps[] = {1, 1};
  REQUIRE(cuTensorMapEncodeTiled(
      &map, type, 2, reinterpret_cast<void *>(address), sizes, strides, box,
      steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
      CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return map;
}

TEST_P(Hopper, TensorCopy) {
  int width = 72, height = 40;
  auto in = Random(1).reals(width * height, -1, 1);
  Buffer<float> from(in), to(size_t(width) * height);
  auto map = [&](CUdeviceptr address) {
    return describe(address, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, width, height,
                    32, 16, CU_TENSOR_MAP_SWIZZLE_NONE);
  };
  kernel("tensorCopy", {3, 3}, 64)(map(from.address), map(to.address));
  for (float &x : in)
    x += 1;
  expectSame(to.read(), in);
}

TEST_P(Hopper, BulkCopy) {
  int rounds = 5;
  auto in = Random(2).integers(rounds * 256, -1000, 1000);
  Buffer<int> out(in.size());
  kernel("bulkCopy", 1, 64)(Buffer(in), out, rounds);
  std::vector<int> expected;
  for (size_t i = 0; i < in.size(); ++i)
    expected.push_back(in[i] * 3 + int(i) / 256);
  expectSame(out.read(), expected);
}

TEST_P(Hopper, GemmWarpGroup) {
  int m = 128, n = 64, k = 320;
  Random random(3);
  std::vector<double> a(m * k), b(n * k);
  for (auto *values : {&a, &b})
    for (double &value : *values)
      value = double(random.integer(-16, 16)) * 0.125;
  Buffer<uint16_t> bitsA(encodeAll(bfloat, a)), bitsB(encodeAll(bfloat, b));
  auto map = [&](CUdeviceptr address, int rows) {
    return describe(address, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, k, rows, 64,
                    64, CU_TENSOR_MAP_SWIZZLE_128B);
  };
  Buffer<float> c(m * n);
  CUfunction function = find("gemmWarpGroup");
  unsigned shared = 3 * 2 * 64 * 64 * 2 + 1024;
  REQUIRE(cuFuncSetAttribute(
      function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, int(shared)));
  Kernel(function, {unsigned(n / 64), unsigned(m / 64)}, 256,
         shared)(map(bitsA.address, m), map(bitsB.address, n), c, n, k);
  // Every sum is exact, in any order.
  std::vector<float> expected;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += a[i * k + l] * b[j * k + l];
      expected.push_back(float(sum));
    }
  expectSame(c.read(), expected);
}

TEST_P(Hopper, ClusterRegisters) {
  Buffer<unsigned> out(2 * 32 * 3);
  kernel("clusterRegisters", 2, 32)(out);
  std::vector<unsigned> got = out.read();
  for (int block = 0; block < 2; ++block) {
    unsigned elected = 0;
    for (int i = block * 32; i < block * 32 + 32; ++i) {
      EXPECT_EQ(got[3 * i], 0u);
      EXPECT_EQ(got[3 * i + 1], 1u);
      elected += got[3 * i + 2];
    }
    EXPECT_EQ(elected, 1u);
  }
}

TEST_P(Hopper, StoreMatrices) {
  auto in = Random(4).patterns<unsigned>(128);
  Buffer<unsigned> out(256);
  kernel("storeMatrices", 1, 32)(Buffer(in), out);
  // Lane l holds the elements of row l / 4, columns 2 (l mod 4) and the next.
  std::vector<uint16_t> expected(512);
  for (int matrix = 0; matrix < 4; ++matrix)
    for (int row = 0; row < 8; ++row)
      for (int column = 0; column < 8; ++column) {
        auto value = uint16_t(in[matrix * 32 + row * 4 + column / 2] >>
                              16 * (column % 2));
        expected[(matrix * 8 + row) * 8 + column] = value;
        expected[256 + (matrix * 8 + column) * 8 + row] = value;
      }
  std::vector<unsigned> words = out.read();
  std::vector<uint16_t> got;
  for (unsigned word : words)
    got.insert(got.end(), {uint16_t(word), uint16_t(word >> 16)});
  expectSame(got, expected);
}
