//===- SinkSelect.cpp - Outputs only where they are asked for -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Turns select(op(x)) into op(select(x)) until it meets an op that is not
// token-wise, or a value that other tokens' computation needs as well.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/Tokenwise.h"

#include "mlir/IR/IRMapping.h"

namespace clade {
#define GEN_PASS_DEF_SINKSELECTPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

/// The type with 'selected' in the place of 'token'.
static NamedTensorType selectedType(NamedTensorType type) {
  SmallVector<StringAttr> names(type.getNames());
  names[0] = StringAttr::get(type.getContext(), selectedAxis);
  return NamedTensorType::get(type.getContext(), names, type.getShape(),
                              type.getElementType(), type.getLayout());
}

static bool hasTokens(Value value) {
  auto type = dyn_cast<NamedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.getNames()[0] == tokenAxis;
}

namespace {
struct SinkSelectPass : impl::SinkSelectPassBase<SinkSelectPass> {
  void runOnOperation() override {
    SmallVector<SelectOp> worklist;
    getOperation().walk([&](SelectOp select) { worklist.push_back(select); });
    while (!worklist.empty())
      sink(worklist.pop_back_val(), worklist);
  }

  void sink(SelectOp select, SmallVectorImpl<SelectOp> &worklist) {
    Operation *producer = select.getInput().getDefiningOp();
    if (!producer ||
        !(isTokenwiseCompute(producer) ||
          isa<LinearOp, ExpertLinearOp>(producer)) ||
        producer->getNumResults() != 1 || !producer->hasOneUse())
      return;
    OpBuilder builder(select);
    IRMapping mapping;
    for (Value operand : producer->getOperands()) {
      if (!hasTokens(operand) || mapping.contains(operand))
        continue;
      auto type = selectedType(cast<NamedTensorType>(operand.getType()));
      auto inner = SelectOp::create(builder, select.getLoc(), type, operand,
                                    select.getBatch());
      mapping.map(operand, inner.getResult());
      worklist.push_back(inner);
    }
    Operation *clone = builder.clone(*producer, mapping);
    clone->getResult(0).setType(select.getResult().getType());
    select.replaceAllUsesWith(clone->getResult(0));
    select.erase();
    producer->erase();
    ++numMoved;
  }
};
} // namespace
} // namespace clade
