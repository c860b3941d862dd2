#===- adapters.py - LoRA adapters against PEFT ------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/adapters.py [options] [PATTERN …]
#
# For every adapter of adapter_cases.py, on checkpoints in f32 and bf16:
#   tensors  `clade convert --adapter --to hf` against merge_and_unload: the
#            tensors that nothing adapts bit for bit, the others within the
#            bounds below; how many elements differ is printed
#   logits   `clade compile --adapter` against PEFT: in f32 the model that is not
#            merged, in bf16 the merged one, by the rules of compare.py. Routed
#            models in bf16 may choose other experts than PEFT's: their logits
#            are those of the checkpoint that `convert` wrote, bit for bit
#   beside   one artifact of `clade compile --adapter-slots`, two adapters of other
#            factors loaded beside its weights, and a batch of sequences with the
#            first, with the second and with none, against PEFT's models that are
#            not merged (in bf16 not of routed models)
# All must differ from the checkpoint without the adapter.
#
# Bounds. Products of factors are sums of `rank` terms in f32; PEFT's come from a
# matrix product whose order is its library's own, so an element may differ by
# (rank + 1) · 2^-23 · scale · Σ|b||a| before it is added, and after that by one
# step of bf16, where the two lie on either side of a tie. Of stacked experts in bf16
# PEFT rounds the product before it adds it: half a step of the product more.
# (On CPUs with fused multiply-adds no element of a plain module has differed.)
# --short takes some of the cases.
#
#===------------------------------------------------------------------------===#
import argparse
import pathlib
import sys
import tempfile

import numpy as np
import peft
import torch
from safetensors.torch import load_file

import adapter_cases
import checkpoint
import clade
import compare
import reference

LENGTHS = ((40, 6), (9, 4), (1, 3))  # tokens of a prompt, and how many are decoded
STEP = {"f32": 2.0**-23, "bf16": 2.0**-7}  # between neighbours, as a share of the smaller one


def batch_of(vocab, seed=3):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda count: torch.randint(vocab, (count,), generator=generator).tolist()
    return [{"tokens": draw(n), "force": draw(steps), "max_tokens": steps} for n, steps in LENGTHS]


def logits_of(model, batch):
    return [reference.one_call(model, e["tokens"], e["force"]).float().numpy() for e in batch]


def merged(case, path, dtype):
    model = peft.PeftModel.from_pretrained(adapter_cases.load_base(case, dtype), path)
    return model.merge_and_unload().eval()


def bound_of(case, path, dtype):
    """A function of a merged tensor: the largest difference that rounding explains, of any of its elements."""
    tensors = load_file(path / "adapter_model.safetensors")
    config = case.config
    rank = max([config["r"], *config.get("rank_pattern", {}).values()])
    alpha = max([config["lora_alpha"], *config.get("alpha_pattern", {}).values()])
    scale = alpha / min([config["r"], *config.get("rank_pattern", {}).values()]) ** (0.5 if config.get("use_rslora") else 1)
    largest = lambda letter: max(float(t.abs().max()) for name, t in tensors.items() if f"_{letter}" in name)
    product = scale * rank * largest("A") * largest("B")
    twice = dtype == "bf16" and "target_parameters" in config

    def bound(tensor):
        rounded = STEP[dtype] * float(tensor.abs().max())
        return (rank + 1) * STEP["f32"] * product + rounded * (2 if twice else 1)

    return bound


def check_tensors(tool, case, path, plain, dtype, work):
    """What is wrong, and a line about what differs."""
    base = checkpoint.write(adapter_cases.base_of(case)) / dtype
    tool.call("convert", base, "-o", work / "hf", "--to", "hf", "--adapter", path)
    got = load_file(work / "hf" / "model.safetensors")
    merged(case, plain, dtype).save_pretrained(work / "peft")
    expected, before = load_file(work / "peft" / "model.safetensors"), load_file(base / "model.safetensors")
    if got.keys() != before.keys():
        return f"other tensors: {sorted(got.keys() ^ before.keys())[:3]}", ""
    bound = bound_of(case, plain, dtype)
    adapted = differ = count = 0
    largest = 0.0
    for name, ours in got.items():
        theirs = expected[name]
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            return f"tensor '{name}' is {ours.dtype} {list(ours.shape)}, expected {theirs.dtype} {list(theirs.shape)}", ""
        if torch.equal(theirs, before[name]):
            if not torch.equal(ours, theirs):
                return f"tensor '{name}' has no adapter, and changed", ""
            continue
        adapted += 1
        difference = (ours.float() - theirs.float()).abs()
        change = float((theirs.float() - before[name].float()).abs().max())
        if not change > 3 * bound(theirs):
            return f"tensor '{name}' is changed by {change:.3g} only: that proves nothing", ""
        count += ours.numel()
        differ += int((difference > 0).sum())
        largest = max(largest, float(difference.max()))
        if not float(difference.max()) <= bound(theirs):
            return f"tensor '{name}' differs by {difference.max():.3g}, bound {bound(theirs):.3g}", ""
    if not adapted:
        return "no tensor is adapted", ""
    return None, f"{adapted} tensors, {differ} of {count} elements differ, by {largest:.1e} at most"


