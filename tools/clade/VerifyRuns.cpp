//===- VerifyRuns.cpp - The runs that verify compares ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/VerifyRuns.h"

#include "tools/clade/Environment.h"
#include "tools/clade/Progress.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;

VerifyText VerifyText::make(int64_t vocab, int tokens, bool isWhole,
                            int32_t numTypes) {
  VerifyText text;
  uint64_t state = 1;
  int decoded = isWhole ? 0 : std::max(1, tokens / 4);
  for (int i = 0; i < tokens; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    auto token =
        static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocab));
    (i < tokens - decoded ? text.prompt : text.forced).push_back(token);
  }
  for (size_t i = 0; numTypes > 0 && i < text.prompt.size(); ++i)
    text.types.push_back(
        static_cast<int32_t>(i * numTypes / text.prompt.size()));
  return text;
}

static std::vector<rt::GenerateRequest> requestsFor(const VerifyText &text) {
  rt::GenerateRequest request;
  request.prompt = text.prompt;
  request.types = text.types;
  request.forced = text.forced;
  request.maxTokens = text.forced.size();
  return {request};
}

static rt::GenerateOptions collectInto(Values &logits) {
  rt::GenerateOptions options;
  options.onLogits = [&](size_t, int64_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  };
  return options;
}

FailureOr<Values> driver::interpret(mlir::ModuleOp module,
                                    const rt::Checkpoint &checkpoint,
                                    int64_t vocab, const VerifyText &text,
                                    const Observer &observer) {
  auto interpreter = reference::Interpreter::create(module, checkpoint);
  if (failed(interpreter))
    return failure();
  if (observer)
    (*interpreter)->setObserver(observer);
  showProgress("running the interpreter");
  Values logits;
  auto ran = generateInterpreted(**interpreter, vocab, requestsFor(text), {},
                                 /*chunk=*/0, collectInto(logits));
  return failed(ran) ? FailureOr<Values>(failure()) : logits;
}

FailureOr<Values> driver::runArtifact(const std::string &artifact,
                                      const VerifyText &text, int32_t chunk,
                                      const rt::TraceFunction &trace) {
  auto model = rt::CompiledModel::load(artifact, {});
  if (!model.ok())
    return fail(model.status()), failure();
  rt::SessionOptions options;
  options.chunk = chunk;
  options.trace = trace;
  auto session = rt::Session::create(*model, options);
  if (!session.ok())
    return fail(session.status()), failure();
  showProgress("running the compiled code");
  Values logits;
  auto generation =
      rt::generate(**session, requestsFor(text), collectInto(logits));
  if (!generation.ok())
    return fail(generation.status()), failure();
  return logits;
}
