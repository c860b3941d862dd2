//===- AdapterConfig.cpp - What an adapter says about itself --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The keys are those of peft.LoraConfig (PEFT 0.21). A key that is not known
// here may stay if it says nothing: null, false or empty.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/AdapterConfig.h"

#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cmath>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// Keys that are read below.
constexpr std::string_view honoured[] = {
    "peft_type",
    "r",
    "lora_alpha",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "bias",
    "fan_in_fan_out",
    "peft_version",
    "target_parameters",
    "init_lora_weights",
    "base_model_name_or_path",
};

/// Keys about training, about where the adapter came from, and about which
/// modules have one: the tensors tell that.
constexpr std::string_view ignored[] = {
    "target_modules",      "exclude_modules",
    "layers_to_transform", "layers_pattern",
    "lora_dropout",        "task_type",
    "auto_mapping",        "revision",
    "inference_mode",      "runtime_config",
    "megatron_config",     "megatron_core",
    "loftq_config",        "eva_config",
    "corda_config",        "lora_ga_config",
    "velora_config",       "monteclora_config",
    "qalora_group_size",   "ensure_weight_tying",
};

/// How an adapter began. All others change the base weights as well, so that
/// the file fits another checkpoint than the published one.
constexpr std::string_view startsThatKeepTheBase[] = {"gaussian", "eva",
                                                      "orthogonal", "mica"};

template <typename Range>
bool contains(const Range &range, std::string_view key) {
  return std::find(std::begin(range), std::end(range), key) != std::end(range);
}

/// null, false, "", [] and {} ask for nothing.
bool saysNothing(const json &value) {
  return value.is_null() || value == false || value == "" ||
         (value.is_structured() && value.empty());
}

Status invalidKey(std::string_view key, const std::string &expected,
                  const json &value) {
  return Status::corruption(
      "expected " + quoteName(key) + " to be " + expected + ", got " +
      value.dump(-1, ' ', false, json::error_handler_t::replace));
}

Status unsupportedKey(std::string_view key, const json &value,
                      const std::string &hint) {
  return Status::unsupported(
      quoteName(key) + " is " +
      value.dump(-1, ' ', false, json::error_handler_t::replace) + ": " + hint);
}

/// Refuses what is not done here.
Status checkKey(const std::string &key, const json &value) {
  if (contains(honoured, key) || contains(ignored, key) || saysNothing(value))
    return {};
  if (key == "use_dora")
    return unsupportedKey(key, value,
                          "adapters with magnitudes (DoRA) are not supported");
  if (key == "modules_to_save" || key == "trainable_token_indices")
    return unsupportedKey(
        key, value,
        "weights that an adapter replaces as a whole are not supported; merge "
        "them with PEFT's merge_and_unload");
  return unsupportedKey(key, value,
                        "this kind of adapter is not supported, only plain "
                        "LoRA");
}

StatusOr<double> readNumber(const json &config, const char *key) {
  auto it = config.find(key);
  if (it == config.end())
    return Status::corruption("expected " + quoteName(key));
  if (!it->is_number() || !std::isfinite(it->get<double>()))
    return invalidKey(key, "a number", *it);
  return it->get<double>();
}

bool isRank(double value) {
  return value >= 1 && value <= 1 << 20 && value == std::floor(value);
}

StatusOr<bool> readFlag(const json &config, const char *key) {
  auto it = config.find(key);
  if (it == config.end() || it->is_null())
    return false;
  if (!it->is_boolean())
    return invalidKey(key, "true or false", *it);
  return it->get<bool>();
}

StatusOr<std::string> readText(const json &config, const char *key) {
  auto it = config.find(key);
  if (it == config.end() || it->is_null())
    return std::string();
  if (!it->is_string())
    return invalidKey(key, "a string", *it);
  return it->get<std::string>();
}

StatusOr<std::vector<std::pair<std::string, double>>>
readPatterns(const nlohmann::ordered_json &config, const char *key,
             bool areRanks) {
  std::vector<std::pair<std::string, double>> patterns;
  auto it = config.find(key);
  if (it == config.end() || it->is_null())
    return patterns;
  if (!it->is_object())
    return invalidKey(key, "an object of numbers", json(*it));
  for (const auto &[pattern, value] : it->items()) {
    if (!value.is_number() || !std::isfinite(value.get<double>()) ||
        (areRanks && !isRank(value.get<double>())))
      return invalidKey(std::string(key) + "." + pattern,
                        areRanks ? "a positive integer" : "a number",
                        json(value));
    patterns.emplace_back(pattern, value.get<double>());
  }
  return patterns;
}

