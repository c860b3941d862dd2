//===- ParseWeights.cpp - Weight paths and weight equations ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/ParserImpl.h"

using namespace clade::spec;

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

static bool startsPart(const Token &token) {
  return token.isWord() || token.isNumber() || token.is("{");
}

/// PATH = [ "/" ] seg { "." seg } | "/", without blanks.
const Path *Parser::parsePath() {
  const Token &first = peek();
  bool isAbsolute = accept("/");
  SmallVector<PathSegment> segments;
  bool isRoot = isAbsolute && !(startsPart(peek()) && peek().touches(first));
  if (!isRoot && failed(parseSegments(segments)))
    return nullptr;
  return file->create<Path>(spanFrom(first), isAbsolute,
                            file->copy(ArrayRef(segments)));
}

LogicalResult Parser::parseSegments(SmallVector<PathSegment> &segments) {
  if (!startsPart(peek()))
    return errorExpected("a weight path");
  while (true) {
    if (failed(parseSegment(segments)))
      return failure();
    if (!at(".") || peek().newlineBefore)
      return success();
    if (!peek().touches(previous()) || !peek(1).touches(peek()))
      return error(peek(), "expected no blank beside '.' in a weight path");
    take();
    if (!startsPart(peek()))
      return errorExpected("a segment of a weight path");
  }
}

/// A segment: text and placeholders that touch each other. Numbers may carry
/// dots (`layers.0.1` has the token `0.1`), which begin segments of their own.
LogicalResult Parser::parseSegment(SmallVector<PathSegment> &segments) {
  SmallVector<PathPart> parts;
  auto addText = [&](StringRef piece) {
    if (parts.empty() || !parts.back().isText())
      parts.push_back({piece, {}});
    else
      parts.back().text = file->save(parts.back().text + piece);
  };
  do {
    if (at("{")) {
      FailureOr<Placeholder> placeholder = parsePlaceholder();
      if (failed(placeholder))
        return failure();
      parts.push_back({StringRef(), *placeholder});
      continue;
    }
    const Token &token = take();
    if (token.text.contains('+') || token.text.contains('-'))
      return error(token, "expected a weight path, got the number '" +
                              token.text.take_front(40) + "'");
    SmallVector<StringRef> pieces;
    token.text.split(pieces, '.');
    addText(file->save(pieces.front()));
    for (StringRef piece : ArrayRef(pieces).drop_front()) {
      segments.push_back(file->copy(ArrayRef(parts)));
      parts.clear();
      addText(file->save(piece));
    }
  } while (startsPart(peek()) && peek().touches(previous()));
  segments.push_back(file->copy(ArrayRef(parts)));
  return success();
}

