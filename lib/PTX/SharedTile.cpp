//===- SharedTile.cpp - Matrices in shared memory -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/SharedTile.h"

namespace clade::ptx {

MatrixDescriptor decodeDescriptor(uint64_t bits) {
  MatrixDescriptor d;
  d.start = uint32_t(bits & 0x3FFF) << 4;
  d.leadingOffset = uint32_t(bits >> 16 & 0x3FFF) << 4;
  d.strideOffset = uint32_t(bits >> 32 & 0x3FFF) << 4;
  d.baseOffset = bits >> 49 & 7;
  static const Swizzle modes[] = {Swizzle::None, Swizzle::Bytes128,
                                  Swizzle::Bytes64, Swizzle::Bytes32};
  d.swizzle = modes[bits >> 62];
  return d;
}

const char *descriptorProblem(const MatrixDescriptor &descriptor) {
  if (descriptor.baseOffset)
    return "its base offset is not 0, which this machine does not model: let "
           "the swizzle pattern begin at an aligned address";
  // The pattern repeats every eight rows; a start inside its first row (a step
  // along K) is good, one in a later row is not.
  uint32_t row = swizzleBytes(descriptor.swizzle);
  uint32_t pattern = 8 * row;
  if (descriptor.swizzle != Swizzle::None && descriptor.start % pattern >= 128)
    switch (row) {
    case 128:
      return "with a swizzle of 128 bytes it must begin in the first row of a "
             "pattern, which is aligned to 1024 bytes";
    case 64:
      return "with a swizzle of 64 bytes it must begin in the first rows of a "
             "pattern, which is aligned to 512 bytes";
    default:
      return "with a swizzle of 32 bytes it must begin in the first rows of a "
             "pattern, which is aligned to 256 bytes";
    }
  return nullptr;
}

uint32_t elementAddress(const MatrixDescriptor &descriptor, bool isTransposed,
                        unsigned bytes, unsigned outer, unsigned k) {
  uint32_t row = swizzleBytes(descriptor.swizzle); // 16 without a swizzle.
  uint32_t offset;
  if (!isTransposed) {
    // Eight rows of `row` bytes are a core; without a swizzle two cores side by
    // side hold the 32 bytes of an instruction along K.
    uint32_t inner = k * bytes;
    offset =
        outer / 8 * descriptor.strideOffset + outer % 8 * row + inner % row;
    offset += inner / row * descriptor.leadingOffset;
  } else {
    uint32_t inner = outer * bytes;
    offset = inner % row + k % 8 * row;
    bool isSwizzled = descriptor.swizzle != Swizzle::None;
    offset += inner / row *
              (isSwizzled ? descriptor.leadingOffset : descriptor.strideOffset);
    offset += k / 8 *
              (isSwizzled ? descriptor.strideOffset : descriptor.leadingOffset);
  }
  return swizzleAddress(descriptor.swizzle, descriptor.start + offset);
}

} // namespace clade::ptx
