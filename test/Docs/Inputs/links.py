"""Checks the links of README.md and of docs/, and the paths in backticks that begin with a folder of the tree.

usage: links.py ROOT
"""

import pathlib
import re
import sys

FOLDERS = ("lib", "dialect", "runtime", "tools", "test", "specs", "docs", "editors", "examples")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./*-]+)`")


def anchors(page):
    """Headings as the pages' hosts name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def main():
    root = pathlib.Path(sys.argv[1])
    pages = [page for page in [root / "README.md", *sorted(root.glob("docs/**/*.md"))]
             if page.exists() and "generated" not in page.parts]
    problems, links, paths = [], 0, 0
    for page in pages:
        for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
            where = f"{page.relative_to(root / 'docs') if 'docs' in page.parts else page.name}:{number}"
            for target in LINK.findall(line):
                links += 1
                if re.match(r"\w+:", target):
                    continue
                file, _, heading = target.partition("#")
                other = (page.parent / file).resolve() if file else page
                if not other.exists():
                    problems.append(f"{where}: no file '{file}'")
                elif heading and heading not in anchors(other):
                    problems.append(f"{where}: no heading '{heading}' in {other.name}")
            for path in PATH.findall(line):
                paths += 1
                found = list(root.glob(path.rstrip("/"))) if "*" in path else [p for p in (
                    root / path, root / "build" / path) if p.exists()]
                if not found:
                    problems.append(f"{where}: nothing is at '{path}'")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{links} links and {paths} paths in {len(pages)} pages")


if __name__ == "__main__":
    main()
