#===- packages.py - Packages beside the reference environment ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# What only one comparison needs is no part of the reference environment. It lies
# in a folder of $CLADE_CACHE, named after a hash of its requirements. What must be
# built from source is taken from $CLADE_CACHE/wheels if it lies there.
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


def add(name):
    """Makes the packages of tools/dev/requirements-NAME.txt importable, installing them once."""
    requirements = TREE / f"tools/dev/requirements-{name}.txt"
    folder = CACHE / f"{name}-{hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:10]}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=CACHE) as work:
            made = pathlib.Path(work) / "packages"
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                            "--no-deps", "--find-links", CACHE / "wheels", "--target", made, "-r", requirements], check=True)
            try:
                made.rename(folder)
            except OSError:  # Another process was faster.
                if not folder.exists():
                    raise
    sys.path.append(str(folder))
