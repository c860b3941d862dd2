//===- ParserImpl.h - The parser's class ------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A recursive descent parser with one method per construct, split over
// Parser.cpp (tokens, errors), ParseDecl.cpp, ParseConfig.cpp, ParseExpr.cpp,
// ParseStmt.cpp and ParseWeights.cpp. A method that fails has reported an error
// and returns null or failure; its caller passes that on, up to the
// declaration, from where `recover` skips to the next one.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_PARSERIMPL_H
#define CLADE_SPEC_PARSERIMPL_H

#include "lib/Spec/Lexer.h"
#include "lib/Spec/Parser.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

namespace clade::spec {

using llvm::SmallVector;
using llvm::Twine;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using mlir::LogicalResult;
using mlir::success;

class Parser {
public:
  Parser(llvm::SourceMgr &sourceMgr, unsigned bufferId,
         mlir::MLIRContext *context);

  FailureOr<std::unique_ptr<File>> run();

private:
  //===--- Tokens (Parser.cpp) --------------------------------------------===//

  const Token &peek(size_t offset = 0) const {
    return tokens[std::min(position + offset, tokens.size() - 1)];
  }
  const Token &previous() const { return tokens[position ? position - 1 : 0]; }
  bool at(StringRef text) const { return peek().is(text); }
  bool atAny(ArrayRef<StringRef> texts) const;
  /// Whether `text` is next and may continue what stands before it: it is on
  /// the same line, or the innermost bracket is ( or [.
  bool continuesWith(StringRef text) const { return joins() && at(text); }
  bool joins() const;
  bool accept(StringRef text);
  const Token &take();

  /// Opens a bracket, which must be next, and everything that holds inside.
  LogicalResult open(StringRef bracket, const Twine &where);
  /// Closes the innermost bracket if it is next.
  bool acceptClose();
  /// Reports that neither `what` nor the closing bracket is next.
  mlir::InFlightDiagnostic errorUnclosed(const Twine &what,
                                         const Twine &hint = "");
  StringRef closer() const;

  bool startsDeclaration() const;
  /// After an error in a declaration that began at token `begin` in a family
  /// (or file) that began at `column`: skips to the next declaration or to the
  /// end of the family.
  void recover(size_t begin, size_t depth, unsigned column);

  //===--- Errors (Parser.cpp) --------------------------------------------===//

  mlir::Location locationOf(const Token &token) const;
  mlir::InFlightDiagnostic error(mlir::Location loc, const Twine &message);
  mlir::InFlightDiagnostic error(const Token &token, const Twine &message) {
    return error(locationOf(token), message);
  }
  /// "expected `what`, got <the next token>`hint`".
  mlir::InFlightDiagnostic errorExpected(const Twine &what,
                                         const Twine &hint = "");
  LogicalResult expect(StringRef text, const Twine &where);
  /// The same for '=', with a hint where ':' or '==' stands instead.
  LogicalResult expectEquals(const Twine &where);
  std::optional<Identifier> parseName(const Twine &what);
  LogicalResult parseNames(const Twine &what, SmallVector<Identifier> &names);
  /// Records that a name is taken; reports the second of the same.
  void declare(llvm::StringMap<mlir::Location> &scope, Identifier name,
               StringRef what);
  /// Reports the second of what may occur once.
  void declareOnce(const Node *previous, const Token &token, StringRef what);

  Span spanFrom(const Token &first, mlir::Location loc) const {
    return {loc, SourceRange(first.begin(), previous().end())};
  }
  Span spanFrom(const Token &first) const {
    return spanFrom(first, locationOf(first));
  }
  /// `lhs` and what follows, up to the last token taken.
  Span spanFrom(const Expr *lhs, mlir::Location loc) const {
    return {loc, SourceRange(lhs->getRange().Start, previous().end())};
  }
  Span spanFrom(const Expr *lhs) const { return spanFrom(lhs, lhs->getLoc()); }

  //===--- Nesting (Parser.cpp) -------------------------------------------===//

  // `nesting` counts the constructs around the next token. `deepest` is the
  // depth of the lowest node of the expression being built: a chain such as
  // a + b + c pushes everything before its operator one level down.

  /// One level of nesting, for the life of the object.
  class Nested {
  public:
    explicit Nested(Parser &parser) : parser(parser) { ++parser.nesting; }
    ~Nested() { --parser.nesting; }

  private:
    Parser &parser;
  };
  /// Everything that becomes the left operand of a chain, for its life.
  class Chain {
  public:
    explicit Chain(Parser &parser) : parser(parser), outer(parser.deepest) {
      parser.deepest = parser.nesting;
    }
    ~Chain() { parser.deepest = std::max(parser.deepest, outer); }

