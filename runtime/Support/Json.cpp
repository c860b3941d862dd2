//===- Json.cpp - Strict JSON from untrusted text -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds the document from nlohmann's event interface, which is where depth and
// duplicate keys can be seen and where no exception is needed. Keys and strings
// are copied: the lexer keeps its buffer, which would else grow again each
// time.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Json.h"

#include "runtime/Support/Text.h"

#include <algorithm>
#include <vector>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// Receives the parser's events. A handler that returns false ends the parse.
class DocumentBuilder {
public:
  /// With `visit` the members of one container are handed on: see
  /// parseJsonMembers().
  DocumentBuilder(int maxDepth, const JsonVisitor *visit = nullptr,
                  std::optional<std::string_view> listedKey = std::nullopt)
      : maxDepth(maxDepth), visit(visit), listedKey(listedKey) {}

  // NOLINTBEGIN(readability-identifier-naming): nlohmann's names.
  bool null() { return addLeaf(nullptr); }
  bool boolean(bool value) { return addLeaf(value); }
  bool number_integer(json::number_integer_t value) { return addLeaf(value); }
  bool number_unsigned(json::number_unsigned_t value) { return addLeaf(value); }
  bool number_float(json::number_float_t value, const std::string &) {
    return addLeaf(value);
  }
  bool string(const std::string &value) { return addLeaf(value); }
  bool binary(json::binary_t &) { return fail("unexpected binary value"); }
  bool start_object(size_t) { return open(json::object()); }
  bool start_array(size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(const std::string &name) {
    if (!isListing() && stack.back()->contains(name))
      return fail(duplicateKey(name).message());
    pendingKey = name;
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

  /// Whether the innermost open container is the one whose members are handed
  /// on.
  bool isListing() const { return listedDepth && stack.size() == listedDepth; }

  json *add(json &&value) {
    if (isListing()) {
      member = std::move(value);
      memberKey.swap(pendingKey);
      return &member;
    }
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
    return handOn();
  }

  /// Hands on a member that is complete.
  bool handOn() {
    if (isListing())
      (*visit)(std::move(memberKey), std::move(member));
    return true;
  }

  bool open(json &&container) {
    if (stack.size() >= static_cast<size_t>(maxDepth))
      return fail("nested deeper than " + std::to_string(maxDepth) + " levels");
    bool isListed =
        visit && !listedDepth &&
        (listedKey ? stack.size() == 1 && stack.back()->is_object() &&
                         pendingKey == *listedKey
                   : stack.empty());
    // An array may move its elements when it grows, but only between the
    // closing of one element and the opening of the next.
    stack.push_back(add(std::move(container)));
    if (isListed)
      listedDepth = stack.size();
    return true;
  }

  bool close() {
    // What follows the container that was listed is of the document again.
    if (isListing())
      listedDepth = 0, visit = nullptr;
    stack.pop_back();
    return handOn();
  }

  const int maxDepth;
  const JsonVisitor *visit;
  std::optional<std::string_view> listedKey;
  /// Of the container whose members are handed on, while it is open; else 0.
  size_t listedDepth = 0;
  std::vector<json *> stack;
  std::string pendingKey, memberKey;
  json member; ///< The one that is being read.
};

} // namespace

StatusOr<json> clade::rt::parseJson(std::string_view text, int maxDepth) {
  DocumentBuilder builder(maxDepth);
  if (!json::sax_parse(text.begin(), text.end(), &builder))
    return Status::corruption(std::move(builder.message));
  return std::move(builder.document);
}

StatusOr<json> clade::rt::parseJsonMembers(std::string_view text,
                                           std::optional<std::string_view> key,
                                           const JsonVisitor &visit,
                                           int maxDepth) {
  DocumentBuilder builder(maxDepth, &visit, key);
  if (!json::sax_parse(text.begin(), text.end(), &builder))
    return Status::corruption(std::move(builder.message));
  return std::move(builder.document);
}

Status clade::rt::duplicateKey(std::string_view key) {
  return Status::corruption("key " + quoteName(key) + " appears twice");
}

void clade::rt::appendJsonString(std::string &to, std::string_view text) {
  bool isPlain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
  if (!isPlain) {
    to += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
    return;
  }
  to += '"';
  to += text;
  to += '"';
}
