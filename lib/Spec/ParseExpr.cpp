//===- ParseExpr.cpp - Expressions ----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/ParserImpl.h"

#include <cmath>

using namespace clade::spec;

//===----------------------------------------------------------------------===//
// Operators, from the loosest to the tightest
//===----------------------------------------------------------------------===//

/// exprs = expr { "," expr }
const Expr *Parser::parseExprs() {
  const Expr *first = parseExpr();
  if (!first || !continuesWith(","))
    return first;
  SmallVector<const Expr *> elements = {first};
  while (continuesWith(",")) {
    take();
    const Expr *element = parseExpr();
    if (!element)
      return nullptr;
    elements.push_back(element);
  }
  return file->create<TupleExpr>(spanFrom(first),
                                 file->copy(ArrayRef(elements)));
}

const Expr *Parser::makeBinary(BinaryOp op, const Expr *lhs, const Expr *rhs,
                               mlir::Location loc) {
  return file->create<BinaryExpr>(spanFrom(lhs, loc), op, lhs, rhs);
}

const Expr *
Parser::parseChain(SubParser operand,
                   ArrayRef<std::pair<StringRef, BinaryOp>> operators) {
  Chain chain(*this);
  const Expr *lhs = (this->*operand)();
  while (lhs && joins()) {
    const auto *found = llvm::find_if(
        operators, [&](const auto &candidate) { return at(candidate.first); });
    if (found == operators.end())
      break;
    if (failed(growChain()))
      return nullptr;
    mlir::Location loc = locationOf(take());
    Nested nested(*this);
    const Expr *rhs = (this->*operand)();
    lhs = rhs ? makeBinary(found->second, lhs, rhs, loc) : nullptr;
  }
  return lhs;
}

/// expr = conj { "or" conj }
const Expr *Parser::parseExpr() {
  return parseChain(&Parser::parseAnd, {{"or", BinaryOp::Or}});
}

/// conj = neg { "and" neg }
const Expr *Parser::parseAnd() {
  return parseChain(&Parser::parseNot, {{"and", BinaryOp::And}});
}

/// neg = [ "not" ] cmp
const Expr *Parser::parseNot() {
  const Token &token = peek();
  if (!accept("not"))
    return parseComparison();
  Nested nested(*this);
  const Expr *operand = parseComparison();
  if (!operand)
    return nullptr;
  return file->create<UnaryExpr>(spanFrom(token), UnaryOp::Not, operand);
}

/// cmp = dflt [ operator dflt ]
const Expr *Parser::parseComparison() {
  static constexpr std::pair<StringRef, BinaryOp> operators[] = {
      {"==", BinaryOp::Equal},     {"!=", BinaryOp::NotEqual},
      {"<", BinaryOp::Less},       {">", BinaryOp::Greater},
      {"<=", BinaryOp::LessEqual}, {">=", BinaryOp::GreaterEqual},
      {"in", BinaryOp::In},        {"divides", BinaryOp::Divides},
  };
  auto findOperator = [&] {
    return joins() ? llvm::find_if(operators,
                                   [&](auto &entry) { return at(entry.first); })
                   : std::end(operators);
  };
  Chain chain(*this);
  const Expr *lhs = parseDefault();
  const auto *found = lhs ? findOperator() : std::end(operators);
  if (found == std::end(operators))
    return lhs;
  if (failed(growChain()))
    return nullptr;
  mlir::Location loc = locationOf(take());
  Nested nested(*this);
  const Expr *rhs = parseDefault();
  if (!rhs)
    return nullptr;
  if (findOperator() != std::end(operators)) {
    errorExpected("one comparison", "; join two with 'and'");
    return nullptr;
  }
  return makeBinary(found->second, lhs, rhs, loc);
}

/// dflt = sum [ ("?" | "??") dflt ]
const Expr *Parser::parseDefault() {
  Chain chain(*this);
  const Expr *value = parseSum();
  if (!value || !(continuesWith("?") || continuesWith("??")))
    return value;
  if (failed(growChain()))
    return nullptr;
  const Token &op = take();
  Nested nested(*this);
  const Expr *fallback = parseDefault();
  if (!fallback)
    return nullptr;
  return file->create<DefaultExpr>(spanFrom(value, locationOf(op)), value,
                                   op.is("??"), fallback);
}

