//===- TinyCommand.cpp - clade tiny ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Environment.h"
#include "tools/clade/TinyConfig.h"

#include "lib/Import/Reach.h"
#include "runtime/Formats/Safetensors.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

#include <cmath>

using namespace clade;
using namespace clade::driver;
using nlohmann::json;

namespace {
struct TinyOptions {
  SpecOptions specs;
  std::string family, folder, dtype = "f32";
  std::vector<std::string> settings;
  uint64_t seed = 0;
};

/// Parameters of a checkpoint that nobody asked to be larger.
constexpr double maxParameters = 1e6;
/// Parameters of any: more would be a slip of the pen.
constexpr double mostParameters = 1e9;

/// Numbers that are the same on every machine: SplitMix64, and a sum of twelve
/// uniform ones for a normal one.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  float normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>(sum);
  }

private:
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t state;
};
} // namespace

/// Sizes for the keys that decoders publish. A family gets those that it reads.
static json commonKeys() {
  return {{"vocab_size", 256},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 16},
          {"rms_norm_eps", 1e-6},
          {"query_pre_attn_scalar", 16},
          {"n_embd", 64},
          {"n_layer", 4},
          {"n_head", 4},
          {"n_positions", 512},
          // Images.
          {"image_token_index", 10},
          {"image_token_id", 10},
          {"media_placeholder_token_id", 10},
          {"patch_size", 4},
          {"window_size", 16},
          {"depth", 4},
          {"num_heads", 4},
          {"embed_dim", 64},
          {"mlp_ratio", 2},
          {"out_hidden_size", 64},
          {"num_position_embeddings", 16},
          {"init_pos_emb_height", 4},
          {"init_pos_emb_width", 4},
          {"deepstack_visual_indexes", {0, 2}},
          {"fullatt_block_indexes", {1, 3}},
          // Experts, of which some groups lose.
          {"num_experts", 8},
          {"num_local_experts", 8},
          {"n_routed_experts", 8},
          {"num_experts_per_tok", 2},
          {"n_group", 2},
          {"topk_group", 1},
          {"moe_intermediate_size", 32},
          {"shared_expert_intermediate_size", 32},
          {"moe_shared_expert_intermediate_size", 32},
          {"n_shared_experts", 1},
          {"first_k_dense_replace", 1},
          // Latent attention.
          {"q_lora_rank", 32},
          {"kv_lora_rank", 32},
          {"qk_nope_head_dim", 16},
          {"qk_rope_head_dim", 8},
          {"v_head_dim", 16},
          // Recurrences.
          {"hybrid_override_pattern", "M*E-"},
          {"mamba_num_heads", 8},
          {"mamba_head_dim", 16},
          {"state_size", 16},
          {"expand", 1},
          {"ssm_state_size", 16},
          {"n_groups", 2},
          {"linear_num_key_heads", 2},
          {"linear_num_value_heads", 4},
          {"linear_key_head_dim", 16},
          {"linear_value_head_dim", 16},
          {"state_size", 16},
          {"expand", 1}};
}

/// The key of the object that a part reads, of 'config.KEY', whatever stands
/// for it where it is not there; empty for others.
static llvm::StringRef keyOf(const spec::PartDecl &part) {
  const spec::Expr *config = part.config;
  if (auto *defaulted = llvm::dyn_cast<spec::DefaultExpr>(config))
    config = defaulted->value;
  auto *attr = llvm::dyn_cast<spec::AttrExpr>(config);
  auto *base = attr ? llvm::dyn_cast<spec::NameExpr>(attr->base) : nullptr;
  return base && base->name == "config" ? attr->name.name : llvm::StringRef();
}

/// Whether a family's positions have three axes that share the frequencies of
/// a head, in parts that have sizes.
static bool hasSections(const import::Family &family) {
  const spec::FieldDecl *rot = family.findField("rot");
  auto *call = rot ? llvm::dyn_cast<spec::CallExpr>(rot->value) : nullptr;
  return call && llvm::any_of(call->args, [](const spec::Arg &arg) {
           return arg.name && arg.name->name == "sections" &&
                  llvm::isa<spec::ListExpr>(arg.value);
         });
}

