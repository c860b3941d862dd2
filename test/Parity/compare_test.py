#===- compare_test.py - The rules of parity reject what they must -----------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: python -m unittest compare_test (in this folder; needs numpy only)
#
#===------------------------------------------------------------------------===#
import unittest

import numpy as np

from compare import bf16_ulp, compare_bf16, compare_f32, compare_tokens, least_margin


def logits(seed=0, lengths=(5, 3), vocab=64):
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, vocab)).astype(np.float32) for n in lengths]


def off(batch, scale, seed=1):
    random = np.random.default_rng(seed)
    return [(a + scale * random.normal(size=a.shape)).astype(np.float32) for a in batch]


class F32(unittest.TestCase):
    def setUp(self):
        self.reference = logits()

    def assertFails(self, verdict, text):
        self.assertTrue(any(text in f for f in verdict.failures), verdict.failures)

    def test_equal(self):
        self.assertTrue(compare_f32(logits(), self.reference).passed)

    def test_rounding_passes(self):
        self.assertTrue(compare_f32(off(self.reference, 1e-6), self.reference).passed)

    def test_one_value_off_is_named(self):
        got = logits()
        got[1][2, 7] += 1e-4
        verdict = compare_f32(got, self.reference)
        self.assertFails(verdict, "sequence 1, position 2, logit 7")

    def test_far_off_fails_on_cosine(self):
        self.assertFails(compare_f32(off(self.reference, 1e-3), self.reference), "cosine")

    def test_missing_sequence(self):
        self.assertFails(compare_f32(logits()[:1], self.reference), "expected logits of 2 sequences, got 1")

    def test_missing_row(self):
        got = logits()
        got[0] = got[0][:-1]
        self.assertFails(compare_f32(got, self.reference), "sequence 0: expected logits [5, 64], got [4, 64]")

    def test_not_a_number(self):
        got = logits()
        got[0][3, 9] = np.nan
        self.assertFails(compare_f32(got, self.reference), "sequence 0, position 3: logit 9 is nan")


class ForcedTokens(unittest.TestCase):
    def pair(self, gap):
        """The reference prefers token 3 by `gap`, we prefer token 5."""
        reference = [np.zeros((1, 8), np.float32)]
        reference[0][0, 3], reference[0][0, 5] = 1000.0, 1000.0 - gap
        got = [reference[0].copy()]
        got[0][0, 5] = 1000.0 + 1e-3
        return got, reference

    def test_within_the_gap(self):
        verdict = compare_f32(*self.pair(0.005))
        self.assertEqual((verdict.passed, verdict.swapped), (True, 1), verdict.failures)

    def test_beyond_the_gap(self):
        self.assertIn("expected token 3, got 5", " ".join(compare_f32(*self.pair(0.02)).failures))

    def test_equal_logits_give_the_lowest_id(self):
        reference, got = [np.ones((1, 8), np.float32)], [np.ones((1, 8), np.float32)]
        reference[0][0, 6] = 1.0 - 2.0**-23
        verdict = compare_f32(got, reference)
        self.assertEqual((verdict.passed, verdict.swapped), (True, 0))

    def test_a_reference_of_zeros_proves_nothing(self):
        zeros = [np.zeros((1, 8), np.float32)]
        self.assertIn("all zero", compare_f32(zeros, zeros).failures[0])

    def test_ulp(self):
        self.assertEqual(bf16_ulp(1.0), 2.0**-7)
        self.assertEqual(bf16_ulp(1.99), 2.0**-7)
        self.assertEqual(bf16_ulp(-12.0), 2.0**-4)
        self.assertEqual(bf16_ulp(0.0), 0.0)

    def test_least_margin(self):
        rows = np.zeros((3, 8), np.float32)
        rows[0, 2], rows[1, 4], rows[2, 1] = 8.0, 1.0, -1.0
        rows[0, 3], rows[1, 5] = 7.5, 1.0 - 2.0**-6  # 8 and 2 steps
        rows[2, 0] = 3.0
        self.assertEqual(least_margin(rows), 2.0)
        self.assertEqual(least_margin(rows[:1]), 8.0)
        self.assertEqual(least_margin(np.zeros((1, 8), np.float32)), 0.0)


