#===- record_test.py - Recorded figures are kept and replaced ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: python -m unittest record_test (in this folder; needs nothing else)
#
#===------------------------------------------------------------------------===#
import json
import math
import pathlib
import tempfile
import types
import unittest

from record import Record


def verdict(difference=1e-6, cosine=1 - 3e-13, ratio=math.nan, passed=True):
    return types.SimpleNamespace(difference=difference, cosine=cosine, rms_ratio=ratio, passed=passed)


class Recording(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name, "parity.json")

    def record(self, *runs):
        record = Record(self.file, {"a-plain": "a", "b-plain": "b"})
        for run in runs:
            record.add(*run)
        record.write()
        return json.loads(self.file.read_text())

    def test_entry(self):
        entry, = self.record(("a-plain", "f32", "compiled", 7, verdict(1.23456e-6)))
        self.assertEqual(entry, dict(case="a-plain", family="a", dtype="f32", engine="compiled", chunk=7, diff=1.235e-6,
                                     cosine=entry["cosine"], ratio=None, passed=True))
        self.assertAlmostEqual(1 - entry["cosine"], 3e-13, delta=1e-15)

    def test_others_stay(self):
        self.record(("b-plain", "f32", "compiled", 1, verdict()), ("a-plain", "f32", "interpret", 1, verdict()))
        entries = self.record(("a-plain", "f32", "compiled", 1, verdict()), ("a-plain", "bf16", "compiled", 1, verdict()))
        self.assertEqual([(e["case"], e["dtype"], e["engine"]) for e in entries], [
            ("a-plain", "bf16", "compiled"), ("a-plain", "f32", "compiled"), ("a-plain", "f32", "interpret"),
            ("b-plain", "f32", "compiled")])

    def test_same_run_is_replaced(self):
        self.record(("a-plain", "f32", "compiled", 1, verdict(passed=False)), ("a-plain", "f32", "compiled", 7, verdict()))
        entry, = self.record(("a-plain", "f32", "compiled", 64, verdict(2e-6)))
        self.assertEqual((entry["chunk"], entry["diff"], entry["passed"]), (64, 2e-6, True))

    def test_no_figures(self):
        entry, = self.record(("a-plain", "bf16", "compiled", "-", verdict(math.nan, math.nan, math.inf, passed=False)))
        self.assertEqual((entry["diff"], entry["cosine"], entry["ratio"], entry["passed"]), (None, None, None, False))


if __name__ == "__main__":
    unittest.main()
