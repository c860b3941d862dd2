//===- PackedBlocks.h - Weights that stay in blocks -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which block types compiled products read as they are, and how a panel of them
// lies in memory. A panel of R rows is, for each block of columns, the fields
// of the blocks of its rows, row after row of each field. In this order,
//
//   what the groups of 32 columns share, in blocks of 256: f16 d; with a
//     minimum f16 dmin and u32 tops, four bits a group: those above the four of
//     its scale, then of its minimum
//   for each group of 32 columns
//     its scale: f16; in blocks of 256 a byte with four bits of the scale and,
//       above, of the minimum; of Q6_K two i8, of 16 columns each
//     the codes in words of four columns, so that a run of 4 R bytes is that
//       of the panel: of 8 bits eight words; else four with the low four bits
//       of columns c (low half of a byte) and c + 16, and behind them the fifth
//       bit       one word: that of column 4 s + b is bit s of byte b fifth and
//       sixth     two words: those of column 4 r + b, r < 4, are bits
//                           2 (r % 2) … of byte b of word r / 2, those of
//                           column 16 + 4 r + b four bits higher
//
// Of Q8_ROW a row is one block: its f32 scale, and then the codes of all groups
// of 32 columns, of which there are two for each 64 columns.
//
// Codes of Q8_0 and Q8_ROW are stored as unsigned bytes, 128 more than they
// are. FP8_128 has a scale in f32 for four groups, and codes of E4M3 as words
// of four columns.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_PACKEDBLOCKS_H
#define CLADE_RUNTIME_WEIGHTS_PACKEDBLOCKS_H

#include "runtime/Formats/DType.h"

namespace clade::rt {

/// Counts the changes of what is described above: bytes that were kept by an
/// older runtime mean something else.
inline constexpr int64_t packedBlocksVersion = 2;

/// The rows of a panel are a multiple of this.
inline constexpr int64_t packedBlockRows = 16;
/// Columns that a group has, whatever the type.
inline constexpr int64_t packedGroupColumns = 32;

/// The fields of a block, and what its codes stand for: a number is
/// (code - zero) * scale - minimum.
struct PackedLayout {
  DType type;
  int64_t groups;     ///< Of a block.
  int64_t headBytes;  ///< What the groups of a row share.
  int64_t scaleBytes; ///< Of a group, in front of its codes.
  int64_t parts;      ///< Scales of a group, which it is cut into.
  int64_t bits;       ///< Of a code.
  int64_t zero;
  bool hasMinimum;
  bool isOfRow = false; ///< The head is one for the blocks of a row.
  bool isFloat = false; ///< Codes are E4M3.

  /// Bytes of one row.
  constexpr int64_t groupBytes() const {
    return scaleBytes + packedGroupColumns * bits / 8;
  }
  constexpr int64_t blockBytes() const {
    return headBytes + groups * groupBytes();
  }
  /// Bytes of a row of `columns`, a multiple of the block's, in a panel.
  constexpr int64_t rowBytes(int64_t columns) const {
    int64_t count = columns / packedGroupColumns;
    return isOfRow ? headBytes + count * groupBytes()
                   : count / groups * blockBytes();
  }
};

inline constexpr PackedLayout packedLayouts[] = {
    {DType::Q8_0, 1, 0, 2, 1, 8, 128, false},
    {DType::Q4_0, 1, 0, 2, 1, 4, 8, false},
    {DType::Q5_0, 1, 0, 2, 1, 5, 16, false},
    {DType::Q4_K, 8, 8, 1, 1, 4, 0, true},
    {DType::Q5_K, 8, 8, 1, 1, 5, 0, true},
    {DType::Q6_K, 8, 2, 2, 2, 6, 32, false},
    {DType::Q8_ROW, 2, 4, 0, 1, 8, 128, false, true},
    {DType::FP8_128, 4, 4, 0, 1, 8, 0, false, false, true},
};

/// The layout of a type, or null where products do not read it.
inline const PackedLayout *packedLayout(DType type) {
  for (const PackedLayout &layout : packedLayouts)
    if (layout.type == type)
      return &layout;
  return nullptr;
}

inline bool isPackableBlock(DType type) {
  return packedLayout(type) != nullptr;
}

/// Whether the blocks of a row have one scale.
inline bool hasRowScale(DType type) {
  const PackedLayout *layout = packedLayout(type);
  return layout && layout->isOfRow;
}

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_PACKEDBLOCKS_H
