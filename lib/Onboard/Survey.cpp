//===- Survey.cpp - What a checkpoint is ----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Survey.h"

#include "llvm/Support/MathExtras.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;
using nlohmann::json;

llvm::ArrayRef<std::vector<StringRef>> onboard::keySynonyms() {
  static const std::vector<std::vector<StringRef>> synonyms = {
      {"hidden_size", "n_embd", "d_model", "dim", "hidden_dim", "embed_dim"},
      {"intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size",
       "inner_dim", "encoder_ffn_dim"},
      {"num_hidden_layers", "n_layer", "n_layers", "num_layers",
       "encoder_layers"},
      {"num_attention_heads", "n_head", "n_heads", "num_heads",
       "encoder_attention_heads"},
      {"num_key_value_heads", "num_kv_heads", "n_head_kv",
       "multi_query_group_num"},
      {"vocab_size", "padded_vocab_size"},
      {"tie_word_embeddings"},
      {"hidden_act", "activation_function", "hidden_activation",
       "mlp_hidden_act", "activation"},
      {"head_dim", "attention_head_dim", "kv_channels"},
      {"rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps", "norm_eps",
       "norm_epsilon", "layernorm_epsilon"},
      {"max_position_embeddings", "n_positions", "n_ctx", "seq_length"}};
  return synonyms;
}

namespace {
class Surveyor {
public:
  Surveyor(const import::Config &config,
           llvm::ArrayRef<rt::StoredTensor> tensors)
      : config(config.json()) {
    std::vector<const rt::StoredTensor *> all;
    for (const rt::StoredTensor &tensor : tensors) {
      all.push_back(&tensor);
      uint64_t elements = 1;
      for (int64_t size : tensor.shape)
        elements = llvm::SaturatingMultiply(elements, uint64_t(size));
      result.parameters = llvm::SaturatingAdd(result.parameters, elements);
    }
    result.tensors = tensors.size();
    result.groups = groupTensors(all);
    for (StringRef key : {"text_config", "llm_config", "language_config"})
      if (config.json().contains(key.str()) &&
          config.json()[key.str()].is_object())
        text = &config.json()[key.str()], textPath = (key + ".").str();
  }

  Survey run() {
    readFields();
    classify();
    findAttention();
    findPositions();
    findNorms();
    findMlp();
    findHead();
    return std::move(result);
  }

private:
  /// The value of a key, in the object for text first; null if there is none.
  const json *find(StringRef key, std::string *path = nullptr) const {
    for (const json *object : {text, &config}) {
      if (!object)
        continue;
      auto it = object->find(key.str());
      if (it == object->end() || it->is_null())
        continue;
      if (path)
        *path = (object == text ? textPath : std::string()) + key.str();
      return &*it;
    }
    return nullptr;
  }
  /// The first of the keys that is there.
  const json *findAny(std::initializer_list<StringRef> keys,
                      std::string *path = nullptr) const {
    for (StringRef key : keys)
      if (const json *value = find(key, path))
        return value;
    return nullptr;
  }
  std::optional<double> number(StringRef field) const {
    for (const std::vector<StringRef> &names : keySynonyms())
      if (names.front() == field)
        for (StringRef name : names)
          if (const json *value = find(name); value && value->is_number())
            return value->get<double>();
    return std::nullopt;
  }
  bool isTrue(StringRef key) const {
    const json *value = find(key);
    return value && value->is_boolean() && value->get<bool>();
  }
  /// The first group whose last segments have this text.
  const TensorGroup *tensor(StringRef part) const {
    for (const TensorGroup &group : result.groups)
      if (StringRef(group.name).contains(part))
        return &group;
    return nullptr;
  }
  const TensorGroup *tensorOf(std::initializer_list<StringRef> parts) const {
    for (StringRef part : parts)
      if (const TensorGroup *group = tensor(part))
        return group;
    return nullptr;
  }
  std::string architecture() const {
    auto it = config.find("architectures");
    bool isNamed = it != config.end() && it->is_array() && !it->empty() &&
                   (*it)[0].is_string();
    return isNamed ? (*it)[0].get<std::string>() : "";
  }
  void piece(std::string name, std::string value, std::string evidence) {
    result.pieces.push_back(
        {std::move(name), std::move(value), std::move(evidence)});
  }
  void kind(std::string value, std::string evidence) {
    result.kinds.push_back({"kind", std::move(value), std::move(evidence)});
  }

