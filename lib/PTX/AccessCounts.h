//===- AccessCounts.h - What an access costs a memory -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_ACCESSCOUNTS_H
#define CLADE_PTX_ACCESSCOUNTS_H

#include "lib/PTX/Program.h"

namespace clade::ptx {

/// Sectors of 32 bytes that the lanes of a mask touch, each counted once.
unsigned countSectors(const uint64_t *addresses, LaneMask mask, unsigned bytes);

/// The lines of 128 bytes that the lanes of a mask touch, each once, in the
/// order of the lanes; lanes have up to 128 bytes. Returns how many.
struct TouchedLine {
  uint64_t line;   ///< Address divided by 128.
  uint8_t sectors; ///< A bit for each of its four sectors.
};
unsigned findLines(const uint64_t *addresses, LaneMask mask, unsigned bytes,
                   TouchedLine (&lines)[2 * warpSize]);

/// Passes over the 32 banks of 4 bytes of shared memory: 8-byte accesses go by
/// half warps, 16-byte accesses by quarters, and lanes that want the same word
/// share it.
unsigned countWaves(const uint64_t *addresses, LaneMask mask, unsigned bytes);

} // namespace clade::ptx

#endif // CLADE_PTX_ACCESSCOUNTS_H
