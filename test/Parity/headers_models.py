#===- headers_models.py - Configurations of published sizes ----------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The keys of the config.json that each repository on huggingface.co publishes, as
# far as they say anything of the computation. `parameters` counts what the files
# of that repository hold, where its page gives the number; None where it does not.
#
#===------------------------------------------------------------------------===#


class Model:
    def __init__(self, source, parameters, config, form="bf16", prediction=None, stored_head=False, short=False,
                 listing=None):
        """form: bf16, f32, fp8 (blocks of 128x128), fp8-tensors (a scale for each) or mxfp4 (experts only). prediction: what names the
        tensors of the layer that predicts further tokens: 'layer' (DeepSeek), 'mtp', 'mtp-pattern' (of
        layers of mtp_hybrid_override_pattern) or None. stored_head:
        the file holds lm_head although it is tied to the embeddings. listing: the tensors themselves, as
        lines of a name with ranges, dtype and shape, for a repository that a public report lists; parameters
        are then the elements that are stored."""
        self.listing = listing
        self.source, self.parameters, self.config = source, parameters, config
        self.form, self.prediction, self.stored_head, self.short = form, prediction, stored_head, short


def llama(**changes):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False,
            "attention_dropout": 0.0, "bos_token_id": 128000, "eos_token_id": 128001, "hidden_act": "silu",
            "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
            "max_position_embeddings": 131072, "mlp_bias": False, "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
            "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                             "original_max_position_embeddings": 8192, "rope_type": "llama3"},
            "rope_theta": 500000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
            "transformers_version": "4.43.0.dev0", "use_cache": True, "vocab_size": 128256, **changes}


def qwen2(**changes):
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "attention_dropout": 0.0,
            "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu", "initializer_range": 0.02,
            "max_position_embeddings": 131072, "max_window_layers": 28, "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0, "sliding_window": 131072, "tie_word_embeddings": False,
            "torch_dtype": "bfloat16", "transformers_version": "4.40.1", "use_cache": True,
            "use_mrope": False, "use_sliding_window": False, "vocab_size": 152064, **changes}


def qwen3(**changes):
    return {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": False,
            "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128,
            "hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 40960,
            "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000,
            "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
            "transformers_version": "4.51.0", "use_cache": True, "use_sliding_window": False,
            "vocab_size": 151936, **changes}


def deepseek(**changes):
    return {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
            "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"}, "attention_bias": False,
            "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 1, "ep_size": 1,
            "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168, "initializer_range": 0.02,
            "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
            "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256,
            "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 128, "num_experts_per_tok": 8,
            "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1,
            "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06,
            "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
                             "original_max_position_embeddings": 4096, "type": "yarn"},
            "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
            "tie_word_embeddings": False, "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16",
            "transformers_version": "4.33.1", "use_cache": True, "v_head_dim": 128, "vocab_size": 129280, **changes}


def glm4(**changes):
    return {"architectures": ["Glm4MoeForCausalLM"], "model_type": "glm4_moe", "attention_bias": True,
            "attention_dropout": 0.0, "pad_token_id": 151329, "eos_token_id": [151329, 151336, 151338],
            "head_dim": 128, "hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 131072,
            "n_group": 1, "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 96,
            "num_experts_per_tok": 8, "num_key_value_heads": 8, "num_nextn_predict_layers": 1,
            "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 1000000,
            "tie_word_embeddings": False, "topk_group": 1, "torch_dtype": "bfloat16",
            "transformers_version": "4.54.0", "use_cache": True, "vocab_size": 151552, **changes}


