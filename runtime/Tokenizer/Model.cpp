//===- Model.cpp - Models of a tokenizer.json -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Model.h"

using namespace clade::rt;

/// The vocabulary of a model that maps tokens to ids.
static StatusOr<Vocabulary> takeVocabulary(JsonFile &file,
                                           const JsonView &model) {
  if (file.vocabularyForm != JsonFile::VocabularyForm::Object)
    return model.corruption("'vocab' is missing or not an object");
  std::vector<std::pair<std::string, int64_t>> entries;
  entries.reserve(file.vocabulary.size());
  for (VocabularyEntry &entry : file.vocabulary)
    entries.emplace_back(std::move(entry.token), entry.id);
  return Vocabulary::create(std::move(entries));
}

static StatusOr<std::unique_ptr<Model>> readBPE(JsonFile &file,
                                                const JsonView &model) {
  if (!file.hasMerges)
    return model.corruption("'merges' is missing or not a list");
  if (std::optional<JsonView> dropout = model.find("dropout"))
    if (!dropout->isZero())
      return dropout->unsupported("a dropout other than 0 is not supported");
  BPEOptions options;
  if (std::optional<JsonView> unknown = model.find("unk_token")) {
    CLADE_ASSIGN_OR_RETURN(options.unknownToken, unknown->asString());
  }
  CLADE_ASSIGN_OR_RETURN(options.continuingSubwordPrefix,
                         model.stringOr("continuing_subword_prefix", ""));
  CLADE_ASSIGN_OR_RETURN(options.endOfWordSuffix,
                         model.stringOr("end_of_word_suffix", ""));
  CLADE_ASSIGN_OR_RETURN(options.fuseUnknown, model.boolOr("fuse_unk", false));
  CLADE_ASSIGN_OR_RETURN(options.byteFallback,
                         model.boolOr("byte_fallback", false));
  CLADE_ASSIGN_OR_RETURN(options.ignoreMerges,
                         model.boolOr("ignore_merges", false));
  CLADE_ASSIGN_OR_RETURN(Vocabulary vocabulary, takeVocabulary(file, model));
  return createBPE(std::move(vocabulary), file.merges, std::move(options));
}

static StatusOr<std::unique_ptr<Model>> readUnigram(JsonFile &file,
                                                    const JsonView &model) {
  if (file.vocabularyForm != JsonFile::VocabularyForm::List)
    return model.corruption("'vocab' is missing or not a list");
  std::optional<int64_t> unknownId;
  if (std::optional<JsonView> unknown = model.find("unk_id")) {
    CLADE_ASSIGN_OR_RETURN(unknownId, unknown->asId());
  }
  CLADE_ASSIGN_OR_RETURN(bool byteFallback,
                         model.boolOr("byte_fallback", false));
  return createUnigram(std::move(file.vocabulary), unknownId, byteFallback);
}

static StatusOr<std::unique_ptr<Model>> readWordPiece(JsonFile &file,
                                                      const JsonView &model) {
  CLADE_ASSIGN_OR_RETURN(std::string unknown, model.stringAt("unk_token"));
  CLADE_ASSIGN_OR_RETURN(std::string prefix,
                         model.stringAt("continuing_subword_prefix"));
  CLADE_ASSIGN_OR_RETURN(uint64_t maxCharacters,
                         model.sizeAt("max_input_chars_per_word"));
  CLADE_ASSIGN_OR_RETURN(Vocabulary vocabulary, takeVocabulary(file, model));
  return createWordPiece(std::move(vocabulary), unknown, std::move(prefix),
                         maxCharacters);
}

/// The type of a model; files written before it was recorded show it by what
/// they hold.
static StatusOr<std::string> modelType(const JsonFile &file,
                                       const JsonView &model) {
  if (model.has("type"))
    return model.type();
  if (file.hasMerges)
    return std::string("BPE");
  if (file.vocabularyForm == JsonFile::VocabularyForm::List)
    return std::string("Unigram");
  if (model.has("max_input_chars_per_word"))
    return std::string("WordPiece");
  return model.corruption("'type' is missing");
}

StatusOr<std::unique_ptr<Model>> Model::create(JsonFile &file) {
  CLADE_ASSIGN_OR_RETURN(JsonView model, file.view().at("model"));
  CLADE_RETURN_IF_ERROR(model.checkObject());
  CLADE_ASSIGN_OR_RETURN(std::string type, modelType(file, model));
  using Reader =
      StatusOr<std::unique_ptr<Model>> (*)(JsonFile &, const JsonView &);
  static constexpr std::pair<std::string_view, Reader> readers[] = {
      {"BPE", readBPE}, {"Unigram", readUnigram}, {"WordPiece", readWordPiece}};
  for (const auto &[name, read] : readers) {
    if (type != name)
      continue;
    StatusOr<std::unique_ptr<Model>> created = read(file, model);
    if (!created.ok() && created.status().message().starts_with("'model"))
      return created;
    if (!created.ok())
      return created.takeStatus().withContext("'model'");
    return created;
  }
  return model.unsupportedType("model", type);
}