  private:
    Parser &parser;
    unsigned outer;
  };
  /// Reports an error if the current level is too deep.
  LogicalResult checkNesting();
  /// Pushes the chain's left operand one level down.
  LogicalResult growChain();
  LogicalResult errorTooDeep();

  //===--- Declarations (ParseDecl.cpp, ParseConfig.cpp)
  //-----------------------------------===//

  LogicalResult parseTopLevel(struct FileItems &items);
  const FamilyDecl *parseFamily();
  LogicalResult parseFamilyBody(struct FamilyItems &items, unsigned column);
  LogicalResult parseFamilyItem(struct FamilyItems &items);
  const ServesDecl *parseServes();
  const ReferenceDecl *parseReference();
  const UseDecl *parseUse();
  const PartDecl *parsePart();
  const ConfigDecl *parseConfig();
  LogicalResult parseConfigItem(struct ConfigItems &items);
  bool recoverInConfig(size_t begin, size_t depth, unsigned column);
  const FieldDecl *parseField();
  const IgnoreDecl *parseIgnore();
  const BlockDecl *parseBlock();
  LogicalResult parseParams(SmallVector<Param> &params);

  //===--- Statements (ParseStmt.cpp) -------------------------------------===//

  const Body *parseBody(const Twine &where);
  const Stmt *parseStmt();
  const Stmt *parseAssignment();
  LogicalResult checkAssignmentEnd();
  LogicalResult checkStmtEnd(const Expr *value);
  bool startsAssignment() const;
  bool startsExpression() const;

  //===--- Expressions (ParseExpr.cpp) ------------------------------------===//

  const Expr *parseExprs();
  const Expr *parseExpr();
  const Expr *parseAnd();
  const Expr *parseNot();
  const Expr *parseComparison();
  const Expr *parseDefault();
  const Expr *parseSum();
  const Expr *parseProduct();
  const Expr *parseUnary();
  const Expr *parsePostfix();
  const Expr *parseAtom();
  const Expr *parseNumber();
  const Expr *parseParen();
  const ListExpr *parseList(const Twine &where);
  const Expr *parseIf();
  const Expr *parseMatch();
  const Expr *parseFor();
  const Expr *parseLoopRange();
  const Expr *parseScan();
  const Expr *parseLambda(const Expr *call);
  const Expr *parseSuffix(const Expr *base);
  bool startsSuffix() const;
  LogicalResult parseArgs(StringRef bracket, SmallVector<Arg> &args);
  LogicalResult parseArg(Arg &arg);
  using SubParser = const Expr *(Parser::*)();
  /// A chain of left-associative operators.
  const Expr *parseChain(SubParser operand,
                         ArrayRef<std::pair<StringRef, BinaryOp>> operators);
  const Expr *makeBinary(BinaryOp op, const Expr *lhs, const Expr *rhs,
                         mlir::Location loc);
  mlir::InFlightDiagnostic errorExpression();

  //===--- Paths and weights (ParseWeights.cpp) ---------------------------===//

  const Path *parsePath();
  LogicalResult parseSegments(SmallVector<PathSegment> &segments);
  LogicalResult parseSegment(SmallVector<PathSegment> &segments);
  FailureOr<Placeholder> parsePlaceholder();
  const WeightsDecl *parseWeights();
  LogicalResult parseWeightBody(SmallVector<const WeightItem *> &items);
  const WeightItem *parseWeightItem();
  const WeightItem *parseDrop();
  const WeightItem *parseWeightFor();
  FailureOr<WeightBinding> parseBinding();
  const WeightItem *parseEquation();
  const WeightExpr *parseWeightExpr();
  const WeightExpr *parseWeightCall();
  /// `if condition` at the end of an item; null without it.
  FailureOr<const Expr *> parseOptionalCondition();
  bool startsPathAfterWord() const;

  struct Bracket {
    const Token *token;
    bool joinsLines;
    bool noAt;
    bool noLambda;
  };

  std::unique_ptr<File> file;
  mlir::StringAttr fileName;
  StringRef text;
  std::vector<Token> tokens;
  size_t position = 0;
  SmallVector<Bracket> brackets;
  /// In the header of a `for`, `at` belongs to the loop; behind `match`, `{`
  /// opens the cases. Both only outside brackets.
  bool noAt = false;
  bool noLambda = false;
  unsigned nesting = 0;
  unsigned deepest = 0;
  unsigned numErrors = 0;
};

} // namespace clade::spec

#endif // CLADE_SPEC_PARSERIMPL_H
