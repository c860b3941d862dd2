//===- GGUFTokenizer.cpp - Tokenizers from GGUF metadata ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/TokenizerParts.h"
#include "runtime/Tokenizer/Unicode.h"

#include <cmath>

using namespace clade::rt;

namespace {

struct NamedSplit {
  std::string_view names; ///< Separated by spaces, with one at either end.
  GGUFSplit split;
};

} // namespace

/// What most patterns end with: what is neither letter nor digit, line ends,
/// other white space.
#define CLADE_SYMBOLS_AND_SPACE                                                \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define CLADE_CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define CLADE_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define CLADE_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define CLADE_LEAD R"([^\r\n\p{L}\p{N}]?)"
#define CLADE_SLASH_AND_SPACE                                                  \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"

static const std::vector<NamedSplit> &namedSplits() {
  static const std::string gpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+)"
      R"(|\s+(?!\S)|\s+)";
  static const std::string llama3 = CLADE_CONTRACTIONS
      "|" CLADE_LEAD R"(\p{L}+|\p{N}{1,3})" CLADE_SYMBOLS_AND_SPACE;
  static const std::string qwen2 = CLADE_CONTRACTIONS
      "|" CLADE_LEAD R"(\p{L}+|\p{N})" CLADE_SYMBOLS_AND_SPACE;
  static const std::string qwen35 = CLADE_CONTRACTIONS
      "|" CLADE_LEAD R"([\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  static const std::string tekken =
      CLADE_LEAD CLADE_UPPER "*" CLADE_LOWER "+|" CLADE_LEAD CLADE_UPPER
                             "+" CLADE_LOWER R"(*|\p{N})" CLADE_SLASH_AND_SPACE;
  static const std::string gpt4o = CLADE_LEAD CLADE_UPPER
      "*" CLADE_LOWER "+" CLADE_CONTRACTIONS "?|" CLADE_LEAD CLADE_UPPER
      "+" CLADE_LOWER "*" CLADE_CONTRACTIONS
      R"(?|\p{N}{1,3})" CLADE_SLASH_AND_SPACE;
  static const std::string deepseekWords =
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
      R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  static const std::vector<NamedSplit> splits = {
      {" gpt-2 phi-2 mpt olmo jais jina-es jina-de jina-v2-es jina-v2-de"
       " jina-v1-en jina-v2-code roberta-bpe gigachat a.x-4.0 mellum"
       " modern-bert exaone4 trillion granite-docling ",
       {{gpt2}}},
      {" llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 ",
       {{llama3}, /*ignoreMerges=*/true, /*addBos=*/true}},
      {" dbrx smaug-bpe glm4 chatglm-bpe ", {{llama3}}},
      {" qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan grok-2 ", {{qwen2}}},
      {" qwen35 ", {{qwen35}}},
      {" tekken ", {{tekken}, /*ignoreMerges=*/true, /*addBos=*/true}},
      {" gpt-4o llama4 minimax-m2 ", {{gpt4o}}},
      {" starcoder refact command-r smollm codeshell exaone minerva-7b ",
       {{R"(\p{N})", gpt2}}},
      {" falcon ", {{R"([\p{P}\$\+<=>\^~\|`]+)", gpt2, "[0-9][0-9][0-9]"}}},
      {" deepseek-coder ",
       {{R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
         R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)",
         R"(\p{N})"}}},
      {" deepseek-v3 hunyuan-dense ",
       {{R"(\p{N}{1,3})",
         R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)",
         deepseekWords}}},
      // Files from before `pre` was recorded.
      {" default ",
       {{R"([\p{P}\$\+<=>\^~\|]+)", gpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}},
  };
  return splits;
}

const GGUFSplit *clade::rt::findGGUFSplit(const std::string &pre) {
  std::string key = " " + (pre.empty() ? "default" : pre) + " ";
  if (key.find(' ', 1) != key.size() - 1)
    return nullptr;
  for (const NamedSplit &named : namedSplits())
    if (named.names.find(key) != std::string_view::npos)
      return &named.split;
  return nullptr;
}

