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
#include "lib/Import/Reach.h"
#include "mlir/IR/Verifier.h"

#include <cstring>

using namespace clade;
using namespace clade::import;
using namespace mlir;

LogicalResult Evaluator::checkRequirements() {
  Reach reach(family);
  reach.walkFamily();
  bool ok = true;
  for (const spec::FamilyDecl *decl : family.getChain()) {
    if (!decl->config)
      continue;
    for (const spec::RequireDecl *requirement : decl->config->requirements) {
      if (!reach.concerns(requirement))
        continue;
      Reach mentioned(family);
      mentioned.walkRequirement(requirement);
      FailureOr<SpecValue> count = SpecValue::of(int64_t(1));
      bool perLayer = !mentioned.layerFields().empty();
      if (perLayer)
        count = field("layers", std::nullopt, requirement->getLoc());
      if (failed(count))
        return failure();
      for (int64_t layer = 0; layer < count->dim.size; ++layer) {
        FailureOr<SpecValue> value =
            evalConfig(requirement->condition, Frame::Context::Config, {},
                       perLayer ? std::optional<int64_t>(layer) : std::nullopt);
        if (failed(value))
          return failure();
        // A key without a value cannot contradict.
        if (value->is(SpecValue::Kind::Absent) ||
            (value->is(SpecValue::Kind::Bool) && value->boolean))
          continue;
        ok = false;
        InFlightDiagnostic diagnostic =
            error(requirement->getLoc())
            << "the configuration does not meet this requirement";
        if (perLayer)
          diagnostic << " for layer " << layer;
        if (config)
          for (const std::string &key : mentioned.getKeys())
            if (config->json().contains(key))
              diagnostic.attachNote(config->locationOf(key))
                  << "'" << key << "' is " << config->json()[key].dump();
        break;
      }
    }
  }
  return success(ok);
}

LogicalResult Evaluator::buildEntry(StringRef name) {
  FoundBlock entry = family.findBlock(name);
  if (!entry || !entry.decl->isEntry)
    return error(family.getChain().front()->getLoc())
           << "family '" << family.getName() << "' has no entry '" << name
           << "'";
  Location loc = entry.decl->getLoc();
  if (entry.decl->params.size() != 1)
    return error(loc) << "expected an entry of one parameter, the tokens";
  Shape tokenAxes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  auto ids = typeFor(tokenAxes, builder.getI32Type());
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      builder, loc, name,
      builder.getFunctionType({ids, BatchType::get(builder.getContext())}, {}));
  function->setAttr("clade.entry", builder.getUnitAttr());
  entryBlock = function.addEntryBlock();
  builder.setInsertionPointToEnd(entryBlock);
  batchValue = entryBlock->getArgument(1);
  positionsValue = PositionsOp::create(builder, loc, ids, batchValue);
  CallArgs args;
  args.positional.push_back(
      SpecValue::of(tensor(entryBlock->getArgument(0), tokenAxes)));
  FailureOr<SpecValue> result = callBlock(entry, args, "", loc);
  if (failed(result))
    return failure();
  if (!result->is(SpecValue::Kind::Tensor) || !result->tensor.hasSequence() ||
      result->tensor.features().empty())
    return error(loc) << "expected an entry to return a tensor with features "
                         "for each token, got "
                      << result->describe();
  auto type = result->tensor.getType();
  SmallVector<StringAttr> names(type.getNames());
  names[0] = builder.getStringAttr(selectedAxis);
  auto selected =
      NamedTensorType::get(names, type.getShape(), type.getElementType());
  mlir::Value output = SelectOp::create(builder, loc, selected,
                                        result->tensor.value, batchValue);
  func::ReturnOp::create(builder, loc, output);
  function.setFunctionType(
      builder.getFunctionType(function.getArgumentTypes(), {selected}));
  return success();
}

FailureOr<std::unique_ptr<Config>>
import::loadConfig(SpecLibrary &library, const rt::Checkpoint &checkpoint) {
  if (checkpoint.gguf())
    return configFromGGUF(library, checkpoint);
  std::string name = checkpoint.path() + "/config.json";
  return Config::parse(checkpoint.configText().value_or(""), name,
                       library.getSourceMgr(), library.getContext());
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
  if (const spec::FamilyDecl *decl = library.findServing(architecture))
    return decl;
  std::vector<std::string> served;
  for (const spec::FamilyDecl *decl : library.getFamilies())
    if (decl->serves)
      for (const spec::Identifier &name : decl->serves->names)
        served.push_back(name.name.str());
  return emitError(loc) << "no family serves '" << architecture << "'"
                        << SpecLibrary::hint(architecture, served);
}

