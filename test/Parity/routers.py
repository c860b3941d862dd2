#===- routers.py - Each router on its own -------------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/routers.py [options] [PATTERN…]
#
# Compares the block that chooses experts, of every family that has one, with the
# module of the published implementation, on random activations: which experts,
# and in which shares. The block is what a family of a few lines says, derived from
# the one under test, without layers: its embedding holds the activations, its
# output is shares and numbers of experts. Corrections of scores are not zero.
# Choices may differ where the reference's margin is within what rounding explains
# (experts.py), how many do is printed; the shares of all others are judged as
# blocks.py judges what a block gives.
#
#===------------------------------------------------------------------------===#
import argparse
import hashlib
import json
import pathlib
import sys
import tempfile
from dataclasses import dataclass

import safetensors.numpy
import torch
import transformers
from safetensors.torch import save_file

import blocks
import cases
import checkpoint
import clade
import compare
import experts
import moe_cases
import run
import vision_cases

TOKENS = 96
SPEC = """family router_probe from {family} {{
  serves "RouterProbe"
  block input(tokens) = embed(tokens, [vocab, d]) at probe
  block run(x) = x
  block output(x) {{
    chosen, share = {block} at {place}
    return join(f32(share), f32(chosen))
  }}
}}
"""


@dataclass(frozen=True)
class Router:
    family: str
    make: object  # gives the published model, in f32
    variant: str = ""
    block: str = "router(x)"
    place: str = "mlp"  # of the block within a layer

    @property
    def name(self):
        return f"{self.family}-router{self.variant and '-'}{self.variant}"


def causal(model, config, **options):
    """A published model of one layer, whose experts are small."""
    def make():
        settings = {**config, "num_hidden_layers": 1, "vocab_size": TOKENS, "moe_intermediate_size": 32, **options}
        settings = {key: value for key, value in settings.items() if value is not None}
        if settings.get("layer_types"):
            settings["layer_types"] = settings["layer_types"][:1]
        return checkpoint.class_of(f"{model}ForCausalLM")(checkpoint.class_of(f"{model}Config")(**json.loads(json.dumps(settings))))
    return make


def with_images(name):
    """The model of a case of vision_cases.py."""
    def make():
        case = next(c for c in vision_cases.CASES if c.name == name)
        if getattr(case.family, "make", None):
            return case.family.make(case.config)
        config = checkpoint.class_of(f"{case.model}Config")(**json.loads(json.dumps(case.config)))
        return getattr(transformers, f"{case.model}ForConditionalGeneration")(config)
    return make


FIRST = dict(first_k_dense_replace=0)
NEMOTRON = {**{k: v for k, v in cases.NEMOTRON_H.items() if k != "layers_block_type"}, **moe_cases.NEMOTRON_EXPERTS,
            "num_hidden_layers": None, "layers_block_type": ["moe"]}
NEXT = {**cases.QWEN3_NEXT, "mlp_only_layers": [], "num_experts": 16, "num_experts_per_tok": 4, "layer_types": ["linear_attention"],
        "shared_expert_intermediate_size": 32}
ROUTERS = [
    Router("qwen3_moe", causal("Qwen3Moe", moe_cases.QWEN3_MOE)),
    Router("qwen3_moe", causal("Qwen3Moe", moe_cases.QWEN3_MOE, norm_topk_prob=True), "renormalised"),
    Router("qwen2_moe", causal("Qwen2Moe", moe_cases.QWEN2_MOE)),
    Router("qwen3_next", causal("Qwen3Next", NEXT)),
    Router("deepseek_v3", causal("DeepseekV3", moe_cases.LATENT, **FIRST)),
    Router("deepseek_v3", causal("DeepseekV3", moe_cases.LATENT, **FIRST, n_group=1, topk_group=1, norm_topk_prob=False,
                                 routed_scaling_factor=1.0), "one-group"),
    Router("glm4_moe", causal("Glm4Moe", moe_cases.GLM4_MOE, **FIRST, n_group=4, topk_group=2)),
    Router("mistral4", causal("Mistral4", moe_cases.MISTRAL4, **FIRST)),
    Router("gpt_oss", causal("GptOss", moe_cases.GPT_OSS)),
    Router("nemotron_h", causal("NemotronH", NEMOTRON), block="corrected_router(x)", place="mixer"),
    Router("kimi_vl_text", with_images("kimi-vl-two-images")),
    Router("deepseek_v3", with_images("kimi-k25-two-images"), "of-kimi-k25"),
    Router("mistral4", with_images("mistral4-images"), "with-images"),
    Router("qwen3_vl_moe_text", with_images("qwen3-vl-moe")),
]


@torch.no_grad()
def answer_of(model, layer, x):
    """What the published router makes of x [token, d]: experts i64 and shares f32 [token, a], and Choices."""
    module = experts.routers(model)[layer]
    with experts.recorded(model) as made:
        # NeMo AutoModel's also wants to know which tokens count.
        more = [torch.ones(len(x), dtype=torch.bool), None] if type(module).__name__ == "Gate" else []
        results = module(x, *more)
    chosen = next(r for r in results if r is not None and not r.is_floating_point())
    share = next(r for r in results if r is not None and r.is_floating_point() and r.shape == chosen.shape)
    return chosen, share.float(), made[layer].table()


def dense(chosen, share, count):
    """Shares as [token, expert], 0 for those not chosen."""
    return torch.zeros(len(chosen), count).scatter(1, chosen.long(), share)