/// "{" expr {"," expr} [ "where" expr ] "}" or "{" NAME ".." "}"
FailureOr<Placeholder> Parser::parsePlaceholder() {
  if (failed(open("{", "")))
    return failure();
  Nested nested(*this);
  SmallVector<const Expr *> exprs;
  do {
    const Expr *expr = parseExpr();
    if (!expr)
      return failure();
    exprs.push_back(expr);
  } while (accept(","));
  Placeholder placeholder;
  placeholder.exprs = file->copy(ArrayRef(exprs));
  if (at("..")) {
    if (exprs.size() != 1 || !llvm::isa<NameExpr>(exprs.front()))
      return errorExpected("a single name before '..'");
    take();
    placeholder.isMulti = true;
  } else if (accept("where") && !(placeholder.where = parseExpr())) {
    return failure();
  }
  if (!acceptClose())
    return errorUnclosed("',', '..', 'where' or ");
  return placeholder;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

const WeightsDecl *Parser::parseWeights() {
  const Token &first = take();
  const Token &brace = peek();
  SmallVector<const WeightItem *> items;
  if (failed(open("{", "after 'weights'")) || failed(parseWeightBody(items)))
    return nullptr;
  return file->create<WeightsDecl>(
      spanFrom(first), file->copy(ArrayRef(items)),
      SourceRange(brace.begin(), previous().end()));
}

/// The items behind an open brace, and the closing one.
LogicalResult Parser::parseWeightBody(SmallVector<const WeightItem *> &items) {
  Nested nested(*this);
  if (failed(checkNesting()))
    return failure();
  while (!acceptClose()) {
    if (startsDeclaration() || (!startsPart(peek()) && !at("/")))
      return errorUnclosed("a weight equation, 'drop', 'for' or ");
    const WeightItem *item = parseWeightItem();
    if (!item)
      return failure();
    items.push_back(item);
  }
  return success();
}

/// Whether the word here is the first of a path, not a keyword.
bool Parser::startsPathAfterWord() const {
  return peek(1).is("=") || peek(1).touches(peek());
}

const WeightItem *Parser::parseWeightItem() {
  if (at("drop") && !startsPathAfterWord())
    return parseDrop();
  if (at("for") && !startsPathAfterWord())
    return parseWeightFor();
  return parseEquation();
}

FailureOr<const Expr *> Parser::parseOptionalCondition() {
  if (!accept("if"))
    return nullptr;
  const Expr *condition = parseExpr();
  if (!condition)
    return failure();
  return condition;
}

/// "drop" PATH {"," PATH} [ "if" expr ]
const WeightItem *Parser::parseDrop() {
  const Token &first = take();
  SmallVector<const Path *> paths;
  do {
    const Path *path = parsePath();
    if (!path)
      return nullptr;
    paths.push_back(path);
  } while (accept(","));
  FailureOr<const Expr *> condition = parseOptionalCondition();
  if (failed(condition))
    return nullptr;
  return file->create<WeightDrop>(spanFrom(first), file->copy(ArrayRef(paths)),
                                  *condition);
}

/// "for" binding {"," binding} [ "at" PATH ] wbody
const WeightItem *Parser::parseWeightFor() {
  const Token &first = take();
  SmallVector<WeightBinding> bindings;
  do {
    FailureOr<WeightBinding> binding = parseBinding();
    if (failed(binding))
      return nullptr;
    bindings.push_back(*binding);
  } while (accept(","));
  const Path *path = nullptr;
  if (accept("at") && !(path = parsePath()))
    return nullptr;
  const Token &brace = peek();
  SmallVector<const WeightItem *> items;
  if (failed(open("{", "after the ranges of 'for'")) ||
      failed(parseWeightBody(items)))
    return nullptr;
  return file->create<WeightFor>(spanFrom(first),
                                 file->copy(ArrayRef(bindings)), path,
                                 file->copy(ArrayRef(items)),
                                 SourceRange(brace.begin(), previous().end()));
}

/// binding = NAME "in" ( range | "{" expr {"," expr} "}" )
FailureOr<WeightBinding> Parser::parseBinding() {
  std::optional<Identifier> name = parseName("a loop variable");
  if (!name || failed(expect("in", "after the loop variable")))
    return failure();
  if (!at("{")) {
    const Expr *range = parseLoopRange();
    if (!range)
      return failure();
    return WeightBinding{*name, range};
  }
  const Token &first = peek();
  SmallVector<Arg> elements;
  if (failed(open("{", "")))
    return failure();
  do {
    const Expr *element = parseExpr();
    if (!element)
      return failure();
    elements.push_back({std::nullopt, element, nullptr});
  } while (accept(",") && !at("}"));
  if (!acceptClose())
    return errorUnclosed("an operator, ',' or ");
  const Expr *set =
      file->create<ListExpr>(spanFrom(first), file->copy(ArrayRef(elements)));
  return WeightBinding{*name, set};
}

/// weq = PATH "=" wexpr { "," "or" wexpr } [ "if" expr ]
const WeightItem *Parser::parseEquation() {
  const Token &first = peek();
  const Path *path = parsePath();
  if (!path || failed(expectEquals("after the path of a weight equation")))
    return nullptr;
  SmallVector<const WeightExpr *> alternatives;
  do {
    const WeightExpr *alternative = parseWeightExpr();
    if (!alternative)
      return nullptr;
    alternatives.push_back(alternative);
    if (at("or"))
      return errorExpected("',' before 'or'"), nullptr;
    if (!accept(","))
      break;
    if (failed(expect("or", "after ',' in a weight equation")))
      return nullptr;
  } while (true);
  FailureOr<const Expr *> condition = parseOptionalCondition();
  if (failed(condition))
    return nullptr;
  return file->create<WeightEquation>(
      spanFrom(first), path, file->copy(ArrayRef(alternatives)), *condition);
}

/// wexpr = PATH [ "[" args "]" ] | NAME "(" wexpr {"," wexpr} ")" | NUM
const WeightExpr *Parser::parseWeightExpr() {
  const Token &first = peek();
  if (first.isWord() && peek(1).is("(") && !peek(1).newlineBefore)
    return parseWeightCall();
  if (first.isNumber() &&
      !(peek(1).touches(first) && (startsPart(peek(1)) || peek(1).is(".")))) {
    const auto *number = llvm::dyn_cast_or_null<NumberExpr>(parseNumber());
    if (!number)
      return nullptr;
    return file->create<WeightNumber>(spanFrom(first), number->value,
                                      number->spelling);
  }
  if (!startsPart(first) && !at("/"))
    return errorExpected("a weight path, a number or a function of weights"),
           nullptr;
  const Path *path = parsePath();
  if (!path)
    return nullptr;
  std::optional<ArrayRef<Arg>> index;
  if (at("[") && joins()) {
    SmallVector<Arg> args;
    if (failed(parseArgs("[", args)))
      return nullptr;
    index = file->copy(ArrayRef(args));
  }
  return file->create<WeightRef>(spanFrom(first), path, index);
}

const WeightExpr *Parser::parseWeightCall() {
  Nested nested(*this);
  const Token &first = peek();
  std::optional<Identifier> name = parseName("a function of weights");
  if (!name || failed(checkNesting()) || failed(open("(", "")))
    return nullptr;
  SmallVector<const WeightExpr *> args;
  while (!acceptClose()) {
    const WeightExpr *arg = parseWeightExpr();
    if (!arg)
      return nullptr;
    args.push_back(arg);
    if (!accept(",") && !at(")"))
      return errorUnclosed("',' or "), nullptr;
  }
  return file->create<WeightCall>(spanFrom(first), *name,
                                  file->copy(ArrayRef(args)));
}
