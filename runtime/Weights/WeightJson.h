//===- WeightJson.h - Programs from parsed JSON -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What WeightProgram.cpp (programs) and WeightTable.cpp (tables) share; private
// to this folder.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_WEIGHTJSON_H
#define CLADE_RUNTIME_WEIGHTS_WEIGHTJSON_H

#include "runtime/Support/Json.h"
#include "runtime/Weights/WeightProgram.h"

namespace clade::rt {

/// Programs deeper than this are refused, so recursion over them is bounded.
inline constexpr int maxProgramDepth = 32;
/// Each level is an object and, under concat, an array.
inline constexpr int maxProgramJsonDepth = 2 * maxProgramDepth + 8;

/// The program `value`, checked.
StatusOr<WeightNode> readWeightNode(const nlohmann::json &value);

/// The member `key` of `object` as an array of integers in [0, maximum], at
/// most `maxCount` of them.
StatusOr<std::vector<int64_t>> readIntegers(const nlohmann::json &object,
                                            const char *key, int64_t maximum,
                                            size_t maxCount);

/// The member `key` of `object` as an integer in [0, maximum].
StatusOr<int64_t> readInteger(const nlohmann::json &object, const char *key,
                              int64_t maximum);

/// The member `key` of `object` as a string that is not empty.
StatusOr<std::string> readString(const nlohmann::json &object, const char *key);

/// InvalidArgument for the first member of `object` that is not in `known`.
Status rejectUnknownKeys(const nlohmann::json &object,
                         std::initializer_list<std::string_view> known);

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_WEIGHTJSON_H
