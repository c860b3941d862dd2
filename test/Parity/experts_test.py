#===- experts_test.py - Recording, replaying and comparing choices ----------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: python -m unittest experts_test (in this folder; needs torch and
# transformers)
#
#===------------------------------------------------------------------------===#
import pathlib
import tempfile
import unittest

import torch
from torch import nn

import experts

INF = float("inf")


class TinyTopKRouter(nn.Module):
    """Four experts in two groups, of which one stays, by the sum of its two scores; two experts of it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(4))

    def forward(self, x):
        groups = x.view(-1, 2, 2).sum(-1)
        best = torch.topk(groups, k=1, dim=-1)[1]
        keep = torch.zeros_like(groups).scatter(1, best, 1).repeat_interleave(2, 1)
        chosen = torch.topk(x.masked_fill(keep == 0, -INF), k=2, dim=-1, sorted=False)[1]
        return x, x.gather(1, chosen), chosen


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = TinyTopKRouter()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1, 1), Layer()])

    def forward(self, x):
        return self.layers[1].gate(x)


def table(rows):
    return torch.tensor(rows, dtype=torch.int32)


class Recording(unittest.TestCase):
    X = torch.tensor([[4.0, 3.0, 1.0, 2.0], [0.0, 1.0, 2.0, 5.0]])

    def test_finds_routers_by_layer(self):
        self.assertEqual(list(experts.routers(Model())), [1])

    def test_records_each_call(self):
        model = Model()
        with experts.recorded(model) as choices:
            model(self.X[:1])
            model(self.X[1:])
        chosen, scores, groups = choices[1].table()
        self.assertEqual(chosen.tolist(), [[0, 1], [3, 2]])
        self.assertEqual(scores.tolist(), [[4, 3, -INF, -INF], [-INF, -INF, 2, 5]])
        self.assertEqual(groups.tolist(), [2.0, 3.0])  # (7 - 3) / 2 and (7 - 1) / 2

    def test_replays_and_tells_its_own(self):
        model = Model()
        with experts.recorded(model, {1: table([[1, 0], [2, 3]])}) as choices:
            _, shares, made = model(self.X[:1])
            self.assertEqual((shares.tolist(), made.tolist()), ([[3, 4]], [[1, 0]]))
            _, shares, made = model(self.X[1:])
            self.assertEqual((shares.tolist(), made.tolist()), ([[2, 5]], [[2, 3]]))
        self.assertEqual(choices[1].table()[0].tolist(), [[0, 1], [3, 2]])

    def test_ends_with_the_body(self):
        model, topk = Model(), torch.topk
        with self.assertRaises(RuntimeError):
            with experts.recorded(model, {1: table([[9, 9]])}):
                model(self.X[:1])
        self.assertIs(torch.topk, topk)
        self.assertEqual(model(self.X[:1])[2].tolist(), [[0, 1]])


class Margins(unittest.TestCase):
    def test_margin_is_between_the_last_and_the_first_not(self):
        scores = torch.tensor([[5.0, 1.0, 4.0, 3.5], [0.0, 0.0, 1.0, 1.0]])
        self.assertEqual(experts.margins(scores, table([[0, 2], [2, 3]])).tolist(), [0.5, 1.0])

    def test_all_chosen_has_no_margin(self):
        self.assertEqual(experts.margins(torch.tensor([[1.0, 2.0]]), table([[0, 1]])).tolist(), [INF])

    def test_order_is_no_difference(self):
        self.assertEqual(experts.differing(table([[1, 2], [3, 0]]), table([[2, 1], [3, 1]])).tolist(), [False, True])

    def test_bounds_ignore_what_no_expert_scores(self):
        choices = [{0: (table([[0]]), torch.tensor([[2.0, -INF]]), None)}]
        self.assertAlmostEqual(experts.f32_bounds(choices)[0], 4e-5)
        wide = [{0: (table([[0]]), torch.tensor([[2.5, -INF]]), None)}]
        self.assertAlmostEqual(experts.bf16_bounds(choices, wide)[0], 1.1)


class Comparing(unittest.TestCase):
    THEIRS = [{3: table([[0, 1], [2, 3]])}]
    LIMITS = {"layers.3.0.margin": torch.tensor([0.5, 0.01]), "layers.3.0.bound": torch.tensor(0.1)}

    def compare(self, ours):
        return experts.compare_choices(ours, self.THEIRS, self.LIMITS)

    def test_equal(self):
        agreement = self.compare([{3: table([[1, 0], [3, 2]])}])
        self.assertEqual((agreement.tokens, agreement.differ, agreement.failures), (2, 0, []))
        self.assertEqual(agreement.line(), "0 of 2 choices differ")

    def test_small_margin_passes_and_is_counted(self):
        agreement = self.compare([{3: table([[0, 1], [2, 0]])}])
        self.assertEqual((agreement.differ, agreement.failures), (1, []))
        self.assertIn("largest margin 0.10 of the bound", agreement.line())

    def test_large_margin_fails(self):
        agreement = self.compare([{3: table([[0, 2], [2, 3]])}])
        self.assertEqual(len(agreement.failures), 1)
        self.assertIn("layer 3, position 0: expected experts [0, 1], got [0, 2]; the margin is 0.5, bound 0.1",
                      agreement.failures[0])

    def test_missing_layers_sequences_and_tokens_fail(self):
        self.assertIn("expected choices of layers [3], got [2]", self.compare([{2: table([[0, 1]])}]).failures[0])
        self.assertIn("expected choices of 1 sequences, got 0", self.compare([]).failures[0])
        self.assertIn("expected choices [2, 2], got [1, 2]", self.compare([{3: table([[0, 1]])}]).failures[0])

    def test_files_keep_layers_and_sequences(self):
        made = [{0: (table([[1]]), None), 12: (table([[2]]), None)}, {0: (table([[3]]), None), 12: (table([[4]]), None)}]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "choices.safetensors")
            experts.save_choices(path, made)
            again = experts.read_choices(path)
        self.assertEqual([{layer: rows.tolist() for layer, rows in one.items()} for one in again],
                         [{0: [[1]], 12: [[2]]}, {0: [[3]], 12: [[4]]}])


if __name__ == "__main__":
    unittest.main()