json driver::tinyConfig(const import::SpecLibrary &library,
                        const spec::FamilyDecl &family, int depth) {
  constexpr int most = 8;
  import::Family whole(library, &family);
  import::Reach reach(whole);
  reach.walkFamily();
  json config = {{"model_type", family.name.name.str()},
                 {"max_position_embeddings", 512}};
  if (family.serves)
    config["architectures"] =
        json::array({family.serves->names.front().name.str()});
  // A part that is the whole again is refused when it is compiled.
  for (const spec::FamilyDecl *decl : whole.getChain())
    for (const spec::PartDecl *part : decl->parts) {
      llvm::StringRef key = keyOf(*part);
      const spec::FamilyDecl *inner = library.findFamily(part->family.name);
      if (inner && depth < most && !key.empty() && !config.contains(key.str()))
        config[key.str()] = tinyConfig(library, *inner, depth + 1);
    }
  const json common = commonKeys();
  for (const auto &[key, value] : common.items())
    if (reach.mentionsKey(key))
      config[key] = value;
  // Two names of one number: a family that knows both gets one.
  if (config.contains("num_experts"))
    config.erase("num_local_experts");
  // Windows shorter than a test's text, for families whose layers have them.
  if (reach.mentionsKey("sliding_window") && reach.mentionsKey("layer_types"))
    config["sliding_window"] = 16;
  // What rotary positions cannot do without: parts of the 8 frequencies of a
  // head of 16, and the distance from which on queries are scaled.
  json rope = {{"rope_type", "default"}, {"rope_theta", 10000}};
  if (hasSections(whole)) {
    rope["mrope_section"] = {2, 3, 3};
    config["rope_parameters"] = rope;
  } else if (reach.getFieldKeys().count("llama_4_scaling_beta")) {
    rope["rope_type"] = "yarn";
    rope["factor"] = 4;
    rope["original_max_position_embeddings"] = 64;
    rope["llama_4_scaling_beta"] = 0.1;
    config["rope_parameters"] = rope;
  }
  return config;
}

/// 'key=value' with a dotted key; the value is JSON, or else a string.
static int applySetting(json &config, const std::string &setting) {
  auto [key, text] = llvm::StringRef(setting).split('=');
  if (key.empty() || !llvm::StringRef(setting).contains('='))
    return fail("expected key=value after --set, got '" + setting + "'"), Usage;
  llvm::SmallVector<llvm::StringRef> steps;
  key.split(steps, '.');
  json *at = &config;
  for (llvm::StringRef step : llvm::ArrayRef(steps).drop_back()) {
    at = &(*at)[step.str()];
    if (!at->is_null() && !at->is_object())
      return fail("'" + step.str() + "' in '" + setting + "' is not an object"),
             Usage;
  }
  json value = json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  (*at)[steps.back().str()] = value.is_discarded() ? json(text.str()) : value;
  return Done;
}

/// Elements of a tensor, by its name: rows of matrices of length about 1,
/// vectors near 1, biases near 0, so that no layer drowns the others.
static std::vector<float> makeElements(const import::PublishedTensor &tensor,
                                       size_t count, uint64_t seed) {
  Random random(seed ^ llvm::xxh3_64bits(tensor.name));
  bool isMatrix = tensor.shape.size() > 1;
  llvm::StringRef name(tensor.name);
  float mean = isMatrix || name.ends_with("bias") ? 0.0f : 1.0f;
  // Recurrent states that remember some tens of tokens: of one alone, what is
  // normalised may be next to nothing.
  if (name.ends_with("A_log") || name.ends_with("dt_bias"))
    mean = -1.5f;
  float deviation =
      isMatrix ? 1.0f / std::sqrt(static_cast<float>(tensor.shape.back()))
               : 0.1f;
  std::vector<float> elements(count);
  for (float &element : elements)
    element = mean + deviation * random.normal();
  return elements;
}

static std::vector<std::byte> store(const std::vector<float> &elements,
                                    rt::DType dtype) {
  std::vector<std::byte> bytes;
  bytes.reserve(elements.size() * rt::bytesPerBlock(dtype));
  for (float element : elements) {
    uint32_t bits = dtype == rt::DType::BF16 ? rt::f32ToBF16(element)
                                             : std::bit_cast<uint32_t>(element);
    for (int64_t i = 0; i < rt::bytesPerBlock(dtype); ++i)
      bytes.push_back(static_cast<std::byte>(bits >> (8 * i)));
  }
  return bytes;
}

