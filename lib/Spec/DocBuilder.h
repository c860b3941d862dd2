//===- DocBuilder.h - Documents of the syntax tree --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds the documents of everything in a file: DocExpr.cpp those of
// expressions, statements and paths, DocDecl.cpp those of declarations.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_DOCBUILDER_H
#define CLADE_SPEC_DOCBUILDER_H

#include "lib/Spec/Layout.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/Twine.h"

namespace clade::spec {

inline Doc text(const llvm::Twine &string) { return Doc::text(string.str()); }

class DocBuilder {
public:
  /// How bodies are set.
  enum class Bodies {
    OnOneLine, ///< All of them; needs no source text.
    AsWritten, ///< As in the source.
    Spread,    ///< The outermost ones on several lines, inner ones as written.
  };
  explicit DocBuilder(Bodies bodies) : bodies(bodies) {}

  //===--- Declarations (DocDecl.cpp) -------------------------------------===//

  static std::vector<Item> items(const File &file);
  Doc build(const FamilyDecl &family);
  Doc build(const ConfigDecl &config);
  Doc build(const FieldDecl &field);
  Doc build(const RequireDecl &require);
  Doc build(const IgnoreDecl &ignore);
  Doc build(const BlockDecl &block);
  Doc build(const ServesDecl &serves);
  Doc build(const ReferenceDecl &reference);
  Doc build(const UseDecl &use);
  Doc build(const PartDecl &part);
  Doc build(const WeightsDecl &weights);
  Doc build(const WeightItem &item);
  Doc build(const WeightExpr *expr);

  //===--- Statements and expressions (DocExpr.cpp) -----------------------===//

  Doc build(const Stmt &stmt);
  Doc build(const Expr *expr);
  Doc build(const Path *path);
  Doc build(const MatchCase &one);

private:
  /// The item of a node, which lives in the File.
  template <typename T> Item makeItem(const T *node, SourceRange range) const {
    Bodies inner = bodies == Bodies::OnOneLine ? bodies : Bodies::AsWritten;
    return {range, [node, inner](bool spread) {
              return DocBuilder(spread ? Bodies::Spread : inner).build(*node);
            }};
  }
  template <typename T> Item makeItem(const T *node) const {
    return makeItem(node, node->getRange());
  }
  /// `{ items }` on one line or several.
  Doc buildBraces(std::vector<Item> items, SourceRange braces);
  bool isSpread(SourceRange braces) const;

  Doc buildWeightBody(ArrayRef<const WeightItem *> items, SourceRange braces);
  Doc buildEquation(const WeightEquation &equation);
  Doc buildDrop(const WeightDrop &drop);
  Doc buildFor(const WeightFor &loop);

  Doc buildBody(const Body &body);
  Doc buildArg(const Arg &arg, StringRef separator);
  std::vector<Doc> buildArgs(ArrayRef<Arg> args, StringRef separator);
  Doc buildOperator(const Expr *expr);
  Doc buildSuffix(const Expr *expr);
  Doc buildControl(const Expr *expr);
  Doc buildBinary(const BinaryExpr *expr);
  Doc buildDefault(const DefaultExpr *expr);
  Doc buildRange(const RangeExpr *expr);
  Doc buildIf(const IfExpr *expr);
  Doc buildMatch(const MatchExpr *expr);
  Doc buildFor(const ForExpr *expr);
  Doc buildPlaceholder(const Placeholder &placeholder);
  bool hasSpreadBody(const IfExpr *expr) const;

  Bodies bodies;
};

} // namespace clade::spec

#endif // CLADE_SPEC_DOCBUILDER_H
