"""Texts that depend on each other, a text of the prelude, and a configuration that the client gives.

usage: several.py SERVER FOLDER, with base.spec, derived.spec and config.json in FOLDER/families, and std/ of the specs copied to FOLDER/specs
"""

import os
import pathlib
import sys

from client import Client

server, folder = sys.argv[1], pathlib.Path(sys.argv[2])
client = Client(server, {**os.environ, "CLADE_SPECS": str(folder / "specs")})
client.initialize(specs=[str(folder / "families")], config=str(folder / "families/config.json"))
base, derived = (str(folder / "families" / name) for name in ("base.spec", "derived.spec"))


def show(title, path):
    print(f"{title}: {[one['message'] for one in client.diagnostics(path)]}")


def hover(path, marked):
    found = client.ask("hover", path, marked)
    print(f"hover {marked}: {found and found['contents']['value'].split(chr(10))[0]}")


# From the disk at first.
client.open(derived)
show("derived", derived)
hover(derived, "y| = linear")
found = client.ask("definition", derived, "base.ml|p")
print(f"definition: {pathlib.Path(found['uri']).name} line {found['range']['start']['line'] + 1}")

# What is typed in one text is seen in the other, without being saved.
client.open(base)
client.change(base, client.texts[base].replace("block mlp", "block feed"))
show("base after a change", base)
show("derived after it", derived)
client.change(base, client.texts[base].replace("block feed(x)", "block mlp(x, more)"), 3)
show("derived after another", derived)
client.change(base, client.texts[base].replace("block mlp(x, more)", "block mlp(x"), 4)
show("base that does not parse", base)
show("derived meanwhile", derived)

# Closed without saving, the file of the disk counts again.
client.notify("textDocument/didClose", {"textDocument": {"uri": client.uri(base)}})
show("derived at last", derived)

# A text of the prelude is checked in every family that uses it.
blocks = str(folder / "specs/std/blocks.spec")
client.open(blocks)
show("blocks", blocks)
client.change(blocks, client.texts[blocks].replace("rsqrt(mean(y * y, over) + eps)", "rsqrt(mean(y * y, over) + epz)", 1))
show("blocks after a slip", blocks)
print("exit", client.stop())
