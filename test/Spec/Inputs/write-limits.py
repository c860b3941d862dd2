"""Writes the hostile texts of parse-errors-limits.test into a folder."""
import os
import sys

N = 5000


def block(value):
    return f"block f(x) = {value}\n"


TEXTS = {
    "parens": block("(" * N + "x" + ")" * N),
    "minus": block("-" * N + "x"),
    "power": block(" ^ ".join("x" * N)),
    "default": block(" ?? ".join("x" * N)),
    "sum": block(" + ".join("x" * N)),
    # A sum in a sum in a sum: no single chain is long.
    "sums": block("(" * 20 + "x" + " + x" * 20 + (")" + " + x" * 20) * 20),
    "calls": block("f(" * N + "x" + ")" * N),
    "suffixes": block("x" + ".y" * N),
    "lists": block("x as [" * N + "x" + "]" * N),
    "bodies": block("if x { " * N + "x" + " }" * N),
    "else": block("if x { x } " + "else if x { x } " * N),
    "paths": block("x at {" * N + "x" + "}" * N),
    "weights": "weights { " + "for e in x { " * N + "a = b" + " }" * N + " }\n",
    "functions": "weights { a = " + "t(" * N + "b" + ")" * N + " }\n",
    "deepest": block("(" * 250 + "x" + ")" * 250),
    "broken": "family a b\n" * N,
    "binary": "".join(map(chr, range(9))) * N,
}

for name, text in TEXTS.items():
    with open(os.path.join(sys.argv[1], name + ".spec"), "w", encoding="utf-8") as file:
        file.write(text)
