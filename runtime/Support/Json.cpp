//===- Json.cpp - Strict JSON from untrusted text -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds the document from nlohmann's event interface, which is where depth and
// duplicate keys can be seen and where no exception is needed.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Json.h"

#include "runtime/Support/Text.h"

#include <vector>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// Receives the parser's events. A handler that returns false ends the parse.
class DocumentBuilder {
public:
  explicit DocumentBuilder(int maxDepth) : maxDepth(maxDepth) {}

  // NOLINTBEGIN(readability-identifier-naming): nlohmann's names.
  bool null() { return addLeaf(nullptr); }
  bool boolean(bool value) { return addLeaf(value); }
  bool number_integer(json::number_integer_t value) { return addLeaf(value); }
  bool number_unsigned(json::number_unsigned_t value) { return addLeaf(value); }
  bool number_float(json::number_float_t value, const std::string &) {
    return addLeaf(value);
  }
  bool string(std::string &value) { return addLeaf(std::move(value)); }
  bool binary(json::binary_t &) { return fail("unexpected binary value"); }
  bool start_object(size_t) { return open(json::object()); }
  bool start_array(size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string &name) {
    json &object = *stack.back();
    if (object.contains(name))
      return fail("key " + quoteName(name) + " appears twice");
    pendingKey = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string &,
                   const nlohmann::detail::exception &error) {
    // "[json.exception.parse_error.101] parse error at line 1, …: reason".
    std::string_view reason = error.what();
    size_t prefix = reason.find("] ");
    if (prefix != std::string_view::npos)
      reason.remove_prefix(prefix + 2);
    // What it read may be binary.
    std::string detail = quoteName(reason);
    return fail("invalid JSON at byte " + std::to_string(position) + ": " +
                detail.substr(1, detail.size() - 2));
  }
  // NOLINTEND(readability-identifier-naming)

  json document;
  std::string message;

private:
  bool fail(std::string text) {
    message = std::move(text);
    return false;
  }

  json *add(json &&value) {
    if (stack.empty()) {
      document = std::move(value);
      return &document;
    }
    json &parent = *stack.back();
    if (parent.is_object())
      return &(parent[std::move(pendingKey)] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  template <typename T> bool addLeaf(T &&value) {
    add(json(std::forward<T>(value)));
    return true;
  }

  bool open(json &&container) {
    if (stack.size() >= static_cast<size_t>(maxDepth))
      return fail("nested deeper than " + std::to_string(maxDepth) + " levels");
    // An array may move its elements when it grows, but only between the
    // closing of one element and the opening of the next.
    stack.push_back(add(std::move(container)));
    return true;
  }

  bool close() {
    stack.pop_back();
    return true;
  }

  const int maxDepth;
  std::vector<json *> stack;
  std::string pendingKey;
};

} // namespace

StatusOr<json> clade::rt::parseJson(std::string_view text, int maxDepth) {
  DocumentBuilder builder(maxDepth);
  if (!json::sax_parse(text.begin(), text.end(), &builder))
    return Status::corruption(std::move(builder.message));
  return std::move(builder.document);
}
