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

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr uint64_t dataAlignment = 64;

Status checkTensor(const StoredTensor &tensor) {
  if (tensor.name == "__metadata__")
    return Status::invalidArgument("a tensor cannot be named '__metadata__'");
  if (isBlockType(tensor.dtype) && tensor.dtype != DType::F4)
    return Status::invalidArgument("tensor " + quoteName(tensor.name) +
                                   " has block type " +
                                   std::string(dtypeName(tensor.dtype)) +
                                   ", which safetensors cannot hold");
  std::optional<int64_t> size = tensorBytes(tensor.dtype, tensor.shape);
  if (!size || static_cast<uint64_t>(*size) != tensor.bytes.size())
    return Status::invalidArgument(
        "tensor " + quoteName(tensor.name) + " has " +
        std::to_string(tensor.bytes.size()) + " bytes, which is not dtype " +
        std::string(dtypeName(tensor.dtype)) + " and shape " +
        shapeText(tensor.shape));
  return {};
}

using Order = std::vector<const StoredTensor *>;

StatusOr<Order> layOut(std::span<const StoredTensor> tensors) {
  Order order;
  for (const StoredTensor &tensor : tensors) {
    CLADE_RETURN_IF_ERROR(checkTensor(tensor));
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const auto *a, const auto *b) {
    int64_t sizeA = bytesPerBlock(a->dtype), sizeB = bytesPerBlock(b->dtype);
    return sizeA != sizeB ? sizeA > sizeB : a->name < b->name;
  });
  return order;
}

StatusOr<std::string>
buildHeader(const Order &order,
            const std::map<std::string, std::string> &metadata) {
  json header = json::object();
  if (!metadata.empty())
    header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const StoredTensor *tensor : order) {
    if (header.contains(tensor->name))
      return Status::invalidArgument("two tensors are named " +
                                     quoteName(tensor->name));
    std::optional<uint64_t> end =
        checkedAdd<uint64_t>(offset, tensor->bytes.size());
    if (!end)
      return Status::invalidArgument("the tensors do not fit in 64 bits");
    header[tensor->name] = {{"dtype", dtypeName(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, *end}}};
    offset = *end;
  }
  try {
    std::string text = header.dump();
    // Trailing spaces are part of the format; they align the data.
    text.resize(*checkedAlignUp<uint64_t>(8 + text.size(), dataAlignment) - 8,
                ' ');
    return text;
  } catch (const json::type_error &) {
    return Status::invalidArgument("a tensor name or metadata is not UTF-8");
  }
}

} // namespace

Status clade::rt::writeSafetensors(
    const std::string &path, std::span<const StoredTensor> tensors,
    const std::map<std::string, std::string> &metadata) {
  CLADE_ASSIGN_OR_RETURN(Order order, layOut(tensors));
  CLADE_ASSIGN_OR_RETURN(std::string header, buildHeader(order, metadata));
  CLADE_ASSIGN_OR_RETURN(auto file, AtomicFile::create(path));
  uint64_t length = header.size();
  CLADE_RETURN_IF_ERROR(file->append(std::as_bytes(std::span(&length, 1))));
  CLADE_RETURN_IF_ERROR(file->append(header));
  for (const StoredTensor *tensor : order)
    CLADE_RETURN_IF_ERROR(file->append(tensor->bytes));
  return file->commit();
}
