#===- run.py - Parity of tiny checkpoints with the published reference ------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/run.py [options] [PATTERN …]
#
# For every case, dtype, engine and prefill piece size: runs clade on a batch of
# sequences of different lengths, prompt and forced decode steps, and compares
# the logits by the rules of compare.py. Missing checkpoints and references are
# made first.
#
# --record FILE adds the figures to a JSON list (record.py).
#
#===------------------------------------------------------------------------===#
import argparse
import json
import pathlib
import sys
import tempfile

import torch

import cases
import clade
import compare
import record
import reference

DTYPES = ["f32", "bf16"]
BOTH = ["compiled", "interpret"]
ENGINES = {"tiny": BOTH, "moe": BOTH, "automodel": BOTH, "gpt2": BOTH, "long": ["compiled"]}


class Report:
    """Prints a line a comparison, and counts."""

    def __init__(self, shown, record=None):
        self.passed = self.failed = 0
        self.shown = shown
        self.record = record
        print(f"{'case':24s} {'dtype':5s} {'engine':9s} {'chunk':>5s}  {compare.COLUMNS}", flush=True)

    def add(self, case, dtype, engine, chunk, verdict):
        word = "ok" if verdict.passed else "FAIL"
        print(f"{case:24s} {dtype:5s} {engine:9s} {chunk:>5}  {verdict.columns()}  {word}", flush=True)
        if self.record:
            self.record.add(case, dtype, engine, chunk, verdict)
        for failure in verdict.failures[: self.shown]:
            print(f"    {failure}", flush=True)
        if len(verdict.failures) > self.shown:
            print(f"    and {len(verdict.failures) - self.shown} more", flush=True)
        self.passed += verdict.passed
        self.failed += not verdict.passed

    def close(self):
        if self.record:
            self.record.write()
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def verdict_of(got, dtype, out):
    if dtype == "f32":
        return compare.compare_f32(got, reference.read(out, "f32"))
    return compare.compare_bf16(got, reference.read(out, "bf16"), reference.read(out, "wide"))


def run_engine(tool, case, dtype, engine, chunks, report):
    path, out = reference.prepare(case)
    batch = json.loads((out / f"{dtype}.json").read_text())
    model = path / dtype
    with tempfile.TemporaryDirectory(prefix="clade-parity-") as work:
        try:
            if engine == "compiled":
                model = pathlib.Path(work, "artifact")
                tool.compile(path / dtype, model)
        except clade.CladeError as error:
            for chunk in chunks:
                report.add(case.name, dtype, engine, chunk, compare.Verdict(failures=[str(error)]))
            return
        for chunk in chunks:
            try:
                verdict = verdict_of(tool.logits(model, batch, chunk, engine == "interpret"), dtype, out)
            except clade.CladeError as error:
                verdict = compare.Verdict(failures=[str(error)])
            report.add(case.name, dtype, engine, chunk, verdict)


def names(text):
    return text.split(",")


def parse(arguments, group):
    """The options that all parity runs have."""
    parser = argparse.ArgumentParser(description="compare clade with transformers on tiny random checkpoints")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--dtype", type=names, default=DTYPES, help="f32,bf16 (default: both)")
    parser.add_argument("--engine", type=names, default=ENGINES[group],
                        help=f"compiled,interpret (default: {','.join(ENGINES[group])})")
    parser.add_argument("--chunk", type=names, help="prefill piece sizes (default: those of the case)")
    parser.add_argument("--show", type=int, default=3, help="failures to print of a comparison (default: 3)")
    parser.add_argument("--record", metavar="FILE", help="add the figures to this JSON file")
    clade.add_options(parser)
    options = parser.parse_args(arguments)
    for given, known in (options.dtype, DTYPES), (options.engine, ["compiled", "interpret"]):
        for name in given:
            if name not in known:
                parser.error(f"unknown '{name}', expected one of {', '.join(known)}")
    return options


def main(arguments=None, group="tiny"):
    options = parse(arguments, group)
    tool = clade.Clade(options)
    chosen = cases.select(options.pattern, group)
    if group != "long":
        torch.set_num_threads(1)
    report = Report(options.show, record.of(options, tool, chosen))
    for case in chosen:
        # A case that allows none of the sizes asked for runs with its own instead of not at all.
        chunks = [c for c in map(int, options.chunk or []) if c in case.chunks] or case.chunks
        for dtype in options.dtype:
            for engine in options.engine:
                run_engine(tool, case, dtype, engine, chunks, report)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
