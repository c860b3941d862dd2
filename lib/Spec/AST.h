//===- AST.h - Syntax tree of the .spec language ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tree that the parser makes of one `.spec` file: declarations, here, and
// the expressions, statements and paths of ASTExpr.h. It says what was written
// and nothing about what it means: names are not resolved. Every node lives in
// the arena of its File, is trivially destructible and does not change after
// parsing; strings are copied into the arena, so a File outlives its text.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_AST_H
#define CLADE_SPEC_AST_H

#include "lib/Spec/ASTExpr.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Allocator.h"

namespace clade::spec {

//===----------------------------------------------------------------------===//
// Weight equations
//===----------------------------------------------------------------------===//

/// The right-hand side of a weight equation.
class WeightExpr : public Node {
public:
  enum class Kind { Ref, Call, Number };
  Kind getKind() const { return kind; }

protected:
  WeightExpr(Kind kind, Span span) : Node(span), kind(kind) {}

private:
  Kind kind;
};

/// `path` or `path[args]`: a tensor, or a slice of one.
struct WeightRef : WeightExpr {
  WeightRef(Span span, const Path *path, std::optional<ArrayRef<Arg>> index)
      : WeightExpr(Kind::Ref, span), path(path), index(index) {}
  static bool classof(const WeightExpr *e) { return e->getKind() == Kind::Ref; }

  const Path *path;
  std::optional<ArrayRef<Arg>> index;
};

/// `name(args)`: a function of tensors, such as `transpose`.
struct WeightCall : WeightExpr {
  WeightCall(Span span, Identifier name, ArrayRef<const WeightExpr *> args)
      : WeightExpr(Kind::Call, span), name(name), args(args) {}
  static bool classof(const WeightExpr *e) {
    return e->getKind() == Kind::Call;
  }

  Identifier name;
  ArrayRef<const WeightExpr *> args;
};

/// A number among the arguments of a weight function.
struct WeightNumber : WeightExpr {
  WeightNumber(Span span, double value, StringRef spelling)
      : WeightExpr(Kind::Number, span), value(value), spelling(spelling) {}
  static bool classof(const WeightExpr *e) {
    return e->getKind() == Kind::Number;
  }

  double value;
  StringRef spelling;
};

/// One item of a `weights { … }` body.
class WeightItem : public Node {
public:
  enum class Kind { Equation, Drop, For };
  Kind getKind() const { return kind; }

protected:
  WeightItem(Kind kind, Span span) : Node(span), kind(kind) {}

private:
  Kind kind;
};

/// `path = a, or b if c`: the logical tensor `path` is the first of the
/// alternatives whose published tensors all exist. There is at least one.
struct WeightEquation : WeightItem {
  WeightEquation(Span span, const Path *path,
                 ArrayRef<const WeightExpr *> alternatives,
                 const Expr *condition)
      : WeightItem(Kind::Equation, span), path(path),
        alternatives(alternatives), condition(condition) {}
  static bool classof(const WeightItem *i) {
    return i->getKind() == Kind::Equation;
  }

  const Path *path;
  ArrayRef<const WeightExpr *> alternatives;
  const Expr *condition; ///< Null without `if`.
};

/// `drop a, b if c`: tensors that the computation does not use.
struct WeightDrop : WeightItem {
  WeightDrop(Span span, ArrayRef<const Path *> paths, const Expr *condition)
      : WeightItem(Kind::Drop, span), paths(paths), condition(condition) {}
  static bool classof(const WeightItem *i) {
    return i->getKind() == Kind::Drop;
  }

  ArrayRef<const Path *> paths;
  const Expr *condition; ///< Null without `if`.
};

/// `e in range` of a weights `for`. A set `{a, b}` is a ListExpr.
struct WeightBinding {
  Identifier name;
  const Expr *range;
};

/// `for e in experts, p in {"a", "b"} at path { items }`.
struct WeightFor : WeightItem {
  WeightFor(Span span, ArrayRef<WeightBinding> bindings, const Path *at,
            ArrayRef<const WeightItem *> items, SourceRange braces)
      : WeightItem(Kind::For, span), bindings(bindings), at(at), items(items),
        braces(braces) {}
  static bool classof(const WeightItem *i) { return i->getKind() == Kind::For; }

  ArrayRef<WeightBinding> bindings;
  const Path *at; ///< Null without `at`.
  ArrayRef<const WeightItem *> items;
  SourceRange braces; ///< From `{` to behind `}`.
};

/// `weights { items }`.
struct WeightsDecl : Node {
  WeightsDecl(Span span, ArrayRef<const WeightItem *> items, SourceRange braces)
      : Node(span), items(items), braces(braces) {}

  ArrayRef<const WeightItem *> items;
  SourceRange braces;
};

//===----------------------------------------------------------------------===//
// Config
//===----------------------------------------------------------------------===//

/// `name = value`, `name[layer] = value`, or `name ?? 3`, whose value is then
/// DefaultExpr(KeyExpr(name), 3).
struct FieldDecl : Node {
  FieldDecl(Span span, Identifier name, std::optional<Identifier> index,
            const Expr *value, bool isKeyDefault)
      : Node(span), name(name), index(index), value(value),
        isKeyDefault(isKeyDefault) {}

  Identifier name;
  std::optional<Identifier> index; ///< `layer` of a per-layer field.
  const Expr *value;
  bool isKeyDefault; ///< Written as `name ?? 3` or `name ? 3`.
};

/// `require condition`.
struct RequireDecl : Node {
  RequireDecl(Span span, const Expr *condition)
      : Node(span), condition(condition) {}

