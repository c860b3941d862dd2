//===- PublishedRun.h - A run of the published implementation ---*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PUBLISHEDRUN_H
#define CLADE_TOOLS_CLADE_PUBLISHEDRUN_H

#include "tools/clade/VerifyRuns.h"

#include "runtime/Support/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace clade::driver {

/// What the published implementation computed.
struct PublishedRun {
  std::vector<float> logits; ///< [token, vocab], prompt and forced tokens.
  /// For the prompt, [token, …]: results of its linear maps and norms by module
  /// name, and what linear maps are given by that name and '.input'.
  std::map<std::string, std::vector<float>, std::less<>> modules;

  const std::vector<float> *find(llvm::StringRef module) const {
    auto it = modules.find(module);
    if (it != modules.end())
      return &it->second;
    // Some files leave out the name of what is around the whole model.
    const std::vector<float> *found = nullptr;
    for (const auto &[name, values] : modules)
      if (llvm::StringRef(name).ends_with(("." + module).str())) {
        if (found)
          return nullptr;
        found = &values;
      }
    return found;
  }
};

/// Runs transformers in Python on a checkpoint: the prompt in one piece, then
/// the forced tokens one by one, if any, in `dtype` "f32" or "bf16", with eager
/// attention. An adapter is merged by PEFT; none if its path is empty.
/// Unsupported if there is no Python with torch, transformers and, for an
/// adapter, peft.
rt::StatusOr<PublishedRun> runPublished(const std::string &checkpoint,
                                        const std::string &adapter,
                                        const VerifyText &text,
                                        const std::string &dtype);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PUBLISHEDRUN_H
