"""Checks the canonical form of .spec files with the given clade-translate.

The canonical form of each file must parse to the same tree, be its own canonical
form, have the comments of the file, and no line over 100 columns but comments.
"""
import os
import re
import subprocess
import sys

TOOL, FOLDER, FILES = sys.argv[1], sys.argv[2], sys.argv[3:]
MAX_COLUMNS = 100


def translate(option, path):
    result = subprocess.run([TOOL, option, path], capture_output=True, text=True, check=False)
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
    copy = os.path.join(FOLDER, os.path.basename(path))
    with open(copy, "w", encoding="utf-8") as file:
        file.write(once)
    twice = translate("--parse-spec", copy)
    if translate("--dump-spec", path) != translate("--dump-spec", copy):
        return "the canonical form means something else"
    if once != twice:
        return "the canonical form is not stable"
    if comments(original) != comments(once):
        return "a comment is lost"
    for number, line in enumerate(once.splitlines(), 1):
        if len(line) > MAX_COLUMNS and not line.lstrip().startswith("//"):
            return f"line {number} of the canonical form has {len(line)} columns"
    return None


failures = [f"{path}: {problem}" for path in FILES if (problem := check(path))]
print("\n".join(failures) or f"checked {len(FILES)} files")
sys.exit(bool(failures) or not FILES)
