#===- weights.py - Published tensors to the compiled form and back -----------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Parity/weights.py [options] [PATTERN …]
#
# Runs `clade verify --level 1` on the checkpoint of every case, those of routed
# experts and of images as well: each tensor that
# the published implementation has written must come back from the compiled
# weights bit for bit, in the checkpoint's own type.
#
#===------------------------------------------------------------------------===#
import argparse
import json
import sys

from safetensors import safe_open

import clade
import everything


def problem_of(tool, path):
    """What is wrong with the way there and back, or None."""
    published = set()
    for shard in path.glob("*.safetensors"):
        with safe_open(shard, "np") as file:
            published.update(file.keys())
    try:
        trip = json.loads(tool.call("verify", path, "--level", "1", "--json"))
    except clade.CladeError as error:
        return str(error)
    if not trip["passed"] or trip["not_restored"]:
        return f"changed {trip['changed']}, not restored {trip['not_restored']}"
    if trip["restored"] + len(trip["unread"]) != len(published):
        return f"{trip['restored']} restored and {len(trip['unread'])} unread of {len(published)} tensors"
    return None


def main():
    parser = argparse.ArgumentParser(description="published tensors to the compiled form and back")
    parser.add_argument("pattern", nargs="*", help="only cases whose names contain one of these")
    clade.add_options(parser)
    options = parser.parse_args()
    tool = clade.Clade(options)
    passed = failed = 0
    for name, write in everything.select(options.pattern):
        path = write()
        for dtype in ("f32", "bf16"):
            problem = problem_of(tool, path / dtype)
            passed += problem is None
            failed += problem is not None
            if problem:
                print(f"{name:24s} {dtype:5s} FAIL\n    {problem}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
