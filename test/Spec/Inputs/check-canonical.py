"""Checks the canonical form of .spec files with the given clade-translate.

The canonical form of each file must parse to the same tree, be its own canonical
form, have the comments of the file, and no line over 100 columns but comments.
"""
import argparse
import os
import re
import subprocess
import sys

MAX_COLUMNS = 100

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--exactly", action="store_true", help="the files must be canonical")
parser.add_argument("tool", help="clade-translate")
parser.add_argument("folder", help="for copies")
parser.add_argument("files", nargs="+")
args = parser.parse_args()


def translate(option, path):
    result = subprocess.run([args.tool, option, path], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{path}: {result.stderr}")
    return result.stdout


def comments(text):
    """The words of the comments, sorted: a comment may move past another."""
    return sorted(re.sub(r"^//\s*", "", c).rstrip() for c in re.findall(r"//[^\n]*", text))


def check(path):
    with open(path, encoding="utf-8") as file:
        original = file.read()
    once = translate("--parse-spec", path)
    # A file in its canonical form needs no more runs to be stable and to mean the same.
    return check_layout(once) if once == original else check_copy(path, original, once)


def check_copy(path, original, once):
    copy = os.path.join(args.folder, os.path.basename(path) + ".out")
    with open(copy, "w", encoding="utf-8") as file:
        file.write(once)
    twice = translate("--parse-spec", copy)
    if translate("--dump-spec", path) != translate("--dump-spec", copy):
        return "the canonical form means something else"
    if once != twice:
        return "the canonical form is not stable"
    if args.exactly and original != once:
        return f"the canonical form is another:\n{once}"
    if comments(original) != comments(once):
        return "a comment is lost"
    return check_layout(once)


def check_layout(once):
    for number, line in enumerate(once.splitlines(), 1):
        if len(line) > MAX_COLUMNS and not line.lstrip().startswith("//"):
            return f"line {number} of the canonical form has {len(line)} columns"
    return None


failures = [f"{path}: {problem}" for path in args.files if (problem := check(path))]
print("\n".join(failures) or f"checked {len(args.files)} files")
sys.exit(bool(failures))
