//===- Capture.cpp - Capture of a stream's work into a graph --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Graphs.h"

using namespace clade;
using namespace clade::vcuda;

static CUresult beginCapture(CUstream handle, CUgraph graph,
                             const CUgraphNode *dependencies, size_t count,
                             CUstreamCaptureMode mode) {
  Stream *stream;
  TRY(resolveStream(handle, stream));
  if (!stream->handle) // The default stream orders all others.
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture)
    return CUDA_ERROR_ILLEGAL_STATE;
  if (mode != CU_STREAM_CAPTURE_MODE_GLOBAL &&
      mode != CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
      mode != CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  if (count && !dependencies)
    return CUDA_ERROR_INVALID_VALUE;
  if (!graph)
    TRY(newGraph(graph));
  else if (!Graphs::get().graphs.find(graph))
    return CUDA_ERROR_INVALID_HANDLE;
  for (size_t i = 0; i < count; ++i) {
    Node *node = Graphs::get().nodes.find(dependencies[i]);
    if (!node || node->graph != graph)
      return CUDA_ERROR_INVALID_HANDLE;
  }
  stream->capture = std::make_shared<Capture>(
      Capture{graph, handle, ++Driver::get().serial, mode});
  stream->tail.assign(dependencies, dependencies + count);
  return CUDA_SUCCESS;
}

EXPORT cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  Guard guard;
  return beginCapture(handle, nullptr, nullptr, 0, mode);
}
ALSO("cuStreamBeginCapture", cuStreamBeginCapture_v2);
ALSO("cuStreamBeginCapture_v2_ptsz", cuStreamBeginCapture_v2);

EXPORT cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph,
                                   const CUgraphNode *dependencies,
                                   const CUgraphEdgeData *edges, size_t count,
                                   CUstreamCaptureMode mode) {
  Guard guard;
  return graph ? beginCapture(handle, graph, dependencies, count, mode)
               : CUDA_ERROR_INVALID_HANDLE;
}
ALSO("cuStreamBeginCaptureToGraph_ptsz", cuStreamBeginCaptureToGraph);

/// Whether some node of a captured graph is reached by no path from the
/// stream's tail: work of another stream that was not joined.
static bool hasUnjoined(const Stream &origin) {
  bool found = false;
  Driver::get().streams.eraseIf([&](Stream &stream) {
    if (&stream == &origin || stream.capture != origin.capture)
      return false;
    std::set<CUgraphNode> reached;
    std::vector<CUgraphNode> open = origin.tail;
    while (!open.empty()) {
      CUgraphNode next = open.back();
      open.pop_back();
      Node *node = Graphs::get().nodes.find(next);
      if (!node || !reached.insert(next).second)
        continue;
      open.insert(open.end(), node->dependencies.begin(),
                  node->dependencies.end());
    }
    for (CUgraphNode node : stream.tail)
      found |= !reached.contains(node);
    return false;
  });
  return found;
}

/// Takes all streams out of a capture.
static void endCapture(const std::shared_ptr<Capture> &capture) {
  Driver::get().streams.eraseIf([&](Stream &stream) {
    if (stream.capture == capture) {
      stream.capture = nullptr;
      stream.tail.clear();
    }
    return false;
  });
}

EXPORT cuStreamEndCapture(CUstream handle, CUgraph *result) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  *result = nullptr;
  std::shared_ptr<Capture> capture = stream->capture;
  if (!capture)
    return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin != handle)
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  CUresult code = CUDA_SUCCESS;
  if (capture->isInvalid)
    code = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  else if (hasUnjoined(*stream))
    code = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  endCapture(capture);
  if (code == CUDA_SUCCESS)
    *result = capture->graph;
  else if (Graph *graph = Graphs::get().graphs.find(capture->graph))
    destroyGraph(*graph);
  return code;
}
ALSO("cuStreamEndCapture_ptsz", cuStreamEndCapture);

static CUstreamCaptureStatus statusOf(const Stream &stream) {
  if (!stream.capture)
    return CU_STREAM_CAPTURE_STATUS_NONE;
  return stream.capture->isInvalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                   : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

EXPORT cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  if (!status)
    return CUDA_ERROR_INVALID_VALUE;
  *status = statusOf(*stream);
  return CUDA_SUCCESS;
}
ALSO("cuStreamIsCapturing_ptsz", cuStreamIsCapturing);

EXPORT cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status,
                                 cuuint64_t *id, CUgraph *graph,
                                 const CUgraphNode **dependencies,
                                 size_t *count) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  if (!status)
    return CUDA_ERROR_INVALID_VALUE;
  *status = statusOf(*stream);
  if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
    return CUDA_SUCCESS;
  if (id)
    *id = stream->capture->id;
  if (graph)
    *graph = stream->capture->graph;
  if (dependencies)
    *dependencies = stream->tail.data();
  if (count)
    *count = stream->tail.size();
  return CUDA_SUCCESS;
}
ALSO("cuStreamGetCaptureInfo_v2_ptsz", cuStreamGetCaptureInfo_v2);

EXPORT cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status,
                                 cuuint64_t *id, CUgraph *graph,
                                 const CUgraphNode **dependencies,
                                 const CUgraphEdgeData **edges, size_t *count) {
  if (edges)
    *edges = nullptr; // Edges have no data of their own.
  return cuStreamGetCaptureInfo_v2(handle, status, id, graph, dependencies,
                                   count);
}
ALSO("cuStreamGetCaptureInfo_v3_ptsz", cuStreamGetCaptureInfo_v3);

EXPORT cuStreamUpdateCaptureDependencies_v2(CUstream handle,
                                            CUgraphNode *dependencies,
                                            const CUgraphEdgeData *edges,
                                            size_t count, unsigned flags) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  if (!stream->capture)
    return CUDA_ERROR_ILLEGAL_STATE;
  if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES || (count && !dependencies))
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    Node *node = Graphs::get().nodes.find(dependencies[i]);
    if (!node || node->graph != stream->capture->graph)
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES)
    stream->tail.clear();
  stream->tail.insert(stream->tail.end(), dependencies, dependencies + count);
  return CUDA_SUCCESS;
}
ALSO("cuStreamUpdateCaptureDependencies_v2_ptsz",
     cuStreamUpdateCaptureDependencies_v2);

EXPORT cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
  if (!mode)
    return CUDA_ERROR_INVALID_VALUE;
  thread_local CUstreamCaptureMode current = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::swap(*mode, current);
  return CUDA_SUCCESS;
}
