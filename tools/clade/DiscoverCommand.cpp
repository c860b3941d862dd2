//===- DiscoverCommand.cpp - clade discover -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"

#include "lib/Onboard/Fitting.h"
#include "lib/Onboard/Survey.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using nlohmann::json;
using onboard::Finding;
using onboard::Fitting;

namespace {
struct DiscoverOptions {
  SpecOptions specs;
  std::string checkpoint;
  unsigned families = 3;
  bool asJson = false;
};

/// What serves the checkpoint, and what is near it.
struct Discovery {
  onboard::Survey survey;
  const spec::FamilyDecl *serving = nullptr;
  std::vector<Fitting> nearest;
};
} // namespace

/// The family that serves the configuration, if one does; reports nothing.
static const spec::FamilyDecl *servingFamily(Environment &environment,
                                             const import::Config &config) {
  mlir::ScopedDiagnosticHandler silence(
      &environment.getContext(),
      [](mlir::Diagnostic &) { return mlir::success(); });
  auto family = import::findFamily(environment.getLibrary(), config);
  return succeeded(family) ? *family : nullptr;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static void printFindings(llvm::StringRef title,
                          llvm::ArrayRef<Finding> findings) {
  if (findings.empty())
    return;
  llvm::outs() << title << "\n";
  for (const Finding &one : findings) {
    llvm::outs() << llvm::formatv("  {0,-24} {1}", one.name, one.value);
    if (!one.evidence.empty() && one.evidence != one.name)
      llvm::outs() << "  (" << one.evidence << ")";
    llvm::outs() << "\n";
  }
}

static void printFitting(const Fitting &fitting) {
  llvm::raw_ostream &os = llvm::outs();
  const import::Probe &probe = fitting.probe;
  os << llvm::formatv("family '{0}': {1} of {2} tensors have a place",
                      fitting.family->name.name,
                      probe.tensors - fitting.unusedTensors(), probe.tensors);
  os << (probe.fits() ? ", nothing differs\n" : "\n");
  for (const std::string &problem : probe.problems)
    os << "  cannot be built: " << problem << "\n";
  for (const std::string &field : probe.unknownFields)
    os << "  no key tells field: " << field << "\n";
  for (const std::string &requirement : probe.requirements)
    os << "  requires: " << requirement << "\n";
  for (const std::string &question : probe.questions)
    os << "  open question: " << question << "\n";
  for (const std::string &key : probe.unreadKeys)
    os << "  key not read: " << key << "\n";
  for (const onboard::Pairing &pairing : fitting.pairings)
    os << "  other name: " << pairing.logical << " is " << pairing.equation
       << (pairing.certainty < 0.5 ? " (perhaps)\n" : "\n");
  for (const onboard::WeightGroup &group : fitting.misshapen)
    os << "  other shape: " << describe(group) << "\n";
  for (const onboard::WeightGroup &group : fitting.unpairedMissing)
    os << "  missing: " << describe(group) << "\n";
  for (const onboard::TensorGroup &group : fitting.unpairedUnused)
    os << "  not used: " << describe(group) << "\n";
}

static void printText(const DiscoverOptions &options,
                      const Discovery &discovery) {
  llvm::raw_ostream &os = llvm::outs();
  const onboard::Survey &survey = discovery.survey;
  os << options.checkpoint << ": ";
  for (const Finding &kind : survey.kinds)
    os << (&kind == survey.kinds.data() ? "" : ", ") << kind.value << " ("
       << kind.evidence << ")";
  os << "\n";
  os << survey.tensors << " tensors of " << survey.groups.size() << " kinds, "
     << survey.parameters << " elements\n";
  printFindings("configuration", survey.fields);
  printFindings("pieces", survey.pieces);
  os << "positions of rotary pairs, epsilons within a root and the order of "
        "norms and\nrotations stand in no header: 'clade verify' tells\n";
  if (discovery.serving)
    os << "served by\n";
  else if (!discovery.nearest.empty())
    os << "served by no family; the nearest\n";
  for (const Fitting &fitting : discovery.nearest)
    printFitting(fitting);
  if (!discovery.serving && !discovery.nearest.empty())
    os << "next: clade new NAME --from " << options.checkpoint << " -o DIR\n";
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static json toJson(llvm::ArrayRef<Finding> findings) {
  json list = json::array();
  for (const Finding &one : findings)
    list.push_back(
        {{"name", one.name}, {"value", one.value}, {"evidence", one.evidence}});
  return list;
}

static json toJson(const Fitting &fitting) {
  auto texts = [](const auto &groups) {
    json list = json::array();
    for (const auto &group : groups)
      list.push_back(describe(group));
    return list;
  };
  json pairings = json::array();
  for (const onboard::Pairing &pairing : fitting.pairings)
    pairings.push_back({{"weight", pairing.logical},
                        {"published", pairing.equation},
                        {"certainty", pairing.certainty}});
  const import::Probe &probe = fitting.probe;
  return {{"family", fitting.family->name.name.str()},
          {"fits", probe.fits()},
          {"tensors_placed", probe.tensors - fitting.unusedTensors()},
          {"tensors", probe.tensors},
          {"problems", probe.problems},
          {"requirements", probe.requirements},
          {"questions", probe.questions},
          {"unknown_fields", probe.unknownFields},
          {"unread_keys", probe.unreadKeys},
          {"other_names", pairings},
          {"other_shapes", texts(fitting.misshapen)},
          {"missing", texts(fitting.unpairedMissing)},
          {"unused", texts(fitting.unpairedUnused)},
          {"cost", fitting.cost}};
}

static void printJson(const Discovery &discovery) {
  json nearest = json::array();
  for (const Fitting &fitting : discovery.nearest)
    nearest.push_back(toJson(fitting));
  json object = {{"kinds", toJson(discovery.survey.kinds)},
                 {"tensors", discovery.survey.tensors},
                 {"parameters", discovery.survey.parameters},
                 {"fields", toJson(discovery.survey.fields)},
                 {"pieces", toJson(discovery.survey.pieces)},
                 {"served_by", discovery.serving
                                   ? json(discovery.serving->name.name.str())
                                   : json()},
                 {"nearest", nearest}};
  llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
               << "\n";
}

static int run(const DiscoverOptions &options) {
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.checkpoint);
  if (!checkpoint)
    return Failed;
  import::SpecLibrary &library = environment.getLibrary();
  auto config = import::loadConfig(library, *checkpoint);
  if (failed(config))
    return Failed;
  Discovery discovery;
  llvm::ArrayRef<rt::StoredTensor> tensors(checkpoint->ownTensors());
  discovery.survey = onboard::survey(**config, tensors);
  discovery.serving = servingFamily(environment, **config);
  // The names of a GGUF file are those of its container, not of a publisher.
  if (!checkpoint->gguf()) {
    if (discovery.serving)
      discovery.nearest.push_back(
          onboard::fit(library, discovery.serving, **config, tensors));
    else
      discovery.nearest = onboard::rankFamilies(library, **config, tensors);
    if (discovery.nearest.size() > options.families)
      discovery.nearest.resize(options.families);
  }
  if (options.asJson)
    printJson(discovery);
  else
    printText(options, discovery);
  return Done;
}

void driver::addDiscoverCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "discover", "Tell what a checkpoint is, and which family is near");
  command->footer(
      "Reads the configuration and the header of the tensors, no weights: what "
      "kind of model it is, its sizes,\n"
      "the pieces that it is made of, and the family that serves it. If none "
      "does, families in the order of what\n"
      "would be left to do, key by key and tensor by tensor.");
  auto options = std::make_shared<DiscoverOptions>();
  command
      ->add_option("checkpoint", options->checkpoint,
                   "A folder with config.json and safetensors, or a .gguf file")
      ->required();
  command
      ->add_option("--families", options->families,
                   "How many of the nearest families to print")
      ->check(CLI::Range(1u, 100u));
  command->add_flag("--json", options->asJson, "Print one JSON object");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
