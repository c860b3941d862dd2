//===- KVCache.cpp - Paged keys and values, recurrent states --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Accounting: pages that sequences have and warm pages count against the
// budget; cold and fresh pages have no memory behind them and do not.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/KVCache.h"

#include "runtime/Support/CheckedMath.h"

#include <algorithm>

using namespace clade::rt;

namespace {

constexpr int64_t pageTokens = CLADE_PAGE_TOKENS;
/// A sequence's number is its slot and, above these bits, a generation.
constexpr int slotBits = 20;
constexpr uint64_t maxSequences = uint64_t(1) << slotBits;
/// Memory becomes usable in pieces of at least this size.
constexpr uint64_t commitBytes = uint64_t(4) << 20;

size_t slotOf(SequenceId id) {
  return static_cast<uint64_t>(id) & (maxSequences - 1);
}

/// The first page that a token at `position` reads.
int64_t firstPageFor(std::optional<int32_t> window, int64_t position) {
  if (!window)
    return 0;
  return std::max<int64_t>(0, position - *window + 1) / pageTokens;
}

} // namespace

int64_t KVCache::Group::pagesFor(int64_t length) const {
  int64_t pages = ceilDiv(length, pageTokens);
  return perSequence ? std::min<int64_t>(pages, 1) : pages;
}

StatusOr<std::unique_ptr<KVCache>> KVCache::create(const Manifest &manifest,
                                                   uint64_t budget,
                                                   const MakePages &makePages) {
  std::unique_ptr<KVCache> cache(new KVCache(budget));
  cache->groups.resize(manifest.groups.size());
  for (size_t i = 0; i < manifest.groups.size(); ++i) {
    cache->groups[i].window = manifest.groups[i].window;
    cache->groups[i].perSequence = manifest.groups[i].perSequence;
  }
  for (const ManifestState &state : manifest.states)
    cache->groups[state.group].pageBytes +=
        static_cast<uint64_t>(state.keyPageBytes() + state.valuePageBytes());
  for (Group &group : cache->groups)
    if (group.pageBytes > 0)
      group.maxPages = static_cast<int64_t>(
          std::min<uint64_t>(budget / group.pageBytes, INT32_MAX));
  for (const ManifestState &state : manifest.states)
    CLADE_RETURN_IF_ERROR(cache->addState(state, makePages));
  return cache;
}

Status KVCache::addState(const ManifestState &state,
                         const MakePages &makePages) {
  Group &group = groups[state.group];
  for (bool isKeys : {true, false}) {
    if (!isKeys && (state.isRecurrent() || state.isLatent()))
      continue;
    auto pageBytes = static_cast<uint64_t>(isKeys ? state.keyPageBytes()
                                                  : state.valuePageBytes());
    // Cannot overflow: a part of the page is not larger than the page.
    CLADE_ASSIGN_OR_RETURN(
        std::unique_ptr<PageMemory> memory,
        makePages(pageBytes * static_cast<uint64_t>(group.maxPages)));
    group.parts.push_back(
        {pageBytes, std::move(memory), stateRows.size(), isKeys});
  }
  stateRows.push_back({});
  groupOfState.push_back(static_cast<size_t>(state.group));
  return {};
}

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

const KVCache::Sequence *KVCache::find(SequenceId id) const {
  size_t slot = slotOf(id);
  if (id == SequenceId::None || slot >= sequences.size() ||
      sequences[slot].id != id)
    return nullptr;
  return &sequences[slot];
}

KVCache::Sequence *KVCache::find(SequenceId id) {
  return const_cast<Sequence *>(std::as_const(*this).find(id));
}

namespace {
Status unknownSequence() {
  return Status::invalidArgument("the sequence does not exist or was freed");
}
} // namespace

StatusOr<SequenceId> KVCache::createSequence(int32_t scaledLength) {
  if (unusedSlots.empty()) {
    if (sequences.size() == maxSequences)
      return Status::resourceExhausted(
          "there are already " + std::to_string(maxSequences) + " sequences");
    unusedSlots.push_back(sequences.size());
    sequences.emplace_back().tables.resize(groups.size());
  }
  size_t slot = unusedSlots.back();
  unusedSlots.pop_back();
  Sequence &sequence = sequences[slot];
  sequence.id = SequenceId(++lastGeneration << slotBits | slot);
  sequence.length = 0;
  sequence.scaledLength = scaledLength;
  sequence.adapter = 0;
  return sequence.id;
}

Status KVCache::freeSequence(SequenceId id) {
  Sequence *sequence = find(id);
  if (!sequence)
    return unknownSequence();
  CLADE_RETURN_IF_ERROR(truncate(id, 0));
  sequence->id = SequenceId::None;
  unusedSlots.push_back(slotOf(id));
  return {};
}

