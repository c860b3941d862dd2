#!/usr/bin/env python3
# ===- coverage.py - The page of what is there for each family ------------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""Writes docs/coverage.md: for each family what it serves, what it is, which levels of validation it has passed, and what
it refuses.

Nothing in the page is kept by hand. Families, kinds, files of GGUF and requirements come from `clade list --json`; level 1
from docs/coverage.json, which --record writes by running `clade tiny` and `clade verify --level 1` for each family; level 3
from docs/parity.json; adapters from the cases of test/Parity/adapters.py.

usage: coverage.py [--clade FILE] [--record] [--check] [--page FILE] [--records FILE]
"""

import argparse
import difflib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from families import NONE, ROOT, cases, code, command, moe_cases, table

# Its module needs packages that the page does not.
ADAPTER_CASE = re.compile(r'AdapterCase\(\s*"[^"]+",\s*"([^"]+)"')


def record(clade, families):
    """Level 1 of each family: its small random checkpoint, to the compiled form and back."""
    records = {}
    with tempfile.TemporaryDirectory(prefix="clade-coverage-") as work:
        for family in families:
            name, folder = family["name"], pathlib.Path(work, family["name"])
            command(clade, "tiny", name, "-o", folder)
            done = subprocess.run([clade, "verify", folder, "--level", "1", "--json"], capture_output=True, text=True,
                                  check=False)
            if not done.stdout:
                sys.exit(f"'clade verify' of '{name}' failed:\n{done.stderr}")
            result = json.loads(done.stdout)
            records[name] = {"level1": {"tensors": result["restored"], "passed": result["passed"]}}
    return records


def level1(records, name):
    found = records.get(name, {}).get("level1")
    if not found:
        return NONE
    return f"{found['tensors']} tensors" + ("" if found["passed"] else ", failed")


def level3(parity, name):
    mine = [entry for entry in parity if entry["family"] == name and entry["engine"] == "compiled"]
    if not mine:
        return NONE
    cases = len({entry["case"] for entry in mine})
    failed = sum(not entry["passed"] for entry in mine)
    dtypes = ", ".join(sorted({entry["dtype"] for entry in mine}, reverse=True))
    return f"{cases} case{'s' * (cases > 1)}, {dtypes}" + (f", {failed} failed" if failed else "")


def adapted(family):
    """Whether adapters of a family are compared with PEFT's."""
    text = (ROOT / "test/Parity/adapter_cases.py").read_text(encoding="utf-8")
    bases = set(ADAPTER_CASE.findall(text))
    classes = {case.model for case in cases.CASES + moe_cases.CASES if case.name in bases}
    return any(architecture.removesuffix("ForCausalLM") in classes for architecture in family["architectures"])


def families_table(families, records, parity):
    rows = []
    for family in families:
        name = family["name"]
        rows.append([
            f"`{name}`", ", ".join(family["architectures"]), family["kind"], str(family["lines"]), level1(records, name),
            level3(parity, name), "compared" if adapted(family) else "as all", "yes" if family["gguf"] else NONE,
        ])
    return table(["family", "serves", "kind", "lines", "level 1", "level 3", "LoRA", "GGUF"], rows, (3,))


def limits_list(families):
    items = []
    for family in families:
        texts = list(dict.fromkeys(family["requires"]))
        if family["serves_if"]:
            texts.insert(0, f"serves if {family['serves_if']}")
        if texts:
            items.append(f"* `{family['name']}`: {code(texts)}")
    return "\n".join(items)


def quantised_methods():
    text = (ROOT / "specs/std/quantised.spec").read_text(encoding="utf-8")
    return [line.split()[1].removeprefix("quantised_").replace("_", "-") for line in text.splitlines()
            if line.startswith("family quantised_")]


def page(families, records, parity):
    return f"""# What is there for each family

This page is written by `tools/dev/coverage.py`; do not change it by hand. A dash says that there is no record, not that it
would fail.

## Families

Level 1 is `clade verify --level 1` on a small random checkpoint: the tensors that come back from the compiled form bit for bit.
Level 3 is the comparison of logits with the published implementation, of compiled code, in the cases recorded in
`docs/parity.json`; all have passed their bounds unless it says otherwise.
Level 2 is `clade verify --level 2 --against transformers`, each block from published values; `test/Parity/levels.py` runs it on a checkpoint
of each family of texts that transformers has.

{families_table(families, records, parity)}

## What holds for all of them

| | |
| --- | --- |
| targets | CPU; for GPUs what [the rationale](rationale/cuda.md) lists |
| types | f32 and bf16 |
| sharding | weights only: `clade inspect --shard` and `convert --to weights` cut each along the axes that its names say, and a device reads its own bytes ([how](rationale/sharding.md)); the computation is that of one device, so no run is distributed: no tensor, pipeline or expert parallelism, no FSDP |
| LoRA | adapters in PEFT's form, merged or beside the weights ([how](rationale/lora.md)); no family mentions them. `compared`: against PEFT, in `test/Parity/adapters.py`. No training, so no QLoRA; an adapter may be merged into a quantised source |
| quantised sources | {code(quantised_methods())} ([which forms](rationale/quantised.md)); no family mentions them. Compared with the published decoders on Llama |
| GGUF | `yes` in the table: files of this architecture load, with the types of [the README](../README.md) |

## Limits

What a configuration must meet, in the words of the spec; one that does not is refused. A word in front of a colon is a part.

{limits_list(families)}
"""


def main():
    parser = argparse.ArgumentParser(description="write docs/coverage.md")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page differs")
    parser.add_argument("--record", action="store_true", help="run level 1 of every family and write the records")
    parser.add_argument("--clade", default=ROOT / "build/release/bin/clade", type=pathlib.Path, help="the binary")
    parser.add_argument("--page", default=ROOT / "docs/coverage.md", type=pathlib.Path)
    parser.add_argument("--records", default=ROOT / "docs/coverage.json", type=pathlib.Path)
    options = parser.parse_args()
    families = json.loads(command(options.clade, "list", "--json"))
    if options.record:
        records = record(options.clade, families)
        options.records.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    records = json.loads(options.records.read_text(encoding="utf-8"))
    parity = json.loads((ROOT / "docs/parity.json").read_text(encoding="utf-8"))
    fresh = page(families, records, parity)
    if not options.check:
        options.page.write_text(fresh, encoding="utf-8")
        return
    stale = sorted(set(records) - {family["name"] for family in families})
    if stale:
        sys.exit(f"{options.records.name} has records of families that are gone: {', '.join(stale)}")
    old = options.page.read_text(encoding="utf-8").splitlines()
    if difference := list(difflib.unified_diff(old, fresh.splitlines(), str(options.page), "fresh", n=0, lineterm="")):
        sys.exit("\n".join(difference) + "\nthe page is not what the sources give; run tools/dev/coverage.py")


if __name__ == "__main__":
    main()
