#===- pictures.py - Parity from picture files to logits ----------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/pictures.py [options] [PATTERN …]
#
# Options and rules as in run.py. The checkpoints of vision.py get a tokenizer and
# a preprocessor_config.json. `clade run --image --prompt` of picture files must
# give the very logits of `--inputs --tokens` with what the published processor
# makes of the same paths and prompt, and in f32 the reference's. Those of
# Kimi-VL and Kimi K2.5 are written by their formulas in images.py.
#
#===------------------------------------------------------------------------===#
import json
import pathlib
import sys
import tempfile
from dataclasses import dataclass, replace

import packages

packages.add("images")  # Before transformers looks for Pillow.

import numpy as np
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.image_utils import load_image

import clade
import compare
import experts
import image_files
import images
import run
import vision
import vision_cases


def write_tokenizer(case, special, folder):
    """A token for each character, and special ones by their numbers. Returns the tokenizer."""
    characters = (chr(code) for code in range(33, 1000) if chr(code).isprintable())
    vocab = {special.get(i) or next(characters): i for i in range(case.config["text_config"]["vocab_size"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, []))
    tokenizer.add_special_tokens(list(special.values()))
    tokenizer.save(str(folder / "tokenizer.json"))
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


class Mistral3:
    """Pixtral's processor."""

    mark = "[IMG]"
    tensors = ("pixel_values", "image_sizes")

    @staticmethod
    def write(case, folder):
        """Writes what the processor is made from beside the checkpoint's files. Returns the processor."""
        fast = write_tokenizer(case, {case.config["image_token_index"]: "[IMG]", 12: "[IMG_BREAK]", 13: "[IMG_END]"}, folder)
        patch, merge = case.config["vision_config"]["patch_size"], case.config["spatial_merge_size"]
        settings = {"patch_size": {"height": patch, "width": patch}, "size": {"longest_edge": 160}}
        outer = {"patch_size": patch, "spatial_merge_size": merge}
        (folder / "preprocessor_config.json").write_text(
            json.dumps(settings | {"image_processor_type": "PixtralImageProcessor"}))
        (folder / "processor_config.json").write_text(json.dumps(outer | {"processor_class": "PixtralProcessor"}))
        processor = images.published("pixtral.processing_pixtral", "PixtralProcessor")
        pil = images.published("pixtral.image_processing_pil_pixtral", "PixtralImageProcessorPil")
        return processor(image_processor=pil(**settings), tokenizer=fast, **outer)


class Qwen2VL:
    """Qwen2-VL's processor, which Qwen3-VL has, too."""

    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    tensors = ("pixel_values", "image_grid_thw")

    @staticmethod
    def write(case, folder):
        names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
                 "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
        fast = write_tokenizer(case, {case.config[key]: name for key, name in names.items()}, folder)
        vision = case.config["vision_config"]
        settings = {"patch_size": vision["patch_size"], "merge_size": vision["spatial_merge_size"],
                    "temporal_patch_size": vision["temporal_patch_size"], "min_pixels": 16 * 32, "max_pixels": 96 * 96}
        (folder / "preprocessor_config.json").write_text(
            json.dumps(settings | {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"}))
        pil = images.published("qwen2_vl.image_processing_pil_qwen2_vl", "Qwen2VLImageProcessorPil")
        expand = images.published("qwen2_vl.processing_qwen2_vl", "Qwen2VLProcessor").replace_image_token
        return Qwen2VL.Processor(pil(**settings), fast, expand)

    @dataclass
    class Processor:
        """What the published one does for images: it also wants one for films, which needs torchvision."""

        image_processor: object
        tokenizer: object
        expand: object
        image_token: str = "<|image_pad|>"

        def __call__(self, images, text, return_tensors):
            made = self.image_processor([load_image(path) for path in images[0]], return_tensors=return_tensors)
            parts = text[0].split(self.image_token)
            prompt = parts[0] + "".join(self.expand(self, made, i) + part for i, part in enumerate(parts[1:]))
            return {**made, "input_ids": self.tokenizer([prompt], return_tensors="pt")["input_ids"]}


class Kimi:
    """What processors have in common that are published with their checkpoints: `tensors_of` images by `settings`."""

    mark = "<|media_pad|>"
    image_key = "media_placeholder_token_id"
    framed = ("<|media_start|>image<|media_content|>", "<|media_end|>")  # around images in front of a prompt

    def __init__(self, settings, tokenizer):
        self.settings, self.tokenizer = settings, tokenizer

    @classmethod
    def write(cls, case, folder):
        special = {case.config[cls.image_key]: cls.mark, 14: cls.framed[0].split("image")[0], 15: "<|media_content|>",
                   16: "<|media_end|>"}
        fast = write_tokenizer(case, special, folder)
        settings = cls.settings_of(case.config["vision_config"])
        (folder / "preprocessor_config.json").write_text(json.dumps(cls.configuration(settings)))
        return cls(settings, fast)

    def __call__(self, images, text, return_tensors):
        made = self.tensors_of([load_image(path) for path in images[0]], self.settings)
        made = {name: torch.from_numpy(values) for name, values in made.items()}
        parts = text[0].split(self.mark)
        counts = [int(grid.prod()) // 4 for grid in made[self.tensors[1]]]
        prompt = parts[0] + "".join(self.mark * n + part for n, part in zip(counts, parts[1:], strict=True))
        return {**made, "input_ids": self.tokenizer([prompt], return_tensors="pt")["input_ids"]}


class KimiVL(Kimi):
    tensors = ("pixel_values", "image_grid_hws")
    tensors_of = staticmethod(images.kimi_tensors)

    @staticmethod
    def settings_of(vision):
        return images.KIMI | {"patch_size": vision["patch_size"], "in_token_limit": 120}

    @staticmethod
    def configuration(settings):
        return settings


class KimiK25(Kimi):
    tensors = ("pixel_values", "image_grid_thw")
    image_key = "image_token_id"
    framed = ("<|media_begin|>image<|media_content|>", "<|media_end|>")
    tensors_of = staticmethod(images.kimi_k25_tensors)
    configuration = staticmethod(images.kimi_k25_configuration)

    @staticmethod
    def settings_of(vision):
        return images.KIMI_K25 | {"patch_size": vision["patch_size"], "in_patch_limit": 120}


@dataclass
class Request:
    name: str
    prompt: str
    files: list


def requests(folder, mark):
    """Two pictures in a prompt, one that is turned and transparent, and pictures in front of a prompt without tokens."""
    turned, wide, small = folder / "turned.png", folder / "wide.jpg", folder / "small.webp"
    Image.fromarray(image_files.picture(100, 60, 4)).save(turned, exif=image_files.orientation(6))
    Image.fromarray(image_files.picture(400, 130)).save(wide, quality=80, exif=image_files.orientation(3))
    Image.fromarray(image_files.picture(40, 33)).save(small, lossless=True)
    return [Request("two", f"See{mark}and{mark}now.", [turned, wide]), Request("one", f"{mark}?", [turned]),
            Request("front", "What?", [small, wide])]


def published(family, processor, request):
    """Tokens and tensors as the published processor gives them."""
    prompt = request.prompt
    if family.mark not in prompt:
        front, behind = getattr(family, "framed", ("", ""))
        prompt = (front + family.mark + behind) * len(request.files) + prompt
    made = processor(images=[[str(path) for path in request.files]], text=[prompt], return_tensors="pt")
    return made["input_ids"][0].tolist(), {name: made[name].contiguous() for name in family.tensors}


def logits_of(tool, work, model, steps, *arguments):
    answer = work / "answer.safetensors"
    tool.call("run", model, "--force", ",".join(map(str, steps)), "--logits", answer, *arguments)
    return load_file(answer)["logits"].float().numpy()


def check(tool, case, dtype, engine, report, work):
    folder = work / "model"
    folder.mkdir()
    path, family = vision.prepare(case) / dtype, FAMILIES[case.spec]
    for file in path.iterdir():
        (folder / file.name).symlink_to(file)
    processor = family.write(case, folder)
    model, options = folder, ["--interpret"]
    if engine != "interpret":
        model, options = work / "artifact", []
        tool.compile(folder, model)
    load = getattr(case.family, "load", None) or experts.load
    loaded = load(path, torch.float32) if dtype == "f32" else None
    batch, expected = [], []
    for request in requests(work, family.mark):
        tokens, tensors = published(family, processor, request)
        save_file(tensors, work / "inputs.safetensors")
        force = [20, 21, 22, 23]
        got = logits_of(tool, work, model, force, "--prompt", request.prompt, *options,
                        *(part for file in request.files for part in ("--image", file)))
        wanted = logits_of(tool, work, model, force, "--tokens", ",".join(map(str, tokens)), "--inputs",
                           work / "inputs.safetensors", *options)
        verdict = compare.Verdict()
        if got.shape == wanted.shape:
            verdict.difference = float(np.abs(got - wanted).max())
        if verdict.difference != 0:
            verdict.failures.append(f"{request.name}: other logits than those of the published processor's tensors")
        report.add(f"{case.name}/{request.name}", dtype, engine, "inputs", verdict)
        if loaded:
            rows, *_ = vision.decoder_of(case)(replace(case, steps=len(force)), loaded, vision.Prompt(tokens, tensors), force)
            report.add(f"{case.name}/{request.name}", dtype, engine, "model",
                       compare.compare_f32([got], [rows.float().numpy()]))
        batch.append({"prompt": request.prompt, "images": [str(file) for file in request.files], "force": force})
        expected.append(got)
    if dtype == "f32":
        verdict = compare.compare_f32(tool.logits(model, batch, 64, engine == "interpret"), expected)
        report.add(f"{case.name}/batch", dtype, engine, "64", verdict)


FAMILIES = {"mistral3": Mistral3, "mistral4_images": Mistral3, "qwen2_vl": Qwen2VL, "qwen3_vl": Qwen2VL, "kimi_vl": KimiVL,
            "kimi_k25": KimiK25}


def main(arguments=None):
    options = run.parse(arguments, group="tiny")
    torch.set_num_threads(1)
    tool = clade.Clade(options)
    report = run.Report(options.show, None)
    for case in vision_cases.CASES:
        if case.spec not in FAMILIES or options.pattern and not any(p in case.name for p in options.pattern):
            continue
        for dtype in options.dtype:
            for engine in options.engine:
                with tempfile.TemporaryDirectory(prefix="clade-pictures-") as work:
                    try:
                        check(tool, case, dtype, engine, report, pathlib.Path(work))
                    except clade.CladeError as error:
                        report.add(case.name, dtype, engine, "-", compare.Verdict(failures=[str(error)]))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
