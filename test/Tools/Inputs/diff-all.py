"""Every family means the same as itself and something else than its base; there and back, what was added is removed.

usage: diff-all.py CLADE
"""

import json
import subprocess
import sys

clade = sys.argv[1]


def run(*arguments):
    done = subprocess.run([clade, *arguments, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr)
    return json.loads(done.stdout)


SECTIONS = ("serves", "keys", "fields", "requirements", "computation", "weights", "equations")
families = run("list")
for family in families:
    name, base = family["name"], family["base"]
    same = run("diff", name, name)
    assert same["same"] and not any(same[section] for section in SECTIONS), name
    if not base:
        continue
    there, back = run("diff", base, name), run("diff", name, base)
    assert not there["same"] and there["summary"].startswith(f"{name} = {base} "), there["summary"]
    assert {c["name"] for c in there["serves"]} == {c["name"] for c in back["serves"]}, name
    for section in SECTIONS:
        if section in ("computation", "weights"):
            continue  # What changed may be put together in another way.
        added = sorted(c["name"] for c in there[section] if c["change"] == "added")
        removed = sorted(c["name"] for c in back[section] if c["change"] == "removed")
        assert added == removed, (name, section, added, removed)
    assert not there["notes"], (name, there["notes"])
print(f"{len(families)} families")
