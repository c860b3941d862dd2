#===- blocks.py - Each block of a family on its own -------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/blocks.py [options] [PATTERN…]
#
# Compares single blocks (attention, experts with their router, a scan, a norm)
# with the modules of the published implementation, on random activations: what
# a whole model averages away shows here. The block is what a family of four
# lines says, derived from the one under test: its embedding holds the
# activations, token t's in row t, its one layer is the block, and its output is
# the layer's. f32 is judged as logits are; in bf16 the error against the f32
# module on the same weights, beside the bf16 module's own. Routed experts are
# the reference's choices, replayed. Of models with images, what the tower and
# the projector make of two images takes the place of the text's result.
#
#===------------------------------------------------------------------------===#
import argparse
import contextlib
import hashlib
import json
import math
import pathlib
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass

import torch
import safetensors.numpy
from safetensors.torch import load_file, save_file

import cases
import checkpoint
import clade
import compare
import experts
import moe_cases
import reference
import run
import vision
import vision_cases

TOKENS, PROMPT = 96, 80  # what is decoded one by one comes behind the prompt
CHUNKS = (7, PROMPT)
SPEC = """family block_probe from {family} {{
  serves "BlockProbe"
  block input(tokens) = embed(tokens, [vocab, d]) at probe
  block decoder(x) = {block}
  block output(x) = x
}}
"""


@dataclass(frozen=True)
class Block:
    name: str
    family: str
    model: str  # as in cases.Case
    config: dict
    module: str  # its name within a layer
    block: str  # the same in the spec


def of(family, model, base, blocks, **options):
    """Blocks of one model with one layer: pairs of a module's name and the spec's expression."""
    config = {**base, "num_hidden_layers": 1, "vocab_size": TOKENS, **options}
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][:1]
    return [Block(f"{family}-{name}", family, model, config, module, block) for name, module, block in blocks]


ATTENTION = ("attention", "self_attn", "attention(x) at self_attn")
MLP = ("mlp", "mlp", "mlp(x) at mlp")
EXPERTS = ("experts", "mlp", "mlp(x) at mlp")
NORM = ("norm", "input_layernorm", "norm(x) at input_layernorm")
NEMOTRON_H = {k: v for k, v in cases.NEMOTRON_H.items() if k != "layers_block_type"}


def mixer(name, kind, block, **options):
    made = of("nemotron_h", "NemotronH", NEMOTRON_H, [(name, "mixer", f"{block}(x) at mixer")], layers_block_type=[kind], **options)
    # Layers are counted by their kinds.
    return [Block(b.name, b.family, b.model, {k: v for k, v in b.config.items() if k != "num_hidden_layers"}, b.module, b.block)
            for b in made]


