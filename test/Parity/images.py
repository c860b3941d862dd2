#===- images.py - Images against Pillow and the published processors --------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/images.py [options] [PATTERN …]
#
# Compares what image-dump writes, bit for bit, with
#   decode   Pillow's Image.open() and conversion to RGB, over files of every
#            format and mode, transparency on white and dropped;
#   path     load_image() of transformers, which turns pictures as their EXIF
#            data say, over the same files and all ways to say it;
#   resize   Pillow's Image.resize(), over filters and sizes;
#   pixtral, qwen   tensors and prompts of the processors of transformers that
#            work with Pillow, over configurations, sizes and several images;
#   kimi     the published formulas of Kimi-VL's and Kimi K2.5's processors,
#            written here with Pillow, torch and numpy, since transformers has
#            none that works with Pillow.
#
# The packages of tools/dev/requirements-images.txt are installed, once, into a
# folder of $CLADE_CACHE.
#
#===------------------------------------------------------------------------===#
import argparse
import importlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import types
from unittest import mock

import packages

packages.add("images")  # Before transformers looks for Pillow.

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file

import clade
import image_files

SIZES = [(640, 480), (300, 700), (1500, 900), (33, 50), (224, 224), (1000, 70), (17, 16), (1200, 1600)]


def published(module, name):
    """A class of transformers; the modules of processors import torchvision, which they do not use here."""
    absent = [key for key in ("torchvision", "torchvision.io", "torchvision.transforms", "torchvision.transforms.v2")
              if key not in sys.modules]
    sys.modules.update({key: mock.MagicMock() for key in absent})
    try:
        return getattr(importlib.import_module(f"transformers.models.{module}"), name)
    finally:
        for key in absent:
            del sys.modules[key]


class Case:
    """One run of image-dump, and a function from what it wrote to a problem or None."""

    def __init__(self, name, item, check):
        self.name, self.item, self.check = name, item, check


def difference(name, got, wanted):
    wanted = np.asarray(wanted)
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return f"{name}: {got.dtype}{list(got.shape)}, expected {wanted.dtype}{list(wanted.shape)}"
    differ = got != wanted
    if not differ.any():
        return None
    first = tuple(int(i) for i in np.argwhere(differ)[0])
    most = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max()
    return (f"{name}: {int(differ.sum())} of {differ.size} differ, by {most:g} at most; the first at {list(first)}: "
            f"{got[first]!r}, expected {wanted[first]!r}")


def pixels_case(name, path, wanted, **options):
    def check(tensors, line):
        return difference("pixels", tensors["pixels"], wanted())
    return Case(name, {"images": [str(path)], **options}, check)


#===------------------------------------------------------------------------===#
# Decoding and resizing
#===------------------------------------------------------------------------===#


def decode_cases(work):
    from transformers.image_transforms import convert_to_rgb
    folder = work / "files"
    folder.mkdir()
    for path in image_files.all_files(folder):
        name = "decode " + str(path.relative_to(folder))
        yield pixels_case(name, path, lambda p=path: convert_to_rgb(Image.open(p), return_numpy=True))
        yield pixels_case(name + " drop", path, lambda p=path: np.array(Image.open(p).convert("RGB")), alpha="drop")


def path_cases(work):
    """What load_image() makes of a path: of turned pictures, and of all others."""
    from transformers.image_utils import load_image
    folder = work / "turned"
    folder.mkdir()
    for path in [*image_files.turned_files(folder), *sorted((work / "files").rglob("*.*"))]:
        yield pixels_case(f"path {path.name}", path, lambda p=path: np.array(load_image(str(p))), upright=True, alpha="drop")


