#!/usr/bin/env python3
# ===- families.py - The page of families and ops ------------------------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""Writes docs/families.md: the families, what they are made of, which ops each
uses, and how near it is to the published implementation.

Nothing in the page is kept by hand. Families come from `clade list`, lines from
the specs, of which a family may have 60, ops from the modules that `clade-translate --import-spec` prints for
the configurations of test/Parity (a family without a case: for the one that
`clade tiny` makes), reasons from the ops' descriptions, and figures of parity
from docs/parity.json, which test/Parity/run.py, moe.py and vision.py write with
--record.

An op that one family alone uses must say in its description why it is not made
of others: a sentence that begins with 'Not a composition:'.

usage: families.py [--check] [--clade FILE] [--translate FILE] [--page FILE]
                   [--dialect FOLDER] [--parity FILE]
"""

import argparse
import concurrent.futures
import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "Parity"))

import cases  # noqa: E402
import moe_cases  # noqa: E402
import vision_cases  # noqa: E402

# The groups of cases that are run as published checkpoints.
GROUPS = ("tiny", "moe", "automodel")
MOST_LINES = 60
NONE = "–"

OP = re.compile(r"^ *(?:%[\w:, %]+ = )?clade\.(\w+)\b", re.MULTILINE)
FUNCTION = re.compile(r"clade\.(unary|binary|reduce) (\w+)")
DEFINITION = re.compile(r"^def \w+ : \w+<\"(\w+)\"(.*?)^}", re.MULTILINE | re.DOTALL)
DESCRIPTION = re.compile(r"let description = \[\{(.*?)\}\];", re.DOTALL)
REASON = re.compile(r"Not a\s+composition:\s+(.*?\.)(?:\s|$)", re.DOTALL)
WEIGHTS = re.compile(r"^  weights \{(?:(?:  //.*)?\n(?: {4}.*\n|\n)*  \}|.*\})\n", re.MULTILINE)
BLOCK = re.compile(r"^  (?:block|entry) (\w+)")
PART = re.compile(r"^  (\w+) = (\w+) with ", re.MULTILINE)
TOWER = "vision"  # the part that is a family of its own, counted apart
READ_BY_WEIGHTS = ("num_nextn_predict_layers", "tie_word_embeddings")


def command(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"'{' '.join(map(str, arguments))}' failed:\n{done.stderr.strip()}")
    return done.stdout


# Families and their order.


class Family:
    def __init__(self, listed, names):
        self.name = listed["name"]
        self.base = listed["base"]
        self.uses = listed["uses"]
        self.architectures = listed["architectures"]
        self.lines = listed["lines"]
        self.blocks = blocks_of(pathlib.Path(listed["file"]), self.name)
        self.depth = 0
        self.ops = set()
        self.functions = set()
        self.index = names.index(self.name)


class Text:
    """What stands in specs/ of a family that serves an architecture or is a part of others: its lines, what it is made
    from, and its parts by their names."""

    def __init__(self, header, lines):
        self.lines = len(lines)
        self.body = "\n".join(line.split("//")[0] for line in lines)
        base = re.match(r"family \w+ from (\w+)", header)
        self.base = base and base.group(1)
        self.uses = re.findall(r"^  use [\w, ]+ from (\w+)", self.body, re.MULTILINE)
        self.parts = dict(PART.findall(self.body))

    def makers(self):
        return [m for m in (self.base, *self.uses, *self.parts.values(), *re.findall(r"\b(\w+)\.\w+\(", self.body)) if m]


def read_texts():
    """The families of specs/, and the blocks of specs/std, each with its lines, by name."""
    families, blocks = {}, {}
    for path in sorted((ROOT / "specs").rglob("*.spec")):
        header, lines = None, []
        for line in path.read_text(encoding="utf-8").splitlines():
            begins = re.match(r"(family|block) (\w+)", line)
            if begins:
                header, lines = begins, []
            if header:
                lines.append(line)
            # A block of one line, or up to the brace.
            if header and (line.startswith("}") or re.match(r"block .*\) = ", line)):
                if header.group(1) == "family":
                    families[header.group(2)] = Text(lines[0], lines)
                elif path.parent.name == "std":
                    blocks[header.group(2)] = lines
                header = None
    return families, blocks


def made_from(name, texts, seen=None):
    """The families whose text takes part in a family's meaning, itself among them."""
    seen = {name} if seen is None else seen
    for maker in texts[name].makers():
        if maker in texts and maker not in seen:
            seen.add(maker)
            made_from(maker, texts, seen)
    return seen


