#===- experts.py - Which experts the published implementation chooses -------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Two correct implementations may choose other experts where two scores are
# nearly equal, and then their logits have little in common. So routed models are
# compared with the reference's choices replayed in both, and the choices that an
# implementation would have made are compared by themselves: they may differ only
# where the reference's margin, the score of the last expert chosen less that of
# the first one not chosen, is within what rounding explains.
#
# recorded(model) keeps the choices and margins of every router call; with
# `replay` the routers choose what they are told. Both work on the one call of
# torch.topk over all experts that every router of transformers makes.
#
#===------------------------------------------------------------------------===#
import contextlib
import json
import re
from dataclasses import dataclass, field

import torch
import transformers
from safetensors.torch import load_file, save_file

import checkpoint
import reference

# Of the scores: what the values of one layer may differ by in f32 (the bound of level 2), on both sides.
F32_MARGIN = 2 * 1e-5
# In bf16 the reference's own error against f32 on both sides, with the slack that logits have.
BF16_MARGIN = 2 * 1.10


@dataclass
class Choices:
    """What one layer's router did, a row a token in the order of the calls."""
    chosen: list = field(default_factory=list)  # i32 [token, active]
    scores: list = field(default_factory=list)  # f32 [token, expert], what the choice was made by
    groups: list = field(default_factory=list)  # f32 [token], by how much a choice of groups was won; half a sum of two
    given: torch.Tensor | None = None  # choices to make instead
    fed: int = 0

    def table(self):
        chosen, scores = torch.cat(self.chosen), torch.cat(self.scores)
        groups = torch.cat(self.groups) if self.groups else torch.full((len(chosen),), torch.inf)
        return chosen, scores, groups


def routers(model):
    """The routers by the number of their layer."""
    found = {}
    for name, module in model.named_modules():
        # In transformers, and in NeMo AutoModel.
        if type(module).__name__.lower().endswith("topkrouter") or type(module).__name__ == "Gate":
            found[int(re.search(r"layers\.(\d+)\.", name)[1])] = module
    return found


def watched(module, choices):
    """The module's forward, with torch.topk over all experts recorded or answered from `choices.given`."""
    forward, topk, experts = module.forward, torch.topk, module.weight.shape[0]

    def choose(scores, k, *arguments, **options):
        answer = topk(scores, k, *arguments, **options)
        rows = scores.detach().reshape(-1, scores.shape[-1])
        if scores.shape[-1] != experts:
            # Groups, by the sum of their two best scores, whose errors add up.
            choices.groups.append(margins(rows.float(), answer[1].reshape(-1, k)) / 2)
            return answer
        choices.chosen.append(answer[1].reshape(-1, k).to(torch.int32))
        choices.scores.append(rows.float())
        if choices.given is None:
            return answer
        told = choices.given[choices.fed : choices.fed + len(rows)].long()
        choices.fed += len(rows)
        told = told.reshape(answer[1].shape)
        return torch.return_types.topk((scores.gather(-1, told), told))

    def run(*arguments, **options):
        torch.topk = choose
        try:
            return forward(*arguments, **options)
        finally:
            torch.topk = topk

    return run


@contextlib.contextmanager
def recorded(model, replay=None):
    """Choices by layer, filled while the body runs the model; `replay` are the choices to make, by layer."""
    choices, plain = {}, {}
    for layer, module in routers(model).items():
        choices[layer] = Choices(given=replay[layer] if replay else None)
        plain[module] = module.forward
        module.forward = watched(module, choices[layer])
    try:
        yield choices
    finally:
        for module, forward in plain.items():
            module.forward = forward


def margins(scores, chosen):
    """For each token the smallest score that was chosen less the largest that was not; inf if all were."""
    rest = scores.scatter(1, chosen.long(), -torch.inf).amax(1)
    return scores.gather(1, chosen.long()).amin(1) - rest


def differing(ours, theirs):
    """For each token, whether another set of experts was chosen."""
    return (ours.sort(1).values != theirs.sort(1).values).any(1)


def name_of(layer, sequence=None):
    return f"layers.{layer}" if sequence is None else f"layers.{layer}.{sequence}"


def load(path, dtype):
    """By the name of its class: not every one is known to AutoModelForCausalLM."""
    architecture = json.loads((path / "config.json").read_text())["architectures"][0]
    model = getattr(transformers, architecture).from_pretrained(path, dtype=dtype, attn_implementation="eager",
                                                                 experts_implementation="eager")
    return model.eval()


def run(case, path, dtype, batch=None, replay=None):
    """reference.run with the choices made: logits, batch, and for each sequence Choices by layer."""
    model = load(path, dtype)
    logits, ran, choices = [], [], []
    for i, (tokens, force) in enumerate(reference.prompts(case)):
        force = batch[i]["force"] if batch else force
        with recorded(model, replay and replay[i]) as made:
            rows, force = reference.decode(model, tokens, case.steps, force)
        logits.append(rows.contiguous())
        ran.append({"tokens": tokens, "force": force, "max_tokens": len(force)})
        choices.append({layer: made[layer].table() for layer in made})
    return logits, ran, choices


def save_choices(path, choices):
    save_file({name_of(layer, i): chosen.contiguous() for i, made in enumerate(choices)
               for layer, (chosen, *_) in made.items()}, path)


def read_choices(path):
    """The choices of each sequence by layer, as save_choices and `clade run` write them."""
    sequences = {}
    for name, chosen in load_file(path).items():
        layer, sequence = re.fullmatch(r"layers\.(\d+)(?:\.(\d+))?", name).groups()
        sequences.setdefault(int(sequence or 0), {})[int(layer)] = chosen
    return [sequences[i] for i in range(len(sequences))]


