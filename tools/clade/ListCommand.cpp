//===- ListCommand.cpp - clade list ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "lib/Import/Reach.h"
#include "lib/Spec/Walk.h"

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

/// What a family's computation calls, and its parts', and what it requires of a
/// configuration.
struct Use {
  std::set<std::string> calls;
  std::vector<std::string> requirements;
  bool hasImages = false;
  bool isCausal = false; ///< Some attention looks back only.
};

static void addUse(const import::SpecLibrary &library,
                   const spec::FamilyDecl &decl, const std::string &prefix,
                   int depth, Use &use) {
  constexpr int most = 8;
  import::Family family(library, &decl);
  import::Reach reach(family);
  reach.walkFamily();
  for (llvm::StringRef name : {"attend", "near", "rope", "alibi", "scan", "mix",
                               "causal_conv", "put_at", "add_at"})
    if (reach.calls(name))
      use.calls.insert(name.str());
  use.isCausal |= reach.mentionsName("causal");
  for (const spec::FamilyDecl *owner : family.getChain()) {
    if (owner->config)
      for (const spec::RequireDecl *one : owner->config->requirements)
        if (reach.concerns(one))
          use.requirements.push_back(prefix + spec::toString(*one->condition));
    for (const spec::PartDecl *part : owner->parts)
      if (const spec::FamilyDecl *inner = library.findFamily(part->family.name);
          inner && depth < most)
        addUse(library, *inner, part->name.name.str() + ": ", depth + 1, use);
  }
  import::FoundBlock image = family.findBlock("image");
  use.hasImages |= image && image.decl->isEntry;
}

/// 'dense', or what there is beside or instead of attention that looks back and
/// a dense network: 'encoder', 'hybrid' or 'recurrent', 'experts', 'images'.
static std::string kindOf(const Use &use) {
  std::string kind;
  auto add = [&](llvm::StringRef word) {
    kind += (kind.empty() ? "" : ", ") + word.str();
  };
  if (use.calls.count("attend") && !use.isCausal)
    add("encoder");
  if (use.calls.count("scan"))
    add(use.calls.count("attend") ? "hybrid" : "recurrent");
  if (use.calls.count("mix"))
    add("experts");
  if (use.hasImages)
    add("images");
  return kind.empty() ? "dense" : kind;
}

static json featuresOf(const Use &use) {
  json features = json::array();
  for (auto [call, feature] :
       {std::pair("attend", "attention"), std::pair("near", "windows"),
        std::pair("rope", "rotary positions"), std::pair("alibi", "ALiBi"),
        std::pair("scan", "recurrence"),
        std::pair("causal_conv", "convolution"), std::pair("mix", "experts")})
    if (use.calls.count(call))
      features.push_back(feature);
  if (use.hasImages)
    features.push_back("images");
  return features;
}

/// The architectures that the names of GGUF files lead to.
static std::set<std::string>
servedFromGGUF(const import::SpecLibrary &library) {
  std::set<std::string> names;
  const spec::FamilyDecl *gguf = library.findFamily("gguf");
  if (!gguf || !gguf->config)
    return names;
  for (const spec::FieldDecl *field : gguf->config->fields)
    if (field->name.name == "architectures")
      spec::walk(
          *field->value,
          [&](const spec::Expr &expr) {
            if (auto *list = llvm::dyn_cast<spec::ListExpr>(&expr))
              for (const spec::Arg &arg : list->args)
                if (auto *text = llvm::dyn_cast<spec::StringExpr>(arg.value))
                  names.insert(text->value.str());
          },
          [](const spec::Stmt &) {});
  return names;
}

static json describe(const import::SpecLibrary &library,
                     const spec::FamilyDecl &family) {
  json uses = json::array(), architectures = json::array(), own = json::array();
  for (const spec::UseDecl *use : family.uses)
    for (const spec::Identifier &name : use->names)
      uses.push_back((use->family.name + "." + name.name).str());
  bool isInGGUF = false;
  const std::set<std::string> gguf = servedFromGGUF(library);
  for (const spec::Identifier &name : family.serves->names) {
    architectures.push_back(name.name.str());
    isInGGUF |= gguf.count(name.name.str()) > 0 && !family.serves->condition;
  }
  for (const spec::BlockDecl *block : family.blocks)
    own.push_back(block->name.name.str());
  Use use;
  addUse(library, family, "", 0, use);
  return {{"name", family.name.name.str()},
          {"base", family.base ? json(family.base->name.str()) : json()},
          {"uses", uses},
          {"architectures", architectures},
          {"serves_if", family.serves->condition
                            ? json(spec::toString(*family.serves->condition))
                            : json()},
          {"reference",
           family.reference ? json(family.reference->name.name.str()) : json()},
          {"blocks", own},
          {"lines", linesOf(family)},
          {"file", library.getPath(&family).str()},
          {"kind", kindOf(use)},
          {"features", featuresOf(use)},
          {"requires", use.requirements},
          {"gguf", isInGGUF},
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
  os << llvm::format("%-15s %-12s %5s  %-16s %s\n", "family", "from", "lines",
                     "kind", "serves");
  for (const json &family : families) {
    std::string name = family["name"],
                base = family["base"].is_null()
                           ? ""
                           : family["base"].get<std::string>(),
                kind = family["kind"];
    os << llvm::format("%-15s %-12s %5d  %-16s %s", name.c_str(), base.c_str(),
                       family["lines"].get<int>(), kind.c_str(),
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
                  "family after 'from'.\n"
                  "With --json also features, and as limits what a family "
                  "requires of a configuration.");
  auto options = std::make_shared<ListOptions>();
  command->add_flag("--json", options->asJson, "Print a JSON list of objects");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
