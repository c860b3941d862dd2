#===- convert.py - Checkpoints in other forms, against what they came from ---===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/convert.py [options] [PATTERN …]
#
# For the checkpoint of every case, in f32 and bf16:
#   packed  logits of the packed artifact equal those of the compiled checkpoint
#           bit for bit, also when the checkpoint is gone
#   hf      every tensor equals the published one bit for bit, transformers'
#           configuration is the same
#   gguf    (architectures that llama.cpp names) names, metadata and tensors equal those
#           that the gguf package's names and quantisers give, F32 to Q4_0 bit for bit;
#           Q4_K and Q6_K have no larger error than plain rounding to their grids. The
#           logits equal those of the checkpoint where nothing was rounded, and what
#           comes back from the file to the published form equals what it decodes to
# --short takes one case of each family. --memory FOLDER instead measures what
# memory of their own the conversion to packed and the loading of it take.
#
#===------------------------------------------------------------------------===#
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import gguf
import numpy as np
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file

import checkpoint
import clade
import compare
import everything
import gguf_run
import gguf_write

BATCH = [{"tokens": [5, 9, 2, 77, 31], "force": [3, 8, 1], "max_tokens": 3}]
MB = 1 << 20


def tensors_of(path):
    """name → (dtype, shape, bytes) of all safetensors of a folder."""
    found = {}
    for shard in sorted(path.glob("*.safetensors")):
        image = shard.read_bytes()
        length = int.from_bytes(image[:8], "little")
        for name, entry in json.loads(image[8:8 + length]).items():
            if name != "__metadata__":
                begin, end = (8 + length + o for o in entry["data_offsets"])
                found[name] = (entry["dtype"], entry["shape"], image[begin:end])
    return found


def check_packed(tool, path, dtype, work):
    tool.compile(path, work / "plain", dtype)
    tool.call("convert", path, "-o", work / "packed", "--to", "packed", "--dtype", dtype)
    expected = tool.logits(work / "plain", BATCH)
    got = tool.logits(work / "packed", BATCH)
    if not all(np.array_equal(a, b) for a, b in zip(expected, got, strict=True)):
        return "logits differ from those of the checkpoint"
    return None


def check_hf(tool, path, dtype, work):
    told = json.loads(tool.call("convert", path, "-o", work / "hf", "--to", "hf", "--json"))
    if told["lossy"]:
        return f"lossy: {told['lossy'][0]}"
    expected, got = tensors_of(path), tensors_of(work / "hf")
    if expected.keys() != got.keys():
        return f"other tensors: {sorted(expected.keys() ^ got.keys())[:3]}"
    for name in expected:
        if expected[name] != got[name]:
            return f"tensor '{name}' is {got[name][:2]}, expected the bits of {expected[name][:2]}"
    published, written = (json.loads((folder / "config.json").read_text()) for folder in (path, work / "hf"))
    # The key has an older name, and may be absent: what is written always says it.
    if "torch_dtype" not in published:
        published.setdefault("dtype", written.get("dtype"))
    if published != written:
        return f"config.json differs in {sorted(k for k in {*published, *written} if published.get(k) != written.get(k))}"
    return None


def check_tensors(stored, contents):
    """What is wrong with the tensors of a GGUF file, given those that were to be written, or None."""
    if stored.keys() != contents.tensors.keys():
        return f"other tensors: {sorted(stored.keys() ^ contents.tensors.keys())[:3]}"
    for name, (array, kind) in contents.tensors.items():
        tensor = stored[name]
        expected = gguf_write.quantised(array, kind)
        if tensor.tensor_type != kind:
            return f"tensor '{name}' is {tensor.tensor_type.name}, expected {kind.name}"
        if kind.name in ("Q4_K", "Q6_K"):
            ours, plain = (np.sqrt(np.mean((gguf.quants.dequantize(data, kind).reshape(array.shape) - array) ** 2))
                           for data in (tensor.data, expected))
            if not ours <= plain:
                return f"tensor '{name}' has an rms error of {ours:.3g}, plain rounding to {kind.name} {plain:.3g}"
        elif name.startswith("rope_"):  # Computed there by another formula.
            if not np.allclose(tensor.data, array, rtol=2**-20, atol=0):
                return f"tensor '{name}' is {tensor.data[:4]}…, expected {array[:4]}…"
        elif tensor.data.tobytes() != expected.tobytes():
            return f"tensor '{name}' differs from what the gguf package makes of it in {kind.name}"
    return None


def check_metadata(reader, contents):
    for key, (value, kind) in contents.metadata.items():
        if key.startswith(("tokenizer.", "general.name")):
            continue
        if key not in reader.fields:
            # Defaults need not be written, nor what the tokens tell.
            if key.endswith((".attn_logit_softcapping", ".vocab_size")) or ".yarn_" in key:
                continue
            return f"metadata key '{key}' is missing"
        field = reader.fields[key]
        found = field.contents()
        same = np.float32(found) == np.float32(value) if isinstance(value, float) else found == value
        if not same or field.types[0] != kind:
            return f"metadata key '{key}' is {found!r} ({field.types[0].name}), expected {value!r} ({kind.name})"
    return None


