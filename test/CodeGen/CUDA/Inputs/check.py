# ===- check.py - What ran on the GPU, and how far it is from the CPU ----=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""Compares logits of two runs, and reads what the virtual driver executed.

usage: check.py logits CPU GPU [TRUTH [ROUNDED]]
         Every tensor of the safetensors files CPU and GPU. In f32: the largest difference is at most 1e-5 of the
         largest logit, and the cosine above 0.99999999, the bounds of two correct implementations. With TRUTH, a run in
         f32 of a model in bf16: the rms error against it is at most 1.10 of the larger of the CPU's and ROUNDED's, and the difference to
         the CPU at most 4e-2 of the largest logit, or the GPU's largest error at most ROUNDED's, where that is above 2e-2
         (docs/rationale/bf16-parity.md).
       check.py launches ARTIFACT REPORT STEPS
         Every launch that the plan of ARTIFACT has was executed STEPS times from PTX (those of selected tokens at most
         as often, norms in front of products as often as these for several rows), completed, without findings, and each
         executed instructions in all its threads.
       check.py graphs REPORT
         How many launches of a token at a time were those of a graph, and of how many launches a graph is.
       check.py tokens CPU GPU REPORT
         The JSON of both runs has the same tokens; how many steps chose them on the GPU, and the grids of the launches that
         find the largest of a slice. Each is joined.
       check.py draws CPU GPU REPORT
         The same of four launches that draw tokens.
       check.py products ARTIFACT REPORT
         In steps of more than eight tokens, at least 99 % of the operations of products were on tensor cores, those that
         follow products counted too, with at most 0.02 conflicts of banks for each access to shared memory.
       check.py families CLADE FOLDER DTYPE FAMILY…
         A small model of each family runs on both in f32 or bf16, and both rules above hold. ROUNDED is a run of the CPU that
         rounds each op, as published code does: how much a CPU rounds otherwise depends on its instructions. In bf16 all make
         the choices of experts that the CPU makes, of which at most a tenth are others than the GPU's own.
       check.py weights CLADE MODEL FORM… [--dtype DTYPE]
         MODEL with its weights in each form runs on both, and both rules hold; TRUTH is a run in f32 whose activations are
         f32, too, and the cosine may be that to a run in DTYPE whose activations are not taken to 8 bits, as the CPU's are. In f16 and f32 nothing but sums is rounded, and there is no TRUTH. In bf16 all make the CPU's choices of experts. `fp8` is a checkpoint
         in FP8 that the GPU keeps and the CPU decodes.
