//===- Probe.h - How a family fits a checkpoint -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds a family over a configuration and tensor headers that may not be its
// own, and notes all that does not fit instead of stopping at it: keys that it
// does not read, requirements that do not hold, weights that are missing or of
// another shape, tensors that nothing uses.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_PROBE_H
#define CLADE_IMPORT_PROBE_H

#include "lib/Import/Config.h"
#include "lib/Import/WeightResolver.h"

namespace clade::import {

struct Probe {
  std::vector<std::string> unreadKeys; ///< Dotted, of the whole configuration.
  /// Requirements that do not hold, as they are written, with the values.
  std::vector<std::string> requirements;
  /// What kept the family from being built, each with file and line. If there
  /// is any, weights behind it were not asked for.
  std::vector<std::string> problems;
  std::vector<std::string> questions; ///< That the family leaves open.
  /// Fields that the computation reads and the configuration does not tell.
  std::vector<std::string> unknownFields;
  std::vector<WantedWeight> missing, misshapen;
  std::vector<const rt::StoredTensor *> unused;
  size_t tensors = 0; ///< Of the checkpoint.

  bool fits() const {
    return unreadKeys.empty() && requirements.empty() && problems.empty() &&
           questions.empty() && missing.empty() && misshapen.empty() &&
           unused.empty();
  }
};

/// How a family fits. `tensors` are sorted by name, and outlive the result.
/// Reports nothing.
Probe probeFamily(SpecLibrary &library, const spec::FamilyDecl *family,
                  const Config &config,
                  llvm::ArrayRef<rt::StoredTensor> tensors);

} // namespace clade::import

#endif // CLADE_IMPORT_PROBE_H