/// Whether `re.match(rf"(.*\.)?({pattern})$", name)` matches.
StatusOr<bool> matchesEnd(const std::string &pattern, const std::string &name) {
  std::string whole = "(?:.*\\.)?(?:" + pattern + ")$";
  int error = 0;
  PCRE2_SIZE offset = 0;
  std::unique_ptr<pcre2_code, void (*)(pcre2_code *)> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(whole.data()), whole.size(),
                    PCRE2_ANCHORED | PCRE2_DOLLAR_ENDONLY |
                        PCRE2_NEVER_BACKSLASH_C,
                    &error, &offset, nullptr),
      pcre2_code_free);
  std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data *)> data(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context *)> limits(
      pcre2_match_context_create(nullptr), pcre2_match_context_free);
  if (!code || !data || !limits)
    return Status::invalidArgument("pattern " + quoteName(pattern) +
                                   " is no regular expression");
  pcre2_set_match_limit(limits.get(), 100'000);
  int matched =
      pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(name.data()),
                  name.size(), 0, 0, data.get(), limits.get());
  if (matched < 0 && matched != PCRE2_ERROR_NOMATCH)
    return Status::invalidArgument("pattern " + quoteName(pattern) +
                                   " takes too long to match " +
                                   quoteName(name));
  return matched >= 0;
}

/// The value of the first pattern that matches, or `value`.
StatusOr<double>
firstMatch(const std::vector<std::pair<std::string, double>> &patterns,
           const char *key, const std::string &name, double value) {
  for (const auto &[pattern, number] : patterns) {
    StatusOr<bool> matches = matchesEnd(pattern, name);
    if (!matches.ok())
      return matches.takeStatus().withContext(quoteName(key));
    if (*matches)
      return number;
  }
  return value;
}

Status checkKind(const json &config) {
  auto type = config.find("peft_type");
  if (type == config.end())
    return Status::corruption("expected 'peft_type'");
  if (*type != "LORA")
    return unsupportedKey("peft_type", *type, "expected \"LORA\"");
  auto bias = config.find("bias");
  if (bias != config.end() && !saysNothing(*bias) && *bias != "none")
    return unsupportedKey("bias", *bias,
                          "biases that an adapter changes are not supported, "
                          "expected \"none\"");
  auto start = config.find("init_lora_weights");
  bool keepsBase = start == config.end() || start->is_null() ||
                   start->is_boolean() ||
                   (start->is_string() &&
                    contains(startsThatKeepTheBase, start->get<std::string>()));
  if (!keepsBase)
    return unsupportedKey(
        "init_lora_weights", *start,
        "such an adapter begins by changing the base weights; convert it with "
        "PEFT's save_pretrained(path_initial_model_for_weight_conversion=…)");
  return {};
}

} // namespace

StatusOr<AdapterConfig> AdapterConfig::parse(std::string_view text) {
  CLADE_ASSIGN_OR_RETURN(json config, parseJson(text));
  if (!config.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(checkKind(config));
  for (const auto &[key, value] : config.items())
    CLADE_RETURN_IF_ERROR(checkKey(key, value));
  AdapterConfig result;
  CLADE_ASSIGN_OR_RETURN(double rank, readNumber(config, "r"));
  if (!isRank(rank))
    return invalidKey("r", "a positive integer", config["r"]);
  result.rank = static_cast<int64_t>(rank);
  CLADE_ASSIGN_OR_RETURN(result.alpha, readNumber(config, "lora_alpha"));
  CLADE_ASSIGN_OR_RETURN(result.isRankStabilised,
                         readFlag(config, "use_rslora"));
  CLADE_ASSIGN_OR_RETURN(result.isFanInFanOut,
                         readFlag(config, "fan_in_fan_out"));
  CLADE_ASSIGN_OR_RETURN(result.version, readText(config, "peft_version"));
  CLADE_ASSIGN_OR_RETURN(result.base,
                         readText(config, "base_model_name_or_path"));
  // The first pattern of the file that matches counts.
  auto ordered = nlohmann::ordered_json::parse(text, nullptr, false);
  CLADE_ASSIGN_OR_RETURN(
      result.rankPatterns,
      readPatterns(ordered, "rank_pattern", /*areRanks=*/true));
  CLADE_ASSIGN_OR_RETURN(
      result.alphaPatterns,
      readPatterns(ordered, "alpha_pattern", /*areRanks=*/false));
  if (auto it = config.find("target_parameters");
      it != config.end() && !it->is_null()) {
    if (!it->is_array())
      return invalidKey("target_parameters", "a list of names", *it);
    for (const json &name : *it) {
      if (!name.is_string())
        return invalidKey("target_parameters", "a list of names", *it);
      result.parameters.push_back(name.get<std::string>());
    }
  }
  return result;
}

StatusOr<AdapterScale> AdapterConfig::scaleOf(const std::string &module) const {
  CLADE_ASSIGN_OR_RETURN(double ownRank,
                         firstMatch(rankPatterns, "rank_pattern", module,
                                    static_cast<double>(rank)));
  CLADE_ASSIGN_OR_RETURN(
      double ownAlpha,
      firstMatch(alphaPatterns, "alpha_pattern", module, alpha));
  return AdapterScale{static_cast<int64_t>(ownRank),
                      ownAlpha /
                          (isRankStabilised ? std::sqrt(ownRank) : ownRank)};
}
