//===- fuzz_artifact.cpp - Any text as a manifest -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No text crashes the reader; what it accepts has a canonical text that reads
// back as itself, and describes a cache that can be made and grown.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CpuFeatures.h"
#include "runtime/Engine/KVCache.h"

#include <cstdlib>

using namespace clade::rt;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

void growCache(const Manifest &manifest) {
  constexpr uint64_t budget = uint64_t(1) << 22;
  auto cache = KVCache::create(manifest, budget);
  if (!cache.ok())
    return;
  StatusOr<SequenceId> id = (*cache)->createSequence(1);
  require(id.ok());
  for (int64_t tokens : {1, 31, 100, 1}) {
    KVCache::Growth growth{*id, tokens};
    Status status = (*cache)->grow({&growth, 1});
    require(status.ok() || status.code() == StatusCode::ResourceExhausted);
    if (!status.ok())
      return;
    (*cache)->advance({&growth, 1});
    require((*cache)->states({&growth, 1}).size() == manifest.states.size());
    require((*cache)->usedBytes() <= budget);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  (void)Manifest::fromJson(text).ok();
  StatusOr<Manifest> manifest = Manifest::fromLooseJson(text);
  if (!manifest.ok())
    return 0;
  std::string canonical = manifest->toJson();
  StatusOr<Manifest> again = Manifest::fromJson(canonical);
  require(again.ok() && again->toJson() == canonical);
  (void)checkCpuFeatures(manifest->target.features).ok();
  // The number of states is bounded by the text; that of mappings should be,
  // too.
  if (manifest->states.size() < 64)
    growCache(*manifest);
  return 0;
}
