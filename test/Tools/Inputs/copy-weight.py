#===- copy-weight.py - A tensor once more in a checkpoint -------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: copy-weight.py FILE TENSOR NAME
# adds NAME to a safetensors file: the same shape, type and bytes as TENSOR.
#
#===------------------------------------------------------------------------===#
import json
import struct
import sys

path, tensor, name = sys.argv[1:]
with open(path, "rb") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    header, data = json.loads(file.read(size)), file.read()
begin, end = header[tensor]["data_offsets"]
header[name] = dict(header[tensor], data_offsets=[len(data), len(data) + end - begin])
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(path, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data + data[begin:end])
