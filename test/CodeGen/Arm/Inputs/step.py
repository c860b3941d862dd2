"""usage: step.py CLADE STEP_INPUT RUN_STEP FOLDER CHECKPOINT CPU [OPTION…]

Compiles a checkpoint for an AArch64 CPU and for x86-64-v3, whose multiply-adds are fused as well, runs one step of 100
tokens of both, the first under qemu, and compares the logits of the last token. In f32 they are within 1e-5 of the largest one, the bound of `clade verify`;
with `--dtype bf16` within 2^-6, two units of bf16: sums in another order may turn a rounding of the stream that the
layers add to. So may they turn the 8-bit code of an activation, by 1/127 of its group's largest, which is as much. The
logits are in FOLDER/logits.
"""
import json
import os
import shutil
import struct
import subprocess
import sys

clade, step_input, run_step, folder, checkpoint, cpu, *options = sys.argv[1:]
TOKENS = [str((7 * i * i + 3 * i) % 97) for i in range(100)]
ROUNDS = "bf16" in options or ("--weights" in options and not {"reference", "f16"} & set(options))
BOUND = 2**-6 if ROUNDS else 1e-5


def call(*command, **kwargs):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **kwargs).stdout


def compiled(name, target):
    path = os.path.join(folder, name)
    call(clade, "compile", checkpoint, "-o", path, "--target-cpu", target, "--no-error", *options)
    return path


def last_row(path, width):
    with open(path, "rb") as file:
        stored = file.read()
    size = struct.unpack("<Q", stored[:8])[0]
    (tensor,) = (entry for name, entry in json.loads(stored[8 : 8 + size]).items() if name != "__metadata__")
    begin, end = (8 + size + at for at in tensor["data_offsets"])
    rows = struct.unpack(f"<{(end - begin) // 4}f", stored[begin:end])
    return rows[(len(TOKENS) - 1) * width : len(TOKENS) * width]


shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
arm = compiled("arm", cpu)
given = call(step_input, arm, checkpoint, *TOKENS)
data = call("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", run_step, os.path.join(arm, "code.so"), input=given)
values = struct.unpack(f"<{len(data) // 4}f", data)
with open(os.path.join(folder, "logits"), "wb") as file:
    file.write(data)
logits = os.path.join(folder, "own.safetensors")
call(clade, "run", compiled("own", "x86-64-v3"), "--tokens", ",".join(TOKENS), "--max-tokens", "1", "--ignore-eos", "--logits", logits)
expected = last_row(logits, len(values))
largest = max(map(abs, expected))
distance = max(abs(a - b) for a, b in zip(values, expected, strict=True)) / largest
print(f"{cpu} {' '.join(options)}: distance {distance:.1e}", "ok" if distance <= BOUND else f"FAIL, expected at most {BOUND:.1e}")
