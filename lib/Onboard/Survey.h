//===- Survey.h - What a checkpoint is --------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a configuration and the names and shapes of tensors say of a model, with
// or without a family that serves it. Each finding names the key or the tensor
// that it rests on; what neither tells is not guessed.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_SURVEY_H
#define CLADE_ONBOARD_SURVEY_H

#include "lib/Import/Config.h"
#include "lib/Onboard/Tensors.h"

namespace clade::onboard {

/// One thing found, and what says so.
struct Finding {
  std::string name;     ///< 'attention'
  std::string value;    ///< 'grouped-query, 8 heads on 4'
  std::string evidence; ///< 'num_key_value_heads'
};

struct Survey {
  /// 'dense', 'mixture of experts', 'vision-language' …, each with evidence.
  std::vector<Finding> kinds;
  /// Sizes by the names that most configurations use; the value as JSON,
  /// 'absent' where no key says it.
  std::vector<Finding> fields;
  std::vector<Finding> pieces;
  std::vector<TensorGroup> groups;
  size_t tensors = 0;
  uint64_t parameters = 0;
};

Survey survey(const import::Config &config,
              llvm::ArrayRef<rt::StoredTensor> tensors);

/// Keys that other publishers use for one of the common names, the common name
/// first.
llvm::ArrayRef<std::vector<llvm::StringRef>> keySynonyms();

} // namespace clade::onboard

#endif // CLADE_ONBOARD_SURVEY_H