NEMOTRON_EXPERTS = {k: v for k, v in moe_cases.NEMOTRON_EXPERTS.items() if k != "layers_block_type"}
BLOCKS = [
    *of("llama", "Llama", cases.LLAMA, [ATTENTION, MLP, NORM], attention_bias=True),
    *of("llama", "Mistral", cases.MISTRAL, [("window", *ATTENTION[1:])]),
    *of("qwen2", "Qwen2", cases.QWEN2, [ATTENTION]),
    *of("qwen3", "Qwen3", cases.QWEN3, [ATTENTION]),
    *of("gemma2", "Gemma2", cases.GEMMA2, [ATTENTION, MLP, NORM]),
    *of("gemma3_text", "Gemma3", cases.GEMMA3, [ATTENTION, MLP]),
    *of("qwen3_moe", "Qwen3Moe", moe_cases.QWEN3_MOE, [ATTENTION, EXPERTS]),
    *of("deepseek_v3", "DeepseekV3", moe_cases.LATENT, [ATTENTION, EXPERTS], first_k_dense_replace=0),
    *of("deepseek_v3", "DeepseekV3", moe_cases.LATENT, [("attention-without-q-rank", *ATTENTION[1:])], q_lora_rank=None),
    *of("glm4_moe", "Glm4Moe", moe_cases.GLM4_MOE, [ATTENTION, EXPERTS], first_k_dense_replace=0, use_qk_norm=True, n_group=4,
        topk_group=2),
    *of("gpt_oss", "GptOss", moe_cases.GPT_OSS, [ATTENTION, EXPERTS]),
    *of("mistral4", "Mistral4", moe_cases.MISTRAL4, [ATTENTION, EXPERTS]),
    *mixer("mamba2", "linear_attention", "mamba2"),
    *mixer("attention", "full_attention", "attention"),
    *mixer("mlp", "mlp", "mlp"),
    *mixer("experts", "moe", "routed", **NEMOTRON_EXPERTS),
    *mixer("latent-experts", "moe", "routed", **NEMOTRON_EXPERTS, moe_latent_size=96),
    *of("qwen3_next", "Qwen3Next", {**cases.QWEN3_NEXT, "mlp_only_layers": []},
        [("delta-rule", "linear_attn", "delta_net(x) at linear_attn"), EXPERTS, NORM], num_experts=16, num_experts_per_tok=4,
        moe_intermediate_size=64, shared_expert_intermediate_size=80, layer_types=["linear_attention"]),
    *of("qwen3_5", "Qwen3_5", cases.QWEN3_5, [("delta-rule", "linear_attn", "delta_net(x) at linear_attn"), MLP],
        layer_types=["linear_attention"]),
    *of("mamba2", "Mamba2", cases.MAMBA2, [("mixer", "mixer", "mamba2(x) at mixer")]),
    *of("qwen3_next", "Qwen3Next", {**cases.QWEN3_NEXT, "mlp_only_layers": []}, [ATTENTION], num_experts=16, num_experts_per_tok=4,
        moe_intermediate_size=64, shared_expert_intermediate_size=80, layer_types=["full_attention"]),
]


class Called(Exception):
    """The module has been reached."""


@torch.no_grad()
def result_of(model, path, x, told=None):
    """What the module makes of the activations [token, d], in the place that the model gives it; and the experts chosen."""
    # Most models call themselves 'model', Mamba-2 'backbone'.
    module = model.get_submodule(path if hasattr(model, "model") else path.replace("model", model.base_model_prefix, 1))
    call = {}

    def note(_, arguments, options):
        call.update(arguments=arguments, options=options)
        raise Called

    hook = module.register_forward_pre_hook(note, with_kwargs=True)
    with contextlib.suppress(Called):
        model(torch.arange(TOKENS)[None], use_cache=False)
    hook.remove()
    arguments, options = list(call["arguments"]), dict(call["options"])
    name = next((n for n in ("hidden_states", "x") if n in options), None)
    if name:
        options[name] = x[None]
    else:
        arguments[0] = x[None]
    with experts.recorded(model, told) as made:
        y = module(*arguments, **options)
    # Linear layers and experts may give more than their result, or flatten it.
    y = (y[0] if isinstance(y, tuple) else y).reshape(TOKENS, -1)
    return y.float(), {layer: made[layer].table()[0] for layer in made if made[layer].chosen}


def publish(block, model, path, x, folder):
    """A checkpoint of the block's tensors under their published names, with x in the embedding."""
    whole = folder / "whole"
    model.save_pretrained(whole)
    layer = path.removesuffix(block.module)
    published = {name: tensor for file in whole.glob("*.safetensors") for name, tensor in load_file(file).items()
                 # nemotron_h is published as 'backbone'.
                 if name.replace("backbone.", "model.", 1).startswith(f"{layer}{block.module}.")}
    config = json.loads((whole / "config.json").read_text())
    config["architectures"] = ["BlockProbe"]
    shutil.rmtree(whole)
    save_file({"probe.weight": x, **published}, folder / "model.safetensors")
    return config


IMAGE_SPEC = """family block_probe from {family} {{
  serves "BlockProbe"
  entry forward(tokens, images) {{
    {rows} = images
    return put_at(embed(tokens, [text.vocab, text.d]) at probe, tokens == image_id, rows)
  }}
}}
"""
TOWERS = re.compile(r"(^|\.)(vision_tower|visual|multi_modal_projector|mm_projector)\.")
PROJECTORS = ("multi_modal_projector", "mm_projector", "visual")  # the last module of images, of each implementation


