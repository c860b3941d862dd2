//===- SinkIntoScans.cpp - Inputs of scans are computed inside ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A scan is computed one head after the other, so what only it needs is
// computed once for each head either way. Ops that mix the elements of a row
// (reductions, views) stay outside: they would be done again for each head.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/Tokenwise.h"

#include "mlir/IR/IRMapping.h"

namespace clade {
#define GEN_PASS_DEF_SINKINTOSCANSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

namespace {
struct SinkIntoScansPass : impl::SinkIntoScansPassBase<SinkIntoScansPass> {
  void runOnOperation() override {
    SmallVector<ScanOp> scans;
    getOperation().walk([&](ScanOp scan) { scans.push_back(scan); });
    for (ScanOp scan : scans)
      while (sinkOne(scan)) {
      }
  }

  static bool onlyUserIs(Operation *op, ScanOp scan) {
    return llvm::all_of(op->getUsers(), [&](Operation *user) {
      return user == scan.getOperation();
    });
  }

  static bool sinks(Operation *op, ScanOp scan) {
    if (!op)
      return false;
    // Carried tensors are read where the scan begins.
    if (llvm::any_of(scan.getInitial(), [&](Value initial) {
          return initial.getDefiningOp() == op;
        }))
      return false;
    return isa<CastOp, ConstantOp>(op) || isSpreadConstant(op) ||
           (isa<UnaryOp, BinaryOp, WhereOp, SpreadOp, RepeatOp>(op) &&
            onlyUserIs(op, scan));
  }

  /// Moves the producer of one input into the scan; false if none can move.
  bool sinkOne(ScanOp scan) {
    for (auto [place, input] : llvm::enumerate(scan.getInputs())) {
      Operation *op = input.getDefiningOp();
      if (!sinks(op, scan))
        continue;
      sink(scan, place, op);
      ++numMoved;
      return true;
    }
    return false;
  }

  void sink(ScanOp scan, unsigned place, Operation *op) {
    Block &body = scan.getBody().front();
    OpBuilder builder = OpBuilder::atBlockBegin(&body);
    IRMapping mapping;
    for (Value operand : op->getOperands())
      if (!mapping.contains(operand))
        mapping.map(operand, argumentFor(scan, operand));
    Operation *inner = builder.clone(*op, mapping);
    auto type = cast<NamedTensorType>(op->getResult(0).getType());
    inner->getResult(0).setType(tokenRow(type));
    BlockArgument argument = scan.getRows()[place];
    argument.replaceAllUsesWith(inner->getResult(0));
    body.eraseArgument(argument.getArgNumber());
    scan.getInputsMutable().erase(place);
    if (op->use_empty())
      op->erase();
  }

  /// The argument of an input that is there already, or a new one.
  static Value argumentFor(ScanOp scan, Value operand) {
    for (auto [input, argument] :
         llvm::zip_equal(scan.getInputs(), scan.getRows()))
      if (input == operand)
        return argument;
    scan.getInputsMutable().append(operand);
    return scan.getBody().front().addArgument(
        tokenRow(cast<NamedTensorType>(operand.getType())), operand.getLoc());
  }
};
} // namespace
} // namespace clade
