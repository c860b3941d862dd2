//===- GemmTest.cpp - A tensor-core product from nvcc ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include "lib/PTX/Roofline.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

std::string readText(const std::string &name) {
  std::ifstream file(std::string(CLADE_PTX_INPUTS) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A bfloat in [-1, 1] with few bits, the same in every run.
uint16_t bfloatAt(uint32_t i) {
  uint32_t hash = i * 2654435761u;
  float value = float(int(hash >> 25) - 64) / 64;
  return uint16_t(std::bit_cast<uint32_t>(value) >> 16);
}

float floatOf(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

struct Product {
  LaunchReport report;
  std::vector<uint16_t> a, b, c;
};

Product multiply(unsigned size, const Checks &checks, unsigned workers) {
  Harness harness(readText("Gemm/Gemm.ptx"));
  Product product;
  for (uint32_t i = 0; i < size * size; ++i) {
    product.a.push_back(bfloatAt(i));
    product.b.push_back(bfloatAt(i + 12345));
  }
  uint64_t c = harness.buffer(size * size * 2);
  LaunchOptions options;
  options.grid = {size / 128, size / 128, 1};
  options.block = {128, 1, 1};
  options.checks = checks;
  options.workers = workers;
  options.traceCapacity = 1 << 20;
  product.report =
      harness.launch("gemm", options, harness.buffer(product.a),
                     harness.buffer(product.b), c, int(size), int(size));
  product.c = harness.read<uint16_t>(c, size * size);
  return product;
}

/// The products and the sums are exact here (few bits), so that only the last
/// rounding to bf16 remains.
void expectElement(const Product &product, unsigned size, unsigned row,
                   unsigned column) {
  double exact = 0;
  for (unsigned k = 0; k < size; ++k)
    exact += double(floatOf(product.a[row * size + k])) *
             floatOf(product.b[column * size + k]);
  float found = floatOf(product.c[row * size + column]);
  EXPECT_LE(std::fabs(found - exact), std::fabs(exact) * 0x1p-8)
      << row << ", " << column;
}

TEST(Gemm, IsRight) {
  constexpr unsigned size = 256;
  Product product = multiply(size, {}, 0);
  EXPECT_TRUE(product.report.clean());
  for (unsigned row = 0; row < size; ++row)
    for (unsigned column = 0; column < size; ++column)
      expectElement(product, size, row, column);
  EXPECT_EQ(product.report.counters.byClass[unsigned(Class::Matrix)].flops,
            2ull * size * size * size);
  const Counters &counters = product.report.counters;
  EXPECT_EQ(counters.tensorOperations[unsigned(Format::F16)],
            2ull * size * size * size);
  EXPECT_EQ(counters.warpTensorOperations, counters.tensorOperations);
  EXPECT_EQ(counters.vectorOperations, decltype(counters.vectorOperations){});
  EXPECT_EQ(counters.tensorShare(), 1);
  EXPECT_EQ(counters.total.bankConflicts(), 0u);
}

/// Four blocks of the 108 multiprocessors of an A100 share the work, and each
/// matrix, 128 KiB, comes from memory once.
TEST(Gemm, IsPredicted) {
  constexpr unsigned size = 256;
  Product product = multiply(size, {}, 0);
  LaunchedKernel kernel;
  kernel.target = "sm_80";
  kernel.blocks = 4;
  kernel.block = {128, 222, 48 << 10};
  Prediction found = predict(*findGpu("a100"), kernel, product.report.counters,
                             *product.report.trace);
  EXPECT_EQ(found.occupancy.blocks, 2u);
  EXPECT_EQ(found.imbalance, 27);
  EXPECT_EQ(found.bound.name, "tensor cores");
  EXPECT_DOUBLE_EQ(found.bound.seconds, 2.0 * size * size * size / 312e12 * 27);
  EXPECT_EQ(found.traffic.dramReads * 32, 2 * size * size * 2);
  EXPECT_EQ(found.traffic.dramWrites * 32, size * size * 2);
  // Two blocks want each part of A and B.
  EXPECT_EQ(found.traffic.l2Reads * 32, 4 * size * size * 2);
}

/// Run by hand, as `--gtest_also_run_disabled_tests --gtest_filter=*Speed*`:
/// prints the time of a product of 1,024 cubed.
TEST(Gemm, DISABLED_Speed) {
  constexpr unsigned size = 1024;
  Checks none;
  none.races = none.async = none.uninitialised = false;
  for (bool checked : {true, false}) {
    for (unsigned workers : {1u, 2u}) {
      auto begin = std::chrono::steady_clock::now();
      Product product = multiply(size, checked ? Checks() : none, workers);
      std::chrono::duration<double> time =
          std::chrono::steady_clock::now() - begin;
      double warps = double(product.report.counters.total.warps);
      std::cout << (checked ? "all checks, " : "bounds only, ") << workers
                << " cores: " << time.count() << " s, "
                << warps / time.count() / workers / 1e6
                << " million warp instructions a second and core\n";
      for (unsigned i = 0; i < size; i += 61)
        expectElement(product, size, i, (i * 7) % size);
    }
  }
}

} // namespace
