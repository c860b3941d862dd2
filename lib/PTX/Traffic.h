//===- Traffic.h - What a launch moves through caches -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model of L1, L2 and DRAM, which reads the requests of a launch in the order
// of a GPU: as many blocks as it holds go on at once, each by one request in
// turn, and the next block begins where one ends. docs/ptx-counters.md states
// the model.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TRAFFIC_H
#define CLADE_PTX_TRAFFIC_H

#include "lib/PTX/Trace.h"

namespace clade::ptx {

/// The caches, and how many blocks share them.
struct CacheSetup {
  uint64_t l2Bytes = 0;
  uint64_t l1Bytes = 0; ///< Of a multiprocessor, without shared memory.
  unsigned multiprocessors = 1;
  unsigned blocksPerMultiprocessor = 1;
};

/// Sectors have 32 bytes. Where blocks were left out of the trace, the figures
/// are those of the others, scaled to the launch.
struct Traffic {
  double l1Reads = 0; ///< Sectors asked of L1.
  double l1Hits = 0;
  double l2Reads = 0; ///< Sectors that go past L1.
  double l2Hits = 0;
  double l2Writes = 0; ///< With those of atomics.
  double dramReads = 0;
  double dramWrites = 0;
  uint64_t tracedBlocks = 0;
  uint64_t blocks = 0;
  /// Sectors to and from DRAM, by line of the PTX.
  std::vector<double> dramByLine;

  double l2Bytes() const { return 32 * (l2Reads + l2Writes); }
  double dramBytes() const { return 32 * (dramReads + dramWrites); }
};

/// Runs the trace through caches that are empty at first.
Traffic modelTraffic(const Trace &trace, const CacheSetup &setup);

} // namespace clade::ptx

#endif // CLADE_PTX_TRAFFIC_H
