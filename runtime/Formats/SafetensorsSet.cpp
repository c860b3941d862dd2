//===- SafetensorsSet.cpp - The safetensors files of one model ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A single file, or shards with an index {"weight_map": {tensor: file}}. Index
// and shards must agree in both directions.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Safetensors.h"

#include "runtime/Support/File.h"
#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <set>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// Tensor name to file name.
using WeightMap = std::map<std::string, std::string>;

constexpr size_t maxIndexBytes = size_t(256) << 20;
constexpr int maxIndexDepth = 16;

StatusOr<WeightMap> parseIndex(const std::string &text) {
  CLADE_ASSIGN_OR_RETURN(json index, parseJson(text, maxIndexDepth));
  if (!index.is_object() || !index.contains("weight_map") ||
      !index["weight_map"].is_object())
    return Status::corruption("has no object 'weight_map'");
  WeightMap map;
  for (const auto &[tensor, file] : index["weight_map"].items()) {
    if (!file.is_string())
      return Status::corruption("'weight_map' gives tensor " +
                                quoteName(tensor) + " a value of type " +
                                file.type_name() + ", expected a file name");
    const std::string &name = file.get_ref<const std::string &>();
    // A shard lies beside its index; anything else could read foreign files.
    if (name.empty() || name == "." || name == ".." ||
        name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos)
      return Status::corruption(
          "'weight_map' gives tensor " + quoteName(tensor) + " the file " +
          quoteName(name) + ", expected a plain file name");
    map[tensor] = name;
  }
  if (map.empty())
    return Status::corruption("'weight_map' is empty");
  return map;
}

/// `file` is the shard that the index calls `name`: each of its tensors must be
/// there with that very file.
Status checkShard(const SafetensorsFile &file, const std::string &name,
                  const WeightMap &map, const std::string &indexPath) {
  for (const StoredTensor &tensor : file.tensors()) {
    auto entry = map.find(tensor.name);
    if (entry == map.end())
      return Status::corruption(quoteName(file.path()) + ": tensor " +
                                quoteName(tensor.name) +
                                " is not in the index " + quoteName(indexPath));
    if (entry->second != name)
      return Status::corruption(
          quoteName(file.path()) + ": tensor " + quoteName(tensor.name) +
          " is also in this shard, but the index places it in " +
          quoteName(entry->second));
  }
  for (const auto &[tensor, shard] : map)
    if (shard == name && !file.find(tensor))
      return Status::corruption(quoteName(indexPath) + ": tensor " +
                                quoteName(tensor) + " is not in " +
                                quoteName(name));
  return {};
}

std::vector<StoredTensor> mergeTensors(std::span<const SafetensorsFile> files) {
  std::vector<StoredTensor> all;
  for (const SafetensorsFile &file : files)
    all.insert(all.end(), file.tensors().begin(), file.tensors().end());
  std::sort(all.begin(), all.end(),
            [](const auto &a, const auto &b) { return a.name < b.name; });
  return all;
}

/// Opens the shard `name` beside the index.
StatusOr<SafetensorsFile> openShard(const std::string &directory,
                                    const std::string &name,
                                    const std::string &indexPath) {
  std::string path = directory + "/" + name;
  if (!fileExists(path))
    return Status::notFound(quoteName(indexPath) + ": shard " +
                            quoteName(name) + " does not exist");
  return SafetensorsFile::open(path);
}

} // namespace

StatusOr<SafetensorsSet> SafetensorsSet::openFile(const std::string &path) {
  SafetensorsSet set;
  CLADE_ASSIGN_OR_RETURN(auto file, SafetensorsFile::open(path));
  set.fileList.push_back(std::move(file));
  set.tensorList = set.fileList.front().tensors();
  return set;
}

StatusOr<SafetensorsSet>
SafetensorsSet::openDirectory(const std::string &directory) {
  // A whole file wins over an index, as in the transformers library.
  std::string single = directory + "/model.safetensors";
  if (fileExists(single))
    return openFile(single);
  std::string indexPath = directory + "/model.safetensors.index.json";
  if (!fileExists(indexPath))
    return Status::notFound(
        quoteName(directory) +
        " has neither 'model.safetensors' nor 'model.safetensors.index.json'");

  CLADE_ASSIGN_OR_RETURN(std::string text,
                         readTextFile(indexPath, maxIndexBytes));
  StatusOr<WeightMap> map = parseIndex(text);
  if (!map.ok())
    return map.takeStatus().withContext(quoteName(indexPath));

  std::set<std::string> names;
  for (const auto &[tensor, file] : *map)
    names.insert(file);
  SafetensorsSet set;
  for (const std::string &name : names) {
    CLADE_ASSIGN_OR_RETURN(auto file, openShard(directory, name, indexPath));
    CLADE_RETURN_IF_ERROR(checkShard(file, name, *map, indexPath));
    set.fileList.push_back(std::move(file));
  }
  set.tensorList = mergeTensors(set.fileList);
  return set;
}
