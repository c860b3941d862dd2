//===- TensorMaps.h - Matrices as kernels copy them ----------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels for sm_90a copy boxes of matrices that tensor maps describe. The
// driver makes these, without the GPU, and a launch passes them by value.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_TENSORMAPS_H
#define CLADE_RUNTIME_DEVICE_TENSORMAPS_H

#include "runtime/Device/CudaDevice.h"
#include "runtime/Device/LaunchPlan.h"

namespace clade::rt {

/// Writes the tensor map of the matrix at `address`, a multiple of 16, that
/// `map` describes, of `rows` rows if it has none of its own. What a copy asks
/// for behind its rows and columns is zeros. `kernel` is for messages. Fails
/// with what the driver says.
Status describeMatrix(const CudaDevice &device, CUdeviceptr address,
                      const LaunchMap &map, int64_t rows,
                      const std::string &kernel, CUtensorMap &result);

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_TENSORMAPS_H
