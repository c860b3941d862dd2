//===- PublishedRecord.cpp - Recorded published values --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors: 'tokens', 'force' and, where a model has them, 'types', I32; the
// values 'f32.logits' and 'f32.modules.NAME', and of a run in bf16 the same
// with that name, F32, a row for each token. All else is metadata.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/PublishedRecord.h"

#include "runtime/Support/Hash.h"
#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <charconv>
#include <cstring>

using namespace clade;
using namespace clade::driver;
using nlohmann::json;
using rt::quoteName;
using rt::Status;
using rt::StatusOr;

namespace {
constexpr std::string_view currentVersion = "1";
constexpr std::string_view versionKey = "clade_record";
constexpr std::string_view wideModules = "f32.modules.",
                           narrowModules = "bf16.modules.";

using Metadata = std::map<std::string, std::string>;
} // namespace

//===----------------------------------------------------------------------===//
// Of which checkpoint
//===----------------------------------------------------------------------===//

StatusOr<CheckpointIdentity>
CheckpointIdentity::of(const std::string &configText,
                       const std::optional<std::string> &adapterText,
                       const std::vector<rt::StoredTensor> &tensors) {
  CheckpointIdentity identity;
  CLADE_ASSIGN_OR_RETURN(identity.config, rt::parseJson(configText));
  if (adapterText) {
    CLADE_ASSIGN_OR_RETURN(identity.adapter, rt::parseJson(*adapterText));
  }
  for (const rt::StoredTensor &tensor : tensors) {
    std::string_view bytes(reinterpret_cast<const char *>(tensor.bytes.data()),
                           tensor.bytes.size());
    identity.weights[tensor.name] = std::string(rt::dtypeName(tensor.dtype)) +
                                    " " + rt::shapeText(tensor.shape) + " " +
                                    rt::hashOf(bytes);
  }
  return identity;
}