@torch.no_grad()
def rows_of(case, folder, dtype, prompt):
    """What the published implementation makes of the images of a prompt, [row, d]."""
    model = (getattr(case.family, "load", None) or reference.load)(folder, dtype)
    path = min((name for name, _ in model.named_modules() if name.split(".")[-1] in PROJECTORS), key=len)
    kept = []

    def keep(_, arguments, output):
        output = getattr(output, "pooler_output", output)
        output = output[0] if isinstance(output, tuple) else output
        kept.append(torch.cat(list(output)) if isinstance(output, list) else output)

    model.get_submodule(path).register_forward_hook(keep)
    images = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in prompt.images.items()}
    if not hasattr(case.family, "load"):
        images |= case.family.arguments(case, prompt.tokens)
    if hasattr(case.family, "encode"):
        images = case.family.encode(model, images)
    model(torch.tensor([prompt.tokens]), **images)
    return torch.cat([rows.reshape(-1, rows.shape[-1]) for rows in kept]).float().numpy()


def compare_images(tool, case, options, report):
    name = f"{case.name}-features"
    source, prompt = vision.prepare(case), vision.prompts(case)[0]
    inputs = source / "reference" / "inputs.0.safetensors"
    at = [i for i, token in enumerate(prompt.tokens) if token == vision_cases.image_token(case)]
    rows = "rows, deep" if "qwen3_vl" in case.spec else "rows"
    with tempfile.TemporaryDirectory(prefix="clade-block-") as work:
        work = pathlib.Path(work)
        (work / "probe.spec").write_text(IMAGE_SPEC.format(family=case.spec, rows=rows))
        wide = None
        for dtype in options.dtype:
            folder = work / dtype
            folder.mkdir()
            reference_rows = rows_of(case, source / dtype, checkpoint.DTYPES[dtype], prompt)
            if dtype == "bf16":
                wide = rows_of(case, source / dtype, torch.float32, prompt)
            tensors = {n: t for file in (source / dtype).glob("*.safetensors") for n, t in load_file(file).items()
                       if TOWERS.search(n)}
            config = json.loads((source / dtype / "config.json").read_text())
            vocab = config.get("text_config", config)["vocab_size"]
            tensors["probe.weight"] = torch.zeros(vocab, reference_rows.shape[1], dtype=checkpoint.DTYPES[dtype])
            save_file(tensors, folder / "model.safetensors")
            drop_unread(tool, work / "probe.spec", folder, {**config, "architectures": ["BlockProbe"]})
            batch = work / "batch.json"
            batch.write_text(json.dumps([{"tokens": prompt.tokens, "max_tokens": 0, "inputs": str(inputs)}]))
            for engine in options.engine:
                answer = work / "logits.safetensors"
                tool.call("run", folder, "--spec", work / "probe.spec", "--batch", batch, "--logits", answer,
                          *(["--interpret"] if engine == "interpret" else []), *tool.run_options)
                got = safetensors.numpy.load_file(answer)["logits.0"][at]
                report.add(name, dtype, engine, "-", judge(got, dtype, reference_rows, wide))


def drop_unread(tool, spec, folder, config):
    """Writes config.json with the keys that a block alone reads."""
    for _ in range(3):
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        checked = tool.run("check", spec, "--config", folder / "config.json")
        unread = re.findall(r"error: key '([^']+)' is not read", checked.stderr)
        if not unread:
            return
        for key in unread:
            *outer, last = key.split(".")
            record = config
            for part in outer:
                record = record[part]
            record.pop(last, None)


def judge(got, dtype, reference, wide):
    verdict = compare.Verdict()
    problem = compare.check_shapes([got], [reference])
    if problem:
        verdict.failures.append(problem)
        return verdict
    if dtype == "f32":
        compare.distance([got], [reference], verdict, compare.F32_DIFFERENCE, compare.F32_COSINE)
        return verdict
    compare.distance([got], [reference], verdict, compare.BF16_DIFFERENCE, compare.BF16_COSINE)
    ours, theirs = compare.rms([got], [wide]), compare.rms([reference], [wide])
    verdict.rms_ratio = ours / theirs if theirs else (math.inf if ours else 1.0)
    if not verdict.rms_ratio <= compare.BF16_RMS_RATIO:
        verdict.failures.append(f"rms error {ours:.3e}, {verdict.rms_ratio:.3f} × the reference's, bound "
                                f"{compare.BF16_RMS_RATIO:.2f}; {compare.worst([got], [wide])}")
    return verdict


