#===- vision_cases.py - The tiny checkpoints with images --------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# One row a case, and one class a family: what its processor gives for images of
# some sizes in pixels, and which tokens stand for them.
#
#===------------------------------------------------------------------------===#
from dataclasses import dataclass

import record


@dataclass(frozen=True)
class VisionCase:
    name: str
    spec: str  # the family of Clade
    model: str  # "Mistral3" stands for Mistral3Config and Mistral3ForConditionalGeneration
    family: type
    config: dict
    images: tuple  # of each sequence the (height, width) of its images
    steps: int = 16  # forced decode steps after each prompt
    chunks: tuple = (1, 7, 64)
    text_tokens: tuple = (20, 512)  # the range that tokens of texts are drawn from


class Mistral3:
    """Images padded to the largest; a token for each block of merged patches, and one behind each row."""

    @staticmethod
    def grid(case, size):
        block = case.config["vision_config"]["patch_size"] * case.config["spatial_merge_size"]
        return size[0] // block, size[1] // block

    @staticmethod
    def tokens(case, size):
        rows, columns = Mistral3.grid(case, size)
        image, end_of_row, end = case.config["image_token_index"], 12, 13
        return (([image] * columns + [end_of_row]) * rows)[:-1] + [end]

    @staticmethod
    def inputs(case, sizes, generator):
        import torch  # the cases are read without it, too

        height, width = (max(size[i] for size in sizes) for i in range(2))
        pixels = torch.zeros(len(sizes), 3, height, width)
        for image, (h, w) in zip(pixels, sizes):
            image[:, :h, :w] = torch.randn(3, h, w, generator=generator)
        return {"pixel_values": pixels, "image_sizes": torch.tensor(sizes)}

    @staticmethod
    def arguments(case, tokens):
        return {}

    @staticmethod
    def adjust(model):
        """The norm behind the patches has a name that checkpoint.fill does not know."""
        model.model.vision_tower.ln_pre.weight.data += 1.0


