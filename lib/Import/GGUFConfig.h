//===- GGUFConfig.h - GGUF metadata as a configuration ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The family 'gguf' of specs/std says which metadata key is which configuration
// key, and what the tensors are called. Here it is run.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_GGUFCONFIG_H
#define CLADE_IMPORT_GGUFCONFIG_H

#include "lib/Import/Evaluator.h"

namespace clade::import {

/// The configuration that a GGUF file's metadata makes: one key for each field
/// of the family 'gguf' whose value is not none. Fields that the family ignores
/// are its own; every key of an object among them must be read or ignored.
FailureOr<std::unique_ptr<Config>>
configFromGGUF(SpecLibrary &library, const rt::Checkpoint &checkpoint);

/// The family 'gguf' bound to a file's metadata, for its weight equations.
class GGUFNames {
public:
  GGUFNames(SpecLibrary &library, const rt::Checkpoint &checkpoint,
            const ImportOptions &options);
  /// The same bound to the contents of a file that does not exist yet
  /// (GGUFMetadata.h).
  GGUFNames(SpecLibrary &library, nlohmann::json contents,
            const ImportOptions &options);

  LogicalResult status() const { return success(evaluator != nullptr); }
  const Family &getFamily() const { return *family; }
  Evaluator &getEvaluator() { return *evaluator; }

private:
  std::unique_ptr<nlohmann::json> metadata;
  std::unique_ptr<Family> family;
  std::unique_ptr<Evaluator> evaluator;
};

} // namespace clade::import

#endif // CLADE_IMPORT_GGUFCONFIG_H
