//===- DevicePages.cpp - Pages of keys and values on a GPU ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/DevicePages.h"

#include <algorithm>

using namespace clade::rt;

Status DevicePages::commit(uint64_t bytes) {
  if (bytes <= buffer.size())
    return {};
  // Twice as much, so that growing moves rarely.
  uint64_t ahead = std::max(bytes, std::min(2 * bytes, limit));
  const char *what = "keys and values";
  StatusOr<DeviceBuffer> larger =
      DeviceBuffer::allocate(stream->device(), ahead, what);
  if (!larger.ok()) {
    larger = DeviceBuffer::allocate(stream->device(), bytes, what);
    if (!larger.ok())
      return larger.takeStatus();
  }
  uint64_t old = buffer.size();
  if (old)
    CLADE_RETURN_IF_ERROR(
        stream->copy(larger->address(), buffer.address(), old));
  CLADE_RETURN_IF_ERROR(
      stream->zero(larger->address() + old, larger->size() - old));
  // The old buffer is freed when nothing reads it any more.
  CLADE_RETURN_IF_ERROR(stream->synchronize());
  buffer = std::move(*larger);
  return {};
}
