//===- Shadow.cpp - Who touched each word of memory last ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Shadow.h"

namespace clade::ptx {

static bool isSameThread(const ShadowAccess &a, const ShadowAccess &b) {
  return a.block == b.block && a.agent == b.agent && !a.isMany && !b.isMany &&
         a.lane == b.lane;
}

bool isOrdered(const ShadowAccess &other, const Accessor &now) {
  if (other.block == now.access.block && other.agent == now.knower) {
    // A copy is ordered after everything that its issuer's thread did, and so
    // are the lanes of one warp after a barrier between them.
    if (!other.isMany && other.lane == now.access.lane)
      return true;
    return now.clocks.laneKnows(now.knower, now.access.lane, other.time);
  }
  return now.clocks.knows(now.knower, other.block, other.agent, other.time);
}

static bool isConflict(const ShadowAccess &other, const Accessor &now) {
  return (other.mask & now.access.mask) &&
         !(other.isStrong && now.access.isStrong) && !isOrdered(other, now);
}

/// Whether the access says all that `place` says. A strong access in place of a
/// weak one would hide races of the weak one.
static bool covers(const ShadowAccess &now, const ShadowAccess &place) {
  return !now.isStrong || place.isStrong;
}

/// Keeps the access in one of two places: over one of the same thread, an empty
/// one or one that happened before; otherwise over the second.
static void keep(ShadowAccess (&places)[2], const Accessor &now) {
  for (ShadowAccess &place : places)
    if (!place.isEmpty() && isSameThread(place, now.access) &&
        covers(now.access, place)) {
      uint32_t mask = place.time == now.access.time ? place.mask : 0;
      place = now.access;
      place.mask |= mask;
      return;
    }
  for (ShadowAccess &place : places)
    if (place.isEmpty()) {
      place = now.access;
      return;
    }
  for (ShadowAccess &place : places)
    if ((place.mask & ~now.access.mask) == 0 && isOrdered(place, now)) {
      place = now.access;
      return;
    }
  // Lanes of one warp at one time are one party to everybody else.
  for (ShadowAccess &place : places)
    if (place.block == now.access.block && place.agent == now.access.agent &&
        place.time == now.access.time &&
        place.isStrong == now.access.isStrong) {
      place.isMany = 1;
      place.mask |= now.access.mask;
      return;
    }
  places[1] = now.access;
}

Conflict shadowRead(ShadowCell &cell, const Accessor &now) {
  Conflict conflict;
  for (const ShadowAccess &write : cell.writes) {
    if (write.isEmpty() || !(write.mask & now.access.mask))
      continue;
    if (isConflict(write, now))
      conflict = {write, true, false};
    else if (now.access.isAsync && !write.isAsync &&
             write.block == now.access.block && !conflict &&
             !now.clocks.hasFenced(now.knower, write.agent, write.time))
      conflict = {write, true, true};
  }
  keep(cell.reads, now);
  return conflict;
}

Conflict shadowWrite(ShadowCell &cell, const Accessor &now, bool isSilent) {
  Conflict conflict;
  if (!isSilent) {
    for (const ShadowAccess &write : cell.writes)
      if (!write.isEmpty() && isConflict(write, now))
        conflict = {write, true, false};
    for (const ShadowAccess &read : cell.reads)
      if (!read.isEmpty() && !conflict && isConflict(read, now))
        conflict = {read, false, false};
  }
  keep(cell.writes, now);
  // Reads of these bytes are all before this write, or were reported.
  for (ShadowAccess &read : cell.reads)
    if (!isSilent && !(read.mask & ~now.access.mask))
      read = {};
  return conflict;
}

GlobalShadow::Page &GlobalShadow::page(uint64_t address) {
  uint64_t number = address / pageBytes;
  Shard &shard = shards[number % shards.size()];
  std::lock_guard<std::mutex> lock(shard.mutex);
  std::unique_ptr<Page> &page = shard.pages[number];
  if (!page)
    page = std::make_unique<Page>();
  return *page;
}

} // namespace clade::ptx
