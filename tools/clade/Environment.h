//===- Environment.h - What every command starts from -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_ENVIRONMENT_H
#define CLADE_TOOLS_CLADE_ENVIRONMENT_H

#include "lib/Import/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"

#include <CLI/CLI.hpp>

namespace clade::driver {

/// Exit status of the commands.
enum ExitStatus : int { Done = 0, Failed = 1, Usage = 2 };

/// --spec and --specs, which every command takes.
struct SpecOptions {
  std::vector<std::string> files, folders;
  void addTo(CLI::App &command);
};

/// A context, the families, and errors printed with their source line.
class Environment {
public:
  explicit Environment(const SpecOptions &options);

  /// False if a spec has an error; it has been printed.
  bool ok() const { return valid; }
  mlir::MLIRContext &getContext() { return context; }
  import::SpecLibrary &getLibrary() { return library; }

  /// Opens a checkpoint; prints what is wrong with it.
  /// With an adapter beside it, unless `adapter` is empty.
  std::optional<rt::Checkpoint> openCheckpoint(const std::string &path,
                                               const std::string &adapter = "");

private:
  mlir::MLIRContext context;
  import::SpecLibrary library;
  mlir::SourceMgrDiagnosticHandler handler;
  bool valid = false;
};

/// Prints 'clade: error: message' and returns Failed.
int fail(const std::string &message);
int fail(const rt::Status &status);

/// The folder of the families that come with Clade: $CLADE_SPECS, or beside the
/// executable, or where they were built from.
std::string specsFolder();

/// A file or folder that comes with Clade: in share/clade beside the
/// executable, as installed, or in the source tree it was built from.
std::string dataPath(llvm::StringRef installedName, llvm::StringRef sourceName);

/// Adds a command's options and the callback that runs it to the parser; the
/// callback leaves the exit status in `status`.
void addListCommand(CLI::App &app, int &status);
void addDiscoverCommand(CLI::App &app, int &status);
void addNewCommand(CLI::App &app, int &status);
void addCheckCommand(CLI::App &app, int &status);
void addFormatCommand(CLI::App &app, int &status);
void addDiffCommand(CLI::App &app, int &status);
void addTinyCommand(CLI::App &app, int &status);
void addInspectCommand(CLI::App &app, int &status);
void addCompileCommand(CLI::App &app, int &status);
void addRunCommand(CLI::App &app, int &status);
void addVerifyCommand(CLI::App &app, int &status);
void addConvertCommand(CLI::App &app, int &status);
void addBenchCommand(CLI::App &app, int &status);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_ENVIRONMENT_H
