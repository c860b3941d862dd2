#===- automodel.py - Parity with NeMo AutoModel -----------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The cases of the group `automodel`, whose published implementation is NeMo
# AutoModel's. Options as in run.py. Needs what requirements-automodel.txt names
# beside the other packages, installed without what they depend on:
#   pip install --no-deps -r tools/dev/requirements-automodel.txt
#
#===------------------------------------------------------------------------===#
import sys

import run

if __name__ == "__main__":
    sys.exit(run.main(group="automodel"))
