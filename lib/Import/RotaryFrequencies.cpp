//===- RotaryFrequencies.cpp - Frequencies of rotary embedding ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The scalings of transformers' modeling_rope_utils.py: linear, dynamic NTK,
// llama3, YaRN (arXiv:2309.00071), LongRoPE (arXiv:2402.13753). Angles grow
// with the position, so each step rounds to f32 exactly where the reference
// does.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/RotaryFrequencies.h"

#include "lib/Import/SpecLibrary.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringSwitch.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

namespace {
constexpr double pi = 3.14159265358979323846;

/// Reads numbers of the record; remembers the first that is wrong.
class RecordReader {
public:
  RecordReader(const RopeTable &table,
               llvm::function_ref<Location(StringRef)> locationOf)
      : table(table), locationOf(locationOf) {}

  /// A number above 0 that f32 can hold.
  std::optional<double> optional(StringRef key) {
    return read(key, "a number above 0",
                [](double value) { return value > 0; });
  }
  /// The same, where 0 stands for the default.
  double orElse(StringRef key, double byDefault) {
    double value = read(key, "a number of at least 0", [](double value) {
                     return value >= 0;
                   }).value_or(0);
    return value == 0 ? byDefault : value;
  }
  double required(StringRef key) {
    std::optional<double> value = optional(key);
    if (!value)
      fail(key, "a number above 0");
    return value.value_or(1);
  }
  /// A number above that of `lowKey`.
  double requiredAbove(StringRef key, StringRef lowKey, double low) {
    double value = required(key);
    if (!(value > low))
      fail(key, "a number above '" + table.pathOf(lowKey) + "'");
    return value;
  }
  /// original_max_position_embeddings, or else the configuration's maximum.
  double originalLength(double least = 1) {
    StringRef key = "original_max_position_embeddings";
    std::string expected =
        ("a length from " + llvm::Twine(static_cast<int>(least)) + " to " +
         llvm::Twine(maxAxisSize))
            .str();
    std::optional<double> own = read(key, expected, [&](double value) {
      return value >= least && value <= maxAxisSize;
    });
    double value = own.value_or(table.maxPositions);
    if (!(value >= least))
      fail(key, expected);
    return std::max(value, least);
  }
  std::vector<float> list(StringRef key, int64_t size) {
    auto it = table.record->find(key.str());
    std::vector<float> values;
    if (it != table.record->end() && it->is_array())
      for (const json &element : *it)
        if (element.is_number() && element.get<double>() > 0 &&
            element.get<double>() <= std::numeric_limits<float>::max())
          values.push_back(element.get<double>());
    if (static_cast<int64_t>(values.size()) != size)
      fail(key, ("a list of " + llvm::Twine(size) + " numbers above 0").str());
    values.resize(size, 1);
    return values;
  }
  bool flag(StringRef key, bool byDefault) {
    auto it = table.record->find(key.str());
    if (it == table.record->end() || it->is_null())
      return byDefault;
    if (!it->is_boolean())
      fail(key, "true or false");
    return it->is_boolean() ? it->get<bool>() : byDefault;
  }
  LogicalResult status() const { return success(ok); }

private:
  std::optional<double> read(StringRef key, const std::string &expected,
                             llvm::function_ref<bool(double)> isGood) {
    auto it = table.record->find(key.str());
    if (it == table.record->end() || it->is_null())
      return std::nullopt;
    if (it->is_number() && isGood(it->get<double>()) &&
        it->get<double>() <= std::numeric_limits<float>::max())
      return it->get<double>();
    fail(key, expected);
    return std::nullopt;
  }
  void fail(StringRef key, const std::string &expected) {
    std::string path = table.pathOf(key);
    auto it = table.record->find(key.str());
    if (ok)
      emitError(locationOf(path))
          << "rotary scaling '" << table.kind << "' expects " << expected
          << " as '" << path << "', got "
          << (it == table.record->end() ? "nothing"
              : it->is_array() ? "a list of " + std::to_string(it->size())
                               : it->dump());
    ok = false;
  }

  const RopeTable &table;
  llvm::function_ref<Location(StringRef)> locationOf;
  bool ok = true;
};
} // namespace

/// base ^ (2i / size) in f32, as torch computes base ** (arange(0, size, 2) /
/// size).
static std::vector<float> powers(double base, int64_t size) {
  std::vector<float> result;
  for (int64_t i = 0; i < size; i += 2) {
    float exponent = static_cast<float>(i) / static_cast<float>(size);
    result.push_back(static_cast<float>(
        std::pow(static_cast<double>(static_cast<float>(base)), exponent)));
  }
  return result;
}

