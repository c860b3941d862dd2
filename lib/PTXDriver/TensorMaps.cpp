//===- TensorMaps.cpp - Descriptions of tensors for bulk copies -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/TensorMap.h"
#include "lib/PTXDriver/Driver.h"

#include <cstring>
#include <string>

using namespace clade;
using namespace clade::vcuda;

static_assert(sizeof(ptx::TensorMap) == sizeof(CUtensorMap));

/// What the function asks for. The type has 128 from CUDA 13 on.
static constexpr uint64_t mapAlignment = 64;

EXPORT cuTensorMapEncodeTiled(
    CUtensorMap *result, CUtensorMapDataType type, cuuint32_t rank,
    void *address, const cuuint64_t *sizes, const cuuint64_t *strides,
    const cuuint32_t *box, const cuuint32_t *steps,
    CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  Guard guard;
  TRY(requireInitialised());
  if (!result || !sizes || !box || !steps || (rank > 1 && !strides))
    return CUDA_ERROR_INVALID_VALUE;
  if (reinterpret_cast<uint64_t>(result) % mapAlignment != 0) {
    say("cuTensorMapEncodeTiled: the tensor map is not at a multiple of 64 "
        "bytes");
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (promotion > CU_TENSOR_MAP_L2_PROMOTION_L2_256B) {
    say("cuTensorMapEncodeTiled: the promotion " + std::to_string(promotion) +
        " is not known");
    return CUDA_ERROR_INVALID_VALUE;
  }
  ptx::TensorMapRequest request;
  request.type = type;
  request.rank = rank;
  request.address = reinterpret_cast<uint64_t>(address);
  request.sizes = reinterpret_cast<const uint64_t *>(sizes);
  request.strides = reinterpret_cast<const uint64_t *>(strides);
  request.box = box;
  request.steps = steps;
  request.interleave = interleave;
  request.swizzle = swizzle;
  request.fill = fill;
  ptx::Result<ptx::TensorMap> map = ptx::encodeTensorMap(request);
  if (!map) {
    say("cuTensorMapEncodeTiled: " + map.error().message);
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::memcpy(result, &*map, sizeof(*result));
  return CUDA_SUCCESS;
}

EXPORT cuTensorMapReplaceAddress(CUtensorMap *result, void *address) {
  Guard guard;
  TRY(requireInitialised());
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  ptx::TensorMap map;
  std::memcpy(static_cast<void *>(&map), result, sizeof(map));
  if (!map.isValid() || reinterpret_cast<uint64_t>(address) % 16 != 0)
    return CUDA_ERROR_INVALID_VALUE;
  map.address = reinterpret_cast<uint64_t>(address);
  std::memcpy(result, &map, sizeof(map));
  return CUDA_SUCCESS;
}
