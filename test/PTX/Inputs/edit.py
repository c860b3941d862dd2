"""Writes a launch file with changes: edit.py FROM TO CHANGE…

A change is KEY=JSON, or `buffer TYPE COUNT FILL`, which makes 'a' the only
buffer; '-' leaves its type or its filling out.
"""
import json
import sys

with open(sys.argv[1]) as file:
    launch = json.load(file)
for change in sys.argv[3:]:
    if change.startswith("buffer "):
        _, kind, count, fill = change.split(" ", 3)
        buffer = {"count": int(count)}
        if kind != "-":
            buffer["type"] = kind
        if fill != "-":
            buffer["fill"] = json.loads(fill)
        launch["buffers"] = {"a": buffer}
        continue
    key, value = change.split("=", 1)
    launch[key] = json.loads(value)
with open(sys.argv[2], "w") as file:
    json.dump(launch, file)
