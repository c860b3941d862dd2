//===- ExpertKernels.cpp - GPU kernels around experts ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/KernelParts.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"
#include "lib/CodeGen/CUDA/TiledExperts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitMul;

/// A product by the experts that each token chose, or by all heads.
LogicalResult KernelEmitter::emitExpertsKernel(Context &context) {
  OpBuilder &builder = context.builder;
  Block &body = context.body();
  Operation *op = nullptr;
  Value inputValue, chosenValue;
  ParamOp weight, bias;
  ExpertsProduct product;
  if (auto experts = body.getOps<ExpertLinearOp>(); !experts.empty()) {
    ExpertLinearOp linear = *experts.begin();
    op = linear;
    inputValue = viewed(linear.getInput());
    chosenValue = viewed(linear.getChosen());
    weight = linear.getWeight().getDefiningOp<ParamOp>();
    if (linear.getBias() && !(bias = linear.getBias().getDefiningOp<ParamOp>()))
      return reportNoCode(linear, " with a bias that is no parameter");
    product = {linear.getNumExperts(), linear.getNumActive(),
               linear.getNumOutputs(), linear.getNumInputs(),
               linear.hasActiveInput()};
  } else {
    HeadLinearOp linear = *body.getOps<HeadLinearOp>().begin();
    op = linear;
    inputValue = viewed(linear.getInput());
    weight = linear.getWeight().getDefiningOp<ParamOp>();
    product = {linear.getNumHeads(), linear.getNumHeads(),
               linear.getNumOutputs(), linear.getNumInputs(),
               /*hasActiveInput=*/true};
  }
  if (!weight || !isa<BlockArgument>(inputValue) ||
      (chosenValue && !isa<BlockArgument>(chosenValue)) ||
      context.kernel.getNumResults() != 1 ||
      viewed(body.getTerminator()->getOperand(0)) != op->getResult(0))
    return reportNoCode(op, " with ops around it");
  ActivationForm form(cast<NamedTensorType>(inputValue.getType()),
                      weight.getResult().getType(), product.k);
  Location loc = op->getLoc();
  product.groupLayout = form.groups;
  product.inputType = form.elementType();
  product.weightType = weight.getResult().getType().getElementType();
  product.isChosen = chosenValue != nullptr;
  SmallVector<ExpertsKernel> kernels = expertsKernels(target, product);
  // As of products.
  auto *tiles = llvm::find_if(
      kernels, [](const ExpertsKernel &kernel) { return kernel.readsRows; });
  auto rows = ActivationForm::rows(form.input, product.k);
  bool areRowsStored = form.input.getElementType() == rows.elementType();
  bool hasTiles = tiles != kernels.end();
  RowRange few, many;
  if (hasTiles) {
    many.first = tiles->rows.first;
    few.last = many.first - 1;
  }
  if (form.isOwn() && failed(emitActivations(context, inputValue, form, few)))
    return failure();
  if (hasTiles && !areRowsStored &&
      failed(emitActivations(context, inputValue, rows, many)))
    return failure();
  bool readsRows = false;
  auto store = [&](Value place, Value expert, Value column, Value sum) {
    Value n = emitIndex(builder, loc, product.n);
    Value row = place;
    if (!product.hasActiveInput)
      row = arith::DivUIOp::create(builder, loc, place,
                                   emitIndex(builder, loc, product.active));
    if (!readsRows)
      sum = emitUnscaled(context, form, row, sum);
    if (bias)
      sum = arith::AddFOp::create(
          builder, loc, sum,
          emitLoadFloat(
              builder, loc, bias.getResult().getType().getElementType(),
              context.paramPointer(bias),
              emitAdd(builder, loc, emitMul(builder, loc, expert, n), column)));
    emitStoreFloat(
        builder, loc, sum, context.resultType(0), context.results[0],
        emitAdd(builder, loc, emitMul(builder, loc, place, n), column));
  };
  bool isGrouped = false;
  for (const ExpertsKernel &kernel : kernels) {
    readsRows = kernel.readsRows;
    bool readsBuffer = readsRows ? areRowsStored : !form.isOwn();
    int64_t ownBytes =
        readsBuffer ? 0 : (readsRows ? rows : form).bytesPerToken();
    if (kernel.readsGroups && !std::exchange(isGrouped, true) &&
        failed(emitGroupsKernel(context, product, chosenValue, kernel.rows,
                                ownBytes)))
      return failure();
    Part part;
    part.add(weight.getOperation());
    if (bias)
      part.add(bias.getOperation());
    if (readsBuffer)
      part.operands.insert(inputValue);
    if (chosenValue && !kernel.readsGroups)
      part.operands.insert(chosenValue);
    part.readsPacked = kernel.readsGroups || !readsBuffer;
    part.writesResults = true;
    begin(context, part, kernel.suffix);
    markBuffers(context);
    context.codes.back().rows = kernel.rows;
    // As in attention: the assembler spills a few registers for one more block.
    if (form.groups)
      context.function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                                builder.getI32IntegerAttr(1));
    product.rows = context.rows;
    product.inputType = (readsRows ? rows : form).elementType();
    product.input =
        readsBuffer ? context.buffers.lookup(inputValue) : context.packed;
    product.weight = context.paramPointer(weight);
    product.chosen = context.buffers.lookup(chosenValue);
    if (kernel.readsGroups)
      product.groups = packedBehind(context, ownBytes);
    {
      OpBuilder::InsertionGuard guard(builder);
      kernel.emit(builder, loc, product, store);
    }
    if (failed(finish(context, kernel.grid, kernel.sharedBytes)))
      return failure();
  }
  return success();
}

Value KernelEmitter::packedBehind(Context &context, int64_t bytes) {
  OpBuilder &builder = context.builder;
  Location loc = context.kernel.getLoc();
  Value all =
      emitMul(builder, loc, context.rows, emitIndex(builder, loc, bytes));
  return emitAddress(builder, loc, context.packed, builder.getI8Type(), all);
}

/// Emits the launch that groups the choices of `product` by experts, for steps
/// with at least the tokens of `rows`, behind `bytesBefore` bytes a token.
LogicalResult KernelEmitter::emitGroupsKernel(Context &context,
                                              ExpertsProduct product,
                                              Value chosen, RowRange rows,
                                              int64_t bytesBefore) {
  Part part;
  part.operands.insert(chosen);
  part.writesPacked = true;
  begin(context, part, "_groups");
  context.codes.back().rows = {rows.first};
  product.rows = context.rows;
  product.chosen = context.buffers.lookup(chosen);
  product.groups = packedBehind(context, bytesBefore);
  packedBytesPerRow =
      std::max(packedBytesPerRow, bytesBefore + groupBytesPerToken(product));
  {
    OpBuilder::InsertionGuard guard(context.builder);
    emitGroups(context.builder, context.kernel.getLoc(), product);
  }
  return finish(context, groupsGrid(), groupsSharedBytes(product));
}
