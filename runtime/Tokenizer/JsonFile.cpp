//===- JsonFile.cpp - Reading a tokenizer.json file -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/JsonFile.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

using namespace clade::rt;
using nlohmann::json;

/// The value of a decimal fraction as serde_json, which the tokenizers library
/// reads files with, computes it: all digits as an integer, times or divided by
/// a power of ten. It can be one unit in the last place off, and scores that
/// are equal on paper then compare as in the library.
static double serdeDouble(const std::string &text) {
  uint64_t digits = 0;
  int exponent = 0;
  bool isFraction = false, isFull = false;
  size_t i = text.starts_with('-') ? 1 : 0;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      isFraction = true;
      continue;
    }
    auto digit = static_cast<uint64_t>(text[i] - '0');
    isFull |= digits > (std::numeric_limits<uint64_t>::max() - digit) / 10;
    if (!isFull)
      digits = digits * 10 + digit;
    // Digits that do not fit count only in front of the point.
    if (isFull != isFraction)
      exponent += isFull ? 1 : -1;
  }
  if (i < text.size())
    exponent += static_cast<int>(std::clamp(
        std::strtol(text.c_str() + i + 1, nullptr, 10), -9999L, 9999L));
  auto value = static_cast<double>(digits);
  for (; exponent < -308 && value != 0; exponent += 308)
    value /= 1e308;
  // Powers of ten from text are exact to the last place, unlike std::pow.
  double power = std::strtod(
      ("1e" + std::to_string(std::clamp(std::abs(exponent), 0, 308))).c_str(),
      nullptr);
  value = exponent < 0 ? value / power : value * power;
  return text.starts_with('-') ? -value : value;
}

namespace {
constexpr size_t maxDepth = 64;

/// Receives the parser's events: builds the tree, and takes the lists of the
/// model apart from it.
class FileHandler {
public:
  explicit FileHandler(JsonFile &file) : file(file) {}

  Status takeStatus() { return std::move(error); }

  // The names of these functions are those of nlohmann::json_sax.
  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(int64_t value) { return scalar(value); }
  bool number_unsigned(uint64_t value) { return scalar(value); }
  bool number_float(double value, const std::string &text) {
    return scalar(list == List::Vocabulary ? serdeDouble(text) : value);
  }
  bool string(std::string &value) { return scalar(std::move(value)); }
  bool binary(std::vector<uint8_t> &) { return false; }
  bool start_object(size_t) { return open(json::object()); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(json::array()); }
  bool end_array() { return close(); }
  bool key(std::string &name);
  bool parse_error(size_t position, const std::string &,
                   const nlohmann::detail::exception &) {
    errorPosition = position;
    return false;
  }

  size_t errorPosition = 0;

private:
  enum class List { None, Vocabulary, Merges };

  bool fail(const std::string &message) {
    error = Status::corruption(message);
    return false;
  }
  bool open(json container);
  bool close();
  bool scalar(json value);
  bool listItem(json &&value);
  json *insert(json &&value);
  List listAt(const json &container) const;
  bool atEntryLevel() const { return stack.size() == listDepth; }
  bool finishEntry(const json &entry);
  bool addVocabularyEntry(const json &entry);
  bool addMerge(const json &entry);

  JsonFile &file;
  /// The open containers, outermost first.
  std::vector<json *> stack;
  std::vector<std::string> keys;
  /// The list that is being read, and the depth of its entries.
  List list = List::None;
  size_t listDepth = 0;
  /// Stands for the list in `stack`; its entry while that is a container.
  json listHolder, entry;
  Status error;
};
} // namespace

bool FileHandler::key(std::string &name) {
  keys.back() = name;
  if (list != List::None)
    return true;
  if (stack.back()->contains(name))
    return fail("key " + quoteName(name) + " appears twice");
  return true;
}

/// Whether the container about to be opened is one of the model's lists.
FileHandler::List FileHandler::listAt(const json &container) const {
  if (list != List::None || stack.size() != 2 || keys[0] != "model" ||
      !stack.back()->is_object())
    return List::None;
  if (keys[1] == "vocab")
    return List::Vocabulary;
  return keys[1] == "merges" && container.is_array() ? List::Merges
                                                     : List::None;
}

json *FileHandler::insert(json &&value) {
  if (stack.empty()) {
    file.root = std::move(value);
    return &file.root;
  }
  json &parent = *stack.back();
  if (parent.is_array()) {
    parent.push_back(std::move(value));
    return &parent.back();
  }
  json &slot = parent[keys.back()];
  slot = std::move(value);
  return &slot;
}