def resize_cases(work):
    sizes = [((61, 43), (122, 86)), ((61, 43), (30, 21)), ((61, 43), (7, 90)), ((61, 43), (200, 5)), ((640, 480), (336, 336)),
             ((300, 900), (280, 84)), ((900, 300), (28, 280)), ((5, 5), (5, 300)), ((1, 1), (16, 16)), ((500, 4), (3, 3)),
             ((2000, 20), (64, 20)), ((20, 2000), (20, 64)), ((97, 1500), (90, 100))]
    for before, after in sizes:
        path = work / f"resize-{before[0]}x{before[1]}.png"
        image = Image.fromarray(image_files.picture(*before))
        image.save(path)
        for number, title in ((1, "lanczos"), (2, "bilinear"), (3, "bicubic")):
            name = f"resize {title} {before[0]}x{before[1]} to {after[0]}x{after[1]}"
            yield pixels_case(name, path, lambda i=image, a=after, n=number: np.array(i.resize(a, n)),
                              resize=[*after, number])


#===------------------------------------------------------------------------===#
# Processors of transformers
#===------------------------------------------------------------------------===#


def configuration(work, name, preprocessor, processor=None):
    folder = work / name.replace(" ", "-")
    folder.mkdir()
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    if processor is not None:
        (folder / "processor_config.json").write_text(json.dumps(processor))
    return str(folder)


def picture_files(work):
    """Files of some sizes, of formats and modes in turn."""
    files = []
    for i, (width, height) in enumerate(SIZES):
        image = Image.fromarray(image_files.picture(width, height, 4 if i % 3 == 2 else 3))
        suffix = ["png", "jpg", "png", "webp"][i % 4] if image.mode == "RGB" else "png"
        path = work / f"{width}x{height}.{suffix}"
        image.save(path)
        files.append(path)
    return files


def processor_case(name, folder, paths, wanted, prompt, expanded, counts):
    """`wanted` and the others are functions: of the opened images, and of what it gave."""
    def check(tensors, line):
        with_images = wanted([Image.open(path) for path in paths])
        problems = [difference(key, tensors[key], value) if key in tensors else f"no tensor '{key}'"
                    for key, value in with_images.items()]
        if set(tensors) != set(with_images):
            problems.append(f"tensors {sorted(tensors)}, expected {sorted(with_images)}")
        texts = [expanded(with_images, i) for i in range(len(paths))]
        text = "".join(part + (texts[i] if i < len(texts) else "") for i, part in enumerate(prompt.split("\0")))
        if line["prompt"] != text:
            problems.append(f"prompt {line['prompt'][:200]!r}, expected {text[:200]!r}")
        if line["tokens"] != [counts(text) for text in texts]:
            problems.append(f"tokens {line['tokens']}, expected {[counts(text) for text in texts]}")
        return next(filter(None, problems), None)
    token = counts.token
    return Case(name, {"images": [str(path) for path in paths], "folder": folder, "prompt": prompt.replace("\0", token)}, check)


class Counts:
    """How many tokens of the processor a text has."""

    def __init__(self, *tokens):
        self.tokens, self.token = tokens, tokens[0]

    def __call__(self, text):
        return sum(text.count(token) for token in self.tokens)


def groups(files):
    """Each file alone, then several together."""
    yield from ([path] for path in files)
    yield files[:3]
    yield [files[4], files[4]]


def prompt_for(paths):
    return "Look: " + " and ".join(["\0"] * len(paths)) + " so?"


PIXTRAL = {"image_processor_type": "PixtralImageProcessor"}
PIXTRAL_CONFIGS = {
    "pixtral-12b": (PIXTRAL | {"patch_size": {"height": 16, "width": 16}, "size": {"longest_edge": 1024}, "do_resize": True,
                               "do_convert_rgb": True, "rescale_factor": 1 / 255, "resample": 3,
                               "processor_class": "PixtralProcessor"},
                    {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]",
                     "patch_size": 16, "processor_class": "PixtralProcessor"}),
    "mistral-small-3.1": ({"image_processor_type": "PixtralImageProcessorFast", "patch_size": 14, "crop_size": None,
                           "size": {"longest_edge": 1540}, "default_to_square": True, "device": None},
                          {"patch_size": 14, "spatial_merge_size": 2, "processor_class": "PixtralProcessor"}),
    "pixtral-bilinear": (PIXTRAL | {"resample": 2, "size": {"longest_edge": 200}, "image_mean": [0.5, 0.5, 0.5],
                                    "image_std": [0.25, 0.5, 0.75], "rescale_factor": 0.005}, None),
    "pixtral-lanczos": (PIXTRAL | {"resample": 1, "size": {"height": 300, "width": 150},
                                   "patch_size": {"height": 20, "width": 10}, "do_normalize": False}, None),
    "pixtral-no-rescale": (PIXTRAL | {"do_rescale": False, "size": {"longest_edge": 96}}, None),
}


