# both-layouts.py CLADE CHECKPOINT: the logits of a prompt, at once, in pieces and
# token by token, with weights in panels and in rows, in f32 and bf16: the same
# bytes in all.
import pathlib
import subprocess
import sys

clade, model = sys.argv[1:]
tokens = ",".join(str(1 + 7 * i % 50) for i in range(21))
for dtype in ("f32", "bf16"):
    files = {}
    for layout in ("panels", "rows"):
        for chunk in (64, 5, 1):
            name = pathlib.Path(f"{model}-{dtype}-{layout}-{chunk}.safetensors")
            subprocess.run([clade, "run", model, "--dtype", dtype, "--layout", layout, "--tokens", tokens, "--chunk", str(chunk),
                            "--max-tokens", "3", "--ignore-eos", "--logits", str(name)], check=True, stdout=subprocess.DEVNULL)
            files[layout, chunk] = name.read_bytes()
    assert len(files["rows", 64]) > 21 * 16
    for chunk in (64, 5, 1):
        if files["rows", chunk] != files["panels", chunk]:
            sys.exit(f"{model}, {dtype}, pieces of {chunk}: rows and panels differ")
