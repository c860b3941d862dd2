//===- MergeTable.h - Which pairs of tokens merge ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A hash table from pairs of ids to the rank of their merge and its result,
// made for the hundreds of thousands of look-ups that encoding a text takes.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_MERGETABLE_H
#define CLADE_RUNTIME_TOKENIZER_MERGETABLE_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace clade::rt {

/// Open addressing with linear probing, at most half full.
class MergeTable {
public:
  struct Entry {
    uint64_t key = unused;
    int32_t rank = 0;
    int32_t result = 0;
  };

  MergeTable() : MergeTable(0) {}
  explicit MergeTable(size_t numMerges) {
    size_t capacity = 16;
    while (capacity < numMerges * 2)
      capacity *= 2;
    entries.resize(capacity);
  }

  /// Adds a merge; for a pair that is there already, the new one counts. At
  /// most as many pairs as announced.
  void insert(int32_t left, int32_t right, int32_t rank, int32_t result) {
    uint64_t key = makeKey(left, right);
    size_t slot = findSlot(key);
    entries[slot] = {key, rank, result};
  }

  /// The merge of a pair, or null.
  const Entry *find(int32_t left, int32_t right) const {
    const Entry &entry = entries[findSlot(makeKey(left, right))];
    return entry.key == unused ? nullptr : &entry;
  }

private:
  static constexpr uint64_t unused = ~uint64_t(0);

  static uint64_t makeKey(int32_t left, int32_t right) {
    return uint64_t(uint32_t(left)) << 32 | uint32_t(right);
  }
  size_t findSlot(uint64_t key) const {
    size_t mask = entries.size() - 1;
    size_t slot = (key * 0x9E3779B97F4A7C15ull >> 20) & mask;
    while (entries[slot].key != unused && entries[slot].key != key)
      slot = (slot + 1) & mask;
    return slot;
  }

  std::vector<Entry> entries;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_MERGETABLE_H
