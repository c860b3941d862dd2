#===- baichuan.py - Both published forms of Baichuan ------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# NeMo AutoModel has the 7B form, which rotates. The 13B form has the same layers
# and adds slopes to the scores instead (ALiBi); it says so by having no
# max_position_embeddings. Its slopes are those of Bloom in transformers. Needs
# the packages of requirements-automodel.txt.
#
#===------------------------------------------------------------------------===#
import torch
from nemo_automodel.components.models.baichuan import configuration, model
from transformers.models.bloom.modeling_bloom import build_alibi_tensor


class BaichuanConfig(configuration.BaichuanConfig):
    def __init__(self, max_position_embeddings=None, **options):
        super().__init__(max_position_embeddings=max_position_embeddings, **options)


class Still(torch.nn.Module):
    """Angles of zero for every position."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x, seq_len=None):
        shape = (1, 1, seq_len, self.size)
        return torch.ones(shape), torch.zeros(shape)


class BaichuanForCausalLM(model.BaichuanForCausalLM):
    config_class = BaichuanConfig

    def __init__(self, config):
        rotates = config.max_position_embeddings is not None
        if not rotates:
            config.max_position_embeddings = 1  # of a table that is replaced
        super().__init__(config)
        if rotates:
            return
        config.max_position_embeddings = None
        for layer in self.model.layers:
            layer.self_attn.rotary_emb = Still(layer.self_attn.head_dim)
        causal = self.model._prepare_decoder_attention_mask

        def with_slopes(attention_mask, input_shape, inputs_embeds, past):
            mask = causal(attention_mask, input_shape, inputs_embeds, past)
            return mask + build_alibi_tensor(attention_mask, config.num_attention_heads, inputs_embeds.dtype)

        self.model._prepare_decoder_attention_mask = with_slopes
