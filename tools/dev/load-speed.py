#===- load-speed.py - Loading weights beside reading their bytes -------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) tools/dev/load-speed.py CHECKPOINT [options]
#
# In one run, in turn, the median of some rounds, warm and cold:
#   cat     the bytes of the safetensors files read into nothing
#   torch   safetensors.torch.load_file and the sum of every tensor's bytes
#   packed  clade: mapping a packed artifact and reading every byte of its weights
#           (--verify-weights hashes all of them)
#   clade   clade: the weights made from the checkpoint, in the packed layout
# Cold means that the pages of all files were dropped (posix_fadvise) before each
# reading. The times of clade are its own (`load_s`).
#
#===------------------------------------------------------------------------===#
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PIECE = 1 << 20  # bytes read at a time
TORCH = """
import sys, time, torch
from safetensors.torch import load_file
begin = time.perf_counter()
total = 0
for path in sys.argv[1:]:
    for tensor in load_file(path).values():
        total += int(tensor.contiguous().view(-1).view(torch.uint8).view(-1)[: tensor.numel() * tensor.element_size() // 8 * 8]
                     .view(torch.int64).sum())
print(time.perf_counter() - begin)
"""


def drop(paths):
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_plainly(paths):
    """Seconds of reading all bytes into one buffer."""
    buffer = bytearray(PIECE)
    begin = time.perf_counter()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - begin


def read_with_torch(paths):
    done = subprocess.run([sys.executable, "-c", TORCH, *paths], check=True, capture_output=True, text=True)
    return float(done.stdout)


def load(clade, artifact, *options):
    done = subprocess.run([clade, "run", artifact, "--tokens", "1", "--max-tokens", "1", "--ignore-eos", "--json", *options],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["load_s"]


def main():
    parser = argparse.ArgumentParser(description="time of loading weights beside that of reading their bytes")
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--clade", default="build/release/bin/clade")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", default="cat,torch,packed,clade", help="which, cat first")
    options = parser.parse_args()
    shards = sorted(options.checkpoint.glob("*.safetensors"))
    size = sum(p.stat().st_size for p in shards)
    with tempfile.TemporaryDirectory(prefix="clade-load-", dir=options.checkpoint.parent) as folder:
        plain, packed = pathlib.Path(folder, "plain"), pathlib.Path(folder, "packed")
        subprocess.run([options.clade, "compile", options.checkpoint, "-o", plain], check=True)
        wanted = options.ways.split(",")
        data = packed / "packed.bin"
        if "packed" in wanted:
            subprocess.run([options.clade, "convert", options.checkpoint, "-o", packed, "--to", "packed"], check=True,
                           stdout=subprocess.DEVNULL)
        ways = {"cat": (shards, size, lambda: read_plainly(shards)),
                "torch": (shards, size, lambda: read_with_torch(shards)),
                "packed": ([data], data.stat().st_size if data.exists() else 0, lambda: load(options.clade, packed, "--verify-weights")),
                "clade": (shards, size, lambda: load(options.clade, plain))}
        ways = {way: ways[way] for way in wanted}
        seconds = {(way, state): [] for way in ways for state in ("warm", "cold")}
        for _ in range(options.rounds):
            for state in ("warm", "cold"):
                for way, (files, _, run) in ways.items():
                    if state == "cold":
                        drop(files)
                    else:
                        read_plainly(files)
                    seconds[way, state].append(run())
    print(f"{size / 1e6:.0f} MB, median of {options.rounds}")
    print(f"{'':8s} {'warm':>8s} {'GB/s':>7s} {'of cat':>7s} {'cold':>8s} {'GB/s':>7s} {'of cat':>7s}")
    rates = {key: ways[key[0]][1] / statistics.median(times) / 1e9 for key, times in seconds.items()}
    for way in ways:
        cells = [(statistics.median(seconds[way, s]), rates[way, s], rates[way, s] / rates["cat", s]) for s in ("warm", "cold")]
        print(f"{way:8s} " + " ".join(f"{t:8.3f} {r:7.2f} {q:7.2f}" for t, r, q in cells))


if __name__ == "__main__":
    main()
