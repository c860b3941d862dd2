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
  /// The form that `config` names, its keys all read and its requirements met;
  /// null if it names none.
  static FailureOr<std::unique_ptr<Quantisation>>
  read(const SpecLibrary &library, const Config &config,
       const ImportOptions &options);

  const Family &getFamily() const { return family; }
  Evaluator &getEvaluator() { return evaluator; }

  /// Reports a configuration that names a form which no weight of `module` has.
  LogicalResult checkUsed(mlir::ModuleOp module) const;

private:
  Quantisation(const SpecLibrary &library, const spec::FamilyDecl *decl,
               const Config &config, const ImportOptions &options);

  const Config &config;
  Family family;
  Evaluator evaluator;
};

} // namespace clade::import

#endif // CLADE_IMPORT_QUANTISATION_H
