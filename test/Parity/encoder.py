#===- encoder.py - Embeddings of encoders ------------------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: as run.py, for models that read a text as a whole and give an embedding
# of each token. The reference runs each sequence alone, so that nothing is
# padded; Clade runs them in one batch. Tokens of two types, in parts of unequal
# length. The bounds are those of logits, without the rule of forced tokens.
#
#===------------------------------------------------------------------------===#
import sys

import torch
from transformers import BertConfig, BertModel  # noqa: F401 (found by their names)

import cases
import checkpoint
import clade
import compare
import record
import reference
import run

BertForCausalLM = BertModel
BERT = dict(vocab_size=512, hidden_size=192, intermediate_size=320, num_hidden_layers=4, num_attention_heads=6,
            max_position_embeddings=256)
LAYOUT = dict(group="encoder", lengths=(64, 37, 1, 150), steps=0, chunks=(0,))
CASES = [
    cases.case("bert-plain", "Bert", BERT, **LAYOUT),
    cases.case("bert-one-type-relu", "Bert", BERT, **LAYOUT, type_vocab_size=1, hidden_act="relu", layer_norm_eps=1e-5),
    # Sizes that are no multiples of a vector.
    cases.case("bert-odd-sizes", "Bert", BERT, **LAYOUT, hidden_size=140, num_attention_heads=5, intermediate_size=201,
               vocab_size=509, type_vocab_size=3, hidden_act="gelu_new"),
]


def centre(name, model, others=checkpoint.centre):
    return 1.0 if name.endswith("LayerNorm.weight") else others(name, model)


def texts(case):
    """The sequences as a batch for clade; types follow each other, in parts that are not alike."""
    generator = torch.Generator().manual_seed(len(case.name))
    kinds = case.config.get("type_vocab_size", 2)
    batch = []
    for length in case.lengths:
        tokens = torch.randint(case.config["vocab_size"], (length,), generator=generator).tolist()
        types = [min(kinds - 1, 3 * i // length) for i in range(length)]
        batch.append({"tokens": tokens, "types": types, "max_tokens": 0})
    return batch


@torch.no_grad()
def expected(path, dtype, batch):
    """The embeddings [token, d] of each sequence."""
    model = reference.load(path, dtype)
    outputs = (model(torch.tensor([one["tokens"]]), token_type_ids=torch.tensor([one["types"]])) for one in batch)
    return [output.last_hidden_state[0].float().numpy() for output in outputs]


def verdict_of(got, dtype, path, batch):
    if dtype == "f32":
        return compare.compare_f32(got, expected(path, torch.float32, batch), are_logits=False)
    return compare.compare_bf16(got, expected(path, torch.bfloat16, batch), expected(path, torch.float32, batch),
                                are_logits=False)


def main(arguments=None):
    checkpoint.LIBRARIES["Bert"] = "encoder"
    checkpoint.centre = centre
    cases.CASES += CASES
    run.ENGINES["encoder"] = run.BOTH
    options = run.parse(arguments, "encoder")
    tool = clade.Clade(options)
    torch.set_num_threads(1)
    chosen = cases.select(options.pattern, "encoder")
    report = run.Report(options.show, record.of(options, tool, chosen))
    for case in chosen:
        path, batch = checkpoint.write(case), texts(case)
        for dtype in options.dtype:
            for engine in options.engine:
                try:
                    got = tool.logits(path / dtype, batch, interpret=engine == "interpret", what="embeddings")
                    verdict = verdict_of(got, dtype, path / dtype, batch)
                except clade.CladeError as error:
                    verdict = compare.Verdict(failures=[str(error)])
                report.add(case.name, dtype, engine, "whole", verdict)
    return report.close()


if __name__ == "__main__":
    sys.modules["encoder"] = sys.modules["__main__"]
    sys.exit(main())
