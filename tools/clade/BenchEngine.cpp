//===- BenchEngine.cpp - Timed steps of compiled code ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/BenchEngine.h"

#include "tools/clade/Progress.h"

#include <chrono>

using namespace clade;
using namespace clade::driver;
using Clock = std::chrono::steady_clock;

static double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

rt::StatusOr<std::unique_ptr<BenchEngine>>
BenchEngine::create(const std::string &artifact, int threads,
                    int64_t maxContext, rt::TraceFunction trace) {
  rt::ModelOptions modelOptions;
  modelOptions.threads = threads;
  modelOptions.progress = [](int64_t done, int64_t total) {
    showProgress("loading weights", done, total);
  };
  CLADE_ASSIGN_OR_RETURN(auto model,
                         rt::CompiledModel::load(artifact, modelOptions));
  rt::SessionOptions options;
  options.threads = threads;
  options.maxContext = maxContext;
  options.trace = std::move(trace);
  auto engine = std::make_unique<BenchEngine>();
  CLADE_ASSIGN_OR_RETURN(engine->session, rt::Session::create(model, options));
  return engine;
}

std::vector<int32_t> BenchEngine::drawTokens(int64_t count) {
  std::uniform_int_distribution<int32_t> token(
      0, static_cast<int32_t>(model().manifest().model.vocab) - 1);
  std::vector<int32_t> tokens(count);
  for (int32_t &value : tokens)
    value = token(random);
  return tokens;
}

rt::StatusOr<double> BenchEngine::prefill(const std::vector<int32_t> &prompt,
                                          rt::SequenceId &sequence) {
  CLADE_ASSIGN_OR_RETURN(sequence, session->createSequence(maxContext()));
  rt::BatchItem item{sequence, prompt};
  auto start = Clock::now();
  auto logits = session->step({&item, 1});
  double seconds = since(start);
  if (logits.ok())
    return seconds;
  release(sequence);
  return logits.takeStatus();
}

rt::StatusOr<double> BenchEngine::decode(rt::SequenceId sequence, int64_t batch,
                                         int64_t steps) {
  std::vector<rt::SequenceId> copies;
  rt::Status status;
  for (int64_t i = 0; i < batch && status.ok(); ++i) {
    auto copy = session->copySequence(sequence);
    if (copy.ok())
      copies.push_back(*copy);
    else
      status = copy.takeStatus();
  }
  std::vector<int32_t> tokens = drawTokens(batch * steps);
  std::vector<rt::BatchItem> items(batch);
  double seconds = 0;
  for (int64_t step = 0; step < steps && status.ok(); ++step) {
    for (int64_t i = 0; i < batch; ++i)
      items[i] = {copies[i],
                  std::span(tokens).subspan(step * batch + i).first(1)};
    auto start = Clock::now();
    auto logits = session->step(items);
    seconds += since(start);
    if (!logits.ok())
      status = logits.takeStatus();
  }
  for (rt::SequenceId copy : copies)
    release(copy);
  if (!status.ok())
    return status;
  return seconds;
}
