#!/usr/bin/env python3
#===- run-published.py - One run of the published implementation ------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# What `clade verify` runs against transformers or NeMo AutoModel. Writes f32 tensors: `logits`
# [token, vocab] of the prompt (in one piece) and of the forced tokens (one by
# one, if the model has a cache), or the embeddings of an encoder, and for the
# prompt, under the module's name, the result of every norm, linear map and set of
# routed experts; under the name and '.input' what a linear map is given; under that of experts and '.chosen', '.share' their numbers for
# each token, ascending, and the shares of those. The metadata `class` and `library` say what ran.
#
# Where something can be explained, it writes a message instead and ends with status 3. Nothing is downloaded.
#
#===------------------------------------------------------------------------===#
import argparse
import contextlib
import inspect
import json
import logging
import os
import pathlib
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
# Code that is compiled for the machine is no faster for so little, and not what the source says.
os.environ["TORCHDYNAMO_DISABLE"] = "1"
# Transformers copies a checkpoint's own code before it runs it; the name of the folder is read when it is loaded.
CODE = tempfile.TemporaryDirectory(prefix="clade-published-code-")
os.environ["HF_MODULES_CACHE"] = CODE.name

CACHE = pathlib.Path(os.environ.get("CLADE_CACHE", pathlib.Path.home() / ".cache" / "clade"))


def parse():
    parser = argparse.ArgumentParser(description="run a checkpoint in its published implementation")
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--library", choices=["transformers", "nemo-automodel"], default="transformers")
    parser.add_argument("--dtype", choices=["f32", "bf16"], required=True)
    parser.add_argument("--tokens", type=numbers, required=True)
    parser.add_argument("--force", type=numbers, default=[])
    parser.add_argument("--types", type=numbers, help="of the tokens' types")
    parser.add_argument("--adapter", help="a LoRA adapter in PEFT's form, to merge into the weights")
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code that the checkpoint brings")
    parser.add_argument("--output", required=True)
    return parser.parse_args()


def numbers(text):
    return [int(number) for number in text.split(",") if number]


options = parse()


def explain(message):
    """Ends with a message for the user."""
    pathlib.Path(options.output).write_text(message)
    sys.exit(3)


try:
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
except ModuleNotFoundError as error:
    explain(f"'{sys.executable}' has no '{error.name}': run tools/dev/python-env.sh, or name another Python in $CLADE_PYTHON")

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", module="transformers")

DTYPE = torch.float32 if options.dtype == "f32" else torch.bfloat16
# A pickled file beside the safetensors is a program, too.
LOADING = {"dtype": DTYPE, "attn_implementation": "eager", "experts_implementation": "eager", "use_safetensors": True}
CONFIG = json.loads((options.checkpoint / "config.json").read_text(encoding="utf-8"))
ARCHITECTURE = CONFIG["architectures"][0]


#===------------------------------------------------------------------------===#
# Transformers, and code of the checkpoint
#===------------------------------------------------------------------------===#


def own_code():
    """Where config.json says that the class is code of the checkpoint, 'FILE.CLASS', or None."""
    entries = CONFIG.get("auto_map") or {}
    # Some have a list: a slow class and a fast one.
    references = [one for entry in entries.values() for one in (entry if isinstance(entry, list) else [entry]) if one]
    return next((reference for reference in references if reference.rpartition(".")[2] == ARCHITECTURE), None)


def load_transformers():
    reference = own_code()
    # As transformers does: its own class unless the user trusts the checkpoint's.
    if reference and (options.trust_remote_code or not hasattr(transformers, ARCHITECTURE)):
        return load_own_code(reference)
    if not hasattr(transformers, ARCHITECTURE):
        explain(f"transformers {transformers.__version__} has no class '{ARCHITECTURE}', which config.json names, and the "
                "checkpoint brings no code for it ('auto_map'); --against nemo-automodel is another library")
    # By the name of the class: not every one is known to AutoModelForCausalLM.
    return getattr(transformers, ARCHITECTURE).from_pretrained(options.checkpoint, **LOADING)