static int
writeCheckpoint(const TinyOptions &options, const json &config,
                const std::vector<import::PublishedTensor> &tensors) {
  if (std::error_code error = llvm::sys::fs::create_directories(options.folder))
    return fail("cannot make the folder '" + options.folder +
                "': " + error.message());
  rt::DType dtype = options.dtype == "bf16" ? rt::DType::BF16 : rt::DType::F32;
  std::vector<std::vector<std::byte>> bytes;
  std::vector<rt::StoredTensor> stored;
  for (const import::PublishedTensor &tensor : tensors) {
    size_t count = 1;
    for (int64_t size : tensor.shape)
      count *= size;
    bytes.push_back(store(makeElements(tensor, count, options.seed), dtype));
    stored.push_back({tensor.name, dtype, tensor.shape, bytes.back()});
  }
  rt::Status status = rt::writeSafetensors(
      options.folder + "/model.safetensors", stored, {{"format", "pt"}});
  if (!status.ok())
    return fail(status);
  // The configuration comes last: with it the folder is a checkpoint.
  std::error_code error;
  llvm::raw_fd_ostream file(options.folder + "/config.json", error);
  if (error)
    return fail("cannot write '" + options.folder +
                "/config.json': " + error.message());
  file << config.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
  file.close();
  if (!file.has_error())
    return Done;
  error = file.error();
  file.clear_error();
  return fail("cannot write '" + options.folder +
              "/config.json': " + error.message());
}

static const spec::FamilyDecl *chooseFamily(const import::SpecLibrary &library,
                                            const std::string &name) {
  std::vector<std::string> names;
  for (const spec::FamilyDecl *family : library.getFamilies())
    if (family->serves)
      names.push_back(family->name.name.str());
  const spec::FamilyDecl *family = library.findFamily(name);
  if (family && family->serves)
    return family;
  fail("no family '" + name + "' that serves an architecture" +
       import::SpecLibrary::hint(name, names));
  return nullptr;
}

static int run(const TinyOptions &options) {
  if (llvm::sys::fs::exists(options.folder + "/config.json"))
    return fail("'" + options.folder + "' holds a checkpoint already");
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  import::SpecLibrary &library = environment.getLibrary();
  const spec::FamilyDecl *family = chooseFamily(library, options.family);
  if (!family)
    return Failed;
  json config = tinyConfig(library, *family);
  config["dtype"] = options.dtype == "bf16" ? "bfloat16" : "float32";
  for (const std::string &setting : options.settings)
    if (int status = applySetting(config, setting); status != Done)
      return status;
  auto parsed = import::Config::parse(
      config.dump(2, ' ', false, json::error_handler_t::replace),
      "<configuration>", library.getSourceMgr(), &environment.getContext());
  if (failed(parsed))
    return Failed;
  auto tensors = import::publishedTensors(library, family, **parsed);
  if (failed(tensors))
    return Failed;
  double parameters = 0;
  for (const import::PublishedTensor &tensor : *tensors) {
    double elements = 1;
    for (int64_t size : tensor.shape) {
      if (size <= 0)
        return fail("tensor '" + tensor.name + "' would have the shape " +
                    rt::shapeText(tensor.shape));
      elements *= static_cast<double>(size);
    }
    parameters += elements;
  }
  double limit = options.settings.empty() ? maxParameters : mostParameters;
  if (parameters > limit)
    return fail(llvm::formatv("a checkpoint of {0:f0} parameters is too large, "
                              "expected at most {1:f0}",
                              parameters, limit)
                    .str());
  if (int status = writeCheckpoint(options, config, *tensors); status != Done)
    return status;
  llvm::outs() << options.folder << ": " << tensors->size() << " tensors, "
               << llvm::formatv("{0:f0}", parameters) << " parameters\n";
  return Done;
}

void driver::addTinyCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "tiny",
      "Write a small random checkpoint of a family, in its published form");
  command->footer("Names and shapes come from the family's spec; the "
                  "configuration from small sizes for the keys that it\n"
                  "reads. Example:  clade tiny qwen3 -o /tmp/q --set "
                  "num_hidden_layers=2 --set rope_parameters.rope_theta=1e6\n"
                  "The same options give the same bytes.");
  auto options = std::make_shared<TinyOptions>();
  command->add_option("family", options->family, "The family: see 'clade list'")
      ->required();
  command->add_option("-o,--output", options->folder, "The checkpoint's folder")
      ->required();
  command
      ->add_option(
          "--set", options->settings,
          "key=value for config.json; value in JSON, key may be dotted")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed, "Seed of the random numbers");
  command->add_option("--dtype", options->dtype, "Type of the tensors")
      ->check(CLI::IsMember({"f32", "bf16"}));
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
