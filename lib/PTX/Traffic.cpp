//===- Traffic.cpp - What a launch moves through caches -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Traffic.h"

#include "lib/PTX/SectorCache.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;

namespace {

/// The caches of a GPU, and what was counted.
class Caches {
public:
  Caches(const Trace &trace, const CacheSetup &setup)
      : trace(trace), l2(setup.l2Bytes) {
    for (unsigned i = 0; i < setup.multiprocessors; ++i)
      l1.emplace_back(setup.l1Bytes);
    traffic.blocks = trace.numBlocks;
    traffic.tracedBlocks = trace.blocks.size();
    unsigned last = 0;
    for (const Trace::Origin &origin : trace.origins)
      last = std::max(last, origin.line);
    traffic.dramByLine.resize(last + 1);
  }

  void serve(const Request &request, unsigned multiprocessor);
  Traffic finish();

private:
  static double count(uint8_t sectors) { return std::popcount(sectors); }
  void readL2(const Request &request, uint8_t sectors);
  void writeL2(const Request &request);
  double &dramOf(const Request &request) {
    return traffic.dramByLine[trace.origins[request.op()].line];
  }

  const Trace &trace;
  SectorCache l2;
  std::vector<SectorCache> l1;
  Traffic traffic;
};

} // namespace

void Caches::readL2(const Request &request, uint8_t sectors) {
  uint8_t found = l2.read(request.line(), sectors);
  traffic.l2Reads += count(sectors);
  traffic.l2Hits += count(found);
  double missing = count(sectors) - count(found);
  traffic.dramReads += missing;
  dramOf(request) += missing;
}

void Caches::writeL2(const Request &request) {
  traffic.l2Writes += count(request.sectors());
  double written = count(l2.write(request.line(), request.sectors(),
                                  trace.origins[request.op()].evictsFirst));
  traffic.dramWrites += written;
  dramOf(request) += written;
}

void Caches::serve(const Request &request, unsigned multiprocessor) {
  uint8_t sectors = request.sectors();
  switch (request.kind()) {
  case RequestKind::Read:
    if (trace.origins[request.op()].usesL1) {
      uint8_t found = l1[multiprocessor].read(request.line(), sectors);
      traffic.l1Reads += count(sectors);
      traffic.l1Hits += count(found);
      sectors &= ~found;
    }
    if (sectors)
      readL2(request, sectors);
    break;
  case RequestKind::Write: // L1 writes through and makes no room.
    l1[multiprocessor].probe(request.line(), sectors);
    writeL2(request);
    break;
  case RequestKind::Atomic: // Is done by L2.
    readL2(request, sectors);
    writeL2(request);
    break;
  }
}

Traffic Caches::finish() {
  double scale = traffic.tracedBlocks
                     ? double(traffic.blocks) / double(traffic.tracedBlocks)
                     : 0;
  for (double *figure :
       {&traffic.l1Reads, &traffic.l1Hits, &traffic.l2Reads, &traffic.l2Hits,
        &traffic.l2Writes, &traffic.dramReads, &traffic.dramWrites})
    *figure *= scale;
  for (double &figure : traffic.dramByLine)
    figure *= scale;
  return std::move(traffic);
}

Traffic clade::ptx::modelTraffic(const Trace &trace, const CacheSetup &setup) {
  Caches caches(trace, setup);
  struct Running {
    const std::vector<Request> *requests;
    size_t next;
    unsigned multiprocessor;
  };
  std::vector<Running> running;
  size_t nextBlock = 0;
  unsigned room =
      setup.multiprocessors * std::max(1u, setup.blocksPerMultiprocessor);
  while (nextBlock < trace.blocks.size() && running.size() < room) {
    unsigned multiprocessor = unsigned(nextBlock % setup.multiprocessors);
    running.push_back({&trace.blocks[nextBlock++], 0, multiprocessor});
  }
  while (!running.empty()) {
    size_t kept = 0;
    for (Running block : running) {
      while (block.next == block.requests->size() &&
             nextBlock < trace.blocks.size())
        block = {&trace.blocks[nextBlock++], 0, block.multiprocessor};
      if (block.next == block.requests->size())
        continue;
      caches.serve((*block.requests)[block.next++], block.multiprocessor);
      running[kept++] = block;
    }
    running.resize(kept);
  }
  return caches.finish();
}
