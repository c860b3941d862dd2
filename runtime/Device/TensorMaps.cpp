//===- TensorMaps.cpp - Matrices as kernels copy them ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/TensorMaps.h"

using namespace clade::rt;

namespace {

/// Numbers of cuda.h: CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
/// CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
/// CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE (which
/// fills with zeros). Copies do not tell f16 from bf16.
constexpr int typeBFloat16 = 9, interleaveNone = 0, swizzle128 = 3,
              promotion128 = 2, fillZeros = 0;
constexpr uint64_t elementBytes = 2;

} // namespace

Status clade::rt::describeMatrix(const CudaDevice &device, CUdeviceptr address,
                                 const LaunchMap &map, int64_t rows,
                                 const std::string &kernel,
                                 CUtensorMap &result) {
  const CudaDriver &driver = device.driver();
  const uint64_t sizes[] = {static_cast<uint64_t>(map.columns),
                            static_cast<uint64_t>(map.rows ? map.rows : rows)};
  const uint64_t strides[] = {sizes[0] * elementBytes};
  const uint32_t box[] = {static_cast<uint32_t>(map.boxColumns),
                          static_cast<uint32_t>(map.boxRows)};
  const uint32_t steps[] = {1, 1};
  return driver.check(
      driver.cuTensorMapEncodeTiled(&result, typeBFloat16, 2,
                                    reinterpret_cast<void *>(address), sizes,
                                    strides, box, steps, interleaveNone,
                                    swizzle128, promotion128, fillZeros),
      "cannot describe a matrix of " + std::to_string(sizes[1]) + " x " +
          std::to_string(sizes[0]) + " for the kernel '" + kernel + "' on " +
          device.name());
}
