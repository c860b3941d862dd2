#===- quantised.py - Published quantised forms against their decoders -------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/quantised.py [options] [PATTERN …]
#
# For each published form writes a tiny Llama, or Qwen3-MoE whose experts are stacked, in it, with the library that
# publishes it where that installs without a GPU, and compares
#   weights  what Clade makes of each tensor, bit for bit with the library's
#            decoder (weights-dump of the build tells);
#   logits   f32 logits of the compiled model with those of transformers on the
#            dequantised weights, by the f32 rule of compare.py.
# GPTQ, AWQ and ModelOpt's NVFP4 are decoded by the formulas of AutoGPTQ's QuantLinear,
# AutoAWQ's dequantize_gemm and ModelOpt's NVFP4QTensor.dequantize. Then files whose configuration contradicts their tensors: each
# must end in one error that says so.
#
# Of the forms that `clade convert --to hf --dtype` writes, further,
#   tensors       codes and scales, bit for bit with the encoder of the form;
#   transformers  logits of its model of the written files, dequantised by itself,
#                 which are those of the decoded weights.
#
# The packages of tools/dev/requirements-quantised.txt are installed, once, into
# a folder of $CLADE_CACHE.
#
#===------------------------------------------------------------------------===#
import argparse
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

import torch
from safetensors.torch import load_file, save_file

import cases
import checkpoint
import clade
import compare
import moe_cases
import packages
import reference

TREE = pathlib.Path(__file__).parents[2]
E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


class Form:
    """A published form: what is stored for a weight, and what its decoder makes of that."""

    def __init__(self, name, config, encode, size=384, short=False, experts=False):
        self.name, self.config, self.encode, self.size, self.short = name, config, encode, size, short
        self.experts = experts  # of a model whose layers have experts, each with tensors of its own


#===------------------------------------------------------------------------===#
# FP8 and FP4 as transformers reads them
#===------------------------------------------------------------------------===#


def grid(weight, block):
    """The largest magnitude of each block, blocks at the ends being cut off."""
    rows, columns = (math.ceil(n / b) for n, b in zip(weight.shape, block))
    padded = torch.zeros(rows * block[0], columns * block[1])
    padded[:weight.shape[0], :weight.shape[1]] = weight.abs()
    return padded.reshape(rows, block[0], columns, block[1]).amax((1, 3)).clamp_min(1e-8)


def spread(scale, block, shape):
    return scale.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)[:shape[0], :shape[1]]


def exponents(values):
    """Rounded up to a power of two, as E8M0 bytes."""
    return (torch.ceil(torch.log2(values)) + 127).clamp(0, 254).to(torch.uint8)


def by_transformers(weight, scale):
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize
    return Fp8Dequantize(None)._dequantize_one(weight, scale, torch.float32)


def fp8(block, kind="f32", key="weight_scale_inv", ragged=False):
    def encode(name, weight):
        size = block or weight.shape
        scale = grid(weight, size) / 448
        codes = exponents(scale)
        wide = torch.exp2(codes.float() - 127) if kind in ("e8m0", "u8") else scale
        stored = (weight / spread(wide, size, weight.shape)).clamp(-448, 448).to(torch.float8_e4m3fn)
        scale = {"f32": scale, "bf16": scale.bfloat16(), "u8": codes, "e8m0": codes.view(torch.float8_e8m0fnu)}[kind]
        if block is None:
            scale = scale.reshape(())
        # transformers wants whole blocks; ragged ones are DeepSeek's weight_dequant.
        decoded = (stored.float() * spread(scale.float(), size, weight.shape) if ragged
                   else by_transformers(stored, scale))
        return {name: stored, name.removesuffix("weight") + key: scale}, decoded
    return encode


def fp4(name, weight):
    codes = exponents(grid(weight, (1, 32)) / 6)
    scaled = weight / torch.exp2(codes.float() - 127).repeat_interleave(32, 1)
    nibbles = (scaled[..., None] - E2M1).abs().argmin(-1).to(torch.uint8)
    stored = (nibbles[:, ::2] | nibbles[:, 1::2] << 4).view(torch.int8)
    scale = codes.view(torch.float8_e8m0fnu)
    return {name: stored, name + "_scale_inv": scale}, by_transformers(stored, scale)