static std::vector<float> llama3(std::vector<float> frequencies,
                                 RecordReader &reader) {
  float factor = reader.required("factor");
  double low = reader.required("low_freq_factor"),
         high =
             reader.requiredAbove("high_freq_factor", "low_freq_factor", low);
  double original = reader.originalLength();
  float lowWavelength = original / low, highWavelength = original / high;
  for (float &frequency : frequencies) {
    float wavelength = static_cast<float>(2 * pi) / frequency;
    float scaled = wavelength > lowWavelength ? frequency / factor : frequency;
    if (wavelength < highWavelength || wavelength > lowWavelength) {
      frequency = scaled;
      continue;
    }
    float smooth =
        (static_cast<float>(original) / wavelength - static_cast<float>(low)) /
        static_cast<float>(high - low);
    frequency = (1 - smooth) * scaled / factor + smooth * scaled;
  }
  return frequencies;
}

static double yarnScale(double scale, double m = 1) {
  return scale <= 1 ? 1.0 : 0.1 * m * std::log(scale) + 1.0;
}

static RotaryFrequencies yarn(const RopeTable &table, int64_t size,
                              RecordReader &reader) {
  RotaryFrequencies result;
  double original = reader.originalLength();
  double factor =
      reader.optional("factor").value_or(table.maxPositions / original);
  std::optional<double> attention = reader.optional("attention_factor");
  double m = reader.orElse("mscale", 0),
         mAll = reader.orElse("mscale_all_dim", 0);
  result.scale = attention ? *attention
                 : m != 0 && mAll != 0
                     ? yarnScale(factor, m) / yarnScale(factor, mAll)
                     : yarnScale(factor);
  double fast = reader.orElse("beta_fast", 32),
         slow = reader.orElse("beta_slow", 1);
  auto dimension = [&](double rotations) {
    return size * std::log(original / (rotations * 2 * pi)) /
           (2 * std::log(table.theta));
  };
  double low = dimension(fast), high = dimension(slow);
  if (reader.flag("truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(size - 1));
  if (low == high)
    high += 0.001;
  for (auto [i, power] : llvm::enumerate(powers(table.theta, size))) {
    float ramp = (static_cast<float>(i) - static_cast<float>(low)) /
                 static_cast<float>(high - low);
    float extrapolated = 1 - std::clamp(ramp, 0.0f, 1.0f);
    float interpolation = 1.0f / (static_cast<float>(factor) * power),
          extrapolation = 1.0f / power;
    result.frequencies.push_back(interpolation * (1 - extrapolated) +
                                 extrapolation * extrapolated);
  }
  return result;
}

static RotaryFrequencies longrope(const RopeTable &table, int64_t size,
                                  RecordReader &reader) {
  RotaryFrequencies result;
  // Its logarithm divides.
  double original = reader.originalLength(/*least=*/2);
  double factor =
      reader.optional("factor").value_or(table.maxPositions / original);
  std::optional<double> attention = reader.optional("attention_factor");
  result.scale = attention ? *attention
                 : factor <= 1
                     ? 1.0
                     : std::sqrt(1 + std::log(factor) / std::log(original));
  std::vector<float> power = powers(table.theta, size);
  std::vector<float> shortFactor = reader.list("short_factor", power.size());
  std::vector<float> longFactor = reader.list("long_factor", power.size());
  for (size_t i = 0; i < power.size(); ++i) {
    result.frequencies.push_back(1.0f / (shortFactor[i] * power[i]));
    result.longFrequencies.push_back(1.0f / (longFactor[i] * power[i]));
  }
  // With equal lists no length matters.
  if (shortFactor == longFactor)
    result.longFrequencies.clear();
  else
    result.originalLength = original;
  return result;
}

/// Frequencies of several position axes. 'axial': each of two axes has all
/// frequencies of a head of half the size, and all of the first come first
/// (Qwen2-VL, arXiv:2409.12191); woven, columns and rows take turns at each
/// (MoonViT, arXiv:2504.07491). 'alternate': the axes take the frequencies of
/// the head in turn, and those of the first come first (Pixtral,
/// arXiv:2410.07073).
static RotaryFrequencies sectioned(const RopeTable &table, int64_t size) {
  RotaryFrequencies result;
  if (table.sections == "sizes") {
    for (float power : powers(table.theta, size))
      result.frequencies.push_back(1.0f / power);
    int64_t first = 0;
    for (auto [axis, count] : llvm::enumerate(table.sectionSizes)) {
      if (!table.isWoven)
        result.axes.insert(result.axes.end(), count, axis);
      first += count;
    }
    // Woven: rows and columns take every third frequency as far as theirs go,
    // time has the others (Qwen3-VL, arXiv:2511.21631).
    for (int64_t j = 0; table.isWoven && j < first; ++j) {
      int64_t axis = j % 3;
      bool isTheirs = axis > 0 && j < 3 * table.sectionSizes[axis];
      result.axes.push_back(isTheirs ? axis : 0);
    }
    return result;
  }
  bool isAxial = table.sections == "axial";
  std::vector<float> all = powers(table.theta, isAxial ? size / 2 : size);
  if (table.isWoven) {
    for (float power : all)
      for (int64_t axis : {1, 0}) {
        result.frequencies.push_back(1.0f / power);
        result.axes.push_back(axis);
      }
    return result;
  }
  for (int64_t axis = 0; axis < 2; ++axis)
    for (size_t j = isAxial ? 0 : axis; j < all.size(); j += isAxial ? 1 : 2) {
      result.frequencies.push_back(1.0f / all[j]);
      result.axes.push_back(axis);
    }
  return result;
}

FailureOr<RotaryFrequencies>
import::rotaryFrequencies(const RopeTable &table, int64_t headSize,
                          Location loc,
                          llvm::function_ref<Location(StringRef)> locationOf) {
  RecordReader reader(table, locationOf);
  int64_t size =
      table.size.value_or(static_cast<int64_t>(headSize * table.fraction));
  if (size < 2 || size > headSize || size % 2 != 0)
    return emitError(loc)
           << "expected an even number of rotated features of at most "
           << headSize << ", got " << size;
  if (!table.sections.empty()) {
    if (table.kind != "default" && table.kind != "axial" &&
        table.kind != "mrope")
      return emitError(locationOf(table.pathOf("rope_type")))
             << "expected rotary scaling 'default' or 'axial' with sections, "
                "got '"
             << table.kind << "'";
    int64_t sum = 0;
    for (int64_t section : table.sectionSizes)
      sum += section;
    if (table.sections == "sizes" && 2 * sum != size)
      return emitError(loc) << "expected sections of together " << size / 2
                            << " frequencies, got " << sum;
    if (table.sections != "sizes" && size % 4 != 0)
      return emitError(loc) << "expected a multiple of 4 rotated features for "
                               "two position axes, got "
                            << size;
    return sectioned(table, size);
  }
  if (table.kind == "yarn" && table.theta == 1)
    return emitError(locationOf(table.pathOf("rope_theta")))
           << "rotary scaling 'yarn' expects another base than 1";
  RotaryFrequencies result;
  if (table.kind == "yarn") {
    result = yarn(table, size, reader);
  } else if (table.kind == "longrope") {
    result = longrope(table, size, reader);
  } else {
    for (float power : powers(table.theta, size))
      result.frequencies.push_back(1.0f / power);
    if (table.kind == "linear") {
      float factor = reader.required("factor");
      for (float &frequency : result.frequencies)
        frequency /= factor;
    } else if (table.kind == "llama3") {
      result.frequencies = llama3(result.frequencies, reader);
    } else if (table.kind == "dynamic") {
      result.dynamicFactor = reader.required("factor");
      result.originalLength = table.maxPositions;
      if (table.maxPositions < 1)
        return emitError(locationOf("max_position_embeddings"))
               << "rotary scaling 'dynamic' expects "
                  "'max_position_embeddings' of at least 1, got "
               << table.maxPositions;
    } else if (table.kind != "default") {
      return emitError(locationOf(table.pathOf("rope_type")))
             << "unknown rotary scaling '" << table.kind
             << "': expected default, linear, dynamic, llama3, yarn or "
                "longrope";
    }
  }
  if (failed(reader.status()))
    return failure();
  return result;
}

LogicalResult
import::checkRopeRecord(const RopeTable &table,
                        const std::vector<std::string> &ignored,
                        llvm::function_ref<Location(StringRef)> locationOf) {
  std::vector<std::string> known{"rope_type", "type", "rope_theta",
                                 "partial_rotary_factor"};
  auto add = [&](std::initializer_list<const char *> keys) {
    known.insert(known.end(), keys.begin(), keys.end());
  };
  if (table.kind != "default" && table.kind != "axial" && table.kind != "mrope")
    add({"factor", "original_max_position_embeddings"});
  if (!table.sectionSizes.empty())
    add({"mrope_section"});
  // It tells what the family knows.
  if (table.isWoven && !table.sectionSizes.empty())
    add({"mrope_interleaved"});
  if (table.kind == "llama3")
    add({"low_freq_factor", "high_freq_factor"});
  if (table.kind == "yarn" || table.kind == "longrope")
    add({"attention_factor"});
  if (table.kind == "yarn")
    add({"beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"});
  if (table.kind == "longrope")
    add({"short_factor", "long_factor"});
  bool ok = true;
  for (const auto &[key, value] : table.record->items()) {
    std::string dotted = table.pathOf(key);
    if (llvm::is_contained(known, key) || llvm::is_contained(ignored, dotted))
      continue;
    ok = false;
    emitError(locationOf(dotted))
        << "key '" << dotted << "' is not read by rotary scaling '"
        << table.kind << "'" << SpecLibrary::hint(key, known);
  }
  return success(ok);
}
