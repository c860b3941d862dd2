//===- LocatePublished.cpp - Where the published run parts ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/LocatePublished.h"

#include "tools/clade/Compare.h"
#include "tools/clade/Progress.h"
#include "tools/clade/PublishedNames.h"

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <numeric>

using namespace clade;
using namespace clade::driver;
using mlir::failed;

namespace {
/// What the routers of the layer that runs gave: results of ops.
using Routing = llvm::DenseMap<mlir::Value, Values>;

/// The numbers of the experts of each token, ascending, or the shares of those.
Values inOrder(const Values &chosen, const Values &of, int64_t active) {
  Values sorted;
  std::vector<size_t> order(active);
  for (size_t first = 0; first + active <= chosen.size(); first += active) {
    std::iota(order.begin(), order.end(), first);
    llvm::stable_sort(
        order, [&](size_t a, size_t b) { return chosen[a] < chosen[b]; });
    for (size_t at : order)
      sorted.push_back(of[at]);
  }
  return sorted;
}
} // namespace

/// The first token, of so many, whose values differ, and both sides where they
/// differ most.
static void printPlace(llvm::ArrayRef<float> ours, const Values &published,
                       size_t at, size_t tokens) {
  size_t width = std::max<size_t>(ours.size() / std::max<size_t>(tokens, 1), 1);
  float scale = 0;
  for (float value : published)
    scale = std::max(scale, std::abs(value));
  size_t first = 0;
  while (first < at && std::abs(ours[first] - published[first]) < 1e-5f * scale)
    ++first;
  llvm::errs() << "first at token " << first / width << ", most at token "
               << at / width << ", number " << at % width
               << llvm::format(": %.9g, published %.9g\n", ours[at],
                               published[at]);
}

void driver::locateAgainstPublished(const PublishedRun &published,
                                    mlir::ModuleOp module,
                                    const rt::Checkpoint &checkpoint,
                                    int64_t vocab, const VerifyText &text) {
  PublishedNames names(module);
  bool found = false;
  std::string lastShared;
  Routing routing;
  auto compareValues = [&](const reference::Event &event, llvm::StringRef name,
                           llvm::ArrayRef<float> values) {
    const Values *expected = published.find(name);
    // Only the prompt, which both run in one piece, has comparable rows.
    if (found || !expected || expected->size() != values.size())
      return;
    Distance away = distance({values.data(), values.size()}, *expected);
    if (withinF32(away)) {
      lastShared = name.str();
      return;
    }
    found = true;
    clearProgress();
    llvm::errs() << "first difference: ";
    if (event.layer >= 0)
      llvm::errs() << "layer " << event.layer << ", ";
    llvm::errs() << "'" << name << "' (" << event.op->getName().getStringRef()
                 << ")"
                 << llvm::format(
                        ": %.3e of the largest value, 1 - cosine %.3e\n",
                        away.largest, 1 - away.cosine);
    printPlace(values, *expected, away.at, text.prompt.size());
    if (!lastShared.empty())
      llvm::errs() << "the last value that agrees: '" << lastShared << "'\n";
    mlir::emitRemark(event.op->getLoc()) << "computed here";
  };
  auto compareWith = [&](const reference::Event &event, llvm::StringRef name) {
    if (auto mix = llvm::dyn_cast<MixOp>(event.op)) {
      // The router first: which experts, and with which shares.
      const Values &chosen = routing[mix.getChosen()],
                   &share = routing[mix.getShare()];
      int64_t active = mix.getChosen().getType().getShape().back();
      if (chosen.size() == share.size()) {
        compareValues(event, (name + ".chosen").str(),
                      inOrder(chosen, chosen, active));
        compareValues(event, (name + ".share").str(),
                      inOrder(chosen, share, active));
      }
    }
    compareValues(event, name,
                  {event.value.data().data(),
                   static_cast<size_t>(event.value.data().size())});
  };
  Observer observer = [&](const reference::Event &event) {
    if (names.isRouting(event.op))
      routing[event.op->getResult(event.resultNumber)] =
          Values(event.value.data().begin(), event.value.data().end());
    for (const std::string &name : names.of(event.op))
      if (!found)
        compareWith(event,
                    withLayer(name, event.layer < 0
                                        ? std::nullopt
                                        : std::optional<int64_t>(event.layer)));
  };
  if (failed(interpret(module, checkpoint, vocab, text, observer)))
    return;
  clearProgress();
  if (found)
    return;
  if (lastShared.empty())
    llvm::errs() << "no value of the prompt could be compared with the "
                    "published implementation's\n";
  else
    llvm::errs() << "the values of the prompt agree in f32 up to '"
                 << lastShared
                 << "': the difference begins behind it, in decoding, or in "
                    "rounding\n";
}
