//===- GraphExec.cpp - Executable graphs ----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Graphs.h"

#include <algorithm>

using namespace clade;
using namespace clade::vcuda;

CUresult vcuda::planGraph(const Graph &graph, std::vector<Step> &steps) {
  std::map<CUgraphNode, size_t> places;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    places[graph.nodes[i]] = i;
  // Again and again, the first node whose dependencies are done: few nodes.
  std::vector<bool> done(graph.nodes.size(), false);
  while (steps.size() < graph.nodes.size()) {
    size_t before = steps.size();
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      Node &node = *Graphs::get().nodes.find(graph.nodes[i]);
      auto isDone = [&](CUgraphNode other) { return done[places[other]]; };
      if (done[i] || !std::all_of(node.dependencies.begin(),
                                  node.dependencies.end(), isDone))
        continue;
      done[i] = true;
      Step step = {graph.nodes[i], node.operation};
      for (CUgraphNode dependency : node.dependencies)
        step.dependencies.push_back(places[dependency]);
      std::sort(step.dependencies.begin(), step.dependencies.end());
      if (auto *child = std::get_if<ChildOperation>(&node.operation))
        TRY(planGraph(*Graphs::get().graphs.find(child->graph), step.child));
      steps.push_back(std::move(step));
    }
    if (steps.size() == before)
      return CUDA_ERROR_INVALID_VALUE; // A cycle.
  }
  return CUDA_SUCCESS;
}

static CUresult instantiate(CUgraphExec *result, CUgraph handle,
                            unsigned long long flags) {
  Context *context;
  TRY(currentContext(context));
  Graph *graph;
  TRY(findGraph(handle, graph));
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  auto exec = std::make_unique<Exec>();
  exec->context = static_cast<CUcontext>(context->handle);
  exec->flags = flags;
  TRY(planGraph(*graph, exec->steps));
  *result = Graphs::get().execs.add<CUgraphExec>(std::move(exec));
  return CUDA_SUCCESS;
}

EXPORT cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                   unsigned long long flags) {
  Guard guard;
  constexpr unsigned long long known =
      CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |
      CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
      CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
  if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
    return CUDA_ERROR_NOT_SUPPORTED;
  return flags & ~known ? CUDA_ERROR_INVALID_VALUE
                        : instantiate(exec, graph, flags);
}

/// The form of CUDA 11, whose place for messages stays empty.
EXPORT cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph,
                             CUgraphNode *errorNode, char *log, size_t bytes) {
  Guard guard;
  if (errorNode)
    *errorNode = nullptr;
  if (log && bytes)
    *log = 0;
  return instantiate(exec, graph, 0);
}
ALSO("cuGraphInstantiate", cuGraphInstantiate_v2);

EXPORT cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph,
                                    CUDA_GRAPH_INSTANTIATE_PARAMS *parameters) {
  Guard guard;
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  CUresult code = cuGraphInstantiateWithFlags(exec, graph, parameters->flags);
  parameters->hErrNode_out = nullptr;
  parameters->result_out = code == CUDA_SUCCESS ? CUDA_GRAPH_INSTANTIATE_SUCCESS
                                                : CUDA_GRAPH_INSTANTIATE_ERROR;
  return code;
}
ALSO("cuGraphInstantiateWithParams_ptsz", cuGraphInstantiateWithParams);

