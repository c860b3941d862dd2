"""Colours files by the TextMate grammar, and says what the grammar lacks.

The grammar must have only 'match' rules, 'captures' and includes of its own: these are applied line by line as an
editor does, the rule whose match begins first, of several there the first one.

usage: tokenise.py GRAMMAR FILE...            every character belongs to a rule; prints how often each scope occurs
       tokenise.py GRAMMAR --words SOURCE...  every word in quotes in the sources' lists of keywords is in a keyword rule
"""

import collections
import json
import pathlib
import re
import sys


class Grammar:
    def __init__(self, path):
        self.rules = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        self.flat = list(self.flatten(self.rules["patterns"]))

    def flatten(self, patterns):
        for rule in patterns:
            if "include" in rule:
                yield from self.flatten([self.rules["repository"][rule["include"].removeprefix("#")]])
            elif "patterns" in rule:
                yield from self.flatten(rule["patterns"])
            else:
                unknown = set(rule) - {"name", "match", "captures"}
                assert not unknown, f"a rule has {unknown}"
                yield re.compile(rule["match"]), rule

    def tokens(self, line):
        """Yields the scope and the text of each token; None for what no rule takes."""
        at = 0
        while at < len(line):
            found = [(m.start(), i, m) for i, (pattern, _) in enumerate(self.flat) if (m := pattern.search(line, at))]
            if not found:
                yield None, line[at:]
                return
            start, index, match = min(found, key=lambda f: f[:2])
            if start > at:
                yield None, line[at:start]
            rule = self.flat[index][1]
            if "captures" not in rule:
                yield rule["name"], match.group()
            else:
                end = start
                for number in sorted(map(int, rule["captures"])):
                    if match.start(number) > end:
                        yield None, line[end : match.start(number)]
                    yield rule["captures"][str(number)]["name"], match.group(number)
                    end = match.end(number)
            at = match.end()


def words_of(path):
    """Quoted words: of the grammar of a page, of the reserved words and built-ins of a source."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        text = text.split("## Grammar")[1].split("```")[1]
        return ("keyword", "constant"), set(re.findall(r'"([a-z]+)"', text))
    if "isReserved" in text:
        body = text.split("bool clade::spec::isReserved")[1].split("\n}\n")[0]
        return ("keyword",), set(re.findall(r'"([a-z]+)"', body))
    body = text.split("check::builtins()")[1].split("return all;")[0]
    names = set(re.findall(r'\{"(\w+)",\s*Kind::', body))
    unary = re.search(r'StringRef name :\s*\{(.*?)\}', body, re.DOTALL)
    return ("support.function",), names | set(re.findall(r'"(\w+)"', unary.group(1)))


def main():
    grammar = Grammar(sys.argv[1])
    if sys.argv[2] == "--words":
        for source in sys.argv[3:]:
            scopes, words = words_of(source)
            assert words, source
            missing = [word for word in sorted(words) if not any(
                scope and scope.startswith(scopes) and text == word for scope, text in grammar.tokens(
                    f"{word}(" if "support.function" in scopes else f" {word} "))]
            if missing:
                sys.exit(f"{source}: the grammar does not know {', '.join(missing)}")
            print(f"{pathlib.Path(source).name}: {len(words)} words known")
        return
    counts = collections.Counter()
    for path in sys.argv[2:]:
        for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").split("\n"), 1):
            rest = line
            for scope, text in grammar.tokens(line):
                rest = rest[len(text):]
                if scope is None and text.strip():
                    sys.exit(f"{path}:{number}: no rule takes '{text.strip()}'")
                if scope:
                    counts[scope.removesuffix(".clade-spec")] += 1
                if "//" in line and scope and scope.startswith("comment"):
                    assert not rest, f"{path}:{number}: a comment ends before its line"
    for scope, count in sorted(counts.items()):
        print(f"{scope} {count}")


if __name__ == "__main__":
    main()
