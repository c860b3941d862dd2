//===- ParseConfig.cpp - Configurations -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/EditDistance.h"
#include "lib/Spec/ParserImpl.h"

using namespace clade::spec;

struct clade::spec::ConfigItems {
  SmallVector<const FieldDecl *> fields;
  SmallVector<const RequireDecl *> requirements;
  SmallVector<const IgnoreDecl *> ignores;
  llvm::StringMap<mlir::Location> fieldNames;
};

/// config = "config" "{" { field | "require" expr | "ignore" keys } "}"
const ConfigDecl *Parser::parseConfig() {
  const Token &first = take();
  const Token &brace = peek();
  if (failed(open("{", "after 'config'")))
    return nullptr;
  ConfigItems items;
  size_t depth = brackets.size();
  while (!acceptClose()) {
    size_t begin = position;
    if (failed(parseConfigItem(items)) &&
        !recoverInConfig(begin, depth, first.column))
      return nullptr;
  }
  return file->create<ConfigDecl>(spanFrom(first),
                                  file->copy(ArrayRef(items.fields)),
                                  file->copy(ArrayRef(items.requirements)),
                                  file->copy(ArrayRef(items.ignores)),
                                  SourceRange(brace.begin(), previous().end()));
}

/// After an error: skips to the next line that begins with a field, `require`,
/// `ignore` or the end of the configuration. False if there is none before the
/// next declaration.
bool Parser::recoverInConfig(size_t begin, size_t depth, unsigned column) {
  if (position == begin)
    take();
  while (!peek().isEnd() && !startsDeclaration()) {
    bool startsItem = peek().isWord() &&
                      (atAny({"require", "ignore"}) || peek(1).is("=") ||
                       peek(1).is("[") || peek(1).is("?") || peek(1).is("??"));
    bool isEnd = at("}") && peek().column == column;
    if (peek().newlineBefore && (startsItem || isEnd)) {
      brackets.truncate(depth);
      noAt = noLambda = false;
      return true;
    }
    if (peek().newlineBefore && at("}") && peek().column < column)
      return false;
    take();
  }
  return false;
}

LogicalResult Parser::parseConfigItem(ConfigItems &items) {
  const Token &first = peek();
  if (first.isEnd() || startsDeclaration())
    return errorUnclosed("a field, 'require', 'ignore' or ");
  if (accept("require")) {
    const Expr *condition = parseExpr();
    if (!condition)
      return failure();
    items.requirements.push_back(
        file->create<RequireDecl>(spanFrom(first), condition));
    return success();
  }
  if (at("ignore")) {
    const IgnoreDecl *ignore = parseIgnore();
    if (!ignore)
      return failure();
    items.ignores.push_back(ignore);
    return success();
  }
  const FieldDecl *field = parseField();
  if (!field)
    return failure();
  declare(items.fieldNames, field->name, "field");
  items.fields.push_back(field);
  return success();
}

/// field = NAME [ "[" NAME "]" ] "=" expr | NAME ("?" | "??") sum
const FieldDecl *Parser::parseField() {
  const Token &first = peek();
  std::optional<Identifier> name =
      parseName("a field, 'require', 'ignore' or '}'");
  if (!name)
    return nullptr;
  std::optional<Identifier> index;
  if (accept("[")) {
    index = parseName("the name of the layer index");
    if (!index || failed(expect("]", "after the layer index")))
      return nullptr;
  }
  if (!at("?") && !at("??")) {
    // `requir x` is a field without `=`.
    std::string hint;
    if (!index && !peek().newlineBefore && !at(":"))
      hint = didYouMean(name->name, {"require", "ignore"});
    if (!hint.empty() && !at("="))
      return error(first, "expected a field, 'require' or 'ignore', got '" +
                              name->name + "'" + hint),
             nullptr;
    if (failed(expectEquals("after the name of a field")))
      return nullptr;
    const Expr *value = parseExpr();
    return value ? file->create<FieldDecl>(spanFrom(first), *name, index, value,
                                           /*isKeyDefault=*/false)
                 : nullptr;
  }
  const auto *key =
      file->create<KeyExpr>(spanFrom(first, name->loc), name->name);
  const Token &op = take();
  const Expr *fallback = parseSum();
  if (!fallback)
    return nullptr;
  const auto *value = file->create<DefaultExpr>(spanFrom(first, locationOf(op)),
                                                key, op.is("??"), fallback);
  return file->create<FieldDecl>(spanFrom(first), *name, index, value,
                                 /*isKeyDefault=*/true);
}

/// "ignore" key {"," key}; key = NAME { "." NAME }
const IgnoreDecl *Parser::parseIgnore() {
  const Token &first = take();
  SmallVector<IgnoredKey> keys;
  do {
    const Token &begin = peek();
    std::string key;
    do {
      // Any word may be a key of a configuration.
      if (!peek().isWord())
        return errorExpected("a configuration key"), nullptr;
      key += take().text;
      if (at(".") && !peek().newlineBefore)
        key += '.';
    } while (!peek().newlineBefore && accept("."));
    keys.push_back({file->save(key), locationOf(begin)});
  } while (accept(","));
  return file->create<IgnoreDecl>(spanFrom(first), file->copy(ArrayRef(keys)));
}
