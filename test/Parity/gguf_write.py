#===- gguf_write.py - GGUF files from checkpoints ---------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Writes what llama.cpp's converter would write for a checkpoint: metadata keys,
# tensor names (by the gguf package's map), rows of q and k of the Llama
# architecture reordered for alternating rotary pairs, Gemma's norms with their
# one added, the factors of llama3 scaling as a tensor, biases and norms in F32.
# Also gives the weights that the file holds, dequantised by the gguf package,
# under their published names.
#
# The package dequantises Q4_K and Q6_K but does not quantise them; the blocks
# are made here, by plain rounding.
#
#===------------------------------------------------------------------------===#
import json
import math
from dataclasses import dataclass, field

import gguf
import numpy as np
import transformers
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value
from safetensors.numpy import load_file

ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2,
                 "qwen3": gguf.MODEL_ARCH.QWEN3, "gemma2": gguf.MODEL_ARCH.GEMMA2,
                 "gemma3_text": gguf.MODEL_ARCH.GEMMA3}
# llama.cpp takes the second type where a row is no multiple of 256.
FALLBACKS = {Type.Q4_K: Type.Q5_0, Type.Q6_K: Type.Q8_0}
KINDS = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4", "Q4_K", "Q6_K"]


@dataclass
class Contents:
    """What a file will hold: metadata key → (value, type), tensor name → (f32 array, stored type)."""

    metadata: dict = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)

    def put(self, key, value, kind):
        if value is not None:
            self.metadata[key] = (value, kind)


#===------------------------------------------------------------------------===#
# Metadata
#===------------------------------------------------------------------------===#


def put_rope(contents, arch, rope, config):
    """Base and scaling. Returns the factors of llama3, which become a tensor."""
    put = contents.put
    put(f"{arch}.rope.freq_base", rope["rope_theta"], Value.FLOAT32)
    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        put(f"{arch}.rope.scaling.type", kind, Value.STRING)
        put(f"{arch}.rope.scaling.factor", rope["factor"], Value.FLOAT32)
    if kind == "yarn":
        put(f"{arch}.rope.scaling.original_context_length", rope["original_max_position_embeddings"], Value.UINT32)
        put(f"{arch}.rope.scaling.yarn_attn_factor", rope.get("attention_factor"), Value.FLOAT32)
        put(f"{arch}.rope.scaling.yarn_beta_fast", rope.get("beta_fast"), Value.FLOAT32)
        put(f"{arch}.rope.scaling.yarn_beta_slow", rope.get("beta_slow"), Value.FLOAT32)
    if kind == "llama3":
        contents.tensors["rope_freqs.weight"] = (llama3_factors(rope, head_size(config)), Type.F32)
    if kind == "longrope":
        original = rope["original_max_position_embeddings"]
        put(f"{arch}.rope.scaling.type", kind, Value.STRING)
        put(f"{arch}.rope.scaling.original_context_length", original, Value.UINT32)
        put(f"{arch}.rope.scaling.attn_factor", math.sqrt(1 + math.log(rope["factor"]) / math.log(original)), Value.FLOAT32)
        for name in ("long", "short"):
            contents.tensors[f"rope_factors_{name}.weight"] = (np.array(rope[f"{name}_factor"], np.float32), Type.F32)
    assert kind in ("default", "linear", "yarn", "llama3", "longrope"), f"the converter writes nothing for {kind}"


