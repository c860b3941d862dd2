#===- checkpoint.py - Random checkpoints in the published form --------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Writes the checkpoint of a case with transformers, in f32 and in bf16 (the same
# weights rounded), to $CLADE_CACHE/parity/<name>-<hash>/{f32,bf16}. The hash
# covers the case, the scale of its model's embedding, this file and the versions
# of the libraries, so that a directory that exists is right.
#
#===------------------------------------------------------------------------===#
import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import re
import shutil
import tempfile

import safetensors.torch
import torch
import transformers

import embedding_scales

CACHE = pathlib.Path(os.environ.get("CLADE_CACHE", pathlib.Path.home() / ".cache" / "clade"))
ALIGNMENT = 0.75  # cosine of a row of the head and the embedding whose token it predicts
ZERO_CENTRED = ("gemma2", "gemma3_text")
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
# Models whose published implementation is in another library than transformers.
LIBRARIES = {"Baichuan": "baichuan"}
# Texts that are also parts of models with images have a configuration of their own.
TEXTS = ("Gemma3", "Qwen3_5")


def class_of(name):
    """A class of the published implementation, such as LlamaConfig or LlamaForCausalLM."""
    model = name.removesuffix("Config").removesuffix("ForCausalLM")
    return getattr(importlib.import_module(LIBRARIES.get(model, "transformers")), name)


def config_class(model):
    return class_of(f"{model}TextConfig" if model in TEXTS else f"{model}Config")


def digest(*files, text=""):
    """A short hash of some files of this folder, a text and the versions of the libraries."""
    here = pathlib.Path(__file__).parent
    parts = [text, torch.__version__, transformers.__version__, *((here / f).read_text() for f in files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def directory(case):
    text = json.dumps([dataclasses.asdict(case), embedding_scales.SCALES.get(case.model)], sort_keys=True)
    return CACHE / "parity" / f"{case.name}-{digest('checkpoint.py', 'reference.py', text=text)}"


@contextlib.contextmanager
def written_whole(path):
    """A temporary directory that becomes `path` when the body ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield work
        with contextlib.suppress(OSError):  # another process was first
            work.rename(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def embedding_scale(model):
    """The embedding takes its share of the residual stream: 1 in Llama, 2 to 4 beside Gemma's normed layers."""
    name = type(model).__name__.removesuffix("ForCausalLM")
    if name in embedding_scales.SCALES:
        return embedding_scales.SCALES[name]
    if model.config.model_type not in ZERO_CENTRED:
        return 1.0
    share = 2.0 if model.config.tie_word_embeddings else 4.0
    return share * model.config.hidden_size**-0.5  # Gemma multiplies by the root itself


def head_of(model):
    """The weight whose rows are the tokens that logits are of, wherever the library keeps it; None without."""
    return next((w for name, w in model.named_parameters() if name.split(".")[-2:] == ["lm_head", "weight"]), None)


def centre(name, model):
    """Of a norm's gain (Gemma stores gain - 1). The last one gives tied logits the scale of the others."""
    if name.endswith(("A_log", "dt_bias")):
        return -1.5  # states that remember some tens of tokens
    if name.endswith("mixer.D"):
        return 1.0
    if not re.search(r"norm|ln_f", name) or name.endswith(".bias"):
        return 0.0
    config = model.config
    if config.model_type in ZERO_CENTRED or (config.model_type in ("qwen3_next", "qwen3_5_text") and "linear_attn" not in name):
        return 0.0
    last = name in ("model.norm.weight", "transformer.ln_f.weight")
    return 2.0 * config.hidden_size**-0.5 if last and config.tie_word_embeddings else 1.0


def fill(model, seed):
    """Unit-scale activations, attention that is neither flat nor one-hot, logits of a few units.

    Every token predicts one other, clearly: a random head leaves two logits within the rounding errors of bf16 at
    every twentieth position, and there two correct implementations may disagree about the largest.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = dict(model.named_parameters())
    embedding = model.get_input_embeddings().weight
    for name, weight in sorted(weights.items()):
        noise = torch.randn(weight.shape, generator=generator)
        if weight is embedding:
            noise *= embedding_scale(model)
        elif weight.dim() == 1:
            noise *= 0.2 * (centre(name, model) or 1.0)
        else:
            noise *= weight.shape[1] ** -0.5
        weight.data.copy_(centre(name, model) + noise)
    for name, bias in sorted(model.named_buffers()):
        if name.endswith("e_score_correction_bias"):  # which decides some choices of experts
            bias.copy_(0.1 * torch.randn(bias.shape, generator=generator))
    head = head_of(model)
    if head is not None:
        successor = torch.randperm(len(embedding), generator=generator)
        aligned = embedding / embedding.norm(dim=1, keepdim=True)
        head.data.copy_(2.0 * (ALIGNMENT * aligned[successor] + (1.0 - ALIGNMENT**2) ** 0.5 * head))


def publish(case, path):
    """Rewrites config.json in the older form, or without the keys that the case leaves out."""
    config = json.loads((path / "config.json").read_text())
    if case.old is not None:
        config["torch_dtype"] = config.pop("dtype")
        del config["rope_parameters"]
        config.update(case.old)
    for key in case.omit:
        config.pop(key, None)
    (path / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def save(model, path, options):
    if isinstance(model, transformers.PreTrainedModel) and type(model).__module__.startswith("transformers."):
        model.save_pretrained(path, **options)
        return
    # Other libraries save in ways of their own: a checkpoint is its tensors and config.json.
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(path)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(tensors, path / "model.safetensors")


def write(case):
    """Makes the checkpoints of a case unless they exist, and returns their directory."""
    path = directory(case)
    if path.exists():
        return path
    config = config_class(case.model)(**json.loads(json.dumps(case.config)))
    model = class_of(f"{case.model}ForCausalLM")(config)
    fill(model, int.from_bytes(hashlib.sha256(case.name.encode()).digest()[:4], "big"))
    options = {"max_shard_size": case.shard} if case.shard else {}
    with written_whole(path) as work:
        for name, dtype in DTYPES.items():
            save(model.to(dtype), work / name, options)
            publish(case, work / name)
    return path
