#===- near.py - Logits of a batch beside those of single runs ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: near.py BATCH SINGLE …
#
# The f32 tensors of BATCH, in the order of their names, equal those of the SINGLE files up to 1e-5 of the largest
# number; and any two of the SINGLE files differ by more than a hundred times that.
#
#===------------------------------------------------------------------------===#
import itertools
import json
import pathlib
import struct
import sys


def tensors(path):
    image = pathlib.Path(path).read_bytes()
    length = int.from_bytes(image[:8], "little")
    header = json.loads(image[8 : 8 + length])
    for name, entry in sorted(header.items()):
        if name != "__metadata__":
            begin, end = (8 + length + o for o in entry["data_offsets"])
            yield struct.unpack(f"<{(end - begin) // 4}f", image[begin:end])


def apart(a, b):
    if len(a) != len(b):
        sys.exit(f"{len(a)} numbers beside {len(b)}")
    return max(abs(x - y) for x, y in zip(a, b)) / max(map(abs, b))


batch = list(tensors(sys.argv[1]))
single = [next(tensors(path)) for path in sys.argv[2:]]
if len(batch) != len(single):
    sys.exit(f"{len(batch)} tensors, expected {len(single)}")
for i, (a, b) in enumerate(zip(batch, single)):
    if not apart(a, b) < 1e-5:
        sys.exit(f"tensor {i} is {apart(a, b):.3g} from that of the single run")
for a, b in itertools.combinations(single, 2):
    if not apart(a, b) > 1e-3:
        sys.exit(f"two single runs are only {apart(a, b):.3g} from each other")
