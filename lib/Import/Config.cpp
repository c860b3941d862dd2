//===- Config.cpp - A model's configuration -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Config.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"

#include <limits>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

/// Nesting that a configuration may have.
static constexpr int maxNesting = 64;

namespace clade::import {
/// Walks the text once for what the JSON library does not tell: the place of
/// every key, and keys that occur twice. The text is known to be valid JSON.
class KeyScanner {
public:
  KeyScanner(Config &config, StringRef text) : config(config), text(text) {}

  LogicalResult run() {
    peek();
    config.places[""] = {line, column};
    return value("", 0);
  }

private:
  void advance() {
    if (text[pos] == '\n') {
      ++line;
      column = 0;
    }
    ++pos;
    ++column;
  }
  void skipBlanks() {
    while (pos < text.size() && StringRef(" \t\r\n").contains(text[pos]))
      advance();
  }
  char peek() {
    skipBlanks();
    return pos < text.size() ? text[pos] : '\0';
  }
  std::string string() {
    size_t begin = pos;
    advance();
    while (pos < text.size() && text[pos] != '"') {
      if (text[pos] == '\\')
        advance();
      advance();
    }
    advance();
    json parsed = json::parse(text.slice(begin, pos).str(), nullptr,
                              /*allow_exceptions=*/false);
    return parsed.is_string() ? parsed.get<std::string>() : std::string();
  }

  LogicalResult value(const std::string &path, int depth) {
    char c = peek();
    if (c == '{')
      return object(path, depth);
    if (c == '[')
      return array(path, depth);
    if (c == '"') {
      string();
      return success();
    }
    while (pos < text.size() && !StringRef(",]} \t\r\n").contains(text[pos]))
      advance();
    return success();
  }

  LogicalResult object(const std::string &path, int depth) {
    if (depth >= maxNesting)
      return emitError(here())
             << "expected at most " << maxNesting << " levels of nesting";
    advance();
    while (peek() == '"') {
      Location loc = here();
      std::pair<unsigned, unsigned> place(line, column);
      std::string key = path + string();
      if (!config.places.try_emplace(key, place).second)
        return emitError(loc) << "key '" << key << "' occurs twice";
      peek();
      advance(); // the colon
      if (failed(value(key + ".", depth + 1)))
        return failure();
      if (peek() == ',')
        advance();
      skipBlanks();
    }
    advance();
    return success();
  }

  LogicalResult array(const std::string &path, int depth) {
    if (depth >= maxNesting)
      return emitError(here())
             << "expected at most " << maxNesting << " levels of nesting";
    advance();
    int64_t index = 0;
    while (peek() != ']') {
      if (failed(value(path + std::to_string(index++) + ".", depth + 1)))
        return failure();
      if (peek() == ',')
        advance();
    }
    advance();
    return success();
  }

  Location here() {
    return FileLineColLoc::get(config.context, config.name, line, column);
  }

  Config &config;
  StringRef text;
  size_t pos = 0;
  unsigned line = 1, column = 1;
};

/// Reports a syntax error with its place instead of throwing it.
class SyntaxErrors : public nlohmann::json_sax<json> {
public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t &) override { return true; }
  bool string(string_t &) override { return true; }
  bool binary(binary_t &) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t &) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string &,
                   const nlohmann::detail::exception &) override {
    offset = position;
    return false;
  }

  size_t offset = 0; ///< Of the byte behind the last token.
};
} // namespace clade::import

/// The word or character of the text at `offset`, which moves to its beginning,
/// without what a terminal should not see.
static std::string shownAt(StringRef text, size_t &offset) {
  constexpr size_t most = 40;
  auto isWord = [](char c) {
    return llvm::isAlnum(c) || StringRef("+-._").contains(c);
  };
  size_t end = offset;
  while (end < text.size() && isWord(text[end]))
    ++end;
  while (offset > 0 && end > offset && isWord(text[offset - 1]))
    --offset;
  if (end == offset)
    return std::string(1, llvm::isPrint(text[offset]) ? text[offset] : '?');
  StringRef word = text.slice(offset, end);
  return word.take_front(most).str() + (word.size() > most ? "…" : "");
}

