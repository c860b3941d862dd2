#===- headers.py - The tensors of published sizes, without their weights ---===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/headers.py [options] [PATTERN …]
#
# For each model of headers_models.py makes the published implementation on torch's
# meta device, at full size, and writes the tensors it would publish, or those that
# are listed: names, shapes and dtypes as in the repository, data (but for shapes that tensors hold) as a hole in a
# sparse file, several files with an index where there is more than SHARD bytes. `clade inspect --json` must
# then import the model, which fails unless each tensor is used or dropped by name.
# A line for each: tensors, parameters, seconds (not judged), ok. So is what
# compiling the largest takes, beside a tiny model of its family, of whose CPU
# time it should be at most twice as much.
#
# Then headers, of published sizes with few layers and of a tiny checkpoint of every
# family, are changed in one place, or a count of their configuration is, and clade
# must refuse each with an error that names the tensor (see spellings). What no
# header tells is in swaps.py.
#
#===------------------------------------------------------------------------===#
import argparse
import copy
import json
import math
import pathlib
import random
import re
import resource
import struct
import sys
import tempfile
import time

import torch
import transformers

import clade
import vision_cases
import headers_models

SHARD = 1 << 40  # bytes of one file
MODELS = headers_models.MODELS
LARGEST = ("deepseek-v3", "deepseek_v3")  # model, family
MOST_OF_TINY = 2
BLOCK = 128  # rows and columns that share a scale of FP8
BITS = {"F64": 64, "I64": 64, "F32": 32, "I32": 32, "BF16": 16, "F16": 16, "U8": 8, "F8_E4M3": 8, "BOOL": 8}
PROJECTION = re.compile(r"\.layers\.\d+\.(self_attn|mlp)\..*_proj(_with_mqa)?\.weight$")


#===------------------------------------------------------------------------===#
# What a repository publishes
#===------------------------------------------------------------------------===#


def meta_shapes(config):
    """Names and shapes of the parameters and buffers that save_pretrained would write, before it splits experts."""
    config = {k: v for k, v in config.items() if k not in ("quantization_config", "auto_map")}
    if config["model_type"] == "kimi_vl":  # in NeMo AutoModel
        with torch.device("meta"):
            model = vision_cases.KimiVL.make(config)
            return {n: list(t.shape) for n, t in model.state_dict_adapter.to_hf(model.state_dict()).items()}
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "config.json").write_text(json.dumps(config))
        loaded = transformers.AutoConfig.from_pretrained(folder)
    kind = transformers.AutoModelForImageTextToText if "vision_config" in config else transformers.AutoModelForCausalLM
    with torch.device("meta"):
        model = kind.from_config(loaded)
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    if loaded.tie_word_embeddings:
        shapes.pop("lm_head.weight", None)
    return shapes


