//===- SharedTile.h - Matrices in shared memory -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The layouts that matrix descriptors of wgmma and tensor copies describe (PTX
// ISA 9.7.15.5.1.2 and 5.5.7); pure functions.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_SHAREDTILE_H
#define CLADE_PTX_SHAREDTILE_H

#include "lib/PTX/TensorMap.h"

#include <cstdint>

namespace clade::ptx {

/// A matrix descriptor, taken apart.
struct MatrixDescriptor {
  uint32_t start = 0;         ///< Offset in shared memory, bytes.
  uint32_t leadingOffset = 0; ///< Bytes.
  uint32_t strideOffset = 0;  ///< Bytes.
  unsigned baseOffset = 0;
  Swizzle swizzle = Swizzle::None;
};
MatrixDescriptor decodeDescriptor(uint64_t bits);

/// Why the descriptor cannot be used, or null.
const char *descriptorProblem(const MatrixDescriptor &descriptor);

/// The offset in shared memory of the element at `outer` along M or N and at
/// `k`. Neighbours along K lie side by side; with `isTransposed` (M- or
/// N-major) those along M or N. `bytes` are those of an element.
uint32_t elementAddress(const MatrixDescriptor &descriptor, bool isTransposed,
                        unsigned bytes, unsigned outer, unsigned k);

} // namespace clade::ptx

#endif // CLADE_PTX_SHAREDTILE_H
