#!/usr/bin/env python3
# ===- messages.py - Every message that a user may meet ------------------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""Lists the messages in the sources, and checks that each can be understood.

A message is what stands in quotes in a statement that reports an error, with … for
what is put in. Each must be in the index of docs/troubleshooting.md, where a line
'* `TEXT`: …' stands for all messages that contain its text (… for anything), or in
the list of those that say by themselves what was expected, what was found and where:
test/Docs/Inputs/self-explaining.txt, whose lines have been read one by one.

usage: messages.py            prints all
       messages.py --check    fails if a message is in neither, or if a line of the index or of the list is no message's
       messages.py --missing  prints those that are in neither
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("lib/Spec", "lib/Check", "lib/Import", "runtime", "tools/clade")
INDEX = ROOT / "docs/troubleshooting.md"
LIST = ROOT / "test/Docs/Inputs/self-explaining.txt"

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)\'|[A-Za-z_]\w*|\s+|.', re.DOTALL)
REPORT = {"emitError", "error", "errorExpected", "errorUnclosed", "nameError", "fail", "corruption", "invalidArgument",
          "notFound", "ioError", "systemError", "unsupported", "resourceExhausted", "cancelled", "attachNote"}
ESCAPES = {r"\"": '"', r"\\": "\\", r"\n": " ", r"\t": " "}


def literals(text):
    """The strings of a statement, … between those with something else between them."""
    depth, pieces, gap, closed = 0, [], False, False
    for token in TOKEN.findall(text):
        if token.isspace() or token.startswith(("//", "/*")):
            continue
        if closed and token in ("{", "const"):
            return ""  # The function itself.
        closed = token == ")" and depth == 1
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        elif token == ";" and depth <= 0:
            break
        if depth < 0:
            break
        if token.startswith('"'):
            piece = token[1:-1]
            for escape, character in ESCAPES.items():
                piece = piece.replace(escape, character)
            if pieces and gap and piece:
                pieces.append("…")
            pieces.append(piece)
            gap = False
        elif token not in "()+,<":
            gap = True
    message = " ".join("".join(pieces).split())
    return re.sub(r"(?:… ?)+…", "…", message)


def messages_of(path):
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"\b([A-Za-z]+)\(", text):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if match.group(1) not in REPORT or "//" in text[line_start : match.start()]:
            continue
        message = literals(text[match.start(1) :])
        # A call that hands on what another says has no words of its own.
        if len(re.findall(r"[a-z]{2,}", message)) >= 2:
            yield message


def all_messages():
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.cpp")):
            for message in messages_of(path):
                found.setdefault(message, path.relative_to(ROOT))
    return found


def patterns():
    """The texts of the index, each as what it stands for."""
    index = INDEX.read_text(encoding="utf-8").split("## Index of messages")[1]
    for text in re.findall(r"^\* `([^`]+)`", index, re.MULTILINE):
        yield text, re.compile(".*".join(re.escape(part) for part in text.split("…")))


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode not in ("", "--check", "--missing"):
        sys.exit(__doc__)
    found = all_messages()
    if not mode:
        print("\n".join(sorted(found)))
        return
    index, reviewed = list(patterns()), set(LIST.read_text(encoding="utf-8").splitlines()) - {""}
    covered = {text: any(pattern.search(message) for message in found) for text, pattern in index}
    missing = [message for message in sorted(found)
               if message not in reviewed and not any(pattern.search(message) for _, pattern in index)]
    if mode == "--missing":
        print("\n".join(missing))
        return
    problems = [f"{found[message]}: in neither the index nor the list: {message}" for message in missing]
    problems += [f"{INDEX.name}: no message says '{text}'" for text, used in covered.items() if not used]
    problems += [f"{LIST.name}: no message says '{line}'" for line in sorted(reviewed - set(found))]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(found)} messages: {len(index)} lines in the index, {len(reviewed)} that explain themselves")


if __name__ == "__main__":
    main()
