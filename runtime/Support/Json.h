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

#include <string_view>

namespace clade::rt {

/// The document `text`, or Corruption: malformed text, nested deeper than
/// `maxDepth` arrays and objects, a duplicate key. The caller adds the file's
/// name with withContext().
StatusOr<nlohmann::json> parseJson(std::string_view text, int maxDepth = 64);

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_JSON_H
