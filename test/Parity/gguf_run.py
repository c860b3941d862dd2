#===- gguf_run.py - GGUF files against checkpoints --------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/gguf_run.py [options] [PATTERN …]
#
# For tiny checkpoints of each family: writes the GGUF file that llama.cpp's
# converter would write, in each type of storage, and compares its f32 logits by
# the f32 rule of compare.py
#   with the published implementation, where the file holds the same weights (F32);
#   with Clade's own on a checkpoint of the dequantised weights, for every type.
# Then files that contradict themselves, or ask for what Clade does not know:
# each must end in one error that says so.
#
#===------------------------------------------------------------------------===#
import argparse
import json
import pathlib
import re
import sys
import tempfile

import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value
from safetensors.numpy import save_file

import cases
import clade
import compare
import gguf_write
import reference
import run

# Every type of storage is tried on these, the others in F32.
ALL_KINDS = ["llama-plain", "llama-tied", "qwen2-plain", "qwen3-plain", "gemma2-gguf", "gemma3-gguf"]
F32_ONLY = ["llama-mha", "llama-head-dim", "llama-attention-bias", "llama-all-bias-tied", "llama-odd-sizes",
            "llama-linear", "llama-llama3", "llama-longrope", "llama-gguf-yarn", "mistral-full", "qwen2-tied", "qwen2-yarn-old",
            "qwen3-attention-bias", "qwen3-tied-gqa4", "gemma2-gguf-default-caps", "gemma3-gguf-linear"]
SHORT = {"llama-plain": ["F32", "Q4_K"], "llama-tied": ["Q8_0"], "qwen3-plain": ["Q6_K", "Q5_1", "MXFP4"], "gemma2-gguf": ["F16"],
         "gemma3-gguf-linear": ["BF16"], "qwen2-yarn-old": ["F32"], "llama-all-bias-tied": ["F32"],
         "llama-llama3": ["F32"]}
CHUNK = 64


def find(name):
    return next(c for c in cases.CASES if c.name == name)


#===------------------------------------------------------------------------===#
# Logits
#===------------------------------------------------------------------------===#


def write_checkpoint(checkpoint, contents, published, target):
    """The published form of what a GGUF file holds."""
    target.mkdir()
    (target / "config.json").write_text((checkpoint / "config.json").read_text())
    config = transformers.AutoConfig.from_pretrained(checkpoint)
    save_file(gguf_write.published_weights(contents, published, config), target / "model.safetensors")


def run_case(tool, name, kinds, engine, report):
    checkpoint, out = reference.prepare(find(name))
    batch = json.loads((out / "f32.json").read_text())
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="clade-gguf-") as work:
            run_kind(tool, name, kind, engine, checkpoint / "f32", out, batch, pathlib.Path(work), report)


def run_kind(tool, name, kind, engine, checkpoint, out, batch, work, report):
    def logits(model):
        if engine == "interpret":
            return tool.logits(model, batch, CHUNK, interpret=True, dtype="f32")
        tool.compile(model, work / "artifact", "f32")
        got = tool.logits(work / "artifact", batch, CHUNK)
        (work / "artifact").rename(work / f"{model.name}-artifact")
        return got

    def attempt(against, verdict):
        try:
            report.add(name, kind, against, CHUNK, verdict())
        except clade.CladeError as error:
            report.add(name, kind, against, CHUNK, compare.Verdict(failures=[str(error)]))

    contents, published = gguf_write.contents_of(checkpoint, kind)
    gguf_write.write(contents, work / "model.gguf")
    write_checkpoint(checkpoint, contents, published, work / "hf")
    try:
        got = logits(work / "model.gguf")
    except clade.CladeError as error:
        report.add(name, kind, "gguf", CHUNK, compare.Verdict(failures=[str(error)]))
        return
    attempt("hf", lambda: compare.compare_f32(got, logits(work / "hf")))
    if kind == "F32":
        attempt("published", lambda: compare.compare_f32(got, reference.read(out, "f32")))


#===------------------------------------------------------------------------===#
# Errors
#===------------------------------------------------------------------------===#


def put(key, value, kind=Value.UINT32):
    return lambda contents: contents.metadata.update({key: (value, kind)})


def without(key):
    return lambda contents: contents.metadata.pop(key)


