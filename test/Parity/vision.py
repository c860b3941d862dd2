#===- vision.py - Parity of models with images ------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/vision.py [options] [PATTERN …]
#
# Options and rules as in run.py. A prompt holds images: the tensors that the
# family's processor makes of them are random numbers of the right shapes, and
# the tokens that stand for them are as many as the reference wants. Sequences
# of a batch have two images of unequal sizes, one, and none.
#
#===------------------------------------------------------------------------===#
import dataclasses
import json
import pathlib
import sys
import tempfile
from dataclasses import dataclass

import torch
import transformers
from safetensors.torch import load_file, save_file

import checkpoint
import clade
import compare
import reference
import run
import vision_cases


def generator_of(text):
    return torch.Generator().manual_seed(sum(map(ord, text)))


@dataclass
class Prompt:
    tokens: list
    images: dict  # what the processor gives: tensors by name; empty without images


def prompts(case):
    """The sequences of a case: text, then each image behind some more text."""
    generator = generator_of(case.name)

    def draw(count):
        low, high = case.text_tokens
        return torch.randint(low, high, (count,), generator=generator).tolist()

    made = []
    for sizes in case.images:
        tokens = draw(5)
        for size in sizes:
            tokens += draw(3) + case.family.tokens(case, size)
        made.append(Prompt(tokens + draw(7), case.family.inputs(case, sizes, generator) if sizes else {}))
    return made


@torch.no_grad()
def decode(case, model, prompt, force=None):
    """As reference.decode, with the images in the call for the prompt."""
    cache = transformers.DynamicCache(config=model.config.get_text_config())
    images = {name: tensor.to(model.dtype) if tensor.is_floating_point() else tensor
              for name, tensor in prompt.images.items()}
    # What the last sequence had of images is nothing to this one.
    if hasattr(model.model, "rope_deltas"):
        model.model.rope_deltas = None
    if images:
        images |= case.family.arguments(case, prompt.tokens)
    logits = [model(torch.tensor([prompt.tokens]), past_key_values=cache, use_cache=True, **images).logits[0]]
    forced = []
    for step in range(case.steps):
        forced.append(force[step] if force else int(logits[-1][-1].float().argmax()))
        logits.append(model(torch.tensor([forced[-1:]]), past_key_values=cache, use_cache=True).logits[0])
    return torch.cat(logits).contiguous(), forced


@torch.no_grad()
def decode_whole(case, model, prompt, force=None):
    """The same with a model that keeps nothing: everything again for each token."""
    forced = []
    for step in range(case.steps):
        if force:
            forced.append(force[step])
            continue
        logits = model(torch.tensor([prompt.tokens + forced]), **prompt.images)[0]
        forced.append(int(logits[-1].float().argmax()))
    return model(torch.tensor([prompt.tokens + forced]), **prompt.images)[0].contiguous(), forced


def run_reference(case, path, dtype, batch=None):
    load = getattr(case.family, "load", None)
    model = (load or reference.load)(path, dtype)
    decode_one = decode_whole if load else decode
    logits, ran = [], []
    for i, prompt in enumerate(prompts(case)):
        rows, force = decode_one(case, model, prompt, batch[i]["force"] if batch else None)
        logits.append(rows)
        ran.append({"tokens": prompt.tokens, "force": force, "max_tokens": len(force)})
    return logits, ran


def write_checkpoint(case, path):
    if getattr(case.family, "make", None):
        model = case.family.make(case.config)
    else:
        config = checkpoint.class_of(f"{case.model}Config")(**json.loads(json.dumps(case.config)))
        model = getattr(transformers, f"{case.model}ForConditionalGeneration")(config)
    checkpoint.fill(model, int(torch.randint(1 << 30, (1,), generator=generator_of(case.name))))
    case.family.adjust(model)
    for name, dtype in checkpoint.DTYPES.items():
        if getattr(case.family, "save", None):
            case.family.convert(model, dtype)
            case.family.save(case, model, path / name)
            continue
        model.to(dtype).save_pretrained(path / name)
        if hasattr(case.family, "publish"):
            case.family.publish(case, path / name)


