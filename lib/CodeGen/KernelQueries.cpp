//===- KernelQueries.cpp - What a kernel is, for every target -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/KernelQueries.h"

using namespace mlir;
using namespace clade;

static bool isSelected(Type type) {
  auto tensor = dyn_cast<NamedTensorType>(type);
  return tensor && tensor.getRank() > 0 && tensor.getNames()[0] == selectedAxis;
}

bool clade::worksOnSelected(KernelOp kernel) {
  if (llvm::any_of(kernel.getResultTypes(), isSelected))
    return true;
  return llvm::any_of(kernel.getBody().front(), [](Operation &op) {
    return llvm::any_of(op.getResultTypes(), isSelected);
  });
}

Value clade::viewed(Value value) {
  while (auto view = value.getDefiningOp<ViewOp>())
    value = view.getInput();
  return value;
}

SmallVector<StringRef> clade::paramsOf(KernelOp kernel) {
  SmallVector<StringRef> params;
  kernel.walk([&](ParamOp param) {
    if (!llvm::is_contained(params, param.getName()))
      params.push_back(param.getName());
  });
  return params;
}

std::string clade::keyOf(KernelOp kernel, ArrayRef<StringRef> params) {
  auto clone = cast<KernelOp>(kernel->clone());
  clone.walk([&](ParamOp param) {
    auto place = llvm::find(params, param.getName()) - params.begin();
    param.setName(std::to_string(place));
  });
  std::string key;
  llvm::raw_string_ostream os(key);
  OpPrintingFlags flags;
  flags.useLocalScope();
  clone->print(os, flags);
  clone->erase();
  return key;
}

Type clade::resultType(KernelOp kernel, unsigned i, bool isF32) {
  Type type =
      cast<NamedTensorType>(kernel.getResult(i).getType()).getElementType();
  return isF32 ? Float32Type::get(type.getContext()) : type;
}
