//===- AsyncState.cpp - What is under way in a warp or a block ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AsyncState.h"

#include "lib/PTX/NarrowFloat.h"
#include "lib/PTX/RaceChecker.h"

#include <algorithm>
#include <mutex>

namespace clade::ptx {

WarpAsync &asyncOf(Warp &warp) {
  if (!warp.asyncState)
    warp.asyncState = std::make_shared<WarpAsync>();
  return *static_cast<WarpAsync *>(warp.asyncState.get());
}

BlockAsync &asyncOf(Block &block) {
  if (!block.asyncState)
    block.asyncState = std::make_shared<BlockAsync>();
  return *static_cast<BlockAsync *>(block.asyncState.get());
}

//===----------------------------------------------------------------------===//
// cp.async
//===----------------------------------------------------------------------===//

static void perform(SmallCopy &copy, LaneMask lanes) {
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    if (!(lanes >> lane & 1))
      continue;
    unsigned bytes = copy.sourceBytes[lane], rest = copy.bytes - bytes;
    if (bytes) {
      std::memcpy(copy.to.lane[lane], copy.from.lane[lane], bytes);
      std::memcpy(copy.to.shadow[lane], copy.from.shadow[lane], bytes);
    }
    std::memset(copy.to.lane[lane] + bytes, 0, rest);
    std::memset(copy.to.shadow[lane] + bytes, 1, rest);
  }
  copy.pending &= ~lanes;
}

/// Does the copies for which `isDue` gives lanes; the time of the last one.
template <typename IsDue>
static std::optional<uint32_t> performDue(Warp &warp, IsDue isDue) {
  WarpAsync &state = asyncOf(warp);
  std::optional<uint32_t> last;
  for (SmallCopy &copy : state.copies)
    if (LaneMask due = isDue(copy) & copy.pending) {
      perform(copy, due);
      last = copy.time;
    }
  std::erase_if(state.copies, [](const SmallCopy &c) { return !c.pending; });
  return last;
}

void finishCopies(Warp &warp, LaneMask lanes, int64_t remaining) {
  WarpAsync &state = asyncOf(warp);
  auto last = performDue(warp, [&](const SmallCopy &copy) {
    LaneMask due = 0;
    for (unsigned lane = 0; lane < warpSize; ++lane)
      if (lanes >> lane & 1)
        due |= LaneMask(copy.group[lane] + remaining <
                        int64_t(state.copyGroup[lane]))
               << lane;
    return due;
  });
  RaceChecker *checker = checkerOf(warp.block);
  if (last && checker)
    checker->learn(warp, QueueKind::SmallCopies, warp.index, *last);
}

//===----------------------------------------------------------------------===//
// Bulk copies
//===----------------------------------------------------------------------===//

/// Reductions of blocks that run at once are atomic for each element.
static std::mutex reductionMutex;

template <typename T>
static void combine(BulkOperation operation, std::byte *to,
                    const std::byte *from) {
  T a, b;
  std::memcpy(&a, to, sizeof(T));
  std::memcpy(&b, from, sizeof(T));
  switch (operation) {
  case BulkOperation::Add:
    a = T(a + b);
    break;
  case BulkOperation::Min:
    a = std::min(a, b);
    break;
  case BulkOperation::Max:
    a = std::max(a, b);
    break;
  case BulkOperation::Inc:
    a = a >= b ? T(0) : T(a + 1);
    break;
  case BulkOperation::Dec:
    a = a == T(0) || a > b ? b : T(a - 1);
    break;
  default:
    if constexpr (std::is_integral_v<T>)
      a = operation == BulkOperation::And  ? T(a & b)
          : operation == BulkOperation::Or ? T(a | b)
                                           : T(a ^ b);
    break;
  }
  std::memcpy(to, &a, sizeof(T));
}

/// The same for a 16-bit format, rounded to nearest even.
static void combineNarrow(const NarrowFormat &format, BulkOperation operation,
                          std::byte *to, const std::byte *from) {
  uint16_t bits[2];
  std::memcpy(&bits[0], to, 2);
  std::memcpy(&bits[1], from, 2);
  float a = decodeNarrow(format, bits[0]), b = decodeNarrow(format, bits[1]);
  combine<float>(operation, reinterpret_cast<std::byte *>(&a),
                 reinterpret_cast<const std::byte *>(&b));
  bits[0] = uint16_t(encodeNarrow(format, a, {}));
  std::memcpy(to, &bits[0], 2);
}

static void combineOne(Type type, BulkOperation operation, std::byte *to,
                       const std::byte *from) {
  switch (type) {
  case Type::F16:
    return combineNarrow(formatF16, operation, to, from);
  case Type::BF16:
    return combineNarrow(formatBF16, operation, to, from);
  case Type::F32:
    return combine<float>(operation, to, from);
  case Type::F64:
    return combine<double>(operation, to, from);
  case Type::S32:
    return combine<int32_t>(operation, to, from);
  case Type::S64:
    return combine<int64_t>(operation, to, from);
  case Type::U64:
  case Type::B64:
    return combine<uint64_t>(operation, to, from);
  default:
    return combine<uint32_t>(operation, to, from);
  }
}

