//===- ListCommand.cpp - clade list ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using nlohmann::json;

namespace {
struct ListOptions {
  SpecOptions specs;
  bool asJson = false;
};
} // namespace

/// Lines of the family's text, from its name to its last brace.
static size_t linesOf(const spec::FamilyDecl &family) {
  llvm::SMRange range = family.getRange();
  llvm::StringRef text(range.Start.getPointer(),
                       range.End.getPointer() - range.Start.getPointer());
  return text.rtrim().count('\n') + 1;
}

static json describe(const import::SpecLibrary &library,
                     const spec::FamilyDecl &family) {
  json uses = json::array(), architectures = json::array(), own = json::array();
  for (const spec::UseDecl *use : family.uses)
    for (const spec::Identifier &name : use->names)
      uses.push_back((use->family.name + "." + name.name).str());
  for (const spec::Identifier &name : family.serves->names)
    architectures.push_back(name.name.str());
  for (const spec::BlockDecl *block : family.blocks)
    own.push_back(block->name.name.str());
  return {{"name", family.name.name.str()},
          {"base", family.base ? json(family.base->name.str()) : json()},
          {"uses", uses},
          {"architectures", architectures},
          {"reference",
           family.reference ? json(family.reference->name.name.str()) : json()},
          {"blocks", own},
          {"lines", linesOf(family)},
          {"file", library.getPath(&family).str()},
          {"targets", json::array({"cpu"})},
          {"dtypes", json::array({"f32", "bf16"})}};
}

static std::string joined(const json &names) {
  std::string text;
  for (const json &name : names)
    text += (text.empty() ? "" : ", ") + name.get<std::string>();
  return text;
}

static void printTable(const json &families) {
  llvm::raw_ostream &os = llvm::outs();
  os << llvm::format("%-14s %-10s %5s  %s\n", "family", "from", "lines",
                     "serves");
  for (const json &family : families) {
    std::string name = family["name"],
                base = family["base"].is_null()
                           ? ""
                           : family["base"].get<std::string>();
    os << llvm::format("%-14s %-10s %5d  %s", name.c_str(), base.c_str(),
                       family["lines"].get<int>(),
                       joined(family["architectures"]).c_str());
    if (!family["uses"].empty())
      os << "  (uses " << joined(family["uses"]) << ")";
    os << "\n";
  }
}

static int run(const ListOptions &options) {
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  json families = json::array();
  // A family that serves nothing is a part for others, or names of a container.
  for (const spec::FamilyDecl *family : environment.getLibrary().getFamilies())
    if (family->serves)
      families.push_back(describe(environment.getLibrary(), *family));
  if (options.asJson)
    llvm::outs() << families.dump(2, ' ', false, json::error_handler_t::replace)
                 << "\n";
  else
    printTable(families);
  return Done;
}

void driver::addListCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "list", "List the families and the architectures that they serve");
  command->footer("Families are read from Clade's specs and from yours "
                  "(--spec, --specs). 'lines' is the length of a\n"
                  "family's own text; what it does not say comes from the "
                  "family after 'from'.");
  auto options = std::make_shared<ListOptions>();
  command->add_flag("--json", options->asJson, "Print a JSON list of objects");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
