#!/usr/bin/env python3
#===- gpu-report.py - Kernels on a GPU, beside what is predicted ------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Checks and measures generated kernels on a GPU.

Usage: gpu-report.py --clade CLADE [--virtual LIBRARY] [--minutes N] [--set KEY=VALUE…] [--prompt N] [--tokens N]
                     [--families NAME,NAME…]
       gpu-report.py --clade CLADE --virtual LIBRARY --predict [--page PAGE]

On a GPU (the driver that CLADE_CUDA_DRIVER names, or libcuda.so.1), in at most N minutes (8):

1. parity: logits of small models of several families, in f32 and bf16, against the CPU's, by the bounds of the tests;
2. every kernel of a prompt and of decoding in one layer of a model, by events around its launch: the fastest of all launches of
   that kernel with that grid, beside what the virtual driver (--virtual, its library) predicts for a GPU of that kind;
3. the same products by cuBLASLt and the same attention by PyTorch, if there is a PyTorch that has the GPU.

What there is no time for is said to be left out. Without a GPU the report says so, predicts for A100, H100 and B200 if it may, and
ends with status 2: nothing was measured. --predict does that alone, with status 0, and with --page writes the table between the lines
`<!-- predicted -->` and `<!-- predicted end -->`. Where the driver is the virtual one, times are those of the CPU and are marked so.
"""
import argparse
import contextlib
import ctypes
import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- predicted -->\n", "<!-- predicted end -->\n"
GPUS = {"sm_80": "A100", "sm_90a": "H100", "sm_100a": "B200"}
# One layer of Llama 3.2 1B, with a small vocabulary.
LAYER = {"hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
         "vocab_size": 4096, "num_hidden_layers": 1}
FAMILIES = "llama,gemma2,gpt_oss,bloom,deepseek_v3,qwen3"


def load_check():
    inputs = ROOT / "test/CodeGen/CUDA/Inputs"
    sys.path.append(str(inputs))
    spec = importlib.util.spec_from_file_location("check", inputs / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class NoGpu(Exception):
    pass


def find_gpu(path):
    """The name and capability of GPU 0 of the driver at `path`, and whether it is the virtual one."""
    try:
        driver = ctypes.CDLL(path)
    except OSError as error:
        raise NoGpu(f"cannot load the driver: {error}") from None
    if not hasattr(driver, "cuInit"):
        raise NoGpu(f"'{path}' is no CUDA driver")
    status = driver.cuInit(0)
    count = ctypes.c_int(0)
    if status or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        raise NoGpu(f"the driver '{path}' has none" + (f" (cuInit gives {status})" if status else ""))
    name, major, minor = ctypes.create_string_buffer(256), ctypes.c_int(0), ctypes.c_int(0)
    driver.cuDeviceGetName(name, 255, 0)
    driver.cuDeviceGetAttribute(ctypes.byref(major), 75, 0)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, 0)
    return name.value.decode(), 10 * major.value + minor.value, hasattr(driver, "cladeCudaLastReport")


class Clade:
    def __init__(self, path):
        self.path = path

    def __call__(self, *arguments, **environment):
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, env=os.environ | environment)
        if done.returncode:
            sys.exit(f"gpu-report: clade {' '.join(map(str, arguments))}\n{done.stderr}")
        return done.stdout


class Layer:
    """A model of one layer, its artifact with code for `arch`, and the command that runs a prompt and some tokens."""

    def __init__(self, clade, folder, settings, prompt, tokens, arch):
        self.clade, self.artifact, self.settings, self.prompt = clade, folder / f"layer.{arch}", settings, prompt
        model = folder / "layer"
        if not model.exists():
            clade("tiny", "llama", "-o", model, *(f"--set={key}={value}" for key, value in settings.items()))
        clade("compile", model, "--dtype", "bf16", "--target", "cuda", "--arch", arch, "-o", self.artifact)
        self.plan = json.loads((self.artifact / "launches.json").read_text())
        self.batch = folder / "batch.json"
        self.batch.write_text(json.dumps([{"tokens": [i * 37 % 251 + 3 for i in range(prompt)], "force": [5] * (tokens + 1)}]))

    def run(self, **environment):
        self.clade("run", self.artifact, "--batch", self.batch, **environment)

    def products(self):
        """Of each kernel of a product its sizes (n, k), by the order of products in a layer."""
        s = self.settings
        heads, kv, size, d = s["num_attention_heads"], s["num_key_value_heads"], s["head_dim"], s["hidden_size"]
        sizes = [((heads + 2 * kv) * size, d), (d, heads * size), (2 * s["intermediate_size"], d), (d, s["intermediate_size"]),
                 (s["vocab_size"], d)]
        found, order = {}, []
        for launch in self.plan["launches"]:
            name = launch["kernel"]
            if not re.match(r"product_(?!input)", name) or name in found:
                continue
            if "min_rows" not in launch:
                order.append(name)
            found[name] = sizes[len(order) - 1]
        # The streaming kernel has four features in a block.
        for name, (n, _) in zip(order, sizes):
            assert self.plan["kernels"][name]["columns"] == -(-n // 4), (name, n)
        return found


def kind_of(kernel):
    return re.sub(r"_\d+$", "", kernel)


def predictions(layer, virtual, arch, folder):
    """Of each launch (kernel, grid) what is predicted, in the order of launches."""
    report = folder / f"{arch}.report"
    report.unlink(missing_ok=True)
    layer.run(CLADE_CUDA_DRIVER=virtual, CLADE_CUDA_DEVICES=arch, CLADE_CUDA_CHECKS="none", CLADE_CUDA_REPORT=str(report),
              CLADE_CUDA_MEMORY="8192", CLADE_CUDA_QUIET="1")
    found = {}
    for line in report.read_text().splitlines():
        launch = json.loads(line)
        if launch["predicted"]:
            found.setdefault((launch["kernel"], *launch["grid"][:2]), launch["predicted"] | {"share": launch["tensorShare"]})
    return found


def measured(layer, folder, runs=3):
    """The fastest of each launch in microseconds, by (kernel, grid), in the order of launches."""
    times, best = folder / "times", {}
    times.unlink(missing_ok=True)
    for _ in range(runs):
        layer.run(CLADE_CUDA_TIMES=str(times))
    for line in times.read_text().splitlines():
        for launch in json.loads(line)["launches"]:
            key = launch["kernel"], launch["columns"], launch["blocks"]
            best[key] = min(best.get(key, float("inf")), launch["us"])
    return best


def prediction_table(layers, virtual, folder):
    """A line for each launch of a prompt and of decoding, a column for each GPU, with code for it."""
    all_gpus = {arch: list(predictions(layer, virtual, arch, folder).items()) for arch, layer in layers.items()}
    text = "| kernel | grid | " + " | ".join(f"{name}, µs | by" for name in GPUS.values()) + " | DRAM, MB | tensor cores |\n"
    text += "|---|---|" + "---|---|" * len(GPUS) + "---|---|\n"
    for launches in zip(*all_gpus.values(), strict=True):
        key, first = launches[0]
        shape = kind_of(key[0]), f"{key[1]} × {key[2]}"
        cells = [*shape]
        for other, one in launches:
            # Another kernel is for so many rows there.
            own = kind_of(other[0]), f"{other[1]} × {other[2]}"
            cells += [f"{one['seconds'] * 1e6:.2f}", one["bound"] + ("" if own == shape else f" ({own[0]}, {own[1]})")]
        cells += [f"{(first['dramReadBytes'] + first['dramWriteBytes']) / 1e6:.2f}", f"{first['share']:.0%}"]
        text += "| " + " | ".join(cells) + " |\n"
    return text


def check_parity(clade, folder, families, arch, is_late):
    compare = load_check().compare_logits
    tokens = ",".join(str(i * 37 % 251 + 3) for i in range(40))
    for dtype in ("f32", "bf16"):
        for family in families:
            if is_late():
                print(f"| {family} | {dtype} | left out: no time |")
                continue
            model, logits = folder / f"{family}-{dtype}", []
            clade("tiny", family, "-o", model)
            for name, target, own in ("cpu", "cpu", dtype), ("gpu", "cuda", dtype), ("truth", "cpu", "f32"):
                if name == "truth" and dtype == "f32":
                    continue
                artifact = folder / "parity.artifact"
                code = ("--arch", arch) if target == "cuda" else ()
                clade("compile", model, "--dtype", own, "--target", target, *code, "-o", artifact)
                logits.append(folder / f"{family}.{name}")
                clade("run", artifact, "--tokens", tokens, "--force", "5,6,7", "--chunk", "16", "--logits", logits[-1])
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    compare(*logits)
                print(f"| {family} | {dtype} | within the bounds |")
            except AssertionError as error:
                print(f"| {family} | {dtype} | **differs**: {error} |")


def compare_peers(layer, is_late):
    """Products by cuBLASLt and attention by PyTorch, in microseconds by what they are."""
    try:
        import torch  # pylint: disable=import-outside-toplevel
    except ImportError:
        return None, "no PyTorch"
    if not torch.cuda.is_available():
        return None, "the PyTorch that is installed has no GPU"
    torch.backends.cuda.preferred_blas_library("cublaslt")

    def fastest(run):
        for _ in range(3):
            run()
        best = float("inf")
        for _ in range(20):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            run()
            end.record()
            end.synchronize()
            best = min(best, begin.elapsed_time(end) * 1e3)
        return best

    def random(*sizes):
        return torch.randn(*sizes, device="cuda", dtype=torch.bfloat16)

    found, s = {}, layer.settings
    for rows in (layer.prompt, 1):
        for n, k in sorted(set(layer.products().values())):
            if is_late():
                return found, "no time for all"
            x, w = random(rows, k), random(n, k)
            found["product", rows, n, k] = fastest(lambda: torch.nn.functional.linear(x, w))
        q = random(1, s["num_attention_heads"], rows, s["head_dim"])
        keys, values = (random(1, s["num_key_value_heads"], layer.prompt, s["head_dim"]) for _ in range(2))
        found["attention", rows] = fastest(lambda: torch.nn.functional.scaled_dot_product_attention(
            q, keys, values, is_causal=rows > 1, enable_gqa=True))
    return found, ""


def peer_of(peers, layer, key):
    """What PyTorch needs for a launch, None if it is nothing that it has one call for."""
    kernel, _, blocks = key
    products = layer.products()
    rows = layer.prompt if blocks > 1 or layer.plan["kernels"][kernel]["rows_per_block"] >= layer.prompt else 1
    if kernel in products:
        return (peers or {}).get(("product", rows, *products[kernel]))
    if kind_of(kernel) in ("attention_tiled", "attention_slices"):
        return (peers or {}).get(("attention", layer.prompt if kind_of(kernel) == "attention_tiled" else 1))
    return None


def measure(layer, virtual, arch, folder, is_late):
    times = measured(layer, folder)
    predicted, peers, reason = {}, None, "no time"
    if not is_late():
        peers, reason = compare_peers(layer, is_late)
    if reason:
        print(f"cuBLASLt and PyTorch: {reason}\n")
    if virtual and arch and not is_late():
        predicted = predictions(layer, virtual, arch, folder)
    else:
        print("predictions: " + ("no time" if arch and virtual else "none for this GPU") + "\n")
    print("| kernel | grid | measured, µs | predicted, µs | measured / predicted | PyTorch, µs |\n|---|---|---|---|---|---|")
    for key, micro in times.items():
        cells = [kind_of(key[0]), f"{key[1]} × {key[2]}", f"{micro:.2f}"]
        one, peer = predicted.get(key), peer_of(peers, layer, key)
        cells += [f"{one['seconds'] * 1e6:.2f}", f"{micro / one['seconds'] / 1e6:.1f}"] if one else ["", ""]
        print("| " + " | ".join(cells + [f"{peer:.2f}" if peer else ""]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clade", required=True)
    parser.add_argument("--virtual", default="")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--families", default=FAMILIES)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--page")
    options = parser.parse_args()
    start = time.monotonic()
    # Half a minute is kept for what was begun.
    is_late = lambda: time.monotonic() - start > 60 * options.minutes - 30
    settings = LAYER | {key: int(value) for key, value in (one.split("=", 1) for one in options.set)}
    clade, gpu = Clade(options.clade), None
    if not options.predict:
        try:
            gpu = find_gpu(os.environ.get("CLADE_CUDA_DRIVER") or "libcuda.so.1")
        except NoGpu as reason:
            print(f"**No GPU**: {reason}. Nothing was measured.\n")
    if options.predict and not options.virtual:
        sys.exit("gpu-report: --predict needs --virtual, the library of the virtual driver")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make = lambda arch: Layer(clade, folder, settings, options.prompt, options.tokens, arch)
        if not gpu:
            if options.virtual:
                table = prediction_table({arch: make(arch) for arch in GPUS}, options.virtual, folder)
                if options.page:
                    page = pathlib.Path(options.page)
                    before, rest = page.read_text().split(BEGIN)
                    page.write_text(before + BEGIN + "\n" + table + "\n" + END + rest.split(END)[1])
                else:
                    print("*Predicted* lower bounds:\n\n" + table, end="")
            return 0 if options.predict else 2
        product, capability, is_virtual = gpu
        print(f"GPU 0: {product}, sm_{capability}" + (": **the virtual driver, times are those of the CPU**" if is_virtual else "") + "\n")
        print("| family | type | logits |\n|---|---|---|")
        # Code for others than these is the oldest's.
        arch = next((arch for arch in GPUS if int(re.sub(r"\D", "", arch)) == capability), None)
        code = arch or next(iter(GPUS))
        check_parity(clade, folder, options.families.split(","), code, is_late)
        print()
        measure(make(code), options.virtual, arch, folder, is_late)
    print(f"\n{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
