#===- cases.py - The tiny checkpoints that parity is shown on ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# One row a case: which transformers class, which configuration, in the current
# or the older published form of config.json, and how the sequences are laid
# out. checkpoint.py turns a row into files.
#
#===------------------------------------------------------------------------===#
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    model: str  # "Llama" stands for LlamaConfig and LlamaForCausalLM
    config: dict  # arguments of the configuration class
    old: dict | None = None  # published in the older form, with these keys instead of rope_parameters
    omit: tuple = ()  # keys that config.json leaves out
    shard: str | None = None  # save_pretrained's max_shard_size: several files and an index
    lengths: tuple = (64, 37, 1)  # tokens of each prompt of the batch
    steps: int = 32  # forced decode steps after each prompt
    one_call: bool = False  # the reference takes prompt and forced tokens in one call
    chunks: tuple = (1, 7, 64)  # prefill piece sizes to try
    group: str = "tiny"


def case(name, model, base, **options):
    layout = {k: options.pop(k) for k in list(options) if k in Case.__dataclass_fields__}
    return Case(name, model, {**base, **options}, **layout)


LLAMA = dict(vocab_size=512, hidden_size=256, intermediate_size=384, num_hidden_layers=4, num_attention_heads=8,
             num_key_value_heads=4, max_position_embeddings=2048)