#===------------------------------------------------------------------------===#
# compressed-tensors
#===------------------------------------------------------------------------===#


def ct_scheme(weights):
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights))


def ct_blocks(weight, weights):
    strategy = weights["strategy"]
    if strategy == "block":
        return weights["block_structure"]
    if strategy in ("group", "tensor_group"):
        return (1, weights["group_size"])
    return (1, weight.shape[1]) if strategy == "channel" else tuple(weight.shape)


def global_scale(weight):
    from compressed_tensors.quantization.utils.helpers import generate_gparam
    return generate_gparam(weight.float().amin(), weight.float().amax())


def ct(form, weights, dtype=torch.bfloat16, largest=None):
    """The library's own compressor and decompressor, on scales that are made here."""
    def encode(name, weight):
        from compressed_tensors.compressors import BaseCompressor
        weight = weight.to(dtype)
        block = ct_blocks(weight, weights)
        most = largest or {("int", 4): 7, ("int", 8): 127, ("float", 8): 448, ("float", 4): 6}[weights["type"], weights["num_bits"]]
        scale = grid(weight.float(), block) / most
        if "mx" in form:
            scale = torch.exp2(torch.ceil(torch.log2(scale)))
        if weights["strategy"] == "tensor":
            scale = scale.reshape(1)
        state = {"weight": weight, "weight_scale": scale.to(dtype)}
        if "nvfp4" in form:
            state["weight_global_scale"] = global_scale(weight)
            state["weight_scale"] = (scale * state["weight_global_scale"]).clamp(2**-9, 448).to(torch.float8_e4m3fn).to(dtype)
        if not weights.get("symmetric", True):
            generator = torch.Generator().manual_seed(len(name))
            state["weight_zero_point"] = torch.randint(-8, 8, scale.shape, generator=generator).to(torch.int8)
        scheme = ct_scheme(weights)
        compressor = BaseCompressor.get_value_from_registry(form)
        state = compressor.compress(state, scheme)
        decoded = compressor.decompress(state, scheme)["weight"]
        base = name.removesuffix("weight")
        return {base + key: value.contiguous() for key, value in state.items()}, decoded
    config = {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed",
              "ignore": ["lm_head"], "global_compression_ratio": None, "kv_cache_scheme": None,
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None,
                                            "output_activations": None}}}
    return config, encode


def modelopt(name, weight):
    """As NVFP4QTensor stores a weight, and decodes it to f32."""
    double = weight.abs().max() / (6 * 448)
    scale = (grid(weight, (1, 16)) / 6 / double).clamp(2**-9, 448).to(torch.float8_e4m3fn)
    full = (scale.float() * double).repeat_interleave(16, 1)
    nibbles = ((weight / full)[..., None] - E2M1).abs().argmin(-1).to(torch.uint8)
    base = name.removesuffix("weight")
    return {name: nibbles[:, ::2] | nibbles[:, 1::2] << 4, base + "weight_scale": scale,
            base + "weight_scale_2": double, base + "input_scale": torch.tensor(0.5)}, E2M1[nibbles.long()] * full


MODELOPT = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "kv_cache_scheme": None, "ignore": ["lm_head"],
            "producer": {"name": "modelopt", "version": "0.37.0"},
            "config_groups": {"group_0": {"targets": ["Linear"],
                                          "weights": {"dynamic": False, "num_bits": 4, "type": "float", "group_size": 16}}}}


#===------------------------------------------------------------------------===#
# GPTQ, AWQ, bitsandbytes
#===------------------------------------------------------------------------===#


def words(codes, bits, order=None):
    """Codes [rows, columns] packed along the columns into int32, element order[j] of a word at its bits j."""
    parts = 32 // bits
    grouped = codes.reshape(codes.shape[0], -1, parts).to(torch.int64)
    if order:
        grouped = grouped[:, :, order]
    packed = sum(grouped[:, :, j] << bits * j for j in range(parts))
    return torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)


