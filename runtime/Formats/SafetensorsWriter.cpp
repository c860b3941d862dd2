//===- SafetensorsWriter.cpp - Writing a safetensors file -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors are laid out by falling element size, then name: with no padding
// allowed between them, that keeps every one aligned to its own elements.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Safetensors.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <numeric>

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr uint64_t dataAlignment = 64;
constexpr int64_t maxFileBytes = int64_t(1) << 60;

/// The bytes of a tensor, or why it cannot be in a file.
StatusOr<int64_t> sizeOf(const StoredTensor &tensor) {
  if (tensor.name == "__metadata__")
    return Status::invalidArgument("a tensor cannot be named '__metadata__'");
  if (isBlockType(tensor.dtype) && tensor.dtype != DType::F4)
    return Status::invalidArgument("tensor " + quoteName(tensor.name) +
                                   " has block type " +
                                   std::string(dtypeName(tensor.dtype)) +
                                   ", which safetensors cannot hold");
  std::optional<int64_t> size = tensorBytes(tensor.dtype, tensor.shape);
  if (!size)
    return Status::invalidArgument("tensor " + quoteName(tensor.name) +
                                   " has the shape " + shapeText(tensor.shape) +
                                   ", which has no size in bytes");
  return *size;
}

Status checkBytes(const StoredTensor &tensor) {
  CLADE_ASSIGN_OR_RETURN(int64_t size, sizeOf(tensor));
  if (static_cast<uint64_t>(size) != tensor.bytes.size())
    return Status::invalidArgument(
        "tensor " + quoteName(tensor.name) + " has " +
        std::to_string(tensor.bytes.size()) + " bytes, which is not dtype " +
        std::string(dtypeName(tensor.dtype)) + " and shape " +
        shapeText(tensor.shape));
  return {};
}

/// The order of tensors in a file, as indices.
std::vector<size_t> orderOf(std::span<const StoredTensor> tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) {
    const StoredTensor &a = tensors[i], &b = tensors[j];
    int64_t sizeA = bytesPerBlock(a.dtype), sizeB = bytesPerBlock(b.dtype);
    return sizeA != sizeB ? sizeA > sizeB : a.name < b.name;
  });
  return order;
}

} // namespace

StatusOr<SafetensorsLayout> clade::rt::layOutSafetensors(
    std::span<const StoredTensor> tensors,
    const std::map<std::string, std::string> &metadata) {
  json header = json::object();
  if (!metadata.empty())
    header["__metadata__"] = metadata;
  SafetensorsLayout layout;
  layout.offsets.resize(tensors.size());
  int64_t offset = 0;
  for (size_t index : orderOf(tensors)) {
    const StoredTensor &tensor = tensors[index];
    CLADE_ASSIGN_OR_RETURN(int64_t size, sizeOf(tensor));
    if (header.contains(tensor.name))
      return Status::invalidArgument("two tensors are named " +
                                     quoteName(tensor.name));
    std::optional<int64_t> end = checkedAdd(offset, size);
    if (!end || *end > maxFileBytes)
      return Status::invalidArgument("the tensors do not fit in one file");
    header[tensor.name] = {{"dtype", dtypeName(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, *end}}};
    layout.offsets[index] = offset;
    offset = *end;
  }
  try {
    std::string text = header.dump();
    // Trailing spaces are part of the format; they align the data.
    text.resize(*checkedAlignUp<uint64_t>(8 + text.size(), dataAlignment) - 8,
                ' ');
    uint64_t length = text.size();
    layout.header.assign(reinterpret_cast<const char *>(&length),
                         sizeof(length));
    layout.header += text;
  } catch (const json::type_error &) {
    return Status::invalidArgument("a tensor name or metadata is not UTF-8");
  }
  auto start = static_cast<int64_t>(layout.header.size());
  for (int64_t &begin : layout.offsets)
    begin += start;
  layout.bytes = start + offset;
  return layout;
}

Status clade::rt::writeSafetensors(
    const std::string &path, std::span<const StoredTensor> tensors,
    const std::map<std::string, std::string> &metadata) {
  for (const StoredTensor &tensor : tensors)
    CLADE_RETURN_IF_ERROR(checkBytes(tensor));
  CLADE_ASSIGN_OR_RETURN(SafetensorsLayout layout,
                         layOutSafetensors(tensors, metadata));
  CLADE_ASSIGN_OR_RETURN(auto file, AtomicFile::create(path));
  CLADE_RETURN_IF_ERROR(file->append(layout.header));
  for (size_t index : orderOf(tensors))
    CLADE_RETURN_IF_ERROR(file->append(tensors[index].bytes));
  return file->commit();
}
