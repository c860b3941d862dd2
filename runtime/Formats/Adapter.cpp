//===- Adapter.cpp - A LoRA adapter as PEFT publishes it ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Adapter.h"

#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"

#include <algorithm>

using namespace clade::rt;

namespace {

constexpr std::string_view keyPrefix = "base_model.model.";
constexpr std::string_view baseLayer = ".base_layer";

/// The ends of the names of factors, for linear maps and for embeddings.
constexpr std::string_view endOfA = ".lora_A.weight", endOfB = ".lora_B.weight",
                           endOfTableA = ".lora_embedding_A",
                           endOfTableB = ".lora_embedding_B";

bool consumeEnd(std::string_view &text, std::string_view end) {
  if (!text.ends_with(end))
    return false;
  text.remove_suffix(end.size());
  return true;
}

bool isFactorType(DType dtype) {
  return dtype == DType::F32 || dtype == DType::BF16 || dtype == DType::F16;
}

/// Parameters of one module are wrapped in the order in which the published
/// implementation registers them, the first one innermost.
int orderOf(std::string_view parameter) {
  return parameter == "gate_up_proj" || parameter == "gate_proj" ? 0
         : parameter == "up_proj"                                ? 1
         : parameter == "down_proj"                              ? 2
                                                                 : -1;
}

/// Whether `module` is, or ends in, the module that a target parameter names.
bool isModuleOf(std::string_view module, std::string_view target) {
  size_t dot = target.rfind('.');
  std::string_view of =
      dot == target.npos ? std::string_view() : target.substr(0, dot);
  if (of.empty() || module == of)
    return true;
  return module.size() > of.size() && module.ends_with(of) &&
         module[module.size() - of.size() - 1] == '.';
}

Status mismatch(const StoredTensor &tensor, const std::string &expected) {
  return Status::corruption("tensor " + quoteName(tensor.name) + " is " +
                            std::string(dtypeName(tensor.dtype)) + " " +
                            shapeText(tensor.shape) + ", expected " + expected);
}

} // namespace

std::vector<std::string> clade::rt::moduleNames(std::string_view name) {
  // Beginnings of names in checkpoints, and in modules.
  static constexpr std::pair<std::string_view, std::string_view> prefixes[] = {
      {"language_model.model.", "model.language_model."},
      {"language_model.lm_head", "lm_head"},
      {"vision_tower.", "model.vision_tower."},
      {"multi_modal_projector.", "model.multi_modal_projector."},
      {"visual.", "model.visual."},
      {"model.", "model.language_model."},
      {"backbone.", "model."},
      {"model.", "backbone."},
  };
  std::vector<std::string> names{std::string(name)};
  for (auto [published, module] : prefixes)
    if (name.starts_with(published))
      names.push_back(std::string(module) +
                      std::string(name.substr(published.size())));
  return names;
}

Status Adapter::readKey(const StoredTensor &tensor) {
  std::string_view name = tensor.name;
  if (!prefix.empty() && !name.starts_with(prefix))
    return Status::corruption("tensor " + quoteName(name) +
                              " does not begin with " + quoteName(prefix) +
                              ", as others do");
  name.remove_prefix(prefix.size());
  bool isA = consumeEnd(name, endOfA), isB = !isA && consumeEnd(name, endOfB);
  bool isTable = false;
  if (!isA && !isB) {
    isA = consumeEnd(name, endOfTableA);
    isB = !isA && consumeEnd(name, endOfTableB);
    isTable = isA || isB;
  }
  if (isA || isB) {
    AdapterFactors &factors = byModule[std::string(name)];
    factors.kind = isTable ? AdapterFactors::Kind::Embedding
                           : AdapterFactors::Kind::Linear;
    const StoredTensor *&own = isA ? factors.a : factors.b;
    if (own)
      return Status::corruption("module " + quoteName(name) +
                                " has factors of two kinds");
    own = &tensor;
    (isA ? factors.suffixA : factors.suffixB) =
        tensor.name.substr(prefix.size() + name.size());
    return {};
  }
  if (name.find("lora_magnitude_vector") != name.npos)
    return Status::unsupported("tensor " + quoteName(tensor.name) +
                               " is a magnitude of DoRA, which is not "
                               "supported");
  if (name.find("lora_") != name.npos || !consumeEnd(name, ".weight"))
    return Status::unsupported(
        "tensor " + quoteName(tensor.name) +
        " is no factor of an adapter: expected a name that ends in '" +
        std::string(endOfA) + "', '" + std::string(endOfB) + "', '" +
        std::string(endOfTableA) + "' or '" + std::string(endOfTableB) + "'");
  consumeEnd(name, baseLayer);
  wholes[std::string(name)] = &tensor;
  return {};
}

