#===- long.py - Windows and angles past position 8,192 ----------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The cases of the group `long`: two layers, one sequence of 8,250 tokens and 16
# decode steps, windows of a few hundred. Options as in run.py.
#
#===------------------------------------------------------------------------===#
import sys

import run

if __name__ == "__main__":
    sys.exit(run.main(group="long"))
