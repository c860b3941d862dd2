//===- AttentionBench.cpp - Speed of attention ----------------------------===//
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
  auto compiled = CompiledAttention::create(attention, {"", cpu});
  double compileTime = now() - start;
  if (!compiled)
    std::exit(1);
  AttentionData data(attention, std::move(sequences), /*seed=*/1);
  double seconds = measure(*compiled, data, threads);
  double size = attention.keySize + attention.valueSize;
  double flops = countPairs(data) * attention.qHeads * 2 * size;
  double bytes =
      countPairs(data) * attention.kvHeads * size * (attention.bf16 ? 2 : 4);
  std::printf("%-26s %-4s %2ld/%-2ld x %3ld  %9.1f us  %6.1f GFLOP/s", name,
              attention.bf16 ? "bf16" : "f32", long(attention.qHeads),
              long(attention.kvHeads), long(attention.keySize), seconds * 1e6,
              flops / seconds * 1e-9);
  if (data.numTokens() == int64_t(data.sequences.size()))
    std::printf("  %6.1f GB/s", bytes / seconds * 1e-9);
  std::printf("  (compiled in %.0f ms)\n", compileTime * 1e3);
}

AttentionCase makeCase(int64_t qHeads, int64_t kvHeads, int64_t size,
                       bool bf16) {
  AttentionCase attention;
  attention.qHeads = qHeads;
  attention.kvHeads = kvHeads;
  attention.keySize = attention.valueSize = size;
  attention.bf16 = bf16;
  return attention;
}

} // namespace

int main(int argc, char **argv) {
  const char *cpu = argc > 1 ? argv[1] : "native";
  int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  auto both = [&](const std::string &what, const AttentionCase &attention) {
    bench(("prefill 512" + what).c_str(), attention, {{0, 512}}, cpu, threads);
    bench(("decode at 2048" + what).c_str(), attention, {{2047, 1}}, cpu,
          threads);
  };
  for (bool bf16 : {true, false}) {
    both("", makeCase(4, 1, 256, bf16));
    both("", makeCase(8, 8, 64, bf16));
    both("", makeCase(32, 8, 128, bf16));
    both("", makeCase(16, 2, 128, bf16));
  }
  AttentionCase special = makeCase(4, 1, 256, /*bf16=*/true);
  special.referenceRounding = true;
  both(", reference", special);
  special = makeCase(4, 1, 256, /*bf16=*/true);
  special.softcap = 50.0f;
  both(", soft cap", special);
  special = makeCase(4, 1, 256, /*bf16=*/true);
  special.window = 128;
  both(", window 128", special);
  special = makeCase(4, 1, 80, /*bf16=*/true);
  both("", special);
  std::vector<SequencePart> few(1, {1000, 3});
  bench("3 tokens at 1000", makeCase(4, 1, 256, true), few, cpu, threads);
  std::vector<SequencePart> many(32, {100, 1});
  bench("32 sequences at 100", makeCase(4, 1, 256, true), many, cpu, threads);
  return 0;
}
