//===- Json.h - Strict JSON from untrusted text -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parses JSON without exceptions, with bounded depth; a key that appears twice
// in one object is an error instead of a silent choice. Include this only in
// source files: nlohmann/json is large.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_JSON_H
#define CLADE_RUNTIME_SUPPORT_JSON_H

#include "runtime/Support/Status.h"

#include <nlohmann/json.hpp>

#include <functional>
#include <optional>
#include <string_view>

namespace clade::rt {

/// The document `text`, or Corruption: malformed text, nested deeper than
/// `maxDepth` arrays and objects, a duplicate key. The caller adds the file's
/// name with withContext().
StatusOr<nlohmann::json> parseJson(std::string_view text, int maxDepth = 64);

/// Receives a member of a container: its key, empty in an array, and value.
using JsonVisitor =
    std::function<void(std::string &&key, nlohmann::json &&value)>;

/// As parseJson(), for a document with one container of very many members, such
/// as the header of a large model: `visit` gets them one at a time, in the
/// order of the text, and the container is empty in the document that comes
/// back. It is the document itself or, with `key`, the member of that name.
/// That no two of its keys are equal is for the caller to check.
StatusOr<nlohmann::json> parseJsonMembers(std::string_view text,
                                          std::optional<std::string_view> key,
                                          const JsonVisitor &visit,
                                          int maxDepth = 64);

/// Corruption for a key that an object has twice.
Status duplicateKey(std::string_view key);

/// Appends `text` as JSON writes a string; what is not UTF-8 is replaced.
void appendJsonString(std::string &to, std::string_view text);

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_JSON_H
