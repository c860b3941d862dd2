//===- BlockOrder.h - The fields of a block in packed order -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GGUF's blocks and the order of PackedBlocks.h have the same bits. Q8_0, Q4_0
// and FP8_128 also have them in the same places.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_BLOCKORDER_H
#define CLADE_RUNTIME_WEIGHTS_BLOCKORDER_H

#include "runtime/Weights/PackedBlocks.h"

#include <cstddef>

namespace clade::rt {

/// The most bytes of a block that packedLayouts has.
inline constexpr int64_t maxPackedBlockBytes = 256;

/// Whether the fields of a block are in packed order as they are stored.
inline bool isInPackedOrder(const PackedLayout &layout) {
  return layout.type == DType::Q8_0 || layout.type == DType::Q4_0 ||
         layout.isFloat;
}

/// Writes the fields of a stored block of another type in packed order, one
/// row's, and the way back. Neither may overlap the other.
void orderBlock(const PackedLayout &layout, const std::byte *block,
                std::byte *ordered);
void restoreBlock(const PackedLayout &layout, const std::byte *ordered,
                  std::byte *block);

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_BLOCKORDER_H