def gpt_oss(layers, experts):
    return {"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "attention_bias": True,
            "attention_dropout": 0.0, "eos_token_id": 200002, "experts_per_token": 4, "head_dim": 64,
            "hidden_act": "silu", "hidden_size": 2880, "initial_context_length": 4096, "initializer_range": 0.02,
            "intermediate_size": 2880, "layer_types": ["sliding_attention", "full_attention"] * (layers // 2),
            "max_position_embeddings": 131072, "num_attention_heads": 64, "num_experts_per_tok": 4,
            "num_hidden_layers": layers, "num_key_value_heads": 8, "num_local_experts": experts,
            "output_router_logits": False, "pad_token_id": 199999,
            "quantization_config": {"modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                                               "model.embed_tokens", "lm_head"],
                                    "quant_method": "mxfp4"},
            "rms_norm_eps": 1e-05,
            "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
                             "original_max_position_embeddings": 4096, "rope_type": "yarn", "truncate": False},
            "rope_theta": 150000, "router_aux_loss_coef": 0.9, "sliding_window": 128, "swiglu_limit": 7.0,
            "tie_word_embeddings": False, "transformers_version": "4.55.0.dev0", "use_cache": True,
            "vocab_size": 201088}


def nemotron_h(**changes):
    # Without time_step_limit, which is no JSON there: its end is the word Infinity.
    return {"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "attention_bias": False,
            "attention_dropout": 0.0, "bos_token_id": 1, "chunk_size": 128, "conv_kernel": 4, "eos_token_id": 2,
            "expand": 2, "hidden_dropout": 0.0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
            "mamba_head_dim": 64, "mamba_hidden_act": "silu", "mamba_proj_bias": False, "mlp_bias": False,
            "mlp_hidden_act": "relu2", "n_groups": 8, "num_attention_heads": 32, "num_hidden_layers": 52,
            "num_logits_to_keep": 1, "pad_token_id": 0, "rescale_prenorm_residual": True, "residual_in_fp32": False,
            "sliding_window": None, "ssm_state_size": 128, "tie_word_embeddings": False, "time_step_floor": 0.0001,
            "time_step_max": 0.1, "time_step_min": 0.001, "torch_dtype": "bfloat16",
            "transformers_version": "4.48.0.dev0", "use_bias": False, "use_cache": True, "use_conv_bias": True,
            "use_mamba_kernels": True, "vocab_size": 131072, **changes}


