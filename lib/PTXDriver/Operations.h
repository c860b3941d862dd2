//===- Operations.h - What streams and graphs do -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_PTXDRIVER_OPERATIONS_H
#define CLADE_LIB_PTXDRIVER_OPERATIONS_H

#include "lib/PTXDriver/Driver.h"

#include <array>
#include <variant>

namespace clade::vcuda {

struct KernelOperation {
  CUfunction function = nullptr;
  std::array<unsigned, 3> grid = {1, 1, 1};
  std::array<unsigned, 3> block = {1, 1, 1};
  std::array<unsigned, 3> cluster = {1, 1, 1};
  unsigned dynamicShared = 0; ///< Bytes.
  bool isCooperative = false;
  std::vector<uint8_t> parameters; ///< As the kernel's parameter block.
};

/// Host and device memory; arrays are refused when it is made.
struct CopyOperation {
  CUDA_MEMCPY3D copy;
};

struct SetOperation {
  CUDA_MEMSET_NODE_PARAMS set;
};

struct HostOperation {
  CUhostFn function;
  void *data;
};

struct EventOperation {
  CUevent event;
  bool isWait;
};

struct ChildOperation {
  CUgraph graph; ///< A clone that belongs to the node.
};

struct EmptyOperation {};

using Operation =
    std::variant<EmptyOperation, KernelOperation, CopyOperation, SetOperation,
                 HostOperation, EventOperation, ChildOperation>;

/// Checks an operation without doing it.
CUresult checkKernel(const KernelOperation &operation);
CUresult checkCopy(const CUDA_MEMCPY3D &copy);
CUresult checkSet(const CUDA_MEMSET_NODE_PARAMS &set);

/// Packs a kernel's arguments from pointers to each (`arguments`) or from a
/// buffer (`extra`, see cuLaunchKernel) into `operation`, whose function is
/// set.
CUresult packArguments(KernelOperation &operation, void **arguments,
                       void **extra);

CUresult runKernel(Context &context, const KernelOperation &operation);
CUresult runCopy(const CUDA_MEMCPY3D &copy);
CUresult runSet(const CUDA_MEMSET_NODE_PARAMS &set);
/// Does an operation other than a child graph at once.
CUresult run(Context &context, const Operation &operation);

/// Does an operation in a stream, or notes it in the graph that the stream's
/// work is captured into.
CUresult submit(Stream &stream, Operation operation);

/// The current context's stream for a handle, for calls that wait for it: an
/// error while its work is captured, which ends the capture.
CUresult resolveIdleStream(CUstream handle, Stream *&stream);

/// Copies registered host memory to its places on a device, or back.
CUresult copyRegistered(Device &device, bool isBack);

/// Requests to global memory that a launch keeps for its report (128 MiB).
constexpr uint64_t reportTrace = uint64_t(1) << 24;
/// Adds a launch to the file of reports; does nothing where none is wanted.
void writeReport(const Function &function, const KernelOperation &operation,
                 const ptx::LaunchReport &report);

} // namespace clade::vcuda

#endif // CLADE_LIB_PTXDRIVER_OPERATIONS_H
