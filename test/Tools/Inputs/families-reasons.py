"""What tools/dev/families.py makes of ops that one family alone uses: with a reason, and without.

usage: families-reasons.py SCRIPT
"""

import importlib.util
import sys
import types

spec = importlib.util.spec_from_file_location("families", sys.argv[1])
families = importlib.util.module_from_spec(spec)
spec.loader.exec_module(families)

users = {name: types.SimpleNamespace(name=name, ops=ops) for name, ops in
         {"a": {"linear", "twist"}, "b": {"linear"}, "c": {"linear"}}.items()}
told = "Twists.\n    Not a composition: it keeps a state\n    between steps. More.\n"
print(families.ops_table(users, {"linear": "Maps.", "twist": told, "kernel": "Groups."}))
families.ops_table(users, {"linear": "Maps.", "twist": "Twists."})