def grouped_codes(weight, bits, group, index=None):
    """Codes [K, N], zero points [G, N] and f16 scales [G, N] of the transpose of a weight."""
    matrix = weight.T.contiguous()
    index = torch.arange(len(matrix)) // group if index is None else index
    groups = int(index.max()) + 1
    low = torch.stack([matrix[index == g].amin(0) for g in range(groups)]).clamp_max(0)
    high = torch.stack([matrix[index == g].amax(0) for g in range(groups)]).clamp_min(0)
    most = 2**bits - 1
    scale = ((high - low) / most).half()
    zeros = torch.round(-low / scale.float()).clamp(1, most)
    codes = torch.round(matrix / scale.float()[index] + zeros[index]).clamp(0, most)
    return codes.to(torch.int32), zeros.to(torch.int32), scale, index


def gptq(bits, group, order=False, stored_index=True, version=1):
    def encode(name, weight):
        columns = weight.shape[1]
        index = None
        if order:
            permutation = torch.randperm(columns, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
            index = permutation // group
        size = columns if group < 0 else group
        codes, zeros, scale, index = grouped_codes(weight, bits, size, index)
        decoded = (scale[index] * (codes - zeros[index])).T  # QuantLinear: f16, as the scales
        assert decoded.dtype == torch.float16
        stored = {"qweight": words(codes.T, bits).T.contiguous(), "scales": scale,
                  "qzeros": words(zeros - int(version == 1), bits)}
        if stored_index:
            stored["g_idx"] = index.to(torch.int32)
        base = name.removesuffix("weight")
        return {base + key: value for key, value in stored.items()}, decoded
    config = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": order, "sym": False,
              "checkpoint_format": "gptq" if version == 1 else "gptq_v2"}
    return config, encode


def awq(name, weight, group=64):
    codes, zeros, scale, index = grouped_codes(weight, 4, group)
    decoded = ((codes - zeros[index]) * scale[index]).T  # dequantize_gemm
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    base = name.removesuffix("weight")
    return {base + "qweight": words(codes, 4, order), base + "qzeros": words(zeros, 4, order),
            base + "scales": scale}, decoded


def bnb(kind, nested, dtype=torch.bfloat16):
    def encode(name, weight):
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit
        stored, state = quantize_4bit(weight.to(dtype), quant_type=kind, compress_statistics=nested)
        parts = {f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}
        # The CPU kernel has -0 for a code of fp4 for which the stored table, and the library's other decoders, have 0.
        return {name: stored, **parts}, dequantize_4bit(stored, state) + 0
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": kind,
              "bnb_4bit_use_double_quant": nested, "bnb_4bit_compute_dtype": "bfloat16", "llm_int8_threshold": 6.0,
              "bnb_4bit_quant_storage": "uint8", "llm_int8_skip_modules": ["lm_head"]}
    return config, encode


