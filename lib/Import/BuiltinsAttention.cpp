//===- BuiltinsAttention.cpp - Positions and attention --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"
#include "lib/Import/RotaryFrequencies.h"

#include <nlohmann/json.hpp>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

//===----------------------------------------------------------------------===//
// Rotary tables
//===----------------------------------------------------------------------===//

/// The keys of a configuration that say how rotary embedding is scaled: the
/// record rope_parameters, or rope_scaling with rope_theta beside it.
static void readConfiguredRope(const Record &config, RopeTable &table) {
  auto object = [&](const char *key) -> const json * {
    auto it = config.object->find(key);
    return it != config.object->end() && it->is_object() ? &*it : nullptr;
  };
  json merged = json::object();
  for (const char *key : {"rope_theta", "partial_rotary_factor"})
    if (auto it = config.object->find(key);
        it != config.object->end() && !it->is_null())
      merged[key] = *it;
  const char *key =
      object("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (const json *record = object(key)) {
    // Some configurations keep the original length beside the record.
    const char *original = "original_max_position_embeddings";
    if (auto it = config.object->find(original);
        it != config.object->end() && !it->is_null())
      merged[original] = *it;
    merged.update(*record);
  }
  table.record = std::make_shared<const json>(std::move(merged));
  table.recordPath = config.path + key + ".";
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
  if (!given) {
    readConfiguredRope(record, table);
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
  if (reader.get("sections") || reader.get("weave"))
    return error(loc)
           << "rotary tables of several axes have no compiled form yet";
  auto text = [&](const char *key) -> std::optional<std::string> {
    auto it = table.record->find(key);
    return it != table.record->end() && it->is_string()
               ? std::optional(it->get<std::string>())
               : std::nullopt;
  };
  auto number = [&](const char *key) -> std::optional<double> {
    auto it = table.record->find(key);
    return it != table.record->end() && it->is_number()
               ? std::optional(it->get<double>())
               : std::nullopt;
  };
  table.kind = text("rope_type").value_or(text("type").value_or("default"));
  FailureOr<std::optional<double>> theta = reader.number("theta"),
                                   fraction = reader.number("fraction"),
                                   size = reader.number("size");
  FailureOr<std::string> pairs = reader.word("pairs", "halves",
                                             {"halves", "adjacent"}),
                         tableType =
                             reader.word("table", "model", {"model", "f32"}),
                         compute =
                             reader.word("compute", "model", {"model", "f32"});
  if (failed(theta) || failed(fraction) || failed(size) || failed(pairs) ||
      failed(tableType) || failed(compute))
    return failure();
  table.theta = number("rope_theta").value_or(theta->value_or(10000));
  table.fraction =
      number("partial_rotary_factor").value_or(fraction->value_or(1));
  if (*size)
    table.size = static_cast<int64_t>(**size);
  table.adjacentPairs = *pairs == "adjacent";
  table.tableInF32 = *tableType == "f32";
  table.computeInF32 = *compute == "f32";
  if (auto it = record.object->find("max_position_embeddings");
      it != record.object->end() && it->is_number_integer())
    table.maxPositions = it->get<int64_t>();
  std::vector<std::string> ignored;
  for (const spec::FamilyDecl *decl : family.getChain())
    if (decl->config)
      for (const spec::IgnoreDecl *ignore : decl->config->ignores)
        for (const spec::IgnoredKey &key : ignore->keys)
          ignored.push_back(key.name.str());
  auto locationOf = [&](StringRef key) {
    return config ? config->locationOf(key) : loc;
  };
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
    FailureOr<RotaryFrequencies> computed =
        rotaryFrequencies(table, headSize, loc);
    if (failed(computed))
      return failure();
    // The table is made once a step, before the layers.
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(positionsValue);
    Type type = table.tableInF32 ? f32() : options.modelType;
    Shape axes{
        {ShapedType::kDynamic, tokenAxis.str(), {}},
        {static_cast<int64_t>(computed->frequencies.size()), "rotary", {}}};
    auto result = typeFor(axes, type);
    auto op = RotaryTableOp::create(
        builder, named(loc), result, result, positionsValue, batchValue,
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
                                : FloatAttr());
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
    return error(loc)
           << "rotary embedding by other positions has no compiled form yet";
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
  FailureOr<std::string> softmax = reader.word("softmax", "f32", {"f32"});
  if (failed(q) || failed(k) || failed(v) || failed(scale) || failed(softcap) ||
      failed(softmax))
    return failure();
  for (StringRef missing : {"sink", "bias"})
    if (const SpecValue *value = reader.get(missing);
        value && !value->is(SpecValue::Kind::None))
      return error(loc) << "'" << missing
                        << "' of 'attend' has no compiled form yet";
  const SpecValue *mask = reader.get("mask");
  if (!mask->is(SpecValue::Kind::Mask))
    return error(loc)
           << "expected a mask such as 'causal and near(window)', got "
           << mask->describe();
  if (!mask->mask.causal)
    return error(loc) << "attention without 'causal' has no compiled form yet";
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
  if (*scale && !std::isfinite(**scale))
    return error(loc) << "expected a finite number as 'scale' of 'attend', got "
                      << reader.get("scale")->describe();
  if (*softcap && !(**softcap > 0 && std::isfinite(**softcap)))
    return error(loc) << "expected a number above 0 as 'softcap' of 'attend', "
                         "got "
                      << reader.get("softcap")->describe();
  Shape axes{q->axes[0], heads, v->axes[2]};
  if (failed(checkAxes(axes, loc)))
    return failure();
  double factor =
      scale->value_or(1 / std::sqrt(static_cast<double>(q->axes[2].size)));
  auto optionalInteger = [&](std::optional<int64_t> value) {
    return value ? builder.getI64IntegerAttr(*value) : IntegerAttr();
  };
  mlir::Value result = AttendOp::create(
      builder, named(loc), typeFor(axes, v->getType().getElementType()),
      q->value, k->value, v->value, batch(),
      builder.getI64IntegerAttr(layerScope->nextState++),
      builder.getF64FloatAttr(factor), optionalInteger(mask->mask.window),
      *softcap ? builder.getF64FloatAttr(**softcap) : FloatAttr());
  return SpecValue::of(tensor(result, axes));
}
