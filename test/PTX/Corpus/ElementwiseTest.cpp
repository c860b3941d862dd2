//===- ElementwiseTest.cpp - One thread an element ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

using namespace corpus;

CORPUS_FILE(Elementwise);

TEST_P(Elementwise, VectorAdd) {
  size_t n = 1000;
  Random random;
  auto a = random.reals(n, -100, 100), b = random.reals(n, -100, 100);
  Buffer<float> c(n);
  forElements("vectorAdd", n)(Buffer(a), Buffer(b), c, int(n));
  std::vector<float> expected(n);
  for (size_t i = 0; i < n; ++i)
    expected[i] = a[i] + b[i];
  expectSame(c.read(), expected);
}

TEST_P(Elementwise, Saxpy) {
  size_t n = 3001;
  Random random(2);
  auto x = random.reals(n, -2, 2), y = random.reals(n, -2, 2);
  Buffer<float> out(y);
  kernel("saxpy", 4, 192)(0.3f, Buffer(x), out, int(n));
  for (size_t i = 0; i < n; ++i)
    y[i] = std::fma(0.3f, x[i], y[i]);
  expectSame(out.read(), y);
}

TEST_P(Elementwise, Daxpy) {
  size_t n = 777;
  Random random(3);
  auto x = random.reals<double>(n, -2, 2), y = random.reals<double>(n, -2, 2);
  Buffer<double> out(y);
  forElements("daxpy", n)(0.7, Buffer(x), out, int(n));
  for (size_t i = 0; i < n; ++i)
    y[i] = std::fma(0.7, x[i], y[i]);
  expectSame(out.read(), y);
}

TEST_P(Elementwise, ScaleVectors) {
  size_t n = 300;
  auto in = Random(4).reals(4 * n, -1e30, 1e30);
  Buffer<float> out(4 * n);
  forElements("scaleVectors", n)(Buffer(in), out, 1.7f, int(n));
  for (float &value : in)
    value *= 1.7f;
  expectSame(out.read(), in);
}

TEST_P(Elementwise, Dequantise) {
  size_t n = 1024;
  Random random(5);
  auto q = random.integers<uint8_t>(n, 0, 255);
  auto scale = random.reals(n / 32, 0.01, 2);
  auto zero = random.integers<int8_t>(n / 32, -128, 127);
  Buffer<float> out(n);
  forElements("dequantise", n)(Buffer(q), Buffer(scale), Buffer(zero), out,
                               unsigned(n));
  std::vector<float> expected(n);
  for (size_t i = 0; i < n; ++i)
    expected[i] = float(int(q[i]) - zero[i / 32]) * scale[i / 32];
  expectSame(out.read(), expected);
}

TEST_P(Elementwise, Quantise) {
  size_t n = 1000;
  auto x = Random(6).reals(n, -3, 3);
  x[0] = 0.5f, x[1] = -0.5f, x[2] = 1.5f, x[3] = 1e20f, x[4] = -1e20f;
  Buffer<int8_t> q(n);
  forElements("quantise", n)(Buffer(x), q, 64.0f, int(n));
  std::vector<int8_t> expected(n);
  for (size_t i = 0; i < n; ++i)
    expected[i] = int8_t(
        std::min(127.0f, std::max(-128.0f, std::nearbyint(x[i] * 64.0f))));
  expectSame(q.read(), expected);
}

TEST_P(Elementwise, ClampSelect) {
  size_t n = 500;
  auto x = Random(7).patterns<float>(n);
  x[0] = NAN, x[1] = INFINITY, x[2] = -INFINITY, x[3] = -0.0f;
  Buffer<float> out(n);
  forElements("clampSelect", n)(Buffer(x), -1.0f, 2.0f, out, int(n));
  std::vector<float> expected(n);
  for (size_t i = 0; i < n; ++i)
    expected[i] =
        std::isnan(x[i]) ? 0.0f : std::min(std::max(x[i], -1.0f), 2.0f);
  expectSame(out.read(), expected);
}

