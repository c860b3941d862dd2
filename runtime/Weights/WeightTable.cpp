//===- WeightTable.cpp - Reading weight tables ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The table around the programs: parameters, slots, layers. Also the JSON field
// readers that programs and tables share.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/WeightJson.h"

#include <algorithm>

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr int64_t formatVersion = 1;
constexpr int64_t maxSlots = 1 << 20;
constexpr size_t maxTableBytes = size_t(256) << 20;
constexpr std::string_view layerPlaceholder = "{layer}";
constexpr std::string_view expertPlaceholder = "{expert}";

Status invalidTable(std::string message) {
  return Status::invalidArgument(std::move(message));
}

/// The member `key` of `object`, or null.
const json *member(const json &object, const char *key) {
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

bool isIntegerUpTo(const json &value, int64_t maximum) {
  return value.is_number_unsigned() &&
         value.get<uint64_t>() <= static_cast<uint64_t>(maximum);
}

std::string expectedInteger(const char *key, int64_t maximum) {
  return "expected '" + std::string(key) + "' from 0 to " +
         std::to_string(maximum);
}

/// "slot": n or "slots": […] as a list.
StatusOr<std::vector<int64_t>> readSlots(const json &value) {
  bool single = member(value, "slot");
  if (single == (member(value, "slots") != nullptr))
    return invalidTable("expected either 'slot' or 'slots'");
  if (!single)
    return readIntegers(value, "slots", maxSlots - 1, maxSlots);
  CLADE_ASSIGN_OR_RETURN(int64_t slot,
                         readInteger(value, "slot", maxSlots - 1));
  return std::vector<int64_t>{slot};
}

Status readEntryBody(const json &value, WeightEntry &entry) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(
      value, {"param", "slot", "slots", "layers", "program"}));
  CLADE_ASSIGN_OR_RETURN(auto slots, readSlots(value));
  if (slots.empty())
    return invalidTable("'slots' is empty");
  entry.slots.assign(slots.begin(), slots.end());
  if (member(value, "layers")) {
    CLADE_ASSIGN_OR_RETURN(auto layers,
                           readIntegers(value, "layers", INT32_MAX, maxSlots));
    if (layers.size() != slots.size())
      return invalidTable("has " + std::to_string(slots.size()) +
                          " slots and " + std::to_string(layers.size()) +
                          " layers, expected as many layers as slots");
    entry.layers.assign(layers.begin(), layers.end());
  }
  const json *program = member(value, "program");
  if (!program)
    return invalidTable("expected 'program'");
  CLADE_ASSIGN_OR_RETURN(entry.program, readWeightNode(*program));
  if (entry.layers.empty() && mentionsLayer(entry.program))
    return invalidTable(
        "the program names '{layer}', but there are no 'layers'");
  return {};
}

StatusOr<WeightEntry> readEntry(const json &value) {
  if (!value.is_object())
    return invalidTable("'weights' holds a value of type " +
                        std::string(value.type_name()) +
                        ", expected an object");
  WeightEntry entry;
  CLADE_ASSIGN_OR_RETURN(entry.param, readString(value, "param"));
  Status status = readEntryBody(value, entry);
  if (!status.ok())
    return std::move(status).withContext("weight " + quoteName(entry.param));
  return entry;
}

/// Each slot is filled once, and there are no gaps.
Status checkSlots(WeightTable &table) {
  std::vector<const WeightEntry *> filledBy;
  for (const WeightEntry &entry : table.entries) {
    for (int32_t slot : entry.slots) {
      size_t index = static_cast<size_t>(slot);
      if (index >= filledBy.size())
        filledBy.resize(index + 1);
      if (filledBy[index])
        return invalidTable("slot " + std::to_string(slot) +
                            " is filled by both weight " +
                            quoteName(filledBy[index]->param) + " and weight " +
                            quoteName(entry.param));
      filledBy[index] = &entry;
    }
  }
  auto gap = std::find(filledBy.begin(), filledBy.end(), nullptr);
  if (gap != filledBy.end())
    return invalidTable("no weight fills slot " +
                        std::to_string(gap - filledBy.begin()) + " of " +
                        std::to_string(filledBy.size()));
  table.numSlots = static_cast<int32_t>(filledBy.size());
  return {};
}