  void readFields() {
    for (StringRef key : {"architectures", "model_type"}) {
      auto it = config.find(key.str());
      result.fields.push_back({key.str(),
                               it == config.end() ? "absent" : it->dump(),
                               it == config.end() ? "" : key.str()});
    }
    for (const std::vector<StringRef> &names : keySynonyms()) {
      Finding field{names.front().str(), "absent", ""};
      for (StringRef name : names)
        if (const json *value = find(name, &field.evidence)) {
          field.value = value->dump();
          break;
        }
      result.fields.push_back(std::move(field));
    }
  }

  void classify() {
    std::string name = architecture();
    StringRef arch = name;
    if (config.contains("_class_name") || config.contains("_diffusers_version"))
      kind("diffusion", "_class_name");
    if (isTrue("is_encoder_decoder"))
      kind("encoder-decoder", "is_encoder_decoder");
    if (config.contains("vision_config"))
      kind("vision-language", "vision_config");
    if (config.contains("audio_config"))
      kind("audio", "audio_config");
    bool isCausal = arch.ends_with("ForCausalLM") ||
                    arch.ends_with("LMHeadModel") ||
                    arch.ends_with("ForConditionalGeneration");
    if (arch.ends_with("ForSequenceClassification"))
      kind("retrieval or classification: a head over the text",
           "architectures");
    else if (isTrue("use_bidirectional_attention"))
      kind("retrieval: bidirectional attention in a decoder",
           "use_bidirectional_attention");
    else if (!isCausal && !isTrue("is_decoder") && result.kinds.empty())
      kind("encoder", "architectures");
    bool hasState = tensorOf({"A_log", "conv1d", "dt_bias"});
    bool hasAttention = tensorOf(
        {"q_proj", "qkv", "query", "c_attn", "W_pack", "kv_b_proj", "wq."});
    if (hasState)
      kind(hasAttention ? "hybrid: attention and recurrent layers"
                        : "recurrent: state space layers only",
           tensorOf({"A_log", "dt_bias", "conv1d"})->name);
    std::string path;
    const json *experts = findAny({"n_routed_experts", "num_local_experts",
                                   "num_experts", "num_experts_per_tok"},
                                  &path);
    if (experts && tensor("expert"))
      kind("mixture of experts", path);
    else if (result.kinds.empty())
      kind("dense", "no key or tensor of experts");
  }

