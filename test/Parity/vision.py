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
# of a batch have two images of unequal sizes, one, and none. Models with experts
# replay the reference's choices, and choose by themselves, as in moe.py.
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
import experts
import moe
import reference
import run
import vision_cases


MOST_DRAWS = 20  # of a random model, until one decides every token


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


def best_text(case, logits):
    """The greedy token among those of texts: others stand for images, and mean nothing without."""
    low, high = case.text_tokens
    return low + int(logits[low:high].float().argmax())


@torch.no_grad()
def decode(case, model, prompt, force=None, replay=None):
    """As reference.decode, with the images in the call for the prompt; also the experts chosen, of which `replay` tells."""
    cache = transformers.DynamicCache(config=model.config.get_text_config())
    images = {name: tensor.to(model.dtype) if tensor.is_floating_point() else tensor
              for name, tensor in prompt.images.items()}
    # What the last sequence had of images is nothing to this one.
    if hasattr(model.model, "rope_deltas"):
        model.model.rope_deltas = None
    if images:
        images |= case.family.arguments(case, prompt.tokens)
        if hasattr(case.family, "encode"):
            images = case.family.encode(model, images)
    with experts.recorded(model, replay) as made:
        logits = [model(torch.tensor([prompt.tokens]), past_key_values=cache, use_cache=True, **images).logits[0]]
        forced = []
        for step in range(case.steps):
            forced.append(force[step] if force else best_text(case, logits[-1][-1]))
            logits.append(model(torch.tensor([forced[-1:]]), past_key_values=cache, use_cache=True).logits[0])
    return torch.cat(logits).contiguous(), forced, made


@torch.no_grad()
def decode_whole(case, model, prompt, force=None, replay=None):
    """The same with a model that keeps nothing: everything again for each token."""
    forced = []
    for step in range(case.steps):
        if force:
            forced.append(force[step])
            continue
        logits = model(torch.tensor([prompt.tokens + forced]), **prompt.images)[0]
        forced.append(best_text(case, logits[-1]))
    with experts.recorded(model, replay) as made:
        logits = model(torch.tensor([prompt.tokens + forced]), **prompt.images)[0].contiguous()
    return logits, forced, made


def decoder_of(case):
    return decode_whole if getattr(case.family, "load", None) else decode


def run_reference(case, path, dtype, batch=None, replay=None):
    """As experts.run: logits, batch, and for each sequence Choices by layer, none if there are no experts."""
    model = (getattr(case.family, "load", None) or experts.load)(path, dtype)
    logits, ran, choices = [], [], []
    for i, prompt in enumerate(prompts(case)):
        rows, force, made = decoder_of(case)(case, model, prompt, batch[i]["force"] if batch else None,
                                             replay and replay[i])
        logits.append(rows)
        ran.append({"tokens": prompt.tokens, "force": force, "max_tokens": len(force)})
        choices.append({layer: made[layer].table() for layer in made if made[layer].chosen})
    return logits, ran, choices


@torch.no_grad()
def decide(case, model):
    """Each row of an image predicts a token of its own, as each token does (checkpoint.fill): what tells the row from
    the others where the head reads it is added to that token's row of the head."""
    head = next(module for name, module in model.named_modules() if name.split(".")[-1] == "lm_head")
    rows = []
    for prompt in prompts(case):
        if prompt.images:
            read = []
            hook = head.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
            decoder_of(case)(dataclasses.replace(case, steps=0), model, prompt)
            hook.remove()
            of_images = torch.tensor(prompt.tokens) == vision_cases.image_token(case)
            rows.append(read[0].reshape(len(prompt.tokens), -1)[of_images])
    rows = torch.cat(rows)
    rows -= rows.mean(0)
    predicted = torch.randperm(len(head.weight), generator=generator_of(case.name))[: len(rows)]
    head.weight.data[predicted] += 2.0 * checkpoint.ALIGNMENT * rows / rows.norm(dim=1, keepdim=True)


@torch.no_grad()
def is_decided(case, model):
    """Whether the largest logit is so clear everywhere that rounding chooses no other: two correct implementations are
    then of one mind."""
    run = decoder_of(case)
    return all(compare.least_margin(run(case, model, prompt)[0].numpy()) >= compare.DECIDED_ULPS for prompt in prompts(case))


