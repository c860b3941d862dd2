//===- MatrixTile.h - Fragments in registers as tiles -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Between the registers of a warp and row-major tiles of f32, f64 or s32, for
// the instructions of the tensor cores.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_INSTRUCTIONS_MATRIXTILE_H
#define CLADE_PTX_INSTRUCTIONS_MATRIXTILE_H

#include "lib/PTX/Decoder.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Fragments.h"

namespace clade::ptx {

/// The lanes' registers from `slots` on as values of the matrix. `thread` is
/// the first thread of the warp in the fragment (of a warpgroup).
void gatherTile(const Warp &warp, const Slot *slots, const Fragment &fragment,
                Type type, unsigned thread, float *tile);
void gatherTile(const Warp &warp, const Slot *slots, const Fragment &fragment,
                Type type, unsigned thread, int32_t *tile);
void gatherTile(const Warp &warp, const Slot *slots, const Fragment &fragment,
                double *tile);
/// Single bits: 32 along K in a word; B is gathered column by column.
void gatherBits(const Warp &warp, const Slot *slots, const Fragment &fragment,
                bool isB, unsigned thread, uint32_t *tile);

/// The other way, for accumulators. NaNs become the canonical ones.
void scatterTile(Warp &warp, const Slot *slots, const Fragment &fragment,
                 Type type, unsigned thread, const float *tile);
void scatterTile(Warp &warp, const Slot *slots, const Fragment &fragment,
                 unsigned thread, const int32_t *tile);
void scatterTile(Warp &warp, const Slot *slots, const Fragment &fragment,
                 const double *tile);

/// The values of `count` elements in memory; `bits` are 8 to 32.
void decodeElements(Type type, const std::byte *from, unsigned count,
                    float *to);
void decodeElements(Type type, const std::byte *from, unsigned count,
                    int32_t *to);

/// For a `.sync.aligned` instruction: true if all 32 threads of the warp are
/// here. Otherwise the caller returns: the op is executed again, or a finding
/// was reported.
bool needsWholeWarp(Warp &warp, const Op &op, LaneMask exec);

/// "m16n8k16", if it is such.
std::optional<MatrixShape> parseShape(std::string_view text);
std::string shapeName(MatrixShape shape);

// The parts of the family.
void addMatrixMultiply(Registry &);
void addMatrixMove(Registry &);
void addMatrixLoad(Registry &);
void addWarpgroup(Registry &);

} // namespace clade::ptx

#endif // CLADE_PTX_INSTRUCTIONS_MATRIXTILE_H
