//===- GGUFConfig.cpp - GGUF metadata as a configuration ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/GGUFConfig.h"

#include <nlohmann/json.hpp>

#include <cstring>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

/// A longer array is an object that holds its count.
static constexpr size_t longestArray = 1024;

static json metadataJson(StringRef key, const rt::GGUFValue &value) {
  // A vocabulary counts, whatever its size.
  if (value.type() == rt::GGUFType::Array &&
      (value.arraySize() > longestArray || key.starts_with("tokenizer.")))
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

/// The place of a dotted name: each part is the key of an object.
static json &place(json &root, StringRef name) {
  json *object = &root;
  SmallVector<StringRef> parts;
  name.split(parts, '.');
  for (StringRef part : parts) {
    if (!object->is_object())
      *object = json::object();
    object = &(*object)[part.str()];
  }
  return *object;
}

/// The numbers of a short F32 vector.
static std::optional<std::vector<float>> numbers(const rt::StoredTensor &t) {
  if (t.dtype != rt::DType::F32 || t.shape.size() != 1 ||
      static_cast<size_t>(t.shape[0]) > longestArray ||
      t.bytes.size() != t.shape[0] * sizeof(float))
    return std::nullopt;
  std::vector<float> values(t.shape[0]);
  std::memcpy(values.data(), t.bytes.data(), t.bytes.size());
  return values;
}

/// Metadata by its dotted keys; 'tensors', the names of all tensors; 'vectors',
/// the numbers of short vectors outside the layers.
static json contentsOf(const rt::Checkpoint &checkpoint) {
  json root = json::object();
  for (const auto &[key, value] : checkpoint.gguf()->metadata()) {
    json &leaf = place(root, key);
    if (!leaf.is_object())
      leaf = metadataJson(key, value);
  }
  json names = json::array(), vectors = json::object();
  for (const rt::StoredTensor &tensor : checkpoint.ownTensors()) {
    names.push_back(tensor.name);
    if (StringRef(tensor.name).starts_with("blk."))
      continue;
    if (std::optional<std::vector<float>> values = numbers(tensor))
      place(vectors, tensor.name) = *values;
  }
  root["tensors"] = std::move(names);
  root["vectors"] = std::move(vectors);
  return root;
}

GGUFNames::GGUFNames(SpecLibrary &library, const rt::Checkpoint &checkpoint,
                     const ImportOptions &options)
    : GGUFNames(library, contentsOf(checkpoint), options) {}

GGUFNames::GGUFNames(SpecLibrary &library, json contents,
                     const ImportOptions &options) {
  const spec::FamilyDecl *decl = library.findFamily("gguf");
  if (!decl) {
    emitError(UnknownLoc::get(library.getContext()))
        << "expected a family 'gguf' that names the contents of GGUF files";
    return;
  }
  metadata = std::make_unique<json>(std::move(contents));
  family = std::make_unique<Family>(library, decl);
  evaluator =
      std::make_unique<Evaluator>(*family, nullptr, Record{metadata.get(), ""},
                                  nullptr, ModuleOp(), options);
}

/// Names that the family's 'ignore' lists: its own fields, which make no key of
/// the configuration, and keys of objects among them that need not be read.
static std::set<std::string> ignoredNames(const spec::FamilyDecl *decl) {
  std::set<std::string> names;
  if (decl->config)
    for (const spec::IgnoreDecl *ignore : decl->config->ignores)
      for (const spec::IgnoredKey &key : ignore->keys)
        names.insert(key.name.str());
  return names;
}

/// Reports the keys of an object that no field has read and nobody ignores.
static LogicalResult checkAllRead(const json &object, const std::string &path,
                                  const std::string &field,
                                  const std::set<std::string> &ignored,
                                  Evaluator &evaluator, Location loc,
                                  StringRef file) {
  bool ok = true;
  for (const auto &[key, value] : object.items()) {
    std::string full = path + key, own = field + "." + key;
    if (ignored.count(own))
      continue;
    if (value.is_object()) {
      ok &= succeeded(
          checkAllRead(value, full + ".", own, ignored, evaluator, loc, file));
      continue;
    }
    const std::set<std::string> &read = evaluator.getKeysRead();
    if (read.count(full))
      continue;
    ok = false;
    emitError(loc) << "metadata key '" << full << "' of '" << file
                   << "' is not read by family 'gguf'"
                   << SpecLibrary::hint(full, std::vector<std::string>(
                                                  read.begin(), read.end()));
  }
  return success(ok);
}

FailureOr<std::unique_ptr<Config>>
import::configFromGGUF(SpecLibrary &library, const rt::Checkpoint &checkpoint) {
  ImportOptions options{Float32Type::get(library.getContext())};
  GGUFNames names(library, checkpoint, options);
  if (failed(names.status()))
    return failure();
  const spec::FamilyDecl *decl = names.getFamily().getChain().front();
  std::set<std::string> ignored = ignoredNames(decl);
  Evaluator &evaluator = names.getEvaluator();
  std::vector<std::pair<std::string, Record>> objects;
  json config = json::object();
  for (const spec::FieldDecl *field :
       decl->config ? decl->config->fields
                    : ArrayRef<const spec::FieldDecl *>()) {
    std::string name = field->name.name.str();
    FailureOr<SpecValue> value =
        evaluator.field(name, std::nullopt, field->getLoc());
    if (failed(value))
      return failure();
    if (!ignored.count(name)) {
      if (std::optional<json> converted = toJson(*value))
        config[name] = std::move(*converted);
    } else if (value->is(SpecValue::Kind::Record)) {
      objects.emplace_back(name, value->record);
    }
  }
  if (failed(evaluator.checkRequirements()))
    return failure();
  for (const auto &[name, object] : objects)
    if (failed(checkAllRead(*object.object, object.path, name, ignored,
                            evaluator, decl->getLoc(), checkpoint.path())))
      return failure();
  return Config::parse(
      config.dump(2, ' ', false, json::error_handler_t::replace),
      checkpoint.path() + " (metadata)", library.getSourceMgr(),
      library.getContext());
}
