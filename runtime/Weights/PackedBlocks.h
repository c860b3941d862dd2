//===- PackedBlocks.h - Weights that stay in blocks -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which block types compiled products read as they are, and how a panel of them
// lies in memory. A panel of R rows is, for each group of 32 columns and each
// 16 of its rows,
//
//   16 f16 scales, one a row
//   the codes of 4 columns of each row, row after row: 64 bytes; for the next
//   four columns another 64 …
//
// Codes of Q8_0 are stored as unsigned bytes, 128 more than they are. Of Q4_0 a
// byte holds the code of column c, c < 16, in its low half and that of column
// c + 16 in its high half, so that there are four runs of 64 bytes.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_PACKEDBLOCKS_H
#define CLADE_RUNTIME_WEIGHTS_PACKEDBLOCKS_H

#include "runtime/Formats/DType.h"

namespace clade::rt {

/// Rows whose scales and codes alternate.
inline constexpr int64_t packedBlockRows = 16;

/// Q8_0 and Q4_0.
inline bool isPackableBlock(DType type) {
  return type == DType::Q8_0 || type == DType::Q4_0;
}

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_PACKEDBLOCKS_H
