#===- levels.py - Each block of a checkpoint, by clade verify ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/levels.py [options] [PATTERN…]
#
# `clade verify --level 2 --against transformers` on a tiny checkpoint of each
# family of texts: every block between two values that the published
# implementation names, computed from that implementation's own values. A family
# passes if all blocks do, and if some were compared in every layer.
#
#===------------------------------------------------------------------------===#
import argparse
import json
import os
import sys

import cases
import checkpoint
import clade
import encoder
import gpt2
import moe_cases

SHORT = ("llama-plain", "gemma3-plain", "qwen3-moe-plain", "mamba2-plain", "bert-plain")


def all_cases():
    """One case a family that transformers has."""
    checkpoint.LIBRARIES.update(GPT2="gpt2", Bert="encoder")
    every = {case.name: case for case in cases.CASES + moe_cases.CASES + gpt2.CASES + encoder.CASES}
    return [case for name, case in every.items() if name.endswith("-plain")]


CENTRE = checkpoint.centre  # what weights of a family are drawn around


def check(tool, case):
    checkpoint.centre = encoder.centre if case in encoder.CASES else gpt2.centre if case in gpt2.CASES else CENTRE
    path = checkpoint.write(case) / "f32"
    said = json.loads(tool.run("verify", path, "--level", "2", "--against", "transformers", "--json").stdout or "{}")
    rows = said.get("rows", [])
    if not rows:
        return "no block was compared", ""
    layers = json.loads((path / "config.json").read_text()).get("num_hidden_layers", 1)
    worst = max(rows, key=lambda row: row["largest"])
    line = f"{len(rows)} blocks, the worst {worst['largest']:.2e} ('{worst['name']}')"
    failures = [row["name"] for row in rows if not row["passed"]]
    if failures:
        return f"out of bounds: {failures}", line
    if max(row["layers"] for row in rows) < min(layers, 2):
        return "no block of layers was compared", line
    return None, line


def main():
    parser = argparse.ArgumentParser(description="compare each block with the published one")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--short", action="store_true", help="a few families")
    clade.add_options(parser)
    options = parser.parse_args()
    os.environ.setdefault("CLADE_PYTHON", sys.executable)
    tool = clade.Clade(options)
    passed = failed = 0
    for case in all_cases():
        if options.short and case.name not in SHORT or options.pattern and not any(p in case.name for p in options.pattern):
            continue
        problem, line = check(tool, case)
        print(f"{case.name:28s} {line}  {'FAIL' if problem else 'ok'}" + (f"\n    {problem}" if problem else ""), flush=True)
        passed, failed = passed + (not problem), failed + bool(problem)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
