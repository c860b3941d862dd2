"""Writes specs that are too long, too deep or too slow to be meant: python3 write-limits.py FOLDER."""
import os
import sys

ENTRY = "  entry forward(tokens) {{\n    x = embed(tokens, [4, d = 8]) at e\n{}    return x\n  }}\n"
TENSORS = '// tensors: {"other": {"dtype": "F32", "shape": [4, 8]}}\n'


def write(name, text):
    with open(os.path.join(sys.argv[1], name + ".spec"), "w", encoding="utf-8") as file:
        file.write(text)


def lines(form, count):
    return "".join(form.format(i=i, next=i + 1) + "\n" for i in range(count))


def family(inside, statement=""):
    return "family f {\n" + inside + ENTRY.format(statement) + "}\n"


def weights(inside):
    return family("  weights {\n    e.weight = a0\n" + inside + "  }\n") + TENSORS


write("blocks", family(lines("  block b{i}(x) = b{next}(x)", 2000) + "  block b2000(x) = x\n", "    x = b0(x)\n"))
write("fields", family("  config {\n" + lines("    f{i} = f{next}", 20000) + "    f20000 = 1\n  }\n", "    x = x * f0\n"))
write("uses", lines("family f{i} {{ use g from f{next} }}", 1000) + "family f1000 { block g(x) = x }\n"
      + family("  use g from f0\n", "    x = g(x)\n"))
write("bases", lines("family f{i} from f{next} {{ }}", 1000) + "family f1000 { block g(x) = x }\n"
      + "family f from f0 {\n" + ENTRY.format("    x = g(x)\n") + "}\n")
write("chain", weights(lines("    a{i} = a{next}", 20000)))
write("functions", weights("    a0 = " + "transpose(" * 200 + "b" + ")" * 200 + "\n"))
write("alternatives", weights(lines("    a{i} = transpose(a{next}), or unit_rows(a{next})", 60)))
write("names", weights(lines("    {{p}} = {{p}}{{p}}", 50)))
write("string", family('  config { s = "' + "é" * 100000 + '" }\n', "    x = x * s\n"))