"""

import array
import collections
import json
import math
import os
import pathlib
import re
import struct
import subprocess
import sys

import images


def tensors(path):
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    result = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            result[name] = array.array("f", data[begin:end])
    return result


def rms(a, b):
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)) / len(a))


def cosine_of(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def compare_logits(cpu, gpu, truth=None, rounded=None, kept=None):
    cpu, gpu, truth, rounded, kept = tensors(cpu), tensors(gpu), truth and tensors(truth), tensors(rounded or cpu), tensors(kept or cpu)
    assert cpu.keys() == gpu.keys() and cpu, (cpu.keys(), gpu.keys())
    for name, expected in cpu.items():
        got = gpu[name]
        assert len(got) == len(expected)
        largest = max(map(abs, expected))
        difference = max(abs(x - y) for x, y in zip(expected, got)) / largest
        # Where the CPU takes activations to 8 bits and the GPU does not, it is near to a run that keeps them.
        cosine = max(cosine_of(run[name], got) for run in (cpu, kept))
        if truth:
            own, other = rms(got, truth[name]), max(rms(run[name], truth[name]) for run in (cpu, rounded))
            assert own <= 1.10 * other and cosine > 0.9995, (name, own, other, cosine)
            # Where even code that rounds as published is further from TRUTH than half the bound, no two runs need keep to
            # it: then the GPU has to be nearer.
            most, least = (max(abs(x - y) for x, y in zip(run[name], truth[name])) / largest for run in (rounded, gpu))
            assert difference <= 4e-2 or least <= most > 2e-2, (name, difference, most, least)
        else:
            assert difference < 1e-5 and cosine > 0.99999999, (name, difference, cosine)
    print(f"{len(cpu)} of {len(cpu)} agree")


def count_launches(artifact, report, steps, imageSteps=0):
    plan = {"kernels": {}}
    # A launch for more rows than the one before it takes its place; what groups choices for it comes before, and what joins
    # slices behind it. What computes activations for some numbers of rows is for those of a product's forms that are for them.
    forms, planned, columns = {}, collections.Counter(), collections.defaultdict(set)
    inputs, areUsed, usedBy = [], False, collections.defaultdict(set)
    launches = []
    for file, count in ("launches.json", steps), ("image_launches.json", imageSteps):
        if count:
            own = json.loads((pathlib.Path(artifact) / file).read_text())
            plan["kernels"].update(own["kernels"])
            launches += [(launch, count) for launch in own["launches"]]
    for launch, count in launches:
        columns[launch["kernel"]].add(launch.get("columns", plan["kernels"][launch["kernel"]]["columns"]))
        if launch["kernel"].startswith(("experts_groups", "attention_join")):
            forms[launch["kernel"]] = launch["kernel"]
            continue
        rows = range(launch.get("min_rows", 1), launch.get("max_rows", 1 << 31) + 1)
        if re.match("(product|experts)_input", launch["kernel"]) and ("min_rows" in launch or "max_rows" in launch):
            inputs, areUsed = ([] if areUsed else inputs) + [(launch["kernel"], rows)], False
            forms[launch["kernel"]] = launch["kernel"]
            continue
        if "min_rows" not in launch:
            first = launch["kernel"]
            planned[first] += count
            inputs, areUsed = [] if areUsed else inputs, True
        for name, own in inputs:
            if rows[0] in own and rows[-1] in own:
                usedBy[name].add(launch["kernel"])
        forms[launch["kernel"]] = first
    executed, parts, counts = collections.Counter(), collections.Counter(), collections.Counter()
    for line in pathlib.Path(report).read_text().splitlines():
        launch = json.loads(line)
        kernel = plan["kernels"][launch["kernel"]]
        executed[forms[launch["kernel"]]] += 1
        counts[launch["kernel"]] += 1
        parts[re.sub(r"_\d+$", "", launch["kernel"])] += 1
        assert launch["completed"] and not launch["findings"], launch
        assert launch["block"] == [kernel["threads"], 1, 1] and launch["grid"][0] in columns[launch["kernel"]], launch
        # No thread leaves before its first instruction.
        assert launch["total"]["lanes"] >= launch["threads"] > 0, launch
    assert parts["attention_slices"] == parts["attention_join"], parts
    for name, products in usedBy.items():
        assert counts[name] == sum(counts[product] for product in products), (name, counts)
    for name, expected in planned.items():
        isWhole = executed[name] == expected
        assert isWhole or (plan["kernels"][name]["rows"] == "selected" and 0 < executed[name] < expected), (name, executed[name], expected)
    print(f"{sum(planned.values()) / steps:g} launches a step, all executed")


def count_graphs(report):
    launches = [json.loads(line) for line in pathlib.Path(report).read_text().splitlines()]
    first = launches[0]["kernel"]
    sizes, steps = collections.Counter(), 0
    for launch in launches:
        # Each step begins with the same kernel.
        steps += launch["kernel"] == first
        sizes[steps] += launch["graph"]
    graphs = [size for size in sizes.values() if size]
    assert len(set(graphs)) <= 1, graphs
    print(f"{len(graphs)} of {steps} steps were graphs of {graphs[0] if graphs else 0} launches")


def compare_tokens(cpu, gpu, report, behind=("choose_join",)):
    expected, got = (json.loads(pathlib.Path(path).read_text())["tokens"] for path in (cpu, gpu))
    assert expected == got, (expected, got)
    count = sum(map(len, expected))
    print(f"{count} of {count} tokens agree")
    launches = [json.loads(line) for line in pathlib.Path(report).read_text().splitlines()]
    assert all(launch["completed"] and not launch["findings"] for launch in launches)
    steps = sum(launch["kernel"] == launches[0]["kernel"] for launch in launches)
    names = [launch["kernel"] for launch in launches]
    grids = ["{} x {}".format(*launch["grid"]) for launch in launches if launch["kernel"] == "choose_slices"]
    # What follows the slices is right behind them, and ends the step.
    ends = [index for index, name in enumerate(names) if name == "choose_slices"]
    for end in ends:
        next_step = end + 1 + len(behind)
        assert names[end + 1 : next_step] == list(behind) and names[next_step : next_step + 1] in ([], names[:1]), names
    for name in behind:
        assert names.count(name) == len(grids), names
    print(f"{len(grids)} of {steps} steps chose" + (", in slices of " + ", ".join(grids) if grids else ""))


def count_products(artifact, report):
    """The share of operations of products in prompts that tensor cores did, and conflicts of banks for each access."""
    first = json.loads((pathlib.Path(artifact) / "launches.json").read_text())["launches"][0]["kernel"]
    tensor, others, accesses, conflicts = 0, 0, 0, 0
    for line in pathlib.Path(report).read_text().splitlines():
        launch = json.loads(line)
        if launch["kernel"] == first:
            is_prompt = launch["grid"][1] > 8  # A block for each token.
        if not is_prompt or not re.match(r"(product|experts)(?!_input|_groups)", launch["kernel"]):
            continue
        total = launch["total"]
        tensor += total.get("flops", 0)
        others += 2 * launch["classes"].get("float32", {}).get("lanes", 0)  # As if all were multiply-adds.
        accesses += total.get("sharedRequests", 0)
        conflicts += total.get("sharedWaves", 0) - total.get("idealWaves", 0)
    return tensor / (tensor + others), conflicts / accesses


def check_products(artifact, report):
    share, rate = count_products(artifact, report)
    assert share >= 0.99 and rate <= 0.02, (share, rate)
    print(f"{share:.2%} on tensor cores, {rate:.3f} conflicts an access")


def run_clade(clade, *arguments, **environment):
    done = subprocess.run([clade, *map(str, arguments)], check=True, stdout=subprocess.PIPE, env=os.environ | environment)
    return done.stdout


def compare_weights(clade, model, *forms):
    dtype = "f32"
    if "--dtype" in forms:
        forms, dtype = forms[:-2], forms[-1]
    artifact = model + ".artifact"
    tokens = ",".join(str(i * 37 % 251 + 3) for i in range(40))
    for form in forms:
        logits, report = [], f"{model}.{form}-report"
        pathlib.Path(report).unlink(missing_ok=True)
        for name, own, options in (
            # Without tiles of AMX, whose many rows are in bf16: activations in 8 bits, as on the GPU.
            ("cpu", dtype, ["--target-cpu", "x86-64-v3"]),
            ("gpu", dtype, ["--target", "cuda"]),
            ("truth", "f32", ["--precision", "reference"]),
            ("kept", dtype, ["--precision", "reference"]),
        ):
            if name in ("truth", "kept") and form == "f16" and dtype == "f32":
                continue
            # CPUs decode FP8 when it is loaded.
            weights = form if form != "fp8" else "keep" if name == "gpu" else "dense"
            run_clade(clade, "compile", model, "--weights", weights, "--no-error", "--dtype", own, *options, "-o", artifact)
            logits.append(f"{model}.{name}")
            environment = {"CLADE_CUDA_REPORT": report} if name == "gpu" else {}
            # As of families: near ties between experts do not decide.
            choices = ["--record-experts" if name == "cpu" else "--replay-experts", model + ".experts"] if dtype == "bf16" else []
            run_clade(clade, "run", artifact, "--tokens", tokens, "--force", "5,6,7", "--chunk", "16", *choices,
                      "--logits", logits[-1], **environment)
            if name == "gpu":
                count_launches(artifact, report, 6)
        cpu, gpu, *others = logits
        truth, kept = others or (None, None)
        compare_logits(cpu, gpu, truth, kept=kept)
    print(f"{len(forms)} forms of weights agree")


def compare_family(clade, folder, family, dtype, code=(), report=None):
    """A small model on the CPU and, with `code` as options of its compilation, on the GPU. With `report`, the file of the virtual
    driver, every launch was executed."""
    tokens = [i * 37 % 251 + 3 for i in range(40)]
    model, artifact = folder / family, folder / (family + ".artifact")
    run_clade(clade, "tiny", family, "-o", model)
    config = json.loads((model / "config.json").read_text())
    what, result, hasImages = ["--force", "5,6,7", "--chunk", "16"], "--logits", "vision_config" in config
    if hasImages:
        # One image fills windows and pages, and one does not.
        tokens = images.make_images(model, folder / "images", [(8, 12), (6, 4)]) + tokens[:20]
        what += ["--inputs", folder / "images"]
    elif family == "bert":
        what, result = ["--types", ",".join(str(i // 25) for i in range(40))], "--embeddings"
    steps = 1 if family == "bert" else -(-len(tokens) // 16) + 3
    logits = []
    for name, target, own, options in (
        ("cpu", "cpu", dtype, []),
        ("gpu", "cuda", dtype, code),
        ("truth", "cpu", "f32", []),
        ("rounded", "cpu", dtype, ["--precision", "reference"]),
    ):
        if dtype == "f32" and name in ("truth", "rounded"):
            continue
        run_clade(clade, "compile", model, "--dtype", own, "--target", target, *options, "-o", artifact)
        logits.append(folder / f"{family}.{name}")
        environment = {"CLADE_CUDA_REPORT": str(report)} if target == "cuda" and report else {}
        # In bf16 a near tie between experts is decided otherwise now and then: all make the CPU's choices.
        choices = folder / f"{family}.experts"
        routed = [] if dtype == "f32" else ["--record-experts" if name == "cpu" else "--replay-experts", choices]
        told = run_clade(clade, "run", artifact, "--tokens", ",".join(map(str, tokens)), *what, *routed, "--json", result, logits[-1],
                         **environment)
        if routed and target == "cuda":
            made = json.loads(told)["experts"]
            print(f"{made['differing']} of {made['choices']} choices of experts differ")
            assert made["differing"] <= 0.1 * made["choices"], made
        if target == "cuda" and report:
            print(family)
            count_launches(artifact, report, steps, int(hasImages))
    compare_logits(*logits)


def compare_families(clade, folder, dtype, *families):
    folder = pathlib.Path(folder) / f"families-{dtype}"
    folder.mkdir()
    for family in families:
        compare_family(clade, folder, family, dtype, report=folder / (family + ".report"))
    print(f"{len(families)} families agree")


def main():
    if sys.argv[1] == "families":
        compare_families(*sys.argv[2:])
    elif sys.argv[1] == "weights":
        compare_weights(*sys.argv[2:])
    elif sys.argv[1] == "logits":
        compare_logits(*sys.argv[2:])
    elif sys.argv[1] == "graphs":
        count_graphs(*sys.argv[2:])
    elif sys.argv[1] == "tokens":
        compare_tokens(*sys.argv[2:])
    elif sys.argv[1] == "draws":
        compare_tokens(*sys.argv[2:], behind=("draw_begin", "draw_weigh", "draw_pick"))
    elif sys.argv[1] == "products":
        check_products(*sys.argv[2:])
    else:
        count_launches(sys.argv[2], sys.argv[3], int(sys.argv[4]))


if __name__ == "__main__":
    main()
