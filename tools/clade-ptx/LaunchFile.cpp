//===- LaunchFile.cpp - What to launch, and with what ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaunchFile.h"

#include "Buffer.h"

#include "lib/PTX/TensorMap.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <random>

using namespace clade::ptx;
using nlohmann::json;

namespace {

/// Reads one file; the first error ends it by an exception that stays inside.
class Reader {
public:
  explicit Reader(std::filesystem::path path) : path(std::move(path)) {}
  LaunchFile read();

  [[noreturn]] void fail(std::string message) const {
    throw Error{std::move(message), path.string()};
  }

private:
  template <typename T> T orFail(Result<T> result) const {
    if (!result)
      fail(result.error().message);
    return std::move(*result);
  }
  void expectKeys(const json &object, std::string_view where,
                  std::initializer_list<std::string_view> known) const;
  std::array<uint32_t, 3> readShape(const json &value,
                                    std::string_view key) const;
  uint64_t readCount(const json &value, std::string_view what) const;
  double readNumber(const json &value, std::string_view what) const;
  BufferSpec readBuffer(const std::string &name, const json &spec) const;
  std::vector<uint8_t> readContents(const BufferSpec &buffer,
                                    const json &fill) const;
  template <typename T>
  std::vector<T> readCounts(const json &value, const std::string &what) const;
  ParameterSpec readTensorMap(const json &value,
                              const std::string &where) const;
  ParameterSpec readParameter(const json &value, size_t index) const;