def split_experts(name, shape):
    """The published tensors of a stack of experts: one matrix each."""
    prefix, _, kind = name.rpartition(".")
    for e in range(shape[0]):
        if kind == "gate_up_proj":
            half = [shape[1] // 2, shape[2]]
            yield f"{prefix}.{e}.gate_proj.weight", half
            yield f"{prefix}.{e}.up_proj.weight", half
        else:
            yield f"{prefix}.{e}.{kind}.weight", shape[1:]


def published_names(shapes, config):
    for name, shape in shapes.items():
        if config["model_type"] == "nemotron_h":
            name = re.sub(r"^model\.", "backbone.", name)
        if config["model_type"] in ("qwen2_vl", "qwen2_5_vl"):
            name = re.sub(r"^model\.(visual\.)|^(model\.)language_model\.", r"\1\2", name)
        if config["model_type"] == "mistral3":
            name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
            name = re.sub(r"^(lm_head\.)", r"language_model.\1", re.sub(r"^model\.(vision_tower|multi_modal)", r"\1", name))
            yield name, shape
            continue
        if config["model_type"] == "qwen3_vl_moe" and ".mlp.experts." in name:
            yield name, [shape[0], shape[2], shape[1]]  # of one expert [in, out]
            continue
        if re.search(r"\.experts\.(gate_up|up|down)_proj$", name) and config["model_type"] != "gpt_oss":
            yield from split_experts(name, shape)
        else:
            yield name, shape


def prediction_tensors(model, config, shapes):
    """The tensors that predict further tokens, which transformers does not make: a layer of the last kind, and what
    joins and reads it. Names: modeling_deepseek, and vLLM's qwen3_next_mtp and nemotron_h_mtp."""
    if not model.prediction:
        return
    d, vocab, layers = config["hidden_size"], config["vocab_size"], config["num_hidden_layers"]
    if model.prediction == "layer":
        last, own = f"model.layers.{layers - 1}.", f"model.layers.{layers}."
        yield from ((own + n.removeprefix(last), s) for n, s in shapes.items() if n.startswith(last))
        yield own + "embed_tokens.weight", [vocab, d]
        yield own + "enorm.weight", [d]
        yield own + "hnorm.weight", [d]
        yield own + "eh_proj.weight", [d, 2 * d]
        yield own + "shared_head.norm.weight", [d]
        yield own + "shared_head.head.weight", [vocab, d]
    elif model.prediction == "mtp-pattern":
        kinds, predicted = config["hybrid_override_pattern"], config["mtp_hybrid_override_pattern"]
        for i, kind in enumerate(predicted):
            like = f"backbone.layers.{kinds.index(kind)}."
            yield from ((f"mtp.layers.{i}." + n.removeprefix(like), s) for n, s in shapes.items() if n.startswith(like))
        yield "mtp.layers.0.eh_proj.weight", [d, 2 * d]
        yield "mtp.layers.0.enorm.weight", [d]
        yield "mtp.layers.0.hnorm.weight", [d]
        yield f"mtp.layers.{len(predicted) - 1}.final_layernorm.weight", [d]
    elif model.prediction == "mtp":  # its layer has full attention, as the last has
        last = f"model.layers.{layers - 1}."
        yield from (("mtp.layers.0." + n.removeprefix(last), s) for n, s in shapes.items() if n.startswith(last))
        yield "mtp.fc.weight", [d, 2 * d]
        for norm in ("norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden"):
            yield f"mtp.{norm}.weight", [d]


def stored_forms(form, name, shape):
    """The tensors that hold a weight, with dtypes."""
    if form == "fp8" and PROJECTION.search(name):
        yield name, "F8_E4M3", shape
        yield name + "_scale_inv", "F32", [math.ceil(n / BLOCK) for n in shape]
    elif form == "fp8-tensors" and re.search(r"^language_model.*\.layers\..*_proj(_with_mqa)?\.weight$", name):
        yield name, "F8_E4M3", shape
        yield name + "_scale_inv", "BF16", []
        yield name.replace(".weight", ".activation_scale"), "BF16", []
    elif form == "fp8-tensors" and re.search(r"\.experts\.(gate_up|down)_proj$", name):
        yield name, "F8_E4M3", shape
        yield name + "_scale_inv", "BF16", [shape[0], 1, 1]
        yield name + "_activation_scale", "BF16", [shape[0]]
    elif form == "mxfp4" and re.search(r"\.experts\.(gate_up|down)_proj$", name):
        experts, inputs, outputs = shape  # made as [expert, in, out], stored as rows of outputs in blocks of 32
        yield name + "_blocks", "U8", [experts, outputs, inputs // 32, 16]
        yield name + "_scales", "U8", [experts, outputs, inputs // 32]
    else:
        # The corrections of routers are published in f32 also where all else is bf16.
        yield name, "F32" if form == "f32" or name.endswith("e_score_correction_bias") else "BF16", shape


def listed(text):
    """name → (dtype, shape) of a listing, each {a-b} of whose names stands for all numbers from a to b."""
    tensors = {}
    for line in text.split("\n"):
        name, *rest = line.split() or [""]
        names = [""]
        for part in re.split(r"(\{\d+-\d+\})", name):
            ends = re.fullmatch(r"\{(\d+)-(\d+)\}", part)
            choices = [str(n) for n in range(int(ends[1]), int(ends[2]) + 1)] if ends else [part]
            names = [n + c for n in names for c in choices]
        tensors.update({n: (rest[0], [int(size) for size in rest[1:]]) for n in names if name})
    return tensors


def header(model, config):
    """name → (dtype, shape) of all that the repository holds, and the number of its parameters."""
    if model.listing:
        tensors = listed(model.listing)
        return tensors, sum(math.prod(shape) for _, shape in tensors.values())
    shapes = dict(published_names(meta_shapes(config), config))
    if model.stored_head:
        shapes["lm_head.weight"] = shapes["model.embed_tokens.weight"]
    shapes.update(list(prediction_tensors(model, config, shapes)))
    tensors = {n: (t, s) for name, shape in shapes.items() for n, t, s in stored_forms(model.form, name, shape)}
    return tensors, sum(map(math.prod, shapes.values()))


#===------------------------------------------------------------------------===#
# Sparse files
#===------------------------------------------------------------------------===#


def size_of(dtype, shape):
    return math.prod(shape) * BITS[dtype] // 8


def contents_of(name, tensors, config):
    """What a tensor holds whose values tell of shapes (compressed-tensors), or None."""
    packed = name.removesuffix("_shape") + "_packed"
    if name == packed or packed not in tensors:
        return None
    (_, (rows, words)), (dtype, _) = tensors[packed], tensors[name]
    groups = config.get("text_config", config)["quantization_config"]["config_groups"]
    bits = next(iter(groups.values()))["weights"]["num_bits"]
    return struct.pack("<2q" if dtype == "I64" else "<2i", rows, words * 32 // bits)


def write_file(path, tensors, contents):
    entries, offset, filled = {"__metadata__": {"format": "pt"}}, 0, []
    # As the library does it, so that each is aligned whatever the sizes are: the widest elements first, then by name.
    for name, (dtype, shape) in sorted(tensors.items(), key=lambda tensor: (-BITS[tensor[1][0]], tensor[0])):
        end = offset + size_of(dtype, shape)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        if name in contents:
            filled.append((offset, contents[name]))
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
        for at, held in filled:
            file.seek(8 + len(text) + at)
            file.write(held)


def write(folder, config, tensors, shard=SHARD):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    contents = {name: held for name in tensors if (held := contents_of(name, tensors, config))}
    files, filled = [{}], 0
    for name, (dtype, shape) in tensors.items():
        size = size_of(dtype, shape)
        if files[-1] and filled + size > shard:
            files.append({})
            filled = 0
        files[-1][name] = (dtype, shape)
        filled += size
    if len(files) == 1:
        write_file(folder / "model.safetensors", tensors, contents)
        return
    index = {}
    for i, part in enumerate(files):
        path = f"model-{i + 1:05d}-of-{len(files):05d}.safetensors"
        write_file(folder / path, part, contents)
        index.update(dict.fromkeys(part, path))
    total = sum(size_of(*t) for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": index}
    # As save_pretrained writes it.
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


#===------------------------------------------------------------------------===#
# Full sizes
#===------------------------------------------------------------------------===#


def check_model(tool, name, model, folder):
    """A line about the model, and what is wrong, or None."""
    tensors, parameters = header(model, model.config)
    total = sum(size_of(*t) for t in tensors.values())
    write(folder, model.config, tensors, shard=min(SHARD, max(1, total // 3)))
    begin, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = tool.run("inspect", "--json", folder)
    seconds = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
    line = f"{name:20s} {len(tensors):7d} {parameters:15,d} {seconds:7.2f} s {used:7.2f} s of CPU"
    if done.returncode:
        return line, f"status {done.returncode}: {done.stderr.strip()[:2000]}"
    told = json.loads(done.stdout)["totals"]
    if model.parameters not in (None, parameters):
        return line, f"{model.source} has {model.parameters:,d} parameters"
    if (told["tensors"], told["stored_bytes"]) != (len(tensors), total):
        return line, f"clade tells of {told['tensors']} tensors of {told['stored_bytes']} bytes, not {total}"
    return line, None


def compile_seconds(tool, checkpoint, folder):
    """CPU of compiling, the least of three times."""
    def once():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        tool.compile(checkpoint, folder / "artifact")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return min(once() for _ in range(3))


def check_compile(tool, name, family, work):
    """What the size of a model costs its compiler: the code is that of its kinds of layers, as in a tiny model of the
    family; only headers, their proof and its certificate grow."""
    tool.call("tiny", family, "-o", work / "tiny-of-family")
    full, least = (compile_seconds(tool, work / f, work) for f in (name, "tiny-of-family"))
    return (f"compiling {name}: {full:.2f} s of CPU, a tiny model of its family {least:.2f} s, ratio {full / least:.2f} "
            f"(not judged; the goal is {MOST_OF_TINY})"), None


#===------------------------------------------------------------------------===#
# Mutations
#===------------------------------------------------------------------------===#

# The headers that are mutated: the published layers of each kind, few of them and of few experts.
CUT = {
    "llama-3.1-8b": {"num_hidden_layers": 2},
    "qwen2.5-0.5b": {"num_hidden_layers": 2},
    "qwen3-235b-a22b": {"num_hidden_layers": 2, "num_experts": 8},
    "deepseek-v3": {"num_hidden_layers": 5, "n_routed_experts": 16},
    "gpt-oss-20b": {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]},
    "nemotron-3-nano": {"num_hidden_layers": 4, "hybrid_override_pattern": "ME*-", "n_routed_experts": 8},
    "qwen3-next-80b-a3b": {"num_hidden_layers": 4, "num_experts": 16},
}


def is_read(model, config, name):
    predicted = f"model.layers.{config['num_hidden_layers']}." if model.prediction == "layer" else "mtp."
    return not name.startswith(predicted)


def replaced(tensors, old, new, entry):
    """The header with one tensor changed, in its place."""
    return {(new if n == old else n): (entry if n == old else t) for n, t in tensors.items()}


def dropped(rng, tensors, name):
    return {n: t for n, t in tensors.items() if n != name}, name


def renamed(rng, tensors, name):
    at = rng.choice([i for i, c in enumerate(name) if c.isalpha()])
    other = name[:at] + rng.choice([c for c in "abcdefghijklmnopqrstuvwxyz" if c != name[at]]) + name[at + 1:]
    return replaced(tensors, name, other, tensors[name]), f"{name}|{other}"


def transposed(rng, tensors, name):
    dtype, shape = tensors[name]
    other = shape[:-2] + shape[:-3:-1]
    return (replaced(tensors, name, name, (dtype, other)), name) if len(shape) > 1 and other != shape else None


def retyped(rng, tensors, name):
    dtype, shape = tensors[name]
    other = rng.choice([t for t in ("I64", "I32", "BOOL", "F64") if t != dtype])
    return replaced(tensors, name, name, (other, shape)), name


def resized(rng, tensors, name):
    dtype, shape = tensors[name]
    axis = rng.randrange(len(shape))
    n = shape[axis]
    size = rng.choice([m for m in (n + 1, n * 2, n // 2, n - 1) if m > 0 and m != n])
    return replaced(tensors, name, name, (dtype, shape[:axis] + [size] + shape[axis + 1:])), name


def doubled(rng, tensors, name):
    other = rng.choice([name + "_copy", "copy." + name, name.replace("layers.0.", "layers.0.copy.")])
    return ({**tensors, other: tensors[name]}, other) if other not in tensors else None


def scaled(rng, tensors, name):
    return resized(rng, tensors, name) if re.search("_scale_inv$|_scales$", name) else None


MUTATIONS = [dropped, renamed, transposed, retyped, resized, doubled, scaled]

# Keys whose values decide how many tensors there are and how large.
COUNTS = ("num_hidden_layers", "vocab_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim",
          "num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size", "kv_lora_rank", "mamba_num_heads")


def tiny(tool, family, folder, *settings):
    """Configuration and header of a tiny checkpoint, or None if there is none with these settings."""
    done = tool.run("tiny", family, "-o", folder, *(o for s in settings for o in ("--set", s)))
    if done.returncode:
        return None
    image = (folder / "model.safetensors").read_bytes()
    entries = json.loads(image[8:8 + int.from_bytes(image[:8], "little")])
    tensors = {n: (e["dtype"], e["shape"]) for n, e in entries.items() if n != "__metadata__"}
    return json.loads((folder / "config.json").read_text()), tensors


def recounted(tool, rng, family, config, tensors, work):
    """A configuration with another count, the key, and the tensors that would be others, or None."""
    keys = [k for k in COUNTS if k in config]
    if not keys:
        return None
    key = rng.choice(keys)
    value = rng.choice([v for v in (config[key] + 1, config[key] * 2, config[key] - 1) if v > 0])
    with tempfile.TemporaryDirectory(dir=work) as folder:
        other = tiny(tool, family, pathlib.Path(folder, "other"), f"{key}={value}")
    if other is None or other[1] == tensors:
        return None
    changed = {n for n in other[1].keys() | tensors.keys() if other[1].get(n) != tensors.get(n)}
    return {**config, key: value}, key, changed


def spellings(name):
    """How a message may name a tensor: as it is, with {layer} and {expert} for the numbers where a message is about all
    of a kind, or as the weight that a scale or a stack of experts belongs to."""
    weight = re.sub(r"_(scale_inv|blocks|scales)$", "", name)
    stacked = re.sub(r"(experts)\.(\w+_proj)_(bias)$", r"\1.{expert}.\2.\3", weight)
    # A weight and its scales contradict each other: either may be named. Bloom's prefix may be absent; Qwen3-VL's text is
    # told by the names of Qwen3.
    for form in {name, weight, weight + "_scale_inv", stacked, re.sub("^backbone\\.", "model.", name),
                 re.sub("^transformer\\.", "", name), name.replace("model.language_model.", "model.", 1)}:
        of_layer = re.sub(r"(^|\.)(layers?|blocks|h)\.\d+\.", r"\1\2.{layer}.", form)
        for text in (form, of_layer):
            yield from (text, re.sub(r"\.experts\.\d+\.", ".experts.{expert}.", text))
    if weight.endswith("_proj"):
        for stack in {weight, weight.replace("model.language_model.", "model.", 1)}:
            of_expert = re.sub(r"(experts)\.(\w+)$", r"\1.{expert}.\2", stack)
            for form in (of_expert, re.sub(r"\.layers\.\d+\.", ".layers.{layer}.", of_expert)):
                for part in (form, form.replace("gate_up_proj", "gate_proj"), form.replace("gate_up_proj", "up_proj")):
                    yield from (part, part + ".weight")


def check_mutation(tool, folder, config, tensors, expected):
    write(folder, config, tensors)
    said = tool.failure("inspect", "--json", folder)
    errors = "\n".join(line for line in said.splitlines() if "error:" in line)
    return None if any(f"'{n}'" in errors for e in expected.split("|") for n in spellings(e)) else said[:600]


def headers_to_mutate(tool, work, report):
    """name → (model or None, configuration, tensors): a few layers of published sizes, and a tiny checkpoint of every
    family. Each is accepted as it is."""
    found = {}
    for name, cut in CUT.items():
        config = {**copy.deepcopy(MODELS[name].config), **cut}
        found[name] = (MODELS[name], config, header(MODELS[name], config)[0])
    for family in json.loads(tool.call("list", "--json")):
        if family["architectures"]:
            made = tiny(tool, family["name"], work / "tiny" / family["name"])
            if made is None:
                report(f"{family['name']}, tiny", "clade tiny makes none")
                continue
            found[family["name"]] = (None, *made)
    for name, (_, config, tensors) in found.items():
        write(work / "whole", config, tensors)
        whole = tool.run("inspect", "--json", work / "whole")
        if whole.returncode:
            report(f"{name} of few layers", whole.stderr[:1000])
    return found


def mutations(tool, count, seed, work, report):
    """`count` mutations, of all kinds and headers in turn. A size of a dimension that a mutation may change is one that
    the configuration fixes, so each of them contradicts it."""
    rng = random.Random(seed)
    headers = list(headers_to_mutate(tool, work, report).items())
    kinds = {}
    refused = 0
    for number in range(count):
        name, (model, config, tensors) = headers[number % len(headers)]
        names = sorted(n for n in tensors if not model or is_read(model, config, n))
        made = None
        while made is None:
            mutate = rng.choice([*MUTATIONS, recounted])
            target = rng.choice(names)
            if mutate is recounted:
                other = recounted(tool, rng, name, config, tensors, work) if model is None else None
                made = other and (other[0], tensors, "|".join(sorted(other[2])))
                target = other and other[1]
            else:
                changed = mutate(rng, tensors, target)
                made = changed and (config, *changed)
        problem = check_mutation(tool, work / "mutated", *made)
        refused += not problem
        kinds[mutate.__name__] = kinds.get(mutate.__name__, 0) + 1
        if problem:
            report(f"mutation {number}: {name}, {mutate.__name__} {target} {tensors.get(target)}", problem)
    print(f"{refused} of {count} mutations refused with the tensor's name, over {len(headers)} headers: "
          + ", ".join(f"{n} {k}" for k, n in sorted(kinds.items())))
    return refused


def main():
    parser = argparse.ArgumentParser(description="prove the mapping of published sizes from headers alone")
    parser.add_argument("pattern", nargs="*", help="only models whose names contain one of these")
    parser.add_argument("--short", action="store_true", help="one model of each form, and 40 mutations")
    parser.add_argument("--mutations", type=int, help="how many (default: 560)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="write the headers here, and leave them")
    clade.add_options(parser)
    options = parser.parse_args()
    tool = clade.Clade(options)
    passed = failed = 0

    def report(line, problem):
        nonlocal passed, failed
        print(f"{line} {'FAIL' if problem else 'ok'}" + (f"\n    {problem}" if problem else ""), flush=True)
        passed += not problem
        failed += bool(problem)

    with tempfile.TemporaryDirectory(prefix="clade-headers-") as folder:
        work = options.keep or pathlib.Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        for name, model in MODELS.items():
            if any(p in name for p in options.pattern) if options.pattern else model.short or not options.short:
                try:
                    report(*check_model(tool, name, model, work / name))
                    if name == LARGEST[0]:
                        report(*check_compile(tool, *LARGEST, work))
                except (OSError, ValueError, clade.CladeError) as error:
                    report(name, f"{type(error).__name__}: {error}")
        count = options.mutations if options.mutations is not None else 40 if options.short else 560
        if count:
            passed += mutations(tool, count, options.seed, work, report)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
