//===- ParseDecl.cpp - Families, configurations and blocks ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/EditDistance.h"
#include "lib/Spec/ParserImpl.h"

using namespace clade::spec;

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

struct clade::spec::FileItems {
  SmallVector<const FamilyDecl *> families;
  SmallVector<const BlockDecl *> blocks;
  llvm::StringMap<mlir::Location> familyNames;
  llvm::StringMap<mlir::Location> blockNames;
};

/// file = { family | block | config | weights }
FailureOr<std::unique_ptr<File>> Parser::run() {
  TokenList list =
      lex(text, [&](unsigned line, unsigned column, std::string message) {
        error(mlir::FileLineColLoc::get(fileName, line, column), message);
        return numErrors < maxErrors;
      });
  tokens = std::move(list.tokens);
  // Without some of its tokens a text would get errors of its own.
  if (numErrors)
    return failure();

  FileItems items;
  while (!peek().isEnd()) {
    size_t begin = position;
    if (failed(parseTopLevel(items)))
      recover(begin, /*depth=*/0, /*column=*/0);
  }
  if (numErrors)
    return failure();
  for (Comment &comment : list.comments)
    comment.text = file->save(comment.text);
  file->comments = file->copy(ArrayRef(list.comments));
  file->families = file->copy(ArrayRef(items.families));
  file->blocks = file->copy(ArrayRef(items.blocks));
  return std::move(file);
}

LogicalResult Parser::parseTopLevel(FileItems &items) {
  const Token &first = peek();
  if (at("family")) {
    const FamilyDecl *family = parseFamily();
    if (!family)
      return failure();
    declare(items.familyNames, family->name, "family");
    items.families.push_back(family);
    return success();
  }
  if (at("block") || at("entry")) {
    const BlockDecl *block = parseBlock();
    if (!block)
      return failure();
    declare(items.blockNames, block->name, "block");
    items.blocks.push_back(block);
    return success();
  }
  if (at("config")) {
    declareOnce(file->config, first, "config");
    file->config = parseConfig();
    return success(file->config);
  }
  if (at("weights")) {
    declareOnce(file->weights, first, "weights");
    file->weights = parseWeights();
    return success(file->weights);
  }
  return errorExpected(
      "'family', 'block', 'config' or 'weights'",
      didYouMean(first.text, {"family", "block", "config", "weights"}));
}

//===----------------------------------------------------------------------===//
// Families
//===----------------------------------------------------------------------===//

struct clade::spec::FamilyItems {
  const ServesDecl *serves = nullptr;
  const ReferenceDecl *reference = nullptr;
  const ConfigDecl *config = nullptr;
  const WeightsDecl *weights = nullptr;
  SmallVector<const UseDecl *> uses;
  SmallVector<const BlockDecl *> blocks;
  SmallVector<const PartDecl *> parts;
  llvm::StringMap<mlir::Location> blockNames;
  llvm::StringMap<mlir::Location> partNames;
};

/// family = "family" NAME [ "from" NAME ] "{" { item } "}"
const FamilyDecl *Parser::parseFamily() {
  const Token &first = take();
  std::optional<Identifier> name = parseName("the name of a family");
  if (!name)
    return nullptr;
  std::optional<Identifier> base;
  if (accept("from")) {
    base = parseName("the name of the base family");
    if (!base)
      return nullptr;
  }
  const Token &brace = peek();
  FamilyItems items;
  if (failed(open("{", base ? "after the base family"
                            : "or 'from' after the name of a family")) ||
      failed(parseFamilyBody(items, first.column)))
    return nullptr;
  auto *family = file->create<FamilyDecl>(spanFrom(first), *name);
  family->base = base;
  family->serves = items.serves;
  family->reference = items.reference;
  family->uses = file->copy(ArrayRef(items.uses));
  family->config = items.config;
  family->blocks = file->copy(ArrayRef(items.blocks));
  family->weights = items.weights;
  family->parts = file->copy(ArrayRef(items.parts));
  family->braces = SourceRange(brace.begin(), previous().end());
  return family;
}

LogicalResult Parser::parseFamilyBody(FamilyItems &items, unsigned column) {
  size_t depth = brackets.size();
  while (!acceptClose()) {
    size_t begin = position;
    if (succeeded(parseFamilyItem(items)))
      continue;
    recover(begin, depth, column);
    // Whatever the unclosed item was, the next family is not in this one.
    if (peek().isEnd() || at("family") ||
        (startsDeclaration() && peek().column <= column))
      return failure();
  }
  return success();
}