def forms():
    def fp8_config(block):
        return {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": block,
                "modules_to_not_convert": ["lm_head"]}

    def ct_form(name, form, short=False, size=384, experts=False, **weights):
        return Form(name, *ct(form, weights), size=size, short=short, experts=experts)

    int4 = {"num_bits": 4, "type": "int", "symmetric": True}
    int8 = {**int4, "num_bits": 8}
    e4m3 = {"num_bits": 8, "type": "float", "symmetric": True}
    return [
        Form("fp8-block", fp8_config([128, 128]), fp8((128, 128)), short=True),
        Form("fp8-ragged", fp8_config([128, 128]), fp8((128, 128), ragged=True), size=328, short=True),
        Form("fp8-other-block", fp8_config([64, 32]), fp8((64, 32))),
        Form("fp8-bf16-scales", fp8_config([128, 128]), fp8((128, 128), "bf16")),
        Form("fp8-e8m0", fp8_config([128, 128]), fp8((128, 128), "e8m0")),
        Form("fp8-mxfp8", fp8_config([1, 32]), fp8((1, 32), "u8"), short=True),
        Form("fp8-tensor", fp8_config(None), fp8(None)),
        Form("fp8-tensor-scale", fp8_config(None), fp8(None, key="weight_scale")),
        Form("fp8-rows", {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": []},
             fp8((1, 1 << 20), key="weight_scale", ragged=True)),
        Form("fp8-fp4", fp8_config([128, 128]), fp4),
        ct_form("ct-int4-group", "pack-quantized", short=True, **int4, strategy="group", group_size=32),
        ct_form("ct-int4-zeros", "pack-quantized", short=True, **{**int4, "symmetric": False}, strategy="group",
                group_size=64),
        ct_form("ct-int4-channel-ragged", "pack-quantized", size=332, **int4, strategy="channel"),
        ct_form("ct-int8-channel", "pack-quantized", **int8, strategy="channel"),
        ct_form("ct-int8-zeros", "pack-quantized", **{**int8, "symmetric": False}, strategy="channel"),
        ct_form("ct-fp8-channel", "float-quantized", **e4m3, strategy="channel"),
        ct_form("ct-fp8-tensor", "float-quantized", **e4m3, strategy="tensor"),
        ct_form("ct-fp8-block", "float-quantized", **e4m3, strategy="block", block_structure=[128, 128]),
        ct_form("ct-int8-plain", "int-quantized", **int8, strategy="channel"),
        ct_form("ct-naive-zeros", "naive-quantized", **{**int8, "symmetric": False}, strategy="channel"),
        ct_form("ct-mxfp4", "mxfp4-pack-quantized", short=True, **{**e4m3, "num_bits": 4}, strategy="group",
                group_size=32),
        ct_form("ct-nvfp4", "nvfp4-pack-quantized", short=True, **{**e4m3, "num_bits": 4}, strategy="tensor_group",
                group_size=16),
        Form("modelopt-nvfp4", MODELOPT, modelopt, short=True),
        Form("modelopt-fp8", {**MODELOPT, "quant_algo": "FP8"}, fp8(None, key="weight_scale")),
        ct_form("ct-mxfp8", "mxfp8-quantized", **e4m3, strategy="group", group_size=32),
        Form("gptq-4", *gptq(4, 128), short=True),
        Form("gptq-4-order", *gptq(4, 64, order=True)),
        Form("gptq-4-whole", *gptq(4, -1, stored_index=False)),
        Form("gptq-8", *gptq(8, 128)),
        Form("gptq-4-v2", *gptq(4, 128, version=2)),
        Form("awq-4", {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm",
                       "modules_to_not_convert": None}, awq, short=True),
        Form("fp8-block-experts", fp8_config([128, 128]), fp8((128, 128), ragged=True), experts=True),
        ct_form("ct-int4-experts", "pack-quantized", short=True, experts=True, **int4, strategy="group", group_size=32),
        ct_form("ct-int4-zeros-experts", "pack-quantized", experts=True, **{**int4, "symmetric": False}, strategy="group",
                group_size=64),
        ct_form("ct-int8-experts", "int-quantized", experts=True, **int8, strategy="channel"),
        ct_form("ct-fp8-tensor-experts", "float-quantized", experts=True, **e4m3, strategy="tensor"),
        ct_form("ct-mxfp4-experts", "mxfp4-pack-quantized", experts=True, **{**e4m3, "num_bits": 4}, strategy="group",
                group_size=32),
        ct_form("ct-nvfp4-experts", "nvfp4-pack-quantized", experts=True, **{**e4m3, "num_bits": 4}, strategy="tensor_group",
                group_size=16),
        Form("gptq-4-experts", *gptq(4, 64, stored_index=False), short=True, experts=True),
        Form("gptq-4-order-experts", *gptq(4, 64, order=True), experts=True),
        Form("awq-4-experts", {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm",
                               "modules_to_not_convert": None}, awq, experts=True),
        Form("bnb-nf4", *bnb("nf4", False)),
        Form("bnb-nf4-nested", *bnb("nf4", True), short=True),
        Form("bnb-fp4", *bnb("fp4", False)),
    ]


# What `clade convert --to hf --dtype` writes: the type, the encoder of the same form, and the matrices that become codes.
def written_forms():
    int4 = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
    block = (128, 128)
    return [
        (Form("to-fp8", None, fp8(block), short=True), "fp8", lambda w: not any(n % 128 for n in w.shape)),
        (Form("to-fp8-experts", None, fp8(block), experts=True), "fp8", lambda w: not any(n % 128 for n in w.shape)),
        (Form("to-int4", None, ct("pack-quantized", int4, torch.float32, 7.5)[1], short=True), "int4", lambda w: True),
        (Form("to-int4-experts", None, ct("pack-quantized", int4, torch.float32, 7.5)[1], experts=True), "int4", lambda w: True),
    ]


#===------------------------------------------------------------------------===#
# Checkpoints
#===------------------------------------------------------------------------===#


def is_linear(name):
    return name.endswith("_proj.weight")


def base_checkpoint(form):
    options = {"num_hidden_layers": 2, "intermediate_size": form.size}
    if form.experts:
        options |= {"moe_intermediate_size": 192}  # one and a half blocks of FP8
        case = cases.case("qwen3-moe-quantised", "Qwen3Moe", {**moe_cases.QWEN3_MOE, **options})
    else:
        case = cases.case(f"llama-quantised-{form.size}", "Llama", {**cases.LLAMA, **options})
    return checkpoint.write(case) / "f32"


def write(form, work):
    """A checkpoint in the form, and one of the weights that its decoder gives. Returns both folders."""
    base = base_checkpoint(form)
    config = json.loads((base / "config.json").read_text())
    stored, decoded = {}, {}
    for name, weight in load_file(base / "model.safetensors").items():
        if is_linear(name):
            parts, decoded[name] = form.encode(name, weight)
            stored.update(parts)
        else:
            stored[name] = decoded[name] = weight
    decoded = {name: weight.float().contiguous() for name, weight in decoded.items()}
    folders = work / "stored", work / "decoded"
    for folder, tensors, extra in zip(folders, (stored, decoded), ({"quantization_config": form.config}, {})):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**config, **extra}))
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folders


