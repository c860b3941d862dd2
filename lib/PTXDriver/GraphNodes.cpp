//===- GraphNodes.cpp - Making, reading and changing nodes of graphs ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Graphs.h"

#include <cstring>

using namespace clade;
using namespace clade::vcuda;

/// What every form of adding a node ends with.
static CUresult add(CUgraphNode *result, CUgraph graph,
                    const CUgraphNode *dependencies, size_t count,
                    Operation operation) {
  TRY(requireInitialised());
  return result ? addNode(graph, std::move(operation), dependencies, count,
                          *result)
                : CUDA_ERROR_INVALID_VALUE;
}

//===--- Kernels ---===//

CUresult vcuda::readKernelNode(const CUDA_KERNEL_NODE_PARAMS &parameters,
                               KernelOperation &operation) {
  operation.function = parameters.func
                           ? parameters.func
                           : reinterpret_cast<CUfunction>(parameters.kern);
  operation.grid = {parameters.gridDimX, parameters.gridDimY,
                    parameters.gridDimZ};
  operation.block = {parameters.blockDimX, parameters.blockDimY,
                     parameters.blockDimZ};
  operation.dynamicShared = parameters.sharedMemBytes;
  TRY(checkKernel(operation));
  return packArguments(operation, parameters.kernelParams, parameters.extra);
}

static CUDA_KERNEL_NODE_PARAMS
widen(const CUDA_KERNEL_NODE_PARAMS_v1 &parameters) {
  CUDA_KERNEL_NODE_PARAMS wide = {};
  std::memcpy(&wide, &parameters, sizeof(parameters));
  return wide;
}

EXPORT cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph,
                               const CUgraphNode *dependencies, size_t count,
                               const CUDA_KERNEL_NODE_PARAMS *parameters) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  KernelOperation operation;
  TRY(readKernelNode(*parameters, operation));
  return add(node, graph, dependencies, count, std::move(operation));
}

EXPORT cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph,
                            const CUgraphNode *dependencies, size_t count,
                            const CUDA_KERNEL_NODE_PARAMS_v1 *parameters) {
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  CUDA_KERNEL_NODE_PARAMS wide = widen(*parameters);
  return cuGraphAddKernelNode_v2(node, graph, dependencies, count, &wide);
}

/// The parameters point into the node and hold until it is changed.
EXPORT cuGraphKernelNodeGetParams_v2(CUgraphNode handle,
                                     CUDA_KERNEL_NODE_PARAMS *parameters) {
  Guard guard;
  Node *node;
  KernelOperation *kernel;
  TRY(findNodeOf(handle, node, kernel));
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  Function *function;
  TRY(resolveFunction(kernel->function, function));
  node->pointers.clear();
  for (const ptx::Parameter &parameter : function->kernel.function().parameters)
    node->pointers.push_back(kernel->parameters.data() + parameter.offset);
  *parameters = {};
  parameters->func = kernel->function;
  parameters->gridDimX = kernel->grid[0];
  parameters->gridDimY = kernel->grid[1];
  parameters->gridDimZ = kernel->grid[2];
  parameters->blockDimX = kernel->block[0];
  parameters->blockDimY = kernel->block[1];
  parameters->blockDimZ = kernel->block[2];
  parameters->sharedMemBytes = kernel->dynamicShared;
  parameters->kernelParams = node->pointers.data();
  return CUDA_SUCCESS;
}

EXPORT
cuGraphKernelNodeSetParams_v2(CUgraphNode handle,
                              const CUDA_KERNEL_NODE_PARAMS *parameters) {
  Guard guard;
  Node *node;
  KernelOperation *kernel;
  TRY(findNodeOf(handle, node, kernel));
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  KernelOperation changed;
  TRY(readKernelNode(*parameters, changed));
  changed.cluster = kernel->cluster;
  changed.isCooperative = kernel->isCooperative;
  *kernel = std::move(changed);
  return CUDA_SUCCESS;
}

