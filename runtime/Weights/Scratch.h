//===- Scratch.h - Short-lived buffers of one thread ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stack of buffers that keeps its memory: evaluating a weight allocates from
// the system only the first few times.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_SCRATCH_H
#define CLADE_RUNTIME_WEIGHTS_SCRATCH_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace clade::rt {

/// Not thread-safe: one for each thread.
class Scratch {
public:
  /// Buffers taken during a frame's life are given back at its end.
  class Frame {
  public:
    explicit Frame(Scratch &scratch)
        : scratch(scratch), block(scratch.block), used(scratch.used) {}
    ~Frame() {
      scratch.block = block;
      scratch.used = used;
    }
    Frame(const Frame &) = delete;
    Frame &operator=(const Frame &) = delete;

  private:
    Scratch &scratch;
    size_t block;
    size_t used;
  };

  /// 64-byte aligned, uninitialised. Throws std::bad_alloc.
  std::byte *take(int64_t bytes) {
    size_t size = (static_cast<size_t>(bytes) + 63) / 64 * 64;
    while (block < blocks.size() && blocks[block].size - used < size) {
      ++block;
      used = 0;
    }
    if (block == blocks.size())
      addBlock(std::max(size, minBlockBytes));
    std::byte *result = blocks[block].data.get() + used;
    used += size;
    return result;
  }

  /// Bytes that were ever needed at once, in whole blocks.
  int64_t allocatedBytes() const {
    int64_t bytes = 0;
    for (const Block &one : blocks)
      bytes += static_cast<int64_t>(one.size);
    return bytes;
  }

private:
  static constexpr size_t minBlockBytes = size_t(1) << 20;
  struct Free {
    void operator()(std::byte *data) const { std::free(data); }
  };
  struct Block {
    std::unique_ptr<std::byte[], Free> data;
    size_t size;
  };

  void addBlock(size_t size) {
    auto *data = static_cast<std::byte *>(std::aligned_alloc(64, size));
    if (!data)
      throw std::bad_alloc();
    std::unique_ptr<std::byte[], Free> owner(data);
    blocks.push_back({std::move(owner), size});
  }

  std::vector<Block> blocks;
  size_t block = 0;
  size_t used = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_SCRATCH_H
