//===- TritonTest.cpp - Kernels of the Triton compiler --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"
#include "test/PTX/Corpus/Narrow.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

using namespace corpus;

namespace {
/// Files of the folder Triton, launched as launches.json says.
class Triton : public Kernels {
protected:
  Triton() : Kernels(nullptr) {}

  Kernel load(const std::string &name, Size grid) {
    std::string folder = CORPUS_TRITON "/", key = name + "." + GetParam();
    nlohmann::json launches;
    std::ifstream(folder + "launches.json") >> launches;
    auto launch = launches.at(key);
    REQUIRE(cuModuleLoad(&module, (folder + key + ".ptx").c_str()));
    CUfunction function = find(launch.at("entry").get<std::string>().c_str());
    int shared = launch.at("shared").get<int>();
    REQUIRE(cuFuncSetAttribute(
        function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared));
    return Kernel(function, grid, launch.at("threads").get<unsigned>(), shared);
  }
  /// Triton's own parameters: no scratch memory.
  const CUdeviceptr none = 0;
};
} // namespace
INSTANTIATE_TEST_SUITE_P(PTX, Triton, testing::Values("sm_80", "sm_90a"),
                         [](const auto &info) { return info.param; });

TEST_P(Triton, Softmax) {
  int rows = 4, width = 400;
  auto in = Random(1).reals(rows * width, -8, 8);
  Buffer<float> out(rows * width);
  load("softmax", rows)(Buffer(in), out, width, none, none);
  std::vector<double> expected(in.size());
  for (int r = 0; r < rows; ++r) {
    const float *row = &in[r * width];
    double most = *std::max_element(row, row + width), sum = 0;
    for (int i = 0; i < width; ++i)
      sum += std::exp(row[i] - most);
    for (int i = 0; i < width; ++i)
      expected[r * width + i] = std::exp(row[i] - most) / sum;
  }
  // ex2.approx of an argument up to 16 * log2(e), rounded twice, is off by
  // 2 + 2 * 23 units at most; a tree of 9 additions; div.full has 2 units.
  expectWithin(out.read(), expected, [&](size_t i) {
    return expected[i] * 0x1p-24 * (2 * 48 + 9 + 4);
  });
}

TEST_P(Triton, LayerNorm) {
  int rows = 3, width = 500;
  Random random(2);
  auto in = random.reals(rows * width, -3, 3),
       weight = random.reals(width, 0, 2), bias = random.reals(width, -1, 1);
  Buffer<float> out(rows * width);
  load("layer_norm", rows)(Buffer(in), Buffer(weight), Buffer(bias), out, width,
                           1e-5f, none, none);
  std::vector<double> expected(in.size()), scale(in.size());
  for (int r = 0; r < rows; ++r) {
    const float *row = &in[r * width];
    double mean = std::accumulate(row, row + width, 0.0) / width, squares = 0;
    for (int i = 0; i < width; ++i)
      squares += (row[i] - mean) * (row[i] - mean);
    double inverse = 1 / std::sqrt(squares / width + double(1e-5f));
    for (int i = 0; i < width; ++i) {
      expected[r * width + i] = (row[i] - mean) * inverse * weight[i] + bias[i];
      scale[r * width + i] = 3 * inverse * weight[i] + std::fabs(bias[i]) + 1;
    }
  }
  // Twice 9 additions, sqrt and div of 2 units each, and five roundings.
  expectWithin(out.read(), expected,
               [&](size_t i) { return 40 * 0x1p-24 * scale[i]; });
}

/// Multiples of an eighth up to `most` of them: their sums are exact.
static std::vector<double> eighths(size_t n, int most, uint64_t seed) {
  Random random(seed);
  std::vector<double> values(n);
  for (double &value : values)
    value = double(random.integer(-most, most)) / 8;
  return values;
}

TEST_P(Triton, Gemm) {
  int m = 128, n = 64, k = 160;
  auto a = eighths(m * k, 16, 3), b = eighths(k * n, 16, 4);
  Buffer<float> c(m * n);
  load("gemm", {unsigned(m / 64), unsigned(n / 64)})(
      Buffer(encodeAll(bfloat, a)), Buffer(encodeAll(bfloat, b)), c, m, n, k,
      none, none);
  std::vector<float> expected;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += a[i * k + l] * b[l * n + j];
      expected.push_back(float(sum));
    }
  expectSame(c.read(), expected);
}

TEST_P(Triton, Attention) {
  int queries = 128, keys = 192, head = 64;
  auto q = eighths(queries * head, 8, 5), k = eighths(keys * head, 8, 6),
       v = eighths(keys * head, 8, 7);
  Buffer<float> out(queries * head);
  float scale = 0.125f * 1.44269504f;
  load("attention", unsigned(queries / 64))(
      Buffer(encodeAll(bfloat, q)), Buffer(encodeAll(bfloat, k)),
      Buffer(encodeAll(bfloat, v)), out, keys, scale, none, none);
  std::vector<double> expected;
  for (int i = 0; i < queries; ++i) {
    std::vector<double> scores(keys), sums(head);
    double most = -HUGE_VAL, total = 0;
    for (int j = 0; j < keys; ++j) {
      for (int d = 0; d < head; ++d)
        scores[j] += q[i * head + d] * k[j * head + d];
      most = std::max(most, scores[j]);
    }
    for (int j = 0; j < keys; ++j) {
      double p = std::exp2((scores[j] - most) * double(scale));
      total += p;
      for (int d = 0; d < head; ++d)
        sums[d] += p * v[j * head + d];
    }
    for (double sum : sums)
      expected.push_back(sum / total);
  }
  // Scores are exact; probabilities are rounded to 8 bits for the product with
  // values, which are at most 1; the rest is a few float roundings.
  expectWithin(out.read(), expected,
               [](size_t) { return 0x1p-9 + 128 * 0x1p-24; });
}
