//===- ParseStmt.cpp - Bodies and statements ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/EditDistance.h"
#include "lib/Spec/ParserImpl.h"

using namespace clade::spec;

/// body = "{" { stmt } "}"
const Body *Parser::parseBody(const Twine &where) {
  const Token &brace = peek();
  if (failed(open("{", where)))
    return nullptr;
  SmallVector<const Stmt *> stmts;
  while (!acceptClose()) {
    if (peek().isEnd() || startsDeclaration())
      return errorUnclosed("a statement or "), nullptr;
    const Stmt *stmt = parseStmt();
    if (!stmt)
      return nullptr;
    stmts.push_back(stmt);
  }
  return file->create<Body>(Body{file->copy(ArrayRef(stmts)),
                                 SourceRange(brace.begin(), previous().end())});
}

/// stmt = lvalue { "," lvalue } ("=" | "+=") exprs | ("return" | "emit") exprs
///      | exprs
const Stmt *Parser::parseStmt() {
  if (startsAssignment())
    return parseAssignment();
  const Token &first = peek();
  bool isReturn = accept("return");
  bool isEmit = !isReturn && accept("emit");
  if (!isReturn && !isEmit && !startsExpression())
    return errorUnclosed("a statement or "), nullptr;
  const Expr *value = parseExprs();
  if (!value ||
      failed(isReturn || isEmit ? checkAssignmentEnd() : checkStmtEnd(value)))
    return nullptr;
  Span span = spanFrom(first);
  if (isReturn)
    return file->create<ReturnStmt>(span, value);
  if (isEmit)
    return file->create<EmitStmt>(span, value);
  return file->create<ExprStmt>(span, value);
}

/// Reports what follows an expression on its line and cannot be meant.
LogicalResult Parser::checkStmtEnd(const Expr *value) {
  if (peek().newlineBefore)
    return success();
  if (at("=") || at("+="))
    return error(value->getLoc(), "expected a name or 'name[index]' left of '" +
                                      peek().text + "', got an expression");
  // `retrun x` is the statement `retrun` and the statement `x`.
  const auto *name = llvm::dyn_cast<NameExpr>(value);
  if (!name || at("}"))
    return success();
  static constexpr StringRef keywords[] = {"return", "emit", "if",
                                           "match",  "for",  "scan"};
  std::string hint = didYouMean(name->name, keywords);
  if (hint.empty())
    return success();
  return error(name->getLoc(),
               "expected a statement, got '" + name->name + "'" + hint);
}

LogicalResult Parser::checkAssignmentEnd() {
  if (peek().newlineBefore || !(at("=") || at("+=")))
    return success();
  return errorExpected("one assignment in a statement");
}

bool Parser::startsExpression() const {
  if (peek().isNumber() || peek().isString())
    return true;
  if (atAny({"(", "[", "-", "not", "if", "match", "for", "scan"}))
    return true;
  return peek().isWord() && !isReserved(peek().text);
}

/// Whether an assignment begins here: names, each perhaps with an index, up to
/// `=` or `+=` on the same line.
bool Parser::startsAssignment() const {
  size_t offset = 0;
  auto sameLine = [&](StringRef text) {
    return peek(offset).is(text) && !peek(offset).newlineBefore;
  };
  do {
    if (!peek(offset).isWord() || isReserved(peek(offset).text))
      return false;
    ++offset;
    if (!sameLine("["))
      continue;
    unsigned depth = 0;
    do {
      const Token &token = peek(offset++);
      if (token.isEnd())
        return false;
      depth += token.is("[") || token.is("(") || token.is("{");
      depth -= token.is("]") || token.is(")") || token.is("}");
    } while (depth > 0);
  } while (sameLine(",") && ++offset);
  return sameLine("=") || sameLine("+=");
}

const Stmt *Parser::parseAssignment() {
  const Token &first = peek();
  SmallVector<LValue> targets;
  do {
    std::optional<Identifier> name = parseName("the name of a variable");
    if (!name)
      return nullptr;
    LValue target{*name, std::nullopt};
    if (at("[")) {
      SmallVector<Arg> args;
      if (failed(parseArgs("[", args)))
        return nullptr;
      target.index = file->copy(ArrayRef(args));
    }
    targets.push_back(target);
  } while (accept(","));
  bool isAdd = take().is("+=");
  const Expr *value = parseExprs();
  if (!value || failed(checkAssignmentEnd()))
    return nullptr;
  return file->create<AssignStmt>(spanFrom(first),
                                  file->copy(ArrayRef(targets)), isAdd, value);
}
