#===- moe.py - Parity of routed models, with the reference's choices --------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The cases of the group `moe`, options as in run.py. Every run replays the
# reference's choices of experts, so that the logits are compared of one network,
# and notes the choices that it would have made on the same values: they may
# differ only where the reference's margin is within what rounding explains
# (experts.py), and how many do is printed. `free` runs choose by themselves; in
# f32 their logits are judged as well, if no choice differs.
#
#===------------------------------------------------------------------------===#
import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file

import cases
import clade
import compare
import experts
import moe_cases
import record
import run


class Report(run.Report):
    """Also prints how the choices agree."""

    def add_choices(self, agreement):
        word = "ok" if not agreement.failures else "FAIL"
        print(f"{'':24s} {agreement.line()}  {word}", flush=True)
        for failure in agreement.failures[: self.shown]:
            print(f"    {failure}", flush=True)
        if len(agreement.failures) > self.shown:
            print(f"    and {len(agreement.failures) - self.shown} more", flush=True)
        self.passed += not agreement.failures
        self.failed += bool(agreement.failures)


class Comparison:
    """One case in one dtype by one engine."""

    def __init__(self, tool, case, dtype, engine, report, prepared, batch):
        """`prepared` are the directories of checkpoint and reference, `batch` the requests to run."""
        self.tool, self.case, self.dtype, self.engine, self.report = tool, case, dtype, engine, report
        path, self.out = prepared
        self.model, self.batch = path / dtype, batch
        self.told = self.out / f"{dtype}-choices.safetensors"
        self.limits = load_file(self.out / f"{dtype}-margins.safetensors")

    def run(self, chunks, work):
        if self.engine == "compiled":
            artifact = pathlib.Path(work, "artifact")
            self.tool.compile(self.model, artifact)
            self.model = artifact
        for chunk in chunks:
            self.replayed(chunk, work)
        self.free(chunks[-1], work)

    def logits(self, chunk, record, replay=None):
        return self.tool.logits(self.model, self.batch, chunk, self.engine == "interpret", replay=replay, record=record)

    def replayed(self, chunk, work):
        made = pathlib.Path(work, "made.safetensors")
        verdict = run.verdict_of(self.logits(chunk, made, self.told), self.dtype, self.out)
        self.report.add(self.case.name, self.dtype, self.engine, chunk, verdict)
        self.report.add_choices(self.agreement(made))

    def free(self, chunk, work):
        """Without replay the first choice of a sequence that differs changes all that follow: only the count is told,
        and the logits in f32 where none does."""
        made = pathlib.Path(work, "free.safetensors")
        logits = self.logits(chunk, made)
        agreement = self.agreement(made)
        print(f"{self.case.name:24s} {self.dtype:5s} {self.engine:9s}  free  {agreement.line()}", flush=True)
        if self.dtype == "f32" and not agreement.differ:
            self.report.add(self.case.name, self.dtype, self.engine, "free", run.verdict_of(logits, self.dtype, self.out))

    def agreement(self, made):
        return experts.compare_choices(experts.read_choices(made), experts.read_choices(self.told), self.limits)


def main(arguments=None):
    options = run.parse(arguments, group="moe")
    torch.set_num_threads(1)
    cases.CASES += moe_cases.CASES
    tool = clade.Clade(options)
    chosen = cases.select(options.pattern, "moe")
    report = Report(options.show, record.of(options, tool, chosen))
    for case in chosen:
        chunks = [c for c in map(int, options.chunk or []) if c in case.chunks] or case.chunks
        for dtype in options.dtype:
            for engine in options.engine:
                try:
                    prepared = experts.prepare(case)
                    batch = json.loads((prepared[1] / f"{dtype}.json").read_text())
                    with tempfile.TemporaryDirectory(prefix="clade-parity-") as work:
                        Comparison(tool, case, dtype, engine, report, prepared, batch).run(chunks, work)
                except clade.CladeError as error:
                    report.add(case.name, dtype, engine, "-", compare.Verdict(failures=[str(error)]))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