def pure(contents, kind):
    """The types that clade gives: one for all matrices whose rows are whole blocks."""
    for name, (array, _) in contents.tensors.items():
        if array.ndim < 2 or name.endswith("_norm.weight"):
            chosen = Type.F32
        else:
            chosen = next(t for t in (kind, Type.Q8_0, Type.F16) if array.shape[-1] % gguf.GGML_QUANT_SIZES[t][0] == 0)
        contents.tensors[name] = (array, chosen)


def check_gguf(tool, path, dtype, work):
    expected = tool.logits(path, BATCH, dtype="f32") if dtype == "f32" else None
    for kind in (Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_K, Type.Q6_K):
        contents, names = gguf_write.contents_of(path, kind.name)
        pure(contents, kind)
        file = work / f"{kind.name}.gguf"
        tool.call("convert", path, "-o", file, "--to", "gguf", "--dtype", kind.name.lower())
        reader = gguf.GGUFReader(file)
        problem = check_tensors({t.name: t for t in reader.tensors}, contents) or check_metadata(reader, contents)
        if problem:
            return f"{kind.name}: {problem}"
        if kind == Type.F32:
            verdict = compare.compare_f32(tool.logits(file, BATCH, dtype="f32"), expected)
            if not verdict.passed:
                return f"F32: logits: {verdict.failures[:2]}"
        if kind in (Type.Q4_K, Type.Q6_K):
            continue
        tool.call("convert", file, "-o", work / f"{kind.name}-hf", "--to", "hf", "--dtype", "f32")
        published = load_file(work / f"{kind.name}-hf" / "model.safetensors")
        held = gguf_write.published_weights(contents, names, transformers.AutoConfig.from_pretrained(path))
        for name, array in held.items():
            if published[name].tobytes() != array.tobytes():
                return f"{kind.name}: published tensor '{name}' is not what the file decodes to"
    return None


def check_refused(tool, path, work):
    """Of dynamic scaling, of which such files have no word."""
    said = tool.failure("convert", path, "-o", work / "x.gguf", "--to", "gguf")
    types = ", ".join(kind.value for kind in gguf.RopeScalingType)
    return None if "a GGUF file cannot say 'rope_scaling'" in said and f"is one of {types}" in said else said


CHECKS = {"packed": check_packed, "hf": check_hf, "gguf": check_gguf}


REFUSED = ("llama-dynamic",)


def plan(options):
    """(name, function that writes the checkpoints, type, form) of every comparison."""
    for name, write in everything.select(short=options.short):
        for dtype in ("f32", "bf16"):
            for form in ("packed", "hf"):
                if not (options.short and form == "packed" and dtype == "f32"):
                    yield name, write, dtype, form
    for name in gguf_run.SHORT if options.short else [*gguf_run.ALL_KINDS, *gguf_run.F32_ONLY, *REFUSED]:
        yield name, lambda name=name: checkpoint.write(gguf_run.find(name)), "f32", "gguf"


#===------------------------------------------------------------------------===#
# Memory
#===------------------------------------------------------------------------===#


def anonymous_peak(command):
    """The largest RssAnon, in bytes, of a command, looked at every 2 ms."""
    peak = 0
    with subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            for line in status.splitlines():
                if line.startswith("RssAnon:"):
                    peak = max(peak, int(line.split()[1]) * 1024)
            time.sleep(0.002)
        if process.wait():
            raise SystemExit(f"{command[1]} ended with status {process.returncode}")
    return peak


def check_memory(tool, path):
    """Prints both figures beside their limits; gives the number that is over."""
    failures = 0
    with tempfile.TemporaryDirectory(prefix="clade-memory-", dir=path.parent) as folder:
        work = pathlib.Path(folder)
        peak = anonymous_peak([tool.binary, "convert", path, "-o", work / "packed", "--to", "packed"])
        weights = (work / "packed" / "packed.bin").stat().st_size
        for name, used, limit in (
                ("converting", peak, 1.05 * weights + 64 * MB),
                ("loading packed", anonymous_peak([tool.binary, "run", work / "packed", "--tokens", "1", "--max-tokens", "1"]),
                 0.1 * weights + 64 * MB)):
            ok = used <= limit
            failures += not ok
            print(f"{name:16s} {used / MB:8.1f} MB of its own for {weights / MB:.1f} MB of weights, at most {limit / MB:.1f}"
                  f"  {'ok' if ok else 'FAIL'}", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(description="compare converted checkpoints with what they came from")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--short", action="store_true", help="one case of each family")
    parser.add_argument("--to", choices=[*CHECKS], help="only this form")
    parser.add_argument("--memory", type=pathlib.Path, metavar="FOLDER", help="measure memory with this checkpoint")
    clade.add_options(parser)
    options = parser.parse_args()
    tool = clade.Clade(options)
    if options.memory:
        failed = check_memory(tool, options.memory)
        print(f"{2 - failed} passed, {failed} failed")
        return failed != 0
    passed = failed = 0
    for name, write, dtype, form in plan(options):
        if options.to not in (None, form) or (options.pattern and not any(p in name for p in options.pattern)):
            continue
        path = write() / dtype
        with tempfile.TemporaryDirectory(prefix="clade-convert-") as work:
            try:
                problem = (check_refused(tool, path, pathlib.Path(work)) if form == "gguf" and name in REFUSED
                           else CHECKS[form](tool, path, dtype, pathlib.Path(work)))
            except clade.CladeError as error:
                problem = str(error)
        passed += problem is None
        failed += problem is not None
        if problem:
            print(f"{name:24s} {dtype:5s} {form:7s} FAIL\n    {problem}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
