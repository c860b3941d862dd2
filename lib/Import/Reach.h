//===- Reach.h - What a family's computation mentions -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A static walk over the text that can be reached from an entry or from the
// body of a loop: which fields and configuration keys it mentions, on any
// branch.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_REACH_H
#define CLADE_IMPORT_REACH_H

#include "lib/Import/Config.h"
#include "lib/Import/Family.h"

#include <set>

namespace clade::import {

class Reach {
public:
  explicit Reach(const Family &family) : family(family) {}

  /// Walks every entry, the weight equations and the requirements that hold for
  /// what was reached.
  void walkFamily();
  void walkBody(const spec::Body *body) {
    walk(body, /*inConfig=*/false, "");
    walkPending();
  }
  void walkStmt(const spec::Stmt *stmt) {
    walk(stmt, /*inConfig=*/false, "");
    walkPending();
  }
  void walkExpr(const spec::Expr *expr) {
    walk(expr, /*inConfig=*/false, "");
    walkPending();
  }
  void walkRequirement(const spec::RequireDecl *requirement) {
    walk(requirement->condition, /*inConfig=*/true, "");
    walkPending();
  }
  /// The keys of the configuration that a field's value depends on.
  void walkValue(const spec::FieldDecl *decl) {
    addField(decl->name.name);
    walkPending();
  }

  /// Per-layer fields mentioned, sorted.
  std::vector<std::string> layerFields() const;
  bool mentionsField(llvm::StringRef name) const {
    return fields.count(name.str());
  }
  /// Whether the key, or one of an object that it holds, is read.
  bool mentionsKey(llvm::StringRef key) const { return keys.count(key.str()); }
  /// Whether the key is read with all that it holds.
  bool readsWhole(llvm::StringRef key) const {
    return wholeKeys.count(key.str());
  }
  const std::set<std::string> &getKeys() const { return keys; }
  /// The keys that are read of records in fields, as 'factor' in 'rot.factor'.
  const std::set<std::string> &getFieldKeys() const { return fieldKeys; }
  /// The blocks that the text calls, and those that these call; not those of
  /// parts.
  const std::set<const spec::BlockDecl *> &getBlocks() const { return blocks; }
  /// Whether the text, or what it calls, calls a block or a built-in by this
  /// name.
  bool calls(llvm::StringRef name) const { return called.count(name.str()); }
  /// Whether the text uses the number of the layer as a value, not only in
  /// addresses and fields.
  bool usesLayerNumber() const { return layerNumber; }
  /// Whether the text that was walked, or what it calls, has this name.
  bool mentionsName(llvm::StringRef name) const {
    return names.count(name.str());
  }
  /// The calls of 'todo' that were reached, in the order of the walk.
  llvm::ArrayRef<const spec::CallExpr *> getOpenQuestions() const {
    return openQuestions;
  }
  /// Names of variables that a body assigns.
  static std::vector<std::string> assignedNames(const spec::Body *body);

  /// Whether a requirement concerns this computation: it mentions no field, or
  /// one that was reached.
  bool concerns(const spec::RequireDecl *requirement) const;

private:
  void walk(const spec::Expr *expr, bool inConfig, llvm::StringRef ownField);
  void walk(const spec::Body *body, bool inConfig, llvm::StringRef ownField);
  void walk(const spec::Stmt *stmt, bool inConfig, llvm::StringRef ownField);
  void walk(const spec::Path *path, bool inConfig);
  void walkArgs(llvm::ArrayRef<spec::Arg> args, bool inConfig,
                llvm::StringRef ownField);
  void walkName(llvm::StringRef name, bool inConfig, llvm::StringRef ownField);
  void walkWeight(const spec::WeightExpr *expr);
  void walkWeightPath(const spec::Path *path);
  void addField(llvm::StringRef name);
  void addKey(llvm::StringRef key);
  void addBlock(const spec::BlockDecl *block);
  void walkPending();
  void walkCall(const spec::CallExpr *call, bool inConfig,
                llvm::StringRef ownField);
  void walkAttr(const spec::AttrExpr *attr, bool inConfig,
                llvm::StringRef ownField);
  void walkItems(llvm::ArrayRef<const spec::WeightItem *> items);

  const Family &family;
  std::set<std::string> names, fields, keys, wholeKeys, fieldKeys, called;
  std::vector<const spec::CallExpr *> openQuestions;
  std::set<const spec::BlockDecl *> blocks;
  /// Found, but not walked: a chain of calls may be longer than the stack.
  std::vector<const spec::FieldDecl *> pendingFields;
  std::vector<const spec::BlockDecl *> pendingBlocks;
  bool layerNumber = false;
};

/// Reports every question that the text of a family leaves open, in the order
/// of the text; succeeds if there is none.
mlir::LogicalResult checkNoOpenQuestions(const Family &family);

/// The keys of the configuration, or of the object under its key `object`, that
/// none of the families reads or ignores, without the name of the object.
std::vector<std::string> unreadKeys(llvm::ArrayRef<const Family *> families,
                                    const Config &config,
                                    llvm::StringRef object = "");

/// Reports every key of the configuration, or of the object under its key
/// `object`, that none of the families reads or ignores, each with the nearest
/// name that is read. A part whose object is the whole configuration reads it
/// beside the family around it.
mlir::LogicalResult checkAllKeysRead(llvm::ArrayRef<const Family *> families,
                                     const Config &config,
                                     llvm::StringRef object = "");

} // namespace clade::import

#endif // CLADE_IMPORT_REACH_H
