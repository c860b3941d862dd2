//===- Tensors.cpp - Tensors of a checkpoint by their names ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Tensors.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;

std::string onboard::templateOf(StringRef name) {
  llvm::SmallVector<StringRef> parts;
  name.split(parts, '.');
  std::string text;
  int numbers = 0;
  for (StringRef part : parts) {
    text += text.empty() ? "" : ".";
    int64_t number;
    if (part == "{expert}")
      text += "{e}";
    else if (!part.getAsInteger(10, number) && numbers < 2)
      text += ++numbers == 1 ? "{layer}" : "{e}";
    else
      text += part.str();
    numbers += part == "{layer}";
  }
  return text;
}

std::optional<int64_t> onboard::layerOf(StringRef name) {
  llvm::SmallVector<StringRef> parts;
  name.split(parts, '.');
  for (StringRef part : parts)
    if (int64_t number; !part.getAsInteger(10, number))
      return number;
  return std::nullopt;
}

template <typename Group> static void addTo(Group &group, StringRef name) {
  ++group.count;
  if (std::optional<int64_t> layer = layerOf(name))
    group.layers.insert(*layer);
}

std::vector<TensorGroup>
onboard::groupTensors(llvm::ArrayRef<const rt::StoredTensor *> tensors) {
  std::vector<TensorGroup> groups;
  std::map<std::pair<std::string, std::vector<int64_t>>, size_t> known;
  for (const rt::StoredTensor *tensor : tensors) {
    std::string name = templateOf(tensor->name);
    auto [it, isNew] = known.try_emplace({name, tensor->shape}, groups.size());
    if (isNew)
      groups.push_back({name, tensor->shape, tensor->dtype, 0, {}});
    addTo(groups[it->second], tensor->name);
  }
  return groups;
}

std::vector<int64_t> WeightGroup::shape() const {
  std::vector<int64_t> sizes{import::numElements(outer)};
  if (!inner.empty())
    sizes.push_back(import::numElements(inner));
  return sizes;
}

std::vector<WeightGroup>
onboard::groupWeights(llvm::ArrayRef<import::WantedWeight> weights) {
  std::vector<WeightGroup> groups;
  std::map<std::tuple<std::string, std::vector<int64_t>, std::vector<int64_t>>,
           size_t>
      known;
  for (const import::WantedWeight &weight : weights) {
    WeightGroup group{templateOf(weight.logical), weight.outer, weight.inner,
                      weight.experts};
    group.found = weight.found;
    auto [it, isNew] = known.try_emplace(
        {group.name, group.shape(), group.found}, groups.size());
    if (isNew)
      groups.push_back(std::move(group));
    addTo(groups[it->second], weight.name);
  }
  return groups;
}

/// '{0..3}', '{0, 2, 5}'.
static std::string rangeText(const std::set<int64_t> &layers) {
  if (layers.size() == 1)
    return std::to_string(*layers.begin());
  bool isWhole = *layers.rbegin() - *layers.begin() + 1 ==
                 static_cast<int64_t>(layers.size());
  if (isWhole)
    return "{" + std::to_string(*layers.begin()) + ".." +
           std::to_string(*layers.rbegin()) + "}";
  constexpr size_t most = 6;
  std::string text;
  size_t shown = 0;
  for (int64_t layer : layers) {
    if (++shown > most)
      return "{" + text + ", …}";
    text += (text.empty() ? "" : ", ") + std::to_string(layer);
  }
  return "{" + text + "}";
}

static std::string withLayers(StringRef name, const std::set<int64_t> &layers) {
  size_t at = name.find("{layer}");
  if (at == StringRef::npos || layers.empty())
    return name.str();
  return (name.take_front(at) + rangeText(layers) +
          name.drop_front(at + StringRef("{layer}").size()))
      .str();
}

std::string onboard::describe(const TensorGroup &group) {
  return withLayers(group.name, group.layers) + " " +
         rt::shapeText(group.shape);
}

std::string onboard::describe(const WeightGroup &group) {
  std::string text = withLayers(group.name, group.layers) + " [";
  llvm::raw_string_ostream os(text);
  os << productOf(group.outer) << " = " << group.shape()[0];
  if (!group.inner.empty())
    os << ", " << productOf(group.inner) << " = " << group.shape()[1];
  os << "]";
  if (!group.found.empty())
    os << ", found " << rt::shapeText(group.found);
  return text;
}

