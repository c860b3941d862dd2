#!/usr/bin/env python3
"""Writes blocks.gguf: every block type as random bytes, beside what the `gguf`
package decodes them to, and metadata of every value type.

For each type T there are tensors "T.stored" and "T.decoded" (f32). Needs
`pip install gguf`. Usage: make-blocks.py OUTPUT
"""
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q

# Where each block type keeps its f16 scales: those must be finite.
SCALES = {
    Q.Q8_0: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2],
    Q.IQ4_NL: [0], Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.Q4_K: [0, 2],
    Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.IQ4_XS: [0], Q.MXFP4: [],
}
ROWS = 2


def random_blocks(random, kind, scales):
    length, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = 512 // length
    data = random.integers(0, 256, (ROWS, blocks, size), dtype=np.uint8)
    for at in scales:
        scale = random.normal(0, 0.02, (ROWS, blocks)).astype(np.float16)
        scale[0, 0] = np.float16(3e-7)  # a subnormal
        data[:, :, at:at + 2] = scale[..., None].view(np.uint8)
    if kind == Q.MXFP4:  # exponents: subnormal scales too, but no infinite values
        data[:, :, 0] = np.arange(ROWS * blocks).reshape(ROWS, blocks) * 7 % 251
    return data.reshape(ROWS, -1)


def main():
    random = np.random.default_rng(20)
    writer = gguf.GGUFWriter(sys.argv[1], "blocks")
    writer.add_uint8("test.u8", 250)
    writer.add_int8("test.i8", -5)
    writer.add_uint16("test.u16", 65000)
    writer.add_int16("test.i16", -30000)
    writer.add_uint32("test.u32", 4000000000)
    writer.add_int32("test.i32", -2000000000)
    writer.add_uint64("test.u64", 2**63 + 1)
    writer.add_int64("test.i64", -2**62)
    writer.add_float32("test.f32", 0.5)
    writer.add_float64("test.f64", 1e300)
    writer.add_bool("test.bool", True)
    writer.add_string("test.string", "grüße")
    writer.add_array("test.ints", [3, -1, 4])
    writer.add_array("test.floats", [0.25, -2.0])
    writer.add_array("test.bools", [True, False])
    writer.add_array("test.strings", ["a", "", "ccc"])
    writer.add_array("test.nested", [[1, 2], [3]])
    for kind, scales in SCALES.items():
        stored = random_blocks(random, kind, scales)
        decoded = gguf.quants.dequantize(stored, kind)
        assert np.isfinite(decoded).all()
        writer.add_tensor(f"{kind.name}.stored", stored, raw_dtype=kind)
        writer.add_tensor(f"{kind.name}.decoded", decoded)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
