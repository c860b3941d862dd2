//===- DiffCommand.cpp - clade diff ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"
#include "tools/clade/TinyConfig.h"

#include "lib/Check/TypeChecker.h"
#include "lib/Diff/FamilyDiff.h"
#include "lib/Import/Reach.h"

#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using diff::Change;
using nlohmann::json;

namespace {
struct DiffOptions {
  SpecOptions specs;
  std::string from, to, config;
  bool asJson = false;
};
} // namespace

static const spec::FamilyDecl *findFamily(const import::SpecLibrary &library,
                                          const std::string &name) {
  if (const spec::FamilyDecl *family = library.findFamily(name))
    return family;
  std::vector<std::string> names;
  for (const spec::FamilyDecl *family : library.getFamilies())
    names.push_back(family->name.name.str());
  fail("no family '" + name + "'" + import::SpecLibrary::hint(name, names));
  return nullptr;
}

/// The keys of a configuration that a family reads: the others are reported as
/// differences, not refused.
static json keysRead(const import::SpecLibrary &library,
                     const spec::FamilyDecl *decl, const json &config) {
  import::Family family(library, decl);
  import::Reach reach(family);
  reach.walkFamily();
  bool hasParts = llvm::any_of(family.getChain(),
                               [](auto *one) { return !one->parts.empty(); });
  if (hasParts) // Whose keys may stand anywhere.
    return config;
  json read = json::object();
  for (const auto &[key, value] : config.items())
    if (reach.mentionsKey(key) || key == "architectures")
      read[key] = value;
  return read;
}

static const char *wordOf(Change::Kind kind) {
  switch (kind) {
  case Change::Kind::Added:
    return "added";
  case Change::Kind::Removed:
    return "removed";
  case Change::Kind::Changed:
    return "changed";
  }
  return "";
}

/// {"from": NAME, "to": NAME, "same": BOOL, "summary": TEXT, "notes": [...],
/// SECTION: [{"change": WORD, "name": …, "from": …, "to": …, "where": …}, …]}
static void printJson(const DiffOptions &options,
                      const diff::FamilyDiff &diff) {
  json object = {{"from", options.from},
                 {"to", options.to},
                 {"same", diff.isEmpty()},
                 {"summary", diff.summary},
                 {"notes", diff.notes}};
  for (const diff::Section &section : diff.sections) {
    json &list = object[section.name] = json::array();
    for (const Change &change : section.changes) {
      json entry = {{"change", wordOf(change.kind)}, {"name", change.name}};
      if (!change.from.empty())
        entry["from"] = change.from;
      if (!change.to.empty())
        entry["to"] = change.to;
      if (!change.where.empty())
        entry["where"] = change.where;
      list.push_back(std::move(entry));
    }
  }
  llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
               << "\n";
}

static void printChange(const Change &change, llvm::raw_ostream &os) {
  switch (change.kind) {
  case Change::Kind::Added:
    os << "  + " << change.name;
    break;
  case Change::Kind::Removed:
    os << "  - " << change.name;
    break;
  case Change::Kind::Changed:
    os << "  ~ " << change.name;
    break;
  }
  bool isBoth = !change.from.empty() && !change.to.empty();
  if (isBoth || !change.from.empty() || !change.to.empty())
    os << ": ";
  os << change.from << (isBoth ? " -> " : "") << change.to << "\n";
}

/// Names of one kind of change on one line: '+ read: a, b'.
static void printTogether(llvm::ArrayRef<Change> changes,
                          llvm::raw_ostream &os) {
  for (Change::Kind kind :
       {Change::Kind::Added, Change::Kind::Removed, Change::Kind::Changed}) {
    std::map<std::string, Change> lines;
    for (const Change &change : changes) {
      if (change.kind != kind)
        continue;
      Change &line = lines[change.from + ">" + change.to];
      bool isBoth = !change.from.empty() && !change.to.empty();
      line.kind = kind;
      line.to += (line.to.empty() ? "" : ", ") + change.name;
      line.name = change.from + (isBoth ? " -> " : "") + change.to;
    }
    for (const auto &[key, line] : lines)
      printChange(line, os);
  }
}

static void printText(const diff::FamilyDiff &diff) {
  llvm::raw_ostream &os = llvm::outs();
  os << diff.summary << "\n";
  for (const diff::Section &section : diff.sections) {
    if (section.changes.empty())
      continue;
    std::string where;
    os << "\n" << section.title << "\n";
    if (section.name == "keys") {
      printTogether(section.changes, os);
      continue;
    }
    for (const Change &change : section.changes) {
      if (change.where != where)
        os << " in " << change.where << "\n";
      where = change.where;
      printChange(change, os);
    }
  }
  for (const std::string &note : diff.notes)
    os << "\nnote: " << note << "\n";
}

static int run(const DiffOptions &options) {
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  import::SpecLibrary &library = environment.getLibrary();
  const spec::FamilyDecl *from = findFamily(library, options.from);
  const spec::FamilyDecl *to = findFamily(library, options.to);
  if (!from || !to)
    return Failed;
  check::TypeChecker checker(library);
  bool areSound = succeeded(checker.check(from));
  areSound &= succeeded(checker.check(to));
  if (!areSound)
    return Failed;
  json given;
  if (!options.config.empty()) {
    auto buffer = llvm::MemoryBuffer::getFile(options.config, /*IsText=*/true);
    if (!buffer)
      return fail("cannot read '" + options.config +
                  "': " + buffer.getError().message());
    auto config = import::Config::parse((*buffer)->getBuffer(), options.config,
                                        library.getSourceMgr(),
                                        &environment.getContext());
    if (failed(config))
      return Failed;
    given = (*config)->json();
  }
  auto configFor =
      [&](const spec::FamilyDecl *family) -> std::unique_ptr<import::Config> {
    json config = given.is_null() ? tinyConfig(library, *family)
                                  : keysRead(library, family, given);
    auto parsed = import::Config::parse(
        config.dump(2, ' ', false, json::error_handler_t::replace),
        given.is_null() ? "<configuration>" : options.config,
        library.getSourceMgr(), &environment.getContext());
    return failed(parsed) ? nullptr : std::move(*parsed);
  };
  diff::FamilyDiff diff = diff::compareFamilies(library, from, to, configFor,
                                                /*areGiven=*/!given.is_null());
  if (options.asJson)
    printJson(options, diff);
  else
    printText(diff);
  return Done;
}

void driver::addDiffCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "diff", "The difference in meaning of two families, not in text");
  command->footer(
      "'+' is only in the second family, '-' only in the first, '~' in both "
      "but "
      "not the same. Blocks are followed to\n"
      "what they compute: other words for the same thing are no difference. "
      "Without --config, all branches are\n"
      "compared, and published tensors for a small configuration (*: any "
      "number); with it, what that model computes, layer by layer.\n"
      "Example:  clade diff qwen2 qwen3");
  auto options = std::make_shared<DiffOptions>();
  command->add_option("from", options->from, "A family: see 'clade list'")
      ->required();
  command->add_option("to", options->to, "Another one")->required();
  command
      ->add_option("--config", options->config,
                   "A config.json whose values choose branches")
      ->check(CLI::ExistingFile);
  command->add_flag("--json", options->asJson, "Print one JSON object");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
