#!/usr/bin/env python3
#===- compare.py - Clade's tokenizer against the tokenizers library ------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===#
#
# Encodes and decodes more than 10,000 texts with both, for tokenizers of every
# kind that it trains on the spot and for the tokenizer.json files named on the
# command line. Any difference is printed with both results and fails the run.
#
#===----------------------------------------------------------------------===#

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile

os.environ["RUST_BACKTRACE"] = "0"  # Panics of the library are expected; see decoded().
import tokenizers

import kinds
import strings


def decoded(tokenizer, ids, skip):
    """The text of the ids; None where the library panics (Strip on an empty text)."""
    try:
        return tokenizer.decode(ids, skip_special_tokens=skip)
    except BaseException as error:  # PanicException is not an Exception.
        if type(error).__name__ != "PanicException":
            raise
        return None


def expected(tokenizer, text):
    """What the library makes of a text; its input is the valid form of the bytes."""
    text = text.decode("utf-8", "replace")
    ids = tokenizer.encode(text).ids
    return {"ids": ids,
            "plain": tokenizer.encode(text, add_special_tokens=False).ids,
            "text": decoded(tokenizer, ids, True),
            "full": decoded(tokenizer, ids, False)}


def same(want, got):
    return all(got.get(key) == value for key, value in want.items() if value is not None)


def actual(dump, arguments, texts_path):
    """What Clade makes of the texts, one result after another."""
    run = subprocess.run([dump, *arguments, texts_path], stdout=subprocess.PIPE, check=False)
    if run.returncode != 0:
        sys.exit(f"{dump} {' '.join(arguments)}: exit status {run.returncode}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def report(name, text, want, got):
    print(f"{name}: different results for {text!r}")
    for key in want:
        if got.get(key) != want[key]:
            print(f"  {key}\n    tokenizers {want[key]!r}\n    clade      {got.get(key)!r}")
    if "error" in got:
        print(f"  error: {got['error']}")


class Comparison:
    """Runs the texts through both tokenizers and counts the differences."""

    def __init__(self, dump, texts, keep_going):
        self.dump = dump
        self.texts = texts
        self.keep_going = keep_going
        self.failures = 0
        self.runs = 0

    def compare(self, name, tokenizer, arguments):
        """Compares the library's tokenizer with what the arguments of dump load."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        texts = self.texts
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "texts.json")
            with open(path, "w", encoding="ascii") as file:
                json.dump([base64.b64encode(text).decode() for text in texts], file)
            results = actual(self.dump, arguments, path)
            streamed = actual(self.dump, ["--stream", *arguments], path)
        if len(results) != len(texts) or len(streamed) != len(texts):
            sys.exit(f"{name}: {len(texts)} texts, but {len(results)} and {len(streamed)} results")
        failures = 0
        for text, got, stream in zip(texts, results, streamed):
            want = expected(tokenizer, text)
            # A stream keeps characters that a bad run of byte tokens loses; the text
            # then holds U+FFFD. Everywhere else it gives the same.
            if "\ufffd" in (want["full"] or ""):
                stream = want
            wrong = [result for result in (got, stream) if not same(want, result)]
            if wrong:
                report(name, text, want, wrong[0])
                failures += 1
                if not self.keep_going:
                    break
        self.failures += failures
        self.runs += 1
        outcome = f"{failures} different" if failures else "identical"
        print(f"{name}: {len(texts)} texts, {outcome}", flush=True)

    def compare_file(self, name, path):
        self.compare(name, tokenizers.Tokenizer.from_file(path), [path])

    def compare_gguf(self, name, tokenizer, vocabulary):
        """`vocabulary` is what tokenizer.ggml.* says, without that prefix."""
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(vocabulary, file)
            file.flush()
            self.compare(name, tokenizer, ["--gguf", file.name])


def gguf_vocabulary(path):
    """The tokenizer's metadata of a GGUF file."""
    import gguf
    prefix = "tokenizer.ggml."
    fields = gguf.GGUFReader(path).fields
    return {key[len(prefix):]: field.contents() for key, field in fields.items()
            if key.startswith(prefix)}


def main():
    parser = argparse.ArgumentParser(description="Compares Clade's tokenizer with the library.")
    parser.add_argument("dump", help="the program tokenizer-dump")
    parser.add_argument("files", nargs="*", help="tokenizer.json files to compare as well")
    parser.add_argument("--gguf", nargs=2, action="append", default=[],
                        metavar=("GGUF", "JSON"),
                        help="a GGUF file, and the tokenizer.json of the same model")
    parser.add_argument("--texts", type=int, default=12000, help="how many texts")
    parser.add_argument("--every-character", action="store_true",
                        help="also texts with every assigned character of Unicode")
    parser.add_argument("--only", help="only kinds whose name contains this")
    parser.add_argument("--keep-going", action="store_true", help="print all differences")
    options = parser.parse_intermixed_args()

    texts = strings.texts(options.texts)
    if options.every_character:
        texts += strings.every_character()
    run = Comparison(options.dump, texts, options.keep_going)
    with tempfile.TemporaryDirectory() as folder:
        for name, path in kinds.write_all(folder, options.only):
            run.compare_file(name, path)
    for name, tokenizer, vocabulary in kinds.gguf_kinds(options.only):
        run.compare_gguf(name, tokenizer, vocabulary)
    for path in options.files:
        run.compare_file(path, path)
    # GGUF keeps SentencePiece's longest tokens of spaces whole, tokenizer.json builds
    # spaces from merges; beyond the longest token these are not the same.
    run.texts = [text for text in texts if b" " * 32 not in text]
    for path, json_path in options.gguf:
        run.compare_gguf(path, tokenizers.Tokenizer.from_file(json_path), gguf_vocabulary(path))
    if not run.runs:
        sys.exit("nothing to compare")
    sys.exit(1 if run.failures else 0)


if __name__ == "__main__":
    main()
