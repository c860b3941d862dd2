#===- published-run.py - In the place of the published implementation -------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: published-run.py CHECKPOINT … --dtype D --tokens N,… --force N,… --output FILE
#
# Writes ones as `logits`, and as the result of each module that $MODULES names
# with its width, such as 'model.norm=64'. With $CLADE_BIN the logits are those of
# its interpreter and the families that come with it, but not in the type $ONES. With $SAYS, that is a message
# for the user.
#
#===------------------------------------------------------------------------===#
import json
import os
import struct
import subprocess
import sys
import tempfile


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def numbers(name):
    return [t for t in option(name).split(",") if t]


def interpreted():
    """The logits that the interpreter gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "logits")
        force = numbers("--force")
        subprocess.run(
            [os.environ["CLADE_BIN"], "run", sys.argv[1], "--interpret", "--dtype", option("--dtype"), "--tokens", option("--tokens"),
             "--max-tokens", str(len(force)), "--force", ",".join(force), "--logits", path],
            env={name: value for name, value in os.environ.items() if name != "CLADE_SPECS"}, check=True, stdout=subprocess.DEVNULL)
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entry = json.loads(file.read(length))["logits"]
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            return entry["shape"], file.read(end - begin)


if "SAYS" in os.environ:
    with open(option("--output"), "w") as file:
        file.write(os.environ["SAYS"])
    sys.exit(3)
prompt = len(numbers("--tokens"))
shapes = {"logits": [prompt + len(numbers("--force")), int(os.environ.get("VOCAB", "1"))]}
for word in os.environ.get("MODULES", "").split():
    name, width = word.split("=")
    shapes[name] = [prompt, int(width)]
values = {name: (shape, struct.pack("<f", 1.0) * (shape[0] * shape[1])) for name, shape in shapes.items()}
if "CLADE_BIN" in os.environ and option("--dtype") != os.environ.get("ONES"):
    values["logits"] = interpreted()
entries, data = {"__metadata__": {"class": "PublishedModel", "library": "library 1.0"}}, b""
for name, (shape, own) in sorted(values.items()):
    entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(own)]}
    data += own
header = json.dumps(entries).encode()
header += b" " * (-len(header) % 8)
with open(option("--output"), "wb") as file:
    file.write(len(header).to_bytes(8, "little") + header + data)
