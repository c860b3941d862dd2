//===- NcclHeader.cpp - NCCL's declarations and ours ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled only where nccl.h is; there it must agree with NcclLibrary.h.
//
//===----------------------------------------------------------------------===//

#ifdef CLADE_HAVE_NCCL_HEADER

#include "runtime/Device/NcclLibrary.h"

#include <nccl.h>

#include <type_traits>

namespace {

/// Ours for a type of the header: enumerations are int, handles pointers.
template <typename T> struct Ours {
  using Type = T;
};
template <> struct Ours<ncclResult_t> {
  using Type = clade::rt::ncclResult;
};
template <> struct Ours<ncclResult_t *> {
  using Type = clade::rt::ncclResult *;
};
template <> struct Ours<ncclDataType_t> {
  using Type = int;
};
template <> struct Ours<ncclRedOp_t> {
  using Type = int;
};
template <> struct Ours<ncclComm_t> {
  using Type = clade::rt::ncclComm;
};
template <> struct Ours<ncclComm_t *> {
  using Type = clade::rt::ncclComm *;
};
template <> struct Ours<ncclUniqueId> {
  using Type = clade::rt::ncclId;
};
template <> struct Ours<ncclUniqueId *> {
  using Type = clade::rt::ncclId *;
};
template <> struct Ours<cudaStream_t> {
  using Type = clade::rt::CUstream;
};
template <typename R, typename... Ts> struct Ours<R(Ts...)> {
  using Type = typename Ours<R>::Type (*)(typename Ours<Ts>::Type...);
};

#define CLADE_SAME(function)                                                   \
  static_assert(std::is_same_v<Ours<decltype(::function)>::Type,               \
                               decltype(clade::rt::NcclLibrary::function)>)
CLADE_SAME(ncclGetVersion);
CLADE_SAME(ncclGetErrorString);
CLADE_SAME(ncclGetLastError);
CLADE_SAME(ncclGetUniqueId);
CLADE_SAME(ncclCommInitRank);
CLADE_SAME(ncclCommDestroy);
CLADE_SAME(ncclCommAbort);
CLADE_SAME(ncclCommGetAsyncError);
CLADE_SAME(ncclAllReduce);
CLADE_SAME(ncclReduceScatter);
CLADE_SAME(ncclAllGather);
CLADE_SAME(ncclBroadcast);
CLADE_SAME(ncclSend);
CLADE_SAME(ncclRecv);
CLADE_SAME(ncclGroupStart);
CLADE_SAME(ncclGroupEnd);
#undef CLADE_SAME

static_assert(sizeof(ncclUniqueId) == sizeof(clade::rt::ncclId));
static_assert(ncclSuccess == clade::rt::ncclDone &&
              ncclInProgress == clade::rt::ncclGoesOn);
static_assert(ncclUint8 == clade::rt::ncclBytes &&
              ncclFloat32 == clade::rt::ncclFloats &&
              ncclBfloat16 == clade::rt::ncclBFloats);
static_assert(ncclSum == clade::rt::ncclAdd &&
              ncclMax == clade::rt::ncclMaximum);

} // namespace

#endif // CLADE_HAVE_NCCL_HEADER
