//===- SectorCache.h - A cache of lines in sectors --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_SECTORCACHE_H
#define CLADE_PTX_SECTORCACHE_H

#include <cstdint>
#include <vector>

namespace clade::ptx {

/// A set-associative cache: lines of 128 bytes with four sectors of 32 bytes,
/// each of which is there or not; the least recently used line of a set makes
/// room. Lines that follow each other fill all sets evenly.
class SectorCache {
public:
  static constexpr unsigned ways = 16;
  static constexpr unsigned lineBytes = 128;
  static constexpr unsigned sectorBytes = 32;

  /// A cache of so many bytes, rounded down to whole sets; of 0 bytes: one
  /// that holds nothing.
  explicit SectorCache(uint64_t bytes);

  /// Of the sectors (a mask of four bits) of a line, those that are there. All
  /// are there afterwards.
  uint8_t read(uint64_t line, uint8_t sectors);
  /// The same; what is there is not changed, except that it was used.
  uint8_t probe(uint64_t line, uint8_t sectors);
  /// Writes sectors; gives those that were clean or not there before: each of
  /// them goes to memory once, when its line makes room or at the end.
  /// `makesRoom`: the line makes room before all others of its set.
  uint8_t write(uint64_t line, uint8_t sectors, bool makesRoom = false);

private:
  struct Way {
    uint64_t line = ~uint64_t(0);
    uint8_t present = 0;
    uint8_t dirty = 0;
  };
  /// The way of a line as the first of its set; null where it is not there.
  Way *find(uint64_t line);
  Way &place(uint64_t line);
  uint64_t setOf(uint64_t line) const;

  uint64_t sets;
  std::vector<Way> table;
};

} // namespace clade::ptx

#endif // CLADE_PTX_SECTORCACHE_H
