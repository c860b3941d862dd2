//===- KernelEmitter.cpp - GPU kernels of a clade.kernel ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/KernelParts.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/Attention.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/Compile.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitMul;
using cpu::StepView;

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
    result = emitRecurrentKernel(context);
    break;
  }
  if (failed(result))
    return failure();
  auto &codes = kernels[key];
  codes = std::move(context.codes);
  return ArrayRef<KernelCode>(codes);
}

/// Whether a choice is one of experts, of each token one.
static bool isShown(TopKOp op) {
  return op.getRouted() &&
         RowLayout::contiguous(op.getIndices().getType()).rank() == 1;
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
    if (auto convolution = dyn_cast<CausalConvOp>(op))
      addOnce(states, convolution.getState());
    if (auto scan = dyn_cast<ScanOp>(op))
      addOnce(states, scan.getState());
  }
  SmallVector<TopKOp> choices;
  for (Operation *op : part.ops)
    if (auto topK = dyn_cast<TopKOp>(op); topK && isShown(topK)) {
      arguments.push_back(
          {KernelArgument::Choices, static_cast<int64_t>(choices.size())});
      choices.push_back(topK);
      kernel.choices.emplace_back(topK.getIndices().getType().getShape().back(),
                                  topK.getInput().getType().getShape().back());
    }
  for (int64_t param : params)
    arguments.push_back({KernelArgument::Param, param});
  for (int64_t state : states)
    arguments.push_back({KernelArgument::State, state});
  bool hasPacked = part.readsPacked || part.writesPacked;
  if (hasPacked)
    arguments.push_back({KernelArgument::Packed});
  if (part.usesPartial)
    arguments.push_back({KernelArgument::Partial});
  size_t firstMap = 1 + arguments.size(); // Behind the step.
  llvm::append_range(arguments, part.maps);
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
  SmallVector<int32_t> mapNumbers;
  for (size_t i = 0; i < part.maps.size(); ++i)
    mapNumbers.push_back(static_cast<int32_t>(firstMap + i));
  if (!mapNumbers.empty())
    context.function->setAttr(tensorMapsAttr,
                              builder.getDenseI32ArrayAttr(mapNumbers));
  Block &entry = context.function.getBody().front();
  builder.setInsertionPointToStart(&entry);
  unsigned next = 0;
  context.step = entry.getArgument(next++);
  context.buffers.clear();
  context.states.clear();
  context.choices.clear();
  context.results.clear();
  context.maps.clear();
  context.paramPointers.assign(context.params.size(), Value());
  for (BlockArgument operand : operands)
    context.buffers[operand] = entry.getArgument(next++);
  for (TopKOp topK : choices)
    context.choices[topK] = entry.getArgument(next++);
  for (int64_t param : params)
    context.paramPointers[param] = entry.getArgument(next++);
  for (int64_t state : states)
    context.states[state] = entry.getArgument(next++);
  context.packed = hasPacked ? entry.getArgument(next++) : Value();
  context.partial = part.usesPartial ? entry.getArgument(next++) : Value();
  for (size_t i = 0; i < part.maps.size(); ++i)
    context.maps.push_back(entry.getArgument(next++));
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
    if (argument.map)
      continue;
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
  for (auto [topK, pointer] : context.choices)
    emitter.bindChoices(cast<TopKOp>(topK), pointer);
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
    } else if (auto fold = dyn_cast<FoldOp>(op)) {
      // Tokens that become one follow each other in the buffer of all tokens.
      Value buffer = context.buffers.lookup(viewed(fold.getInput()));
      if (buffer && fold.getBatch())
        emitter.bindFold(fold, buffer);
      else if (buffer)
        bind(fold.getResult(), buffer, fold.getResult().getType(), row);
      else
        return reportNoCode(op, " of what its own kernel computes");
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
// Attention
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitAttentionKernel(Context &context) {
  AttendCachedOp attend = *context.body().getOps<AttendCachedOp>().begin();
  Value queryValue = viewed(attend.getQuery());
  if (!isa<BlockArgument>(queryValue) || context.kernel.getNumResults() != 1 ||
      viewed(context.body().getTerminator()->getOperand(0)) !=
          attend.getResult())
    return reportNoCode(attend, " with ops around it");
  Value groups = attend.getGroups();
  if (groups && !isa<BlockArgument>(groups))
    return reportNoCode(attend, " in groups that its own kernel computes");
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
  shape.isBidirectional = attend.getBidirectional();
  shape.hasGroups = groups != nullptr;
  shape.hasSharedRows = attend.getShared();
  if (attend.getSlopes())
    shape.slopes = *attend.getSlopes();
  if (sink)
    shape.sinkType = sink.getResult().getType().getElementType();
  partialBytes = std::max(partialBytes, cuda::partialBytes(shape));
  for (const AttentionKernel &kernel : attentionKernels(target, shape)) {
    Part part;
    if (kernel.readsState) {
      part.ops.insert(attend);
      part.operands.insert(queryValue);
      if (groups)
        part.operands.insert(groups);
    }
    // Slices know nothing of the sink: it counts once.
    if (sink && !kernel.writesPartial)
      part.ops.insert(sink);
    part.usesPartial = kernel.writesPartial || kernel.readsPartial;
    part.writesResults = !kernel.writesPartial;
    begin(context, part, kernel.suffix);
    context.codes.back().ranges = kernel.ranges;
    // As many registers as a thread can use: assemblers spill a few for one
    // more block.
    context.function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                              context.builder.getI32IntegerAttr(1));
    AttentionOperands operands;
    operands.step = context.step;
    operands.partial = context.partial;
    if (kernel.readsState) {
      operands.state = context.states.lookup(attend.getState());
      operands.queries = context.buffers.lookup(queryValue);
      if (groups)
        operands.groups = context.buffers.lookup(groups);
    }
    if (part.writesResults) {
      operands.output = context.results[0];
      operands.sinks = sink ? context.paramPointer(sink) : Value();
    }
    {
      OpBuilder::InsertionGuard guard(context.builder);
      kernel.emit(context.builder, attend.getLoc(), operands);
    }
    if (failed(finish(context, kernel.grid, kernel.sharedBytes)))
      return failure();
  }
  return success();
}
