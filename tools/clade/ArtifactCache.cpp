//===- ArtifactCache.cpp - Compiled models kept between runs --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ArtifactCache.h"

#include "lib/CodeGen/CUDA/Assemble.h"
#include "runtime/Engine/Artifact.h"
#include "runtime/Support/Hash.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <filesystem>

using namespace clade;
using namespace clade::driver;
namespace fs = std::filesystem;

/// What the cache may hold: hundreds of artifacts, most of whose bytes are
/// tokenizers.
static constexpr uintmax_t mostBytes = uintmax_t(2) << 30;

std::string driver::cacheFolder(llvm::StringRef kind) {
  if (const char *folder = std::getenv("CLADE_CACHE"))
    return (folder + ("/" + kind)).str();
  const char *home = std::getenv("HOME");
  return ((home ? home : ".") + ("/.cache/clade/" + kind)).str();
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// What tells of a file whether it is the one it was, without reading it.
static std::string stateOf(llvm::StringRef path) {
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status(path, status))
    return "";
  return std::to_string(status.getSize()) + "/" +
         std::to_string(
             status.getLastModificationTime().time_since_epoch().count());
}

/// Whatever an artifact depends on: the checkpoint's place and headers, the
/// specs, the choices and the compiler itself. Prints what is wrong.
static std::optional<std::string> keyOf(Environment &environment,
                                        const rt::Checkpoint &checkpoint,
                                        const ModelChoice &choice) {
  std::optional<rt::ManifestTarget> target = targetOf(environment, choice);
  if (!target)
    return std::nullopt;
  std::string key;
  auto add = [&key](llvm::StringRef text) {
    key += text;
    key += '\n';
  };
  add(absolutePath(checkpoint.path()));
  add(checkpoint.configText().value_or(""));
  add(checkpoint.generationConfigText().value_or(""));
  // A GGUF file's configuration and tokenizer are in the file.
  if (checkpoint.gguf())
    add(stateOf(checkpoint.path()));
  if (checkpoint.tokenizerPath())
    add(stateOf(*checkpoint.tokenizerPath()));
  for (llvm::StringRef text :
       {choice.dtype, choice.precision, choice.latent, choice.weights})
    add(text);
  add(choice.hasRows() ? "rows" : "panels");
  add(choice.isTraced ? "traced" : "plain");
  add(std::to_string(choice.scanChunk));
  add(std::to_string(choice.places.count));
  add(std::to_string(choice.places.count ? choice.places.rank : 0));
  add(target->kind);
  add(target->cpu);
  for (const std::string &feature : target->features)
    add(feature);
  if (choice.isCuda()) {
    std::string assembler = cuda::findAssembler();
    add(assembler);
    add(stateOf(assembler));
  }
  auto processor = processorFiles(checkpoint);
  if (!processor.ok())
    return fail(processor.status()), std::nullopt;
  for (const auto &[name, text] : *processor) {
    add(name);
    add(text);
  }
  if (const rt::Adapter *adapter = checkpoint.adapter()) {
    add(absolutePath(adapter->path()));
    add(adapter->configText());
  }
  for (const rt::StoredTensor &tensor : checkpoint.tensors())
    add(tensor.name + rt::shapeText(tensor.shape) +
        std::string(rt::dtypeName(tensor.dtype)));
  llvm::SourceMgr &sources = environment.getLibrary().getSourceMgr();
  for (unsigned id = 1; id <= sources.getNumBuffers(); ++id)
    add(sources.getMemoryBuffer(id)->getBuffer());
  std::string executable = llvm::sys::fs::getMainExecutable(nullptr, nullptr);
  add(executable);
  add(stateOf(executable));
  return rt::hashOf(key);
}

//===----------------------------------------------------------------------===//
// Room
//===----------------------------------------------------------------------===//

namespace {
/// An artifact of the cache.
struct Kept {
  fs::path path;
  uintmax_t bytes = 0;
  fs::file_time_type used;
};
} // namespace

static fs::path manifestOf(const fs::path &folder) {
  return folder / "manifest.json";
}

/// Tells of an artifact that it is used.
static void touch(const std::string &folder) {
  std::error_code ignored;
  fs::last_write_time(manifestOf(folder), fs::file_time_type::clock::now(),
                      ignored);
}

/// Removes the artifacts that were not used for longest, if there are too many;
/// whoever has one open keeps it.
static void makeRoom(const std::string &folder) {
  std::vector<Kept> all;
  uintmax_t held = 0;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    Kept kept{at->path()};
    std::error_code missing;
    kept.used = fs::last_write_time(manifestOf(kept.path), missing);
    if (missing)
      continue;
    for (fs::directory_iterator file(kept.path, missing);
         !missing && file != end; file.increment(missing)) {
      std::error_code unknown;
      uintmax_t bytes = file->file_size(unknown);
      kept.bytes += unknown ? 0 : bytes;
    }
    held += kept.bytes;
    all.push_back(std::move(kept));
  }
  llvm::sort(all, [](const Kept &a, const Kept &b) { return a.used < b.used; });
  for (const Kept &kept : all) {
    if (held <= mostBytes)
      return;
    std::error_code ignored;
    fs::remove_all(kept.path, ignored);
    held -= kept.bytes;
  }
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

std::optional<std::string>
driver::compileToCache(Environment &environment,
                       const rt::Checkpoint &checkpoint,
                       const ModelChoice &choice) {
  std::optional<std::string> key = keyOf(environment, checkpoint, choice);
  if (!key)
    return std::nullopt;
  std::string all = cacheFolder("artifacts"), folder = all + "/" + *key;
  if (rt::isArtifact(folder) && rt::Artifact::open(folder).ok()) {
    touch(folder);
    return folder;
  }
  llvm::sys::fs::create_directories(all);
  makeRoom(all);
  if (!compileToFolder(environment, checkpoint, choice, folder))
    return std::nullopt;
  return folder;
}

bool driver::compileThroughCache(Environment &environment,
                                 const rt::Checkpoint &checkpoint,
                                 const ModelChoice &choice,
                                 const std::string &folder) {
  if (choice.isPacked || !choice.dumpFolder.empty())
    return compileToFolder(environment, checkpoint, choice, folder);
  std::optional<std::string> key = keyOf(environment, checkpoint, choice);
  if (!key)
    return false;
  std::string all = cacheFolder("artifacts"), kept = all + "/" + *key;
  if (rt::isArtifact(kept)) {
    rt::Status status = rt::copyArtifact(kept, folder);
    if (status.ok())
      return touch(kept), true;
    // What is damaged, or was removed just now, is made again.
    if (status.code() != rt::StatusCode::Corruption &&
        status.code() != rt::StatusCode::NotFound)
      return fail(status) == Done;
  }
  bool isSilent = true;
  mlir::ScopedDiagnosticHandler handler(&environment.getContext(),
                                        [&](mlir::Diagnostic &) {
                                          isSilent = false;
                                          return mlir::failure();
                                        });
  if (!compileToFolder(environment, checkpoint, choice, folder))
    return false;
  // A cache is no reason to fail.
  if (isSilent && !llvm::sys::fs::create_directories(all)) {
    makeRoom(all);
    (void)rt::copyArtifact(folder, kept).ok();
  }
  return true;
}
