"""Writes a GGUF file (version 3) of F32 zeros from a JSON description:
{"metadata": {key: value}, "tensors": {name: shape, outermost axis first}}."""

import json
import struct
import sys

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
ALIGNMENT = 32


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value):
    """The type of a metadata value and its bytes."""
    if isinstance(value, bool):
        return BOOL, struct.pack("<B", value)
    if isinstance(value, int):
        return U32, struct.pack("<I", value)
    if isinstance(value, float):
        return F32, struct.pack("<f", value)
    if isinstance(value, str):
        return STRING, text(value)
    elements = [typed(element) for element in value]
    kind = elements[0][0] if elements else U32
    return ARRAY, struct.pack("<IQ", kind, len(elements)) + b"".join(
        data for _, data in elements
    )


def main():
    source, target = sys.argv[1:]
    with open(source) as file:
        description = json.load(file)
    metadata, tensors = description["metadata"], description["tensors"]
    image = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        kind, data = typed(value)
        image += text(key) + struct.pack("<I", kind) + data
    offset = 0
    for name, shape in tensors.items():
        count = 1
        for extent in shape:
            count *= extent
        image += text(name) + struct.pack("<I", len(shape))
        image += b"".join(struct.pack("<Q", extent) for extent in reversed(shape))
        image += struct.pack("<IQ", 0, offset)
        offset += -(-4 * count // ALIGNMENT) * ALIGNMENT
    image += bytes(-len(image) % ALIGNMENT) + bytes(offset)
    with open(target, "wb") as file:
        file.write(image)


main()
