//===- KernelCost.cpp - What kernels read and compute ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/KernelCost.h"

#include "dialect/Clade/CladeDialect.h"
#include "lib/Pipelines/Pipelines.h"
#include "lib/Transforms/StoredBlocks.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace clade;
using namespace clade::driver;
using mlir::cast;
using mlir::dyn_cast;

double KernelCost::bytes(const StepShape &step) const {
  double rows = static_cast<double>(step.sequences) *
                (isOfSelected ? step.selected : step.tokens);
  double bytes = weightBytes + rowBytes * rows;
  if (experts > 0)
    bytes +=
        expertBytes * (1 - std::pow(1 - double(activeExperts) / experts, rows));
  // The step's own keys come from caches.
  int64_t past = window ? std::min(step.context, *window) : step.context;
  return bytes + static_cast<double>(stateBytes) * past * step.sequences;
}

double KernelCost::flops(const StepShape &step) const {
  double rows = static_cast<double>(step.sequences) *
                (isOfSelected ? step.selected : step.tokens);
  double pairs = 0; // Of a token and one that it attends to.
  for (int64_t token = 0; token < step.tokens; ++token) {
    int64_t seen = step.context + token + 1;
    pairs += window ? std::min(seen, *window) : seen;
  }
  return 2 * (multiplyAdds * rows + stateMultiplyAdds * pairs * step.sequences);
}

int64_t driver::weightBytes(wmap::FuncOp weight) {
  auto type = weight.getResultType();
  if (auto format = blockFormatOf(returnedValue(weight))) {
    auto block = wmap::BlockType::get(weight.getContext(), *format);
    int64_t columns = type.getShape().back();
    return type.getNumElements() / columns * block.getPackedRowBytes(columns);
  }
  return type.getNumElements() * (type.getElementTypeBitWidth() / 8);
}

/// Bytes of a row of a value [token, …].
static int64_t rowBytesOf(mlir::Value value) {
  auto type = cast<NamedTensorType>(value.getType());
  return type.getNumFeatures() * (type.getElementTypeBitWidth() / 8);
}

/// Keys and values of a state: what one token of the past has. Shared values
/// are part of the keys.
static int64_t stateBytesOf(mlir::func::FuncOp function, int64_t state) {
  int64_t bytes = 0;
  function.walk([&](CacheWriteOp write) {
    if (static_cast<int64_t>(write.getState()) == state)
      for (mlir::Value operand : write->getOperands())
        if (mlir::isa<NamedTensorType>(operand.getType()) &&
            !(write.getShared() && operand == write.getValue()))
          bytes += rowBytesOf(operand);
  });
  return bytes;
}

static void addParam(ParamOp param, KernelCost &cost) {
  cost.weights.push_back(param.getName().str());
  auto weight = mlir::SymbolTable::lookupNearestSymbolFrom<wmap::FuncOp>(
      param, mlir::StringAttr::get(param.getContext(), param.getName()));
  if (!weight)
    return;
  int64_t bytes = weightBytes(weight);
  bool isWhole = false;
  for (mlir::OpOperand &use : param.getResult().getUses())
    llvm::TypeSwitch<mlir::Operation *>(use.getOwner())
        .Case([&](EmbedOp embed) { cost.rowBytes += rowBytesOf(embed); })
        .Case([&](ExpertLinearOp product) {
          if (use.get() != product.getWeight()) {
            isWhole = true;
            return;
          }
          cost.expertBytes += bytes;
          cost.experts = product.getNumExperts();
          cost.activeExperts = product.getNumActive();
        })
        .Default([&](mlir::Operation *) { isWhole = true; });
  if (isWhole)
    cost.weightBytes += bytes;
}

static KernelCost costOf(KernelOp kernel, mlir::func::FuncOp function) {
  KernelCost cost;
  cost.kind = stringifyKernelKind(kernel.getKind()).str();
  cost.results = kernel.getNumResults();
  if (kernel.getNumResults() > 0) {
    auto type = cast<NamedTensorType>(kernel.getResult(0).getType());
    cost.isOfSelected =
        type.getRank() > 0 && type.getNames()[0] == selectedAxis;
  }
  kernel.walk([&](mlir::Operation *op) {
    llvm::TypeSwitch<mlir::Operation *>(op)
        .Case([&](ParamOp param) { addParam(param, cost); })
        .Case([&](LinearOp product) {
          cost.multiplyAdds += product.getNumOutputs() * product.getNumInputs();
        })
        .Case([&](HeadLinearOp product) {
          cost.multiplyAdds += product.getNumHeads() * product.getNumOutputs() *
                               product.getNumInputs();
        })
        .Case([&](ExpertLinearOp product) {
          cost.multiplyAdds += product.getNumActive() *
                               product.getNumOutputs() * product.getNumInputs();
        })
        .Case([&](AttendCachedOp attend) {
          cost.stateBytes += stateBytesOf(function, attend.getState());
          auto query = cast<NamedTensorType>(attend.getQuery().getType());
          auto result = cast<NamedTensorType>(attend.getType());
          cost.stateMultiplyAdds +=
              query.getNumFeatures() + result.getNumFeatures();
          if (attend.getWindow())
            cost.window = *attend.getWindow();
        });
  });
  return cost;
}

std::vector<FunctionCost> driver::costOf(mlir::ModuleOp module,
                                         const SlotTable &slots) {
  std::vector<FunctionCost> functions;
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    FunctionCost cost;
    cost.name = function.getSymName().str();
    cost.layers = llvm::count_if(slots.layers, [&](const LayerSlots &layer) {
      mlir::func::FuncOp kind = slots.kinds[layer.kind].function;
      return kind.getSymName() == function.getSymName();
    });
    function.walk([&](KernelOp kernel) {
      cost.kernels.push_back(::costOf(kernel, function));
    });
    functions.push_back(std::move(cost));
  }
  return functions;
}

std::vector<ScheduledKernel>
driver::scheduleOf(mlir::ModuleOp module, const SlotTable &slots,
                   const std::vector<FunctionCost> &costs) {
  auto costOfFunction = [&](llvm::StringRef name) {
    return llvm::find_if(
        costs, [&](const FunctionCost &cost) { return cost.name == name; });
  };
  std::vector<ScheduledKernel> order;
  auto entry = module.lookupSymbol<mlir::func::FuncOp>("forward");
  if (!entry)
    return order;
  auto own = costOfFunction("forward");
  size_t next = 0;
  for (mlir::Operation &op : entry.getBody().front()) {
    if (mlir::isa<KernelOp>(op))
      order.push_back({&*own, &own->kernels[next++]});
    auto layers = dyn_cast<LayersOp>(op);
    if (!layers)
      continue;
    auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
    int64_t first = slots.firstLayer.lookup(layers.getSchedule());
    for (size_t i = 0; i < schedule.getRows().size(); ++i) {
      const KindSlots &kind = slots.kinds[slots.layers[first + i].kind];
      mlir::func::FuncOp function = kind.function;
      auto cost = costOfFunction(function.getSymName());
      for (const KernelCost &kernel : cost->kernels)
        order.push_back({&*cost, &kernel});
    }
  }
  return order;
}
