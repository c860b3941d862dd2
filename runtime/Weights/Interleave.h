//===- Interleave.h - The inner loops of packing ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Copies rows into the alternating units of a panel. Knows bytes, not dtypes.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_INTERLEAVE_H
#define CLADE_RUNTIME_WEIGHTS_INTERLEAVE_H

#include <cstddef>
#include <cstdint>
#include <span>

namespace clade::rt {

/// Copies `width` elements of `elementBytes` from each of rows[r] to `out`, a
/// piece of a panel [unit][panelRows][inner]: element k of row r goes to
/// [k / inner][r][k % inner]. What no row covers is left as it is.
void interleaveRows(std::span<const std::byte *const> rows, int64_t width,
                    int64_t elementBytes, int64_t inner, int64_t panelRows,
                    std::byte *out);

/// What interleaveRows() does with registers of 64 bytes where the CPU has
/// them: the units [0, n) of four bytes of all rows, which are a multiple of
/// 16, to places `stride` bytes apart. Gives n, which is 0 where it does not
/// apply.
int64_t interleaveWide(std::span<const std::byte *const> rows, int64_t units,
                       int64_t stride, std::byte *out);

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_INTERLEAVE_H
