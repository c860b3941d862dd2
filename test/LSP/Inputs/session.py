"""A session of an editor: what the server says of a family and of slips in it.

usage: session.py SERVER FOLDER, with own.spec and config.json in FOLDER
"""

import pathlib
import sys

from client import Client

server, folder = sys.argv[1], pathlib.Path(sys.argv[2])
spec = str(folder / "own.spec")
client = Client(server)


def show(title, value):
    print(f"{title}: {value}")


def messages(path):
    for one in client.diagnostics(path):
        start, end = one["range"]["start"], one["range"]["end"]
        word = client.texts[path].split("\n")[start["line"]].encode("utf-16-le")[
            2 * start["character"] : 2 * end["character"]].decode("utf-16-le")
        related = [r["message"] for r in one.get("relatedInformation", [])]
        print(f"message {start['line'] + 1}:{start['character']} '{word}': {one['message']} {related or ''}")


def hover(marked, skip=0):
    found = client.ask("hover", spec, marked, skip)
    show(f"hover {marked}", found and " / ".join(line for line in found["contents"]["value"].split("\n") if line))


def definition(marked, skip=0):
    found = client.ask("definition", spec, marked, skip)
    show(f"definition {marked}", found and f"{pathlib.Path(found['uri']).name} line {found['range']['start']['line'] + 1}")


def completion(text, marked):
    """Of a text that replaces the open one."""
    client.change(spec, text)
    found = client.ask("completion", spec, marked)
    show(f"completion {marked}", sorted(item["label"] for item in found["items"]))


capabilities = client.initialize()["capabilities"]
show("capabilities", sorted(capabilities))
client.open(spec)
text = client.texts[spec]
show("diagnostics", client.diagnostics(spec))

hover("return nor|m(q)")
hover("q, k, v| = llama.heads(x)")
hover("|q, k, v = llama.heads(x)")
hover("llama.hea|ds(x)")
hover("hea|d = head_dim")
hover("head_di|m ?? 128")
hover("attend(q, k, v, mask: caus|al")
hover("= att|end(q")
hover("from qwe|n2")
hover("// é→𝒜 |a comment")
hover("use ml|p from llama")

definition("llama.hea|ds(x)")
definition("return nor|m(q)")
definition("from qwe|n2")
definition("use ml|p from llama")
definition("rope(|q, rot)")
definition("scale: sca|le")
definition("rms_no|rm_wide")
definition("linear|(y")

symbols = client.request("textDocument/documentSymbol", {"textDocument": {"uri": client.uri(spec)}})
show("symbols", [(s["name"], [c["name"] for c in s["children"]]) for s in symbols])

edits = client.request("textDocument/formatting",
                       {"textDocument": {"uri": client.uri(spec)}, "options": {"tabSize": 2, "insertSpaces": True}})
show("formatting", len(edits))
formatted = edits[0]["newText"]
client.change(spec, formatted)
show("again", client.request("textDocument/formatting", {"textDocument": {"uri": client.uri(spec)}}))
show("still", client.diagnostics(spec))

# Slips while typing.
client.change(spec, text.replace("llama.heads(x)", "llama.headz(x)"))
messages(spec)
client.change(spec, text.replace("return norm(q)", "return nor(q"))
messages(spec)
show("formatting of broken text", client.request("textDocument/formatting", {"textDocument": {"uri": client.uri(spec)}}))
definition("use ml|p from llama")
client.change(spec, text.replace('"OwnForCausalLM"', '"𝒜" 𝒜'))
messages(spec)
client.change(spec, text.replace("head_dim ?? 128", "head_dims ?? 128"))
messages(spec)
client.change(spec, text.replace("// config: config.json", "// config: nowhere.json"))
messages(spec)

# What may be written.
completion(text.replace("return norm(q)", "return llama.h"), "return llama.h|")
completion(text.replace("return norm(q)", "return rms_"), "return rms_|")
completion(text.replace("head = head_dim", "head = num_"), "head = num_|")
completion(text.replace("use mlp from llama", "use m from llama"), "use m| from llama")
completion(text.replace("from qwen2 {", "from qw {"), "from qw| {")
completion(text.replace("serves", "ser", 1), "  ser| ")
completion(text.replace("y = attend", "xyz = 1\n    zz = xy\n    y = attend"), "zz = xy|")

# A checkpoint: names of its tensors.
client.change(spec, text.replace("// config: config.json", "// checkpoint: tiny"))
show("with a checkpoint", client.diagnostics(spec))
completion(text.replace("// config: config.json", "// checkpoint: tiny").replace("at q_norm, n", "at self_attn.q, n"),
           "self_attn.q|, n")
client.change(spec, text.replace("// config: config.json", "// checkpoint: tiny").replace("at q_norm", "at qq_norm"))
messages(spec)

# What was said of a closed text is gone; requests about it have no answer.
client.notify("textDocument/didClose", {"textDocument": {"uri": client.uri(spec)}})
show("closed", client.ask("hover", spec, "llama.hea|ds(x)"))
show("unknown method", client.request("textDocument/nonsense")["error"]["code"])
show("exit", client.stop())
