//===- PageMemory.h - Where pages of states lie --------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_PAGEMEMORY_H
#define CLADE_RUNTIME_ENGINE_PAGEMEMORY_H

#include "runtime/Engine/Memory.h"

#include <functional>
#include <memory>

namespace clade::rt {

/// Memory that pages are cut from, the host's or a device's.
class PageMemory {
public:
  virtual ~PageMemory() = default;
  /// Where code finds it; may change with commit().
  virtual char *base() const = 0;
  /// Makes the first `bytes` usable and keeps what is there; new memory is
  /// zero.
  virtual Status commit(uint64_t bytes) = 0;
  /// Gives memory inside [begin, end) back where that is possible.
  virtual void release(uint64_t begin, uint64_t end) = 0;
  virtual Status zero(uint64_t begin, uint64_t bytes) = 0;
  virtual Status copy(uint64_t to, uint64_t from, uint64_t bytes) = 0;
};

/// Makes memory that may grow to so many bytes.
using MakePages =
    std::function<StatusOr<std::unique_ptr<PageMemory>>(uint64_t bytes)>;

/// Memory of the host: addresses are reserved at once and never change.
StatusOr<std::unique_ptr<PageMemory>> makeHostPages(uint64_t bytes);

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_PAGEMEMORY_H
