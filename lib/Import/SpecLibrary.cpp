//===- SpecLibrary.cpp - All families there are ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/SpecLibrary.h"

#include "lib/Spec/Parser.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

/// The .spec files of a folder, sorted; nothing if there is no such folder.
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

LogicalResult SpecLibrary::addFolder(StringRef folder) {
  llvm::SmallString<128> prelude(folder);
  llvm::sys::path::append(prelude, "std");
  std::vector<std::string> preludePaths = specFiles(prelude),
                           paths = specFiles(folder);
  if (paths.empty() && preludePaths.empty())
    return emitError(UnknownLoc::get(context))
           << "expected .spec files in the folder '" << folder << "'";
  for (StringRef path : preludePaths)
    if (failed(addFile(path, /*isPrelude=*/true)))
      return failure();
  for (StringRef path : paths)
    if (failed(addFile(path)))
      return failure();
  return success();
}

LogicalResult SpecLibrary::addText(StringRef text, StringRef name,
                                   bool isPrelude) {
  return addBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name), isPrelude);
}

LogicalResult SpecLibrary::addFile(StringRef path, bool isPrelude) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return emitError(UnknownLoc::get(context))
           << "cannot read '" << path << "': " << buffer.getError().message();
  return addBuffer(std::move(*buffer), isPrelude);
}

LogicalResult SpecLibrary::addBuffer(std::unique_ptr<llvm::MemoryBuffer> buffer,
                                     bool isPrelude) {
  std::string path = buffer->getBufferIdentifier().str();
  unsigned id = sourceMgr.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  auto file = spec::parseSpec(sourceMgr, id, context);
  if (failed(file))
    return failure();
  if (!isPrelude &&
      (!(*file)->blocks.empty() || (*file)->config || (*file)->weights)) {
    Location loc = !(*file)->blocks.empty() ? (*file)->blocks.front()->getLoc()
                   : (*file)->config        ? (*file)->config->getLoc()
                                            : (*file)->weights->getLoc();
    return emitError(loc) << "expected families only: blocks, config and "
                             "weights outside a family belong to std/";
  }
  for (const spec::FamilyDecl *family : (*file)->families) {
    // A family of a later file replaces one of the same name.
    const spec::FamilyDecl *&known = byName[family->name.name];
    if (known)
      llvm::erase(families, known);
    known = family;
    families.push_back(family);
    paths[family] = path;
  }
  if (isPrelude) {
    llvm::append_range(preludeBlocks, (*file)->blocks);
    if ((*file)->config)
      preludeConfigs.push_back((*file)->config);
    if ((*file)->weights)
      preludeWeights.push_back((*file)->weights);
  }
  files.push_back(std::move(*file));
  return success();
}

LogicalResult SpecLibrary::finish() {
  for (const spec::FamilyDecl *family : families)
    if (failed(checkNames(family)))
      return failure();
  for (const spec::FamilyDecl *family : families)
    if (failed(checkBases(family)))
      return failure();
  for (const spec::FamilyDecl *family : families)
    for (const spec::UseDecl *use : family->uses)
      for (const spec::Identifier &block : use->names)
        if (failed(checkUse(use, block)))
          return failure();
  return success();
}

/// Every family that is named exists.
LogicalResult SpecLibrary::checkNames(const spec::FamilyDecl *family) const {
  auto check = [&](const spec::Identifier &id) -> LogicalResult {
    if (findFamily(id.name))
      return success();
    std::vector<std::string> names;
    for (const spec::FamilyDecl *other : families)
      names.push_back(other->name.name.str());
    return emitError(id.loc)
           << "unknown family '" << id.name << "'" << hint(id.name, names);
  };
  if (family->base && failed(check(*family->base)))
    return failure();
  for (const spec::UseDecl *use : family->uses)
    if (failed(check(use->family)))
      return failure();
  for (const spec::PartDecl *part : family->parts)
    if (failed(check(part->family)))
      return failure();
  return success();
}

/// Derivation has no cycle.
LogicalResult SpecLibrary::checkBases(const spec::FamilyDecl *family) const {
  size_t steps = 0;
  for (const spec::FamilyDecl *at = family; at->base;
       at = findFamily(at->base->name))
    if (++steps > families.size())
      return emitError(family->base->loc)
             << "family '" << family->name.name << "' derives from itself";
  return success();
}

/// Following 'use' from family to family comes to an end.
LogicalResult SpecLibrary::checkUse(const spec::UseDecl *use,
                                    const spec::Identifier &block) const {
  auto uses = [&](const spec::UseDecl *other) {
    return llvm::any_of(other->names, [&](const spec::Identifier &id) {
      return id.name == block.name;
    });
  };
  size_t steps = 0;
  for (const spec::FamilyDecl *at = findFamily(use->family.name); at;) {
    if (at->findBlock(block.name))
      return success();
    if (++steps > 2 * families.size())
      return emitError(block.loc)
             << "block '" << block.name << "' is used from family '"
             << use->family.name << "', which uses it from here in turn";
    auto next = llvm::find_if(at->uses, uses);
    StringRef name = next != at->uses.end() ? (*next)->family.name
                     : at->base             ? at->base->name
                                            : StringRef();
    at = findFamily(name);
  }
  return success();
}

const spec::FamilyDecl *SpecLibrary::findFamily(StringRef name) const {
  return byName.lookup(name);
}

std::vector<const spec::FamilyDecl *>
SpecLibrary::findServing(StringRef architecture) const {
  // Later files win, so that a user's own family can take over an architecture.
  std::vector<const spec::FamilyDecl *> found;
  for (const spec::FamilyDecl *family : llvm::reverse(families))
    if (family->serves && llvm::any_of(family->serves->names, [&](auto &id) {
          return id.name == architecture;
        }))
      found.push_back(family);
  llvm::stable_sort(found, [](auto *a, auto *b) {
    return a->serves->condition && !b->serves->condition;
  });
  return found;
}

StringRef SpecLibrary::getPath(const spec::FamilyDecl *family) const {
  auto it = paths.find(family);
  return it == paths.end() ? StringRef() : StringRef(it->second);
}

const spec::BlockDecl *SpecLibrary::findPreludeBlock(StringRef name) const {
  auto it = llvm::find_if(preludeBlocks, [&](const spec::BlockDecl *block) {
    return block->name.name == name;
  });
  return it == preludeBlocks.end() ? nullptr : *it;
}

std::optional<std::string>
SpecLibrary::nearest(StringRef name, ArrayRef<std::string> candidates) {
  unsigned best = std::max<size_t>(1, name.size() / 3) + 1;
  std::optional<std::string> found;
  for (const std::string &candidate : candidates) {
    unsigned distance =
        name.edit_distance(candidate, /*AllowReplacements=*/true, best);
    if (distance < best && candidate != name) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string SpecLibrary::hint(StringRef name,
                              ArrayRef<std::string> candidates) {
  std::optional<std::string> near = nearest(name, candidates);
  return near ? " (did you mean '" + *near + "'?)" : "";
}
