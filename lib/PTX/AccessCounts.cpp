//===- AccessCounts.cpp - What an access costs a memory -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/AccessCounts.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;

namespace {

/// Counts passes over the banks where some bank is wanted for several words.
unsigned countConflicts(const uint64_t *addresses, LaneMask mask,
                        unsigned bytes) {
  unsigned lanesAtOnce = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  unsigned total = 0;
  for (unsigned begin = 0; begin < warpSize; begin += lanesAtOnce) {
    uint8_t depth[32] = {};
    uint64_t words[32][32];
    unsigned waves = 0;
    for (unsigned lane = begin; lane < begin + lanesAtOnce; ++lane) {
      if (!(mask >> lane & 1))
        continue;
      uint64_t last = (addresses[lane] + bytes - 1) >> 2;
      for (uint64_t word = addresses[lane] >> 2; word <= last; ++word) {
        unsigned bank = word & 31;
        bool isThere = std::find(words[bank], words[bank] + depth[bank],
                                 word) != words[bank] + depth[bank];
        if (isThere || depth[bank] == 32)
          continue;
        words[bank][depth[bank]++] = word;
        waves = std::max<unsigned>(waves, depth[bank]);
      }
    }
    total += waves;
  }
  return total;
}

} // namespace

unsigned clade::ptx::countSectors(const uint64_t *addresses, LaneMask mask,
                                  unsigned bytes) {
  uint64_t table[256];
  uint8_t filled[256] = {};
  unsigned count = 0;
  uint64_t last = ~uint64_t(0);
  for (LaneMask rest = mask; rest; rest &= rest - 1) {
    uint64_t address = addresses[std::countr_zero(rest)];
    for (uint64_t sector = address >> 5; sector <= (address + bytes - 1) >> 5;
         ++sector) {
      if (sector == last)
        continue;
      last = sector;
      unsigned at = unsigned((sector * 0x9e3779b97f4a7c15u) >> 56);
      while (filled[at] && table[at] != sector)
        at = (at + 1) & 255;
      count += !filled[at];
      filled[at] = 1;
      table[at] = sector;
    }
  }
  return count;
}

unsigned clade::ptx::findLines(const uint64_t *addresses, LaneMask mask,
                               unsigned bytes,
                               TouchedLine (&lines)[2 * warpSize]) {
  uint8_t table[256] = {}; // Places in `lines`, from 1.
  unsigned count = 0;
  uint64_t last = ~uint64_t(0);
  for (LaneMask rest = mask; rest; rest &= rest - 1) {
    uint64_t address = addresses[std::countr_zero(rest)];
    for (uint64_t sector = address >> 5; sector <= (address + bytes - 1) >> 5;
         ++sector) {
      if (sector == last)
        continue;
      last = sector;
      uint64_t line = sector >> 2;
      unsigned at = unsigned((line * 0x9e3779b97f4a7c15u) >> 56);
      while (table[at] && lines[table[at] - 1].line != line)
        at = (at + 1) & 255;
      if (!table[at]) {
        lines[count++] = {line, 0};
        table[at] = uint8_t(count);
      }
      lines[table[at] - 1].sectors |= uint8_t(1 << (sector & 3));
    }
  }
  return count;
}

unsigned clade::ptx::countWaves(const uint64_t *addresses, LaneMask mask,
                                unsigned bytes) {
  // Most accesses of up to 4 bytes have no conflict: each bank has one word.
  if (bytes > 4)
    return countConflicts(addresses, mask, bytes);
  uint64_t words[32];
  uint32_t isUsed = 0;
  for (LaneMask rest = mask; rest; rest &= rest - 1) {
    uint64_t word = addresses[std::countr_zero(rest)] >> 2;
    unsigned bank = word & 31;
    if ((isUsed >> bank & 1) && words[bank] != word)
      return countConflicts(addresses, mask, bytes);
    isUsed |= uint32_t(1) << bank;
    words[bank] = word;
  }
  return mask != 0;
}
