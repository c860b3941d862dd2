//===- SectorCache.cpp - A cache of lines in sectors ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/SectorCache.h"

#include <algorithm>

using namespace clade::ptx;

SectorCache::SectorCache(uint64_t bytes)
    : sets(bytes / lineBytes / ways), table(sets * ways) {}

/// Turned on by a prime for each round, so that strides of many lines do not
/// all meet in one set.
uint64_t SectorCache::setOf(uint64_t line) const {
  return (line + line / sets * 37) % sets;
}

SectorCache::Way *SectorCache::find(uint64_t line) {
  if (!sets)
    return nullptr;
  Way *first = &table[setOf(line) * ways];
  for (unsigned i = 0; i < ways; ++i)
    if (first[i].line == line) {
      std::rotate(first, first + i, first + i + 1);
      return first;
    }
  return nullptr;
}

SectorCache::Way &SectorCache::place(uint64_t line) {
  if (Way *found = find(line))
    return *found;
  Way *first = &table[setOf(line) * ways];
  std::rotate(first, first + ways - 1, first + ways);
  *first = {line, 0, 0};
  return *first;
}

uint8_t SectorCache::read(uint64_t line, uint8_t sectors) {
  if (!sets)
    return 0;
  Way &way = place(line);
  uint8_t found = way.present & sectors;
  way.present |= sectors;
  return found;
}

uint8_t SectorCache::probe(uint64_t line, uint8_t sectors) {
  Way *way = find(line);
  return way ? way->present & sectors : 0;
}

uint8_t SectorCache::write(uint64_t line, uint8_t sectors, bool makesRoom) {
  if (!sets)
    return sectors;
  Way &way = place(line);
  uint8_t clean = sectors & ~way.dirty;
  way.present |= sectors;
  way.dirty |= sectors;
  // It is the first of its set now; the last one makes room.
  if (makesRoom)
    std::rotate(&way, &way + 1, &way + ways);
  return clean;
}