def check_weights(dump, stored, decoded, work):
    """What is wrong with the weights that Clade makes, or None."""
    out = work / "weights.safetensors"
    done = subprocess.run([dump, TREE / "specs", stored, out], capture_output=True, text=True, errors="replace")
    if done.returncode:
        return f"weights-dump: {done.stderr.strip()}"
    got, wanted = load_file(out), load_file(decoded / "model.safetensors")
    for name in filter(is_linear, wanted):
        if name not in got:
            return f"no weight '{name}'"
        differ = got[name].view(torch.int32) != wanted[name].view(torch.int32)
        if got[name].shape != wanted[name].shape or differ.any():
            first = differ.nonzero()[0].tolist()
            return (f"{name}: {int(differ.sum())} of {differ.numel()} elements differ, the first at {first}: "
                    f"{got[name][tuple(first)]} and {wanted[name][tuple(first)]}")
    return None


def check_written(tool, form, dtype, fits, work):
    """What Clade writes in a form, beside what its encoder makes. Returns what is wrong, and both folders as write()."""
    base, stored, decoded = base_checkpoint(form), work / "stored", work / "decoded"
    tool.call("convert", base, "-o", stored, "--to", "hf", "--dtype", dtype)
    got, expected, values = load_file(stored / "model.safetensors"), {}, {}
    for name, weight in load_file(base / "model.safetensors").items():
        isCode = is_linear(name) and fits(weight)
        parts, values[name] = form.encode(name, weight) if isCode else ({name: weight}, weight)
        expected.update(parts)
    decoded.mkdir()
    shutil.copy(base / "config.json", decoded)
    save_file({n: w.float().contiguous() for n, w in values.items()}, decoded / "model.safetensors", {"format": "pt"})
    problem = None
    if got.keys() != expected.keys():
        problem = f"other tensors: {sorted(got.keys() ^ expected.keys())[:3]}"
    for name in got if not problem else ():
        same = got[name].dtype == expected[name].dtype and got[name].shape == expected[name].shape
        if not same or not torch.equal(got[name].view(torch.uint8), expected[name].contiguous().view(torch.uint8)):
            problem = f"tensor '{name}' is not what the encoder gives"
    return problem, stored, decoded


