//===- CodeParts.cpp - A module of code, cut into several -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/CodeParts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include <algorithm>

using namespace mlir;

namespace clade::cpu {

/// Whether each part that reads `op` can have its own.
static bool isCopied(Operation *op) {
  auto global = dyn_cast<LLVM::GlobalOp>(op);
  return global && global.getConstant() &&
         global.getLinkage() == LLVM::Linkage::Internal;
}

static size_t countOps(func::FuncOp function) {
  size_t count = 0;
  function.walk([&](Operation *) { ++count; });
  return count;
}

/// Of each part the functions that it defines, in the order of the module.
static SmallVector<SmallVector<func::FuncOp>>
distribute(ArrayRef<func::FuncOp> functions, unsigned count) {
  SmallVector<std::pair<size_t, size_t>> bySize; // Operations, place.
  for (auto [place, function] : llvm::enumerate(functions))
    bySize.emplace_back(countOps(function), place);
  llvm::stable_sort(
      bySize, [](const auto &a, const auto &b) { return a.first > b.first; });
  // The largest that is left goes to the smallest part.
  SmallVector<SmallVector<size_t>> places(count);
  SmallVector<size_t> sizes(count);
  for (auto [size, place] : bySize) {
    size_t part = llvm::min_element(sizes) - sizes.begin();
    places[part].push_back(place);
    sizes[part] += size;
  }
  SmallVector<SmallVector<func::FuncOp>> parts(count);
  for (auto [part, own] : llvm::zip_equal(parts, places)) {
    llvm::sort(own);
    for (size_t place : own)
      part.push_back(functions[place]);
  }
  return parts;
}

static void forEachName(Operation *op,
                        llvm::function_ref<void(StringRef name)> use) {
  op->walk([&](Operation *inner) {
    inner->getAttrDictionary().walk(
        [&](FlatSymbolRefAttr name) { use(name.getValue()); });
  });
}

/// Adds to `part` what its functions name and it does not have.
static void addWhatIsNamed(ModuleOp part,
                           const llvm::StringMap<Operation *> &symbols) {
  SymbolTable own(part);
  forEachName(part, [&](StringRef name) {
    auto found = symbols.find(name);
    if (found == symbols.end() || own.lookup(name))
      return;
    Operation *copy;
    if (isCopied(found->second)) {
      copy = found->second->clone();
    } else {
      copy = found->second->cloneWithoutRegions();
      SymbolTable::setSymbolVisibility(copy, SymbolTable::Visibility::Private);
    }
    own.insert(copy);
  });
}

SmallVector<OwningOpRef<ModuleOp>> cutIntoParts(ModuleOp module,
                                                unsigned count) {
  llvm::StringMap<Operation *> symbols;
  SmallVector<func::FuncOp> functions;
  SmallVector<Operation *> others;
  for (Operation &op : *module.getBody()) {
    if (auto name = SymbolTable::getSymbolName(&op))
      symbols[name] = &op;
    auto function = dyn_cast<func::FuncOp>(op);
    if (function && !function.isExternal())
      functions.push_back(function);
    else if (!function && !isCopied(&op))
      others.push_back(&op);
  }
  // What is no function and not copied is in one part only.
  for (func::FuncOp function : functions)
    forEachName(function, [&](StringRef name) {
      if (llvm::is_contained(others, symbols.lookup(name)))
        count = 1;
    });
  count = std::clamp<size_t>(functions.size(), 1, std::max(count, 1u));
  SmallVector<SmallVector<func::FuncOp>> distributed =
      distribute(functions, count);
  SmallVector<OwningOpRef<ModuleOp>> parts;
  for (ArrayRef<func::FuncOp> own : distributed) {
    parts.push_back(ModuleOp::create(module.getLoc()));
    parts.back()->getOperation()->setAttrs(module->getAttrDictionary());
    if (parts.size() == 1)
      for (Operation *op : others)
        op->moveBefore(parts.back()->getBody(), parts.back()->getBody()->end());
    for (func::FuncOp function : own)
      function->moveBefore(parts.back()->getBody(),
                           parts.back()->getBody()->end());
  }
  for (OwningOpRef<ModuleOp> &part : parts)
    addWhatIsNamed(*part, symbols);
  return parts;
}

} // namespace clade::cpu
