//===- AdapterConfig.h - What an adapter says about itself ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// adapter_config.json as PEFT writes it for LoRA. Every key that changes what
// is computed is honoured, or refused by its name.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_ADAPTERCONFIG_H
#define CLADE_RUNTIME_FORMATS_ADAPTERCONFIG_H

#include "runtime/Support/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// The rank and the scale of one adapted module.
struct AdapterScale {
  int64_t rank = 0;
  /// lora_alpha / rank, or lora_alpha / sqrt(rank) with use_rslora.
  double scale = 0;
};

/// A LoRA configuration, checked.
class AdapterConfig {
public:
  /// Corruption for text that is no such file, Unsupported for a key whose
  /// value asks for something that is not done here.
  static StatusOr<AdapterConfig> parse(std::string_view text);

  /// The rank and scale of a module or parameter, by its whole name:
  /// `rank_pattern` and `alpha_pattern` are regular expressions that match its
  /// end, as in peft.utils.get_pattern_key. InvalidArgument for a pattern that
  /// does not compile.
  StatusOr<AdapterScale> scaleOf(const std::string &module) const;

  /// Names, or ends of names, of adapted parameters that are no modules of
  /// their own, such as "mlp.experts.down_proj".
  const std::vector<std::string> &targetParameters() const {
    return parameters;
  }
  /// Weights are stored [in, out] in the modules that are adapted.
  bool fanInFanOut() const { return isFanInFanOut; }
  /// The release of PEFT that wrote the file; older ones do not say.
  const std::string &peftVersion() const { return version; }
  /// The checkpoint that the adapter was made for, as its author named it.
  const std::string &baseModel() const { return base; }

private:
  template <typename Value>
  using Patterns = std::vector<std::pair<std::string, Value>>;

  int64_t rank = 0;
  double alpha = 0;
  bool isRankStabilised = false, isFanInFanOut = false;
  Patterns<double> rankPatterns, alphaPatterns; ///< In the order of the file.
  std::vector<std::string> parameters;
  std::string version, base;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_ADAPTERCONFIG_H