std::string clade::rt::ggufSplitName(const std::vector<std::string> &patterns,
                                     bool ignoreMerges) {
  for (const NamedSplit &named : namedSplits())
    if (named.split.patterns == patterns &&
        named.split.ignoreMerges == ignoreMerges)
      return std::string(named.names.substr(1, named.names.find(' ', 1) - 1));
  return "";
}

/// Checks lengths, ids and texts.
static Status check(const GGUFVocabulary &source) {
  size_t count = source.tokens.size();
  if (count == 0)
    return Status::corruption("'tokens' is empty");
  auto checkLength = [&](const char *name, size_t length) {
    if (length == 0 || length == count)
      return Status();
    return Status::corruption(quoteName(name) + " has " +
                              std::to_string(length) + " entries, expected " +
                              std::to_string(count));
  };
  CLADE_RETURN_IF_ERROR(checkLength("scores", source.scores.size()));
  CLADE_RETURN_IF_ERROR(checkLength("token_type", source.tokenTypes.size()));
  for (size_t id = 0; id < count; ++id)
    if (!isValidUTF8(source.tokens[id]))
      return Status::corruption("token " + std::to_string(id) +
                                " is not valid UTF-8");
  for (size_t id = 0; id < source.scores.size(); ++id)
    if (std::isnan(source.scores[id]))
      return Status::corruption("the score of token " + std::to_string(id) +
                                " is not a number");
  const std::pair<const char *, std::optional<int32_t>> ids[] = {
      {"bos_token_id", source.bosId},
      {"eos_token_id", source.eosId},
      {"unknown_token_id", source.unknownId},
      {"padding_token_id", source.paddingId}};
  for (const auto &[name, id] : ids)
    if (id && (*id < 0 || static_cast<size_t>(*id) >= count))
      return Status::corruption(quoteName(name) + " is " + std::to_string(*id) +
                                ", but there are " + std::to_string(count) +
                                " tokens");
  return Status();
}

/// The text of a token as the model sees it. GGUF writes SentencePiece's user
/// defined tokens with spaces, where the text has marks by then.
static std::string tokenText(const GGUFVocabulary &source, size_t id) {
  const std::string &token = source.tokens[id];
  if (source.model != "llama" || source.tokenTypes.empty() ||
      source.tokenTypes[id] != gguf_token::userDefined)
    return token;
  std::string result;
  for (char byte : token)
    if (byte == ' ')
      result += "\xE2\x96\x81";
    else
      result += byte;
  return result;
}

static StatusOr<Vocabulary> makeVocabulary(const GGUFVocabulary &source) {
  std::vector<std::pair<std::string, int64_t>> entries;
  entries.reserve(source.tokens.size());
  for (size_t id = 0; id < source.tokens.size(); ++id)
    entries.emplace_back(tokenText(source, id), static_cast<int64_t>(id));
  return Vocabulary::create(std::move(entries));
}

/// Control and unknown tokens are found in the text as given. So are user
/// defined ones, but SentencePiece looks for these in the normalized text.
static StatusOr<AddedTokens> makeAddedTokens(const GGUFVocabulary &source,
                                             const Vocabulary &vocabulary) {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < source.tokenTypes.size(); ++id) {
    int32_t type = source.tokenTypes[id];
    if (type != gguf_token::unknown && type != gguf_token::control &&
        type != gguf_token::userDefined)
      continue;
    AddedToken token;
    token.content = tokenText(source, id);
    token.id = static_cast<int32_t>(id);
    token.special = type != gguf_token::userDefined;
    token.normalized =
        type == gguf_token::userDefined && source.model == "llama";
    added.push_back(std::move(token));
  }
  return AddedTokens::create(std::move(added), vocabulary, nullptr);
}

