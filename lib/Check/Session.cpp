//===- Session.cpp - What the checks of all families share ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Session.h"

#include "lib/Check/FamilyChecker.h"
#include "mlir/IR/Diagnostics.h"

using namespace clade;
using namespace clade::check;

Session::Session(const import::SpecLibrary &library) : library(library) {}
Session::~Session() = default;

void Session::reset() {
  checkers.clear();
  steps = maxSteps;
}

void Session::error(Location loc, const llvm::Twine &message,
                    ArrayRef<Note> notes) {
  ++numErrors;
  if (shown.size() >= maxErrors ||
      !shown.emplace(loc.getAsOpaquePointer(), message.str()).second)
    return;
  mlir::InFlightDiagnostic diagnostic = mlir::emitError(loc) << message;
  for (const Note &note : notes)
    diagnostic.attachNote(note.loc) << note.message;
}

FamilyChecker &Session::checkerFor(const spec::FamilyDecl *family) {
  std::unique_ptr<FamilyChecker> &checker = checkers[family];
  if (!checker)
    checker = std::make_unique<FamilyChecker>(*this, family);
  return *checker;
}

//===----------------------------------------------------------------------===//
// Messages of one family
//===----------------------------------------------------------------------===//

/// How text that the family does not own was reached: the innermost calls up to
/// the first from its own text.
std::vector<Note> FamilyChecker::callNotes() const {
  constexpr size_t most = 4;
  std::vector<Note> notes;
  for (const Call &call : llvm::reverse(calls)) {
    bool isEntry = call.loc == call.block->getLoc();
    if (notes.size() == most || isEntry)
      break;
    notes.push_back(
        {call.loc, ("in this call of '" + call.block->name.name + "'").str()});
    if (call.callerText == family.getName())
      return notes;
  }
  notes.push_back(
      {decl->name.loc, ("in family '" + decl->name.name + "'").str()});
  return notes;
}

Type FamilyChecker::error(Location loc, const llvm::Twine &message,
                          ArrayRef<Note> notes) {
  if (dead)
    return Type::unknown();
  // Text of the family itself speaks for itself.
  std::vector<Note> all(notes);
  if (!text.empty() && text != family.getName())
    llvm::append_range(all, callNotes());
  session.error(loc, message, all);
  return Type::unknown();
}

Type FamilyChecker::nameError(Location loc, const llvm::Twine &message,
                              StringRef textOf, ArrayRef<Note> notes) {
  bool isOwn = textOf == family.getName();
  int saved = dead;
  if (isOwn)
    dead = 0;
  error(loc, message, notes);
  dead = saved;
  return Type::unknown();
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

std::string check::describe(const spec::FamilyDecl &family,
                            ArrayRef<EntryType> entries) {
  std::string text = ("family '" + family.name.name + "': ok").str();
  for (const EntryType &entry : entries)
    text += (&entry == entries.begin() ? ", " : "; ") + entry.name + ": " +
            entry.type;
  return text;
}

TypeChecker::TypeChecker(const import::SpecLibrary &library)
    : session(std::make_unique<Session>(library)) {}
TypeChecker::~TypeChecker() = default;

void TypeChecker::setObserver(TypeObserver observer) {
  session->setObserver(std::move(observer));
}

mlir::FailureOr<std::vector<EntryType>>
TypeChecker::check(const spec::FamilyDecl *family) {
  unsigned before = session->getNumErrors();
  session->reset();
  std::vector<EntryType> entries = session->checkerFor(family).checkAll();
  if (session->getNumErrors() != before)
    return mlir::failure();
  return entries;
}