def standard_blocks(name, texts, blocks):
    """The blocks of specs/std that a family calls, by itself or through others."""
    called, pending = set(), [texts[n].body for n in made_from(name, texts)]
    while pending:
        for block in set(re.findall(r"\b(\w+)\(", pending.pop())) & blocks.keys() - called:
            called.add(block)
            pending.append("\n".join(blocks[block]))
    return called


class Lines:
    """How many lines each family has: its own and those of a text that only it has, and of standard blocks that nobody
    else uses; and those of its tower."""

    def __init__(self, families):
        self.texts, self.blocks = read_texts()
        self.users = {}
        for family in families:
            for block in standard_blocks(family, self.texts, self.blocks):
                self.users.setdefault(block, []).append(family)
        self.families = families

    def part(self, family, tower):
        return [part for name, part in self.texts[family].parts.items() if (name == TOWER) == tower and part not in self.families]

    def own(self, family):
        alone = sum(len(self.blocks[b]) for b, users in self.users.items() if users == [family])
        return self.texts[family].lines + sum(self.texts[p].lines for p in self.part(family, False)) + alone

    def tower(self, family):
        return sum(self.texts[p].lines for p in self.part(family, True))


def blocks_of(path, family):
    """The lines of each block of a family, from its canonical text: a block begins at the second level and ends before
    the next item there."""
    found, inside, name = {}, False, None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("family "):
            inside, name = re.match(r"family (\w+)", line).group(1) == family, None
        if not inside:
            continue
        if line.startswith("}"):
            inside = False
        elif block := BLOCK.match(line):
            name = block.group(1)
            found[name] = 1
        elif re.match(r"  [^ }]", line):
            name = None
        elif name and line.strip():
            found[name] += 1
    return found


def bases(family, families):
    while family.base:
        family = families[family.base]
        yield family


def visible_blocks(family, families):
    """The lines of each block that the family calls by its name: its own, used ones, then those of its base."""
    found = {}
    for source in (family, *bases(family, families)):
        for block, lines in source.blocks.items():
            found.setdefault(block, lines)
        for owner, block in (use.split(".") for use in source.uses):
            found.setdefault(block, visible_blocks(families[owner], families)[block])
    return found


def inherited_lines(family, families):
    blocks = visible_blocks(family, families)
    return sum(lines for block, lines in blocks.items() if block not in family.blocks)


def read_families(clade):
    listed = json.loads(command(clade, "list", "--json"))
    names = sorted(f["name"] for f in listed)
    families = {f["name"]: Family(f, names) for f in listed}
    texts, _ = read_texts()
    makers = {name: made_from(name, texts) - {name} for name in families}
    users = {name: sum(name in makers[other] for other in families) for name in families}
    # What others are made from comes before them, and of that what more are made from.
    for family in families.values():
        family.depth = len([m for m in makers[family.name] if m in families])
    ordered = sorted(families.values(), key=lambda f: (f.depth, -users[f.name], f.index))
    return {f.name: f for f in ordered}


# Ops.


def configurations(families):
    """A configuration of each published class in each group of cases, under its family's name."""
    chosen = {}
    for case in cases.CASES + moe_cases.CASES:
        if case.group in GROUPS:
            chosen.setdefault((case.group, case.model), case.config)
    for (_, model), config in chosen.items():
        architecture = f"{model}ForCausalLM"
        for family in families.values():
            if architecture in family.architectures:
                yield family, {"architectures": [architecture], **config}
    seen = set()
    for case in vision_cases.CASES:
        if case.spec not in seen:
            seen.add(case.spec)
            yield families[case.spec], {"architectures": [f"{case.model}ForConditionalGeneration"], **case.config}


