//===- RealModelTest.cpp - Loading a published GGUF file ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every tensor of Gemma 3 270M (~/.cache/clade/models/gemma3-270m.gguf), cast
// and packed as compiled products want it.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Support/File.h"
#include "runtime/Weights/WeightLoader.h"
#include "test/Formats/TestFiles.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

constexpr int64_t rows = 32, inner = 2;

std::string entryFor(const StoredTensor &tensor, size_t slot) {
  std::string program = R"({"op":"cast","dtype":"bf16","input":{"op":"source",)"
                        R"("name":")" +
                        tensor.name + R"(","dtype":")" +
                        std::string(dtypeName(tensor.dtype)) + R"(","shape":)" +
                        shapeText(tensor.shape) + "}}";
  if (tensor.shape.size() == 2)
    program = R"({"op":"pack","rows":32,"inner":2,"input":)" + program + "}";
  return R"({"param":")" + tensor.name + R"(","slot":)" + std::to_string(slot) +
         R"(,"program":)" + program + "}";
}

/// Where element (n, k) of a packed [N, K] lies.
int64_t packedIndex(int64_t n, int64_t k, int64_t columns) {
  int64_t units = (columns + inner - 1) / inner;
  return ((n / rows * units + k / inner) * rows + n % rows) * inner + k % inner;
}

/// Checks some 500 rows of one weight against those of its tensor.
void expectWeight(const StoredTensor &tensor, ByteSpan weight) {
  bool isMatrix = tensor.shape.size() == 2;
  int64_t columns = tensor.shape.back();
  int64_t height = isMatrix ? tensor.shape.front() : 1;
  int64_t rowBytes = static_cast<int64_t>(tensor.bytes.size()) / height;
  std::vector<float> row(static_cast<size_t>(columns));
  int64_t wrong = 0;
  for (int64_t n = 0; n < height; n += height / 500 + 1) {
    decodeToF32(tensor.dtype, tensor.bytes.data() + n * rowBytes, columns,
                row.data());
    for (int64_t k = 0; k < columns; ++k) {
      uint16_t made;
      int64_t at = isMatrix ? packedIndex(n, k, columns) : k;
      std::memcpy(&made, weight.data() + at * 2, sizeof(made));
      wrong += made != f32ToBF16(row[static_cast<size_t>(k)]);
    }
  }
  EXPECT_EQ(wrong, 0) << tensor.name;
}

TEST(RealModelWeights, EveryTensorPacked) {
  const char *home = std::getenv("HOME");
  std::string path =
      std::string(home ? home : "") + "/.cache/clade/models/gemma3-270m.gguf";
  if (!fileExists(path))
    GTEST_SKIP() << "no model at " << path;
  auto checkpoint = Checkpoint::open(path);
  ASSERT_OK(checkpoint);
  std::string text;
  const std::vector<StoredTensor> &tensors = checkpoint->tensors();
  for (size_t i = 0; i < tensors.size(); ++i)
    text += (i ? "," : "") + entryFor(tensors[i], i);
  auto table =
      WeightTable::parse(R"({"version":1,"weights":[)" + text + "]}", "f");
  ASSERT_OK(table);
  auto weights = loadWeights(*table, *checkpoint);
  ASSERT_OK(weights);
  for (size_t i = 0; i < tensors.size(); ++i)
    expectWeight(tensors[i], weights->slot(static_cast<int32_t>(i)));
}

} // namespace
