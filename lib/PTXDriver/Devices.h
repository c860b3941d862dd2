//===- Devices.h - The devices that the driver shows ---------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a device says of itself is that of the named product (its data sheet and
// the CUDA programming guide's table of compute capabilities); memory is what
// the host has to give.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_PTXDRIVER_DEVICES_H
#define CLADE_LIB_PTXDRIVER_DEVICES_H

#include "lib/PTX/Occupancy.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace clade::vcuda {

struct DeviceModel {
  const char *architecture; ///< "sm_90a", as the environment names it.
  const char *name;
  int major, minor;
  bool hasSpecificFeatures; ///< It runs PTX for "sm_90a" and the like.
  int multiprocessors;
  int clockKHz, memoryClockKHz, busBits;
  int l2Bytes;
  uint64_t memoryBytes;

  ptx::MultiprocessorLimits limits() const {
    return ptx::multiprocessorLimits(unsigned(major), unsigned(minor));
  }
};

/// The model of an architecture's name; null where there is none.
const DeviceModel *findModel(std::string_view architecture);
/// The names of all, separated by commas.
std::string modelNames();

} // namespace clade::vcuda

#endif // CLADE_LIB_PTXDRIVER_DEVICES_H