def load_by_transformers(stored, dtype):
    """The library's own reading of codes and configuration, dequantised."""
    import transformers
    how = (transformers.FineGrainedFP8Config(dequantize=True) if dtype == "fp8"
           else transformers.CompressedTensorsConfig(run_compressed=False))
    return transformers.AutoModelForCausalLM.from_pretrained(
        stored, dtype=torch.float32, quantization_config=how, attn_implementation="eager").eval()


def check_loaded(stored, decoded, dtype):
    tokens = torch.arange(40)[None] % cases.LLAMA["vocab_size"]
    with torch.no_grad():
        got = load_by_transformers(stored, dtype).float()(tokens).logits
        wanted = reference.load(decoded, torch.float32)(tokens).logits
    return None if torch.equal(got, wanted) else f"logits differ by {float((got - wanted).abs().max()):.3g}"


def check_logits(tool, stored, decoded, work):
    generator = torch.Generator().manual_seed(5)
    tokens = torch.randint(cases.LLAMA["vocab_size"], (40,), generator=generator).tolist()
    model = reference.load(decoded, torch.float32)
    rows, force = reference.decode(model, tokens, 8)
    tool.compile(stored, work / "artifact", "f32")
    got = tool.logits(work / "artifact", [{"tokens": tokens, "force": force, "max_tokens": len(force)}], 64)
    return compare.compare_f32(got, [rows.numpy()])


#===------------------------------------------------------------------------===#
# Errors
#===------------------------------------------------------------------------===#


def configure(**changes):
    def edit(folder):
        config = json.loads((folder / "config.json").read_text())
        for path, value in changes.items():
            *objects, key = path.split("__")
            target = config["quantization_config"]
            for name in objects:
                target = target[name]
            target[key] = value
        (folder / "config.json").write_text(json.dumps(config))
    return edit


