#!/usr/bin/env python3
# ===- doc-examples.py - The examples of the documentation ---------------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""The examples of the dialects' descriptions, and those of the pages.

With a FOLDER, prints every ```mlir example of the .td files below it, separated
for `clade-opt --split-input-file`. Fails if an op, a type or an attribute of a
dialect has no example.

With --pages, runs what pages say, one page after the other, each in a folder of
its own that is empty at first:

* a block ```spec NAME.spec, ```json NAME.json or ```python NAME.py is a file of
  that name; ```spec phrase is what a family derived from llama may say: it is
  checked by `clade check` as the items of one;
* in a block ```console, a line `$ command` is run by the shell, with `clade` and
  `clade-lsp-server` in PATH; a `\\` at its end goes on in the next line. The lines
  behind it must stand in its output, in this order; `...` in a line stands for
  anything, and a line `...` for any lines. A command that ends with `# fails` must
  fail. $CLADE_SOURCE is the source tree.

usage: doc-examples.py FOLDER
       doc-examples.py --pages BIN PAGE...
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A definition begins at the margin and ends where the next one begins.
DEFINITION = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)
DESCRIPTION = re.compile(r"let description = \[\{(.*?)\}\];", re.DOTALL)
EXAMPLE = re.compile(r"```mlir\n(.*?)```", re.DOTALL)
# What a reader of the dialect meets in a module.
NEEDS_EXAMPLE = re.compile(r"^def \w+ : \w*(?:Op|PureOp|Transform|Type|Attr)<\"", re.MULTILINE)

BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PHRASE = 'family phrase from llama {{\n  serves "PhraseForCausalLM"\n{}}}\n'


def definitions(text):
    """Yields the name and the text of each definition."""
    starts = list(DEFINITION.finditer(text))
    for start, end in zip(starts, starts[1:] + [None]):
        yield start.group(1), text[start.start() : end.start() if end else len(text)]


def dialect_examples(folder):
    files = sorted(pathlib.Path(folder).rglob("*.td"))
    examples, missing = [], []
    for file in files:
        for name, text in definitions(file.read_text(encoding="utf-8")):
            description = DESCRIPTION.search(text)
            found = EXAMPLE.findall(description.group(1)) if description else []
            examples += [f"// {file.name}: {name}\n{textwrap.dedent(example)}" for example in found]
            if NEEDS_EXAMPLE.search(text) and not found:
                missing.append(f"{file}: '{name}' has no example in its description")
    if missing or not examples:
        sys.exit("\n".join(missing) or f"'{folder}' has no examples")
    print("\n// -----\n\n".join(examples))


# Pages.


class PageError(Exception):
    pass


def commands(text):
    """Yields the offset of the line, the command and the lines expected behind it."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].startswith("$ "):
            at += 1
            continue
        begin, command = at, lines[at][2:]
        while command.endswith("\\") and at + 1 < len(lines):
            at += 1
            command += "\n" + lines[at]
        at += 1
        expected = []
        while at < len(lines) and not lines[at].startswith("$ "):
            expected.append(lines[at])
            at += 1
        yield begin, command, [line.strip() for line in expected if line.strip()]


def check_output(output, expected):
    """The first expected line that does not follow, or None."""
    lines = [" ".join(line.split()) for line in output.split("\n")]
    at = 0
    for line in expected:
        if line == "...":
            continue
        pattern = re.compile(".*".join(re.escape(" ".join(part.split())) for part in line.split("...")))
        while at < len(lines) and not pattern.fullmatch(lines[at]):
            # Around dots blanks do not matter.
            at += 1
        if at == len(lines):
            return line
        at += 1
    return None


def run_console(text, folder, environment):
    for begin, command, expected in commands(text):
        fails = command.rstrip().endswith("# fails")
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if (done.returncode != 0) != fails:
            raise PageError(begin, f"'{command}' ended with {done.returncode}:\n{done.stdout}")
        if missing := check_output(done.stdout, expected):
            raise PageError(begin, f"'{command}' does not say '{missing}', but:\n{done.stdout}")
        yield command


def check_phrase(text, folder, environment):
    file = pathlib.Path(folder, "phrase.spec")
    file.write_text(PHRASE.format(textwrap.indent(text, "  ")), encoding="utf-8")
    done = subprocess.run(["clade", "check", "phrase.spec"], cwd=folder, env=environment, capture_output=True, text=True)
    file.unlink()
    if done.returncode:
        raise PageError(0, f"the phrase is not accepted:\n{done.stderr}")


def run_page(path, binaries):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    count = 0
    environment = {**os.environ, "PATH": f"{pathlib.Path(binaries).resolve()}:{os.environ['PATH']}",
                   "CLADE_SOURCE": str(ROOT)}
    with tempfile.TemporaryDirectory(prefix="clade-page-") as folder:
        for match in BLOCK.finditer(text):
            language, name, body = match.groups()
            line = text.count("\n", 0, match.start(3)) + 1
            try:
                if language == "console":
                    count += sum(1 for _ in run_console(body, folder, environment))
                elif language == "spec" and name == "phrase":
                    check_phrase(body, folder, environment)
                    count += 1
                elif name:
                    pathlib.Path(folder, name).write_text(body, encoding="utf-8")
            except PageError as error:
                offset, message = error.args
                sys.exit(f"{path}:{line + offset}: {message}")
    if not count:
        sys.exit(f"'{path}' has no examples")
    print(f"{pathlib.Path(path).name}: {count} examples")


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--pages":
        for page in sys.argv[3:]:
            run_page(page, sys.argv[2])
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        dialect_examples(sys.argv[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
