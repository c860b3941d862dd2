//===- ProductKernels.cpp - GPU kernels around products -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/KernelParts.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/FactoredRow.h"
#include "lib/CodeGen/CUDA/GroupCores.h"
#include "lib/CodeGen/CUDA/Power.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitMul;

ActivationForm::ActivationForm(NamedTensorType input, NamedTensorType weight,
                               int64_t k)
    : input(input), rowType(input.getElementType()), k(k) {
  if (auto blocks = dyn_cast_or_null<BlocksAttr>(weight.getLayout()))
    groups = &layoutOf(blocks.getFormat());
  if (groups && groups->isFloat)
    halves = HalfRows{k, input.getNumFeatures() / k, /*isForFP8=*/true};
  else if (takesHalfRows(input.getElementType(), weight.getElementType()))
    halves = HalfRows{k, input.getNumFeatures() / k};
}

ActivationForm ActivationForm::rows(NamedTensorType input, int64_t k) {
  ActivationForm form(input, input, k);
  form.rowType = BFloat16Type::get(input.getContext());
  return form;
}

int64_t ActivationForm::bytesPerToken() const {
  if (halves)
    return halves->bytesPerToken();
  if (groups)
    return input.getNumFeatures() / k * recordRowBytes(*groups, k);
  return input.getNumFeatures() * rowType.getIntOrFloatBitWidth() / 8;
}

Type ActivationForm::elementType() const {
  return halves ? Type(Float16Type::get(input.getContext())) : rowType;
}

/// Emits the launch that computes the activations of a product, for steps with
/// `rows`.
LogicalResult KernelEmitter::emitActivations(Context &context, Value input,
                                             const ActivationForm &form,
                                             RowRange rows) {
  OpBuilder &builder = context.builder;
  Location loc = context.kernel.getLoc();
  Part part;
  part.add(input);
  part.writesPacked = true;
  begin(context, part, "_input");
  context.codes.back().rows = rows;
  Value row = emitBlock(builder, loc, Axis::Y);
  RowEmitter emitter(builder, loc, rowThreads, context.step, row);
  if (failed(evaluateRow(emitter, context, part, row)))
    return failure();
  int64_t bytes = form.bytesPerToken();
  Value pointer =
      emitAddress(builder, loc, context.packed, builder.getI8Type(),
                  emitMul(builder, loc, row, emitIndex(builder, loc, bytes)));
  if (form.halves)
    emitter.storeHalves(input, context.packed, context.rows, *form.halves);
  else if (form.groups)
    emitter.storeRecords(input, pointer, *form.groups, form.k);
  else
    emitter.storeRow(input, pointer, form.elementType());
  packedBytesPerRow = std::max(packedBytesPerRow, bytes);
  return finish(context, {1, 1, rowThreads}, emitter.getSharedBytes());
}

Value KernelEmitter::emitUnscaled(Context &context, const ActivationForm &form,
                                  Value row, Value sum) {
  if (!form.halves)
    return sum;
  OpBuilder &builder = context.builder;
  Location loc = sum.getLoc();
  Value scale = emitLoadFloat(
      builder, loc, builder.getF32Type(),
      form.halves->scaleAt(builder, loc, context.packed, context.rows, row),
      emitIndex(builder, loc, 0));
  return arith::MulFOp::create(builder, loc, sum, scale);
}

LogicalResult KernelEmitter::checkEpilogue(const Part &part, StringRef behind) {
  for (Operation *op : part.ops)
    if (!isa<ParamOp, ConstantOp, UnaryOp, BinaryOp, CastOp, ViewOp>(op))
      return reportNoCode(op, " behind " + behind);
  return success();
}

/// The number that elementwise ops make at one place, of those that `leaf`
/// gives for values that are there; null for others.
static Value emitElementwise(OpBuilder &builder, Value value,
                             llvm::function_ref<Value(Value)> leaf) {
  if (Value there = leaf(value))
    return there;
  Location loc = value.getLoc();
  Operation *op = value.getDefiningOp();
  auto operand = [&](Value inner) {
    return emitElementwise(builder, inner, leaf);
  };
  if (auto constant = dyn_cast<ConstantOp>(op))
    return emitFloat(builder, loc, constant.getValue().convertToDouble());
  if (auto unary = dyn_cast<UnaryOp>(op))
    return cpu::RowEmitter::applyUnary(builder, loc, unary.getKind(),
                                       operand(unary.getInput()));
  if (auto binary = dyn_cast<BinaryOp>(op)) {
    Value lhs = operand(binary.getLhs()), rhs = operand(binary.getRhs());
    return emitBinary(builder, loc, binary.getKind(), lhs, rhs);
  }
  // Casts and views: other ops were refused before.
  return operand(op->getOperand(0));
}

