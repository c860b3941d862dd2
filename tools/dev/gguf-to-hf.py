#===- gguf-to-hf.py - A checkpoint in the published form from a GGUF file ---===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: gguf-to-hf.py MODEL.gguf DIR [float32 | bfloat16]
#
# Lets transformers read the GGUF file and write config.json, model.safetensors
# (bfloat16 unless told), tokenizer.json and generation_config.json. In float32
# the weights are the dequantised ones exactly.
#
#===------------------------------------------------------------------------===#
import copy
import pathlib
import sys

import torch
import transformers

# What the GGUF reader adds to a configuration and no published one has.
GGUF_KEYS = ("quantization_config", "_model_name_or_path", "unk_token_id")


def convert(gguf, out, dtype):
    read = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = copy.deepcopy(read.config)
    for key in GGUF_KEYS:
        if hasattr(config, key):
            delattr(config, key)
    # A fresh model, because the one that was read remembers its quantised form.
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    model.to(dtype).save_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    name = sys.argv[3] if len(sys.argv) > 3 else "bfloat16"
    convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), getattr(torch, name))