/// sum = prod { ("+" | "-") prod }
const Expr *Parser::parseSum() {
  return parseChain(&Parser::parseProduct,
                    {{"+", BinaryOp::Add}, {"-", BinaryOp::Sub}});
}

/// prod = unary { ("*" | "/" | "%") unary }
const Expr *Parser::parseProduct() {
  return parseChain(
      &Parser::parseUnary,
      {{"*", BinaryOp::Mul}, {"/", BinaryOp::Div}, {"%", BinaryOp::Mod}});
}

/// unary = "-" unary | postfix [ "^" unary ]
const Expr *Parser::parseUnary() {
  const Token &token = peek();
  if (accept("-")) {
    Nested nested(*this);
    const Expr *operand = failed(checkNesting()) ? nullptr : parseUnary();
    if (!operand)
      return nullptr;
    return file->create<UnaryExpr>(spanFrom(token), UnaryOp::Neg, operand);
  }
  Chain chain(*this);
  const Expr *base = parsePostfix();
  if (!base || !continuesWith("^"))
    return base;
  if (failed(growChain()))
    return nullptr;
  mlir::Location loc = locationOf(take());
  Nested nested(*this);
  const Expr *exponent = parseUnary();
  return exponent ? makeBinary(BinaryOp::Pow, base, exponent, loc) : nullptr;
}

//===----------------------------------------------------------------------===//
// Suffixes
//===----------------------------------------------------------------------===//

/// postfix = atom { suffix }
const Expr *Parser::parsePostfix() {
  Chain chain(*this);
  const Expr *base = parseAtom();
  while (base && startsSuffix()) {
    if (failed(growChain()))
      return nullptr;
    base = parseSuffix(base);
  }
  return base;
}

bool Parser::startsSuffix() const {
  if (!joins())
    return false;
  if (at("at"))
    return !noAt;
  if (at("from"))
    return peek(1).is("layer");
  if (at("{"))
    return !noLambda && peek(1).isWord() && peek(2).is("=>");
  return atAny({"(", "[", ".", "as"});
}

/// suffix = "(" [args] ")" | "[" args "]" | "." NAME | "at" PATH | "as" list
///        | "from" "layer" sum | lambda
const Expr *Parser::parseSuffix(const Expr *base) {
  Nested nested(*this);
  SmallVector<Arg> args;
  if (at("(")) {
    if (failed(parseArgs("(", args)))
      return nullptr;
    return file->create<CallExpr>(spanFrom(base), base,
                                  file->copy(ArrayRef(args)));
  }
  if (at("[")) {
    if (failed(parseArgs("[", args)))
      return nullptr;
    return file->create<IndexExpr>(spanFrom(base), base,
                                   file->copy(ArrayRef(args)));
  }
  if (at("{"))
    return parseLambda(base);
  if (accept(".")) {
    // Any word may be the key of a configuration.
    if (!peek().isWord())
      return errorExpected("a name after '.'"), nullptr;
    const Token &token = take();
    Identifier name = {file->save(token.text), locationOf(token)};
    return file->create<AttrExpr>(spanFrom(base), base, name);
  }
  if (accept("at")) {
    const Path *path = parsePath();
    return path ? file->create<AtExpr>(spanFrom(base), base, path) : nullptr;
  }
  if (accept("as")) {
    const ListExpr *shape = parseList("after 'as'");
    return shape ? file->create<AsExpr>(spanFrom(base), base, shape) : nullptr;
  }
  position += 2; // from layer
  const Expr *layer = parseSum();
  return layer ? file->create<FromLayerExpr>(spanFrom(base), base, layer)
               : nullptr;
}

/// lambda = "{" NAME "=>" exprs "}"
const Expr *Parser::parseLambda(const Expr *call) {
  const Token &brace = peek();
  if (failed(open("{", "of the lambda")))
    return nullptr;
  std::optional<Identifier> var = parseName("a variable");
  if (!var || failed(expect("=>", "after the variable")))
    return nullptr;
  const Expr *body = parseExprs();
  if (!body)
    return nullptr;
  if (!acceptClose())
    return errorUnclosed("an operator, ',' or "), nullptr;
  return file->create<LambdaExpr>(spanFrom(call), call, *var, body,
                                  SourceRange(brace.begin(), previous().end()));
}

