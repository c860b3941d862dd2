//===- main.cpp - The command line of Clade -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "clade/abi.h"
#include "lib/Spec/EditDistance.h"
#include "runtime/Engine/Manifest.h"
#include "llvm/Config/llvm-config.h"

using namespace clade::driver;

/// Whether the command line names a command that is not there. What CLI11 says
/// then is only that there is none.
static bool isUnknownCommand(const CLI::App &app,
                             const CLI::ParseError &error) {
  return error.get_exit_code() ==
             static_cast<int>(CLI::ExitCodes::RequiredError) &&
         app.get_subcommands().empty() && !app.remaining().empty() &&
         !llvm::StringRef(app.remaining().front()).starts_with("-");
}

/// Says so, with the command that was meant, if one is near.
static int failUnknownCommand(const CLI::App &app) {
  std::string name = app.remaining().front();
  std::vector<llvm::StringRef> commands;
  for (const CLI::App *command : app.get_subcommands({}))
    commands.push_back(command->get_name());
  std::optional<llvm::StringRef> near =
      clade::spec::nearestName(name, commands);
  fail("unknown command '" + name + "' " +
       (near ? "(did you mean '" + near->str() + "'?)"
             : "('clade --help' lists the commands)"));
  return Usage;
}

int main(int argc, char **argv) {
  CLI::App app("Clade compiles model families: a .spec, a configuration and "
               "the tensor headers become a checked, "
               "running model.");
  app.name("clade");
  app.set_version_flag(
      "--version",
      "clade " CLADE_VERSION " (LLVM " LLVM_VERSION_STRING ", artifacts " +
          std::to_string(clade::rt::artifactVersion) + ", kernel interface " +
          std::to_string(CLADE_ABI_VERSION) + ")",
      "Print the versions of this program, LLVM, and what it compiles");
  app.require_subcommand(1);
  app.footer("Start with:  clade run CHECKPOINT --prompt \"The capital of "
             "France is\"\n"
             "A CHECKPOINT is a folder with config.json and safetensors files, "
             "or a .gguf file.");
  int status = Done;
  addListCommand(app, status);
  addDiscoverCommand(app, status);
  addNewCommand(app, status);
  addCheckCommand(app, status);
  addFormatCommand(app, status);
  addDiffCommand(app, status);
  addTinyCommand(app, status);
  addInspectCommand(app, status);
  addCompileCommand(app, status);
  addRunCommand(app, status);
  addVerifyCommand(app, status);
  addConvertCommand(app, status);
  addBenchCommand(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (isUnknownCommand(app, error))
      return failUnknownCommand(app);
    return app.exit(error) == 0 ? Done : Usage;
  }
  return status;
}
