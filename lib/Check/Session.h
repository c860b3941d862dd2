//===- Session.h - What the checks of all families share --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Messages, each shown once, and the checkers of the families.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CHECK_SESSION_H
#define CLADE_CHECK_SESSION_H

#include "lib/Check/TypeChecker.h"

#include <map>
#include <set>

namespace clade::check {

class FamilyChecker;

/// A note of an error: where, and what.
struct Note {
  mlir::Location loc;
  std::string message;
};

class Session {
public:
  explicit Session(const import::SpecLibrary &library);
  ~Session();

  /// Reports an error unless the same one was reported before, or too many
  /// were.
  void error(mlir::Location loc, const llvm::Twine &message,
             llvm::ArrayRef<Note> notes);
  unsigned getNumErrors() const { return numErrors; }

  /// Is told the type of each expression, each time that it is evaluated.
  void setObserver(TypeObserver told) { observer = std::move(told); }
  void observe(const spec::Expr *expr, const Type &type) const {
    if (observer)
      observer(*expr, type);
  }

  FamilyChecker &checkerFor(const spec::FamilyDecl *family);
  const import::SpecLibrary &getLibrary() const { return library; }

  /// One step of evaluation. Where a family is nested so deep, or is so large,
  /// that it is too deep, the rest stays unchecked.
  class Level {
  public:
    explicit Level(Session &session) : session(session) {
      ++session.depth;
      session.steps -= session.steps > 0;
    }
    ~Level() { --session.depth; }
    Level(const Level &) = delete;
    Level &operator=(const Level &) = delete;
    bool isTooDeep() const {
      return session.depth > maxDepth || session.steps == 0;
    }

  private:
    Session &session;
  };
  /// Forgets the checkers of families, but not what was reported.
  void reset();

private:
  static constexpr unsigned maxErrors = 20;
  static constexpr unsigned maxDepth = 256;
  static constexpr unsigned maxSteps = 500000;

  const import::SpecLibrary &library;
  std::map<const spec::FamilyDecl *, std::unique_ptr<FamilyChecker>> checkers;
  std::set<std::pair<const void *, std::string>> shown;
  TypeObserver observer;
  unsigned numErrors = 0, steps = maxSteps, depth = 0;
};

} // namespace clade::check

#endif // CLADE_CHECK_SESSION_H
