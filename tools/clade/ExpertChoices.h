//===- ExpertChoices.h - Choices of experts as files ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A safetensors file of the experts that the routers of a run chose: i32
// [token, active] for each layer with routed experts, of every prompt and
// generated token, named 'layers.3', or in a batch 'layers.3.0' for the first
// request. 'clade run' writes such files and makes the choices that one tells.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_EXPERTCHOICES_H
#define CLADE_TOOLS_CLADE_EXPERTCHOICES_H

#include "runtime/Engine/Route.h"
#include "runtime/Support/Status.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace clade::driver {

/// The choices of one request in one layer, a row a token.
struct ChoiceTable {
  int64_t active = 0;
  std::vector<int32_t> experts;
  int64_t rows() const {
    return active ? static_cast<int64_t>(experts.size()) / active : 0;
  }
};

class ExpertChoices {
public:
  /// `isBatch` names tensors with their request. Notes what is chosen only if
  /// `isRecorded`.
  ExpertChoices(bool isBatch, bool isRecorded)
      : isBatch(isBatch), isRecorded(isRecorded) {}

  /// Reads choices to make instead of the run's own.
  rt::Status replay(const std::string &path);
  /// What a run calls for each choice, from any thread.
  void route(size_t request, const rt::Route &route);
  /// The first choice that the file did not tell, if there is one.
  const rt::Status &status() const { return failure; }
  /// Writes what the run chose by itself.
  rt::Status write(const std::string &path) const;

  bool isReplayed() const { return told.has_value(); }
  /// Choices that were made, and those of other experts than the file tells.
  int64_t numChoices() const { return choices; }
  int64_t numDiffering() const { return differing; }

private:
  using Key = std::pair<size_t, int32_t>; ///< Request and layer.
  std::string nameOf(Key key) const;
  rt::Status take(const rt::Route &route, Key key);

  bool isBatch, isRecorded;
  std::optional<std::map<Key, ChoiceTable>> told;
  std::map<Key, ChoiceTable> made;
  int64_t choices = 0, differing = 0;
  rt::Status failure;
  std::mutex mutex;
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_EXPERTCHOICES_H
