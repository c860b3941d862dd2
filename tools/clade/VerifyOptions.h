//===- VerifyOptions.h - What verify is asked for ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_VERIFYOPTIONS_H
#define CLADE_TOOLS_CLADE_VERIFYOPTIONS_H

#include "tools/clade/CompileModel.h"

namespace clade::driver {

struct VerifyOptions {
  SpecOptions specs;
  ModelChoice choice;
  std::string checkpoint, adapter, artifact;
  /// 'interpreter', a library of Python, or the path of a record; empty for
  /// the default.
  std::string against;
  std::string record; ///< Where published values go; empty for nowhere.
  std::vector<int> levels = {3};
  std::vector<std::string> settings;
  std::optional<int> tokens;    ///< To run, if the user says how many.
  std::optional<uint64_t> seed; ///< Of random weights, if the user says it.
  bool asJson = false, isRandom = false, isForced = false, trustsCode = false;

  bool isAgainstInterpreter() const { return against == "interpreter"; }
  /// A class that Python runs.
  bool isAgainstLibrary() const {
    return against == "transformers" || against == "nemo-automodel";
  }
  bool isAgainstRecord() const {
    return !isAgainstInterpreter() && !isAgainstLibrary();
  }
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_VERIFYOPTIONS_H
