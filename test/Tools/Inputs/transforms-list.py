#===- transforms-list.py - The list of forms against what it points to -------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: transforms-list.py SOURCE_TREE
# Fails unless docs/weights-transforms.md has the forms 1 to 19, transforms.test
# has each of them by its number, and the files and families that it names exist.
#
#===------------------------------------------------------------------------===#
import pathlib
import re
import sys

tree = pathlib.Path(sys.argv[1])
page = tree / "docs" / "weights-transforms.md"
test = (tree / "test" / "Tools" / "transforms.test").read_text()
tested = {int(n) for line in test.splitlines() if line.startswith("#")
          for n in re.findall(r"(?:^# |[,;] |and )(\d+) ", line)}
families = {path.stem for path in (tree / "specs").glob("*.spec")}
rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page.read_text().splitlines()
        if re.match(r"\| \d+ \|", line)]
problems = []
if [int(row[0].strip("| ")) for row in rows] != list(range(1, 20)):
    problems.append(f"expected the forms 1 to 19, got {[row[0] for row in rows]}")
for number in range(1, 20):
    if number not in tested:
        problems.append(f"form {number} is not in transforms.test")
for row in rows:
    for name in re.findall(r"(\w+)(?:, \w+)* in convert\.py", row[-1]):
        if name not in families:
            problems.append(f"form {row[0]}: no family '{name}'")
for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
    if not (page.parent / link).exists():
        problems.append(f"no file '{link}'")
for problem in problems:
    print(problem)
sys.exit(bool(problems))
