//===- Quantisation.h - Families of published quantised forms ---*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `quantization_config` of config.json names a method; the family
// 'quantised_METHOD' of specs/std reads it and says, in weight equations, how
// weights are made of what such a file stores.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_QUANTISATION_H
#define CLADE_IMPORT_QUANTISATION_H

#include "lib/Import/Evaluator.h"

namespace clade::import {

class Quantisation {
public:
  /// The form that `config` names, or the configuration of a part in it, its
  /// keys all read and its requirements met; null if none is named.
  static FailureOr<std::unique_ptr<Quantisation>>
  read(const SpecLibrary &library, const Config &config,
       const ImportOptions &options);

  const Family &getFamily() const { return family; }
  Evaluator &getEvaluator() { return evaluator; }

  /// Reports a configuration that names a form which no weight of `module` has.
  LogicalResult checkUsed(mlir::ModuleOp module) const;

private:
  Quantisation(const SpecLibrary &library, const spec::FamilyDecl *decl,
               const Config &config, const nlohmann::json &object,
               const std::string &key, const ImportOptions &options);

  const Config &config;
  const nlohmann::json &object; ///< In `config`, under `key`.
  std::string key;
  Family family;
  Evaluator evaluator;
};

/// Takes away what says how weights are stored, of a configuration and of its
/// parts; whether there was any. `Json` is one of nlohmann's.
template <typename Json> bool eraseQuantisation(Json &config) {
  bool any = config.erase("quantization_config") > 0;
  for (auto &part : config)
    if (part.is_object())
      any |= part.erase("quantization_config") > 0;
  return any;
}

} // namespace clade::import

#endif // CLADE_IMPORT_QUANTISATION_H
