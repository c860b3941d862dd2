//===- FormatCommand.cpp - clade format -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "lib/Spec/Format.h"
#include "lib/Spec/Parser.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;

namespace {
struct FormatOptions {
  std::vector<std::string> files;
  bool check = false, inPlace = false;
};
} // namespace

static int write(const std::string &path, const std::string &text) {
  // Whole or not at all: a spec is source text.
  std::string temporary = path + ".tmp";
  std::error_code error;
  {
    llvm::raw_fd_ostream file(temporary, error);
    if (error)
      return fail("cannot write '" + temporary + "': " + error.message());
    file << text;
    file.close();
    error = file.error();
    file.clear_error();
  }
  if (!error)
    error = llvm::sys::fs::rename(temporary, path);
  if (!error)
    return Done;
  llvm::sys::fs::remove(temporary);
  return fail("cannot write '" + path + "': " + error.message());
}

static int formatFile(const std::string &path, const FormatOptions &options) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return fail("cannot read '" + path + "': " + buffer.getError().message());
  std::string before = (*buffer)->getBuffer().str();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  unsigned id = sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  mlir::SourceMgrDiagnosticHandler handler(sources, &context, llvm::errs());
  auto file = spec::parseSpec(sources, id, &context);
  if (failed(file))
    return Failed;
  std::string after = spec::format(**file, sources);
  if (options.check) {
    if (after == before)
      return Done;
    llvm::outs() << path << "\n";
    return Failed;
  }
  if (options.inPlace)
    return after == before ? Done : write(path, after);
  llvm::outs() << after;
  return Done;
}

void driver::addFormatCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "format", "Print spec files in their one canonical form");
  command->footer(
      "Canonical text has two blanks a level and lines of at most 100 columns; "
      "which items share a line is\n"
      "yours to choose. It means the same, with the same comments.");
  auto options = std::make_shared<FormatOptions>();
  command->add_option("files", options->files, "The .spec files")
      ->required()
      ->check(CLI::ExistingFile);
  auto *inPlace = command->add_flag("-i,--in-place", options->inPlace,
                                    "Write the files instead of printing");
  command
      ->add_flag(
          "--check", options->check,
          "Print the names of files that are not canonical; status 1 if any")
      ->excludes(inPlace);
  command->callback([options, &status] {
    status = Done;
    for (const std::string &file : options->files)
      status = std::max(status, formatFile(file, *options));
  });
}
