//===- ExplainDifference.cpp - Why logits differ --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ExplainDifference.h"

#include "lib/Onboard/Causes.h"
#include "tools/clade/Compare.h"
#include "tools/clade/Progress.h"

#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;

/// The logits of a family in the place of the one that serves the checkpoint;
/// nothing if it does not fit.
static std::optional<Values> runCause(Environment &environment,
                                      const rt::Checkpoint &checkpoint,
                                      const onboard::Cause &cause,
                                      int64_t vocab, const VerifyText &text) {
  import::SpecLibrary &library = environment.getLibrary();
  mlir::ScopedDiagnosticHandler silence(
      &environment.getContext(),
      [](mlir::Diagnostic &) { return mlir::success(); });
  if (failed(library.addText(cause.text, "<cause>")) ||
      failed(library.finish()))
    return std::nullopt;
  auto config = import::loadConfig(library, checkpoint);
  if (failed(config))
    return std::nullopt;
  auto model = import::importFamily(
      library, library.findFamily(onboard::causeName), std::move(*config),
      llvm::ArrayRef(checkpoint.ownTensors()), "f32");
  if (failed(model))
    return std::nullopt;
  auto logits = interpret(*model->module, checkpoint, vocab, text);
  return failed(logits) ? std::nullopt
                        : std::optional<Values>(std::move(*logits));
}

void driver::explainDifference(Environment &environment,
                               const rt::Checkpoint &checkpoint, int64_t vocab,
                               const VerifyText &text,
                               const Values &published) {
  // The interpreter multiplies one by one: a large model would take hours.
  constexpr double mostWork = 2e9;
  std::vector<const rt::StoredTensor *> tensors;
  double elements = 0;
  for (const rt::StoredTensor &tensor : checkpoint.ownTensors()) {
    tensors.push_back(&tensor);
    elements += double(tensor.bytes.size()) / 2;
  }
  if (elements * double(text.prompt.size() + text.forced.size()) > mostWork) {
    llvm::errs() << "clade: the model is too large to try likely causes; "
                    "'clade tiny' makes a small one\n";
    return;
  }
  import::SpecLibrary &library = environment.getLibrary();
  auto config = import::loadConfig(library, checkpoint);
  if (failed(config))
    return;
  auto family = import::findFamily(library, **config);
  if (failed(family))
    return;
  std::vector<onboard::Cause> causes =
      onboard::causesFor(library, *family, onboard::groupTensors(tensors));
  size_t fitting = 0, found = 0;
  constexpr size_t most = 3;
  for (const onboard::Cause &cause : causes) {
    showProgress("trying whether " + cause.says);
    std::optional<Values> logits =
        runCause(environment, checkpoint, cause, vocab, text);
    if (!logits)
      continue;
    ++fitting;
    if (logits->size() != published.size() ||
        !withinF32(distance(*logits, published)))
      continue;
    clearProgress();
    llvm::errs() << "clade: likely cause: parity holds if " << cause.says
                 << "\n";
    if (++found == most)
      return;
  }
  clearProgress();
  if (found == 0)
    llvm::errs() << "clade: none of " << fitting
                 << " likely causes explains the difference\n";
}