/// item = "serves" STR {"," STR} ["if" expr] | "reference" NAME | "use" names
/// "from" NAME
///      | config | block | weights | part
LogicalResult Parser::parseFamilyItem(FamilyItems &items) {
  const Token &first = peek();
  if (first.isEnd() || (at("family") && startsDeclaration()))
    return errorUnclosed("an item of the family or ");
  if (first.isWord() && peek(1).is("=")) {
    const PartDecl *part = parsePart();
    if (!part)
      return failure();
    declare(items.partNames, part->name, "part");
    items.parts.push_back(part);
    return success();
  }
  if (at("block") || at("entry")) {
    const BlockDecl *block = parseBlock();
    if (!block)
      return failure();
    declare(items.blockNames, block->name, "block");
    items.blocks.push_back(block);
    return success();
  }
  if (at("use")) {
    const UseDecl *use = parseUse();
    if (!use)
      return failure();
    items.uses.push_back(use);
    return success();
  }
  auto parseOnce = [&](auto *&item, auto parse) {
    declareOnce(item, first, first.text);
    item = (this->*parse)();
    return success(item);
  };
  if (at("serves"))
    return parseOnce(items.serves, &Parser::parseServes);
  if (at("reference"))
    return parseOnce(items.reference, &Parser::parseReference);
  if (at("config"))
    return parseOnce(items.config, &Parser::parseConfig);
  if (at("weights"))
    return parseOnce(items.weights, &Parser::parseWeights);
  return errorUnclosed(
      "'serves', 'reference', 'use', 'config', 'block', 'entry', 'weights', a "
      "part or ",
      didYouMean(first.text, {"serves", "reference", "use", "config", "block",
                              "entry", "weights"}));
}

const ServesDecl *Parser::parseServes() {
  const Token &first = take();
  SmallVector<Identifier> names;
  do {
    if (!peek().isString())
      return errorExpected("the name of an architecture in '\"'"), nullptr;
    const Token &token = take();
    names.push_back(
        {file->save(token.text.drop_front().drop_back()), locationOf(token)});
  } while (accept(","));
  const Expr *condition = nullptr;
  if (at("if") && !peek().newlineBefore) {
    take();
    condition = parseExpr();
    if (!condition)
      return nullptr;
  }
  return file->create<ServesDecl>(spanFrom(first), file->copy(ArrayRef(names)),
                                  condition);
}

const ReferenceDecl *Parser::parseReference() {
  const Token &first = take();
  std::optional<Identifier> name =
      parseName("the name of a reference implementation");
  return name ? file->create<ReferenceDecl>(spanFrom(first), *name) : nullptr;
}

const UseDecl *Parser::parseUse() {
  const Token &first = take();
  SmallVector<Identifier> names;
  if (failed(parseNames("the name of a block to use", names)) ||
      failed(expect("from", "after the blocks to use")))
    return nullptr;
  std::optional<Identifier> family = parseName("the name of a family");
  if (!family)
    return nullptr;
  return file->create<UseDecl>(spanFrom(first), file->copy(ArrayRef(names)),
                               *family);
}

/// part = NAME "=" NAME "with" expr [ "at" PATH ]
const PartDecl *Parser::parsePart() {
  const Token &first = peek();
  std::optional<Identifier> name = parseName("the name of a part");
  if (!name)
    return nullptr;
  take(); // =
  std::optional<Identifier> family = parseName("the name of a family");
  if (!family || failed(expect("with", "after the family of a part")))
    return nullptr;
  bool outer = std::exchange(noAt, true);
  const Expr *config = parseExpr();
  noAt = outer;
  const Path *path = nullptr;
  if (!config || (accept("at") && !(path = parsePath())))
    return nullptr;
  return file->create<PartDecl>(spanFrom(first), *name, *family, config, path);
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// block = ("block" | "entry") NAME "(" [ param {"," param} ] ")" [ "at" PATH ]
///         ( "=" exprs | body )
const BlockDecl *Parser::parseBlock() {
  const Token &first = take();
  std::optional<Identifier> name = parseName("the name of a block");
  SmallVector<Param> params;
  if (!name || failed(parseParams(params)))
    return nullptr;
  const Path *path = nullptr;
  if (accept("at") && !(path = parsePath()))
    return nullptr;
  const Body *body = nullptr;
  bool isShort = accept("=");
  if (isShort) {
    const Expr *value = parseExprs();
    if (!value)
      return nullptr;
    const Stmt *stmt = file->create<ReturnStmt>(
        Span{value->getLoc(), value->getRange()}, value);
    body = file->create<Body>(Body{file->copy(ArrayRef(stmt)), SourceRange()});
  } else if (!(body = parseBody("or '=' after the parameters of a block"))) {
    return nullptr;
  }
  return file->create<BlockDecl>(spanFrom(first), first.is("entry"), *name,
                                 file->copy(ArrayRef(params)), path, body,
                                 isShort);
}

/// param = NAME [ "=" expr ]
LogicalResult Parser::parseParams(SmallVector<Param> &params) {
  if (failed(open("(", "after the name of a block")))
    return failure();
  llvm::StringMap<mlir::Location> names;
  while (!acceptClose()) {
    std::optional<Identifier> name = parseName("a parameter or ')'");
    if (!name)
      return failure();
    declare(names, *name, "parameter");
    const Expr *defaultValue = nullptr;
    if (accept("=") && !(defaultValue = parseExpr()))
      return failure();
    params.push_back({*name, defaultValue});
    if (!accept(",") && !at(")"))
      return errorUnclosed(defaultValue ? "an operator, ',' or "
                                        : "'=', ',' or ");
  }
  return success();
}
