"""Every question about beginnings of specs, and about specs with pieces cut out, doubled or turned: the server answers all.

usage: broken.py SERVER SPEC...
"""

import pathlib
import random
import sys

from client import Client

random.seed(7)
client = Client(sys.argv[1])
client.initialize(specs=["/nowhere"], config="/nowhere.json")
questions = 0
for spec in sys.argv[2:]:
    text = pathlib.Path(spec).read_text(encoding="utf-8")
    path = str(pathlib.Path(spec).resolve())
    client.open(path, text)
    variants = [text[:length] for length in range(0, len(text), max(1, len(text) // 12))]
    for _ in range(12):
        a, b = sorted(random.sample(range(len(text)), 2))
        b = min(b, a + 40)
        variants += [text[:a] + text[b:], text[:a] + text[a:b] * 3 + text[b:], text[:a] + text[a:b][::-1] + text[b:]]
    variants += ["", "\x00\x01", "{" * 2000, "family " * 500, "block f(x) = " + "(" * 3000, "𝒜é" * 100, text * 2]
    for version, variant in enumerate(variants, 2):
        client.change(path, variant, version)
        lines = variant.split("\n")
        for what in ("hover", "definition", "completion"):
            line = random.randrange(len(lines) + 1)
            character = random.randrange(len(lines[line]) + 3) if line < len(lines) else 5
            answer = client.request(f"textDocument/{what}", {
                "textDocument": {"uri": client.uri(path)}, "position": {"line": line, "character": character}})
            assert answer is None or "error" not in answer, answer
            questions += 1
        for what in ("documentSymbol", "formatting"):
            answer = client.request(f"textDocument/{what}", {"textDocument": {"uri": client.uri(path)}})
            assert isinstance(answer, list), answer
            questions += 1
    client.change(path, text, 10000)
    assert client.diagnostics(path) is not None
print(f"{questions} answers, exit {client.stop()}")
