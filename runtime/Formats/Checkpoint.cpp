//===- Checkpoint.cpp - A model as it was published -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decides what a path is, opens it with the reader of that format, and flattens
// the result.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Checkpoint.h"

#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

/// The text of `path`, or nothing if there is no such file.
StatusOr<std::optional<std::string>> readIfPresent(const std::string &path) {
  if (!fileExists(path))
    return std::optional<std::string>();
  CLADE_ASSIGN_OR_RETURN(std::string text, readTextFile(path));
  return std::optional<std::string>(std::move(text));
}

} // namespace

StatusOr<Checkpoint> Checkpoint::open(const std::string &path) {
  if (isDirectory(path))
    return openDirectory(path);
  CLADE_ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
  ByteSpan bytes = file->bytes();
  if (bytes.size() < 4 || std::memcmp(bytes.data(), "GGUF", 4) != 0)
    return Status::invalidArgument(
        quoteName(path) + " is not a checkpoint, expected a directory with "
                          "'config.json' or a GGUF file");
  return openGGUF(path);
}

StatusOr<Checkpoint> Checkpoint::open(const std::string &path,
                                      const std::string &adapterPath) {
  CLADE_ASSIGN_OR_RETURN(Checkpoint result, open(path));
  if (adapterPath.empty())
    return result;
  CLADE_ASSIGN_OR_RETURN(Adapter adapter, Adapter::open(adapterPath));
  for (const StoredTensor &tensor : adapter.tensors())
    if (result.find(tensor.name))
      return Status::corruption("tensor " + quoteName(tensor.name) +
                                " is both in " + quoteName(path) + " and in " +
                                quoteName(adapterPath));
  result.ownList = result.tensorList;
  result.tensorList.insert(result.tensorList.end(), adapter.tensors().begin(),
                           adapter.tensors().end());
  std::sort(result.tensorList.begin(), result.tensorList.end(),
            [](const StoredTensor &a, const StoredTensor &b) {
              return a.name < b.name;
            });
  result.mappingList.push_back(adapter.mapping());
  result.adapterFile = std::make_shared<const Adapter>(std::move(adapter));
  return result;
}

StatusOr<Checkpoint> Checkpoint::openDirectory(const std::string &path) {
  Checkpoint result;
  result.checkpointKind = Kind::Safetensors;
  result.checkpointPath = path;
  CLADE_ASSIGN_OR_RETURN(result.config, readIfPresent(path + "/config.json"));
  if (!result.config)
    return Status::notFound(quoteName(path) + " has no 'config.json'");
  CLADE_ASSIGN_OR_RETURN(result.generationConfig,
                         readIfPresent(path + "/generation_config.json"));
  result.tokenizer = result.filePath("tokenizer.json");

  CLADE_ASSIGN_OR_RETURN(auto set, SafetensorsSet::openDirectory(path));
  result.mappingList = set.mappings();
  result.tensorList = std::move(set).tensors();
  return result;
}

StatusOr<Checkpoint> Checkpoint::openGGUF(const std::string &path) {
  Checkpoint result;
  result.checkpointKind = Kind::GGUF;
  result.checkpointPath = path;
  CLADE_ASSIGN_OR_RETURN(auto file, GGUFFile::open(path));
  result.tensorList = file.tensors();
  result.mappingList.push_back(file.mapping());
  result.ggufFile = std::make_shared<const GGUFFile>(std::move(file));
  return result;
}

std::optional<std::string> Checkpoint::filePath(std::string_view name) const {
  if (checkpointKind != Kind::Safetensors)
    return std::nullopt;
  std::string path = checkpointPath + "/" + std::string(name);
  if (!fileExists(path))
    return std::nullopt;
  return path;
}