def qwen2_vl(vision, **changes):
    """The keys of the text stand beside the others."""
    return {"attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "vision_start_token_id": 151652,
            "vision_end_token_id": 151653, "vision_token_id": 151654, "image_token_id": 151655,
            "video_token_id": 151656, "hidden_act": "silu", "hidden_size": 3584, "initializer_range": 0.02,
            "intermediate_size": 18944, "max_position_embeddings": 32768, "max_window_layers": 28,
            "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": False,
            "torch_dtype": "bfloat16", "transformers_version": "4.41.2", "use_cache": True,
            "use_sliding_window": False, "vision_config": vision,
            "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 152064, **changes}


def qwen3_vl(text, vision, **changes):
    return {"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "image_token_id": 151655,
            "text_config": {
                "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 151643, "dtype": "bfloat16",
                "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "initializer_range": 0.02,
                "max_position_embeddings": 262144, "model_type": "qwen3_vl_text", "num_attention_heads": 32,
                "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
                "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
                "rope_theta": 5000000, "use_cache": True, "vocab_size": 151936, **text},
            "tie_word_embeddings": False, "transformers_version": "4.57.0.dev0", "video_token_id": 151656,
            "vision_config": {
                "deepstack_visual_indexes": [8, 16, 24], "depth": 27, "hidden_act": "gelu_pytorch_tanh",
                "hidden_size": 1152, "in_channels": 3, "initializer_range": 0.02, "intermediate_size": 4304,
                "model_type": "qwen3_vl", "num_heads": 16, "num_position_embeddings": 2304, "patch_size": 16,
                "spatial_merge_size": 2, "temporal_patch_size": 2, **vision},
            "vision_end_token_id": 151653, "vision_start_token_id": 151652, **changes}


# Of moonshotai/Kimi-K2.5: 208,550 tensors in 64 files.
KIMI_K25_TENSORS = """
language_model.lm_head.weight BF16 163840 7168
language_model.model.embed_tokens.weight BF16 163840 7168
language_model.model.norm.weight BF16 7168
language_model.model.layers.{0-60}.input_layernorm.weight BF16 7168
language_model.model.layers.{0-60}.post_attention_layernorm.weight BF16 7168
language_model.model.layers.{0-60}.self_attn.kv_a_layernorm.weight BF16 512
language_model.model.layers.{0-60}.self_attn.kv_a_proj_with_mqa.weight BF16 576 7168
language_model.model.layers.{0-60}.self_attn.kv_b_proj.weight BF16 16384 512
language_model.model.layers.{0-60}.self_attn.o_proj.weight BF16 7168 8192
language_model.model.layers.{0-60}.self_attn.q_a_layernorm.weight BF16 1536
language_model.model.layers.{0-60}.self_attn.q_a_proj.weight BF16 1536 7168
language_model.model.layers.{0-60}.self_attn.q_b_proj.weight BF16 12288 1536
language_model.model.layers.0.mlp.down_proj.weight BF16 7168 18432
language_model.model.layers.0.mlp.gate_proj.weight BF16 18432 7168
language_model.model.layers.0.mlp.up_proj.weight BF16 18432 7168
language_model.model.layers.{1-60}.mlp.experts.{0-383}.down_proj.weight_packed I32 7168 256
language_model.model.layers.{1-60}.mlp.experts.{0-383}.down_proj.weight_scale BF16 7168 64
language_model.model.layers.{1-60}.mlp.experts.{0-383}.down_proj.weight_shape I32 2
language_model.model.layers.{1-60}.mlp.experts.{0-383}.gate_proj.weight_packed I32 2048 896
language_model.model.layers.{1-60}.mlp.experts.{0-383}.gate_proj.weight_scale BF16 2048 224
language_model.model.layers.{1-60}.mlp.experts.{0-383}.gate_proj.weight_shape I32 2
language_model.model.layers.{1-60}.mlp.experts.{0-383}.up_proj.weight_packed I32 2048 896
language_model.model.layers.{1-60}.mlp.experts.{0-383}.up_proj.weight_scale BF16 2048 224
language_model.model.layers.{1-60}.mlp.experts.{0-383}.up_proj.weight_shape I32 2
language_model.model.layers.{1-60}.mlp.gate.e_score_correction_bias F32 384
language_model.model.layers.{1-60}.mlp.gate.weight BF16 384 7168
language_model.model.layers.{1-60}.mlp.shared_experts.down_proj.weight BF16 7168 2048
language_model.model.layers.{1-60}.mlp.shared_experts.gate_proj.weight BF16 2048 7168
language_model.model.layers.{1-60}.mlp.shared_experts.up_proj.weight BF16 2048 7168
mm_projector.pre_norm.bias BF16 1152
mm_projector.pre_norm.weight BF16 1152
mm_projector.proj.0.bias BF16 4608
mm_projector.proj.0.weight BF16 4608 4608
mm_projector.proj.2.bias BF16 7168
mm_projector.proj.2.weight BF16 7168 4608
vision_tower.encoder.blocks.{0-26}.mlp.fc0.bias BF16 4304
vision_tower.encoder.blocks.{0-26}.mlp.fc0.weight BF16 4304 1152
vision_tower.encoder.blocks.{0-26}.mlp.fc1.bias BF16 1152
vision_tower.encoder.blocks.{0-26}.mlp.fc1.weight BF16 1152 4304
vision_tower.encoder.blocks.{0-26}.norm0.bias BF16 1152
vision_tower.encoder.blocks.{0-26}.norm0.weight BF16 1152
vision_tower.encoder.blocks.{0-26}.norm1.bias BF16 1152
vision_tower.encoder.blocks.{0-26}.norm1.weight BF16 1152
vision_tower.encoder.blocks.{0-26}.wo.bias BF16 1152
vision_tower.encoder.blocks.{0-26}.wo.weight BF16 1152 1152
vision_tower.encoder.blocks.{0-26}.wqkv.bias BF16 3456
vision_tower.encoder.blocks.{0-26}.wqkv.weight BF16 3456 1152
vision_tower.encoder.final_layernorm.bias BF16 1152
vision_tower.encoder.final_layernorm.weight BF16 1152
vision_tower.patch_embed.pos_emb.weight BF16 64 64 1152
vision_tower.patch_embed.proj.bias BF16 1152
vision_tower.patch_embed.proj.weight BF16 1152 3 14 14
"""

# All but the experts is in bf16.
KIMI_K25_INT4 = {
    "config_groups": {"group_0": {
        "input_activations": None, "output_activations": None, "targets": ["Linear"],
        "weights": {"actorder": None, "block_structure": None, "dynamic": False, "group_size": 32, "num_bits": 4,
                    "observer": "minmax", "observer_kwargs": {}, "strategy": "group", "symmetric": True, "type": "int"}}},
    "format": "pack-quantized",
    "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"],
    "kv_cache_scheme": None, "quant_method": "compressed-tensors", "quantization_status": "compressed"}

