#===- change-weight.py - One other weight in a checkpoint -------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: change-weight.py FILE TENSOR VALUE
# sets the first element of an F32 tensor of a safetensors file.
#
#===------------------------------------------------------------------------===#
import json
import struct
import sys

path, tensor, value = sys.argv[1:]
with open(path, "r+b") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    begin = json.loads(file.read(size))[tensor]["data_offsets"][0]
    file.seek(8 + size + begin)
    file.write(struct.pack("<f", float(value)))
