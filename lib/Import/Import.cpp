//===- Import.cpp - From spec and checkpoint to a module ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Import.h"

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/Evaluator.h"
#include "lib/Import/GGUFConfig.h"
#include "lib/Import/Quantisation.h"
#include "lib/Import/Reach.h"
#include "mlir/IR/Verifier.h"
#include "runtime/Support/RandomReads.h"
#include "llvm/ADT/MapVector.h"

#include <algorithm>

using namespace clade;
using namespace clade::import;
using namespace mlir;

FailureOr<std::unique_ptr<Config>>
import::loadConfig(SpecLibrary &library, const rt::Checkpoint &checkpoint) {
  if (checkpoint.gguf())
    return configFromGGUF(library, checkpoint);
  std::string name = checkpoint.path() + "/config.json";
  return Config::parse(checkpoint.configText().value_or(""), name,
                       library.getSourceMgr(), library.getContext());
}

FailureOr<bool> import::servesConfig(const SpecLibrary &library,
                                     const spec::FamilyDecl *decl,
                                     const Config &config) {
  const spec::Expr *condition =
      decl->serves ? decl->serves->condition : nullptr;
  if (!condition)
    return true;
  Family family(library, decl);
  Evaluator evaluator(family, &config, config.record(), nullptr, ModuleOp(),
                      ImportOptions{Float32Type::get(library.getContext())});
  FailureOr<SpecValue> value =
      evaluator.evalConfig(condition, Frame::Context::Config, {}, {});
  if (failed(value))
    return failure();
  // A key that is not there has no value to compare.
  if (value->is(SpecValue::Kind::Absent))
    return false;
  if (value->is(SpecValue::Kind::Bool))
    return value->boolean;
  return emitError(condition->getLoc())
         << "expected true or false, got " << value->describe();
}

FailureOr<const spec::FamilyDecl *>
import::findFamily(const SpecLibrary &library, const Config &config) {
  auto it = config.json().find("architectures");
  Location loc = config.locationOf("architectures");
  if (it == config.json().end() || !it->is_array() || it->empty() ||
      !(*it)[0].is_string())
    return emitError(loc)
           << "expected 'architectures' to be a list of at least one name";
  std::string architecture = (*it)[0];
  std::vector<const spec::FamilyDecl *> serving =
      library.findServing(architecture);
  for (const spec::FamilyDecl *decl : serving) {
    FailureOr<bool> serves = servesConfig(library, decl, config);
    if (failed(serves))
      return failure();
    if (*serves)
      return decl;
  }
  if (!serving.empty()) {
    InFlightDiagnostic diagnostic = emitError(loc)
                                    << "no family serves '" << architecture
                                    << "' with this configuration";
    for (const spec::FamilyDecl *decl : serving)
      diagnostic.attachNote(decl->serves->condition->getLoc())
          << "family '" << decl->name.name << "' wants this";
    return diagnostic;
  }
  std::vector<std::string> served;
  for (const spec::FamilyDecl *decl : library.getFamilies())
    if (decl->serves)
      for (const spec::Identifier &name : decl->serves->names)
        served.push_back(name.name.str());
  return emitError(loc) << "no family serves '" << architecture << "'"
                        << SpecLibrary::hint(architecture, served);
}

static bool areAll(ArrayRef<rt::StoredTensor> tensors,
                   ArrayRef<rt::DType> types) {
  return llvm::all_of(tensors, [&](const rt::StoredTensor &tensor) {
    return llvm::is_contained(types, tensor.dtype);
  });
}

