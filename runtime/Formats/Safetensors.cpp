//===- Safetensors.cpp - Reading one safetensors file ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Checks, in this order: the header's length, its JSON, each tensor by itself,
// then that the tensors tile the data without overlap or hole.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Safetensors.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// The limit of the reference implementation.
constexpr uint64_t maxHeaderBytes = 100'000'000;
/// {"tensor": {"shape": [1]}} has three levels.
constexpr int maxHeaderDepth = 8;
constexpr std::string_view metadataKey = "__metadata__";

/// A file's bytes, cut into its parts.
struct FileParts {
  std::string_view header;
  ByteSpan data;
  uint64_t dataBegin; ///< Offset of `data` in the file.
};

StatusOr<FileParts> splitFile(ByteSpan image) {
  constexpr size_t lengthBytes = sizeof(uint64_t);
  if (image.size() < lengthBytes)
    return Status::corruption("file has " + std::to_string(image.size()) +
                              " bytes, expected at least 8 for the header's "
                              "length");
  uint64_t length;
  std::memcpy(&length, image.data(), lengthBytes);
  if (length > maxHeaderBytes)
    return Status::corruption("header length is " + std::to_string(length) +
                              " bytes, expected at most " +
                              std::to_string(maxHeaderBytes));
  if (length > image.size() - lengthBytes)
    return Status::corruption(
        "header length is " + std::to_string(length) + " bytes, but only " +
        std::to_string(image.size() - lengthBytes) + " bytes follow");
  std::string_view header(
      reinterpret_cast<const char *>(image.data()) + lengthBytes, length);
  if (header.empty() || header.front() != '{')
    return Status::corruption("header does not begin with '{'");
  uint64_t dataBegin = lengthBytes + length;
  return FileParts{header, image.subspan(dataBegin), dataBegin};
}

std::string kindOf(const json &value) { return value.type_name(); }

Status readMetadata(const json &value,
                    std::map<std::string, std::string> &metadata) {
  if (!value.is_object())
    return Status::corruption("'__metadata__' is of type " + kindOf(value) +
                              ", expected an object of strings");
  for (const auto &[key, text] : value.items()) {
    if (!text.is_string())
      return Status::corruption("'__metadata__' key " + quoteName(key) +
                                " is of type " + kindOf(text) +
                                ", expected a string");
    metadata[key] = text.get_ref<const std::string &>();
  }
  return {};
}

/// The member `key` of a tensor's entry, which must exist.
StatusOr<const json *> member(const json &entry, const char *key) {
  auto found = entry.find(key);
  if (found == entry.end())
    return Status::corruption("has no '" + std::string(key) + "'");
  return &*found;
}

StatusOr<DType> readDType(const json &value) {
  if (!value.is_string())
    return Status::corruption("has a 'dtype' of type " + kindOf(value) +
                              ", expected a string");
  const std::string &name = value.get_ref<const std::string &>();
  std::optional<DType> type = parseDType(name);
  // Names are upper case in files, and the other block types are GGUF's.
  bool isForeign = type && isBlockType(*type) && *type != DType::F4;
  if (!type || isForeign || dtypeName(*type) != name)
    return Status::unsupported("has unknown dtype " + quoteName(name));
  return *type;
}

StatusOr<std::vector<int64_t>> readShape(const json &value) {
  if (!value.is_array())
    return Status::corruption("has a 'shape' of type " + kindOf(value) +
                              ", expected an array");
  std::vector<int64_t> shape;
  for (const json &dim : value) {
    if (dim.is_number_integer() && !dim.is_number_unsigned())
      return Status::corruption("has the negative dimension " + dim.dump());
    if (!dim.is_number_unsigned() || dim.get<uint64_t>() > INT64_MAX)
      return Status::corruption("has the dimension " + quoteName(dim.dump()) +
                                ", expected an integer below 2^63");
    shape.push_back(dim.get<int64_t>());
  }
  return shape;
}

/// Checks "data_offsets" against the data and the size that shape and dtype
/// give, and returns the range.
StatusOr<ByteSpan> readRange(const json &value, const FileParts &parts,
                             const StoredTensor &tensor) {
  if (!value.is_array() || value.size() != 2 ||
      !value[0].is_number_unsigned() || !value[1].is_number_unsigned())
    return Status::corruption(
        "has 'data_offsets' " + quoteName(value.dump()) +
        ", expected two non-negative integers [begin, end]");
  uint64_t begin = value[0].get<uint64_t>(), end = value[1].get<uint64_t>();
  std::string range =
      "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
  if (begin > end)
    return Status::corruption("has the byte range " + range +
                              ", which ends before it begins");
  if (end > parts.data.size())
    return Status::corruption(
        "has the byte range " + range + ", but the file holds " +
        std::to_string(parts.data.size()) + " bytes of data; is it truncated?");

  std::string form = std::string(dtypeName(tensor.dtype)) + " and shape " +
                     shapeText(tensor.shape);
  std::optional<int64_t> size = tensorBytes(tensor.dtype, tensor.shape);
  if (!size)
    return Status::corruption("has dtype " + form +
                              ", whose size does not fit in 63 bits");
  if (end - begin != static_cast<uint64_t>(*size))
    return Status::corruption(
        "has the byte range " + range + " of " + std::to_string(end - begin) +
        " bytes, but dtype " + form + " needs " + std::to_string(*size));
  uint64_t elementBytes = static_cast<uint64_t>(bytesPerBlock(tensor.dtype));
  if (*size > 0 && (parts.dataBegin + begin) % elementBytes != 0)
    return Status::corruption(
        "starts at byte " + std::to_string(parts.dataBegin + begin) +
        " of the file, which is not a multiple of the " +
        std::to_string(elementBytes) + " bytes of dtype " +
        std::string(dtypeName(tensor.dtype)));
  return parts.data.subspan(begin, end - begin);
}

