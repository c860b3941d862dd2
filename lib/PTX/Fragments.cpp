//===- Fragments.cpp - How a warp holds a matrix in registers -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Fragments.h"

namespace clade::ptx {

/// An empty layout of the matrix that `role` names.
static Fragment emptyFragment(MatrixRole role, MatrixShape shape,
                              unsigned elementBits, unsigned threads) {
  Fragment fragment;
  fragment.rows = role == MatrixRole::B ? shape.k : shape.m;
  fragment.columns = role == MatrixRole::A ? shape.k : shape.n;
  fragment.elementBits = elementBits;
  fragment.threads = threads;
  fragment.perThread = fragment.rows * fragment.columns / threads;
  fragment.positions.reserve(size_t(threads) * fragment.perThread);
  return fragment;
}

/// All layouts of the tensor cores since sm_75 follow one rule. Eight groups
/// of four threads; A's group is its row (modulo 8), B's its column. A
/// register holds 32 / bits neighbours along K, the four threads of a group
/// stand side by side, and further registers go first to row + 8 (of A), then
/// on along K. The accumulators have two neighbours along N for each thread.
static Fragment groupedFragment(MatrixRole role, MatrixShape shape,
                                unsigned elementBits, unsigned threads) {
  Fragment fragment = emptyFragment(role, shape, elementBits, threads);
  unsigned width = role == MatrixRole::Accumulator ? 2
                   : elementBits >= 32             ? 1
                                                   : 32 / elementBits;
  unsigned rowHalves = shape.m == 8 ? 1 : 2;
  for (unsigned thread = 0; thread < threads; ++thread) {
    unsigned warp = thread / 32, group = thread % 32 / 4, member = thread % 4;
    for (unsigned i = 0; i < fragment.perThread; ++i) {
      unsigned part = i / width, inner = member * width + i % width;
      unsigned row, column;
      if (role == MatrixRole::B) {
        row = part * 4 * width + inner;
        column = group;
      } else {
        row = warp * 16 + group + part % rowHalves * 8;
        column = part / rowHalves * 4 * width + inner;
      }
      fragment.positions.push_back(row * fragment.columns + column);
    }
  }
  return fragment;
}

Fragment mmaFragment(MatrixRole role, MatrixShape shape, unsigned elementBits) {
  return groupedFragment(role, shape, elementBits, 32);
}

Fragment wgmmaFragment(MatrixRole role, MatrixShape shape,
                       unsigned elementBits) {
  return groupedFragment(role, shape, elementBits, 128);
}

Fragment quadPairFragment(MatrixRole role, bool isRowMajor,
                          unsigned elementBits) {
  MatrixShape stacked = {32, 8, role == MatrixRole::B ? 16u : 4u};
  Fragment fragment = emptyFragment(role, stacked, elementBits, 32);
  for (unsigned thread = 0; thread < 32; ++thread) {
    unsigned quad = thread % 16 / 4, member = thread % 4, half = thread / 16;
    for (unsigned i = 0; i < fragment.perThread; ++i) {
      unsigned row, column;
      if (role == MatrixRole::Accumulator && elementBits == 32) {
        row = quad * 8 + half * 4 + (member & 1) + (i & 2);
        column = (i & 4) + (member & 2) + (i & 1);
      } else if (role == MatrixRole::B) {
        // A thread holds four elements of a row or of a column.
        row = quad * 4 + (isRowMajor ? member : i);
        column = half * 4 + (isRowMajor ? i : member);
      } else {
        bool holdsRow = isRowMajor || role == MatrixRole::Accumulator;
        row = quad * 8 + half * 4 + (holdsRow ? member : i);
        column = holdsRow ? i : member;
      }
      fragment.positions.push_back(row * fragment.columns + column);
    }
  }
  return fragment;
}

Fragment wmmaFragment(MatrixRole role, MatrixShape shape, Type type) {
  Fragment fragment = emptyFragment(role, shape, matrixElementBits(type), 32);
  if (type == Type::F16 && role != MatrixRole::Accumulator)
    fragment.perThread = 16;
  unsigned size = fragment.rows * fragment.columns;
  for (unsigned i = 0; i < 32 * fragment.perThread; ++i) {
    unsigned element = i % size;
    if (role == MatrixRole::B)
      element =
          element % fragment.rows * fragment.columns + element / fragment.rows;
    fragment.positions.push_back(element);
  }
  return fragment;
}

unsigned matrixElementBits(Type type) {
  switch (type) {
  case Type::B1:
    return 1;
  case Type::S4:
  case Type::U4:
    return 4;
  case Type::S8:
  case Type::U8:
  case Type::E4M3:
  case Type::E5M2:
    return 8;
  case Type::F16:
  case Type::BF16:
    return 16;
  case Type::TF32:
  case Type::F32:
  case Type::S32:
    return 32;
  case Type::F64:
    return 64;
  default:
    return 0;
  }
}

} // namespace clade::ptx
