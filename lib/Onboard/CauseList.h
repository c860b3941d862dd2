//===- CauseList.h - Mistakes made of the text of a family ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each likely mistake is found where the family under test would have made it:
// at its own calls of 'attend', 'rope_table', norms and activations, whatever
// its blocks, fields and addresses are called. What is tried instead is the
// text of the block with other words at that place.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_CAUSELIST_H
#define CLADE_ONBOARD_CAUSELIST_H

#include "lib/Import/Reach.h"
#include "lib/Onboard/Causes.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace clade::onboard {

/// Other words in the place of some of the text of blocks.
class Edits {
public:
  /// `old` is part of the text of the block.
  void replace(const spec::BlockDecl *block, llvm::StringRef old,
               std::string words) {
    blocks[block].emplace_back(old, std::move(words));
  }
  bool empty() const { return blocks.empty(); }
  void append(const Edits &other);
  /// The blocks as they are then.
  std::string text() const;

private:
  using Part = std::pair<llvm::StringRef, std::string>;
  std::map<const spec::BlockDecl *, std::vector<Part>> blocks;
};

/// A call and the block in whose text it stands.
struct CallSite {
  const spec::BlockDecl *block;
  const spec::CallExpr *call;
};

class CauseList {
public:
  CauseList(const import::SpecLibrary &library, const spec::FamilyDecl *decl,
            llvm::ArrayRef<TensorGroup> tensors);
  std::vector<Cause> run();

private:
  void add(const llvm::Twine &says, const llvm::Twine &items,
           const llvm::Twine &field = "");
  void add(const llvm::Twine &says, const Edits &edits);
  /// The field with another value.
  void addField(const llvm::Twine &says, const spec::FieldDecl *decl,
                const llvm::Twine &value);
  /// A field that the computation reads; null otherwise.
  const spec::FieldDecl *field(llvm::StringRef name) const;
  /// The field that an expression names, if the computation reads it.
  const spec::FieldDecl *fieldOf(const spec::Expr *expr) const;
  /// Whether the family has all fields that a text of names and numbers has.
  bool hasFields(llvm::StringRef text) const;

  /// All calls by this name in blocks that the family can replace, in the order
  /// of the text.
  std::vector<CallSite> calls(llvm::StringRef name) const;
  /// All expressions of a block, each before what it consists of.
  static void walk(const spec::BlockDecl &block,
                   llvm::function_ref<void(const spec::Expr &)> onExpr);
  /// An argument by name, or by place if `place` is given.
  static const spec::Expr *argOf(const spec::CallExpr &call,
                                 llvm::StringRef name,
                                 std::optional<size_t> place = std::nullopt);
  /// A call with another value of a named argument.
  static std::string withArg(const spec::CallExpr &call, llvm::StringRef name,
                             llvm::StringRef value);
  /// Whether a call norms its first argument and multiplies it by a weight.
  bool isNorm(const spec::CallExpr &call) const;

  // CauseAttention.cpp
  void rotation();
  void scores();
  void windows();
  void headNorms();
  void normsBehindRotation();
  void normsBeforeRotation();
  void orderOfHeads();
  // CauseNorms.cpp
  void norms();
  void epsilons();
  // Causes.cpp
  void embeddings();
  void activations();
  void bounds();
  void switches();
  void swaps();
  void otherBlocks();
  void choices();
  void transposed();
  void slips();
  void residual(const spec::BlockDecl &block, llvm::StringRef input,
                const spec::Stmt &stmt);
  void rotated();

  const import::SpecLibrary &library;
  import::Family family;
  import::Reach reach;
  llvm::ArrayRef<TensorGroup> tensors;
  /// Reached, and what their names mean in the family: a text of the same name
  /// takes their place. In the order of the sources.
  std::vector<const spec::BlockDecl *> blocks;
  std::vector<Cause> causes;
};

} // namespace clade::onboard

#endif // CLADE_ONBOARD_CAUSELIST_H
