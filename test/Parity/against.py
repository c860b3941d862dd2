#===- against.py - What clade verify can be run against ---------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/against.py [options] [PATTERN…]
#
# References of `clade verify` beside the classes of transformers, which other
# tests use: a class that is the checkpoint's own code, and those of NeMo
# AutoModel. Each is also recorded, and the record must give what the run gave,
# without a Python. The packages of tools/dev/requirements-automodel.txt are
# installed, once (packages.py).
#
#===------------------------------------------------------------------------===#
import argparse
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import clade
import packages

# A Llama whose scores have another scale, and its configuration.
MODELING = """
from transformers.models.llama import modeling_llama
from .configuration_own import OwnConfig


class OwnForCausalLM(modeling_llama.LlamaForCausalLM):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        for layer in self.model.layers:
            layer.self_attn.scaling = config.score_scale
"""
CONFIGURATION = """
from transformers import LlamaConfig


class OwnConfig(LlamaConfig):
    model_type = "own"

    def __init__(self, score_scale=1.0, **options):
        super().__init__(**options)
        self.score_scale = score_scale
"""
SPEC = 'family own from llama { serves "OwnForCausalLM"    config { scale = score_scale } }\n'
AUTO_MAP = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}

# Families of which NeMo AutoModel has a class of its own that runs on a CPU: what makes a checkpoint, or a case that has one.
PLAIN = ["--set", 'rope_parameters={"rope_type":"default","rope_theta":10000}']
AUTOMODEL = {"llama": [], "qwen2": [], "qwen3_moe": [], "deepseek_v3": [], "glm4_moe": [], "gpt_oss": PLAIN, "mistral4": "mistral4-plain",
             "baichuan": "baichuan-7b"}


class Problem(Exception):
    pass


class Runner:
    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(folder)

    def call(self, *arguments, python=sys.executable, cache=packages.CACHE):
        """What clade says, with its status."""
        environment = dict(os.environ, CLADE_PYTHON=python, CLADE_CACHE=str(cache))
        done = subprocess.run([self.options.clade, *map(str, arguments)], env=environment,
                              capture_output=True, text=True, timeout=self.options.timeout)
        return done.returncode, done.stdout, done.stderr

    def must(self, *arguments, **options):
        status, said, errors = self.call(*arguments, **options)
        if status:
            raise Problem(f"status {status}: {said}{errors}")
        return said

    def must_fail(self, expected, *arguments, **options):
        status, said, errors = self.call(*arguments, **options)
        if status != 1 or expected not in errors or errors.count("error:") != 1:
            raise Problem(f"expected one error '{expected}'\n    status {status}: {said}{errors}")

    def live_and_recorded(self, name, checkpoint, *options):
        """Levels 2 and 3 beside the run that is recorded, and beside the record alone."""
        record = self.folder / f"{name}.safetensors"
        spec = [option for option in options if option != "--trust-remote-code"]
        spec = [option for option in spec if not str(option).startswith("--against")]
        live = self.must("verify", checkpoint, "--level", "2,3", "--record", record, *options)
        alone = self.must("verify", checkpoint, "--level", "2,3", f"--against={record}", *spec, python="/nonexistent")
        if live.partition("\n")[2] != alone:
            raise Problem(f"the record says otherwise:\n{live}\n{alone}")
        return next(line for line in alone.splitlines() if line.startswith("published:"))


def own_checkpoint(runner, name, **changes):
    """A Llama's tensors with the code above."""
    path = runner.folder / name
    runner.must("tiny", "llama", "-o", path, "--set", "num_hidden_layers=2")
    config = json.loads((path / "config.json").read_text())
    config.update(architectures=["OwnForCausalLM"], model_type="own", score_scale=0.2, auto_map=AUTO_MAP)
    config.update(changes)
    (path / "config.json").write_text(json.dumps(config))
    (path / "modeling_own.py").write_text(MODELING)
    (path / "configuration_own.py").write_text(CONFIGURATION)
    return path


def spec_of(runner, text=SPEC):
    path = runner.folder / "own.spec"
    path.write_text(text)
    return path


def own_code(runner):
    """The checkpoint's own class runs if the user says so, and agrees with its family."""
    checkpoint = own_checkpoint(runner, "own")
    return runner.live_and_recorded("own", checkpoint, "--spec", spec_of(runner), "--against=transformers", "--trust-remote-code")


