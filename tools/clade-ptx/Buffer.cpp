//===- Buffer.cpp - Elements of a launch file's buffers -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Buffer.h"

#include "lib/PTX/Instructions/Formats.h"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>

using namespace clade::ptx;

namespace {

template <typename T> T readAs(const uint8_t *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <typename T> void appendAs(std::vector<uint8_t> &bytes, T value) {
  const auto *begin = reinterpret_cast<const uint8_t *>(&value);
  bytes.insert(bytes.end(), begin, begin + sizeof value);
}

int64_t integerValue(Type type, const uint8_t *bytes) {
  switch (type) {
  case Type::S8:
    return readAs<int8_t>(bytes);
  case Type::U8:
  case Type::B8:
    return readAs<uint8_t>(bytes);
  case Type::S16:
    return readAs<int16_t>(bytes);
  case Type::U16:
  case Type::B16:
    return readAs<uint16_t>(bytes);
  case Type::S32:
    return readAs<int32_t>(bytes);
  case Type::U32:
  case Type::B32:
    return readAs<uint32_t>(bytes);
  default:
    return readAs<int64_t>(bytes);
  }
}

} // namespace

bool clade::ptx::isFloatElement(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::F32 ||
         type == Type::F64;
}

double clade::ptx::elementValue(Type type, const uint8_t *bytes) {
  switch (type) {
  case Type::F16:
    return halfToFloat(readAs<uint16_t>(bytes));
  case Type::BF16:
    return bfloatToFloat(readAs<uint16_t>(bytes));
  case Type::F32:
    return readAs<float>(bytes);
  case Type::F64:
    return readAs<double>(bytes);
  case Type::U64:
  case Type::B64:
    return double(readAs<uint64_t>(bytes));
  default:
    return double(integerValue(type, bytes));
  }
}

void clade::ptx::appendInteger(std::vector<uint8_t> &bytes, Type type,
                               int64_t value) {
  if (isFloatElement(type))
    return appendElement(bytes, type, double(value));
  const auto *begin = reinterpret_cast<const uint8_t *>(&value);
  bytes.insert(bytes.end(), begin, begin + sizeOf(type));
}

void clade::ptx::appendElement(std::vector<uint8_t> &bytes, Type type,
                               double value) {
  switch (type) {
  case Type::F16:
    return appendAs(bytes, toHalf(value));
  case Type::BF16:
    return appendAs(bytes, toBFloat(value));
  case Type::F32:
    return appendAs(bytes, float(value));
  case Type::F64:
    return appendAs(bytes, value);
  default:
    // Into the range of 64 bits first: the conversion has no other result.
    if (value >= 0x1p63)
      return appendInteger(
          bytes, type,
          int64_t(value < 0x1p64 ? uint64_t(value) : ~uint64_t(0)));
    return appendInteger(bytes, type,
                         value > -0x1p63 ? int64_t(value) : INT64_MIN);
  }
}

std::string clade::ptx::elementText(Type type, const uint8_t *bytes) {
  if (type == Type::U64 || type == Type::B64)
    return std::to_string(readAs<uint64_t>(bytes));
  if (!isFloatElement(type))
    return std::to_string(integerValue(type, bytes));
  char text[40];
  double value = elementValue(type, bytes);
  auto end = type == Type::F64
                 ? std::to_chars(text, text + sizeof text, value)
                 : std::to_chars(text, text + sizeof text, float(value));
  return std::string(text, end.ptr);
}

Result<std::vector<uint8_t>>
clade::ptx::readFile(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path))
    return Error{"cannot read '" + path.string() + "'"};
  return std::vector<uint8_t>(std::istreambuf_iterator<char>(file), {});
}

Status clade::ptx::writeFile(const std::filesystem::path &path,
                             const std::vector<uint8_t> &bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(bytes.data()),
             std::streamsize(bytes.size()));
  file.flush();
  if (!file)
    return Error{"cannot write '" + path.string() + "'"};
  return Done();
}

Result<std::vector<uint8_t>>
clade::ptx::readTensor(const std::filesystem::path &path,
                       const std::string &name) {
  auto bytes = readFile(path);
  if (!bytes)
    return bytes.error();
  auto failure = [&](std::string why) {
    return Error{"'" + path.string() + "': " + std::move(why)};
  };
  uint64_t headerSize =
      bytes->size() >= 8 ? readAs<uint64_t>(bytes->data()) : 0;
  if (bytes->size() < 8 || headerSize > bytes->size() - 8)
    return failure("expected a safetensors file, whose first 8 bytes are the "
                   "size of its header");
  auto header = nlohmann::json::parse(
      bytes->begin() + 8, bytes->begin() + 8 + std::ptrdiff_t(headerSize),
      nullptr, false);
  if (!header.is_object())
    return failure("the header of the safetensors file is not a JSON object");
  auto tensor = header.find(name);
  if (tensor == header.end()) {
    std::string names;
    for (auto &[key, value] : header.items())
      if (key != "__metadata__" && names.size() < 400)
        names += (names.empty() ? "" : ", ") + key;
    return failure("no tensor '" + name + "'; the file has " +
                   (names.empty() ? "none" : names));
  }
  const auto *offsets = tensor->is_object() && tensor->contains("data_offsets")
                            ? &(*tensor)["data_offsets"]
                            : nullptr;
  if (!offsets || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned())
    return failure("tensor '" + name + "' has no data_offsets");
  uint64_t begin = (*offsets)[0], end = (*offsets)[1],
           size = bytes->size() - 8 - headerSize;
  if (begin > end || end > size)
    return failure("the bytes of tensor '" + name + "' lie outside the file");
  auto first = bytes->begin() + std::ptrdiff_t(8 + headerSize + begin);
  return std::vector<uint8_t>(first, first + std::ptrdiff_t(end - begin));
}