/// The type that the model computes in: as asked, or the checkpoint's own.
static FailureOr<std::string> chooseDType(StringRef asked, const Config &config,
                                          const rt::Checkpoint &checkpoint) {
  if (asked == "bf16" || asked == "f32")
    return asked.str();
  if (!asked.empty())
    return emitError(config.locationOf(""))
           << "expected the type bf16 or f32, got '" << asked << "'";
  for (const char *key : {"dtype", "torch_dtype"})
    if (auto it = config.json().find(key);
        it != config.json().end() && it->is_string())
      return std::string(*it == "float32" ? "f32" : "bf16");
  if (checkpoint.gguf())
    return std::string("bf16");
  bool allF32 =
      llvm::all_of(checkpoint.tensors(), [](const rt::StoredTensor &t) {
        return t.dtype == rt::DType::F32;
      });
  return std::string(allF32 ? "f32" : "bf16");
}

/// Tensors that the family takes from elsewhere must hold the same bits.
static LogicalResult checkDuplicates(const WeightResolver &weights,
                                     const rt::Checkpoint &checkpoint,
                                     Location loc) {
  for (const auto &[held, source] : weights.getDuplicates()) {
    const rt::StoredTensor *a = checkpoint.find(held),
                           *b = checkpoint.find(source);
    bool same =
        a && b && a->dtype == b->dtype && a->shape == b->shape &&
        a->bytes.size() == b->bytes.size() &&
        std::memcmp(a->bytes.data(), b->bytes.data(), a->bytes.size()) == 0;
    if (!same)
      return emitError(loc) << "tensor '" << held << "' is tied to '" << source
                            << "' by the configuration, but the checkpoint "
                               "holds other values for it";
  }
  return success();
}

FailureOr<ImportedModel>
import::importCheckpoint(SpecLibrary &library, const rt::Checkpoint &checkpoint,
                         StringRef dtype) {
  MLIRContext *context = library.getContext();
  context->loadDialect<CladeDialect, wmap::WMapDialect, func::FuncDialect>();
  ImportedModel model;
  FailureOr<std::unique_ptr<Config>> config = loadConfig(library, checkpoint);
  if (failed(config))
    return failure();
  model.config = std::move(*config);
  FailureOr<const spec::FamilyDecl *> decl = findFamily(library, *model.config);
  if (failed(decl))
    return failure();
  Family family(library, *decl);
  model.family = family.getName().str();
  model.architecture = model.config->json()["architectures"][0];
  FailureOr<std::string> type = chooseDType(dtype, *model.config, checkpoint);
  if (failed(type) || failed(checkAllKeysRead(family, *model.config)))
    return failure();
  model.dtype = *type;

  Location loc = model.config->locationOf("");
  model.module = ModuleOp::create(loc);
  OpBuilder builder(context);
  ImportOptions options{*type == "f32" ? Type(builder.getF32Type())
                                       : Type(builder.getBF16Type())};
  (*model.module)->setAttr("clade.family", builder.getStringAttr(model.family));
  (*model.module)->setAttr("clade.dtype", TypeAttr::get(options.modelType));

  std::optional<GGUFNames> names;
  std::vector<const Family *> containers;
  if (checkpoint.gguf()) {
    names.emplace(library, checkpoint, options);
    if (failed(names->status()))
      return failure();
    containers.push_back(&names->getFamily());
  }
  WeightResolver weights(family, &checkpoint, containers);
  Evaluator evaluator(family, model.config.get(), model.config->record(),
                      &weights, *model.module, options);
  weights.setEvaluator(&evaluator);
  if (names)
    weights.setContainerEvaluators({&names->getEvaluator()});
  if (failed(evaluator.checkRequirements()) ||
      failed(evaluator.buildEntry("forward")) ||
      failed(weights.checkAllUsed(loc)) ||
      failed(checkDuplicates(weights, checkpoint, loc)) ||
      failed(verify(*model.module)))
    return failure();
  return model;
}
