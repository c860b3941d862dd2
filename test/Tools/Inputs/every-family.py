"""every-family.py CLADE FOLDER: a tiny checkpoint of every family that serves an architecture, made without settings,
compiled, run and verified against the interpreter; of families with images, with images as well. A line for each."""

import json
import pathlib
import subprocess
import sys

import images

CLADE, WORK = sys.argv[1], pathlib.Path(sys.argv[2])
TEXT = [(i * 37 + 11) % 200 + 20 for i in range(40)]


def clade(*arguments):
    done = subprocess.run([CLADE, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"clade {arguments[0]}: {(done.stderr or done.stdout).strip()[:1500]}")
    return done.stdout


def inputs_of(layout, path):
    """Two images, as their processor gives them, and the tokens of a prompt that holds them."""
    patch, merge = layout["patch"], layout["merge"]
    block, state, pixels = patch * merge, 1, []
    sides = [(2, 3), (1, 2)]  # in blocks
    values = layout["channels"] * max(layout["frames"], 1) * patch**2
    is_cut = layout["frames"] > 0 or layout["in_rows"]
    if is_cut:
        count = sum(rows * columns * merge**2 for rows, columns in sides) * values
        shape = [count // values, values] if layout["frames"] > 0 else [count // values, layout["channels"], patch, patch]
        sizes, width = [n for rows, columns in sides for n in (1, rows * merge, columns * merge)], 3
    else:
        shape = [2, layout["channels"], 2 * block, 3 * block]
        count = 2 * layout["channels"] * 6 * block**2
        sizes, width = [n * block for side in sides for n in side], 2
    for _ in range(count):
        state = images.following(state)
        pixels.append(state / 0x40000000 - 1)
    images.write(path, {layout["sizes"]: ("I64", [2, width], sizes), layout["pixels"]: ("F32", shape, pixels)})
    rows = [r * c * merge**2 // layout["fold"] for r, c in sides]
    token = layout["tokens"][0]
    return TEXT[:5] + [token] * rows[0] + TEXT[5:9] + [token] * rows[1] + TEXT[9:14]


def logits(model, tokens, path, *more):
    clade("run", model, "--tokens", ",".join(map(str, tokens)), "--force", "21,22,23", "--logits", path, *more)
    return images.read(path)["logits"]


def check(family):
    model, artifact = WORK / family, WORK / f"{family}.artifact"
    clade("tiny", family, "-o", model)
    clade("compile", model, "-o", artifact)
    clade("verify", model, "--artifact", artifact)
    entry = json.loads((artifact / "manifest.json").read_text()).get("images")
    if not entry:
        return "text"
    inputs = WORK / f"{family}.safetensors"
    tokens = inputs_of(entry, inputs)
    ours = logits(artifact, tokens, WORK / "compiled", "--inputs", inputs)
    theirs = logits(model, tokens, WORK / "interpreted", "--inputs", inputs, "--interpret")
    worst = max(abs(a - b) for a, b in zip(ours, theirs)) / max(map(abs, theirs))
    if len(ours) != len(theirs) or not worst < 1e-5:
        raise RuntimeError(f"with images the logits differ by {worst:.1e}")
    return "text and images"


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    failed = 0
    for family in json.loads(clade("list", "--json")):
        if not family["architectures"]:
            continue
        try:
            print(f"{family['name']}: {check(family['name'])}", flush=True)
        except RuntimeError as error:
            failed += 1
            print(f"{family['name']}: FAIL\n{error}", flush=True)
    print(f"{failed} failed")
    return failed != 0


sys.exit(main())