def digest_of(case):
    text = json.dumps(dataclasses.asdict(case) | {"family": case.family.__name__}, sort_keys=True, default=str)
    return checkpoint.digest("checkpoint.py", "vision.py", "vision_cases.py", text=text)


def write(case):
    """Makes the checkpoints of a case unless they exist, without inputs or reference. Returns their directory."""
    path = checkpoint.CACHE / "parity" / f"{case.name}-checkpoint-{digest_of(case)}"
    if not path.exists():
        with checkpoint.written_whole(path) as work:
            write_checkpoint(case, work)
    return path


def prepare(case):
    """Makes checkpoint, inputs and reference of a case unless they exist. Returns their directory."""
    path = checkpoint.CACHE / "parity" / f"{case.name}-{digest_of(case)}"
    if path.exists():
        return path
    with checkpoint.written_whole(path) as work:
        write_checkpoint(case, work)
        out = work / "reference"
        out.mkdir()
        for i, prompt in enumerate(prompts(case)):
            if prompt.images:
                save_file(prompt.images, out / f"inputs.{i}.safetensors")
        logits, batch = run_reference(case, work / "f32", torch.float32)
        reference.save(out, "f32", logits, batch)
        logits, batch = run_reference(case, work / "bf16", torch.bfloat16)
        reference.save(out, "bf16", logits, batch)
        reference.save(out, "wide", run_reference(case, work / "bf16", torch.float32, batch)[0])
    return path


def requests(out, dtype):
    batch = json.loads((out / f"{dtype}.json").read_text())
    for i, request in enumerate(batch):
        inputs = out / f"inputs.{i}.safetensors"
        if inputs.exists():
            request["inputs"] = str(inputs)
    return batch


def single_run(tool, model, batch, work, options):
    """The first sequence again, as one request with --tokens and --inputs."""
    answer = pathlib.Path(work, "single.safetensors")
    first = batch[0]
    tool.call("run", model, "--tokens", ",".join(map(str, first["tokens"])), "--force",
              ",".join(map(str, first["force"])), "--inputs", first["inputs"], "--logits", answer, *options)
    return [load_file(answer)["logits"].numpy()]


def run_engine(tool, case, dtype, engine, chunks, report):
    path = prepare(case)
    out, model = path / "reference", path / dtype
    batch = requests(out, dtype)
    interpret = engine == "interpret"
    image = vision_cases.image_token(case)
    undecided = [{i for i, token in enumerate(request["tokens"]) if token == image} for request in batch]
    with tempfile.TemporaryDirectory(prefix="clade-parity-") as work:
        try:
            if not interpret:
                model = pathlib.Path(work, "artifact")
                tool.compile(path / dtype, model)
            for chunk in chunks:
                verdict = run.verdict_of(tool.logits(model, batch, chunk, interpret), dtype, out, undecided)
                report.add(case.name, dtype, engine, chunk, verdict)
            got = single_run(tool, model, batch, work, ["--interpret"] if interpret else [])
            if dtype == "f32":
                report.add(case.name, dtype, engine, "one", compare.compare_f32(got, reference.read(out, "f32")[:1]))
        except clade.CladeError as error:
            report.add(case.name, dtype, engine, "-", compare.Verdict(failures=[str(error)]))


def main(arguments=None):
    options = run.parse(arguments, group="tiny")
    torch.set_num_threads(1)
    tool = clade.Clade(options)
    chosen = [c for c in vision_cases.CASES if not options.pattern or any(p in c.name for p in options.pattern)]
    report = run.Report(options.show, vision_cases.record_of(options, chosen))
    for case in chosen:
        chunks = [c for c in map(int, options.chunk or []) if c in case.chunks] or case.chunks
        for dtype in options.dtype:
            for engine in options.engine:
                run_engine(tool, case, dtype, engine, chunks, report)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