def llama3_factors(rope, head):
    """What each frequency is divided by: 1 for short waves, the factor for long ones, between them smoothly."""
    waves = 2 * math.pi * rope["rope_theta"] ** (np.arange(0, head, 2, dtype=np.float32) / head)
    original, factor = rope["original_max_position_embeddings"], rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((original / waves - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def head_size(config):
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def put_tokenizer(contents, size):
    """A byte-level vocabulary, filled up with unused tokens as the converter does."""
    bytes_ = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(b) for b in bytes_] + [chr(256 + i) for i in range(256 - len(bytes_))]
    tokens = [*alphabet, "he", "ll", "<|end|>"][:size]
    tokens += [f"[PAD{i}]" for i in range(len(tokens), size)]
    kinds = [gguf.TokenType.UNUSED if t.startswith("[PAD") else gguf.TokenType.NORMAL for t in tokens]
    if "<|end|>" in tokens:
        kinds[tokens.index("<|end|>")] = gguf.TokenType.CONTROL
        contents.put("tokenizer.ggml.eos_token_id", tokens.index("<|end|>"), Value.UINT32)
    contents.put("tokenizer.ggml.model", "gpt2", Value.STRING)
    contents.put("tokenizer.ggml.pre", "qwen2", Value.STRING)
    contents.put("tokenizer.ggml.tokens", tokens, Value.ARRAY)
    contents.put("tokenizer.ggml.token_type", [int(k) for k in kinds], Value.ARRAY)
    contents.put("tokenizer.ggml.merges", ["h e", "l l"], Value.ARRAY)


def put_metadata(contents, arch, config):
    put = contents.put
    put("general.type", "model", Value.STRING)
    put("general.name", "tiny", Value.STRING)
    put("general.quantization_version", gguf.GGML_QUANT_VERSION, Value.UINT32)
    put(f"{arch}.block_count", config.num_hidden_layers, Value.UINT32)
    put(f"{arch}.context_length", config.max_position_embeddings, Value.UINT32)
    put(f"{arch}.embedding_length", config.hidden_size, Value.UINT32)
    put(f"{arch}.feed_forward_length", config.intermediate_size, Value.UINT32)
    put(f"{arch}.attention.head_count", config.num_attention_heads, Value.UINT32)
    put(f"{arch}.attention.head_count_kv", config.num_key_value_heads, Value.UINT32)
    put(f"{arch}.attention.layer_norm_rms_epsilon", config.rms_norm_eps, Value.FLOAT32)
    if getattr(config, "head_dim", None):
        put(f"{arch}.attention.key_length", config.head_dim, Value.UINT32)
        put(f"{arch}.attention.value_length", config.head_dim, Value.UINT32)
    if arch == "llama":
        put("llama.vocab_size", config.vocab_size, Value.UINT32)
        put("llama.rope.dimension_count", head_size(config), Value.UINT32)
    if arch.startswith("gemma"):
        put(f"{arch}.attention.sliding_window", config.sliding_window, Value.UINT32)
        put(f"{arch}.final_logit_softcapping", config.final_logit_softcapping, Value.FLOAT32)
        put(f"{arch}.attn_logit_softcapping", config.attn_logit_softcapping, Value.FLOAT32)
    rope = config.rope_parameters
    put_rope(contents, arch, rope.get("full_attention", rope), config)
    put_tokenizer(contents, config.vocab_size)


#===------------------------------------------------------------------------===#
# Tensors
#===------------------------------------------------------------------------===#


def permuted(rows, heads):
    """Rotary halves of each head become alternating pairs."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def unpermuted(rows, heads):
    return rows.reshape(heads, len(rows) // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def heads_of(name, config):
    """Into how many heads the rows of a projection of the Llama architecture are reordered, or None."""
    if ".q_proj." in name:
        return config.num_attention_heads
    return config.num_key_value_heads if ".k_proj." in name else None


def stored_type(name, array, kind):
    if array.ndim < 2 or name.endswith("_norm.weight"):
        return Type.F32
    # The larger types of a mixed file, as in Q4_K_M.
    if kind == Type.Q4_K and any(part in name for part in ("attn_v", "ffn_down", "output.weight", "token_embd")):
        kind = Type.Q6_K
    return FALLBACKS[kind] if kind in FALLBACKS and array.shape[-1] % 256 else kind


def contents_of(checkpoint, kind):
    """The contents of the GGUF file of a checkpoint, and the published name of each tensor."""
    config = transformers.AutoConfig.from_pretrained(checkpoint)
    model = ARCHITECTURES[config.model_type]
    arch = gguf.MODEL_ARCH_NAMES[model]
    contents = Contents({"general.architecture": (arch, Value.STRING)})
    names = gguf.get_tensor_name_map(model, config.num_hidden_layers)
    put_metadata(contents, arch, config)
    published = {}
    for name, array in sorted(load_file(checkpoint / "model.safetensors").items()):
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored, f"the converter knows no tensor '{name}'"
        if arch == "llama" and (heads := heads_of(name, config)):
            array = permuted(array, heads)
        if arch.startswith("gemma") and name.endswith("norm.weight"):
            array = array + np.float32(1)
        contents.tensors[stored] = (array, stored_type(stored, array, Type[kind]))
        published[stored] = name
    return contents, published


def published_weights(contents, published, config):
    """The weights of a file as a checkpoint in the published form would hold them, in f32."""
    arch = contents.metadata["general.architecture"][0]
    weights = {}
    for stored, name in published.items():
        array, kind = contents.tensors[stored]
        array = gguf.quants.dequantize(quantised(array, kind), kind).astype(np.float32)
        if arch == "llama" and (heads := heads_of(name, config)):
            array = unpermuted(array, heads)
        if arch.startswith("gemma") and name.endswith("norm.weight"):
            array = array - np.float32(1)
        weights[name] = np.ascontiguousarray(array)
    return weights


#===------------------------------------------------------------------------===#
# Blocks
#===------------------------------------------------------------------------===#


def ratio(a, b):
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape), np.float32), where=b != 0)


def half(values):
    """Rounded to f16, and its bytes."""
    rounded = values.astype(np.float16)
    return rounded.astype(np.float32), rounded[:, None].view(np.uint8)


def q4_k(blocks):
    """[n, 256] → [n, 144]: d, dmin, 6-bit scales and minima of 8 groups, 4-bit values."""
    groups = blocks.reshape(-1, 8, 32)
    low = np.minimum(groups.min(2), 0)
    d, d_bytes = half((groups.max(2) - low).max(1) / 15 / 63)
    m, m_bytes = half(-low.min(1) / 63)
    scales = np.rint(ratio((groups.max(2) - low) / 15, d[:, None])).clip(0, 63).astype(np.uint8)
    minima = np.rint(ratio(-low, m[:, None])).clip(0, 63).astype(np.uint8)
    shifted = groups + (m[:, None] * minima)[:, :, None]
    q = np.rint(ratio(shifted, (d[:, None] * scales)[:, :, None])).clip(0, 15).astype(np.uint8)
    packed = np.concatenate([scales[:, :4] | scales[:, 4:] >> 4 << 6, minima[:, :4] | minima[:, 4:] >> 4 << 6,
                             scales[:, 4:] & 15 | (minima[:, 4:] & 15) << 4], axis=1)
    pairs = q.reshape(-1, 4, 2, 32)
    return np.concatenate([d_bytes, m_bytes, packed, (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)], axis=1)


def q6_k(blocks):
    """[n, 256] → [n, 210]: low 4 bits, high 2 bits, 8-bit scales of 16 groups, d."""
    groups = blocks.reshape(-1, 16, 16)
    most = np.abs(groups).max(2) / 31
    d, d_bytes = half(most.max(1) / 127)
    scales = np.rint(ratio(most, d[:, None])).clip(-128, 127).astype(np.int8)
    q = np.rint(ratio(groups, (d[:, None] * scales)[:, :, None])).clip(-32, 31) + 32
    q = q.astype(np.uint8).reshape(-1, 2, 4, 32)
    low = np.stack([q[:, :, i] & 15 | (q[:, :, i + 2] & 15) << 4 for i in range(2)], axis=2)
    high = sum((q[:, :, i] >> 4) << 2 * i for i in range(4)).astype(np.uint8)
    return np.concatenate([low.reshape(-1, 128), high.reshape(-1, 64), scales.view(np.uint8), d_bytes], axis=1)


def quantised(array, kind):
    """The stored form of an f32 array; bytes [rows, row bytes] for block types."""
    encode = {Type.Q4_K: q4_k, Type.Q6_K: q6_k}.get(kind)
    if not encode:
        return gguf.quants.quantize(array, kind)
    return encode(array.reshape(-1, 256)).reshape(*array.shape[:-1], -1)


def write(contents, path):
    arch = contents.metadata.get("general.architecture", ("none", None))[0]
    writer = gguf.GGUFWriter(path, arch)  # puts the architecture itself
    for key, (value, kind) in contents.metadata.items():
        if key != "general.architecture":
            writer.add_key_value(key, value, kind)
    for name, (array, kind) in contents.tensors.items():
        writer.add_tensor(name, quantised(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
