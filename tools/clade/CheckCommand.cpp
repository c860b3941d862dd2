//===- CheckCommand.cpp - clade check -------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "lib/Check/TypeChecker.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;

namespace {
struct CheckOptions {
  SpecOptions specs;
  std::string spec, config;
};
} // namespace

/// The families that the argument names: those of a file, or one by its name.
static FailureOr<std::vector<const spec::FamilyDecl *>>
chosenFamilies(const import::SpecLibrary &library, const std::string &spec,
               bool isFile) {
  std::vector<const spec::FamilyDecl *> chosen;
  std::vector<std::string> names;
  for (const spec::FamilyDecl *family : library.getFamilies()) {
    names.push_back(family->name.name.str());
    if (isFile ? library.getPath(family) == spec : family->name.name == spec)
      chosen.push_back(family);
  }
  if (!chosen.empty())
    return chosen;
  if (isFile)
    return fail("expected a family in '" + spec + "'"), failure();
  return fail("'" + spec + "' is neither a file nor a family" +
              import::SpecLibrary::hint(spec, names)),
         failure();
}

/// The family among `chosen` that serves the configuration; one family alone
/// takes any.
static FailureOr<const spec::FamilyDecl *>
familyFor(llvm::ArrayRef<const spec::FamilyDecl *> chosen,
          const import::Config &config) {
  if (chosen.size() == 1)
    return chosen.front();
  auto it = config.json().find("architectures");
  if (it == config.json().end() || !it->is_array() || it->empty() ||
      !(*it)[0].is_string())
    return emitError(config.locationOf("architectures"))
           << "expected 'architectures' to say which of the families is meant";
  std::string architecture = (*it)[0];
  for (const spec::FamilyDecl *family : chosen)
    if (family->serves && llvm::any_of(family->serves->names, [&](auto &id) {
          return id.name == architecture;
        }))
      return family;
  return emitError(config.locationOf("architectures"))
         << "none of the families serves '" << architecture << "'";
}

static int checkConfig(Environment &environment,
                       llvm::ArrayRef<const spec::FamilyDecl *> chosen,
                       const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return fail("cannot read '" + path + "': " + buffer.getError().message());
  auto config = import::Config::parse((*buffer)->getBuffer(), path,
                                      environment.getLibrary().getSourceMgr(),
                                      &environment.getContext());
  if (failed(config))
    return Failed;
  auto family = familyFor(chosen, **config);
  if (failed(family))
    return Failed;
  auto tensors =
      import::publishedTensors(environment.getLibrary(), *family, **config);
  if (failed(tensors))
    return Failed;
  double parameters = 0;
  for (const import::PublishedTensor &tensor : *tensors) {
    double elements = 1;
    for (int64_t size : tensor.shape)
      elements *= size;
    parameters += elements;
  }
  llvm::outs() << path << ": family '" << (*family)->name.name << "' takes "
               << tensors->size() << " tensors, "
               << llvm::format("%.0f", parameters) << " parameters\n";
  return Done;
}

static int run(CheckOptions options) {
  bool isFile = llvm::sys::fs::is_regular_file(options.spec);
  if (isFile)
    options.specs.files.push_back(options.spec);
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  auto chosen = chosenFamilies(environment.getLibrary(), options.spec, isFile);
  if (failed(chosen))
    return Failed;
  check::TypeChecker checker(environment.getLibrary());
  std::string text;
  bool ok = true;
  for (const spec::FamilyDecl *family : *chosen) {
    auto entries = checker.check(family);
    ok &= succeeded(entries);
    if (succeeded(entries))
      text += check::describe(*family, *entries) + "\n";
  }
  if (!ok)
    return Failed;
  llvm::outs() << text;
  return options.config.empty()
             ? Done
             : checkConfig(environment, *chosen, options.config);
}

void driver::addCheckCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "check", "Check a spec, alone or against a configuration");
  command->footer("Without --config: the text parses, every name means "
                  "something, and on every branch axes, arguments and\n"
                  "values fit in each configuration. Prints the types of the "
                  "entries.\n"
                  "With --config FILE: every key of the configuration is read "
                  "or ignored, requirements hold, and the\n"
                  "family is built for it: axes agree, and every layer has its "
                  "kind. No checkpoint is needed.");
  auto options = std::make_shared<CheckOptions>();
  command
      ->add_option("spec", options->spec,
                   "A .spec file, or the name of a family")
      ->required();
  command
      ->add_option("--config", options->config,
                   "A config.json to build the family for")
      ->check(CLI::ExistingFile);
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
