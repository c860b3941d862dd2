//===- Trace.h - Requests to global memory, by block ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a model of caches needs of a launch: for each block, in its order, the
// lines of 128 bytes that its warps ask for. Blocks run in any order here; the
// model puts them in the order of a GPU (Traffic.h).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TRACE_H
#define CLADE_PTX_TRACE_H

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace clade::ptx {

enum class RequestKind : uint8_t { Read, Write, Atomic };

/// A warp's request for sectors of one line.
class Request {
public:
  Request(uint64_t line, uint8_t sectors, RequestKind kind, uint32_t op)
      : bits(line << 23 | uint64_t(op & 0x1ffff) << 6 | uint64_t(kind) << 4 |
             sectors) {}
  /// The line's number in the machine's memory.
  uint64_t line() const { return bits >> 23; }
  uint8_t sectors() const { return bits & 15; }
  RequestKind kind() const { return RequestKind(bits >> 4 & 3); }
  /// The index in Trace::origins.
  uint32_t op() const { return bits >> 6 & 0x1ffff; }

private:
  uint64_t bits;
};

struct Trace {
  /// The instruction that made a request.
  struct Origin {
    unsigned line = 0; ///< Of the PTX.
    bool usesL1 = false;
    bool evictsFirst = false; ///< What it writes makes room in L2 first.
  };
  uint64_t numBlocks = 0; ///< Of the launch.
  /// The first blocks of the launch: all, or as many as there was room for.
  std::vector<std::vector<Request>> blocks;
  std::vector<Origin> origins;
};

/// Gathers the requests of blocks that run at once. Where there are too many,
/// the blocks with the greatest numbers are left out, so that what is kept does
/// not depend on the order in which blocks run.
class TraceStore {
public:
  explicit TraceStore(uint64_t capacity) : capacity(capacity) {}

  bool wants(uint64_t block) const {
    return block < limit.load(std::memory_order_relaxed);
  }
  /// Adds to a block's requests; takes them out of `requests`.
  void add(uint64_t block, std::vector<Request> &requests);
  /// The blocks from the first on, without gaps.
  std::vector<std::vector<Request>> take();

private:
  const uint64_t capacity; ///< Requests.
  uint64_t held = 0;
  std::atomic<uint64_t> limit = ~uint64_t(0);
  std::map<uint64_t, std::vector<Request>> blocks;
  std::mutex mutex;
};

} // namespace clade::ptx

#endif // CLADE_PTX_TRACE_H
