#===- record.py - Figures of parity for docs/families.md --------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# A JSON list, one entry a comparison: {case, family, dtype, engine, chunk, diff,
# cosine, ratio, passed}, as in compare.py; a figure that there is not is null.
# What is recorded takes the place of what the file has of the same case, dtype
# and engine. docs/families.md is made from docs/parity.json.
#
#===------------------------------------------------------------------------===#
import json
import math
import os
import pathlib


class Record:
    """Figures of comparisons for a JSON file. `families` says to which family each case belongs."""

    def __init__(self, path, families):
        self.path = pathlib.Path(path)
        self.families = families
        self.entries = []

    def add(self, case, dtype, engine, chunk, verdict):
        figures = dict(diff=verdict.difference, cosine=verdict.cosine, ratio=verdict.rms_ratio)
        self.entries.append(dict(case=case, family=self.families[case], dtype=dtype, engine=engine, chunk=chunk,
                                 **{k: rounded(v) for k, v in figures.items()}, passed=verdict.passed))

    def write(self):
        """Puts the entries in the place of those of the same runs, and leaves the others."""
        old = json.loads(self.path.read_text()) if self.path.exists() else []
        made = {run_of(e) for e in self.entries}
        entries = [e for e in old if run_of(e) not in made] + self.entries
        entries.sort(key=lambda e: (*run_of(e), str(e["chunk"]).rjust(9)))
        lines = ",\n".join(json.dumps(e) for e in entries)
        work = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        work.write_text(f"[\n{lines}\n]\n")
        work.rename(self.path)


def run_of(entry):
    return entry["case"], entry["dtype"], entry["engine"]


def rounded(value):
    """Four digits of what counts, which for a cosine is its distance from 1."""
    if not math.isfinite(value):
        return None
    return 1.0 - float(f"{1.0 - value:.3e}") if 0.9 < value < 1.0 else float(f"{value:.3e}")


def of(options, tool, chosen):
    """The record that the options ask for, of some cases, or None."""
    if not options.record:
        return None
    families = {a: f["name"] for f in json.loads(tool.call("list", "--json")) for a in f["architectures"]}
    names = {case.name: next(n for n in (f"{case.model}{kind}" for kind in ("ForCausalLM", "LMHeadModel", "Model")) if n in families)
             for case in chosen}
    return Record(options.record, {case: families[name] for case, name in names.items()})
