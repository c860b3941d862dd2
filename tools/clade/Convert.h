//===- Convert.h - Checkpoints in another form ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What 'clade convert' shares between the forms that it writes.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_CONVERT_H
#define CLADE_TOOLS_CLADE_CONVERT_H

#include "tools/clade/CompileModel.h"

namespace clade::driver {

struct ConvertOptions {
  SpecOptions specs;
  std::string model, adapter, output, to, dtype,
      cpu = "native", precision = "fused", weights = "dense";
  std::string maxShardSize; ///< Such as 5GB; empty for one file.
  std::string shard; ///< Which device's weights; empty for the only one's.
  bool force = false, asJson = false;
};

/// What a conversion did, for people and as JSON.
struct ConvertReport {
  /// 'to', 'output' and what the form adds, such as counts and bytes.
  nlohmann::json facts = nlohmann::json::object();
  /// A line about a tensor that does not hold what the source held.
  struct Lossy {
    std::string tensor, step;
    double largest; ///< Largest difference, of any element.
  };
  std::vector<Lossy> lossy;
  std::vector<std::string> notes; ///< What is not written, and why.
};

/// Each writes the form to options.output. Prints what is wrong.
std::optional<ConvertReport> convertToPacked(Environment &environment,
                                             const rt::Checkpoint &checkpoint,
                                             const ConvertOptions &options);
std::optional<ConvertReport> convertToHf(Environment &environment,
                                         const rt::Checkpoint &checkpoint,
                                         const ConvertOptions &options);
/// The same from an artifact that holds its weights; its checkpoint may be
/// gone.
std::optional<ConvertReport> convertArtifactToHf(Environment &environment,
                                                 const ConvertOptions &options);
std::optional<ConvertReport> convertToWeights(Environment &environment,
                                              const rt::Checkpoint &checkpoint,
                                              const ConvertOptions &options);
std::optional<ConvertReport> convertToGguf(Environment &environment,
                                           const rt::Checkpoint &checkpoint,
                                           const ConvertOptions &options);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_CONVERT_H
