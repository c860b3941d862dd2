//===- Tokenizer.cpp - Text to token ids and back -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Tokenizer.h"
#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/TokenizerParts.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>

using namespace clade::rt;

//===----------------------------------------------------------------------===//
// Building from tokenizer.json
//===----------------------------------------------------------------------===//

static Status checkVersion(const JsonView &root) {
  if (!root.has("version"))
    return Status();
  CLADE_ASSIGN_OR_RETURN(std::string version, root.stringAt("version"));
  if (version == "1.0")
    return Status();
  return Status::unsupported("version " + quoteName(version) +
                             " is not supported, expected '1.0'");
}

static StatusOr<std::vector<AddedToken>>
parseAddedTokens(const JsonView &root) {
  std::vector<AddedToken> tokens;
  std::optional<JsonView> list = root.find("added_tokens");
  if (!list)
    return tokens;
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> elements, list->elements());
  for (const JsonView &element : elements) {
    CLADE_ASSIGN_OR_RETURN(AddedToken token, AddedToken::parse(element));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

StatusOr<std::unique_ptr<Tokenizer::Parts>>
Tokenizer::Parts::create(JsonFile &file) {
  auto parts = std::make_unique<Parts>();
  JsonView root = file.view();
  CLADE_RETURN_IF_ERROR(checkVersion(root));
  if (std::optional<JsonView> json = root.find("normalizer")) {
    CLADE_ASSIGN_OR_RETURN(parts->normalizer, Normalizer::create(*json));
  }
  if (std::optional<JsonView> json = root.find("pre_tokenizer")) {
    CLADE_ASSIGN_OR_RETURN(parts->preTokenizer, PreTokenizer::create(*json));
  }
  if (std::optional<JsonView> json = root.find("post_processor")) {
    CLADE_ASSIGN_OR_RETURN(parts->postProcessor, PostProcessor::create(*json));
  }
  if (std::optional<JsonView> json = root.find("decoder")) {
    CLADE_ASSIGN_OR_RETURN(parts->decoder, Decoder::create(*json));
  }
  CLADE_ASSIGN_OR_RETURN(parts->model, Model::create(file));
  CLADE_ASSIGN_OR_RETURN(std::vector<AddedToken> added, parseAddedTokens(root));
  CLADE_ASSIGN_OR_RETURN(parts->addedTokens,
                         AddedTokens::create(std::move(added),
                                             parts->model->vocabulary(),
                                             parts->normalizer.get()));
  return parts;
}

StatusOr<std::unique_ptr<Tokenizer>>
Tokenizer::fromJson(std::string_view json, std::string_view sourceName) {
  StatusOr<JsonFile> file = JsonFile::parse(json);
  if (!file.ok())
    return file.takeStatus().withContext(quoteName(sourceName));
  if (!file->view().isObject())
    return Status::corruption("expected an object")
        .withContext(quoteName(sourceName));
  StatusOr<std::unique_ptr<Parts>> parts = Parts::create(*file);
  if (!parts.ok())
    return parts.takeStatus().withContext(quoteName(sourceName));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(*parts)));
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts(std::move(parts)) {}

Tokenizer::~Tokenizer() = default;

//===----------------------------------------------------------------------===//
// Encoding
//===----------------------------------------------------------------------===//

Status Tokenizer::Parts::split(std::string_view text, Pieces &pieces) const {
  Piece whole;
  whole.text = text;
  whole.startsInput = true;
  whole.originBytes = text.empty() ? 0 : characterLength(text[0]);
  pieces.list.push_back(whole);
  CLADE_RETURN_IF_ERROR(addedTokens.splitOriginal(pieces));
  if (normalizer) {
    for (Piece &piece : pieces.list) {
      if (piece.id >= 0)
        continue;
      NormalizedText normalized = {std::string(piece.text), piece.originBytes};
      CLADE_RETURN_IF_ERROR(normalizer->normalize(normalized));
      piece.originBytes = normalized.originBytes;
      CLADE_ASSIGN_OR_RETURN(piece.text,
                             pieces.keep(std::move(normalized.text)));
    }
  }
  CLADE_RETURN_IF_ERROR(addedTokens.splitNormalized(pieces));
  return preTokenizer ? preTokenizer->split(pieces) : Status();
}

