//===- Shadow.h - Who touched each word of memory last ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One cell for every four bytes, with the last two writes and two of the reads
// since. That is enough to see every race between whole warps or blocks; where
// more than two unordered parties touch one word, some pairs are not seen. What
// is reported is always a race.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_SHADOW_H
#define CLADE_PTX_SHADOW_H

#include "lib/PTX/Clocks.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace clade::ptx {

/// One access to some bytes of a cell. A time of 0 says that there is none.
struct ShadowAccess {
  uint32_t block : 24 = 0;
  uint32_t agent : 8 = 0;
  uint32_t time = 0;
  uint32_t op : 18 = 0; ///< Op::counter of the instruction.
  uint32_t lane : 5 = 0;
  uint32_t isMany : 1 = 0; ///< Several lanes of the warp; `lane` is one.
  uint32_t mask : 4 = 0;   ///< Bytes of the cell.
  uint32_t isStrong : 1 = 0;
  uint32_t isAsync : 1 = 0; ///< By the asynchronous proxy.

  bool isEmpty() const { return time == 0; }
};
static_assert(sizeof(ShadowAccess) == 12);

struct ShadowCell {
  ShadowAccess writes[2];
  ShadowAccess reads[2];
};

/// Who accesses now, and what it knows.
struct Accessor {
  const BlockClocks &clocks;
  /// The agent whose clock counts: for an asynchronous copy, who issues it.
  unsigned knower;
  ShadowAccess access; ///< `mask` is set for each cell.
};

/// What an access is in conflict with.
struct Conflict {
  ShadowAccess other;
  bool otherIsWrite = false;
  /// The order is right, but a generic write was not fenced before the
  /// asynchronous proxy reads.
  bool isUnfenced = false;
  explicit operator bool() const { return !other.isEmpty(); }
};

/// Whether `other` happened before the access.
bool isOrdered(const ShadowAccess &other, const Accessor &now);
/// Checks and records an access to the bytes of `access.mask` in a cell.
Conflict shadowRead(ShadowCell &cell, const Accessor &now);
/// `isSilent`: the bytes keep their values, so that a race with another write
/// has no effect.
Conflict shadowWrite(ShadowCell &cell, const Accessor &now, bool isSilent);

/// The shadow of global memory during a launch, made page by page.
class GlobalShadow {
public:
  static constexpr unsigned pageBytes = 1024;
  struct Page {
    std::atomic_flag lock;
    std::array<ShadowCell, pageBytes / 4> cells;
  };
  Page &page(uint64_t address);

private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  };
  std::array<Shard, 32> shards;
};

} // namespace clade::ptx

#endif // CLADE_PTX_SHADOW_H
