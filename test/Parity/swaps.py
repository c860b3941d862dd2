#===- swaps.py - What no header tells: tensors of one shape, swapped ---------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/swaps.py [options] [PATTERN …]
#
# Two tensors of a layer that have one type and shape, such as the keys' and the
# values' projections, can change places, and a square matrix can be transposed,
# without any header telling. Of a tiny checkpoint every such change is made and
# listed; `clade inspect` accepts it, and an artifact that was compiled from it must
# fail `clade verify --against transformers` of the checkpoint as it was. --short
# takes a few of them.
#
#===------------------------------------------------------------------------===#
import argparse
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from safetensors.numpy import load_file, save_file

import clade

FAMILY = "llama"
# Of one layer: the others are alike.
LAYER = "model.layers.1."
SHORT = ("mlp.gate_proj.weight <> mlp.up_proj.weight", "self_attn.k_proj.weight <> self_attn.v_proj.weight",
         "self_attn.o_proj.weight transposed")


def changes(tensors):
    """What → the changed tensors, for every pair and every square matrix of the layer."""
    layer = {n: t for n, t in tensors.items() if n.startswith(LAYER)}
    for (a, x), (b, y) in itertools.combinations(sorted(layer.items()), 2):
        if x.shape == y.shape and x.dtype == y.dtype:
            yield f"{a.removeprefix(LAYER)} <> {b.removeprefix(LAYER)}", {**tensors, a: y, b: x}
    for name, tensor in sorted(layer.items()):
        if tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1]:
            yield f"{name.removeprefix(LAYER)} transposed", {**tensors, name: tensor.T.copy()}


def check(tool, options, whole, changed, folder):
    """What is wrong, or None."""
    work = folder / "changed"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(folder / "artifact", ignore_errors=True)
    work.mkdir()
    shutil.copy(whole / "config.json", work)
    save_file(changed, work / "model.safetensors", {"format": "pt"})
    tool.call("inspect", "--json", work)
    tool.compile(work, folder / "artifact")
    done = subprocess.run(
        [tool.binary, "verify", whole, "--against", "transformers", "--artifact", folder / "artifact", "--tokens", "12"],
        env=dict(os.environ, CLADE_PYTHON=sys.executable), capture_output=True, text=True, timeout=options.timeout)
    rows = {row.split()[0]: row for row in done.stdout.splitlines()}
    if done.returncode != 1 or not rows["interpreter"].endswith("ok") or not rows["compiled"].endswith("FAIL"):
        return f"status {done.returncode}\n{done.stdout}{done.stderr}"
    return None


def main():
    parser = argparse.ArgumentParser(description="swaps that headers do not tell, found by clade verify")
    parser.add_argument("pattern", nargs="*", help="only changes whose names contain one of these")
    parser.add_argument("--short", action="store_true", help=f"only {len(SHORT)} of them")
    clade.add_options(parser)
    options = parser.parse_args()
    tool = clade.Clade(options)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="clade-swaps-") as name:
        folder = pathlib.Path(name)
        whole = folder / FAMILY
        # As many key/value heads as query heads, so that more is square.
        tool.call("tiny", FAMILY, "-o", whole, "--set", "num_key_value_heads=4")
        tensors = load_file(whole / "model.safetensors")
        for what, changed in changes(tensors):
            if (options.short and what not in SHORT) or \
                    (options.pattern and not any(re.search(p, what) for p in options.pattern)):
                continue
            try:
                problem = check(tool, options, whole, changed, folder)
            except clade.CladeError as error:
                problem = str(error)
            passed += problem is None
            failed += problem is not None
            print(f"{what:64s} no header tells; verify: {'found' if problem is None else 'FAIL'}", flush=True)
            if problem:
                print(f"    {problem}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
