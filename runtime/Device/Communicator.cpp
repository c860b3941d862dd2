//===- Communicator.cpp - GPUs that exchange buffers ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/Communicator.h"

using namespace clade::rt;

static int numberOf(ElementType type) {
  switch (type) {
  case ElementType::U8:
    return ncclBytes;
  case ElementType::F32:
    return ncclFloats;
  case ElementType::BF16:
    return ncclBFloats;
  }
  return ncclBytes;
}

static int numberOf(JoinKind kind) {
  return kind == JoinKind::Sum ? ncclAdd : ncclMaximum;
}

static void *pointerTo(CUdeviceptr address) {
  return reinterpret_cast<void *>(address);
}

StatusOr<ncclId> NcclCommunicator::makeId() {
  CLADE_ASSIGN_OR_RETURN(const NcclLibrary *library, NcclLibrary::load());
  ncclId id = {};
  CLADE_RETURN_IF_ERROR(library->check(library->ncclGetUniqueId(&id),
                                       "cannot make an id for ranks"));
  return id;
}

StatusOr<std::unique_ptr<NcclCommunicator>>
NcclCommunicator::create(std::shared_ptr<const CudaDevice> device,
                         const ncclId &id, int rank, int size) {
  if (size < 1 || rank < 0 || rank >= size)
    return Status::invalidArgument(
        "expected a rank below the number of ranks, got " +
        std::to_string(rank) + " of " + std::to_string(size));
  CLADE_ASSIGN_OR_RETURN(const NcclLibrary *library, NcclLibrary::load());
  CLADE_RETURN_IF_ERROR(device->enter());
  std::unique_ptr<NcclCommunicator> result(
      new NcclCommunicator(*library, std::move(device), rank, size));
  CLADE_RETURN_IF_ERROR(library->check(
      library->ncclCommInitRank(&result->handle, size, id, rank),
      "cannot join rank " + std::to_string(rank) + " of " +
          std::to_string(size) + " on " + result->device->name()));
  return result;
}

NcclCommunicator::~NcclCommunicator() {
  if (!handle || !device->enter().ok())
    return;
  // Destroying waits for what is under way; after a failure that never ends.
  if (hasFailed)
    library.ncclCommAbort(handle);
  else
    library.ncclCommDestroy(handle);
}

Status NcclCommunicator::take(ncclResult result, const char *what) {
  if (result == ncclDone || result == ncclGoesOn)
    return {};
  hasFailed = true;
  return library.check(result,
                       std::string(what) + " of rank " +
                           std::to_string(number) + " of " +
                           std::to_string(count) + " failed",
                       handle);
}

Status NcclCommunicator::checkPeer(int peer) const {
  if (peer >= 0 && peer < count)
    return {};
  return Status::invalidArgument("no rank " + std::to_string(peer) +
                                 ": there are " + std::to_string(count));
}

Status NcclCommunicator::allReduce(CUdeviceptr from, CUdeviceptr to,
                                   uint64_t elements, ElementType type,
                                   JoinKind kind, CudaStream &stream) {
  return take(library.ncclAllReduce(pointerTo(from), pointerTo(to), elements,
                                    numberOf(type), numberOf(kind), handle,
                                    stream.native()),
              "an all-reduce");
}

Status NcclCommunicator::reduceScatter(CUdeviceptr from, CUdeviceptr to,
                                       uint64_t elements, ElementType type,
                                       JoinKind kind, CudaStream &stream) {
  return take(library.ncclReduceScatter(
                  pointerTo(from), pointerTo(to), elements, numberOf(type),
                  numberOf(kind), handle, stream.native()),
              "a reduce-scatter");
}

Status NcclCommunicator::allGather(CUdeviceptr from, CUdeviceptr to,
                                   uint64_t elements, ElementType type,
                                   CudaStream &stream) {
  return take(library.ncclAllGather(pointerTo(from), pointerTo(to), elements,
                                    numberOf(type), handle, stream.native()),
              "an all-gather");
}

Status NcclCommunicator::broadcast(CUdeviceptr buffer, uint64_t elements,
                                   ElementType type, int root,
                                   CudaStream &stream) {
  CLADE_RETURN_IF_ERROR(checkPeer(root));
  return take(library.ncclBroadcast(pointerTo(buffer), pointerTo(buffer),
                                    elements, numberOf(type), root, handle,
                                    stream.native()),
              "a broadcast");
}

Status NcclCommunicator::send(CUdeviceptr from, uint64_t elements,
                              ElementType type, int peer, CudaStream &stream) {
  CLADE_RETURN_IF_ERROR(checkPeer(peer));
  return take(library.ncclSend(pointerTo(from), elements, numberOf(type), peer,
                               handle, stream.native()),
              "a send");
}

Status NcclCommunicator::receive(CUdeviceptr to, uint64_t elements,
                                 ElementType type, int peer,
                                 CudaStream &stream) {
  CLADE_RETURN_IF_ERROR(checkPeer(peer));
  return take(library.ncclRecv(pointerTo(to), elements, numberOf(type), peer,
                               handle, stream.native()),
              "a receive");
}

Status NcclCommunicator::together(const std::function<Status()> &calls) {
  CLADE_RETURN_IF_ERROR(take(library.ncclGroupStart(), "a group of calls"));
  Status made = calls();
  // Ended whatever became of the calls: it would hold all later ones.
  Status ended = take(library.ncclGroupEnd(), "a group of calls");
  return made.ok() ? std::move(ended) : std::move(made);
}

Status NcclCommunicator::check() {
  ncclResult result = ncclDone;
  CLADE_RETURN_IF_ERROR(take(library.ncclCommGetAsyncError(handle, &result),
                             "asking for the state"));
  return take(result, "the work");
}