std::string onboard::productOf(const import::Shape &shape) {
  std::string text;
  for (const import::Dim &dim : shape)
    text += (text.empty() ? "" : " * ") +
            (dim.name.empty() ? std::to_string(dim.size) : dim.name);
  return text.empty() ? "1" : text;
}

StringRef onboard::moduleOf(StringRef name) {
  for (StringRef end : {".weight", ".bias"})
    if (name.ends_with(end))
      return name.drop_back(end.size());
  return name;
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

/// What a module at the end of a path is called elsewhere.
static StringRef phraseOf(StringRef last) {
  static const llvm::StringMap<StringRef> phrases = {
      {"input_layernorm", "norm attn"},
      {"attention_layernorm", "norm attn"},
      {"attention_norm", "norm attn"},
      {"attn_norm", "norm attn"},
      {"pre_attention_layernorm", "norm attn"},
      {"ln_1", "norm attn"},
      {"norm1", "norm attn"},
      {"post_attention_layernorm", "norm mlp"},
      {"feedforward_layernorm", "norm mlp"},
      {"ffn_norm", "norm mlp"},
      {"mlp_norm", "norm mlp"},
      {"pre_mlp_layernorm", "norm mlp"},
      {"ln_2", "norm mlp"},
      {"norm2", "norm mlp"},
      {"ln_f", "norm last"},
      {"norm_f", "norm last"},
      {"final_layernorm", "norm last"},
      {"w1", "gate proj"},
      {"w3", "up proj"},
      {"w2", "down proj"},
      {"c_fc", "up proj"},
      {"fc1", "up proj"},
      {"dense_h_to_4h", "up proj"},
      {"fc2", "down proj"},
      {"dense_4h_to_h", "down proj"},
      {"wte", "embed"},
      {"wpe", "position embed"},
      {"position_embeddings", "position embed"},
      {"embed_positions", "position embed"},
      {"embed_tokens", "embed"},
      {"word_embeddings", "embed"},
      {"embeddings", "embed"},
      {"tok_embeddings", "embed"},
      {"c_attn", "q k v proj"},
      {"W_pack", "q k v proj"},
      {"qkv_proj", "q k v proj"},
      {"query_key_value", "q k v proj"},
      {"Wqkv", "q k v proj"},
      {"wq", "q proj"},
      {"wk", "k proj"},
      {"wv", "v proj"},
      {"wo", "o proj"},
      {"query_layernorm", "q norm"},
      {"key_layernorm", "k norm"}};
  auto it = phrases.find(last);
  return it == phrases.end() ? StringRef() : it->second;
}

static StringRef wordOf(StringRef word) {
  static const llvm::StringMap<StringRef> words = {
      {"query", "q"},        {"key", "k"},        {"value", "v"},
      {"out", "o"},          {"output", "o"},     {"dense", "proj"},
      {"layernorm", "norm"}, {"rmsnorm", "norm"}, {"ln", "norm"},
      {"attention", "attn"}, {"self", ""},        {"ffn", "mlp"},
      {"feed", "mlp"},       {"forward", ""},     {"feedforward", "mlp"},
      {"linear", "proj"},    {"fc", "proj"},      {"moe", "mlp"},
      {"block", ""},         {"sparse", ""}};
  auto it = words.find(word);
  return it == words.end() ? word : it->second;
}

/// The words of the last two segments of a path that are no numbers.
static std::set<std::string> wordsOf(StringRef module) {
  llvm::SmallVector<StringRef> parts;
  module.split(parts, '.');
  std::set<std::string> words;
  int taken = 0;
  for (StringRef part : llvm::reverse(parts)) {
    if (part.starts_with("{"))
      break;
    if (taken == 2)
      break;
    StringRef phrase = phraseOf(part);
    llvm::SmallVector<StringRef> pieces;
    (phrase.empty() ? part : phrase).split(pieces, phrase.empty() ? '_' : ' ');
    size_t before = words.size();
    for (StringRef piece : pieces) {
      std::string word =
          phrase.empty() ? wordOf(piece.lower()).str() : piece.str();
      if (!word.empty())
        words.insert(word);
    }
    taken += words.size() > before;
    // The module around a norm says nothing of it, unless it is all there is.
    if (phrase.starts_with("norm"))
      break;
  }
  return words;
}

double onboard::similarity(StringRef a, StringRef b) {
  std::set<std::string> first = wordsOf(a), second = wordsOf(b);
  size_t both = llvm::count_if(
      first, [&](const std::string &word) { return second.count(word); });
  size_t all = first.size() + second.size() - both;
  return all == 0 ? 0 : static_cast<double>(both) / static_cast<double>(all);
}
