//===- KernelEmitter.cpp - GPU kernels of a clade.kernel ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/KernelEmitter.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/Attention.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/Experts.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"
#include "lib/CodeGen/CUDA/TiledExperts.h"
#include "lib/CodeGen/KernelQueries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitMul;
using cpu::StepView;

/// Threads of a block that computes the row of a token.
static constexpr int64_t rowThreads = 128;

struct KernelEmitter::Part {
  llvm::SetVector<Operation *> ops;
  bool readsPacked = false, writesPacked = false, writesResults = false;

  /// What `value` is computed from in its kernel, without what `heart` is.
  void add(Value value, Operation *heart = nullptr) {
    Operation *op = value.getDefiningOp();
    if (op && op != heart)
      add(op, heart);
    else if (!op)
      operands.insert(value);
  }
  void add(Operation *op, Operation *heart = nullptr) {
    if (ops.contains(op))
      return;
    for (Value operand : op->getOperands())
      add(operand, heart);
    ops.insert(op);
  }
  llvm::SetVector<Value> operands;
};

struct KernelEmitter::Context {
  OpBuilder builder;
  KernelOp kernel;
  bool outputIsF32, onSelected;
  SmallVector<StringRef> params;
  SmallVector<KernelCode, 0> codes;
  // Of the gpu.func that is being emitted.
  gpu::GPUFuncOp function;
  Value step, rows, packed;
  llvm::MapVector<Value, Value> buffers; ///< Of operands (block arguments).
  SmallVector<Value> results, paramPointers;
  llvm::MapVector<int64_t, Value> states;

  Block &body() { return kernel.getBody().front(); }
  Value paramPointer(ParamOp param) {
    return paramPointers[llvm::find(params, param.getName()) - params.begin()];
  }
  Type resultType(unsigned i) {
    return clade::resultType(kernel, i, outputIsF32);
  }
};

