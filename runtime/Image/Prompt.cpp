//===- Prompt.cpp - Images in prompts -------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Processor.h"
#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Tokenizer.h"

using namespace clade::rt;

StatusOr<std::string>
ImageProcessor::expandPrompt(std::string_view prompt,
                             const ImageInputs &inputs) const {
  const std::string &token = imageToken();
  auto images = static_cast<size_t>(inputs.imageCount);
  std::string text;
  size_t found = 0, begin = 0;
  for (size_t at; (at = prompt.find(token, begin)) != std::string_view::npos;
       begin = at + token.size(), ++found) {
    text += prompt.substr(begin, at - begin);
    if (found < images)
      text += placeholders(inputs, found);
  }
  if (found == 0) {
    for (size_t i = 0; i < images; ++i)
      text += before + placeholders(inputs, i) + after;
  } else if (found != images) {
    return Status::invalidArgument(
        "the prompt has " + std::to_string(found) + " image tokens " +
        quoteName(token) + " for " + std::to_string(images) +
        (images == 1 ? " image" : " images") +
        "; give one for each image, or none to put the images in front");
  }
  return text.append(prompt.substr(begin));
}

Status ImageProcessor::checkTokens(const Tokenizer &tokenizer,
                                   std::optional<int64_t> configuredId) const {
  for (const std::string &token : tokens)
    if (!tokenizer.tokenId(token))
      return Status::notFound("the tokenizer has no token " + quoteName(token) +
                              ", which stands for a part of an image");
  int64_t id = *tokenizer.tokenId(imageToken());
  if (configuredId && *configuredId != id)
    return Status::corruption(
        "the image token " + quoteName(imageToken()) + " is " +
        std::to_string(id) + " for the tokenizer, but " +
        std::to_string(*configuredId) + " for config.json");
  return Status();
}
