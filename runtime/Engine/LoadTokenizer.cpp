//===- LoadTokenizer.cpp - The tokenizer of a model -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every key may be absent, but none may have another type than the format says.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/LoadTokenizer.h"

#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"

using namespace clade::rt;

namespace {

constexpr const char *prefix = "tokenizer.ggml.";
constexpr size_t maxTokenizerBytes = size_t(1) << 30;

/// Reads optional keys; the first problem is kept.
class VocabularyReader {
public:
  explicit VocabularyReader(const GGUFFile &file) : file(file) {}

  void read(const char *key, std::string &out) {
    if (has(key))
      keep(file.getString(prefix + std::string(key)),
           [&](std::string_view value) { out = value; });
  }
  void read(const char *key, std::optional<bool> &out) {
    if (has(key))
      keep(file.getBool(prefix + std::string(key)),
           [&](bool value) { out = value; });
  }
  void read(const char *key, std::optional<int32_t> &out) {
    if (has(key))
      keep(file.getInt(prefix + std::string(key)), [&](int64_t value) {
        if (value >= 0 && value <= INT32_MAX)
          out = static_cast<int32_t>(value);
      });
  }
  void read(const char *key, std::vector<std::string> &out) {
    if (has(key))
      keep(file.getStrings(prefix + std::string(key)),
           [&](const auto &list) { out.assign(list.begin(), list.end()); });
  }
  void read(const char *key, std::vector<float> &out) {
    if (has(key))
      keep(file.getFloats(prefix + std::string(key)),
           [&](const auto &list) { out.assign(list.begin(), list.end()); });
  }
  void read(const char *key, std::vector<int32_t> &out) {
    if (has(key))
      keep(file.getInts(prefix + std::string(key)), [&](const auto &list) {
        for (int64_t value : list)
          out.push_back(value >= 0 && value <= INT32_MAX
                            ? static_cast<int32_t>(value)
                            : 0);
      });
  }

  Status problem;

private:
  bool has(const char *key) const {
    return problem.ok() && file.find(prefix + std::string(key));
  }
  template <typename T, typename F> void keep(StatusOr<T> value, F store) {
    if (value.ok())
      return store(*value);
    problem = value.takeStatus();
  }

  const GGUFFile &file;
};

} // namespace

StatusOr<GGUFVocabulary> clade::rt::readGGUFVocabulary(const GGUFFile &file) {
  VocabularyReader reader(file);
  GGUFVocabulary vocabulary;
  reader.read("model", vocabulary.model);
  reader.read("pre", vocabulary.pre);
  reader.read("tokens", vocabulary.tokens);
  reader.read("scores", vocabulary.scores);
  reader.read("token_type", vocabulary.tokenTypes);
  reader.read("merges", vocabulary.merges);
  reader.read("bos_token_id", vocabulary.bosId);
  reader.read("eos_token_id", vocabulary.eosId);
  reader.read("unknown_token_id", vocabulary.unknownId);
  reader.read("padding_token_id", vocabulary.paddingId);
  reader.read("add_bos_token", vocabulary.addBos);
  reader.read("add_eos_token", vocabulary.addEos);
  reader.read("add_space_prefix", vocabulary.addSpacePrefix);
  if (!reader.problem.ok())
    return std::move(reader.problem);
  if (vocabulary.tokens.empty())
    return Status::notFound(quoteName(file.path()) + " has no tokenizer");
  return vocabulary;
}

StatusOr<std::unique_ptr<Tokenizer>>
clade::rt::loadTokenizer(const Checkpoint &checkpoint) {
  if (checkpoint.gguf()) {
    CLADE_ASSIGN_OR_RETURN(GGUFVocabulary vocabulary,
                           readGGUFVocabulary(*checkpoint.gguf()));
    return Tokenizer::fromGGUF(vocabulary);
  }
  if (checkpoint.tokenizerPath())
    return loadTokenizer(*checkpoint.tokenizerPath());
  return Status::notFound(quoteName(checkpoint.path()) +
                          " has no 'tokenizer.json'");
}

StatusOr<std::unique_ptr<Tokenizer>>
clade::rt::loadTokenizer(const std::string &path) {
  // Some are tens of megabytes: read where they are mapped, without a copy.
  CLADE_ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
  ByteSpan bytes = file->bytes();
  if (bytes.size() > maxTokenizerBytes)
    return Status::corruption(
        quoteName(path) + " has " + std::to_string(bytes.size()) +
        " bytes, expected at most " + std::to_string(maxTokenizerBytes));
  return Tokenizer::fromJson(
      {reinterpret_cast<const char *>(bytes.data()), bytes.size()}, path);
}
