//===- Decoder.cpp - From tokens back to text -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Decoder.h"
#include "runtime/Tokenizer/DecodeStages.h"
#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/Unicode.h"

using namespace clade::rt;

namespace {

/// A step whose stage needs no configuration.
template <typename Stage> class PlainStep : public DecodeStep {
public:
  std::unique_ptr<DecodeStage> start(bool) const override {
    return std::make_unique<Stage>();
  }
};

class ByteFallbackStep : public DecodeStep {
public:
  std::unique_ptr<DecodeStage> start(bool isStream) const override {
    return std::make_unique<ByteFallbackStage>(isStream);
  }
};

class MetaspaceStep : public DecodeStep {
public:
  explicit MetaspaceStep(MetaspaceOptions options)
      : options(std::move(options)) {}
  std::unique_ptr<DecodeStage> start(bool) const override {
    return std::make_unique<MetaspaceStage>(
        options.replacement, options.prependScheme != PrependScheme::Never);
  }

private:
  MetaspaceOptions options;
};

class WordPieceStep : public DecodeStep {
public:
  WordPieceStep(std::string prefix, bool cleanup)
      : prefix(std::move(prefix)), cleanup(cleanup) {}
  std::unique_ptr<DecodeStage> start(bool) const override {
    return std::make_unique<WordPieceStage>(prefix, cleanup);
  }

private:
  std::string prefix;
  bool cleanup;
};

class BPEDecoderStep : public DecodeStep {
public:
  explicit BPEDecoderStep(std::string suffix) : suffix(std::move(suffix)) {}
  std::unique_ptr<DecodeStage> start(bool) const override {
    return std::make_unique<BPEDecoderStage>(suffix);
  }

private:
  std::string suffix;
};

class ReplaceStep : public DecodeStep {
public:
  ReplaceStep(Regex pattern, std::string content)
      : pattern(std::move(pattern)), content(std::move(content)) {}
  std::unique_ptr<DecodeStage> start(bool) const override {
    return std::make_unique<ReplaceStage>(pattern, content);
  }

private:
  Regex pattern;
  std::string content;
};

class StripStep : public DecodeStep {
public:
  StripStep(std::string content, uint64_t begin, uint64_t end)
      : content(std::move(content)), begin(begin), end(end) {}
  std::unique_ptr<DecodeStage> start(bool) const override {
    return std::make_unique<StripStage>(content, begin, end);
  }

private:
  std::string content;
  uint64_t begin, end;
};

} // namespace

using StepPtr = std::unique_ptr<DecodeStep>;

Status DecodeChain::push(std::string_view token) {
  CLADE_RETURN_IF_ERROR(stages.front()->text(token));
  return stages.front()->endToken();
}

Decoder::Decoder() {
  steps.push_back(std::make_unique<PlainStep<JoinStage>>());
}

DecodeChain Decoder::start(bool isStream) const {
  DecodeChain chain;
  for (const StepPtr &step : steps)
    chain.stages.push_back(step->start(isStream));
  chain.stages.push_back(std::make_unique<OutputStage>(*chain.output));
  for (size_t i = 0; i + 1 < chain.stages.size(); ++i)
    chain.stages[i]->next = chain.stages[i + 1].get();
  return chain;
}

Decoder Decoder::byteLevel() {
  Decoder decoder;
  decoder.steps.clear();
  decoder.steps.push_back(std::make_unique<PlainStep<ByteLevelStage>>());
  return decoder;
}

Decoder Decoder::sentencePiece(bool stripsSpace) {
  Decoder decoder;
  decoder.steps.clear();
  // The mark is not a byte token and no byte token has a mark, so the order of
  // the first two does not matter.
  StatusOr<Regex> mark = Regex::literal("\xE2\x96\x81");
  decoder.steps.push_back(std::make_unique<ReplaceStep>(std::move(*mark), " "));
  decoder.steps.push_back(std::make_unique<ByteFallbackStep>());
  decoder.steps.push_back(std::make_unique<PlainStep<FuseStage>>());
  if (stripsSpace)
    decoder.steps.push_back(std::make_unique<StripStep>(" ", 1, 0));
  return decoder;
}

//===----------------------------------------------------------------------===//
// Creation
//===----------------------------------------------------------------------===//

static StatusOr<StepPtr> createMetaspaceStep(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(MetaspaceOptions options,
                         MetaspaceOptions::parse(json));
  return StepPtr(new MetaspaceStep(std::move(options)));
}

static StatusOr<StepPtr> createWordPiece(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(std::string prefix, json.stringAt("prefix"));
  CLADE_ASSIGN_OR_RETURN(bool cleanup, json.boolAt("cleanup"));
  return StepPtr(new WordPieceStep(std::move(prefix), cleanup));
}

static StatusOr<StepPtr> createBPEDecoder(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(std::string suffix, json.stringAt("suffix"));
  if (suffix.empty())
    return json.unsupported("an empty 'suffix' is not supported");
  return StepPtr(new BPEDecoderStep(std::move(suffix)));
}

static StatusOr<StepPtr> createReplace(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(JsonView patternJson, json.at("pattern"));
  CLADE_ASSIGN_OR_RETURN(Regex pattern, parsePattern(patternJson));
  CLADE_ASSIGN_OR_RETURN(std::string content, json.stringAt("content"));
  return StepPtr(new ReplaceStep(std::move(pattern), std::move(content)));
}

static StatusOr<StepPtr> createStrip(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(std::string content, json.stringAt("content"));
  if (content.empty() || characterLength(content[0]) != content.size())
    return json.corruption("'content' is not one character");
  CLADE_ASSIGN_OR_RETURN(uint64_t start, json.sizeAt("start"));
  CLADE_ASSIGN_OR_RETURN(uint64_t stop, json.sizeAt("stop"));
  return StepPtr(new StripStep(std::move(content), start, stop));
}

static StatusOr<StepPtr> createStep(const JsonView &json,
                                    const std::string &type) {
  if (type == "ByteLevel")
    return StepPtr(new PlainStep<ByteLevelStage>());
  if (type == "ByteFallback")
    return StepPtr(new ByteFallbackStep());
  if (type == "Fuse")
    return StepPtr(new PlainStep<FuseStage>());
  if (type == "Metaspace")
    return createMetaspaceStep(json);
  if (type == "WordPiece")
    return createWordPiece(json);
  if (type == "BPEDecoder")
    return createBPEDecoder(json);
  if (type == "Replace")
    return createReplace(json);
  if (type == "Strip")
    return createStrip(json);
  return json.unsupportedType("decoder", type);
}

Status Decoder::append(const JsonView &json, std::vector<StepPtr> &steps) {
  CLADE_ASSIGN_OR_RETURN(std::string type, json.type());
  if (type != "Sequence") {
    CLADE_ASSIGN_OR_RETURN(StepPtr step, createStep(json, type));
    steps.push_back(std::move(step));
    return Status();
  }
  CLADE_ASSIGN_OR_RETURN(JsonView list, json.at("decoders"));
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> elements, list.elements());
  for (const JsonView &element : elements)
    CLADE_RETURN_IF_ERROR(append(element, steps));
  return Status();
}

StatusOr<Decoder> Decoder::create(const JsonView &json) {
  Decoder decoder;
  decoder.steps.clear();
  CLADE_RETURN_IF_ERROR(append(json, decoder.steps));
  return decoder;
}
