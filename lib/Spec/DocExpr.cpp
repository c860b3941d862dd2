//===- DocExpr.cpp - Documents of expressions, statements and paths -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/DocBuilder.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace clade::spec;

std::string clade::spec::toString(const Path &path) {
  return flatten(DocBuilder(DocBuilder::Bodies::OnOneLine).build(&path));
}

std::string clade::spec::toString(const Expr &expr) {
  return flatten(DocBuilder(DocBuilder::Bodies::OnOneLine).build(&expr));
}

//===----------------------------------------------------------------------===//
// Bodies and statements
//===----------------------------------------------------------------------===//

/// The source from `{` to `}`.
static StringRef textOf(SourceRange braces) {
  const char *begin = braces.Start.getPointer();
  return StringRef(begin, braces.End.getPointer() - begin);
}

/// Whether a body goes on several lines, as it does in the source if its braces
/// are on different lines.
bool DocBuilder::isSpread(SourceRange braces) const {
  if (bodies != Bodies::AsWritten)
    return bodies == Bodies::Spread;
  return textOf(braces).contains('\n');
}

Doc DocBuilder::buildBraces(std::vector<Item> items, SourceRange braces) {
  // An empty body may still have a comment.
  bool onOneLine = bodies == Bodies::OnOneLine;
  if (items.empty() &&
      (onOneLine || textOf(braces).drop_front().drop_back().trim().empty()))
    return text("{}");
  if (isSpread(braces))
    return Doc::braces({std::move(items), braces});
  std::string line;
  for (auto [index, item] : llvm::enumerate(items)) {
    Doc doc = item.build(/*spread=*/false);
    bool mustSpread = doc.hasBlock || (index > 0 && item.startsLine);
    if (mustSpread && !onOneLine)
      return Doc::braces({std::move(items), braces});
    line += index == 0 ? "{ " : item.startsLine ? ",    " : "    ";
    line += flatten(doc);
  }
  return text(line + " }");
}

Doc DocBuilder::buildBody(const Body &body) {
  std::vector<Item> items;
  for (const Stmt *stmt : body.stmts)
    items.push_back(makeItem(stmt));
  return buildBraces(std::move(items), body.braces);
}

Doc DocBuilder::build(const Stmt &stmt) {
  if (const auto *assign = llvm::dyn_cast<AssignStmt>(&stmt)) {
    std::vector<Doc> target;
    for (const LValue &one : assign->targets) {
      target.push_back(text((target.empty() ? "" : ", ") + one.name.name));
      if (one.index)
        target.push_back(Doc::bracketed("[", buildArgs(*one.index, ": "), "]"));
    }
    target.push_back(text(assign->isAdd ? " +=" : " ="));
    return Doc::assign(Doc::concat(std::move(target)), build(assign->value));
  }
  if (const auto *result = llvm::dyn_cast<ReturnStmt>(&stmt))
    return Doc::concat({text("return "), build(result->value)});
  if (const auto *emit = llvm::dyn_cast<EmitStmt>(&stmt))
    return Doc::concat({text("emit "), build(emit->value)});
  return build(llvm::cast<ExprStmt>(stmt).value);
}

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

Doc DocBuilder::buildPlaceholder(const Placeholder &placeholder) {
  std::vector<Doc> exprs;
  for (const Expr *expr : placeholder.exprs)
    exprs.push_back(build(expr));
  std::vector<Doc> parts = {Doc::bracketed("{", std::move(exprs), "")};
  if (placeholder.where) {
    parts.push_back(text(" where "));
    parts.push_back(build(placeholder.where));
  }
  parts.push_back(text(placeholder.isMulti ? "..}" : "}"));
  return Doc::concat(std::move(parts));
}

