#===- everything.py - Checkpoints of every family ---------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# The tiny checkpoints of cases.py, moe_cases.py and vision_cases.py as one list.
#
#===------------------------------------------------------------------------===#
import cases
import checkpoint
import moe_cases
import vision
import vision_cases


def select(patterns=(), short=False):
    """(name, function that writes the checkpoint and gives its folder) of the cases whose names contain one of the patterns,
    all of them if there are none; with `short` one of each published model."""
    seen = set()
    rows = [(case, checkpoint.write) for case in [*cases.CASES, *moe_cases.CASES] if case.group in ("tiny", "moe")]
    rows += [(case, vision.write) for case in vision_cases.CASES]
    for case, write in rows:
        # Two families serve one published model.
        kind = (case.model, getattr(case, "spec", ""))
        if (patterns and not any(p in case.name for p in patterns)) or (short and kind in seen):
            continue
        seen.add(kind)
        yield case.name, lambda case=case, write=write: write(case)
