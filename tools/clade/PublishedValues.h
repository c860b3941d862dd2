//===- PublishedValues.h - What the published code computes -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The text that engines run, and what the published implementation makes of it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PUBLISHEDVALUES_H
#define CLADE_TOOLS_CLADE_PUBLISHEDVALUES_H

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace clade::driver {

/// What every engine runs: a prompt, and tokens that are decoded one by one.
struct VerifyText {
  std::vector<int32_t> prompt, forced;
  std::vector<int32_t> types; ///< Of the prompt; empty where there are none.

  /// `tokens` numbers that depend on nothing but the vocabulary, a quarter of
  /// them forced, but none for a model that reads a text as a whole. Of
  /// `numTypes` types, if there are any, each has its part of the prompt.
  static VerifyText make(int64_t vocab, int tokens, bool isWhole,
                         int32_t numTypes);
};

/// Which code computed.
struct PublishedCode {
  std::string library; ///< Such as 'transformers 5.23.0, torch 2.13.0'.
  std::string name;    ///< Of the class.
};

/// What the published implementation computed.
struct PublishedRun {
  std::vector<float> logits; ///< [token, vocab], prompt and forced tokens.
  /// For the prompt, [token, …]: results of its linear maps and norms by module
  /// name, and what linear maps are given by that name and '.input'.
  std::map<std::string, std::vector<float>, std::less<>> modules;
  PublishedCode code; ///< Empty if it does not say so.

  const std::vector<float> *find(std::string_view module) const {
    auto it = modules.find(module);
    if (it != modules.end())
      return &it->second;
    // Some files leave out the name of what is around the whole model.
    const std::vector<float> *found = nullptr;
    const std::string ending = "." + std::string(module);
    for (const auto &[name, values] : modules)
      if (name.ends_with(ending)) {
        if (found)
          return nullptr;
        found = &values;
      }
    return found;
  }
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PUBLISHEDVALUES_H
