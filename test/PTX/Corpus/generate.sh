#!/usr/bin/env bash
#===- generate.sh - The PTX of the corpus that is kept in the tree ----------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: generate.sh [NVCC]
#
# A part of the corpus, small in bytes, for machines without the CUDA toolkit.
set -euo pipefail

nvcc=${1:-nvcc}
cd "$(dirname "${BASH_SOURCE[0]}")"
for pair in Elementwise.sm_80 Shared.sm_80 Warp.sm_90a Control.sm_90a Hopper.sm_90a; do
  "$nvcc" -ptx -std=c++17 -arch="${pair#*.}" -o "generated/$pair.ptx" "${pair%.*}.cu"
done
