#!/usr/bin/env python3
#===- gpu-report.py - Kernels on a GPU, beside what is predicted ------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Checks and measures generated kernels on a GPU.

Usage: gpu-report.py --clade CLADE [--virtual LIBRARY] [--minutes N] [--set KEY=VALUE…] [--prompt N] [--tokens N]
                     [--families NAME,NAME…] [--weights FORM]
       gpu-report.py --clade CLADE --virtual LIBRARY --predict [--others NAME,NAME…] [--page PAGE]

On a GPU (the driver that CLADE_CUDA_DRIVER names, or libcuda.so.1), in at most N minutes (8):

1. parity: logits of small models of several families, in f32 and bf16, against the CPU's, by the bounds of the tests;
2. every kernel of a prompt and of decoding in one layer of a model, by events around its launch: the fastest of all launches of
   that kernel with that grid, beside what the virtual driver (--virtual, its library) predicts for a GPU of that kind; with --weights
   its products have weights in that form (`clade compile --weights`);
3. the same products in bf16 by cuBLASLt and the same attention by PyTorch, if there is a PyTorch that has the GPU. Operands are in
   memory, not in a cache, as weights are that a step has read once.

What there is no time for is said to be left out. Without a GPU the report says so, predicts for A100, H100 and B200 if it may, and
ends with status 2: nothing was measured. --predict does that alone, with status 0, also for kernels that this layer does not have, of
OTHERS below (--others names some of them, or none), and with --page writes the tables between the lines `<!-- predicted -->` and
`<!-- predicted end -->` and those of `<!-- others -->`. Where the driver is the virtual one, times are those of the CPU and are marked so.
"""
import argparse
import contextlib
import ctypes
import functools
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GPUS = {"sm_80": "A100", "sm_90a": "H100", "sm_100a": "B200"}
# One layer of Llama 3.2 1B, with a small vocabulary.
LAYER = {"hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
         "vocab_size": 4096, "num_hidden_layers": 1}
PRODUCTS = r"product(?!_input)"
# The logits of Llama 3, of little in front of them.
LOGITS = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128256}
# What has kernels that this layer does not: the family, what differs from the sizes of LAYER (None: all of them), the type and form
# of weights, tokens of the prompt, options of the run, and which kernels are shown.
OTHERS = {
    **{form: ("llama", {}, "bf16", form, 512, (), PRODUCTS) for form in ("f16", "fp8", "int8_channel", "q8_0", "q4_0", "q4_k", "q6_k")},
    "f32": ("llama", {}, "f32", "dense", 8, (), PRODUCTS + "|attention"),
    "8 tokens": ("llama", {}, "bf16", "dense", 8, (), PRODUCTS),
    "experts": ("qwen3_moe", None, "bf16", "dense", 512, (), r"experts|tokenwise"),
    "experts, q4_0": ("qwen3_moe", None, "bf16", "q4_0", 512, (), r"experts"),
    "latent": ("deepseek_v3", None, "bf16", "dense", 512, (), r"attention"),
    "Mamba-2": ("mamba2", None, "bf16", "dense", 512, (), r"recurrent"),
    "delta rule": ("qwen3_next", None, "bf16", "dense", 512, (), r"recurrent"),
    "greedy": ("llama", LOGITS, "bf16", "dense", 2, ("--temperature", "0"), r"choose"),
    "drawn": ("llama", LOGITS, "bf16", "dense", 2, ("--temperature", "0.8", "--top-k", "50", "--top-p", "0.95", "--seed", "1"),
              r"choose|draw"),
}
# Published sizes where LAYER's are not meant: Qwen3 30B-A3B with a quarter of its experts, DeepSeek-V2-Lite's heads, Mamba-2 2.7B, and
# the linear layers of Qwen3-Next 80B-A3B.
SIZES = {
    "qwen3_moe": {"hidden_size": 2048, "moe_intermediate_size": 768, "num_experts": 32, "num_experts_per_tok": 8, "num_attention_heads": 32,
                  "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 512, "num_hidden_layers": 1},
    "deepseek_v3": {"hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 16, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
                    "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 512},
    "mamba2": {"hidden_size": 2560, "expand": 2, "num_heads": 80, "head_dim": 64, "state_size": 128, "vocab_size": 512, "num_hidden_layers": 1},
    "qwen3_next": {"hidden_size": 2048, "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
                   "linear_value_head_dim": 128, "vocab_size": 512, "num_hidden_layers": 1},
}
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

    def __init__(self, clade, folder, settings, prompt, tokens, arch, family="llama", dtype="bf16", form="dense", options=()):
        folder.mkdir(exist_ok=True)
        self.clade, self.artifact, self.settings, self.prompt, self.options = clade, folder / arch, settings, prompt, options
        self.form = form
        model = folder / "layer"
        if not model.exists():
            clade("tiny", family, "-o", model, *(f"--set={key}={value}" for key, value in settings.items()))
        if form == "fp8":  # What a checkpoint has, and is kept.
            form, published, model = "keep", model, folder / "fp8"
            if not model.exists():
                clade("convert", published, "-o", model, "--to", "hf", "--dtype", "fp8")
        clade("compile", model, "--dtype", dtype, "--weights", form, "--no-error", "--target", "cuda", "--arch", arch, "-o", self.artifact)
        self.plan = json.loads((self.artifact / "launches.json").read_text())
        self.batch = folder / "batch.json"
        behind = {"max_tokens": tokens + 1} if options else {"force": [5] * (tokens + 1)}
        self.batch.write_text(json.dumps([{"tokens": [i * 37 % 251 + 3 for i in range(prompt)]} | behind]))

    def run(self, **environment):
        self.clade("run", self.artifact, "--batch", self.batch, *self.options, **environment)

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
        # The streaming kernel has four features in a block, or a panel of codes.
        features = 4 if self.form in ("dense", "f16") else 16
        for name, (n, _) in zip(order, sizes):
            assert self.plan["kernels"][name]["columns"] == -(-n // features), (name, n)
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


def predicted_launches(layers, virtual, folder):
    """Of each launch a list of (kernel and grid, what is predicted), one for each GPU, with code for it."""
    return list(zip(*(predictions(layer, virtual, arch, folder).items() for arch, layer in layers.items()), strict=True))


def longest(launches, pattern):
    """The longest launch on the first GPU of each kind of kernel that begins with `pattern`, in the order of launches."""
    found = {}
    for launch in launches:
        kind, seconds = kind_of(launch[0][0][0]), launch[0][1]["seconds"]
        if re.match(pattern, kind) and (kind not in found or found[kind][0][1]["seconds"] < seconds):
            found[kind] = launch
    return [launch for launch in launches if launch in found.values()]


def heading(*first):
    return ("| " + " | ".join(first) + " | " + " | ".join(f"{name}, µs | by" for name in GPUS.values()) + " | DRAM, MB | tensor cores |\n"
            + "|---" * (len(first) + 2 * len(GPUS) + 2) + "|\n")


def prediction_line(launches, *first):
    key, one = launches[0]
    shape = kind_of(key[0]), f"{key[1]} × {key[2]}"
    cells = [*first, *shape]
    for other, on_gpu in launches:
        # Another kernel is for so many rows there.
        own = kind_of(other[0]), f"{other[1]} × {other[2]}"
        cells += [f"{on_gpu['seconds'] * 1e6:.2f}", on_gpu["bound"] + ("" if own == shape else f" ({own[0]}, {own[1]})")]
    cells += [f"{(one['dramReadBytes'] + one['dramWriteBytes']) / 1e6:.2f}", f"{one['share']:.0%}"]
    return "| " + " | ".join(cells) + " |\n"


def products_line(layers, folder):
    counts = [load_check().count_products(layer.artifact, folder / f"{arch}.report") for arch, layer in layers.items()]
    shares, rates = (", ".join(texts) for texts in zip(*((f"{share:.2%}", f"{rate:.3f}") for share, rate in counts)))
    return (f"\nOf the operations of products in the prompt, with the head and what follows products, tensor cores do {shares} "
            f"({', '.join(GPUS.values())}), with {rates} conflicts of banks an access to shared memory.\n")


def other_tables(clade, virtual, names, tokens, folder):
    """The table as it grows, model by model: minutes each."""
    text = heading("of", "kernel", "grid")
    for name in names:
        family, settings, dtype, form, prompt, options, pattern = OTHERS[name]
        sizes = SIZES[family] if settings is None else LAYER | settings
        own = folder / name.replace(", ", "-").replace(" ", "-")
        layers = {arch: Layer(clade, own, sizes, prompt, tokens, arch, family, dtype, form, options) for arch in GPUS}
        for launches in longest(predicted_launches(layers, virtual, own), pattern):
            text += prediction_line(launches, name)
        shutil.rmtree(own)
        yield text


def write_between(page, name, text):
    begin, end = f"<!-- {name} -->\n", f"<!-- {name} end -->\n"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end)[1])


def check_parity(clade, folder, families, arch, is_late):
    compare = load_check().compare_family
    for dtype in ("f32", "bf16"):
        for family in families:
            if is_late():
                print(f"| {family} | {dtype} | left out: no time |")
                continue
            own = folder / f"{family}-{dtype}"
            own.mkdir()
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    compare(clade.path, own, family, dtype, ("--arch", arch))
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

    # More than any L2 has.
    passing = torch.empty(1 << 28, device="cuda", dtype=torch.int8)

    def fastest(run):
        for _ in range(3):
            run()
        best = float("inf")
        for _ in range(20):
            passing.zero_()
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
    parser.add_argument("--weights", default="dense")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--others", type=lambda text: [name for name in text.split(",") if name])
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
    others = list(OTHERS) if options.others is None else options.others
    if unknown := [name for name in others if name not in OTHERS]:
        sys.exit(f"gpu-report: no '{unknown[0]}' in --others, expected some of: {'; '.join(OTHERS)}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make = lambda arch: Layer(clade, folder / "llama", settings, options.prompt, options.tokens, arch, form=options.weights)
        if not gpu:
            page = options.page and pathlib.Path(options.page)
            show = functools.partial(write_between, page) if page else lambda _, text: print("*Predicted* lower bounds:\n\n" + text)
            if options.virtual:
                layers = {arch: make(arch) for arch in GPUS}
                launches = predicted_launches(layers, options.virtual, folder)
                show("predicted", heading("kernel", "grid") + "".join(map(prediction_line, launches)) + products_line(layers, folder))
            if options.predict:
                for text in other_tables(clade, options.virtual, others, options.tokens, folder):
                    if page:
                        show("others", text)
                if others and not page:
                    show("others", text)
            return 0 if options.predict else 2
        product, capability, is_virtual = gpu
        print(f"GPU 0: {product}, sm_{capability}" + (": **the virtual driver, times are those of the CPU**" if is_virtual else "") + "\n")
        families = [name for name in options.families.split(",") if name]
        print("| family | type | logits |\n|---|---|---|")
        # Code for others than these is the oldest's.
        arch = next((arch for arch in GPUS if int(re.sub(r"\D", "", arch)) == capability), None)
        code = arch or next(iter(GPUS))
        check_parity(clade, folder, families, code, is_late)
        print()
        measure(make(code), options.virtual, arch, folder, is_late)
    print(f"\n{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
