//===- GGUF.h - The GGUF format ---------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads GGUF versions 2 and 3, little-endian
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): metadata, then
// tensor infos, then aligned tensor data. Every count, length and range is
// checked against the file. Strings are views into the mapping.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_GGUF_H
#define CLADE_RUNTIME_FORMATS_GGUF_H

#include "runtime/Formats/Safetensors.h"

#include <variant>

namespace clade::rt {

/// The type tags of metadata values; the numbers are those of the format.
enum class GGUFType : uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12,
};

/// "u32", "string", "array" …
std::string_view ggufTypeName(GGUFType type);

/// ggml's number of a tensor type, or nothing if files cannot hold it.
std::optional<uint32_t> ggufTensorType(DType type);

/// One metadata value. The as…() functions convert without loss or return
/// nothing; a value never changes after it was read.
class GGUFValue {
public:
  GGUFType type() const { return valueType; }

  /// Any integer type (not bool) whose value fits.
  std::optional<int64_t> asInt() const;
  std::optional<uint64_t> asUInt() const;
  /// f32, f64 or any integer type.
  std::optional<double> asFloat() const;
  std::optional<bool> asBool() const;
  std::optional<std::string_view> asString() const;

  /// For an array: its element type and length.
  GGUFType elementType() const { return arrayType; }
  size_t arraySize() const { return arrayLength; }

  /// An array of any integer type (not bool) whose values fit.
  std::optional<std::vector<int64_t>> asInts() const;
  /// An array of f32, f64 or any integer type.
  std::optional<std::vector<double>> asFloats() const;
  std::optional<std::vector<bool>> asBools() const;
  /// An array of strings: a view of the value, or null.
  const std::vector<std::string_view> *asStrings() const;
  /// An array of arrays: a view of the value, or null.
  const std::vector<GGUFValue> *asArrays() const;

private:
  friend class GGUFParser;
  GGUFType valueType = GGUFType::U8;
  GGUFType arrayType = GGUFType::U8;
  size_t arrayLength = 0;
  /// A scalar's or scalar array's little-endian bytes; a string's characters.
  ByteSpan raw;
  std::variant<std::monostate, std::vector<std::string_view>,
               std::vector<GGUFValue>>
      elements;
};

/// One GGUF file. Thread-safe: it never changes after open().
class GGUFFile {
public:
  /// Maps `path` and checks everything but tensor data. Corruption names file
  /// and key or tensor; Unsupported a version or tensor type we cannot read.
  static StatusOr<GGUFFile> open(const std::string &path);

  /// Checks a file image that the caller keeps alive; `name` stands for the
  /// path in messages.
  static StatusOr<GGUFFile> parse(ByteSpan image, const std::string &name);

  const std::string &path() const { return filePath; }
  uint32_t version() const { return fileVersion; }
  /// The alignment of tensor data, "general.alignment" or 32.
  uint64_t alignment() const { return dataAlignment; }

  /// All metadata, by key.
  const std::map<std::string_view, GGUFValue> &metadata() const {
    return values;
  }
  /// The value of `key`, or null.
  const GGUFValue *find(std::string_view key) const;

  // Required values: NotFound without the key, Corruption ("key 'x' is a
  // string, expected an integer") with another type.
  StatusOr<int64_t> getInt(std::string_view key) const;
  StatusOr<double> getFloat(std::string_view key) const;
  StatusOr<bool> getBool(std::string_view key) const;
  StatusOr<std::string_view> getString(std::string_view key) const;
  StatusOr<std::vector<int64_t>> getInts(std::string_view key) const;
  StatusOr<std::vector<double>> getFloats(std::string_view key) const;
  StatusOr<std::vector<std::string_view>>
  getStrings(std::string_view key) const;

  /// Sorted by name. Shapes are in PyTorch's order: ggml's dimensions
  /// reversed, so that the last one is contiguous.
  const std::vector<StoredTensor> &tensors() const { return tensorList; }
  const StoredTensor *findTensor(std::string_view name) const {
    return clade::rt::findTensor(tensorList, name);
  }
  /// The mapping that everything views; null after parse().
  const std::shared_ptr<const MappedFile> &mapping() const { return file; }

private:
  friend class GGUFParser;
  std::string filePath;
  std::shared_ptr<const MappedFile> file;
  uint32_t fileVersion = 0;
  uint64_t dataAlignment = 32;
  std::map<std::string_view, GGUFValue> values;
  std::vector<StoredTensor> tensorList;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_GGUF_H
