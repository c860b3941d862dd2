#!/usr/bin/env bash
#===- python-env.sh - The Python environment of the references --------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Makes, once, a virtual environment with the packages of requirements.txt and
# prints the path of its python on stdout (progress goes to stderr). The
# environment lies outside the tree, under $CLADE_CACHE (~/.cache/clade).
# With names, such as `automodel`, also the packages of requirements-NAME.txt,
# each in a folder of its own there, which `clade verify` and the tests find.
#
# The directory is named after a hash of the requirements and finished by a
# stamp, so a changed pin makes a new one and an interrupted run is repaired.
# `venv` is a link that always points to a finished environment.
#
#===------------------------------------------------------------------------===#
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CLADE_CACHE:-$HOME/.cache/clade}
requirements=$here/requirements.txt
base=${CLADE_PYTHON:-python3}

say() { echo "python-env: $*" >&2; }

if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
  say "'$base' cannot make virtual environments (on Debian: apt-get install python3-venv)"
  exit 1
fi

key=$( (cat "$requirements"; "$base" -c 'import sys; print(sys.version_info[:2], sys.base_prefix)') |
       sha256sum | cut -c1-12)
env=$cache/venv-$key
python=$cache/venv/bin/python

# What is wanted beside the environment.
finish() {
  local name
  for name in "$@"; do
    if [[ ! -e $here/requirements-$name.txt ]]; then
      say "there is no requirements-$name.txt"
      exit 1
    fi
    "$python" "$here/../../test/Parity/packages.py" "$name" >&2
  done
  echo "$python"
}

ready() { [[ -e $env/.complete && $(readlink "$cache/venv") == "venv-$key" ]]; }

if ready; then
  finish "$@"
  exit 0
fi

# The kernel drops the lock when its holder dies, so none can go stale.
mkdir -p "$cache"
exec 9>"$cache/venv.lock"
if ! flock -n 9; then
  say "another process is making the environment; waiting for it"
  flock 9
fi

if [[ ! -e $env/.complete ]]; then
  say "making $env: torch, transformers and their libraries (about 2 minutes and 5 GB, once)"
  rm -rf "$env"
  "$base" -m venv "$env"
  # torch's wheel is linked to the CUDA libraries and does not load without
  # them, even where only the CPU is used: they cannot be left out.
  "$env/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir -r "$requirements" >&2
  "$env/bin/python" -c 'import torch, transformers; torch.ones(2, 2) @ torch.ones(2, 2)'
  touch "$env/.complete"
fi

ln -sfn "venv-$key" "$cache/venv.link.$$"
mv -fT "$cache/venv.link.$$" "$cache/venv"
say "ready: $python"
finish "$@"