bool FileHandler::open(json container) {
  if (stack.size() >= maxDepth)
    return fail("nested deeper than " + std::to_string(maxDepth) + " levels");
  List opened = listAt(container);
  if (opened != List::None) {
    bool isObject = container.is_object();
    list = opened;
    listDepth = stack.size() + 1;
    if (list == List::Vocabulary)
      file.vocabularyForm = isObject ? JsonFile::VocabularyForm::Object
                                     : JsonFile::VocabularyForm::List;
    else
      file.hasMerges = true;
    insert(nullptr);
    listHolder = std::move(container);
    stack.push_back(&listHolder);
    keys.emplace_back();
    return true;
  }
  if (list == List::None) {
    stack.push_back(insert(std::move(container)));
  } else if (atEntryLevel()) {
    entry = std::move(container);
    stack.push_back(&entry);
  } else {
    return fail("'model." + keys[1] + "': entry " +
                std::to_string(list == List::Merges ? file.merges.size()
                                                    : file.vocabulary.size()) +
                " is nested too deeply");
  }
  keys.emplace_back();
  return true;
}

bool FileHandler::close() {
  stack.pop_back();
  keys.pop_back();
  if (list == List::None)
    return true;
  if (stack.size() < listDepth) {
    list = List::None;
    return true;
  }
  return finishEntry(entry);
}

bool FileHandler::scalar(json value) {
  if (list == List::None) {
    insert(std::move(value));
    return true;
  }
  return listItem(std::move(value));
}

bool FileHandler::listItem(json &&value) {
  if (atEntryLevel())
    return finishEntry(value);
  if (!entry.is_array())
    return finishEntry(entry);
  entry.push_back(std::move(value));
  return true;
}

bool FileHandler::finishEntry(const json &value) {
  return list == List::Merges ? addMerge(value) : addVocabularyEntry(value);
}

bool FileHandler::addVocabularyEntry(const json &value) {
  if (file.vocabularyForm == JsonFile::VocabularyForm::Object) {
    const std::string &token = keys.back();
    if (!value.is_number_unsigned() ||
        value.get<uint64_t>() > std::numeric_limits<int32_t>::max())
      return fail("'model.vocab': expected an id below 2147483648 for token " +
                  quoteName(token) + ", got " + describeType(value));
    file.vocabulary.push_back({token, value.get<int64_t>(), 0});
    return true;
  }
  size_t index = file.vocabulary.size();
  if (!value.is_array() || value.size() != 2 || !value[0].is_string() ||
      !value[1].is_number())
    return fail("'model.vocab[" + std::to_string(index) +
                "]': expected a token and its score, got " +
                describeType(value));
  file.vocabulary.push_back({value[0].get<std::string>(),
                             static_cast<int64_t>(index),
                             value[1].get<double>()});
  return true;
}

bool FileHandler::addMerge(const json &value) {
  auto malformed = [&] {
    return fail("'model.merges[" + std::to_string(file.merges.size()) +
                "]': expected two tokens, got " + describeType(value));
  };
  if (value.is_array()) {
    if (value.size() != 2 || !value[0].is_string() || !value[1].is_string())
      return malformed();
    file.merges.emplace_back(value[0].get_ref<const std::string &>(),
                             value[1].get_ref<const std::string &>());
    return true;
  }
  if (!value.is_string())
    return malformed();
  // The older form: both tokens in one string, with one space between them.
  const std::string &text = value.get_ref<const std::string &>();
  if (text.starts_with("#version"))
    return true;
  size_t space = text.find(' ');
  if (space == std::string::npos ||
      text.find(' ', space + 1) != std::string::npos)
    return fail("'model.merges[" + std::to_string(file.merges.size()) +
                "]': expected two tokens with one space between them, got " +
                quoteName(text));
  file.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  return true;
}

StatusOr<JsonFile> JsonFile::parse(std::string_view text) {
  JsonFile file;
  FileHandler handler(file);
  // The handler reports syntax errors; what is left to throw is memory.
  bool parsed = json::sax_parse(text.begin(), text.end(), &handler);
  Status error = handler.takeStatus();
  if (!error.ok())
    return error;
  if (parsed)
    return file;
  // Blanks at the end of a truncated file are not where the trouble is.
  if (handler.errorPosition >= text.size())
    return Status::corruption("the JSON text ends too early, after " +
                              std::to_string(text.size()) + " bytes");
  return Status::corruption("not JSON: unexpected text at byte " +
                            std::to_string(handler.errorPosition));
}
