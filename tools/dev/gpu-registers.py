#!/usr/bin/env python3
#===- gpu-registers.py - What ptxas makes of the kernels --------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Writes the table of docs/cuda-kernels.md: registers, spills and shared memory of generated kernels.

Usage: gpu-registers.py --clade CLADE [--page PAGE] [--ptxas PTXAS]

Compiles small models of some families for each architecture and gives their PTX to ptxas, of a CUDA toolkit; a kernel that several
models have is given once. Kernels that are told apart by number alone are one line, with the largest figures. Nothing is run. With --page the table is written between the
lines `<!-- table -->` and `<!-- end -->`, else to the standard output. The status is 1 if a kernel spills.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"
ARCHS = ["sm_80", "sm_90a", "sm_100a"]
# Sizes without tails, as published models have, and the smallest, with tails. A key that a family does not have is left out.
MODELS = [
    ("llama", "bf16", {"hidden_size": 512, "intermediate_size": 1536, "num_attention_heads": 8, "num_key_value_heads": 2,
                       "head_dim": 64, "vocab_size": 1024, "num_hidden_layers": 1}),
    ("llama", "bf16", {"num_hidden_layers": 1}),
    ("qwen2", "bf16", {"num_hidden_layers": 1}),
    ("gemma2", "bf16", {"num_hidden_layers": 2}),
    ("gpt2", "bf16", {}),
    ("llama", "f32", {"num_hidden_layers": 1}),
    ("gpt_oss", "bf16", {"num_hidden_layers": 2}),
    ("deepseek_v3", "bf16", {}),
    ("deepseek_v3", "bf16", {"kv_lora_rank": 512, "qk_rope_head_dim": 64}),
    ("mamba2", "bf16", {"hidden_size": 128, "num_heads": 2, "head_dim": 64, "state_size": 128}),
    ("qwen3_next", "bf16", {"linear_key_head_dim": 128, "linear_value_head_dim": 128}),
    ("qwen2_5_vl", "bf16", {}),
]
# Forms of weights, in a model without tails but the blocks' own, and in one with experts. FP8 is what the checkpoint has.
FORMS = ["f16", "q8_0", "q4_0", "q4_k", "q6_k", "int8_channel", "fp8"]
EXPERTS = ("qwen3_moe", "bf16", {"num_hidden_layers": 1, "hidden_size": 512, "moe_intermediate_size": 512})


def run(*command):
    # The compiler does not assemble: `measure` does.
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={**os.environ, "CLADE_PTXAS": ""})
    if done.returncode:
        sys.exit(f"gpu-registers: {' '.join(map(str, command))}\n{done.stderr}")
    return done.stderr


def figures(text):
    """Registers and spilled bytes of each kernel, from the output of `ptxas -v`."""
    for entry in re.split(r"Compiling entry function ", text)[1:]:
        name = re.match(r"'(\w+)'", entry)[1]
        stores, loads = map(int, re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", entry).groups())
        yield name, int(re.search(r"Used (\d+) registers", entry)[1]), stores + loads


def unnumbered(name, text):
    """The text of a kernel without what differs between equal kernels of two models: its name and the numbers of labels."""
    return re.sub(r"\$L__BB\d+_", "$L__BB_", re.sub(r"//.*", "", text.replace(name, "kernel")))


def assemble(ptxas, arch, artifact, known):
    """Registers and spilled bytes of each kernel of an artifact. `known` has those of kernels that were assembled, and gets others."""
    head, *kernels = re.split(r"(?=^\.visible \.entry )", (artifact / "kernels.ptx").read_text(), flags=re.M)
    keys = {}
    for kernel in kernels:
        name = re.match(r"\.visible \.entry (\w+)", kernel)[1]
        keys[name] = (arch, unnumbered(name, kernel))
    new = {name: kernel for (name, key), kernel in zip(keys.items(), kernels) if key not in known}
    if new:
        text = artifact / "new.ptx"
        text.write_text(head + "".join(new.values()))
        for name, *found in figures(run(ptxas, "-v", f"-arch={arch}", text, "-o", artifact / "cubin")):
            known[keys[name]] = found
    return {name: known[key] for name, key in keys.items()}


def measure(clade, ptxas, folder):
    rows = collections.defaultdict(dict)
    known = {}

    def measure_case(number, family, dtype, settings, form):
        model = folder / f"model-{number}"
        run(clade, "tiny", family, "-o", model, *(f"--set={key}={value}" for key, value in settings.items()))
        weights = form
        if form == "fp8":
            weights, stored = "keep", folder / f"model-{number}-fp8"
            run(clade, "convert", model, "-o", stored, "--to", "hf", "--dtype", form)
            model = stored
        found = []
        for arch in ARCHS:
            artifact = folder / f"artifact-{number}-{arch}"
            run(clade, "compile", model, "--dtype", dtype, "--weights", weights, "--no-error", "--target", "cuda", "--arch", arch,
                "-o", artifact)
            kernels = {}
            for plan in artifact.glob("*launches.json"):
                kernels |= json.loads(plan.read_text())["kernels"]
            for name, (registers, spilled) in assemble(ptxas, arch, artifact, known).items():
                kind = (re.sub(r"_\d+$", "", name), dtype if form == "dense" else form)
                found.append((kind, arch, (registers, spilled, kernels[name]["shared"], kernels[name]["threads"])))
        return found

    cases = [(*model, "dense") for model in MODELS] + [(*model, form) for model in (MODELS[0], EXPERTS) for form in FORMS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(measure_case, range(len(cases)), *zip(*cases)):
            for kind, arch, new in found:
                rows[kind][arch] = tuple(map(max, zip(rows[kind].get(arch, (0, 0, 0, 0)), new)))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clade", required=True)
    parser.add_argument("--ptxas", default="ptxas")
    parser.add_argument("--page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options.clade, options.ptxas, pathlib.Path(folder))
    version = re.search(r"V([\d.]+)", subprocess.run([options.ptxas, "--version"], capture_output=True, text=True).stdout)[1]
    text = f"ptxas {version}; registers of a thread, spilled bytes, dynamic shared memory of a block.\n\n"
    text += "| kernel | type | threads | " + " | ".join(ARCHS) + " | spilled | shared |\n|---|---|---|" + "---|" * len(ARCHS) + "---|---|\n"
    spilled = 0
    for (name, dtype), row in sorted(rows.items()):
        # Some kernels are of one architecture alone.
        registers = " | ".join(str(row[arch][0]) if arch in row else "–" for arch in ARCHS)
        found = [row[arch] for arch in ARCHS if arch in row]
        most = max(spills for _, spills, *_ in found)
        spilled += most

        def each(number):
            values = [entry[number] for entry in found]
            return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))

        text += f"| {name} | {dtype} | {each(3)} | {registers} | {most} | {each(2)} |\n"
    if options.page:
        page = pathlib.Path(options.page)
        before, rest = page.read_text().split(BEGIN)
        page.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])
    else:
        print(text, end="")
    return 1 if spilled else 0


if __name__ == "__main__":
    sys.exit(main())
