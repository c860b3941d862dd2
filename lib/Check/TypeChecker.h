//===- TypeChecker.h - Checks specs without a configuration -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An abstract run of a family: names are resolved, arguments are paired with
// parameters, axes are followed by name through every block that the entries
// reach. Only what fails in every configuration is an error.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CHECK_TYPECHECKER_H
#define CLADE_CHECK_TYPECHECKER_H

#include "lib/Import/SpecLibrary.h"

#include <functional>
#include <memory>

namespace clade::check {

class Session;
struct Type;

/// Takes an expression and what is known of its value.
using TypeObserver = std::function<void(const spec::Expr &, const Type &)>;

/// An entry, and its type as text: '[token] -> [token, vocab]'.
struct EntryType {
  std::string name;
  std::string type;
};

/// "family 'llama': ok, forward: [token] -> [token, vocab]".
std::string describe(const spec::FamilyDecl &family,
                     llvm::ArrayRef<EntryType> entries);

class TypeChecker {
public:
  /// `library` is complete: its `finish` succeeded.
  explicit TypeChecker(const import::SpecLibrary &library);
  ~TypeChecker();

  /// Checks one family in its own context: blocks are bound as if it were
  /// compiled. Reports every error where it stands, once, however many families
  /// share the text. Gives the entries.
  mlir::FailureOr<std::vector<EntryType>> check(const spec::FamilyDecl *family);

  /// From here on, is told the type of each expression that is evaluated; one
  /// in a block as often as the block is called in different ways.
  void setObserver(TypeObserver observer);

private:
  std::unique_ptr<Session> session;
};

} // namespace clade::check

#endif // CLADE_CHECK_TYPECHECKER_H
