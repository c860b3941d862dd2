//===- ConfigKeys.cpp - Every key is read or ignored by name --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/ConfigKeys.h"

#include "runtime/Support/NearestName.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace clade::rt;
using nlohmann::json;

StatusOr<ConfigKeys> ConfigKeys::read(const json &object, std::string place) {
  if (!object.is_object())
    return Status::corruption(place + ": expected an object, got " +
                              object.type_name());
  return ConfigKeys(&object, std::move(place));
}

const json *ConfigKeys::find(const std::string &key) {
  known.push_back(key);
  auto member = values->find(key);
  return member == values->end() || member->is_null() ? nullptr : &*member;
}

Status ConfigKeys::error(const std::string &key,
                         const std::string &message) const {
  return Status::corruption(place + ": " + quoteName(key) + ": " + message);
}

Status ConfigKeys::wrongType(const std::string &key, const char *expected,
                             const json &found) const {
  std::string text = found.dump(-1, ' ', false, json::error_handler_t::replace);
  return error(key, std::string("expected ") + expected + ", got " +
                        (text.size() > 60 ? text.substr(0, 60) + "..." : text));
}

StatusOr<bool> ConfigKeys::flag(const std::string &key, bool fallback) {
  const json *value = find(key);
  if (!value)
    return fallback;
  if (!value->is_boolean())
    return wrongType(key, "true or false", *value);
  return value->get<bool>();
}

StatusOr<int64_t> ConfigKeys::count(const std::string &key, int64_t fallback) {
  const json *value = find(key);
  if (!value)
    return fallback;
  if (!value->is_number_unsigned() || *value < 1 ||
      *value > std::numeric_limits<int32_t>::max())
    return wrongType(key, "an integer from 1 to 2147483647", *value);
  return value->get<int64_t>();
}

StatusOr<double> ConfigKeys::number(const std::string &key, double fallback) {
  const json *value = find(key);
  if (!value)
    return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    return wrongType(key, "a number", *value);
  return value->get<double>();
}

StatusOr<std::string> ConfigKeys::text(const std::string &key,
                                       std::string fallback) {
  const json *value = find(key);
  if (!value)
    return fallback;
  if (!value->is_string() || value->get_ref<const std::string &>().empty())
    return wrongType(key, "a string that is not empty", *value);
  return value->get<std::string>();
}

StatusOr<std::array<double, 3>>
ConfigKeys::colours(const std::string &key, std::array<double, 3> fallback) {
  const json *value = find(key);
  if (!value)
    return fallback;
  bool isList = value->is_array() && value->size() == 3;
  for (size_t c = 0; c < 3; ++c) {
    const json *item = isList ? &(*value)[c] : value;
    if (!item->is_number() || !std::isfinite(item->get<double>()))
      return wrongType(key, "three numbers (red, green, blue)", *value);
    fallback[c] = item->get<double>();
  }
  return fallback;
}

StatusOr<ConfigKeys> ConfigKeys::object(const std::string &key) {
  static const json empty = json::object();
  const json *value = find(key);
  return read(value ? *value : empty, place + ": " + quoteName(key));
}

void ConfigKeys::ignore(std::initializer_list<const char *> keys) {
  known.insert(known.end(), keys.begin(), keys.end());
}

Status ConfigKeys::finish() const {
  for (const auto &[key, value] : values->items()) {
    if (std::find(known.begin(), known.end(), key) != known.end())
      continue;
    std::optional<std::string> near = nearestName(key, known);
    return error(key,
                 near ? "unknown key; did you mean " + quoteName(*near) + "?"
                      : "unknown key, which Clade would have to leave out "
                        "of account; remove it if it means nothing");
  }
  return Status();
}
