#===- mutants.py - Specs changed in one place --------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/mutants.py [options] [FAMILY …]
#
# What headers.py does to headers, to the specs: in a copy of the spec of a family a
# name, a shape or a count is changed, and the tiny checkpoint that the family as it
# is made must be refused from its header, with a tensor's name, the place of the
# change or that of what it breaks. A change that leaves the mapping as it is, such as one in a branch that
# this configuration does not take, is none and is not counted.
#
#===------------------------------------------------------------------------===#
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import clade
import headers

SPECS = pathlib.Path(__file__).parents[2] / "specs"
ADDRESS = re.compile(r"\bat ([a-z][\w.]*)")  # where a weight lies
SHAPE = re.compile(r"\b(?:linear|embed|weight)\([^][]*\[([a-z_]\w*)(?:, ([a-z_]\w*))?\]")
FIELD = re.compile(r"(?<![\w.])([a-z_]\w*) = ([a-z_]\w*)(?= {2,}|\n)")  # in the configuration: a key by itself
LAYERS = re.compile(r"for layer in (\w+)")


def places(pattern, text):
    """The spans of all groups, outside of comments."""
    code = re.sub(r"//[^\n]*", lambda m: " " * len(m[0]), text)
    return [m.span(g) for m in pattern.finditer(code) for g in range(1, pattern.groups + 1) if m[g]]


def replaced(text, span, other):
    return text[:span[0]] + other + text[span[1]:]


def renamed(rng, text):
    """Another letter in an address."""
    spans = places(ADDRESS, text)
    if not spans:
        return None
    begin, end = rng.choice(spans)
    at = rng.choice([i for i in range(begin, end) if text[i].isalpha()])
    return replaced(text, (at, at + 1), rng.choice([c for c in "abcdefghijklmnopqrstuvwxyz" if c != text[at]]))


def reshaped(rng, text):
    """Another field of the family as an axis."""
    spans, fields = places(SHAPE, text), {text[a:b] for a, b in places(SHAPE, text)}
    if len(fields) < 2:
        return None
    span = rng.choice(spans)
    return replaced(text, span, rng.choice(sorted(fields - {text[slice(*span)]})))


def recounted(rng, text):
    """One more or less, or twice as many, of what a key of the configuration counts, or of the layers."""
    spans = places(LAYERS, text)
    start = text.find("config {")
    if start >= 0:
        end = text.find("\n  }", start)
        block = text[start:end if end >= 0 else text.index("}", start)]
        spans += [(a + start, b + start) for a, b in places(FIELD, block)[1::2]]
    if not spans:
        return None
    span = rng.choice(spans)
    name = text[slice(*span)]
    return replaced(text, span, rng.choice([f"{name} + 1", f"{name} - 1", f"{name} * 2"]))


MUTATIONS = [renamed, reshaped, recounted]


class Mutants:
    def __init__(self, options, work):
        self.tool = clade.Clade(options)
        self.specs = work / "specs"
        shutil.copytree(SPECS, self.specs)
        self.work = work
        self.checkpoints = {}

    def inspect(self, checkpoint):
        return subprocess.run([self.tool.binary, "inspect", "--json", checkpoint], capture_output=True, text=True, errors="replace",
                              env=dict(os.environ, CLADE_SPECS=str(self.specs)), timeout=self.tool.timeout)

    def checkpoint_of(self, family):
        """The family's tiny checkpoint, its tensors, and what the family as it is tells of it; None without one."""
        if family not in self.checkpoints:
            folder = self.work / family
            made = headers.tiny(self.tool, family, folder)
            self.checkpoints[family] = made and (folder, made[1], self.inspect(folder).stdout)
        return self.checkpoints[family]

    def check(self, family, text):
        """True if the changed spec is refused, None if it is no change, else what is wrong."""
        folder, tensors, told = self.checkpoint_of(family)
        file = self.specs / f"{family}.spec"
        whole = file.read_text()
        file.write_text(text)
        try:
            done = self.inspect(folder)
        finally:
            file.write_text(whole)
        if done.returncode == 0:
            return None if done.stdout == told else "accepted, with another mapping"
        errors = [line for line in done.stderr.splitlines() if "error:" in line]
        if done.returncode != 1 or not errors:
            return f"status {done.returncode}: {done.stderr[:400]}"
        named = f"{family}.spec:" in done.stderr or any(
            ".spec:" in e or "tensor '" in e or "weight '" in e for e in errors)
        return True if named else f"neither a place nor a tensor: {done.stderr[:400]}"


def main():
    parser = argparse.ArgumentParser(description="change specs in one place; checkpoints must no longer fit")
    parser.add_argument("family", nargs="*", help="only these")
    parser.add_argument("--mutations", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--short", action="store_true", help="30 of them")
    parser.add_argument("--seed", type=int, default=1)
    clade.add_options(parser)
    options = parser.parse_args()
    rng, kinds, passed, failed, same = random.Random(options.seed), {}, 0, 0, 0
    wanted = 30 if options.short else options.mutations
    with tempfile.TemporaryDirectory(prefix="clade-mutants-") as folder:
        mutants = Mutants(options, pathlib.Path(folder))
        families = [f["name"] for f in json.loads(mutants.tool.call("list", "--json"))
                    if f["architectures"] and (SPECS / f"{f['name']}.spec").exists() and (not options.family or f["name"] in options.family)]
        families = [f for f in families if mutants.checkpoint_of(f)]
        tried = 0
        while passed + failed < wanted and tried < 20 * wanted:
            family, mutate = families[tried % len(families)], rng.choice(MUTATIONS)
            tried += 1
            text = mutate(rng, (SPECS / f"{family}.spec").read_text())
            verdict = mutants.check(family, text) if text else None
            if verdict is None:
                same += 1
                continue
            kinds[mutate.__name__] = kinds.get(mutate.__name__, 0) + 1
            passed += verdict is True
            failed += verdict is not True
            if verdict is not True:
                whole = (SPECS / f"{family}.spec").read_text().splitlines()
                changed = next(f"{a.strip()} -> {b.strip()}" for a, b in zip(whole, text.splitlines()) if a != b)
                print(f"{family}, {mutate.__name__}: {changed} FAIL\n    {verdict}", flush=True)
    print(f"{passed} of {passed + failed} changed specs refused, of {len(families)} families: "
          + ", ".join(f"{n} {k}" for k, n in sorted(kinds.items())) + f"; {same} changed nothing")
    if passed + failed < wanted:
        print(f"expected {wanted} changes, found {passed + failed} in {tried}")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
