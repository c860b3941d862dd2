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
#   cat     the bytes of the safetensors files read into one buffer
#   fresh   as many bytes written to new memory, by a thread a core: what any loader
#           must do that keeps weights in another order than the file's
#   torch   safetensors.torch.load_file and the sum of every tensor's bytes
#   packed  clade: a packed artifact
#   clade   clade: `clade run` of the checkpoint, for the first time
#   kept    clade: the same, for which an earlier run kept its weights (clade run
#           --weight-cache)
#   panels  clade: an artifact whose weights are made of the checkpoint in memory
#   gguf    clade: `clade run` of a GGUF file of the same weights, in BF16
#   llama   llama.cpp (llama-cpp-python): that GGUF file
# Those of clade and llama.cpp are the time to the logits of one token, less that of one steady
# step, both as the program itself tells: what loading adds, whenever it is paid.
# `of cat` is the rate of each file's bytes beside the rate of cat. Cold means that
# the pages of all files were dropped (posix_fadvise) before each reading.
#
#===------------------------------------------------------------------------===#
import argparse
import concurrent.futures
import ctypes
import json
import mmap
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).parents[2] / "test" / "Parity"))
import packages

PIECE = 1 << 20  # bytes read at a time
STEPS = 8  # whose time is that of a steady one
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


def touch_memory(size):
    """Writes as much memory as a reading may take, in large pages. A virtual machine that gave pages back to its host waits
    for them at the first touch, a second for each half gigabyte on some, whoever touches them."""
    with mmap.mmap(-1, size) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, 4096):
            memory[at:at + 1] = b"x"


def write_fresh(size):
    """Seconds of writing as much new memory, in large pages, with a thread a core."""
    set_bytes = ctypes.CDLL(None).memset
    set_bytes.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    begin = time.perf_counter()
    memory = mmap.mmap(-1, size)
    memory.madvise(mmap.MADV_HUGEPAGE)
    view = (ctypes.c_char * size).from_buffer(memory)
    address = ctypes.addressof(view)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(lambda at: set_bytes(address + at, 1, min(4 * PIECE, size - at)), range(0, size, 4 * PIECE)))
    seconds = time.perf_counter() - begin
    del view
    memory.close()
    return seconds


def read_with_torch(paths):
    done = subprocess.run([sys.executable, "-c", TORCH, *paths], check=True, capture_output=True, text=True)
    return float(done.stdout)


LLAMA = """
import os, sys, time
sys.path[:0] = sys.argv[2].split(os.pathsep)
import llama_cpp
begin = time.perf_counter()
model = llama_cpp.Llama(sys.argv[1], n_ctx=256, n_threads=os.cpu_count(), verbose=False)
model.eval([2])
first = time.perf_counter() - begin
steps = []
for token in range(3, 3 + STEPS):
    begin = time.perf_counter()
    model.eval([token])
    steps.append(time.perf_counter() - begin)
print(first - sorted(steps)[len(steps) // 2])
""".replace("STEPS", str(STEPS))


def load(clade, model, cache=0, environment=None, *options):
    done = subprocess.run([clade, "run", model, "--tokens", "2", "--max-tokens", str(1 + STEPS), "--ignore-eos", "--json",
                           "--weight-cache", str(cache), *options], check=True, capture_output=True, text=True, env=environment)
    told = json.loads(done.stdout)
    return told["load_s"] + 1 / told["prefill_tok_s"] - 1 / told["decode_tok_s"]


def load_with_llama(file):
    done = subprocess.run([sys.executable, "-c", LLAMA, file, os.pathsep.join(sys.path)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main():
    parser = argparse.ArgumentParser(description="time of loading weights beside that of reading their bytes")
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--clade", default="build/release/bin/clade")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", default="cat,fresh,torch,packed,clade,kept,panels,gguf,llama", help="which, cat first")
    options = parser.parse_args()
    shards = sorted(options.checkpoint.glob("*.safetensors"))
    size = sum(p.stat().st_size for p in shards)
    with tempfile.TemporaryDirectory(prefix="clade-load-", dir=options.checkpoint.parent) as folder:
        plain, packed = pathlib.Path(folder, "plain"), pathlib.Path(folder, "packed")
        subprocess.run([options.clade, "compile", options.checkpoint, "-o", plain], check=True)
        wanted = options.ways.split(",")
        data, file = packed / "packed.bin", pathlib.Path(folder, "model.gguf")
        if "packed" in wanted:
            subprocess.run([options.clade, "convert", options.checkpoint, "-o", packed, "--to", "packed"], check=True,
                           stdout=subprocess.DEVNULL)
        if "gguf" in wanted or "llama" in wanted:
            subprocess.run([options.clade, "convert", options.checkpoint, "-o", file, "--to", "gguf", "--dtype", "bf16"], check=True,
                           stdout=subprocess.DEVNULL)
        if "llama" in wanted:
            packages.add("llama-cpp")
        own_cache = {**os.environ, "CLADE_CACHE": folder}
        if "kept" in wanted:
            print(f"the load that keeps its weights: {load(options.clade, plain, 16, own_cache):.2f} s", flush=True)
        kept = sorted(pathlib.Path(folder).glob("weights/*/packed.bin"))

        def bytes_of(path):
            return path.stat().st_size if path.exists() else 0

        ways = {"cat": (shards, size, lambda: read_plainly(shards)),
                "fresh": ([], size, lambda: write_fresh(size)),
                "torch": (shards, size, lambda: read_with_torch(shards)),
                "packed": ([data], bytes_of(data), lambda: load(options.clade, packed)),
                "clade": (shards, size, lambda: load(options.clade, options.checkpoint)),
                "panels": (shards, size, lambda: load(options.clade, plain)),
                "kept": (kept, bytes_of(kept[0]) if kept else 0, lambda: load(options.clade, plain, 16, own_cache)),
                "gguf": ([file], bytes_of(file), lambda: load(options.clade, file, 0, None, "--dtype", "bf16")),
                "llama": ([file], bytes_of(file), lambda: load_with_llama(file))}
        ways = {way: ways[way] for way in wanted}
        seconds = {(way, state): [] for way in ways for state in ("warm", "cold")}
        for _ in range(options.rounds):
            for state in ("warm", "cold"):
                for way, (files, _, run) in ways.items():
                    if state == "cold":
                        drop(files)
                    else:
                        read_plainly(files)
                    touch_memory(2 * size)
                    seconds[way, state].append(run())
    print(f"{size / 1e6:.0f} MB, median of {options.rounds}")
    print(f"{'':8s} {'warm':>8s} {'GB/s':>7s} {'of cat':>7s} {'cold':>8s} {'GB/s':>7s} {'of cat':>7s}")
    rates = {key: ways[key[0]][1] / statistics.median(times) / 1e9 for key, times in seconds.items()}
    for way in ways:
        cells = [(statistics.median(seconds[way, s]), rates[way, s], rates[way, s] / rates["cat", s]) for s in ("warm", "cold")]
        print(f"{way:8s} " + " ".join(f"{t:8.3f} {r:7.2f} {q:7.2f}" for t, r, q in cells))


if __name__ == "__main__":
    main()