  void findAttention() {
    std::string path;
    if (find("kv_lora_rank", &path) || tensor("kv_a_proj")) {
      piece("attention", "latent (MLA)",
            path.empty() ? tensor("kv_a_proj")->name : path);
    } else if (std::optional<double> heads = number("num_attention_heads")) {
      std::optional<double> shared = number("num_key_value_heads");
      double groups = shared.value_or(*heads);
      std::string of = std::to_string(int64_t(*heads)) + " heads on " +
                       std::to_string(int64_t(groups));
      bool isRecurrent =
          !result.kinds.empty() &&
          StringRef(result.kinds.front().value).starts_with("recurrent");
      if (!isRecurrent)
        piece("attention",
              groups == *heads ? "multi-head, " + of
              : groups == 1    ? "multi-query, " + of
                               : "grouped-query, " + of,
              shared ? "num_key_value_heads" : "num_attention_heads");
    }
    if (const TensorGroup *fused =
            tensorOf({"qkv", "query_key_value", "W_pack", "c_attn"}))
      piece("attention input", "one tensor for query, key and value",
            describe(*fused));
    if (const TensorGroup *norm =
            tensorOf({"q_norm", "query_layernorm", "q_layernorm"})) {
      std::optional<double> head = number("head_dim");
      std::optional<double> heads = number("num_attention_heads"),
                            d = number("hidden_size");
      if (!head && heads && d && *heads > 0)
        head = *d / *heads;
      bool isWhole =
          head && !norm->shape.empty() && double(norm->shape.back()) > *head;
      piece("query and key norm",
            isWhole ? "over all heads together" : "over each head",
            describe(*norm));
    }
    if (const TensorGroup *sinks = tensor("sinks"))
      piece("attention sinks", "learned", describe(*sinks));
    for (StringRef end : {"q_proj.bias", "c_attn.bias", "qkv_proj.bias",
                          "query_key_value.bias", "query.bias"})
      if (const TensorGroup *bias = tensor(end))
        piece("attention bias", "on query, key and value", describe(*bias));
    for (StringRef end :
         {"o_proj.bias", "attn.c_proj.bias", "attention.output.dense.bias"})
      if (const TensorGroup *bias = tensor(end))
        piece("attention bias", "on the output", describe(*bias));
    if (const json *window = find("sliding_window", &path);
        window && window->is_number() && window->get<double>() > 0) {
      const json *used = find("use_sliding_window");
      bool isOff = used && used->is_boolean() && !used->get<bool>();
      if (!isOff)
        piece("window", window->dump() + " tokens", path);
    }
    if (const json *types = find("layer_types", &path);
        types && types->is_array()) {
      std::map<std::string, int> counts;
      for (const json &type : *types)
        if (type.is_string())
          ++counts[type.get<std::string>()];
      std::string text;
      for (const auto &[type, count] : counts)
        text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + type;
      if (counts.size() > 1)
        piece("layers", text, path);
    }
    if (const json *cap = find("attn_logit_softcapping", &path))
      piece("soft cap of scores", cap->dump(), path);
    for (const Finding &one : result.kinds)
      if (StringRef(one.value).starts_with("encoder") &&
          !StringRef(one.value).starts_with("encoder-decoder"))
        piece("mask", "bidirectional", "no causal language model");
  }

  void findPositions() {
    std::string path;
    if (const TensorGroup *table =
            tensorOf({"wpe.", "position_embeddings.", "pos_embed"})) {
      piece("positions", "learned", describe(*table));
      return;
    }
    const json *record = findAny({"rope_parameters", "rope_scaling"}, &path);
    const json *theta = find("rope_theta");
    if (record && record->is_object()) {
      auto type =
          record->find(record->contains("rope_type") ? "rope_type" : "type");
      std::string text =
          "rotary, " + (type != record->end() && type->is_string()
                            ? type->get<std::string>()
                            : std::string("per layer kind"));
      if (auto base = record->find("rope_theta"); base != record->end())
        text += ", theta " + base->dump();
      if (auto part = record->find("partial_rotary_factor");
          part != record->end() && *part != 1.0)
        text += ", over " + part->dump() + " of the head";
      if (record->contains("mrope_section"))
        text += ", three axes (M-RoPE)";
      piece("positions", text, path);
    } else if (theta) {
      piece("positions", "rotary, default, theta " + theta->dump(),
            "rope_theta");
    } else if (!number("num_attention_heads")) {
      return;
    } else {
      piece("positions",
            "no key says: none, slopes (ALiBi), or rotary by "
            "default",
            "neither rope_parameters nor rope_theta");
    }
    if (const json *part =
            findAny({"partial_rotary_factor", "rotary_dim"}, &path))
      piece("rotated part", part->dump(), path);
  }

