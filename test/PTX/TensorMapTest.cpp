//===- TensorMapTest.cpp - Boxes of tensors, swizzles and descriptors -----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/TensorMap.h"
#include "lib/PTX/SharedTile.h"

#include <gtest/gtest.h>

#include <set>

using namespace clade::ptx;

namespace {

struct Request {
  std::vector<uint64_t> sizes, strides;
  std::vector<uint32_t> box, steps;
  unsigned type = unsigned(TensorType::BF16);
  uint64_t address = 4096;
  unsigned swizzle = 0, fill = 0, interleave = 0;

  Result<TensorMap> encode() const {
    TensorMapRequest request;
    request.type = type;
    request.rank = unsigned(sizes.size());
    request.address = address;
    request.sizes = sizes.data();
    request.strides = strides.data();
    request.box = box.data();
    request.steps = steps.data();
    request.swizzle = swizzle;
    request.fill = fill;
    request.interleave = interleave;
    return encodeTensorMap(request);
  }
};

Request plain() { return {{100, 50}, {208}, {64, 8}, {1, 1}}; }

std::string errorOf(const Request &request) {
  Result<TensorMap> map = request.encode();
  return map ? "none" : map.error().message;
}

TEST(TensorMap, Encodes) {
  Result<TensorMap> map = plain().encode();
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_TRUE(map->isValid());
  EXPECT_EQ(map->rank, 2);
  EXPECT_EQ(map->elementBytes(), 2u);
  EXPECT_EQ(map->boxBytes(), 64u * 8 * 2);
}

TEST(TensorMap, SaysWhatIsWrong) {
  Request r = plain();
  r.type = 13;
  EXPECT_EQ(errorOf(r), "the data type 13 is not known");
  r = plain(), r.address = 8;
  EXPECT_EQ(errorOf(r), "the global address is not a multiple of 16");
  r = plain(), r.sizes[1] = 0;
  EXPECT_EQ(errorOf(r), "dimension 1: the size 0 is not in 1 to 2^32");
  r = plain(), r.strides[0] = 200;
  EXPECT_EQ(errorOf(r), "dimension 1: the stride of 200 bytes is not a "
                        "multiple of 16 below 2^40");
  r = plain(), r.box[0] = 257;
  EXPECT_EQ(errorOf(r),
            "dimension 0: the box has 257 elements; 1 to 256 are allowed");
  r = plain(), r.steps[1] = 9;
  EXPECT_EQ(errorOf(r), "dimension 1: the element stride 9 is not in 1 to 8");
  r = plain(), r.box[0] = 60;
  EXPECT_EQ(errorOf(r), "a row of the box has 120 bytes, which is not a "
                        "multiple of 16");
  r = plain(), r.swizzle = 2;
  EXPECT_EQ(errorOf(r),
            "a row of the box has 128 bytes, more than the swizzle's 64");
  r = plain(), r.interleave = 1;
  EXPECT_EQ(errorOf(r), "interleaved layouts are not modelled");
  r = plain(), r.swizzle = 4;
  EXPECT_EQ(errorOf(r), "the swizzle mode 4 is not known");
  r = plain(), r.fill = 2;
  EXPECT_EQ(errorOf(r), "the fill mode 2 is not known");
  r = plain(), r.fill = 1, r.type = unsigned(TensorType::U16);
  EXPECT_EQ(errorOf(r), "integers cannot be filled with NaN");
  r = {{}, {}, {}, {}};
  EXPECT_EQ(errorOf(r), "the rank 0 is not in 1 to 5");
}

/// Every element of the box, one by one, against the definition.
void expectBox(const TensorMap &map, std::vector<int32_t> at) {
  std::vector<std::optional<uint64_t>> found(map.boxBytes());
  std::vector<bool> seen(map.boxBytes());
  for (const BoxPiece &piece : boxPieces(map, at))
    for (uint32_t i = 0; i < piece.bytes; ++i) {
      ASSERT_LT(piece.offset + i, found.size());
      EXPECT_FALSE(seen[piece.offset + i]);
      seen[piece.offset + i] = true;
      if (piece.address)
        found[piece.offset + i] = *piece.address + i;
    }
  unsigned bytes = map.elementBytes();
  std::array<unsigned, 5> index = {};
  for (uint32_t offset = 0; offset < map.boxBytes(); offset += bytes) {
    // Elements of the box in order, dimension 0 first.
    uint32_t rest = offset / bytes;
    uint64_t address = map.address;
    bool isInside = true;
    for (unsigned dim = 0; dim < map.rank; ++dim) {
      index[dim] = rest % map.count(dim);
      rest /= map.count(dim);
      int64_t coordinate =
          at[dim] + int64_t(index[dim]) * (dim ? map.steps[dim] : 1);
      isInside &= coordinate >= 0 && coordinate < int64_t(map.sizes[dim]);
      address +=
          coordinate * int64_t(dim ? map.strides[dim - 1] : uint64_t(bytes));
    }
    for (unsigned i = 0; i < bytes; ++i) {
      EXPECT_TRUE(seen[offset + i]);
      ASSERT_EQ(found[offset + i].has_value(), isInside) << offset;
      if (isInside) {
        EXPECT_EQ(*found[offset + i], address + i);
      }
    }
  }
}

TEST(TensorMap, BoxesOfEveryRank) {
  for (unsigned rank = 1; rank <= 5; ++rank) {
    Request r;
    uint64_t stride = 48;
    for (unsigned dim = 0; dim < rank; ++dim) {
      r.sizes.push_back(dim == 0 ? 20 : 3 + dim);
      r.box.push_back(dim == 0 ? 16 : 4);
      r.steps.push_back(dim == 1 ? 2 : 1);
      if (dim) {
        r.strides.push_back(stride);
        stride *= r.sizes[dim];
      }
    }
    Result<TensorMap> map = r.encode();
    ASSERT_TRUE(map) << map.error().message;
    expectBox(*map, std::vector<int32_t>(rank, 0));
    expectBox(*map, std::vector<int32_t>(rank, 2));
    expectBox(*map, std::vector<int32_t>(rank, -3));
    expectBox(*map, std::vector<int32_t>(rank, 100));
  }
}

/// The swizzle as CUTLASS defines it: Swizzle<B, 4, 3> xors B bits from bit 4
/// with those from bit 7.
TEST(Swizzle, IsTheIsas) {
  for (unsigned bits = 0; bits <= 3; ++bits)
    for (uint32_t address = 0; address < 4096; ++address) {
      uint32_t mask = ((1u << bits) - 1) << 7;
      EXPECT_EQ(swizzleAddress(Swizzle(bits), address),
                address ^ ((address & mask) >> 3));
    }
}

//===----------------------------------------------------------------------===//
// Descriptors, against the layouts of PTX ISA 9.7.15.5.1.2.1.3 in CuTe's
// notation: shape ((8, m), (T, 2k)) and so on, with the strides beside it.
//===----------------------------------------------------------------------===//

uint64_t descriptorBits(uint32_t start, uint32_t leading, uint32_t stride,
                        uint64_t mode) {
  auto encode = [](uint64_t x) { return (x & 0x3FFFF) >> 4; };
  return encode(start) | encode(leading) << 16 | encode(stride) << 32 |
         mode << 62;
}

constexpr uint64_t modeOf[] = {0, 3, 2, 1}; // By Swizzle.

TEST(Descriptor, KMajorIsTheIsas) {
  for (unsigned mode = 0; mode < 4; ++mode) {
    for (uint32_t bytes : {1u, 2u, 4u}) {
      uint32_t t = 16 / bytes, width = 1u << mode;
      uint32_t leading = 2048, stride = 4096;
      MatrixDescriptor d =
          decodeDescriptor(descriptorBits(8192, leading, stride, modeOf[mode]));
      EXPECT_EQ(descriptorProblem(d), nullptr);
      for (uint32_t row = 0; row < 32; ++row)
        for (uint32_t k = 0; k < 2 * t; ++k) {
          // ((8,m),(T,2)) : ((width T, SBO), (1, T or LBO)), in elements.
          uint32_t offset =
              row % 8 * width * t * bytes + row / 8 * stride + k % t * bytes;
          offset += k / t * (mode == 0 ? leading : t * bytes);
          EXPECT_EQ(elementAddress(d, false, bytes, row, k),
                    swizzleAddress(Swizzle(mode), 8192 + offset));
        }
    }
  }
}

TEST(Descriptor, MNMajorIsTheIsas) {
  for (unsigned mode = 0; mode < 4; ++mode) {
    uint32_t t = 8, width = 1u << mode, leading = 8192, stride = 1024;
    MatrixDescriptor d =
        decodeDescriptor(descriptorBits(16384, leading, stride, modeOf[mode]));
    for (uint32_t outer = 0; outer < 128; ++outer)
      for (uint32_t k = 0; k < 16; ++k) {
        uint32_t offset;
        if (mode == 0) // ((T,1,m),(8,k)) : ((1,T,SBO),(1T,LBO))
          offset = outer % t * 2 + outer / t * stride + k % 8 * t * 2 +
                   k / 8 * leading;
        else // ((T,width,m),(8,k)) : ((1,T,LBO),(width T,SBO))
          offset = outer % t * 2 + outer / t % width * t * 2 +
                   outer / (t * width) * leading + k % 8 * width * t * 2 +
                   k / 8 * stride;
        EXPECT_EQ(elementAddress(d, true, 2, outer, k),
                  swizzleAddress(Swizzle(mode), 16384 + offset));
      }
  }
}

TEST(Descriptor, AStepAlongKStaysInThePattern) {
  MatrixDescriptor d = decodeDescriptor(descriptorBits(1024 + 32, 0, 1024, 1));
  EXPECT_EQ(descriptorProblem(d), nullptr);
  // Row 1 of the atom: its 16-byte pieces are exchanged by xor with 1.
  EXPECT_EQ(elementAddress(d, false, 2, 1, 0), 1024u + 128 + (32 ^ 16));
}

TEST(Descriptor, ProblemsAreNamed) {
  auto problem = [](uint64_t bits) {
    const char *text = descriptorProblem(decodeDescriptor(bits));
    return std::string(text ? text : "");
  };
  EXPECT_NE(problem(descriptorBits(1024 + 128, 0, 1024, 1))
                .find("aligned to 1024 bytes"),
            std::string::npos);
  EXPECT_NE(problem(descriptorBits(256, 0, 512, 2)).find("512 bytes"),
            std::string::npos);
  EXPECT_NE(problem(descriptorBits(128, 0, 256, 3)).find("256 bytes"),
            std::string::npos);
  EXPECT_NE(problem(uint64_t(3) << 49).find("base offset"), std::string::npos);
  EXPECT_EQ(problem(descriptorBits(128, 0, 256, 0)), "");
}

} // namespace