def lacking(tensor):
    return lambda contents: contents.tensors.pop(tensor)


def with_tensor(tensor, shape, kind=Type.F32):
    return lambda contents: contents.tensors.update({tensor: (np.ones(shape, np.float32), kind)})


# What is done to the file of a case, and the error it must end in.
ERRORS = [
    ("unknown architecture", "llama-plain", put("general.architecture", "mamba", Value.STRING),
     "expected one of the cases .*'gemma3'.*, got the string .mamba."),
    ("no architecture key", "llama-plain", without("llama.block_count"),
     "key 'llama.block_count' is absent and has no default"),
    ("head count", "llama-plain", put("llama.attention.head_count", 4),
     "q_proj.weight', of tensor '.*', is .256, 256. in the checkpoint, expected .q_heads = 4, head = 32."),
    ("head count of zero", "llama-head-dim", put("llama.attention.head_count", 0),
     "expected a whole number from 1 to 2147483647 as the size of axis 'q_heads', got the integer 0"),
    ("head count, key/value", "qwen2-plain", put("qwen2.attention.head_count_kv", 8),
     "k_proj.weight', of tensor '.*', is .128, 256. in the checkpoint, expected .kv_heads = 8, head = 32."),
    ("head count that divides nothing", "qwen2-plain", put("qwen2.attention.head_count", 7),
     "requirement: the sides are the integer 4 and the integer 7"),
    ("head counts by layer", "llama-plain", put("llama.attention.head_count", [8, 8, 8, 8], Value.ARRAY),
     "expected numbers on both sides of 'divides', got the integer 4 and a list of 4"),
    ("value length", "llama-head-dim", put("llama.attention.value_length", 32),
     "requirement: the sides are the integer 32 and the integer 48"),
    ("partial rotation", "llama-plain", put("llama.rope.dimension_count", 16),
     "requirement: the sides are the integer 16 and the integer 32"),
    ("experts", "llama-plain", put("llama.expert_count", 8),
     "requirement: the sides are the integer 8 and the integer 0"),
    ("too many layers", "llama-plain", put("llama.block_count", 5),
     "no tensor for weight 'model.layers.4.input_layernorm.weight' .* nor 'blk.4.attn_norm.weight'"),
    ("too few layers", "llama-plain", put("llama.block_count", 3),
     "tensor 'blk.3.attn_k.weight' .* is not used by family 'llama'"),
    ("missing tensor", "llama-plain", lacking("blk.2.ffn_up.weight"),
     "no tensor for weight 'model.layers.2.mlp.up_proj.weight' .* nor 'blk.2.ffn_up.weight'"),
    ("missing norm", "gemma2-gguf", lacking("blk.1.post_ffw_norm.weight"),
     "no tensor for weight .* nor 'blk.1.post_ffw_norm.weight'"),
    ("missing norm beside another", "gemma2-gguf", lacking("blk.1.post_attention_norm.weight"),
     "no tensor for weight .* nor 'blk.1.post_attention_norm.weight'"),
    ("unused tensor", "llama-plain", with_tensor("blk.0.attn_sinks.weight", 8),
     "tensor 'blk.0.attn_sinks.weight' .* is not used by family 'llama'"),
    ("vocabulary", "llama-plain", put("tokenizer.ggml.tokens", ["a", "b"], Value.ARRAY),
     "embed_tokens.weight', of tensor '.*', is .512, 256. in the checkpoint, expected .vocab = 2."),
    ("unread key", "llama-plain", put("llama.logit_scale", 0.5, Value.FLOAT32),
     "metadata key 'llama.logit_scale' of .* is not read by family 'gguf'"),
    ("text for a number", "llama-plain", put("llama.embedding_length", "256", Value.STRING),
     "expected .*, got the string .256."),
    ("unknown scaling", "llama-plain", put("llama.rope.scaling.type", "su", Value.STRING),
     "expected one of the cases .'none', 'linear', 'yarn', 'longrope'., got the string .su."),
    ("longrope without factors", "llama-plain", put("llama.rope.scaling.type", "longrope", Value.STRING),
     "rotary scaling 'longrope' expects a list of 16 numbers above 0 as 'rope_scaling.short_factor', got nothing"),
    ("longrope of another architecture", "qwen2-plain", lambda contents: contents.metadata.update(
        {"qwen2.rope.scaling.type": ("longrope", Value.STRING)}) or [
            with_tensor(f"rope_factors_{n}.weight", 16)(contents) for n in ("long", "short")],
     'does not meet this requirement.*require arch == "llama" or scaling != "longrope"'),
    ("factors and no scaling", "llama-plain", lambda contents: contents.metadata.update(
        {"llama.rope.scaling.type": ("none", Value.STRING)}) or with_tensor("rope_freqs.weight", 16)(contents),
     'does not meet this requirement.*require frequency_factors == none or scaling == "linear"'),
    ("yarn without factor", "llama-plain", put("llama.rope.scaling.type", "yarn", Value.STRING),
     'does not meet this requirement.*require scaling != "yarn" or factor != none'),
    ("yarn without extrapolation", "llama-gguf-yarn", put("llama.rope.scaling.yarn_ext_factor", 0.0, Value.FLOAT32),
     "requirement: the sides are the number 0 and the integer 1"),
    ("two scalings", "llama-linear", with_tensor("rope_freqs.weight", 16),
     "does not meet this requirement.*require frequency_factors == none or factor == none"),
    ("count of factors", "llama-plain", with_tensor("rope_freqs.weight", 15),
     "expects a list of 16 numbers above 0 as 'rope_scaling.short_factor'"),
    ("type of factors", "llama-plain", with_tensor("rope_freqs.weight", 16, Type.F16),
     "tensor 'rope_freqs.weight' .16. of the checkpoint is not used"),
    ("zero factors", "llama-plain", lambda contents: contents.tensors.update(
        {"rope_freqs.weight": (np.zeros(16, np.float32), Type.F32)}),
     "expects a list of 16 numbers above 0 as 'rope_scaling.short_factor'"),
]