StatusOr<SequenceId> KVCache::copySequence(SequenceId id) {
  const Sequence *from = find(id);
  if (!from)
    return unknownSequence();
  std::optional<uint64_t> need = usedBytes();
  for (size_t i = 0; i < groups.size(); ++i) {
    const PageTable &table = from->tables[i];
    // The pages that the sequence still has.
    auto pages = static_cast<uint64_t>(
        static_cast<int64_t>(table.pages.size()) - table.first);
    std::optional<uint64_t> more = checkedMul(pages, groups[i].pageBytes);
    need = need && more ? checkedAdd(*need, *more) : std::nullopt;
  }
  CLADE_RETURN_IF_ERROR(checkNeed(need));
  CLADE_ASSIGN_OR_RETURN(SequenceId copy, createSequence(from->scaledLength));
  from = find(id); // The new one may have moved it.
  Status status = copyPages(*from, *find(copy));
  if (!status.ok()) {
    CLADE_RETURN_IF_ERROR(freeSequence(copy));
    return status;
  }
  return copy;
}

Status KVCache::copyPages(const Sequence &from, Sequence &to) {
  to.length = from.length;
  to.adapter = from.adapter;
  for (size_t i = 0; i < groups.size(); ++i) {
    Group &group = groups[i];
    const PageTable &source = from.tables[i];
    PageTable &table = to.tables[i];
    table.first = source.first;
    table.pages.assign(static_cast<size_t>(source.first), -1);
    for (size_t j = table.pages.size(); j < source.pages.size(); ++j) {
      CLADE_ASSIGN_OR_RETURN(int32_t page, takePage(group));
      table.pages.push_back(page);
      for (Part &part : group.parts)
        CLADE_RETURN_IF_ERROR(part.memory->copy(
            static_cast<uint64_t>(page) * part.pageBytes,
            static_cast<uint64_t>(source.pages[j]) * part.pageBytes,
            part.pageBytes));
    }
  }
  return {};
}

StatusOr<int64_t> KVCache::length(SequenceId id) const {
  const Sequence *sequence = find(id);
  if (!sequence)
    return unknownSequence();
  return sequence->length;
}

Status KVCache::setAdapter(SequenceId id, int32_t adapter) {
  Sequence *sequence = find(id);
  if (!sequence)
    return unknownSequence();
  sequence->adapter = adapter;
  return {};
}

int32_t KVCache::adapter(SequenceId id) const { return find(id)->adapter; }

int32_t KVCache::scaledLength(SequenceId id) const {
  return find(id)->scaledLength;
}

Status KVCache::truncate(SequenceId id, int64_t length) {
  Sequence *sequence = find(id);
  if (!sequence)
    return unknownSequence();
  if (length < 0 || length > sequence->length)
    return Status::invalidArgument("cannot truncate a sequence of " +
                                   std::to_string(sequence->length) +
                                   " tokens to " + std::to_string(length));
  for (const Group &group : groups)
    if (group.perSequence && length != 0 && length != sequence->length)
      return Status::invalidArgument(
          "cannot truncate the sequence to " + std::to_string(length) +
          " tokens: its recurrent state is that of all " +
          std::to_string(sequence->length) + "; truncate it to 0");
  for (size_t i = 0; i < groups.size() && length > 0; ++i)
    if (firstPageFor(groups[i].window, length) < sequence->tables[i].first)
      return Status::invalidArgument(
          "cannot truncate the sequence to " + std::to_string(length) +
          " tokens: a window of " + std::to_string(*groups[i].window) +
          " before that was already given up");
  for (size_t i = 0; i < groups.size(); ++i) {
    PageTable &table = sequence->tables[i];
    int64_t kept = groups[i].pagesFor(length);
    freePages(groups[i], table, std::max(kept, table.first),
              static_cast<int64_t>(table.pages.size()));
    table.pages.resize(static_cast<size_t>(kept));
    table.first = length == 0 ? 0 : table.first;
  }
  sequence->length = length;
  return {};
}

void KVCache::advance(std::span<const Growth> growths) {
  for (const Growth &growth : growths)
    find(growth.id)->length += growth.tokens;
}

//===----------------------------------------------------------------------===//
// Pages
//===----------------------------------------------------------------------===//

uint64_t KVCache::usedBytes() const {
  uint64_t bytes = 0;
  for (const Group &group : groups)
    bytes += static_cast<uint64_t>(group.used) * group.pageBytes;
  return bytes;
}

uint64_t KVCache::residentBytes() const {
  uint64_t bytes = usedBytes();
  for (const Group &group : groups)
    bytes += group.warm.size() * group.pageBytes;
  return bytes;
}

void KVCache::freePages(Group &group, PageTable &table, int64_t begin,
                        int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    group.warm.push_back(table.pages[static_cast<size_t>(i)]);
    table.pages[static_cast<size_t>(i)] = -1;
    --group.used;
  }
}

void KVCache::leaveWindow(Sequence &sequence) {
  for (size_t i = 0; i < groups.size(); ++i) {
    PageTable &table = sequence.tables[i];
    int64_t first = firstPageFor(groups[i].window, sequence.length);
    if (first <= table.first)
      continue;
    freePages(groups[i], table, table.first, first);
    table.first = first;
  }
}

