//===- main.cpp - The command line of Clade -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

using namespace clade::driver;

int main(int argc, char **argv) {
  CLI::App app("Clade compiles model families: a .spec, a configuration and "
               "the tensor headers become a checked, "
               "running model.");
  app.name("clade");
  app.require_subcommand(1);
  app.footer("Start with:  clade run CHECKPOINT --prompt \"The capital of "
             "France is\"\n"
             "A CHECKPOINT is a folder with config.json and safetensors files, "
             "or a .gguf file.");
  int status = Done;
  addListCommand(app, status);
  addCheckCommand(app, status);
  addFormatCommand(app, status);
  addTinyCommand(app, status);
  addInspectCommand(app, status);
  addCompileCommand(app, status);
  addRunCommand(app, status);
  addVerifyCommand(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? Done : Usage;
  }
  return status;
}
