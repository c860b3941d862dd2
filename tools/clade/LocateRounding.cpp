//===- LocateRounding.cpp - Where values round otherwise ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From the same values, code that rounds at the same places gives the same
// numbers, but for sums in another order: in f32 they differ by some 2^-22, and
// that moves one number in hundreds over a boundary of bf16. Code that rounds
// once more or less changes every second or third number.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/LocateRounding.h"

#include "tools/clade/Compare.h"
#include "tools/clade/Progress.h"
#include "tools/clade/PublishedNames.h"

#include "dialect/WMap/WMapDialect.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;

/// More numbers that differ than other orders of sums explain.
static constexpr double mostOfOrder = 0.05;

static double shareThatDiffers(llvm::ArrayRef<float> ours,
                               const Values &published) {
  size_t count = 0;
  for (size_t i = 0; i < ours.size(); ++i)
    count += ours[i] != published[i];
  return static_cast<double>(count) / static_cast<double>(ours.size());
}

static void report(const reference::Event &event, llvm::StringRef name,
                   double share) {
  clearProgress();
  llvm::errs() << "first value that rounds otherwise: ";
  if (event.layer >= 0)
    llvm::errs() << "layer " << event.layer << ", ";
  llvm::errs() << "'" << name << "' (" << event.op->getName().getStringRef()
               << ")"
               << llvm::format(": %.1f%% of its numbers are others, from the "
                               "same values before it, expected less than "
                               "%.0f%%\n",
                               share * 100, mostOfOrder * 100);
  mlir::emitRemark(event.op->getLoc()) << "computed here";
}

void driver::locateRounding(const PublishedRun &published,
                            mlir::ModuleOp module,
                            const rt::Checkpoint &checkpoint, int64_t vocab,
                            const VerifyText &text) {
  PublishedNames names(module);
  bool found = false;
  size_t compared = 0;
  auto observe = [&](const reference::Event &event) {
    for (const std::string &name : names.of(event.op)) {
      std::string full = withLayer(
          name,
          event.layer < 0 ? std::nullopt : std::optional<int64_t>(event.layer));
      const Values *expected = published.find(full);
      if (!expected || expected->empty() ||
          static_cast<int64_t>(expected->size()) != event.value.size())
        continue;
      ++compared;
      llvm::ArrayRef<float> ours(event.value.data().data(), expected->size());
      double share = shareThatDiffers(ours, *expected);
      if (!found && share >= mostOfOrder) {
        found = true;
        report(event, full, share);
      }
      event.value.elements = std::make_shared<std::vector<float>>(*expected);
      return;
    }
  };
  if (failed(interpret(module, checkpoint, vocab, text, observe)))
    return;
  clearProgress();
  if (compared == 0)
    llvm::errs() << "no value of the prompt could be compared in that type\n";
  else if (!found)
    llvm::errs() << "each of the " << compared
                 << " values that the published implementation names rounds "
                    "as it does: the difference is in decoding or behind "
                    "them\n";
}
