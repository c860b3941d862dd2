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
static constexpr llvm::StringLiteral methodKey = "quant_method";
static constexpr llvm::StringLiteral familyPrefix = "quantised_";

Quantisation::Quantisation(const SpecLibrary &library,
                           const spec::FamilyDecl *decl, const Config &config,
                           const nlohmann::json &object, const std::string &key,
                           const ImportOptions &options)
    : config(config), object(object), key(key), family(library, decl),
      evaluator(family, &config, Record{&object, key + "."}, nullptr,
                ModuleOp(), options) {}

namespace {
/// What says how weights are stored, and under which key.
struct Found {
  const nlohmann::json *object = nullptr;
  std::string key;
};
} // namespace

static const nlohmann::json *memberOf(const nlohmann::json &object) {
  auto it = object.is_object() ? object.find(configKey.str()) : object.end();
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

/// The configuration's own, or that of a part, such as 'text_config'; several
/// must say the same.
static FailureOr<Found> findForm(const Config &config) {
  Found found{memberOf(config.json()), configKey.str()};
  for (const auto &[part, object] : config.json().items()) {
    const nlohmann::json *form = memberOf(object);
    std::string key = part + "." + configKey.str();
    if (!form || part == configKey)
      continue;
    if (found.object && *found.object != *form)
      return emitError(config.locationOf(key))
             << "expected '" << key << "' to be as '" << found.key
             << "', got something else";
    if (!found.object)
      found = {form, key};
  }
  return found;
}

FailureOr<std::unique_ptr<Quantisation>>
Quantisation::read(const SpecLibrary &library, const Config &config,
                   const ImportOptions &options) {
  FailureOr<Found> found = findForm(config);
  if (failed(found))
    return failure();
  if (!found->object)
    return std::unique_ptr<Quantisation>();
  const nlohmann::json &object = *found->object;
  const std::string &key = found->key;
  auto method =
      object.is_object() ? object.find(methodKey.str()) : object.end();
  if (!object.is_object() || method == object.end() || !method->is_string())
    return emitError(config.locationOf(key))
           << "expected '" << key << "' to be an object with a "
           << "'quant_method', got " << object.dump();
  std::string name = (familyPrefix + method->get<std::string>()).str();
  std::replace(name.begin(), name.end(), '-', '_');
  const spec::FamilyDecl *decl = library.findFamily(name);
  if (!decl) {
    InFlightDiagnostic diagnostic =
        emitError(config.locationOf(key + "." + methodKey.str()))
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
      new Quantisation(library, decl, config, object, key, options));
  const Family *reader = &form->family;
  if (failed(checkAllKeysRead(reader, config, key)) ||
      failed(form->evaluator.checkRequirements()))
    return failure();
  return form;
}

LogicalResult Quantisation::checkUsed(ModuleOp module) const {
  WalkResult walked =
      module.walk([](wmap::ScaleOp) { return WalkResult::interrupt(); });
  if (walked.wasInterrupted())
    return success();
  return emitError(config.locationOf(key + "." + methodKey.str()))
         << "the configuration says that weights are stored as "
         << object[methodKey.str()].dump()
         << ", but the checkpoint has no tensors of that form";
}
