//===- Video.cpp - SIMD video instructions --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Lanes.h"

#include <algorithm>

using namespace clade::ptx;

namespace {

enum class Video : uint8_t { Add, Sub, Average, AbsDiff, Min, Max };

constexpr uint8_t flagResultSigned = 1;
constexpr uint8_t flagASigned = 2;
constexpr uint8_t flagBSigned = 4;
constexpr uint8_t flagSat = 8;
constexpr uint8_t flagAccumulate = 16;

int32_t part(uint32_t word, unsigned bits, unsigned index, bool isSigned) {
  uint32_t value = word >> (bits * index) << (32 - bits);
  return isSigned ? int32_t(value) >> (32 - bits)
                  : int32_t(value >> (32 - bits));
}

template <Video what> int32_t combine(int32_t a, int32_t b) {
  switch (what) {
  case Video::Add:
    return a + b;
  case Video::Sub:
    return a - b;
  case Video::Average: // Rounds away from zero.
    return (a + b + (a + b >= 0)) >> 1;
  case Video::AbsDiff:
    return a > b ? a - b : b - a;
  case Video::Min:
    return std::min(a, b);
  case Video::Max:
    return std::max(a, b);
  }
}

/// Two halves or four bytes; with .add their results are summed onto c.
template <Video what, unsigned count>
uint32_t compute(const Op &op, uint32_t a, uint32_t b, uint32_t c) {
  constexpr unsigned bits = 32 / count;
  constexpr uint32_t mask = (uint32_t(1) << bits) - 1;
  bool isSigned = op.flags & flagResultSigned;
  int32_t least = isSigned ? -(1 << (bits - 1)) : 0;
  int32_t greatest = isSigned ? (1 << (bits - 1)) - 1 : int32_t(mask);
  uint32_t out = op.flags & flagAccumulate ? c : 0;
  for (unsigned i = 0; i < count; ++i) {
    int32_t value = combine<what>(part(a, bits, i, op.flags & flagASigned),
                                  part(b, bits, i, op.flags & flagBSigned));
    if (op.flags & flagSat)
      value = std::clamp(value, least, greatest);
    out = op.flags & flagAccumulate
              ? out + uint32_t(value)
              : out | (uint32_t(value) & mask) << (bits * i);
  }
  return out;
}

template <Video what, unsigned count> void decodeVideo(Decoder &d) {
  Type to = d.expectType({Type::U32, Type::S32});
  Type a = d.expectType({Type::U32, Type::S32});
  Type b = d.expectType({Type::U32, Type::S32});
  d.op.flags |= to == Type::S32 ? flagResultSigned : 0;
  d.op.flags |= a == Type::S32 ? flagASigned : 0;
  d.op.flags |= b == Type::S32 ? flagBSigned : 0;
  d.op.flags |= d.take("sat") ? flagSat : 0;
  d.op.flags |= d.take("add") ? flagAccumulate : 0;
  sameTypes(
      d, Type::B32, 3,
      lanesOf<compute<what, count>, uint32_t, uint32_t, uint32_t, uint32_t>,
      Class::Integer);
}

} // namespace

void clade::ptx::addVideo(Registry &r) {
  r.add("vadd2", decodeVideo<Video::Add, 2>);
  r.add("vadd4", decodeVideo<Video::Add, 4>);
  r.add("vsub2", decodeVideo<Video::Sub, 2>);
  r.add("vsub4", decodeVideo<Video::Sub, 4>);
  r.add("vavrg2", decodeVideo<Video::Average, 2>);
  r.add("vavrg4", decodeVideo<Video::Average, 4>);
  r.add("vabsdiff2", decodeVideo<Video::AbsDiff, 2>);
  r.add("vabsdiff4", decodeVideo<Video::AbsDiff, 4>);
  r.add("vmin2", decodeVideo<Video::Min, 2>);
  r.add("vmin4", decodeVideo<Video::Min, 4>);
  r.add("vmax2", decodeVideo<Video::Max, 2>);
  r.add("vmax4", decodeVideo<Video::Max, 4>);
}