def random_model(case, seed):
    if getattr(case.family, "make", None):
        model = case.family.make(case.config)
    else:
        config = checkpoint.class_of(f"{case.model}Config")(**json.loads(json.dumps(case.config)))
        model = getattr(transformers, f"{case.model}ForConditionalGeneration")(config)
    checkpoint.fill(model, seed)
    case.family.adjust(model)
    decide(case, model.eval())
    return model


def write_checkpoint(case, path):
    generator = generator_of(case.name)
    for _ in range(MOST_DRAWS):
        model = random_model(case, int(torch.randint(1 << 30, (1,), generator=generator)))
        if is_decided(case, model):
            break
    else:
        raise RuntimeError(f"{case.name}: {MOST_DRAWS} random models, none of which decides every token clearly")
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
    return checkpoint.digest("checkpoint.py", "experts.py", "vision.py", "vision_cases.py", text=text)


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
        experts.keep(out, lambda stored, *arguments: run_reference(case, work / stored, *arguments))
    return path


def requests(out, dtype):
    batch = json.loads((out / f"{dtype}.json").read_text())
    for i, request in enumerate(batch):
        inputs = out / f"inputs.{i}.safetensors"
        if inputs.exists():
            request["inputs"] = str(inputs)
    return batch


class Comparison(moe.Comparison):
    """One case in one dtype by one engine. Choices of experts are replayed, as moe.py does; most have none."""

    def __init__(self, tool, case, dtype, engine, report, prepared):
        out = prepared[1]
        super().__init__(tool, case, dtype, engine, report, prepared, requests(out, dtype))
        self.routed = any(experts.read_choices(self.told)) if load_file(self.told) else False

    def replayed(self, chunk, work):
        if self.routed:
            return super().replayed(chunk, work)
        logits = self.tool.logits(self.model, self.batch, chunk, self.engine == "interpret")
        self.report.add(self.case.name, self.dtype, self.engine, chunk, run.verdict_of(logits, self.dtype, self.out))

    def free(self, chunk, work):
        if self.routed:
            super().free(chunk, work)
        self.single(work)

    def single(self, work):
        """The first sequence again, as one request with --tokens and --inputs."""
        answer, first = pathlib.Path(work, "single.safetensors"), self.batch[0]
        options = ["--interpret"] if self.engine == "interpret" else []
        if self.routed:
            told = pathlib.Path(work, "told.safetensors")
            of_first = experts.read_choices(self.told)[0]
            save_file({experts.name_of(layer): rows for layer, rows in of_first.items()}, told)
            options += ["--replay-experts", told]
        self.tool.call("run", self.model, "--tokens", ",".join(map(str, first["tokens"])), "--force",
                       ",".join(map(str, first["force"])), "--inputs", first["inputs"], "--logits", answer, *options)
        if self.dtype == "f32":
            got = [load_file(answer)["logits"].numpy()]
            verdict = compare.compare_f32(got, reference.read(self.out, "f32")[:1])
            self.report.add(self.case.name, self.dtype, self.engine, "one", verdict)


def run_engine(tool, case, dtype, engine, chunks, report):
    path = prepare(case)
    with tempfile.TemporaryDirectory(prefix="clade-parity-") as work:
        try:
            Comparison(tool, case, dtype, engine, report, (path, path / "reference")).run(chunks, work)
        except clade.CladeError as error:
            report.add(case.name, dtype, engine, "-", compare.Verdict(failures=[str(error)]))


def main(arguments=None):
    options = run.parse(arguments, group="tiny")
    torch.set_num_threads(1)
    tool = clade.Clade(options)
    chosen = [c for c in vision_cases.CASES if not options.pattern or any(p in c.name for p in options.pattern)]
    report = moe.Report(options.show, vision_cases.record_of(options, chosen))
    for case in chosen:
        chunks = [c for c in map(int, options.chunk or []) if c in case.chunks] or case.chunks
        for dtype in options.dtype:
            for engine in options.engine:
                run_engine(tool, case, dtype, engine, chunks, report)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