  std::filesystem::path path;
};

constexpr Type elementTypes[] = {Type::U8,  Type::S8,   Type::U16, Type::S16,
                                 Type::U32, Type::S32,  Type::U64, Type::S64,
                                 Type::F16, Type::BF16, Type::F32, Type::F64};

std::optional<Type> elementType(std::string_view name) {
  std::optional<Type> type = typeNamed(name);
  if (type && std::find(std::begin(elementTypes), std::end(elementTypes),
                        *type) != std::end(elementTypes))
    return type;
  return std::nullopt;
}

std::string elementTypeNames() {
  std::string names;
  for (Type type : elementTypes)
    names += (names.empty() ? "" : ", ") + std::string(nameOf(type));
  return names;
}

void Reader::expectKeys(const json &object, std::string_view where,
                        std::initializer_list<std::string_view> known) const {
  if (!object.is_object())
    fail("expected " + std::string(where) + " to be an object, found " +
         object.dump());
  for (const auto &[key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end())
      continue;
    std::string list;
    for (std::string_view name : known)
      list += (list.empty() ? "" : ", ") + std::string(name);
    fail("unknown key '" + key + "' in " + std::string(where) + "; known are " +
         list);
  }
}

uint64_t Reader::readCount(const json &value, std::string_view what) const {
  if (!value.is_number_unsigned())
    fail("expected " + std::string(what) + " to be a whole number, found " +
         value.dump());
  return value.get<uint64_t>();
}

double Reader::readNumber(const json &value, std::string_view what) const {
  if (!value.is_number())
    fail("expected " + std::string(what) + " to be a number, found " +
         value.dump());
  return value.get<double>();
}

std::array<uint32_t, 3> Reader::readShape(const json &value,
                                          std::string_view key) const {
  std::array<uint32_t, 3> shape = {1, 1, 1};
  json list = value.is_array() ? value : json::array({value});
  if (list.empty() || list.size() > 3)
    fail("expected '" + std::string(key) +
         "' to be one to three sizes, found " + value.dump());
  for (size_t i = 0; i < list.size(); ++i) {
    uint64_t size = readCount(list[i], "'" + std::string(key) + "'");
    if (size > 0xffffffff)
      fail("'" + std::string(key) + "' has a size above 4294967295");
    shape[i] = uint32_t(size);
  }
  return shape;
}

/// "zeros", "iota", {"constant": 1}, {"uniform": seed, "low", "high"},
/// {"values": [...]}, {"file": name}, {"safetensors": name, "tensor": name}.
std::vector<uint8_t> Reader::readContents(const BufferSpec &buffer,
                                          const json &fill) const {
  std::string where = "buffer '" + buffer.name + "'";
  std::vector<uint8_t> bytes;
  if (fill.is_string()) {
    std::string pattern = fill;
    if (pattern != "zeros" && pattern != "iota")
      fail(where + ": unknown pattern '" + pattern +
           "'; known are zeros, iota, none, or an object with constant, "
           "uniform, values, file or safetensors");
    bytes.reserve(buffer.count * sizeOf(buffer.type));
    for (uint64_t i = 0; i < buffer.count; ++i)
      appendInteger(bytes, buffer.type, pattern == "iota" ? int64_t(i) : 0);
    return bytes;
  }
  if (!fill.is_object())
    fail(where + ": expected a pattern, found " + fill.dump());
  expectKeys(fill, where,
             {"constant", "uniform", "low", "high", "values", "file",
              "safetensors", "tensor"});
  if (fill.contains("constant")) {
    double value = readNumber(fill["constant"], where + ": constant");
    for (uint64_t i = 0; i < buffer.count; ++i)
      appendElement(bytes, buffer.type, value);
  } else if (fill.contains("uniform")) {
    bool isFloat = isFloatElement(buffer.type);
    std::mt19937_64 random(
        readCount(fill["uniform"], where + ": the seed of uniform"));
    double low = fill.contains("low") ? readNumber(fill["low"], where + ": low")
                 : isFloat            ? -1
                                      : 0;
    double high = fill.contains("high")
                      ? readNumber(fill["high"], where + ": high")
                  : isFloat ? 1
                            : 100;
    // 53 bits of the generator, the same on every host.
    for (uint64_t i = 0; i < buffer.count; ++i)
      appendElement(bytes, buffer.type,
                    low + double(random() >> 11) * 0x1p-53 * (high - low));
  } else if (fill.contains("values")) {
    if (!fill["values"].is_array())
      fail(where + ": expected values to be a list");
    for (const json &value : fill["values"]) {
      if (value.is_number_integer())
        appendInteger(bytes, buffer.type, value.get<int64_t>());
      else
        appendElement(bytes, buffer.type,
                      readNumber(value, where + ": a value"));
    }
  } else if (fill.contains("file") && fill["file"].is_string()) {
    bytes =
        orFail(readFile(path.parent_path() / fill["file"].get<std::string>()));
  } else if (fill.contains("safetensors") && fill["safetensors"].is_string() &&
             fill.contains("tensor") && fill["tensor"].is_string()) {
    bytes = orFail(
        readTensor(path.parent_path() / fill["safetensors"].get<std::string>(),
                   fill["tensor"]));
  } else {
    fail(where + ": expected constant, uniform, values, file, or safetensors "
                 "with tensor");
  }
  uint64_t expected = buffer.count * sizeOf(buffer.type);
  if (bytes.size() != expected)
    fail(where + " has " + std::to_string(buffer.count) + " elements of " +
         std::string(nameOf(buffer.type)) + " (" + std::to_string(expected) +
         " bytes), but what fills it has " + std::to_string(bytes.size()) +
         " bytes");
  return bytes;
}

BufferSpec Reader::readBuffer(const std::string &name, const json &spec) const {
  std::string where = "buffer '" + name + "'";
  expectKeys(
      spec, where,
      {"type", "count", "fill", "print", "save", "compare", "tolerance"});
  BufferSpec buffer;
  buffer.name = name;
  if (!spec.contains("type") || !spec["type"].is_string() ||
      !spec.contains("count"))
    fail(where + ": expected a type and a count");
  std::string typeName = spec["type"];
  auto type = elementType(typeName);
  if (!type)
    fail(where + ": unknown type '" + typeName + "'; known are " +
         elementTypeNames());
  buffer.type = *type;
  buffer.count = readCount(spec["count"], where + ": count");
  if (buffer.count == 0 || buffer.count > uint64_t(1) << 36)
    fail(where + ": expected a count from 1 to 2^36, found " +
         std::to_string(buffer.count));
  if (spec.contains("fill") && spec["fill"] != "none")
    buffer.initial = readContents(buffer, spec["fill"]);
  if (spec.contains("print")) {
    const json &print = spec["print"];
    buffer.printCount = print.is_boolean()
                            ? (print.get<bool>() ? buffer.count : 0)
                            : readCount(print, where + ": print");
    buffer.printCount = std::min(buffer.printCount, buffer.count);
  }
  if (spec.contains("save")) {
    if (!spec["save"].is_string())
      fail(where + ": expected save to be the name of a file");
    buffer.save =
        (path.parent_path() / spec["save"].get<std::string>()).string();
  }
  if (spec.contains("compare"))
    buffer.expected = readContents(buffer, spec["compare"]);
  if (spec.contains("tolerance"))
    buffer.tolerance = readNumber(spec["tolerance"], where + ": tolerance");
  return buffer;
}

template <typename T>
std::vector<T> Reader::readCounts(const json &value,
                                  const std::string &what) const {
  if (!value.is_array())
    fail("expected " + what + " to be a list, found " + value.dump());
  std::vector<T> counts;
  for (const json &count : value)
    counts.push_back(T(readCount(count, what)));
  return counts;
}

/// {"buffer": name, "sizes": [...], "box": [...], "strides", "swizzle", "fill"}
ParameterSpec Reader::readTensorMap(const json &value,
                                    const std::string &where) const {
  expectKeys(
      value, where,
      {"buffer", "offset", "sizes", "strides", "box", "swizzle", "fill"});
  ParameterSpec parameter;
  if (!value.contains("buffer") || !value["buffer"].is_string() ||
      !value.contains("sizes") || !value.contains("box"))
    fail(where + ": expected a buffer, sizes and a box");
  parameter.buffer = value["buffer"];
  if (value.contains("offset"))
    parameter.offset = readCount(value["offset"], where + ": offset");
  TensorMapSpec map;
  map.sizes = readCounts<uint64_t>(value["sizes"], where + ": sizes");
  map.box = readCounts<uint32_t>(value["box"], where + ": box");
  if (value.contains("strides"))
    map.strides = readCounts<uint64_t>(value["strides"], where + ": strides");
  size_t rank = map.sizes.size();
  if (rank == 0 || rank > maxTensorRank || map.box.size() != rank ||
      (!map.strides.empty() && map.strides.size() != rank - 1))
    fail(where + ": expected 1 to 5 sizes, a box of as many, and strides (in "
                 "bytes) of all but the first");
  if (value.contains("swizzle"))
    map.swizzle = unsigned(readCount(value["swizzle"], where + ": swizzle"));
  if (map.swizzle & ~224u || (map.swizzle & (map.swizzle - 1)))
    fail(where + ": expected a swizzle of 0, 32, 64 or 128 bytes, found " +
         std::to_string(map.swizzle));
  if (value.contains("fill")) {
    if (value["fill"] != "zeros" && value["fill"] != "nan")
      fail(where + ": expected fill to be \"zeros\" or \"nan\"");
    map.fillsNaN = value["fill"] == "nan";
  }
  parameter.map = std::move(map);
  return parameter;
}

/// {"buffer": name, "offset": bytes}, {"tensor_map": {...}}, {"TYPE": value} or
/// {"bytes": "hex"}.
ParameterSpec Reader::readParameter(const json &value, size_t index) const {
  std::string where = "parameter " + std::to_string(index);
  ParameterSpec parameter;
  if (!value.is_object() || value.empty())
    fail(where +
         ": expected {\"buffer\": name}, {\"TYPE\": value} or {\"bytes\": "
         "\"hex\"}, found " +
         value.dump());
  if (value.contains("buffer")) {
    expectKeys(value, where, {"buffer", "offset"});
    if (!value["buffer"].is_string())
      fail(where + ": expected the name of a buffer");
    parameter.buffer = value["buffer"];
    if (value.contains("offset"))
      parameter.offset = readCount(value["offset"], where + ": offset");
    return parameter;
  }
  if (value.contains("tensor_map"))
    return readTensorMap(value["tensor_map"], where + ": tensor_map");
  if (value.size() != 1)
    fail(where + ": expected one key, found " + value.dump());
  const std::string key = value.begin().key();
  const json &content = value.begin().value();
  if (key == "bytes") {
    std::string text =
        content.is_string() ? content.get<std::string>() : std::string("?");
    if (text.size() % 2 ||
        text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      fail(where + ": expected bytes as pairs of hexadecimal digits");
    for (size_t i = 0; i < text.size(); i += 2)
      parameter.bytes.push_back(
          uint8_t(std::stoul(text.substr(i, 2), nullptr, 16)));
    return parameter;
  }
  auto type = elementType(key);
  if (!type)
    fail(where + ": unknown type '" + key +
         "'; known are buffer, tensor_map, bytes, " + elementTypeNames());
  if (content.is_number_integer())
    appendInteger(parameter.bytes, *type, content.get<int64_t>());
  else
    appendElement(parameter.bytes, *type, readNumber(content, where));
  return parameter;
}

LaunchFile Reader::read() {
  std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path))
    fail("cannot be read");
  json root;
  try {
    root = json::parse(file, nullptr, true, true);
  } catch (const json::parse_error &error) {
    fail(std::string("is not JSON: ") + error.what());
  }
  expectKeys(root, "the launch file",
             {"kernel", "grid", "block", "shared", "parameters", "buffers"});
  LaunchFile launch;
  if (root.contains("kernel")) {
    if (!root["kernel"].is_string())
      fail("expected 'kernel' to be a name");
    launch.kernel = root["kernel"];
  }
  if (root.contains("grid"))
    launch.options.grid = readShape(root["grid"], "grid");
  if (root.contains("block"))
    launch.options.block = readShape(root["block"], "block");
  if (root.contains("shared")) {
    uint64_t bytes = readCount(root["shared"], "'shared'");
    if (bytes > 0x7fffffff)
      fail("expected 'shared' to be at most 2147483647 bytes");
    launch.options.dynamicShared = uint32_t(bytes);
  }
  if (root.contains("buffers")) {
    if (!root["buffers"].is_object())
      fail("expected 'buffers' to be an object of names");
    for (const auto &[name, spec] : root["buffers"].items())
      launch.buffers.push_back(readBuffer(name, spec));
  }
  if (root.contains("parameters")) {
    if (!root["parameters"].is_array())
      fail("expected 'parameters' to be a list");
    for (size_t i = 0; i < root["parameters"].size(); ++i)
      launch.parameters.push_back(readParameter(root["parameters"][i], i));
  }
  for (size_t i = 0; i < launch.parameters.size(); ++i) {
    const std::string &name = launch.parameters[i].buffer;
    bool isKnown = name.empty() ||
                   std::any_of(launch.buffers.begin(), launch.buffers.end(),
                               [&](const BufferSpec &buffer) {
                                 return buffer.name == name;
                               });
    if (!isKnown)
      fail("parameter " + std::to_string(i) + ": no buffer '" + name + "'");
  }
  return launch;
}

} // namespace

