#===- clade.py - Calling the clade command ----------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The few commands that the parity tests use, as the command line contract has
# them. Whatever goes wrong is a CladeError with one line of explanation.
#
#===------------------------------------------------------------------------===#
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from safetensors.numpy import load_file


class CladeError(Exception):
    pass


def default_binary():
    tree = pathlib.Path(__file__).parents[2]
    built = [*tree.glob("build*/bin/clade"), *tree.glob("build*/*/bin/clade")]
    found = os.environ.get("CLADE") or max(built, key=lambda p: p.stat().st_mtime, default=None) or shutil.which("clade")
    return str(found) if found else None


def add_options(parser):
    """What every test that runs clade offers on its command line."""
    parser.add_argument("--clade", default=default_binary(), help="the binary (default: $CLADE, the newest build)")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="of one clade command")
    parser.add_argument("--threads", type=int, help="passed on to clade")
    parser.add_argument("--precision", choices=["reference", "fused"], help="passed on to clade compile")
    parser.add_argument("--latent", choices=["auto", "expanded", "absorbed"], help="passed on to clade")
    parser.add_argument("--scan-chunk", help="passed on to clade compile")


class Clade:
    def __init__(self, options):
        if not options.clade:
            raise SystemExit("no clade binary found: build it, or name it with --clade")
        self.binary = options.clade
        self.timeout = options.timeout
        self.run_options = ["--threads", options.threads] if options.threads else []
        self.compile_options = ["--precision", options.precision] if options.precision else []
        self.compile_options += ["--scan-chunk", options.scan_chunk] if options.scan_chunk else []
        # A form of the computation that the interpreter has as well.
        self.form = ["--latent", options.latent] if options.latent else []

    def run(self, *arguments):
        command = [self.binary, *map(str, arguments)]
        try:
            return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise CladeError(f"'clade {arguments[0]}' ran longer than {self.timeout:g} s") from None
        except OSError as error:
            raise CladeError(str(error)) from None

    def call(self, *arguments):
        done = self.run(*arguments)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["nothing on stderr"]
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
            line = next((s for s in said if "error" in s), said[-1])
            raise CladeError(f"'clade {arguments[0]}' ended with {how}: {line}")
        return done.stdout

    def failure(self, *arguments):
        """What a command says that must fail; a crash or a success says so instead."""
        try:
            done = self.run(*arguments)
        except CladeError as error:
            return str(error)
        if done.returncode == 1:
            return done.stderr.strip()
        return f"'clade {arguments[0]}' ended with status {done.returncode}"

    def compile(self, checkpoint, artifact, dtype=None):
        self.call("compile", checkpoint, "-o", artifact, *self.compile_options, *self.form,
                  *(["--dtype", dtype] if dtype else []))

    def logits(self, model, batch, chunk=None, interpret=False, dtype=None, replay=None, record=None, adapters=(),
               what="logits"):
        """Logits [token, vocab] of each sequence of a batch, a list of {tokens, force, max_tokens}. `replay` is a file
        of experts to choose, `record` one to write those to that the model would choose. `what`: or embeddings, of an encoder."""
        options = [*self.run_options, *(["--interpret", *self.form] if interpret else [])]
        options += ["--chunk", chunk] if chunk else []
        options += ["--dtype", dtype] if dtype else []
        for adapter in adapters:
            options += ["--adapter", adapter]
        options += ["--replay-experts", replay] if replay else []
        options += ["--record-experts", record] if record else []
        with tempfile.TemporaryDirectory(prefix="clade-parity-") as work:
            request, answer = pathlib.Path(work, "batch.json"), pathlib.Path(work, "rows.safetensors")
            request.write_text(json.dumps(batch))
            self.call("run", model, "--batch", request, f"--{what}", answer, *options)
            try:
                tensors = load_file(answer)
                return [tensors[f"{what}.{i}"] for i in range(len(tensors))]
            except (OSError, KeyError, ValueError) as error:
                raise CladeError(f"the {what} cannot be read: {error}") from None

    def generate(self, model, tokens, max_tokens):
        """What --json prints after greedy decoding that no stop token ends."""
        answer = self.call("run", model, "--tokens", ",".join(map(str, tokens)), "--max-tokens", max_tokens,
                           "--ignore-eos", "--json", *self.run_options)
        try:
            return json.loads(answer)
        except ValueError:
            raise CladeError(f"'clade run --json' printed no JSON object: {answer[:80]!r}") from None