def load(folder, block, dtype):
    return checkpoint.class_of(f"{block.model}ForCausalLM").from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager").eval()


def compare_block(tool, block, options, report):
    config = checkpoint.config_class(block.model)(**json.loads(json.dumps(block.config)))
    model = checkpoint.class_of(f"{block.model}ForCausalLM")(config)
    seed = int.from_bytes(hashlib.sha256(block.name.encode()).digest()[:4], "big")
    checkpoint.fill(model, seed)
    path = f"model.layers.0.{block.module}"
    x = torch.randn(TOKENS, config.hidden_size, generator=torch.Generator().manual_seed(seed))
    with tempfile.TemporaryDirectory(prefix="clade-block-") as work:
        work = pathlib.Path(work)
        (work / "probe.spec").write_text(SPEC.format(family=block.family, block=block.block))
        for dtype in options.dtype:
            folder, stored = work / dtype, work / f"stored-{dtype}"
            folder.mkdir()
            narrow = model.to(checkpoint.DTYPES[dtype])
            activations = x.to(checkpoint.DTYPES[dtype])
            narrow.save_pretrained(stored)
            drop_unread(tool, work / "probe.spec", folder, publish(block, narrow, path, activations, folder))
            expected, chosen = result_of(load(stored, block, checkpoint.DTYPES[dtype]), path, activations)
            wide = told = None
            if dtype == "bf16":
                wide = result_of(load(stored, block, torch.float32), path, activations.float(), chosen or None)[0].numpy()
            if chosen:
                told = work / f"{dtype}-chosen.safetensors"
                experts.save_choices(told, [{layer: (rows,) for layer, rows in chosen.items()}])
            for engine in options.engine:
                measure(tool, block, dtype, engine, work, told, expected.numpy(), wide, report)


def measure(tool, block, dtype, engine, work, told, expected, wide, report):
    source, extra = work / dtype, ["--spec", work / "probe.spec"]
    if engine == "compiled":
        artifact = work / f"{dtype}-artifact"
        tool.call("compile", source, "-o", artifact, "--spec", work / "probe.spec", *tool.compile_options)
        source, extra = artifact, []
    else:
        extra += ["--interpret"]
    batch = work / "batch.json"
    request = {"tokens": list(range(PROMPT)), "force": list(range(PROMPT, TOKENS)), "max_tokens": TOKENS - PROMPT}
    batch.write_text(json.dumps([request]))
    for chunk in CHUNKS:
        answer = work / "logits.safetensors"
        tool.call("run", source, *extra, "--batch", batch, "--chunk", chunk, "--logits", answer,
                  *(["--replay-experts", told] if told else []), *tool.run_options)
        got = safetensors.numpy.load_file(answer)["logits.0"]
        report.add(block.name, dtype, engine, chunk, judge(got, dtype, expected, wide))


def main():
    parser = argparse.ArgumentParser(description="compare single blocks with the published implementation's modules")
    parser.add_argument("pattern", nargs="*", help="names of blocks, or what they begin with")
    parser.add_argument("--dtype", type=lambda text: text.split(","), default=run.DTYPES)
    parser.add_argument("--engine", type=lambda text: text.split(","), default=run.BOTH)
    clade.add_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tool = clade.Clade(options)
    report = run.Report(shown=3)
    for block in BLOCKS:
        if options.pattern and not any(block.name.startswith(p) for p in options.pattern):
            continue
        try:
            compare_block(tool, block, options, report)
        except clade.CladeError as error:
            report.add(block.name, "-", "-", "-", compare.Verdict(failures=[str(error)]))
    for case in vision_cases.CASES:
        if options.pattern and not any(case.name.startswith(p) for p in options.pattern):
            continue
        try:
            compare_images(tool, case, options, report)
        except clade.CladeError as error:
            report.add(case.name, "-", "-", "-", compare.Verdict(failures=[str(error)]))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
