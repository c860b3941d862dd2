#===- speed.py - Gemma 3 270M beside transformers ---------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/speed.py [options]
#
# Prefill and greedy decode in bf16, the two in turn in the same run, on prompts
# that neither has seen, medians. transformers uses its default attention and is
# loaded and warmed up once; clade reports its own times without the loading.
# Passes when clade is faster at both.
#
#===------------------------------------------------------------------------===#
import argparse
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

import torch
import transformers

import checkpoint
import clade
import reference

MODEL = checkpoint.CACHE / "models" / "gemma3-270m-hf"


@torch.no_grad()
def transformers_speed(model, tokens, steps):
    """Tokens per second of prefill and of decode."""
    cache = transformers.DynamicCache(config=model.config)

    def step(ids):
        # logits_to_keep: only the last token's logits are wanted, as in `generate`
        return model(torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]

    start = time.perf_counter()
    token = int(step(tokens).argmax())
    middle = time.perf_counter()
    for _ in range(steps):
        token = int(step([token]).argmax())
    end = time.perf_counter()
    return len(tokens) / (middle - start), steps / (end - middle)


def clade_speed(tool, artifact, tokens, steps):
    said = tool.generate(artifact, tokens, steps)
    if len(said["tokens"]) != steps:
        raise clade.CladeError(f"expected {steps} tokens, got {len(said['tokens'])}")
    return said["prefill_tok_s"], said["decode_tok_s"]


def main():
    parser = argparse.ArgumentParser(description="decode and prefill speed of Gemma 3 270M, clade beside transformers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512, metavar="TOKENS")
    parser.add_argument("--steps", type=int, default=64, metavar="TOKENS")
    clade.add_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads or os.cpu_count())
    tool = clade.Clade(options)
    model = reference.load(MODEL, torch.bfloat16, attention="sdpa")
    draw = random.SystemRandom()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="clade-speed-") as work:
        artifact = pathlib.Path(work, "artifact")
        tool.compile(MODEL, artifact, "bf16")
        transformers_speed(model, [2, 5, 7], 2)
        for _ in range(options.rounds):
            tokens = [2, *(draw.randrange(1000, 200000) for _ in range(options.prompt - 1))]
            theirs.append(transformers_speed(model, tokens, options.steps))
            ours.append(clade_speed(tool, artifact, tokens, options.steps))

    print(f"{'tok/s, median of ' + str(options.rounds):22s} {'clade':>9s} {'transformers':>13s} {'ratio':>7s}")
    passed = 0
    for i, what in enumerate(("prefill", "decode")):
        mine, other = (statistics.median(row[i] for row in rows) for rows in (ours, theirs))
        passed += mine > other
        print(f"{what + ' ' + str((options.prompt, options.steps)[i]):22s} {mine:9.1f} {other:13.1f} {mine / other:7.2f}"
              f"  {'ok' if mine > other else 'FAIL'}")
    print(f"{passed} passed, {2 - passed} failed")
    return 0 if passed == 2 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except clade.CladeError as failure:
        print(f"error: {failure}", file=sys.stderr)
        print("0 passed, 1 failed")
        sys.exit(1)