def pixtral_cases(work, files):
    pil = published("pixtral.image_processing_pil_pixtral", "PixtralImageProcessorPil")
    expand = published("pixtral.processing_pixtral", "PixtralProcessor").replace_image_token
    for name, (image, outer) in PIXTRAL_CONFIGS.items():
        folder = configuration(work, name, image, outer)
        arguments = {k: v for k, v in image.items() if not k.endswith(("_type", "_class"))}
        if isinstance(arguments.get("patch_size"), int):
            arguments["patch_size"] = {"height": arguments["patch_size"], "width": arguments["patch_size"]}
        processor = pil(**arguments)
        call = {}
        if outer:
            patch = outer["patch_size"] * outer.get("spatial_merge_size", 1)
            call["patch_size"] = {"height": patch, "width": patch}
        patch = (call.get("patch_size") or processor.patch_size)
        tokens = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")

        def wanted(images, processor=processor, call=call):
            return dict(processor(images, return_tensors="np", **call))

        def expanded(inputs, i, patch=patch):
            # The published text has square patches only; elsewhere sizes are counted in patches first.
            square = patch["height"] == patch["width"]
            unit = patch["height"] if square else 1
            sizes = inputs["image_sizes"][i] // (1 if square else [patch["height"], patch["width"]])
            self = types.SimpleNamespace(patch_size=unit, spatial_merge_size=1, image_token=tokens[0],
                                         image_break_token=tokens[1], image_end_token=tokens[2])
            return expand(self, {"image_sizes": [sizes]}, 0)

        for paths in groups(files):
            title = "+".join(path.stem for path in paths)
            yield processor_case(f"{name} {title}", folder, paths, wanted, prompt_for(paths), expanded, Counts(*tokens))


QWEN = {"image_processor_type": "Qwen2VLImageProcessor"}
QWEN_CONFIGS = {
    "qwen2-vl": QWEN | {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
                        "image_mean": [0.48145466, 0.4578275, 0.40821073], "processor_class": "Qwen2VLProcessor",
                        "image_std": [0.26862954, 0.26130258, 0.27577711]},
    "qwen3-vl": {"image_processor_type": "Qwen2VLImageProcessorFast", "size": {"longest_edge": 16777216, "shortest_edge": 65536},
                 "patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5, 0.5, 0.5],
                 "image_std": [0.5, 0.5, 0.5], "processor_class": "Qwen3VLProcessor"},
    "qwen-few-pixels": QWEN | {"min_pixels": 3136, "max_pixels": 50000, "resample": 2},
    "qwen-many-pixels": QWEN | {"size": {"shortest_edge": 300000, "longest_edge": 400000}, "merge_size": 1,
                                "temporal_patch_size": 1, "resample": 1, "patch_size": 12},
    "qwen-plain": QWEN,
}


def qwen_cases(work, files):
    pil = published("qwen2_vl.image_processing_pil_qwen2_vl", "Qwen2VLImageProcessorPil")
    expand = published("qwen2_vl.processing_qwen2_vl", "Qwen2VLProcessor").replace_image_token
    expand3 = published("qwen3_vl.processing_qwen3_vl", "Qwen3VLProcessor").replace_image_token
    for name, image in QWEN_CONFIGS.items():
        # The newer form has everything in processor_config.json.
        nested = name == "qwen-many-pixels"
        folder = configuration(work, name, None if nested else image, {"image_processor": image} if nested else None)
        processor = pil(**{k: v for k, v in image.items() if not k.endswith(("_type", "_class"))})
        self = types.SimpleNamespace(image_processor=processor, image_token="<|image_pad|>")

        def wanted(images, processor=processor):
            return dict(processor(images, return_tensors="np"))

        def expanded(inputs, i, self=self, expand=expand3 if name == "qwen3-vl" else expand):
            return expand(self, inputs, i)

        for paths in groups(files):
            title = "+".join(path.stem for path in paths)
            yield processor_case(f"{name} {title}", folder, paths, wanted, prompt_for(paths), expanded, Counts("<|image_pad|>"))


