#===- locate.py - Mistakes in specs, and where verify finds them -------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: locate.py [--clade FILE]
# Puts one mistake at a time into a copy of the specs and runs
# `clade verify --against transformers`: it must fail, and name the first value
# that the mistake changes, for most of them with the cause. Against a record of the
# published run, without a Python, it must say the same. The specs as they are must
# pass. The last lines count the mistakes whose value, and whose cause, were named.
#
#===------------------------------------------------------------------------===#
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import clade

SPECS = pathlib.Path(__file__).parents[2] / "specs"

# Family of the checkpoint, the mistake's file, the right and the wrong text, what verify names, and the cause that it
# finds, if it does. The text is replaced wherever it stands; None for no mistake.
SCORES = "layer 0, 'model.layers.0.self_attn.o_proj.input'"
HIDDEN = "layer 0, 'model.layers.0.mlp.down_proj.input'"
GPT_SCORES = "layer 0, 'h.0.attn.c_proj.input'"
INPUT_NORM = "layer 0, 'model.layers.0.input_layernorm'"
OFFSET = "rms_norm_wide(x, over: over, gain: 1 + f32(weight([over]) at weight))"
K, V = ("linear(x, [kv_heads, head], qkv_bias) at %s_proj" % name for name in "kv")
MISTAKES = [
    ("llama", None, None, None, None, None),
    ("gemma3_text", None, None, None, None, None),
    ("llama", "llama.spec", "rms_norm(x, over: over)", "rms_norm(x, eps: 0.01, over: over)", INPUT_NORM,
     "norms take eps as epsilon"),
    ("llama", "llama.spec", "rms_norm(x, over: over)", OFFSET, INPUT_NORM, "gains of norms are stored as they are"),
    ("llama", "llama.spec", "scale = head ^ -0.5", "scale = head ^ -0.4", SCORES, "scores are scaled by head ^ -0.5"),
    ("llama", "llama.spec", "scale = head ^ -0.5", "scale = 1", SCORES, "scores are scaled by head ^ -0.5"),
    ("llama", "llama.spec", "rope(k, rot)", "k", SCORES, "'k' is rotated, too"),
    ("llama", "llama.spec", "rope_table(theta: 10000)", "rope_table(theta: 10000, pairs: adjacent)", SCORES,
     "rotary pairs are the halves of a head"),
    ("helium", "helium.spec", "pairs: adjacent", "pairs: halves", SCORES, "rotary pairs are side by side"),
    ("llama", "llama.spec", f"k = {K}\n    v = {V}", f"k = {V}\n    v = {K}", SCORES,
     "'k_proj' and 'v_proj' of 'model.layers.{layer}.self_attn' are swapped"),
    ("llama", "std/blocks.spec", "at gate_proj) * linear(x, [ffn], bias) at up_proj",
     "at up_proj) * linear(x, [ffn], bias) at gate_proj", HIDDEN,
     "'gate_proj' and 'up_proj' of 'model.layers.{layer}.mlp' are swapped"),
    ("llama", "llama.spec", "weights { ", "weights { {p..}.o_proj.weight = transpose({p..}.o_proj.weight)    ",
     "layer 0, 'model.layers.0.self_attn.o_proj'", "'model.layers.{layer}.self_attn.o_proj' is stored transposed"),
    ("llama", "llama.spec", "x += attention(", "x = attention(", "layer 0, 'model.layers.0.post_attention_layernorm'",
     "block 'decoder' adds 'x' to what it assigns to it"),
    ("llama", "llama.spec", 'act = hidden_act ?? "silu"', 'act = "gelu"    ignore hidden_act', HIDDEN,
     "the activation is silu"),
    ("arcee", "arcee.spec", "relu2", "relu", HIDDEN, "the activation is relu2"),
    ("llama", "llama.spec", "return x + mlp(", "return mlp(", "layer 1, 'model.layers.1.input_layernorm'",
     "block 'decoder' adds 'x' to its result"),
    # The first norm hides the scale of what it is given.
    ("gemma3_text", "gemma2.spec", "d ^ 0.5", "d ^ 0.25", "layer 0, 'model.layers.0.pre_feedforward_layernorm'",
     "embeddings are scaled by d ^ 0.5"),
    ("gemma3_text", "gemma2.spec", "1 + f32(weight", "f32(weight", INPUT_NORM, "gains of norms are stored less one"),
    ("gemma2", "gemma2.spec", "if local { sliding_window ?? 4096 }", "if local { (sliding_window ?? 4096) - 1 }", SCORES,
     "windows reach one token further"),
    ("gemma3_text", "qwen3.spec", "norm(q) at", "norm(q + 1) at", "layer 0, 'model.layers.0.self_attn.q_norm'", None),
    ("qwen3", "qwen3.spec", "norm(q) at q_norm, norm(k) at k_norm", "norm(q) at k_norm, norm(k) at q_norm",
     SCORES, "'k_norm' and 'q_norm' of 'model.layers.{layer}.self_attn' are swapped"),
    ("hunyuan_v1_dense", "hunyuan_v1_dense.spec", "norm(rope(q, rot)) at query_layernorm, norm(rope(k, rot)) at key_layernorm",
     "rope(norm(q) at query_layernorm, rot), rope(norm(k) at key_layernorm, rot)",
     "layer 0, 'model.layers.0.self_attn.query_layernorm'", "queries and keys are normed behind the rotation"),
    # Families whose blocks, fields and tensors have other names.
    ("gpt2", "gpt2.spec", "mask: causal)", "mask: causal, scale: 1)", GPT_SCORES, "scores are scaled by head ^ -0.5"),
    ("gpt2", "gpt2.spec", "apply(act,", 'apply("relu",', "layer 0, 'h.0.mlp.c_proj.input'",
     "the activation is gelu_pytorch_tanh"),
    ("gpt2", "gpt2.spec", "[heads, head] + [heads, head] + [heads, head]", "[heads, head + head + head]", GPT_SCORES,
     "query, key and value follow each other as wholes"),
    ("bloom", "bloom.spec", "layer_norm(x) at", "layer_norm(x, eps: 0.01) at", "layer 0, 'h.0.input_layernorm'",
     "norms take eps as epsilon"),
    ("mamba2", "mamba2.spec", "dt_max = limits[1]", "dt_max = 0.5", "layer 0, 'backbone.layers.0.mixer.out_proj.input'",
     "nothing is kept between dt_min and dt_max"),
    ("minimax_m2", "minimax_m2.spec", "rot = rope_table(theta: 5e6,", "rot = rope_table(pairs: adjacent, theta: 5e6,", SCORES,
     "rotary pairs are the halves of a head"),
    ("qwen3_next", "qwen3_next.spec", "rope(norm(q) at q_norm, rot), rope(norm(k) at k_norm, rot)",
     "norm(rope(q, rot)) at q_norm, norm(rope(k, rot)) at k_norm", "layer 3, 'model.layers.3.self_attn.q_norm'",
     "queries and keys are normed before the rotation"),
    ("qwen3_moe", "qwen3_moe.spec", "renormalise = norm_topk_prob ?? false", "renormalise = true",
     "layer 0, 'model.layers.0.mlp.experts.share'", "'renormalise' is false"),
]


