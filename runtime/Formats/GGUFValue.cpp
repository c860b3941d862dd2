//===- GGUFValue.cpp - Typed access to GGUF metadata ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lossless conversions from the stored types, and the required-key accessors.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/GGUF.h"

#include "runtime/Support/Text.h"

#include <cstring>

using namespace clade::rt;

namespace {

/// An integer of any stored type: signed 65 bits would hold them all.
struct Integer {
  bool negative;
  uint64_t bits; ///< Two's complement.
};

template <typename T> T loadAt(ByteSpan raw, size_t index) {
  T value;
  std::memcpy(&value, raw.data() + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T> Integer loadInteger(ByteSpan raw, size_t index) {
  T value = loadAt<T>(raw, index);
  return {value < 0, static_cast<uint64_t>(value)};
}

std::optional<Integer> integerAt(GGUFType type, ByteSpan raw, size_t index) {
  switch (type) {
  case GGUFType::U8:
    return loadInteger<uint8_t>(raw, index);
  case GGUFType::I8:
    return loadInteger<int8_t>(raw, index);
  case GGUFType::U16:
    return loadInteger<uint16_t>(raw, index);
  case GGUFType::I16:
    return loadInteger<int16_t>(raw, index);
  case GGUFType::U32:
    return loadInteger<uint32_t>(raw, index);
  case GGUFType::I32:
    return loadInteger<int32_t>(raw, index);
  case GGUFType::U64:
    return loadInteger<uint64_t>(raw, index);
  case GGUFType::I64:
    return loadInteger<int64_t>(raw, index);
  default:
    return std::nullopt;
  }
}

std::optional<int64_t> intAt(GGUFType type, ByteSpan raw, size_t index) {
  std::optional<Integer> integer = integerAt(type, raw, index);
  if (!integer || (!integer->negative && integer->bits > INT64_MAX))
    return std::nullopt;
  return static_cast<int64_t>(integer->bits);
}

std::optional<double> floatAt(GGUFType type, ByteSpan raw, size_t index) {
  if (type == GGUFType::F32)
    return loadAt<float>(raw, index);
  if (type == GGUFType::F64)
    return loadAt<double>(raw, index);
  std::optional<Integer> integer = integerAt(type, raw, index);
  if (!integer)
    return std::nullopt;
  return integer->negative
             ? static_cast<double>(static_cast<int64_t>(integer->bits))
             : static_cast<double>(integer->bits);
}

/// All elements through `convert(type, raw, index)`, or nothing if one fails.
template <typename T, typename Convert>
std::optional<std::vector<T>> convertAll(GGUFType type, ByteSpan raw,
                                         size_t count, Convert convert) {
  std::vector<T> result;
  result.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    std::optional<T> element = convert(type, raw, i);
    if (!element)
      return std::nullopt;
    result.push_back(*element);
  }
  return result;
}

bool isScalar(GGUFType type) {
  return type != GGUFType::String && type != GGUFType::Array;
}

} // namespace

std::string_view clade::rt::ggufTypeName(GGUFType type) {
  static constexpr std::string_view names[] = {
      "u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
      "bool", "string", "array", "u64", "i64", "f64"};
  return names[static_cast<size_t>(type)];
}

std::optional<int64_t> GGUFValue::asInt() const {
  return intAt(valueType, raw, 0);
}

std::optional<uint64_t> GGUFValue::asUInt() const {
  std::optional<Integer> integer = integerAt(valueType, raw, 0);
  if (!integer || integer->negative)
    return std::nullopt;
  return integer->bits;
}

std::optional<double> GGUFValue::asFloat() const {
  return floatAt(valueType, raw, 0);
}

std::optional<bool> GGUFValue::asBool() const {
  if (valueType != GGUFType::Bool)
    return std::nullopt;
  return raw[0] != std::byte(0);
}

std::optional<std::string_view> GGUFValue::asString() const {
  if (valueType != GGUFType::String)
    return std::nullopt;
  return std::string_view(reinterpret_cast<const char *>(raw.data()),
                          raw.size());
}

std::optional<std::vector<int64_t>> GGUFValue::asInts() const {
  if (valueType != GGUFType::Array || !isScalar(arrayType))
    return std::nullopt;
  return convertAll<int64_t>(arrayType, raw, arrayLength, intAt);
}

std::optional<std::vector<double>> GGUFValue::asFloats() const {
  if (valueType != GGUFType::Array || !isScalar(arrayType))
    return std::nullopt;
  return convertAll<double>(arrayType, raw, arrayLength, floatAt);
}

std::optional<std::vector<bool>> GGUFValue::asBools() const {
  if (valueType != GGUFType::Array || arrayType != GGUFType::Bool)
    return std::nullopt;
  std::vector<bool> result;
  for (std::byte byte : raw)
    result.push_back(byte != std::byte(0));
  return result;
}

const std::vector<std::string_view> *GGUFValue::asStrings() const {
  return std::get_if<std::vector<std::string_view>>(&elements);
}

const std::vector<GGUFValue> *GGUFValue::asArrays() const {
  return std::get_if<std::vector<GGUFValue>>(&elements);
}

const GGUFValue *GGUFFile::find(std::string_view key) const {
  auto found = values.find(key);
  return found == values.end() ? nullptr : &found->second;
}

namespace {

std::string typeText(const GGUFValue &value) {
  std::string text(ggufTypeName(value.type()));
  if (value.type() == GGUFType::Array)
    text += " of " + std::string(ggufTypeName(value.elementType()));
  return text;
}

/// The value of `key` through the accessor `as`, or why there is none.
template <typename T, typename As>
StatusOr<T> required(const GGUFFile &file, std::string_view key,
                     const char *expected, As as) {
  const GGUFValue *value = file.find(key);
  if (!value)
    return Status::notFound(quoteName(file.path()) + ": has no key " +
                            quoteName(key));
  std::optional<T> result = as(*value);
  if (!result)
    return Status::corruption(quoteName(file.path()) + ": key " +
                              quoteName(key) + " is of type " +
                              typeText(*value) + ", expected " + expected);
  return std::move(*result);
}

} // namespace

StatusOr<int64_t> GGUFFile::getInt(std::string_view key) const {
  return required<int64_t>(*this, key, "an integer that fits in 64 bits",
                           [](const GGUFValue &v) { return v.asInt(); });
}

StatusOr<double> GGUFFile::getFloat(std::string_view key) const {
  return required<double>(*this, key, "a number",
                          [](const GGUFValue &v) { return v.asFloat(); });
}

StatusOr<bool> GGUFFile::getBool(std::string_view key) const {
  return required<bool>(*this, key, "a bool",
                        [](const GGUFValue &v) { return v.asBool(); });
}

StatusOr<std::string_view> GGUFFile::getString(std::string_view key) const {
  return required<std::string_view>(
      *this, key, "a string", [](const GGUFValue &v) { return v.asString(); });
}

StatusOr<std::vector<int64_t>> GGUFFile::getInts(std::string_view key) const {
  return required<std::vector<int64_t>>(
      *this, key, "an array of integers",
      [](const GGUFValue &v) { return v.asInts(); });
}

StatusOr<std::vector<double>> GGUFFile::getFloats(std::string_view key) const {
  return required<std::vector<double>>(
      *this, key, "an array of numbers",
      [](const GGUFValue &v) { return v.asFloats(); });
}

StatusOr<std::vector<std::string_view>>
GGUFFile::getStrings(std::string_view key) const {
  using Strings = std::vector<std::string_view>;
  return required<Strings>(*this, key, "an array of strings",
                           [](const GGUFValue &v) -> std::optional<Strings> {
                             if (const Strings *strings = v.asStrings())
                               return *strings;
                             return std::nullopt;
                           });
}
