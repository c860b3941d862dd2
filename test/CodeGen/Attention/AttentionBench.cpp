//===- AttentionBench.cpp - Speed of attention
//------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// attention-bench [CPU [THREADS]]: prefill in GFLOP/s over the causal half,
// decode in GB/s of keys and values.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Attention/AttentionHarness.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

using namespace clade::cpu::test;

namespace {

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Seconds of one call, the best of several runs.
double measure(const CompiledAttention &compiled, const AttentionData &data,
               int threads) {
  double once = 1e9, best = 1e9;
  for (int i = 0; i < 3; ++i) {
    double start = now();
    compiled.run(data, threads);
    once = std::min(once, now() - start);
  }
  int repeats = std::max(2, int(0.05 / once));
  for (int i = 0; i < 5; ++i) {
    double start = now();
    compiled.run(data, threads, repeats);
    best = std::min(best, (now() - start) / repeats);
  }
  return best;
}

/// Pairs of a query token and a key that it attends.
double countPairs(const AttentionData &data) {
  double pairs = 0;
  for (int64_t position : data.positions)
    pairs +=
        std::min(position + 1, data.attention.window.value_or(position + 1));
  return pairs;
}

void bench(const char *name, const AttentionCase &attention,
           std::vector<SequencePart> sequences, const char *cpu, int threads) {
  double start = now();
  auto compiled = CompiledAttention::create(attention, cpu);
  double compileTime = now() - start;
  if (!compiled)
    std::exit(1);
  AttentionData data(attention, std::move(sequences), /*seed=*/1);
  double seconds = measure(*compiled, data, threads);
  double size = attention.keySize + attention.valueSize;
  double flops = countPairs(data) * attention.qHeads * 2 * size;
  double bytes =
      countPairs(data) * attention.kvHeads * size * (attention.bf16 ? 2 : 4);
  bool decode = data.numTokens() == int64_t(data.sequences.size());
  std::printf("%-8s %-4s %2ld/%-2ld x %3ld  %9.1f us  %7.1f GFLOP/s", name,
              attention.bf16 ? "bf16" : "f32", long(attention.qHeads),
              long(attention.kvHeads), long(attention.keySize), seconds * 1e6,
              flops / seconds * 1e-9);
  if (decode)
    std::printf("  %6.1f GB/s", bytes / seconds * 1e-9);
  std::printf("  compiled in %.0f ms\n", compileTime * 1e3);
}

} // namespace

int main(int argc, char **argv) {
  const char *cpu = argc > 1 ? argv[1] : "native";
  int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  struct Heads {
    int64_t q, kv, size;
  };
  for (bool bf16 : {true, false})
    for (Heads heads :
         {Heads{4, 1, 256}, {8, 8, 64}, {32, 8, 128}, {16, 2, 128}}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.qHeads = heads.q;
      attention.kvHeads = heads.kv;
      attention.keySize = attention.valueSize = heads.size;
      bench("prefill", attention, {{0, 512}}, cpu, threads);
      bench("decode", attention, {{2047, 1}}, cpu, threads);
    }
  return 0;
}
