//===- PictureInputs.cpp - Pictures as what a model takes -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/PictureInputs.h"

#include "runtime/Image/Processor.h"

#include <algorithm>

using namespace clade;
using namespace clade::driver;
using rt::Status;
using rt::StatusOr;

/// The tokenizer, the processor and the entry must mean the same token.
static Status checkTokens(const rt::ImageProcessor &processor,
                          const rt::Tokenizer &tokenizer,
                          const rt::ManifestImages &entry) {
  std::optional<int32_t> id = tokenizer.tokenId(processor.imageToken());
  bool isKnown =
      id && std::ranges::find(entry.tokens, *id) != entry.tokens.end();
  return processor.checkTokens(
      tokenizer, isKnown || entry.tokens.empty()
                     ? std::nullopt
                     : std::optional<int64_t>(entry.tokens.front()));
}

Status driver::addPictures(Requests &requests,
                           const std::optional<rt::ManifestImages> &entry,
                           const PictureSource &source) {
  std::unique_ptr<rt::ImageProcessor> processor;
  for (size_t i = 0; i < requests.requests.size(); ++i) {
    Pictures &pictures = requests.pictures[i];
    rt::GenerateRequest &request = requests.requests[i];
    if (pictures.images.empty())
      continue;
    if (!entry)
      return Status::invalidArgument("the model takes no images, only text");
    if (!processor) {
      CLADE_ASSIGN_OR_RETURN(processor, rt::ImageProcessor::fromFolder(
                                            source.folder, source.hasFile));
    }
    CLADE_ASSIGN_OR_RETURN(rt::ImageInputs inputs,
                           processor->process(pictures.images));
    if (pictures.prompt && source.tokenizer) {
      CLADE_RETURN_IF_ERROR(checkTokens(*processor, *source.tokenizer, *entry));
      CLADE_ASSIGN_OR_RETURN(std::string text,
                             processor->expandPrompt(*pictures.prompt, inputs));
      CLADE_ASSIGN_OR_RETURN(request.prompt, source.tokenizer->encode(text));
    }
    StatusOr<rt::ImagePatches> images =
        rt::cutImages(entry->layout, inputs.tensors());
    if (!images.ok())
      return images.takeStatus().withContext("what '" + source.folder +
                                             "' makes of the images");
    request.images =
        std::make_shared<const rt::ImagePatches>(std::move(*images));
    pictures.images.clear();
  }
  return {};
}
