//===- product-bench.cpp - Products beside the machine's limits -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Prints GFLOP/s of large products beside a loop that only computes in
// registers, and GB/s of single-token products beside one that only reads. A
// product and its limit alternate within one process and the best of each
// counts, because both swing with what else the machine does.
//
// The limit of the arithmetic of quantised weights is that of 8-bit dot
// products.
//
//   product-bench [CPU [FEATURES [FORM…]]]
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/ProductHarness.h"

#include "lib/CodeGen/CPU/Probes.h"
#include "runtime/Engine/CpuFeatures.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string_view>
#include <thread>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

constexpr int kRounds = 15;
constexpr int64_t kPeakSteps = 1 << 20;

/// Seconds of CPU time that this thread has used.
double cpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

/// Seconds that the slowest of `threads` threads computes in `work(thread)`,
/// from a common start. Waiting for a CPU that others use does not count.
double measure(int threads, const std::function<void(int)> &work) {
  std::barrier barrier(threads);
  std::vector<double> seconds(threads);
  auto run = [&](int thread) {
    barrier.arrive_and_wait();
    double start = cpuSeconds();
    work(thread);
    seconds[thread] = cpuSeconds() - start;
  };
  std::vector<std::thread> workers;
  for (int thread = 1; thread < threads; ++thread)
    workers.emplace_back(run, thread);
  run(0);
  for (std::thread &worker : workers)
    worker.join();
  return *std::max_element(seconds.begin(), seconds.end());
}

struct Bench {
  explicit Bench(const Target &target) : target(target) {}

  /// What a product's weights are held as.
  struct Form {
    const char *name;
    bool isBF16 = false;
    WeightForm form = WeightForm::Plain;

    /// The fastest arithmetic that such a product can have.
    Arithmetic arithmetic() const {
      if (form != WeightForm::Plain)
        return Arithmetic::Int8;
      return isBF16 ? Arithmetic::BF16 : Arithmetic::F32;
    }
  };

  std::unique_ptr<LoadedCode> compile(const ProductShape &shape,
                                      MLIRContext *context, const Form &form) {
    auto start = std::chrono::steady_clock::now();
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(context));
    addProductFunction(*module, "product", target, shape);
    FailureOr<SmallVector<char>> object =
        compileToObject(*module, {target.cpu, target.features, 3});
    compileSeconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count();
    if (failed(object))
      return nullptr;
    module = ModuleOp::create(UnknownLoc::get(context));
    addProductFunction(*module, "product", target, shape);
    peakFlops = addPeakProbe(*module, "peak", target, form.arithmetic());
    readBytes = addReadProbe(*module, "read", target);
    return LoadedCode::create(*module, {target.cpu, target.features, 3},
                              {"product", "peak", "read"});
  }

  /// One line: the product's rate, the limit's, their ratio, compile time.
  void run(int64_t m, int64_t n, int64_t k, const Form &form, int threads,
           TokenClass tokens) {
    std::unique_ptr<MLIRContext> context = makeContext();
    Type element = form.isBF16 ? Type(BFloat16Type::get(context.get()))
                               : Type(Float32Type::get(context.get()));
    ProductShape shape{n, k, element, /*rowTile=*/1, form.form};
    shape.rowTile = productRowTile(target, shape, tokens);
    std::unique_ptr<LoadedCode> loaded = compile(shape, context.get(), form);
    if (!loaded)
      return;
    Buffer weights(packedWeightBytes(target, shape));
    Buffer activations(llvm::divideCeil(m, shape.rowTile) *
                       packedActivationTileBytes(target, shape));
    Buffer y(m * n * 4), scratch(threads * 4096);
    auto *product = loaded->function<ProductFunction>("product");
    double best = 1e9, limit = 1e9;
    bool reads = tokens != TokenClass::Many;
    for (int round = 0; round < kRounds; ++round) {
      best = std::min(best, measure(threads, [&](int thread) {
                        product(activations.as<void>(), weights.as<void>(),
                                y.as<float>(), m, thread, threads);
                      }));
      limit = std::min(limit, measure(threads, [&](int thread) {
                         if (reads)
                           return readPart(*loaded, weights, thread, threads);
                         auto *peak = loaded->function<ProbeFunction>("peak");
                         peak(scratch.as<char>() + thread * 4096, kPeakSteps);
                       }));
    }
    print(m, n, k, form.name, threads, weights.size(), best, limit, reads);
  }

  void readPart(const LoadedCode &loaded, const Buffer &weights, int thread,
                int threads) {
    int64_t steps = weights.size() / readBytes / threads;
    loaded.function<ProbeFunction>("read")(
        weights.as<char>() + thread * steps * readBytes, steps);
  }

  void print(int64_t m, int64_t n, int64_t k, const char *form, int threads,
             size_t bytes, double best, double limit, bool reads) {
    double rate = 2e-9 * m * n * k / best, bound = 0;
    if (reads) {
      rate = 1e-9 * bytes / best;
      bound = 1e-9 * bytes / limit;
    } else {
      bound = 1e-9 * threads * kPeakSteps * peakFlops / limit;
    }
    std::printf(
        "%4ld x %5ld x %5ld %-4s %d thread(s): %7.1f of %7.1f %s  %5.1f "
        "%%   compile %.1f ms\n",
        m, n, k, form, threads, rate, bound, reads ? "GB/s   " : "GFLOP/s",
        100 * rate / bound, compileSeconds * 1e3);
    std::fflush(stdout);
  }

  const Target &target;
  double compileSeconds = 0;
  int64_t peakFlops = 0, readBytes = 0; ///< Of a step of the probes.
};

} // namespace

int main(int argc, char **argv) {
  std::unique_ptr<MLIRContext> context = makeContext();
  FailureOr<Target> target =
      Target::resolve(UnknownLoc::get(context.get()),
                      argc > 1 ? argv[1] : "native", argc > 2 ? argv[2] : "");
  if (failed(target))
    return 1;
  if (clade::rt::Status tiles = target->hasTiles ? clade::rt::requestRegisters()
                                                 : clade::rt::Status();
      !tiles.ok()) {
    std::fprintf(stderr, "%s\n", tiles.message().c_str());
    return 1;
  }
  std::printf("M x N x K on %s\n", target->cpu.c_str());
  Bench bench(*target);
  const Bench::Form forms[] = {{"bf16", true},
                               {"f32"},
                               {"q8_0", false, WeightForm::Int8},
                               {"q4_0", false, WeightForm::Int4},
                               {"q4_k", false, WeightForm::Int4K},
                               {"q6_k", false, WeightForm::Int6K},
                               {"q8_row", false, WeightForm::Int8Row}};
  auto isAsked = [&](const Bench::Form &form) {
    return argc <= 3 || std::any_of(argv + 3, argv + argc, [&](char *name) {
             return std::string_view(name) == form.name;
           });
  };
  for (const Bench::Form &form : llvm::make_filter_range(forms, isAsked))
    for (int threads : {1, 2}) {
      bench.run(512, 2048, 640, form, threads, TokenClass::Many);
      bench.run(512, 640, 2048, form, threads, TokenClass::Many);
      bench.run(512, 4096, 4096, form, threads, TokenClass::Many);
    }
  for (const Bench::Form &form : llvm::make_filter_range(forms, isAsked))
    for (int threads : {1, 2}) {
      bench.run(1, 4096, 4096, form, threads, TokenClass::One);
      bench.run(1, 16384, 4096, form, threads, TokenClass::One);
      bench.run(4, 16384, 4096, form, threads, TokenClass::Few);
      bench.run(8, 16384, 4096, form, threads, TokenClass::Few);
    }
  return 0;
}
