//===- VerifyWeights.cpp - Level 1: weights there and back ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/VerifyWeights.h"

#include "tools/clade/Progress.h"

#include "lib/CodeGen/CPU/Target.h"
#include "lib/Weights/Compose.h"
#include "runtime/Weights/WeightLoader.h"

#include <algorithm>
#include <set>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using mlir::LogicalResult;
using mlir::success;

namespace {
/// The compiled weights as tensors that the way back reads.
struct CompiledWeights {
  rt::LoadedWeights loaded;
  std::vector<rt::StoredTensor> tensors; ///< Sorted by name.
};
} // namespace

static std::string nameIn(llvm::StringRef name, int64_t layer) {
  return withLayer(name,
                   layer < 0 ? std::nullopt : std::optional<int64_t>(layer));
}

static FailureOr<CompiledWeights>
compileWeights(const rt::Checkpoint &checkpoint,
               llvm::ArrayRef<WeightUse> uses) {
  FailureOr<rt::WeightTable> table = weightTable(uses);
  if (failed(table))
    return failure();
  rt::LoadOptions options;
  options.progress = [](int64_t done, int64_t total) {
    showProgress("making the compiled weights", done, total);
  };
  rt::StatusOr<rt::LoadedWeights> loaded =
      rt::loadWeights(*table, checkpoint, options);
  if (!loaded.ok())
    return fail(loaded.status()), failure();
  CompiledWeights compiled;
  compiled.loaded = std::move(*loaded);
  for (auto [use, entry] : llvm::zip_equal(uses, table->entries)) {
    std::string name = compiledName(use);
    for (auto [slot, layer] : llvm::zip_equal(use.slots, use.layers)) {
      rt::StoredTensor tensor;
      tensor.name = nameIn(name, layer);
      tensor.dtype = entry.program.dtype;
      tensor.shape = entry.program.shape;
      tensor.bytes = compiled.loaded.slot(slot);
      compiled.tensors.push_back(std::move(tensor));
    }
  }
  auto byName = [](const rt::StoredTensor &a, const rt::StoredTensor &b) {
    return a.name < b.name;
  };
  std::stable_sort(compiled.tensors.begin(), compiled.tensors.end(), byName);
  return compiled;
}

/// Makes the tensors of one function of the way back and compares them.
static LogicalResult restore(const rt::Checkpoint &checkpoint,
                             const CompiledWeights &compiled, WeightUse use,
                             llvm::ArrayRef<std::string> tensors,
                             WeightRoundTrip &trip) {
  std::vector<std::string> names;
  for (int64_t &slot : use.slots) {
    names.push_back(tensors[slot]);
    slot = static_cast<int64_t>(names.size()) - 1;
  }
  FailureOr<rt::WeightTable> table = weightTable(use);
  if (failed(table))
    return failure();
  rt::StatusOr<rt::LoadedWeights> loaded = rt::loadWeights(
      *table, rt::WeightSources{compiled.tensors, "the compiled weights", {}});
  if (!loaded.ok())
    return fail(loaded.status()), failure();
  const rt::WeightNode &program = table->entries.front().program;
  for (auto [slot, name] : llvm::enumerate(names)) {
    const rt::StoredTensor *published = checkpoint.find(name);
    bool same = published && published->dtype == program.dtype &&
                published->shape == program.shape &&
                std::ranges::equal(published->bytes,
                                   loaded->slot(static_cast<int32_t>(slot)));
    (same ? trip.restored : trip.changed).push_back(name);
  }
  return success();
}

/// The published tensors that the mapping does not read.
static void findUnread(const rt::Checkpoint &checkpoint,
                       llvm::ArrayRef<WeightUse> uses, WeightRoundTrip &trip) {
  std::set<std::string> read;
  for (const WeightUse &use : uses)
    wmap::FuncOp(use.function).walk([&](wmap::SourceOp source) {
      int64_t experts = source.getStack().value_or(1);
      for (int64_t layer : use.layers)
        for (int64_t expert = 0; expert < experts; ++expert)
          read.insert(withExpert(nameIn(source.getName(), layer), expert));
    });
  for (const rt::StoredTensor &tensor : checkpoint.tensors())
    if (!read.count(tensor.name))
      trip.unread.push_back(tensor.name);
}

FailureOr<WeightRoundTrip>
driver::roundTripWeights(Environment &environment,
                         const rt::Checkpoint &checkpoint,
                         const ModelChoice &choice) {
  auto target = cpu::Target::resolve(
      mlir::UnknownLoc::get(&environment.getContext()), choice.cpu);
  if (failed(target))
    return failure();
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        choice.dtype);
  if (failed(model) || !formKernels(*model->module, target->panelRows, choice))
    return failure();
  auto slots = assignSlots(*model->module);
  if (failed(slots))
    return failure();
  llvm::SmallVector<WeightUse> uses = collectUses(*model->module, *slots);
  FailureOr<CompiledWeights> compiled = compileWeights(checkpoint, uses);
  if (failed(compiled))
    return failure();
  InverseWeights inverse = invertWeights(*model->module, *slots);
  WeightRoundTrip trip;
  for (auto [i, use] : llvm::enumerate(inverse.uses)) {
    showProgress("making the published tensors", i, inverse.uses.size());
    if (failed(restore(checkpoint, *compiled, use, inverse.tensors, trip)))
      return failure();
  }
  trip.losses = std::move(inverse.losses);
  findUnread(checkpoint, uses, trip);
  clearProgress();
  return trip;
}
