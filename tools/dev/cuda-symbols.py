#!/usr/bin/env python3
#===- cuda-symbols.py - The functions of the virtual driver -----------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Writes the list of exported functions into docs/ptx-driver.md, or checks it.

Usage: cuda-symbols.py --library LIBRARY --page PAGE [--check]

The list stands between the lines `<!-- symbols -->` and `<!-- end -->`. With
--check nothing is written and a list that differs is an error.
"""
import argparse
import re
import subprocess
import sys

BEGIN, END = "<!-- symbols -->\n", "<!-- end -->\n"
# By the part of the name behind "cu", the longest that fits.
GROUPS = {
    "Initialisation, version, errors": ["Init", "Driver", "GetError", "GetProcAddress", "GetExportTable", "Profiler"],
    "Devices": ["Device"],
    "Contexts": ["Ctx", "DevicePrimaryCtx"],
    "Modules and libraries": ["Module", "Library", "Kernel"],
    "Functions and occupancy": ["Func", "Occupancy"],
    "Launches": ["Launch"],
    "Memory": ["Mem", "Pointer", "DeviceGetDefaultMemPool", "DeviceGetMemPool", "DeviceSetMemPool"],
    "Copies and fills": ["Memcpy", "Memset"],
    "Streams, events, capture": ["Stream", "Event", "Thread"],
    "Graphs": ["Graph"],
    "Tensor maps": ["TensorMap"],
}


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return sorted({line.split()[-1] for line in lines if re.search(r" [TtWi] cu", line)})


def group_of(name):
    fits = [(len(prefix), group) for group, prefixes in GROUPS.items() for prefix in prefixes
            if name.startswith("cu" + prefix)]
    return max(fits)[1] if fits else "Others"


def base_of(name):
    return re.sub(r"(_v\d+)?(_ptsz|_ptds)?$", "", name)


def listing(symbols):
    groups = {group: {} for group in [*GROUPS, "Others"]}
    for name in symbols:
        base = base_of(name)
        groups[group_of(base)].setdefault(base, []).append(name[len(base):])
    out = ""
    for group, bases in groups.items():
        if not bases:
            continue
        names = [f"`{base}`" + (f" ({', '.join(form or 'plain' for form in forms)})" if forms != [""] else "")
                 for base, forms in sorted(bases.items())]
        out += f"\n**{group}**: {', '.join(names)}.\n"
    return f"{out}\n{len(symbols)} symbols.\n\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--page", required=True)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with open(args.page, encoding="utf-8") as file:
        page = file.read()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"{args.page}: expected one '{BEGIN.strip()}' and one '{END.strip()}'")
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    new = head + BEGIN + listing(exported(args.library)) + END + tail
    if args.check and new != page:
        sys.exit(f"{args.page}: the list of functions is not that of {args.library}; run this without --check")
    if not args.check:
        with open(args.page, "w", encoding="utf-8") as file:
            file.write(new)


if __name__ == "__main__":
    main()
