#!/usr/bin/env python3
#===- generate.py - PTX of the Triton compiler ------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Compiles Triton kernels to the PTX in this folder, for sm_80 and sm_90a.

Usage: generate.py    (with `pip install triton`; needs no GPU)

Each kernel becomes NAME.sm_80.ptx and NAME.sm_90a.ptx; launches.json holds what
a launch needs: the entry's name, threads of a block, bytes of dynamic shared
memory. Triton adds parameters of its own after those of the source: pointers to
scratch memory, which these kernels do not use.
"""
import json
import os
import re

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def softmax(x, y, width, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    values = tl.load(x + row * width + columns, mask=inside, other=-float("inf"))
    exponentials = tl.exp(values - tl.max(values, axis=0))
    tl.store(y + row * width + columns, exponentials / tl.sum(exponentials, axis=0), mask=inside)


@triton.jit
def layer_norm(x, weight, bias, y, width, epsilon, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    values = tl.load(x + row * width + columns, mask=inside, other=0.0)
    mean = tl.sum(values, axis=0) / width
    centred = tl.where(inside, values - mean, 0.0)
    scale = 1 / tl.sqrt(tl.sum(centred * centred, axis=0) / width + epsilon)
    w = tl.load(weight + columns, mask=inside)
    b = tl.load(bias + columns, mask=inside)
    tl.store(y + row * width + columns, centred * scale * w + b, mask=inside)


@triton.jit
def gemm(a, b, c, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    steps = tl.arange(0, K)
    a_tile = a + rows[:, None] * k + steps[None, :]
    b_tile = b + steps[:, None] * n + columns[None, :]
    sums = tl.zeros((M, N), dtype=tl.float32)
    for _ in range(0, k, K):
        sums = tl.dot(tl.load(a_tile), tl.load(b_tile), sums)
        a_tile += K
        b_tile += K * n
    tl.store(c + rows[:, None] * n + columns[None, :], sums)


@triton.jit
def attention(q, k, v, out, keys, scale, M: tl.constexpr, N: tl.constexpr, HEAD: tl.constexpr):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    dims = tl.arange(0, HEAD)
    queries = tl.load(q + rows[:, None] * HEAD + dims[None, :])
    most = tl.full((M,), -1e30, dtype=tl.float32)
    total = tl.zeros((M,), dtype=tl.float32)
    sums = tl.zeros((M, HEAD), dtype=tl.float32)
    for start in range(0, keys, N):
        places = start + tl.arange(0, N)
        tile = tl.load(k + places[None, :] * HEAD + dims[:, None])
        scores = tl.dot(queries, tile) * scale
        largest = tl.maximum(most, tl.max(scores, axis=1))
        shrink = tl.exp2(most - largest)
        weights = tl.exp2(scores - largest[:, None])
        total = total * shrink + tl.sum(weights, axis=1)
        values = tl.load(v + places[:, None] * HEAD + dims[None, :])
        sums = tl.dot(weights.to(tl.bfloat16), values, sums * shrink[:, None])
        most = largest
    tl.store(out + rows[:, None] * HEAD + dims[None, :], sums / total[:, None])


KERNELS = {
    "softmax": (softmax, {"x": "*fp32", "y": "*fp32", "width": "i32"}, {"BLOCK": 512}, 4, 1),
    "layer_norm": (layer_norm, {"x": "*fp32", "weight": "*fp32", "bias": "*fp32", "y": "*fp32", "width": "i32",
                                "epsilon": "fp32"}, {"BLOCK": 512}, 4, 1),
    "gemm": (gemm, {"a": "*bf16", "b": "*bf16", "c": "*fp32", "m": "i32", "n": "i32", "k": "i32"},
             {"M": 64, "N": 64, "K": 32}, 4, 3),
    "attention": (attention, {"q": "*bf16", "k": "*bf16", "v": "*bf16", "out": "*fp32", "keys": "i32",
                              "scale": "fp32"}, {"M": 64, "N": 64, "HEAD": 64}, 4, 2),
}


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    launches = {"triton": triton.__version__}
    for name, (function, signature, constants, warps, stages) in KERNELS.items():
        for capability, architecture in ((80, "sm_80"), (90, "sm_90a")):
            source = ASTSource(fn=function, signature={**signature, **{c: "constexpr" for c in constants}},
                               constexprs=constants,
                               # Pointers and sizes are multiples of 16.
                               attrs={(i,): [["tt.divisibility", 16]] for i, kind in enumerate(signature.values())
                                      if kind != "fp32" and kind != "fp16"})
            compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32),
                                      options={"num_warps": warps, "num_stages": stages, "ptx_version": 86})
            # Debug information names the folder of whoever ran this.
            text = re.sub(r"\n\t?\.section\s+\.debug.*", "\n", compiled.asm["ptx"], flags=re.S)
            text = "\n".join(line for line in text.splitlines()
                             if not re.match(r"\s*(\.loc|\.file|\$L__(tmp|func_)|//)", line)) + "\n"
            with open(os.path.join(folder, f"{name}.{architecture}.ptx"), "w", encoding="utf-8") as file:
                file.write(text.replace(", debug", ""))
            launches[f"{name}.{architecture}"] = {"entry": compiled.metadata.name,
                                                  "threads": 32 * compiled.metadata.num_warps,
                                                  "shared": compiled.metadata.shared}
    with open(os.path.join(folder, "launches.json"), "w", encoding="utf-8") as file:
        json.dump(launches, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
