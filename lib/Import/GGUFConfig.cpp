//===- GGUFConfig.cpp - GGUF metadata as a configuration ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/GGUFConfig.h"

#include <nlohmann/json.hpp>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

/// A longer array, such as a vocabulary, is an object that holds its count.
static constexpr size_t longestArray = 1024;

static json toJson(const rt::GGUFValue &value) {
  if (value.type() == rt::GGUFType::Array && value.arraySize() > longestArray)
    return json{{"count", value.arraySize()}};
  if (auto number = value.asInt())
    return *number;
  if (auto number = value.asFloat())
    return *number;
  if (auto boolean = value.asBool())
    return *boolean;
  if (auto text = value.asString())
    return std::string(*text);
  if (auto numbers = value.asInts())
    return *numbers;
  if (auto numbers = value.asFloats())
    return *numbers;
  if (auto booleans = value.asBools())
    return *booleans;
  json list = json::array();
  if (auto *strings = value.asStrings())
    for (std::string_view text : *strings)
      list.push_back(std::string(text));
  return list;
}

/// Metadata keys have dots: each part is the key of an object.
static json nestedMetadata(const rt::GGUFFile &file) {
  json root = json::object();
  for (const auto &[key, value] : file.metadata()) {
    json *object = &root;
    SmallVector<StringRef> parts;
    StringRef(key).split(parts, '.');
    for (StringRef part : ArrayRef(parts).drop_back()) {
      json &next = (*object)[part.str()];
      if (!next.is_object())
        next = json::object();
      object = &next;
    }
    json &leaf = (*object)[parts.back().str()];
    if (!leaf.is_object())
      leaf = toJson(value);
  }
  return root;
}

GGUFNames::GGUFNames(SpecLibrary &library, const rt::Checkpoint &checkpoint,
                     const ImportOptions &options) {
  const spec::FamilyDecl *decl = library.findFamily("gguf");
  if (!decl) {
    emitError(UnknownLoc::get(library.getContext()))
        << "expected a family 'gguf' that names the contents of GGUF files";
    return;
  }
  metadata = std::make_unique<json>(nestedMetadata(*checkpoint.gguf()));
  family = std::make_unique<Family>(library, decl);
  evaluator =
      std::make_unique<Evaluator>(*family, nullptr, Record{metadata.get(), ""},
                                  nullptr, ModuleOp(), options);
}

/// A value of a field as JSON; nothing for one that is absent.
static std::optional<json> fieldJson(const SpecValue &value) {
  switch (value.kind) {
  case SpecValue::Kind::Bool:
    return json(value.boolean);
  case SpecValue::Kind::Int:
    return json(value.dim.size);
  case SpecValue::Kind::Float:
    return json(value.number);
  case SpecValue::Kind::String:
    return json(value.text);
  case SpecValue::Kind::List: {
    json list = json::array();
    for (const SpecValue &element : value.elements)
      list.push_back(fieldJson(element).value_or(nullptr));
    return list;
  }
  default:
    return std::nullopt;
  }
}

FailureOr<std::unique_ptr<Config>>
import::configFromGGUF(SpecLibrary &library, const rt::Checkpoint &checkpoint) {
  ImportOptions options{Float32Type::get(library.getContext())};
  GGUFNames names(library, checkpoint, options);
  if (failed(names.status()) ||
      failed(names.getEvaluator().checkRequirements()))
    return failure();
  const spec::FamilyDecl *decl = names.getFamily().getChain().front();
  std::set<StringRef> internal;
  for (const spec::IgnoreDecl *ignore :
       decl->config ? decl->config->ignores
                    : ArrayRef<const spec::IgnoreDecl *>())
    for (const spec::IgnoredKey &key : ignore->keys)
      internal.insert(key.name);
  json config = json::object();
  for (const spec::FieldDecl *field :
       decl->config ? decl->config->fields
                    : ArrayRef<const spec::FieldDecl *>()) {
    if (internal.count(field->name.name))
      continue;
    FailureOr<SpecValue> value = names.getEvaluator().field(
        field->name.name, std::nullopt, field->getLoc(), /*mayBeAbsent=*/true);
    if (failed(value))
      return failure();
    if (std::optional<json> converted = fieldJson(*value))
      config[field->name.name.str()] = std::move(*converted);
  }
  return Config::parse(config.dump(2), checkpoint.path() + " (metadata)",
                       library.getSourceMgr(), library.getContext());
}