Status readEntry(const json &entry, const FileParts &parts,
                 StoredTensor &tensor) {
  if (!entry.is_object())
    return Status::corruption("is of type " + kindOf(entry) +
                              ", expected an object");
  CLADE_ASSIGN_OR_RETURN(const json *dtype, member(entry, "dtype"));
  CLADE_ASSIGN_OR_RETURN(const json *shape, member(entry, "shape"));
  CLADE_ASSIGN_OR_RETURN(const json *offsets, member(entry, "data_offsets"));
  CLADE_ASSIGN_OR_RETURN(tensor.dtype, readDType(*dtype));
  CLADE_ASSIGN_OR_RETURN(tensor.shape, readShape(*shape));
  CLADE_ASSIGN_OR_RETURN(tensor.bytes, readRange(*offsets, parts, tensor));
  return {};
}

/// Checks that the tensors' ranges tile `data` exactly.
Status checkTiling(std::span<const StoredTensor> tensors, ByteSpan data) {
  std::vector<const StoredTensor *> order;
  for (const StoredTensor &tensor : tensors)
    order.push_back(&tensor);
  // By place; at the same place the empty ones come first.
  std::sort(order.begin(), order.end(), [](const auto *a, const auto *b) {
    if (a->bytes.data() != b->bytes.data())
      return a->bytes.data() < b->bytes.data();
    return a->bytes.size() < b->bytes.size();
  });

  size_t position = 0;
  const StoredTensor *previous = nullptr;
  for (const StoredTensor *tensor : order) {
    size_t begin = static_cast<size_t>(tensor->bytes.data() - data.data());
    if (begin < position)
      return Status::corruption("tensors " + quoteName(previous->name) +
                                " and " + quoteName(tensor->name) +
                                " overlap at byte " + std::to_string(begin) +
                                " of the data");
    if (begin > position)
      return Status::corruption(
          "bytes [" + std::to_string(position) + ", " + std::to_string(begin) +
          ") of the data, before "
          "tensor " +
          quoteName(tensor->name) + ", belong to no tensor");
    position = begin + tensor->bytes.size();
    previous = tensor;
  }
  if (position != data.size())
    return Status::corruption(std::to_string(data.size() - position) +
                              " bytes at the end of the file belong to no "
                              "tensor");
  return {};
}

Status parseInto(ByteSpan image, std::vector<StoredTensor> &tensors,
                 std::map<std::string, std::string> &metadata) {
  CLADE_ASSIGN_OR_RETURN(FileParts parts, splitFile(image));
  // A header of the largest models has 100,000 entries: none is kept. What is
  // wrong with the first of them by name is told, once the whole is read.
  std::optional<std::pair<std::string, Status>> problem;
  int metadataCount = 0;
  auto readMember = [&](std::string &&name, json &&entry) {
    bool isMetadata = name == metadataKey;
    StoredTensor tensor;
    Status status = isMetadata ? readMetadata(entry, metadata)
                               : readEntry(entry, parts, tensor);
    metadataCount += isMetadata;
    if (!status.ok() && (!problem || name < problem->first))
      problem.emplace(name, std::move(status));
    tensor.name = std::move(name);
    if (!isMetadata)
      tensors.push_back(std::move(tensor));
  };
  StatusOr<json> header =
      parseJsonMembers(parts.header, std::nullopt, readMember, maxHeaderDepth);
  if (!header.ok())
    return header.takeStatus().withContext("header");
  if (metadataCount > 1)
    return duplicateKey(metadataKey).withContext("header");
  auto byName = [](const auto &a, const auto &b) { return a.name < b.name; };
  if (!std::is_sorted(tensors.begin(), tensors.end(), byName))
    std::sort(tensors.begin(), tensors.end(), byName);
  auto twice = std::adjacent_find(
      tensors.begin(), tensors.end(),
      [](const auto &a, const auto &b) { return a.name == b.name; });
  if (twice != tensors.end())
    return duplicateKey(twice->name).withContext("header");
  if (problem && problem->first == metadataKey)
    return std::move(problem->second);
  if (problem)
    return Status(problem->second.code(), "tensor " +
                                              quoteName(problem->first) + " " +
                                              problem->second.message());
  return checkTiling(tensors, parts.data);
}

} // namespace

const StoredTensor *clade::rt::findTensor(std::span<const StoredTensor> tensors,
                                          std::string_view name) {
  auto found = std::lower_bound(
      tensors.begin(), tensors.end(), name,
      [](const StoredTensor &t, std::string_view key) { return t.name < key; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

StatusOr<SafetensorsFile> SafetensorsFile::parse(ByteSpan image,
                                                 const std::string &name) {
  SafetensorsFile result;
  result.filePath = name;
  Status status = parseInto(image, result.tensorList, result.metadataMap);
  if (!status.ok())
    return std::move(status).withContext(quoteName(name));
  return result;
}

StatusOr<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  CLADE_ASSIGN_OR_RETURN(auto mapping, MappedFile::open(path));
  CLADE_ASSIGN_OR_RETURN(auto result, parse(mapping->bytes(), path));
  result.file = std::move(mapping);
  return result;
}