static CUresult findExec(CUgraphExec handle, Exec *&exec) {
  TRY(requireInitialised());
  exec = Graphs::get().execs.find(handle);
  return exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT cuGraphExecDestroy(CUgraphExec handle) {
  Guard guard;
  TRY(requireInitialised());
  return Graphs::get().execs.erase(handle) ? CUDA_SUCCESS
                                           : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t *flags) {
  Guard guard;
  Exec *exec;
  TRY(findExec(handle, exec));
  if (!flags)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = exec->flags;
  return CUDA_SUCCESS;
}

EXPORT cuGraphUpload(CUgraphExec handle, CUstream streamHandle) {
  Guard guard;
  Exec *exec;
  TRY(findExec(handle, exec));
  Stream *stream;
  return resolveStream(streamHandle, stream);
}
ALSO("cuGraphUpload_ptsz", cuGraphUpload);

static CUresult runSteps(Context &context, const std::vector<Step> &steps) {
  for (const Step &step : steps) {
    if (!step.isEnabled)
      continue;
    if (std::holds_alternative<ChildOperation>(step.operation))
      TRY(runSteps(context, step.child));
    else
      TRY(run(context, step.operation));
  }
  return CUDA_SUCCESS;
}

EXPORT cuGraphLaunch(CUgraphExec handle, CUstream streamHandle) {
  Guard guard;
  Exec *exec;
  TRY(findExec(handle, exec));
  Stream *stream;
  TRY(resolveStream(streamHandle, stream));
  if (stream->capture)
    return CUDA_ERROR_NOT_SUPPORTED;
  Context *context = Driver::get().contexts.find(exec->context);
  if (!context)
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  // A function of the program may change the graph while it runs.
  std::vector<Step> steps = exec->steps;
  bool &isLaunching = Graphs::get().isLaunching;
  isLaunching = true;
  CUresult result = runSteps(*context, steps);
  isLaunching = false;
  return result;
}
ALSO("cuGraphLaunch_ptsz", cuGraphLaunch);

//===--- Changes ---===//

static CUresult findStep(CUgraphExec handle, CUgraphNode node, Step *&step) {
  Exec *exec;
  TRY(findExec(handle, exec));
  for (Step &candidate : exec->steps)
    if (candidate.node == node) {
      step = &candidate;
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_INVALID_VALUE;
}

template <typename T>
static CUresult findStepOf(CUgraphExec handle, CUgraphNode node,
                           T *&operation) {
  Step *step;
  TRY(findStep(handle, node, step));
  operation = std::get_if<T>(&step->operation);
  return operation ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EXPORT
cuGraphExecKernelNodeSetParams_v2(CUgraphExec handle, CUgraphNode node,
                                  const CUDA_KERNEL_NODE_PARAMS *parameters) {
  Guard guard;
  KernelOperation *kernel;
  TRY(findStepOf(handle, node, kernel));
  if (!parameters)
    return CUDA_ERROR_INVALID_VALUE;
  KernelOperation changed;
  TRY(readKernelNode(*parameters, changed));
  changed.cluster = kernel->cluster;
  changed.isCooperative = kernel->isCooperative;
  *kernel = std::move(changed);
  return CUDA_SUCCESS;
}

EXPORT cuGraphExecMemcpyNodeSetParams(CUgraphExec handle, CUgraphNode node,
                                      const CUDA_MEMCPY3D *copy,
                                      CUcontext context) {
  Guard guard;
  CopyOperation *operation;
  TRY(findStepOf(handle, node, operation));
  if (!copy)
    return CUDA_ERROR_INVALID_VALUE;
  TRY(checkCopy(*copy));
  operation->copy = *copy;
  return CUDA_SUCCESS;
}

EXPORT cuGraphExecMemsetNodeSetParams(CUgraphExec handle, CUgraphNode node,
                                      const CUDA_MEMSET_NODE_PARAMS *set,
                                      CUcontext context) {
  Guard guard;
  SetOperation *operation;
  TRY(findStepOf(handle, node, operation));
  if (!set)
    return CUDA_ERROR_INVALID_VALUE;
  TRY(checkSet(*set));
  operation->set = *set;
  return CUDA_SUCCESS;
}

EXPORT
cuGraphExecHostNodeSetParams(CUgraphExec handle, CUgraphNode node,
                             const CUDA_HOST_NODE_PARAMS *parameters) {
  Guard guard;
  HostOperation *operation;
  TRY(findStepOf(handle, node, operation));
  if (!parameters || !parameters->fn)
    return CUDA_ERROR_INVALID_VALUE;
  *operation = {parameters->fn, parameters->userData};
  return CUDA_SUCCESS;
}

static CUresult setEvent(CUgraphExec handle, CUgraphNode node, CUevent event,
                         bool isWait) {
  EventOperation *operation;
  TRY(findStepOf(handle, node, operation));
  if (operation->isWait != isWait)
    return CUDA_ERROR_INVALID_VALUE;
  if (!Driver::get().events.find(event))
    return CUDA_ERROR_INVALID_HANDLE;
  operation->event = event;
  return CUDA_SUCCESS;
}

EXPORT cuGraphExecEventRecordNodeSetEvent(CUgraphExec handle, CUgraphNode node,
                                          CUevent event) {
  Guard guard;
  return setEvent(handle, node, event, false);
}

EXPORT cuGraphExecEventWaitNodeSetEvent(CUgraphExec handle, CUgraphNode node,
                                        CUevent event) {
  Guard guard;
  return setEvent(handle, node, event, true);
}

EXPORT cuGraphNodeSetEnabled(CUgraphExec handle, CUgraphNode node,
                             unsigned isEnabled) {
  Guard guard;
  Step *step;
  TRY(findStep(handle, node, step));
  CUgraphNodeType type = typeOf(step->operation);
  if (type != CU_GRAPH_NODE_TYPE_KERNEL && type != CU_GRAPH_NODE_TYPE_MEMCPY &&
      type != CU_GRAPH_NODE_TYPE_MEMSET)
    return CUDA_ERROR_INVALID_VALUE;
  step->isEnabled = isEnabled != 0;
  return CUDA_SUCCESS;
}

EXPORT cuGraphNodeGetEnabled(CUgraphExec handle, CUgraphNode node,
                             unsigned *isEnabled) {
  Guard guard;
  Step *step;
  TRY(findStep(handle, node, step));
  if (!isEnabled)
    return CUDA_ERROR_INVALID_VALUE;
  *isEnabled = step->isEnabled;
  return CUDA_SUCCESS;
}

/// Where two plans differ in more than the parameters of their nodes.
static CUgraphExecUpdateResult compare(const std::vector<Step> &old,
                                       const std::vector<Step> &changed,
                                       CUgraphNode &place) {
  if (old.size() != changed.size())
    return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
  for (size_t i = 0; i < old.size(); ++i) {
    place = changed[i].node;
    if (typeOf(old[i].operation) != typeOf(changed[i].operation))
      return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    if (old[i].dependencies != changed[i].dependencies)
      return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    CUgraphExecUpdateResult inner =
        compare(old[i].child, changed[i].child, place);
    if (inner != CU_GRAPH_EXEC_UPDATE_SUCCESS)
      return inner;
  }
  place = nullptr;
  return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

/// Takes the operations of a plan of the same shape; nodes keep their names, so
/// that those of the graph that was instantiated can still be changed.
static void takeOperations(std::vector<Step> &steps,
                           const std::vector<Step> &from) {
  for (size_t i = 0; i < steps.size(); ++i) {
    steps[i].operation = from[i].operation;
    takeOperations(steps[i].child, from[i].child);
  }
}

EXPORT cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graphHandle,
                            CUgraphExecUpdateResultInfo *info) {
  Guard guard;
  Exec *exec;
  TRY(findExec(handle, exec));
  Graph *graph;
  TRY(findGraph(graphHandle, graph));
  std::vector<Step> steps;
  TRY(planGraph(*graph, steps));
  CUgraphNode place = nullptr;
  CUgraphExecUpdateResult result = compare(exec->steps, steps, place);
  if (info) {
    *info = {};
    info->result = result;
    info->errorNode = place;
  }
  if (result != CU_GRAPH_EXEC_UPDATE_SUCCESS)
    return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  takeOperations(exec->steps, steps);
  return CUDA_SUCCESS;
}

EXPORT cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *node,
                         CUgraphExecUpdateResult *result) {
  CUgraphExecUpdateResultInfo info = {};
  CUresult code = cuGraphExecUpdate_v2(exec, graph, &info);
  if (node)
    *node = info.errorNode;
  if (result)
    *result = info.result;
  return code;
}