def specs_without_weights(folder):
    """The specs without their weight equations, which have no part in the computation, and of which some can be told
    only from the tensors of a checkpoint."""
    shutil.copytree(ROOT / "specs", folder)
    for file in folder.glob("*.spec"):
        file.write_text(WEIGHTS.sub("", file.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def read_by_blocks(config):
    """Without the keys that weight equations alone read: they would be errors where there are none."""
    return {key: read_by_blocks(value) if isinstance(value, dict) else value
            for key, value in config.items() if key not in READ_BY_WEIGHTS}


def imported_ops(tools, family, config, specs):
    config = read_by_blocks(config)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        module = command(tools.translate, "--import-spec", "--specs-dir", specs, "--family", family.name,
                         "--config", file.name, "--dtype", "bf16", os.devnull)
    return family, set(OP.findall(module)), set(FUNCTION.findall(module))


def read_ops(tools, families):
    with tempfile.TemporaryDirectory(prefix="clade-families-") as work:
        runs = list(configurations(families))
        for family in families.values():
            if all(f is not family for f, _ in runs):
                folder = pathlib.Path(work, family.name)
                command(tools.clade, "tiny", family.name, "-o", folder)
                runs.append((family, json.loads((folder / "config.json").read_text())))
        specs = specs_without_weights(pathlib.Path(work, "specs"))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for family, ops, functions in pool.map(lambda run: imported_ops(tools, *run, specs), runs):
                family.ops |= ops
                family.functions |= functions


def read_dialect(folder):
    """The description of each op of the dialect."""
    ops = {}
    for file in sorted(folder.glob("*Ops.td")):
        for name, text in DEFINITION.findall(file.read_text(encoding="utf-8")):
            description = DESCRIPTION.search(text)
            ops[name] = description.group(1) if description else ""
    return ops


def kind_of(ops):
    """What sort of network it is, from the ops that mix tokens and the products that are chosen."""
    kinds = []
    if "scan" in ops:
        kinds.append("hybrid" if "attend" in ops else "recurrent")
    if "expert_linear" in ops:
        kinds.append("experts")
    if "put_at" in ops:
        kinds.append("images")
    return ", ".join(kinds) or "dense"


# The page.


def table(header, rows, right=()):
    marks = ["--:" if i in right else "---" for i in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, marks, *rows))


def code(names):
    return ", ".join(f"`{n}`" for n in names) or NONE


def families_table(families, entries):
    rows, seen, lines, long = [], set(), Lines(families), []
    for family in families.values():
        own, tower = lines.own(family.name), lines.tower(family.name)
        if own > MOST_LINES:
            long.append(f"'{family.name}' has {own} lines, of which it may have {MOST_LINES}")
        mine = [e for e in entries if e["family"] == family.name]
        rows.append([
            f"`{family.name}`", ", ".join(family.architectures), code([family.base] if family.base else []), str(own),
            str(inherited_lines(family, families)), str(tower) if tower else NONE, kind_of(family.ops),
            code(sorted(family.ops - seen)), worst([e for e in mine if e["dtype"] == "f32"], "diff"),
            worst([e for e in mine if e["dtype"] == "bf16"], "ratio"),
        ])
        seen |= family.ops
    if long:
        sys.exit("\n".join(long))
    return table(["family", "serves", "base", "lines", "inherited", "tower", "kind", "new primitives", "f32", "bf16"], rows,
                 (3, 4, 5, 8, 9))


def users_text(families, users):
    if len(users) == len(families):
        return "all"
    if 2 * len(users) > len(families):
        return "all but " + code(f for f in families if f not in users)
    return code(users) if users else "none: made by passes"


def ops_table(families, dialect):
    rows, missing = [], []
    for op in sorted(dialect):
        users = [f.name for f in families.values() if op in f.ops]
        reason = ""
        if len(users) == 1:
            found = REASON.search(dialect[op])
            if not found:
                missing.append(f"only '{users[0]}' uses clade.{op}, and its description does not say why it is needed: "
                               "add a sentence 'Not a composition: …'")
            else:
                reason = " ".join(found.group(1).split())
        rows.append([f"`{op}`", str(len(users)), users_text(families, users), reason])
    if missing:
        sys.exit("\n".join(missing))
    return table(["op", "families", "which", "why it is not a composition"], rows, (1,))


def functions_table(families):
    rows = []
    for op, function in sorted(set().union(*(f.functions for f in families.values()))):
        users = [f.name for f in families.values() if (op, function) in f.functions]
        rows.append([f"`{op} {function}`", str(len(users)), users_text(families, users)])
    return table(["function", "families", "which"], rows, (1,))


def worst(entries, measure):
    """The largest of a figure, and a word where a comparison did not pass."""
    values = [e[measure] for e in entries if e[measure] is not None]
    failed = sum(not e["passed"] for e in entries)
    if not values:
        return f"{failed} failed" if failed else NONE
    text = f"{max(values):.1e}" if measure == "diff" else f"{max(values):.2f}"
    return text + (f" ({failed} failed)" if failed else "")


def parity_table(families, entries):
    rows = []
    for family in families.values():
        mine = [e for e in entries if e["family"] == family.name]
        row = [f"`{family.name}`", str(len({e["case"] for e in mine})) if mine else NONE]
        for dtype, measure in (("f32", "diff"), ("bf16", "ratio")):
            for engine in ("compiled", "interpret"):
                row.append(worst([e for e in mine if (e["dtype"], e["engine"]) == (dtype, engine)], measure))
        rows.append(row)
    return table(["family", "cases", "f32 compiled", "f32 interpreted", "bf16 compiled", "bf16 interpreted"], rows,
                 range(1, 6))


def page(families, dialect, entries):
    return f"""# Families and ops

This page is written by `tools/dev/families.py`; do not change it by hand.

## Families

Lines are those of the family in canonical form, of a text that is a family only for it, and of the blocks of `specs/std` that
no other family uses; a family has at most {MOST_LINES}. Inherited ones are those of the blocks that it has from its bases and from
`use`, without what it replaces; towers for images are families of their own. The kind and the ops are those of the modules that the
family gives for the configurations of `test/Parity`; new primitives are ops that no family above uses. The last two columns are the
worst figures of the table of parity below.

{families_table(families, entries)}

## Ops

Every op of the [dialect `clade`](generated/CladeDialect.md) and the families that use it. An op that one family alone uses says
why it is not a composition of others; where no reason stands, there are more.

{ops_table(families, dialect)}

The functions of `unary`, `binary` and `reduce`:

{functions_table(families)}

## Parity

Against the published implementation, on small random checkpoints: the largest difference of a logit over the largest logit in
f32, and in bf16 the rms error over that of the reference's own bf16 run, both against an f32 run; each the worst of the cases
recorded in `docs/parity.json` (`test/Parity/run.py --record docs/parity.json`, `moe.py` and `vision.py` likewise).

{parity_table(families, entries)}
"""


def main():
    parser = argparse.ArgumentParser(description="write docs/families.md")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page differs")
    parser.add_argument("--clade", default=ROOT / "build/dev/bin/clade", type=pathlib.Path, help="the binary")
    parser.add_argument("--translate", type=pathlib.Path, help="clade-translate (default: beside clade)")
    parser.add_argument("--page", default=ROOT / "docs/families.md", type=pathlib.Path)
    parser.add_argument("--dialect", default=ROOT / "dialect/Clade", type=pathlib.Path, help="the folder of the ops")
    parser.add_argument("--parity", default=ROOT / "docs/parity.json", type=pathlib.Path, help="recorded figures")
    options = parser.parse_args()
    options.translate = options.translate or options.clade.with_name("clade-translate")
    families = read_families(options.clade)
    read_ops(options, families)
    entries = json.loads(options.parity.read_text()) if options.parity.exists() else []
    fresh = page(families, read_dialect(options.dialect), entries)
    if not options.check:
        options.page.write_text(fresh, encoding="utf-8")
        return
    old, new = (text.splitlines() for text in (options.page.read_text(encoding="utf-8"), fresh))
    if difference := list(difflib.unified_diff(old, new, str(options.page), "fresh", n=0, lineterm="")):
        sys.exit("\n".join(difference) + "\nthe page is not what the sources give; run tools/dev/families.py")


if __name__ == "__main__":
    main()
