//===- CudaGraph.h - Launches that a GPU is given at once ----- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_CUDAGRAPH_H
#define CLADE_RUNTIME_DEVICE_CUDAGRAPH_H

#include "runtime/Device/CudaDevice.h"

#include <functional>

namespace clade::rt {

/// Launches with their arguments, as a GPU can begin them without the host.
/// What they point to may change between two runs, the pointers may not.
/// Movable.
class CudaGraph {
public:
  CudaGraph() = default;
  CudaGraph(CudaGraph &&other) noexcept { *this = std::move(other); }
  CudaGraph &operator=(CudaGraph &&other) noexcept;
  ~CudaGraph();

  /// What `record` gives to the stream, none of which runs. Its error, if it
  /// fails.
  static StatusOr<CudaGraph> capture(std::shared_ptr<CudaStream> stream,
                                     const std::function<Status()> &record);

  /// Runs it in the order of its stream.
  Status launch() const;
  /// Launches in it.
  size_t numNodes() const { return nodes; }

private:
  std::shared_ptr<CudaStream> stream;
  CUgraphExec executable = nullptr;
  size_t nodes = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_CUDAGRAPH_H