/// "(" [args] ")" or "[" [args] "]"; args = arg { "," arg }, and one more comma
/// may follow.
LogicalResult Parser::parseArgs(StringRef bracket, SmallVector<Arg> &args) {
  if (failed(open(bracket, "")))
    return failure();
  while (!acceptClose()) {
    Arg arg{std::nullopt, nullptr, nullptr};
    if (failed(parseArg(arg)))
      return failure();
    args.push_back(arg);
    if (!accept(",") && !at(closer()))
      return errorUnclosed("an operator, ',' or ");
  }
  return success();
}

/// arg = [ NAME (":" | "=") ] range [ "where" expr ]
/// range = expr [ ".." [expr] ] | ".." [expr]
LogicalResult Parser::parseArg(Arg &arg) {
  if (peek().isEnd())
    return errorUnclosed("an argument or ");
  if (peek().isWord() && (peek(1).is(":") || peek(1).is("="))) {
    arg.name = parseName("the name of an argument");
    if (!arg.name)
      return failure();
    take();
  }
  const Token &first = peek();
  const Expr *begin = nullptr;
  if (!at("..") && !(begin = parseExpr()))
    return failure();
  arg.value = begin;
  if (accept("..")) {
    const Expr *end = nullptr;
    if (!at(",") && !at(closer()) && !(end = parseExpr()))
      return failure();
    arg.value = file->create<RangeExpr>(spanFrom(first), begin, end);
  }
  if (!accept("where"))
    return success();
  arg.where = parseExpr();
  return success(arg.where != nullptr);
}

/// list = "[" [args] "]"
const ListExpr *Parser::parseList(const Twine &where) {
  const Token &first = peek();
  if (!at("["))
    return errorExpected("'[' " + where), nullptr;
  SmallVector<Arg> args;
  if (failed(parseArgs("[", args)))
    return nullptr;
  return file->create<ListExpr>(spanFrom(first), file->copy(ArrayRef(args)));
}

//===----------------------------------------------------------------------===//
// Atoms
//===----------------------------------------------------------------------===//

mlir::InFlightDiagnostic Parser::errorExpression() {
  bool isPower = at("*") && previous().is("*");
  return errorExpected("an expression", isPower ? "; a power is 'a ^ b'" : "");
}

/// atom = NAME | NUM | STR | list | "(" exprs ")" | if | match | for | scan
const Expr *Parser::parseAtom() {
  Nested nested(*this);
  if (failed(checkNesting()))
    return nullptr;
  const Token &token = peek();
  if (token.isNumber())
    return parseNumber();
  if (token.isString()) {
    take();
    return file->create<StringExpr>(
        spanFrom(token), file->save(token.text.drop_front().drop_back()));
  }
  if (at("("))
    return parseParen();
  if (at("["))
    return parseList("");
  if (at("if"))
    return parseIf();
  if (at("match"))
    return parseMatch();
  if (at("for"))
    return parseFor();
  if (at("scan"))
    return parseScan();
  if (!token.isWord() || isReserved(token.text))
    return errorExpression(), nullptr;
  take();
  return file->create<NameExpr>(spanFrom(token), file->save(token.text));
}

const Expr *Parser::parseNumber() {
  const Token &token = take();
  bool isInteger = token.text.find_first_of(".eE") == StringRef::npos;
  int64_t intValue = 0;
  double value = 0;
  if (isInteger && token.text.getAsInteger(10, intValue))
    return error(token, "expected an integer below 2^63, got '" +
                            token.text.take_front(40) + "'"),
           nullptr;
  // Accepts what rounds to 0, and infinity only for a value out of range.
  if (token.text.getAsDouble(value) || std::isinf(value))
    return error(token, "expected a number that fits a double, got '" +
                            token.text.take_front(40) + "'"),
           nullptr;
  return file->create<NumberExpr>(spanFrom(token), isInteger, intValue, value,
                                  file->save(token.text));
}

