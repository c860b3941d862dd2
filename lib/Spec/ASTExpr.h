//===- ASTExpr.h - Expressions of the .spec language ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expressions, statements and weight paths of the syntax tree; see AST.h for
// the declarations and for who owns the nodes. A node's location is where a
// message about it should point: the operator of a binary expression, otherwise
// the first token. Its range covers the whole text.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_ASTEXPR_H
#define CLADE_SPEC_ASTEXPR_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Casting.h"
#include "llvm/Support/SMLoc.h"

#include <cstdint>
#include <optional>
#include <string>

namespace clade::spec {

using llvm::ArrayRef;
using llvm::SMLoc;
using llvm::StringRef;
using SourceRange = llvm::SMRange;

/// Where a node stands: a location for messages, and the range of its text
/// (valid as long as the SourceMgr of the text).
struct Span {
  mlir::Location loc;
  SourceRange range;
};

class Node {
public:
  explicit Node(Span span) : span(span) {}
  mlir::Location getLoc() const { return span.loc; }
  SourceRange getRange() const { return span.range; }

private:
  Span span;
};

/// A name where the text has it.
struct Identifier {
  StringRef name;
  mlir::Location loc;
};

class Expr;
class Stmt;
struct Path;

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

/// `{layer}`, `{"a", "b"}`, `{e where c}` or `{p..}` in a weight path.
struct Placeholder {
  ArrayRef<const Expr *> exprs; ///< At least one.
  const Expr *where = nullptr;  ///< Null without `where`.
  bool isMulti = false;         ///< `..`: one or more segments.
};

/// A piece of a segment: literal text, or a placeholder if `text` is empty.
struct PathPart {
  StringRef text;
  Placeholder placeholder;

  bool isText() const { return !text.empty(); }
};

/// What stands between two dots. Two texts never follow each other.
using PathSegment = ArrayRef<PathPart>;

/// A weight path, such as `model.layers.{layer}.norm` or `/lm_head`. The
/// absolute path without segments is `/`, the root.
struct Path : Node {
  Path(Span span, bool isAbsolute, ArrayRef<PathSegment> segments)
      : Node(span), isAbsolute(isAbsolute), segments(segments) {}

  bool isAbsolute;
  ArrayRef<PathSegment> segments;
};

/// The path or the expression as the language writes it, on one line.
std::string toString(const Path &path);
std::string toString(const Expr &expr);

//===----------------------------------------------------------------------===//
// Bodies and arguments
//===----------------------------------------------------------------------===//

/// `{ statements }`. The body of a short block has no braces of its own.
struct Body {
  ArrayRef<const Stmt *> stmts;
  SourceRange braces;
};

/// `name: value where condition`; only the value must be there. In lists,
/// indices and calls alike. `..` alone is a RangeExpr without bounds.
struct Arg {
  std::optional<Identifier> name;
  const Expr *value;
  const Expr *where; ///< Null without `where`.
};

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

class Expr : public Node {
public:
  enum class Kind {
    Number,
    String,
    Name,
    Key,
    List,
    Tuple,
    Paren,
    Call,
    Index,
    Attr,
    At,
    As,
    FromLayer,
    Lambda,
    Binary,
    Unary,
    Default,
    Range,
    If,
    Match,
    For,
    Scan,
  };
  Kind getKind() const { return kind; }

protected:
  Expr(Kind kind, Span span) : Node(span), kind(kind) {}

private:
  Kind kind;
};

/// Gives an expression class its kind and `classof`.
template <Expr::Kind K> class ExprBase : public Expr {
public:
  static bool classof(const Expr *e) { return e->getKind() == K; }

protected:
  explicit ExprBase(Span span) : Expr(K, span) {}
};

/// `12` or `1e-6`. An integer is one without point and exponent.
struct NumberExpr : ExprBase<Expr::Kind::Number> {
  NumberExpr(Span span, bool isInteger, int64_t intValue, double value,
             StringRef spelling)
      : ExprBase(span), isInteger(isInteger), intValue(intValue), value(value),
        spelling(spelling) {}

