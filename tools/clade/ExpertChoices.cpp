//===- ExpertChoices.cpp - Choices of experts as files --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ExpertChoices.h"

#include "runtime/Formats/Safetensors.h"

#include <algorithm>
#include <cstring>

using namespace clade;
using namespace clade::driver;
using rt::Status;

std::string ExpertChoices::nameOf(Key key) const {
  std::string name = "layers." + std::to_string(key.second);
  return isBatch ? name + "." + std::to_string(key.first) : name;
}

Status ExpertChoices::replay(const std::string &path) {
  rt::StatusOr<rt::SafetensorsFile> file = rt::SafetensorsFile::open(path);
  if (!file.ok())
    return file.takeStatus();
  told.emplace();
  for (const rt::StoredTensor &tensor : file->tensors()) {
    unsigned layer = 0, request = 0;
    int end = 0;
    const char *name = tensor.name.c_str();
    bool isNamed =
        isBatch
            ? std::sscanf(name, "layers.%u.%u%n", &layer, &request, &end) == 2
            : std::sscanf(name, "layers.%u%n", &layer, &end) == 1;
    if (!isNamed || static_cast<size_t>(end) != tensor.name.size())
      return Status::invalidArgument(
          "'" + path + "': expected tensors named '" +
          (isBatch ? "layers.LAYER.REQUEST" : "layers.LAYER") + "', got '" +
          tensor.name + "'");
    if (tensor.dtype != rt::DType::I32 || tensor.shape.size() != 2)
      return Status::invalidArgument("'" + path + "': expected '" +
                                     tensor.name +
                                     "' to be I32 [token, active], got " +
                                     std::string(rt::dtypeName(tensor.dtype)) +
                                     " " + rt::shapeText(tensor.shape));
    ChoiceTable &table = (*told)[{request, static_cast<int32_t>(layer)}];
    table.active = tensor.shape[1];
    table.experts.resize(tensor.bytes.size() / sizeof(int32_t));
    std::memcpy(table.experts.data(), tensor.bytes.data(), tensor.bytes.size());
  }
  return {};
}

/// Makes the choice that the file tells.
Status ExpertChoices::take(const rt::Route &route, Key key) {
  auto it = told->find(key);
  if (it == told->end())
    return Status::invalidArgument("the file of choices has no '" +
                                   nameOf(key) + "'");
  const ChoiceTable &table = it->second;
  auto active = static_cast<int64_t>(route.experts.size());
  if (table.active != active)
    return Status::invalidArgument(
        "'" + nameOf(key) + "' of the file of choices has " +
        std::to_string(table.active) + " experts a token, expected " +
        std::to_string(active));
  if (route.position >= table.rows())
    return Status::invalidArgument(
        "'" + nameOf(key) + "' of the file of choices has " +
        std::to_string(table.rows()) + " tokens, expected one at position " +
        std::to_string(route.position));
  std::span<const int32_t> row(table.experts.data() + route.position * active,
                               route.experts.size());
  for (int32_t expert : row)
    if (expert < 0 || expert >= route.numExperts)
      return Status::invalidArgument(
          "'" + nameOf(key) + "' of the file of choices, token " +
          std::to_string(route.position) + ": expected an expert from 0 to " +
          std::to_string(route.numExperts - 1) + ", got " +
          std::to_string(expert));
  // The same experts in another order are the same choice.
  if (!route.isAsked)
    differing += !std::ranges::is_permutation(row, route.experts);
  std::ranges::copy(row, route.experts.begin());
  return {};
}

void ExpertChoices::route(size_t request, const rt::Route &route) {
  std::lock_guard lock(mutex);
  Key key{request, route.layer};
  if (route.isAsked) {
    if (told && failure.ok())
      failure = take(route, key);
    return;
  }
  ++choices;
  if (isRecorded) {
    ChoiceTable &table = made[key];
    auto active = static_cast<int64_t>(route.experts.size());
    auto end = static_cast<size_t>((route.position + 1) * active);
    table.active = active;
    table.experts.resize(std::max(table.experts.size(), end));
    std::ranges::copy(route.experts,
                      table.experts.begin() + route.position * active);
  }
  if (told && failure.ok())
    failure = take(route, key);
}

Status ExpertChoices::write(const std::string &path) const {
  std::vector<rt::StoredTensor> tensors;
  for (const auto &[key, table] : made) {
    rt::StoredTensor tensor;
    tensor.name = nameOf(key);
    tensor.dtype = rt::DType::I32;
    tensor.shape = {table.rows(), table.active};
    tensor.bytes = std::as_bytes(std::span(table.experts));
    tensors.push_back(std::move(tensor));
  }
  return rt::writeSafetensors(path, tensors, {});
}
