//===- GGUFWriter.cpp - Writing a GGUF file -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors lie in the given order, each at a multiple of 32 bytes, the default
// alignment.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/GGUFWriter.h"

#include "runtime/Formats/GGUF.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"

#include <set>

using namespace clade::rt;

namespace {

constexpr int64_t tensorAlignment = 32;
constexpr size_t maxDimensions = 4;

/// Appends little-endian values.
class GGUFText {
public:
  template <typename T> void number(T value) {
    text.append(reinterpret_cast<const char *>(&value), sizeof(value));
  }
  void type(GGUFType value) { number(static_cast<uint32_t>(value)); }
  void string(std::string_view value) {
    number<uint64_t>(value.size());
    text += value;
  }
  std::string text;
};

/// Writes a value with its type in front.
struct ValueWriter {
  GGUFText &out;

  void operator()(uint32_t value) const { scalar(GGUFType::U32, value); }
  void operator()(float value) const { scalar(GGUFType::F32, value); }
  void operator()(bool value) const {
    scalar(GGUFType::Bool, static_cast<uint8_t>(value));
  }
  void operator()(const std::string &value) const {
    out.type(GGUFType::String);
    out.string(value);
  }
  void operator()(const std::vector<std::string> &values) const {
    list(GGUFType::String, values.size());
    for (const std::string &value : values)
      out.string(value);
  }
  void operator()(const std::vector<float> &values) const {
    list(GGUFType::F32, values.size());
    for (float value : values)
      out.number(value);
  }
  void operator()(const std::vector<int32_t> &values) const {
    list(GGUFType::I32, values.size());
    for (int32_t value : values)
      out.number(value);
  }

private:
  template <typename T> void scalar(GGUFType type, T value) const {
    out.type(type);
    out.number(value);
  }
  void list(GGUFType element, size_t count) const {
    out.type(GGUFType::Array);
    out.type(element);
    out.number<uint64_t>(count);
  }
};

/// Appends the description of a tensor, whose data is at `offset`.
Status describeTensor(const StoredTensor &tensor, int64_t offset,
                      GGUFText &out) {
  std::optional<uint32_t> type = ggufTensorType(tensor.dtype);
  if (!type)
    return Status::invalidArgument("tensor " + quoteName(tensor.name) +
                                   " has type " +
                                   std::string(dtypeName(tensor.dtype)) +
                                   ", which GGUF files cannot hold");
  if (tensor.shape.size() > maxDimensions)
    return Status::invalidArgument("tensor " + quoteName(tensor.name) +
                                   " has the shape " + shapeText(tensor.shape) +
                                   ", expected at most 4 dimensions");
  out.string(tensor.name);
  out.number(static_cast<uint32_t>(tensor.shape.size()));
  for (size_t i = tensor.shape.size(); i-- > 0;)
    out.number(static_cast<uint64_t>(tensor.shape[i]));
  out.number(*type);
  out.number(static_cast<uint64_t>(offset));
  return {};
}

} // namespace

StatusOr<GGUFLayout>
clade::rt::layOutGGUF(std::span<const GGUFEntry> metadata,
                      std::span<const StoredTensor> tensors) {
  GGUFText out;
  out.text = "GGUF";
  out.number<uint32_t>(3);
  out.number<uint64_t>(tensors.size());
  out.number<uint64_t>(metadata.size());
  std::set<std::string_view> names;
  for (const GGUFEntry &entry : metadata) {
    if (!names.insert(entry.key).second)
      return Status::invalidArgument("two metadata entries are named " +
                                     quoteName(entry.key));
    out.string(entry.key);
    std::visit(ValueWriter{out}, entry.value);
  }
  GGUFLayout layout;
  names.clear();
  int64_t end = 0;
  for (const StoredTensor &tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return Status::invalidArgument("two tensors are named " +
                                     quoteName(tensor.name));
    std::optional<int64_t> size = tensorBytes(tensor.dtype, tensor.shape);
    std::optional<int64_t> begin = checkedAlignUp(end, tensorAlignment);
    std::optional<int64_t> next =
        size && begin ? checkedAdd(*begin, *size) : std::nullopt;
    if (!next)
      return Status::invalidArgument(
          "tensor " + quoteName(tensor.name) + " has the shape " +
          shapeText(tensor.shape) + ", which " +
          std::string(dtypeName(tensor.dtype)) + " blocks cannot hold");
    layout.offsets.push_back(*begin);
    end = *next;
    CLADE_RETURN_IF_ERROR(describeTensor(tensor, *begin, out));
  }
  auto alignment = static_cast<size_t>(tensorAlignment);
  size_t padding = (alignment - out.text.size() % alignment) % alignment;
  out.text.append(padding, '\0');
  layout.header = std::move(out.text);
  auto start = static_cast<int64_t>(layout.header.size());
  for (int64_t &offset : layout.offsets)
    offset += start;
  layout.bytes = start + end;
  return layout;
}