void BulkCopy::perform() const {
  if (operation == BulkOperation::None) {
    for (const Segment &segment : segments) {
      if (segment.from)
        std::memcpy(segment.to, segment.from, segment.bytes);
      else
        std::memset(segment.to, segment.fill, segment.bytes);
      if (segment.toShadow && segment.from)
        std::memcpy(segment.toShadow, segment.fromShadow, segment.bytes);
      else if (segment.toShadow)
        std::memset(segment.toShadow, 1, segment.bytes);
    }
    return;
  }
  std::lock_guard<std::mutex> lock(reductionMutex);
  unsigned width = sizeOf(type);
  for (const Segment &segment : segments)
    for (uint32_t i = 0; i + width <= segment.bytes; i += width)
      combineOne(type, operation, segment.to + i, segment.from + i);
}

void finishBulk(Warp &warp, LaneMask lanes, uint32_t remaining) {
  WarpAsync &state = asyncOf(warp);
  std::optional<uint32_t> last;
  std::erase_if(state.bulk, [&](const BulkCopy &copy) {
    bool isDue = (lanes >> copy.lane & 1) &&
                 uint64_t(copy.group) + remaining < state.bulkGroup[copy.lane];
    if (isDue) {
      copy.perform();
      last = copy.time;
    }
    return isDue;
  });
  RaceChecker *checker = checkerOf(warp.block);
  if (last && checker)
    checker->learn(warp, QueueKind::BulkGroup, warp.index, *last);
}

void finishBlock(Block &block) {
  for (auto &warp : block.warps) {
    if (!warp->asyncState)
      continue;
    for (const BulkCopy &copy : asyncOf(*warp).bulk) {
      warp->report(FindingKind::AsyncMisuse, *copy.op, copy.lane,
                   "the block ended before this copy was waited for "
                   "(cp.async.bulk.wait_group)");
      copy.perform();
    }
    warp->asyncState.reset();
  }
  if (!block.asyncState)
    return;
  for (auto &[offset, barrier] : asyncOf(block).mbarriers)
    if (!barrier.copies.empty()) {
      const BulkCopy &copy = barrier.copies.front();
      block.warps[0]->report(
          FindingKind::AsyncMisuse, *copy.op, copy.lane,
          "the block ended before this copy was waited for: no thread saw the "
          "phase of the mbarrier at byte " +
              std::to_string(offset) + " complete");
    }
  block.asyncState.reset();
}

//===----------------------------------------------------------------------===//
// mbarriers
//===----------------------------------------------------------------------===//

uint64_t Mbarrier::encoded() const {
  return uint64_t(pending & 0xFFFFF) | uint64_t(expected & 0xFFFFF) << 20 |
         (uint64_t(transactions) & 0x3FFFFF) << 40 | uint64_t(phase & 1) << 62 |
         uint64_t(1) << 63;
}

void Mbarrier::advance() {
  if (pending != 0 || transactions != 0)
    return;
  ++phase;
  pending = expected;
  finished.join(gathered);
  gathered = {};
}

void Mbarrier::settle(RaceChecker *checker) {
  int64_t bytes = 0, threads = 0;
  for (const BulkCopy &copy : copies)
    bytes += copy.transactionBytes;
  for (const Arrival &arrival : arrivals)
    threads += std::popcount(arrival.lanes);
  if (transactions != bytes || int64_t(pending) != threads)
    return;
  for (const BulkCopy &copy : copies) {
    copy.perform();
    if (checker)
      checker->releaseQueue(copy.agent, copy.time, gathered);
  }
  for (const Arrival &arrival : arrivals) {
    auto last = performDue(*arrival.warp, [&](const SmallCopy &copy) {
      return copy.serial < arrival.upTo ? arrival.lanes : 0;
    });
    if (last && checker)
      checker->releaseQueue(
          checker->agentOf(QueueKind::SmallCopies, arrival.warp->index), *last,
          gathered);
  }
  copies.clear();
  arrivals.clear();
  transactions = 0;
  pending = 0;
  advance();
}

bool reportStuckMbarriers(Block &block) {
  if (!block.asyncState)
    return false;
  bool found = false;
  for (auto &[offset, barrier] : asyncOf(block).mbarriers) {
    int64_t bytes = 0;
    for (const BulkCopy &copy : barrier.copies)
      bytes += copy.transactionBytes;
    bool isStarted =
        barrier.pending != barrier.expected || barrier.transactions || bytes;
    if (!isStarted)
      continue;
    found = true;
    std::string text = "phase " + std::to_string(barrier.phase) +
                       " of the mbarrier at byte " + std::to_string(offset) +
                       " will never complete: ";
    if (barrier.pending)
      text += std::to_string(barrier.pending) + " of " +
              std::to_string(barrier.expected) + " arrivals are missing, ";
    text += std::to_string(barrier.transactions) +
            " bytes are expected and copies of " + std::to_string(bytes) +
            " bytes are under way";
    block.warps[0]->report(FindingKind::MbarrierMisuse, *barrier.initialised, 0,
                           text);
  }
  return found;
}

} // namespace clade::ptx