  void findNorms() {
    const TensorGroup *norm = nullptr;
    bool hasBias = false;
    std::set<std::string> inLayers;
    for (const TensorGroup &group : result.groups) {
      StringRef module = moduleOf(group.name);
      StringRef last = module.rsplit('.').second;
      bool isNorm = last.contains_insensitive("norm") ||
                    last.starts_with("ln_") || last == "ln";
      if (!isNorm || group.shape.size() != 1)
        continue;
      norm = norm ? norm : &group;
      hasBias |= StringRef(group.name).ends_with(".bias");
      bool isHead = last.contains("q_") || last.contains("k_") ||
                    last.contains("query") || last.contains("key");
      if (module.contains("{layer}") && !isHead)
        inLayers.insert(module.str());
    }
    if (!norm)
      return;
    std::string path;
    const json *eps = findAny({"rms_norm_eps", "layer_norm_epsilon",
                               "layer_norm_eps", "norm_eps", "norm_epsilon"},
                              &path);
    piece("norm",
          std::string(hasBias ? "layer norm" : "RMS norm") +
              (eps ? ", eps " + eps->dump() : "") + ", " +
              std::to_string(inLayers.size()) + " in a layer",
          hasBias ? "biases of norms" : describe(*norm));
  }

  void findMlp() {
    std::string path;
    const json *act = findAny({"hidden_act", "activation_function",
                               "hidden_activation", "mlp_hidden_act"},
                              &path);
    std::string name = act && act->is_string() ? act->get<std::string>()
                                               : "activation unknown";
    const TensorGroup *fused = tensorOf({"gate_up_proj", "gate_and_up"});
    const TensorGroup *gate =
        tensorOf({"gate_proj", "experts.{e}.w1", "feed_forward.w1", "mlp.w1"});
    const TensorGroup *plain = tensorOf(
        {"up_proj", "c_fc", "dense_h_to_4h", "fc1", "intermediate.dense"});
    if (fused || gate)
      piece("feed-forward",
            "gated, " + name + (fused ? ", gate and up in one tensor" : ""),
            describe(fused ? *fused : *gate));
    else if (plain)
      piece("feed-forward", "plain, " + name, describe(*plain));
    if (!tensor("expert"))
      return;
    std::string experts = "experts";
    if (const json *count = findAny(
            {"n_routed_experts", "num_local_experts", "num_experts"}, &path))
      experts = count->dump() + " experts";
    if (const json *active =
            findAny({"num_experts_per_tok", "experts_per_token"}))
      experts += ", " + active->dump() + " for a token";
    if (tensor("shared_expert"))
      experts += ", shared ones";
    piece("routing", experts, path);
    if (const TensorGroup *bias =
            tensorOf({"e_score_correction_bias", "expert_bias"}))
      piece("routing", "a bias that only chooses", describe(*bias));
  }

  void findHead() {
    std::string path;
    const json *tied = find("tie_word_embeddings", &path);
    const TensorGroup *head = tensorOf({"lm_head", "output.weight"});
    bool isTied = tied && tied->is_boolean() && tied->get<bool>();
    if (tied || head)
      piece("head",
            std::string(isTied ? "tied to the embedding"
                        : head ? "of its own"
                               : "none in the file") +
                (isTied && head ? ", and in the file as well" : ""),
            head ? describe(*head) : path);
    if (const json *cap = find("final_logit_softcapping", &path))
      piece("soft cap of logits", cap->dump(), path);
    const json *form = find("quantization_config");
    if (form && form->is_object())
      piece("stored form",
            form->contains("quant_method") ? (*form)["quant_method"].dump()
                                           : "quantised",
            "quantization_config");
    std::map<std::string, size_t> types;
    for (const TensorGroup &group : result.groups)
      types[std::string(rt::dtypeName(group.dtype))] += group.count;
    std::string text;
    for (const auto &[type, count] : types)
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + type;
    piece("tensor types", text, "header");
    if (config.contains("auto_map"))
      piece("own code", config["auto_map"].dump(), "auto_map");
  }

  const json &config;
  const json *text = nullptr;
  std::string textPath;
  Survey result;
};
} // namespace

Survey onboard::survey(const import::Config &config,
                       llvm::ArrayRef<rt::StoredTensor> tensors) {
  return Surveyor(config, tensors).run();
}
