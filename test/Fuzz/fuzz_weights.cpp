//===- fuzz_weights.cpp - Arbitrary text as a weight table ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs small programs, too, over sources of zeros.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/Evaluator.h"

#include <cstdlib>

using namespace clade::rt;

namespace {

constexpr int64_t maxElements = 1 << 12;

/// Whether no node of the program is larger than a fuzzer should make.
bool isSmall(const WeightNode &node) {
  int64_t count = 1;
  for (int64_t dim : node.shape) {
    if (dim > maxElements / count)
      return false;
    count *= dim;
  }
  for (const WeightNode &input : node.inputs)
    if (!isSmall(input))
      return false;
  return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  StatusOr<WeightTable> table = WeightTable::parse(text, "f");
  if (!table.ok())
    return 0;
  static const std::vector<std::byte> zeros(maxElements * 8);
  for (const WeightEntry &entry : table->entries) {
    if (!isSmall(entry.program))
      continue;
    auto bound = bindProgram(
        entry.program, [](const WeightNode &source) -> StatusOr<ByteSpan> {
          auto bytes = tensorBytes(source.dtype, source.shape);
          return ByteSpan(zeros).first(static_cast<size_t>(*bytes));
        });
    if (!bound.ok())
      continue;
    Scratch scratch;
    const Evaluator &evaluator = **bound;
    std::vector<std::byte> out(
        static_cast<size_t>(evaluator.bytes(evaluator.count())));
    evaluator.read(0, evaluator.count(), out.data(), scratch);
  }
  return 0;
}
