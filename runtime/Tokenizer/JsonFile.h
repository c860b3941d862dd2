//===- JsonFile.h - Reading a tokenizer.json file ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parses the text of a tokenizer.json once. The model's vocabulary and merges,
// hundreds of thousands of entries, go into flat lists; everything else becomes
// a tree of JsonView, whose accessors check types and name the place of a
// mistake. Depth is bounded, and a key that appears twice is an error.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_JSONFILE_H
#define CLADE_RUNTIME_TOKENIZER_JSONFILE_H

#include "runtime/Support/Status.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// A value of the file and its path, such as "normalizer.normalizers[2]".
class JsonView {
public:
  JsonView(const nlohmann::json *value, std::string path)
      : value(value), path(std::move(path)) {}

  bool isNull() const { return value->is_null(); }
  bool isObject() const { return value->is_object(); }
  bool isArray() const { return value->is_array(); }
  bool isString() const { return value->is_string(); }
  /// True for the number 0.
  bool isZero() const { return value->is_number() && *value == 0; }
  /// An error for anything but an object.
  Status checkObject() const;
  /// True when this is an object that has a non-null `key`.
  bool has(const char *key) const;

  /// The member `key`; an error when absent.
  StatusOr<JsonView> at(const char *key) const;
  /// The member `key`, or null when absent or null.
  std::optional<JsonView> find(const char *key) const;
  /// The elements of an array; an error for anything else.
  StatusOr<std::vector<JsonView>> elements() const;
  /// The members of an object; an error for anything else.
  StatusOr<std::vector<std::pair<std::string, JsonView>>> members() const;

  /// This value as a string, an id (0 to 2^31-1), a size or a boolean.
  StatusOr<std::string> asString() const;
  StatusOr<int32_t> asId() const;
  StatusOr<uint64_t> asSize() const;
  StatusOr<bool> asBool() const;

  /// A member as a string, size or boolean; an error when it is absent.
  StatusOr<std::string> stringAt(const char *key) const;
  StatusOr<uint64_t> sizeAt(const char *key) const;
  StatusOr<bool> boolAt(const char *key) const;
  /// The same with a value for an absent or null member.
  StatusOr<std::string> stringOr(const char *key, std::string fallback) const;
  StatusOr<bool> boolOr(const char *key, bool fallback) const;

  /// The string member "type" of a component.
  StatusOr<std::string> type() const { return stringAt("type"); }

  /// `message` behind this value's path.
  Status corruption(const std::string &message) const;
  /// The error for a component (`kind`) of a type that Clade does not have.
  Status unsupportedType(const std::string &kind,
                         const std::string &type) const;
  Status unsupported(const std::string &message) const;

private:
  Status wrongType(const char *expected) const;

  const nlohmann::json *value;
  std::string path;
};

/// "a string", "an object" …: what a value is, for error messages.
const char *describeType(const nlohmann::json &value);

/// An entry of `model.vocab`: of an object (an id) or of a list (a score, the
/// id being the position).
struct VocabularyEntry {
  std::string token;
  int64_t id = 0;
  double score = 0;
};

/// A pair of tokens of `model.merges`.
using Merge = std::pair<std::string, std::string>;

/// The content of a tokenizer.json.
struct JsonFile {
  enum class VocabularyForm { None, Object, List };

  /// Everything but the lists below, which are null here.
  nlohmann::json root;
  VocabularyForm vocabularyForm = VocabularyForm::None;
  std::vector<VocabularyEntry> vocabulary;
  bool hasMerges = false;
  std::vector<Merge> merges;

  JsonView view() const { return JsonView(&root, ""); }

  /// Parses `text`. Corruption when it is not JSON, is nested deeper than 64,
  /// repeats a key, or holds a vocabulary or merges of another shape.
  static StatusOr<JsonFile> parse(std::string_view text);
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_JSONFILE_H
