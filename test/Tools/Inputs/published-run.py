#===- published-run.py - In the place of the published implementation -------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: published-run.py … --tokens N,… --force N,… --output FILE
#
# Writes ones as `logits`, and as the result of each module that $MODULES names
# with its width, such as 'model.norm=64'.
#
#===------------------------------------------------------------------------===#
import json
import os
import struct
import sys


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


prompt = len(option("--tokens").split(","))
tokens = prompt + len([t for t in option("--force").split(",") if t])
shapes = {"logits": [tokens, int(os.environ["VOCAB"])]}
for word in os.environ.get("MODULES", "").split():
    name, width = word.split("=")
    shapes[name] = [prompt, int(width)]
entries, data = {}, b""
for name, shape in sorted(shapes.items()):
    own = struct.pack("<f", 1.0) * (shape[0] * shape[1])
    entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(own)]}
    data += own
header = json.dumps(entries).encode()
header += b" " * (-len(header) % 8)
with open(option("--output"), "wb") as file:
    file.write(len(header).to_bytes(8, "little") + header + data)
