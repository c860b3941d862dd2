//===- Errors.cpp - Names of errors ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Driver.h"

#include <cctype>

using namespace clade::vcuda;

namespace {
struct ErrorName {
  CUresult code;
  const char *name;
};
} // namespace

// Every code of cuda.h.
static constexpr ErrorName errorNames[] = {
#define CLADE_CUDA_CODE(NAME) {NAME, #NAME},
    CLADE_CUDA_CODE(CUDA_SUCCESS) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_VALUE)
        CLADE_CUDA_CODE(CUDA_ERROR_OUT_OF_MEMORY) CLADE_CUDA_CODE(
            CUDA_ERROR_NOT_INITIALIZED)
            CLADE_CUDA_CODE(CUDA_ERROR_DEINITIALIZED) CLADE_CUDA_CODE(CUDA_ERROR_PROFILER_DISABLED) CLADE_CUDA_CODE(CUDA_ERROR_PROFILER_NOT_INITIALIZED) CLADE_CUDA_CODE(CUDA_ERROR_PROFILER_ALREADY_STARTED) CLADE_CUDA_CODE(CUDA_ERROR_PROFILER_ALREADY_STOPPED) CLADE_CUDA_CODE(CUDA_ERROR_STUB_LIBRARY) CLADE_CUDA_CODE(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER) CLADE_CUDA_CODE(CUDA_ERROR_DEVICE_UNAVAILABLE) CLADE_CUDA_CODE(CUDA_ERROR_NO_DEVICE) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_DEVICE) CLADE_CUDA_CODE(CUDA_ERROR_DEVICE_NOT_LICENSED) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_IMAGE) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_CONTEXT) CLADE_CUDA_CODE(CUDA_ERROR_CONTEXT_ALREADY_CURRENT) CLADE_CUDA_CODE(CUDA_ERROR_MAP_FAILED) CLADE_CUDA_CODE(CUDA_ERROR_UNMAP_FAILED) CLADE_CUDA_CODE(CUDA_ERROR_ARRAY_IS_MAPPED) CLADE_CUDA_CODE(CUDA_ERROR_ALREADY_MAPPED) CLADE_CUDA_CODE(CUDA_ERROR_NO_BINARY_FOR_GPU) CLADE_CUDA_CODE(CUDA_ERROR_ALREADY_ACQUIRED) CLADE_CUDA_CODE(CUDA_ERROR_NOT_MAPPED) CLADE_CUDA_CODE(CUDA_ERROR_NOT_MAPPED_AS_ARRAY) CLADE_CUDA_CODE(CUDA_ERROR_NOT_MAPPED_AS_POINTER) CLADE_CUDA_CODE(CUDA_ERROR_ECC_UNCORRECTABLE) CLADE_CUDA_CODE(CUDA_ERROR_UNSUPPORTED_LIMIT) CLADE_CUDA_CODE(CUDA_ERROR_CONTEXT_ALREADY_IN_USE) CLADE_CUDA_CODE(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_PTX) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_GRAPHICS_CONTEXT) CLADE_CUDA_CODE(
                CUDA_ERROR_NVLINK_UNCORRECTABLE) CLADE_CUDA_CODE(CUDA_ERROR_JIT_COMPILER_NOT_FOUND) CLADE_CUDA_CODE(CUDA_ERROR_UNSUPPORTED_PTX_VERSION)
                CLADE_CUDA_CODE(CUDA_ERROR_JIT_COMPILATION_DISABLED) CLADE_CUDA_CODE(CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY) CLADE_CUDA_CODE(CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC) CLADE_CUDA_CODE(
                    CUDA_ERROR_CONTAINED) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_SOURCE) CLADE_CUDA_CODE(CUDA_ERROR_FILE_NOT_FOUND) CLADE_CUDA_CODE(CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND) CLADE_CUDA_CODE(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED) CLADE_CUDA_CODE(CUDA_ERROR_OPERATING_SYSTEM) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_HANDLE) CLADE_CUDA_CODE(CUDA_ERROR_ILLEGAL_STATE) CLADE_CUDA_CODE(CUDA_ERROR_LOSSY_QUERY) CLADE_CUDA_CODE(CUDA_ERROR_NOT_FOUND) CLADE_CUDA_CODE(CUDA_ERROR_NOT_READY) CLADE_CUDA_CODE(CUDA_ERROR_ILLEGAL_ADDRESS) CLADE_CUDA_CODE(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)
                    CLADE_CUDA_CODE(CUDA_ERROR_LAUNCH_TIMEOUT) CLADE_CUDA_CODE(CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING) CLADE_CUDA_CODE(
                        CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED) CLADE_CUDA_CODE(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED)
                        CLADE_CUDA_CODE(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE) CLADE_CUDA_CODE(
                            CUDA_ERROR_CONTEXT_IS_DESTROYED) CLADE_CUDA_CODE(CUDA_ERROR_ASSERT) CLADE_CUDA_CODE(CUDA_ERROR_TOO_MANY_PEERS)
                            CLADE_CUDA_CODE(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED) CLADE_CUDA_CODE(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED) CLADE_CUDA_CODE(
                                CUDA_ERROR_HARDWARE_STACK_ERROR) CLADE_CUDA_CODE(CUDA_ERROR_ILLEGAL_INSTRUCTION)
                                CLADE_CUDA_CODE(CUDA_ERROR_MISALIGNED_ADDRESS) CLADE_CUDA_CODE(
                                    CUDA_ERROR_INVALID_ADDRESS_SPACE) CLADE_CUDA_CODE(CUDA_ERROR_INVALID_PC)
                                    CLADE_CUDA_CODE(CUDA_ERROR_LAUNCH_FAILED) CLADE_CUDA_CODE(
                                        CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE) CLADE_CUDA_CODE(CUDA_ERROR_TENSOR_MEMORY_LEAK)
                                        CLADE_CUDA_CODE(CUDA_ERROR_NOT_PERMITTED) CLADE_CUDA_CODE(
                                            CUDA_ERROR_NOT_SUPPORTED) CLADE_CUDA_CODE(CUDA_ERROR_SYSTEM_NOT_READY)
                                            CLADE_CUDA_CODE(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH) CLADE_CUDA_CODE(
                                                CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE)
                                                CLADE_CUDA_CODE(CUDA_ERROR_MPS_CONNECTION_FAILED) CLADE_CUDA_CODE(CUDA_ERROR_MPS_RPC_FAILURE) CLADE_CUDA_CODE(CUDA_ERROR_MPS_SERVER_NOT_READY) CLADE_CUDA_CODE(CUDA_ERROR_MPS_MAX_CLIENTS_REACHED) CLADE_CUDA_CODE(CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED) CLADE_CUDA_CODE(CUDA_ERROR_MPS_CLIENT_TERMINATED) CLADE_CUDA_CODE(CUDA_ERROR_CDP_NOT_SUPPORTED) CLADE_CUDA_CODE(CUDA_ERROR_CDP_VERSION_MISMATCH) CLADE_CUDA_CODE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED) CLADE_CUDA_CODE(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED) CLADE_CUDA_CODE(CUDA_ERROR_STREAM_CAPTURE_MERGE) CLADE_CUDA_CODE(
                                                    CUDA_ERROR_STREAM_CAPTURE_UNMATCHED) CLADE_CUDA_CODE(CUDA_ERROR_STREAM_CAPTURE_UNJOINED)
                                                    CLADE_CUDA_CODE(CUDA_ERROR_STREAM_CAPTURE_ISOLATION) CLADE_CUDA_CODE(
                                                        CUDA_ERROR_STREAM_CAPTURE_IMPLICIT)
                                                        CLADE_CUDA_CODE(CUDA_ERROR_CAPTURED_EVENT) CLADE_CUDA_CODE(
                                                            CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD)
                                                            CLADE_CUDA_CODE(
                                                                CUDA_ERROR_TIMEOUT) CLADE_CUDA_CODE(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE)
                                                                CLADE_CUDA_CODE(
                                                                    CUDA_ERROR_EXTERNAL_DEVICE)
                                                                    CLADE_CUDA_CODE(
                                                                        CUDA_ERROR_INVALID_CLUSTER_SIZE)
                                                                        CLADE_CUDA_CODE(
                                                                            CUDA_ERROR_FUNCTION_NOT_LOADED)
                                                                            CLADE_CUDA_CODE(
                                                                                CUDA_ERROR_INVALID_RESOURCE_TYPE)
                                                                                CLADE_CUDA_CODE(
                                                                                    CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION)
                                                                                    CLADE_CUDA_CODE(
                                                                                        CUDA_ERROR_KEY_ROTATION)
                                                                                        CLADE_CUDA_CODE(
                                                                                            CUDA_ERROR_UNKNOWN)
#undef CLADE_CUDA_CODE
};

EXPORT cuGetErrorName(CUresult error, const char **text) {
  if (!text)
    return CUDA_ERROR_INVALID_VALUE;
  for (const ErrorName &known : errorNames)
    if (known.code == error) {
      *text = known.name;
      return CUDA_SUCCESS;
    }
  *text = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

/// A sentence made of the name: "illegal address".
static const std::string &sentence(CUresult error, const char *name) {
  static auto *sentences = new std::map<CUresult, std::string>;
  std::string &text = (*sentences)[error];
  if (!text.empty())
    return text;
  if (error == CUDA_SUCCESS)
    return text = "no error";
  text = std::string(name).substr(std::string("CUDA_ERROR_").size());
  for (char &c : text)
    c = c == '_' ? ' ' : char(std::tolower(c));
  return text;
}

EXPORT cuGetErrorString(CUresult error, const char **text) {
  Guard guard;
  const char *name;
  if (!text)
    return CUDA_ERROR_INVALID_VALUE;
  *text = nullptr;
  TRY(cuGetErrorName(error, &name));
  *text = sentence(error, name).c_str();
  return CUDA_SUCCESS;
}
