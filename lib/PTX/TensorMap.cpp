//===- TensorMap.cpp - Tensors for bulk copies ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/TensorMap.h"

#include <algorithm>

namespace clade::ptx {

unsigned tensorElementBytes(TensorType type) {
  switch (type) {
  case TensorType::U8:
    return 1;
  case TensorType::U16:
  case TensorType::F16:
  case TensorType::BF16:
    return 2;
  case TensorType::U64:
  case TensorType::S64:
  case TensorType::F64:
    return 8;
  default:
    return 4;
  }
}

uint32_t TensorMap::boxBytes() const {
  uint32_t bytes = elementBytes();
  for (unsigned dim = 0; dim < rank; ++dim)
    bytes *= count(dim);
  return bytes;
}

static Error problem(std::string message) { return {std::move(message)}; }

static std::string number(uint64_t value) { return std::to_string(value); }

/// The sizes, the strides, the box and the steps of one dimension.
static Status checkDimension(const TensorMapRequest &request, unsigned dim) {
  std::string name = "dimension " + number(dim);
  uint64_t size = request.sizes[dim];
  if (size == 0 || size > uint64_t(1) << 32)
    return problem(name + ": the size " + number(size) +
                   " is not in 1 to 2^32");
  if (request.box[dim] == 0 || request.box[dim] > 256)
    return problem(name + ": the box has " + number(request.box[dim]) +
                   " elements; 1 to 256 are allowed");
  if (request.steps[dim] == 0 || request.steps[dim] > 8)
    return problem(name + ": the element stride " + number(request.steps[dim]) +
                   " is not in 1 to 8");
  if (dim == 0)
    return Done{};
  uint64_t stride = request.strides[dim - 1];
  if (stride % 16 || stride >= uint64_t(1) << 40)
    return problem(name + ": the stride of " + number(stride) +
                   " bytes is not a multiple of 16 below 2^40");
  return Done{};
}

Result<TensorMap> encodeTensorMap(const TensorMapRequest &request) {
  if (request.type >= numTensorTypes)
    return problem("the data type " + number(request.type) + " is not known");
  if (request.rank == 0 || request.rank > maxTensorRank)
    return problem("the rank " + number(request.rank) + " is not in 1 to 5");
  if (request.interleave != 0)
    return problem("interleaved layouts are not modelled");
  if (request.swizzle > unsigned(Swizzle::Bytes128))
    return problem("the swizzle mode " + number(request.swizzle) +
                   " is not known");
  if (request.fill > 1)
    return problem("the fill mode " + number(request.fill) + " is not known");
  if (request.address % 16)
    return problem("the global address is not a multiple of 16");
  for (unsigned dim = 0; dim < request.rank; ++dim)
    if (Status status = checkDimension(request, dim); !status)
      return status.error();
  TensorMap map;
  map.magic = TensorMap::magicNumber;
  map.type = TensorType(request.type);
  map.rank = request.rank;
  map.swizzle = Swizzle(request.swizzle);
  map.fillsNaN = request.fill;
  map.address = request.address;
  for (unsigned dim = 0; dim < map.rank; ++dim) {
    map.sizes[dim] = request.sizes[dim];
    map.box[dim] = request.box[dim];
    map.steps[dim] = request.steps[dim];
    if (dim)
      map.strides[dim - 1] = request.strides[dim - 1];
  }
  uint32_t inner = map.box[0] * map.elementBytes();
  if (inner % 16)
    return problem("a row of the box has " + number(inner) +
                   " bytes, which is not a multiple of 16");
  if (map.swizzle != Swizzle::None && inner > swizzleBytes(map.swizzle))
    return problem("a row of the box has " + number(inner) +
                   " bytes, more than the swizzle's " +
                   number(swizzleBytes(map.swizzle)));
  bool isInteger = map.type <= TensorType::S64;
  if (map.fillsNaN && isInteger)
    return problem("integers cannot be filled with NaN");
  return map;
}

/// Appends the pieces of one row of the box, whose other coordinates are inside
/// the tensor or not.
static void appendRow(const TensorMap &map, int64_t first, uint64_t address,
                      bool isInside, uint32_t offset,
                      std::vector<BoxPiece> &pieces) {
  int64_t count = map.count(0), size = int64_t(map.sizes[0]);
  uint32_t bytes = map.elementBytes();
  int64_t from = isInside ? std::clamp<int64_t>(-first, 0, count) : count;
  int64_t to =
      isInside ? std::clamp<int64_t>(size - first, from, count) : count;
  auto append = [&](int64_t begin, int64_t end, bool isValid) {
    if (begin == end)
      return;
    BoxPiece piece;
    piece.offset = offset + uint32_t(begin) * bytes;
    piece.bytes = uint32_t(end - begin) * bytes;
    if (isValid)
      piece.address = address + uint64_t(first + begin) * bytes;
    pieces.push_back(piece);
  };
  append(0, from, false);
  append(from, to, true);
  append(to, count, false);
}

std::vector<BoxPiece> boxPieces(const TensorMap &map,
                                std::span<const int32_t> coordinates) {
  std::vector<BoxPiece> pieces;
  std::array<unsigned, maxTensorRank> index = {};
  uint32_t rowBytes = map.count(0) * map.elementBytes(), offset = 0;
  while (true) {
    uint64_t address = map.address;
    bool isInside = true;
    for (unsigned dim = 1; dim < map.rank; ++dim) {
      int64_t at = coordinates[dim] + int64_t(index[dim]) * map.steps[dim];
      isInside &= at >= 0 && at < int64_t(map.sizes[dim]);
      address += uint64_t(at) * map.strides[dim - 1];
    }
    appendRow(map, coordinates[0], address, isInside, offset, pieces);
    offset += rowBytes;
    unsigned dim = 1;
    for (; dim < map.rank; ++dim) {
      if (++index[dim] < map.count(dim))
        break;
      index[dim] = 0;
    }
    if (dim >= map.rank)
      return pieces;
  }
}

} // namespace clade::ptx
