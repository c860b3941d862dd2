#===- compare.py - The rules of parity --------------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# When logits count as those of the published implementation (level 3 of the
# validation). All functions take lists of f32 arrays [token, vocab], one a
# sequence; a measure covers all sequences of a case together.
#
# f32: largest difference / largest reference value, and cosine.
# bf16: two correct implementations differ by up to 2e-2, so the sharper question
# is who is nearer to the truth: the rms error against an f32 run on the same
# bf16 weights may exceed that of the reference's own bf16 run by a tenth.
# Both: with the reference's tokens forced, the largest logit is the reference's
# at every position, or the reference itself holds the two for nearly equal. In
# bf16 the f32 run's largest logit is right as well: where the reference's own
# rounding chose another token, agreeing with the truth is no error.
#
#===------------------------------------------------------------------------===#
import math
from dataclasses import dataclass, field

import numpy as np

F32_DIFFERENCE = 1e-5
F32_COSINE = 0.99999999
F32_GAP = 1e-2
BF16_DIFFERENCE = 4e-2
BF16_REFERENCE_ERROR = BF16_DIFFERENCE / 2  # two runs, each so far from the truth, differ by at most BF16_DIFFERENCE
BF16_COSINE = 0.9995
BF16_RMS_RATIO = 1.10
BF16_GAP_ULPS = 2
DECIDED_ULPS = 2 * BF16_GAP_ULPS  # the lead in f32 that no bf16 run should lose: twice what may be swapped
BF16_FRACTION_BITS = 7


@dataclass
class Verdict:
    difference: float = math.nan  # largest difference / largest reference value
    cosine: float = math.nan  # of all logits, in f64
    rms_ratio: float = math.nan  # bf16 only
    swapped: int = 0  # positions whose argmax is not the reference's
    failures: list = field(default_factory=list)

    @property
    def passed(self):
        return not self.failures

    def columns(self):
        ratio = "     -" if math.isnan(self.rms_ratio) else f"{self.rms_ratio:6.3f}"
        return f"{self.difference:9.2e}  {1.0 - self.cosine:9.2e}  {ratio}  {self.swapped:7d}"


COLUMNS = "diff/max  1 - cosine  rms ratio  swapped"


def bf16_ulp(value):
    """The distance of neighbouring bf16 numbers at `value`."""
    return 2.0 ** (math.frexp(abs(float(value)))[1] - 1 - BF16_FRACTION_BITS) if value else 0.0


def least_margin(logits):
    """The smallest lead of the largest of a row of logits [token, vocab] over the second, in bf16 steps of the largest."""
    second, first = np.sort(logits, axis=1)[:, -2:].T
    return min((a - b) / bf16_ulp(a) if a else 0.0 for a, b in zip(first, second))


def check_shapes(got, reference):
    """What is wrong with the answer before any number is compared, or None."""
    if len(got) != len(reference):
        return f"expected logits of {len(reference)} sequences, got {len(got)}"
    for i, (ours, theirs) in enumerate(zip(got, reference)):
        if ours.shape != theirs.shape:
            return f"sequence {i}: expected logits {list(theirs.shape)}, got {list(ours.shape)}"
        if not np.isfinite(ours).all():
            token, entry = np.argwhere(~np.isfinite(ours))[0]
            return f"sequence {i}, position {token}: logit {entry} is {ours[token, entry]}"
    if not any(r.any() for r in reference):
        return "the reference logits are all zero, which proves nothing"
    return None


def worst(got, reference):
    """Where the largest difference is, in words."""
    found = [np.unravel_index(np.abs(a - b).argmax(), a.shape) for a, b in zip(got, reference)]
    i = max(range(len(got)), key=lambda k: abs(got[k][found[k]] - reference[k][found[k]]))
    token, entry = found[i]
    return (f"sequence {i}, position {token}, logit {entry}: "
            f"expected {reference[i][found[i]]:.7g}, got {got[i][found[i]]:.7g}")


def largest(got, reference):
    """The largest difference / the largest reference value."""
    return float(max(np.abs(a - b).max() for a, b in zip(got, reference)) / max(np.abs(r).max() for r in reference))


