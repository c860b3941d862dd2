//===- Workspace.cpp - Open texts and what they mean ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Workspace.h"

#include "lib/Check/TypeChecker.h"
#include "lib/Spec/Parser.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace clade;
using namespace clade::lsp;
using mlir::failed;
using mlir::succeeded;

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

static Place placeOf(mlir::Location loc) {
  if (auto place = loc->findInstanceOf<mlir::FileLineColLoc>())
    return {place.getFilename().str(), place.getLine(), place.getColumn()};
  return {};
}

void Analysis::note(mlir::Diagnostic &diagnostic) {
  Message message;
  message.place = placeOf(diagnostic.getLocation());
  message.text = diagnostic.str();
  message.isError = diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error;
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    message.notes.emplace_back(placeOf(note.getLocation()), note.str());
  messages.push_back(std::move(message));
}

const llvm::MemoryBuffer *Analysis::findText(StringRef file) const {
  llvm::SourceMgr &sources =
      const_cast<import::SpecLibrary &>(library).getSourceMgr();
  for (unsigned id = sources.getNumBuffers(); id > 0; --id)
    if (sources.getMemoryBuffer(id)->getBufferIdentifier() == file)
      return sources.getMemoryBuffer(id);
  return nullptr;
}

const spec::FamilyDecl *Analysis::findFamily(StringRef name) const {
  return library.findFamily(name);
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

std::vector<check::Type> Analysis::typesOf(const spec::Expr *expr) const {
  auto it = types.find(expr);
  return it == types.end() ? std::vector<check::Type>() : it->second;
}

void Analysis::checkTypes(llvm::ArrayRef<const spec::FamilyDecl *> which) {
  constexpr size_t most = 4;
  check::TypeChecker checker(library);
  checker.setObserver([&](const spec::Expr &expr, const check::Type &type) {
    std::vector<check::Type> &known = types[&expr];
    bool isNew = llvm::none_of(known, [&](const check::Type &other) {
      return other.describe() == type.describe();
    });
    if (isNew && known.size() < most)
      known.push_back(type);
  });
  for (const spec::FamilyDecl *family : which)
    (void)checker.check(family);
}

//===----------------------------------------------------------------------===//
// Configurations
//===----------------------------------------------------------------------===//

/// Whether a family says that it serves the architecture of a configuration.
static bool servesArchitecture(const spec::FamilyDecl *family,
                               const import::Config &config) {
  auto names = config.json().find("architectures");
  if (!family->serves || names == config.json().end() || !names->is_array())
    return false;
  return llvm::any_of(*names, [&](const nlohmann::json &name) {
    return name.is_string() &&
           llvm::any_of(family->serves->names, [&](const auto &served) {
             return served.name == name.get<std::string>();
           });
  });
}

void Analysis::attach(const Attachment &attachment, StringRef file) {
  auto complain = [&](const std::string &text) {
    messages.push_back({{file.str(), 1, 1}, text, true, {}});
  };
  if (!attachment.checkpoint.empty()) {
    rt::StatusOr<rt::Checkpoint> opened =
        rt::Checkpoint::open(attachment.checkpoint);
    if (!opened.ok())
      return complain(opened.status().message());
    checkpoint = std::move(*opened);
    for (const rt::StoredTensor &tensor : checkpoint->ownTensors())
      tensors.push_back(tensor.name);
    auto loaded = import::loadConfig(library, *checkpoint);
    if (succeeded(loaded))
      config = std::move(*loaded);
    return;
  }
  if (attachment.config.empty())
    return;
  auto buffer = llvm::MemoryBuffer::getFile(attachment.config, /*IsText=*/true);
  if (!buffer)
    return complain("cannot read '" + attachment.config +
                    "': " + buffer.getError().message());
  auto parsed = import::Config::parse((*buffer)->getBuffer(), attachment.config,
                                      library.getSourceMgr(), &context);
  if (succeeded(parsed))
    config = std::move(*parsed);
}

/// The families of the text that the configuration is for are built for it.
void Analysis::checkConfig(StringRef file) {
  if (!config)
    return;
  for (const spec::FamilyDecl *family : families) {
    if (!servesArchitecture(family, *config))
      continue;
    if (checkpoint && !checkpoint->gguf()) {
      auto own = import::Config::parse(checkpoint->configText().value_or(""),
                                       checkpoint->path() + "/config.json",
                                       library.getSourceMgr(), &context);
      if (succeeded(own))
        (void)import::importFamily(library, family, std::move(*own),
                                   llvm::ArrayRef(checkpoint->ownTensors()),
                                   "");
    } else {
      (void)import::publishedTensors(library, family, *config);
    }
  }
}

import::FieldValues *Analysis::valuesOf(const spec::FamilyDecl *family) {
  if (!config || !family)
    return nullptr;
  auto it = values.find(family);
  if (it == values.end()) {
    it =
        values.emplace(family, Values{import::Family(library, family), nullptr})
            .first;
    it->second.values =
        std::make_unique<import::FieldValues>(it->second.family, *config);
  }
  return it->second.values.get();
}

Attachment lsp::attachmentIn(StringRef text, StringRef file) {
  Attachment found;
  llvm::SmallVector<StringRef> lines;
  text.split(lines, '\n');
  for (StringRef line : lines) {
    line = line.trim();
    if (!line.consume_front("//"))
      continue;
    line = line.trim();
    std::string *place = nullptr;
    if (line.consume_front("config:"))
      place = &found.config;
    else if (line.consume_front("checkpoint:"))
      place = &found.checkpoint;
    if (!place || !place->empty() || line.trim().empty())
      continue;
    llvm::SmallString<128> path(line.trim());
    if (llvm::sys::path::is_relative(path)) {
      path = llvm::sys::path::parent_path(file);
      llvm::sys::path::append(path, line.trim());
    }
    *place = path.str().str();
  }
  return found;
}

//===----------------------------------------------------------------------===//
// Workspace
//===----------------------------------------------------------------------===//

const std::string *Workspace::find(StringRef file) const {
  auto it = documents.find(file.str());
  return it == documents.end() ? nullptr : &it->second.text;
}

std::vector<std::string> Workspace::openFiles() const {
  std::vector<std::string> files;
  for (const auto &[file, document] : documents)
    files.push_back(file);
  return files;
}

Attachment Workspace::attachmentOf(StringRef file, StringRef text) const {
  Attachment own = attachmentIn(text, file);
  return own.config.empty() && own.checkpoint.empty() ? attachment : own;
}

/// Whether a text parses; reports to the context if not.
static bool parses(StringRef text, StringRef name, mlir::MLIRContext &context) {
  llvm::SourceMgr sources;
  unsigned id = sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, name), llvm::SMLoc());
  return succeeded(spec::parseSpec(sources, id, &context));
}

