//===- Counters.h - What a launch executed ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_COUNTERS_H
#define CLADE_PTX_COUNTERS_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clade::ptx {

/// What an instruction is counted as.
enum class Class : uint8_t {
  Integer,
  Float16,
  Float32,
  Float64,
  SpecialFunction,
  Conversion,
  Move,
  Compare,
  GlobalMemory,
  SharedMemory,
  LocalMemory,
  ConstantMemory,
  Atomic,
  Control,
  WarpExchange,
  Barrier,
  Async,
  Matrix,
  Other,
};
constexpr unsigned numClasses = unsigned(Class::Other) + 1;
std::string_view nameOf(Class kind);

/// Of one instruction of a kernel, over all blocks.
struct OpCounter {
  uint64_t warps = 0;        ///< Executions by a warp, or a part of one.
  uint64_t lanes = 0;        ///< Threads that took part.
  uint64_t bytes = 0;        ///< That the threads asked for or wrote.
  uint64_t sectors = 0;      ///< 32-byte sectors of global memory touched.
  uint64_t idealSectors = 0; ///< The fewest that could hold those bytes.
  uint64_t sharedWaves = 0;  ///< Passes over the 32 banks.
  uint64_t idealWaves = 0;   ///< The fewest for those bytes.
  uint64_t divergences = 0;  ///< Branches that split a warp.
  uint64_t flops = 0;        ///< Of the tensor cores; a multiply-add is two.

  OpCounter &operator+=(const OpCounter &other);
};

/// Sums over a launch.
struct Counters {
  std::array<OpCounter, numClasses> byClass = {};
  OpCounter total;
  uint64_t blocks = 0;
  uint64_t threads = 0;
  /// By line of the PTX text, from 1; lines without instructions are zero.
  std::vector<OpCounter> byLine;
};

} // namespace clade::ptx

#endif // CLADE_PTX_COUNTERS_H
