//===- Workspace.h - Open texts and what they mean --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Texts that an editor holds, over the files of the disk. An analysis is made
// anew from all of them: that takes a few milliseconds.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LSP_WORKSPACE_H
#define CLADE_LSP_WORKSPACE_H

#include "lib/Check/Types.h"
#include "lib/Import/FieldValues.h"
#include "lib/Import/Import.h"
#include "lib/LSP/Cursor.h"
#include "lib/LSP/Positions.h"

#include "mlir/IR/MLIRContext.h"

namespace clade::lsp {

/// Where something stands: a file, and a line and a column in bytes from 1.
struct Place {
  std::string file;
  unsigned line = 1, column = 1;
};

/// A message of the parser, the checks or the import.
struct Message {
  Place place;
  std::string text;
  bool isError = true;
  std::vector<std::pair<Place, std::string>> notes;
};

/// What a text may be checked against: a config.json, or a checkpoint with one.
struct Attachment {
  std::string config, checkpoint;
};

/// The library as it is with one text, and what is known of that.
class Analysis {
public:
  Analysis() : library(&context) {}

  import::SpecLibrary &getLibrary() { return library; }
  /// The families that the text declares; if it does not parse, those that it
  /// declared when it last did.
  llvm::ArrayRef<const spec::FamilyDecl *> getFamilies() const {
    return families;
  }
  const spec::FamilyDecl *findFamily(StringRef name) const;
  /// Whether the trees are those of the text as it is.
  bool isCurrent() const { return current; }
  /// In the order in which they were reported.
  llvm::ArrayRef<Message> getMessages() const { return messages; }
  /// The text of a file that was read, or null.
  const llvm::MemoryBuffer *findText(StringRef file) const;

  /// The texts of an expression's types, one for each way that its block is
  /// called.
  std::vector<check::Type> typesOf(const spec::Expr *expr) const;

  /// The attached configuration and its path, or null.
  const import::Config *getConfig() const { return config.get(); }
  /// The values of a family's fields in it, or null.
  import::FieldValues *valuesOf(const spec::FamilyDecl *family);
  /// The names of the attached checkpoint's tensors.
  const std::vector<std::string> &getTensors() const { return tensors; }

private:
  friend class Workspace;
  void note(mlir::Diagnostic &diagnostic);
  void attach(const Attachment &attachment, StringRef file);
  void checkTypes(llvm::ArrayRef<const spec::FamilyDecl *> which);
  void checkConfig(StringRef file);

  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  import::SpecLibrary library;
  std::vector<const spec::FamilyDecl *> families;
  std::vector<Message> messages;
  bool current = false;
  std::map<const spec::Expr *, std::vector<check::Type>> types;
  std::unique_ptr<import::Config> config;
  std::optional<rt::Checkpoint> checkpoint;
  std::vector<std::string> tensors;
  struct Values {
    import::Family family;
    std::unique_ptr<import::FieldValues> values;
  };
  std::map<const spec::FamilyDecl *, Values> values;
};

class Workspace {
public:
  /// The folders of families: Clade's own first. What is no folder is left out.
  void setFolders(std::vector<std::string> paths) {
    folders = std::move(paths);
  }
  /// For texts that do not name one themselves.
  void setAttachment(Attachment value) { attachment = std::move(value); }

  void open(StringRef file, StringRef text);
  void close(StringRef file) { documents.erase(file.str()); }
  /// The text of an open file, or null.
  const std::string *find(StringRef file) const;
  std::vector<std::string> openFiles() const;

  /// What an open text means.
  std::unique_ptr<Analysis> analyse(StringRef file) const;

private:
  struct Document {
    std::string text;
    std::string lastGood; ///< When it last parsed; empty if it never did.
  };
  Attachment attachmentOf(StringRef file, StringRef text) const;

  std::vector<std::string> folders;
  Attachment attachment;
  std::map<std::string, Document> documents;
};

/// Paths behind '// config:' and '// checkpoint:' in the comments of a text,
/// relative to its folder.
Attachment attachmentIn(StringRef text, StringRef file);

} // namespace clade::lsp

#endif // CLADE_LSP_WORKSPACE_H
