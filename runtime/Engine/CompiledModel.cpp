//===- CompiledModel.cpp - An artifact with its weights -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Models whose weights are in memory; ModelLoad.cpp reads them from files.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CompiledModel.h"

#include "runtime/Engine/LoadTokenizer.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"

using namespace clade::rt;

Status CompiledModel::checkSlots(const Artifact &artifact, size_t found) {
  auto expected = static_cast<size_t>(artifact.manifest().weightSlots);
  if (found == expected)
    return {};
  return Status::invalidArgument(quoteName(artifact.path()) + ": expected " +
                                 std::to_string(expected) +
                                 " weight slots, got " + std::to_string(found));
}

StatusOr<std::shared_ptr<const CompiledModel>>
CompiledModel::create(std::shared_ptr<const Artifact> artifact,
                      std::vector<const void *> weights,
                      std::shared_ptr<const void> owner) {
  if (artifact->manifest().target.isCuda())
    return Status::unsupported(
        quoteName(artifact->path()) +
        ": code for a GPU takes its weights from a checkpoint or the artifact");
  CLADE_RETURN_IF_ERROR(checkSlots(*artifact, weights.size()));
  std::shared_ptr<CompiledModel> model(new CompiledModel());
  model->code = std::move(artifact);
  model->slots = std::move(weights);
  model->weightOwner = std::move(owner);
  return std::shared_ptr<const CompiledModel>(std::move(model));
}

bool CompiledModel::hasTokenizer() const {
  // A checkpoint that is one file is a GGUF file, and these have tokenizers.
  return code->hasFile("tokenizer.json") ||
         (fileExists(checkpoint) && !isDirectory(checkpoint));
}

StatusOr<const Tokenizer *> CompiledModel::tokenizer() const {
  std::lock_guard<std::mutex> guard(tokenizerLock);
  if (sharedTokenizer)
    return sharedTokenizer.get();
  if (code->hasFile("tokenizer.json")) {
    CLADE_ASSIGN_OR_RETURN(sharedTokenizer,
                           loadTokenizer(code->filePath("tokenizer.json")));
    return sharedTokenizer.get();
  }
  if (!hasTokenizer())
    return Status::notFound(quoteName(code->path()) +
                            " has no 'tokenizer.json'");
  CLADE_ASSIGN_OR_RETURN(Checkpoint file, Checkpoint::open(checkpoint));
  CLADE_ASSIGN_OR_RETURN(sharedTokenizer, loadTokenizer(file));
  return sharedTokenizer.get();
}