MISTRAL = {**LLAMA, "sliding_window": 20}
QWEN2 = {**LLAMA, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
QWEN3 = {**QWEN2, "head_dim": 48}
GEMMA2 = {**LLAMA, "head_dim": 48, "query_pre_attn_scalar": 36, "sliding_window": 16, "attn_logit_softcapping": 10.0,
          "final_logit_softcapping": 15.0}
GEMMA3 = {**LLAMA, "num_hidden_layers": 7, "head_dim": 48, "query_pre_attn_scalar": 36, "sliding_window": 16,
          "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2 + ["sliding_attention"]}
# Layers of every kind; sizes that are no multiples of a vector here and there.
NEMOTRON_H = dict(vocab_size=512, hidden_size=256, intermediate_size=384, num_attention_heads=8, num_key_value_heads=4,
                  head_dim=32, max_position_embeddings=2048, mamba_num_heads=12, mamba_head_dim=40, ssm_state_size=24,
                  n_groups=4, chunk_size=32,
                  layers_block_type=["linear_attention", "mlp", "linear_attention", "full_attention", "mlp",
                                     "linear_attention", "linear_attention"])
QWEN3_NEXT = {**LLAMA, "num_hidden_layers": 8, "head_dim": 48, "linear_num_key_heads": 4, "linear_num_value_heads": 8,
              "linear_key_head_dim": 32, "linear_value_head_dim": 40, "mlp_only_layers": list(range(8))}
QWEN3_5 = {k: v for k, v in QWEN3_NEXT.items() if k != "mlp_only_layers"}
# A prompt of more than a chunk of the references' scans, and a long decode.
RECURRENT = dict(lengths=(96, 37, 1), steps=48)

# Latent attention with four dense layers: keys and values of two sizes, a rotated part that all heads share.
DEEPSEEK = dict(vocab_size=512, hidden_size=256, intermediate_size=384, moe_intermediate_size=96, num_hidden_layers=4,
                num_attention_heads=8, num_key_value_heads=8, q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32,
                qk_rope_head_dim=16, v_head_dim=24, n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=4,
                first_k_dense_replace=4, max_position_embeddings=2048)
# Six heads: the slopes of a number that is no power of two.
BLOOM = dict(vocab_size=512, hidden_size=192, n_layer=4, n_head=6)
# Four layers and heads of a size of their own, where the configuration lets them have one.
PHI3 = {**LLAMA, "pad_token_id": None, "bos_token_id": 1, "eos_token_id": 2}
ARCEE = {**LLAMA, "bos_token_id": 1, "eos_token_id": 2}
HELIUM = {**LLAMA, "head_dim": 32}
SEED_OSS = {**LLAMA, "head_dim": 48}
MAMBA2 = dict(vocab_size=512, hidden_size=240, num_hidden_layers=3, num_heads=12, head_dim=40, state_size=24, n_groups=4,
              chunk_size=32)
BAICHUAN = dict(vocab_size=512, hidden_size=256, intermediate_size=384, num_hidden_layers=4, num_attention_heads=8,
                max_position_embeddings=2048)


def llama(name, **options):
    return case(f"llama-{name}", "Llama", LLAMA, **options)


def mistral(name, **options):
    return case(f"mistral-{name}", "Mistral", MISTRAL, **options)


def qwen2(name, **options):
    return case(f"qwen2-{name}", "Qwen2", QWEN2, **options)


def qwen3(name, **options):
    return case(f"qwen3-{name}", "Qwen3", QWEN3, **options)


def gemma2(name, **options):
    return case(f"gemma2-{name}", "Gemma2", GEMMA2, **options)


def gemma3(name, **options):
    return case(f"gemma3-{name}", "Gemma3", GEMMA3, **options)


def deepseek(name, **options):
    return case(f"deepseek-{name}", "DeepseekV3", DEEPSEEK, **options)


def bloom(name, **options):
    return case(f"bloom-{name}", "Bloom", BLOOM, **options)


def baichuan(name, **options):
    return case(f"baichuan-{name}", "Baichuan", BAICHUAN, **options)


def mistral4(name, **options):
    return case(f"mistral4-{name}", "Mistral4", MISTRAL4, **options)


def nemotron_h(name, **options):
    return case(f"nemotron-h-{name}", "NemotronH", NEMOTRON_H, **{**RECURRENT, **options})


def qwen3_next(name, **options):
    return case(f"qwen3-next-{name}", "Qwen3Next", QWEN3_NEXT, **{**RECURRENT, **options})


def qwen3_5(name, **options):
    return case(f"qwen3-5-{name}", "Qwen3_5", QWEN3_5, **{**RECURRENT, **options})


def rope(kind, theta=10000.0, **parameters):
    return {"rope_type": kind, "rope_theta": theta, **parameters}


def both_forms(name, kind, theta, parameters, **options):
    """The same scaling as rope_parameters and as rope_theta with rope_scaling (which said `type` at first)."""
    key = "rope_type" if kind == "llama3" else "type"
    old = {"rope_theta": theta, "rope_scaling": {key: kind, **parameters}}
    yield llama(name, rope_parameters=rope(kind, theta, **parameters), **options)
    yield llama(f"{name}-old", rope_parameters=rope(kind, theta, **parameters), old=old, **options)


def long_factors(top):
    return [1.0 + (top - 1.0) * i / 15 for i in range(16)]


LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = dict(factor=4.0, original_max_position_embeddings=512)
LONGROPE = dict(short_factor=long_factors(1.3), long_factor=long_factors(6.0))
# The reference scales for the longest position of a call, Clade for the whole sequence: the two agree where a
# sequence stays on one side of the threshold, and in one call.
ALONE = dict(lengths=(64,), chunks=(64,))

SHAPES = [
    llama("plain"),
    llama("mha", num_key_value_heads=8),
    llama("gqa4", num_key_value_heads=2),
    llama("mqa", num_key_value_heads=1),
    llama("head-dim", head_dim=48),
    llama("odd-sizes", vocab_size=509, hidden_size=280, intermediate_size=401, head_dim=28, num_attention_heads=5,
          num_key_value_heads=5, num_hidden_layers=5),
    llama("attention-bias", attention_bias=True),
    llama("mlp-bias", mlp_bias=True),
    llama("all-bias-tied", attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    llama("tied", tie_word_embeddings=True),
    llama("gelu", hidden_act="gelu_pytorch_tanh"),
    llama("eps", rms_norm_eps=1e-3),
    llama("sharded", shard="2MB"),
    llama("old-form", rope_parameters=rope("default", 50000.0), old={"rope_theta": 50000.0, "rope_scaling": None}),
    llama("oldest-form", num_key_value_heads=8, old={}, omit=("num_key_value_heads", "head_dim", "attention_bias",
          "mlp_bias", "tie_word_embeddings")),
]

ROPE = [
    *both_forms("linear", "linear", 10000.0, dict(factor=4.0)),
    *both_forms("llama3", "llama3", 500000.0, LLAMA3),
    *both_forms("yarn", "yarn", 10000.0, YARN),
    llama("yarn-options", rope_parameters=rope("yarn", 1e6, **YARN, beta_fast=16.0, beta_slow=2.0, truncate=False,
          attention_factor=0.9)),
    llama("yarn-mscale", rope_parameters=rope("yarn", **YARN, mscale=1.0, mscale_all_dim=0.7)),
    *both_forms("dynamic", "dynamic", 10000.0, dict(factor=4.0), **ALONE),
    llama("dynamic-beyond", rope_parameters=rope("dynamic", factor=4.0), max_position_embeddings=32, one_call=True,
          lengths=(40,), chunks=(40,)),
    *both_forms("longrope", "longrope", 10000.0,
                dict(**LONGROPE, factor=8.0, original_max_position_embeddings=256), **ALONE),
    llama("longrope-beyond", rope_parameters=rope("longrope", **LONGROPE, original_max_position_embeddings=32),
          max_position_embeddings=256, **ALONE),
    llama("longrope-outside", rope_parameters=rope("longrope", **LONGROPE, original_max_position_embeddings=32),
          max_position_embeddings=256,
          old={"rope_theta": 10000.0, "rope_scaling": {"type": "longrope", **LONGROPE},
               "original_max_position_embeddings": 32}, **ALONE),
]

FAMILIES = [
    mistral("window"),
    mistral("full", sliding_window=None),
    mistral("old-form", old={"rope_theta": 10000.0}, head_dim=40),
    qwen2("plain"),
    qwen2("tied", tie_word_embeddings=True),
    qwen2("sliding", use_sliding_window=True, sliding_window=24, max_window_layers=2),
    qwen2("sliding-old", use_sliding_window=True, sliding_window=24, max_window_layers=1,
          old={"rope_theta": 1e6}, omit=("layer_types",)),
    qwen2("layer-types", use_sliding_window=True, sliding_window=24,
          layer_types=["sliding_attention", "full_attention"] * 2),
    qwen2("yarn-old", rope_parameters=rope("yarn", 1e6, **YARN),
          old={"rope_theta": 1e6, "rope_scaling": {"type": "yarn", **YARN}}),
    qwen3("plain"),
    qwen3("attention-bias", attention_bias=True),
    qwen3("tied-gqa4", tie_word_embeddings=True, num_key_value_heads=2),
    qwen3("sliding-old", use_sliding_window=True, sliding_window=24, max_window_layers=2, old={"rope_theta": 1e6},
          omit=("layer_types",)),
    qwen3("default-head", head_dim=128, num_attention_heads=4, num_key_value_heads=2, omit=("head_dim",)),
    gemma2("plain"),
    gemma2("no-soft-cap", attn_logit_softcapping=None, final_logit_softcapping=None),
    gemma2("scores-only", final_logit_softcapping=None),
    gemma2("default-caps", attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
           omit=("attn_logit_softcapping", "final_logit_softcapping", "layer_types")),
    gemma2("untied-bias", tie_word_embeddings=False, attention_bias=True),
    gemma2("old-form", rope_parameters=rope("default", 50000.0), old={"rope_theta": 50000.0}, omit=("layer_types",)),
    gemma3("plain"),
    gemma3("soft-cap", final_logit_softcapping=20.0),
    gemma3("untied-bias", tie_word_embeddings=False, attention_bias=True),
    gemma3("linear", rope_parameters={"full_attention": rope("linear", 1e6, factor=8.0),
                                      "sliding_attention": rope("default", 5000.0)}),
    gemma3("old-form", layer_types=(["sliding_attention"] * 5 + ["full_attention"]) + ["sliding_attention"],
           rope_parameters={"full_attention": rope("linear", 1e6, factor=8.0),
                            "sliding_attention": rope("default", 10000.0)},
           old={"rope_theta": 1e6, "rope_local_base_freq": 10000.0, "sliding_window_pattern": 6,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
           omit=("layer_types", "_sliding_window_pattern")),
]

LATENT = [
    deepseek("latent"),
    deepseek("latent-no-q-rank", q_lora_rank=None, attention_bias=True),
    deepseek("latent-halves", rope_interleave=False, v_head_dim=48),
    deepseek("latent-yarn", rope_parameters=rope("yarn", **YARN, mscale=1.0, mscale_all_dim=0.8)),
    deepseek("latent-yarn-old", rope_parameters=rope("yarn", **YARN, mscale=0.707, mscale_all_dim=0.707),
             old={"rope_theta": 10000.0, "rope_scaling": {"type": "yarn", **YARN, "mscale": 0.707,
                  "mscale_all_dim": 0.707}}),
]

# Queries that grow with their position, four times within a prompt.
MISTRAL4 = {**DEEPSEEK, "qk_nope_head_dim": 16, "v_head_dim": 32, "n_group": 4, "topk_group": 2,
            "rope_parameters": rope("yarn", **{**YARN, "original_max_position_embeddings": 16}, mscale=1.0,
                                    mscale_all_dim=1.0, llama_4_scaling_beta=0.1, max_position_embeddings=2048,
                                    beta_fast=32.0, beta_slow=1.0)}
LATENT += [mistral4("latent"), mistral4("latent-no-q-rank", q_lora_rank=None)]

SLOPES = [
    bloom("slopes"),
    bloom("slopes-power-of-two", n_head=8, tie_word_embeddings=False),
]

ONBOARDED = [
    case("phi3-plain", "Phi3", PHI3),
    case("phi3-window-partial", "Phi3", PHI3, sliding_window=20, num_key_value_heads=8,
         rope_parameters=rope("default", partial_rotary_factor=0.5)),
    case("arcee-plain", "Arcee", ARCEE),
    case("arcee-bias-tied", "Arcee", ARCEE, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    case("helium-plain", "Helium", HELIUM),
    case("seed-oss-plain", "SeedOss", SEED_OSS),
    case("seed-oss-out-bias", "SeedOss", SEED_OSS, attention_bias=False, attention_out_bias=True, mlp_bias=True),
    case("hunyuan-v1-dense-plain", "HunYuanDenseV1", SEED_OSS),
    case("apertus-plain", "Apertus", LLAMA),
    case("mamba2-plain", "Mamba2", MAMBA2, **RECURRENT, one_call=True),
    case("mamba2-narrow", "Mamba2", MAMBA2, **RECURRENT, one_call=True, residual_in_fp32=False, use_bias=True,
         use_conv_bias=False, n_groups=1, conv_kernel=3),
    case("apertus-default-rope-tied", "Apertus", LLAMA, rope_parameters=rope("default", 1e6), tie_word_embeddings=True),
]

# Needs NeMo AutoModel beside transformers; its cache is its own, so that a sequence is one call.
AUTOMODEL = [
    baichuan("7b", group="automodel", one_call=True),
    baichuan("13b", group="automodel", one_call=True, max_position_embeddings=None, omit=("max_position_embeddings",),
             num_attention_heads=6, hidden_size=240),  # no power of two, whose slopes are in two rows
]

STATES = [
    nemotron_h("plain"),
    nemotron_h("wide", residual_in_fp32=True),
    nemotron_h("biases", use_bias=True, mlp_bias=True, use_conv_bias=False, mlp_hidden_act="silu", conv_kernel=3),
    # The reference clamps the time step in a prompt, but not token by token.
    nemotron_h("clamped", time_step_min=0.3, one_call=True),
    qwen3_5("plain"),
    qwen3_5("flags", num_hidden_layers=4, linear_num_value_heads=4, attention_bias=True, tie_word_embeddings=True,
            layer_types=["linear_attention", "full_attention"] * 2),
    qwen3_next("plain"),
    qwen3_next("interval", num_hidden_layers=6, mlp_only_layers=list(range(6)), linear_num_value_heads=4,
               linear_conv_kernel_dim=2, attention_bias=True, tie_word_embeddings=True,
               layer_types=["linear_attention", "full_attention"] * 3),
]

# Windows and angles past position 8,192, where f64 angles would differ by 1e-4.
LONG_SIZE = dict(vocab_size=256, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
                 num_key_value_heads=1, max_position_embeddings=16384)
LONG_LAYOUT = dict(group="long", lengths=(8250,), steps=16, chunks=(500, 8250))
LONG = [
    llama("long", **LONG_SIZE, **LONG_LAYOUT),
    llama("long-llama3", **LONG_SIZE, **LONG_LAYOUT, rope_parameters=rope(
        "llama3", 500000.0, **{**LLAMA3, "original_max_position_embeddings": 4096})),
    mistral("long", **{**LONG_SIZE, "sliding_window": 300}, **LONG_LAYOUT),
    gemma3("long", **{**LONG_SIZE, "sliding_window": 512, "layer_types": ["sliding_attention", "full_attention"]},
           **LONG_LAYOUT),
]

# All that a GGUF file can say of Gemma: a pattern of six, a local base, scores scaled by the size of the head.
GGUF_GEMMA3 = dict(group="gguf", num_hidden_layers=7, query_pre_attn_scalar=48,
                   layer_types=(["sliding_attention"] * 5 + ["full_attention"]) + ["sliding_attention"])
GGUF = [
    llama("gguf-yarn", group="gguf", rope_parameters=rope("yarn", 1e6, **YARN, beta_fast=16.0, beta_slow=2.0,
          attention_factor=0.9)),
    gemma2("gguf", group="gguf", query_pre_attn_scalar=48),
    gemma2("gguf-default-caps", group="gguf", query_pre_attn_scalar=48, attn_logit_softcapping=50.0,
           final_logit_softcapping=30.0),
    gemma3("gguf", **GGUF_GEMMA3),
    gemma3("gguf-linear", **GGUF_GEMMA3, final_logit_softcapping=20.0, rope_parameters={
        "full_attention": rope("linear", 1e6, factor=8.0), "sliding_attention": rope("default", 10000.0)}),
]

CASES = SHAPES + ROPE + FAMILIES + LATENT + SLOPES + STATES + ONBOARDED + AUTOMODEL + LONG + GGUF


def select(patterns, group):
    """The cases of a group whose names contain one of the patterns, all of them if there are none."""
    found = [c for c in CASES if c.group == group and (not patterns or any(p in c.name for p in patterns))]
    if not found:
        raise SystemExit(f"no case of group '{group}' matches {patterns}")
    return found
