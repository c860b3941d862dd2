//===- Launch.cpp - Launches of kernels -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Module.h"
#include "lib/PTXDriver/Operations.h"

#include <algorithm>
#include <cstring>

using namespace clade;
using namespace clade::vcuda;

//===--- Arguments ---===//

static CUresult packBuffer(KernelOperation &operation, void **extra,
                           size_t wanted) {
  const void *buffer = nullptr;
  size_t size = 0;
  for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
      buffer = extra[1];
    else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
      std::memcpy(&size, extra[1], sizeof(size));
    else
      return CUDA_ERROR_INVALID_VALUE;
  }
  // The last parameter may be followed by padding.
  if ((!buffer && wanted) || size < wanted)
    return CUDA_ERROR_INVALID_VALUE;
  auto *bytes = static_cast<const uint8_t *>(buffer);
  operation.parameters.assign(bytes, bytes + wanted);
  return CUDA_SUCCESS;
}

CUresult vcuda::packArguments(KernelOperation &operation, void **arguments,
                              void **extra) {
  Function *function;
  TRY(resolveFunction(operation.function, function));
  const ptx::Function &code = function->kernel.function();
  if (arguments && extra)
    return CUDA_ERROR_INVALID_VALUE;
  if (extra)
    return packBuffer(operation, extra, code.parameterBytes);
  if (!arguments && !code.parameters.empty())
    return CUDA_ERROR_INVALID_VALUE;
  operation.parameters.assign(code.parameterBytes, 0);
  for (size_t i = 0; i < code.parameters.size(); ++i) {
    if (!arguments[i])
      return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(operation.parameters.data() + code.parameters[i].offset,
                arguments[i], code.parameters[i].size);
  }
  return CUDA_SUCCESS;
}

//===--- Checks of a launch's shape ---===//

static uint64_t product(const std::array<unsigned, 3> &sizes) {
  return uint64_t(sizes[0]) * sizes[1] * sizes[2];
}

