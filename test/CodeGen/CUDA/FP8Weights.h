//===- FP8Weights.h - Random weights in FP8 ------------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Codes of E4M3 with scales, in panels that the runtime packs.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_CUDA_FP8WEIGHTS_H
#define CLADE_TEST_CODEGEN_CUDA_FP8WEIGHTS_H

#include "runtime/Weights/WeightLoader.h"

#include <cmath>
#include <random>

namespace clade::cuda {

inline constexpr int64_t scaleBlock = 128;

/// Every finite code of E4M3, and scales of 128 rows and columns each.
struct FP8Weights {
  FP8Weights(int64_t n, int64_t k, std::mt19937 &random) {
    int64_t scaleColumns = k / scaleBlock;
    std::vector<uint8_t> codes(static_cast<size_t>(n * k));
    for (uint8_t &code : codes)
      do
        code = static_cast<uint8_t>(random());
      while ((code & 0x7f) == 0x7f);
    std::vector<float> scales(
        static_cast<size_t>((n + scaleBlock - 1) / scaleBlock * scaleColumns));
    for (float &scale : scales)
      scale = std::ldexp(1 + static_cast<float>(random() % 1024) / 1024,
                         static_cast<int>(random() % 8) - 12);
    for (int64_t i = 0; i < n * k; ++i)
      numbers.push_back(
          double(rt::f8E4M3ToF32(codes[i])) *
          scales[i / k / scaleBlock * scaleColumns + i % k / scaleBlock]);
    auto tensorOf = [](const char *name, rt::DType dtype,
                       std::vector<int64_t> shape, auto &values) {
      rt::StoredTensor tensor;
      tensor.name = name;
      tensor.dtype = dtype;
      tensor.shape = std::move(shape);
      auto bytes = std::as_bytes(std::span(values));
      tensor.bytes = {bytes.data(), bytes.size()};
      return tensor;
    };
    // Sorted by name.
    rt::StoredTensor tensors[] = {
        tensorOf("codes", rt::DType::F8_E4M3, {n, k}, codes),
        tensorOf("scales", rt::DType::F32,
                 {(n + scaleBlock - 1) / scaleBlock, scaleColumns}, scales)};
    auto source = [](const rt::StoredTensor &tensor) {
      return R"({"op":"source","name":")" + std::string(tensor.name) +
             R"(","dtype":")" + std::string(rt::dtypeName(tensor.dtype)) +
             R"(","shape":[)" + std::to_string(tensor.shape[0]) + "," +
             std::to_string(tensor.shape[1]) + "]}";
    };
    auto table = rt::WeightTable::parse(
        R"({"version":1,"weights":[{"param":"packed","slot":0,"program":)"
        R"({"op":"pack_blocks","rows":16,"input":{"op":"scaled_blocks",)"
        R"("block":[128,128],"inputs":[)" +
            source(tensors[0]) + "," + source(tensors[1]) + "]}}}]}",
        "weights");
    auto loaded = rt::loadWeights(*table, rt::WeightSources{tensors, "", {}});
    rt::ByteSpan bytes = loaded->slot(0);
    packed.assign(bytes.begin(), bytes.end());
  }

  std::vector<std::byte> packed;
  std::vector<double> numbers; ///< [n][k]
};

} // namespace clade::cuda

#endif // CLADE_TEST_CODEGEN_CUDA_FP8WEIGHTS_H
