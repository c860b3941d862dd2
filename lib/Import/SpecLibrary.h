//===- SpecLibrary.h - All families there are -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The parsed files of the specs folder, of --specs folders and --spec files.
// This is the only registry of families.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_SPECLIBRARY_H
#define CLADE_IMPORT_SPECLIBRARY_H

#include "lib/Spec/AST.h"

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SourceMgr.h"

#include <memory>
#include <string>
#include <vector>

namespace clade::import {

class SpecLibrary {
public:
  explicit SpecLibrary(mlir::MLIRContext *context) : context(context) {}

  /// Adds `folder`/std/*.spec to the prelude and `folder`/*.spec to the
  /// families.
  mlir::LogicalResult addFolder(llvm::StringRef folder);
  /// Adds the families of one file; they win over families of the same name
  /// that were added before.
  mlir::LogicalResult addFile(llvm::StringRef path, bool isPrelude = false);
  /// Adds a text as if it were a file of that name.
  mlir::LogicalResult addText(llvm::StringRef text, llvm::StringRef name,
                              bool isPrelude = false);
  /// Checks what only all files together tell: bases and used families exist,
  /// neither derivation nor 'use' has a cycle.
  mlir::LogicalResult finish();

  const spec::FamilyDecl *findFamily(llvm::StringRef name) const;
  /// The families whose `serves` lists this architecture: those with a
  /// condition come first, and of the others those that were added last.
  std::vector<const spec::FamilyDecl *>
  findServing(llvm::StringRef architecture) const;
  /// In the order they were added.
  llvm::ArrayRef<const spec::FamilyDecl *> getFamilies() const {
    return families;
  }
  /// The file that declares a family.
  llvm::StringRef getPath(const spec::FamilyDecl *family) const;

  const spec::BlockDecl *findPreludeBlock(llvm::StringRef name) const;
  llvm::ArrayRef<const spec::BlockDecl *> getPreludeBlocks() const {
    return preludeBlocks;
  }
  llvm::ArrayRef<const spec::ConfigDecl *> getPreludeConfigs() const {
    return preludeConfigs;
  }
  llvm::ArrayRef<const spec::WeightsDecl *> getPreludeWeights() const {
    return preludeWeights;
  }

  llvm::SourceMgr &getSourceMgr() { return sourceMgr; }
  mlir::MLIRContext *getContext() const { return context; }

  /// The known name nearest to `name`, or nothing if none is near.
  static std::optional<std::string>
  nearest(llvm::StringRef name, llvm::ArrayRef<std::string> candidates);
  /// " (did you mean 'x'?)", or nothing.
  static std::string hint(llvm::StringRef name,
                          llvm::ArrayRef<std::string> candidates);

private:
  mlir::LogicalResult addBuffer(std::unique_ptr<llvm::MemoryBuffer> buffer,
                                bool isPrelude);
  mlir::LogicalResult checkNames(const spec::FamilyDecl *family) const;
  mlir::LogicalResult checkBases(const spec::FamilyDecl *family) const;
  mlir::LogicalResult checkUse(const spec::UseDecl *use,
                               const spec::Identifier &block) const;

  mlir::MLIRContext *context;
  llvm::SourceMgr sourceMgr;
  std::vector<std::unique_ptr<spec::File>> files;
  std::vector<const spec::FamilyDecl *> families;
  llvm::StringMap<const spec::FamilyDecl *> byName;
  llvm::DenseMap<const spec::FamilyDecl *, std::string> paths;
  std::vector<const spec::BlockDecl *> preludeBlocks;
  std::vector<const spec::ConfigDecl *> preludeConfigs;
  std::vector<const spec::WeightsDecl *> preludeWeights;
};

} // namespace clade::import

#endif // CLADE_IMPORT_SPECLIBRARY_H