  bool isInteger;
  int64_t intValue; ///< Only of integers.
  double value;     ///< Of both.
  StringRef spelling;
};

/// `"text"`, without quotes and without escapes.
struct StringExpr : ExprBase<Expr::Kind::String> {
  StringExpr(Span span, StringRef value) : ExprBase(span), value(value) {}
  StringRef value;
};

struct NameExpr : ExprBase<Expr::Kind::Name> {
  NameExpr(Span span, StringRef name) : ExprBase(span), name(name) {}
  StringRef name;
};

/// The configuration key of a field `name ?? default`, which cannot mean the
/// field itself.
struct KeyExpr : ExprBase<Expr::Kind::Key> {
  KeyExpr(Span span, StringRef name) : ExprBase(span), name(name) {}
  StringRef name;
};

/// `[args]`: a list or a shape.
struct ListExpr : ExprBase<Expr::Kind::List> {
  ListExpr(Span span, ArrayRef<Arg> args) : ExprBase(span), args(args) {}
  ArrayRef<Arg> args;
};

/// `a, b` with at least two elements.
struct TupleExpr : ExprBase<Expr::Kind::Tuple> {
  TupleExpr(Span span, ArrayRef<const Expr *> elements)
      : ExprBase(span), elements(elements) {}
  ArrayRef<const Expr *> elements;
};

/// `(inner)`.
struct ParenExpr : ExprBase<Expr::Kind::Paren> {
  ParenExpr(Span span, const Expr *inner) : ExprBase(span), inner(inner) {}
  const Expr *inner;
};

/// `callee(args)`.
struct CallExpr : ExprBase<Expr::Kind::Call> {
  CallExpr(Span span, const Expr *callee, ArrayRef<Arg> args)
      : ExprBase(span), callee(callee), args(args) {}
  const Expr *callee;
  ArrayRef<Arg> args;
};

/// `base[args]`.
struct IndexExpr : ExprBase<Expr::Kind::Index> {
  IndexExpr(Span span, const Expr *base, ArrayRef<Arg> args)
      : ExprBase(span), base(base), args(args) {}
  const Expr *base;
  ArrayRef<Arg> args;
};

/// `base.name`.
struct AttrExpr : ExprBase<Expr::Kind::Attr> {
  AttrExpr(Span span, const Expr *base, Identifier name)
      : ExprBase(span), base(base), name(name) {}
  const Expr *base;
  Identifier name;
};

/// `base at path`.
struct AtExpr : ExprBase<Expr::Kind::At> {
  AtExpr(Span span, const Expr *base, const Path *path)
      : ExprBase(span), base(base), path(path) {}
  const Expr *base;
  const Path *path;
};

/// `base as [axes]`: a row-major view.
struct AsExpr : ExprBase<Expr::Kind::As> {
  AsExpr(Span span, const Expr *base, const ListExpr *shape)
      : ExprBase(span), base(base), shape(shape) {}
  const Expr *base;
  const ListExpr *shape;
};

/// `base from layer layer`: a value of an earlier layer.
struct FromLayerExpr : ExprBase<Expr::Kind::FromLayer> {
  FromLayerExpr(Span span, const Expr *base, const Expr *layer)
      : ExprBase(span), base(base), layer(layer) {}
  const Expr *base;
  const Expr *layer;
};

/// `call { var => body }`, as in `mix(chosen, share) { e => … }`.
struct LambdaExpr : ExprBase<Expr::Kind::Lambda> {
  LambdaExpr(Span span, const Expr *call, Identifier var, const Expr *body,
             SourceRange braces)
      : ExprBase(span), call(call), var(var), body(body), braces(braces) {}
  const Expr *call;
  Identifier var;
  const Expr *body;
  SourceRange braces;
};

enum class BinaryOp {
  Or,
  And,
  Equal,
  NotEqual,
  Less,
  Greater,
  LessEqual,
  GreaterEqual,
  In,
  Divides,
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Pow,
};
/// The operator as it is written.
StringRef spelling(BinaryOp op);

struct BinaryExpr : ExprBase<Expr::Kind::Binary> {
  BinaryExpr(Span span, BinaryOp op, const Expr *lhs, const Expr *rhs)
      : ExprBase(span), op(op), lhs(lhs), rhs(rhs) {}
  BinaryOp op;
  const Expr *lhs;
  const Expr *rhs;
};

enum class UnaryOp { Neg, Not };

struct UnaryExpr : ExprBase<Expr::Kind::Unary> {
  UnaryExpr(Span span, UnaryOp op, const Expr *operand)
      : ExprBase(span), op(op), operand(operand) {}
  UnaryOp op;
  const Expr *operand;
};

/// `value ? fallback` (when absent) or `value ?? fallback` (absent or null).
struct DefaultExpr : ExprBase<Expr::Kind::Default> {
  DefaultExpr(Span span, const Expr *value, bool alsoNull, const Expr *fallback)
      : ExprBase(span), value(value), alsoNull(alsoNull), fallback(fallback) {}
  const Expr *value;
  bool alsoNull; ///< `??`.
  const Expr *fallback;
};

/// `begin .. end` in an argument or a `for`; the end is exclusive.
struct RangeExpr : ExprBase<Expr::Kind::Range> {
  RangeExpr(Span span, const Expr *begin, const Expr *end)
      : ExprBase(span), begin(begin), end(end) {}
  const Expr *begin; ///< Null: from the start.
  const Expr *end;   ///< Null: to the end.
};

/// `if condition { … } else { … }`. `else if` is a body of one ExprStmt.
struct IfExpr : ExprBase<Expr::Kind::If> {
  IfExpr(Span span, const Expr *condition, const Body *thenBody,
         const Body *elseBody)
      : ExprBase(span), condition(condition), thenBody(thenBody),
        elseBody(elseBody) {}
  const Expr *condition;
  const Body *thenBody;
  const Body *elseBody; ///< Null without `else`.
};

/// `pattern => value`.
struct MatchCase {
  const Expr *pattern;
  const Expr *value;
};

struct MatchExpr : ExprBase<Expr::Kind::Match> {
  MatchExpr(Span span, const Expr *subject, ArrayRef<MatchCase> cases,
            SourceRange braces)
      : ExprBase(span), subject(subject), cases(cases), braces(braces) {}
  const Expr *subject;
  ArrayRef<MatchCase> cases;
  SourceRange braces;
};

/// `for names in range at path { … }` with one or two names.
struct ForExpr : ExprBase<Expr::Kind::For> {
  ForExpr(Span span, ArrayRef<Identifier> names, const Expr *range,
          const Path *at, const Body *body)
      : ExprBase(span), names(names), range(range), at(at), body(body) {}
  ArrayRef<Identifier> names;
  const Expr *range;
  const Path *at; ///< Null without `at`.
  const Body *body;
};

/// `scan axis carry name = init { … }`.
struct ScanExpr : ExprBase<Expr::Kind::Scan> {
  ScanExpr(Span span, Identifier axis, Identifier carry, const Expr *init,
           const Body *body)
      : ExprBase(span), axis(axis), carry(carry), init(init), body(body) {}
  Identifier axis;
  Identifier carry;
  const Expr *init;
  const Body *body;
};

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

class Stmt : public Node {
public:
  enum class Kind { Assign, Return, Emit, Expr };
  Kind getKind() const { return kind; }

protected:
  Stmt(Kind kind, Span span) : Node(span), kind(kind) {}

private:
  Kind kind;
};

/// What an assignment assigns to: `x` or `x[args]`.
struct LValue {
  Identifier name;
  std::optional<ArrayRef<Arg>> index;
};

/// `a, b = value` or `a += value`. Several values on the right are one
/// TupleExpr.
struct AssignStmt : Stmt {
  AssignStmt(Span span, ArrayRef<LValue> targets, bool isAdd, const Expr *value)
      : Stmt(Kind::Assign, span), targets(targets), isAdd(isAdd), value(value) {
  }
  static bool classof(const Stmt *s) { return s->getKind() == Kind::Assign; }

  ArrayRef<LValue> targets;
  bool isAdd; ///< `+=`.
  const Expr *value;
};

/// `return value`.
struct ReturnStmt : Stmt {
  ReturnStmt(Span span, const Expr *value)
      : Stmt(Kind::Return, span), value(value) {}
  static bool classof(const Stmt *s) { return s->getKind() == Kind::Return; }
  const Expr *value;
};

/// `emit value`, in a scan.
struct EmitStmt : Stmt {
  EmitStmt(Span span, const Expr *value)
      : Stmt(Kind::Emit, span), value(value) {}
  static bool classof(const Stmt *s) { return s->getKind() == Kind::Emit; }
  const Expr *value;
};

/// An expression alone: the value of its body if it is the last statement.
struct ExprStmt : Stmt {
  ExprStmt(Span span, const Expr *value)
      : Stmt(Kind::Expr, span), value(value) {}
  static bool classof(const Stmt *s) { return s->getKind() == Kind::Expr; }
  const Expr *value;
};

} // namespace clade::spec

#endif // CLADE_SPEC_ASTEXPR_H
