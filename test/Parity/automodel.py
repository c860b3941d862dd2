#===- automodel.py - Parity with NeMo AutoModel -----------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The cases of the group `automodel`, whose published implementation is NeMo
# AutoModel's. Options as in run.py. The packages of
# tools/dev/requirements-automodel.txt are installed, once, into a folder of
# $CLADE_CACHE (packages.py).
#
#===------------------------------------------------------------------------===#
import logging
import sys
import warnings

import packages

packages.add("automodel")
# What its packages say of torch, and of themselves in later releases.
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", category=FutureWarning, message=".*NeMo AutoModel")

import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run.main(group="automodel"))
