//===- NewCommand.cpp - clade new -----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "lib/Onboard/Draft.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;

namespace {
struct NewOptions {
  SpecOptions specs;
  std::string name, checkpoint, like, folder = ".";
  bool verbose = false;
};
} // namespace

/// A file of the folder, unless it exists.
static int writeFile(const std::string &path, const std::string &text) {
  if (llvm::sys::fs::exists(path))
    return fail("'" + path + "' exists already");
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (error)
    return fail("cannot write '" + path + "': " + error.message());
  file << text;
  file.close();
  if (!file.has_error())
    return Done;
  error = file.error();
  file.clear_error();
  return fail("cannot write '" + path + "': " + error.message());
}

/// Runs the tests of a folder of families with LLVM's lit. The checkpoint and
/// the binary are where 'clade new' found them, unless the environment says
/// otherwise.
static std::string litConfig(const std::string &clade) {
  return "# The tests of the families in this folder: run 'lit .' here.\n"
         "import os\n"
         "\n"
         "import lit.formats\n"
         "\n"
         "config.name = \"families\"\n"
         "config.test_format = lit.formats.ShTest(execute_external=False)\n"
         "config.suffixes = [\".test\"]\n"
         "config.test_source_root = os.path.dirname(__file__)\n"
         "config.test_exec_root = os.path.join(config.test_source_root, "
         "\"out\")\n"
         "clade = os.environ.get(\"CLADE\", \"" +
         clade +
         "\")\n"
         "config.substitutions.append((\"%clade\", clade))\n"
         "for name in \"HOME\", \"CLADE_CACHE\", \"CLADE_PYTHON\":\n"
         "    if name in os.environ:\n"
         "        config.environment[name] = os.environ[name]\n";
}

static std::string specTest(const std::string &name,
                            const std::string &checkpoint) {
  return "# The spec of the family: canonical, of consistent types, complete, "
         "and right about the tensors of a checkpoint.\n"
         "RUN: %clade format --check %S/" +
         name +
         ".spec\n"
         "RUN: %clade check %S/" +
         name +
         ".spec\n"
         "RUN: %clade inspect " +
         checkpoint + " --spec %S/" + name +
         ".spec\n"
         "RUN: %clade verify " +
         checkpoint + " --spec %S/" + name + ".spec --tokens 12\n";
}

static std::string parityTest(const std::string &name,
                              const std::string &checkpoint) {
  return "# Logits of the compiled code and of the interpreter beside those of "
         "the published implementation.\n"
         "RUN: %clade verify " +
         checkpoint + " --spec %S/" + name +
         ".spec --against transformers --tokens 12\n";
}

static bool isName(llvm::StringRef name) {
  return !name.empty() && !llvm::isDigit(name.front()) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

static int run(const NewOptions &options) {
  if (!isName(options.name))
    return fail("expected letters, digits and '_' as the name of a family, got "
                "'" +
                options.name + "'"),
           Usage;
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  import::SpecLibrary &library = environment.getLibrary();
  if (library.findFamily(options.name))
    return fail("there is a family '" + options.name + "' already");
  const spec::FamilyDecl *like = nullptr;
  if (!options.like.empty()) {
    std::vector<std::string> names;
    for (const spec::FamilyDecl *family : library.getFamilies())
      names.push_back(family->name.name.str());
    like = library.findFamily(options.like);
    if (!like)
      return fail("no family '" + options.like + "'" +
                  import::SpecLibrary::hint(options.like, names));
  }
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.checkpoint);
  if (!checkpoint)
    return Failed;
  if (checkpoint->gguf())
    return fail("expected a folder with config.json: the names in a GGUF file "
                "are not those of a publisher");
  auto config = import::loadConfig(library, *checkpoint);
  if (failed(config))
    return Failed;
  auto draft = onboard::draftFamily(library, **config, checkpoint->ownTensors(),
                                    options.name, like);
  if (failed(draft))
    return Failed;
  if (std::error_code error = llvm::sys::fs::create_directories(options.folder))
    return fail("cannot make the folder '" + options.folder +
                "': " + error.message());
  llvm::SmallString<128> place(options.checkpoint);
  llvm::sys::fs::make_absolute(place);
  std::string path = options.folder + "/" + options.name;
  if (int status = writeFile(path + ".spec", draft->text); status != Done)
    return status;
  if (int status =
          writeFile(path + ".test", specTest(options.name, place.str().str()));
      status != Done)
    return status;
  if (int status = writeFile(path + "-parity.test",
                             parityTest(options.name, place.str().str()));
      status != Done)
    return status;
  std::string lit = options.folder + "/lit.cfg.py";
  if (!llvm::sys::fs::exists(lit))
    if (int status = writeFile(
            lit, litConfig(llvm::sys::fs::getMainExecutable(nullptr, nullptr)));
        status != Done)
      return status;
  if (options.verbose)
    for (const std::string &step : draft->steps)
      llvm::outs() << "kept: " << step << "\n";
  llvm::outs() << path << ".spec: "
               << (draft->questions == 0
                       ? std::string("complete")
                       : std::to_string(draft->questions) +
                             (draft->questions == 1 ? " open question"
                                                    : " open questions"))
               << "\n";
  for (const std::string &question : draft->fitting.probe.questions)
    llvm::outs() << "  " << question << "\n";
  return Done;
}

void driver::addNewCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "new", "Draft the spec of a checkpoint that no family serves");
  command->footer(
      "Derives a family from the nearest one: blocks of other families, keys "
      "under other names, names of tensors.\n"
      "Each step is tried on the configuration and the header, and kept if "
      "less "
      "is left to settle. What is left\n"
      "stands in the text as todo(\"…\") with the evidence, which 'clade "
      "check' "
      "accepts and 'clade compile' refuses.\n"
      "Writes NAME.spec, NAME.test, NAME-parity.test and lit.cfg.py; 'lit DIR' "
      "runs the tests.");
  auto options = std::make_shared<NewOptions>();
  command->add_option("name", options->name, "The name of the new family")
      ->required();
  command
      ->add_option("--from", options->checkpoint,
                   "A folder with config.json and safetensors")
      ->required();
  command->add_option("--like", options->like,
                      "Derive from this family instead of the nearest one");
  command->add_option("-o,--output", options->folder,
                      "The folder of the spec and its tests");
  command->add_flag("--verbose", options->verbose,
                    "Print the steps that were kept");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