def without_config(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["quantization_config"]
    (folder / "config.json").write_text(json.dumps(config))


def without(suffix):
    def edit(folder):
        tensors = load_file(folder / "model.safetensors")
        save_file({n: t for n, t in tensors.items() if not n.endswith(suffix)}, folder / "model.safetensors")
    return edit


def plain(folder):
    config = (folder / "config.json").read_text()
    for file in (folder.parent / "decoded").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_text(config)


def changed(suffix, change):
    def edit(folder):
        tensors = load_file(folder / "model.safetensors")
        for name in tensors:
            if name.endswith(suffix):
                tensors[name] = change(tensors[name]).contiguous()
        save_file(tensors, folder / "model.safetensors")
    return edit


def state(**changes):
    """Changes what the JSON of bitsandbytes says."""
    def edit(tensor):
        said = {**json.loads(bytes(tensor.tolist())), **changes}
        return torch.tensor(list(json.dumps({k: v for k, v in said.items() if v is not None}).encode()), dtype=torch.uint8)
    return changed("bitsandbytes__nf4", edit)


# What is done to the checkpoint of a form, and the error it must end in.
ERRORS = [
    ("other block", "fp8-block", configure(weight_block_size=[64, 128]),
     r"'model.layers.{layer}.self_attn.q_proj.weight_scale_inv' \[2, 2\] should be \[4, 2\], a scale for each block of "
     r"\[64, 128\] of \[256, 256\], as the configuration says"),
    ("block of zero", "fp8-block", configure(weight_block_size=[0, 128]), "expected positive sizes of a block"),
    ("no block", "fp8-ragged", configure(weight_block_size=None), "does not divide a tensor of .* into blocks"),
    ("unknown key", "fp8-block", configure(weight_blocksize=[1, 2]),
     "key 'quantization_config.weight_blocksize' is not read by family 'quantised_fp8' .did you mean "
     "'weight_block_size'"),
    ("unknown method", "fp8-block", configure(quant_method="quip"),
     "no family 'quantised_quip' says how weights of the method 'quip' are stored; there are .*'quantised_fp8'"),
    ("no method", "fp8-block", configure(quant_method=None), "to be an object with a 'quant_method'"),
    ("plain weights", "fp8-block", plain, 'weights are stored as "fp8", but the checkpoint has no tensors of that form'),
    ("no configuration", "fp8-block", without_config,
     "has type F8_E4M3, expected F32, BF16, F16 or a GGUF block type; does 'quantization_config' name its form"),
    ("no scale", "fp8-block", without("q_proj.weight_scale_inv"), "has type F8_E4M3, expected F32"),
    ("scale of integers", "fp8-block", changed("weight_scale_inv", lambda t: t.to(torch.int32)),
     "expected F32, BF16, F16, F8_E8M0 or U8 elements of tensor"),
    ("scale of booleans", "fp8-block", changed("weight_scale_inv", lambda t: t.to(torch.bool)),
     "expected F32, BF16, F16, F8_E8M0 or U8 elements of tensor"),
    ("other group", "ct-int4-group", configure(config_groups__group_0__weights__group_size=64),
     r"no group of quantization_config fits tensors .*'group_0' has 4-bit integers, one scale a group of \[1, 64\]"),
    ("other bits", "ct-int4-group", configure(config_groups__group_0__weights__num_bits=8),
     "no group of quantization_config fits tensors"),
    ("no zero points", "ct-int4-zeros", without("weight_zero_point"), "no group of quantization_config fits tensors"),
    ("unknown key of a group", "ct-int4-group", configure(config_groups__group_0__weights__numbits=8),
     "key 'quantization_config.config_groups.group_0.weights.numbits' has no meaning here .did you mean 'num_bits'"),
    ("other shape", "ct-int4-group", changed("weight_shape", lambda t: t * 2), "to hold the shape of a matrix"),
    ("other shape", "ct-int4-experts", changed("proj.weight_shape", lambda t: t * 2), "to hold the shape of a matrix of "),
    ("shape of one expert", "ct-int4-experts", changed("experts.3.up_proj.weight_shape", lambda t: t * 2),
     "expected tensor 'model.layers.0.mlp.experts.3.up_proj.weight_shape' to hold what "
     "'model.layers.0.mlp.experts.0.up_proj.weight_shape' holds"),
    ("scaled cache", "ct-int4-group", configure(kv_cache_scheme={"num_bits": 8}), "requirement"),
    ("no global scale", "ct-nvfp4", without("weight_global_scale"), "weight function 'mxfp4': expected U8 or F8_E8M0 elements"),
    ("strategy of other groups", "ct-nvfp4", configure(config_groups__group_0__weights__strategy="group"),
     "no group of quantization_config fits tensors"),
    ("scale of bytes", "ct-nvfp4", changed("weight_scale", lambda t: t.view(torch.uint8)), "expected F8_E4M3 elements of tensor"),
    ("quantised cache", "modelopt-nvfp4", configure(kv_cache_scheme={"num_bits": 8, "type": "float"}), "requirement"),
    ("other algorithm", "modelopt-nvfp4", configure(quant_algo="W4A8_AWQ"), "requirement"),
    ("no scale of scales", "modelopt-nvfp4", without("weight_scale_2"), "weight function 'scaled'"),
    ("other bits", "gptq-4", configure(bits=8), "should be .* for .* rows of 8 bits in groups of 128"),
    ("bits that no word holds", "gptq-4", configure(bits=3), "expected 4 or 8 bits"),
    ("other group", "gptq-4", configure(group_size=32), "should be .* for .* in groups of 32"),
    ("other packing", "gptq-4", configure(checkpoint_format="marlin"), "requirement"),
    ("index outside", "gptq-4-order", changed("g_idx", lambda t: t + 1), "element .* of the index .*g_idx.* expected 0 to 3"),
    ("other group", "awq-4", configure(group_size=32), "should be .* for .* rows in groups of 32"),
    ("other version", "awq-4", configure(version="gemv"), "requirement"),
    ("other table", "bnb-nf4-nested", configure(bnb_4bit_quant_type="fp4"), "is not used by family|has type U8, expected F32"),
    ("other state", "bnb-nf4-nested", state(quant_type="fp4"), "says quant_type 'fp4', the configuration the string .nf4"),
    ("no dtype", "bnb-nf4-nested", state(dtype=None), "to hold a shape, a blocksize and a dtype, got"),
    ("no offset", "bnb-nf4-nested", state(nested_offset=None), "to hold a nested_blocksize and a nested_offset"),
    ("other shape", "bnb-nf4-nested", state(shape=[256, 8]), "to hold a code for each element of .256, 8"),
    ("other blocks", "bnb-nf4-nested", state(blocksize=32), "a scale for each 32 of"),
    ("other nested blocks", "bnb-nf4-nested", state(nested_blocksize=64), "a scale for each 64 scales"),
    ("other type", "bnb-nf4-nested", configure(load_in_8bit=True), "requirement"),
]


def check_error(tool, stored, edit, expected):
    broken = stored.with_name("broken")
    shutil.copytree(stored, broken)
    edit(broken)
    said = tool.failure("run", broken, "--tokens", "1,2", "--max-tokens", 1, "--dtype", "f32")
    shutil.rmtree(broken)
    found = [line for line in said.splitlines() if "error:" in line]
    return None if found and re.search(expected, said, re.S) else f"expected an error like '{expected}', got {said!r}"


def main():
    parser = argparse.ArgumentParser(description="compare published quantised forms with their decoders")
    parser.add_argument("pattern", nargs="*", help="only forms and errors whose names contain one of these")
    parser.add_argument("--short", action="store_true", help="one form of each kind, and their errors")
    parser.add_argument("--dump", help="the program weights-dump (default: of the build that holds clade)")
    clade.add_options(parser)
    options = parser.parse_args()
    tool = clade.Clade(options)
    dump = options.dump or pathlib.Path(tool.binary).parents[1] / "test/Weights/weights-dump"
    torch.set_num_threads(1)
    packages.add("quantised")
    passed = failed = 0

    def report(name, problem, note=""):
        nonlocal passed, failed
        print(f"{name:36s} {'FAIL' if problem else 'ok':4s} {note}" + (f"\n    {problem}" if problem else ""), flush=True)
        passed += not problem
        failed += bool(problem)

    def wanted(*names):
        return not options.pattern or any(p in name for p in options.pattern for name in names)

    for form in forms():
        errors = [row for row in ERRORS if row[1] == form.name and wanted(row[0], form.name)]
        if (options.short and not form.short) or not (wanted(form.name) or errors):
            continue
        with tempfile.TemporaryDirectory(prefix="clade-quantised-") as folder:
            work = pathlib.Path(folder)
            stored, decoded = write(form, work)
            for name, _, edit, expected in errors:
                report(f"{form.name}: {name}", check_error(tool, stored, edit, expected))
            if not wanted(form.name):
                continue
            report(f"{form.name} weights", check_weights(dump, stored, decoded, work))
            try:
                verdict = check_logits(tool, stored, decoded, work)
                report(f"{form.name} logits", "; ".join(verdict.failures), verdict.columns())
            except clade.CladeError as error:
                report(f"{form.name} logits", str(error))
    for form, dtype, fits in written_forms():
        if (options.short and not form.short) or not wanted(form.name):
            continue
        with tempfile.TemporaryDirectory(prefix="clade-quantised-") as folder:
            work = pathlib.Path(folder)
            try:
                problem, stored, decoded = check_written(tool, form, dtype, fits, work)
                report(f"{form.name} tensors", problem)
                report(f"{form.name} weights", check_weights(dump, stored, decoded, work))
                verdict = check_logits(tool, stored, decoded, work)
                report(f"{form.name} logits", "; ".join(verdict.failures), verdict.columns())
                report(f"{form.name} transformers", check_loaded(stored, decoded, dtype))
            except clade.CladeError as error:
                report(form.name, str(error))
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
