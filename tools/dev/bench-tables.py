#!/usr/bin/env python3
#===- bench-tables.py - The tables of docs/performance/README.md ------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: bench-tables.py MODEL-FORM…      (without one, their names)
#
# Measures decoding behind 128 tokens and prompts of 512 in clade, llama.cpp,
# OpenVINO GenAI and, in bf16, transformers, in alternation: `clade bench` with
# what each engine reads. MODEL is
#
#   gemma  Gemma 3 270M (tools/dev/models.sh)
#   llama  1.2 B random numbers in the sizes of Llama 3.2 1B
#   qwen3  1.7 B random numbers in the sizes of Qwen3 1.7B
#
# and FORM is what the weights are held as. clade and llama.cpp read the same GGUF
# file, bit for bit, but for int4 (clade's has a head in 8 bits, llama.cpp gets
# q4_0) and bf16. OpenVINO's files are made from the published form by
# optimum-intel: fp16, int8 a row, int4 in groups of 128.
#
# What is made lies in $CLADE_CACHE/bench and is made once: about 12 GB for all
# tables of llama, 17 for those of qwen3. --prepare makes it and measures nothing.
#
#===------------------------------------------------------------------------===#
import argparse
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2] / "test" / "Parity"))
import packages

FOLDER = packages.CACHE / "bench"
# What `clade tiny` writes: the sizes of the model that each is called after.
RANDOM = {
    "llama": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
              "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256, "max_position_embeddings": 131072,
              "tie_word_embeddings": "true"},
    "qwen3": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16,
              "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 40960,
              "tie_word_embeddings": "true"}}
# FORM: the GGUF file's type, clade's --weights (of the published form where None comes first), OpenVINO's form.
FORMS = {"bf16": ("bf16", None, "dense", "fp16"), "int8": ("q8_0", "file", "keep", "int8"),
         "int8_channel": ("q8_0", None, "int8_channel", "int8"), "int4": ("q4_0", None, "int4", "int4"),
         "q4_0": ("q4_0", "file", "keep", "int4"), "q4_k": ("q4_k", "file", "keep", "int4")}
TABLES = [f"{model}-{form}" for model in ("gemma", *RANDOM) for form in FORMS]


@contextlib.contextmanager
def made_at(path):
    """A place to write to, which becomes `path` when all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield part
        part.rename(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def write_tokenizer(folder, size):
    """A vocabulary of `size` tokens of bytes and numbers, which llama.cpp does not load a model without."""
    import tokenizers
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    words = alphabet + [f"t{i}" for i in range(size - len(alphabet))]
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))


class Models:
    def __init__(self, clade):
        self.clade = clade

    def call(self, *words):
        subprocess.run([self.clade, *map(str, words)], check=True, stdout=subprocess.DEVNULL)

    def published(self, model):
        if model == "gemma":
            made = subprocess.run([packages.TREE / "tools/dev/models.sh", "hf"], check=True, capture_output=True, text=True)
            return pathlib.Path(made.stdout.split()[-1])
        path = FOLDER / model
        if not path.exists():
            with made_at(path) as part:
                self.call("tiny", model, "-o", part, "--dtype", "bf16",
                          *(word for key, value in RANDOM[model].items() for word in ("--set", f"{key}={value}")))
                write_tokenizer(part, RANDOM[model]["vocab_size"])
        return path

    def gguf(self, model, kind):
        if model == "gemma" and kind == "q4_k":  # As it is published: Q4_K, Q6_K, Q5_0 and Q8_0.
            made = subprocess.run([packages.TREE / "tools/dev/models.sh", "gguf"], check=True, capture_output=True, text=True)
            return pathlib.Path(made.stdout.split()[-1])
        path = FOLDER / f"{model}-{kind}.gguf"
        if not path.exists():
            with made_at(path) as part:
                self.call("convert", self.published(model), "-o", part, "--to", "gguf", "--dtype", kind)
        return path

    def openvino(self, model, kind):
        path = FOLDER / f"{model}-openvino-{kind}"
        if not path.exists():
            folders = [packages.folder("openvino-export"), packages.folder("openvino")]
            search = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
            with made_at(path) as part:
                subprocess.run([sys.executable, "-m", "optimum.commands.optimum_cli", "export", "openvino", "--model",
                                self.published(model), "--task", "text-generation-with-past", "--weight-format", kind, part],
                               check=True, env=search, stdout=sys.stderr)
        return path


def measure(name, models, options):
    model, form = name.split("-")
    kind, source, weights, openvino = FORMS[form]
    checkpoint = models.gguf(model, kind) if source == "file" else models.published(model)
    peers, folders = [], []
    for peer in options.peers:
        if peer == "llama.cpp":
            peers.append(f"llama.cpp:{models.gguf(model, kind)}")
            folders.append(packages.folder("llama-cpp"))
        elif peer == "openvino":
            peers.append(f"openvino:{models.openvino(model, openvino)}")
            folders.append(packages.folder("openvino"))
        elif form == "bf16":
            peers.append(peer)
    # Behind what the reference environment has: bench-peer.py.
    found = {**os.environ, "CLADE_PEER_PACKAGES": os.pathsep.join(map(str, folders)), "CLADE_PYTHON": sys.executable}
    command = [options.clade, "bench", checkpoint, "--dtype", "bf16", "--weights", weights, "--prefill", "512", "--context", "128",
               "--batch", "1", "--rounds", options.rounds, "--steps", options.steps, "--threads", options.threads]
    if peers:
        command += ["--peers", ",".join(peers)]
    if options.prepare:
        return True
    print(f"\n{name}: {' '.join(map(str, command[1:]))}", flush=True)
    return subprocess.run(list(map(str, command)), env=found).returncode == 0


def main():
    parser = argparse.ArgumentParser(description="measure the tables of docs/performance/README.md")
    parser.add_argument("table", nargs="*", help=" ".join(TABLES))
    parser.add_argument("--clade", default=packages.TREE / "build/release/bin/clade", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", type=lambda s: [p for p in s.split(",") if p], default=["llama.cpp", "openvino", "transformers"])
    parser.add_argument("--prepare", action="store_true")
    options = parser.parse_args()
    unknown = [table for table in options.table if table not in TABLES]
    if unknown or not options.table:
        print(*TABLES, sep="\n")
        return 2 if unknown else 0
    models = Models(options.clade)
    return 0 if all([measure(table, models, options) for table in options.table]) else 1


if __name__ == "__main__":
    sys.exit(main())
