//===- Findings.h - What the checks find ------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_FINDINGS_H
#define CLADE_PTX_FINDINGS_H

#include "lib/PTX/Types.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clade::ptx {

enum class FindingKind : uint8_t {
  OutOfBounds,
  UseAfterFree,
  Misaligned,
  WriteToReadOnly,
  UninitialisedValue,
  SharedRace,
  GlobalRace,
  DivergentBarrier,
  BarrierDeadlock,
  InvalidBarrier,
  WarpSyncMismatch,
  ReadBeforeAsyncWait,
  AsyncMisuse,
  MbarrierMisuse,
  MissingProxyFence,
  IllegalLaunch,
  BudgetExhausted,
  StackOverflow,
  InvalidCall,
  Trap,
  AssertFailed,
  IllegalOperand,
};
/// "out-of-bounds", "shared-race"…
std::string_view nameOf(FindingKind kind);
/// Whether a GPU would stop the kernel with an error at it.
bool isFatal(FindingKind kind);

/// A thread of a launch.
struct ThreadId {
  std::array<uint32_t, 3> block = {0, 0, 0};
  std::array<uint32_t, 3> thread = {0, 0, 0};
};

/// A place in a kernel.
struct Place {
  unsigned line = 0;       ///< Of the PTX text, from 1.
  std::string instruction; ///< As written.
  std::string sourceFile;  ///< Of .loc; empty where there is none.
  unsigned sourceLine = 0;
};

/// One finding. The machine keeps the first of a kind at a place (and, with a
/// second party, at both places) and counts the others.
struct Finding {
  FindingKind kind;
  std::string kernel;
  Place place;
  ThreadId thread;
  /// The other party: of a race, or who waits at a barrier.
  std::optional<Place> otherPlace;
  std::optional<ThreadId> otherThread;
  std::string text; ///< One sentence with the figures.
  uint64_t count = 1;

  /// The whole message, several lines.
  std::string str() const;
};

} // namespace clade::ptx

#endif // CLADE_PTX_FINDINGS_H
