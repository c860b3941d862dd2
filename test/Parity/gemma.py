#===- gemma.py - Parity of Gemma 3 270M -------------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/gemma.py [options]
#
# Eight prompts of 64 tokens, each followed by the reference's 64 greedy tokens,
# in f32 and in bf16, by the rules of compare.py; where the reference's bf16 run is
# itself far from its f32 run, by the distance to the latter. Then the GGUF file against the
# f32 checkpoint written from it, both by clade in f32. The models come from
# tools/dev/models.sh. The reference takes some minutes at first and is kept
# (1.6 GB). --sdpa judges the reference's own other implementation of attention
# by the same rules (docs/rationale/bf16-parity.md).
#
#===------------------------------------------------------------------------===#
import argparse
import json
import pathlib
import sys
import tempfile

import tokenizers
import torch

import checkpoint
import clade
import compare
import prompts
import reference
import run

MODELS = checkpoint.CACHE / "models"
PROMPT = STEPS = 64
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def requests(model):
    tokenizer = tokenizers.Tokenizer.from_file(str(MODELS / "gemma3-270m-hf" / "tokenizer.json"))
    for text in prompts.TEXTS:
        tokens = tokenizer.encode(text).ids
        assert len(tokens) >= PROMPT, f"a prompt has only {len(tokens)} tokens"
        yield reference.decode(model, tokens[:PROMPT], STEPS), tokens[:PROMPT]


def prepare():
    """The directory with f32 and bf16 logits of each prompt, both on the f32 run's greedy tokens."""
    out = checkpoint.CACHE / "parity" / f"gemma3-270m-{checkpoint.digest('gemma.py', 'prompts.py', 'reference.py')}"
    if out.exists():
        return out
    print("running the reference on Gemma 3 270M (some minutes, once)", file=sys.stderr, flush=True)
    with checkpoint.written_whole(out) as work:
        batch = []
        wide = reference.load(MODELS / "gemma3-270m-hf", torch.float32)
        for (logits, force), tokens in requests(wide):
            reference.save(work, f"f32-{len(batch)}", [logits])
            batch.append({"tokens": tokens, "force": force, "max_tokens": STEPS})
        (work / "batch.json").write_text(json.dumps(batch))
        narrow = reference.load(MODELS / "gemma3-270m-hf", torch.bfloat16)
        for i, request in enumerate(batch):
            logits, _ = reference.decode(narrow, request["tokens"], STEPS, request["force"])
            reference.save(work, f"bf16-{i}", [logits])
    return out


def verdict_of(got, dtype, out, i, tokens_only):
    wide = reference.read(out, f"f32-{i}")
    if dtype == "f32":
        return compare.compare_f32(got, wide)
    narrow = reference.read(out, f"bf16-{i}")
    if tokens_only:
        return compare.compare_tokens(got, narrow, wide)
    return compare.compare_bf16(got, narrow, wide, by_truth=True)


def attempt(report, name, dtype, engine, chunk, verdict):
    """Adds the verdict of a function that runs clade."""
    try:
        report.add(name, dtype, engine, chunk, verdict())
    except clade.CladeError as error:
        report.add(name, dtype, engine, chunk, compare.Verdict(failures=[str(error)]))


def judge_sdpa(options, out):
    report = run.Report(options.show)
    for dtype in options.dtype:
        model = reference.load(MODELS / "gemma3-270m-hf", TYPES[dtype], "sdpa")
        for i, request in enumerate(json.loads((out / "batch.json").read_text())[: options.prompts]):
            logits, _ = reference.decode(model, request["tokens"], STEPS, request["force"])
            report.add(f"gemma3-270m prompt {i}", dtype, "sdpa", 0, verdict_of(
                [logits.float().numpy()], dtype, out, i, options.tokens_only))
    return report.close()


def main():
    parser = argparse.ArgumentParser(description="compare clade with transformers on Gemma 3 270M")
    parser.add_argument("--dtype", type=run.names, default=run.DTYPES, help="f32,bf16 (default: both)")
    parser.add_argument("--prompts", type=int, default=len(prompts.TEXTS), metavar="N", help="only the first N")
    parser.add_argument("--chunk", type=int, default=64, help="prefill piece size (default: 64)")
    parser.add_argument("--show", type=int, default=3, help="failures to print of a comparison (default: 3)")
    parser.add_argument("--interpret", action="store_true", help="the reference interpreter instead of compiled code")
    parser.add_argument("--no-gguf", action="store_true", help="leave out the GGUF file")
    parser.add_argument("--tokens-only", action="store_true", help="bf16: judge by the forced-token rule alone")
    parser.add_argument("--sdpa", action="store_true", help="judge transformers with sdpa attention instead of clade")
    clade.add_options(parser)
    options = parser.parse_args()
    out = prepare()
    if options.sdpa:
        return judge_sdpa(options, out)
    tool = clade.Clade(options)
    batch = json.loads((out / "batch.json").read_text())[: options.prompts]
    engine = "interpret" if options.interpret else "compiled"
    report = run.Report(options.show)

    def logits(work, model, request, dtype):
        """One sequence: its logits alone are 134 MB. Compiles the model the first time."""
        target = MODELS / model
        if not options.interpret:
            target = pathlib.Path(work, f"{model}-{dtype}")
            if not target.exists():
                tool.compile(MODELS / model, target, dtype)
        return tool.logits(target, [request], options.chunk, options.interpret, dtype if options.interpret else None)

    with tempfile.TemporaryDirectory(prefix="clade-parity-") as work:
        for dtype in options.dtype:
            for i, request in enumerate(batch):
                attempt(report, f"gemma3-270m prompt {i}", dtype, engine, options.chunk,
                        lambda: verdict_of(logits(work, "gemma3-270m-hf", request, dtype), dtype, out, i,
                                           options.tokens_only))
        for i, request in enumerate([] if options.no_gguf else batch[:2]):
            attempt(report, f"gemma3-270m gguf {i}", "f32", engine, options.chunk,
                    lambda: compare.compare_f32(logits(work, "gemma3-270m.gguf", request, "f32"),
                                                logits(work, "gemma3-270m-f32", request, "f32")))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
