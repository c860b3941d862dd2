#===- embedding_scales.py - The share of the embedding in a model -----------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Standard deviations of the embedding's elements in checkpoints of models whose
# layers add so much to the residual stream that an embedding of 1 does not decide
# every token (checkpoint.py, fill). They are apart from checkpoint.py so that a
# new number remakes the checkpoints of its model alone.
#
#===------------------------------------------------------------------------===#
SCALES = {"Apertus": 3.0, "Arcee": 2.0, "DeepseekV3": 2.0, "Glm4Moe": 2.0, "GptOss": 2.0, "NemotronH": 4.0, "Qwen3Next": 2.0, "Qwen3_5": 2.0}
