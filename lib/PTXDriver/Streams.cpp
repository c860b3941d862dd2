//===- Streams.cpp - Streams and events -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Graphs.h"

#include <algorithm>

using namespace clade;
using namespace clade::vcuda;

//===--- What streams do ---===//

CUresult vcuda::resolveStream(CUstream handle, Stream *&stream) {
  Context *context;
  TRY(currentContext(context));
  if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
    stream = context->defaultStream.get();
    return CUDA_SUCCESS;
  }
  stream = Driver::get().streams.find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  Context *own = Driver::get().contexts.find(stream->context);
  return own ? own->sticky : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult vcuda::resolveIdleStream(CUstream handle, Stream *&stream) {
  TRY(resolveStream(handle, stream));
  if (!stream->capture)
    return CUDA_SUCCESS;
  stream->capture->isInvalid = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult vcuda::submit(Stream &stream, Operation operation) {
  if (stream.capture) {
    if (stream.capture->isInvalid)
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    CUgraphNode node;
    TRY(addNode(stream.capture->graph, std::move(operation), stream.tail.data(),
                stream.tail.size(), node));
    stream.tail = {node};
    return CUDA_SUCCESS;
  }
  Context *context = Driver::get().contexts.find(stream.context);
  return context ? run(*context, operation) : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

namespace {
/// Lets other threads into the driver while a program's function runs.
class Unlocked {
public:
  Unlocked() { Driver::get().mutex.unlock(); }
  ~Unlocked() { Driver::get().mutex.lock(); }
};

struct Runner {
  Context &context;

  CUresult operator()(const EmptyOperation &) { return CUDA_SUCCESS; }
  CUresult operator()(const KernelOperation &kernel) {
    return runKernel(context, kernel);
  }
  CUresult operator()(const CopyOperation &copy) { return runCopy(copy.copy); }
  CUresult operator()(const SetOperation &set) { return runSet(set.set); }
  CUresult operator()(const HostOperation &host) {
    Unlocked unlocked;
    host.function(host.data);
    return CUDA_SUCCESS;
  }
  CUresult operator()(const EventOperation &operation) {
    Event *event = Driver::get().events.find(operation.event);
    if (!event)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!operation.isWait) {
      event->isRecorded = true;
      event->capture = nullptr;
      event->time = std::chrono::steady_clock::now();
    }
    return CUDA_SUCCESS;
  }
  CUresult operator()(const ChildOperation &) {
    return CUDA_ERROR_NOT_SUPPORTED; // Plans hold their steps.
  }
};
} // namespace

CUresult vcuda::run(Context &context, const Operation &operation) {
  return std::visit(Runner{context}, operation);
}

//===--- Streams ---===//

EXPORT cuStreamCreateWithPriority(CUstream *result, unsigned flags,
                                  int priority) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!result || (flags & ~unsigned(CU_STREAM_NON_BLOCKING)))
    return CUDA_ERROR_INVALID_VALUE;
  auto stream = std::make_unique<Stream>();
  stream->context = static_cast<CUcontext>(context->handle);
  stream->flags = flags;
  stream->priority = std::min(0, std::max(priority, -5));
  stream->id = ++Driver::get().serial;
  *result = Driver::get().streams.add<CUstream>(std::move(stream));
  return CUDA_SUCCESS;
}

EXPORT cuStreamCreate(CUstream *result, unsigned flags) {
  return cuStreamCreateWithPriority(result, flags, 0);
}

EXPORT cuStreamDestroy_v2(CUstream handle) {
  Guard guard;
  TRY(requireInitialised());
  Stream *stream = Driver::get().streams.find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture)
    stream->capture->isInvalid = true;
  Driver::get().streams.erase(handle);
  return CUDA_SUCCESS;
}
ALSO("cuStreamDestroy", cuStreamDestroy_v2);

EXPORT cuStreamSynchronize(CUstream handle) {
  Guard guard;
  Stream *stream;
  return resolveIdleStream(handle, stream);
}
ALSO("cuStreamSynchronize_ptsz", cuStreamSynchronize);

EXPORT cuStreamQuery(CUstream handle) {
  Guard guard;
  Stream *stream;
  return resolveIdleStream(handle, stream);
}
ALSO("cuStreamQuery_ptsz", cuStreamQuery);

template <typename T, typename F>
static CUresult queryStream(CUstream handle, T *result, F read) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  *result = read(*stream);
  return CUDA_SUCCESS;
}

EXPORT cuStreamGetPriority(CUstream handle, int *priority) {
  return queryStream(handle, priority,
                     [](const Stream &stream) { return stream.priority; });
}
ALSO("cuStreamGetPriority_ptsz", cuStreamGetPriority);

EXPORT cuStreamGetFlags(CUstream handle, unsigned *flags) {
  return queryStream(handle, flags,
                     [](const Stream &stream) { return stream.flags; });
}
ALSO("cuStreamGetFlags_ptsz", cuStreamGetFlags);

EXPORT cuStreamGetId(CUstream handle, unsigned long long *id) {
  return queryStream(handle, id,
                     [](const Stream &stream) { return stream.id; });
}
ALSO("cuStreamGetId_ptsz", cuStreamGetId);

EXPORT cuStreamGetCtx(CUstream handle, CUcontext *context) {
  return queryStream(handle, context,
                     [](const Stream &stream) { return stream.context; });
}
ALSO("cuStreamGetCtx_ptsz", cuStreamGetCtx);