/// The type that the model computes in: as asked, or the checkpoint's own. What
/// was published in f16 is computed in f32, which holds all of its numbers.
static FailureOr<Type> chooseDType(MLIRContext *context, StringRef asked,
                                   const Config &config,
                                   ArrayRef<rt::StoredTensor> tensors) {
  Type f32 = Float32Type::get(context), bf16 = BFloat16Type::get(context);
  if (asked == "bf16" || asked == "f32")
    return asked == "f32" ? f32 : bf16;
  if (!asked.empty())
    return emitError(config.locationOf(""))
           << "expected the type bf16 or f32, got '" << asked << "'";
  for (const char *key : {"dtype", "torch_dtype"}) {
    auto it = config.json().find(key);
    if (it == config.json().end() || it->is_null())
      continue;
    if (*it == "float32" || *it == "bfloat16" || *it == "float16")
      return *it == "bfloat16" ? bf16 : f32;
    return emitError(config.locationOf(key))
           << "expected \"float32\", \"bfloat16\" or \"float16\" as '" << key
           << "', got " << it->dump();
  }
  return areAll(tensors, {rt::DType::F32, rt::DType::F16}) ? f32 : bf16;
}

/// Tensors that the family takes from elsewhere must hold the same bits.
static LogicalResult checkDuplicates(const WeightResolver &weights,
                                     ArrayRef<rt::StoredTensor> tensors) {
  for (const auto &[held, source, loc] : weights.getDuplicates()) {
    const rt::StoredTensor *a = rt::findTensor(tensors, held),
                           *b = rt::findTensor(tensors, source);
    bool same = a && b && a->dtype == b->dtype && a->shape == b->shape;
    if (same) {
      rt::willNeed(a->bytes);
      rt::willNeed(b->bytes);
      same = std::ranges::equal(a->bytes, b->bytes);
    }
    if (!same)
      return emitError(loc) << "tensor '" << held << "' is tied to '" << source
                            << "' by the configuration, but the checkpoint "
                               "holds other values for it";
  }
  return success();
}

/// Builds the module of a family for a configuration.
static LogicalResult buildModule(const Family &family, const Config &config,
                                 WeightResolver &weights,
                                 const ImportOptions &options,
                                 ImportedModel &model) {
  model.family = family.getName().str();
  model.dtype = options.modelType.isF32() ? "f32" : "bf16";
  auto names = config.json().find("architectures");
  if (names != config.json().end() && names->is_array() && !names->empty() &&
      names->front().is_string())
    model.architecture = names->front();
  model.module = ModuleOp::create(config.locationOf(""));
  OpBuilder builder(options.modelType.getContext());
  (*model.module)->setAttr("clade.family", builder.getStringAttr(model.family));
  (*model.module)->setAttr("clade.dtype", TypeAttr::get(options.modelType));
  Evaluator evaluator(family, &config, config.record(), &weights, *model.module,
                      options);
  weights.setEvaluator(&evaluator);
  if (failed(evaluator.makeParts()))
    return failure();
  std::vector<FamilyInstance *> instances;
  evaluator.getRoot().collect(instances);
  llvm::MapVector<StringRef, SmallVector<const Family *>> readers;
  bool isOpen = false;
  for (FamilyInstance *part : instances)
    isOpen |= failed(checkNoOpenQuestions(part->family));
  if (isOpen)
    return failure();
  for (FamilyInstance *part : instances)
    readers[StringRef(part->record.path).rtrim('.')].push_back(&part->family);
  for (const auto &[object, families] : readers)
    if (failed(checkAllKeysRead(families, config, object)))
      return failure();
  return success(succeeded(evaluator.checkRequirements()) &&
                 succeeded(evaluator.buildImages()) &&
                 succeeded(evaluator.buildForward()) &&
                 succeeded(weights.checkAllUsed()) &&
                 succeeded(weights.checkAdapterUsed()) &&
                 succeeded(verify(*model.module)));
}

static void loadDialects(SpecLibrary &library) {
  library.getContext()
      ->loadDialect<CladeDialect, wmap::WMapDialect, func::FuncDialect>();
}