Doc DocBuilder::build(const Path *path) {
  std::vector<Doc> parts;
  if (path->isAbsolute)
    parts.push_back(text("/"));
  for (auto [index, segment] : llvm::enumerate(path->segments)) {
    if (index > 0)
      parts.push_back(text("."));
    for (const PathPart &part : segment)
      parts.push_back(part.isText() ? text(part.text)
                                    : buildPlaceholder(part.placeholder));
  }
  return Doc::concat(std::move(parts));
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Doc DocBuilder::buildArg(const Arg &arg, StringRef separator) {
  std::vector<Doc> parts;
  if (arg.name)
    parts.push_back(text(arg.name->name + separator));
  parts.push_back(build(arg.value));
  if (arg.where) {
    parts.push_back(text(" where "));
    parts.push_back(build(arg.where));
  }
  return Doc::concat(std::move(parts));
}

std::vector<Doc> DocBuilder::buildArgs(ArrayRef<Arg> args,
                                       StringRef separator) {
  std::vector<Doc> docs;
  for (const Arg &arg : args)
    docs.push_back(buildArg(arg, separator));
  return docs;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

static int precedence(BinaryOp op) {
  switch (op) {
  case BinaryOp::Or:
    return 0;
  case BinaryOp::And:
    return 1;
  case BinaryOp::Add:
  case BinaryOp::Sub:
    return 3;
  case BinaryOp::Mul:
  case BinaryOp::Div:
  case BinaryOp::Mod:
    return 4;
  case BinaryOp::Pow:
    return 5;
  default:
    return 2;
  }
}

/// A chain such as `a + b - c` is one fill; its lines end with operators, which
/// is how an expression goes on behind the end of a line.
Doc DocBuilder::buildBinary(const BinaryExpr *expr) {
  if (expr->op == BinaryOp::Pow)
    return Doc::concat({build(expr->lhs), text(" ^ "), build(expr->rhs)});
  std::vector<Doc> reversed = {build(expr->rhs)};
  const Expr *lhs = expr;
  const BinaryExpr *chain = expr;
  while (chain && precedence(chain->op) == precedence(expr->op)) {
    lhs = chain->lhs;
    StringRef op = spelling(chain->op);
    chain = llvm::dyn_cast<BinaryExpr>(lhs);
    bool goesOn = chain && precedence(chain->op) == precedence(expr->op);
    reversed.push_back(
        Doc::concat({build(goesOn ? chain->rhs : lhs), text(" " + op)}));
  }
  return Doc::fill({std::make_move_iterator(reversed.rbegin()),
                    std::make_move_iterator(reversed.rend())});
}

Doc DocBuilder::buildDefault(const DefaultExpr *expr) {
  std::vector<Doc> parts;
  const Expr *rest = expr;
  while (const auto *next = llvm::dyn_cast<DefaultExpr>(rest)) {
    parts.push_back(
        Doc::concat({build(next->value), text(next->alsoNull ? " ??" : " ?")}));
    rest = next->fallback;
  }
  parts.push_back(build(rest));
  return Doc::fill(std::move(parts));
}

Doc DocBuilder::buildRange(const RangeExpr *expr) {
  std::vector<Doc> parts;
  if (expr->begin) {
    parts.push_back(build(expr->begin));
    parts.push_back(text(" "));
  }
  parts.push_back(text(".."));
  if (expr->end) {
    parts.push_back(text(" "));
    parts.push_back(build(expr->end));
  }
  return Doc::concat(std::move(parts));
}

Doc DocBuilder::buildOperator(const Expr *expr) {
  return llvm::TypeSwitch<const Expr *, Doc>(expr)
      .Case([&](const BinaryExpr *e) { return buildBinary(e); })
      .Case([&](const DefaultExpr *e) { return buildDefault(e); })
      .Case([&](const RangeExpr *e) { return buildRange(e); })
      .Case([&](const UnaryExpr *e) {
        StringRef op = e->op == UnaryOp::Neg ? "-" : "not ";
        return Doc::concat({text(op), build(e->operand)});
      })
      .Case([&](const TupleExpr *e) {
        std::vector<Doc> parts;
        for (const Expr *element : e->elements) {
          bool isLast = element == e->elements.back();
          parts.push_back(
              Doc::concat({build(element), text(isLast ? "" : ",")}));
        }
        return Doc::fill(std::move(parts));
      });
}

Doc DocBuilder::buildSuffix(const Expr *expr) {
  return llvm::TypeSwitch<const Expr *, Doc>(expr)
      .Case([&](const CallExpr *e) {
        return Doc::concat(
            {build(e->callee),
             Doc::bracketed("(", buildArgs(e->args, ": "), ")")});
      })
      .Case([&](const IndexExpr *e) {
        return Doc::concat(
            {build(e->base),
             Doc::bracketed("[", buildArgs(e->args, ": "), "]")});
      })
      .Case([&](const AttrExpr *e) {
        return Doc::concat({build(e->base), text("." + e->name.name)});
      })
      .Case([&](const AtExpr *e) {
        return Doc::concat({build(e->base), text(" at "), build(e->path)});
      })
      .Case([&](const AsExpr *e) {
        return Doc::concat({build(e->base), text(" as "), build(e->shape)});
      })
      .Case([&](const FromLayerExpr *e) {
        return Doc::concat(
            {build(e->base), text(" from layer "), build(e->layer)});
      })
      .Case([&](const LambdaExpr *e) {
        return Doc::concat({build(e->call), text(" { " + e->var.name + " => "),
                            build(e->body), text(" }")});
      });
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

/// The `if` of an `else if`, or null.
static const IfExpr *chainedIf(const IfExpr *expr) {
  if (!expr->elseBody || expr->elseBody->braces.isValid())
    return nullptr;
  const auto *stmt = llvm::cast<ExprStmt>(expr->elseBody->stmts.front());
  return llvm::cast<IfExpr>(stmt->value);
}

/// One body of a chain on several lines puts all of them on several lines.
bool DocBuilder::hasSpreadBody(const IfExpr *expr) const {
  for (const IfExpr *next = expr; next; next = chainedIf(next)) {
    if (isSpread(next->thenBody->braces))
      return true;
    if (next->elseBody && !chainedIf(next) && isSpread(next->elseBody->braces))
      return true;
  }
  return false;
}

/// On one line, or broken before each `else`; or with all bodies spread.
Doc DocBuilder::buildIf(const IfExpr *expr) {
  DocBuilder builder(hasSpreadBody(expr) ? Bodies::Spread : bodies);
  std::vector<Doc> parts;
  std::string intro = "if ";
  for (const IfExpr *next = expr; next; next = chainedIf(next)) {
    parts.push_back(Doc::concat({text(intro), build(next->condition), text(" "),
                                 builder.buildBody(*next->thenBody)}));
    intro = "else if ";
    if (next->elseBody && !chainedIf(next))
      parts.push_back(
          Doc::concat({text("else "), builder.buildBody(*next->elseBody)}));
  }
  // A condition alone is no reason to break a line that has its bodies on it.
  for (Doc &part : parts)
    if (!part.hasBlock)
      part = Doc::text(flatten(part));
  return Doc::fill(std::move(parts));
}

Doc DocBuilder::build(const MatchCase &one) {
  return Doc::assign(Doc::concat({build(one.pattern), text(" =>")}),
                     build(one.value));
}

/// Whether an expression begins with what could continue the one before it.
static bool startsLikeSuffix(const Expr *expr) {
  while (true) {
    const Expr *first =
        llvm::TypeSwitch<const Expr *, const Expr *>(expr)
            .Case([](const CallExpr *e) { return e->callee; })
            .Case([](const LambdaExpr *e) { return e->call; })
            .Case<IndexExpr, AttrExpr, AtExpr, AsExpr, FromLayerExpr>(
                [](const auto *e) { return e->base; })
            .Case([](const BinaryExpr *e) { return e->lhs; })
            .Case([](const DefaultExpr *e) { return e->value; })
            .Default(nullptr);
    if (!first)
      break;
    expr = first;
  }
  const auto *unary = llvm::dyn_cast<UnaryExpr>(expr);
  return llvm::isa<ParenExpr, ListExpr>(expr) ||
         (unary && unary->op == UnaryOp::Neg);
}

Doc DocBuilder::buildMatch(const MatchExpr *expr) {
  std::vector<Item> items;
  for (const MatchCase &one : expr->cases) {
    items.push_back(makeItem(&one, SourceRange(one.pattern->getRange().Start,
                                               one.value->getRange().End)));
    items.back().startsLine = startsLikeSuffix(one.pattern);
  }
  return Doc::concat({text("match "), build(expr->subject), text(" "),
                      buildBraces(std::move(items), expr->braces)});
}

Doc DocBuilder::buildFor(const ForExpr *expr) {
  std::string names = "for " + expr->names.front().name.str();
  for (const Identifier &name : expr->names.drop_front())
    names += (", " + name.name).str();
  std::vector<Doc> parts = {text(names + " in "), build(expr->range)};
  if (expr->at) {
    parts.push_back(text(" at "));
    parts.push_back(build(expr->at));
  }
  parts.push_back(text(" "));
  parts.push_back(buildBody(*expr->body));
  return Doc::concat(std::move(parts));
}

Doc DocBuilder::buildControl(const Expr *expr) {
  return llvm::TypeSwitch<const Expr *, Doc>(expr)
      .Case([&](const IfExpr *e) { return buildIf(e); })
      .Case([&](const MatchExpr *e) { return buildMatch(e); })
      .Case([&](const ForExpr *e) { return buildFor(e); })
      .Case([&](const ScanExpr *e) {
        return Doc::concat(
            {text("scan " + e->axis.name + " carry " + e->carry.name + " = "),
             build(e->init), text(" "), buildBody(*e->body)});
      });
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Doc DocBuilder::build(const Expr *expr) {
  using Kind = Expr::Kind;
  switch (expr->getKind()) {
  case Kind::Number:
    return text(llvm::cast<NumberExpr>(expr)->spelling);
  case Kind::String:
    return text("\"" + llvm::cast<StringExpr>(expr)->value + "\"");
  case Kind::Name:
    return text(llvm::cast<NameExpr>(expr)->name);
  case Kind::Key:
    return text(llvm::cast<KeyExpr>(expr)->name);
  case Kind::List:
    return Doc::bracketed(
        "[", buildArgs(llvm::cast<ListExpr>(expr)->args, " = "), "]");
  case Kind::Paren:
    return Doc::concat(
        {text("("), build(llvm::cast<ParenExpr>(expr)->inner), text(")")});
  case Kind::Tuple:
  case Kind::Binary:
  case Kind::Unary:
  case Kind::Default:
  case Kind::Range:
    return buildOperator(expr);
  case Kind::Call:
  case Kind::Index:
  case Kind::Attr:
  case Kind::At:
  case Kind::As:
  case Kind::FromLayer:
  case Kind::Lambda:
    return buildSuffix(expr);
  case Kind::If:
  case Kind::Match:
  case Kind::For:
  case Kind::Scan:
    return buildControl(expr);
  }
  llvm_unreachable("every kind of expression has a document");
}