EXPORT
cuGraphKernelNodeSetParams(CUgraphNode handle,
                           const CUDA_KERNEL_NODE_PARAMS_v1 *parameters) {
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  CUDA_KERNEL_NODE_PARAMS wide = widen(*parameters);
  return cuGraphKernelNodeSetParams_v2(handle, &wide);
}

EXPORT cuGraphKernelNodeSetAttribute(CUgraphNode handle, CUkernelNodeAttrID id,
                                     const CUkernelNodeAttrValue *value) {
  Guard guard;
  Node *node;
  KernelOperation *kernel;
  TRY(findNodeOf(handle, node, kernel));
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  switch (id) {
  case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    kernel->cluster = {value->clusterDim.x, value->clusterDim.y,
                       value->clusterDim.z};
    return checkKernel(*kernel);
  case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    kernel->isCooperative = value->cooperative != 0;
    return checkKernel(*kernel);
  case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
  case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_NOT_SUPPORTED;
  }
}

EXPORT cuGraphKernelNodeGetAttribute(CUgraphNode handle, CUkernelNodeAttrID id,
                                     CUkernelNodeAttrValue *value) {
  Guard guard;
  Node *node;
  KernelOperation *kernel;
  TRY(findNodeOf(handle, node, kernel));
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  *value = {};
  switch (id) {
  case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    value->clusterDim = {kernel->cluster[0], kernel->cluster[1],
                         kernel->cluster[2]};
    return CUDA_SUCCESS;
  case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    value->cooperative = kernel->isCooperative;
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_NOT_SUPPORTED;
  }
}

//===--- Copies and fills ---===//

EXPORT cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph,
                            const CUgraphNode *dependencies, size_t count,
                            const CUDA_MEMCPY3D *copy, CUcontext context) {
  Guard guard;
  if (!copy)
    return CUDA_ERROR_INVALID_VALUE;
  TRY(checkCopy(*copy));
  return add(node, graph, dependencies, count, CopyOperation{*copy});
}

EXPORT cuGraphMemcpyNodeGetParams(CUgraphNode handle, CUDA_MEMCPY3D *copy) {
  Guard guard;
  Node *node;
  CopyOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!copy)
    return CUDA_ERROR_INVALID_VALUE;
  *copy = operation->copy;
  return CUDA_SUCCESS;
}

EXPORT cuGraphMemcpyNodeSetParams(CUgraphNode handle,
                                  const CUDA_MEMCPY3D *copy) {
  Guard guard;
  Node *node;
  CopyOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!copy)
    return CUDA_ERROR_INVALID_VALUE;
  TRY(checkCopy(*copy));
  operation->copy = *copy;
  return CUDA_SUCCESS;
}

EXPORT cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph,
                            const CUgraphNode *dependencies, size_t count,
                            const CUDA_MEMSET_NODE_PARAMS *set,
                            CUcontext context) {
  Guard guard;
  if (!set)
    return CUDA_ERROR_INVALID_VALUE;
  TRY(checkSet(*set));
  return add(node, graph, dependencies, count, SetOperation{*set});
}

EXPORT cuGraphMemsetNodeGetParams(CUgraphNode handle,
                                  CUDA_MEMSET_NODE_PARAMS *set) {
  Guard guard;
  Node *node;
  SetOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!set)
    return CUDA_ERROR_INVALID_VALUE;
  *set = operation->set;
  return CUDA_SUCCESS;
}

EXPORT cuGraphMemsetNodeSetParams(CUgraphNode handle,
                                  const CUDA_MEMSET_NODE_PARAMS *set) {
  Guard guard;
  Node *node;
  SetOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!set)
    return CUDA_ERROR_INVALID_VALUE;
  TRY(checkSet(*set));
  operation->set = *set;
  return CUDA_SUCCESS;
}

//===--- Functions of the program ---===//

EXPORT cuGraphAddHostNode(CUgraphNode *node, CUgraph graph,
                          const CUgraphNode *dependencies, size_t count,
                          const CUDA_HOST_NODE_PARAMS *parameters) {
  Guard guard;
  if (!parameters || !parameters->fn)
    return CUDA_ERROR_INVALID_VALUE;
  return add(node, graph, dependencies, count,
             HostOperation{parameters->fn, parameters->userData});
}