static std::optional<TensorType> tensorType(Type type) {
  static constexpr std::pair<Type, TensorType> types[] = {
      {Type::U8, TensorType::U8},   {Type::U16, TensorType::U16},
      {Type::U32, TensorType::U32}, {Type::S32, TensorType::S32},
      {Type::U64, TensorType::U64}, {Type::S64, TensorType::S64},
      {Type::F16, TensorType::F16}, {Type::BF16, TensorType::BF16},
      {Type::F32, TensorType::F32}, {Type::F64, TensorType::F64}};
  for (auto [element, tensor] : types)
    if (element == type)
      return tensor;
  return std::nullopt;
}

Result<std::vector<uint8_t>>
clade::ptx::bufferParameter(const ParameterSpec &parameter,
                            const BufferSpec &buffer) {
  std::vector<uint8_t> bytes;
  uint64_t address = buffer.address + parameter.offset;
  if (!parameter.map) {
    appendInteger(bytes, Type::U64, int64_t(address));
    return bytes;
  }
  std::string where = "tensor map of buffer '" + buffer.name + "': ";
  auto type = tensorType(buffer.type);
  if (!type)
    return Error{where + "there are none of " +
                 std::string(nameOf(buffer.type))};
  const TensorMapSpec &spec = *parameter.map;
  std::vector<uint64_t> strides = spec.strides;
  uint64_t dense = sizeOf(buffer.type);
  for (size_t i = 0; strides.size() + 1 < spec.sizes.size(); ++i)
    strides.push_back(dense *= spec.sizes[i]);
  std::vector<uint32_t> steps(spec.sizes.size(), 1);
  TensorMapRequest request;
  request.type = unsigned(*type);
  request.rank = unsigned(spec.sizes.size());
  request.address = address;
  request.sizes = spec.sizes.data();
  request.strides = strides.data();
  request.box = spec.box.data();
  request.steps = steps.data();
  request.swizzle = spec.swizzle == 0    ? 0
                    : spec.swizzle == 32 ? 1
                    : spec.swizzle == 64 ? 2
                                         : 3;
  request.fill = spec.fillsNaN;
  auto map = encodeTensorMap(request);
  if (!map)
    return Error{where + map.error().message};
  const auto *raw = reinterpret_cast<const uint8_t *>(&*map);
  bytes.assign(raw, raw + sizeof(TensorMap));
  return bytes;
}

Result<LaunchFile>
clade::ptx::readLaunchFile(const std::filesystem::path &path) {
  try {
    return Reader(path).read();
  } catch (Error &error) {
    return std::move(error);
  }
}