def check(options, folder, number, mistake, named):
    """What is wrong, or None. Adds to `named` what verify said of a mistake: 'op' and 'cause'."""
    family, name, right, wrong, expected, cause = mistake
    checkpoint = folder / family
    record = folder / f"{family}.safetensors"
    if not checkpoint.exists():
        subprocess.run([options.clade, "tiny", family, "-o", checkpoint], check=True)
        subprocess.run([options.clade, "verify", checkpoint, "--tokens", "28", "--level", "1", "--record", record],
                       env=dict(os.environ, CLADE_PYTHON=sys.executable), check=True, stdout=subprocess.DEVNULL)
    specs = folder / f"specs{number}"
    shutil.copytree(SPECS, specs)
    if name:
        text = (specs / name).read_text()
        if right not in text:
            return f"'{right}' is not in {name}"
        (specs / name).write_text(text.replace(right, wrong))
    environment = dict(os.environ, CLADE_SPECS=str(specs), CLADE_CACHE=str(folder / "cache"))

    def verify(python, *arguments):
        return subprocess.run([options.clade, "verify", checkpoint, *arguments], env=dict(environment, CLADE_PYTHON=python),
                              capture_output=True, text=True, timeout=options.timeout)

    done = verify(sys.executable, "--against", "transformers", "--tokens", "28")
    recorded = verify("/nonexistent", "--against", record)
    if (done.returncode, done.stdout, done.stderr) != (recorded.returncode, recorded.stdout, recorded.stderr):
        return f"said otherwise against the record:\n{done.stdout}{done.stderr}\n{recorded.stdout}{recorded.stderr}"
    if not name:
        return None if done.returncode == 0 else done.stdout + done.stderr
    if done.returncode != 1:
        return f"status {done.returncode}\n{done.stdout}{done.stderr}"
    said = next((line for line in done.stderr.splitlines() if "first difference" in line), done.stderr.strip())
    if f"first difference: {expected} " not in said + " ":
        return f"expected {expected}\n    {said}"
    named["op"] += 1
    causes = [line for line in done.stderr.splitlines() if "likely cause" in line]
    if cause and not any(f"parity holds if {cause}" in line for line in causes):
        return f"expected the cause: {cause}\n    {causes}"
    named["cause"] += bool(causes)
    return None


def main():
    parser = argparse.ArgumentParser(description="seeded mistakes in specs, found by clade verify")
    clade.add_options(parser)
    options = parser.parse_args()
    failed, named = 0, {"op": 0, "cause": 0}
    with tempfile.TemporaryDirectory() as folder:
        for number, mistake in enumerate(MISTAKES):
            problem = check(options, pathlib.Path(folder), number, mistake, named)
            failed += problem is not None
            what = f"{mistake[2]} -> {mistake[3]}" if mistake[1] else "no mistake"
            print(f"{mistake[0]:<12} {what:<72} {'ok' if problem is None else 'FAIL'}", flush=True)
            if problem:
                print(f"    {problem}")
    seeded = sum(mistake[1] is not None for mistake in MISTAKES)
    print(f"of {seeded} mistakes the value that differs first is named in {named['op']}, a cause that explains it in {named['cause']}")
    print(f"{len(MISTAKES) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
