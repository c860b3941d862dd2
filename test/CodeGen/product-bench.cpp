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
//   product-bench [CPU [FEATURES]]
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/ProductHarness.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <thread>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

constexpr int kRounds = 15;
constexpr int64_t kPeakSteps = 1 << 20;
constexpr int kPeakSums = 12;
constexpr int kReadSums = 8;

/// A loop of `steps` iterations over `carried`, at the builder's position.
ValueRange
emitLoop(OpBuilder &builder, Location loc, Value steps, ValueRange carried,
         function_ref<void(OpBuilder &, Value, MutableArrayRef<Value>)> body) {
  auto loop = scf::ForOp::create(
      builder, loc, emitIndex(builder, loc, 0), steps,
      emitIndex(builder, loc, 1), carried,
      [&](OpBuilder &inner, Location, Value i, ValueRange values) {
        SmallVector<Value> next(values);
        body(inner, i, next);
        scf::YieldOp::create(inner, loc, next);
      });
  return loop.getResults();
}

/// func @name(data, steps): `body` computes on `count` vectors that end up in
/// `data`, so that nothing is dropped.
void addProbe(ModuleOp module, StringRef name, VectorType type, int count,
              function_ref<void(OpBuilder &, Value data, Value step,
                                MutableArrayRef<Value>)>
                  body) {
  OpBuilder builder(module.getContext());
  Location loc = module.getLoc();
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      builder, loc, name,
      builder.getFunctionType({LLVM::LLVMPointerType::get(builder.getContext()),
                               builder.getIndexType()},
                              {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  Value data = function.getArgument(0);
  SmallVector<Value> carried;
  for (int i = 0; i < count; ++i)
    carried.push_back(
        emitLoad(builder, loc, type, data,
                 emitIndex(builder, loc, i * type.getNumElements())));
  ValueRange results = emitLoop(
      builder, loc, function.getArgument(1), carried,
      [&](OpBuilder &inner, Value step, MutableArrayRef<Value> values) {
        body(inner, data, step, values);
      });
  for (auto [i, value] : llvm::enumerate(results))
    emitStore(builder, loc, value, data,
              emitIndex(builder, loc, i * type.getNumElements()));
  func::ReturnOp::create(builder, loc);
}

/// Multiply-adds of registers only: kPeakSums vectors a step.
void addPeak(ModuleOp module, const Target &target, bool bf16) {
  MLIRContext *context = module.getContext();
  Location loc = module.getLoc();
  auto type = VectorType::get(target.width, Float32Type::get(context));
  auto pairs = VectorType::get(target.width * 2, BFloat16Type::get(context));
  auto name = StringAttr::get(context, "llvm.x86.avx512bf16.dpbf16ps.512");
  addProbe(module, "peak", type, kPeakSums,
           [&](OpBuilder &b, Value, Value, MutableArrayRef<Value> sums) {
             bool dot = bf16 && target.hasBF16;
             auto constant = [&](VectorType t) -> Value {
               return arith::ConstantOp::create(b, loc, t, b.getZeroAttr(t));
             };
             Value x = constant(dot ? pairs : type);
             for (Value &sum : sums)
               sum = dot ? LLVM::CallIntrinsicOp::create(b, loc, type, name,
                                                         ValueRange{sum, x, x})
                               .getResult(0)
                         : emitMultiplyAdd(b, loc, target, sum, x, x);
           });
}

/// Reads kReadSums vectors a step.
void addRead(ModuleOp module, const Target &target) {
  Location loc = module.getLoc();
  auto type =
      VectorType::get(target.width, IntegerType::get(module.getContext(), 32));
  addProbe(
      module, "read", type, kReadSums,
      [&](OpBuilder &b, Value data, Value step, MutableArrayRef<Value> sums) {
        int64_t stride = kReadSums * target.width;
        Value start = emitMul(b, loc, step, emitIndex(b, loc, stride));
        for (auto [i, sum] : llvm::enumerate(sums)) {
          Value index =
              emitAdd(b, loc, start, emitIndex(b, loc, i * target.width));
          sum = arith::OrIOp::create(b, loc, sum,
                                     emitLoad(b, loc, type, data, index));
        }
      });
}

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

using ProbeFunction = void(void *data, int64_t steps);

struct Bench {
  explicit Bench(const Target &target) : target(target) {}

  std::unique_ptr<LoadedModule> compile(const ProductShape &shape,
                                        MLIRContext *context, bool bf16) {
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
    addPeak(*module, target, bf16);
    addRead(*module, target);
    return LoadedModule::create(*module, {target.cpu, target.features, 3},
                                {"product", "peak", "read"});
  }

  /// One line: the product's rate, the limit's, their ratio, compile time.
  void run(int64_t m, int64_t n, int64_t k, bool bf16, int threads,
           TokenClass tokens) {
    std::unique_ptr<MLIRContext> context = makeContext();
    Type element = bf16 ? Type(BFloat16Type::get(context.get()))
                        : Type(Float32Type::get(context.get()));
    ProductShape shape{n, k, element, target.rowTile(tokens)};
    std::unique_ptr<LoadedModule> loaded = compile(shape, context.get(), bf16);
    if (!loaded)
      return;
    int64_t size = bf16 ? 2 : 4;
    Buffer weights(target.packedWeightElements(element, n, k) * size);
    Buffer activations(
        target.packedActivationElements(element, m, k, shape.rowTile) * 4);
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
    print(m, n, k, bf16, threads, weights.size(), best, limit, reads);
  }

  void readPart(const LoadedModule &loaded, const Buffer &weights, int thread,
                int threads) {
    int64_t bytes = kReadSums * target.width * 4;
    int64_t steps = weights.size() / bytes / threads;
    loaded.function<ProbeFunction>("read")(
        weights.as<char>() + thread * steps * bytes, steps);
  }

  void print(int64_t m, int64_t n, int64_t k, bool bf16, int threads,
             size_t bytes, double best, double limit, bool reads) {
    double rate = 2e-9 * m * n * k / best, bound = 0;
    if (reads) {
      rate = 1e-9 * bytes / best;
      bound = 1e-9 * bytes / limit;
    } else {
      int64_t each = target.width * (bf16 && target.hasBF16 ? 4 : 2);
      bound = 1e-9 * threads * kPeakSteps * kPeakSums * each / limit;
    }
    std::printf("%4ld x %5ld x %5ld %s %d thread(s): %7.1f of %7.1f %s  %5.1f "
                "%%   compile %.1f ms\n",
                m, n, k, bf16 ? "bf16" : "f32 ", threads, rate, bound,
                reads ? "GB/s   " : "GFLOP/s", 100 * rate / bound,
                compileSeconds * 1e3);
    std::fflush(stdout);
  }

  const Target &target;
  double compileSeconds = 0;
};

} // namespace

int main(int argc, char **argv) {
  std::unique_ptr<MLIRContext> context = makeContext();
  FailureOr<Target> target =
      Target::resolve(UnknownLoc::get(context.get()),
                      argc > 1 ? argv[1] : "native", argc > 2 ? argv[2] : "");
  if (failed(target))
    return 1;
  std::printf("M x N x K on %s\n", target->cpu.c_str());
  Bench bench(*target);
  for (bool bf16 : {true, false})
    for (int threads : {1, 2}) {
      bench.run(512, 2048, 640, bf16, threads, TokenClass::Many);
      bench.run(512, 640, 2048, bf16, threads, TokenClass::Many);
      bench.run(512, 4096, 4096, bf16, threads, TokenClass::Many);
    }
  for (bool bf16 : {true, false})
    for (int threads : {1, 2}) {
      bench.run(1, 4096, 4096, bf16, threads, TokenClass::One);
      bench.run(1, 16384, 4096, bf16, threads, TokenClass::One);
      bench.run(4, 16384, 4096, bf16, threads, TokenClass::Few);
      bench.run(8, 16384, 4096, bf16, threads, TokenClass::Few);
    }
  return 0;
}
