//===- Quantisation.cpp - Families of published quantised forms -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Quantisation.h"

#include "lib/Import/Reach.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

static constexpr llvm::StringLiteral configKey = "quantization_config";
static constexpr llvm::StringLiteral methodKey =
    "quantization_config.quant_method";
static constexpr llvm::StringLiteral familyPrefix = "quantised_";

Quantisation::Quantisation(const SpecLibrary &library,
                           const spec::FamilyDecl *decl, const Config &config,
                           const ImportOptions &options)
    : config(config), family(library, decl),
      evaluator(family, &config,
                Record{&config.json()[configKey.str()], configKey.str() + "."},
                nullptr, ModuleOp(), options) {}

FailureOr<std::unique_ptr<Quantisation>>
Quantisation::read(const SpecLibrary &library, const Config &config,
                   const ImportOptions &options) {
  auto it = config.json().find(configKey.str());
  if (it == config.json().end() || it->is_null())
    return std::unique_ptr<Quantisation>();
  auto method = it->is_object() ? it->find("quant_method") : it->end();
  if (!it->is_object() || method == it->end() || !method->is_string())
    return emitError(config.locationOf(configKey))
           << "expected '" << configKey << "' to be an object with a "
           << "'quant_method', got " << it->dump();
  std::string name = (familyPrefix + method->get<std::string>()).str();
  std::replace(name.begin(), name.end(), '-', '_');
  const spec::FamilyDecl *decl = library.findFamily(name);
  if (!decl) {
    InFlightDiagnostic diagnostic =
        emitError(config.locationOf(methodKey))
        << "no family '" << name << "' says how weights of the method '"
        << method->get<std::string>() << "' are stored; there are ";
    std::vector<StringRef> known;
    for (const spec::FamilyDecl *other : library.getFamilies())
      if (other->name.name.starts_with(familyPrefix))
        known.push_back(other->name.name);
    llvm::interleaveComma(known, diagnostic, [&](StringRef other) {
      diagnostic << "'" << other << "'";
    });
    return diagnostic;
  }
  std::unique_ptr<Quantisation> form(
      new Quantisation(library, decl, config, options));
  const Family *reader = &form->family;
  if (failed(checkAllKeysRead(reader, config, configKey)) ||
      failed(form->evaluator.checkRequirements()))
    return failure();
  return form;
}

LogicalResult Quantisation::checkUsed(ModuleOp module) const {
  WalkResult walked =
      module.walk([](wmap::ScaleOp) { return WalkResult::interrupt(); });
  if (walked.wasInterrupted())
    return success();
  return emitError(config.locationOf(methodKey))
         << "the configuration says that weights are stored as "
         << config.json()[configKey.str()]["quant_method"].dump()
         << ", but the checkpoint has no tensors of that form";
}