void Workspace::open(StringRef file, StringRef text) {
  Document &document = documents[file.str()];
  document.text = text.str();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler silent(
      &context, [](mlir::Diagnostic &) { return mlir::success(); });
  if (parses(text, file, context))
    document.lastGood = document.text;
}

/// The .spec files of a folder, sorted.
static std::vector<std::string> specFiles(StringRef folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(folder, error), end;
       it != end && !error; it.increment(error))
    if (llvm::sys::path::extension(it->path()) == ".spec")
      paths.push_back(it->path());
  llvm::sort(paths);
  return paths;
}

std::unique_ptr<Analysis> Workspace::analyse(StringRef file) const {
  auto found = documents.find(file.str());
  if (found == documents.end())
    return nullptr;
  const Document &document = found->second;
  auto analysis = std::make_unique<Analysis>();
  bool silent = false;
  mlir::ScopedDiagnosticHandler handler(&analysis->context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          if (!silent)
                                            analysis->note(diagnostic);
                                          return mlir::success();
                                        });
  analysis->current = parses(document.text, file, analysis->context);

  // Every other file, as far as it parses. Files of the text's own folder are
  // families beside it.
  silent = true;
  std::vector<std::pair<std::string, bool>> files;
  auto addFolder = [&](StringRef folder) {
    llvm::SmallString<128> prelude(folder);
    llvm::sys::path::append(prelude, "std");
    for (std::string &path : specFiles(prelude))
      files.emplace_back(std::move(path), true);
    for (std::string &path : specFiles(folder))
      files.emplace_back(std::move(path), false);
  };
  for (const std::string &folder : folders)
    addFolder(folder);
  std::string own = llvm::sys::path::parent_path(file).str();
  bool isPrelude = false;
  if (llvm::none_of(files, [&](const auto &one) {
        return llvm::sys::path::parent_path(one.first) == own;
      }))
    addFolder(own);
  for (const auto &[path, open] : documents)
    if (llvm::none_of(files, [&, &path = path](const auto &one) {
          return one.first == path;
        }))
      files.emplace_back(path, false);
  for (const auto &[path, prelude] : files) {
    if (path == file) {
      isPrelude = prelude;
      continue;
    }
    auto open = documents.find(path);
    if (open != documents.end())
      (void)analysis->library.addText(open->second.lastGood, path, prelude);
    else
      (void)analysis->library.addFile(path, prelude);
  }
  silent = !analysis->current;
  // The text itself comes last: its families win.
  bool ok =
      succeeded(analysis->library.addText(document.lastGood, file, isPrelude));
  for (const spec::FamilyDecl *family : analysis->library.getFamilies())
    if (analysis->library.getPath(family) == file)
      analysis->families.push_back(family);
  ok = succeeded(analysis->library.finish()) && ok;
  if (!ok)
    return analysis;
  // A text of the prelude is checked in every family that uses it.
  analysis->checkTypes(isPrelude ? analysis->library.getFamilies()
                                 : llvm::ArrayRef(analysis->families));
  bool isSound = analysis->messages.empty();
  analysis->attach(attachmentOf(file, document.text), file);
  if (isSound && analysis->current)
    analysis->checkConfig(file);
  return analysis;
}
