//===- Fill.cpp - Fills of memory -----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Operations.h"

using namespace clade::vcuda;

static CUresult fill(CUdeviceptr to, size_t pitch, unsigned value,
                     unsigned elementBytes, size_t width, size_t height,
                     CUstream handle, bool isSynchronous) {
  Context *context;
  TRY(currentContext(context));
  Stream *stream;
  if (isSynchronous)
    TRY(resolveIdleStream(handle, stream));
  else
    TRY(resolveStream(handle, stream));
  CUDA_MEMSET_NODE_PARAMS set = {};
  set.dst = to;
  set.pitch = pitch;
  set.value = value;
  set.elementSize = elementBytes;
  set.width = width;
  set.height = height;
  TRY(checkSet(set));
  return submit(*stream, SetOperation{set});
}

// Each width has a form for lines and one for rows, both with and without a
// stream.
#define CLADE_CUDA_FILL(BITS, TYPE)                                            \
  EXPORT cuMemsetD##BITS##_v2(CUdeviceptr to, TYPE value, size_t count) {      \
    Guard guard;                                                               \
    return fill(to, 0, value, BITS / 8, count, 1, nullptr, true);              \
  }                                                                            \
  ALSO("cuMemsetD" #BITS, cuMemsetD##BITS##_v2);                               \
  ALSO("cuMemsetD" #BITS "_v2_ptds", cuMemsetD##BITS##_v2);                    \
  EXPORT cuMemsetD##BITS##Async(CUdeviceptr to, TYPE value, size_t count,      \
                                CUstream stream) {                             \
    Guard guard;                                                               \
    return fill(to, 0, value, BITS / 8, count, 1, stream, false);              \
  }                                                                            \
  ALSO("cuMemsetD" #BITS "Async_ptsz", cuMemsetD##BITS##Async);                \
  EXPORT cuMemsetD2D##BITS##_v2(CUdeviceptr to, size_t pitch, TYPE value,      \
                                size_t width, size_t height) {                 \
    Guard guard;                                                               \
    return fill(to, pitch, value, BITS / 8, width, height, nullptr, true);     \
  }                                                                            \
  ALSO("cuMemsetD2D" #BITS, cuMemsetD2D##BITS##_v2);                           \
  ALSO("cuMemsetD2D" #BITS "_v2_ptds", cuMemsetD2D##BITS##_v2);                \
  EXPORT cuMemsetD2D##BITS##Async(CUdeviceptr to, size_t pitch, TYPE value,    \
                                  size_t width, size_t height,                 \
                                  CUstream stream) {                           \
    Guard guard;                                                               \
    return fill(to, pitch, value, BITS / 8, width, height, stream, false);     \
  }                                                                            \
  ALSO("cuMemsetD2D" #BITS "Async_ptsz", cuMemsetD2D##BITS##Async)

CLADE_CUDA_FILL(8, unsigned char);
CLADE_CUDA_FILL(16, unsigned short);
CLADE_CUDA_FILL(32, unsigned int);
