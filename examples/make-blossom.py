"""A checkpoint of a model that Clade has never seen, for docs/tutorial.md: random numbers under names of its own.

usage: make-blossom.py FOLDER
"""

import json
import pathlib
import random
import struct
import sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
config = {
    "architectures": ["BlossomForCausalLM"], "model_type": "blossom", "vocab_size": 256, "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128,
    "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu", "attention_multiplier": 0.0625,
    "residual_multiplier": 0.5, "tie_word_embeddings": True, "use_flash_kernels": False, "torch_dtype": "float32",
}
d, ffn, heads = config["hidden_size"], config["intermediate_size"], 4 * 16
shapes = {"model.embed_tokens.weight": [256, d], "model.norm.weight": [d]}
for layer in range(config["num_hidden_layers"]):
    at = f"model.layers.{layer}."
    shapes |= {
        at + "input_layernorm.weight": [d], at + "post_attention_layernorm.weight": [d],
        at + "self_attn.qkv_proj.weight": [heads + 2 * 2 * 16, d], at + "self_attn.o_proj.weight": [d, heads],
        at + "self_attn.q_norm.weight": [16], at + "self_attn.k_norm.weight": [16],
        at + "mlp.w1.weight": [ffn, d], at + "mlp.w3.weight": [ffn, d], at + "mlp.w2.weight": [d, ffn],
    }

random.seed(1)
header, parts, offset = {}, [], 0
for name, shape in shapes.items():
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    mean, deviation = (0.0, shape[-1] ** -0.5) if len(shape) > 1 else (1.0, 0.1)
    data = struct.pack(f"<{count}f", *(random.gauss(mean, deviation) for _ in range(count)))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(data)]}
    offset += len(data)
    parts.append(data)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
(folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
(folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
