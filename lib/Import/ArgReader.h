//===- ArgReader.h - Arguments of built-ins ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_ARGREADER_H
#define CLADE_IMPORT_ARGREADER_H

#include "lib/Import/Evaluator.h"

namespace clade::import {

/// Pairs the arguments of a call with the parameters of a built-in.
class ArgReader {
public:
  /// `parameters` are names in order; one that ends in '?' may be left out.
  ArgReader(llvm::StringRef builtin, const CallArgs &args,
            llvm::ArrayRef<llvm::StringRef> parameters, Location loc);

  bool ok() const { return valid; }
  /// The argument, or null if it was left out.
  const SpecValue *get(llvm::StringRef parameter) const;
  /// A tensor argument; reports if it is something else.
  FailureOr<TensorValue> tensor(llvm::StringRef parameter) const;
  FailureOr<bool> boolean(llvm::StringRef parameter, bool byDefault) const;
  /// A number, or nothing if it was left out or is none.
  FailureOr<std::optional<double>> number(llvm::StringRef parameter) const;
  FailureOr<std::string> word(llvm::StringRef parameter,
                              llvm::StringRef byDefault,
                              llvm::ArrayRef<llvm::StringRef> allowed) const;
  Location getLoc() const { return loc; }

private:
  std::string builtin;
  std::map<std::string, const SpecValue *, std::less<>> values;
  Location loc;
  bool valid = true;
};

} // namespace clade::import

#endif // CLADE_IMPORT_ARGREADER_H
