//===- MachineLimits.cpp - What this machine can do at most ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/MachineLimits.h"

#include "tools/clade/Environment.h"

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
static constexpr int64_t peakSteps = int64_t(1) << 22;

void MachineLimits::FreeBuffer::operator()(char *data) const {
  std::free(data);
}

std::unique_ptr<MachineLimits> MachineLimits::create(const cpu::Target &target,
                                                     int threads) {
  auto limits = std::make_unique<MachineLimits>();
  mlir::DialectRegistry registry;
  cpu::registerCompileDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  limits->readStepBytes = cpu::addReadProbe(*module, "read", target);
  limits->f32StepFlops = cpu::addPeakProbe(*module, "f32", target, false);
  limits->bf16StepFlops = cpu::addPeakProbe(*module, "bf16", target, true);
  limits->code = cpu::LoadedCode::create(
      *module, {target.cpu, target.features, 3}, {"read", "f32", "bf16"});
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

double MachineLimits::peak(bool isBF16) {
  auto *peak = code->function<cpu::ProbeFunction>(isBF16 ? "bf16" : "f32");
  double seconds = secondsOf(*pool, [&](int thread) {
    peak(buffer.get() + thread * pageBytes, peakSteps);
  });
  int64_t flops = isBF16 ? bf16StepFlops : f32StepFlops;
  return static_cast<double>(flops) * peakSteps * pool->size() / seconds;
}