const Expr *Parser::parseParen() {
  const Token &first = peek();
  if (failed(open("(", "")))
    return nullptr;
  const Expr *inner = parseExprs();
  if (!inner)
    return nullptr;
  if (!acceptClose())
    return errorUnclosed("an operator, ',' or "), nullptr;
  return file->create<ParenExpr>(spanFrom(first), inner);
}

/// "if" expr body [ "else" ( body | if ) ]
const Expr *Parser::parseIf() {
  const Token &first = take();
  const Expr *condition = parseExpr();
  const Body *thenBody =
      condition ? parseBody("after the condition of 'if'") : nullptr;
  if (!thenBody)
    return nullptr;
  const Body *elseBody = nullptr;
  if (accept("else")) {
    if (!at("if")) {
      elseBody = parseBody("after 'else'");
    } else if (const Expr *chained = parseAtom()) {
      const Stmt *stmt = file->create<ExprStmt>(
          Span{chained->getLoc(), chained->getRange()}, chained);
      elseBody =
          file->create<Body>(Body{file->copy(ArrayRef(stmt)), SourceRange()});
    }
    if (!elseBody)
      return nullptr;
  }
  return file->create<IfExpr>(spanFrom(first), condition, thenBody, elseBody);
}

/// "match" expr "{" { expr "=>" expr } "}"
const Expr *Parser::parseMatch() {
  const Token &first = take();
  bool outer = std::exchange(noLambda, true);
  const Expr *subject = parseExpr();
  noLambda = outer;
  const Token &brace = peek();
  if (!subject || failed(open("{", "after the subject of 'match'")))
    return nullptr;
  SmallVector<MatchCase> cases;
  while (!acceptClose()) {
    if (peek().isEnd() || startsDeclaration())
      return errorUnclosed("a case or "), nullptr;
    const Expr *pattern = parseExpr();
    if (!pattern || failed(expect("=>", "after the pattern of a case")))
      return nullptr;
    const Expr *value = parseExpr();
    if (!value)
      return nullptr;
    cases.push_back({pattern, value});
    accept(",");
  }
  return file->create<MatchExpr>(spanFrom(first), subject,
                                 file->copy(ArrayRef(cases)),
                                 SourceRange(brace.begin(), previous().end()));
}

/// "for" NAME [ "," NAME ] "in" range [ "at" PATH ] body
const Expr *Parser::parseFor() {
  const Token &first = take();
  SmallVector<Identifier> names;
  if (failed(parseNames("a loop variable", names)))
    return nullptr;
  if (names.size() > 2)
    return error(names[2].loc, "expected at most two loop variables, got '" +
                                   names[2].name + "'"),
           nullptr;
  if (failed(expect("in", "after the loop variable")))
    return nullptr;
  const Expr *range = parseLoopRange();
  if (!range)
    return nullptr;
  const Path *path = nullptr;
  if (accept("at") && !(path = parsePath()))
    return nullptr;
  const Body *body = parseBody("after the range of 'for'");
  if (!body)
    return nullptr;
  return file->create<ForExpr>(spanFrom(first), file->copy(ArrayRef(names)),
                               range, path, body);
}

/// The range of a loop: expr [ ".." expr ], where `at` belongs to the loop.
const Expr *Parser::parseLoopRange() {
  bool outer = std::exchange(noAt, true);
  const Expr *range = parseExpr();
  if (range && accept("..")) {
    const Expr *end = parseExpr();
    range =
        end ? file->create<RangeExpr>(spanFrom(range), range, end) : nullptr;
  }
  noAt = outer;
  return range;
}

/// "scan" NAME "carry" NAME "=" expr body
const Expr *Parser::parseScan() {
  const Token &first = take();
  std::optional<Identifier> axis = parseName("the axis of a scan");
  if (!axis || failed(expect("carry", "after the axis of a scan")))
    return nullptr;
  std::optional<Identifier> carry = parseName("the name of the carried value");
  if (!carry || failed(expectEquals("after the name of the carried value")))
    return nullptr;
  const Expr *init = parseExpr();
  const Body *body =
      init ? parseBody("after the first carried value") : nullptr;
  if (!body)
    return nullptr;
  return file->create<ScanExpr>(spanFrom(first), *axis, *carry, init, body);
}