Status KVCache::checkBudget(std::span<const Growth> growths) const {
  std::optional<uint64_t> need = usedBytes();
  for (const Growth &growth : growths) {
    const Sequence &sequence = *find(growth.id);
    for (size_t i = 0; i < groups.size(); ++i) {
      int64_t pages = groups[i].pagesFor(sequence.length + growth.tokens);
      auto have = static_cast<int64_t>(sequence.tables[i].pages.size());
      std::optional<uint64_t> more =
          checkedMul(static_cast<uint64_t>(std::max<int64_t>(0, pages - have)),
                     groups[i].pageBytes);
      need = need && more ? checkedAdd(*need, *more) : std::nullopt;
    }
  }
  return checkNeed(need);
}

Status KVCache::checkNeed(std::optional<uint64_t> need) const {
  if (need && *need <= budgetBytes)
    return {};
  bool isRecurrent = std::ranges::any_of(groups, &Group::perSequence);
  return Status::resourceExhausted(
      (isRecurrent ? std::string("the states of the sequences need ")
                   : std::string("the keys and values need ")) +
      (need ? std::to_string(*need) : "more than 2^64") +
      " bytes, but their budget is " + std::to_string(budgetBytes) + " bytes");
}

Status KVCache::grow(std::span<const Growth> growths) {
  for (const Growth &growth : growths)
    leaveWindow(*find(growth.id));
  CLADE_RETURN_IF_ERROR(checkBudget(growths));
  for (const Growth &growth : growths) {
    Sequence &sequence = *find(growth.id);
    for (size_t i = 0; i < groups.size(); ++i) {
      auto pages = static_cast<size_t>(
          groups[i].pagesFor(sequence.length + growth.tokens));
      std::vector<int32_t> &table = sequence.tables[i].pages;
      while (table.size() < pages) {
        CLADE_ASSIGN_OR_RETURN(int32_t page, takePage(groups[i]));
        table.push_back(page);
      }
    }
  }
  return {};
}

StatusOr<int32_t> KVCache::takePage(Group &group) {
  std::vector<int32_t> &unused = group.warm.empty() ? group.cold : group.warm;
  if (group.warm.empty())
    evictFor(group);
  if (unused.empty())
    return takeFreshPage(group);
  int32_t page = unused.back();
  // The last owner's values, infinities perhaps, must not reach the next one.
  for (Part &part : group.parts)
    CLADE_RETURN_IF_ERROR(part.memory->zero(
        static_cast<uint64_t>(page) * part.pageBytes, part.pageBytes));
  unused.pop_back();
  ++group.used;
  return page;
}

StatusOr<int32_t> KVCache::takeFreshPage(Group &group) {
  for (Part &part : group.parts) {
    uint64_t end = (static_cast<uint64_t>(group.fresh) + 1) * part.pageBytes;
    uint64_t all = static_cast<uint64_t>(group.maxPages) * part.pageBytes;
    uint64_t ahead =
        ceilDiv(static_cast<int64_t>(end), commitBytes) * commitBytes;
    CLADE_RETURN_IF_ERROR(part.memory->commit(std::min(ahead, all)));
  }
  // So that giving pages back allocates nothing.
  auto pages = static_cast<size_t>(group.fresh) + 1;
  for (std::vector<int32_t> *list : {&group.warm, &group.cold})
    if (list->capacity() < pages)
      list->reserve(2 * pages);
  ++group.used;
  return group.fresh++;
}

void KVCache::evictFor(const Group &needy) {
  for (Group &group : groups) {
    while (!group.warm.empty() &&
           residentBytes() + needy.pageBytes > budgetBytes) {
      auto page = static_cast<uint64_t>(group.warm.back());
      for (Part &part : group.parts)
        part.memory->release(page * part.pageBytes,
                             (page + 1) * part.pageBytes);
      group.cold.push_back(group.warm.back());
      group.warm.pop_back();
    }
  }
}

std::span<const CladeKVState> KVCache::states(std::span<const Growth> growths) {
  size_t numGroups = groups.size();
  for (size_t i = 0; i < numGroups; ++i) {
    for (const Part &part : groups[i].parts) {
      CladeKVState &row = stateRows[part.state];
      (part.isKeys ? row.keys : row.values) = part.memory->base();
    }
    size_t stride = 1;
    for (const Growth &growth : growths)
      stride = std::max(stride, find(growth.id)->tables[i].pages.size());
    std::vector<int32_t> &table = groups[i].table;
    table.assign(growths.size() * stride, -1);
    for (size_t row = 0; row < growths.size(); ++row)
      std::ranges::copy(find(growths[row].id)->tables[i].pages,
                        table.begin() + static_cast<ptrdiff_t>(row * stride));
    for (size_t state = 0; state < stateRows.size(); ++state) {
      if (groupOfState[state] != i)
        continue;
      stateRows[state].pages = table.data();
      stateRows[state].pages_stride = static_cast<int32_t>(stride);
    }
  }
  return stateRows;
}
