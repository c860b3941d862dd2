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

/// The formats in which operations are counted: of the operands, where the
/// result has another. F16 is bf16, too; packed values count each.
enum class Format : uint8_t { F64, F32, TF32, F16, F8, I8, I4, B1 };
constexpr unsigned numFormats = unsigned(Format::B1) + 1;
std::string_view nameOf(Format format);

/// Of one instruction of a kernel, over all blocks.
struct OpCounter {
  uint64_t warps = 0;          ///< Executions by a warp, or a part of one.
  uint64_t lanes = 0;          ///< Threads that took part.
  uint64_t bytes = 0;          ///< That the threads asked for or wrote.
  uint64_t requests = 0;       ///< Of a warp, to global memory.
  uint64_t sectors = 0;        ///< 32-byte sectors of global memory touched.
  uint64_t idealSectors = 0;   ///< The fewest that could hold those bytes.
  uint64_t sharedRequests = 0; ///< Of a warp, to shared memory.
  uint64_t sharedWaves = 0;    ///< Passes over the 32 banks.
  uint64_t idealWaves = 0;     ///< The fewest for those bytes.
  uint64_t divergences = 0;    ///< Branches that split a warp.
  uint64_t flops = 0;          ///< Of the tensor cores; a multiply-add is two.

  OpCounter &operator+=(const OpCounter &other);
  /// Passes over the banks that other addresses would have saved.
  uint64_t bankConflicts() const { return sharedWaves - idealWaves; }
  /// The least passes that the data path between L1, shared memory and the
  /// registers, 128 bytes wide, needs.
  uint64_t dataPasses() const;
};

/// Sums over a launch.
struct Counters {
  std::array<OpCounter, numClasses> byClass = {};
  OpCounter total;
  uint64_t blocks = 0;
  uint64_t threads = 0;
  /// Operations on floating-point numbers outside of the tensor cores, by the
  /// threads that took part; a multiply-add is two.
  std::array<uint64_t, numFormats> vectorOperations = {};
  /// Operations of the tensor cores: all, and those of instructions of a single
  /// warp (mma, wmma).
  std::array<uint64_t, numFormats> tensorOperations = {};
  std::array<uint64_t, numFormats> warpTensorOperations = {};
  /// The sum of OpCounter::dataPasses; of asynchronous copies the passes over
  /// the banks alone.
  uint64_t dataPasses = 0;
  /// By line of the PTX text, from 1; lines without instructions are zero.
  std::vector<OpCounter> byLine;

  /// What of all operations the tensor cores did, from 0 to 1.
  double tensorShare() const;
};

} // namespace clade::ptx

#endif // CLADE_PTX_COUNTERS_H
