//===- Fragments.h - How a warp holds a matrix in registers -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pure tables: which element of a matrix each element of each thread's
// registers is. They know nothing of the machine. Sources: PTX ISA 9.7.14.5
// (mma), 9.7.15.5 (wgmma). The fragments of wmma are opaque in the ISA; those
// of this machine are described at wmmaFragment.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_FRAGMENTS_H
#define CLADE_PTX_FRAGMENTS_H

#include "lib/PTX/Types.h"

#include <cstdint>
#include <vector>

namespace clade::ptx {

/// Which matrix of D = A * B + C a fragment belongs to. A is M x K, B is
/// K x N, the accumulators C and D are M x N.
enum class MatrixRole : uint8_t { A, B, Accumulator };

struct MatrixShape {
  unsigned m = 0;
  unsigned n = 0;
  unsigned k = 0;
  bool operator==(const MatrixShape &) const = default;
};

/// The layout of one matrix in the registers of `threads` threads.
struct Fragment {
  unsigned rows = 0;
  unsigned columns = 0;
  unsigned elementBits = 0; ///< 1 to 64.
  unsigned threads = 0;     ///< 32, or 128 for a warpgroup.
  unsigned perThread = 0;   ///< Elements that a thread holds.
  /// For thread t, element i (low to high in the registers, in order):
  /// row * columns + column, at t * perThread + i.
  std::vector<uint16_t> positions;

  unsigned at(unsigned thread, unsigned index) const {
    return positions[thread * perThread + index];
  }
  /// Registers of a thread: of 32 bits, or of 64 for elements of 64.
  unsigned registers() const {
    return elementBits == 64 ? perThread : (perThread * elementBits + 31) / 32;
  }
};

/// mma.sync with A row-major and B column-major, every shape but m8n8k4 of
/// .f16: M is 8 or 16, N is 8. `elementBits` is of this matrix.
Fragment mmaFragment(MatrixRole role, MatrixShape shape, unsigned elementBits);

/// mma.sync.m8n8k4 with .f16 A and B: four products at once, one for each quad
/// pair (threads 4q to 4q+3 and 16+4q to 16+4q+3). The four matrices lie below
/// each other: the rows of A and of the accumulators are 4 * 8, those of B
/// 4 * 4. `isRowMajor` is of A or B; accumulators depend on their size only.
Fragment quadPairFragment(MatrixRole role, bool isRowMajor,
                          unsigned elementBits);

/// wgmma.mma_async: A in registers, or D (M is 64).
Fragment wgmmaFragment(MatrixRole role, MatrixShape shape,
                       unsigned elementBits);

/// wmma: element i of thread t is element (t * perThread + i) of the matrix in
/// row-major order (B: column-major), modulo its size: where the registers hold
/// more than the matrix (A and B of .f16 have 16 elements a thread in every
/// shape) it is held several times.
Fragment wmmaFragment(MatrixRole role, MatrixShape shape, Type type);

/// Bits of one element of a matrix of the type; 0 for a type that no matrix
/// instruction has.
unsigned matrixElementBits(Type type);

} // namespace clade::ptx

#endif // CLADE_PTX_FRAGMENTS_H