/// Tokens at the start and the end of every text.
static StatusOr<PostProcessor> makePostProcessor(const GGUFVocabulary &source,
                                                 bool addBosByDefault) {
  std::vector<int32_t> prefix, suffix;
  if (source.addBos.value_or(addBosByDefault)) {
    if (!source.bosId)
      return Status::corruption(
          "texts begin with a token, but 'bos_token_id' is missing");
    prefix.push_back(*source.bosId);
  }
  if (source.addEos.value_or(false)) {
    if (!source.eosId)
      return Status::corruption(
          "'add_eos_token' is true, but 'eos_token_id' is missing");
    suffix.push_back(*source.eosId);
  }
  return PostProcessor(std::move(prefix), std::move(suffix));
}

/// SentencePiece: spaces are marks, and text starts with one if so configured.
static Status buildSentencePiece(const GGUFVocabulary &source,
                                 Vocabulary vocabulary,
                                 Tokenizer::Parts &parts) {
  if (source.scores.empty())
    return Status::corruption("'scores' is missing, which model 'llama' needs");
  bool addsSpace = source.addSpacePrefix.value_or(true);
  CLADE_ASSIGN_OR_RETURN(parts.normalizer,
                         Normalizer::sentencePiece(addsSpace));
  parts.decoder = Decoder::sentencePiece(addsSpace);
  parts.model =
      createScoreBPE(std::move(vocabulary), source.scores, source.unknownId);
  return Status();
}

static Status buildByteLevel(const GGUFVocabulary &source,
                             const GGUFSplit &split, Vocabulary vocabulary,
                             Tokenizer::Parts &parts) {
  if (source.merges.empty())
    return Status::corruption("'merges' is missing, which model 'gpt2' needs");
  std::vector<Merge> merges;
  merges.reserve(source.merges.size());
  for (const std::string &merge : source.merges) {
    // A token can be a space, but only the first one.
    size_t space = merge.empty() ? std::string::npos : merge.find(' ', 1);
    if (space == std::string::npos)
      return Status::corruption("merge " + std::to_string(merges.size()) +
                                ": expected two tokens, got " +
                                quoteName(merge));
    merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  BPEOptions options;
  options.ignoreMerges = split.ignoreMerges;
  CLADE_ASSIGN_OR_RETURN(parts.model,
                         createBPE(std::move(vocabulary), merges, options));
  CLADE_ASSIGN_OR_RETURN(parts.preTokenizer,
                         PreTokenizer::byteLevel(split.patterns));
  parts.decoder = Decoder::byteLevel();
  return Status();
}

Status Tokenizer::Parts::build(const GGUFVocabulary &source) {
  const GGUFSplit *split = nullptr;
  if (source.model == "gpt2") {
    split = findGGUFSplit(source.pre);
    if (!split)
      return Status::unsupported("'pre': the split into words " +
                                 quoteName(source.pre) + " is not supported");
  } else if (source.model != "llama") {
    return Status::unsupported("'model': tokenizer model " +
                               quoteName(source.model) +
                               " is not supported, expected 'llama' or 'gpt2'");
  }
  CLADE_RETURN_IF_ERROR(check(source));
  CLADE_ASSIGN_OR_RETURN(Vocabulary vocabulary, makeVocabulary(source));
  CLADE_ASSIGN_OR_RETURN(addedTokens, makeAddedTokens(source, vocabulary));
  CLADE_ASSIGN_OR_RETURN(
      postProcessor, makePostProcessor(source, split ? split->addBos : true));
  return split ? buildByteLevel(source, *split, std::move(vocabulary), *this)
               : buildSentencePiece(source, std::move(vocabulary), *this);
}

StatusOr<std::unique_ptr<Tokenizer>>
Tokenizer::fromGGUF(const GGUFVocabulary &vocabulary) {
  auto parts = std::make_unique<Parts>();
  Status status = parts->build(vocabulary);
  if (!status.ok())
    return std::move(status).withContext("'tokenizer.ggml'");
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}
