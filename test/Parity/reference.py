#===- reference.py - What the published implementation answers --------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Runs a checkpoint through transformers with eager attention, each sequence
# alone: the prompt in one call, then its own greedy tokens one by one (random
# ones where the model would repeat itself). Logits
# and tokens are kept beside the checkpoint:
#   f32.safetensors   the f32 checkpoint
#   bf16.safetensors  the bf16 checkpoint in bf16
#   wide.safetensors  the bf16 checkpoint in f32, on the tokens of the bf16 run
# each with logits.0, logits.1 … [token, vocab], and f32.json, bf16.json with the
# list of {tokens, force} that was run.
#
# Usage: reference.py [--group G] [--export DIR] [PATTERN …]
# prepares the cases whose names contain a pattern. --export also writes, for
# each, DIR/<name>/{config.json, model.safetensors, ids.json, ref.pt}: the first
# sequence in f32, for a tool that knows nothing of this harness.
#
#===------------------------------------------------------------------------===#
import argparse
import contextlib
import json
import pathlib
import warnings

import torch
import transformers
from safetensors.torch import load_file, save_file

import cases
import checkpoint

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", module="transformers")


def load(path, dtype, attention="eager"):
    # By the class that config.json names: the automatic classes do not know those that are parts of others.
    config = json.loads((path / "config.json").read_text())
    cls = checkpoint.class_of(config["architectures"][0])
    if cls.__module__.startswith("transformers."):
        return cls.from_pretrained(path, dtype=dtype, attn_implementation=attention).eval()
    model = cls(cls.config_class(**config)).to(dtype)
    model.load_state_dict(load_file(path / "model.safetensors"))
    return model.eval()


@torch.no_grad()
def decode(model, tokens, steps, force=None):
    """Logits [token, vocab] of prompt and decoded tokens, and the decoded tokens: `force`, or the greedy ones."""
    cache = transformers.DynamicCache(config=model.config)
    logits = [model(torch.tensor([tokens]), past_key_values=cache, use_cache=True).logits[0]]
    forced = []
    for step in range(steps):
        # argmax gives the lowest of equal logits' ids
        forced.append(force[step] if force else int(logits[-1][-1].float().argmax()))
        logits.append(model(torch.tensor([forced[-1:]]), past_key_values=cache, use_cache=True).logits[0])
    return torch.cat(logits), forced


@torch.no_grad()
def one_call(model, tokens, force):
    return model(torch.tensor([tokens + force]), use_cache=False).logits[0]


def prompts(case):
    """The prompts, and the tokens to force after each: None stands for the greedy ones."""
    generator = torch.Generator().manual_seed(len(case.name))

    def draw(count):
        return torch.randint(case.config["vocab_size"], (count,), generator=generator).tolist()

    # A random checkpoint whose head is its embedding predicts the token it has just read, for ever.
    repeats = case.model in ("Gemma2", "Gemma3") and case.config.get("tie_word_embeddings", True)
    repeats = repeats or case.config.get("tie_word_embeddings", False)
    return [(draw(length), draw(case.steps) if repeats or case.one_call else None) for length in case.lengths]


def run(case, path, dtype, batch=None):
    """The logits of every sequence, and the batch that was run."""
    model = load(path, dtype)
    logits, ran = [], []
    for i, (tokens, force) in enumerate(prompts(case)):
        force = batch[i]["force"] if batch else force
        if case.one_call:
            rows = one_call(model, tokens, force)
        else:
            rows, force = decode(model, tokens, case.steps, force)
        logits.append(rows.contiguous())
        ran.append({"tokens": tokens, "force": force, "max_tokens": len(force)})
    return logits, ran


def save(work, name, logits, batch=None):
    save_file({f"logits.{i}": rows for i, rows in enumerate(logits)}, work / f"{name}.safetensors")
    if batch:
        (work / f"{name}.json").write_text(json.dumps(batch))


def prepare(case):
    """Makes checkpoint and reference of a case unless they exist. Returns the two directories."""
    path = checkpoint.write(case)
    out = path / "reference"
    if not out.exists():
        with checkpoint.written_whole(out) as work:
            save(work, "f32", *run(case, path / "f32", torch.float32))
            logits, batch = run(case, path / "bf16", torch.bfloat16)
            save(work, "bf16", logits, batch)
            save(work, "wide", run(case, path / "bf16", torch.float32, batch)[0])
    return path, out


def read(out, name):
    """The logits of a run, as a list of f32 arrays [token, vocab]."""
    tensors = load_file(out / f"{name}.safetensors")
    return [tensors[f"logits.{i}"].float().numpy() for i in range(len(tensors))]


def export(case, to):
    path, out = prepare(case)
    target = to / case.name
    target.mkdir(parents=True, exist_ok=True)
    for source in (path / "f32").iterdir():
        (target / source.name).write_bytes(source.read_bytes())
    if case.shard:  # one file for tools that read no index
        weights = {}
        for file in sorted(target.glob("model-*.safetensors")):
            weights.update(load_file(file))
        save_file(weights, target / "model.safetensors")
    first = json.loads((out / "f32.json").read_text())[0]
    (target / "ids.json").write_text(json.dumps(first["tokens"] + first["force"]))
    torch.save(load_file(out / "f32.safetensors")["logits.0"], target / "ref.pt")


def main():
    parser = argparse.ArgumentParser(description="prepare checkpoints and reference logits")
    parser.add_argument("pattern", nargs="*")
    parser.add_argument("--group", default="tiny", choices=["tiny", "long"])
    parser.add_argument("--export", type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()
    if options.group == "tiny":
        torch.set_num_threads(1)  # sharing out so little work takes longer than doing it
    for case in cases.select(options.pattern, options.group):
        path, _ = prepare(case)
        print(f"{case.name:24s} {path}", flush=True)
        if options.export:
            export(case, options.export)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