/// "….experts" and "….experts.base_layer" become names of parameters.
Status Adapter::nameParameters() {
  if (settings.targetParameters().empty())
    return {};
  // The wrappers of a module, the outermost first.
  std::map<std::string, std::vector<AdapterFactors>> wrappers;
  for (auto it = byModule.begin(); it != byModule.end();) {
    std::string_view module = it->first;
    while (consumeEnd(module, baseLayer))
      ;
    bool isTarget = std::any_of(
        settings.targetParameters().begin(), settings.targetParameters().end(),
        [&](const auto &name) { return isModuleOf(module, name); });
    if (!isTarget) {
      ++it;
      continue;
    }
    std::string suffix = it->first.substr(module.size());
    it->second.kind = AdapterFactors::Kind::Parameter;
    it->second.suffixA = suffix + it->second.suffixA;
    it->second.suffixB = suffix + it->second.suffixB;
    wrappers[std::string(module)].push_back(it->second);
    it = byModule.erase(it);
  }
  for (auto &[module, nested] : wrappers) {
    std::vector<std::string> names;
    for (const std::string &target : settings.targetParameters()) {
      std::string name = target.substr(target.rfind('.') + 1);
      if (isModuleOf(module, target) &&
          std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
    }
    if (names.size() != nested.size())
      return Status::corruption(
          "'target_parameters' name " + std::to_string(names.size()) +
          " parameters of module " + quoteName(module) + ", the file has " +
          std::to_string(nested.size()));
    for (const std::string &name : names)
      if (names.size() > 1 && orderOf(name) < 0)
        return Status::unsupported(
            "which of the nested factors of module " + quoteName(module) +
            " is parameter " + quoteName(name) +
            " is known only for 'gate_up_proj', 'gate_proj', 'up_proj' and "
            "'down_proj'");
    std::sort(names.begin(), names.end(), [](const auto &x, const auto &y) {
      return orderOf(x) > orderOf(y);
    });
    std::sort(nested.begin(), nested.end(), [](const auto &x, const auto &y) {
      return x.suffixA.size() < y.suffixA.size();
    });
    for (size_t i = 0; i < names.size(); ++i)
      byModule[module + "." + names[i]] = nested[i];
  }
  return {};
}

Status Adapter::checkFactors(const std::string &module,
                             AdapterFactors &factors) {
  if (!factors.a || !factors.b) {
    const StoredTensor &half = factors.a ? *factors.a : *factors.b;
    std::string other = half.name;
    size_t letter = other.rfind(factors.a ? "_A" : "_B") + 1;
    other[letter] = factors.a ? 'B' : 'A';
    return Status::corruption("tensor " + quoteName(half.name) +
                              " has no other half, expected " +
                              quoteName(other));
  }
  const StoredTensor &a = *factors.a, &b = *factors.b;
  for (const StoredTensor *each : {&a, &b})
    if (!isFactorType(each->dtype) || each->shape.size() != 2)
      return mismatch(*each, "two axes of F32, BF16 or F16");
  CLADE_ASSIGN_OR_RETURN(AdapterScale scale, settings.scaleOf(module));
  factors.rank = scale.rank;
  factors.scale = scale.scale;
  int64_t all = scale.rank;
  if (factors.kind == AdapterFactors::Kind::Parameter) {
    factors.experts = a.shape[0] / scale.rank;
    all = std::max<int64_t>(factors.experts, 1) * scale.rank;
  }
  std::string rankText = std::to_string(scale.rank);
  if (a.shape[0] != all)
    return mismatch(a,
                    factors.kind == AdapterFactors::Kind::Parameter
                        ? "a multiple of the rank " + rankText + " as rows"
                        : rankText + " rows, the rank of " + quoteName(module));
  if (b.shape[1] != all)
    return mismatch(b, std::to_string(all) + " columns, as many as " +
                           quoteName(a.name) + " has rows");
  return {};
}

StatusOr<Adapter> Adapter::open(const std::string &path) {
  Adapter result;
  result.directory = path;
  std::string configPath = path + "/adapter_config.json",
              tensorPath = path + "/adapter_model.safetensors";
  if (!isDirectory(path) || !fileExists(configPath))
    return Status::notFound(quoteName(path) +
                            " is no adapter, expected a directory with "
                            "'adapter_config.json'");
  CLADE_ASSIGN_OR_RETURN(result.text, readTextFile(configPath));
  StatusOr<AdapterConfig> config = AdapterConfig::parse(result.text);
  if (!config.ok())
    return config.takeStatus().withContext(quoteName(configPath));
  result.settings = std::move(*config);
  if (!fileExists(tensorPath))
    return Status::notFound(
        quoteName(path) + " has no 'adapter_model.safetensors'" +
        (fileExists(path + "/adapter_model.bin")
             ? "; 'adapter_model.bin' is a program of Python, save the adapter "
               "again with safe_serialization=True"
             : ""));
  CLADE_ASSIGN_OR_RETURN(SafetensorsFile opened,
                         SafetensorsFile::open(tensorPath));
  result.file = std::make_shared<const SafetensorsFile>(std::move(opened));
  auto check = [&]() -> Status {
    if (result.tensors().empty())
      return Status::corruption("holds no tensors");
    if (result.tensors().front().name.starts_with(keyPrefix))
      result.prefix = keyPrefix;
    for (const StoredTensor &tensor : result.tensors())
      CLADE_RETURN_IF_ERROR(result.readKey(tensor));
    CLADE_RETURN_IF_ERROR(result.nameParameters());
    for (auto &[module, factors] : result.byModule)
      CLADE_RETURN_IF_ERROR(result.checkFactors(module, factors));
    return {};
  };
  if (Status status = check(); !status.ok())
    return std::move(status).withContext(quoteName(tensorPath));
  return result;
}

std::string Adapter::tensorName(const AdapterFactors &factors,
                                std::string module,
                                const std::string &suffix) const {
  if (factors.kind == AdapterFactors::Kind::Parameter)
    module.resize(module.rfind('.'));
  return prefix + module + suffix;
}
