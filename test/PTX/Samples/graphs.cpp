//===- graphs.cpp - Graphs made by hand and by capture --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Usage: graphs KERNELS.ptx
//
//===----------------------------------------------------------------------===//

#include "common.h"

#include <vector>

static const int n = 4096;
static CUcontext context;
static CUfunction increment;

static bool allAre(const std::vector<int> &values, int expected) {
  for (int value : values)
    if (value != expected)
      return false;
  return true;
}

/// Nodes made one by one: fill, add, copy to the host.
static bool manual(CUdeviceptr data, CUstream stream) {
  std::vector<int> out(n);
  CUgraph graph;
  checkCudaErrors(cuGraphCreate(&graph, 0));
  CUDA_MEMSET_NODE_PARAMS fill = {};
  fill.dst = data;
  fill.value = 5;
  fill.elementSize = sizeof(int);
  fill.width = n;
  fill.height = 1;
  CUgraphNode fillNode, addNode, copyNode;
  checkCudaErrors(
      cuGraphAddMemsetNode(&fillNode, graph, nullptr, 0, &fill, context));
  int value = 2;
  void *args[] = {&data, &value};
  CUDA_KERNEL_NODE_PARAMS add = {};
  add.func = increment;
  add.gridDimX = n / 256;
  add.blockDimX = 256;
  add.gridDimY = add.gridDimZ = add.blockDimY = add.blockDimZ = 1;
  add.kernelParams = args;
  checkCudaErrors(cuGraphAddKernelNode(&addNode, graph, &fillNode, 1, &add));
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = data;
  copy.dstMemoryType = CU_MEMORYTYPE_HOST;
  copy.dstHost = out.data();
  copy.WidthInBytes = n * sizeof(int);
  copy.Height = copy.Depth = 1;
  checkCudaErrors(
      cuGraphAddMemcpyNode(&copyNode, graph, &addNode, 1, &copy, context));
  size_t numNodes = 0;
  checkCudaErrors(cuGraphGetNodes(graph, nullptr, &numNodes));
  printf("Number of graph nodes created manually = %zu\n", numNodes);
  CUgraphExec exec;
  checkCudaErrors(cuGraphInstantiate(&exec, graph, 0));
  checkCudaErrors(cuGraphLaunch(exec, stream));
  checkCudaErrors(cuStreamSynchronize(stream));
  bool passed = allAre(out, 7);
  value = 20; // Changed in the executable graph only.
  checkCudaErrors(cuGraphExecKernelNodeSetParams(exec, addNode, &add));
  checkCudaErrors(cuGraphLaunch(exec, stream));
  checkCudaErrors(cuStreamSynchronize(stream));
  passed &= allAre(out, 25);
  checkCudaErrors(cuGraphExecDestroy(exec));
  checkCudaErrors(cuGraphDestroy(graph));
  return passed;
}

/// The work of two streams, captured.
static bool captured(CUdeviceptr data, CUstream stream) {
  std::vector<int> out(n);
  CUstream other;
  CUevent fork, join;
  checkCudaErrors(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  checkCudaErrors(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
  checkCudaErrors(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
  auto add = [&](CUstream where, int first, int count, int value) {
    CUdeviceptr from = data + first * sizeof(int);
    void *args[] = {&from, &value};
    checkCudaErrors(cuLaunchKernel(increment, count / 128, 1, 1, 128, 1, 1, 0,
                                   where, args, nullptr));
  };
  checkCudaErrors(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  checkCudaErrors(cuMemsetD32Async(data, 1, n, stream));
  checkCudaErrors(cuEventRecord(fork, stream));
  checkCudaErrors(cuStreamWaitEvent(other, fork, 0));
  add(stream, 0, n / 2, 10);
  add(other, n / 2, n / 2, 10);
  checkCudaErrors(cuEventRecord(join, other));
  checkCudaErrors(cuStreamWaitEvent(stream, join, 0));
  add(stream, 0, n, 100);
  checkCudaErrors(cuMemcpyDtoHAsync(out.data(), data, n * sizeof(int), stream));
  CUgraph graph;
  checkCudaErrors(cuStreamEndCapture(stream, &graph));
  size_t numNodes = 0;
  checkCudaErrors(cuGraphGetNodes(graph, nullptr, &numNodes));
  printf("Number of graph nodes created by capture = %zu\n", numNodes);
  bool passed = numNodes == 5 && allAre(out, 0);
  CUgraph clone;
  checkCudaErrors(cuGraphClone(&clone, graph));
  for (CUgraph each : {graph, clone}) {
    CUgraphExec exec;
    checkCudaErrors(cuGraphInstantiate(&exec, each, 0));
    for (int launch = 0; launch < 3; ++launch)
      checkCudaErrors(cuGraphLaunch(exec, stream));
    checkCudaErrors(cuStreamSynchronize(stream));
    passed &= allAre(out, 111);
    checkCudaErrors(cuGraphExecDestroy(exec));
    checkCudaErrors(cuGraphDestroy(each));
  }
  checkCudaErrors(cuStreamDestroy(other));
  return passed;
}

int main(int argc, char **argv) {
  checkCudaErrors(cuInit(0));
  CUdevice device;
  checkCudaErrors(cuDeviceGet(&device, 0));
  checkCudaErrors(cuCtxCreate(&context, nullptr, 0, device));
  CUmodule module;
  checkCudaErrors(cuModuleLoad(&module, argv[1]));
  checkCudaErrors(cuModuleGetFunction(&increment, module, "increment"));
  CUdeviceptr data;
  checkCudaErrors(cuMemAlloc(&data, n * sizeof(int)));
  CUstream stream;
  checkCudaErrors(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  bool passed = manual(data, stream);
  passed &= captured(data, stream);
  checkCudaErrors(cuStreamDestroy(stream));
  checkCudaErrors(cuMemFree(data));
  checkCudaErrors(cuCtxDestroy(context));
  return finish(passed);
}
