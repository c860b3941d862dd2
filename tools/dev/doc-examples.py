#!/usr/bin/env python3
# ===- doc-examples.py - The examples of the dialects' descriptions -------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""Prints every ```mlir example of the .td files below FOLDER, separated for
`clade-opt --split-input-file`. Fails if an op, a type or an attribute of a
dialect has no example.

usage: doc-examples.py FOLDER
"""

import pathlib
import re
import sys
import textwrap

# A definition begins at the margin and ends where the next one begins.
DEFINITION = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)
DESCRIPTION = re.compile(r"let description = \[\{(.*?)\}\];", re.DOTALL)
EXAMPLE = re.compile(r"```mlir\n(.*?)```", re.DOTALL)
# What a reader of the dialect meets in a module.
NEEDS_EXAMPLE = re.compile(r"^def \w+ : \w*(?:Op|PureOp|Transform|Type|Attr)<\"", re.MULTILINE)


def definitions(text):
    """Yields the name and the text of each definition."""
    starts = list(DEFINITION.finditer(text))
    for start, end in zip(starts, starts[1:] + [None]):
        yield start.group(1), text[start.start() : end.start() if end else len(text)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    files = sorted(pathlib.Path(sys.argv[1]).rglob("*.td"))
    examples, missing = [], []
    for file in files:
        for name, text in definitions(file.read_text(encoding="utf-8")):
            description = DESCRIPTION.search(text)
            found = EXAMPLE.findall(description.group(1)) if description else []
            examples += [f"// {file.name}: {name}\n{textwrap.dedent(example)}" for example in found]
            if NEEDS_EXAMPLE.search(text) and not found:
                missing.append(f"{file}: '{name}' has no example in its description")
    if missing or not examples:
        sys.exit("\n".join(missing) or f"'{sys.argv[1]}' has no examples")
    print("\n// -----\n\n".join(examples))


if __name__ == "__main__":
    main()
