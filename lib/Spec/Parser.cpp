//===- Parser.cpp - Tokens, errors and recovery of the parser -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Parser.h"

#include "lib/Spec/ParserImpl.h"

using namespace clade::spec;

FailureOr<std::unique_ptr<File>>
clade::spec::parseSpec(llvm::SourceMgr &sourceMgr, unsigned bufferId,
                       mlir::MLIRContext *context) {
  return Parser(sourceMgr, bufferId, context).run();
}

Parser::Parser(llvm::SourceMgr &sourceMgr, unsigned bufferId,
               mlir::MLIRContext *context)
    : file(std::make_unique<File>()) {
  const llvm::MemoryBuffer *buffer = sourceMgr.getMemoryBuffer(bufferId);
  fileName = mlir::StringAttr::get(context, buffer->getBufferIdentifier());
  text = buffer->getBuffer();
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

bool Parser::atAny(ArrayRef<StringRef> texts) const {
  return llvm::any_of(texts, [&](StringRef text) { return at(text); });
}

bool Parser::joins() const {
  return !peek().newlineBefore ||
         (!brackets.empty() && brackets.back().joinsLines);
}

const Token &Parser::take() {
  const Token &token = peek();
  if (!token.isEnd())
    ++position;
  return token;
}

bool Parser::accept(StringRef text) {
  if (!at(text))
    return false;
  take();
  return true;
}

LogicalResult Parser::open(StringRef bracket, const Twine &where) {
  if (!at(bracket))
    return errorExpected("'" + bracket + "' " + where,
                         at("=") ? "; did you mean '=='?" : "");
  brackets.push_back({&take(), bracket != "{", noAt, noLambda});
  noAt = noLambda = false;
  return success();
}

StringRef Parser::closer() const {
  StringRef opener = brackets.back().token->text;
  return opener == "(" ? ")" : opener == "[" ? "]" : "}";
}

bool Parser::acceptClose() {
  if (!accept(closer()))
    return false;
  noAt = brackets.back().noAt;
  noLambda = brackets.back().noLambda;
  brackets.pop_back();
  return true;
}

mlir::InFlightDiagnostic Parser::errorUnclosed(const Twine &what,
                                               const Twine &hint) {
  const Token &opener = *brackets.back().token;
  mlir::InFlightDiagnostic diagnostic =
      errorExpected(what + "'" + closer() + "'", hint);
  diagnostic.attachNote(locationOf(opener))
      << "to match this '" << opener.text << "'";
  return diagnostic;
}

/// Whether a line starts here with what can only be a declaration. It tells an
/// unclosed bracket from a variable that has a keyword's name.
bool Parser::startsDeclaration() const {
  const Token &next = peek(1);
  if (!peek().newlineBefore || !peek().isWord() || next.newlineBefore)
    return false;
  if (atAny({"family", "block", "entry", "use", "reference"}))
    return next.isWord();
  if (atAny({"config", "weights"}))
    return next.is("{");
  return at("serves") && next.isString();
}

void Parser::recover(size_t begin, size_t depth, unsigned column) {
  brackets.truncate(depth);
  noAt = noLambda = false;
  if (position == begin)
    take();
  while (!peek().isEnd() && !startsDeclaration()) {
    if (peek().newlineBefore && at("}") && peek().column <= column)
      return;
    take();
  }
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

mlir::Location Parser::locationOf(const Token &token) const {
  return mlir::FileLineColLoc::get(fileName, token.line, token.column);
}

mlir::InFlightDiagnostic Parser::error(mlir::Location loc,
                                       const Twine &message) {
  ++numErrors;
  // Nothing is left to read after too many errors.
  if (numErrors >= maxErrors)
    position = tokens.empty() ? 0 : tokens.size() - 1;
  mlir::InFlightDiagnostic diagnostic = mlir::emitError(loc, message);
  if (numErrors > maxErrors)
    diagnostic.abandon();
  if (numErrors == maxErrors)
    diagnostic.attachNote() << "too many errors, giving up";
  return diagnostic;
}

/// The token as a message shows it.
static std::string describe(const Token &token) {
  if (token.isEnd())
    return "end of file";
  constexpr size_t maxShown = 40;
  if (token.text.size() <= maxShown)
    return ("'" + token.text + "'").str();
  return ("'" + token.text.take_front(maxShown) + "…'").str();
}

mlir::InFlightDiagnostic Parser::errorExpected(const Twine &what,
                                               const Twine &hint) {
  return error(peek(), "expected " + what + ", got " + describe(peek()) + hint);
}

LogicalResult Parser::expect(StringRef text, const Twine &where) {
  if (accept(text))
    return success();
  return errorExpected("'" + text + "' " + where);
}

LogicalResult Parser::expectEquals(const Twine &where) {
  if (accept("="))
    return success();
  bool isSlip = at(":") || at("==");
  return errorExpected("'=' " + where, isSlip ? "; did you mean '='?" : "");
}

std::optional<Identifier> Parser::parseName(const Twine &what) {
  const Token &token = peek();
  if (!token.isWord()) {
    errorExpected(what);
    return std::nullopt;
  }
  if (isReserved(token.text)) {
    errorExpected(what, ", which is a reserved word");
    return std::nullopt;
  }
  take();
  return Identifier{file->save(token.text), locationOf(token)};
}

LogicalResult Parser::parseNames(const Twine &what,
                                 SmallVector<Identifier> &names) {
  do {
    std::optional<Identifier> name = parseName(what);
    if (!name)
      return failure();
    names.push_back(*name);
  } while (accept(","));
  return success();
}

void Parser::declare(llvm::StringMap<mlir::Location> &scope, Identifier name,
                     StringRef what) {
  auto [previous, isNew] = scope.try_emplace(name.name, name.loc);
  if (isNew)
    return;
  mlir::InFlightDiagnostic diagnostic =
      error(name.loc, what + " '" + name.name + "' is declared twice");
  diagnostic.attachNote(previous->second) << "first declared here";
}

void Parser::declareOnce(const Node *previous, const Token &token,
                         StringRef what) {
  if (!previous)
    return;
  mlir::InFlightDiagnostic diagnostic =
      error(token, "expected at most one '" + what + "' here");
  diagnostic.attachNote(previous->getLoc()) << "the first one is here";
}

//===----------------------------------------------------------------------===//
// Nesting
//===----------------------------------------------------------------------===//

LogicalResult Parser::errorTooDeep() {
  return error(peek(),
               "expected at most " + Twine(maxNesting) + " levels of nesting");
}

LogicalResult Parser::checkNesting() {
  deepest = std::max(deepest, nesting);
  return nesting > maxNesting ? errorTooDeep() : success();
}

LogicalResult Parser::growChain() {
  return ++deepest > maxNesting ? errorTooDeep() : success();
}