def check_error(tool, name, case, edit, expected, report):
    checkpoint, _ = reference.prepare(find(case))
    contents, _ = gguf_write.contents_of(checkpoint / "f32", "F32")
    edit(contents)
    with tempfile.TemporaryDirectory(prefix="clade-gguf-") as work:
        file = pathlib.Path(work, "model.gguf")
        gguf_write.write(contents, file)
        report.add_error(name, tool.failure("compile", file, "-o", pathlib.Path(work, "artifact")), expected)


class Report(run.Report):
    """Also counts errors: one that matches, and no crash. Tensors without a use are an error each."""

    def add_error(self, name, said, expected):
        errors = [line for line in said.splitlines() if "error:" in line]
        passed = errors and (len(errors) == 1 or "is not used" in expected) and re.search(expected, said, re.S)
        print(f"{name:32s} {'ok' if passed else 'FAIL'}", flush=True)
        if not passed:
            print(f"    expected one error like '{expected}', got\n    " + said.replace("\n", "\n    "), flush=True)
        self.passed += bool(passed)
        self.failed += not passed


def main():
    parser = argparse.ArgumentParser(description="compare GGUF files with the checkpoints they were made of")
    parser.add_argument("pattern", nargs="*", help="only cases and errors whose names contain one of these")
    parser.add_argument("--short", action="store_true", help="a few files of each family and type, and all errors")
    parser.add_argument("--kind", type=run.names, default=gguf_write.KINDS, help="F32,F16,… (default: all)")
    parser.add_argument("--engine", choices=["compiled", "interpret"], default="compiled")
    parser.add_argument("--show", type=int, default=3, help="failures to print of a comparison (default: 3)")
    clade.add_options(parser)
    options = parser.parse_args()
    tool = clade.Clade(options)
    torch.set_num_threads(1)
    chosen = SHORT if options.short else {**dict.fromkeys(ALL_KINDS, gguf_write.KINDS),
                                          **dict.fromkeys(F32_ONLY, ["F32"])}

    def wanted(name):
        return not options.pattern or any(p in name for p in options.pattern)

    report = Report(options.show)
    for name, kinds in chosen.items():
        if wanted(name):
            run_case(tool, name, [k for k in kinds if k in options.kind], options.engine, report)
    for name, case, edit, expected in ERRORS:
        if wanted(name):
            check_error(tool, name, case, edit, expected, report)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
