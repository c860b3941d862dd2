//===- Requests.cpp - What 'clade run' is asked to continue ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Requests.h"

#include "runtime/Support/File.h"

#include <nlohmann/json.hpp>

using namespace clade;
using namespace clade::driver;
using nlohmann::json;
using rt::Status;
using rt::StatusOr;

void RequestOptions::addTo(CLI::App &command) {
  auto *inputs = command.add_option_group("what to continue", "exactly one of");
  inputs->add_option("--prompt", prompt, "Text to continue");
  inputs->add_option("--tokens", tokens, "Token numbers to continue: 1,2,3")
      ->delimiter(',');
  inputs
      ->add_option(
          "--batch", batchFile,
          "JSON list of {\"prompt\" or \"tokens\", \"max_tokens\", \"force\", "
          "\"types\", \"images\" or \"inputs\"}")
      ->check(CLI::ExistingFile);
  inputs->require_option(1);
  command
      .add_option("--image", imageFiles,
                  "A picture (PNG, JPEG or WebP) for the prompt's next image "
                  "token, or in front of a prompt without any; --tokens are "
                  "taken as they are; once for each picture")
      ->allow_extra_args(false);
  command
      .add_option("--inputs", inputsFile,
                  "Instead of --image, a safetensors file with the tensors "
                  "that the reference processor made of the images, such as "
                  "pixel_values")
      ->check(CLI::ExistingFile);
  command
      .add_option("--adapter", adapters,
                  "A folder with a LoRA adapter in PEFT's form: merged into a "
                  "checkpoint, or beside the weights of an artifact with "
                  "places for it (once for each; the requests of a batch say "
                  "\"adapter\": 1, 2 … or 0 for none)")
      ->check(CLI::ExistingDirectory)
      ->allow_extra_args(false);
  command
      .add_option("--types", types,
                  "Of each token its type, where the model has types: 0 for "
                  "the first text of a pair, 1 for the second")
      ->delimiter(',');
  command
      .add_option("--force", forced,
                  "Decode these tokens one by one instead of sampling")
      ->delimiter(',');
  command.add_option("--max-tokens", maxTokens, "Most tokens to add")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("--ignore-eos", ignoreEos,
                   "Go on after the model's own stop tokens");
  command.add_option("--temperature", sampling.temperature,
                     "0 takes the most likely token");
  command.add_option("--top-k", sampling.topK,
                     "Sample among the k most likely tokens; 0 for all");
  command.add_option(
      "--top-p", sampling.topP,
      "Sample among the most likely tokens of this total probability");
  command.add_option(
      "--min-p", sampling.minP,
      "Leave out tokens less likely than this share of the likeliest");
  command.add_option("--repetition-penalty", sampling.repetitionPenalty,
                     "Divide the logits of tokens already there");
  command.add_option("--seed", sampling.seed,
                     "The same seed gives the same text");
}

