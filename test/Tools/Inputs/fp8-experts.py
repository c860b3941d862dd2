"""fp8-experts.py CHECKPOINT STORED DECODED: stacks of experts in FP8 (E4M3) with a scale for each expert, as Mistral 4 is
published, and the same weights in F32. All other tensors are CHECKPOINT's."""

import json
import pathlib
import struct
import sys


def value(code):
    sign, exponent, mantissa = -1.0 if code & 0x80 else 1.0, code >> 3 & 15, code & 7
    return sign * (2.0**-9 * mantissa if exponent == 0 else 2.0 ** (exponent - 7) * (1 + mantissa / 8))


VALUES = [value(code) for code in range(256)]


def read(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (e["dtype"], e["shape"], data[8 + size + e["data_offsets"][0]:8 + size + e["data_offsets"][1]])
            for name, e in header.items()}


def write(folder, config, tensors):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    header, data = {}, b""
    # The widest elements first, so that all are aligned.
    for name, (dtype, shape, content) in sorted(tensors.items(), key=lambda t: t[1][0] == "F8_E4M3"):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    source, stored_at, decoded_at = map(pathlib.Path, sys.argv[1:])
    config = json.loads((source / "config.json").read_text())
    stored, decoded, state = {}, {}, 1
    for name, tensor in read(source / "model.safetensors").items():
        stored[name] = decoded[name] = tensor
        if not name.endswith((".experts.gate_up_proj", ".experts.down_proj")):
            continue
        _, (experts, rows, columns), _ = tensor
        codes, scales, values = bytearray(), [], []
        for _ in range(experts):
            state = state * 1103515245 + 12345 & 0x7FFFFFFF
            # No power of two, and exact in f32 together with four bits of a code.
            scales.append((1 + state % 1000) / 65536)
            for _ in range(rows * columns):
                state = state * 1103515245 + 12345 & 0x7FFFFFFF
                code = state >> 16 & 0xFF
                code &= 0xBF  # below 2, and no NaN
                codes.append(code)
                values.append(VALUES[code] * scales[-1])
        stored[name] = ("F8_E4M3", [experts, rows, columns], bytes(codes))
        stored[name + "_scale_inv"] = ("F32", [experts, 1, 1], struct.pack(f"<{experts}f", *scales))
        stored[name + "_activation_scale"] = ("F32", [experts], struct.pack(f"<{experts}f", *scales))
        decoded[name] = ("F32", [experts, rows, columns], struct.pack(f"<{len(values)}f", *values))
    form = {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None, "dequantize": False}
    write(stored_at, {**config, "quantization_config": form}, stored)
    write(decoded_at, config, decoded)


main()