EXPORT cuStreamGetDevice(CUstream handle, CUdevice *device) {
  return queryStream(handle, device, [](const Stream &stream) {
    return Driver::get().contexts.find(stream.context)->device->ordinal;
  });
}

EXPORT cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  if (!function)
    return CUDA_ERROR_INVALID_VALUE;
  return submit(*stream, HostOperation{function, data});
}
ALSO("cuLaunchHostFunc_ptsz", cuLaunchHostFunc);

EXPORT cuStreamAddCallback(CUstream handle, CUstreamCallback callback,
                           void *data, unsigned flags) {
  Guard guard;
  Stream *stream;
  TRY(resolveIdleStream(handle, stream));
  if (!callback || flags)
    return CUDA_ERROR_INVALID_VALUE;
  Unlocked unlocked;
  callback(handle, CUDA_SUCCESS, data);
  return CUDA_SUCCESS;
}
ALSO("cuStreamAddCallback_ptsz", cuStreamAddCallback);

EXPORT cuStreamWaitEvent(CUstream handle, CUevent eventHandle, unsigned flags) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  Event *event = Driver::get().events.find(eventHandle);
  if (!event)
    return CUDA_ERROR_INVALID_HANDLE;
  if (flags == CU_EVENT_WAIT_EXTERNAL && stream->capture)
    return submit(*stream, EventOperation{eventHandle, true});
  if (!event->capture) // Recorded: done. Never recorded: nothing to wait for.
    return stream->capture && event->isRecorded
               ? CUDA_ERROR_STREAM_CAPTURE_ISOLATION
               : CUDA_SUCCESS;
  if (stream->capture && stream->capture != event->capture)
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  if (!stream->capture) // The stream joins the capture.
    stream->tail.clear();
  stream->capture = event->capture;
  for (CUgraphNode node : event->nodes)
    if (std::find(stream->tail.begin(), stream->tail.end(), node) ==
        stream->tail.end())
      stream->tail.push_back(node);
  return CUDA_SUCCESS;
}
ALSO("cuStreamWaitEvent_ptsz", cuStreamWaitEvent);

//===--- Events ---===//

EXPORT cuEventCreate(CUevent *result, unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!result ||
      (flags & ~unsigned(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING |
                         CU_EVENT_INTERPROCESS)))
    return CUDA_ERROR_INVALID_VALUE;
  auto event = std::make_unique<Event>();
  event->context = static_cast<CUcontext>(context->handle);
  event->flags = flags;
  *result = Driver::get().events.add<CUevent>(std::move(event));
  return CUDA_SUCCESS;
}

static CUresult findEvent(CUevent handle, Event *&event) {
  TRY(requireInitialised());
  event = Driver::get().events.find(handle);
  if (!event)
    return CUDA_ERROR_INVALID_HANDLE;
  Context *context = Driver::get().contexts.find(event->context);
  return context ? context->sticky : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

EXPORT cuEventDestroy_v2(CUevent handle) {
  Guard guard;
  TRY(requireInitialised());
  return Driver::get().events.erase(handle) ? CUDA_SUCCESS
                                            : CUDA_ERROR_INVALID_HANDLE;
}
ALSO("cuEventDestroy", cuEventDestroy_v2);

EXPORT cuEventRecordWithFlags(CUevent handle, CUstream streamHandle,
                              unsigned flags) {
  Guard guard;
  Event *event;
  TRY(findEvent(handle, event));
  Stream *stream;
  TRY(resolveStream(streamHandle, stream));
  if (flags != CU_EVENT_RECORD_DEFAULT && flags != CU_EVENT_RECORD_EXTERNAL)
    return CUDA_ERROR_INVALID_VALUE;
  if (event->context != stream->context)
    return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture && flags == CU_EVENT_RECORD_DEFAULT) {
    event->capture = stream->capture;
    event->nodes = stream->tail;
    return CUDA_SUCCESS;
  }
  return submit(*stream, EventOperation{handle, false});
}
ALSO("cuEventRecordWithFlags_ptsz", cuEventRecordWithFlags);

EXPORT cuEventRecord(CUevent event, CUstream stream) {
  return cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_DEFAULT);
}
ALSO("cuEventRecord_ptsz", cuEventRecord);

/// An event of a capture stands for no time.
static CUresult requireTime(CUevent handle, Event *&event) {
  TRY(findEvent(handle, event));
  return event->capture ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}

EXPORT cuEventQuery(CUevent handle) {
  Guard guard;
  Event *event;
  return requireTime(handle, event);
}

EXPORT cuEventSynchronize(CUevent handle) {
  Guard guard;
  Event *event;
  return requireTime(handle, event);
}

/// The time of the host between two events, in milliseconds: how long the
/// machine took, nothing of a GPU.
EXPORT cuEventElapsedTime_v2(float *milliseconds, CUevent startHandle,
                             CUevent endHandle) {
  Guard guard;
  Event *start, *end;
  TRY(requireTime(startHandle, start));
  TRY(requireTime(endHandle, end));
  if (!milliseconds)
    return CUDA_ERROR_INVALID_VALUE;
  if (!start->isRecorded || !end->isRecorded ||
      ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING))
    return CUDA_ERROR_INVALID_HANDLE;
  *milliseconds =
      std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return CUDA_SUCCESS;
}
ALSO("cuEventElapsedTime", cuEventElapsedTime_v2);
