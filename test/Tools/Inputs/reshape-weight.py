#===- reshape-weight.py - Another shape of a tensor --------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: reshape-weight.py FILE TENSOR SIZE …
# gives a tensor of a safetensors file these sizes.
#
#===------------------------------------------------------------------------===#
import json
import struct
import sys

path, tensor, *sizes = sys.argv[1:]
with open(path, "rb") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    header, data = json.loads(file.read(size)), file.read()
header[tensor]["shape"] = [int(s) for s in sizes]
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(path, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
