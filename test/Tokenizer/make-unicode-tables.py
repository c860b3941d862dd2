#!/usr/bin/env python3
#===- make-unicode-tables.py - Character classes of the tokenizers library -===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Writes runtime/Tokenizer/UnicodeTables.inc: for each character class that the
# Python `tokenizers` library uses, the code points that it puts there, found by
# asking the library about every code point. Its parts follow different versions
# of Unicode (8 to 17), and so must Clade's, whatever utf8proc and PCRE2 know.
#
#===------------------------------------------------------------------------===#
"""usage: make-unicode-tables.py OUTPUT"""

import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(code_points):
    """Sorted code points as inclusive [first, last] pairs."""
    result = []
    for c in code_points:
        if result and result[-1][1] == c - 1:
            result[-1][1] = c
        else:
            result.append([c, c])
    return result


def removed_by(normalizer):
    return {c for c in CODE_POINTS
            if normalizer.normalize_str("a" + chr(c) + "b") == "ab"}


def split_by(pre_tokenizer, parts):
    return {c for c in CODE_POINTS
            if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "b")) == parts}


def matched_by(pattern):
    splitter = pre_tokenizers.Split(Regex(pattern), "removed")
    return {c for c in CODE_POINTS if not splitter.pre_tokenize_str(chr(c))}


def bert(**options):
    defaults = dict(clean_text=False, handle_chinese_chars=False,
                    strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**(defaults | options))


def reordered():
    """Characters with a combining class: NFD moves them in front of U+0345, the
    only one whose class is higher."""
    nfd = normalizers.NFD()
    return {0x345} | {c for c in CODE_POINTS
                      if nfd.normalize_str("\u0345" + chr(c))[0] != "\u0345"}


def classes():
    yield "bertControl", removed_by(bert(clean_text=True))
    yield "bertAccent", removed_by(bert(strip_accents=True))
    yield "combiningMark", removed_by(normalizers.StripAccents())
    yield "punctuation", split_by(pre_tokenizers.Punctuation(), 3)
    yield "numeric", split_by(pre_tokenizers.Digits(individual_digits=True), 3)
    yield "word", split_by(pre_tokenizers.Whitespace(), 1)
    yield "reordered", reordered()
    yield "otherAlphabetic", (matched_by(r"\p{Alphabetic}")
                              - matched_by(r"[\p{L}\p{Nl}]"))


def newer_classes():
    """Members of regex classes that came after Unicode 14, PCRE2 10.42's."""
    old = unicodedata  # Python 3.11 knows Unicode 14.
    assert old.unidata_version == "14.0.0", "run this with Python 3.11"
    unassigned = {c for c in CODE_POINTS if old.category(chr(c)) == "Cn"}
    names = ["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No",
             "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"]
    for name in names:
        newer = matched_by(rf"\p{{{name}}}") & unassigned
        if newer:
            yield name, newer
    yield "Han", matched_by(r"\p{Han}") & unassigned


def table(name, code_points):
    rows = [f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges(sorted(code_points))]
    lines, line = [], "   "
    for row in rows:
        if len(line) + len(row) + 1 > 80:
            lines.append(line)
            line = "   "
        line += " " + row
    lines.append(line)
    return (f"constexpr CodePointRange {name}Ranges[] = {{\n"
            + "\n".join(lines) + "\n};\n")


def main():
    out = ["// Written by test/Tokenizer/make-unicode-tables.py from tokenizers "
           f"{tokenizers.__version__};", "// do not edit. Inclusive ranges, "
           "sorted.", ""]
    for name, members in classes():
        out.append(table(name, members))
    out.append("// What Unicode added after version 14 to the classes of "
               "regular expressions.\n")
    newer = list(newer_classes())
    for name, members in newer:
        out.append(table("newer" + name, members))
    out.append("constexpr NewerClass newerClasses[] = {")
    for name, _ in newer:
        out.append(f'    {{"{name}", newer{name}Ranges}},')
    out.append("};")
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
