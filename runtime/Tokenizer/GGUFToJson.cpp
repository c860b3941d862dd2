//===- GGUFToJson.cpp - GGUF metadata as tokenizer.json -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The inverse of GGUFVocabulary.cpp, in the form of the published files of
// these models. A SentencePiece vocabulary has scores and no merges: each way
// to cut a token in two is a merge, in the order of the tokens' scores, as
// transformers makes them (convert_slow_tokenizer.py, generate_merges).
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/GGUFVocabulary.h"
#include "runtime/Tokenizer/Tokenizer.h"

#include <algorithm>
#include <unordered_map>

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr const char *spaceMark = "\xE2\x96\x81";

int32_t tokenTypeOf(const GGUFVocabulary &source, size_t id) {
  return source.tokenTypes.empty() ? gguf_token::normal : source.tokenTypes[id];
}

json addedTokensJson(const GGUFVocabulary &source) {
  json list = json::array();
  for (size_t id = 0; id < source.tokens.size(); ++id) {
    int32_t type = tokenTypeOf(source, id);
    if (type == gguf_token::unknown || type == gguf_token::control ||
        type == gguf_token::userDefined)
      list.push_back({{"id", id},
                      {"content", source.tokens[id]},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", false},
                      {"normalized", false},
                      {"special", type != gguf_token::userDefined}});
  }
  return list;
}

json vocabularyJson(const GGUFVocabulary &source) {
  json ids = json::object();
  for (size_t id = 0; id < source.tokens.size(); ++id)
    ids[source.tokens[id]] = id;
  return ids;
}

/// A template with a token before and one behind each text.
json postProcessorJson(const GGUFVocabulary &source, bool addBosByDefault) {
  json single = json::array(), pair = json::array();
  json specials = json::object();
  auto add = [&](std::optional<int32_t> id, json &pieces, int type) {
    const std::string &token = source.tokens[static_cast<size_t>(*id)];
    specials[token] = {{"id", token}, {"ids", {*id}}, {"tokens", {token}}};
    pieces.push_back({{"SpecialToken", {{"id", token}, {"type_id", type}}}});
  };
  // That the ids are there was checked when the tokenizer was built.
  bool before = source.addBos.value_or(addBosByDefault),
       behind = source.addEos.value_or(false);
  if (!before && !behind)
    return json();
  for (auto [name, type] : {std::pair{"A", 0}, {"B", 1}}) {
    json text = {{"Sequence", {{"id", name}, {"type_id", type}}}};
    for (json *pieces : {&single, &pair}) {
      if (pieces == &single && type == 1)
        continue;
      if (before)
        add(source.bosId, *pieces, type);
      pieces->push_back(text);
      if (behind)
        add(source.eosId, *pieces, type);
    }
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", specials}};
}

json bpeModelJson(const GGUFVocabulary &source, json merges) {
  json unknown;
  if (source.unknownId && source.model == "llama")
    unknown = source.tokens[static_cast<size_t>(*source.unknownId)];
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unknown},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", source.model == "llama"},
          {"byte_fallback", source.model == "llama"},
          {"ignore_merges", false},
          {"vocab", vocabularyJson(source)},
          {"merges", std::move(merges)}};
}

json byteLevelStepJson() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", false}};
}

void describeByteLevel(const GGUFVocabulary &source, const GGUFSplit &split,
                       json &root) {
  json merges = json::array();
  for (const std::string &merge : source.merges) {
    size_t space = merge.find(' ', 1);
    merges.push_back({merge.substr(0, space), merge.substr(space + 1)});
  }
  root["model"] = bpeModelJson(source, std::move(merges));
  root["model"]["ignore_merges"] = split.ignoreMerges;
  json steps = json::array();
  for (const std::string &pattern : split.patterns)
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  steps.push_back(byteLevelStepJson());
  root["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  root["decoder"] = byteLevelStepJson();
}

/// Every way to cut a token into two, the better scores first.
json mergesByScore(const GGUFVocabulary &source) {
  struct Merge {
    float score;
    std::string_view left, right;
    size_t leftId, rightId;
  };
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < source.tokens.size(); ++id)
    if (tokenTypeOf(source, id) == gguf_token::normal)
      ids.emplace(source.tokens[id], id);
  std::vector<Merge> merges;
  for (const auto &[token, id] : ids)
    for (size_t cut = 1; cut < token.size(); ++cut) {
      auto left = ids.find(token.substr(0, cut)),
           right = ids.find(token.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.push_back({source.scores[id], left->first, right->first,
                          left->second, right->second});
    }
  std::sort(merges.begin(), merges.end(), [](const Merge &a, const Merge &b) {
    if (a.score != b.score)
      return a.score > b.score;
    return std::pair(a.leftId, a.rightId) < std::pair(b.leftId, b.rightId);
  });
  json list = json::array();
  for (const Merge &merge : merges)
    list.push_back({merge.left, merge.right});
  return list;
}

void describeSentencePiece(const GGUFVocabulary &source, json &root) {
  root["model"] = bpeModelJson(source, mergesByScore(source));
  json toMarks = {{"type", "Replace"},
                  {"pattern", {{"String", " "}}},
                  {"content", spaceMark}};
  json toSpaces = {{"type", "Replace"},
                   {"pattern", {{"String", spaceMark}}},
                   {"content", " "}};
  json decoders = {toSpaces, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  root["normalizer"] = toMarks;
  if (source.addSpacePrefix.value_or(true)) {
    root["normalizer"] = {
        {"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", spaceMark}}, toMarks}}};
    decoders.push_back(
        {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  root["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
}

} // namespace

StatusOr<std::string>
clade::rt::tokenizerJson(const GGUFVocabulary &vocabulary) {
  // Whatever is wrong with it, building says.
  auto built = Tokenizer::fromGGUF(vocabulary);
  if (!built.ok())
    return built.takeStatus();
  // There they are found before the space is put in front, which then goes in
  // front of what follows them, too.
  bool addsSpace =
      vocabulary.model == "llama" && vocabulary.addSpacePrefix.value_or(true);
  for (size_t id = 0; addsSpace && id < vocabulary.tokens.size(); ++id)
    if (tokenTypeOf(vocabulary, id) == gguf_token::userDefined)
      return Status::unsupported(
          "'tokenizer.ggml': a tokenizer.json cannot say that texts begin with "
          "a space and that " +
          quoteName(vocabulary.tokens[id]) + " is found in them");
  const GGUFSplit *split =
      vocabulary.model == "gpt2" ? findGGUFSplit(vocabulary.pre) : nullptr;
  json root = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", addedTokensJson(vocabulary)},
               {"normalizer", nullptr},
               {"pre_tokenizer", nullptr},
               {"post_processor",
                postProcessorJson(vocabulary, split ? split->addBos : true)}};
  if (split)
    describeByteLevel(vocabulary, *split, root);
  else
    describeSentencePiece(vocabulary, root);
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}
