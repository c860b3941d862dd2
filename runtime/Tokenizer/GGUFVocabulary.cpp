//===- GGUFVocabulary.cpp - tokenizer.json as GGUF metadata ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The inverse of GGUFTokenizer.cpp, for the two kinds that GGUF files hold. A
// SentencePiece vocabulary has no merges there but scores: that of a token is
// less the number of the first merge that makes it, which gives the same order.
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/GGUFVocabulary.h"

#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"

#include <unordered_map>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// The member, or null.
const json &memberOf(const json &object, const char *key) {
  static const json none;
  if (!object.is_object())
    return none;
  auto it = object.find(key);
  return it == object.end() ? none : *it;
}

std::string textOf(const json &value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool isTrue(const json &value) {
  return value.is_boolean() && value.get<bool>();
}

/// The steps of a normalizer, pre-tokenizer or decoder, one if it is no
/// sequence.
std::vector<json> stepsOf(const json &part, const char *list) {
  if (textOf(memberOf(part, "type")) == "Sequence") {
    const json &steps = memberOf(part, list);
    return steps.is_array() ? steps.get<std::vector<json>>()
                            : std::vector<json>();
  }
  return part.is_null() ? std::vector<json>() : std::vector<json>{part};
}

/// <0x00> … <0xFF>.
bool isByteText(const std::string &token) {
  return token.size() == 6 && token.starts_with("<0x") && token.back() == '>';
}

class VocabularyMaker {
public:
  VocabularyMaker(const json &root, size_t size) : root(root), size(size) {}

  StatusOr<GGUFVocabulary> make() {
    const json &model = memberOf(root, "model");
    std::string type = textOf(memberOf(model, "type"));
    if (type != "BPE")
      return Status::unsupported(
          "GGUF files hold tokenizers of model 'BPE' only, got " +
          quoteName(type));
    CLADE_RETURN_IF_ERROR(readTokens(model));
    CLADE_RETURN_IF_ERROR(readMerges(model));
    if (isTrue(memberOf(model, "byte_fallback")))
      makeScores();
    else
      CLADE_RETURN_IF_ERROR(readSplit(model));
    readEnds();
    return std::move(result);
  }

private:
  Status place(const std::string &token, const json &id, int32_t kind) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= size)
      return Status::unsupported(
          "token " + quoteName(token) + " has the number " + id.dump() +
          ", but the model has " + std::to_string(size) + " tokens");
    auto at = id.get<size_t>();
    result.tokens[at] = token;
    result.tokenTypes[at] = kind;
    return {};
  }

  Status readTokens(const json &model) {
    result.tokens.resize(size);
    result.tokenTypes.assign(size, gguf_token::unused);
    const json &vocabulary = memberOf(model, "vocab");
    if (!vocabulary.is_object())
      return Status::corruption("'model.vocab' is not an object");
    bool hasBytes = isTrue(memberOf(model, "byte_fallback"));
    std::string unknown = textOf(memberOf(model, "unk_token"));
    for (const auto &[token, id] : vocabulary.items()) {
      int32_t kind = hasBytes && isByteText(token) ? gguf_token::byte
                     : !unknown.empty() && token == unknown
                         ? gguf_token::unknown
                         : gguf_token::normal;
      CLADE_RETURN_IF_ERROR(place(token, id, kind));
      if (kind == gguf_token::unknown)
        result.unknownId = id.get<int32_t>();
    }
    const json &added = memberOf(root, "added_tokens");
    if (added.is_array())
      for (const json &token : added) {
        std::string text = textOf(memberOf(token, "content"));
        if (text == unknown && !unknown.empty())
          continue;
        CLADE_RETURN_IF_ERROR(place(text, memberOf(token, "id"),
                                    isTrue(memberOf(token, "special"))
                                        ? gguf_token::control
                                        : gguf_token::userDefined));
      }
    for (size_t id = 0; id < size; ++id)
      if (result.tokenTypes[id] == gguf_token::unused)
        result.tokens[id] = "[PAD" + std::to_string(id) + "]";
    return {};
  }

  /// A merge is "left right" or ["left", "right"].
  Status readMerges(const json &model) {
    const json &merges = memberOf(model, "merges");
    if (!merges.is_array())
      return Status::corruption("'model.merges' is not a list");
    for (const json &merge : merges) {
      if (merge.is_string())
        result.merges.push_back(merge.get<std::string>());
      else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string())
        result.merges.push_back(merge[0].get<std::string>() + " " +
                                merge[1].get<std::string>());
      else
        return Status::corruption("a merge is not two tokens");
    }
    return {};
  }

  void makeScores() {
    result.model = "llama";
    std::unordered_map<std::string, float> rank;
    float number = 0;
    for (const std::string &merge : result.merges) {
      size_t space = merge.find(' ', 1);
      if (space != std::string::npos)
        rank.emplace(merge.substr(0, space) + merge.substr(space + 1), number);
      number += 1;
    }
    result.merges.clear();
    result.scores.resize(size);
    for (size_t id = 0; id < size; ++id) {
      auto it = rank.find(result.tokens[id]);
      if (it != rank.end())
        result.scores[id] = -it->second;
      else if (result.tokenTypes[id] == gguf_token::normal)
        result.scores[id] = -number; // A character, which no merge makes.
    }
    bool addsSpace = false;
    for (const json &step :
         stepsOf(memberOf(root, "normalizer"), "normalizers"))
      addsSpace |= textOf(memberOf(step, "type")) == "Prepend";
    for (const json &step :
         stepsOf(memberOf(root, "pre_tokenizer"), "pretokenizers"))
      addsSpace |= textOf(memberOf(step, "type")) == "Metaspace" &&
                   textOf(memberOf(step, "prepend_scheme")) != "never";
    result.addSpacePrefix = addsSpace;
  }

  Status readSplit(const json &model) {
    result.model = "gpt2";
    std::vector<std::string> patterns;
    bool isByteLevel = false;
    for (const json &step :
         stepsOf(memberOf(root, "pre_tokenizer"), "pretokenizers")) {
      std::string type = textOf(memberOf(step, "type"));
      std::string pattern =
          textOf(memberOf(memberOf(step, "pattern"), "Regex"));
      isByteLevel |= type == "ByteLevel";
      if (type == "Split" && !pattern.empty())
        patterns.push_back(pattern);
      else if (type != "ByteLevel")
        return Status::unsupported("GGUF files have no name for the split " +
                                   quoteName(type) + " into words");
    }
    if (!isByteLevel)
      return Status::unsupported(
          "GGUF files hold byte-level and SentencePiece tokenizers only");
    result.pre =
        ggufSplitName(patterns, isTrue(memberOf(model, "ignore_merges")));
    if (result.pre.empty())
      return Status::unsupported(
          "GGUF files have no name for this split into words" +
          (patterns.empty() ? std::string()
                            : ": " + quoteName(patterns.front())));
    return {};
  }

  /// What the template puts at the ends of a text.
  void readEnds() {
    bool before = false, after = false, seen = false;
    for (const json &part :
         stepsOf(memberOf(root, "post_processor"), "processors")) {
      const json &single = memberOf(part, "single");
      if (!single.is_array())
        continue;
      for (const json &piece : single) {
        if (piece.contains("Sequence")) {
          seen = true;
          continue;
        }
        std::string token =
            textOf(memberOf(memberOf(piece, "SpecialToken"), "id"));
        (seen ? after : before) = true;
        for (size_t id = 0; id < size; ++id)
          if (result.tokens[id] == token)
            (seen ? result.eosId : result.bosId) = static_cast<int32_t>(id);
      }
    }
    result.addBos = before;
    result.addEos = after;
  }

  const json &root;
  size_t size;
  GGUFVocabulary result;
};

} // namespace

StatusOr<GGUFVocabulary> clade::rt::ggufVocabulary(std::string_view text,
                                                   const std::string &name,
                                                   size_t size) {
  StatusOr<json> root = parseJson(text);
  if (!root.ok())
    return root.takeStatus().withContext(quoteName(name));
  StatusOr<GGUFVocabulary> made = VocabularyMaker(*root, size).make();
  if (!made.ok())
    return made.takeStatus().withContext(quoteName(name));
  return made;
}