def check_same(tool, batch, got, work):
    """Merged as it is loaded, and merged before: the same weights, so the same logits."""
    tool.call("compile", work / "hf", "-o", work / "written", *tool.compile_options)
    verdict = compare.Verdict(difference=0.0, cosine=1.0)
    if not all(np.array_equal(a, b) for a, b in zip(got, tool.logits(work / "written", batch), strict=True)):
        verdict.failures.append("logits differ from those of the converted checkpoint")
    return verdict


def check_logits(tool, case, path, plain, dtype, work):
    base = checkpoint.write(adapter_cases.base_of(case)) / dtype
    batch = batch_of(adapter_cases.base_of(case).config["vocab_size"])
    tool.call("compile", base, "-o", work / "artifact", "--adapter", path, *tool.compile_options)
    got = tool.logits(work / "artifact", batch)
    if dtype == "bf16" and "target_parameters" in case.config:
        return check_same(tool, batch, got, work)
    if dtype == "f32":
        model = peft.PeftModel.from_pretrained(adapter_cases.load_base(case, "f32"), plain).eval()
        expected = logits_of(model, batch)
        with model.disable_adapter():
            without = logits_of(model, batch)
        verdict = compare.compare_f32(got, expected)
    else:
        model = merged(case, plain, "bf16")
        expected = logits_of(model, batch)
        verdict = compare.compare_bf16(got, expected, logits_of(model.float(), batch))
        without = logits_of(adapter_cases.load_base(case, "bf16"), batch)
    apart = max(np.abs(a - b).max() for a, b in zip(expected, without)) / max(np.abs(a).max() for a in expected)
    if not apart > 0.1:
        verdict.failures.append(f"the adapter changes logits by {apart:.3g} only: that proves nothing")
    return verdict


def check_beside(tool, case, path, dtype, work):
    """Three sequences of one batch, each with an adapter of its own or none."""
    base = checkpoint.write(adapter_cases.base_of(case)) / dtype
    batch = batch_of(adapter_cases.base_of(case).config["vocab_size"])
    other = work / "other"
    adapter_cases.write(case, other, seed=2)
    tool.call("compile", base, "-o", work / "places", "--adapter-slots", 3, *tool.compile_options)
    numbers = (2, 1, 0)
    first, second = adapter_cases.original(case, path), adapter_cases.original(case, other, seed=2)
    got = tool.logits(work / "places", [{**e, "adapter": n} for e, n in zip(batch, numbers)], adapters=(path, other))

    def run(compute):
        model = peft.PeftModel.from_pretrained(adapter_cases.load_base(case, dtype).to(compute), first, adapter_name="1")
        model.load_adapter(second, adapter_name="2")
        model = model.eval()
        results = []
        for entry, number in zip(batch, numbers):
            if number:
                model.set_adapter(str(number))
                results += logits_of(model, [entry])
            else:
                with model.disable_adapter():
                    results += logits_of(model, [entry])
        return results

    expected = run(checkpoint.DTYPES[dtype])
    if dtype == "f32":
        verdict = compare.compare_f32(got, expected)
    else:
        verdict = compare.compare_bf16(got, expected, run(torch.float32))
    without = logits_of(adapter_cases.load_base(case, dtype), batch)
    for number, ours, plain in zip(numbers, got, without):
        apart = np.abs(ours - plain).max() / np.abs(plain).max()
        if (apart > 0.1) != (number > 0):
            verdict.failures.append(f"with adapter {number} logits are {apart:.3g} from those without")
    return verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--short", action="store_true", help="some of the cases")
    parser.add_argument("--dtype", default="f32,bf16")
    clade.add_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tool = clade.Clade(options)
    passed = failed = 0

    def tell(case, dtype, what, line, problem):
        nonlocal passed, failed
        print(f"{case.name:24s} {dtype:5s} {what:8s} {line}  {'FAIL' if problem else 'ok'}", flush=True)
        if problem:
            print(f"    {problem}", flush=True)
        passed, failed = passed + (not problem), failed + bool(problem)

    for case in adapter_cases.CASES:
        if options.short and not case.short or options.pattern and not any(p in case.name for p in options.pattern):
            continue
        for dtype in options.dtype.split(","):
            with tempfile.TemporaryDirectory(prefix="clade-adapters-") as folder:
                work = pathlib.Path(folder)
                path = work / "adapter"
                adapter_cases.write(case, path)
                plain = adapter_cases.original(case, path)
                try:
                    problem, line = check_tensors(tool, case, path, plain, dtype, work)
                    tell(case, dtype, "tensors", line, problem)
                    verdict = check_logits(tool, case, path, plain, dtype, work)
                    tell(case, dtype, "logits", verdict.columns(), "; ".join(verdict.failures[:2]))
                    if case.beside and not (dtype == "bf16" and case.is_routed):
                        verdict = check_beside(tool, case, path, dtype, work)
                        tell(case, dtype, "beside", verdict.columns(), "; ".join(verdict.failures[:2]))
                except clade.CladeError as error:
                    tell(case, dtype, "-", "", str(error))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
