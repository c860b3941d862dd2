//===- NcclLibrary.h - NCCL, loaded at run time --------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions of NVIDIA's library for several GPUs that Clade calls, found
// with dlopen: no part of it is needed to build. The declarations are ours,
// with the names of nccl.h; where that header is there, NcclHeader.cpp
// compares.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_NCCLLIBRARY_H
#define CLADE_RUNTIME_DEVICE_NCCLLIBRARY_H

#include "runtime/Device/CudaDriver.h"

namespace clade::rt {

using ncclResult = int;
using ncclComm = struct ncclComm_st *;
/// What ranks find each other by.
struct ncclId {
  char internal[128];
};

inline constexpr ncclResult ncclDone = 0, ncclGoesOn = 7;
/// Numbers of ncclDataType_t, and of ncclRedOp_t.
inline constexpr int ncclBytes = 1, ncclFloats = 7, ncclBFloats = 9;
inline constexpr int ncclAdd = 0, ncclMaximum = 2;

/// The environment variable with the path of the library, if it is not
/// `libnccl.so.2` where the system's loader looks.
inline constexpr const char *ncclVariable = "CLADE_NCCL";

/// The library. Thread-safe: it never changes after load().
class NcclLibrary {
public:
  /// Loads the library, once for the process. NotFound if there is none,
  /// Unsupported if it lacks a function.
  static StatusOr<const NcclLibrary *> load();

  /// What a call gave, as `WHAT: the NCCL library says TEXT`, with what the
  /// library last said of `communicator` (may be null). IOError unless OK.
  Status check(ncclResult result, const std::string &what,
               ncclComm communicator = nullptr) const;

  ncclResult (*ncclGetVersion)(int *) = nullptr;
  const char *(*ncclGetErrorString)(ncclResult) = nullptr;
  const char *(*ncclGetLastError)(ncclComm) = nullptr;
  ncclResult (*ncclGetUniqueId)(ncclId *) = nullptr;
  ncclResult (*ncclCommInitRank)(ncclComm *, int, ncclId, int) = nullptr;
  ncclResult (*ncclCommDestroy)(ncclComm) = nullptr;
  ncclResult (*ncclCommAbort)(ncclComm) = nullptr;
  ncclResult (*ncclCommGetAsyncError)(ncclComm, ncclResult *) = nullptr;
  ncclResult (*ncclAllReduce)(const void *, void *, size_t, int, int, ncclComm,
                              CUstream) = nullptr;
  ncclResult (*ncclReduceScatter)(const void *, void *, size_t, int, int,
                                  ncclComm, CUstream) = nullptr;
  ncclResult (*ncclAllGather)(const void *, void *, size_t, int, ncclComm,
                              CUstream) = nullptr;
  ncclResult (*ncclBroadcast)(const void *, void *, size_t, int, int, ncclComm,
                              CUstream) = nullptr;
  ncclResult (*ncclSend)(const void *, size_t, int, int, ncclComm,
                         CUstream) = nullptr;
  ncclResult (*ncclRecv)(void *, size_t, int, int, ncclComm,
                         CUstream) = nullptr;
  ncclResult (*ncclGroupStart)() = nullptr;
  ncclResult (*ncclGroupEnd)() = nullptr;

private:
  NcclLibrary() = default;
  Status open();
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_NCCLLIBRARY_H
