//===- ManifestJson.cpp - Manifests to JSON and back ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The canonical text is nlohmann's: members sorted by name, two spaces of
// indentation, one line feed at the end. Reading it is strict: each member is
// there once, has its type, and nothing else is there.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Manifest.h"
#include "runtime/Support/Hash.h"
#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"

#include <limits>
#include <set>

using namespace clade::rt;
using nlohmann::json;

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {

template <typename T> json orNull(const std::optional<T> &value) {
  return value ? json(*value) : json(nullptr);
}

json modelToJson(const ManifestModel &model) {
  json value = {{"family", model.family},
                {"architecture", model.architecture},
                {"dtype", model.dtype},
                {"precision", model.precision},
                {"weights", model.weights},
                {"layout", model.layout},
                {"vocab", model.vocab},
                {"checkpoint", model.checkpoint},
                {"eos", model.eos},
                {"bos", orNull(model.bos)},
                {"max_positions", orNull(model.maxPositions)}};
  if (model.adapter)
    value["adapter"] = *model.adapter;
  return value;
}

json stateToJson(const ManifestState &state) {
  if (state.isRecurrent())
    return {
        {"kind", state.kind}, {"group", state.group}, {"bytes", state.bytes}};
  return {{"kind", state.kind},
          {"group", state.group},
          {"heads", state.heads},
          {"key_size", state.keySize},
          {"value_size", state.valueSize},
          {"dtype", state.dtype}};
}

json layerToJson(const CladeLayer &layer) {
  return {{"kind", layer.kind},
          {"layer", layer.layer},
          {"first_weight", layer.first_weight},
          {"first_state", layer.first_state}};
}

template <typename T, typename F>
json arrayOf(const std::vector<T> &list, F toJson) {
  json array = json::array();
  for (const T &element : list)
    array.push_back(toJson(element));
  return array;
}

json workspaceToJson(const ManifestWorkspace &sizes) {
  return {{"fixed", sizes.fixed},
          {"per_token", sizes.perToken},
          {"per_selected", sizes.perSelected},
          {"per_sequence", sizes.perSequence}};
}

json scratchToJson(const ManifestScratch &sizes) {
  return {{"fixed", sizes.fixed}, {"per_context", sizes.perContext}};
}

json imagesToJson(const ManifestImages &images) {
  return {{"pixels", images.layout.pixels},
          {"sizes", images.layout.sizes},
          {"channels", images.layout.channels},
          {"patch", images.layout.patch},
          {"merge", images.layout.merge},
          {"fold", images.layout.fold},
          {"frames", images.layout.frames},
          {"in_rows", images.layout.isInRows},
          {"films", images.layout.takesFilms},
          {"grid_positions", images.gridPositions},
          {"tokens", images.tokens},
          {"layers", arrayOf(images.layers, layerToJson)},
          {"states", arrayOf(images.states, stateToJson)},
          {"workspace", workspaceToJson(images.workspace)},
          {"scratch", scratchToJson(images.scratch)}};
}

json manifestToJson(const Manifest &manifest) {
  json entries = json::object(), files = json::object();
  for (const auto &[name, entry] : manifest.entries)
    entries[name] = {{"symbol", entry.symbol},
                     {"output_width", entry.outputWidth}};
  for (const auto &[name, file] : manifest.files)
    files[name] = {{"bytes", file.bytes}, {"xxh128", file.xxh128}};
  json groups = json::array();
  for (const ManifestGroup &group : manifest.groups)
    groups.push_back({{"window", orNull(group.window)},
                      {"per_sequence", group.perSequence}});
  json value = {{"format", "clade-artifact"},
                {"version", artifactVersion},
                {"abi_version", CLADE_ABI_VERSION},
                {"model", modelToJson(manifest.model)},
                {"target",
                 {{"kind", manifest.target.kind},
                  {"cpu", manifest.target.cpu},
                  {"features", manifest.target.features}}},
                {"entries", entries},
                {"layers", arrayOf(manifest.layers, layerToJson)},
                {"weights", {{"slots", manifest.weightSlots}}},
                {"states", arrayOf(manifest.states, stateToJson)},
                {"groups", groups},
                {"workspace", workspaceToJson(manifest.workspace)},
                {"scratch", scratchToJson(manifest.scratch)},
                {"images", manifest.images ? imagesToJson(*manifest.images)
                                           : json(nullptr)},
                {"length_dependent_rotary", manifest.lengthDependentRotary},
                {"whole_sequences", manifest.wholeSequences},
                {"token_types", manifest.tokenTypes},
                {"files", files}};
  if (manifest.adapters)
    value["adapters"] = {{"count", manifest.adapters->count},
                         {"rank", manifest.adapters->rank},
                         {"weights", manifest.adapters->weights}};
  return value;
}

/// How the line of the text that holds the hash begins. JSON strings hold no
/// line feed and nested objects are indented deeper: nothing else begins so.
constexpr std::string_view hashLine = "\n  \"hash\": \"";
constexpr size_t hashDigits = 32;

std::string canonicalText(const json &value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace

std::string Manifest::toJson() const {
  json value = manifestToJson(*this);
  value["hash"] = hashOf(canonicalText(value));
  return canonicalText(value);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

/// Takes the members of one JSON object, one after the other. The first
/// problem is kept; later members then read as nothing.
class Members {
public:
  Members(const json &value, std::string where, Status &problem)
      : value(value), where(std::move(where)), problem(problem) {
    if (!value.is_object())
      fail("expected an object, got " + std::string(value.type_name()));
  }
  ~Members() {
    if (!problem.ok())
      return;
    for (const auto &member : value.items())
      if (!taken.count(member.key()))
        fail("unknown member " + quoteName(member.key()));
  }

  void fail(const std::string &message) {
    if (problem.ok())
      problem = Status::corruption(where + ": " + message);
  }

  /// The member, or null after a failure.
  const json *take(const char *name) {
    if (!problem.ok())
      return nullptr;
    taken.insert(name);
    auto found = value.find(name);
    if (found != value.end())
      return &*found;
    fail("member '" + std::string(name) + "' is missing");
    return nullptr;
  }

  void text(const char *name, std::string &out) {
    if (const json *member = take(name))
      textOf(*member, name, out);
  }
  void flag(const char *name, bool &out) {
    const json *member = take(name);
    if (!member)
      return;
    if (!member->is_boolean())
      return mismatch(name, "true or false", *member);
    out = member->get<bool>();
  }
  template <typename T> void number(const char *name, T &out) {
    if (const json *member = take(name))
      numberOf(*member, name, out);
  }
  template <typename T>
  void optionalNumber(const char *name, std::optional<T> &out) {
    const json *member = take(name);
    if (!member || member->is_null())
      return;
    T number = 0;
    numberOf(*member, name, number);
    out = number;
  }
  /// Calls `each` with every element of an array and its place.
  template <typename F> void array(const char *name, F each) {
    const json *member = take(name);
    if (!member)
      return;
    if (!member->is_array())
      return mismatch(name, "an array", *member);
    for (size_t i = 0; i < member->size() && problem.ok(); ++i)
      each((*member)[i], std::string(name) + "[" + std::to_string(i) + "]");
  }
  /// Calls `each` with every name and value of an object.
  template <typename F> void map(const char *name, F each) {
    const json *member = take(name);
    if (!member)
      return;
    if (!member->is_object())
      return mismatch(name, "an object", *member);
    for (const auto &item : member->items())
      if (problem.ok())
        each(item.key(), item.value(),
             std::string(name) + "[" + quoteName(item.key()) + "]");
  }

  void textOf(const json &member, const std::string &name, std::string &out) {
    if (!member.is_string())
      return mismatch(name, "a string", member);
    out = member.get<std::string>();
  }
  template <typename T>
  void numberOf(const json &member, const std::string &name, T &out) {
    if (!member.is_number_integer())
      return mismatch(name, "an integer", member);
    bool tooLarge = member.is_number_unsigned() &&
                    member.get<uint64_t>() >
                        static_cast<uint64_t>(std::numeric_limits<T>::max());
    bool tooSmall = !member.is_number_unsigned() &&
                    (std::is_unsigned_v<T> ||
                     member.get<int64_t>() <
                         static_cast<int64_t>(std::numeric_limits<T>::min()));
    if (tooLarge || tooSmall)
      return fail("'" + name + "' is out of range: " + member.dump());
    out = member.get<T>();
  }

private:
  void mismatch(const std::string &name, const char *expected,
                const json &found) {
    fail("'" + name + "': expected " + expected + ", got " + found.type_name());
  }

  const json &value;
  std::string where;
  Status &problem;
  std::set<std::string> taken;
};

void readModel(const json &value, ManifestModel &model, Status &problem) {
  Members members(value, "'model'", problem);
  members.text("family", model.family);
  members.text("architecture", model.architecture);
  members.text("dtype", model.dtype);
  members.text("precision", model.precision);
  members.text("weights", model.weights);
  members.text("layout", model.layout);
  members.number("vocab", model.vocab);
  members.text("checkpoint", model.checkpoint);
  if (value.is_object() && value.contains("adapter"))
    members.text("adapter", model.adapter.emplace());
  members.array("eos", [&](const json &id, const std::string &name) {
    members.numberOf(id, name, model.eos.emplace_back());
  });
  members.optionalNumber("bos", model.bos);
  members.optionalNumber("max_positions", model.maxPositions);
}

void readTarget(const json &value, ManifestTarget &target, Status &problem) {
  Members members(value, "'target'", problem);
  members.text("kind", target.kind);
  members.text("cpu", target.cpu);
  members.array("features", [&](const json &item, const std::string &name) {
    members.textOf(item, name, target.features.emplace_back());
  });
}

void readLayers(Members &members, std::vector<CladeLayer> &layers,
                Status &problem) {
  members.array("layers", [&](const json &value, const std::string &where) {
    CladeLayer &layer = layers.emplace_back();
    Members row(value, where, problem);
    row.number("kind", layer.kind);
    row.number("layer", layer.layer);
    row.number("first_weight", layer.first_weight);
    row.number("first_state", layer.first_state);
  });
}

void readStates(Members &members, std::vector<ManifestState> &states,
                Status &problem) {
  members.array("states", [&](const json &value, const std::string &where) {
    ManifestState &state = states.emplace_back();
    Members row(value, where, problem);
    row.text("kind", state.kind);
    row.number("group", state.group);
    if (state.isRecurrent())
      return row.number("bytes", state.bytes);
    row.number("heads", state.heads);
    row.number("key_size", state.keySize);
    row.number("value_size", state.valueSize);
    row.text("dtype", state.dtype);
  });
}

void readTables(Members &members, Manifest &manifest, Status &problem) {
  members.map("entries", [&](const std::string &key, const json &value,
                             const std::string &where) {
    Members entry(value, where, problem);
    entry.text("symbol", manifest.entries[key].symbol);
    entry.number("output_width", manifest.entries[key].outputWidth);
  });
  readLayers(members, manifest.layers, problem);
  readStates(members, manifest.states, problem);
  members.array("groups", [&](const json &value, const std::string &where) {
    ManifestGroup &group = manifest.groups.emplace_back();
    Members row(value, where, problem);
    row.optionalNumber("window", group.window);
    row.flag("per_sequence", group.perSequence);
  });
  members.map("files", [&](const std::string &key, const json &value,
                           const std::string &where) {
    Members file(value, where, problem);
    file.number("bytes", manifest.files[key].bytes);
    file.text("xxh128", manifest.files[key].xxh128);
  });
}

void readMemory(Members &members, ManifestWorkspace &workspace,
                ManifestScratch &scratch, Status &problem) {
  if (const json *value = members.take("workspace")) {
    Members sizes(*value, "'workspace'", problem);
    sizes.number("fixed", workspace.fixed);
    sizes.number("per_token", workspace.perToken);
    sizes.number("per_selected", workspace.perSelected);
    sizes.number("per_sequence", workspace.perSequence);
  }
  if (const json *value = members.take("scratch")) {
    Members sizes(*value, "'scratch'", problem);
    sizes.number("fixed", scratch.fixed);
    sizes.number("per_context", scratch.perContext);
  }
}

void readAdapters(const json &value, ManifestAdapters &adapters,
                  Status &problem) {
  Members members(value, "'adapters'", problem);
  members.number("count", adapters.count);
  members.number("rank", adapters.rank);
  members.array("weights", [&](const json &slot, const std::string &name) {
    members.numberOf(slot, name, adapters.weights.emplace_back());
  });
}

void readImages(const json &value, ManifestImages &images, Status &problem) {
  Members members(value, "'images'", problem);
  members.text("pixels", images.layout.pixels);
  members.text("sizes", images.layout.sizes);
  members.number("channels", images.layout.channels);
  members.number("patch", images.layout.patch);
  members.number("merge", images.layout.merge);
  members.number("fold", images.layout.fold);
  members.number("frames", images.layout.frames);
  members.flag("in_rows", images.layout.isInRows);
  members.flag("films", images.layout.takesFilms);
  members.flag("grid_positions", images.gridPositions);
  members.array("tokens", [&](const json &id, const std::string &name) {
    members.numberOf(id, name, images.tokens.emplace_back());
  });
  readLayers(members, images.layers, problem);
  readStates(members, images.states, problem);
  readMemory(members, images.workspace, images.scratch, problem);
}

void readSizes(Members &members, Manifest &manifest, Status &problem) {
  if (const json *value = members.take("weights"))
    Members(*value, "'weights'", problem).number("slots", manifest.weightSlots);
  readMemory(members, manifest.workspace, manifest.scratch, problem);
  if (const json *value = members.take("images"); value && !value->is_null())
    readImages(*value, manifest.images.emplace(), problem);
}

/// A manifest of another version may have other members: look at this first.
Status checkVersions(const json &value) {
  auto format = value.find("format");
  if (format == value.end() || *format != "clade-artifact")
    return Status::corruption(
        "expected member 'format' to be 'clade-artifact'");
  auto check = [&](const char *name, int64_t expected) -> Status {
    auto found = value.find(name);
    if (found == value.end() || !found->is_number_integer())
      return Status::corruption("member '" + std::string(name) +
                                "' is missing or not an integer");
    if (*found == expected)
      return {};
    return Status::unsupported("expected '" + std::string(name) + "' " +
                               std::to_string(expected) + ", got " +
                               found->dump() + "; compile the model again");
  };
  CLADE_RETURN_IF_ERROR(check("version", artifactVersion));
  return check("abi_version", CLADE_ABI_VERSION);
}

StatusOr<Manifest> readManifest(const json &value, bool needsHash) {
  if (!value.is_object())
    return Status::corruption("expected a JSON object");
  CLADE_RETURN_IF_ERROR(checkVersions(value));
  Manifest manifest;
  Status problem;
  {
    Members members(value, "manifest", problem);
    for (const char *checked : {"format", "version", "abi_version"})
      members.take(checked);
    if (needsHash || value.contains("hash"))
      members.take("hash");
    if (const json *model = members.take("model"))
      readModel(*model, manifest.model, problem);
    if (const json *target = members.take("target"))
      readTarget(*target, manifest.target, problem);
    readTables(members, manifest, problem);
    readSizes(members, manifest, problem);
    members.flag("length_dependent_rotary", manifest.lengthDependentRotary);
    members.flag("whole_sequences", manifest.wholeSequences);
    members.number("token_types", manifest.tokenTypes);
    if (value.contains("adapters"))
      if (const json *adapters = members.take("adapters"))
        readAdapters(*adapters, manifest.adapters.emplace(), problem);
  }
  if (!problem.ok())
    return problem;
  CLADE_RETURN_IF_ERROR(manifest.validate());
  return manifest;
}

/// Compares the hash with that of the text without the hash's line. This comes
/// before the text is parsed: a damaged version must not look like another one.
Status checkHash(std::string_view text) {
  size_t line = text.find(hashLine);
  size_t digits = line + hashLine.size();
  size_t end = digits + hashDigits;
  if (line == std::string_view::npos || text.size() < end + 2 ||
      text.substr(end, 2) != "\",")
    return Status::corruption("the line with member 'hash' is missing");
  std::string rest(text.substr(0, line));
  rest += text.substr(end + 2);
  if (hashOf(rest) == text.substr(digits, hashDigits))
    return {};
  return Status::corruption("the text does not match its hash");
}

} // namespace

StatusOr<Manifest> Manifest::fromLooseJson(std::string_view text) {
  CLADE_ASSIGN_OR_RETURN(json value, parseJson(text));
  return readManifest(value, /*needsHash=*/false);
}

StatusOr<Manifest> Manifest::fromJson(std::string_view text) {
  CLADE_RETURN_IF_ERROR(checkHash(text));
  CLADE_ASSIGN_OR_RETURN(json value, parseJson(text));
  return readManifest(value, /*needsHash=*/true);
}