static std::string textOf(const json &value) {
  return quoteName(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// The first key, with dots, whose value differs, and both values; empty if
/// none does.
static std::string firstDifference(const json &recorded, const json &own,
                                   const std::string &path = "") {
  if (!recorded.is_object() || !own.is_object()) {
    if (recorded == own)
      return "";
    return (path.empty() ? "the whole" : quoteName(path)) + " is " +
           textOf(recorded) + " in the record and " + textOf(own) +
           " in the checkpoint";
  }
  for (const auto &[key, value] : recorded.items()) {
    std::string inner = path.empty() ? key : path + "." + key;
    auto other = own.find(key);
    if (other == own.end())
      return quoteName(inner) + " is in the record only";
    std::string found = firstDifference(value, *other, inner);
    if (!found.empty())
      return found;
  }
  for (const auto &[key, value] : own.items())
    if (!recorded.contains(key))
      return quoteName(path.empty() ? key : path + "." + key) +
             " is in the checkpoint only";
  return "";
}

/// A tensor's type and shape, without its hash.
static std::string formOf(const std::string &described) {
  return described.substr(0, described.rfind(' '));
}

Status driver::checkSame(const CheckpointIdentity &recorded,
                         const CheckpointIdentity &own) {
  std::string found = firstDifference(recorded.config, own.config);
  if (!found.empty())
    return Status::invalidArgument("the record is of another config.json: " +
                                   found);
  found = firstDifference(recorded.adapter, own.adapter);
  if (!found.empty())
    return Status::invalidArgument(
        "the record is of another adapter, or one of the two is without: " +
        found);
  for (const auto &[name, described] : recorded.weights) {
    auto it = own.weights.find(name);
    if (it == own.weights.end())
      return Status::invalidArgument("the record is of other weights: tensor " +
                                     quoteName(name) +
                                     " is not in the checkpoint");
    if (it->second == described)
      continue;
    std::string ours = formOf(it->second), theirs = formOf(described);
    return Status::invalidArgument(
        "the record is of other weights: tensor " + quoteName(name) +
        (ours == theirs ? " has other values there"
                        : " is " + quoteName(theirs) + " there, and " + ours +
                              " in the checkpoint"));
  }
  for (const auto &[name, described] : own.weights)
    if (!recorded.weights.count(name))
      return Status::invalidArgument("the record is of other weights: tensor " +
                                     quoteName(name) + " is not among them");
  return {};
}

Status driver::checkText(const VerifyText &text, int64_t vocab, bool isWhole,
                         int32_t numTypes) {
  for (const auto *tokens : {&text.prompt, &text.forced})
    for (int32_t token : *tokens)
      if (token >= vocab)
        return Status::invalidArgument(
            "the record has token " + std::to_string(token) +
            ", but the model's vocabulary has " + std::to_string(vocab));
  if (isWhole && !text.forced.empty())
    return Status::invalidArgument(
        "the record has tokens behind the prompt, tensor 'force', but the "
        "model reads a text as a whole");
  if (text.types.empty() != (numTypes == 0))
    return Status::invalidArgument(
        numTypes == 0
            ? "the record has types of tokens, but the model takes none"
            : "the record has no tensor 'types', but the model takes types of "
              "tokens");
  for (int32_t type : text.types)
    if (type >= numTypes)
      return Status::invalidArgument(
          "the record has a token of type " + std::to_string(type) +
          ", but the model has " + std::to_string(numTypes) + " types");
  return {};
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {
class Reader {
public:
  explicit Reader(const rt::SafetensorsFile &file) : file(file) {}

  Status read(PublishedRecord &record) {
    CLADE_RETURN_IF_ERROR(readMetadata(record));
    CLADE_RETURN_IF_ERROR(readText(record.text));
    return readValues(record);
  }

private:
  StatusOr<std::string> entry(std::string_view key) const {
    auto it = file.metadata().find(std::string(key));
    if (it == file.metadata().end())
      return Status::corruption("has no " + quoteName(key) +
                                " in its metadata; record it again");
    return it->second;
  }

  StatusOr<json> object(std::string_view key) const {
    CLADE_ASSIGN_OR_RETURN(std::string text, entry(key));
    StatusOr<json> value = rt::parseJson(text);
    if (!value.ok())
      return value.takeStatus().withContext("metadata " + quoteName(key));
    if (!value->is_object())
      return Status::corruption("metadata " + quoteName(key) + " is " +
                                textOf(*value) + ", expected a JSON object");
    return value;
  }

  Status readMetadata(PublishedRecord &record) const {
    if (!file.metadata().count(std::string(versionKey)))
      return Status::corruption(
          "is no record of published values, which has '" +
          std::string(versionKey) +
          "' in its metadata; 'clade verify --record FILE' makes one");
    CLADE_ASSIGN_OR_RETURN(std::string version, entry(versionKey));
    if (version != currentVersion)
      return Status::unsupported("is a record of version " +
                                 quoteName(version) + ", expected '" +
                                 std::string(currentVersion) +
                                 "'; record it with this version of Clade");
    CLADE_ASSIGN_OR_RETURN(record.dtype, entry("dtype"));
    if (record.dtype != "f32" && record.dtype != "bf16")
      return Status::corruption("metadata 'dtype' is " +
                                quoteName(record.dtype) +
                                ", expected 'f32' or 'bf16'");
    CLADE_ASSIGN_OR_RETURN(record.checkpoint.config, object("config"));
    if (file.metadata().count("adapter")) {
      CLADE_ASSIGN_OR_RETURN(record.checkpoint.adapter, object("adapter"));
    }
    CLADE_ASSIGN_OR_RETURN(json weights, object("weights"));
    for (const auto &[name, described] : weights.items()) {
      if (!described.is_string())
        return Status::corruption("metadata 'weights' has " +
                                  textOf(described) + " for tensor " +
                                  quoteName(name) + ", expected a string");
      record.checkpoint.weights[name] = described.get<std::string>();
    }
    CLADE_RETURN_IF_ERROR(readSeed(record));
    CLADE_ASSIGN_OR_RETURN(record.wide.code.library, entry("library"));
    CLADE_ASSIGN_OR_RETURN(record.wide.code.name, entry("class"));
    record.narrow.code = record.wide.code;
    return {};
  }

  Status readSeed(PublishedRecord &record) const {
    if (!file.metadata().count("seed"))
      return {};
    CLADE_ASSIGN_OR_RETURN(std::string text, entry("seed"));
    uint64_t seed = 0;
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), seed);
    if (error != std::errc() || end != text.data() + text.size())
      return Status::corruption("metadata 'seed' is " + quoteName(text) +
                                ", expected a number below 2^64");
    record.seed = seed;
    return {};
  }

  /// A tensor that must be there, of a type, whose first of `rank` sizes is
  /// `rows` if it is not negative.
  StatusOr<const rt::StoredTensor *> tensor(std::string_view name,
                                            rt::DType dtype, size_t rank,
                                            int64_t rows) const {
    const rt::StoredTensor *found = file.find(name);
    if (!found)
      return Status::corruption("has no tensor " + quoteName(name) +
                                "; record it again");
    if (found->dtype != dtype)
      return Status::corruption("tensor " + quoteName(name) + " is " +
                                std::string(rt::dtypeName(found->dtype)) +
                                ", expected " +
                                std::string(rt::dtypeName(dtype)));
    bool fits = found->shape.size() == rank &&
                (rows < 0 || found->shape.front() == rows);
    if (!fits)
      return Status::corruption(
          "tensor " + quoteName(name) + " is " + rt::shapeText(found->shape) +
          ", expected " +
          (rank == 1 ? rows < 0 ? "[tokens]" : "[" + std::to_string(rows) + "]"
                     : "[" + std::to_string(rows) +
                           ", width], a row for each token"));
    return found;
  }

  StatusOr<std::vector<int32_t>> numbers(std::string_view name,
                                         int64_t count) const {
    CLADE_ASSIGN_OR_RETURN(const rt::StoredTensor *found,
                           tensor(name, rt::DType::I32, 1, count));
    std::vector<int32_t> values(found->bytes.size() / sizeof(int32_t));
    if (!values.empty())
      std::memcpy(values.data(), found->bytes.data(), found->bytes.size());
    for (int32_t value : values)
      if (value < 0)
        return Status::corruption("tensor " + quoteName(name) + " holds " +
                                  std::to_string(value) +
                                  ", expected numbers from 0");
    return values;
  }

  StatusOr<std::vector<float>> floats(std::string_view name,
                                      int64_t rows) const {
    CLADE_ASSIGN_OR_RETURN(const rt::StoredTensor *found,
                           tensor(name, rt::DType::F32, 2, rows));
    std::vector<float> values(found->bytes.size() / sizeof(float));
    if (!values.empty())
      std::memcpy(values.data(), found->bytes.data(), found->bytes.size());
    return values;
  }

  Status readText(VerifyText &text) const {
    CLADE_ASSIGN_OR_RETURN(text.prompt, numbers("tokens", -1));
    if (text.prompt.empty())
      return Status::corruption("tensor 'tokens' is empty, expected a prompt");
    CLADE_ASSIGN_OR_RETURN(text.forced, numbers("force", -1));
    if (file.find("types")) {
      auto count = static_cast<int64_t>(text.prompt.size());
      CLADE_ASSIGN_OR_RETURN(text.types, numbers("types", count));
    }
    return {};
  }

  Status readValues(PublishedRecord &record) const {
    auto prompt = static_cast<int64_t>(record.text.prompt.size()),
         rows = prompt + static_cast<int64_t>(record.text.forced.size());
    CLADE_ASSIGN_OR_RETURN(record.wide.logits, floats("f32.logits", rows));
    if (record.wide.logits.empty())
      return Status::corruption("tensor 'f32.logits' is empty");
    bool isNarrow = record.dtype == "bf16";
    if (isNarrow) {
      CLADE_ASSIGN_OR_RETURN(record.narrow.logits, floats("bf16.logits", rows));
      if (record.narrow.logits.size() != record.wide.logits.size())
        return Status::corruption(
            "tensor 'bf16.logits' is " +
            rt::shapeText(file.find("bf16.logits")->shape) +
            ", but 'f32.logits' is " +
            rt::shapeText(file.find("f32.logits")->shape));
    }
    for (const rt::StoredTensor &tensor : file.tensors()) {
      std::string_view name = tensor.name;
      bool isWide = name.starts_with(wideModules);
      if (isWide || (isNarrow && name.starts_with(narrowModules))) {
        CLADE_ASSIGN_OR_RETURN(std::vector<float> values, floats(name, prompt));
        PublishedRun &run = isWide ? record.wide : record.narrow;
        name.remove_prefix((isWide ? wideModules : narrowModules).size());
        run.modules.emplace(name, std::move(values));
      } else if (name != "tokens" && name != "force" && name != "types" &&
                 name != "f32.logits" && !(isNarrow && name == "bf16.logits")) {
        return Status::corruption("tensor " + quoteName(name) +
                                  " is none of a record whose 'dtype' is '" +
                                  record.dtype + "'");
      }
    }
    return {};
  }

  const rt::SafetensorsFile &file;
};
} // namespace

static StatusOr<PublishedRecord> readRecord(const rt::SafetensorsFile &file) {
  PublishedRecord record;
  Status status = Reader(file).read(record);
  if (!status.ok())
    return std::move(status).withContext(quoteName(file.path()));
  return record;
}

StatusOr<PublishedRecord> PublishedRecord::open(const std::string &path) {
  CLADE_ASSIGN_OR_RETURN(rt::SafetensorsFile file,
                         rt::SafetensorsFile::open(path));
  return readRecord(file);
}

StatusOr<PublishedRecord> PublishedRecord::parse(rt::ByteSpan image,
                                                 const std::string &name) {
  CLADE_ASSIGN_OR_RETURN(rt::SafetensorsFile file,
                         rt::SafetensorsFile::parse(image, name));
  return readRecord(file);
}

StatusOr<const PublishedRun *>
PublishedRecord::run(const std::string &wanted) const {
  if (wanted == "f32")
    return &wide;
  if (wanted == dtype)
    return &narrow;
  return Status::invalidArgument("the record has no run in " + wanted +
                                 ", only in f32; record it with --dtype " +
                                 wanted);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {
class Writer {
public:
  void addNumbers(std::string name, const std::vector<int32_t> &values) {
    tensors.push_back({std::move(name),
                       rt::DType::I32,
                       {static_cast<int64_t>(values.size())},
                       std::as_bytes(std::span(values))});
  }

  Status addRun(const std::string &type, const PublishedRun &run, size_t prompt,
                size_t rows) {
    CLADE_RETURN_IF_ERROR(addValues(type + ".logits", run.logits, rows));
    for (const auto &[name, values] : run.modules)
      CLADE_RETURN_IF_ERROR(
          addValues(type + ".modules." + name, values, prompt));
    return {};
  }

  std::vector<rt::StoredTensor> tensors;

private:
  /// Values that do not have a row for each token are not of a run.
  Status addValues(std::string name, const std::vector<float> &values,
                   size_t rows) {
    if (values.empty() || values.size() % rows != 0)
      return Status::invalidArgument(
          "the published implementation gave " + std::to_string(values.size()) +
          " values as " + quoteName(name) + ", expected some for each of " +
          std::to_string(rows) + " tokens");
    tensors.push_back({std::move(name),
                       rt::DType::F32,
                       {static_cast<int64_t>(rows),
                        static_cast<int64_t>(values.size() / rows)},
                       std::as_bytes(std::span(values))});
    return {};
  }
};
} // namespace

static std::string dumped(const json &value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

Status PublishedRecord::write(const std::string &path) const {
  Metadata metadata{{std::string(versionKey), std::string(currentVersion)},
                    {"dtype", dtype},
                    {"config", dumped(checkpoint.config)},
                    {"weights", dumped(checkpoint.weights)},
                    {"library", wide.code.library},
                    {"class", wide.code.name}};
  if (!checkpoint.adapter.is_null())
    metadata["adapter"] = dumped(checkpoint.adapter);
  if (seed)
    metadata["seed"] = std::to_string(*seed);
  size_t prompt = text.prompt.size(), rows = prompt + text.forced.size();
  Writer writer;
  writer.addNumbers("tokens", text.prompt);
  writer.addNumbers("force", text.forced);
  if (!text.types.empty())
    writer.addNumbers("types", text.types);
  CLADE_RETURN_IF_ERROR(writer.addRun("f32", wide, prompt, rows));
  if (dtype == "bf16") {
    CLADE_RETURN_IF_ERROR(writer.addRun("bf16", narrow, prompt, rows));
  }
  return rt::writeSafetensors(path, writer.tensors, metadata);
}
