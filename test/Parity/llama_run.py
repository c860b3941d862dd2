#===- llama_run.py - GGUF files that Clade writes, read by llama.cpp --------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/llama_run.py [options] [PATTERN …]
#
# Loads files of `clade convert --to gguf` in llama.cpp (llama-cpp-python) and
# compares what it computes there, for each type of storage:
#   tiny   checkpoints of each family, with the file that llama.cpp's converter
#          would write: the same greedy tokens, since the bits are the same. Q4_K
#          and Q6_K, whose codes a quantiser chooses, by the next rule.
#   gemma  Gemma 3 270M, from a file that Clade did not write: the rms error of all
#          logits against the original's is at most 1.1 times that of llama.cpp's
#          own quantiser at the same type; and with types that lose little the
#          original's greedy tokens are the likeliest at each place, but where the
#          original's lead is less than what its rounding of activations moves
#          logits by (the rms difference of a file of the same weights in F32).
# Without a wheel of llama-cpp-python, and without what builds one, it is not run,
# and says so.
#
#===------------------------------------------------------------------------===#
import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import cases
import checkpoint
import clade
import gguf_write
import packages

KINDS = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K")
CHOSEN = ("Q4_K", "Q6_K")  # The quantiser chooses their codes.
FAITHFUL = ("F32", "F16", "BF16", "Q8_0", "Q6_K")
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q4_K": 14, "Q6_K": 18, "BF16": 32}
TINY = ("llama-plain", "llama-tied", "llama-linear", "llama-llama3", "llama-longrope", "llama-gguf-yarn", "mistral-full",
        "qwen2-plain",
        "qwen3-plain", "gemma2-gguf", "gemma3-gguf")
PROMPT = (5, 9, 2, 77, 31, 8)
TEXT = b"The capital of France is Paris, and the"
SLACK = 1.1


@contextlib.contextmanager
def quiet():
    """llama.cpp writes on the C streams."""
    kept = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class Llama:
    def __init__(self, module):
        self.module = module

    def open(self, path, **options):
        with quiet():
            return self.module.Llama(str(path), n_ctx=256, n_threads=2, verbose=False, **options)

    def tokens(self, path, text):
        return self.open(path, vocab_only=True).tokenize(text)

    def greedy(self, path, tokens, count):
        model, out = self.open(path), []
        with quiet():
            for token in model.generate(list(tokens), temp=0.0, top_k=1, repeat_penalty=1.0):
                out.append(token)
                if len(out) == count:
                    return out

    def logits(self, path, tokens):
        model = self.open(path, logits_all=True)
        with quiet():
            model.eval(list(tokens))
        return np.array(model.scores[:len(tokens)])

    def quantise(self, source, target, kind):
        params = self.module.llama_model_quantize_default_params()
        params.ftype, params.nthread, params.pure, params.allow_requantize = FILE_TYPES[kind], 2, True, True
        with quiet():
            return self.module.llama_model_quantize(str(source).encode(), str(target).encode(), params) == 0


def rms(a, b):
    return float(np.sqrt(np.mean(np.square(a.astype(np.float64) - b))))


def no_worse(llama, kind, ours, exact, tokens, reference, work):
    """What is wrong with the logits of a file whose codes were chosen, or None."""
    peer = work / f"peer-{kind}.gguf"
    if not llama.quantise(exact, peer, kind):
        return f"llama.cpp's quantiser refuses {kind}"
    error, limit = rms(ours, reference), rms(llama.logits(peer, tokens), reference)
    return None if error <= SLACK * limit else f"rms error of the logits {error:.4g}, with llama.cpp's quantiser {limit:.4g}"


def check_tiny(tool, llama, name, kind, work):
    path = checkpoint.write(next(c for c in cases.CASES if c.name == name)) / "f32"
    ours, theirs = work / "ours.gguf", work / "theirs.gguf"
    tool.call("convert", path, "-o", ours, "--to", "gguf", "--dtype", kind.lower())
    if kind in CHOSEN:
        exact = work / "exact.gguf"
        tool.call("convert", path, "-o", exact, "--to", "gguf", "--dtype", "f32")
        reference = llama.logits(exact, PROMPT)
        return no_worse(llama, kind, llama.logits(ours, PROMPT), exact, PROMPT, reference, work)
    contents, _ = gguf_write.contents_of(path, kind)
    gguf_write.write(contents, theirs)
    expected, got = (llama.greedy(f, PROMPT, 24) for f in (theirs, ours))
    return None if expected == got else f"tokens {got}, with the converter's file {expected}"


class Gemma:
    """The original, and what llama.cpp makes of it."""

    def __init__(self, tool, llama, work):
        self.tool, self.llama, self.work = tool, llama, work
        made = subprocess.run([packages.TREE / "tools/dev/models.sh", "gguf"], check=True, capture_output=True, text=True)
        self.original = pathlib.Path(made.stdout.strip())
        prompt = llama.tokens(self.original, TEXT)
        self.tokens = prompt + llama.greedy(self.original, prompt, 24)
        self.first = len(prompt) - 1
        self.logits = llama.logits(self.original, self.tokens)
        self.exact = self.convert("F32")
        self.noise = rms(llama.logits(self.exact, self.tokens), self.logits)

    def convert(self, kind):
        path = self.work / f"gemma-{kind}.gguf"
        if not path.exists():
            self.tool.call("convert", self.original, "-o", path, "--to", "gguf", "--dtype", kind.lower())
        return path

    def check(self, kind):
        file = self.convert(kind)
        if self.llama.tokens(file, TEXT) != self.llama.tokens(self.original, TEXT):
            return "another tokenisation"
        ours = self.llama.logits(file, self.tokens)
        problem = no_worse(self.llama, kind, ours, self.exact, self.tokens, self.logits, self.work)
        if problem or kind not in FAITHFUL:
            return problem
        for at in range(self.first, len(self.tokens) - 1):
            lead = self.logits[at].max() - self.logits[at][ours[at].argmax()]
            if lead > self.noise:
                return f"token {ours[at].argmax()} at {at}, which is {lead:.3g} behind in the original (rounding: {self.noise:.3g})"
        return None


def main():
    parser = argparse.ArgumentParser(description="load GGUF files that Clade writes in llama.cpp")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--kind", type=lambda s: s.split(","), default=KINDS, help="F32,F16,… (default: all)")
    clade.add_options(parser)
    options = parser.parse_args()
    try:
        packages.add("llama-cpp")
        import llama_cpp
    except (OSError, subprocess.CalledProcessError, ImportError) as error:
        print(f"not run: llama_run.py: no llama-cpp-python ({type(error).__name__}: {error})\n0 passed, 0 failed")
        return 0
    tool, llama = clade.Clade(options), Llama(llama_cpp)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="clade-llama-", dir=packages.CACHE) as folder:
        work, gemma = pathlib.Path(folder), None
        for name in (*TINY, "gemma-270m"):
            if options.pattern and not any(p in name for p in options.pattern):
                continue
            for kind in options.kind:
                try:
                    if name in TINY:
                        with tempfile.TemporaryDirectory(dir=work) as own:
                            problem = check_tiny(tool, llama, name, kind, pathlib.Path(own))
                    else:
                        gemma = gemma or Gemma(tool, llama, work)
                        problem = gemma.check(kind)
                except (clade.CladeError, ValueError, RuntimeError) as error:
                    problem = f"{type(error).__name__}: {error}"
                print(f"{name:20s} {kind:5s} {'FAIL' if problem else 'ok'}" + (f"\n    {problem}" if problem else ""), flush=True)
                passed += not problem
                failed += bool(problem)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
