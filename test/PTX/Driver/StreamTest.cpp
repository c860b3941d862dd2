//===- StreamTest.cpp - Streams, events and graphs of the driver ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Driver/DriverTest.h"

namespace {
class StreamTest : public DriverTest {
protected:
  void SetUp() override {
    DriverTest::SetUp();
    ASSERT_OK(cuStreamCreate(&stream, 0));
    ASSERT_OK(cuMemAlloc(&data, 16));
    ASSERT_OK(cuMemsetD32(data, 0, 4));
  }
  int first() { return read(data, 4)[0]; }
  CUstream stream = nullptr;
  CUdeviceptr data = 0;
};

TEST_F(StreamTest, HandlesAreChecked) {
  auto wild = reinterpret_cast<CUstream>(0x77770);
  EXPECT_EQ(cuStreamSynchronize(wild), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_EQ(cuStreamDestroy(stream), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuStreamQuery(stream), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(launchAdd(data, 1, 4, stream), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuEventRecord(reinterpret_cast<CUevent>(stream), nullptr),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(cuStreamSynchronize(CU_STREAM_LEGACY));
  EXPECT_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
  EXPECT_EQ(cuStreamCreate(&stream, 64), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(StreamTest, PriorityIsClamped) {
  CUstream urgent;
  int priority;
  ASSERT_OK(cuStreamCreateWithPriority(&urgent, CU_STREAM_NON_BLOCKING, -100));
  EXPECT_OK(cuStreamGetPriority(urgent, &priority));
  EXPECT_EQ(priority, -5);
  unsigned flags;
  EXPECT_OK(cuStreamGetFlags(urgent, &flags));
  EXPECT_EQ(flags, unsigned(CU_STREAM_NON_BLOCKING));
}

TEST_F(StreamTest, HostFunctionsRunInOrder) {
  static std::vector<int> seen;
  seen.clear();
  auto note = [](void *value) { seen.push_back(*static_cast<int *>(value)); };
  int one = 1, two = 2;
  EXPECT_OK(cuLaunchHostFunc(stream, note, &one));
  EXPECT_OK(launchAdd(data, 5, 4, stream));
  EXPECT_OK(cuLaunchHostFunc(stream, note, &two));
  EXPECT_OK(cuStreamAddCallback(
      stream,
      [](CUstream, CUresult status, void *) { seen.push_back(100 + status); },
      nullptr, 0));
  EXPECT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 100}));
}

TEST_F(StreamTest, EventsHaveTimes) {
  CUevent start, end, untimed;
  ASSERT_OK(cuEventCreate(&start, 0));
  ASSERT_OK(cuEventCreate(&end, 0));
  ASSERT_OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
  float time;
  EXPECT_EQ(cuEventElapsedTime(&time, start, end), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(cuEventRecord(start, stream));
  EXPECT_OK(launchAdd(data, 1, 4, stream));
  EXPECT_OK(cuEventRecord(end, stream));
  EXPECT_OK(cuEventSynchronize(end));
  EXPECT_OK(cuEventQuery(end));
  EXPECT_OK(cuEventElapsedTime(&time, start, end));
  EXPECT_GE(time, 0);
  EXPECT_OK(cuEventRecord(untimed, stream));
  EXPECT_EQ(cuEventElapsedTime(&time, start, untimed),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(cuStreamWaitEvent(nullptr, end, 0));
  EXPECT_OK(cuEventDestroy(start));
  EXPECT_EQ(cuEventRecord(start, stream), CUDA_ERROR_INVALID_HANDLE);
}

//===--- Capture ---===//

TEST_F(StreamTest, CaptureDoesNothingUntilItIsLaunched) {
  ASSERT_OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_OK(launchAdd(data, 1, 4, stream));
  EXPECT_OK(launchAdd(data, 10, 4, stream));
  CUstreamCaptureStatus status;
  EXPECT_OK(cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  CUgraph graph;
  ASSERT_OK(cuStreamEndCapture(stream, &graph));
  EXPECT_EQ(first(), 0);
  size_t count = 0;
  EXPECT_OK(cuGraphGetNodes(graph, nullptr, &count));
  EXPECT_EQ(count, 2u);
  EXPECT_OK(cuGraphGetEdges(graph, nullptr, nullptr, nullptr, &count));
  EXPECT_EQ(count, 1u);
  CUgraphExec exec;
  ASSERT_OK(cuGraphInstantiate(&exec, graph, 0));
  EXPECT_OK(cuGraphDestroy(graph));
  EXPECT_OK(cuGraphLaunch(exec, stream));
  EXPECT_OK(cuGraphLaunch(exec, stream));
  EXPECT_EQ(first(), 22);
  EXPECT_OK(cuGraphExecDestroy(exec));
  EXPECT_EQ(cuGraphLaunch(exec, stream), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(StreamTest, ForkAndJoinAreCaptured) {
  CUstream other;
  CUevent fork, join;
  ASSERT_OK(cuStreamCreate(&other, 0));
  ASSERT_OK(cuEventCreate(&fork, 0));
  ASSERT_OK(cuEventCreate(&join, 0));
  ASSERT_OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_OK(cuMemsetD32Async(data, 1, 4, stream));
  EXPECT_OK(cuEventRecord(fork, stream));
  EXPECT_OK(cuStreamWaitEvent(other, fork, 0));
  EXPECT_OK(launchAdd(data, 2, 2, other));
  EXPECT_OK(launchAdd(data + 8, 3, 2, stream));
  EXPECT_OK(cuEventRecord(join, other));
  EXPECT_EQ(cuEventSynchronize(join), CUDA_ERROR_CAPTURED_EVENT);
  EXPECT_OK(cuStreamWaitEvent(stream, join, 0));
  EXPECT_OK(launchAdd(data, 10, 4, stream));
  CUgraph graph;
  ASSERT_OK(cuStreamEndCapture(stream, &graph));
  CUgraphNode nodes[4];
  size_t count = 4;
  EXPECT_OK(cuGraphGetNodes(graph, nodes, &count));
  EXPECT_EQ(count, 4u);
  EXPECT_OK(cuGraphNodeGetDependencies(nodes[3], nullptr, nullptr, &count));
  EXPECT_EQ(count, 2u);
  EXPECT_OK(cuGraphNodeGetDependentNodes(nodes[0], nullptr, nullptr, &count));
  EXPECT_EQ(count, 2u);
  CUgraphExec exec;
  ASSERT_OK(cuGraphInstantiate(&exec, graph, 0));
  EXPECT_OK(cuGraphLaunch(exec, nullptr));
  EXPECT_EQ(read(data, 4), (std::vector<int>{13, 13, 14, 14}));
}

TEST_F(StreamTest, WrongCapturesAreErrors) {
  CUgraph graph;
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
  EXPECT_EQ(cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  ASSERT_OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_EQ(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL),
            CUDA_ERROR_ILLEGAL_STATE);
  // Waiting for a stream that is captured spoils it.
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(launchAdd(data, 1, 4, stream),
            CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph),
            CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(graph, nullptr);
  // Work of another stream that does not come back.
  CUstream other;
  CUevent fork;
  ASSERT_OK(cuStreamCreate(&other, 0));
  ASSERT_OK(cuEventCreate(&fork, 0));
  ASSERT_OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_OK(cuEventRecord(fork, stream));
  EXPECT_OK(cuStreamWaitEvent(other, fork, 0));
  EXPECT_OK(launchAdd(data, 1, 4, other));
  EXPECT_EQ(cuStreamEndCapture(other, &graph),
            CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph),
            CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  EXPECT_OK(launchAdd(data, 1, 4, other)); // The stream is free again.
  EXPECT_EQ(first(), 1);
}

//===--- Graphs by hand ---===//

class GraphTest : public StreamTest {
protected:
  void SetUp() override {
    StreamTest::SetUp();
    ASSERT_OK(cuGraphCreate(&graph, 0));
    fill.dst = data;
    fill.value = 4;
    fill.elementSize = 4;
    fill.width = 4;
    fill.height = 1;
    kernel.func = find("add");
    kernel.gridDimX = kernel.gridDimY = kernel.gridDimZ = 1;
    kernel.blockDimX = 32;
    kernel.blockDimY = kernel.blockDimZ = 1;
    kernel.kernelParams = arguments;
    copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcDevice = data;
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = out.data();
    copy.WidthInBytes = 16;
    copy.Height = copy.Depth = 1;
  }
  /// fill, add, copy.
  void build() {
    ASSERT_OK(
        cuGraphAddMemsetNode(&fillNode, graph, nullptr, 0, &fill, context));
    ASSERT_OK(cuGraphAddKernelNode(&addNode, graph, &fillNode, 1, &kernel));
    ASSERT_OK(
        cuGraphAddMemcpyNode(&copyNode, graph, &addNode, 1, &copy, context));
    ASSERT_OK(cuGraphInstantiate(&exec, graph, 0));
  }

  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  CUgraphNode fillNode, addNode, copyNode;
  CUDA_MEMSET_NODE_PARAMS fill = {};
  CUDA_KERNEL_NODE_PARAMS kernel = {};
  CUDA_MEMCPY3D copy = {};
  int value = 3, n = 4;
  void *arguments[3] = {&data, &value, &n};
  std::vector<int> out = std::vector<int>(4);
};

TEST_F(GraphTest, NodesRunAfterWhatTheyDependOn) {
  build();
  value = 99; // Arguments were copied.
  EXPECT_OK(cuGraphLaunch(exec, stream));
  EXPECT_EQ(out, std::vector<int>(4, 7));
  CUgraphNodeType type;
  EXPECT_OK(cuGraphNodeGetType(fillNode, &type));
  EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_MEMSET);
  CUDA_KERNEL_NODE_PARAMS got;
  EXPECT_OK(cuGraphKernelNodeGetParams(addNode, &got));
  EXPECT_EQ(*static_cast<int *>(got.kernelParams[1]), 3);
  EXPECT_EQ(got.blockDimX, 32u);
  EXPECT_EQ(cuGraphKernelNodeGetParams(fillNode, &got),
            CUDA_ERROR_INVALID_VALUE);
}

TEST_F(GraphTest, ExecutableGraphsCanBeChanged) {
  build();
  value = 30;
  EXPECT_OK(cuGraphExecKernelNodeSetParams(exec, addNode, &kernel));
  fill.value = 1;
  EXPECT_OK(cuGraphExecMemsetNodeSetParams(exec, fillNode, &fill, context));
  EXPECT_OK(cuGraphLaunch(exec, stream));
  EXPECT_EQ(out, std::vector<int>(4, 31));
  // The graph itself is as it was.
  CUgraphExec second;
  ASSERT_OK(cuGraphInstantiate(&second, graph, 0));
  EXPECT_OK(cuGraphLaunch(second, stream));
  EXPECT_EQ(out, std::vector<int>(4, 7));
  EXPECT_OK(cuGraphNodeSetEnabled(exec, addNode, 0));
  EXPECT_OK(cuGraphLaunch(exec, stream));
  EXPECT_EQ(out, std::vector<int>(4, 1));
  EXPECT_EQ(cuGraphExecKernelNodeSetParams(exec, fillNode, &kernel),
            CUDA_ERROR_INVALID_VALUE);
}

TEST_F(GraphTest, UpdateTakesParametersOfTheSameShape) {
  build();
  CUgraph changed;
  ASSERT_OK(cuGraphClone(&changed, graph));
  CUgraphNode node;
  ASSERT_OK(cuGraphNodeFindInClone(&node, addNode, changed));
  value = 50;
  ASSERT_OK(cuGraphKernelNodeSetParams(node, &kernel));
  CUgraphExecUpdateResultInfo info;
  EXPECT_OK(cuGraphExecUpdate(exec, changed, &info));
  EXPECT_OK(cuGraphLaunch(exec, stream));
  EXPECT_EQ(out, std::vector<int>(4, 54));
  CUgraphNode extra;
  ASSERT_OK(cuGraphAddEmptyNode(&extra, changed, nullptr, 0));
  EXPECT_EQ(cuGraphExecUpdate(exec, changed, &info),
            CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
  EXPECT_EQ(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
}

TEST_F(GraphTest, ChildGraphsEventsAndHostFunctions) {
  build();
  CUgraph outer;
  ASSERT_OK(cuGraphCreate(&outer, 0));
  CUevent event;
  ASSERT_OK(cuEventCreate(&event, 0));
  static int calls;
  calls = 0;
  CUDA_HOST_NODE_PARAMS host = {[](void *) { ++calls; }, nullptr};
  CUgraphNode child, record, call;
  ASSERT_OK(cuGraphAddChildGraphNode(&child, outer, nullptr, 0, graph));
  ASSERT_OK(cuGraphAddEventRecordNode(&record, outer, &child, 1, event));
  ASSERT_OK(cuGraphAddHostNode(&call, outer, &record, 1, &host));
  CUgraph inner;
  EXPECT_OK(cuGraphChildGraphNodeGetGraph(child, &inner));
  EXPECT_EQ(cuGraphDestroy(inner), CUDA_ERROR_INVALID_VALUE);
  CUgraphExec both;
  ASSERT_OK(cuGraphInstantiate(&both, outer, 0));
  EXPECT_OK(cuGraphLaunch(both, stream));
  EXPECT_EQ(out, std::vector<int>(4, 7));
  EXPECT_EQ(calls, 1);
  float time;
  EXPECT_OK(cuEventElapsedTime(&time, event, event));
}

TEST_F(GraphTest, CyclesAndForeignNodesAreErrors) {
  build();
  EXPECT_OK(cuGraphAddDependencies(graph, &copyNode, &fillNode, nullptr, 1));
  CUgraphExec none;
  EXPECT_EQ(cuGraphInstantiate(&none, graph, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cuGraphRemoveDependencies(graph, &copyNode, &fillNode, nullptr, 1));
  EXPECT_EQ(cuGraphRemoveDependencies(graph, &copyNode, &fillNode, nullptr, 1),
            CUDA_ERROR_INVALID_VALUE);
  CUgraph other;
  ASSERT_OK(cuGraphCreate(&other, 0));
  CUgraphNode node;
  EXPECT_EQ(cuGraphAddEmptyNode(&node, other, &addNode, 1),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cuGraphDestroyNode(addNode));
  EXPECT_EQ(cuGraphDestroyNode(addNode), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuGraphAddEmptyNode(&node, graph, &addNode, 1),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(cuGraphDestroy(graph));
  EXPECT_EQ(cuGraphDestroy(graph), CUDA_ERROR_INVALID_HANDLE);
}
} // namespace
