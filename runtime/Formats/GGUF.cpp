//===- GGUF.cpp - Reading a GGUF file -------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A forward-only parser. Every read goes through take(), which knows the
// file's end; counts are checked against the bytes that are left before
// anything is reserved for them.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/GGUF.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

constexpr uint32_t maxDims = 4; // ggml's own limit
constexpr int maxArrayDepth = 8;

/// Bytes of a scalar of `type`; 0 for strings and arrays.
size_t scalarBytes(GGUFType type) {
  switch (type) {
  case GGUFType::U8:
  case GGUFType::I8:
  case GGUFType::Bool:
    return 1;
  case GGUFType::U16:
  case GGUFType::I16:
    return 2;
  case GGUFType::U32:
  case GGUFType::I32:
  case GGUFType::F32:
    return 4;
  case GGUFType::U64:
  case GGUFType::I64:
  case GGUFType::F64:
    return 8;
  case GGUFType::String:
  case GGUFType::Array:
    return 0;
  }
  return 0;
}

struct TensorTypeRow {
  uint32_t number;
  DType type;
};

/// ggml's numbers for the types that can be decoded.
constexpr TensorTypeRow tensorTypes[] = {
    {0, DType::F32},     {1, DType::F16},     {2, DType::Q4_0},
    {3, DType::Q4_1},    {6, DType::Q5_0},    {7, DType::Q5_1},
    {8, DType::Q8_0},    {10, DType::Q2_K},   {11, DType::Q3_K},
    {12, DType::Q4_K},   {13, DType::Q5_K},   {14, DType::Q6_K},
    {20, DType::IQ4_NL}, {23, DType::IQ4_XS}, {24, DType::I8},
    {25, DType::I16},    {26, DType::I32},    {27, DType::I64},
    {28, DType::F64},    {30, DType::BF16},   {39, DType::MXFP4},
};

StatusOr<DType> tensorType(uint32_t number) {
  for (const TensorTypeRow &row : tensorTypes)
    if (row.number == number)
      return row.type;
  std::string known;
  for (const TensorTypeRow &row : tensorTypes)
    known += (known.empty() ? "" : ", ") + std::string(dtypeName(row.type));
  return Status::unsupported("has ggml type " + std::to_string(number) +
                             ", expected one of " + known);
}

} // namespace

std::optional<uint32_t> clade::rt::ggufTensorType(DType type) {
  for (const TensorTypeRow &row : tensorTypes)
    if (row.type == type)
      return row.number;
  return std::nullopt;
}

namespace clade::rt {

/// Reads one image into a GGUFFile. The image outlives the file object.
class GGUFParser {
public:
  GGUFParser(ByteSpan image, GGUFFile &file) : image(image), file(file) {}

  Status run();

private:
  /// What a tensor info says before its data is located.
  struct Info {
    StoredTensor tensor;
    uint64_t offset = 0;
  };

  uint64_t left() const { return image.size() - position; }
  std::string here() const {
    return "byte " + std::to_string(position) + " of " +
           std::to_string(image.size());
  }

  StatusOr<ByteSpan> take(uint64_t count, const char *what);
  template <typename T> StatusOr<T> number(const char *what);
  StatusOr<std::string_view> string(const char *what);
  StatusOr<GGUFType> valueType();
  Status checkCount(uint64_t count, uint64_t minBytes, const char *what);

  Status readHeader();
  Status readPair();
  Status readAlignment();
  Status readValue(GGUFType type, int depth, GGUFValue &value);
  Status readArray(int depth, GGUFValue &value);
  Status readInfo(Info &info);
  Status readShape(StoredTensor &tensor);
  Status locateData(std::span<Info> infos);
  Status checkOverlap(std::span<const Info> infos);

