//===- FieldValues.h - What the fields of a family are ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fields of a family and its parts for one configuration, to be shown. What a
// configuration does not give is no error here: it has no value.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_FIELDVALUES_H
#define CLADE_IMPORT_FIELDVALUES_H

#include "lib/Import/Evaluator.h"

namespace clade::import {

class FieldValues {
public:
  /// `family` and `config` outlive the values.
  FieldValues(const Family &family, const Config &config);

  /// The family with its parts, those that can be made of the configuration.
  FamilyInstance &getRoot() { return evaluator.getRoot(); }
  /// A field; `layer` is for fields with a value for each.
  std::optional<SpecValue> get(FamilyInstance &of, llvm::StringRef name,
                               std::optional<int64_t> layer = {});
  /// The field 'layers'; nothing if there is none, or if it is no number of
  /// layers.
  std::optional<int64_t> layers(FamilyInstance &of);
  /// The field as JSON, per-layer fields as a list of the first `most` layers
  /// with '…' behind; empty if there is no value, or if JSON cannot say it.
  std::string text(FamilyInstance &of, llvm::StringRef name, int64_t most = 8);

private:
  mlir::MLIRContext *context;
  Evaluator evaluator;
};

} // namespace clade::import

#endif // CLADE_IMPORT_FIELDVALUES_H
