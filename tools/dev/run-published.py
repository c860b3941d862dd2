#!/usr/bin/env python3
#===- run-published.py - One run of the published implementation ------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# What `clade verify --against transformers` runs. Writes f32 tensors: `logits`
# [token, vocab] of the prompt (in one piece) and of the forced tokens (one by
# one, if the model has a cache), or the embeddings of an encoder, and for the
# prompt, under the module's name, the result of every norm, linear map and set of
# routed experts; under the name and '.input' what a linear map is given; under that of experts and '.chosen', '.share' their numbers for
# each token, ascending, and the shares of those.
#
#===------------------------------------------------------------------------===#
import argparse
import inspect
import json
import os
import warnings

import torch
import transformers
from safetensors.torch import save_file

parser = argparse.ArgumentParser(description="run a checkpoint in transformers")
parser.add_argument("checkpoint")
parser.add_argument("--dtype", choices=["f32", "bf16"], required=True)
parser.add_argument("--tokens", type=lambda text: [int(token) for token in text.split(",")], required=True)
parser.add_argument("--force", type=lambda text: [int(token) for token in text.split(",") if token], default=[])
parser.add_argument("--types", type=lambda text: [int(number) for number in text.split(",")], help="of the tokens' types")
parser.add_argument("--adapter", help="a LoRA adapter in PEFT's form, to merge into the weights")
parser.add_argument("--output", required=True)
options = parser.parse_args()

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", module="transformers")

dtype = torch.float32 if options.dtype == "f32" else torch.bfloat16
# By the name of the class: not every one is known to AutoModelForCausalLM.
with open(os.path.join(options.checkpoint, "config.json"), encoding="utf-8") as file:
    architecture = json.load(file)["architectures"][0]
model = getattr(transformers, architecture).from_pretrained(
    options.checkpoint, dtype=dtype, attn_implementation="eager", experts_implementation="eager").eval()

if options.adapter:
    import peft
    model = peft.PeftModel.from_pretrained(model, options.adapter).merge_and_unload().eval()

results = {}


def record(name, tensor):
    """Keeps [token, …]. Norms of heads get the heads before or after the tokens."""
    tensor = tensor[0]
    axes = [axis for axis, size in enumerate(tensor.shape[:-1]) if size == len(options.tokens)]
    if len(axes) == 1:
        results[name] = tensor.movedim(axes[0], 0).float().contiguous().clone()


def is_linear(module):
    """GPT-2's maps keep their matrices [in, out]."""
    return isinstance(module, (torch.nn.Linear, transformers.pytorch_utils.Conv1D))


def hook_of(name, module):
    """Keeps the result of a module and, of a linear map, what goes in."""
    def hook(_, inputs, output):
        record(name, output)
        if is_linear(module):
            record(name + ".input", inputs[0])
    return hook


def experts_hook_of(name):
    """Keeps what experts make, and what their router gave them: numbers and shares, f32 [token, active]."""
    def hook(_, inputs, output):
        _, chosen, share = inputs
        order = chosen.argsort(dim=1)
        results[name] = output.reshape(len(options.tokens), -1).float().contiguous().clone()
        results[name + ".chosen"] = chosen.gather(1, order).float().contiguous()
        results[name + ".share"] = share.gather(1, order).float().contiguous()
    return hook


def is_experts(module):
    return type(module).__name__.endswith("Experts")


def is_compared(name, module):
    """Linear maps and norms, but not the head, whose result is the logits."""
    weight = getattr(module, "weight", None)
    is_norm = weight is not None and weight.dim() == 1
    return name != "lm_head" and (is_norm or is_linear(module))


hooks = [module.register_forward_hook(hook_of(name, module))
         for name, module in model.named_modules() if is_compared(name, module)]
hooks += [module.register_forward_hook(experts_hook_of(name))
          for name, module in model.named_modules() if is_experts(module)]

with torch.no_grad():
    inputs = {"input_ids": torch.tensor([options.tokens])}
    if options.types:
        inputs["token_type_ids"] = torch.tensor([options.types])
    # Only what generates has a cache. One that is no list of keys and values has another name: all tokens go in one call.
    steps = model.can_generate() and "past_key_values" in inspect.signature(model.forward).parameters
    if steps:
        cache = transformers.DynamicCache(config=model.config)
        inputs.update(past_key_values=cache, use_cache=True)
    output = model(**inputs)
    logits = [(output.logits if "logits" in output else output.last_hidden_state)[0]]
    for hook in hooks:
        hook.remove()
    if options.force and not steps:
        logits = [model(torch.tensor([options.tokens + options.force])).logits[0]]
    for token in options.force if steps else []:
        logits.append(model(torch.tensor([[token]]), past_key_values=cache, use_cache=True).logits[0])

results["logits"] = torch.cat(logits).float().contiguous()
save_file(results, options.output)
