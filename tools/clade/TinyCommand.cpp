//===- TinyCommand.cpp - clade tiny ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/RandomCheckpoint.h"
#include "tools/clade/TinyConfig.h"

#include "lib/Import/Reach.h"

#include "llvm/Support/FileSystem.h"

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
  for (const std::string &setting : options.settings)
    if (int status = applySetting(config, setting); status != Done)
      return status;
  return writeRandomCheckpoint(
      environment,
      {family, std::move(config), options.dtype, options.seed,
       options.settings.empty() ? maxParameters
                                : RandomCheckpoint().mostParameters},
      options.folder, /*isTold=*/true);
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
      ->check(CLI::IsMember({"f32", "bf16", "f16"}));
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