def load_own_code(reference):
    repository, _, place = reference.rpartition("--")
    file = options.checkpoint / f"{place.rpartition('.')[0].replace('.', '/')}.py"
    if repository:
        explain(f"config.json says that '{ARCHITECTURE}' is code of another repository, '{repository}': put that code beside "
                f"config.json and name it there as '{place}'; nothing is downloaded")
    if not file.is_file():
        explain(f"config.json says that '{ARCHITECTURE}' is code of the checkpoint, but there is no '{file}'")
    if not options.trust_remote_code:
        explain(f"'{ARCHITECTURE}' is code of the checkpoint: '{file}', which could do whatever you can do; read it, "
                "and add --trust-remote-code to run it")
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    cls = get_class_from_dynamic_module(reference, str(options.checkpoint))
    if "AutoConfig" in CONFIG["auto_map"]:
        config = transformers.AutoConfig.from_pretrained(options.checkpoint, trust_remote_code=True)
    else:
        config = (cls.config_class or transformers.AutoConfig).from_pretrained(options.checkpoint)
    return cls.from_pretrained(options.checkpoint, config=config, **LOADING)


#===------------------------------------------------------------------------===#
# NeMo AutoModel
#===------------------------------------------------------------------------===#


def tensors_of_checkpoint():
    tensors = {}
    for file in sorted(options.checkpoint.glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def automodel_registry():
    """The classes that NeMo AutoModel itself has, by architecture."""
    folder = CACHE / "automodel"
    if folder.is_dir():
        sys.path.append(str(folder))
    # What its packages say of torch, and of what only GPUs have.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*NeMo AutoModel")
    warnings.filterwarnings("ignore", message="Transformer Engine and Apex are not installed")
    try:
        import nemo_automodel
        from nemo_automodel._transformers.registry import ModelRegistry
    except ModuleNotFoundError as error:
        if error.name != "nemo_automodel":
            raise
        explain(f"'{sys.executable}' has no 'nemo_automodel', and there is no '{folder}': run "
                "tools/dev/python-env.sh automodel, or install nemo-automodel for the Python in $CLADE_PYTHON")
    return nemo_automodel, ModelRegistry


@contextlib.contextmanager
def on_cpu():
    """Some of its classes ask for the number of the GPU when they are made, and keep the device for tables."""
    current, default = torch.cuda.current_device, torch.get_default_dtype()
    torch.cuda.current_device = lambda: 0
    torch.set_default_dtype(DTYPE)
    try:
        yield
    finally:
        torch.cuda.current_device = current
        torch.set_default_dtype(default)


def load_tensors(model):
    """The tensors of the checkpoint, by the class's own adapter where it has one."""
    for module in model.modules():
        if isinstance(vars(module).get("device"), torch.device):
            module.device = torch.device("cpu")
    tensors = tensors_of_checkpoint()
    adapter = getattr(model, "state_dict_adapter", None)
    if adapter is not None:
        tensors = adapter.from_hf(tensors)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    tied = getattr(model.config, "tie_word_embeddings", False)
    missing = [name for name in missing if not (tied and name == "lm_head.weight")]
    if missing or unexpected:
        explain(f"nemo-automodel's {type(model).__name__} does not take the tensors of the checkpoint: "
                f"{len(missing)} missing, such as {missing[:1]}, and {len(unexpected)} unexpected, such as {unexpected[:1]}")
    if tied:
        model.tie_weights()


def load_automodel():
    nemo_automodel, registry = automodel_registry()
    if not registry.has_custom_model(ARCHITECTURE):
        explain(f"nemo-automodel {nemo_automodel.__version__} has no class of its own for '{ARCHITECTURE}' and runs the one of "
                "transformers: --against transformers")
    from nemo_automodel.components.models.common import BackendConfig
    from nemo_automodel.components.models.common.utils import cast_model_to_dtype

    config = transformers.AutoConfig.from_pretrained(options.checkpoint, attn_implementation="eager", trust_remote_code=False)
    config.torch_dtype = DTYPE
    cls = registry.resolve_custom_model_cls(ARCHITECTURE, config)
    if cls is None:
        explain(f"nemo-automodel's class for '{ARCHITECTURE}' does not take this configuration")
    takes_backend = "backend" in inspect.signature(cls.__init__).parameters

    def make(attention):
        # What is not code for GPUs alone.
        backend = BackendConfig(attn=attention, linear="torch", rms_norm="torch_fp32", rope_fusion=False, experts="torch", dispatcher="torch")
        return cls(config, **({"backend": backend} if takes_backend else {}))

    with on_cpu():
        try:
            model = make("sdpa")
        except AssertionError:  # One class insists on what can have sinks.
            model = make("flex")
    cast_model_to_dtype(model, DTYPE)
    load_tensors(model)
    return model


LOAD = {"transformers": load_transformers, "nemo-automodel": load_automodel}


#===------------------------------------------------------------------------===#
# Values of modules
#===------------------------------------------------------------------------===#

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
        # NeMo AutoModel also says which tokens count, and has the two in the other order.
        chosen, share = (inputs[3], inputs[2]) if len(inputs) == 4 else inputs[1:]
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


def add_hooks(model):
    hooks = [module.register_forward_hook(hook_of(name, module))
             for name, module in model.named_modules() if is_compared(name, module)]
    return hooks + [module.register_forward_hook(experts_hook_of(name))
                    for name, module in model.named_modules() if is_experts(module)]


#===------------------------------------------------------------------------===#
# The run
#===------------------------------------------------------------------------===#


def is_used(cache):
    """Whether a model has put something there; some have a cache of their own, which they hand back."""
    return any(getattr(layer, "is_initialized", False) or any(getattr(layer, "is_conv_states_initialized", {}).values())
               for layer in cache.layers)


@torch.no_grad()
def run(model):
    """The logits of all tokens; leaves the values of the prompt's modules in `results`."""
    hooks = add_hooks(model)
    inputs = {"input_ids": torch.tensor([options.tokens])}
    if options.types:
        inputs["token_type_ids"] = torch.tensor([options.types])
    # Only what generates has a cache. One that is no list of keys and values has another name: all tokens go in one call.
    steps = hasattr(model, "can_generate") and model.can_generate() and "past_key_values" in inspect.signature(model.forward).parameters
    if steps:
        cache = transformers.DynamicCache(config=model.config)
        inputs.update(past_key_values=cache, use_cache=True)
    output = model(**inputs)
    logits = [(output.logits if "logits" in output else output.last_hidden_state)[0]]
    for hook in hooks:
        hook.remove()
    steps = steps and is_used(cache)
    if options.force and not steps:
        logits = [model(torch.tensor([options.tokens + options.force])).logits[0]]
    for token in options.force if steps else []:
        logits.append(model(torch.tensor([[token]]), past_key_values=cache, use_cache=True).logits[0])
    return torch.cat(logits).float().contiguous()


def main():
    try:
        results["logits"], code = run_class()
    except ModuleNotFoundError as error:
        if options.library != "nemo-automodel" or not error.name:
            raise
        explain(f"nemo-automodel's {ARCHITECTURE} needs the package '{error.name}' for this, which is not there; what it has for "
                "GPUs alone does not run on a CPU")
    save_file(results, options.output, metadata=code)


def run_class():
    """The logits, and what is to be said of the class."""
    model = LOAD[options.library]().eval()
    name = type(model).__name__
    if options.adapter:
        import peft

        model = peft.PeftModel.from_pretrained(model, options.adapter).merge_and_unload().eval()
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    if options.library == "nemo-automodel":
        versions = f"nemo-automodel {sys.modules['nemo_automodel'].__version__}, {versions}"
    elif type(model).__module__.startswith("transformers_modules."):
        versions = f"the checkpoint, {versions}"
    return run(model), {"class": name, "library": versions}


if __name__ == "__main__":
    main()
