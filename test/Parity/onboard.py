#===- onboard.py - How far the commands bring a family -----------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/onboard.py [options] [FAMILY …]
#
# Takes one family after the other out of a copy of the specs, and lets `clade
# new` draft it from a checkpoint of the published implementation, as if nobody
# had written it. The draft, its questions answered as they stand, is compared
# with that implementation. Then: how many lines were changed from the draft to
# the spec that comes with Clade. Each row must have at most as many changed lines
# as it has here, so that the commands get no worse. --levels also verifies the
# finished spec at all three levels and tells the time of all commands; --page FILE
# does so and writes the table.
#
#===------------------------------------------------------------------------===#
import argparse
import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import cases
import checkpoint
import clade
import encoder
import gpt2
import moe_cases

SPECS = pathlib.Path(__file__).parents[2] / "specs"
# Family, the case whose checkpoint it is drafted from, and the most lines that may differ.
FAMILIES = [
    ("phi3", "phi3-plain", 9),
    ("arcee", "arcee-plain", 1),
    ("helium", "helium-plain", 2),
    ("seed_oss", "seed-oss-out-bias", 2),
    ("hunyuan_v1_dense", "hunyuan-v1-dense-plain", 7),
    ("apertus", "apertus-plain", 20),
    ("qwen2_moe", "qwen2-moe-plain", 8),
    ("minimax_m2", "minimax-m2-plain", 6),
    ("mamba2", "mamba2-plain", 9),
    ("gpt2", "gpt2-plain", 36),
    ("bloom", "bloom-slopes", 80),
    ("bert", "bert-plain", 55),
]


def lines(text):
    """The lines of a spec that say something."""
    code = (re.sub(r"\s*//.*", "", line).rstrip() for line in text.splitlines())
    return [line for line in code if line.strip()]


def changed(draft, spec):
    """Lines that differ, one that takes the place of another once; and how many of them say in the draft what is not so,
    and ask nothing: the wrong turns."""
    old, new = lines(draft), lines(spec)
    steps = [step for step in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if step[0] != "equal"]
    return (sum(max(b - a, d - c) for _, a, b, c, d in steps),
            sum("todo(" not in line for _, a, b, _, _ in steps for line in old[a:b]))


def dependents(name):
    """A family and those that are written as what differs from it."""
    found = [name]
    for base in found:
        found += [path.stem for path in sorted(SPECS.glob("*.spec")) if re.search(rf"\bfrom {base} \{{", path.read_text())]
    return found


def answered(draft):
    """A draft whose questions are answered as they stand: 'todo("…", X)' is X."""
    while (at := draft.find("todo(")) >= 0:
        quote = draft.index('"', draft.index('"', at) + 1)
        begin, end, depth = draft.index(",", quote) + 1, quote, 1
        while depth:
            end += 1
            depth += {"(": 1, ")": -1}.get(draft[end], 0)
        draft = draft[:at] + draft[begin:end].strip() + draft[end + 1:]
    return draft


class Onboarding:
    def __init__(self, options, work):
        self.options, self.work, self.seconds = options, work, 0

    def run(self, specs, *arguments):
        begin = time.monotonic()
        done = subprocess.run(
            [self.options.clade, *map(str, arguments)], capture_output=True, text=True, errors="replace",
            timeout=self.options.timeout,
            env=dict(os.environ, CLADE_SPECS=str(specs), CLADE_CACHE=str(self.work / "cache"), CLADE_PYTHON=sys.executable))
        self.seconds += time.monotonic() - begin
        return done

    def family(self, name, case):
        """The row of a family."""
        specs = self.work / f"specs-{name}"
        shutil.copytree(SPECS, specs)
        for known in dependents(name):
            (specs / f"{known}.spec").unlink()
        self.seconds = 0
        path = checkpoint.write(case) / "f32"
        told = json.loads(self.run(specs, "discover", path, "--json").stdout)
        out = self.work / name
        done = self.run(specs, "new", name, "--from", path, "-o", out)
        if done.returncode:
            raise clade.CladeError(f"'clade new {name}' ended with status {done.returncode}: {done.stderr}")
        draft = (out / f"{name}.spec").read_text()
        spec = (SPECS / f"{name}.spec").read_text()
        edited, wrong = changed(draft, spec)
        row = dict(family=name, nearest=told["nearest"][0]["family"], base=re.search(r" from (\w+) \{", draft)[1],
                   lines=len(lines(draft)), questions=len(re.findall(r"\btodo\(", draft)), changed=edited, wrong=wrong,
                   parity="–", cause="–", levels="–")
        settled = out / "settled.spec"
        settled.write_text(answered(draft))
        if self.run(specs, "inspect", path, "--spec", settled).returncode == 0:
            check = self.run(specs, "verify", path, "--spec", settled, "--against", "transformers", "--tokens", "24")
            row["parity"] = "holds" if check.returncode == 0 else "fails"
            causes = re.findall(r"parity holds if (.*)", check.stderr)
            row["cause"] = causes[0] if causes else "–" if check.returncode == 0 else "not found"
        if self.options.levels or self.options.page:
            held = [level for level in "123" if self.run(SPECS, "verify", path, "--level", level, "--against", "transformers",
                                                         "--tokens", "24").returncode == 0]
            row["levels"] = ", ".join(held)
        row["seconds"] = self.seconds
        if self.options.show:
            print(draft)
        return row


