#!/usr/bin/env python3
#===- bench-peer.py - Another engine, measured by clade bench ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: bench-peer.py ENGINE MODEL DTYPE THREADS
#
# Loads a model in `transformers` (a folder), `llama.cpp` (a GGUF file) or
# `openvino` (a folder of OpenVINO GenAI), says
# {"version": …} in a line, and then answers each line {"tokens": […], "steps": N}
# with the seconds of the prompt in one call, the last token's logits computed,
# and of N further tokens one by one: {"prefill_s": …, "decode_s": …}. What
# goes wrong is {"error": …}. $CLADE_PEER_PACKAGES names folders with packages
# that the environment does not have.
#
#===------------------------------------------------------------------------===#
import json
import os
import random
import sys
import time
import warnings

sys.path += filter(None, os.environ.get("CLADE_PEER_PACKAGES", "").split(os.pathsep))

# Nothing but answers goes to the pipe.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**fields):
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


class Transformers:
    def __init__(self, path, dtype, threads):
        import torch
        import transformers
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        warnings.filterwarnings("ignore")
        if not os.path.isdir(path):
            raise ValueError("transformers reads a checkpoint's folder")
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.torch, self.transformers = torch, transformers
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            architecture = json.load(file)["architectures"][0]
        self.model = getattr(transformers, architecture).from_pretrained(
            path, dtype=torch.float32 if dtype == "f32" else torch.bfloat16).eval()
        self.vocab = self.model.config.get_text_config().vocab_size
        self.version = f"transformers {transformers.__version__}, torch {torch.__version__}"

    def begin(self):
        self.cache = self.transformers.DynamicCache(config=self.model.config)

    def run(self, tokens, steps):
        return feed_each(self, tokens, steps)

    def feed(self, tokens):
        logits = self.model(self.torch.tensor([tokens]), past_key_values=self.cache, use_cache=True, logits_to_keep=1).logits
        return float(logits[0, -1, 0])


class LlamaCpp:
    CONTEXT = 32768

    def __init__(self, path, dtype, threads):
        import llama_cpp
        if not path.endswith(".gguf"):
            raise ValueError("llama.cpp reads a GGUF file: --peer llama.cpp:FILE.gguf")
        self.version = f"llama-cpp-python {llama_cpp.__version__}"
        if b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info():
            # Its products by tiles end in a segmentation fault with this version. They go with all
            # layouts of its own for quantised weights.
            default = llama_cpp.llama_model_default_params

            def without_tiles():
                params = default()
                params.use_extra_bufts = False
                return params

            llama_cpp.llama.llama_cpp.llama_model_default_params = without_tiles
            self.version += " without extra buffers"
        self.model = llama_cpp.Llama(path, n_ctx=self.CONTEXT, n_batch=512, n_ubatch=512, n_threads=threads,
                                     n_threads_batch=threads, verbose=False)
        self.vocab = self.model.n_vocab()

    def begin(self):
        self.model.reset()

    def run(self, tokens, steps):
        return feed_each(self, tokens, steps)

    def feed(self, tokens):
        self.model.eval(tokens)


class OpenVINO:
    """Decodes by itself: the first token ends the prompt, each further one is a step."""

    def __init__(self, path, dtype, threads):
        import numpy
        import openvino
        import openvino_genai
        if not os.path.exists(os.path.join(path, "openvino_model.xml")):
            raise ValueError("OpenVINO GenAI reads a folder with openvino_model.xml: --peer openvino:FOLDER")
        self.numpy, self.openvino, self.genai = numpy, openvino, openvino_genai
        # On CPUs without instructions for bf16 it would be emulated, at a twentieth of the speed of f32.
        can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precision = "bf16" if dtype == "bf16" and "BF16" in can else "f32"
        # The plain pipeline, which keeps nothing of an earlier prompt.
        self.model = openvino_genai.LLMPipeline(path, "CPU", ATTENTION_BACKEND="SDPA", INFERENCE_NUM_THREADS=threads,
                                                INFERENCE_PRECISION_HINT=precision)
        self.version = f"openvino-genai {openvino_genai.__version__.split('-')[0]}"

    def run(self, tokens, steps):
        ids = self.openvino.Tensor(self.numpy.array([tokens], dtype=self.numpy.int64))
        mask = self.openvino.Tensor(self.numpy.ones((1, len(tokens)), dtype=self.numpy.int64))
        config = self.genai.GenerationConfig(max_new_tokens=steps + 1, ignore_eos=True, do_sample=False)
        start = time.perf_counter()
        metrics = self.model.generate(self.genai.TokenizedInputs(ids, mask), config).perf_metrics
        whole = time.perf_counter() - start
        prefill = metrics.get_ttft().mean / 1000
        return prefill, whole - prefill


ENGINES = {"transformers": Transformers, "llama.cpp": LlamaCpp, "openvino": OpenVINO}


def feed_each(engine, tokens, steps):
    """Seconds of a prompt and of tokens behind it."""
    engine.begin()
    start = time.perf_counter()
    engine.feed(tokens)
    middle = time.perf_counter()
    for _ in range(steps):
        engine.feed([random.randrange(engine.vocab)])
    return middle - start, time.perf_counter() - middle


def main():
    name, path, dtype, threads = sys.argv[1:]
    try:
        engine = ENGINES[name](path, dtype, int(threads))
        # The first call allocates.
        engine.run([1, 2, 3], 1)
    except Exception as failure:  # Whatever it is, clade bench goes on without this engine.
        return answer(error=f"{name}: {type(failure).__name__}: {failure}")
    answer(version=engine.version)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            prefill, decode = engine.run(request["tokens"], request["steps"])
            answer(prefill_s=prefill, decode_s=decode)
        except Exception as failure:
            answer(error=f"{name}: {type(failure).__name__}: {failure}")


main()
