//===- Graphs.cpp - Graphs and their nodes --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Graphs.h"

#include <algorithm>

using namespace clade;
using namespace clade::vcuda;

Graphs &Graphs::get() {
  static auto *graphs = new Graphs;
  return *graphs;
}

CUresult vcuda::newGraph(CUgraph &graph) {
  graph = Graphs::get().graphs.add<CUgraph>(std::make_unique<Graph>());
  return CUDA_SUCCESS;
}

CUresult vcuda::addNode(CUgraph graphHandle, Operation operation,
                        const CUgraphNode *dependencies, size_t count,
                        CUgraphNode &result) {
  Graph *graph = Graphs::get().graphs.find(graphHandle);
  if (!graph)
    return CUDA_ERROR_INVALID_HANDLE;
  if (count && !dependencies)
    return CUDA_ERROR_INVALID_VALUE;
  std::set<CUgraphNode> seen;
  for (size_t i = 0; i < count; ++i) {
    Node *node = Graphs::get().nodes.find(dependencies[i]);
    if (!node)
      return CUDA_ERROR_INVALID_HANDLE;
    if (node->graph != graphHandle || !seen.insert(dependencies[i]).second)
      return CUDA_ERROR_INVALID_VALUE;
  }
  auto node = std::make_unique<Node>();
  node->graph = graphHandle;
  node->operation = std::move(operation);
  node->dependencies.assign(dependencies, dependencies + count);
  result = Graphs::get().nodes.add<CUgraphNode>(std::move(node));
  graph->nodes.push_back(result);
  return CUDA_SUCCESS;
}

static void destroyNode(Node &node) {
  if (auto *child = std::get_if<ChildOperation>(&node.operation))
    if (Graph *graph = Graphs::get().graphs.find(child->graph))
      destroyGraph(*graph);
  Graphs::get().nodes.erase(node.handle);
}

void vcuda::destroyGraph(Graph &graph) {
  for (CUgraphNode handle : graph.nodes)
    if (Node *node = Graphs::get().nodes.find(handle))
      destroyNode(*node);
  Graphs::get().graphs.erase(graph.handle);
}

CUresult vcuda::cloneGraph(const Graph &graph, CUgraph &clone) {
  TRY(newGraph(clone));
  std::map<CUgraphNode, CUgraphNode> clones;
  for (CUgraphNode original : graph.nodes) {
    Node *node = Graphs::get().nodes.find(original);
    Operation operation = node->operation;
    if (auto *child = std::get_if<ChildOperation>(&operation)) {
      CUgraph inner;
      TRY(cloneGraph(*Graphs::get().graphs.find(child->graph), inner));
      child->graph = inner;
    }
    TRY(addNode(clone, std::move(operation), nullptr, 0, clones[original]));
  }
  for (CUgraphNode original : graph.nodes)
    for (CUgraphNode dependency :
         Graphs::get().nodes.find(original)->dependencies)
      Graphs::get()
          .nodes.find(clones[original])
          ->dependencies.push_back(clones[dependency]);
  Graphs::get().graphs.find(clone)->clones = std::move(clones);
  return CUDA_SUCCESS;
}

CUgraphNodeType vcuda::typeOf(const Operation &operation) {
  struct Types {
    CUgraphNodeType operator()(const EmptyOperation &) {
      return CU_GRAPH_NODE_TYPE_EMPTY;
    }
    CUgraphNodeType operator()(const KernelOperation &) {
      return CU_GRAPH_NODE_TYPE_KERNEL;
    }
    CUgraphNodeType operator()(const CopyOperation &) {
      return CU_GRAPH_NODE_TYPE_MEMCPY;
    }
    CUgraphNodeType operator()(const SetOperation &) {
      return CU_GRAPH_NODE_TYPE_MEMSET;
    }
    CUgraphNodeType operator()(const HostOperation &) {
      return CU_GRAPH_NODE_TYPE_HOST;
    }
    CUgraphNodeType operator()(const EventOperation &event) {
      return event.isWait ? CU_GRAPH_NODE_TYPE_WAIT_EVENT
                          : CU_GRAPH_NODE_TYPE_EVENT_RECORD;
    }
    CUgraphNodeType operator()(const ChildOperation &) {
      return CU_GRAPH_NODE_TYPE_GRAPH;
    }
  };
  return std::visit(Types{}, operation);
}

//===--- Graphs ---===//

CUresult vcuda::findGraph(CUgraph handle, Graph *&graph) {
  TRY(requireInitialised());
  graph = Graphs::get().graphs.find(handle);
  return graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult vcuda::findNode(CUgraphNode handle, Node *&node) {
  TRY(requireInitialised());
  node = Graphs::get().nodes.find(handle);
  return node ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT cuGraphCreate(CUgraph *graph, unsigned flags) {
  Guard guard;
  TRY(requireInitialised());
  return graph && flags == 0 ? newGraph(*graph) : CUDA_ERROR_INVALID_VALUE;
}

EXPORT cuGraphDestroy(CUgraph handle) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(handle, graph));
  if (graph->owner)
    return CUDA_ERROR_INVALID_VALUE;
  destroyGraph(*graph);
  return CUDA_SUCCESS;
}

