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
#include <map>
#include <optional>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// A line of the index.
struct IndexEntry {
  std::string tensor;
  std::string file;
};

/// Sorted by tensor.
using WeightMap = std::vector<IndexEntry>;

bool isBefore(const IndexEntry &entry, std::string_view tensor) {
  return entry.tensor < tensor;
}

constexpr size_t maxIndexBytes = size_t(256) << 20;
constexpr int maxIndexDepth = 16;
constexpr const char *mapKey = "weight_map";

Status readIndexEntry(const json &file, IndexEntry &entry) {
  if (!file.is_string())
    return Status::corruption("'weight_map' gives tensor " +
                              quoteName(entry.tensor) + " a value of type " +
                              file.type_name() + ", expected a file name");
  entry.file = file.get_ref<const std::string &>();
  // A shard lies beside its index; anything else could read foreign files.
  if (entry.file.empty() || entry.file == "." || entry.file == ".." ||
      entry.file.find('/') != std::string::npos ||
      entry.file.find('\0') != std::string::npos)
    return Status::corruption(
        "'weight_map' gives tensor " + quoteName(entry.tensor) + " the file " +
        quoteName(entry.file) + ", expected a plain file name");
  return {};
}

StatusOr<WeightMap> parseIndex(const std::string &text) {
  WeightMap map;
  Status problem;
  auto readMember = [&](std::string &&tensor, json &&file) {
    map.push_back({std::move(tensor), {}});
    Status status = readIndexEntry(file, map.back());
    if (problem.ok())
      problem = std::move(status);
  };
  CLADE_ASSIGN_OR_RETURN(
      json index, parseJsonMembers(text, mapKey, readMember, maxIndexDepth));
  if (!index.is_object() || !index.contains(mapKey) ||
      !index[mapKey].is_object())
    return Status::corruption("has no object 'weight_map'");
  auto byName = [](const IndexEntry &a, const IndexEntry &b) {
    return a.tensor < b.tensor;
  };
  if (!std::is_sorted(map.begin(), map.end(), byName))
    std::sort(map.begin(), map.end(), byName);
  auto twice = std::adjacent_find(
      map.begin(), map.end(),
      [](const auto &a, const auto &b) { return a.tensor == b.tensor; });
  if (twice != map.end())
    return duplicateKey(twice->tensor);
  CLADE_RETURN_IF_ERROR(std::move(problem));
  if (map.empty())
    return Status::corruption("'weight_map' is empty");
  return map;
}

/// `file` is the shard that the index calls `name`: its tensors must be those
/// of these lines, which are sorted by tensor.
Status checkShard(const SafetensorsFile &file, const std::string &name,
                  const WeightMap &map, std::span<const size_t> lines,
                  const std::string &indexPath) {
  std::string path = quoteName(file.path());
  auto line = lines.begin();
  std::optional<size_t> missing;
  for (const StoredTensor &tensor : file.tensors()) {
    while (line != lines.end() && map[*line].tensor < tensor.name)
      missing = missing.value_or(*line++);
    if (line != lines.end() && map[*line].tensor == tensor.name) {
      ++line;
      continue;
    }
    auto other =
        std::lower_bound(map.begin(), map.end(), tensor.name, isBefore);
    std::string which = path + ": tensor " + quoteName(tensor.name);
    if (other == map.end() || other->tensor != tensor.name)
      return Status::corruption(which + " is not in the index " +
                                quoteName(indexPath));
    return Status::corruption(which +
                              " is also in this shard, but the index "
                              "places it in " +
                              quoteName(other->file));
  }
  if (line != lines.end())
    missing = missing.value_or(*line);
  if (!missing)
    return {};
  return Status::corruption(quoteName(indexPath) + ": tensor " +
                            quoteName(map[*missing].tensor) + " is not in " +
                            quoteName(name));
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
  set.mappingList.push_back(file.mapping());
  set.tensorList = std::move(file).tensors();
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

  // The index's lines about each shard. A tensor's line is also its place among
  // all, since the index has every tensor.
  std::map<std::string_view, std::vector<size_t>> shards;
  for (size_t line = 0; line < map->size(); ++line)
    shards[(*map)[line].file].push_back(line);
  SafetensorsSet set;
  set.tensorList.resize(map->size());
  for (const auto &[shard, lines] : shards) {
    std::string name(shard);
    CLADE_ASSIGN_OR_RETURN(auto file, openShard(directory, name, indexPath));
    CLADE_RETURN_IF_ERROR(checkShard(file, name, *map, lines, indexPath));
    set.mappingList.push_back(file.mapping());
    std::vector<StoredTensor> tensors = std::move(file).tensors();
    for (size_t i = 0; i < lines.size(); ++i)
      set.tensorList[lines[i]] = std::move(tensors[i]);
  }
  return set;
}
