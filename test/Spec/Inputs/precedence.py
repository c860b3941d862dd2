"""Writes random expressions with as few brackets as the grammar of docs/language.md needs, and what their trees are.

precedence.py SPEC TREES writes SPEC, a block with one expression a line, and TREES, what `clade-translate --dump-spec`
has to print of it: the trees come from the generator, not from a parser.
"""
import random
import sys

# What binds how tightly, loosest first; where operands of the same level may stand without brackets.
LEVELS = [
    (["or"], "left"),
    (["and"], "left"),
    (["not"], "prefix"),
    (["==", "!=", "<", ">", "<=", ">=", "in", "divides"], "none"),
    (["?", "??"], "right"),
    (["+", "-"], "left"),
    (["*", "/", "%"], "left"),
    (["neg"], "prefix"),
    (["^"], "power"),
]
ATOM = len(LEVELS)
CALL = ATOM - 0.5  # f(x), x[i], x.a: what may stand in front of '^' or behind a suffix without brackets.


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def atom(self):
        kind = self.rng.randrange(8)
        if kind < 4:
            name = self.rng.choice("abcdexyz")
            return name, name, ATOM
        if kind == 4:
            number = str(self.rng.randrange(100))
            return number, number, ATOM
        if kind == 5:
            return '"s"', '"s"', ATOM
        text, tree, _ = self.expression(1)
        if kind == 6:
            return f"f({text})", f"(call f (arg {tree}))", CALL
        base = self.rng.choice("abc")
        return f"{base}[{text}]", f"(index {base} (arg {tree}))", CALL

    def bracketed(self, value, least):
        """`value`, in brackets unless it binds at least as tightly as `least`."""
        text, tree, level = value
        return (text, tree) if level >= least else (f"({text})", f"(paren {tree})")

    def expression(self, depth):
        """The text of an expression, its tree, and how tightly it binds."""
        if depth == 0 or self.rng.random() < 0.15:
            return self.atom()
        level = self.rng.randrange(len(LEVELS))
        operators, kind = LEVELS[level]
        operator = self.rng.choice(operators)
        if kind == "prefix":
            # 'not' takes a comparison, or what binds tighter; '-' likewise a power: '- -x' needs brackets.
            text, tree = self.bracketed(self.expression(depth - 1), level + 1)
            return (f"not {text}", f"(not {tree})", level) if operator == "not" else (f"-{text}", f"(neg {tree})", level)
        left, right = self.expression(depth - 1), self.expression(depth - 1)
        if kind == "power":
            # To the right a sign or another power may follow; to the left only what has no operator.
            ours, base = self.bracketed(left, CALL)
            theirs, exponent = self.bracketed(right, level - 1)
        else:
            ours, base = self.bracketed(left, level if kind == "left" else level + 1)
            theirs, exponent = self.bracketed(right, level if kind == "right" else level + 1)
        return f"{ours} {operator} {theirs}", f"({operator} {base} {exponent})", level


def main():
    generator = Generator(seed=20)
    with open(sys.argv[1], "w", encoding="utf-8") as spec, open(sys.argv[2], "w", encoding="utf-8") as trees:
        print("block f(x) {", file=spec)
        print("block f (param x)", file=trees)
        for _ in range(600):
            text, tree, _ = generator.expression(generator.rng.randint(1, 3))
            print(f"  {text}", file=spec)
            print(f"  {tree}", file=trees)
        print("}", file=spec)


main()