def own_code_is_refused(runner):
    """Nothing of the checkpoint runs unasked; the file that would is named."""
    checkpoint = own_checkpoint(runner, "refused")
    (checkpoint / "modeling_own.py").write_text(f"open({str(runner.folder / 'ran')!r}, 'w')\n")
    (checkpoint / "configuration_own.py").write_text(f"open({str(runner.folder / 'ran')!r}, 'w')\n")
    runner.must_fail(f"'OwnForCausalLM' is code of the checkpoint: '{checkpoint}/modeling_own.py', which could do whatever you can do; "
                     "read it, and add --trust-remote-code to run it",
                     "verify", checkpoint, "--spec", spec_of(runner), "--against", "transformers")
    if (runner.folder / "ran").exists():
        raise Problem("code of the checkpoint ran")
    return "refused"


def own_code_of_a_known_name(runner):
    """Where transformers has the class, its own runs, and the checkpoint's only if the user says so."""
    references = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.LlamaForCausalLM"}
    checkpoint = own_checkpoint(runner, "known", architectures=["LlamaForCausalLM"], model_type="llama", auto_map=references)
    (checkpoint / "modeling_own.py").write_text(MODELING.replace("OwnForCausalLM", "LlamaForCausalLM"))
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key != "score_scale"}))
    runner.must("verify", checkpoint, "--against", "transformers")
    # The default of its own code is another scale.
    status, said, errors = runner.call("verify", checkpoint, "--against", "transformers", "--trust-remote-code")
    if status != 1 or "of the checkpoint, transformers" not in said or "self_attn.o_proj.input" not in errors:
        raise Problem(f"status {status}: {said}{errors}")
    return said.splitlines()[0]


def own_code_elsewhere(runner):
    spec = spec_of(runner)
    arguments = ["--spec", spec, "--against", "transformers", "--trust-remote-code"]
    remote = own_checkpoint(runner, "remote", auto_map={"AutoModelForCausalLM": "org/name--modeling_own.OwnForCausalLM"})
    runner.must_fail("code of another repository, 'org/name'", "verify", remote, *arguments)
    missing = own_checkpoint(runner, "missing")
    (missing / "modeling_own.py").unlink()
    runner.must_fail(f"there is no '{missing}/modeling_own.py'", "verify", missing, *arguments)
    nowhere = own_checkpoint(runner, "nowhere", auto_map={})
    runner.must_fail("has no class 'OwnForCausalLM', which config.json names", "verify", nowhere, *arguments)
    return "refused"


def own_code_differs(runner):
    """A difference is located as in a class of transformers."""
    checkpoint = own_checkpoint(runner, "differs")
    wrong = spec_of(runner, SPEC.replace("scale = score_scale", "scale = score_scale * 2"))
    arguments = ["verify", checkpoint, "--spec", wrong, "--against", "transformers", "--trust-remote-code"]
    status, said, errors = runner.call(*arguments)
    if status != 1 or "first difference: layer 0, 'model.layers.0.self_attn.o_proj.input'" not in errors:
        raise Problem(f"status {status}: {said}{errors}")
    return errors.splitlines()[0]


def own_code_random(runner):
    """Random weights for a configuration run with the code beside it."""
    checkpoint = own_checkpoint(runner, "random")
    (checkpoint / "model.safetensors").unlink()
    return runner.live_and_recorded("random", checkpoint / "config.json", "--random", "--spec", spec_of(runner), "--against=transformers",
                                    "--trust-remote-code")


def checkpoint_of(name):
    """That of a case of other tests."""
    packages.add("automodel")
    # What its packages say of torch, and of themselves in later releases.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*NeMo AutoModel")
    import cases
    import checkpoint
    import moe_cases
    import reference  # noqa: F401, which quiets transformers

    return checkpoint.write(next(case for case in cases.CASES + moe_cases.CASES if case.name == name)) / "f32"


def automodel(family):
    def check(runner):
        made = AUTOMODEL[family]
        checkpoint = checkpoint_of(made) if isinstance(made, str) else runner.folder / family
        if not checkpoint.exists():
            runner.must("tiny", family, "-o", checkpoint, *made)
        return runner.live_and_recorded(family, checkpoint, "--against=nemo-automodel")
    return check


def recorded(family, *options):
    def check(runner):
        checkpoint = runner.folder / family
        runner.must("tiny", family, "-o", checkpoint)
        return runner.live_and_recorded(family, checkpoint, "--against=transformers", *options)
    return check