FailureOr<ArrayRef<KernelCode>> KernelEmitter::emit(KernelOp kernel,
                                                    bool outputIsF32) {
  SmallVector<StringRef> params = paramsOf(kernel);
  std::string key = keyOf(kernel, params) + (outputIsF32 ? "f32" : "");
  if (auto it = kernels.find(key); it != kernels.end())
    return ArrayRef<KernelCode>(it->second);
  Context context{OpBuilder::atBlockEnd(code.getBody()), kernel, outputIsF32,
                  worksOnSelected(kernel), std::move(params)};
  LogicalResult result = success();
  switch (kernel.getKind()) {
  case KernelKind::Tokenwise:
    result = emitTokenwise(context);
    break;
  case KernelKind::Product:
    result = emitProductKernel(context);
    break;
  case KernelKind::Attention:
    result = emitAttentionKernel(context);
    break;
  case KernelKind::Experts:
    result = emitExpertsKernel(context);
    break;
  case KernelKind::Recurrent:
    for (Operation &op : context.body())
      if (isa<CausalConvOp, ScanOp>(op))
        return reportNoCode(&op);
    return reportNoCode(kernel);
  }
  if (failed(result))
    return failure();
  auto &codes = kernels[key];
  codes = std::move(context.codes);
  return ArrayRef<KernelCode>(codes);
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

void KernelEmitter::begin(Context &context, const Part &part,
                          StringRef suffix) {
  KernelCode &kernel = context.codes.emplace_back();
  kernel.onSelected = context.onSelected;
  kernel.symbol = (stringifyKernelKind(context.kernel.getKind()) + suffix +
                   "_" + Twine(numFunctions++))
                      .str();
  auto &arguments = kernel.arguments;
  Block &body = context.body();
  SmallVector<BlockArgument> operands;
  for (BlockArgument argument : body.getArguments())
    if (part.operands.contains(argument) &&
        isa<NamedTensorType>(argument.getType())) {
      operands.push_back(argument);
      arguments.push_back({KernelArgument::Operand, argument.getArgNumber()});
    }
  SmallVector<int64_t> params, states;
  auto addOnce = [](SmallVector<int64_t> &list, int64_t value) {
    if (!llvm::is_contained(list, value))
      list.push_back(value);
  };
  for (Operation *op : part.ops) {
    if (auto param = dyn_cast<ParamOp>(op))
      addOnce(params, llvm::find(context.params, param.getName()) -
                          context.params.begin());
    if (auto write = dyn_cast<CacheWriteOp>(op))
      addOnce(states, write.getState());
    if (auto attend = dyn_cast<AttendCachedOp>(op))
      addOnce(states, attend.getState());
  }
  for (int64_t param : params)
    arguments.push_back({KernelArgument::Param, param});
  for (int64_t state : states)
    arguments.push_back({KernelArgument::State, state});
  bool hasPacked = part.readsPacked || part.writesPacked;
  if (hasPacked)
    arguments.push_back({KernelArgument::Packed});
  if (part.writesResults)
    for (unsigned i = 0; i < context.kernel.getNumResults(); ++i)
      arguments.push_back({KernelArgument::Result, i});

  OpBuilder &builder = context.builder;
  Location loc = context.kernel.getLoc();
  builder.setInsertionPointToEnd(code.getBody());
  SmallVector<Type> types(1 + arguments.size(),
                          LLVM::LLVMPointerType::get(builder.getContext()));
  context.function = gpu::GPUFuncOp::create(builder, loc, kernel.symbol,
                                            builder.getFunctionType(types, {}));
  context.function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                            builder.getUnitAttr());
  Block &entry = context.function.getBody().front();
  builder.setInsertionPointToStart(&entry);
  unsigned next = 0;
  context.step = entry.getArgument(next++);
  context.buffers.clear();
  context.states.clear();
  context.results.clear();
  context.paramPointers.assign(context.params.size(), Value());
  for (BlockArgument operand : operands)
    context.buffers[operand] = entry.getArgument(next++);
  for (int64_t param : params)
    context.paramPointers[param] = entry.getArgument(next++);
  for (int64_t state : states)
    context.states[state] = entry.getArgument(next++);
  context.packed = hasPacked ? entry.getArgument(next++) : Value();
  while (next < entry.getNumArguments())
    context.results.push_back(entry.getArgument(next++));
  StepView step(builder, loc, context.step);
  context.rows = cpu::emitToIndex(
      builder, loc, context.onSelected ? step.numSelected() : step.numTokens());
}

/// Says of a product's arguments what lets loads pass stores: none of its
/// buffers are one, and only results are written.
void KernelEmitter::markBuffers(Context &context) {
  OpBuilder &builder = context.builder;
  StringRef readOnly = LLVM::LLVMDialect::getReadonlyAttrName(),
            noAlias = LLVM::LLVMDialect::getNoAliasAttrName();
  for (auto [i, argument] : llvm::enumerate(context.codes.back().arguments)) {
    auto number = static_cast<unsigned>(i) + 1; // Behind the step.
    context.function.setArgAttr(number, noAlias, builder.getUnitAttr());
    if (argument.kind != KernelArgument::Result)
      context.function.setArgAttr(number, readOnly, builder.getUnitAttr());
  }
}

LogicalResult KernelEmitter::finish(Context &context, Grid grid,
                                    int64_t sharedBytes) {
  gpu::ReturnOp::create(context.builder, context.kernel.getLoc());
  context.function.setKnownBlockSizeAttr(context.builder.getDenseI32ArrayAttr(
      {static_cast<int32_t>(grid.threads), 1, 1}));
  KernelCode &kernel = context.codes.back();
  kernel.grid = grid;
  kernel.sharedBytes = sharedBytes;
  if (sharedBytes > target.sharedBytes)
    return context.kernel.emitError()
           << "a row of this kernel needs " << sharedBytes
           << " bytes of shared memory, but a block of " << target.arch
           << " has " << target.sharedBytes;
  return success();
}

