//===- Trace.cpp - Requests to global memory, by block --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Trace.h"

using namespace clade::ptx;

void TraceStore::add(uint64_t block, std::vector<Request> &requests) {
  std::lock_guard<std::mutex> lock(mutex);
  if (block < limit) {
    std::vector<Request> &all = blocks[block];
    all.insert(all.end(), requests.begin(), requests.end());
    held += requests.size();
  }
  requests.clear();
  while (held > capacity) {
    auto last = std::prev(blocks.end());
    held -= last->second.size();
    limit = last->first;
    blocks.erase(last);
  }
}

std::vector<std::vector<Request>> TraceStore::take() {
  std::vector<std::vector<Request>> result;
  for (auto &[block, requests] : blocks) {
    if (block != result.size())
      break;
    result.push_back(std::move(requests));
  }
  blocks.clear();
  return result;
}