TEST_P(Elementwise, CopyPitched) {
  int width = 45, height = 19;
  auto in = Random(8).patterns<int16_t>(size_t(width) * height);
  CUdeviceptr from, to;
  size_t fromPitch, toPitch;
  REQUIRE(cuMemAllocPitch(&from, &fromPitch, width * 2, height, 4));
  REQUIRE(cuMemAllocPitch(&to, &toPitch, 2 * width * 2, height, 4));
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = in.data();
  copy.srcPitch = width * 2;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = from;
  copy.dstPitch = fromPitch;
  copy.WidthInBytes = width * 2;
  copy.Height = height;
  REQUIRE(cuMemcpy2D(&copy));
  kernel("copyPitched", {3, 5}, {16, 4})(from, fromPitch, to, toPitch, width,
                                         height);
  std::vector<int16_t> out(in.size());
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = to;
  copy.srcPitch = toPitch;
  copy.dstMemoryType = CU_MEMORYTYPE_HOST;
  copy.dstHost = out.data();
  copy.dstPitch = width * 2;
  REQUIRE(cuMemcpy2D(&copy));
  expectSame(out, in);
}

TEST_P(Elementwise, Luminance) {
  size_t n = 333;
  auto in = Random(9).integers<uint8_t>(3 * n, 0, 255);
  Buffer<uint8_t> out(n);
  forElements("luminance", n)(Buffer(in), out, int(n));
  std::vector<uint8_t> expected(n);
  for (size_t i = 0; i < n; ++i)
    expected[i] = uint8_t(
        (in[3 * i] * 77 + in[3 * i + 1] * 150 + in[3 * i + 2] * 29 + 128) >> 8);
  expectSame(out.read(), expected);
}

TEST_P(Elementwise, Affine) {
  struct {
    double scale[3] = {0.5, -1.25, 3.0};
    int shift[3] = {7, -9, 11};
    char channel = 2;
  } map;
  size_t n = 200;
  auto in = Random(10).integers(n, -1000, 1000);
  Buffer<double> out(n);
  forElements("affine", n)(Buffer(in), out, map, int(n));
  std::vector<double> expected(n);
  for (size_t i = 0; i < n; ++i)
    expected[i] = std::fma(map.scale[i % 3], double(in[i]),
                           double(map.shift[(i + map.channel) % 3]));
  expectSame(out.read(), expected);
}

TEST_P(Elementwise, IndexVolume) {
  unsigned width = 3 * 8, height = 2 * 4, depth = 4 * 2;
  Buffer<unsigned> out(width * height * depth);
  kernel("indexVolume", {3, 2, 4}, {8, 4, 2})(out);
  std::vector<unsigned> expected;
  for (unsigned z = 0; z < depth; ++z)
    for (unsigned y = 0; y < height; ++y)
      for (unsigned x = 0; x < width; ++x)
        expected.push_back(x | y << 10 | z << 20);
  expectSame(out.read(), expected);
}

TEST_P(Elementwise, Convolve) {
  size_t n = 600;
  Random random(11);
  auto in = random.reals(n, -1, 1), taps = random.reals(9, -1, 1);
  CUdeviceptr address;
  size_t bytes;
  REQUIRE(cuModuleGetGlobal(&address, &bytes, module, "taps"));
  ASSERT_EQ(bytes, 9 * sizeof(float));
  REQUIRE(cuMemcpyHtoD(address, taps.data(), bytes));
  Buffer<float> out(n);
  forElements("convolve", n)(Buffer(in), out, int(n));
  std::vector<float> expected(n);
  for (int i = 0; i < int(n); ++i)
    for (int k = 0; k < 9; ++k)
      if (int j = i + k - 4; j >= 0 && j < int(n))
        expected[i] = std::fma(taps[k], in[j], expected[i]);
  expectSame(out.read(), expected);
}

TEST_P(Elementwise, UseGlobals) {
  CUdeviceptr address;
  size_t bytes;
  REQUIRE(cuModuleGetGlobal(&address, &bytes, module, "counters"));
  std::vector<int> counters(4);
  REQUIRE(cuMemcpyDtoH(counters.data(), address, bytes));
  expectSame(counters, {1, 2, 3, 4});
  counters[1] = 20;
  REQUIRE(cuMemcpyHtoD(address, counters.data(), bytes));
  Buffer<int> out(4);
  kernel("useGlobals", 1, 32)(out);
  expectSame(out.read(), {13, 203, 33, 43});
}