EXPORT cuGraphHostNodeGetParams(CUgraphNode handle,
                                CUDA_HOST_NODE_PARAMS *parameters) {
  Guard guard;
  Node *node;
  HostOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  *parameters = {operation->function, operation->data};
  return CUDA_SUCCESS;
}

EXPORT cuGraphHostNodeSetParams(CUgraphNode handle,
                                const CUDA_HOST_NODE_PARAMS *parameters) {
  Guard guard;
  Node *node;
  HostOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!parameters || !parameters->fn)
    return CUDA_ERROR_INVALID_VALUE;
  *operation = {parameters->fn, parameters->userData};
  return CUDA_SUCCESS;
}

//===--- Other graphs, events, nothing ---===//

EXPORT cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph,
                           const CUgraphNode *dependencies, size_t count) {
  Guard guard;
  return add(node, graph, dependencies, count, EmptyOperation{});
}

EXPORT cuGraphAddChildGraphNode(CUgraphNode *result, CUgraph graph,
                                const CUgraphNode *dependencies, size_t count,
                                CUgraph childHandle) {
  Guard guard;
  Graph *child;
  TRY(findGraph(childHandle, child));
  if (childHandle == graph)
    return CUDA_ERROR_INVALID_VALUE;
  CUgraph clone;
  TRY(cloneGraph(*child, clone));
  Graph *cloned = Graphs::get().graphs.find(clone);
  CUresult code =
      add(result, graph, dependencies, count, ChildOperation{clone});
  if (code != CUDA_SUCCESS)
    destroyGraph(*cloned);
  else
    cloned->owner = *result;
  return code;
}

EXPORT cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph *graph) {
  Guard guard;
  Node *node;
  ChildOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!graph)
    return CUDA_ERROR_INVALID_VALUE;
  *graph = operation->graph;
  return CUDA_SUCCESS;
}

static CUresult addEvent(CUgraphNode *node, CUgraph graph,
                         const CUgraphNode *dependencies, size_t count,
                         CUevent event, bool isWait) {
  TRY(requireInitialised());
  if (!Driver::get().events.find(event))
    return CUDA_ERROR_INVALID_HANDLE;
  return add(node, graph, dependencies, count, EventOperation{event, isWait});
}

static CUresult getEvent(CUgraphNode handle, bool isWait, CUevent *event) {
  Node *node;
  EventOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (!event || operation->isWait != isWait)
    return CUDA_ERROR_INVALID_VALUE;
  *event = operation->event;
  return CUDA_SUCCESS;
}

static CUresult setEvent(CUgraphNode handle, bool isWait, CUevent event) {
  Node *node;
  EventOperation *operation;
  TRY(findNodeOf(handle, node, operation));
  if (operation->isWait != isWait)
    return CUDA_ERROR_INVALID_VALUE;
  if (!Driver::get().events.find(event))
    return CUDA_ERROR_INVALID_HANDLE;
  operation->event = event;
  return CUDA_SUCCESS;
}

EXPORT cuGraphAddEventRecordNode(CUgraphNode *node, CUgraph graph,
                                 const CUgraphNode *dependencies, size_t count,
                                 CUevent event) {
  Guard guard;
  return addEvent(node, graph, dependencies, count, event, false);
}

EXPORT cuGraphAddEventWaitNode(CUgraphNode *node, CUgraph graph,
                               const CUgraphNode *dependencies, size_t count,
                               CUevent event) {
  Guard guard;
  return addEvent(node, graph, dependencies, count, event, true);
}

EXPORT cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent *event) {
  Guard guard;
  return getEvent(node, false, event);
}

EXPORT cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent *event) {
  Guard guard;
  return getEvent(node, true, event);
}

EXPORT cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event) {
  Guard guard;
  return setEvent(node, false, event);
}

EXPORT cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event) {
  Guard guard;
  return setEvent(node, true, event);
}
