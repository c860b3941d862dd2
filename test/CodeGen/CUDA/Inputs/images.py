# ===- images.py - Images for small models -------------------------------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""What a reference processor would make of two images, for the small model in a folder, with a prompt around them."""

import json
import pathlib
import random
import struct


def write_tensors(path, tensors):
    """Writes {name: (dtype, shape, bytes)} as a safetensors file."""
    header, data = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def make_images(model, path, grids):
    """Writes images of `grids`, rows and columns of patches each; gives the tokens of a prompt with them."""
    config = json.loads((pathlib.Path(model) / "config.json").read_text())
    vision, family = config["vision_config"], config["architectures"][0]
    patch = vision.get("patch_size", 14)
    patches = sum(rows * columns for rows, columns in grids)
    source = random.Random(7)

    def values(shape):
        count = 1
        for size in shape:
            count *= size
        return "F32", shape, struct.pack(f"<{count}f", *(source.gauss(0, 1) for _ in range(count)))

    def sizes(rows):
        flat = [number for row in rows for number in row]
        return "I64", [len(rows), len(rows[0])], struct.pack(f"<{len(flat)}q", *flat)

    if "image_token_index" in config or family.startswith("Mistral"):
        token, merge = config.get("image_token_index", 10), config.get("spatial_merge_size", 2)
        height, width = (max(grid[i] for grid in grids) * patch for i in range(2))
        write_tensors(path, {"pixel_values": values([len(grids), 3, height, width]),
                             "image_sizes": sizes([(rows * patch, columns * patch) for rows, columns in grids])})
    elif family.startswith("Kimi"):
        token = config.get("image_token_id") or config.get("media_placeholder_token_id", 163605)
        merge = vision.get("merge_kernel_size", [2, 2])[0]
        grid = {"KimiVLForConditionalGeneration": "image_grid_hws"}.get(family, "image_grid_thw")
        write_tensors(path, {"pixel_values": values([patches, 3, patch, patch]),
                             grid: sizes(grids if grid == "image_grid_hws" else [(1, *grid) for grid in grids])})
    else:
        token, merge = config.get("image_token_id", 151655), vision.get("spatial_merge_size", 2)
        width = vision.get("in_channels", 3) * vision.get("temporal_patch_size", 2) * patch**2
        write_tensors(path, {"pixel_values": values([patches, width]),
                             "image_grid_thw": sizes([(1, *grid) for grid in grids])})
    tokens = [3, 4, 5]
    for rows, columns in grids:
        tokens += [token] * (rows * columns // merge**2) + [6, 7]
    return tokens