StatusOr<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                                 bool addSpecialTokens) const {
  CLADE_RETURN_IF_ERROR(checkTextSize(text.size()));
  std::string valid;
  if (!isValidUTF8(text)) {
    valid = toValidUTF8(text);
    text = valid;
  }
  Pieces pieces;
  CLADE_RETURN_IF_ERROR(parts->split(text, pieces));
  std::vector<int32_t> ids;
  for (const Piece &piece : pieces.list) {
    if (piece.id >= 0)
      ids.push_back(piece.id);
    else if (!piece.text.empty())
      CLADE_RETURN_IF_ERROR(parts->model->encode(piece.text, ids));
  }
  return parts->postProcessor.process(std::move(ids), addSpecialTokens);
}

//===----------------------------------------------------------------------===//
// Decoding and the vocabulary
//===----------------------------------------------------------------------===//

const std::string *Tokenizer::Parts::token(int32_t id) const {
  if (const std::string *added = addedTokens.token(id))
    return added;
  return model->vocabulary().token(id);
}

Status Tokenizer::Parts::decodeTo(DecodeChain &chain, int32_t id,
                                  bool skipSpecialTokens) const {
  const std::string *text = token(id);
  if (!text || (skipSpecialTokens && isSpecial(*text)))
    return Status();
  return chain.push(*text);
}

StatusOr<std::string> Tokenizer::decode(std::span<const int32_t> ids,
                                        bool skipSpecialTokens) const {
  DecodeChain chain = parts->decoder.start(/*isStream=*/false);
  for (int32_t id : ids)
    CLADE_RETURN_IF_ERROR(parts->decodeTo(chain, id, skipSpecialTokens));
  CLADE_RETURN_IF_ERROR(chain.finish());
  return chain.take();
}

int32_t Tokenizer::vocabularySize() const {
  return std::max(parts->model->vocabulary().idLimit(),
                  parts->addedTokens.idLimit());
}

std::optional<int32_t> Tokenizer::tokenId(std::string_view token) const {
  if (std::optional<int32_t> id = parts->addedTokens.id(token))
    return id;
  return parts->model->vocabulary().id(token);
}

std::optional<std::string> Tokenizer::token(int32_t id) const {
  const std::string *text = parts->token(id);
  if (!text)
    return std::nullopt;
  return *text;
}

bool Tokenizer::isSpecial(int32_t id) const {
  const std::string *text = parts->token(id);
  return text && parts->isSpecial(*text);
}

//===----------------------------------------------------------------------===//
// StreamDecoder
//===----------------------------------------------------------------------===//

struct StreamDecoder::State {
  const Tokenizer::Parts &parts;
  bool skipSpecialTokens;
  DecodeChain chain;
};

StreamDecoder::StreamDecoder(const Tokenizer &tokenizer, bool skipSpecialTokens)
    : state(new State{*tokenizer.parts, skipSpecialTokens,
                      tokenizer.parts->decoder.start(/*isStream=*/true)}) {}

StreamDecoder::StreamDecoder(StreamDecoder &&) noexcept = default;
StreamDecoder &StreamDecoder::operator=(StreamDecoder &&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

StatusOr<std::string> StreamDecoder::push(int32_t id) {
  CLADE_RETURN_IF_ERROR(
      state->parts.decodeTo(state->chain, id, state->skipSpecialTokens));
  return state->chain.take();
}

StatusOr<std::string> StreamDecoder::finish() {
  CLADE_RETURN_IF_ERROR(state->chain.finish());
  return state->chain.take();
}
