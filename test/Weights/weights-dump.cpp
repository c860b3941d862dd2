//===- weights-dump.cpp - A checkpoint's weights as a model takes them ----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: weights-dump SPECS CHECKPOINT OUT.safetensors
//
// Writes every weight of the imported model, in f32, before passes fuse and
// pack them, under the names that the family asks for: what a quantised file
// dequantises to.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Import.h"
#include "lib/Weights/Serialize.h"
#include "runtime/Weights/WeightLoader.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace clade;

static int fail(const rt::Status &status) {
  llvm::errs() << "error: " << status.message() << "\n";
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    llvm::errs() << "usage: weights-dump SPECS CHECKPOINT OUT.safetensors\n";
    return 2;
  }
  mlir::MLIRContext context;
  import::SpecLibrary library(&context);
  if (failed(library.addFolder(argv[1])) || failed(library.finish()))
    return 1;
  auto checkpoint = rt::Checkpoint::open(argv[2]);
  if (!checkpoint.ok())
    return fail(checkpoint.status());
  auto model = import::importCheckpoint(library, *checkpoint, "f32");
  if (failed(model))
    return 1;
  auto slots = assignSlots(*model->module);
  if (failed(slots))
    return 1;
  auto uses = collectUses(*model->module, *slots);
  auto text = serializeWeights(uses);
  if (failed(text))
    return 1;
  auto table = rt::WeightTable::parse(*text, "weights");
  if (!table.ok())
    return fail(table.status());
  auto loaded = rt::loadWeights(*table, *checkpoint);
  if (!loaded.ok())
    return fail(loaded.status());

  std::vector<rt::StoredTensor> tensors;
  for (auto [use, entry] : llvm::zip_equal(uses, table->entries)) {
    // A weight of one kind of layer ends in '#' and the kind's number.
    llvm::StringRef name = wmap::FuncOp(use.function).getSymName();
    name = name.split('#').first.split('~').first;
    for (auto [slot, layer] : llvm::zip_equal(use.slots, use.layers)) {
      rt::StoredTensor tensor;
      std::string inLayer = withLayer(
          name, layer < 0 ? std::nullopt : std::optional<int64_t>(layer));
      tensor.dtype = entry.program.dtype;
      tensor.shape = entry.program.shape;
      auto bytes = loaded->slot(static_cast<int32_t>(slot));
      // A stack of experts is told as their tensors.
      int64_t experts = 1;
      if (name.contains(expertPlaceholder)) {
        experts = tensor.shape.front();
        tensor.shape.erase(tensor.shape.begin());
      }
      for (int64_t expert = 0; expert < experts; ++expert) {
        tensor.name = withExpert(inLayer, expert);
        tensor.bytes = bytes.subspan(bytes.size() / experts * expert,
                                     bytes.size() / experts);
        tensors.push_back(tensor);
      }
    }
  }
  auto byName = [](const rt::StoredTensor &a, const rt::StoredTensor &b) {
    return a.name < b.name;
  };
  std::sort(tensors.begin(), tensors.end(), byName);
  auto same = [](const rt::StoredTensor &a, const rt::StoredTensor &b) {
    return a.name == b.name;
  };
  tensors.erase(std::unique(tensors.begin(), tensors.end(), same),
                tensors.end());
  rt::Status written = rt::writeSafetensors(argv[3], tensors, {});
  return written.ok() ? 0 : fail(written);
}
