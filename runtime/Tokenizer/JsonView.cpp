//===- JsonView.cpp - Checked access to JSON ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/JsonFile.h"

#include <limits>

using namespace clade::rt;
using nlohmann::json;

const char *clade::rt::describeType(const json &value) {
  switch (value.type()) {
  case json::value_t::null:
    return "null";
  case json::value_t::object:
    return "an object";
  case json::value_t::array:
    return "a list";
  case json::value_t::string:
    return "a string";
  case json::value_t::boolean:
    return "a boolean";
  case json::value_t::number_integer:
    return "a negative integer";
  case json::value_t::number_unsigned:
    return "an integer";
  case json::value_t::number_float:
    return "a fraction";
  default:
    return "something else";
  }
}

Status JsonView::corruption(const std::string &message) const {
  return Status::corruption(path.empty() ? message
                                         : quoteName(path) + ": " + message);
}

Status JsonView::unsupported(const std::string &message) const {
  return Status::unsupported(quoteName(path) + ": " + message);
}

Status JsonView::unsupportedType(const std::string &kind,
                                 const std::string &type) const {
  return unsupported(kind + " type " + quoteName(type) + " is not supported");
}

Status JsonView::wrongType(const char *expected) const {
  return corruption(std::string("expected ") + expected + ", got " +
                    describeType(*value));
}

Status JsonView::checkObject() const {
  return isObject() ? Status() : wrongType("an object");
}

bool JsonView::has(const char *key) const { return find(key).has_value(); }

std::optional<JsonView> JsonView::find(const char *key) const {
  if (!value->is_object())
    return std::nullopt;
  auto member = value->find(key);
  if (member == value->end() || member->is_null())
    return std::nullopt;
  return JsonView(&*member, path.empty() ? key : path + "." + key);
}

StatusOr<JsonView> JsonView::at(const char *key) const {
  if (!value->is_object())
    return wrongType("an object");
  auto member = value->find(key);
  if (member == value->end())
    return corruption(quoteName(key) + " is missing");
  return JsonView(&*member, path.empty() ? key : path + "." + key);
}

StatusOr<std::vector<JsonView>> JsonView::elements() const {
  if (!value->is_array())
    return wrongType("a list");
  std::vector<JsonView> result;
  result.reserve(value->size());
  for (size_t i = 0; i < value->size(); ++i)
    result.emplace_back(&(*value)[i], path + "[" + std::to_string(i) + "]");
  return result;
}

StatusOr<std::vector<std::pair<std::string, JsonView>>>
JsonView::members() const {
  if (!value->is_object())
    return wrongType("an object");
  std::vector<std::pair<std::string, JsonView>> result;
  for (auto member = value->begin(); member != value->end(); ++member)
    result.emplace_back(member.key(),
                        JsonView(&*member, path + "." + member.key()));
  return result;
}

StatusOr<std::string> JsonView::asString() const {
  if (!value->is_string())
    return wrongType("a string");
  return value->get_ref<const std::string &>();
}

StatusOr<uint64_t> JsonView::asSize() const {
  if (!value->is_number_unsigned())
    return wrongType("a non-negative integer");
  return value->get<uint64_t>();
}

StatusOr<int32_t> JsonView::asId() const {
  CLADE_ASSIGN_OR_RETURN(uint64_t id, asSize());
  if (id > std::numeric_limits<int32_t>::max())
    return corruption("expected a token id below 2147483648, got " +
                      std::to_string(id));
  return static_cast<int32_t>(id);
}

StatusOr<bool> JsonView::asBool() const {
  if (!value->is_boolean())
    return wrongType("a boolean");
  return value->get<bool>();
}

StatusOr<std::string> JsonView::stringAt(const char *key) const {
  CLADE_ASSIGN_OR_RETURN(JsonView member, at(key));
  return member.asString();
}

StatusOr<uint64_t> JsonView::sizeAt(const char *key) const {
  CLADE_ASSIGN_OR_RETURN(JsonView member, at(key));
  return member.asSize();
}

StatusOr<bool> JsonView::boolAt(const char *key) const {
  CLADE_ASSIGN_OR_RETURN(JsonView member, at(key));
  return member.asBool();
}

StatusOr<std::string> JsonView::stringOr(const char *key,
                                         std::string fallback) const {
  std::optional<JsonView> member = find(key);
  if (!member)
    return fallback;
  return member->asString();
}

StatusOr<bool> JsonView::boolOr(const char *key, bool fallback) const {
  std::optional<JsonView> member = find(key);
  if (!member)
    return fallback;
  return member->asBool();
}