LogicalResult KernelEmitter::evaluateRow(RowEmitter &emitter, Context &context,
                                         const Part &part, Value row) {
  OpBuilder &builder = context.builder;
  auto bind = [&](Value value, Value base, NamedTensorType type, Value at) {
    Location loc = value.getLoc();
    RowMemory memory;
    memory.elementType = type.getElementType();
    memory.layout = RowLayout::contiguous(type);
    if (at)
      base = emitAddress(
          builder, loc, base, memory.elementType,
          emitMul(builder, loc, at,
                  emitIndex(builder, loc, memory.layout.numElements())));
    memory.base = base;
    emitter.bind(value, memory);
  };
  for (auto [state, address] : context.states)
    emitter.bindState(state, address);
  for (auto [operand, buffer] : context.buffers) {
    auto type = cast<NamedTensorType>(operand.getType());
    bind(operand, buffer, type, type.hasSequence() ? row : Value());
  }
  for (Operation *op : part.ops) {
    if (auto param = dyn_cast<ParamOp>(op)) {
      bind(param.getResult(), context.paramPointer(param),
           param.getResult().getType(), {});
    } else if (auto select = dyn_cast<SelectOp>(op)) {
      // Rows of selected tokens lie apart in the buffer of all tokens.
      Value buffer = context.buffers.lookup(select.getInput());
      if (!buffer)
        return reportNoCode(op, " of what its own kernel computes");
      bind(select.getResult(), buffer, select.getResult().getType(),
           StepView(builder, op->getLoc(), context.step).selectedAt(row));
    }
  }
  for (Operation *op : part.ops)
    if (failed(emitter.evaluate(op)))
      return failure();
  return success();
}

