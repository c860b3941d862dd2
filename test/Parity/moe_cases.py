#===- moe_cases.py - Tiny checkpoints with routed experts -------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The cases of the group `moe`: every way of routing, dense layers in front and
# in between, shared experts, few and many active ones, groups that lose. The
# prompts are longer and decode more steps than those of dense models, so that
# every expert is chosen, and some by one token only.
#
#===------------------------------------------------------------------------===#
from cases import LLAMA, NEMOTRON_H, QWEN3_NEXT, YARN, case, rope

LAYOUT = dict(group="moe", lengths=(96, 41, 1), steps=48, chunks=(1, 7, 96))
EXPERTS = {**LLAMA, "moe_intermediate_size": 64, "num_experts_per_tok": 2}
QWEN3_MOE = {**EXPERTS, "head_dim": 48, "num_experts": 16, "num_experts_per_tok": 4, "rope_parameters": rope("default", 1e6)}
LATENT = {**EXPERTS, "num_key_value_heads": 8, "q_lora_rank": 96, "kv_lora_rank": 64, "qk_nope_head_dim": 32,
          "qk_rope_head_dim": 16, "v_head_dim": 24, "n_routed_experts": 16, "n_group": 4, "topk_group": 2,
          "num_experts_per_tok": 3, "first_k_dense_replace": 1, "n_shared_experts": 1}
GLM4_MOE = {**EXPERTS, "head_dim": 48, "n_routed_experts": 16, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 3,
            "first_k_dense_replace": 1, "n_shared_experts": 1, "routed_scaling_factor": 1.5}
GPT_OSS = {**LLAMA, "num_experts_per_tok": 2, "head_dim": 32, "intermediate_size": 96, "num_local_experts": 16, "num_experts_per_tok": 4, "sliding_window": 20,
           "layer_types": ["sliding_attention", "full_attention"] * 2, "rope_parameters": rope("default", 150000.0)}
QWEN2_MOE = {**EXPERTS, "num_experts": 16, "num_experts_per_tok": 4, "shared_expert_intermediate_size": 80}
MINIMAX_M2 = {**LLAMA, "bos_token_id": 1, "eos_token_id": 2, "head_dim": 48, "intermediate_size": 96, "num_local_experts": 16, "num_experts_per_tok": 3,
              "rope_parameters": rope("default", 5e6, partial_rotary_factor=0.5)}
MISTRAL4 = {**LATENT, "first_k_dense_replace": 0, "rope_parameters": rope(
    "yarn", 10000.0, factor=4.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0, mscale=1.0,
    mscale_all_dim=1.0, llama_4_scaling_beta=0.1)}


def qwen3_moe(name, **options):
    return case(f"qwen3-moe-{name}", "Qwen3Moe", QWEN3_MOE, **{**LAYOUT, **options})


def deepseek_v3(name, **options):
    return case(f"deepseek-v3-{name}", "DeepseekV3", LATENT, **{**LAYOUT, **options})


def glm4_moe(name, **options):
    return case(f"glm4-moe-{name}", "Glm4Moe", GLM4_MOE, **{**LAYOUT, **options})


def gpt_oss(name, **options):
    return case(f"gpt-oss-{name}", "GptOss", GPT_OSS, **{**LAYOUT, **options})


def mistral4(name, **options):
    return case(f"mistral4-{name}", "Mistral4", MISTRAL4, **{**LAYOUT, **options})


def nemotron_h(name, **options):
    return case(f"nemotron-h-{name}", "NemotronH", NEMOTRON_H, **{**LAYOUT, **options})


def qwen3_next(name, **options):
    return case(f"qwen3-next-{name}", "Qwen3Next", QWEN3_NEXT, **{**LAYOUT, **options})


def qwen2_moe(name, **options):
    return case(f"qwen2-moe-{name}", "Qwen2Moe", QWEN2_MOE, **{**LAYOUT, **options})


def minimax_m2(name, **options):
    return case(f"minimax-m2-{name}", "MiniMaxM2", MINIMAX_M2, **{**LAYOUT, **options})


NEMOTRON_EXPERTS = dict(n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=3, moe_intermediate_size=64,
                        moe_shared_expert_intermediate_size=80, routed_scaling_factor=2.5,
                        layers_block_type=["linear_attention", "moe", "full_attention", "moe", "linear_attention", "mlp"])
CASES = [
    qwen3_moe("plain"),
    qwen3_moe("renormalised", norm_topk_prob=True),
    qwen3_moe("one-active", num_experts_per_tok=1),
    qwen3_moe("all-active", num_experts=4, num_experts_per_tok=4),
    qwen3_moe("some-dense", num_hidden_layers=5, decoder_sparse_step=2, mlp_only_layers=[3]),
    deepseek_v3("plain"),
    deepseek_v3("no-q-rank", q_lora_rank=None),
    deepseek_v3("one-group", n_group=1, topk_group=1, norm_topk_prob=False, routed_scaling_factor=1.0),
    deepseek_v3("two-shared", n_shared_experts=2, first_k_dense_replace=2),
    deepseek_v3("yarn", rope_parameters=rope("yarn", **YARN, mscale=1.0, mscale_all_dim=0.7)),
    glm4_moe("plain"),
    glm4_moe("qk-norm", use_qk_norm=True, attention_bias=True),
    glm4_moe("groups", n_group=4, topk_group=2),
    gpt_oss("plain"),
    gpt_oss("yarn", rope_parameters=rope("yarn", 150000.0, factor=4.0, original_max_position_embeddings=32,
                                         beta_fast=32.0, beta_slow=1.0, truncate=False)),
    gpt_oss("one-active", num_experts_per_tok=1),
    nemotron_h("experts", **NEMOTRON_EXPERTS),
    nemotron_h("latent-experts", **NEMOTRON_EXPERTS, moe_latent_size=96),
    qwen3_next("experts", num_hidden_layers=8, mlp_only_layers=[2], num_experts=16, num_experts_per_tok=4,
               moe_intermediate_size=64, shared_expert_intermediate_size=80),
    qwen2_moe("plain"),
    qwen2_moe("some-dense", num_hidden_layers=5, decoder_sparse_step=2, norm_topk_prob=True, qkv_bias=False),
    minimax_m2("plain"),
    mistral4("plain"),
    mistral4("groups", num_experts_per_tok=4, topk_group=3),
]