  ByteSpan image;
  GGUFFile &file;
  size_t position = 0;
  uint64_t tensorCount = 0;
  uint64_t pairCount = 0;
};

StatusOr<ByteSpan> GGUFParser::take(uint64_t count, const char *what) {
  if (count > left())
    return Status::corruption("file ends at " + here() + " inside " + what +
                              ", which needs " + std::to_string(count) +
                              " bytes; is it truncated?");
  ByteSpan result = image.subspan(position, count);
  position += count;
  return result;
}

template <typename T> StatusOr<T> GGUFParser::number(const char *what) {
  CLADE_ASSIGN_OR_RETURN(ByteSpan bytes, take(sizeof(T), what));
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

StatusOr<std::string_view> GGUFParser::string(const char *what) {
  CLADE_ASSIGN_OR_RETURN(uint64_t length, number<uint64_t>(what));
  CLADE_ASSIGN_OR_RETURN(ByteSpan bytes, take(length, what));
  return std::string_view(reinterpret_cast<const char *>(bytes.data()),
                          bytes.size());
}

StatusOr<GGUFType> GGUFParser::valueType() {
  CLADE_ASSIGN_OR_RETURN(uint32_t type, number<uint32_t>("a value's type"));
  if (type > static_cast<uint32_t>(GGUFType::F64))
    return Status::corruption("has value type " + std::to_string(type) +
                              ", expected 0 to 12");
  return static_cast<GGUFType>(type);
}

Status GGUFParser::checkCount(uint64_t count, uint64_t minBytes,
                              const char *what) {
  if (count <= left() / minBytes)
    return {};
  return Status::corruption("file claims " + std::to_string(count) + " " +
                            what + ", which do not fit in the " +
                            std::to_string(left()) +
                            " bytes left; is it truncated?");
}

Status GGUFParser::readHeader() {
  CLADE_ASSIGN_OR_RETURN(ByteSpan magic, take(4, "the magic number"));
  if (std::memcmp(magic.data(), "GGUF", 4) != 0)
    return Status::corruption("file does not begin with 'GGUF'");
  CLADE_ASSIGN_OR_RETURN(uint32_t version, number<uint32_t>("the version"));
  if (version == __builtin_bswap32(2) || version == __builtin_bswap32(3))
    return Status::unsupported("file is big-endian, expected little-endian");
  if (version != 2 && version != 3)
    return Status::unsupported("file has version " + std::to_string(version) +
                               ", expected 2 or 3");
  file.fileVersion = version;
  CLADE_ASSIGN_OR_RETURN(tensorCount, number<uint64_t>("the tensor count"));
  CLADE_ASSIGN_OR_RETURN(pairCount, number<uint64_t>("the key count"));
  // The least: a length, a type, one byte; a length, a count, a type, an
  // offset.
  CLADE_RETURN_IF_ERROR(checkCount(pairCount, 13, "keys"));
  return checkCount(tensorCount, 24, "tensors");
}

Status GGUFParser::readPair() {
  CLADE_ASSIGN_OR_RETURN(std::string_view key, string("a metadata key"));
  GGUFValue value;
  StatusOr<GGUFType> type = valueType();
  Status status =
      type.ok() ? readValue(*type, /*depth=*/0, value) : type.takeStatus();
  if (!status.ok())
    return Status(status.code(),
                  "key " + quoteName(key) + ": " + status.message());
  if (!file.values.emplace(key, std::move(value)).second)
    return Status::corruption("key " + quoteName(key) + " appears twice");
  return {};
}

Status GGUFParser::readValue(GGUFType type, int depth, GGUFValue &value) {
  value.valueType = type;
  if (type == GGUFType::Array)
    return readArray(depth, value);
  if (type == GGUFType::String) {
    CLADE_ASSIGN_OR_RETURN(std::string_view text, string("a string"));
    value.raw = std::as_bytes(std::span(text.data(), text.size()));
    return {};
  }
  CLADE_ASSIGN_OR_RETURN(value.raw, take(scalarBytes(type), "a value"));
  if (type == GGUFType::Bool && std::to_integer<int>(value.raw[0]) > 1)
    return Status::corruption(
        "is the bool " + std::to_string(std::to_integer<int>(value.raw[0])) +
        ", expected 0 or 1");
  return {};
}

Status GGUFParser::readArray(int depth, GGUFValue &value) {
  if (depth >= maxArrayDepth)
    return Status::corruption("arrays are nested deeper than " +
                              std::to_string(maxArrayDepth) + " levels");
  CLADE_ASSIGN_OR_RETURN(value.arrayType, valueType());
  CLADE_ASSIGN_OR_RETURN(uint64_t count, number<uint64_t>("an array's length"));
  value.arrayLength = count;
  if (size_t bytes = scalarBytes(value.arrayType)) {
    CLADE_RETURN_IF_ERROR(checkCount(count, bytes, "array elements"));
    CLADE_ASSIGN_OR_RETURN(value.raw, take(count * bytes, "an array"));
    return {};
  }
  if (value.arrayType == GGUFType::String) {
    CLADE_RETURN_IF_ERROR(checkCount(count, 8, "strings"));
    auto &strings = value.elements.emplace<std::vector<std::string_view>>();
    strings.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      CLADE_ASSIGN_OR_RETURN(std::string_view text, string("a string"));
      strings.push_back(text);
    }
    return {};
  }
  CLADE_RETURN_IF_ERROR(checkCount(count, 12, "arrays"));
  auto &arrays = value.elements.emplace<std::vector<GGUFValue>>();
  for (uint64_t i = 0; i < count; ++i) {
    CLADE_RETURN_IF_ERROR(
        readValue(GGUFType::Array, depth + 1, arrays.emplace_back()));
  }
  return {};
}

Status GGUFParser::readShape(StoredTensor &tensor) {
  CLADE_ASSIGN_OR_RETURN(uint32_t dims, number<uint32_t>("a tensor's shape"));
  if (dims > maxDims)
    return Status::corruption("has " + std::to_string(dims) +
                              " dimensions, expected at most " +
                              std::to_string(maxDims));
  for (uint32_t i = 0; i < dims; ++i) {
    CLADE_ASSIGN_OR_RETURN(uint64_t dim, number<uint64_t>("a tensor's shape"));
    if (dim > INT64_MAX)
      return Status::corruption("has the dimension " + std::to_string(dim) +
                                ", expected less than 2^63");
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(dim));
  }
  return {};
}