Status readTable(std::string_view text, WeightTable &table) {
  // The table adds an object and an array around a program.
  CLADE_ASSIGN_OR_RETURN(json root, parseJson(text, maxProgramJsonDepth + 3));
  if (!root.is_object())
    return Status::corruption("expected an object {\"version\": 1, ...}");
  CLADE_ASSIGN_OR_RETURN(int64_t version,
                         readInteger(root, "version", INT32_MAX));
  if (version != formatVersion)
    return Status::unsupported("has version " + std::to_string(version) +
                               ", expected " + std::to_string(formatVersion));
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(root, {"version", "weights"}));
  const json *weights = member(root, "weights");
  if (!weights || !weights->is_array())
    return Status::corruption("expected 'weights', an array");
  for (const json &value : *weights) {
    CLADE_ASSIGN_OR_RETURN(WeightEntry entry, readEntry(value));
    table.entries.push_back(std::move(entry));
  }
  return checkSlots(table);
}

} // namespace

StatusOr<std::vector<int64_t>> clade::rt::readIntegers(const json &object,
                                                       const char *key,
                                                       int64_t maximum,
                                                       size_t maxCount) {
  const json *array = member(object, key);
  if (!array || !array->is_array())
    return invalidTable("expected '" + std::string(key) +
                        "', an array of integers");
  if (array->size() > maxCount)
    return invalidTable(
        "'" + std::string(key) + "' has " + std::to_string(array->size()) +
        " elements, expected at most " + std::to_string(maxCount));
  std::vector<int64_t> result;
  for (const json &value : *array) {
    if (!isIntegerUpTo(value, maximum))
      return invalidTable(expectedInteger(key, maximum) +
                          " in each element, got " + quoteName(value.dump()));
    result.push_back(value.get<int64_t>());
  }
  return result;
}

StatusOr<int64_t> clade::rt::readInteger(const json &object, const char *key,
                                         int64_t maximum) {
  const json *value = member(object, key);
  if (!value)
    return invalidTable("expected '" + std::string(key) + "'");
  if (!isIntegerUpTo(*value, maximum))
    return invalidTable(expectedInteger(key, maximum) + ", got " +
                        quoteName(value->dump()));
  return value->get<int64_t>();
}

StatusOr<std::string> clade::rt::readString(const json &object,
                                            const char *key) {
  const json *value = member(object, key);
  if (!value || !value->is_string() ||
      value->get_ref<const std::string &>().empty())
    return invalidTable("expected '" + std::string(key) + "', a string");
  return value->get<std::string>();
}

Status
clade::rt::rejectUnknownKeys(const json &object,
                             std::initializer_list<std::string_view> known) {
  for (const auto &[key, value] : object.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      return invalidTable("unknown key " + quoteName(key));
  return {};
}

bool clade::rt::mentionsLayer(const WeightNode &node) {
  if (node.name.find(layerPlaceholder) != std::string::npos)
    return true;
  return std::any_of(node.inputs.begin(), node.inputs.end(), mentionsLayer);
}

static std::string expand(std::string_view name, std::string_view placeholder,
                          int64_t value) {
  std::string result;
  std::string number = std::to_string(value);
  while (true) {
    size_t found = name.find(placeholder);
    result += name.substr(0, found);
    if (found == std::string_view::npos)
      return result;
    result += number;
    name.remove_prefix(found + placeholder.size());
  }
}

std::string clade::rt::expandLayer(std::string_view name, int64_t layer) {
  return expand(name, layerPlaceholder, layer);
}

std::string clade::rt::expandExpert(std::string_view name, int64_t expert) {
  return expand(name, expertPlaceholder, expert);
}

StatusOr<WeightTable> WeightTable::parse(std::string_view text,
                                         const std::string &name) {
  WeightTable table;
  Status status = readTable(text, table);
  if (!status.ok())
    return std::move(status).withContext(quoteName(name));
  return table;
}

StatusOr<WeightTable> WeightTable::open(const std::string &path) {
  CLADE_ASSIGN_OR_RETURN(std::string text, readTextFile(path, maxTableBytes));
  return parse(text, path);
}
