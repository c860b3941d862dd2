#===- checkpoint.py - Random checkpoints in the published form --------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Writes the checkpoint of a case with transformers, in f32 and in bf16 (the same
# weights rounded), to $CLADE_CACHE/parity/<name>-<hash>/{f32,bf16}. The hash
# covers the case, this file and the versions of the libraries, so that a
# directory that exists is right.
#
#===------------------------------------------------------------------------===#
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

import torch
import transformers

CACHE = pathlib.Path(os.environ.get("CLADE_CACHE", pathlib.Path.home() / ".cache" / "clade"))
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def directory(case):
    here = pathlib.Path(__file__).parent
    text = json.dumps(dataclasses.asdict(case), sort_keys=True) + torch.__version__ + transformers.__version__
    text += (here / "checkpoint.py").read_text() + (here / "reference.py").read_text()
    return CACHE / "parity" / f"{case.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


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


def standard_deviation(name, shape, model):
    """Unit-scale activations, attention that is neither flat nor one-hot, logits of a few units."""
    if len(shape) == 1:
        return 0.2
    if name.endswith("embed_tokens.weight"):
        # Small where it is also the head: else every token predicts itself.
        tied = model.config.tie_word_embeddings
        scaled = model.config.model_type == "gemma3_text"
        return (0.4 if tied else 2.0) * shape[1] ** -0.5 if tied or scaled else 1.0
    return (2.0 if name.startswith("lm_head") else 1.0) * shape[1] ** -0.5


def centre(name, model):
    if "norm" not in name:
        return 0.0
    gain = 5.0 if name == "model.norm.weight" and model.config.tie_word_embeddings else 1.0
    return gain - 1.0 if model.config.model_type == "gemma3_text" else gain


def fill(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=generator)
        weight.data.copy_(centre(name, model) + standard_deviation(name, weight.shape, model) * noise)


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


def write(case):
    """Makes the checkpoints of a case unless they exist, and returns their directory."""
    path = directory(case)
    if path.exists():
        return path
    config_class = "Gemma3TextConfig" if case.model == "Gemma3" else f"{case.model}Config"
    config = getattr(transformers, config_class)(**json.loads(json.dumps(case.config)))
    model = getattr(transformers, f"{case.model}ForCausalLM")(config)
    fill(model, int.from_bytes(hashlib.sha256(case.name.encode()).digest()[:4], "big"))
    options = {"max_shard_size": case.shard} if case.shard else {}
    with written_whole(path) as work:
        for name, dtype in DTYPES.items():
            model.to(dtype).save_pretrained(work / name, **options)
            publish(case, work / name)
    return path
