//===- sampler-bench.cpp - What choosing a token costs on the CPU ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Run by hand: prints the median time of a token from rows of logits that are
// normally distributed, as those of language models roughly are, with a few
// large ones; then that of a token from candidates that a GPU found.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Sampler.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

using namespace clade::rt;

template <typename Choose>
static double medianMicroseconds(const SamplingOptions &options, size_t vocab,
                                 size_t rows, Choose choose) {
  auto sampler = Sampler::create(options, static_cast<int64_t>(vocab));
  std::vector<double> times;
  for (int round = 0; round < 10; ++round)
    for (size_t row = 0; row < rows; ++row) {
      auto start = std::chrono::steady_clock::now();
      if (!choose(*sampler, row).ok())
        std::exit(1);
      times.push_back(std::chrono::duration<double, std::micro>(
                          std::chrono::steady_clock::now() - start)
                          .count());
    }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

/// The `count` largest logits of a row.
static std::vector<TokenCandidate> largest(const std::vector<float> &row,
                                           size_t count) {
  std::vector<TokenCandidate> all;
  for (size_t i = 0; i < row.size(); ++i)
    all.push_back({static_cast<int32_t>(i), row[i]});
  std::ranges::sort(all, std::ranges::greater(), &TokenCandidate::logit);
  all.resize(std::min(all.size(), count));
  return all;
}

int main(int argc, char **argv) {
  size_t vocab = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 131072;
  std::mt19937 random(1);
  std::normal_distribution<float> noise(0, 2.5f);
  std::vector<std::vector<float>> rows(8, std::vector<float>(vocab));
  for (std::vector<float> &row : rows) {
    std::ranges::generate(row, [&] { return noise(random); });
    for (int i = 0; i < 20; ++i)
      row[random() % vocab] = 8 + 0.5f * static_cast<float>(i);
  }
  std::printf("%zu logits, microseconds a token:\n", vocab);
  struct {
    const char *name;
    SamplingOptions options;
  } kinds[] = {
      {"greedy", {}},
      {"temperature", {.temperature = 0.8f}},
      {"top-k 40", {.temperature = 0.8f, .topK = 40}},
      {"top-p 0.95", {.temperature = 0.8f, .topP = 0.95f}},
      {"min-p 0.05", {.temperature = 0.8f, .minP = 0.05f}},
      {"top-k 40, top-p 0.95",
       {.temperature = 0.8f, .topK = 40, .topP = 0.95f}},
  };
  for (const auto &kind : kinds)
    std::printf("  %-22s %8.1f\n", kind.name,
                medianMicroseconds(kind.options, vocab, rows.size(),
                                   [&](Sampler &sampler, size_t row) {
                                     return sampler.sample(rows[row]);
                                   }));
  for (size_t count : {size_t(50), size_t(maxCandidates)}) {
    std::vector<std::vector<TokenCandidate>> found;
    for (const std::vector<float> &row : rows)
      found.push_back(largest(row, count));
    auto take = [&](Sampler &sampler, size_t row) {
      ChosenRow chosen;
      chosen.hasLogits = false;
      chosen.drawn = {found[row][0].logit, found[row][0].token,
                      uint64_t(1) << 47};
      chosen.candidates = found[row];
      return sampler.take(chosen);
    };
    std::printf("%zu candidates, microseconds a token:\n", found[0].size());
    for (const auto &kind : kinds)
      std::printf("  %-22s %8.1f\n", kind.name,
                  medianMicroseconds(kind.options, vocab, rows.size(), take));
  }
  return 0;
}