def recorded_adapter(runner):
    """A record is of one adapter, too."""
    checkpoint, adapter, record = runner.folder / "llama", runner.folder / "adapter", runner.folder / "llama.safetensors"
    runner.must("tiny", "llama", "-o", checkpoint)
    make = pathlib.Path(__file__).parents[1] / "Tools/Inputs/adapter.py"
    subprocess.run([sys.executable, make, checkpoint, adapter, "model.layers.1.self_attn.q_proj"], check=True)
    line = runner.live_and_recorded("llama", checkpoint, "--adapter", adapter, "--against=transformers")
    runner.must_fail("the record is of another adapter, or one of the two is without", "verify", checkpoint, "--against", record,
                     python="/nonexistent")
    return line


def automodel_differs(runner):
    """Its Qwen3-Next adds no one to the gain of the last norm, as that of transformers does."""
    checkpoint = runner.folder / "qwen3_next"
    runner.must("tiny", "qwen3_next", "-o", checkpoint)
    runner.must("verify", checkpoint, "--against", "transformers", "--level", "2")
    status, said, errors = runner.call("verify", checkpoint, "--against", "nemo-automodel", "--level", "2")
    wrong = [line.split()[0] for line in said.splitlines() if line.endswith("FAIL")]
    if status != 1 or wrong != ["model.norm"]:
        raise Problem(f"status {status}: {said}{errors}")
    return "'model.norm' alone"


def automodel_rounds(runner):
    """In bf16 its norms round once, where those of transformers, and so the family, round twice."""
    checkpoint, record = runner.folder / "llama", runner.folder / "record.safetensors"
    runner.must("tiny", "llama", "-o", checkpoint, "--dtype", "bf16")
    options = ["verify", checkpoint, "--precision", "reference"]
    runner.must(*options, "--against", "transformers")
    runner.call(*options, "--against", "nemo-automodel", "--record", record)
    status, said, errors = runner.call(*options, "--against", record, python="/nonexistent")
    if status != 1 or "first value that rounds otherwise: layer 0, 'model.layers.0.input_layernorm'" not in errors:
        raise Problem(f"status {status}: {said}{errors}")
    return errors.splitlines()[1]


def automodel_for_gpus(runner):
    checkpoint = runner.folder / "nemotron_h"
    runner.must("tiny", "nemotron_h", "-o", checkpoint)
    runner.must_fail("nemo-automodel's NemotronHForCausalLM needs the package 'mamba_ssm' for this, which is not there; what it has for GPUs "
                     "alone does not run on a CPU", "verify", checkpoint, "--against", "nemo-automodel")
    return "refused"


def automodel_that_is_not_there(runner):
    checkpoint = runner.folder / "llama"
    runner.must("tiny", "llama", "-o", checkpoint)
    runner.must_fail(f"has no 'nemo_automodel', and there is no '{runner.folder}/automodel': run tools/dev/python-env.sh automodel",
                     "verify", checkpoint, "--against", "nemo-automodel", cache=runner.folder)
    return "refused"


def automodel_without(runner):
    """What it has no class for is one of transformers."""
    checkpoint = runner.folder / "helium"
    runner.must("tiny", "helium", "-o", checkpoint)
    runner.must_fail("has no class of its own for 'HeliumForCausalLM' and runs the one of transformers: --against transformers",
                     "verify", checkpoint, "--against", "nemo-automodel")
    return "refused"


CASES = {check.__name__: check for check in (own_code, own_code_is_refused, own_code_of_a_known_name,
                                            own_code_elsewhere, own_code_differs, own_code_random)}
# Types of tokens, no decoding, recurrent states, routed experts, norms of heads, both runs.
CASES |= {f"recorded-{family}": recorded(family) for family in ("bert", "mamba2", "qwen3_moe", "gemma3_text", "gpt2")}
CASES |= {"recorded-bf16": recorded("qwen2", "--dtype", "bf16", "--precision", "reference"), "recorded_adapter": recorded_adapter}
CASES |= {f"automodel-{family}": automodel(family) for family in AUTOMODEL}
CASES |= {check.__name__: check for check in (automodel_differs, automodel_rounds, automodel_for_gpus, automodel_that_is_not_there,
                                              automodel_without)}


def main():
    parser = argparse.ArgumentParser(description="references of clade verify")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    clade.add_options(parser)
    options = parser.parse_args()
    passed = failed = 0
    for name, check in CASES.items():
        if options.pattern and not any(part in name for part in options.pattern):
            continue
        if name.startswith("automodel"):
            packages.folder("automodel")
        with tempfile.TemporaryDirectory() as folder:
            try:
                line, problem = check(Runner(options, folder)), None
            except Problem as error:
                line, problem = "", error
        print(f"{name:28s} {line}  {'FAIL' if problem else 'ok'}" + (f"\n    {problem}" if problem else ""), flush=True)
        passed, failed = passed + (not problem), failed + bool(problem)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
