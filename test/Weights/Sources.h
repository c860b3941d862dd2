//===- Sources.h - Random published tensors for tests -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each tensor in both forms: stored bytes for the code under test, decoded
// values for the oracle.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_WEIGHTS_SOURCES_H
#define CLADE_TEST_WEIGHTS_SOURCES_H

#include "runtime/Formats/Dequantize.h"
#include "runtime/Weights/Evaluator.h"
#include "test/Formats/TestFiles.h"
#include "test/Weights/NaiveWeights.h"

#include <random>

namespace clade::rt::test {

class Sources {
public:
  /// Adds "t0", "t1", … of any float or block type, or of codes; returns its
  /// JSON.
  std::string add(DType dtype, const std::vector<int64_t> &shape) {
    std::string name = "t" + std::to_string(decoded.size());
    size_t size = static_cast<size_t>(*tensorBytes(dtype, shape));
    std::vector<std::byte> &bytes = stored[name];
    bytes.resize(size);
    NaiveTensor &tensor = decoded[name];
    tensor = {dtype, shape, {}, {}};
    int64_t count = 1;
    for (int64_t dim : shape)
      count *= dim;
    tensor.values.resize(static_cast<size_t>(count));
    fill(dtype, bytes, tensor);
    decodeToF32(dtype, bytes.data(), count, tensor.values.data());
    tensor.stored = bytes;
    return json(name, dtype, shape);
  }

  /// Adds an index of i32 or i64 with the given numbers.
  std::string addIndex(DType dtype, const std::vector<int64_t> &index,
                       std::vector<int64_t> shape = {}) {
    if (shape.empty())
      shape = {static_cast<int64_t>(index.size())};
    std::string name = "t" + std::to_string(decoded.size());
    std::vector<std::byte> &bytes = stored[name];
    NaiveTensor &tensor = decoded[name];
    tensor = {dtype, shape, {}, {}};
    for (int64_t number : index) {
      const auto *from = reinterpret_cast<const std::byte *>(&number);
      bytes.insert(bytes.end(), from, from + bytesPerBlock(dtype));
      tensor.values.push_back(static_cast<float>(number));
    }
    tensor.stored = bytes;
    return json(name, dtype, tensor.shape);
  }

  static std::string json(const std::string &name, DType dtype,
                          const std::vector<int64_t> &shape) {
    return R"({"op":"source","name":")" + name + R"(","dtype":")" +
           std::string(dtypeName(dtype)) + R"(","shape":)" + shapeText(shape) +
           "}";
  }

  /// What bindProgram wants.
  StatusOr<ByteSpan> operator()(const WeightNode &source) const {
    return ByteSpan(stored.at(source.name));
  }

  /// All as tensors that view this object.
  std::vector<StoredTensor> tensors() const {
    std::vector<StoredTensor> result;
    for (const auto &[name, tensor] : decoded)
      result.push_back({name, tensor.dtype, tensor.shape, stored.at(name)});
    return result;
  }

  std::map<std::string, NaiveTensor> decoded;
  std::map<std::string, std::vector<std::byte>> stored;
  std::mt19937 random{7};

private:
  void fill(DType dtype, std::vector<std::byte> &bytes, NaiveTensor &tensor) {
    if (isComputeFloat(dtype)) {
      std::normal_distribution<float> normal;
      for (float &value : tensor.values)
        value = normal(random);
      bytes = encode(tensor);
      return;
    }
    // Random, but for the f16 scales of Q8_0, Q4_K and Q6_K, and what would be
    // no number or too large a one.
    for (std::byte &byte : bytes)
      byte = static_cast<std::byte>(random() & 0xff);
    if (dtype == DType::F8_E4M3 || dtype == DType::F8_E8M0)
      for (std::byte &byte : bytes)
        byte &= static_cast<std::byte>(dtype == DType::F8_E4M3 ? 0xbe : 0x8f);
    if (!isBlockType(dtype) || blockLength(dtype) == 2)
      return;
    size_t block = static_cast<size_t>(bytesPerBlock(dtype));
    size_t scale = dtype == DType::Q6_K ? 208 : 0;
    for (size_t at = scale; at < bytes.size(); at += block) {
      uint16_t bits = f32ToF16(0.01f + 0.001f * static_cast<float>(at % 7));
      std::memcpy(&bytes[at], &bits, sizeof(bits));
      if (dtype == DType::Q4_K)
        std::memcpy(&bytes[at + 2], &bits, sizeof(bits));
    }
  }
};

} // namespace clade::rt::test

#endif // CLADE_TEST_WEIGHTS_SOURCES_H
