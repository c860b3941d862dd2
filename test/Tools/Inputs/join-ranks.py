#===- join-ranks.py - The weights of several devices put together -----------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: join-ranks.py WHOLE RANK …
# Folders of `clade convert --to weights`, of 16-bit elements. Fails unless the
# parts of the ranks, where shard.json says, are the whole weights bit for bit.
#
#===------------------------------------------------------------------------===#
import itertools
import json
import pathlib
import struct
import sys


def weights_of(folder):
    """(name, entry of the plan, bytes) of each tensor."""
    image = pathlib.Path(folder, "weights.safetensors").read_bytes()
    length = struct.unpack("<Q", image[:8])[0]
    header = json.loads(image[8:8 + length])
    for entry in json.loads(pathlib.Path(folder, "shard.json").read_text())["weights"]:
        for layer in entry["layers"] or [None]:
            name = entry["name"] if layer is None else entry["name"].replace("{layer}", str(layer))
            begin, end = (8 + length + offset for offset in header[name]["data_offsets"])
            assert header[name]["shape"] == entry["part"], name
            yield name, entry, image[begin:end]


def places(entry):
    """Of each element of a part its number in the whole."""
    axes = [range(size) for size in entry["shape"]]
    for cut in entry["cuts"]:
        axes[cut["axis"]] = [begin + i for begin, size in cut["parts"] for i in range(size)]
    for index in itertools.product(*axes):
        number = 0
        for size, i in zip(entry["shape"], index):
            number = number * size + i
        yield number


def main():
    whole = {name: data for name, _, data in weights_of(sys.argv[1])}
    made = {name: {} for name in whole}
    for rank in sys.argv[2:]:
        for name, entry, data in weights_of(rank):
            for i, number in enumerate(places(entry)):
                bits = data[2 * i:2 * i + 2]
                assert made[name].setdefault(number, bits) == bits, (name, number)
    for name, data in whole.items():
        joined = b"".join(made[name][number] for number in range(len(data) // 2))
        assert joined == data, name


main()