  const Expr *condition;
};

/// One key of `ignore`: its dotted name, such as `rope_parameters.factor`.
using IgnoredKey = Identifier;

/// `ignore a, b.c`.
struct IgnoreDecl : Node {
  IgnoreDecl(Span span, ArrayRef<IgnoredKey> keys) : Node(span), keys(keys) {}

  ArrayRef<IgnoredKey> keys;
};

/// `config { … }`. Each list is in the order of the text.
struct ConfigDecl : Node {
  ConfigDecl(Span span, ArrayRef<const FieldDecl *> fields,
             ArrayRef<const RequireDecl *> requirements,
             ArrayRef<const IgnoreDecl *> ignores, SourceRange braces)
      : Node(span), fields(fields), requirements(requirements),
        ignores(ignores), braces(braces) {}

  ArrayRef<const FieldDecl *> fields;
  ArrayRef<const RequireDecl *> requirements;
  ArrayRef<const IgnoreDecl *> ignores;
  SourceRange braces;
};

//===----------------------------------------------------------------------===//
// Blocks and families
//===----------------------------------------------------------------------===//

/// A parameter of a block, with its default or null.
struct Param {
  Identifier name;
  const Expr *defaultValue;
};

/// `block name(params) at path { … }`, or `= exprs`, which is a body of one
/// ReturnStmt.
struct BlockDecl : Node {
  BlockDecl(Span span, bool isEntry, Identifier name, ArrayRef<Param> params,
            const Path *at, const Body *body, bool isShort)
      : Node(span), isEntry(isEntry), isShort(isShort), name(name),
        params(params), at(at), body(body) {}

  bool isEntry; ///< `entry` instead of `block`.
  bool isShort; ///< Written with `=`.
  Identifier name;
  ArrayRef<Param> params;
  const Path *at; ///< Null without `at`.
  const Body *body;
};

/// `use a, b from family`.
struct UseDecl : Node {
  UseDecl(Span span, ArrayRef<Identifier> names, Identifier family)
      : Node(span), names(names), family(family) {}

  ArrayRef<Identifier> names;
  Identifier family;
};

/// `text = qwen3 with config.text_config at model.language_model`.
struct PartDecl : Node {
  PartDecl(Span span, Identifier name, Identifier family, const Expr *config,
           const Path *at)
      : Node(span), name(name), family(family), config(config), at(at) {}

  Identifier name;
  Identifier family;
  const Expr *config;
  const Path *at; ///< Null without `at`.
};

/// `serves "A", "B" if COND`: names of architectures in config.json.
struct ServesDecl : Node {
  ServesDecl(Span span, ArrayRef<Identifier> names, const Expr *condition)
      : Node(span), names(names), condition(condition) {}

  ArrayRef<Identifier> names; ///< Without quotes.
  const Expr *condition;      ///< Of the configuration; null without `if`.
};

/// `reference transformers`: what the family is checked against.
struct ReferenceDecl : Node {
  ReferenceDecl(Span span, Identifier name) : Node(span), name(name) {}

  Identifier name;
};

/// `family name from base { … }`. Absent items are null or empty.
struct FamilyDecl : Node {
  FamilyDecl(Span span, Identifier name) : Node(span), name(name) {}

  /// The block, entry, or part of this name, or null; not those of the base.
  const BlockDecl *findBlock(StringRef name) const;
  const PartDecl *findPart(StringRef name) const;

  Identifier name;
  std::optional<Identifier> base;
  const ServesDecl *serves = nullptr;
  const ReferenceDecl *reference = nullptr;
  ArrayRef<const UseDecl *> uses;
  const ConfigDecl *config = nullptr;
  ArrayRef<const BlockDecl *> blocks; ///< Blocks and entries.
  const WeightsDecl *weights = nullptr;
  ArrayRef<const PartDecl *> parts;
  SourceRange braces;
};

/// One comment, from `//` to the end of its line.
struct Comment {
  SMLoc begin;
  StringRef text; ///< With `//`, without blanks at the end.
};

/// A parsed `.spec` file and the arena of all its nodes.
class File {
public:
  File() = default;
  File(const File &) = delete;
  File &operator=(const File &) = delete;

  const FamilyDecl *findFamily(StringRef name) const;
  const BlockDecl *findBlock(StringRef name) const;

  ArrayRef<const FamilyDecl *> families;
  ArrayRef<const BlockDecl *> blocks;   ///< Outside families, as in `std`.
  const ConfigDecl *config = nullptr;   ///< Outside families.
  const WeightsDecl *weights = nullptr; ///< Outside families.
  ArrayRef<Comment> comments;           ///< In the order of the text.

  /// Allocation, for the parser.
  template <typename T, typename... Args> T *create(Args &&...args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (arena.Allocate<T>()) T(std::forward<Args>(args)...);
  }
  template <typename T> ArrayRef<T> copy(ArrayRef<T> list) {
    return list.copy(arena);
  }
  StringRef save(const llvm::Twine &text) {
    llvm::SmallString<64> buffer;
    return text.toStringRef(buffer).copy(arena);
  }

private:
  llvm::BumpPtrAllocator arena;
};

/// Writes the tree as nested lists, one declaration, statement or field a line.
/// Two texts mean the same tree if and only if they print the same.
void dump(const File &file, llvm::raw_ostream &os);

} // namespace clade::spec

#endif // CLADE_SPEC_AST_H
