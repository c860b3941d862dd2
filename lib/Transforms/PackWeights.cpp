//===- PackWeights.cpp - Weights of products in panels --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"

#define DEBUG_TYPE "clade-pack-weights"

namespace clade {
#define GEN_PASS_DEF_PACKWEIGHTSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

namespace {
struct PackWeightsPass : impl::PackWeightsPassBase<PackWeightsPass> {
  using PackWeightsPassBase::PackWeightsPassBase;

  void runOnOperation() override {
    SmallVector<LinearOp> linears;
    getOperation().walk([&](LinearOp linear) { linears.push_back(linear); });
    for (LinearOp linear : linears)
      pack(linear);
  }

  void pack(LinearOp linear) {
    auto param = linear.getWeight().getDefiningOp<ParamOp>();
    auto type = linear.getWeight().getType();
    if (!param || type.getLayout())
      return;
    auto function = getOperation().lookupSymbol<wmap::FuncOp>(param.getName());
    int64_t outputs = linear.getNumOutputs(), inputs = linear.getNumInputs();
    int64_t depth = type.getElementTypeBitWidth() == 32 ? 1 : inner.getValue();
    auto layout = PanelsAttr::get(&getContext(), rows, depth);
    OpBuilder builder(param);
    auto packedType = NamedTensorType::get(
        &getContext(),
        {builder.getStringAttr("outputs"), builder.getStringAttr("inputs")},
        {outputs, inputs}, type.getElementType(), layout);
    std::string name = (param.getName() + ".packed").str();
    if (!getOperation().lookupSymbol<wmap::FuncOp>(name))
      packFunction(function, name, outputs, inputs, depth);
    Value packed = ParamOp::create(builder, param.getLoc(), packedType, name);
    linear.getWeightMutable().assign(packed);
    if (param.use_empty())
      param.erase();
    auto uses = SymbolTable::getSymbolUses(function, getOperation());
    if (uses && uses->empty())
      function.erase();
  }

  void packFunction(wmap::FuncOp function, StringRef name, int64_t outputs,
                    int64_t inputs, int64_t depth) {
    OpBuilder builder(function);
    Location loc = function.getLoc();
    Type elementType =
        cast<RankedTensorType>(function.getResultType()).getElementType();
    auto matrix = RankedTensorType::get({outputs, inputs}, elementType);
    auto panels = RankedTensorType::get(
        {static_cast<int64_t>(llvm::divideCeil(outputs, rows)),
         static_cast<int64_t>(llvm::divideCeil(inputs, depth)), rows, depth},
        elementType);
    auto packed = wmap::FuncOp::create(builder, loc, name, panels);
    builder.setInsertionPointToEnd(&packed.getBody().emplaceBlock());
    IRMapping mapping;
    Block &body = function.getBody().front();
    for (Operation &op : body.without_terminator())
      builder.clone(op, mapping);
    Value value =
        mapping.lookup(cast<wmap::ReturnOp>(body.getTerminator()).getValue());
    if (value.getType() != matrix)
      value = wmap::ReshapeOp::create(builder, loc, matrix, value);
    value = wmap::PackOp::create(builder, loc, panels, value,
                                 builder.getI64IntegerAttr(rows),
                                 builder.getI64IntegerAttr(depth));
    wmap::ReturnOp::create(builder, loc, value);
  }
};
} // namespace
} // namespace clade