def save_margins(path, choices, bounds):
    tensors = {}
    for i, made in enumerate(choices):
        for layer, (chosen, scores, groups) in made.items():
            tensors[f"{name_of(layer, i)}.margin"] = margins(scores, chosen).minimum(groups).contiguous()
            tensors[f"{name_of(layer, i)}.bound"] = torch.tensor(bounds[layer])
    save_file(tensors, path)


def f32_bounds(choices):
    """By layer: the margin below which two correct f32 implementations may choose otherwise."""
    finite = {layer: [made[layer][1].nan_to_num(0, 0, 0).abs().max().item() for made in choices] for layer in choices[0]}
    return {layer: F32_MARGIN * max(values) for layer, values in finite.items()}


def bf16_bounds(narrow, wide):
    """By layer: the reference's largest own error in the scores, on the same choices, on both sides."""
    bounds = {}
    for layer in narrow[0]:
        errors = [(a[layer][1] - b[layer][1]).nan_to_num(0, 0, 0).abs().max().item() for a, b in zip(narrow, wide)]
        bounds[layer] = BF16_MARGIN * max(errors)
    return bounds


def keep(out, run):
    """Writes what the published implementation answers and chooses; `run(dtype of the files, dtype of the run, batch,
    replay)` is as `run` of this file with the rest given."""
    logits, batch, choices = run("f32", torch.float32)
    reference.save(out, "f32", logits, batch)
    save_choices(out / "f32-choices.safetensors", choices)
    save_margins(out / "f32-margins.safetensors", choices, f32_bounds(choices))
    logits, batch, choices = run("bf16", torch.bfloat16)
    reference.save(out, "bf16", logits, batch)
    save_choices(out / "bf16-choices.safetensors", choices)
    # The f32 run on the bf16 weights makes the same choices, or it would be of another network.
    told = [{layer: made[layer][0] for layer in made} for made in choices]
    logits, _, exact = run("bf16", torch.float32, batch, told)
    reference.save(out, "wide", logits)
    save_margins(out / "bf16-margins.safetensors", choices, bf16_bounds(choices, exact))


def prepare(case):
    """Checkpoint, logits and choices of a case, made unless they exist: the two directories as reference.prepare."""
    path = checkpoint.write(case)
    out = path / f"reference-{checkpoint.digest('experts.py')}"
    if not out.exists():
        with checkpoint.written_whole(out) as work:
            keep(work, lambda stored, *arguments: run(case, path / stored, *arguments))
    return path, out


@dataclass
class Agreement:
    """How the choices of an implementation compare with the reference's."""
    tokens: int = 0  # decisions, one a token and layer
    differ: int = 0
    largest: float = 0.0  # margin of a decision that differs, over the bound
    failures: list = field(default_factory=list)

    def line(self):
        share = f", largest margin {self.largest:.2f} of the bound" if self.differ else ""
        return f"{self.differ} of {self.tokens} choices differ{share}"


def compare_choices(ours, theirs, limits):
    """`limits` are the tensors that save_margins wrote."""
    agreement = Agreement()
    if len(ours) != len(theirs):
        agreement.failures.append(f"expected choices of {len(theirs)} sequences, got {len(ours)}")
        return agreement
    for i, (mine, expected) in enumerate(zip(ours, theirs)):
        if sorted(mine) != sorted(expected):
            agreement.failures.append(f"sequence {i}: expected choices of layers {sorted(expected)}, got {sorted(mine)}")
            continue
        for layer, rows in expected.items():
            if mine[layer].shape != rows.shape:
                agreement.failures.append(f"sequence {i}, layer {layer}: expected choices {list(rows.shape)}, "
                                          f"got {list(mine[layer].shape)}")
                continue
            margin = limits[f"{name_of(layer, i)}.margin"]
            bound = limits[f"{name_of(layer, i)}.bound"].item()
            agreement.tokens += len(rows)
            for token in differing(mine[layer], rows).nonzero().flatten().tolist():
                agreement.differ += 1
                agreement.largest = max(agreement.largest, margin[token].item() / bound if bound else float("inf"))
                if not margin[token] <= bound:
                    agreement.failures.append(
                        f"sequence {i}, layer {layer}, position {token}: expected experts {rows[token].tolist()}, got "
                        f"{mine[layer][token].tolist()}; the margin is {margin[token]:.3g}, bound {bound:.3g}")
    return agreement


def main():
    """Prepares all cases; prints how often the reference in f32 would choose otherwise than in bf16."""
    import argparse

    import cases
    import moe_cases

    parser = argparse.ArgumentParser(description="record the experts that transformers chooses")
    parser.add_argument("pattern", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases.CASES += moe_cases.CASES
    for case in cases.select(options.pattern, "moe"):
        path, out = prepare(case)
        _, _, exact = run(case, path / "bf16", torch.float32, json.loads((out / "bf16.json").read_text()),
                          read_choices(out / "bf16-choices.safetensors"))
        # What the wide run would have chosen beside what it was told.
        free = [{layer: made[layer][0] for layer in made} for made in exact]
        agreement = compare_choices(free, read_choices(out / "bf16-choices.safetensors"),
                                    load_file(out / "bf16-margins.safetensors"))
        used = sorted({int(e) for made in free for rows in made.values() for e in rows.flatten()})
        print(f"{case.name:24s} {agreement.line()}; {len(used)} experts used", flush=True)
        for failure in agreement.failures[:3]:
            print(f"    {failure}", flush=True)


if __name__ == "__main__":
    main()