static Location locationAt(MLIRContext *context, StringRef name, StringRef text,
                           size_t offset) {
  StringRef before = text.take_front(offset);
  unsigned line = before.count('\n') + 1;
  size_t lastNewline = before.rfind('\n');
  unsigned column =
      offset - (lastNewline == StringRef::npos ? 0 : lastNewline + 1) + 1;
  return FileLineColLoc::get(context, name, line, column);
}

FailureOr<std::unique_ptr<Config>> Config::parse(StringRef text, StringRef name,
                                                 llvm::SourceMgr &sourceMgr,
                                                 MLIRContext *context) {
  std::unique_ptr<Config> config(new Config(context));
  config->name = name.str();
  sourceMgr.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name),
                               llvm::SMLoc());
  SyntaxErrors sax;
  if (!json::sax_parse(text.begin(), text.end(), &sax)) {
    size_t end = text.rtrim().size(),
           offset = std::min(sax.offset > 0 ? sax.offset - 1 : 0, end);
    std::string got = offset == end ? "the end of the text"
                                    : "'" + shownAt(text, offset) + "'";
    return emitError(locationAt(context, name, text, offset))
           << "expected valid JSON, got " << got;
  }
  // Bounds the nesting before anything recurses over the values.
  KeyScanner scanner(*config, text);
  if (failed(scanner.run()))
    return failure();
  config->root = json::parse(text.begin(), text.end(), nullptr,
                             /*allow_exceptions=*/false);
  if (!config->root.is_object())
    return emitError(config->locationOf(""))
           << "expected a JSON object, got a value of type "
           << config->root.type_name();
  return config;
}

Location Config::locationOf(StringRef dottedKey) const {
  auto it = places.find(dottedKey);
  if (it == places.end())
    it = places.find("");
  auto [line, column] =
      it == places.end() ? std::pair<unsigned, unsigned>(1, 1) : it->second;
  return FileLineColLoc::get(context, name, line, column);
}

SpecValue import::toValue(const json &value, const std::string &path) {
  if (value.is_null())
    return SpecValue::none();
  if (value.is_boolean())
    return SpecValue::of(value.get<bool>());
  // An integer that has no place in 63 bits and a sign is a number like 1e30.
  constexpr uint64_t largest = std::numeric_limits<int64_t>::max();
  bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= largest;
  if (value.is_number_integer() && fits)
    return SpecValue::of(value.get<int64_t>());
  if (value.is_number())
    return SpecValue::of(value.get<double>());
  if (value.is_string())
    return SpecValue::of(value.get<std::string>());
  if (value.is_array()) {
    std::vector<SpecValue> elements;
    for (auto [index, element] : llvm::enumerate(value))
      elements.push_back(toValue(element, path + "." + std::to_string(index)));
    return SpecValue::list(std::move(elements));
  }
  if (value.size() == 1 && value.contains("__float__") &&
      value["__float__"] == "Infinity")
    return SpecValue::of(std::numeric_limits<double>::infinity());
  return SpecValue::of(Record{&value, path + "."});
}

std::optional<json> import::toJson(const SpecValue &value) {
  switch (value.kind) {
  case SpecValue::Kind::Bool:
    return json(value.boolean);
  case SpecValue::Kind::Int:
    return json(value.dim.size);
  case SpecValue::Kind::Float:
    return json(value.number);
  case SpecValue::Kind::String:
    return json(value.text);
  case SpecValue::Kind::Record:
    return *value.record.object;
  case SpecValue::Kind::List: {
    json list = json::array();
    for (const SpecValue &element : value.elements)
      list.push_back(toJson(element).value_or(nullptr));
    return list;
  }
  default:
    return std::nullopt;
  }
}