/// The value of an epilogue op at a place of the result.
Value KernelEmitter::emitEpilogue(Context &context, Value value, Value heart,
                                  Value row, Value column, Value sum) {
  OpBuilder &builder = context.builder;
  int64_t features = cast<NamedTensorType>(heart.getType()).getNumFeatures();
  return emitElementwise(builder, value, [&](Value leaf) -> Value {
    if (leaf == heart)
      return sum;
    Location loc = leaf.getLoc();
    Type elementType = cast<NamedTensorType>(leaf.getType()).getElementType();
    if (Value buffer = context.buffers.lookup(leaf)) {
      Value first =
          emitMul(builder, loc, row, emitIndex(builder, loc, features));
      return emitLoadFloat(builder, loc, elementType, buffer,
                           emitAdd(builder, loc, first, column));
    }
    auto param = leaf.getDefiningOp<ParamOp>();
    return param ? emitLoadFloat(builder, loc, elementType,
                                 context.paramPointer(param), column)
                 : Value();
  });
}

RowScaling KernelEmitter::scalingOf(Context &context,
                                    const FactoredRow &factored) {
  OpBuilder &builder = context.builder;
  RowScaling scaling;
  scaling.scaled = [&](Value column, ValueRange row) {
    // Gains come in pieces, as the row does.
    llvm::SmallDenseMap<Value, SmallVector<Value>> gains;
    SmallVector<Value> scaled;
    for (auto [i, x] : llvm::enumerate(row)) {
      auto leaf = [&, i = i, x = x](Value value) -> Value {
        if (value == factored.row)
          return x;
        auto param = value.getDefiningOp<ParamOp>();
        Value base =
            param ? context.paramPointer(param) : context.buffers.lookup(value);
        if (!base)
          return {};
        SmallVector<Value> &piece = gains[value];
        if (piece.empty())
          piece = emitLoadFloats(
              builder, value.getLoc(),
              cast<NamedTensorType>(value.getType()).getElementType(), base,
              column, static_cast<int64_t>(row.size()));
        return piece[i];
      };
      Value number;
      for (Value part : factored.columns) {
        Value own = emitElementwise(builder, part, leaf);
        number = number ? Value(arith::MulFOp::create(builder, part.getLoc(),
                                                      number, own))
                        : own;
      }
      scaled.push_back(number);
    }
    return scaled;
  };
  scaling.factor = [&](Value squares) {
    ReduceOp reduce = factored.squares;
    Location loc = reduce.getLoc();
    if (reduce.getKind() == ReduceKind::Mean)
      squares = arith::DivFOp::create(
          builder, loc, squares,
          emitFloat(builder, loc,
                    static_cast<double>(
                        reduce.getInput().getType().getNumFeatures())));
    return emitElementwise(builder, factored.factor, [&](Value value) {
      return value == reduce.getResult() ? squares : Value();
    });
  };
  return scaling;
}

