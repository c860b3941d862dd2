//===- CheckCommand.cpp - clade check -------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "lib/Check/TypeChecker.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using nlohmann::json;

namespace {
struct CheckOptions {
  SpecOptions specs;
  std::string spec, config;
  bool asJson = false;
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
familyFor(const import::SpecLibrary &library,
          llvm::ArrayRef<const spec::FamilyDecl *> chosen,
          const import::Config &config) {
  if (chosen.size() == 1)
    return chosen.front();
  auto it = config.json().find("architectures");
  if (it == config.json().end() || !it->is_array() || it->empty() ||
      !(*it)[0].is_string())
    return emitError(config.locationOf("architectures"))
           << "expected 'architectures' to say which of the families is meant";
  std::string architecture = (*it)[0];
  for (const spec::FamilyDecl *family : library.findServing(architecture)) {
    if (!llvm::is_contained(chosen, family))
      continue;
    FailureOr<bool> serves = import::servesConfig(library, family, config);
    if (failed(serves))
      return failure();
    if (*serves)
      return family;
  }
  return emitError(config.locationOf("architectures"))
         << "none of the families serves '" << architecture << "'";
}

/// What a family asks of a checkpoint with one configuration.
struct Instance {
  std::string family;
  size_t tensors = 0;
  uint64_t parameters = 0; ///< The largest number there is, if there are more.
};

static FailureOr<Instance>
instantiate(Environment &environment,
            llvm::ArrayRef<const spec::FamilyDecl *> chosen,
            const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return fail("cannot read '" + path + "': " + buffer.getError().message()),
           failure();
  auto config = import::Config::parse((*buffer)->getBuffer(), path,
                                      environment.getLibrary().getSourceMgr(),
                                      &environment.getContext());
  if (failed(config))
    return failure();
  auto family = familyFor(environment.getLibrary(), chosen, **config);
  if (failed(family))
    return failure();
  auto tensors =
      import::publishedTensors(environment.getLibrary(), *family, **config);
  if (failed(tensors))
    return failure();
  Instance instance;
  instance.family = (*family)->name.name.str();
  instance.tensors = tensors->size();
  for (const import::PublishedTensor &tensor : *tensors) {
    uint64_t elements = 1;
    for (int64_t size : tensor.shape)
      elements =
          llvm::SaturatingMultiply(elements, static_cast<uint64_t>(size));
    instance.parameters = llvm::SaturatingAdd(instance.parameters, elements);
  }
  return instance;
}

/// {"families": {NAME: {ENTRY: TYPE, …}, …}, "config": {…}, "ok": true}; what
/// is wrong goes to stderr, and "ok" is false.
static void printJson(const json &families, const Instance *instance, bool ok) {
  json object = {{"families", families}, {"ok", ok}};
  if (instance)
    object["config"] = {{"family", instance->family},
                        {"tensors", instance->tensors},
                        {"parameters", instance->parameters}};
  llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
               << "\n";
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
  json families = json::object();
  bool ok = true;
  for (const spec::FamilyDecl *family : *chosen) {
    auto entries = checker.check(family);
    ok &= succeeded(entries);
    if (failed(entries))
      continue;
    text += check::describe(*family, *entries) + "\n";
    json &types = families[family->name.name.str()] = json::object();
    for (const check::EntryType &entry : *entries)
      types[entry.name] = entry.type;
  }
  if (ok && !options.asJson)
    llvm::outs() << text;
  FailureOr<Instance> instance = failure();
  if (ok && !options.config.empty()) {
    instance = instantiate(environment, *chosen, options.config);
    ok = succeeded(instance);
  }
  if (options.asJson)
    printJson(families, succeeded(instance) ? &*instance : nullptr, ok);
  else if (succeeded(instance))
    llvm::outs() << options.config << ": family '" << instance->family
                 << "' takes " << instance->tensors << " tensors, "
                 << instance->parameters << " parameters\n";
  return ok ? Done : Failed;
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
  command->add_flag("--json", options->asJson, "Print one JSON object");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