HEAD = """# Onboarding

What `clade discover` and `clade new` make of families that they do not know. Each family of the table was taken out of the specs, with those
that are written as what differs from it, and drafted from a checkpoint of `transformers`, with the other families there.

| column | what |
|---|---|
| questions | `todo(…)` in the draft |
| as drafted | whether it computes what `transformers` does if each question is answered as the draft proposes; `–` if it cannot be built then |
| cause | what `clade verify` names if it does not |
| changed | lines that differ between the draft and the spec that comes with Clade, comments aside |
| wrong turns | those of them that the draft has and asks nothing about, and that are not so or are said otherwise |
| levels | at which the finished spec holds: `clade verify --level 1`, `2` and `3`, against `transformers` |
| time | of all these commands, in seconds: `discover`, `new`, `inspect`, `verify` of the draft and of each level; most of it is `transformers` |

How drafts are made stands in [a page of its own](rationale/onboarding.md). Made by `test/Parity/onboard.py --page docs/onboarding.md`, on two cores.

| family | nearest | drafted from | lines | questions | as drafted | cause | changed | wrong turns | levels | time |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def page(rows):
    text = HEAD
    for row in rows:
        text += (f"| `{row['family']}` | `{row['nearest']}` | `{row['base']}` | {row['lines']} | {row['questions']} | {row['parity']} "
                 f"| {row['cause']} | {row['changed']} | {row['wrong']} | {row['levels']} | {row['seconds']:.0f} |\n")
    return text


def main():
    parser = argparse.ArgumentParser(description="draft known families as if they were unknown")
    parser.add_argument("family", nargs="*", help="only these")
    parser.add_argument("--page", type=pathlib.Path, help="write the table to this file")
    parser.add_argument("--levels", action="store_true", help="verify the finished specs at all levels")
    parser.add_argument("--show", action="store_true", help="print the drafts")
    clade.add_options(parser)
    options = parser.parse_args()
    checkpoint.LIBRARIES.update(GPT2="gpt2", Bert="encoder")
    checkpoint.centre = lambda name, model: encoder.centre(name, model, gpt2.centre)
    known = {case.name: case for case in [*cases.CASES, *moe_cases.CASES, *gpt2.CASES, *encoder.CASES]}
    rows, failed = [], 0
    with tempfile.TemporaryDirectory(prefix="clade-onboard-") as folder:
        onboarding = Onboarding(options, pathlib.Path(folder))
        for name, case, most in FAMILIES:
            if options.family and name not in options.family:
                continue
            row = onboarding.family(name, known[case])
            rows.append(row)
            ok = row["changed"] <= most and row["levels"] in ("–", "1, 2, 3")
            failed += not ok
            print(f"{name:18s} from {row['base']:12s} {row['questions']} questions, {row['changed']:2d} of at most {most} lines "
                  f"changed, parity {row['parity']}, cause: {row['cause']}, levels {row['levels']}  {'ok' if ok else 'FAIL'}", flush=True)
    if options.page:
        options.page.write_text(page(rows))
    print(f"{len(rows) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