#===------------------------------------------------------------------------===#
# Kimi-VL by its published formulas
#===------------------------------------------------------------------------===#

KIMI = {"auto_map": {"AutoImageProcessor": "image_processing_kimi_vl.KimiVLImageProcessor",
                     "AutoProcessor": "processing_kimi_vl.KimiVLProcessor"},
        "in_token_limit": 4096, "patch_size": 14, "num_pooled_tokens": 1024, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5], "pad_input": True, "merge_kernel_size": [2, 2]}
KIMI_CONFIGS = {
    "kimi-vl": KIMI,
    "kimi-few-tokens": KIMI | {"in_token_limit": 100, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.3, 0.2, 0.1]},
    "kimi-cut": KIMI | {"pad_input": False, "merge_kernel_size": [1, 1], "in_token_limit": 300, "patch_size": 11},
}


def kimi_patches(image, config):
    """f32 [rows, columns, 3, patch, patch] of an RGB image."""
    patch, limit = config["patch_size"], config["in_token_limit"]
    width, height = image.size
    if (count := (width // patch) * (height // patch)) > limit:
        factor = math.sqrt(limit / count)
        image = image.resize((int(width * factor), int(height * factor)), Image.Resampling.BICUBIC)
        width, height = image.size
    pixels = np.array(image)
    if config["pad_input"]:
        rows, columns = (patch * n for n in config["merge_kernel_size"])
        pixels = np.pad(pixels, ((0, -height % rows), (0, -width % columns), (0, 0)))
    else:
        top, left = round(height % patch / 2), round(width % patch / 2)
        pixels = pixels[top:top + height // patch * patch, left:left + width // patch * patch]
    values = torch.from_numpy(pixels.copy()).permute(2, 0, 1).to(torch.float32).div(255)
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("image_mean", "image_std"))
    values = values.sub_(mean).div_(std)
    return values.unfold(1, patch, patch).unfold(2, patch, patch).permute(1, 2, 0, 3, 4).contiguous()


def kimi_tensors(images, config):
    parts = [kimi_patches(image, config) for image in images]
    return {"pixel_values": np.concatenate([part.flatten(0, 1).numpy() for part in parts]),
            "image_grid_hws": np.array([part.shape[:2] for part in parts], dtype=np.int64)}


def kimi_cases(work, files):
    for name, config in KIMI_CONFIGS.items():
        folder = configuration(work, name, config)

        def wanted(images, config=config):
            return kimi_tensors([image.convert("RGB") for image in images], config)

        def expanded(inputs, i, config=config):
            return "<|media_pad|>" * (int(inputs["image_grid_hws"][i].prod()) // math.prod(config["merge_kernel_size"]))

        for paths in groups(files):
            title = "+".join(path.stem for path in paths)
            yield processor_case(f"{name} {title}", folder, paths, wanted, prompt_for(paths), expanded, Counts("<|media_pad|>"))


#===------------------------------------------------------------------------===#
# Kimi K2.5 by its published formulas
#===------------------------------------------------------------------------===#

KIMI_K25 = {"in_patch_limit": 16384, "patch_size": 14, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            "merge_kernel_size": 2, "fixed_output_tokens": None, "patch_limit_on_one_side": 512,
            "in_patch_limit_each_frame": 4096, "in_patch_limit_video": None, "sample_fps": 2.0,
            "max_num_frames_each_video": None, "temporal_merge_kernel_size": 4, "timestamp_mode": "hh:mm:ss.fff",
            "config_type": "media_proc.processors.moonvit.MoonViTMediaProcessorConfig"}
KIMI_K25_CONFIGS = {
    "kimi-k25": KIMI_K25,
    "kimi-k25-few-patches": KIMI_K25 | {"in_patch_limit": 300, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.3, 0.2, 0.1]},
    "kimi-k25-short-side": KIMI_K25 | {"patch_limit_on_one_side": 36, "patch_size": 11, "merge_kernel_size": 3},
}


def kimi_k25_configuration(config):
    return {"auto_map": {"AutoProcessor": "kimi_k25_processor.KimiK25Processor",
                         "AutoImageProcessor": "kimi_k25_vision_processing.KimiK25VisionProcessor"},
            "media_proc_cfg": config}


def kimi_k25_patches(image, config):
    """f32 [rows, columns, 3, patch, patch] of an RGB image: shrunk to the limits of patches, black to whole tokens."""
    patch, most = config["patch_size"], config["patch_limit_on_one_side"] * config["patch_size"]
    patches = max(1, image.width // patch) * max(1, image.height // patch)
    factor = min(1.0, math.sqrt(config["in_patch_limit"] / patches), most / image.width, most / image.height)
    size = tuple(min(most, max(1, int(side * factor))) for side in image.size)
    block = patch * config["merge_kernel_size"]
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    pixels = np.pad(pixels, ((0, -size[1] % block), (0, -size[0] % block), (0, 0)))
    values = (pixels / 255.0).astype(np.float32)
    values -= np.array(config["image_mean"])
    values *= 1.0 / np.array(config["image_std"])
    values = values.reshape(pixels.shape[0] // patch, patch, pixels.shape[1] // patch, patch, 3)
    return np.ascontiguousarray(values.transpose(0, 2, 4, 1, 3))


def kimi_k25_tensors(images, config):
    parts = [kimi_k25_patches(image, config) for image in images]
    return {"pixel_values": np.concatenate([part.reshape(-1, *part.shape[2:]) for part in parts]),
            "image_grid_thw": np.array([(1, *part.shape[:2]) for part in parts], dtype=np.int64)}


def kimi_k25_cases(work, files):
    for name, config in KIMI_K25_CONFIGS.items():
        folder = configuration(work, name, kimi_k25_configuration(config))

        def wanted(images, config=config):
            return kimi_k25_tensors([image.convert("RGB") for image in images], config)

        def expanded(inputs, i, config=config):
            return "<|media_pad|>" * (int(inputs["image_grid_thw"][i].prod()) // config["merge_kernel_size"] ** 2)

        for paths in groups(files):
            title = "+".join(path.stem for path in paths)
            yield processor_case(f"{name} {title}", folder, paths, wanted, prompt_for(paths), expanded, Counts("<|media_pad|>"))


def all_cases(work):
    yield from decode_cases(work)
    yield from path_cases(work)
    yield from resize_cases(work)
    files = picture_files(work)
    yield from pixtral_cases(work, files)
    yield from qwen_cases(work, files)
    yield from kimi_cases(work, files)
    yield from kimi_k25_cases(work, files)


def run(dump, case, folder):
    """What is wrong with a case, or None."""
    output = folder / "output.safetensors"
    output.unlink(missing_ok=True)
    (folder / "cases.json").write_text(json.dumps([case.item | {"output": str(output)}]))
    done = subprocess.run([dump, folder / "cases.json"], capture_output=True, text=True, errors="replace")
    if done.returncode:
        return f"image-dump ended with status {done.returncode}: {done.stderr.strip()[-300:]}"
    line = json.loads(done.stdout)
    if "error" in line:
        return line["error"]
    return case.check(load_file(output), line)


def main():
    parser = argparse.ArgumentParser(description="compare images with Pillow and the published processors")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--dump", help="the program image-dump (default: of the build that holds clade)")
    parser.add_argument("--clade", default=clade.default_binary(), help="the binary (default: $CLADE, the newest build)")
    options = parser.parse_args()
    dump = options.dump or pathlib.Path(options.clade).parents[1] / "test/Image/image-dump"
    torch.set_num_threads(1)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="clade-images-") as folder:
        work = pathlib.Path(folder)
        for case in all_cases(work):
            if options.pattern and not any(pattern in case.name for pattern in options.pattern):
                continue
            problem = run(dump, case, work)
            if problem:
                print(f"FAIL {case.name}\n    {problem}", flush=True)
            passed += not problem
            failed += bool(problem)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
