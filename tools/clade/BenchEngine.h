//===- BenchEngine.h - Timed steps of compiled code -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_BENCHENGINE_H
#define CLADE_TOOLS_CLADE_BENCHENGINE_H

#include "runtime/Engine/Session.h"

#include <random>

namespace clade::driver {

/// Runs an artifact on tokens that are drawn anew each time, so that nothing
/// can be remembered. Times are in seconds, of the steps alone.
class BenchEngine {
public:
  /// Loads the artifact, for sequences of at most `maxContext` tokens. `trace`
  /// is called after each kernel of code that was compiled to be traced.
  static rt::StatusOr<std::unique_ptr<BenchEngine>>
  create(const std::string &artifact, int threads, int64_t maxContext,
         rt::TraceFunction trace = nullptr);

  const rt::CompiledModel &model() const { return session->model(); }
  /// Tokens that a sequence may have.
  int64_t maxContext() const { return session->maxContext(); }

  std::vector<int32_t> drawTokens(int64_t count);

  /// A new sequence of `prompt`, in `sequence`; the last token's logits are
  /// computed. Free it with release().
  rt::StatusOr<double> prefill(const std::vector<int32_t> &prompt,
                               rt::SequenceId &sequence);
  /// Adds `steps` tokens, one by one, to each of `batch` copies of a sequence,
  /// which itself stays as it is. Copying is not in the time.
  rt::StatusOr<double> decode(rt::SequenceId sequence, int64_t batch,
                              int64_t steps);
  void release(rt::SequenceId sequence) {
    (void)session->freeSequence(sequence);
  }

private:
  std::unique_ptr<rt::Session> session;
  std::mt19937 random{std::random_device{}()};
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_BENCHENGINE_H
