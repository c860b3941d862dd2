#===- pad-weight.py - More rows of a tensor ----------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: pad-weight.py FILE TENSOR ROWS [BYTE]
# gives a tensor of a safetensors file so many rows; the new ones are of bytes 0,
# or of BYTE.
#
#===------------------------------------------------------------------------===#
import json
import struct
import sys

path, tensor, rows, *rest = sys.argv[1:]
with open(path, "rb") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    header, data = json.loads(file.read(size)), file.read()
entry = header[tensor]
begin, end = entry["data_offsets"]
more = (end - begin) // entry["shape"][0] * int(rows) - (end - begin)
entry["shape"][0] = int(rows)
for name, other in header.items():
    if name != "__metadata__" and other["data_offsets"][0] >= end:
        other["data_offsets"] = [offset + more for offset in other["data_offsets"]]
entry["data_offsets"] = [begin, end + more]
data = data[:end] + bytes([int(rest[0]) if rest else 0]) * more + data[end:]
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(path, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
