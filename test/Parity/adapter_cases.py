#===- adapter_cases.py - LoRA adapters made by PEFT -------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# One row a case: which checkpoint of cases.py or moe_cases.py, and which
# configuration of peft.LoraConfig. PEFT makes the adapter, its factors are drawn
# so that it matters: what it adds to a weight is about a third of the weight.
#
#===------------------------------------------------------------------------===#
import dataclasses
import json

import peft
import torch
from safetensors.torch import load_file, save_file

import cases
import checkpoint
import moe_cases
import reference

cases.CASES += [case for case in moe_cases.CASES if case not in cases.CASES]


@dataclasses.dataclass(frozen=True)
class AdapterCase:
    name: str
    base: str  # name of the checkpoint's case
    config: dict  # arguments of peft.LoraConfig
    rewrite: str = ""  # form of the keys, if not PEFT's own of today
    short: bool = False  # part of the selection of tools/check
    beside: bool = False  # adapts linear maps of layers only, which have places beside the weights

    @property
    def is_routed(self):
        """Whether the model has experts: in bf16 a near tie between them may be decided otherwise."""
        return base_of(self) in moe_cases.CASES


ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]

CASES = [
    AdapterCase("llama-all", "llama-plain", dict(r=8, lora_alpha=16, target_modules=ATTENTION + MLP), short=True, beside=True),
    AdapterCase("llama-patterns", "llama-plain",
                dict(r=8, lora_alpha=12, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj", "lm_head"],
                     rank_pattern={"q_proj": 4, r"layers\.[12]\.self_attn\.v_proj": 16},
                     alpha_pattern={"down_proj": 3, "^model.layers.0.self_attn.q_proj": 7})),
    AdapterCase("llama-some-layers", "llama-plain",
                dict(r=5, lora_alpha=10, target_modules=["k_proj", "up_proj"], layers_to_transform=[0, 2]), beside=True),
    AdapterCase("llama-embedding", "llama-plain", dict(r=8, lora_alpha=16, target_modules=["embed_tokens", "q_proj"])),
    AdapterCase("qwen3-partial", "qwen3-plain", dict(r=16, lora_alpha=16, target_modules=["q_proj", "v_proj"]), short=True,
                beside=True),
    AdapterCase("gemma3-all", "gemma3-plain", dict(r=8, lora_alpha=16, target_modules=ATTENTION + MLP), short=True,
                beside=True),
    AdapterCase("qwen3-moe-attention", "qwen3-moe-plain", dict(r=8, lora_alpha=8, target_modules=["q_proj", "o_proj"]),
                beside=True),
    AdapterCase("qwen3-moe-parameters", "qwen3-moe-plain",
                dict(r=4, lora_alpha=8, target_modules=["q_proj", "o_proj"], target_parameters=EXPERTS), short=True, beside=True),
    AdapterCase("qwen3-moe-experts", "qwen3-moe-plain",
                dict(r=4, lora_alpha=8, target_modules=[], target_parameters=EXPERTS), rewrite="experts", beside=True),
    AdapterCase("qwen3-moe-down-only", "qwen3-moe-plain",
                dict(r=4, lora_alpha=8, target_modules=[], target_parameters=["mlp.experts.down_proj"]), beside=True),
    AdapterCase("qwen3-moe-swapped", "qwen3-moe-plain",
                dict(r=4, lora_alpha=8, target_modules=[], target_parameters=["mlp.experts.down_proj"]), rewrite="swapped",
                beside=True),
    AdapterCase("gpt-oss-parameters", "gpt-oss-plain",
                dict(r=4, lora_alpha=8, target_modules=["q_proj"], target_parameters=EXPERTS), beside=True),
    AdapterCase("mistral4-parameters", "mistral4-plain",
                dict(r=4, lora_alpha=8, target_modules=["o_proj"], target_parameters=EXPERTS), beside=True),
]


def base_of(case):
    return next(c for c in cases.CASES if c.name == case.base)


def draw(model, seed):
    """Factors whose product, scaled, has a third of the size that weights have."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {}
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            continue
        fan = parameter.shape[-1] if "_A" in name else 1
        values = torch.randn(parameter.shape, generator=generator) * fan**-0.5
        parameter.data.copy_(values * (0.12 if "_B" in name else 1.0))
        sizes[name] = parameter.abs().max()
    if not sizes:
        raise SystemExit("the adapter adapts nothing")


def load_base(case, dtype):
    return reference.load(checkpoint.write(base_of(case)) / dtype, checkpoint.DTYPES[dtype])


def write(case, path, seed=1):
    """Makes the adapter of a case with PEFT in the folder `path`."""
    config = peft.LoraConfig(**case.config)
    model = peft.get_peft_model(load_base(case, "f32"), config)
    draw(model, seed)
    model.save_pretrained(path)
    if case.rewrite:
        REWRITES[case.rewrite](path)


def split_experts(path):
    """Every expert's map a pair of its own, as adapters of transformers 4 have them: the fused map has one A for its two
    halves."""
    config, tensors = open_adapter(path)
    rank = config["r"]
    config["target_parameters"] = None
    config["target_modules"] = MLP
    result = {}
    for name, a in tensors.items():
        if not name.endswith("lora_A.weight"):
            continue
        b = tensors[name.replace("lora_A", "lora_B")]
        experts = a.shape[0] // rank
        is_fused = ".base_layer." in name
        prefix = name.replace(".base_layer", "").removesuffix("lora_A.weight")
        a, b = a.reshape(experts, rank, -1), b.reshape(b.shape[0], rank, experts)
        for e in range(experts):
            own = b[:, :, e]
            halves = dict(zip(("gate_proj", "up_proj"), own.chunk(2))) if is_fused else {"down_proj": own}
            for proj, rows in halves.items():
                result[f"{prefix}{e}.{proj}.lora_A.weight"] = a[e].clone().contiguous()
                result[f"{prefix}{e}.{proj}.lora_B.weight"] = rows.clone().contiguous()
    close_adapter(path, config, result)


def swap_roles(path):
    """As releases of PEFT before the order of a stack's axes was told apart: A takes what goes out, B what comes in."""
    config, tensors = open_adapter(path)
    rank = config["r"]
    result = {}
    for name, a in tensors.items():
        if not name.endswith("lora_A.weight"):
            result.setdefault(name, None)
            continue
        other = name.replace("lora_A", "lora_B")
        b = tensors[other]
        experts = a.shape[0] // rank
        a3, b3 = a.reshape(experts, rank, -1), b.reshape(b.shape[0], rank, experts)
        result[name] = b3.permute(2, 1, 0).reshape(experts * rank, -1).contiguous()
        result[other] = a3.permute(2, 1, 0).reshape(-1, rank * experts).contiguous()
    close_adapter(path, config, result)


def open_adapter(path):
    return json.loads((path / "adapter_config.json").read_text()), load_file(path / "adapter_model.safetensors")


def close_adapter(path, config, tensors):
    (path / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, path / "adapter_model.safetensors")


REWRITES = {"experts": split_experts, "swapped": swap_roles}


def original(case, path, seed=1):
    """The adapter that `path` says the same as, in the form that PEFT of today reads."""
    if not case.rewrite:
        return path
    plain = path.parent / f"{path.name}-plain"
    write(dataclasses.replace(case, rewrite=""), plain, seed)
    return plain
