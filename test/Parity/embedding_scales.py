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
SCALES = {"NemotronH": 4.0}
