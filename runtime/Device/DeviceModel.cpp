//===- DeviceModel.cpp - A compiled model on a GPU ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/DeviceModel.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

/// Where weights begin: what the widest loads and copies ask for.
constexpr uint64_t weightAlignment = 256;
/// Weights go to the GPU through pinned memory of this size.
constexpr uint64_t stagingBytes = uint64_t(16) << 20;
/// CU_JIT_ERROR_LOG_BUFFER and its size.
constexpr int jitErrorLog = 5, jitErrorLogBytes = 6;
/// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, and what a block may have
/// without asking.
constexpr int maxDynamicShared = 8;
constexpr int32_t plainSharedBytes = 48 << 10;

} // namespace

StatusOr<std::shared_ptr<const DeviceModel>>
DeviceModel::create(const DeviceModelSources &sources, int deviceNumber) {
  std::shared_ptr<DeviceModel> model(new DeviceModel());
  CLADE_ASSIGN_OR_RETURN(model->gpu, CudaDevice::open(deviceNumber));
  if (!runsPtxOf(sources.arch, model->gpu->capability()))
    return Status::unsupported("the code is for " + sources.arch +
                               " and does not run on " + model->gpu->name());
  model->text = sources;
  model->images = sources.images;
  CLADE_RETURN_IF_ERROR(model->gpu->enter());
  CLADE_RETURN_IF_ERROR(model->loadCode(sources));
  CLADE_RETURN_IF_ERROR(model->loadKernels(model->text.plan));
  if (model->images)
    CLADE_RETURN_IF_ERROR(model->loadKernels(model->images->plan));
  CLADE_RETURN_IF_ERROR(model->uploadWeights(sources));
  return std::shared_ptr<const DeviceModel>(std::move(model));
}

DeviceModel::~DeviceModel() {
  if (module && gpu->enter().ok())
    gpu->driver().cuModuleUnload(module);
}

Status DeviceModel::loadImage(const std::string &image,
                              const std::string &what) {
  const CudaDriver &driver = gpu->driver();
  std::string log(4096, '\0');
  int options[] = {jitErrorLog, jitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  CUresult result =
      driver.cuModuleLoadDataEx(&module, image.c_str(), 2, options, values);
  if (result == cudaSuccess)
    return {};
  module = nullptr;
  log.resize(std::strlen(log.c_str()));
  return driver.check(result, "cannot load " + what + " on " + gpu->name() +
                                  (log.empty() ? "" : ": " + log));
}

Status DeviceModel::loadCode(const DeviceModelSources &sources) {
  if (const MachineCode::value_type *code =
          machineCodeFor(sources.machineCode, gpu->capability())) {
    std::string what = "the machine code for " + code->first;
    if (Status status = checkMachineCode(code->second); !status.ok())
      return std::move(status).withContext(what);
    Status status = loadImage(code->second, what);
    loaded = code->first;
    // A driver that takes none, as the virtual one, has the text.
    if (status.code() != StatusCode::Unsupported)
      return status;
  }
  loaded = "PTX";
  return loadImage(sources.kernels, "the kernels");
}

Status DeviceModel::loadKernels(const LaunchPlan &plan) {
  const CudaDriver &driver = gpu->driver();
  for (const auto &[name, shape] : plan.kernels) {
    Kernel &kernel = kernels[name];
    kernel.shape = shape;
    if (driver.cuModuleGetFunction(&kernel.function, module, name.c_str()) !=
        cudaSuccess)
      return Status::corruption("the code has no kernel " + quoteName(name));
    if (shape.sharedBytes > plainSharedBytes)
      CLADE_RETURN_IF_ERROR(driver.check(
          driver.cuFuncSetAttribute(kernel.function, maxDynamicShared,
                                    shape.sharedBytes),
          "the kernel '" + name + "' cannot have " +
              std::to_string(shape.sharedBytes) +
              " bytes of shared memory on " + gpu->name()));
  }
  return {};
}

Status DeviceModel::uploadWeights(const DeviceModelSources &sources) {
  // Slots that share a weight have one copy of it.
  std::map<const std::byte *, uint64_t> offsets;
  uint64_t bytes = 0;
  for (std::span<const std::byte> weight : sources.weights)
    if (offsets.emplace(weight.data(), bytes).second)
      bytes += (weight.size() + weightAlignment - 1) / weightAlignment *
               weightAlignment;
  CLADE_ASSIGN_OR_RETURN(arena,
                         DeviceBuffer::allocate(gpu, bytes, "the weights"));
  CLADE_ASSIGN_OR_RETURN(std::shared_ptr<CudaStream> stream,
                         CudaStream::create(gpu));
  CLADE_ASSIGN_OR_RETURN(PinnedBuffer staging,
                         PinnedBuffer::allocate(gpu,
                                                std::min(bytes, stagingBytes),
                                                "uploading the weights"));
  uint64_t done = 0;
  for (std::span<const std::byte> weight : sources.weights) {
    uint64_t offset = offsets[weight.data()];
    weights.push_back(arena.address() + offset);
    if (offset < done)
      continue; // It is there already.
    for (uint64_t at = 0; at < weight.size(); at += stagingBytes) {
      uint64_t count = std::min<uint64_t>(stagingBytes, weight.size() - at);
      std::memcpy(staging.data(), weight.data() + at, count);
      CLADE_RETURN_IF_ERROR(
          stream->upload(weights.back() + at, staging.data(), count));
      CLADE_RETURN_IF_ERROR(stream->synchronize());
    }
    done = offset + std::max<uint64_t>(weight.size(), 1);
    if (sources.progress)
      sources.progress(static_cast<int64_t>(std::min(done, bytes)),
                       static_cast<int64_t>(bytes));
  }
  if (sources.progress)
    sources.progress(static_cast<int64_t>(bytes), static_cast<int64_t>(bytes));
  return {};
}
