#!/bin/sh
# ===- docs.sh - The generated pages of docs/ ----------------------------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
# Writes docs/generated from the sources; with --check, writes nothing and fails
# if a page is not what the sources give. MLIR_TBLGEN names another mlir-tblgen.
#
# usage: docs.sh [--check]
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
tblgen=${MLIR_TBLGEN:-/usr/lib/llvm-22/bin/mlir-tblgen}
include=$(dirname "$tblgen")/../include

case "${1-}" in
"" | --check) ;;
*)
  echo "usage: docs.sh [--check]" >&2
  exit 2
  ;;
esac

# page DIALECT FILE: the page of a dialect on standard output.
page() {
  "$tblgen" -gen-dialect-doc -dialect="$1" -I "$root" -I "$include" "$root/$2"
}

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
page clade dialect/Clade/CladeOps.td >"$fresh/CladeDialect.md"
page wmap dialect/WMap/WMapOps.td >"$fresh/WMapDialect.md"

if [ "${1-}" = --check ]; then
  if ! diff -ru "$root/docs/generated" "$fresh"; then
    echo "docs/generated is not what the sources give; run tools/dev/docs.sh" >&2
    exit 1
  fi
  exit 0
fi
mkdir -p "$root/docs/generated"
cp "$fresh"/*.md "$root/docs/generated/"