def distance(got, reference, verdict, most, cosine):
    """Fills in the largest difference and the cosine."""
    verdict.difference = largest(got, reference)
    a, b = (np.concatenate([x.ravel() for x in side]).astype(np.float64) for side in (got, reference))
    verdict.cosine = float(a @ b / math.sqrt((a @ a) * (b @ b)))
    if not verdict.difference < most:
        verdict.failures.append(f"difference {verdict.difference:.2e}, bound {most:g}; {worst(got, reference)}")
    if not verdict.cosine > cosine:
        verdict.failures.append(f"1 - cosine {1 - verdict.cosine:.2e}, bound {1 - cosine:.1e}")


def forced_argmax(got, reference, verdict, allowed, wide=None):
    """Compares the argmax at every position; `allowed` maps the top logit to the gap that may be swapped.

    `wide` is the f32 run that counts as the truth, if there is one: its argmax may stand in for the reference's.
    """
    for i, (ours, theirs) in enumerate(zip(got, reference)):
        # argmax gives the lowest of equal logits' ids, which is the rule
        mine, expected = ours.argmax(1), theirs.argmax(1)
        truth = expected if wide is None else wide[i].argmax(1)
        for token in np.nonzero(mine != expected)[0]:
            top = theirs[token, expected[token]]
            gap = top - theirs[token, mine[token]]
            verdict.swapped += 1
            if mine[token] != truth[token] and gap > allowed(top):
                verdict.failures.append(f"sequence {i}, position {token}: expected token {expected[token]}, got "
                                        f"{mine[token]}; the gap is {gap:.3g}, bound {allowed(top):.3g}")


def rms(got, reference):
    squares = sum(np.square(a - b, dtype=np.float64).sum() for a, b in zip(got, reference))
    return math.sqrt(squares / sum(a.size for a in got))


def compare_tokens(got, reference, wide):
    """The forced-token rule of bf16 alone, with the arguments of compare_bf16; difference and cosine are measured, not judged."""
    verdict = Verdict()
    problem = check_shapes(got, reference)
    if problem:
        verdict.failures.append(problem)
        return verdict
    distance(got, reference, verdict, math.inf, -math.inf)
    forced_argmax(got, reference, verdict, lambda top: BF16_GAP_ULPS * bf16_ulp(top), wide)
    return verdict


def compare_f32(got, reference, are_logits=True):
    """Without the rule of forced tokens where the rows are not logits."""
    verdict = Verdict()
    problem = check_shapes(got, reference)
    if problem:
        verdict.failures.append(problem)
        return verdict
    distance(got, reference, verdict, F32_DIFFERENCE, F32_COSINE)
    if are_logits:
        forced_argmax(got, reference, verdict, lambda top: F32_GAP)
    return verdict


def compare_bf16(got, reference, wide, by_truth=False, are_logits=True):
    """`reference` is the bf16 run, `wide` the f32 run on the same weights and tokens; `are_logits` as in compare_f32.

    `by_truth`: where the reference itself is farther than BF16_REFERENCE_ERROR from `wide`, so that even an exact
    result could be beyond BF16_DIFFERENCE of it, the largest error must be at most the reference's own instead.
    """
    verdict = Verdict()
    problem = check_shapes(got, reference)
    if problem:
        verdict.failures.append(problem)
        return verdict
    own = largest(reference, wide)
    if by_truth and own > BF16_REFERENCE_ERROR:
        distance(got, reference, verdict, math.inf, BF16_COSINE)
        error = largest(got, wide)
        if not error <= own:
            verdict.failures.append(f"error {error:.2e}, the reference's own is {own:.2e}; {worst(got, wide)}")
    else:
        distance(got, reference, verdict, BF16_DIFFERENCE, BF16_COSINE)
    ours, theirs = rms(got, wide), rms(reference, wide)
    verdict.rms_ratio = ours / theirs if theirs else (math.inf if ours else 1.0)
    if not verdict.rms_ratio <= BF16_RMS_RATIO:
        verdict.failures.append(f"rms error {ours:.3e}, {verdict.rms_ratio:.3f} × the reference's, "
                                f"bound {BF16_RMS_RATIO:.2f}; {worst(got, wide)}")
    if are_logits:
        forced_argmax(got, reference, verdict, lambda top: BF16_GAP_ULPS * bf16_ulp(top), wide)
    return verdict
