//===- MachineLimits.cpp - What this machine can do at most ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/MachineLimits.h"

#include "runtime/Engine/CpuFeatures.h"
#include "tools/clade/Environment.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

using namespace clade;
using namespace clade::driver;

/// Several times what the largest caches hold.
static constexpr int64_t bufferBytes = int64_t(512) << 20;
static constexpr int64_t pageBytes = 4096, hugePageBytes = int64_t(2) << 20;
/// Steps of a loop in registers: some tens of milliseconds.
/// By arithmetic.
static constexpr std::array<const char *, 3> peakNames = {"f32", "bf16",
                                                          "int8"};
static constexpr int64_t peakSteps = int64_t(1) << 22;

void MachineLimits::FreeBuffer::operator()(char *data) const {
  std::free(data);
}

std::unique_ptr<MachineLimits> MachineLimits::create(const cpu::Target &target,
                                                     int threads) {
  auto limits = std::make_unique<MachineLimits>();
  if (rt::Status tiles =
          target.hasTiles ? rt::requestRegisters() : rt::Status();
      !tiles.ok())
    return fail(tiles), nullptr;
  mlir::DialectRegistry registry;
  cpu::registerCompileDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  limits->readStepBytes = cpu::addReadProbe(*module, "read", target);
  std::vector<std::string> names(peakNames.begin(), peakNames.end());
  for (auto [i, name] : llvm::enumerate(names))
    limits->stepOperations[i] = cpu::addPeakProbe(
        *module, name, target, static_cast<cpu::Arithmetic>(i));
  names.emplace_back("read");
  limits->code =
      cpu::LoadedCode::create(*module, {target.cpu, target.features, 3}, names);
  if (!limits->code)
    return nullptr;
  auto pool =
      rt::ThreadPool::create(threads ? threads : rt::defaultThreadCount());
  if (!pool.ok())
    return fail(pool.status()), nullptr;
  limits->pool = std::move(*pool);
  limits->buffer.reset(
      static_cast<char *>(std::aligned_alloc(hugePageBytes, bufferBytes)));
  if (!limits->buffer)
    return fail("cannot allocate 512 MB to measure reading"), nullptr;
  // As weights are: in small pages the search for addresses would be measured.
  ::madvise(limits->buffer.get(), bufferBytes, MADV_HUGEPAGE);
  std::memset(limits->buffer.get(), 1, bufferBytes);
  return limits;
}

/// Seconds that `work(thread)` takes on all threads of `pool`.
static double secondsOf(rt::ThreadPool &pool,
                        llvm::function_ref<void(int thread)> work) {
  auto start = std::chrono::steady_clock::now();
  pool.run([&](int thread) { work(thread); });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

double MachineLimits::readBandwidth() {
  auto *read = code->function<cpu::ProbeFunction>("read");
  int64_t part = bufferBytes / pool->size() / pageBytes * pageBytes;
  int64_t steps = part / readStepBytes;
  double seconds = secondsOf(
      *pool, [&](int thread) { read(buffer.get() + thread * part, steps); });
  return static_cast<double>(steps) * readStepBytes * pool->size() / seconds;
}

double MachineLimits::peak(cpu::Arithmetic arithmetic) {
  auto place = static_cast<size_t>(arithmetic);
  auto *peak = code->function<cpu::ProbeFunction>(peakNames[place]);
  double seconds = secondsOf(*pool, [&](int thread) {
    peak(buffer.get() + thread * pageBytes, peakSteps);
  });
  return static_cast<double>(stepOperations[place]) * peakSteps * pool->size() /
         seconds;
}