class Qwen2VL:
    """Patches that are cut, in blocks that are merged, and the rows and columns of each image; positions of time, row
    and column follow from which tokens are of images."""

    @staticmethod
    def grid(case, size):
        return tuple(side // case.config["vision_config"]["patch_size"] for side in size)

    @staticmethod
    def tokens(case, size):
        rows, columns = Qwen2VL.grid(case, size)
        merge = case.config["vision_config"]["spatial_merge_size"]
        start, end = case.config["vision_start_token_id"], case.config["vision_end_token_id"]
        return [start] + [case.config["image_token_id"]] * (rows * columns // merge**2) + [end]

    @staticmethod
    def inputs(case, sizes, generator):
        import torch  # the cases are read without it, too

        vision = case.config["vision_config"]
        grids = [(1, *Qwen2VL.grid(case, size)) for size in sizes]
        width = 3 * vision["temporal_patch_size"] * vision["patch_size"] ** 2
        return {"pixel_values": torch.randn(sum(r * c for _, r, c in grids), width, generator=generator),
                "image_grid_thw": torch.tensor(grids)}

    @staticmethod
    def arguments(case, tokens):
        import torch

        return {"mm_token_type_ids": torch.tensor([[int(t == case.config["image_token_id"]) for t in tokens]])}

    @staticmethod
    def adjust(model):
        """Norms of other names; their biases stay small."""
        for name, weight in model.named_parameters():
            if name.endswith("ln_q.weight"):
                weight.data += 1.0


class Qwen3VL(Qwen2VL):
    """As Qwen2-VL's, with norms of other names."""

    @staticmethod
    def adjust(model):
        return None


class Qwen3VLMoe(Qwen3VL):
    """Published stacks of experts are [expert, in, out]; transformers reads both forms, and saves the other."""

    @staticmethod
    def publish(case, path):
        from safetensors.torch import load_file, save_file

        file = path / "model.safetensors"
        tensors = {name: tensor.transpose(1, 2).contiguous() if ".mlp.experts." in name else tensor
                   for name, tensor in load_file(file).items()}
        save_file(tensors, file, {"format": "pt"})


class KimiVL:
    """Patches that are cut, row by row, and the rows and columns of each image. Published in NeMo AutoModel, whose model
    keeps nothing from call to call."""

    @staticmethod
    def grid(case, size):
        return tuple(side // case.config["vision_config"]["patch_size"] for side in size)

    @staticmethod
    def tokens(case, size):
        rows, columns = KimiVL.grid(case, size)
        return [12] + [case.config["media_placeholder_token_id"]] * (rows * columns // 4) + [13]

    @staticmethod
    def inputs(case, sizes, generator):
        import torch

        grids = [KimiVL.grid(case, size) for size in sizes]
        side = case.config["vision_config"]["patch_size"]
        return {"pixel_values": torch.randn(sum(r * c for r, c in grids), 3, side, side, generator=generator),
                "image_grid_hws": torch.tensor(grids)}

    @staticmethod
    def make(config):
        """A model in f32."""
        import warnings

        import packages
        import torch

        packages.add("automodel")
        with warnings.catch_warnings():  # of libraries that are absent, and that the class will go
            warnings.simplefilter("ignore")
            from nemo_automodel.components.models.kimivl.model import KimiVLConfig, KimiVLForConditionalGeneration

            config = {**config, "text_config": {**config["text_config"], "torch_dtype": "float32"}}
            model = KimiVLForConditionalGeneration(KimiVLConfig(**config))
        KimiVL.convert(model, torch.float32)  # which the configuration does not tell the head
        return model

    @staticmethod
    def save(case, model, path):
        import json

        from safetensors.torch import save_file

        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps({**case.config, "architectures": [type(model).__name__]}))
        tensors = model.state_dict_adapter.to_hf(model.state_dict())
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path / "model.safetensors")

    @staticmethod
    def load(path, dtype):
        import json

        from safetensors.torch import load_file

        model = KimiVL.make(json.loads((path / "config.json").read_text()))
        tensors = model.state_dict_adapter.from_hf(load_file(path / "model.safetensors"))
        tensors["model.language_model.lm_head.weight"] = tensors.pop("lm_head.weight")
        model.load_state_dict(tensors)
        KimiVL.convert(model, dtype)
        return model.eval()

    @staticmethod
    def convert(model, dtype):
        """Weights only: tables of rotations stay in f32."""
        for weight in model.parameters():
            weight.data = weight.data.to(dtype)

    @staticmethod
    def adjust(model):
        return None


class KimiK25(KimiVL):
    """As Kimi-VL's, with the number of frames beside rows and columns. Published in transformers."""

    make = save = load = None

    @staticmethod
    def publish(case, path):
        """Some names that transformers saves are not those of published files, which it reads."""
        from safetensors.torch import load_file, save_file

        file, tensors = path / "model.safetensors", {}
        for name, tensor in load_file(file).items():
            name = name.replace("language_model.model.blocks.", "language_model.model.layers.")
            name = name.replace("vision_tower.encoder.patch_embed.", "vision_tower.patch_embed.")
            tensors[name.removeprefix("model.")] = tensor
        save_file(tensors, file, {"format": "pt"})

    @staticmethod
    def tokens(case, size):
        rows, columns = KimiVL.grid(case, size)
        return [12] + [case.config["image_token_id"]] * (rows * columns // 4) + [13]

    @staticmethod
    def inputs(case, sizes, generator):
        import torch

        made = KimiVL.inputs(case, sizes, generator)
        grids = [(1, *KimiVL.grid(case, size)) for size in sizes]
        return {"pixel_values": made["pixel_values"], "image_grid_thw": torch.tensor(grids)}

    @staticmethod
    def arguments(case, tokens):
        return {}


class FilmKimiK25(KimiK25):
    """Films: of a size the last number is that of its frames, which the films of a sequence have in common. The tower of
    transformers 5.23 takes films, but what it gives is then cut as if each frame gave rows; so it is called by itself."""

    @staticmethod
    def tokens(case, size):
        return KimiK25.tokens(case, size[:2])

    @staticmethod
    def inputs(case, sizes, generator):
        import torch

        grids = [(frames, *KimiVL.grid(case, sides)) for *sides, frames in sizes]
        side = case.config["vision_config"]["patch_size"]
        patches = sum(frames * rows * columns for frames, rows, columns in grids)
        return {"pixel_values": torch.randn(patches, 3, side, side, generator=generator),
                "image_grid_thw": torch.tensor(grids)}

    @staticmethod
    def encode(model, images):
        seen = model.model.vision_tower(images["pixel_values"], grid_thw=images["image_grid_thw"])
        seen.pooler_output = [model.model.mm_projector(seen.pooler_output).squeeze(1)]
        return {"mm_encoder_outputs": {"image": seen}}


class FlatQwen2VL(Qwen2VL):
    """Published files keep the keys of the text beside the others, and call some by older names."""

    @staticmethod
    def publish(case, path):
        import json

        config = json.loads((path / "config.json").read_text())
        text = config.pop("text_config")
        rope = text.pop("rope_parameters")
        config.update({k: v for k, v in text.items() if k not in ("model_type", "dtype", "layer_types")})
        config["rope_theta"] = rope["rope_theta"]
        config["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
        config["torch_dtype"] = config.pop("dtype")
        vision = config["vision_config"]
        config["vision_config"] = {
            **{k: vision[k] for k in ("depth", "embed_dim", "hidden_size", "mlp_ratio", "num_heads", "patch_size",
                                      "spatial_merge_size", "temporal_patch_size")},
            "in_chans": 3, "spatial_patch_size": vision["patch_size"], "model_type": "qwen2_vl"}
        (path / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True))


TEXT = dict(model_type="mistral", vocab_size=512, hidden_size=256, intermediate_size=384, num_hidden_layers=3,
            num_attention_heads=8, num_key_value_heads=4, head_dim=32, max_position_embeddings=2048,
            sliding_window=None, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
PIXTRAL = dict(model_type="pixtral", hidden_size=256, intermediate_size=384, num_hidden_layers=3,
               num_attention_heads=4, patch_size=14, image_size=224, hidden_act="silu")
MISTRAL3 = dict(text_config=TEXT, vision_config=PIXTRAL, image_token_index=10, spatial_merge_size=2,
                tie_word_embeddings=False)
# Latent attention, queries scaled with their position, experts in groups.
MISTRAL4 = dict(model_type="mistral4", vocab_size=512, hidden_size=256, intermediate_size=384, moe_intermediate_size=96,
                num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=8, q_lora_rank=96, kv_lora_rank=64,
                qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=24, n_routed_experts=16, n_group=4, topk_group=2,
                num_experts_per_tok=3, first_k_dense_replace=1, max_position_embeddings=2048,
                rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0,
                                 "original_max_position_embeddings": 32, "max_position_embeddings": 2048,
                                 "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
                                 "llama_4_scaling_beta": 0.1})
QWEN2_VL = dict(
    text_config=dict(vocab_size=512, hidden_size=256, intermediate_size=384, num_hidden_layers=3,
                     num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048, bos_token_id=1,
                     eos_token_id=2,
                     rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]}),
    vision_config=dict(depth=3, embed_dim=256, hidden_size=256, num_heads=4, patch_size=8, mlp_ratio=2,
                       spatial_merge_size=2, temporal_patch_size=2),
    image_token_id=10, video_token_id=11, vision_start_token_id=12, vision_end_token_id=13, tie_word_embeddings=False)
# Windows of 4 x 4 patches, the last ones narrower.
QWEN2_5_VL = {**QWEN2_VL, "vision_config": dict(
    depth=3, hidden_size=256, out_hidden_size=256, intermediate_size=320, num_heads=4, patch_size=8, window_size=32,
    fullatt_block_indexes=[1], spatial_merge_size=2, temporal_patch_size=2)}
# A table of places of another size than every image, and layers of the tower whose output three layers of the text add.
QWEN3_VL = dict(
    text_config=dict(vocab_size=512, hidden_size=256, intermediate_size=384, num_hidden_layers=4,
                     num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=2048,
                     bos_token_id=1, eos_token_id=2,
                     rope_parameters={"rope_type": "default", "rope_theta": 5e6, "mrope_section": [12, 10, 10],
                                      "mrope_interleaved": True}),
    vision_config=dict(depth=5, hidden_size=256, out_hidden_size=256, intermediate_size=320, num_heads=4, patch_size=8,
                       spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=36,
                       deepstack_visual_indexes=[0, 2, 3]),
    image_token_id=10, video_token_id=11, vision_start_token_id=12, vision_end_token_id=13, tie_word_embeddings=False)
KIMI_VL = dict(
    text_config=dict(vocab_size=512, hidden_size=256, intermediate_size=384, moe_intermediate_size=96,
                     num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, q_lora_rank=None,
                     kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=24, n_routed_experts=16,
                     n_shared_experts=2, num_experts_per_tok=3, n_group=1, topk_group=1, first_k_dense_replace=1,
                     routed_scaling_factor=2.446, rms_norm_eps=1e-5, max_position_embeddings=2048,
                     rope_parameters={"rope_type": "default", "rope_theta": 8e5}),
    vision_config=dict(num_hidden_layers=3, hidden_size=256, intermediate_size=320, num_attention_heads=4, patch_size=8,
                       init_pos_emb_height=6, init_pos_emb_width=6, merge_kernel_size=[2, 2]),
    media_placeholder_token_id=10)
KIMI_K25 = dict(
    text_config={**KIMI_VL["text_config"], "model_type": "deepseek_v3", "q_lora_rank": 96, "n_group": 4,
                 "topk_group": 2},
    vision_config=dict(num_hidden_layers=3, hidden_size=256, intermediate_size=320, num_attention_heads=4, patch_size=8,
                       pos_emb_height=6, pos_emb_width=6, merge_kernel_size=[2, 2]),
    projection_hidden_size=256, image_token_id=10, video_token_id=11, vision_start_token_id=12, vision_end_token_id=13,
    tie_word_embeddings=False)
# More patches than a page of keys, blocks in rows of other lengths, an image of two blocks.
SIZES = (((112, 168), (56, 84)), ((28, 56),), ())

CASES = [
    VisionCase("mistral3-two-images", "mistral3", "Mistral3", Mistral3, MISTRAL3, SIZES),
    # Another activation, biases, a head of 40 that is no multiple of a vector, no merging in the tower's order.
    VisionCase("mistral3-forms", "mistral3", "Mistral3", Mistral3,
               {**MISTRAL3, "multimodal_projector_bias": True, "spatial_merge_size": 3,
                "vision_config": {**PIXTRAL, "hidden_size": 320, "num_attention_heads": 8, "hidden_act": "gelu",
                                  "patch_size": 8, "rope_parameters": {"rope_type": "axial", "rope_theta": 500.0}},
                "text_config": {**TEXT, "sliding_window": 24}},
               (((72, 120), (48, 24)), ((24, 72),), ())),
    VisionCase("mistral4-images", "mistral4_images", "Mistral3", Mistral3, {**MISTRAL3, "text_config": MISTRAL4}, SIZES),
    VisionCase("qwen2-vl-two-images", "qwen2_vl", "Qwen2VL", Qwen2VL, QWEN2_VL,
               (((64, 96), (32, 48)), ((16, 32),), ())),
    VisionCase("qwen2-5-vl-two-images", "qwen2_5_vl", "Qwen2_5_VL", Qwen2VL, QWEN2_5_VL,
               (((64, 96), (48, 80)), ((16, 32),), ())),
    VisionCase("qwen3-vl-two-images", "qwen3_vl", "Qwen3VL", Qwen3VL, QWEN3_VL,
               (((64, 96), (32, 48)), ((16, 32),), ())),
    VisionCase("qwen3-vl-moe", "qwen3_vl_moe", "Qwen3VLMoe", Qwen3VLMoe,
               {**QWEN3_VL, "text_config": {**QWEN3_VL["text_config"], "num_experts": 16, "num_experts_per_tok": 4,
                                            "moe_intermediate_size": 96, "mlp_only_layers": [1],
                                            "tie_word_embeddings": False}},
               (((64, 96), (32, 48)), ((16, 32),), ())),
    VisionCase("qwen2-vl-flat", "qwen2_vl", "Qwen2VL", FlatQwen2VL, QWEN2_VL, (((32, 48),), ()), chunks=(64,)),
    # One image of as many patches as there are places.
    VisionCase("kimi-vl-two-images", "kimi_vl", "KimiVL", KimiVL, KIMI_VL,
               (((64, 96), (48, 48)), ((16, 32),), ())),
    VisionCase("kimi-k25-two-images", "kimi_k25", "Kimi_K25", KimiK25, KIMI_K25,
               (((64, 96), (48, 48)), ((16, 32),), ())),
    # Frames of less and of more patches than a page of keys.
    VisionCase("kimi-k25-films", "kimi_k25", "Kimi_K25", FilmKimiK25, KIMI_K25,
               (((48, 64, 3), (16, 48, 3)), ((48, 48, 2),), ())),
]


def image_token(case):
    """The token that stands for a row of an image."""
    keys = ("image_token_index", "image_token_id", "media_placeholder_token_id")
    return next(case.config[key] for key in keys if key in case.config)


def record_of(options, chosen):
    """The record that the options ask for, or None."""
    if not options.record:
        return None
    return record.Record(options.record, {case.name: case.spec for case in chosen})
