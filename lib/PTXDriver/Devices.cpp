//===- Devices.cpp - The devices that the driver shows --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Devices.h"
#include "lib/PTXDriver/Driver.h"

#include <cstring>

using namespace clade::vcuda;

static constexpr DeviceModel models[] = {
    {"sm_80", "Clade PTX machine (as NVIDIA A100, sm_80)", 8, 0, false, 108,
     1410000, 1215000, 5120, 40 << 20, uint64_t(40) << 30},
    {"sm_86", "Clade PTX machine (as NVIDIA RTX A6000, sm_86)", 8, 6, false, 84,
     1800000, 8001000, 384, 6 << 20, uint64_t(48) << 30},
    {"sm_89", "Clade PTX machine (as NVIDIA L40S, sm_89)", 8, 9, false, 142,
     2520000, 9001000, 384, 96 << 20, uint64_t(48) << 30},
    {"sm_90a", "Clade PTX machine (as NVIDIA H100 SXM, sm_90a)", 9, 0, true,
     132, 1980000, 2619000, 5120, 50 << 20, uint64_t(80) << 30},
    {"sm_100a", "Clade PTX machine (as NVIDIA B200, sm_100a)", 10, 0, true, 148,
     1965000, 3996000, 8192, 126 << 20, uint64_t(180) << 30},
};

const DeviceModel *clade::vcuda::findModel(std::string_view architecture) {
  for (const DeviceModel &model : models)
    if (architecture == model.architecture)
      return &model;
  return nullptr;
}

std::string clade::vcuda::modelNames() {
  std::string names;
  for (const DeviceModel &model : models)
    names += (names.empty() ? "" : ", ") + std::string(model.architecture);
  return names;
}

//===--- Entry points ---===//

static CUresult findDevice(CUdevice ordinal, Device *&device) {
  TRY(requireInitialised());
  device = Driver::get().device(ordinal);
  return device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

EXPORT cuInit(unsigned flags) {
  Guard guard;
  return flags ? CUDA_ERROR_INVALID_VALUE : Driver::get().initialise();
}

EXPORT cuDriverGetVersion(int *version) {
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  *version = CUDA_VERSION;
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGet(CUdevice *device, int ordinal) {
  Guard guard;
  if (!device)
    return CUDA_ERROR_INVALID_VALUE;
  Device *found;
  TRY(findDevice(ordinal, found));
  *device = ordinal;
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGetCount(int *count) {
  Guard guard;
  TRY(requireInitialised());
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  *count = int(Driver::get().devices.size());
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGetName(char *name, int length, CUdevice ordinal) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  if (!name || length <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  std::strncpy(name, device->model->name, length - 1);
  name[length - 1] = 0;
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice ordinal) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  if (!uuid)
    return CUDA_ERROR_INVALID_VALUE;
  std::memset(uuid->bytes, 0, sizeof(uuid->bytes));
  std::memcpy(uuid->bytes, "clade-ptx", 9);
  uuid->bytes[15] = char(ordinal);
  return CUDA_SUCCESS;
}
ALSO("cuDeviceGetUuid", cuDeviceGetUuid_v2);

EXPORT cuDeviceTotalMem_v2(size_t *bytes, CUdevice ordinal) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  if (!bytes)
    return CUDA_ERROR_INVALID_VALUE;
  *bytes = device->memoryBytes;
  return CUDA_SUCCESS;
}
ALSO("cuDeviceTotalMem", cuDeviceTotalMem_v2);

EXPORT cuDeviceComputeCapability(int *major, int *minor, CUdevice ordinal) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  if (!major || !minor)
    return CUDA_ERROR_INVALID_VALUE;
  *major = device->model->major;
  *minor = device->model->minor;
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGetProperties(CUdevprop *properties, CUdevice ordinal) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  if (!properties)
    return CUDA_ERROR_INVALID_VALUE;
  *properties = {1024,
                 {1024, 1024, 64},
                 {0x7fffffff, 65535, 65535},
                 48 << 10,
                 64 << 10,
                 32,
                 0x7fffffff,
                 65536,
                 device->model->clockKHz,
                 512};
  return CUDA_SUCCESS;
}

/// The value of an attribute; nothing where it is unknown.
static std::optional<int> attributeOf(const Device &device,
                                      CUdevice_attribute attribute) {
  const DeviceModel &model = *device.model;
  bool isHopper = model.major >= 9;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
    return 1024;
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
    return 64;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
    return 0x7fffffff;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
    return 65535;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
    return 48 << 10;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    return int(model.limits().sharedPerBlock);
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
    return int(model.limits().sharedBytes);
  case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
    return 1024;
  case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY:
    return 64 << 10;
  case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
    return 32;
  case CU_DEVICE_ATTRIBUTE_MAX_PITCH:
    return 0x7fffffff;
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
    return 65536;
  case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
    return model.clockKHz;
  case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
    return model.memoryClockKHz;
  case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
    return model.busBits;
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
    return model.l2Bytes;
  case CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE:
    return model.l2Bytes / 4 * 3;
  case CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE:
    return 128 << 20;
  case CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT:
    return 512;
  case CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT:
    return 32;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    return model.multiprocessors;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
    return int(model.limits().threads);
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR:
    return int(model.limits().blocks);
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    return model.major;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    return model.minor;
  case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
    return 3;
  case CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO:
    return model.minor == 0 ? 2 : 64;
  case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
    return 1 + device.ordinal;
  case CU_DEVICE_ATTRIBUTE_GPU_OVERLAP:
  case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
  case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
  case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
  case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
  case CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS:
  case CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH:
  case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_ECC_ENABLED:
  case CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS:
    return 1;
  case CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH:
  case CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED:
    return isHopper;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
    return CU_COMPUTEMODE_DEFAULT;
  default:
    // Textures, interoperation, peers and hardware that is not there.
    return attribute > 0 && attribute < CU_DEVICE_ATTRIBUTE_MAX
               ? std::optional<int>(0)
               : std::nullopt;
  }
}

EXPORT cuDeviceGetAttribute(int *value, CUdevice_attribute attribute,
                            CUdevice ordinal) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  std::optional<int> known = attributeOf(*device, attribute);
  if (!value || !known)
    return CUDA_ERROR_INVALID_VALUE;
  *value = *known;
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGetPCIBusId(char *id, int length, CUdevice ordinal) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  if (!id || length <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  snprintf(id, length, "0000:%02x:00.0", 1 + ordinal);
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGetByPCIBusId(CUdevice *device, const char *id) {
  Guard guard;
  TRY(requireInitialised());
  if (!device || !id)
    return CUDA_ERROR_INVALID_VALUE;
  for (const auto &known : Driver::get().devices) {
    char own[32];
    snprintf(own, sizeof(own), "0000:%02x:00.0", 1 + known->ordinal);
    if (std::strcmp(own, id) == 0 || std::strcmp(own + 5, id) == 0) {
      *device = known->ordinal;
      return CUDA_SUCCESS;
    }
  }
  return CUDA_ERROR_INVALID_DEVICE;
}

EXPORT cuDeviceCanAccessPeer(int *can, CUdevice ordinal, CUdevice peer) {
  Guard guard;
  Device *device;
  TRY(findDevice(ordinal, device));
  TRY(findDevice(peer, device));
  if (!can)
    return CUDA_ERROR_INVALID_VALUE;
  *can = 0;
  return CUDA_SUCCESS;
}