FailureOr<ImportedModel>
import::importFamily(SpecLibrary &library, const spec::FamilyDecl *decl,
                     std::unique_ptr<Config> config,
                     std::optional<ArrayRef<rt::StoredTensor>> tensors,
                     StringRef dtype, const rt::Adapter *adapter,
                     AdapterPlaces places) {
  loadDialects(library);
  ImportedModel model;
  model.config = std::move(config);
  ArrayRef<rt::StoredTensor> published =
      tensors.value_or(ArrayRef<rt::StoredTensor>());
  FailureOr<Type> type =
      chooseDType(library.getContext(), dtype, *model.config, published);
  if (failed(type))
    return failure();
  ImportOptions options{*type, places};
  Family family(library, decl);
  // Without tensors a family is computed with plain ones.
  std::unique_ptr<Quantisation> form;
  if (tensors) {
    auto named = Quantisation::read(library, *model.config, options);
    if (failed(named))
      return failure();
    form = std::move(*named);
  }
  std::vector<const Family *> containers;
  if (form)
    containers.push_back(&form->getFamily());
  WeightResolver weights(family, published, containers);
  weights.setAdapter(adapter);
  if (form)
    weights.setContainerEvaluators({&form->getEvaluator()});
  if (!tensors)
    weights.inventTensors(rt::DType::F32);
  if (failed(buildModule(family, *model.config, weights, options, model)) ||
      failed(checkDuplicates(weights, published)) ||
      (form && failed(form->checkUsed(*model.module))))
    return failure();
  return model;
}

FailureOr<ImportedModel>
import::importGGUFForm(SpecLibrary &library, const spec::FamilyDecl *decl,
                       std::unique_ptr<Config> config,
                       const nlohmann::json &contents) {
  loadDialects(library);
  ImportedModel model;
  model.config = std::move(config);
  ImportOptions options{Float32Type::get(library.getContext())};
  Family family(library, decl);
  GGUFNames names(library, contents, options);
  if (failed(names.status()))
    return failure();
  WeightResolver weights(family, {}, {&names.getFamily()});
  weights.setContainerEvaluators({&names.getEvaluator()});
  weights.inventTensors(rt::DType::F32);
  if (failed(buildModule(family, *model.config, weights, options, model)))
    return failure();
  return model;
}

FailureOr<std::vector<PublishedTensor>>
import::publishedTensors(SpecLibrary &library, const spec::FamilyDecl *decl,
                         const Config &config) {
  loadDialects(library);
  ImportedModel model;
  Family family(library, decl);
  WeightResolver weights(family, {}, {});
  weights.inventTensors(rt::DType::F32);
  ImportOptions options{Float32Type::get(library.getContext())};
  if (failed(buildModule(family, config, weights, options, model)))
    return failure();
  std::vector<PublishedTensor> tensors;
  for (const auto &[name, shape] : weights.getInvented())
    tensors.push_back({name, shape});
  return tensors;
}

FailureOr<ImportedModel>
import::importCheckpoint(SpecLibrary &library, const rt::Checkpoint &checkpoint,
                         StringRef dtype, AdapterPlaces places) {
  loadDialects(library);
  // Headers are all that is read of most tensors, and contents of the smallest.
  rt::RandomReads reads(checkpoint.mappings());
  ImportedModel model;
  FailureOr<std::unique_ptr<Config>> config = loadConfig(library, checkpoint);
  if (failed(config))
    return failure();
  FailureOr<const spec::FamilyDecl *> decl = findFamily(library, **config);
  if (failed(decl))
    return failure();
  if (!checkpoint.gguf())
    return importFamily(library, *decl, std::move(*config),
                        ArrayRef(checkpoint.ownTensors()), dtype,
                        checkpoint.adapter(), places);
  model.config = std::move(*config);
  // Encodings are no types to compute in.
  FailureOr<Type> type = chooseDType(library.getContext(), dtype, *model.config,
                                     checkpoint.ownTensors());
  if (failed(type))
    return failure();
  ImportOptions options{*type, places};
  Family family(library, *decl);
  GGUFNames names(library, checkpoint, options);
  if (failed(names.status()))
    return failure();
  WeightResolver weights(family, checkpoint.ownTensors(), {&names.getFamily()});
  weights.setAdapter(checkpoint.adapter());
  weights.setContainerEvaluators({&names.getEvaluator()});
  if (failed(buildModule(family, *model.config, weights, options, model)) ||
      failed(checkDuplicates(weights, checkpoint.ownTensors())))
    return failure();
  return model;
}
