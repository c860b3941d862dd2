//===- AsyncState.h - What is under way in a warp or a block ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Asynchronous operations are done at the last moment at which the ISA lets
// them be done: when a thread waits for them. Until then their effects cannot
// be seen, so that a kernel that does not wait computes something else here,
// always, and not only on a bad day.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_INSTRUCTIONS_ASYNCSTATE_H
#define CLADE_PTX_INSTRUCTIONS_ASYNCSTATE_H

#include "lib/PTX/Clocks.h"
#include "lib/PTX/Decoder.h"
#include "lib/PTX/Execution.h"

#include <deque>
#include <map>
#include <vector>

namespace clade::ptx {

class RaceChecker;

/// One cp.async instruction of a warp.
struct SmallCopy {
  const Op *op = nullptr;
  uint64_t serial = 0;
  LaneMask pending = 0; ///< Lanes whose copy is still to be done.
  uint8_t bytes = 0;    ///< 4, 8 or 16.
  std::array<uint32_t, warpSize> group = {};      ///< Of each lane.
  std::array<uint8_t, warpSize> sourceBytes = {}; ///< The others are zeros.
  Pointers from, to;
  uint32_t time = 0; ///< Of the queue's agent.
};

/// Bytes to be moved, or combined, by a bulk copy.
struct Segment {
  std::byte *to = nullptr;
  uint8_t *toShadow = nullptr;
  const std::byte *from = nullptr; ///< Null: `fill` is stored.
  const uint8_t *fromShadow = nullptr;
  uint32_t bytes = 0;
  uint8_t fill = 0;
};

/// How a bulk reduction combines; None for a copy.
enum class BulkOperation : uint8_t {
  None,
  Add,
  Min,
  Max,
  And,
  Or,
  Xor,
  Inc,
  Dec,
};

/// One bulk copy.
struct BulkCopy {
  const Op *op = nullptr;
  unsigned lane = 0;
  BulkOperation operation = BulkOperation::None;
  Type type = Type::None;
  std::vector<Segment> segments;
  uint32_t transactionBytes = 0;
  uint32_t group = 0; ///< Of the thread, for bulk groups.
  unsigned agent = 0; ///< The queue and its time when it was issued.
  uint32_t time = 0;

  void perform() const;
};

/// One wgmma.mma_async of a warp.
struct WarpgroupProduct {
  const Op *op = nullptr;
  Frame *frame = nullptr;
  LaneMask accumulates = 0; ///< scale-d of each lane.
  uint64_t descriptorA = 0;
  uint64_t descriptorB = 0;
  uint32_t group = 0;
  uint32_t time = 0;
};

/// Of a warp; Warp::asyncState.
struct WarpAsync {
  std::vector<SmallCopy> copies;
  uint64_t nextSerial = 0;
  std::array<uint32_t, warpSize> copyGroup = {}; ///< Open group of each lane.
  std::vector<BulkCopy> bulk; ///< Of bulk groups, in the order of issue.
  std::array<uint32_t, warpSize> bulkGroup = {};
  std::deque<WarpgroupProduct> products;
  uint32_t productGroup = 0;
  bool hasFenced = false; ///< Whether wgmma.fence was ever executed.
};
WarpAsync &asyncOf(Warp &warp);

/// An mbarrier object. Its 64 bits in memory hold its counts.
struct Mbarrier {
  uint32_t expected = 0;    ///< Arrivals of each phase.
  uint32_t pending = 0;     ///< Of the current phase.
  int64_t transactions = 0; ///< Bytes that are still expected.
  uint32_t phase = 0;
  const Op *initialised = nullptr;
  unsigned agent = 0; ///< The queue that its bulk copies belong to.
  std::deque<BulkCopy> copies;
  /// cp.async.mbarrier.arrive: to be done when the lanes' earlier copies are.
  struct Arrival {
    Warp *warp;
    LaneMask lanes;
    uint64_t upTo; ///< SmallCopy::serial of the first copy that came later.
  };
  std::deque<Arrival> arrivals;
  Knowledge gathered; ///< Of the current phase.
  Knowledge finished; ///< Of the phases before.

  /// The 64 bits of the object in memory.
  uint64_t encoded() const;
  /// Begins the next phase if nothing is missing in this one.
  void advance();
  /// Does what was put off if it completes the phase.
  void settle(RaceChecker *checker);
};

/// Of a block; Block::asyncState.
struct BlockAsync {
  std::map<uint32_t, Mbarrier> mbarriers; ///< By their offset in shared memory.
};
BlockAsync &asyncOf(Block &block);

/// The offset in shared memory of an address of the space; nothing outside.
std::optional<uint32_t> sharedOffset(Block &block, Space space,
                                     uint64_t address);
/// The mbarrier at an address that an instruction has already accessed with
/// success; null after a finding.
Mbarrier *findMbarrier(Warp &warp, const Op &op, unsigned lane,
                       uint32_t offset);
/// Stores the state of an mbarrier into its 64 bits.
void storeMbarrier(Block &block, uint32_t offset, const Mbarrier &barrier);

/// Does the lanes' cp.async copies of all groups but the last `remaining`; with
/// -1 also those that are in no group yet.
void finishCopies(Warp &warp, LaneMask lanes, int64_t remaining);
/// Does the lanes' bulk copies of all groups but the last `remaining`.
void finishBulk(Warp &warp, LaneMask lanes, uint32_t remaining);

/// At the end of a block: does the bulk copies that nobody waited for, which is
/// a finding.
void finishBlock(Block &block);
/// For a block in which everybody waits: reports the mbarriers that will never
/// complete their phase. False where there are none.
bool reportStuckMbarriers(Block &block);

// The parts of the family.
void addAsyncCopy(Registry &);
void addMbarrier(Registry &);
/// cp.async.bulk and cp.reduce.async.bulk, after these words.
void decodeBulk(Decoder &, bool isReduction);

} // namespace clade::ptx

#endif // CLADE_PTX_INSTRUCTIONS_ASYNCSTATE_H
