"""images.py write FILE HEIGHT,WIDTH …: images of pseudo-random pixels, as a processor gives them.
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


def images(path, sizes):
    sizes = [tuple(map(int, size.split(","))) for size in sizes]
    height, width = (max(size[i] for size in sizes) for i in range(2))
    pixels, state = [], 1
    for h, w in sizes:
        for _ in range(3):
            for y in range(height):
                for x in range(width):
                    state = state * 1103515245 + 12345 & 0x7FFFFFFF
                    pixels.append(state / 0x40000000 - 1 if y < h and x < w else 0.0)
    write(path, {"image_sizes": ("I64", [len(sizes), 2], [side for size in sizes for side in size]),
                 "pixel_values": ("F32", [len(sizes), 3, height, width], pixels)})


def compare(first, second):
    a, b = read(first), read(second)
    if a.keys() != b.keys() or any(len(a[name]) != len(b[name]) for name in a):
        print("other tensors")
        return
    largest = max(abs(value) for values in a.values() for value in values)
    difference = max(abs(x - y) for name in a for x, y in zip(a[name], b[name]))
    print("equal" if difference < 1e-5 * largest else f"different by {difference:g} of {largest:g}")


if __name__ == "__main__":
    if sys.argv[1] == "write":
        images(sys.argv[2], sys.argv[3:])
    else:
        compare(*sys.argv[2:])