FP8 = {"quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                               "weight_block_size": [128, 128]}}

MODELS = {
    "llama-3.1-8b": Model("meta-llama/Llama-3.1-8B", 8030261248, llama(), short=True),
    "llama-3.1-70b": Model("meta-llama/Llama-3.1-70B", 70553706496, llama(
        hidden_size=8192, intermediate_size=28672, num_attention_heads=64, num_hidden_layers=80)),
    "llama-3.1-405b": Model("meta-llama/Llama-3.1-405B", 405853388800, llama(
        hidden_size=16384, intermediate_size=53248, num_attention_heads=128, num_hidden_layers=126)),
    "mistral-7b-v0.1": Model("mistralai/Mistral-7B-v0.1", 7241732096, {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
        "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.34.0.dev0",
        "use_cache": True, "vocab_size": 32000}),
    "qwen2.5-0.5b": Model("Qwen/Qwen2.5-0.5B", 494032768, qwen2(
        hidden_size=896, intermediate_size=4864, max_position_embeddings=32768, max_window_layers=24,
        num_attention_heads=14, num_hidden_layers=24, num_key_value_heads=2, sliding_window=32768,
        tie_word_embeddings=True, vocab_size=151936), short=True),
    "qwen2.5-7b": Model("Qwen/Qwen2.5-7B", 7615616512, qwen2(
        hidden_size=3584, intermediate_size=18944, num_attention_heads=28, num_hidden_layers=28,
        num_key_value_heads=4)),
    "qwen2.5-72b": Model("Qwen/Qwen2.5-72B", 72706203648, qwen2(
        hidden_size=8192, intermediate_size=29568, max_window_layers=80, num_attention_heads=64, num_hidden_layers=80,
        num_key_value_heads=8, rms_norm_eps=1e-05)),
    "qwen3-0.6b": Model("Qwen/Qwen3-0.6B", 751632384, qwen3(
        hidden_size=1024, intermediate_size=3072, max_window_layers=28, num_attention_heads=16, num_hidden_layers=28,
        tie_word_embeddings=True), stored_head=True),
    "qwen3-8b": Model("Qwen/Qwen3-8B", 8190735360, qwen3(
        hidden_size=4096, intermediate_size=12288, max_window_layers=36, num_attention_heads=32,
        num_hidden_layers=36)),
    "qwen3-32b": Model("Qwen/Qwen3-32B", 32762123264, qwen3(
        hidden_size=5120, intermediate_size=25600, max_window_layers=64, num_attention_heads=64,
        num_hidden_layers=64)),
    "gemma-2-9b": Model("google/gemma-2-9b", 9241705984, {
        "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "attention_bias": False,
        "attention_dropout": 0.0, "attn_logit_softcapping": 50.0, "bos_token_id": 2, "cache_implementation": "hybrid",
        "eos_token_id": 1, "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 3584, "initializer_range": 0.02,
        "intermediate_size": 14336, "max_position_embeddings": 8192, "num_attention_heads": 16,
        "num_hidden_layers": 42, "num_key_value_heads": 8, "pad_token_id": 0, "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096,
        "torch_dtype": "float32", "transformers_version": "4.42.0.dev0", "use_cache": True, "vocab_size": 256000}, form="f32"),
    "gemma-3-1b": Model("google/gemma-3-1b-pt", 999885952, {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "attention_bias": False,
        "attention_dropout": 0.0, "attn_logit_softcapping": None, "bos_token_id": 2, "cache_implementation": "hybrid",
        "eos_token_id": 1, "final_logit_softcapping": None, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "initializer_range": 0.02,
        "intermediate_size": 6912, "max_position_embeddings": 32768, "num_attention_heads": 4,
        "num_hidden_layers": 26, "num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000, "rope_scaling": None, "rope_theta": 1000000,
        "sliding_window": 512, "sliding_window_pattern": 6, "torch_dtype": "bfloat16",
        "transformers_version": "4.50.0.dev0", "use_cache": True, "vocab_size": 262144}),
    "qwen3-235b-a22b": Model("Qwen/Qwen3-235B-A22B", 235093634560, {
        **qwen3(hidden_size=4096, intermediate_size=12288, max_window_layers=94, num_attention_heads=64,
                num_hidden_layers=94, num_key_value_heads=4),
        "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "decoder_sparse_step": 1,
        "mlp_only_layers": [], "moe_intermediate_size": 1536, "norm_topk_prob": True, "num_experts": 128,
        "num_experts_per_tok": 8, "output_router_logits": False, "router_aux_loss_coef": 0.001}),
    "deepseek-v3": Model("deepseek-ai/DeepSeek-V3", None, deepseek(**FP8), "fp8", "layer", short=True),
    "deepseek-v3-bf16": Model("deepseek-ai/DeepSeek-V3, converted by its fp8_cast_bf16.py", None, deepseek(),
                              prediction="layer"),
    "glm-4.5": Model("zai-org/GLM-4.5", None, glm4(
        first_k_dense_replace=3, hidden_size=5120, intermediate_size=12288, moe_intermediate_size=1536,
        n_routed_experts=160, num_hidden_layers=92, routed_scaling_factor=2.5, use_qk_norm=True),
        prediction="layer"),
    "glm-4.5-air": Model("zai-org/GLM-4.5-Air", None, glm4(
        first_k_dense_replace=1, hidden_size=4096, intermediate_size=10944, moe_intermediate_size=1408,
        n_routed_experts=128, num_hidden_layers=46, routed_scaling_factor=1.0, use_qk_norm=False),
        prediction="layer"),
    "gpt-oss-20b": Model("openai/gpt-oss-20b", 20914757184, gpt_oss(24, 32), "mxfp4", short=True),
    "gpt-oss-120b": Model("openai/gpt-oss-120b", 116829156672, gpt_oss(36, 128), "mxfp4"),
    "nemotron-h-8b": Model("nvidia/Nemotron-H-8B-Base-8K", None, nemotron_h(
        attention_head_dim=128, hidden_size=4096, hybrid_override_pattern="M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
        intermediate_size=21504, mamba_num_heads=128, max_position_embeddings=8192, num_key_value_heads=8)),
    "nemotron-3-nano": Model("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", None, nemotron_h(
        head_dim=128, hidden_size=2688, hybrid_override_pattern="MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
        intermediate_size=1856, mamba_num_heads=64, max_position_embeddings=262144, moe_intermediate_size=1856,
        moe_shared_expert_intermediate_size=3712, n_group=1, n_routed_experts=128, n_shared_experts=1, norm_eps=1e-05,
        norm_topk_prob=True, num_experts_per_tok=6, num_key_value_heads=2, partial_rotary_factor=1.0,
        rope_theta=10000, routed_scaling_factor=2.5, topk_group=1)),
    "nemotron-3-super": Model("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16", None, nemotron_h(
        head_dim=128, hidden_size=4096,
        hybrid_override_pattern="MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME",
        intermediate_size=2688, mamba_num_heads=128, max_position_embeddings=262144, moe_intermediate_size=2688,
        moe_latent_size=1024, moe_shared_expert_intermediate_size=5376, moe_shared_expert_overlap=False,
        mtp_hybrid_override_pattern="*E", n_group=1, n_routed_experts=512, n_shared_experts=1, norm_eps=1e-05,
        norm_topk_prob=True, num_experts_per_tok=22, num_hidden_layers=88, num_key_value_heads=2,
        num_nextn_predict_layers=1, partial_rotary_factor=1.0, rope_theta=10000, routed_scaling_factor=5.0,
        topk_group=1), prediction="mtp-pattern"),
    # Sizes are those that transformers' Mistral4Config has; names of the scales those that NeMo AutoModel reads.
    "mistral-small-4": Model("mistralai/Mistral-Small-4-119B-2603", None, {
        "architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3", "dtype": "bfloat16",
        "image_token_index": 10, "multimodal_projector_bias": False, "projector_hidden_act": "gelu",
        "spatial_merge_size": 2, "vision_feature_layer": -1, "tie_word_embeddings": False,
        "quantization_config": {"activation_scheme": "static", "dequantize": False, "quant_method": "fp8",
                                "modules_to_not_convert": ["model.vision_tower", "model.multi_modal_projector", "lm_head"],
                                "weight_block_size": None},
        "text_config": {
            "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
            "first_k_dense_replace": 0, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
            "intermediate_size": 12288, "kv_lora_rank": 256, "max_position_embeddings": 1048576,
            "model_type": "mistral4", "moe_intermediate_size": 2048, "n_group": 1, "n_routed_experts": 128,
            "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 32, "num_experts_per_tok": 4,
            "num_hidden_layers": 36, "num_key_value_heads": 32, "pad_token_id": 11, "pretraining_tp": 1,
            "q_lora_rank": 1024, "qk_nope_head_dim": 64, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06,
            "rope_interleave": True,
            "rope_parameters": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 128.0, "llama_4_scaling_beta": 0.1,
                                "max_position_embeddings": 1048576, "mscale": 1.0, "mscale_all_dim": 1.0,
                                "original_max_position_embeddings": 8192, "rope_theta": 10000.0, "rope_type": "yarn",
                                "type": "yarn"},
            "routed_scaling_factor": 1.0, "tie_word_embeddings": False, "topk_group": 1, "use_cache": True,
            "v_head_dim": 128, "vocab_size": 131072},
        "vision_config": {
            "attention_dropout": 0.0, "head_dim": 64, "hidden_act": "silu", "hidden_size": 1024, "image_size": 1540,
            "initializer_range": 0.02, "intermediate_size": 4096, "model_type": "pixtral", "num_attention_heads": 16,
            "num_channels": 3, "num_hidden_layers": 24, "patch_size": 14,
            "rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"}}}, "fp8-tensors"),
    "qwen3-next-80b-a3b": Model("Qwen/Qwen3-Next-80B-A3B-Instruct", None, {
        "architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next", "attention_dropout": 0.0,
        "bos_token_id": 151643, "decoder_sparse_step": 1, "eos_token_id": 151645, "full_attention_interval": 4,
        "head_dim": 256, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02,
        "intermediate_size": 5120, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
        "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_value_head_dim": 128,
        "max_position_embeddings": 262144, "mlp_only_layers": [], "moe_intermediate_size": 512,
        "norm_topk_prob": True, "num_attention_heads": 16, "num_experts": 512, "num_experts_per_tok": 10,
        "num_hidden_layers": 48, "num_key_value_heads": 2, "output_router_logits": False,
        "partial_rotary_factor": 0.25, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000000,
        "router_aux_loss_coef": 0.001, "shared_expert_intermediate_size": 512, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "transformers_version": "4.57.0.dev0", "use_cache": True,
        "use_sliding_window": False, "vocab_size": 151936}, prediction="mtp"),
    "qwen2-vl-7b": Model("Qwen/Qwen2-VL-7B-Instruct", 8291375616, qwen2_vl(
        {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3, "hidden_size": 3584,
         "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14, "temporal_patch_size": 2},
        architectures=["Qwen2VLForConditionalGeneration"], model_type="qwen2_vl")),
    "qwen2.5-vl-7b": Model("Qwen/Qwen2.5-VL-7B-Instruct", 8292166656, qwen2_vl(
        {"depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
         "in_chans": 3, "out_hidden_size": 3584, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14,
         "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
         "temporal_patch_size": 2},
        architectures=["Qwen2_5_VLForConditionalGeneration"], model_type="qwen2_5_vl",
        max_position_embeddings=128000)),
    "qwen3-vl-4b": Model("Qwen/Qwen3-VL-4B-Instruct", 4437815808, qwen3_vl(
        {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "tie_word_embeddings": True},
        {"deepstack_visual_indexes": [5, 11, 17], "depth": 24, "hidden_size": 1024, "intermediate_size": 4096,
         "out_hidden_size": 2560}, tie_word_embeddings=True), short=True),
    "qwen3-vl-8b": Model("Qwen/Qwen3-VL-8B-Instruct", 8767123696, qwen3_vl(
        {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36}, {"out_hidden_size": 4096})),
    "qwen3-vl-32b": Model("Qwen/Qwen3-VL-32B-Instruct", None, qwen3_vl(
        {"hidden_size": 5120, "intermediate_size": 25600, "num_attention_heads": 64, "num_hidden_layers": 64},
        {"out_hidden_size": 5120})),
    "qwen3-vl-30b-a3b": Model("Qwen/Qwen3-VL-30B-A3B-Instruct", 31070754032, qwen3_vl(
        {"decoder_sparse_step": 1, "hidden_size": 2048, "intermediate_size": 6144, "mlp_only_layers": [],
         "model_type": "qwen3_vl_moe_text", "moe_intermediate_size": 768, "norm_topk_prob": True,
         "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4},
        {"model_type": "qwen3_vl_moe", "out_hidden_size": 2048},
        architectures=["Qwen3VLMoeForConditionalGeneration"], model_type="qwen3_vl_moe")),
    "kimi-k2.5": Model("moonshotai/Kimi-K2.5", 170738182128, {
        "architectures": ["KimiK25ForConditionalGeneration"],
        "auto_map": {"AutoConfig": "configuration_kimi_k25.KimiK25Config",
                     "AutoModel": "modeling_kimi_k25.KimiK25ForConditionalGeneration",
                     "AutoModelForCausalLM": "modeling_kimi_k25.KimiK25ForConditionalGeneration"},
        "bos_token_id": 163584, "dtype": "bfloat16", "eos_token_id": 163585, "ignore_index": -100,
        "media_placeholder_token_id": 163605, "model_type": "kimi_k25", "pad_token_id": 163839,
        "text_config": {
            "_name_or_path": "", "add_cross_attention": False, "architectures": ["DeepseekV3ForCausalLM"],
            "attention_bias": False, "attention_dropout": 0.0,
            "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config",
                         "AutoModel": "modeling_deepseek.DeepseekV3Model",
                         "AutoModelForCausalLM": "modeling_deepseek.DeepseekV3ForCausalLM"},
            "aux_loss_alpha": 0.001, "bos_token_id": 163584, "chunk_size_feed_forward": 0,
            "cross_attention_hidden_size": None, "decoder_start_token_id": None, "dtype": "bfloat16",
            "eos_token_id": 163585, "ep_size": 1, "finetuning_task": None, "first_k_dense_replace": 1,
            "hidden_act": "silu", "hidden_size": 7168, "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
            "initializer_range": 0.02, "intermediate_size": 18432, "is_decoder": False, "is_encoder_decoder": False,
            "kv_lora_rank": 512, "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "max_position_embeddings": 262144,
            "model_type": "kimi_k2", "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 1,
            "n_routed_experts": 384, "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 64,
            "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 64,
            "num_nextn_predict_layers": 0, "output_attentions": False, "output_hidden_states": False,
            "pad_token_id": 163839, "prefix": None, "pretraining_tp": 1, "problem_type": None, "pruned_heads": {},
            "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
            "quantization_config": KIMI_K25_INT4, "return_dict": True, "rms_norm_eps": 1e-05,
            "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 64.0, "mscale": 1.0, "mscale_all_dim": 1.0,
                             "original_max_position_embeddings": 4096, "type": "yarn"},
            "rope_theta": 50000.0, "routed_scaling_factor": 2.827, "scoring_func": "sigmoid", "sep_token_id": None,
            "seq_aux": True, "task_specific_params": None, "tf_legacy_loss": False, "tie_encoder_decoder": False,
            "tie_word_embeddings": False, "tokenizer_class": None, "topk_group": 1, "topk_method": "noaux_tc",
            "torchscript": False, "use_bfloat16": False, "use_cache": True, "v_head_dim": 128, "vocab_size": 163840},
        "tie_word_embeddings": False, "use_unified_vision_chunk": True,
        "video_placeholder": "<|kimi_k25_video_placeholder|>",
        "vision_config": {
            "init_pos_emb_height": 64, "init_pos_emb_time": 4, "init_pos_emb_width": 64, "merge_kernel_size": [2, 2],
            "merge_type": "sd2_tpool", "mm_hidden_size": 1152, "mm_projector_type": "patchmerger", "model_type": "",
            "patch_size": 14, "pos_emb_type": "divided_fixed", "projector_hidden_act": "gelu",
            "projector_ln_eps": 1e-05, "text_hidden_size": 7168, "video_attn_type": "spatial_temporal",
            "vt_hidden_size": 1152, "vt_intermediate_size": 4304, "vt_num_attention_heads": 16,
            "vt_num_hidden_layers": 27}}, listing=KIMI_K25_TENSORS, short=True),
    "kimi-vl-a3b": Model("moonshotai/Kimi-VL-A3B-Instruct", None, {
        "architectures": ["KimiVLForConditionalGeneration"], "model_type": "kimi_vl", "ignore_index": -100,
        "media_placeholder_token_id": 163605, "torch_dtype": "bfloat16", "transformers_version": "4.48.3",
        "vocab_size": 163840,
        "text_config": {
            "attention_bias": False, "attention_dropout": 0.0, "aux_loss_alpha": 0.001, "bos_token_id": 163584,
            "eos_token_id": 163585, "ep_size": 1, "first_k_dense_replace": 1, "hidden_act": "silu",
            "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 11264, "kv_lora_rank": 512,
            "max_position_embeddings": 131072, "model_type": "deepseek_v3", "moe_intermediate_size": 1408,
            "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2, "norm_topk_prob": True,
            "num_attention_heads": 16, "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16,
            "pad_token_id": 163839, "pretraining_tp": 1, "q_lora_rank": None, "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 800000.0,
            "routed_scaling_factor": 2.446, "scoring_func": "sigmoid", "seq_aux": True, "tie_word_embeddings": False,
            "topk_group": 1, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "use_cache": True,
            "v_head_dim": 128, "vocab_size": 163840},
        "vision_config": {
            "hidden_size": 1152, "init_pos_emb_height": 64, "init_pos_emb_width": 64, "intermediate_size": 4304,
            "merge_kernel_size": [2, 2], "model_type": "moonvit", "num_attention_heads": 16, "num_hidden_layers": 27,
            "patch_size": 14, "torch_dtype": "bfloat16"}}),
}
