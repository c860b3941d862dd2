//===- TensorMap.h - Tensors for bulk copies --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The 128 bytes behind a CUtensorMap of this machine, the rules that
// cuTensorMapEncodeTiled checks (CUDA driver API, "Tensor Map Object
// Management"), and which bytes a box of a tensor is made of (PTX ISA 5.5).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TENSORMAP_H
#define CLADE_PTX_TENSORMAP_H

#include "lib/PTX/Result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace clade::ptx {

/// How 16-byte pieces are exchanged in shared memory; the numbers are those of
/// CUtensorMapSwizzle.
enum class Swizzle : uint8_t { None, Bytes32, Bytes64, Bytes128 };

/// Bytes of a row of the pattern; 16 where there is none.
constexpr uint32_t swizzleBytes(Swizzle swizzle) {
  return 16u << unsigned(swizzle);
}
/// Where the byte that would lie at `address` of shared memory lies: the three
/// bits (two, one) from 4 up are xored with those three places above them.
constexpr uint32_t swizzleAddress(Swizzle swizzle, uint32_t address) {
  uint32_t mask = (swizzleBytes(swizzle) - 1) & ~15u;
  return address ^ (address >> 3 & mask);
}

/// The numbers of CUtensorMapDataType.
enum class TensorType : uint8_t {
  U8,
  U16,
  U32,
  S32,
  U64,
  S64,
  F16,
  F32,
  F64,
  BF16,
  F32Flushed,
  TF32,
  TF32Flushed,
};
constexpr unsigned numTensorTypes = unsigned(TensorType::TF32Flushed) + 1;
unsigned tensorElementBytes(TensorType type);

constexpr unsigned maxTensorRank = 5;

/// A tensor in global memory and the box that one copy moves. Dimension 0 is
/// the one whose elements lie side by side.
struct alignas(64) TensorMap {
  static constexpr uint32_t magicNumber = 0x504D5443;
  uint32_t magic = 0;
  TensorType type = TensorType::U8;
  uint8_t rank = 0;
  Swizzle swizzle = Swizzle::None;
  uint8_t fillsNaN = 0; ///< Outside the tensor; otherwise zeros.
  uint64_t address = 0;
  std::array<uint64_t, maxTensorRank> sizes = {};       ///< Elements.
  std::array<uint64_t, maxTensorRank - 1> strides = {}; ///< Bytes, from dim 1.
  std::array<uint16_t, maxTensorRank> box = {};         ///< Elements, to 256.
  std::array<uint8_t, maxTensorRank> steps = {}; ///< Element strides, to 8.

  bool isValid() const { return magic == magicNumber; }
  unsigned elementBytes() const { return tensorElementBytes(type); }
  /// Elements of the box along a dimension that are moved: every step-th. (The
  /// step of dimension 0 is 1: without interleaving it is ignored.)
  unsigned count(unsigned dim) const {
    return dim == 0 ? box[0] : (box[dim] + steps[dim] - 1) / steps[dim];
  }
  /// Bytes of a box in shared memory, the completion's count.
  uint32_t boxBytes() const;
};
static_assert(sizeof(TensorMap) == 128);

/// What cuTensorMapEncodeTiled is asked for, as numbers of the driver API.
struct TensorMapRequest {
  unsigned type = 0;
  unsigned rank = 0;
  uint64_t address = 0;
  const uint64_t *sizes = nullptr;
  const uint64_t *strides = nullptr;
  const uint32_t *box = nullptr;
  const uint32_t *steps = nullptr;
  unsigned interleave = 0; ///< Only 0 (none) is modelled.
  unsigned swizzle = 0;
  unsigned fill = 0;
};
Result<TensorMap> encodeTensorMap(const TensorMapRequest &request);

/// A run of bytes of a box: along dimension 0, wholly inside or outside of the
/// tensor.
struct BoxPiece {
  uint32_t offset; ///< In the box, before swizzling.
  uint32_t bytes;
  std::optional<uint64_t> address; ///< Nothing: outside.
};
/// The pieces of the box at `coordinates` (one for each dimension), in order.
std::vector<BoxPiece> boxPieces(const TensorMap &map,
                                std::span<const int32_t> coordinates);

} // namespace clade::ptx

#endif // CLADE_PTX_TENSORMAP_H
