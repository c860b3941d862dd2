//===- BuiltinsAttention.cpp - Positions and attention --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"
#include "lib/Import/Reach.h"
#include "lib/Import/RotaryFrequencies.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

//===----------------------------------------------------------------------===//
// Rotary tables
//===----------------------------------------------------------------------===//

/// The keys of a configuration that say how rotary embedding is scaled: the
/// record rope_parameters, or rope_scaling with rope_theta beside it. Nothing
/// if there is no record; the key of one that is no object if so.
static std::optional<std::string> readConfiguredRope(const Record &config,
                                                     RopeTable &table) {
  auto find = [&](const char *key) -> const json * {
    auto it = config.object->find(key);
    return it != config.object->end() && !it->is_null() ? &*it : nullptr;
  };
  json merged = json::object();
  auto takeBeside = [&](const char *key) {
    if (const json *value = find(key)) {
      merged[key] = *value;
      table.otherPaths[key] = config.path + key;
    }
  };
  takeBeside("rope_theta");
  takeBeside("partial_rotary_factor");
  const char *key =
      find("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const json *record = find(key);
  if (record && !record->is_object())
    return config.path + key;
  if (record) {
    // Some configurations keep the original length beside the record.
    takeBeside("original_max_position_embeddings");
    for (const auto &[own, value] : record->items()) {
      merged[own] = value;
      table.otherPaths.erase(own);
    }
  }
  table.record = std::make_shared<const json>(std::move(merged));
  table.recordPath = config.path + key + ".";
  return std::nullopt;
}

/// The type of scaling, by its new or old key.
static FailureOr<std::string>
scalingKind(const RopeTable &table,
            llvm::function_ref<Location(StringRef)> locationOf) {
  for (const char *key : {"rope_type", "type"}) {
    auto it = table.record->find(key);
    if (it == table.record->end() || it->is_null())
      continue;
    if (it->is_string())
      return it->get<std::string>();
    return emitError(locationOf(table.pathOf(key)))
           << "expected the name of a rotary scaling as '" << table.pathOf(key)
           << "', got " << it->dump();
  }
  return std::string("default");
}

/// A number of the record that is above 0 and that f32 can hold.
static FailureOr<std::optional<double>>
recordNumber(const RopeTable &table, const char *key,
             llvm::function_ref<Location(StringRef)> locationOf) {
  auto it = table.record->find(key);
  if (it == table.record->end() || it->is_null())
    return std::optional<double>();
  if (it->is_number() && it->get<double>() > 0 &&
      it->get<double>() <= std::numeric_limits<float>::max())
    return std::optional(it->get<double>());
  return emitError(locationOf(table.pathOf(key)))
         << "expected a number above 0 as '" << table.pathOf(key) << "', got "
         << it->dump();
}

/// 'sections' and 'weave' of a rotary table; the record's 'mrope_section' wins
/// over sizes.
static LogicalResult readSections(const ArgReader &reader, RopeTable &table,
                                  Location loc) {
  const SpecValue *sections = reader.get("sections");
  FailureOr<bool> weave = reader.boolean("weave", false);
  if (failed(weave))
    return failure();
  if (!sections)
    return success();
  if (sections->is(SpecValue::Kind::String) &&
      (sections->text == "axial" || sections->text == "alternate")) {
    table.sections = sections->text;
    table.isWoven = *weave && table.sections == "axial";
    return success();
  }
  SpecValue sizes = *sections;
  if (auto it = table.record->find("mrope_section");
      it != table.record->end() && it->is_array())
    sizes = toValue(*it, table.pathOf("mrope_section"));
  for (const SpecValue &size : sizes.elements)
    if (size.is(SpecValue::Kind::Int) && size.dim.size >= 1 &&
        size.dim.size <= maxAxisSize)
      table.sectionSizes.push_back(size.dim.size);
  if (!sizes.is(SpecValue::Kind::List) || table.sectionSizes.size() != 3 ||
      sizes.elements.size() != 3)
    return emitError(loc) << "expected axial, alternate or a list of three "
                             "sizes as 'sections' of 'rope_table', got "
                          << sizes.describe();
  table.sections = "sizes";
  table.isWoven = *weave;
  return success();
}

FailureOr<SpecValue> Evaluator::buildRopeTable(const CallArgs &args,
                                               Location loc) {
  ArgReader reader("rope_table", args,
                   {"record?", "theta?", "fraction?", "size?", "pairs?",
                    "sections?", "weave?", "table?", "compute?"},
                   loc);
  if (!reader.ok())
    return failure();
  RopeTable table;
  const SpecValue *given = reader.get("record");
  auto locationOf = [&](StringRef key) { return locationOfKey(key, loc); };
  if (!given) {
    if (std::optional<std::string> key = readConfiguredRope(getRecord(), table))
      return error(locationOf(*key))
             << "expected an object as '" << *key << "', got "
             << (*getRecord().object)[key->substr(getRecord().path.size())]
                    .dump();
  } else if (given->is(SpecValue::Kind::Record)) {
    table.record = std::make_shared<const json>(*given->record.object);
    table.recordPath = given->record.path;
  } else if (given->is(SpecValue::Kind::None) ||
             given->is(SpecValue::Kind::Absent)) {
    table.record = std::make_shared<const json>(json::object());
  } else {
    return error(loc) << "expected a record such as rope_parameters, got "
                      << given->describe();
  }
  if (failed(readSections(reader, table, loc)))
    return failure();
  FailureOr<std::optional<double>> theta = reader.number("theta"),
                                   fraction = reader.number("fraction"),
                                   size = reader.number("size");
  FailureOr<std::string> pairs = reader.word("pairs", "halves",
                                             {"halves", "adjacent"}),
                         tableType =
                             reader.word("table", "model", {"model", "f32"}),
                         compute =
                             reader.word("compute", "model", {"model", "f32"});
  FailureOr<std::string> kind = scalingKind(table, locationOf);
  FailureOr<std::optional<double>> ownTheta = recordNumber(table, "rope_theta",
                                                           locationOf),
                                   ownFraction = recordNumber(
                                       table, "partial_rotary_factor",
                                       locationOf);
  if (failed(theta) || failed(fraction) || failed(size) || failed(pairs) ||
      failed(tableType) || failed(compute) || failed(kind) ||
      failed(ownTheta) || failed(ownFraction))
    return failure();
  table.kind = *kind;
  table.theta = ownTheta->value_or(theta->value_or(10000));
  table.fraction = ownFraction->value_or(fraction->value_or(1));
  if (!(table.theta > 0 && table.theta <= std::numeric_limits<float>::max()))
    return error(loc) << "expected a number above 0 as 'theta' of "
                         "'rope_table', got "
                      << reader.get("theta")->describe();
  if (!(table.fraction > 0 && table.fraction <= 1)) {
    std::string key = table.pathOf("partial_rotary_factor");
    if (*ownFraction)
      return error(locationOf(key))
             << "expected a part of at most 1 as '" << key << "', got "
             << (*table.record)["partial_rotary_factor"].dump();
    return error(loc) << "expected a part from 0 to 1 as 'fraction' of "
                         "'rope_table', got "
                      << reader.get("fraction")->describe();
  }
  if (*size &&
      !(**size >= 1 && **size <= maxAxisSize && **size == std::floor(**size)))
    return error(loc) << "expected a whole number from 1 to " << maxAxisSize
                      << " as 'size' of 'rope_table', got "
                      << reader.get("size")->describe();
  if (*size)
    table.size = static_cast<int64_t>(**size);
  table.adjacentPairs = *pairs == "adjacent";
  table.tableInF32 = *tableType == "f32";
  table.computeInF32 = *compute == "f32";
  if (auto it = getRecord().object->find("max_position_embeddings");
      it != getRecord().object->end() && it->is_number_integer())
    table.maxPositions = it->get<int64_t>();
  std::vector<std::string> ignored;
  for (const spec::FamilyDecl *decl : getFamily().getChain())
    if (decl->config)
      for (const spec::IgnoreDecl *ignore : decl->config->ignores)
        for (const spec::IgnoredKey &key : ignore->keys)
          ignored.push_back(getRecord().path + key.name.str());
  // What the family itself reads of a table, as in 'rot.factor'.
  Reach reach(getFamily());
  reach.walkFamily();
  for (const std::string &key : reach.getFieldKeys())
    ignored.push_back(table.pathOf(key));
  if (failed(checkRopeRecord(table, ignored, locationOf)))
    return failure();
  SpecValue value = SpecValue::none();
  value.kind = SpecValue::Kind::Rope;
  value.rope = std::make_shared<RopeTable>(std::move(table));
  return value;
}

FailureOr<std::pair<mlir::Value, mlir::Value>>
Evaluator::rotaryTable(const RopeTable &table, int64_t headSize, Location loc) {
  std::string key = table.key() + "/" + std::to_string(headSize);
  auto it = rotaryTables.find(key);
  if (it == rotaryTables.end()) {
    bool hasAxes = position.axes.size() == 2;
    int64_t wanted = table.sections.empty()      ? 1
                     : table.sections == "sizes" ? 3
                                                 : 2,
            axesThere = hasAxes ? position.axes[1].size : 1;
    if (wanted != axesThere)
      return error(loc) << (hasAxes ? "expected 'sections' of 'rope_table' for "
                                      "positions of several axes, "
                                    : "expected 'position' of several axes for "
                                      "'sections' of 'rope_table', ")
                        << "got positions " << toString(position.axes);
    FailureOr<RotaryFrequencies> computed =
        rotaryFrequencies(table, headSize, loc, [&](StringRef key) {
          return locationOfKey(key, loc);
        });
    if (failed(computed))
      return failure();
    // The table is made once a step, before the layers.
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(position.value);
    Type type = table.tableInF32 ? f32() : options.modelType;
    Shape axes{
        {ShapedType::kDynamic, tokenAxis.str(), {}},
        {static_cast<int64_t>(computed->frequencies.size()), "rotary", {}}};
    auto result = typeFor(axes, type);
    auto op = RotaryTableOp::create(
        builder, named(loc), result, result, position.value, batchValue,
        builder.getDenseF32ArrayAttr(computed->frequencies),
        builder.getF64FloatAttr(computed->scale),
        computed->longFrequencies.empty()
            ? DenseF32ArrayAttr()
            : builder.getDenseF32ArrayAttr(computed->longFrequencies),
        computed->originalLength
            ? builder.getI64IntegerAttr(*computed->originalLength)
            : IntegerAttr(),
        computed->dynamicFactor
            ? builder.getF64FloatAttr(*computed->dynamicFactor)
            : FloatAttr(),
        computed->dynamicFactor ? builder.getF64FloatAttr(table.theta)
                                : FloatAttr(),
        computed->axes.empty() ? DenseI64ArrayAttr()
                               : builder.getDenseI64ArrayAttr(computed->axes));
    it = rotaryTables.emplace(key, std::pair(op.getCos(), op.getSin())).first;
  }
  return std::pair(localize(it->second.first), localize(it->second.second));
}

FailureOr<SpecValue> Evaluator::buildRope(const CallArgs &args, Location loc) {
  ArgReader reader("rope", args, {"x", "rot", "position?"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> x = reader.tensor("x");
  if (failed(x))
    return failure();
  const SpecValue *rot = reader.get("rot");
  if (rot->is(SpecValue::Kind::None))
    return SpecValue::of(*x);
  if (!rot->is(SpecValue::Kind::Rope))
    return error(loc) << "expected a rotary table or none, got "
                      << rot->describe();
  if (reader.get("position"))
    return error(loc) << "rotary embedding by other positions has no compiled "
                         "form yet: bind 'position' in the entry";
  if (x->features().empty())
    return error(loc) << "expected a tensor with a feature axis to rotate, got "
                      << toString(x->axes);
  FailureOr<std::pair<mlir::Value, mlir::Value>> table =
      rotaryTable(*rot->rope, x->axes.back().size, loc);
  if (failed(table))
    return failure();
  // Where the table is in f32, or the family says so, the rotation is in f32
  // and its result rounds once.
  Type type = x->getType().getElementType();
  bool widens =
      !type.isF32() && (rot->rope->computeInF32 || rot->rope->tableInF32);
  mlir::Value cos = table->first, sin = table->second;
  TensorValue operand = *x;
  if (widens || type.isF32()) {
    auto widen = [&](mlir::Value value) -> mlir::Value {
      auto wide = cast<NamedTensorType>(value.getType()).withElementType(f32());
      return builder.createOrFold<CastOp>(named(loc), wide, value);
    };
    operand.value = widen(operand.value);
    cos = widen(cos);
    sin = widen(sin);
  }
  RotaryPairs pairs =
      rot->rope->adjacentPairs ? RotaryPairs::Adjacent : RotaryPairs::Halves;
  operand.value = RopeOp::create(builder, named(loc), operand.value.getType(),
                                 pairs, operand.value, cos, sin);
  return widens ? castTo(operand, type, loc) : SpecValue::of(operand);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

FailureOr<SpecValue> Evaluator::buildAttend(const CallArgs &args,
                                            Location loc) {
  ArgReader reader("attend", args,
                   {"q", "k", "v", "mask", "scale?", "sink?", "softcap?",
                    "bias?", "softmax?"},
                   loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> q = reader.tensor("q"), k = reader.tensor("k"),
                         v = reader.tensor("v");
  FailureOr<std::optional<double>> scale = reader.number("scale"),
                                   softcap = reader.number("softcap");
  FailureOr<std::string> softmax =
      reader.word("softmax", "f32", {"f32", "model"});
  if (failed(q) || failed(k) || failed(v) || failed(scale) || failed(softcap) ||
      failed(softmax))
    return failure();
  const SpecValue *mask = reader.get("mask");
  if (!mask->is(SpecValue::Kind::Mask))
    return error(loc)
           << "expected a mask such as 'causal and near(window)', got "
           << mask->describe();
  bool isBidirectional = !mask->mask.causal;
  if (isBidirectional &&
      (mask->mask.window ||
       (reader.get("bias") && !reader.get("bias")->is(SpecValue::Kind::None))))
    return error(loc) << "attention in both directions with a window or a bias "
                         "has no compiled form yet";
  if (!isBidirectional && mask->mask.groups)
    return error(loc) << "'same' together with 'causal' has no compiled form "
                         "yet";
  for (const TensorValue *x : {&*q, &*k, &*v})
    if (x->axes.size() != 3 || !x->hasSequence())
      return error(loc) << "expected [token, heads, size], got "
                        << toString(x->axes);
  const Dim &heads = q->axes[1], &kvHeads = k->axes[1];
  if (q->axes[2].size != k->axes[2].size)
    return error(loc) << "expected queries and keys of one size, got "
                      << toString(q->axes) << " and " << toString(k->axes);
  if (kvHeads.size != v->axes[1].size || kvHeads.size < 1 ||
      heads.size % kvHeads.size != 0)
    return error(loc)
           << "expected as many key heads as value heads, dividing the "
           << heads.size << " query heads, got " << kvHeads.size << " and "
           << v->axes[1].size;
  if (!layerScope)
    return error(loc) << "expected 'attend' inside 'for layer in …'";
  if (*scale && !(**scale > 0 && std::isfinite(**scale)))
    return error(loc)
           << "expected a number above 0 as 'scale' of 'attend', got "
           << reader.get("scale")->describe();
  if (*softcap && !(**softcap > 0 && std::isfinite(**softcap)))
    return error(loc) << "expected a number above 0 as 'softcap' of 'attend', "
                         "got "
                      << reader.get("softcap")->describe();
  Shape axes{q->axes[0], heads, v->axes[2]};
  if (failed(checkAxes(axes, loc)))
    return failure();
  mlir::Value sink;
  if (const SpecValue *value = reader.get("sink");
      value && !value->is(SpecValue::Kind::None)) {
    FailureOr<TensorValue> given = reader.tensor("sink");
    if (failed(given))
      return failure();
    if (given->axes.size() != 1 || given->hasSequence() ||
        given->axes[0].size != heads.size ||
        !given->value.getDefiningOp<ParamOp>())
      return error(loc) << "expected a weight with a number for each of the "
                        << heads.size
                        << " query heads as 'sink' of 'attend', got "
                        << value->describe();
    sink = given->value;
  }
  DenseF32ArrayAttr slopes;
  if (const SpecValue *value = reader.get("bias");
      value && !value->is(SpecValue::Kind::None)) {
    std::vector<float> numbers;
    if (value->is(SpecValue::Kind::List))
      for (const SpecValue &slope : value->elements)
        if (slope.isNumber() && std::isfinite(slope.asDouble()))
          numbers.push_back(static_cast<float>(slope.asDouble()));
    if (static_cast<int64_t>(numbers.size()) != heads.size ||
        value->elements.size() != numbers.size())
      return error(loc) << "expected a slope for each of the " << heads.size
                        << " query heads, such as 'alibi(" << heads.name
                        << ")', as 'bias' of 'attend', got "
                        << value->describe();
    slopes = builder.getDenseF32ArrayAttr(numbers);
  }
  double factor =
      scale->value_or(1 / std::sqrt(static_cast<double>(q->axes[2].size)));
  auto optionalInteger = [&](std::optional<int64_t> value) {
    return value ? builder.getI64IntegerAttr(*value) : IntegerAttr();
  };
  mlir::Value result = AttendOp::create(
      builder, named(loc), typeFor(axes, v->getType().getElementType()),
      q->value, k->value, v->value, batch(), sink, mask->mask.groups,
      builder.getI64IntegerAttr(layerScope->nextState++),
      builder.getF64FloatAttr(factor), optionalInteger(mask->mask.window),
      *softcap ? builder.getF64FloatAttr(**softcap) : FloatAttr(), slopes,
      *softmax == "model" ? builder.getUnitAttr() : UnitAttr(),
      isBidirectional ? builder.getUnitAttr() : UnitAttr());
  return SpecValue::of(tensor(result, axes));
}