class Bf16(unittest.TestCase):
    def setUp(self):
        self.wide = logits(lengths=(50,))
        self.reference = off(self.wide, 1e-3, seed=2)

    def test_as_near_as_the_reference(self):
        verdict = compare_bf16(off(self.wide, 1e-3, seed=3), self.reference, self.wide)
        self.assertTrue(verdict.passed, verdict.failures)
        self.assertAlmostEqual(verdict.rms_ratio, 1.0, delta=0.05)

    def test_a_fifth_worse_fails_though_near(self):
        verdict = compare_bf16(off(self.wide, 1.2e-3, seed=3), self.reference, self.wide)
        self.assertIn("× the reference's", " ".join(verdict.failures))
        self.assertLess(verdict.difference, 4e-2)

    def test_far_from_the_reference(self):
        got = off(self.wide, 1e-3, seed=3)
        got[0][7, 8] += 0.5
        self.assertIn("position 7, logit 8", " ".join(compare_bf16(got, self.reference, self.wide).failures))

    def test_by_truth_beside_a_reference_that_is_far_itself(self):
        """An exact result is farther than the bound from such a reference; an error above the reference's own is not allowed."""
        self.reference[0][9, 4] += 0.2
        self.assertIn("bound 0.04", " ".join(compare_bf16(self.wide, self.reference, self.wide).failures))
        self.assertTrue(compare_bf16(self.wide, self.reference, self.wide, by_truth=True).passed)
        got = off(self.wide, 1e-3, seed=3)
        got[0][7, 8] += 0.19
        self.assertTrue(compare_bf16(got, self.reference, self.wide, by_truth=True).passed)
        got[0][7, 8] += 0.02
        failures = " ".join(compare_bf16(got, self.reference, self.wide, by_truth=True).failures)
        self.assertIn("the reference's own is", failures)
        self.assertIn("position 7, logit 8", failures)

    def test_by_truth_beside_a_near_reference_keeps_the_bound(self):
        got = off(self.wide, 1e-3, seed=3)
        got[0][7, 8] += 0.2
        self.assertIn("bound 0.04", " ".join(compare_bf16(got, self.reference, self.wide, by_truth=True).failures))

    def test_two_steps_may_be_swapped(self):
        wide = [np.zeros((1, 4), np.float32)]
        wide[0][0] = [1.0, 1.0 - 2 * 2.0**-7, 1.0 - 4 * 2.0**-7, -1.0]
        second, third = wide[0].copy(), wide[0].copy()
        second[0, 1] = 1.0 + 2.0**-9
        third[0, 2] = 1.0 + 2.0**-9
        self.assertFalse(any("token" in f for f in compare_bf16([second], wide, wide).failures))
        self.assertTrue(any("got 2" in f for f in compare_bf16([third], wide, wide).failures))

    def test_tokens_alone(self):
        wide = [np.zeros((1, 4), np.float32)]
        wide[0][0] = [1.0, 1.0 - 2 * 2.0**-7, 1.0 - 4 * 2.0**-7, -1.0]
        far, third = wide[0].copy(), wide[0].copy()
        far[0, 3] = -2.0
        third[0, 2] = 1.0 + 2.0**-9
        self.assertTrue(compare_tokens([far], wide, wide).passed)
        self.assertFalse(compare_bf16([far], wide, wide).passed)
        self.assertIn("expected token 0, got 2", compare_tokens([third], wide, wide).failures[0])
        self.assertIn("expected logits of 1 sequences, got 0", compare_tokens([], wide, wide).failures[0])

    def test_the_token_of_the_f32_run_is_right(self):
        """The reference's rounding chose token 0; the f32 run and we choose 2, which no gap would allow."""
        reference = [np.array([[1.0, 0.5, 1.0 - 4 * 2.0**-7, -1.0]], np.float32)]
        wide = [np.array([[1.0, 0.5, 1.0 + 2.0**-9, -1.0]], np.float32)]
        verdict = compare_tokens(wide, reference, wide)
        self.assertEqual((verdict.passed, verdict.swapped), (True, 1), verdict.failures)
        other = [np.array([[1.0, 1.0 + 2.0**-9, 0.9, -1.0]], np.float32)]
        self.assertIn("expected token 0, got 1", compare_tokens(other, reference, wide).failures[0])


if __name__ == "__main__":
    unittest.main()