EXPORT cuGraphClone(CUgraph *clone, CUgraph handle) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(handle, graph));
  return clone ? cloneGraph(*graph, *clone) : CUDA_ERROR_INVALID_VALUE;
}

EXPORT cuGraphNodeFindInClone(CUgraphNode *result, CUgraphNode original,
                              CUgraph clone) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(clone, graph));
  auto found = graph->clones.find(original);
  if (!result || found == graph->clones.end())
    return CUDA_ERROR_INVALID_VALUE;
  *result = found->second;
  return CUDA_SUCCESS;
}

/// Gives a list of handles as CUDA does: without a place for them, their
/// number; with one, as many as fit, and nulls after them.
template <typename T>
static CUresult giveList(const std::vector<T> &list, T *out, size_t *count) {
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  if (!out) {
    *count = list.size();
    return CUDA_SUCCESS;
  }
  for (size_t i = 0; i < *count; ++i)
    out[i] = i < list.size() ? list[i] : T();
  *count = std::min(*count, list.size());
  return CUDA_SUCCESS;
}

EXPORT cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(handle, graph));
  return giveList(graph->nodes, nodes, count);
}

EXPORT cuGraphGetRootNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(handle, graph));
  std::vector<CUgraphNode> roots;
  for (CUgraphNode node : graph->nodes)
    if (Graphs::get().nodes.find(node)->dependencies.empty())
      roots.push_back(node);
  return giveList(roots, nodes, count);
}

EXPORT cuGraphGetEdges_v2(CUgraph handle, CUgraphNode *from, CUgraphNode *to,
                          CUgraphEdgeData *data, size_t *count) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(handle, graph));
  if (!from != !to || !count)
    return CUDA_ERROR_INVALID_VALUE;
  std::vector<CUgraphNode> starts, ends;
  for (CUgraphNode node : graph->nodes)
    for (CUgraphNode dependency :
         Graphs::get().nodes.find(node)->dependencies) {
      starts.push_back(dependency);
      ends.push_back(node);
    }
  for (size_t i = 0; data && i < *count; ++i)
    data[i] = {};
  size_t startCount = *count;
  TRY(giveList(starts, from, &startCount));
  return giveList(ends, to, count);
}

EXPORT cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type) {
  Guard guard;
  Node *node;
  TRY(findNode(handle, node));
  if (!type)
    return CUDA_ERROR_INVALID_VALUE;
  *type = typeOf(node->operation);
  return CUDA_SUCCESS;
}

EXPORT cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode *nodes,
                                     CUgraphEdgeData *data, size_t *count) {
  Guard guard;
  Node *node;
  TRY(findNode(handle, node));
  return giveList(node->dependencies, nodes, count);
}

EXPORT cuGraphNodeGetDependentNodes_v2(CUgraphNode handle, CUgraphNode *nodes,
                                       CUgraphEdgeData *data, size_t *count) {
  Guard guard;
  Node *node;
  TRY(findNode(handle, node));
  std::vector<CUgraphNode> dependents;
  for (CUgraphNode other : Graphs::get().graphs.find(node->graph)->nodes) {
    const auto &from = Graphs::get().nodes.find(other)->dependencies;
    if (std::find(from.begin(), from.end(), handle) != from.end())
      dependents.push_back(other);
  }
  return giveList(dependents, nodes, count);
}

static CUresult findEdge(CUgraph graph, CUgraphNode from, CUgraphNode to,
                         Node *&end) {
  Node *start;
  TRY(findNode(from, start));
  TRY(findNode(to, end));
  return start->graph == graph && end->graph == graph && from != to
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}

EXPORT cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from,
                                 const CUgraphNode *to,
                                 const CUgraphEdgeData *data, size_t count) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(handle, graph));
  if (count && (!from || !to))
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    Node *end;
    TRY(findEdge(handle, from[i], to[i], end));
    auto &known = end->dependencies;
    if (std::find(known.begin(), known.end(), from[i]) != known.end())
      return CUDA_ERROR_INVALID_VALUE;
    known.push_back(from[i]);
  }
  return CUDA_SUCCESS;
}

EXPORT cuGraphRemoveDependencies_v2(CUgraph handle, const CUgraphNode *from,
                                    const CUgraphNode *to,
                                    const CUgraphEdgeData *data, size_t count) {
  Guard guard;
  Graph *graph;
  TRY(findGraph(handle, graph));
  if (count && (!from || !to))
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    Node *end;
    TRY(findEdge(handle, from[i], to[i], end));
    if (std::erase(end->dependencies, from[i]) == 0)
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

EXPORT cuGraphDestroyNode(CUgraphNode handle) {
  Guard guard;
  Node *node;
  TRY(findNode(handle, node));
  Graph *graph = Graphs::get().graphs.find(node->graph);
  std::erase(graph->nodes, handle);
  for (CUgraphNode other : graph->nodes)
    std::erase(Graphs::get().nodes.find(other)->dependencies, handle);
  destroyNode(*node);
  return CUDA_SUCCESS;
}