Status GGUFParser::readInfo(Info &info) {
  StoredTensor &tensor = info.tensor;
  CLADE_RETURN_IF_ERROR(readShape(tensor));
  CLADE_ASSIGN_OR_RETURN(uint32_t type, number<uint32_t>("a tensor's type"));
  CLADE_ASSIGN_OR_RETURN(info.offset, number<uint64_t>("a tensor's offset"));
  CLADE_ASSIGN_OR_RETURN(tensor.dtype, tensorType(type));
  int64_t block = blockLength(tensor.dtype);
  if (block > 1 && (tensor.shape.empty() || tensor.shape.back() % block != 0))
    return Status::corruption(
        "has type " + std::string(dtypeName(tensor.dtype)) + " and shape " +
        shapeText(tensor.shape) +
        ", expected a last dimension that is a multiple of " +
        std::to_string(block));
  if (!tensorBytes(tensor.dtype, tensor.shape))
    return Status::corruption("has shape " + shapeText(tensor.shape) +
                              ", whose size does not fit in 63 bits");
  if (info.offset % file.dataAlignment != 0)
    return Status::corruption("has the offset " + std::to_string(info.offset) +
                              ", expected a multiple of the alignment " +
                              std::to_string(file.dataAlignment));
  return {};
}

Status GGUFParser::readAlignment() {
  const GGUFValue *value = file.find("general.alignment");
  if (!value)
    return {};
  std::optional<uint64_t> alignment = value->asUInt();
  if (!alignment || *alignment == 0 || (*alignment & (*alignment - 1)) != 0 ||
      *alignment > (uint64_t(1) << 30))
    return Status::corruption("key 'general.alignment': expected a power of "
                              "two of at most 2^30");
  file.dataAlignment = *alignment;
  return {};
}

Status GGUFParser::locateData(std::span<Info> infos) {
  uint64_t dataBegin = *checkedAlignUp<uint64_t>(position, file.dataAlignment);
  uint64_t available = dataBegin <= image.size() ? image.size() - dataBegin : 0;
  for (Info &info : infos) {
    StoredTensor &tensor = info.tensor;
    uint64_t size =
        static_cast<uint64_t>(*tensorBytes(tensor.dtype, tensor.shape));
    if (size > available || info.offset > available - size)
      return Status::corruption(
          "tensor " + quoteName(tensor.name) + " needs " +
          std::to_string(size) + " bytes at offset " +
          std::to_string(info.offset) + ", but the file holds " +
          std::to_string(available) + " bytes of data; is it truncated?");
    if (size > 0)
      tensor.bytes = image.subspan(dataBegin + info.offset, size);
  }
  return checkOverlap(infos);
}

Status GGUFParser::checkOverlap(std::span<const Info> infos) {
  std::vector<const Info *> order;
  for (const Info &info : infos)
    if (!info.tensor.bytes.empty())
      order.push_back(&info);
  std::sort(order.begin(), order.end(),
            [](const auto *a, const auto *b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const Info &before = *order[i - 1];
    if (before.offset + before.tensor.bytes.size() > order[i]->offset)
      return Status::corruption("tensors " + quoteName(before.tensor.name) +
                                " and " + quoteName(order[i]->tensor.name) +
                                " overlap at offset " +
                                std::to_string(order[i]->offset));
  }
  return {};
}

Status GGUFParser::run() {
  CLADE_RETURN_IF_ERROR(readHeader());
  for (uint64_t i = 0; i < pairCount; ++i)
    CLADE_RETURN_IF_ERROR(readPair());
  CLADE_RETURN_IF_ERROR(readAlignment());

  std::vector<Info> infos;
  for (uint64_t i = 0; i < tensorCount; ++i) {
    CLADE_ASSIGN_OR_RETURN(std::string_view name, string("a tensor's name"));
    Info &info = infos.emplace_back();
    info.tensor.name = name;
    Status status = readInfo(info);
    if (!status.ok())
      return Status(status.code(),
                    "tensor " + quoteName(name) + " " + status.message());
  }
  std::sort(infos.begin(), infos.end(), [](const Info &a, const Info &b) {
    return a.tensor.name < b.tensor.name;
  });
  for (size_t i = 1; i < infos.size(); ++i)
    if (infos[i].tensor.name == infos[i - 1].tensor.name)
      return Status::corruption("tensor " + quoteName(infos[i].tensor.name) +
                                " appears twice");
  CLADE_RETURN_IF_ERROR(locateData(infos));
  for (Info &info : infos)
    file.tensorList.push_back(std::move(info.tensor));
  return {};
}

} // namespace clade::rt

StatusOr<GGUFFile> GGUFFile::parse(ByteSpan image, const std::string &name) {
  GGUFFile result;
  result.filePath = name;
  Status status = GGUFParser(image, result).run();
  if (!status.ok())
    return std::move(status).withContext(quoteName(name));
  return result;
}

StatusOr<GGUFFile> GGUFFile::open(const std::string &path) {
  CLADE_ASSIGN_OR_RETURN(auto mapping, MappedFile::open(path));
  CLADE_ASSIGN_OR_RETURN(auto result, parse(mapping->bytes(), path));
  result.file = std::move(mapping);
  return result;
}
