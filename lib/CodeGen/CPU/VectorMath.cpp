//===- VectorMath.cpp - Math on vectors without calls ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The patterns are MLIR's; this file picks the operations that they apply to.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace clade::cpu {

static bool isApproximated(StringRef name) {
  return llvm::StringSwitch<bool>(name)
      .Cases({"math.exp", "math.expm1", "math.log", "math.log2"}, true)
      .Cases({"math.log1p", "math.tanh", "math.erf"}, true)
      .Default(false);
}

/// A multiply-add for targets on which it would become a call.
template <typename FmaOp> struct SplitFma : OpRewritePattern<FmaOp> {
  using OpRewritePattern<FmaOp>::OpRewritePattern;

  LogicalResult matchAndRewrite(FmaOp op,
                                PatternRewriter &rewriter) const override {
    ValueRange operands = op->getOperands();
    Value product =
        arith::MulFOp::create(rewriter, op.getLoc(), operands[0], operands[1]);
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, product, operands[2]);
    return success();
  }
};

namespace {

class ExpandVectorMath : public PassWrapper<ExpandVectorMath, OperationPass<>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandVectorMath)

  explicit ExpandVectorMath(bool hasFMA) : hasFMA(hasFMA) {}

  StringRef getArgument() const override { return "clade-expand-vector-math"; }
  StringRef getDescription() const override {
    return "replace math on vectors by polynomials";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, math::MathDialect,
                    vector::VectorDialect>();
  }

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateMathF32ExpansionPatterns(set, isApproximated);
    populateMathPolynomialApproximationPatterns(set, isApproximated);
    if (!hasFMA)
      set.add<SplitFma<math::FmaOp>, SplitFma<vector::FMAOp>>(context);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    SmallVector<Operation *> operations;
    getOperation()->walk([&](Operation *op) {
      bool onVector = op->getNumResults() == 1 &&
                      isa<VectorType>(op->getResult(0).getType());
      if (isa<math::FmaOp, vector::FMAOp>(op) ||
          (onVector && isApproximated(op->getName().getStringRef())))
        operations.push_back(op);
    });
    if (operations.empty())
      return;
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    if (failed(applyOpPatternsGreedily(operations, patterns, config)))
      signalPassFailure();
  }

private:
  bool hasFMA;
  FrozenRewritePatternSet patterns;
};

} // namespace

std::unique_ptr<Pass> createExpandVectorMathPass(bool hasFMA) {
  return std::make_unique<ExpandVectorMath>(hasFMA);
}

} // namespace clade::cpu