LogicalResult KernelEmitter::emitTokenwise(Context &context) {
  OpBuilder &builder = context.builder;
  Location loc = context.kernel.getLoc();
  Part part;
  for (Operation &op : context.body())
    part.add(&op);
  part.ops.remove(context.body().getTerminator());
  part.writesResults = true;
  begin(context, part, "");
  Value row = emitBlock(builder, loc, Axis::Y);
  RowEmitter emitter(builder, loc, rowThreads, context.step, row);
  if (failed(evaluateRow(emitter, context, part, row)))
    return failure();
  for (auto [i, value] :
       llvm::enumerate(context.body().getTerminator()->getOperands())) {
    auto type = cast<NamedTensorType>(value.getType());
    Type elementType = context.resultType(i);
    Value first = emitMul(builder, loc, row,
                          emitIndex(builder, loc, type.getNumFeatures()));
    emitter.storeRow(
        value,
        emitAddress(builder, loc, context.results[i], elementType, first),
        elementType);
  }
  return finish(context, {1, 1, rowThreads}, emitter.getSharedBytes());
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Emits the launch that computes the activations of a product as rows of their
/// type.
LogicalResult KernelEmitter::emitActivations(Context &context,
                                             LinearOp linear) {
  OpBuilder &builder = context.builder;
  Location loc = linear.getLoc();
  auto type = linear.getInput().getType();
  Part part;
  part.add(linear.getInput());
  part.writesPacked = true;
  begin(context, part, "_input");
  Value row = emitBlock(builder, loc, Axis::Y);
  RowEmitter emitter(builder, loc, rowThreads, context.step, row);
  if (failed(evaluateRow(emitter, context, part, row)))
    return failure();
  int64_t k = linear.getNumInputs();
  Value first = emitMul(builder, loc, row, emitIndex(builder, loc, k));
  emitter.storeRow(
      linear.getInput(),
      emitAddress(builder, loc, context.packed, type.getElementType(), first),
      type.getElementType());
  packedBytesPerRow =
      std::max(packedBytesPerRow, k * type.getElementTypeBitWidth() / 8);
  return finish(context, {1, 1, rowThreads}, emitter.getSharedBytes());
}

/// The value of an epilogue op at a place of the result.
Value KernelEmitter::emitEpilogue(Context &context, Value value, Value heart,
                                  Value row, Value column, Value sum) {
  if (value == heart)
    return sum;
  OpBuilder &builder = context.builder;
  Location loc = value.getLoc();
  Type elementType = cast<NamedTensorType>(value.getType()).getElementType();
  if (Value buffer = context.buffers.lookup(value)) {
    int64_t features = cast<NamedTensorType>(heart.getType()).getNumFeatures();
    Value first = emitMul(builder, loc, row, emitIndex(builder, loc, features));
    return emitLoadFloat(builder, loc, elementType, buffer,
                         emitAdd(builder, loc, first, column));
  }
  Operation *op = value.getDefiningOp();
  auto operand = [&](Value inner) {
    return emitEpilogue(context, inner, heart, row, column, sum);
  };
  if (auto param = dyn_cast<ParamOp>(op))
    return emitLoadFloat(builder, loc, elementType, context.paramPointer(param),
                         column);
  if (auto constant = dyn_cast<ConstantOp>(op))
    return emitFloat(builder, loc, constant.getValue().convertToDouble());
  if (auto unary = dyn_cast<UnaryOp>(op))
    return cpu::RowEmitter::applyUnary(builder, loc, unary.getKind(),
                                       operand(unary.getInput()));
  if (auto binary = dyn_cast<BinaryOp>(op)) {
    Value lhs = operand(binary.getLhs()), rhs = operand(binary.getRhs());
    return cpu::RowEmitter::applyBinary(builder, loc, binary.getKind(), lhs,
                                        rhs);
  }
  // Casts and views: other ops were refused before.
  return operand(op->getOperand(0));
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
  if (linear.getWeight().getType().getLayout())
    return reportNoCode(linear, " with a weight in groups");
  Value inputValue = viewed(linear.getInput());
  bool isStored = isa<BlockArgument>(inputValue);
  if (!isStored && failed(emitActivations(context, linear)))
    return failure();

  Part part;
  auto yielded = context.body().getTerminator()->getOperands();
  for (Value value : yielded)
    part.add(value, linear);
  part.add(weight.getOperation());
  if (bias)
    part.add(bias.getOperation());
  if (isStored)
    part.operands.insert(inputValue);
  part.readsPacked = !isStored;
  part.writesResults = true;
  for (Operation *op : part.ops) {
    auto binary = dyn_cast<BinaryOp>(op);
    if (!isa<ParamOp, ConstantOp, UnaryOp, BinaryOp, CastOp, ViewOp>(op) ||
        (binary && binary.getKind() == BinaryKind::Pow))
      return reportNoCode(op, " behind a product");
  }
  Product product{linear.getNumOutputs(),
                  linear.getNumInputs(),
                  linear.getInput().getType().getElementType(),
                  linear.getWeight().getType().getElementType(),
                  {},
                  {},
                  {}};
  auto store = [&](Value row, Value column, Value sum) {
    if (bias)
      sum = arith::AddFOp::create(
          builder, loc, sum,
          emitLoadFloat(builder, loc,
                        bias.getResult().getType().getElementType(),
                        context.paramPointer(bias), column));
    Value first =
        emitMul(builder, loc, row, emitIndex(builder, loc, product.n));
    for (auto [i, value] : llvm::enumerate(yielded))
      emitStoreFloat(
          builder, loc,
          emitEpilogue(context, value, linear.getResult(), row, column, sum),
          context.resultType(i), context.results[i],
          emitAdd(builder, loc, first, column));
  };
  for (const ProductKernel &kernel : productKernels(target, product)) {
    begin(context, part, kernel.suffix);
    markBuffers(context);
    context.codes.back().rows = kernel.rows;
    product.input =
        isStored ? context.buffers.lookup(inputValue) : context.packed;
    product.weight = context.paramPointer(weight);
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

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

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
  if (weight.getResult().getType().getLayout())
    return reportNoCode(op, " with a weight in groups");
  Location loc = op->getLoc();
  product.inputType =
      cast<NamedTensorType>(inputValue.getType()).getElementType();
  product.weightType = weight.getResult().getType().getElementType();
  product.isChosen = chosenValue != nullptr;
  auto store = [&](Value place, Value expert, Value column, Value sum) {
    Value n = emitIndex(builder, loc, product.n);
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
  for (const ExpertsKernel &kernel : expertsKernels(target, product)) {
    if (kernel.readsGroups && !std::exchange(isGrouped, true) &&
        failed(emitGroupsKernel(context, product, chosenValue, kernel.rows)))
      return failure();
    Part part;
    part.add(weight.getOperation());
    if (bias)
      part.add(bias.getOperation());
    part.operands.insert(inputValue);
    if (chosenValue && !kernel.readsGroups)
      part.operands.insert(chosenValue);
    part.readsPacked = kernel.readsGroups;
    part.writesResults = true;
    begin(context, part, kernel.suffix);
    markBuffers(context);
    context.codes.back().rows = kernel.rows;
    product.rows = context.rows;
    product.input = context.buffers.lookup(inputValue);
    product.weight = context.paramPointer(weight);
    product.chosen = context.buffers.lookup(chosenValue);
    product.groups = context.packed;
    {
      OpBuilder::InsertionGuard guard(builder);
      kernel.emit(builder, loc, product, store);
    }
    if (failed(finish(context, kernel.grid, kernel.sharedBytes)))
      return failure();
  }
  return success();
}

/// Emits the launch that groups the choices of `product` by experts, for steps
/// with at least the tokens of `rows`.
LogicalResult KernelEmitter::emitGroupsKernel(Context &context,
                                              ExpertsProduct product,
                                              Value chosen, RowRange rows) {
  Part part;
  part.operands.insert(chosen);
  part.writesPacked = true;
  begin(context, part, "_groups");
  context.codes.back().rows = {rows.first};
  product.rows = context.rows;
  product.chosen = context.buffers.lookup(chosen);
  product.groups = context.packed;
  packedBytesPerRow = std::max(packedBytesPerRow, groupBytesPerToken(product));
  {
    OpBuilder::InsertionGuard guard(context.builder);
    emitGroups(context.builder, context.kernel.getLoc(), product);
  }
  return finish(context, groupsGrid(), groupsSharedBytes(product));
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitAttentionKernel(Context &context) {
  AttendCachedOp attend = *context.body().getOps<AttendCachedOp>().begin();
  Value queryValue = viewed(attend.getQuery());
  if (!isa<BlockArgument>(queryValue) || context.kernel.getNumResults() != 1 ||
      viewed(context.body().getTerminator()->getOperand(0)) !=
          attend.getResult())
    return reportNoCode(attend, " with ops around it");
  for (auto [isThere, what] :
       {std::pair(attend.getBidirectional(), " in both directions"),
        {attend.getGroups() != nullptr, " in groups"}})
    if (isThere)
      return reportNoCode(attend, what);
  auto sink =
      attend.getSink() ? attend.getSink().getDefiningOp<ParamOp>() : ParamOp();
  if (attend.getSink() && !sink)
    return reportNoCode(attend, " with a sink that is no parameter");
  auto queryType = attend.getQuery().getType(),
       resultType = attend.getResult().getType();
  cpu::AttentionShape shape{
      queryType.getShape()[1],
      static_cast<int64_t>(attend.getKvHeads()),
      queryType.getShape()[2],
      resultType.getShape()[2],
      queryType.getElementType(),
      attend.getWindow(),
      static_cast<float>(attend.getScale().convertToDouble()),
      std::nullopt};
  if (attend.getSoftcap())
    shape.softcap = attend.getSoftcap()->convertToDouble();
  shape.hasSharedRows = attend.getShared();
  if (attend.getSlopes())
    shape.slopes = *attend.getSlopes();
  if (sink)
    shape.sinkType = sink.getResult().getType().getElementType();
  Part part;
  part.add(attend.getOperation());
  part.writesResults = true;
  begin(context, part, "");
  int64_t bytes =
      emitRowAttention(context.builder, attend.getLoc(), shape, context.step,
                       context.states.lookup(attend.getState()),
                       context.buffers.lookup(queryValue), context.results[0],
                       sink ? context.paramPointer(sink) : Value());
  return finish(context, rowAttentionGrid(shape), bytes);
}