static StatusOr<std::vector<int32_t>> tokenList(const json &list,
                                                const std::string &what) {
  std::vector<int32_t> tokens;
  if (!list.is_array())
    return Status::invalidArgument("expected " + what +
                                   " to be a list of token numbers");
  for (const json &token : list) {
    if (!token.is_number_integer() || token.get<int64_t>() < 0 ||
        token.get<int64_t>() > INT32_MAX)
      return Status::invalidArgument(
          "expected " + what + " to hold token numbers, got " + token.dump());
    tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

/// Encodes a prompt, or keeps it until the tokens of its pictures are known.
static Status addPrompt(const std::string &prompt,
                        const rt::Tokenizer *tokenizer, Pictures &pictures,
                        rt::GenerateRequest &request) {
  if (!tokenizer)
    return Status::invalidArgument("a prompt needs a tokenizer: the checkpoint "
                                   "has no tokenizer.json (give --tokens)");
  if (!pictures.images.empty()) {
    pictures.prompt = prompt;
    return {};
  }
  CLADE_ASSIGN_OR_RETURN(request.prompt, tokenizer->encode(prompt));
  return {};
}

static StatusOr<Pictures> readPictures(const std::vector<std::string> &files) {
  Pictures pictures;
  for (const std::string &file : files) {
    CLADE_ASSIGN_OR_RETURN(rt::Image image, rt::loadImage(file));
    pictures.images.push_back(std::move(image));
  }
  return pictures;
}

/// The pictures of a request of a batch, which `what` names.
static StatusOr<Pictures> batchPictures(const json &item,
                                        const std::string &what) {
  if (item.contains("inputs"))
    return Status::invalidArgument("expected either 'images' or 'inputs' in " +
                                   what);
  std::vector<std::string> files;
  for (const json &file : item["images"])
    if (file.is_string())
      files.push_back(file);
  if (!item["images"].is_array() || files.size() != item["images"].size())
    return Status::invalidArgument("expected 'images' of " + what +
                                   " to be a list of paths of files");
  StatusOr<Pictures> pictures = readPictures(files);
  if (!pictures.ok())
    return pictures.takeStatus().withContext(what);
  return pictures;
}

static int32_t firstAdapter(const RequestOptions &options) {
  return options.areAdaptersBeside && !options.adapters.empty() ? 1 : 0;
}

static StatusOr<rt::GenerateRequest>
batchRequest(const json &item, size_t index, const RequestOptions &options,
             const rt::Tokenizer *tokenizer, Pictures &pictures) {
  std::string what =
      "request " + std::to_string(index) + " of '" + options.batchFile + "'";
  if (!item.is_object())
    return Status::invalidArgument("expected " + what + " to be an object");
  for (const auto &[key, value] : item.items())
    if (key != "prompt" && key != "tokens" && key != "max_tokens" &&
        key != "force" && key != "images" && key != "inputs" &&
        key != "adapter" && key != "types")
      return Status::invalidArgument(
          "unknown key '" + key + "' in " + what +
          ", expected prompt, tokens, types, max_tokens, force, images, inputs "
          "or adapter");
  rt::GenerateRequest request;
  request.adapter = firstAdapter(options);
  if (item.contains("adapter")) {
    if (!item["adapter"].is_number_integer() || item["adapter"] < 0 ||
        item["adapter"] > INT32_MAX)
      return Status::invalidArgument("expected 'adapter' of " + what +
                                     " to be the number of an --adapter, or 0");
    request.adapter = item["adapter"];
  }
  request.sampling = options.sampling;
  request.ignoreEos = options.ignoreEos;
  request.maxTokens = options.maxTokens;
  if (item.contains("prompt") == item.contains("tokens"))
    return Status::invalidArgument("expected either 'prompt' or 'tokens' in " +
                                   what);
  if (item.contains("images")) {
    CLADE_ASSIGN_OR_RETURN(pictures, batchPictures(item, what));
  }
  if (item.contains("tokens")) {
    CLADE_ASSIGN_OR_RETURN(request.prompt,
                           tokenList(item["tokens"], "'tokens' of " + what));
  } else {
    if (!item["prompt"].is_string())
      return Status::invalidArgument("expected 'prompt' of " + what +
                                     " to be a text");
    CLADE_RETURN_IF_ERROR(
        addPrompt(item["prompt"], tokenizer, pictures, request));
  }
  if (item.contains("types")) {
    CLADE_ASSIGN_OR_RETURN(request.types,
                           tokenList(item["types"], "'types' of " + what));
  }
  if (item.contains("force")) {
    CLADE_ASSIGN_OR_RETURN(request.forced,
                           tokenList(item["force"], "'force' of " + what));
    request.maxTokens = request.forced.size();
  }
  if (item.contains("max_tokens")) {
    if (!item["max_tokens"].is_number_integer() ||
        item["max_tokens"].get<int64_t>() < 0)
      return Status::invalidArgument("expected 'max_tokens' of " + what +
                                     " to be a number of at least 0");
    request.maxTokens = item["max_tokens"];
  }
  return request;
}

bool RequestOptions::needsTokenizer() const { return tokens.empty(); }

/// The file of inputs of a request of a batch.
static StatusOr<std::string> batchInputs(const json &item, size_t index,
                                         const RequestOptions &options) {
  if (!item.contains("inputs"))
    return std::string();
  if (item["inputs"].is_string())
    return item["inputs"].get<std::string>();
  return Status::invalidArgument(
      "expected 'inputs' of request " + std::to_string(index) + " of '" +
      options.batchFile + "' to be the path of a file");
}

StatusOr<Requests> driver::makeRequests(const RequestOptions &options,
                                        const rt::Tokenizer *tokenizer) {
  Requests made;
  std::vector<rt::GenerateRequest> &requests = made.requests;
  if (!options.imageFiles.empty() && !options.inputsFile.empty())
    return Status::invalidArgument("expected either --image or --inputs: both "
                                   "say what the images are");
  if (options.batchFile.empty()) {
    rt::GenerateRequest request;
    request.adapter = firstAdapter(options);
    request.sampling = options.sampling;
    request.ignoreEos = options.ignoreEos;
    request.maxTokens = options.forced.empty()
                            ? options.maxTokens
                            : static_cast<int64_t>(options.forced.size());
    request.forced = options.forced;
    request.prompt = options.tokens;
    request.types = options.types;
    CLADE_ASSIGN_OR_RETURN(Pictures pictures, readPictures(options.imageFiles));
    if (options.tokens.empty())
      CLADE_RETURN_IF_ERROR(
          addPrompt(options.prompt, tokenizer, pictures, request));
    requests.push_back(std::move(request));
    made.inputs.push_back(options.inputsFile);
    made.pictures.push_back(std::move(pictures));
    return made;
  }
  if (!options.imageFiles.empty())
    return Status::invalidArgument(
        "--image is for one request: say \"images\" in '" + options.batchFile +
        "'");
  if (!options.inputsFile.empty())
    return Status::invalidArgument(
        "--inputs is for one request: say \"inputs\" in '" + options.batchFile +
        "'");
  CLADE_ASSIGN_OR_RETURN(std::string text, rt::readTextFile(options.batchFile));
  json batch = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!batch.is_array() || batch.empty())
    return Status::invalidArgument("expected '" + options.batchFile +
                                   "' to be a JSON list of requests");
  for (size_t index = 0; index < batch.size(); ++index) {
    Pictures pictures;
    CLADE_ASSIGN_OR_RETURN(
        rt::GenerateRequest request,
        batchRequest(batch[index], index, options, tokenizer, pictures));
    CLADE_ASSIGN_OR_RETURN(std::string inputs,
                           batchInputs(batch[index], index, options));
    requests.push_back(std::move(request));
    made.inputs.push_back(std::move(inputs));
    made.pictures.push_back(std::move(pictures));
  }
  return made;
}
