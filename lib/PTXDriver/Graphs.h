//===- Graphs.h - Graphs of operations ------------------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_PTXDRIVER_GRAPHS_H
#define CLADE_LIB_PTXDRIVER_GRAPHS_H

#include "lib/PTXDriver/Operations.h"

namespace clade::vcuda {

struct Node : Object {
  CUgraph graph;
  Operation operation;
  std::vector<CUgraphNode> dependencies;
  std::vector<void *> pointers; ///< What a query of its parameters points to.
};

struct Graph : Object {
  std::vector<CUgraphNode> nodes; ///< In the order of their making.
  /// Of a clone: the node that each original became.
  std::map<CUgraphNode, CUgraphNode> clones;
  CUgraphNode owner = nullptr; ///< The child node that it belongs to.
};

/// A node as an executable graph does it.
struct Step {
  CUgraphNode node;
  Operation operation;
  std::vector<size_t> dependencies; ///< Places of other nodes in the graph.
  bool isEnabled = true;
  std::vector<Step> child; ///< Of a child graph, in an order of execution.
};

struct Exec : Object {
  CUcontext context;
  unsigned long long flags = 0;
  std::vector<Step> steps; ///< In an order of execution.
};

struct Graphs {
  Handles<Graph, HandleKind::Graph> graphs;
  Handles<Node, HandleKind::Node> nodes;
  Handles<Exec, HandleKind::Exec> execs;
  /// While the operations of a graph run: for the report.
  bool isLaunching = false;
  static Graphs &get();
};

CUresult findGraph(CUgraph handle, Graph *&graph);
CUresult findNode(CUgraphNode handle, Node *&node);
/// A node whose operation is a T.
template <typename T>
CUresult findNodeOf(CUgraphNode handle, Node *&node, T *&operation) {
  TRY(findNode(handle, node));
  operation = std::get_if<T>(&node->operation);
  return operation ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/// Adds a node that follows `dependencies`, nodes of the same graph.
CUresult addNode(CUgraph graph, Operation operation,
                 const CUgraphNode *dependencies, size_t count,
                 CUgraphNode &node);
CUresult newGraph(CUgraph &graph);
/// A copy of a graph with nodes of its own.
CUresult cloneGraph(const Graph &graph, CUgraph &clone);
void destroyGraph(Graph &graph);

/// The nodes in an order of execution; CUDA_ERROR_INVALID_VALUE for a cycle.
CUresult planGraph(const Graph &graph, std::vector<Step> &steps);

/// The kernel launch that a node's parameters describe, checked and packed.
CUresult readKernelNode(const CUDA_KERNEL_NODE_PARAMS &parameters,
                        KernelOperation &operation);
/// The number of CUgraphNodeType for an operation.
CUgraphNodeType typeOf(const Operation &operation);

} // namespace clade::vcuda

#endif // CLADE_LIB_PTXDRIVER_GRAPHS_H