static CUresult checkShape(const KernelOperation &operation) {
  const std::array<unsigned, 3> maxBlock = {1024, 1024, 64},
                                maxGrid = {0x7fffffff, 65535, 65535};
  for (unsigned i = 0; i < 3; ++i)
    if (operation.block[i] == 0 || operation.block[i] > maxBlock[i] ||
        operation.grid[i] == 0 || operation.grid[i] > maxGrid[i])
      return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

static CUresult checkCluster(const KernelOperation &operation) {
  if (product(operation.cluster) == 0)
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < 3; ++i)
    if (operation.grid[i] % operation.cluster[i] != 0)
      return CUDA_ERROR_INVALID_CLUSTER_SIZE;
  if (product(operation.cluster) == 1)
    return CUDA_SUCCESS;
  say("the PTX machine runs clusters of one block; the launch asks for " +
      std::to_string(product(operation.cluster)));
  return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult vcuda::checkKernel(const KernelOperation &operation) {
  Function *function;
  TRY(resolveFunction(operation.function, function));
  TRY(checkShape(operation));
  TRY(checkCluster(operation));
  int most;
  TRY(functionAttribute(*function, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
                        most));
  if (product(operation.block) > uint64_t(most))
    return CUDA_ERROR_INVALID_VALUE;
  const auto &required = function->kernel.function().requiredThreads;
  for (unsigned i = 0; required[0] && i < 3; ++i)
    if (operation.block[i] != std::max(1u, required[i]))
      return CUDA_ERROR_INVALID_VALUE;
  if (operation.dynamicShared > unsigned(function->maxDynamicShared))
    return CUDA_ERROR_INVALID_VALUE;
  if (!operation.isCooperative)
    return CUDA_SUCCESS;
  int resident, multiprocessors = Driver::get()
                                      .modules.find(function->module)
                                      ->device->model->multiprocessors;
  TRY(cuOccupancyMaxActiveBlocksPerMultiprocessor(&resident, operation.function,
                                                  int(product(operation.block)),
                                                  operation.dynamicShared));
  return product(operation.grid) > uint64_t(resident) * multiprocessors
             ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
             : CUDA_SUCCESS;
}

//===--- Running ---===//

/// The error that a GPU, or its tools, would give for a finding.
static CUresult codeOf(ptx::FindingKind kind) {
  switch (kind) {
  case ptx::FindingKind::OutOfBounds:
  case ptx::FindingKind::UseAfterFree:
  case ptx::FindingKind::WriteToReadOnly:
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  case ptx::FindingKind::Misaligned:
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  case ptx::FindingKind::BarrierDeadlock:
  case ptx::FindingKind::BudgetExhausted:
    return CUDA_ERROR_LAUNCH_TIMEOUT;
  case ptx::FindingKind::IllegalLaunch:
    return CUDA_ERROR_INVALID_VALUE;
  case ptx::FindingKind::StackOverflow:
    return CUDA_ERROR_HARDWARE_STACK_ERROR;
  case ptx::FindingKind::InvalidCall:
    return CUDA_ERROR_INVALID_PC;
  case ptx::FindingKind::AssertFailed:
    return CUDA_ERROR_ASSERT;
  case ptx::FindingKind::IllegalOperand:
    return CUDA_ERROR_ILLEGAL_INSTRUCTION;
  default:
    return CUDA_ERROR_LAUNCH_FAILED;
  }
}

/// What a launch returns for its findings: the gravest, then the first.
static CUresult resultOf(const ptx::LaunchReport &report) {
  CUresult result = report.completed ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED;
  for (const ptx::Finding &finding : report.findings)
    if (ptx::isFatal(finding.kind))
      return codeOf(finding.kind);
  if (!report.findings.empty() && Driver::get().settings.failOnEveryFinding)
    return codeOf(report.findings.front().kind);
  return result;
}

static std::string describe(const Function &function,
                            const ptx::LaunchReport &report) {
  constexpr size_t shown = 10;
  std::string text = "kernel " + function.name + ": " +
                     std::to_string(report.findings.size()) + " finding" +
                     (report.findings.size() == 1 ? "" : "s") + "\n";
  for (size_t i = 0; i < std::min(shown, report.findings.size()); ++i) {
    text += report.findings[i].str();
    text += text.ends_with('\n') ? "" : "\n";
  }
  if (report.findings.size() > shown)
    text += "and " + std::to_string(report.findings.size() - shown) + " more\n";
  return text;
}

/// Memory in which the blocks of a cooperative launch count arrivals, cleared.
static CUresult prepareWorkspace(Device &device, uint64_t &address) {
  constexpr uint64_t bytes = 256;
  if (!device.gridWorkspace) {
    ptx::Result<uint64_t> made = device.machine->allocate(bytes);
    if (!made)
      return CUDA_ERROR_OUT_OF_MEMORY;
    device.gridWorkspace = *made;
  }
  address = device.gridWorkspace;
  return device.machine->fill(address, 0, 1, bytes) ? CUDA_SUCCESS
                                                    : CUDA_ERROR_UNKNOWN;
}

CUresult vcuda::runKernel(Context &context, const KernelOperation &operation) {
  Function *function;
  TRY(resolveFunction(operation.function, function));
  const Settings &settings = Driver::get().settings;
  ptx::LaunchOptions options;
  options.grid = operation.grid;
  options.block = operation.block;
  options.cluster = operation.cluster;
  options.dynamicShared = operation.dynamicShared;
  options.parameters = operation.parameters;
  options.workers = settings.workers;
  options.deterministic = settings.isDeterministic;
  options.checks = settings.checks;
  options.counters = settings.counters;
  options.traceCapacity = settings.counters ? reportTrace : 0;
  Device &device = *Driver::get().modules.find(function->module)->device;
  if (operation.isCooperative)
    TRY(prepareWorkspace(device, options.gridWorkspace));
  TRY(copyRegistered(device, /*isBack=*/false));
  ptx::Result<ptx::LaunchReport> report =
      device.machine->launch(function->kernel, options);
  TRY(copyRegistered(device, /*isBack=*/true));
  if (!report) {
    say("kernel " + function->name + ": " + report.error().str());
    return CUDA_ERROR_INVALID_VALUE;
  }
  writeReport(*function, operation, *report);
  if (!report->clean())
    say(describe(*function, *report));
  CUresult result = resultOf(*report);
  // After these a GPU's context is of no more use.
  if (result != CUDA_ERROR_INVALID_VALUE)
    context.sticky = result;
  return result;
}

//===--- Entry points ---===//

static CUresult launch(KernelOperation operation, CUstream handle,
                       void **arguments, void **extra) {
  Context *context;
  TRY(currentContext(context));
  Stream *stream;
  TRY(resolveStream(handle, stream));
  TRY(checkKernel(operation));
  TRY(packArguments(operation, arguments, extra));
  return submit(*stream, std::move(operation));
}

EXPORT cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                      unsigned gridZ, unsigned blockX, unsigned blockY,
                      unsigned blockZ, unsigned shared, CUstream stream,
                      void **arguments, void **extra) {
  Guard guard;
  KernelOperation operation;
  operation.function = function;
  operation.grid = {gridX, gridY, gridZ};
  operation.block = {blockX, blockY, blockZ};
  operation.dynamicShared = shared;
  return launch(std::move(operation), stream, arguments, extra);
}
ALSO("cuLaunchKernel_ptsz", cuLaunchKernel);

EXPORT cuLaunchCooperativeKernel(CUfunction function, unsigned gridX,
                                 unsigned gridY, unsigned gridZ,
                                 unsigned blockX, unsigned blockY,
                                 unsigned blockZ, unsigned shared,
                                 CUstream stream, void **arguments) {
  Guard guard;
  KernelOperation operation;
  operation.function = function;
  operation.grid = {gridX, gridY, gridZ};
  operation.block = {blockX, blockY, blockZ};
  operation.dynamicShared = shared;
  operation.isCooperative = true;
  return launch(std::move(operation), stream, arguments, nullptr);
}
ALSO("cuLaunchCooperativeKernel_ptsz", cuLaunchCooperativeKernel);

EXPORT cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                        void **arguments, void **extra) {
  Guard guard;
  if (!config || (config->numAttrs && !config->attrs))
    return CUDA_ERROR_INVALID_VALUE;
  KernelOperation operation;
  operation.function = function;
  operation.grid = {config->gridDimX, config->gridDimY, config->gridDimZ};
  operation.block = {config->blockDimX, config->blockDimY, config->blockDimZ};
  operation.dynamicShared = config->sharedMemBytes;
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute &attribute = config->attrs[i];
    switch (attribute.id) {
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
      operation.cluster = {attribute.value.clusterDim.x,
                           attribute.value.clusterDim.y,
                           attribute.value.clusterDim.z};
      break;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
      operation.isCooperative = attribute.value.cooperative != 0;
      break;
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    // How a GPU shares out its caches, memory and time.
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      break;
    default:
      say("cuLaunchKernelEx: the virtual driver does not know launch "
          "attribute " +
          std::to_string(int(attribute.id)));
      return CUDA_ERROR_NOT_SUPPORTED;
    }
  }
  return launch(std::move(operation), config->hStream, arguments, extra);
}
ALSO("cuLaunchKernelEx_ptsz", cuLaunchKernelEx);
