//===- PageMemory.cpp - Where pages of states lie -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/PageMemory.h"

#include <cstring>

using namespace clade::rt;

namespace {
class HostPages : public PageMemory {
public:
  explicit HostPages(AddressRange range) : range(std::move(range)) {}

  char *base() const override { return range.data(); }
  Status commit(uint64_t bytes) override { return range.commit(bytes); }
  void release(uint64_t begin, uint64_t end) override {
    range.release(begin, end);
  }
  Status zero(uint64_t begin, uint64_t bytes) override {
    std::memset(range.data() + begin, 0, bytes);
    return {};
  }
  Status copy(uint64_t to, uint64_t from, uint64_t bytes) override {
    std::memcpy(range.data() + to, range.data() + from, bytes);
    return {};
  }

private:
  AddressRange range;
};
} // namespace

StatusOr<std::unique_ptr<PageMemory>> clade::rt::makeHostPages(uint64_t bytes) {
  CLADE_ASSIGN_OR_RETURN(AddressRange range, AddressRange::reserve(bytes));
  return std::unique_ptr<PageMemory>(
      std::make_unique<HostPages>(std::move(range)));
}
