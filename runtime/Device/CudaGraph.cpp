//===- CudaGraph.cpp - Launches that a GPU is given at once ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/CudaGraph.h"

#include <utility>

using namespace clade::rt;

/// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads go on as they like.
static constexpr int ofThisThread = 1;

CudaGraph &CudaGraph::operator=(CudaGraph &&other) noexcept {
  std::swap(stream, other.stream);
  std::swap(executable, other.executable);
  std::swap(nodes, other.nodes);
  return *this;
}

CudaGraph::~CudaGraph() {
  if (executable && stream->device()->enter().ok())
    stream->device()->driver().cuGraphExecDestroy(executable);
}

StatusOr<CudaGraph> CudaGraph::capture(std::shared_ptr<CudaStream> stream,
                                       const std::function<Status()> &record) {
  const CudaDevice &device = *stream->device();
  const CudaDriver &driver = device.driver();
  std::string what = "cannot make a graph of the launches of " + device.name();
  CLADE_RETURN_IF_ERROR(device.enter());
  CLADE_RETURN_IF_ERROR(driver.check(
      driver.cuStreamBeginCapture(stream->stream, ofThisThread), what));
  Status recorded = record();
  // A capture is ended whatever became of it: the stream could not be used.
  CUgraph graph = nullptr;
  Status ended =
      driver.check(driver.cuStreamEndCapture(stream->stream, &graph), what);
  CudaGraph result;
  Status made;
  if (recorded.ok() && ended.ok()) {
    made = driver.check(driver.cuGraphGetNodes(graph, nullptr, &result.nodes),
                        what);
    if (made.ok())
      made = driver.check(
          driver.cuGraphInstantiateWithFlags(&result.executable, graph, 0),
          what);
  }
  if (graph)
    driver.cuGraphDestroy(graph);
  result.stream = std::move(stream);
  CLADE_RETURN_IF_ERROR(std::move(recorded));
  CLADE_RETURN_IF_ERROR(std::move(ended));
  CLADE_RETURN_IF_ERROR(std::move(made));
  return result;
}

Status CudaGraph::launch() const {
  const CudaDevice &device = *stream->device();
  CLADE_RETURN_IF_ERROR(device.enter());
  return device.driver().check(
      device.driver().cuGraphLaunch(executable, stream->stream),
      "cannot run a step of " + std::to_string(nodes) + " kernels on " +
          device.name());
}