def prepare(tool, router, model, layer, dtype, x, work):
    """A checkpoint of the router's tensors, with x in the embedding. Returns its folder."""
    folder = work / dtype
    folder.mkdir()
    module = experts.routers(model)[layer]
    path = next(name for name, m in model.named_modules() if m is module).split(".")[-1]
    place = f"model.layers.{layer}.{router.place}"
    (work / f"{dtype}.spec").write_text(SPEC.format(family=router.family, block=router.block, place=place))
    tensors = {f"{place}.{path}.{name}": tensor.contiguous() for name, tensor in module.state_dict().items()}
    save_file({"probe.weight": x, **tensors}, folder / "model.safetensors")
    text = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config.text_config
    text.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.update(architectures=["RouterProbe"], vocab_size=TOKENS, torch_dtype={"f32": "float32", "bf16": "bfloat16"}[dtype])
    config.pop("dtype", None)
    blocks.drop_unread(tool, work / f"{dtype}.spec", folder, config)
    return folder


def compare_router(tool, router, options, report):
    model = router.make()
    seed = int.from_bytes(hashlib.sha256(router.name.encode()).digest()[:4], "big")
    checkpoint.fill(model, seed)
    layer = min(experts.routers(model))
    width = experts.routers(model)[layer].weight.shape[1]
    x = torch.randn(TOKENS, width, generator=torch.Generator().manual_seed(seed))
    with tempfile.TemporaryDirectory(prefix="clade-router-") as work:
        work = pathlib.Path(work)
        for dtype in options.dtype:
            narrow = checkpoint.DTYPES[dtype]
            model.to(narrow)
            folder = prepare(tool, router, model, layer, dtype, x.to(narrow), work)
            chosen, share, table = answer_of(model, layer, x.to(narrow))
            exact = None
            if dtype == "bf16":
                exact = answer_of(model.to(torch.float32), layer, x.to(narrow).float())
                bound = experts.bf16_bounds([{0: table}], [{0: exact[2]}])[0]
            else:
                bound = experts.f32_bounds([{0: table}])[0]
            margin = experts.margins(table[1], chosen).minimum(table[2])
            for engine in options.engine:
                got = run_probe(tool, work / f"{dtype}.spec", folder, engine, work)
                report.add(router.name, dtype, engine, "-", judge(got, dtype, chosen, share, exact, margin, bound, table[1].shape[1]))


def run_probe(tool, spec, folder, engine, work):
    batch, answer = work / "batch.json", work / "answer.safetensors"
    batch.write_text(json.dumps([{"tokens": list(range(TOKENS)), "max_tokens": 0}]))
    tool.call("run", folder, "--spec", spec, "--batch", batch, "--logits", answer,
              *(["--interpret"] if engine == "interpret" else []), *tool.run_options)
    return torch.from_numpy(safetensors.numpy.load_file(answer)["logits.0"])


def judge(got, dtype, chosen, share, exact, margin, bound, count):
    verdict = compare.Verdict()
    active = chosen.shape[1]
    if got.shape != (TOKENS, 2 * active) or not torch.isfinite(got).all():
        verdict.failures.append(f"expected {[TOKENS, 2 * active]} finite numbers, got {list(got.shape)}")
        return verdict
    ours = got[:, active:].round().long()
    if not ((ours >= 0) & (ours < count)).all():
        verdict.failures.append("a number that is none of an expert")
        return verdict
    differs = experts.differing(ours, chosen)
    verdict.swapped = int(differs.sum())
    for token in differs.nonzero().flatten().tolist():
        if not margin[token] <= bound:
            verdict.failures.append(f"token {token}: expected experts {chosen[token].tolist()}, got {ours[token].tolist()}; "
                                    f"the margin is {margin[token]:.3g}, bound {bound:.3g}")
    same = ~differs
    if exact is not None:  # which may have chosen other experts than the reference in bf16
        same &= ~experts.differing(exact[0], chosen)
    if same.sum() < TOKENS // 2:
        verdict.failures.append(f"only {int(same.sum())} tokens are left to compare")
        return verdict
    mine = dense(ours, got[:, :active], count)[same].numpy()
    theirs = dense(chosen, share, count)[same].numpy()
    wide = dense(exact[0], exact[1], count)[same].numpy() if exact is not None else None
    # Most published routers are in f32 whatever the model is in: then this one must be as well.
    if wide is not None and (wide == theirs).all():
        dtype = "f32"
    judged = blocks.judge(mine, dtype, theirs, wide)
    judged.swapped = verdict.swapped
    judged.failures += verdict.failures
    return judged


def main():
    parser = argparse.ArgumentParser(description="compare routers with the published implementation's modules")
    parser.add_argument("pattern", nargs="*", help="names of routers, or what they begin with")
    parser.add_argument("--dtype", type=lambda text: text.split(","), default=run.DTYPES)
    parser.add_argument("--engine", type=lambda text: text.split(","), default=run.BOTH)
    clade.add_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tool = clade.Clade(options)
    report = run.Report(shown=3)
    for router in ROUTERS:
        if options.pattern and not any(router.name.startswith(p) for p in options.pattern):
            continue
        try:
            compare_router(tool, router, options, report)
        except clade.CladeError as error:
            report.add(router.name, "-", "-", "-", compare.Verdict(failures=[str(error)]))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
