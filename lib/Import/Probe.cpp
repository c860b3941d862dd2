//===- Probe.cpp - How a family fits a checkpoint -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Probe.h"

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/Evaluator.h"
#include "lib/Import/Quantisation.h"
#include "lib/Import/Reach.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

namespace {
/// Takes the errors of a scope instead of printing them.
class ErrorsTaken {
public:
  ErrorsTaken(SpecLibrary &library, std::vector<std::string> &said)
      : library(library), said(said),
        handler(library.getContext(), [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
            take(diagnostic);
          return success();
        }) {}

private:
  void take(const Diagnostic &diagnostic) {
    std::string text;
    if (auto place =
            diagnostic.getLocation()->findInstanceOf<FileLineColLoc>()) {
      text = (llvm::sys::path::filename(place.getFilename().getValue()) + ":" +
              Twine(place.getLine()) + ": ")
                 .str();
      if (StringRef(diagnostic.str()).contains("this requirement"))
        text += lineOf(place).str() + ": ";
    }
    said.push_back(text + diagnostic.str());
  }
  /// The line of a text that is in the library.
  StringRef lineOf(FileLineColLoc place) const {
    llvm::SourceMgr &sources = library.getSourceMgr();
    for (unsigned id = sources.getNumBuffers(); id > 0; --id) {
      const llvm::MemoryBuffer *buffer = sources.getMemoryBuffer(id);
      if (buffer->getBufferIdentifier() != place.getFilename().getValue())
        continue;
      StringRef text = buffer->getBuffer();
      for (unsigned line = 1; line < place.getLine(); ++line)
        text = text.split('\n').second;
      return text.split('\n').first.trim();
    }
    return "";
  }

  SpecLibrary &library;
  std::vector<std::string> &said;
  ScopedDiagnosticHandler handler;
};
} // namespace

/// The keys of the configuration and of its parts that nobody reads.
static void probeKeys(Evaluator &evaluator, const Config &config,
                      Probe &probe) {
  std::vector<FamilyInstance *> instances;
  evaluator.getRoot().collect(instances);
  llvm::MapVector<StringRef, SmallVector<const Family *>> readers;
  for (FamilyInstance *part : instances)
    readers[StringRef(part->record.path).rtrim('.')].push_back(&part->family);
  for (const auto &[object, families] : readers)
    for (const std::string &key : unreadKeys(families, config, object))
      probe.unreadKeys.push_back(object.empty() ? key
                                                : object.str() + "." + key);
}

static void probeQuestions(const Family &family, Probe &probe) {
  Reach reach(family);
  reach.walkFamily();
  for (const spec::CallExpr *question : reach.getOpenQuestions())
    if (!question->args.empty())
      if (auto *text = dyn_cast<spec::StringExpr>(question->args[0].value))
        probe.questions.push_back(text->value.str());
}

static void probeFields(Evaluator &evaluator, const Family &family,
                        SpecLibrary &library, Probe &probe) {
  std::vector<std::string> said;
  ErrorsTaken silence(library, said);
  Reach reach(family);
  reach.walkFamily();
  std::set<std::string> seen;
  for (const std::string &name : family.fieldNames()) {
    if (!reach.mentionsField(name) || !seen.insert(name).second)
      continue;
    const spec::FieldDecl *field = family.findField(name);
    std::optional<int64_t> layer;
    if (field->index)
      layer = 0;
    auto value =
        evaluator.fieldOf(evaluator.getRoot(), name, layer, field->getLoc());
    if (failed(value) || value->is(SpecValue::Kind::Absent))
      probe.unknownFields.push_back(name);
  }
}

Probe import::probeFamily(SpecLibrary &library, const spec::FamilyDecl *decl,
                          const Config &config,
                          ArrayRef<rt::StoredTensor> tensors) {
  MLIRContext *context = library.getContext();
  context->loadDialect<CladeDialect, wmap::WMapDialect, func::FuncDialect>();
  Probe probe;
  probe.tensors = tensors.size();
  for (const rt::StoredTensor &tensor : tensors) // Until the family is built.
    probe.unused.push_back(&tensor);
  ErrorsTaken silence(library, probe.problems);
  ImportOptions options{Float32Type::get(context)};
  Family family(library, decl);
  probeQuestions(family, probe);
  auto quantised = Quantisation::read(library, config, options);
  std::unique_ptr<Quantisation> form;
  if (succeeded(quantised))
    form = std::move(*quantised);
  std::vector<const Family *> containers;
  if (form)
    containers.push_back(&form->getFamily());
  WeightResolver weights(family, tensors, containers);
  if (form)
    weights.setContainerEvaluators({&form->getEvaluator()});
  WeightProbe wanted;
  weights.setProbe(&wanted);
  OwningOpRef<ModuleOp> module = ModuleOp::create(config.locationOf(""));
  Evaluator evaluator(family, &config, config.record(), &weights, *module,
                      options);
  weights.setEvaluator(&evaluator);
  if (failed(evaluator.makeParts()))
    return probe;
  probeKeys(evaluator, config, probe);
  probeFields(evaluator, family, library, probe);
  {
    ErrorsTaken unmet(library, probe.requirements);
    if (failed(evaluator.checkRequirements()) && probe.requirements.empty())
      probe.problems.emplace_back("the requirements cannot be checked");
  }
  bool isBuilt =
      succeeded(evaluator.buildImages()) && succeeded(evaluator.buildForward());
  probe.missing = std::move(wanted.missing);
  probe.misshapen = std::move(wanted.misshapen);
  if (isBuilt && failed(weights.checkPartsUsed()))
    isBuilt = false;
  if (auto unused = weights.unusedTensors(); succeeded(unused))
    probe.unused = std::move(*unused);
  if (!isBuilt && probe.problems.empty())
    probe.problems.emplace_back("the family cannot be built");
  return probe;
}
