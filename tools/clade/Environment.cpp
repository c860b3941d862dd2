//===- Environment.cpp - What every command starts from -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "tools/clade/Progress.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

using namespace clade;
using namespace clade::driver;

void SpecOptions::addTo(CLI::App &command) {
  command.add_option("--spec", files, "A .spec file with families of your own")
      ->check(CLI::ExistingFile);
  command.add_option("--specs", folders, "A folder of .spec files of your own")
      ->check(CLI::ExistingDirectory);
}

std::string driver::specsFolder() {
  if (const char *folder = std::getenv("CLADE_SPECS"))
    return folder;
  return dataPath("specs", "specs");
}

std::string driver::dataPath(llvm::StringRef installedName,
                             llvm::StringRef sourceName) {
  std::string executable = llvm::sys::fs::getMainExecutable(nullptr, nullptr);
  llvm::SmallString<128> installed(llvm::sys::path::parent_path(executable));
  llvm::sys::path::append(installed, "..", "share", "clade", installedName);
  if (llvm::sys::fs::exists(installed))
    return installed.str().str();
  return (llvm::Twine(CLADE_SOURCE_DIR) + "/" + sourceName).str();
}

Environment::Environment(const SpecOptions &options)
    : context(mlir::MLIRContext::Threading::DISABLED), library(&context),
      handler(library.getSourceMgr(), &context, llvm::errs()) {
  // Handlers run newest first; this one only makes room for the message.
  context.getDiagEngine().registerHandler([](mlir::Diagnostic &) {
    clearProgress();
    return mlir::failure();
  });
  std::string folder = specsFolder();
  valid = succeeded(library.addFolder(folder));
  for (const std::string &own : options.folders)
    valid = valid && succeeded(library.addFolder(own));
  for (const std::string &file : options.files)
    valid = valid && succeeded(library.addFile(file));
  valid = valid && succeeded(library.finish());
}

std::optional<rt::Checkpoint>
Environment::openCheckpoint(const std::string &path,
                            const std::string &adapter) {
  rt::StatusOr<rt::Checkpoint> checkpoint = rt::Checkpoint::open(path, adapter);
  if (checkpoint.ok())
    return std::move(*checkpoint);
  fail(checkpoint.status());
  return std::nullopt;
}

int driver::fail(const std::string &message) {
  clearProgress();
  llvm::errs() << "clade: error: " << message << "\n";
  return Failed;
}

int driver::fail(const rt::Status &status) { return fail(status.message()); }