LogicalResult KernelEmitter::emitProductKernel(Context &context) {
  OpBuilder &builder = context.builder;
  LinearOp linear = *context.body().getOps<LinearOp>().begin();
  Location loc = linear.getLoc();
  auto weight = linear.getWeight().getDefiningOp<ParamOp>();
  auto bias =
      linear.getBias() ? linear.getBias().getDefiningOp<ParamOp>() : ParamOp();
  if (!weight || (linear.getBias() && !bias))
    return reportNoCode(linear, " with a weight that is no parameter");
  ActivationForm form(linear.getInput().getType(), linear.getWeight().getType(),
                      linear.getNumInputs());
  Value inputValue = viewed(linear.getInput());
  bool isStored = isa<BlockArgument>(inputValue) && !form.isOwn();
  std::optional<FactoredRow> factored;
  if (!isStored && !form.isOwn())
    factored = FactoredRow::of(linear);
  Product product{linear.getNumOutputs(),
                  linear.getNumInputs(),
                  form.elementType(),
                  linear.getWeight().getType().getElementType(),
                  {},
                  {},
                  {},
                  form.groups};
  SmallVector<ProductKernel> kernels = productKernels(target, product);
  // Tiles of weights in blocks have activations of their own, rows of bf16.
  auto *tiles = llvm::find_if(
      kernels, [](const ProductKernel &kernel) { return kernel.readsRows; });
  bool hasTiles = tiles != kernels.end();
  RowRange few{factored ? 2 : 1}, many;
  if (hasTiles) {
    many.first = tiles->rows.first;
    few.last = many.first - 1;
  }
  if (!isStored &&
      failed(emitActivations(context, linear.getInput(), form, few)))
    return failure();
  auto rows = ActivationForm::rows(form.input, product.k);
  bool areRowsStored = isa<BlockArgument>(inputValue) &&
                       form.input.getElementType() == rows.elementType();
  if (hasTiles && !areRowsStored &&
      failed(emitActivations(context, linear.getInput(), rows, many)))
    return failure();

  Part part;
  auto yielded = context.body().getTerminator()->getOperands();
  for (Value value : yielded)
    part.add(value, linear);
  if (bias)
    part.add(bias.getOperation());
  part.writesResults = true;
  if (failed(checkEpilogue(part, "a product")))
    return failure();
  bool streamsResults = false, readsRows = false;
  auto store = [&](Value row, Value column, Value sum) {
    if (!readsRows)
      sum = emitUnscaled(context, form, row, sum);
    if (bias)
      sum = arith::AddFOp::create(
          builder, loc, sum,
          emitLoadFloat(builder, loc,
                        bias.getResult().getType().getElementType(),
                        context.paramPointer(bias), column));
    Value first =
        emitMul(builder, loc, row, emitIndex(builder, loc, product.n));
    auto storeAs = streamsResults ? emitStoreStreamed : emitStoreFloat;
    for (auto [i, value] : llvm::enumerate(yielded))
      storeAs(
          builder, loc,
          emitEpilogue(context, value, linear.getResult(), row, column, sum),
          context.resultType(i), context.results[i],
          emitAdd(builder, loc, first, column));
  };
  KernelArgument inputArgument{KernelArgument::Packed};
  if (isStored)
    inputArgument = {KernelArgument::Operand,
                     cast<BlockArgument>(inputValue).getArgNumber()};
  KernelArgument weightArgument{KernelArgument::Param,
                                llvm::find(context.params, weight.getName()) -
                                    context.params.begin()};
  std::optional<RowScaling> scaling;
  if (factored)
    scaling = scalingOf(context, *factored);
  for (const ProductKernel &kernel : kernels) {
    Part whole = part;
    readsRows = kernel.readsRows;
    bool readsBuffer = readsRows ? areRowsStored : isStored;
    bool scalesRow = factored && kernel.scalesRow;
    if (scalesRow) {
      whole.add(weight.getOperation());
      whole.add(linear.getInput());
    } else if (kernel.inputMap) {
      inputArgument.map = kernel.inputMap;
      weightArgument.map = kernel.weightMap;
      whole.maps = {inputArgument, weightArgument};
      whole.readsPacked = form.halves.has_value(); // Their scales.
    } else {
      whole.add(weight.getOperation());
      if (readsBuffer)
        whole.operands.insert(inputValue);
      whole.readsPacked = !readsBuffer;
    }
    begin(context, whole, kernel.suffix);
    markBuffers(context);
    context.codes.back().rows = kernel.rows;
    // As in attention: the assembler spills a few registers for one more block.
    if (form.groups)
      context.function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                                builder.getI32IntegerAttr(1));
    streamsResults = kernel.streamsResults;
    if (kernel.inputMap) {
      product.inputMap = context.maps[0];
      product.weightMap = context.maps[1];
    } else {
      product.input =
          readsBuffer ? context.buffers.lookup(inputValue) : context.packed;
      product.weight = context.paramPointer(weight);
    }
    product.inputType = (readsRows ? rows : form).elementType();
    product.scaling = nullptr;
    if (scalesRow) {
      product.input = context.buffers.lookup(factored->row);
      product.inputType =
          cast<NamedTensorType>(factored->row.getType()).getElementType();
      product.scaling = &*scaling;
    }
    product.rows = context.rows;
    {
      OpBuilder::InsertionGuard guard(builder);
      kernel.emit(builder, loc, product, store);
    }
    if (failed(finish(context, kernel.grid, kernel.sharedBytes)))
      return failure();
  }
  return success();
}
