#===- gpt2.py - GPT-2, whose class has a name of its own ---------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: as run.py, for the cases of the group `gpt2`.
#
#===------------------------------------------------------------------------===#
import re
import sys

from transformers import GPT2Config, GPT2LMHeadModel  # noqa: F401 (found by their names)

import cases
import checkpoint
import run

GPT2ForCausalLM = GPT2LMHeadModel
GPT2 = dict(vocab_size=512, n_embd=192, n_layer=4, n_head=6, n_positions=256, bos_token_id=1, eos_token_id=2)
CASES = [
    cases.case("gpt2-plain", "GPT2", GPT2, group="gpt2", tie_word_embeddings=True),
    cases.case("gpt2-untied-inner", "GPT2", GPT2, group="gpt2", tie_word_embeddings=False, n_inner=320,
               activation_function="relu"),
]


def centre(name, model, others=checkpoint.centre):
    """The gains of its norms, which are called ln_1 and ln_2, are about 1 as everywhere."""
    return 1.0 if re.search(r"\.ln_\d\.weight$", name) else others(name, model)


def main(arguments=None):
    checkpoint.LIBRARIES["GPT2"] = "gpt2"
    checkpoint.centre = centre
    cases.CASES += CASES
    return run.main(arguments, group="gpt2")


if __name__ == "__main__":
    sys.modules["gpt2"] = sys.modules["__main__"]
    sys.exit(main())
