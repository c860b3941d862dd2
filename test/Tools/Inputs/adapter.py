#===- adapter.py - A LoRA adapter for the modules of a checkpoint -----------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: adapter.py CHECKPOINT ADAPTER [key=JSON …] [-KEY …] [+KEY=[ROWS,COLUMNS] …] MODULE …
#
# Writes adapter_config.json of rank 2 and alpha 4 with the given keys, and a pair of f32 factors for each module whose
# weight the checkpoint holds. -KEY leaves a tensor out, +KEY adds one. Factors are small multiples of 1/8: their
# products are exact.
#
#===------------------------------------------------------------------------===#
import json
import pathlib
import struct
import sys


def header_of(path):
    image = path.read_bytes()
    length = int.from_bytes(image[:8], "little")
    return json.loads(image[8 : 8 + length])


def values(name, count):
    seed = sum(name.encode())
    return [((seed + 7 * i) % 9 - 4) / 8 for i in range(count)]


def main():
    checkpoint, adapter, *rest = sys.argv[1:]
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none", "target_modules": ["q_proj"]}
    shapes = {}
    published = header_of(pathlib.Path(checkpoint, "model.safetensors"))
    for word in rest:
        if word[0] in "-+":
            key, _, shape = word[1:].partition("=")
            shapes.pop(key, None)
            if shape:
                shapes[key] = json.loads(shape)
        elif "=" in word:
            key, _, value = word.partition("=")
            config[key] = json.loads(value)
        else:
            rows, columns = published[f"{word}.weight"]["shape"]
            rank = config["r"]
            shapes[f"base_model.model.{word}.lora_A.weight"] = [rank, columns]
            shapes[f"base_model.model.{word}.lora_B.weight"] = [rows, rank]
    folder = pathlib.Path(adapter)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    entries, data = {}, b""
    for name, shape in sorted(shapes.items()):
        count = shape[0] * shape[1]
        own = struct.pack(f"<{count}f", *values(name, count))
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(own)]}
        data += own
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)


main()
