"""Writes the examples of a Markdown file that are marked with a language.

usage: extract-examples.py FILE LANGUAGE FOLDER

The example that begins in line 40 of language.md becomes language-L40.LANGUAGE.
"""
import os
import re
import sys

path, language, folder = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    text = file.read()
stem = os.path.splitext(os.path.basename(path))[0]
pattern = re.compile(rf"^```{re.escape(language)}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
count = 0
for count, match in enumerate(pattern.finditer(text), 1):
    line = text.count("\n", 0, match.start(1))
    name = os.path.join(folder, f"{stem}-L{line + 1}.{language}")
    with open(name, "w", encoding="utf-8") as file:
        file.write(match[1])
print(f"{count} examples")
sys.exit(count == 0)
