#===- packages.py - Packages beside the reference environment ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# What only one comparison needs is no part of the reference environment. It lies
# in a folder of $CLADE_CACHE, named after a hash of its requirements; a link of its
# name alone leads there. What must be built from source is taken from
# $CLADE_CACHE/wheels if it lies there.
#
# Usage: packages.py NAME…
# installs them, and prints their folders.
#
#===------------------------------------------------------------------------===#
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).parents[2]
CACHE = pathlib.Path(os.environ.get("CLADE_CACHE", pathlib.Path.home() / ".cache" / "clade"))


def folder(name):
    """The folder with the packages of tools/dev/requirements-NAME.txt, which are installed once."""
    requirements = TREE / f"tools/dev/requirements-{name}.txt"
    place = CACHE / f"{name}-{hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:10]}"
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=CACHE) as work:
            made = pathlib.Path(work) / "packages"
            wheels = CACHE / "wheels"
            built = ["--find-links", wheels] if wheels.exists() else []
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                            "--no-deps", *built, "--target", made, "-r", requirements], check=True)
            try:
                made.rename(place)
            except OSError:  # Another process was faster.
                if not place.exists():
                    raise
    link(CACHE / name, place)
    return place


def link(path, place):
    """Makes `path` lead to the folder, at once."""
    if path.is_symlink() and os.readlink(path) == place.name:
        return
    work = path.with_name(f".{path.name}.{os.getpid()}")
    work.symlink_to(place.name)
    work.rename(path)


def add(name):
    """Makes these packages importable."""
    sys.path.append(str(folder(name)))


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        print(folder(wanted))
