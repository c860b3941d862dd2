"""images.py write FILE HEIGHT,WIDTH …: images of pseudo-random pixels, as a processor gives them.
images.py plain FILE VALUE HEIGHT,WIDTH: one image of one colour, VALUE of 255, with mean and deviation 1/2.
images.py films FILE PATCH FRAMES,ROWS,COLUMNS … [--sizes NAME]: patches of films, as a processor cuts them.
images.py tokenizer FILE: a tokenizer.json of 256 tokens, each a character from '!' on, but for those of images.
images.py compare A B: whether two files of logits agree, and how far."""

import json
import struct
import sys


def write(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        code = {"F32": "f", "I64": "q"}[dtype]
        packed = struct.pack(f"<{len(values)}{code}", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    values = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values[name] = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    return values


def following(state):
    return state * 1103515245 + 12345 & 0x7FFFFFFF


def films(path, patch, *grids):
    grids, _, name = " ".join(grids).partition(" --sizes ")
    grids, patch = [tuple(map(int, grid.split(","))) for grid in grids.split()], int(patch)
    patches = sum(frames * rows * columns for frames, rows, columns in grids)
    pixels, state = [], 1
    for _ in range(patches * 3 * patch**2):
        state = following(state)
        pixels.append(state / 0x40000000 - 1)
    write(path, {name or "image_grid_thw": ("I64", [len(grids), 3], [side for grid in grids for side in grid]),
                 "pixel_values": ("F32", [patches, 3, patch, patch], pixels)})


def images(path, sizes):
    sizes = [tuple(map(int, size.split(","))) for size in sizes]
    height, width = (max(size[i] for size in sizes) for i in range(2))
    pixels, state = [], 1
    for h, w in sizes:
        for _ in range(3):
            for y in range(height):
                for x in range(width):
                    state = following(state)
                    pixels.append(state / 0x40000000 - 1 if y < h and x < w else 0.0)
    write(path, {"image_sizes": ("I64", [len(sizes), 2], [side for size in sizes for side in size]),
                 "pixel_values": ("F32", [len(sizes), 3, height, width], pixels)})


def plain(path, value, size):
    height, width = map(int, size.split(","))
    write(path, {"image_sizes": ("I64", [1, 2], [height, width]),
                 "pixel_values": ("F32", [1, 3, height, width], [(int(value) / 255 - 0.5) / 0.5] * (3 * height * width))})


def tokenizer(path):
    special = {10: "[IMG]", 12: "[IMG_BREAK]", 13: "[IMG_END]"}
    vocab = {special.get(i, chr(33 + i)): i for i in range(256)}
    added = [{"id": i, "content": text, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False} for i, text in special.items()]
    with open(path, "w") as file:
        json.dump({"version": "1.0", "added_tokens": added, "normalizer": None, "pre_tokenizer": None,
                   "post_processor": None, "decoder": {"type": "Fuse"},
                   "model": {"type": "BPE", "vocab": vocab, "merges": []}}, file)


def compare(first, second):
    a, b = read(first), read(second)
    if a.keys() != b.keys() or any(len(a[name]) != len(b[name]) for name in a):
        print("other tensors")
        return
    largest = max(abs(value) for values in a.values() for value in values)
    difference = max(abs(x - y) for name in a for x, y in zip(a[name], b[name]))
    print("equal" if difference < 1e-5 * largest else f"different by {difference:g} of {largest:g}")


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "write":
        images(arguments[0], arguments[1:])
    else:
        {"plain": plain, "films": films, "tokenizer": tokenizer, "compare": compare}[command](*arguments)
