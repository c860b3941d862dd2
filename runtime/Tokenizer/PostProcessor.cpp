//===- PostProcessor.cpp - Special tokens around the text -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/PostProcessor.h"
#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Vocabulary.h"

using namespace clade::rt;

PostProcessor::PostProcessor(std::vector<int32_t> prefix,
                             std::vector<int32_t> suffix) {
  templates.push_back(
      {{false, std::move(prefix)}, {true, {}}, {false, std::move(suffix)}});
}

std::vector<int32_t> PostProcessor::process(std::vector<int32_t> ids,
                                            bool addSpecialTokens) const {
  for (const Template &parts : templates) {
    std::vector<int32_t> result;
    for (const Part &part : parts) {
      const std::vector<int32_t> &source = part.isText ? ids : part.ids;
      if (part.isText || addSpecialTokens)
        result.insert(result.end(), source.begin(), source.end());
    }
    ids = std::move(result);
  }
  return ids;
}

/// An id that a processor adds.
static StatusOr<int32_t> parseId(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(int32_t id, json.asId());
  if (id > maxTokenId)
    return json.corruption("expected an id of at most " +
                           std::to_string(maxTokenId) + ", got " +
                           std::to_string(id));
  return id;
}

/// The ids of the token `name` in a template's "special_tokens".
static StatusOr<std::vector<int32_t>> specialIds(const JsonView &json,
                                                 const std::string &name) {
  std::vector<int32_t> ids;
  CLADE_ASSIGN_OR_RETURN(JsonView known, json.at("special_tokens"));
  if (!known.has(name.c_str()))
    return json.corruption("the template names " + quoteName(name) +
                           ", which 'special_tokens' lacks");
  CLADE_ASSIGN_OR_RETURN(JsonView token, known.at(name.c_str()));
  CLADE_ASSIGN_OR_RETURN(JsonView list, token.at("ids"));
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> elements, list.elements());
  for (const JsonView &element : elements) {
    CLADE_ASSIGN_OR_RETURN(int32_t id, parseId(element));
    ids.push_back(id);
  }
  return ids;
}

StatusOr<PostProcessor::Template>
PostProcessor::parseTemplate(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(JsonView single, json.at("single"));
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> pieces, single.elements());
  Template parts;
  size_t numTexts = 0;
  for (const JsonView &piece : pieces) {
    if (piece.has("SpecialToken")) {
      CLADE_ASSIGN_OR_RETURN(JsonView token, piece.at("SpecialToken"));
      CLADE_ASSIGN_OR_RETURN(std::string name, token.stringAt("id"));
      CLADE_ASSIGN_OR_RETURN(std::vector<int32_t> ids, specialIds(json, name));
      parts.push_back({false, std::move(ids)});
      continue;
    }
    if (!piece.has("Sequence"))
      return piece.corruption("expected 'Sequence' or 'SpecialToken'");
    CLADE_ASSIGN_OR_RETURN(JsonView sequence, piece.at("Sequence"));
    CLADE_ASSIGN_OR_RETURN(std::string name, sequence.stringAt("id"));
    if (name != "A")
      return piece.corruption("expected sequence 'A' in the template for one "
                              "text, got " +
                              quoteName(name));
    parts.push_back({true, {}});
    ++numTexts;
  }
  // A template could double the text, and a sequence of them without end.
  if (numTexts > 1)
    return single.unsupported("a template that repeats the text is not "
                              "supported");
  return parts;
}

/// The id in a pair of a token and its id, as "cls" and "sep" are given.
static StatusOr<int32_t> pairId(const JsonView &json, const char *key) {
  CLADE_ASSIGN_OR_RETURN(JsonView pair, json.at(key));
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> elements, pair.elements());
  if (elements.size() != 2)
    return pair.corruption("expected a token and its id");
  return parseId(elements[1]);
}

StatusOr<PostProcessor> PostProcessor::create(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(std::string type, json.type());
  if (type == "ByteLevel")
    return PostProcessor();
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    CLADE_ASSIGN_OR_RETURN(int32_t first, pairId(json, "cls"));
    CLADE_ASSIGN_OR_RETURN(int32_t last, pairId(json, "sep"));
    return PostProcessor({first}, {last});
  }
  PostProcessor result;
  if (type == "TemplateProcessing") {
    CLADE_ASSIGN_OR_RETURN(Template parts, parseTemplate(json));
    result.templates.push_back(std::move(parts));
    return result;
  }
  if (type != "Sequence")
    return json.unsupportedType("post-processor", type);
  CLADE_ASSIGN_OR_RETURN(JsonView list, json.at("processors"));
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> elements, list.elements());
  for (const JsonView &element : elements) {
    CLADE_ASSIGN_OR_RETURN(PostProcessor step, create(element));
    for (Template &parts : step.templates)
      result.templates.push_back(std::move(parts));
  }
  return result;
}
