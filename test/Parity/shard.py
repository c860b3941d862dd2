#===- shard.py - The weights of several devices put together ----------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/shard.py [options] [PATTERN …]
#
# For the checkpoint of every case and some meshes, what `clade convert --to
# weights --shard` writes for each rank:
#   * the ranks' parts, put where shard.json says, are the whole weights bit for
#     bit; parts that several have are the same; each element is on some rank;
#   * a rank reads no more of a tensor than its part: of each source the ranks of
#     a layer read together one copy, unless all read all of it, or several have
#     the same heads of keys and values.
# For one model the parts are also made here, from the published tensors by heads.
# A mesh that does not divide a model must say which axis of which weight.
#
#===------------------------------------------------------------------------===#
import argparse
import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file

import clade
import everything

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


def mesh_of(text):
    sizes = {"tp": 1, "ep": 1, "pp": 1, **{k: int(v) for k, v in (entry.split("=") for entry in text.split(","))}}
    return sizes, sizes["tp"] * sizes["ep"] * sizes["pp"]


class Rank:
    def __init__(self, folder):
        self.tensors = {name: tensor.view(BITS[tensor.element_size()])
                        for name, tensor in load_file(folder / "weights.safetensors").items()}
        self.plan = json.loads((folder / "shard.json").read_text())

    def weights(self):
        """(name of the tensor, its entry of the plan) of all."""
        for entry in self.plan["weights"]:
            for layer in entry["layers"] or [None]:
                yield entry["name"] if layer is None else entry["name"].replace("{layer}", str(layer)), entry


def indices(entry):
    """Of each axis the places of the part in the whole."""
    result = [torch.arange(size) for size in entry["shape"]]
    for cut in entry["cuts"]:
        result[cut["axis"]] = torch.cat([torch.arange(begin, begin + size) for begin, size in cut["parts"]])
    return torch.meshgrid(*result, indexing="ij") if result else ()


def check_parts(whole, ranks):
    """What is wrong with the parts of ranks, or None."""
    expected = dict(whole.weights())
    made = {name: torch.zeros_like(whole.tensors[name]) for name in expected}
    covered = {name: torch.zeros(tensor.shape, dtype=torch.bool) for name, tensor in made.items()}
    for number, rank in enumerate(ranks):
        named = dict(rank.weights())
        if named.keys() != rank.tensors.keys():
            return f"rank {number}: the plan is of other tensors: {sorted(named.keys() ^ rank.tensors.keys())[:3]}"
        for name, entry in named.items():
            place, part = indices(entry), rank.tensors[name]
            if list(part.shape) != entry["part"] or part.shape != (place[0].shape if place else torch.Size()):
                return f"rank {number}: '{name}' is {list(part.shape)}, the plan says {entry['part']}"
            if (covered[name][place] & (made[name][place] != part)).any():
                return f"rank {number}: '{name}' has other bits than the same part of another rank"
            made[name][place] = part
            covered[name][place] = True
    for name, tensor in made.items():
        if not covered[name].all():
            return f"'{name}': no rank has {int((~covered[name]).sum())} of {tensor.numel()} elements"
        if not torch.equal(tensor, whole.tensors[name]):
            return f"'{name}': the parts together are not the whole"
    return None


def check_reads(whole, ranks, sizes):
    """What is wrong with the bytes that ranks read, or None."""
    devices = sizes["tp"] * sizes["ep"]
    for first in range(0, len(ranks), devices):  # of each stage
        stage = [{entry["name"]: entry for entry in rank.plan["weights"]} for rank in ranks[first:first + devices]]
        for name, entry in stage[0].items():
            # Sources of one weight may be held different numbers of times, as heads of keys that several devices need.
            read, published, told = 0, 0, []
            for i, source in enumerate(entry["reads"]):
                reads = [entries[name]["reads"][i]["bytes"] for entries in stage]
                if all(own == source["of"] for own in reads):
                    continue
                read, published = read + sum(reads), published + source["of"]
                told.append(f"{reads} of {source['of']} bytes of '{source['name']}'")
            held = sum(torch.tensor(e[name]["part"]).prod().item() for e in stage) / torch.tensor(entry["shape"]).prod().item()
            if told and read / published > max(held, 1) + 1e-9:
                return (f"'{name}' of stage {first // devices}: ranks read {', '.join(told)}, "
                        f"which is more than the {held:g} copies that they hold")
    return None


def check_heads(path, ranks, sizes):
    """The product of queries, keys and values of each rank, from the published tensors by heads."""
    config = json.loads((path / "config.json").read_text())
    tensors = {name: t.view(BITS[t.element_size()]) for name, t in load_file(path / "model.safetensors").items()}
    tp, heads, kv_heads = sizes["tp"], config["num_attention_heads"], config["num_key_value_heads"]
    for number, rank in enumerate(ranks):
        parts = []
        for key, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            rows = tensors[f"model.layers.1.self_attn.{key}_proj.weight"].unflatten(0, (count, -1))
            # Queries of a device lie in whole groups, or inside of one.
            own = {head * count // heads for head in range(number * heads // tp, (number + 1) * heads // tp)}
            parts.append(rows[sorted(own)].flatten(0, 1))
        name = "model.layers.1.self_attn.q_proj.weight+k_proj.weight+v_proj.weight"
        if not torch.equal(rank.tensors[name], torch.cat(parts)):
            return f"rank {number}: '{name}' is not that of its heads"
    return None


def check(tool, name, path, text, whole, work):
    sizes, count = mesh_of(text)
    ranks = []
    for number in range(count):
        folder = work / f"{text}-{number}"
        try:
            tool.call("convert", path, "-o", folder, "--to", "weights", "--shard", f"{text},rank={number}")
        except clade.CladeError as error:
            if text != "tp=2" and "devices cannot share equally" in str(error) and number == 0:
                return None, f"refused: {str(error).split('error: ')[-1]}"
            return str(error), ""
        ranks.append(Rank(folder))
    problem = check_parts(whole, ranks) or check_reads(whole, ranks, sizes)
    if not problem and name == "llama-plain" and sizes["ep"] * sizes["pp"] == 1:
        problem = check_heads(path, ranks, sizes)
    totals = [rank.plan["totals"] for rank in ranks]
    most = max(t["read_bytes"] for t in totals) / totals[0]["stored_bytes"]
    return problem, f"the most that a rank reads is {most:.3f} of all bytes, {1 / count:.3f} would be its share"


def main():
    parser = argparse.ArgumentParser(description="put the weights of several devices together")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--short", action="store_true", help="one case of each family, two devices")
    parser.add_argument("--mesh", help="only this one, such as tp=2,pp=2")
    clade.add_options(parser)
    options = parser.parse_args()
    tool = clade.Clade(options)
    passed = failed = 0
    for name, write in everything.select(options.pattern, short=True if options.short else not options.pattern):
        path = write() / "bf16"
        meshes = ["tp=2"] + ([] if options.short and name != "llama-plain" else ["tp=4", "ep=2", "tp=2,ep=2,pp=2"])
        with tempfile.TemporaryDirectory(prefix="clade-shard-") as folder:
            work = pathlib.Path(folder)
            try:
                tool.call("convert", path, "-o", work / "whole", "--to", "weights")
                whole = Rank(work / "whole")
            except clade.CladeError as error:
                print(f"{name:28s} FAIL {error}")
                failed += 1
                continue
            for text in [options.mesh] if options.mesh else meshes:
                problem, note = check(tool, name, path, text, whole, work)
                print(f"{name:28s} {text:16s} {'FAIL' if problem else 'ok':4s} {problem or note}", flush=True)
                passed += not problem
                failed += bool(problem)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
