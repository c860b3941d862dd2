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
# that the mistake changes. The specs as they are must pass.
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

# Family of the checkpoint, the mistake's file, the right and the wrong text, and what verify names. The text is
# replaced wherever it stands; None for no mistake.
MISTAKES = [
    ("llama", None, None, None, None),
    ("gemma3_text", None, None, None, None),
    ("llama", "llama.spec", "rms_norm(x, over: over)", "rms_norm(x, eps: 0.01, over: over)",
     "layer 0, 'model.layers.0.input_layernorm'"),
    ("llama", "llama.spec", "scale = head ^ -0.5", "scale = head ^ -0.4", "layer 0, 'model.layers.0.self_attn.o_proj.input'"),
    ("llama", "llama.spec", "rope(k, rot)", "k", "layer 0, 'model.layers.0.self_attn.o_proj.input'"),
    ("llama", "llama.spec", "x += attention(", "x = attention(", "layer 0, 'model.layers.0.post_attention_layernorm'"),
    ("llama", "llama.spec", 'act = hidden_act ?? "silu"', 'act = "gelu"    ignore hidden_act',
     "layer 0, 'model.layers.0.mlp.down_proj.input'"),
    ("llama", "llama.spec", "return x + mlp(", "return mlp(", "layer 1, 'model.layers.1.input_layernorm'"),
    # The first norm hides the scale of what it is given.
    ("gemma3_text", "gemma2.spec", "d ^ 0.5", "d ^ 0.25", "layer 0, 'model.layers.0.pre_feedforward_layernorm'"),
    ("gemma3_text", "gemma2.spec", "1 + f32(weight", "f32(weight", "layer 0, 'model.layers.0.input_layernorm'"),
    ("gemma3_text", "qwen3.spec", "norm(q) at", "norm(q + 1) at", "layer 0, 'model.layers.0.self_attn.q_norm'"),
]


def check(options, folder, number, mistake):
    """What is wrong, or None."""
    family, name, right, wrong, expected = mistake
    checkpoint = folder / family
    if not checkpoint.exists():
        subprocess.run([options.clade, "tiny", family, "-o", checkpoint], check=True)
    specs = folder / f"specs{number}"
    shutil.copytree(SPECS, specs)
    if name:
        text = (specs / name).read_text()
        if right not in text:
            return f"'{right}' is not in {name}"
        (specs / name).write_text(text.replace(right, wrong))
    done = subprocess.run(
        [options.clade, "verify", checkpoint, "--against", "transformers", "--tokens", "12"],
        env=dict(os.environ, CLADE_SPECS=str(specs), CLADE_CACHE=str(folder / "cache"), CLADE_PYTHON=sys.executable),
        capture_output=True, text=True, timeout=options.timeout)
    if not name:
        return None if done.returncode == 0 else done.stdout + done.stderr
    if done.returncode != 1:
        return f"status {done.returncode}\n{done.stdout}{done.stderr}"
    said = next((line for line in done.stderr.splitlines() if "first difference" in line), done.stderr.strip())
    return None if f"first difference: {expected} " in said + " " else f"expected {expected}\n    {said}"


def main():
    parser = argparse.ArgumentParser(description="seeded mistakes in specs, found by clade verify")
    clade.add_options(parser)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, mistake in enumerate(MISTAKES):
            problem = check(options, pathlib.Path(folder), number, mistake)
            failed += problem is not None
            what = f"{mistake[2]} -> {mistake[3]}" if mistake[1] else "no mistake"
            print(f"{mistake[0]:<12} {what:<72} {'ok' if problem is None else 'FAIL'}", flush=True)
            if problem:
                print(f"    {problem}")
    print(f"{len(MISTAKES) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
