//===- tokenizer-dump.cpp - Print what a tokenizer does -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: tokenizer-dump [--gguf] [--stream] TOKENIZER STRINGS
//
// TOKENIZER is a tokenizer.json, or with --gguf a JSON object of the fields of
// GGUFVocabulary. STRINGS is a JSON list of texts in base64. For each text it
// prints one line of JSON: the ids with and without special tokens, and the
// text that the first ids decode to, without and with special tokens. With
// --stream, decoding is by StreamDecoder.
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Tokenizer.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

using namespace clade::rt;
using nlohmann::json;

static std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

static std::string decodeBase64(const std::string &text) {
  static const std::string alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    size_t value = alphabet.find(c);
    if (value == std::string::npos)
      break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count);
    }
  }
  return out;
}

static GGUFVocabulary readVocabulary(const json &source) {
  GGUFVocabulary result;
  result.model = source.at("model");
  result.pre = source.value("pre", "");
  result.tokens = source.at("tokens");
  result.scores = source.value("scores", std::vector<float>());
  result.tokenTypes = source.value("token_type", std::vector<int32_t>());
  result.merges = source.value("merges", std::vector<std::string>());
  auto id = [&](const char *key, std::optional<int32_t> &out) {
    if (source.contains(key))
      out = source[key].get<int32_t>();
  };
  auto flag = [&](const char *key, std::optional<bool> &out) {
    if (source.contains(key))
      out = source[key].get<bool>();
  };
  id("bos_token_id", result.bosId);
  id("eos_token_id", result.eosId);
  id("unknown_token_id", result.unknownId);
  id("padding_token_id", result.paddingId);
  flag("add_bos_token", result.addBos);
  flag("add_eos_token", result.addEos);
  flag("add_space_prefix", result.addSpacePrefix);
  return result;
}

static StatusOr<std::string> decodeStream(const Tokenizer &tokenizer,
                                          const std::vector<int32_t> &ids,
                                          bool skip) {
  StreamDecoder stream(tokenizer, skip);
  std::string text;
  for (int32_t id : ids) {
    CLADE_ASSIGN_OR_RETURN(std::string part, stream.push(id));
    text += part;
  }
  CLADE_ASSIGN_OR_RETURN(std::string rest, stream.finish());
  return text + rest;
}

static Status dump(const Tokenizer &tokenizer, const std::string &text,
                   bool isStream) {
  CLADE_ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer.encode(text));
  CLADE_ASSIGN_OR_RETURN(std::vector<int32_t> plain,
                         tokenizer.encode(text, false));
  json line = {{"ids", ids}, {"plain", plain}};
  for (bool skip : {true, false}) {
    CLADE_ASSIGN_OR_RETURN(std::string decoded,
                           isStream ? decodeStream(tokenizer, ids, skip)
                                    : tokenizer.decode(ids, skip));
    line[skip ? "text" : "full"] = decoded;
  }
  std::cout << line.dump() << '\n';
  return Status();
}

int main(int argc, char **argv) {
  bool isGGUF = false, isStream = false;
  int first = 1;
  for (; first < argc && argv[first][0] == '-'; ++first) {
    isGGUF |= std::string_view(argv[first]) == "--gguf";
    isStream |= std::string_view(argv[first]) == "--stream";
  }
  if (argc - first != 2) {
    std::cerr
        << "usage: tokenizer-dump [--gguf] [--stream] TOKENIZER STRINGS\n";
    return 2;
  }
  std::string source = readFile(argv[first]);
  auto tokenizer =
      isGGUF ? Tokenizer::fromGGUF(readVocabulary(json::parse(source)))
             : Tokenizer::fromJson(source, argv[first]);
  if (!tokenizer.ok()) {
    std::cerr << "error: " << tokenizer.status().message() << '\n';
    return 1;
  }
  for (const json &text : json::parse(readFile(argv[first + 1]))) {
    Status status =
        dump(**tokenizer, decodeBase64(text.get<std::string>()), isStream);
    if (!status.ok())
      std::cout << json({{"error", status.message()}}).dump() << '\n';
  }
  return 0;
}
