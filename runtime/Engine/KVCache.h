//===- KVCache.h - Paged keys and values, recurrent states ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The memory of all states, and which sequence has which pages.
//
// States of one group share page numbers: page p of the group is page p of
// each of its states. A sequence has a page table per group. Pages that fell
// out of a group's window go back to the group; memory of unused pages is given
// to other groups when the budget is short. In a group of recurrent states a
// sequence has one page from its first token on. The layout of a page is in
// abi.h.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_KVCACHE_H
#define CLADE_RUNTIME_ENGINE_KVCACHE_H

#include "runtime/Engine/Manifest.h"
#include "runtime/Engine/PageMemory.h"

#include <memory>
#include <span>

namespace clade::rt {

/// A sequence of a cache. Numbers are not used again: that of a freed sequence
/// stays invalid.
enum class SequenceId : uint64_t { None = 0 };

/// Not thread-safe.
class KVCache {
public:
  /// A cache of at most `budget` bytes of pages, which lie where `makePages`
  /// says. ResourceExhausted if the addresses cannot be reserved. `manifest`
  /// must be valid.
  static StatusOr<std::unique_ptr<KVCache>>
  create(const Manifest &manifest, uint64_t budget,
         const MakePages &makePages = makeHostPages);

  /// An empty sequence, with the length that length-dependent rotary scalings
  /// are fixed for. ResourceExhausted if there are too many.
  StatusOr<SequenceId> createSequence(int32_t scaledLength);
  Status freeSequence(SequenceId id);
  /// A new sequence with the tokens and states of another. ResourceExhausted if
  /// the budget or the number of sequences is too small.
  StatusOr<SequenceId> copySequence(SequenceId id);

  /// Tokens that the sequence has.
  StatusOr<int64_t> length(SequenceId id) const;
  /// Drops the tokens from position `length` on. InvalidArgument if it has
  /// fewer, if the window of the token that would come next was freed, or if
  /// the model has recurrent states, which are only there for all tokens:
  /// then `length` is 0 or what the sequence has.
  Status truncate(SequenceId id, int64_t length);

  /// A sequence that is about to get `tokens` more tokens.
  struct Growth {
    SequenceId id;
    int64_t tokens;
  };
  /// Frees what fell out of windows, then gives each sequence the pages for its
  /// new tokens; a page is all zero when a sequence gets it. Without enough
  /// budget no sequence gets any: ResourceExhausted names what is needed and
  /// the budget. Ids must be valid and different.
  Status grow(std::span<const Growth> growths);
  /// Counts tokens that a step has written.
  void advance(std::span<const Growth> growths);

  /// The states for a step whose row s is sequence growths[s], valid until the
  /// next call of a member function that is not const. Call after grow().
  std::span<const CladeKVState> states(std::span<const Growth> growths);
  int32_t scaledLength(SequenceId id) const;
  /// The place of the adapter that a sequence has; 0 for none, as at first.
  /// InvalidArgument for an unknown sequence. Copies have the same.
  Status setAdapter(SequenceId id, int32_t adapter);
  int32_t adapter(SequenceId id) const;

  uint64_t budget() const { return budgetBytes; }
  /// Bytes of the pages that sequences have.
  uint64_t usedBytes() const;
  /// Those, and of pages that are kept for the next sequences.
  uint64_t residentBytes() const;
  /// Bytes of a group's page, over all its states.
  uint64_t pageBytes(size_t group) const { return groups[group].pageBytes; }

private:
  /// Keys or values of one state.
  struct Part {
    uint64_t pageBytes;
    std::unique_ptr<PageMemory> memory;
    size_t state; ///< Whose it is.
    bool isKeys;
  };
  struct Group {
    std::optional<int32_t> window;
    bool perSequence = false;
    uint64_t pageBytes = 0;
    int64_t maxPages = 0;
    std::vector<Part> parts;
    /// Unused pages with memory behind them, and without.
    std::vector<int32_t> warm, cold;
    int32_t fresh = 0; ///< Pages from this number on were never used.
    int64_t used = 0;
    std::vector<int32_t> table; ///< The step's [sequences][stride].

    /// Entries of the page table of a sequence of `length` tokens.
    int64_t pagesFor(int64_t length) const;
  };
  /// The pages of a sequence in one group: entries before `first` are free.
  struct PageTable {
    int64_t first = 0;
    std::vector<int32_t> pages;
  };
  struct Sequence {
    SequenceId id = SequenceId::None;
    int64_t length = 0;
    int32_t scaledLength = 0;
    int32_t adapter = 0;
    std::vector<PageTable> tables; ///< One per group.
  };

  explicit KVCache(uint64_t budget) : budgetBytes(budget) {}
  Status addState(const ManifestState &state, const MakePages &makePages);
  const Sequence *find(SequenceId id) const;
  Sequence *find(SequenceId id);
  void freePages(Group &group, PageTable &table, int64_t begin, int64_t end);
  void leaveWindow(Sequence &sequence);
  Status checkBudget(std::span<const Growth> growths) const;
  Status checkNeed(std::optional<uint64_t> bytes) const;
  Status copyPages(const Sequence &from, Sequence &to);
  StatusOr<int32_t> takePage(Group &group);
  StatusOr<int32_t> takeFreshPage(Group &group);
  void evictFor(const Group &needy);

  const uint64_t budgetBytes;
  std::vector<Group> groups;
  std::vector<CladeKVState> stateRows;
  std::vector<size_t> groupOfState;
  std::vector<Sequence> sequences; ///< Slots; unused ones have no id.
  std::vector<size_t> unusedSlots;
  uint64_t lastGeneration = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_KVCACHE_H
