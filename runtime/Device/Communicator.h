//===- Communicator.h - GPUs that exchange buffers ------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What sharded code asks of a network: sums, pieces and copies of buffers of
// several GPUs, one rank for each. Calls give work to a stream and return; all
// ranks must make the same ones, in the same order.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_COMMUNICATOR_H
#define CLADE_RUNTIME_DEVICE_COMMUNICATOR_H

#include "runtime/Device/CudaDevice.h"
#include "runtime/Device/NcclLibrary.h"

#include <functional>

namespace clade::rt {

/// What elements are, and how those of ranks are joined.
enum class ElementType { U8, F32, BF16 };
enum class JoinKind { Sum, Max };

class Communicator {
public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// `to` on every rank: `from` of all ranks, joined. Both may be one buffer.
  virtual Status allReduce(CUdeviceptr from, CUdeviceptr to, uint64_t count,
                           ElementType type, JoinKind kind,
                           CudaStream &stream) = 0;
  /// `to` of rank r: the r-th `count` elements of `from`, joined.
  virtual Status reduceScatter(CUdeviceptr from, CUdeviceptr to, uint64_t count,
                               ElementType type, JoinKind kind,
                               CudaStream &stream) = 0;
  /// `to`: `count` elements of `from` of each rank, behind each other.
  virtual Status allGather(CUdeviceptr from, CUdeviceptr to, uint64_t count,
                           ElementType type, CudaStream &stream) = 0;
  /// `buffer` of `root`, on every rank.
  virtual Status broadcast(CUdeviceptr buffer, uint64_t count, ElementType type,
                           int root, CudaStream &stream) = 0;
  /// To and from one other rank, which makes the other call.
  virtual Status send(CUdeviceptr from, uint64_t count, ElementType type,
                      int peer, CudaStream &stream) = 0;
  virtual Status receive(CUdeviceptr to, uint64_t count, ElementType type,
                         int peer, CudaStream &stream) = 0;
  /// The calls that `calls` makes are one: none waits for another.
  virtual Status together(const std::function<Status()> &calls) = 0;
  /// What went wrong since, in what was given to streams.
  virtual Status check() = 0;
};

/// By NCCL. Not thread-safe.
class NcclCommunicator : public Communicator {
public:
  /// What all ranks are given, from one of them.
  static StatusOr<ncclId> makeId();
  /// Waits until all `size` ranks with the same `id` are there.
  static StatusOr<std::unique_ptr<NcclCommunicator>>
  create(std::shared_ptr<const CudaDevice> device, const ncclId &id, int rank,
         int size);
  ~NcclCommunicator() override;

  int rank() const override { return number; }
  int size() const override { return count; }
  Status allReduce(CUdeviceptr from, CUdeviceptr to, uint64_t elements,
                   ElementType type, JoinKind kind,
                   CudaStream &stream) override;
  Status reduceScatter(CUdeviceptr from, CUdeviceptr to, uint64_t elements,
                       ElementType type, JoinKind kind,
                       CudaStream &stream) override;
  Status allGather(CUdeviceptr from, CUdeviceptr to, uint64_t elements,
                   ElementType type, CudaStream &stream) override;
  Status broadcast(CUdeviceptr buffer, uint64_t elements, ElementType type,
                   int root, CudaStream &stream) override;
  Status send(CUdeviceptr from, uint64_t elements, ElementType type, int peer,
              CudaStream &stream) override;
  Status receive(CUdeviceptr to, uint64_t elements, ElementType type, int peer,
                 CudaStream &stream) override;
  Status together(const std::function<Status()> &calls) override;
  Status check() override;

private:
  NcclCommunicator(const NcclLibrary &library,
                   std::shared_ptr<const CudaDevice> device, int rank, int size)
      : library(library), device(std::move(device)), number(rank), count(size) {
  }
  Status checkPeer(int peer) const;
  /// The result of a call; a communicator that failed is not used again.
  Status take(ncclResult result, const char *what);

  const NcclLibrary &library;
  std::shared_ptr<const CudaDevice> device;
  ncclComm handle = nullptr;
  int number, count;
  bool hasFailed = false;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_COMMUNICATOR_H
