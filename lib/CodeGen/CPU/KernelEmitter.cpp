//===- KernelEmitter.cpp - One function for each kernel -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/KernelEmitter.h"

#include "lib/CodeGen/CPU/Attention.h"
#include "lib/CodeGen/CPU/Experts.h"
#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/Recurrent.h"
#include "lib/CodeGen/CPU/RowEmitter.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/KernelQueries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// Arguments before the buffers: step, layer row, thread, packed activations.
static constexpr unsigned numFixedArguments = 4;

/// What the code of one kernel refers to.
struct KernelEmitter::Context {
  OpBuilder builder;
  KernelOp kernel;
  ArrayRef<StringRef> params;
  bool outputIsF32;
  Value step, layerRow, thread, packed, numThreads, rows;
  llvm::DenseMap<Value, Value> buffers; ///< Of operands (block arguments).
  SmallVector<Value> results;           ///< Buffers of the yielded values.

  Block &body() { return kernel.getBody().front(); }
  Value paramPointer(ParamOp param, OpBuilder &b) const {
    Location loc = param.getLoc();
    auto place = llvm::find(params, param.getName()) - params.begin();
    Value first =
        emitToIndex(b, loc, LayerView(b, loc, layerRow).firstWeight());
    return StepView(b, loc, step)
        .weightAt(emitAdd(b, loc, first, emitIndex(b, loc, place)));
  }
  Value stateAddress(int64_t state, OpBuilder &b, Location loc) const {
    Value first = emitToIndex(b, loc, LayerView(b, loc, layerRow).firstState());
    return StepView(b, loc, step)
        .stateAt(emitAdd(b, loc, first, emitIndex(b, loc, state)));
  }
  Type resultType(unsigned i) {
    return clade::resultType(kernel, i, outputIsF32);
  }
};

FailureOr<func::FuncOp> KernelEmitter::emit(KernelOp kernel,
                                            ArrayRef<StringRef> params,
                                            bool outputIsF32) {
  std::string key = keyOf(kernel, params) + (outputIsF32 ? "f32" : "");
  if (auto it = functions.find(key); it != functions.end())
    return it->second;
  OpBuilder builder = OpBuilder::atBlockEnd(code.getBody());
  Location loc = kernel.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  SmallVector<Type> types{pointer, pointer, builder.getIndexType(), pointer};
  for (Value operand : kernel.getInputs())
    if (isa<NamedTensorType>(operand.getType()))
      types.push_back(pointer);
  types.append(kernel.getNumResults(), pointer);
  std::string name = prefix + stringifyKernelKind(kernel.getKind()).str() +
                     "_" + std::to_string(functions.size());
  auto function = func::FuncOp::create(builder, loc, name,
                                       builder.getFunctionType(types, {}));
  function.setPrivate();
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  StepView step(builder, loc, entry->getArgument(0));
  bool selected = worksOnSelected(kernel);
  Value rows = emitToIndex(builder, loc,
                           selected ? step.numSelected() : step.numTokens());
  Context context{builder,
                  kernel,
                  params,
                  outputIsF32,
                  entry->getArgument(0),
                  entry->getArgument(1),
                  entry->getArgument(2),
                  entry->getArgument(3),
                  emitToIndex(builder, loc, step.numThreads()),
                  rows,
                  llvm::DenseMap<Value, Value>(),
                  {}};
  unsigned next = numFixedArguments;
  for (BlockArgument argument : context.body().getArguments())
    if (isa<NamedTensorType>(argument.getType()))
      context.buffers[argument] = entry->getArgument(next++);
  for (unsigned i = 0; i < kernel.getNumResults(); ++i)
    context.results.push_back(entry->getArgument(next++));

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
  case KernelKind::Recurrent:
    result = emitRecurrentKernel(context);
    break;
  case KernelKind::Experts:
    result = context.body().getOps<HeadLinearOp>().empty()
                 ? emitExpertsKernel(context)
                 : emitHeadsKernel(context);
    break;
  }
  if (failed(result))
    return failure();
  func::ReturnOp::create(context.builder, loc);
  functions[key] = function;
  return function;
}

/// A loop over this thread's share of the rows.
static scf::ForOp rowLoop(OpBuilder &builder, Location loc, Value rows,
                          Value thread, Value numThreads) {
  // Contiguous ranges: row r belongs to thread r / ceil(rows / threads).
  Value share = emitCeilDiv(builder, loc, rows, numThreads);
  Value begin = emitMul(builder, loc, thread, share);
  Value end = arith::MinSIOp::create(builder, loc, rows,
                                     emitAdd(builder, loc, begin, share));
  return scf::ForOp::create(builder, loc, begin, end,
                            emitIndex(builder, loc, 1));
}

/// Binds the operands and parameters of a kernel for one row.
static void bindRow(RowEmitter &emitter, OpBuilder &builder, Block &body,
                    Value step, Value row,
                    const llvm::DenseMap<Value, Value> &buffers,
                    llvm::function_ref<Value(ParamOp)> paramPointer) {
  auto bind = [&](Value value, Value base, NamedTensorType type, Value at) {
    RowMemory memory;
    memory.elementType = type.getElementType();
    memory.layout = RowLayout::contiguous(type);
    if (at) {
      Value first = emitMul(
          builder, value.getLoc(), at,
          emitIndex(builder, value.getLoc(), memory.layout.numElements()));
      base =
          emitAddress(builder, value.getLoc(), base, memory.elementType, first);
    }
    memory.base = base;
    emitter.bind(value, memory);
  };
  for (BlockArgument argument : body.getArguments()) {
    auto type = dyn_cast<NamedTensorType>(argument.getType());
    if (type)
      bind(argument, buffers.lookup(argument), type,
           type.hasSequence() ? row : Value());
  }
  for (Operation &op : body) {
    if (auto param = dyn_cast<ParamOp>(op)) {
      bind(param.getResult(), paramPointer(param), param.getResult().getType(),
           {});
    } else if (auto select = dyn_cast<SelectOp>(op)) {
      // Rows of selected tokens lie apart in the buffer of all tokens.
      Value token = StepView(builder, op.getLoc(), step).selectedAt(row);
      if (Value buffer = buffers.lookup(viewed(select.getInput())))
        bind(select.getResult(), buffer, select.getResult().getType(), token);
    } else if (auto fold = dyn_cast<FoldOp>(op)) {
      // Tokens that become one follow each other in the buffer of all tokens.
      Value source = fold.getInput();
      while (auto view = source.getDefiningOp<ViewOp>())
        source = view.getInput();
      Value buffer = buffers.lookup(source);
      if (buffer && fold.getBatch())
        emitter.bindFold(fold, buffer);
      else if (buffer)
        bind(fold.getResult(), buffer, fold.getResult().getType(), row);
    }
  }
}

LogicalResult KernelEmitter::emitTokenwise(Context &context) {
  OpBuilder &builder = context.builder;
  Location loc = context.kernel.getLoc();
  Value scratchPointer =
      StepView(builder, loc, context.step).scratchOf(context.thread);
  auto loop =
      rowLoop(builder, loc, context.rows, context.thread, context.numThreads);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value row = loop.getInductionVar();
  RowEmitter emitter(builder, target, referenceRounding, context.step, row,
                     scratchPointer);
  emitter.stateAddress = [&](int64_t state) {
    return context.stateAddress(state, builder, loc);
  };
  emitter.publishedLayer = [&] {
    return LayerView(builder, loc, context.layerRow).layer();
  };
  bindRow(emitter, builder, context.body(), context.step, row, context.buffers,
          [&](ParamOp param) { return context.paramPointer(param, builder); });
  for (Operation &op : context.body().without_terminator())
    if (failed(emitter.evaluate(&op)))
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
  scratch.fixedBytes = std::max(scratch.fixedBytes, emitter.getScratchBytes());
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The product with a packed weight. Where every op rounds as the reference
/// does, activations must not be quantised.
ProductShape KernelEmitter::productOf(NamedTensorType weight, int64_t n,
                                      int64_t k, int64_t rowTile) const {
  ProductShape shape{n, k, weight.getElementType(), rowTile};
  if (auto blocks = dyn_cast_or_null<BlocksAttr>(weight.getLayout())) {
    shape.form = weightFormOf(blocks.getFormat());
    shape.isExact = referenceRounding;
  }
  if (weight.getElementType().isF16()) {
    shape.form = WeightForm::Half;
    shape.elementType = Float32Type::get(weight.getContext());
  }
  return shape;
}

LogicalResult KernelEmitter::emitPrologueRow(Context &context, LinearOp linear,
                                             Value row, Value packed,
                                             Value rowScratch,
                                             const ProductShape &shape,
                                             int64_t usedScratch) {
  OpBuilder &builder = context.builder;
  Location loc = linear.getLoc();
  int64_t k = shape.k;
  bool isDecoded = decodesWeights(target, shape),
       isPlain = isDecoded || !hasBlocks(shape.form);
  Type packedType = isDecoded ? builder.getBF16Type() : shape.elementType;
  Value numbers;
  if (!isPlain) {
    numbers = emitAddress(builder, loc, rowScratch, builder.getI8Type(),
                          emitIndex(builder, loc, usedScratch));
    usedScratch += groupRowBytes(shape);
    emitPadRow(builder, loc, shape, numbers);
  }
  Value memory = emitAddress(builder, loc, rowScratch, builder.getI8Type(),
                             emitIndex(builder, loc, usedScratch));
  // In the packed buffer a single row stands for itself.
  RowEmitter emitter(builder, target, referenceRounding, context.step, row,
                     memory);
  bindRow(emitter, builder, context.body(), context.step, row, context.buffers,
          [&](ParamOp param) { return context.paramPointer(param, builder); });
  for (Operation &op : context.body().without_terminator()) {
    if (&op == linear.getOperation())
      break;
    if (failed(emitter.evaluate(&op)))
      return failure();
  }
  Type own = linear.getInput().getType().getElementType();
  emitter.forEachFlatVector(
      linear.getInput(), [&](Value feature, Value vector, Value mask) {
        vector = emitter.roundTo(vector, own, loc);
        if (isPlain)
          emitStorePacked(builder, loc, target, packedType, shape.rowTile, k,
                          packed, row, feature, vector);
        else
          emitStore(builder, loc, vector, numbers, feature, mask);
      });
  if (!isPlain)
    emitPackGroups(builder, loc, target, shape, numbers, row, packed);
  scratch.fixedBytes =
      std::max(scratch.fixedBytes, usedScratch + emitter.getScratchBytes());
  return success();
}

/// The value of an epilogue op at a place of the result.
Value KernelEmitter::emitEpilogue(Context &context, Value value, Value heart,
                                  Value row, Value column, Value accumulator,
                                  Value mask) {
  OpBuilder &builder = context.builder;
  Location loc = value.getLoc();
  auto type = cast<NamedTensorType>(value.getType());
  RowEmitter rounding(builder, target, referenceRounding, context.step, row,
                      {});
  int64_t features = cast<NamedTensorType>(heart.getType()).getNumFeatures();
  if (value == heart)
    return rounding.roundTo(accumulator, type.getElementType(), loc);
  if (Value buffer = context.buffers.lookup(value)) {
    Value first = emitMul(builder, loc, row, emitIndex(builder, loc, features));
    return RowEmitter::loadVector(builder, loc, target.width,
                                  type.getElementType(), buffer,
                                  emitAdd(builder, loc, first, column), mask);
  }
  Operation *op = value.getDefiningOp();
  auto operand = [&](Value inner) {
    return emitEpilogue(context, inner, heart, row, column, accumulator, mask);
  };
  if (auto param = dyn_cast<ParamOp>(op))
    return RowEmitter::loadVector(
        builder, loc, target.width, type.getElementType(),
        context.paramPointer(param, builder), column, mask);
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    Value scalar = arith::ConstantOp::create(
        builder, loc,
        builder.getF32FloatAttr(constant.getValue().convertToDouble()));
    return emitSplat(builder, loc, scalar, target.width);
  }
  if (auto unary = dyn_cast<UnaryOp>(op))
    return rounding.roundTo(RowEmitter::applyUnary(builder, loc,
                                                   unary.getKind(),
                                                   operand(unary.getInput())),
                            type.getElementType(), loc);
  if (auto binary = dyn_cast<BinaryOp>(op)) {
    Value lhs = operand(binary.getLhs()), rhs = operand(binary.getRhs());
    return rounding.roundTo(
        RowEmitter::applyBinary(builder, loc, binary.getKind(), lhs, rhs),
        type.getElementType(), loc);
  }
  // Casts and views.
  return rounding.roundTo(operand(op->getOperand(0)), type.getElementType(),
                          loc);
}

/// The parameters that a product's weight lies in; null for anything else.
static SmallVector<ParamOp> partsOf(Value weight) {
  SmallVector<ParamOp> parts;
  if (auto stack = weight.getDefiningOp<StackRowsOp>())
    for (Value part : stack.getParts())
      parts.push_back(part.getDefiningOp<ParamOp>());
  else
    parts.push_back(weight.getDefiningOp<ParamOp>());
  return parts;
}

LogicalResult KernelEmitter::emitProductClass(Context &context, LinearOp linear,
                                              TokenClass tokens) {
  OpBuilder &builder = context.builder;
  Location loc = linear.getLoc();
  int64_t k = linear.getNumInputs(), n = linear.getNumOutputs();
  ProductShape shape =
      productOf(linear.getWeight().getType(), n, k, /*rowTile=*/1);
  int64_t rowTile = shape.rowTile = productRowTile(target, shape, tokens);
  SmallVector<ParamOp> parts = partsOf(linear.getWeight());
  if (!linear.getWeight().getType().getLayout())
    for (ParamOp part : parts)
      shape.partRows.push_back(part.getType().getNumFeatures() / k);
  int64_t tileBytes = packedActivationTileBytes(target, shape);
  Value threadScratch =
      StepView(builder, loc, context.step).scratchOf(context.thread);
  Value packed = context.packed;
  if (tokens == TokenClass::One) {
    // Every thread makes the one row for itself: no barrier.
    packed = threadScratch;
    int64_t bytes = llvm::alignTo(tileBytes, 64);
    scratch.fixedBytes = std::max(scratch.fixedBytes, bytes);
    if (failed(emitPrologueRow(context, linear, emitIndex(builder, loc, 0),
                               packed, threadScratch, shape, bytes)))
      return failure();
  } else {
    packedBytesPerRow =
        std::max(packedBytesPerRow,
                 static_cast<int64_t>(llvm::divideCeil(tileBytes, rowTile)));
    auto loop =
        rowLoop(builder, loc, context.rows, context.thread, context.numThreads);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      if (failed(emitPrologueRow(context, linear, loop.getInductionVar(),
                                 packed, threadScratch, shape, 0)))
        return failure();
    }
    emitBarrier(builder, loc, context.step, context.thread);
  }
  SmallVector<Value> weights;
  for (ParamOp part : parts)
    weights.push_back(context.paramPointer(part, builder));
  // Behind the barrier nothing else is there, unless every thread has a row.
  int64_t used = tokens == TokenClass::One ? llvm::alignTo(tileBytes, 64) : 0;
  scratch.fixedBytes =
      std::max(scratch.fixedBytes, used + productScratchBytes(target, shape));
  Value panel = emitAddress(builder, loc, threadScratch, builder.getI8Type(),
                            emitIndex(builder, loc, used));
  Value bias = linear.getBias()
                   ? context.paramPointer(
                         linear.getBias().getDefiningOp<ParamOp>(), builder)
                   : Value();
  auto yielded = context.body().getTerminator()->getOperands();
  emitProduct(
      builder, loc, target, shape, packed, weights, panel, context.rows,
      context.thread, context.numThreads,
      [&](OpBuilder &inner, Location, Value row, Value column,
          Value accumulator, Value mask) {
        OpBuilder saved = context.builder;
        context.builder = inner;
        OpBuilder &b = context.builder;
        if (bias) {
          Value value = RowEmitter::loadVector(
              b, loc, target.width, linear.getBias().getType().getElementType(),
              bias, column, mask);
          accumulator = arith::AddFOp::create(b, loc, accumulator, value);
        }
        for (auto [i, value] : llvm::enumerate(yielded)) {
          Value vector = emitEpilogue(context, value, linear.getResult(), row,
                                      column, accumulator, mask);
          Value first = emitMul(b, loc, row, emitIndex(b, loc, n));
          RowEmitter::storeVector(b, loc, vector, context.resultType(i),
                                  context.results[i],
                                  emitAdd(b, loc, first, column), mask);
        }
        inner = context.builder;
        context.builder = saved;
      });
  return success();
}

LogicalResult KernelEmitter::emitProductKernel(Context &context) {
  OpBuilder &builder = context.builder;
  Location loc = context.kernel.getLoc();
  LinearOp linear = *context.body().getOps<LinearOp>().begin();
  if (llvm::is_contained(partsOf(linear.getWeight()), ParamOp()) ||
      (linear.getBias() && !linear.getBias().getDefiningOp<ParamOp>()))
    return linear.emitError()
           << "expected a parameter as the weight of a product";
  auto atMost = [&](int64_t rows) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle,
                                 context.rows, emitIndex(builder, loc, rows));
  };
  LogicalResult result = success();
  auto emitClass = [&](Block *block, TokenClass tokens) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(block);
    result = success(succeeded(result) &&
                     succeeded(emitProductClass(context, linear, tokens)));
  };
  // No rows at all are the case of many: nothing runs but the barrier.
  Value isOne = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                      context.rows, emitIndex(builder, loc, 1));
  auto one = scf::IfOp::create(builder, loc, isOne, /*withElseRegion=*/true);
  emitClass(one.thenBlock(), TokenClass::One);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(one.elseBlock());
    auto few =
        scf::IfOp::create(builder, loc, atMost(8), /*withElseRegion=*/true);
    emitClass(few.thenBlock(), TokenClass::Few);
    emitClass(few.elseBlock(), TokenClass::Many);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitAttentionKernel(Context &context) {
  OpBuilder &builder = context.builder;
  AttendCachedOp attend = *context.body().getOps<AttendCachedOp>().begin();
  Location loc = attend.getLoc();
  Value queryValue = attend.getQuery();
  while (auto view = queryValue.getDefiningOp<ViewOp>())
    queryValue = view.getInput();
  Value query = context.buffers.lookup(queryValue);
  if (!query || context.results.size() != 1)
    return attend.emitError()
           << "expected the queries of an attention kernel to be an operand";
  auto queryType = attend.getQuery().getType(),
       resultType = attend.getResult().getType();
  AttentionShape shape{queryType.getShape()[1],
                       static_cast<int64_t>(attend.getKvHeads()),
                       queryType.getShape()[2],
                       resultType.getShape()[2],
                       queryType.getElementType(),
                       attend.getWindow(),
                       static_cast<float>(attend.getScale().convertToDouble()),
                       std::nullopt};
  if (attend.getSoftcap())
    shape.softcap = attend.getSoftcap()->convertToDouble();
  shape.referenceRounding =
      referenceRounding && queryType.getElementType().isBF16();
  shape.roundsDistance = attend.getModelSoftmax();
  shape.isBidirectional = attend.getBidirectional();
  shape.hasSharedRows = attend.getShared();
  if (attend.getSlopes())
    shape.slopes = *attend.getSlopes();
  Value groups;
  if (attend.getGroups()) {
    groups = context.buffers.lookup(attend.getGroups());
    if (!groups)
      return attend.emitError()
             << "expected the groups of an attention kernel to be an operand";
    shape.hasGroups = true;
  }
  Value sinks;
  if (attend.getSink()) {
    auto param = attend.getSink().getDefiningOp<ParamOp>();
    if (!param)
      return attend.emitError() << "expected a parameter as the sink";
    sinks = context.paramPointer(param, builder);
    shape.sinkType = param.getResult().getType().getElementType();
  }
  AttentionScratch need = attentionScratch(target, shape);
  scratch.fixedBytes = std::max(scratch.fixedBytes, need.fixedBytes);
  scratch.bytesPerContextToken =
      std::max(scratch.bytesPerContextToken, need.bytesPerToken);
  // Packed activations are of products, and their memory is free meanwhile.
  packedBytesPerSequence =
      std::max(packedBytesPerSequence, attentionSliceBytes(target, shape));
  emitAttention(builder, loc, target, shape, context.step,
                context.stateAddress(attend.getState(), builder, loc), query,
                context.results[0], context.thread, context.numThreads,
                StepView(builder, loc, context.step).scratchOf(context.thread),
                context.packed, sinks, groups);
  return success();
}

//===----------------------------------------------------------------------===//
// Recurrences
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitRecurrentKernel(Context &context) {
  OpBuilder &builder = context.builder;
  Block &body = context.body();
  RecurrentKernel kernel{
      builder,
      target,
      referenceRounding,
      body,
      context.step,
      context.thread,
      context.numThreads,
      [&](RowEmitter &emitter, Value token) {
        bindRow(emitter, builder, body, context.step, token, context.buffers,
                [&](ParamOp param) {
                  return context.paramPointer(param, builder);
                });
      },
      [&](int64_t state) {
        return context.stateAddress(state, builder, context.kernel.getLoc());
      }};
  auto yielded = body.getTerminator()->getOperands();
  FailureOr<int64_t> bytes = failure();
  if (auto scans = body.getOps<ScanOp>(); !scans.empty()) {
    ScanOp scan = *scans.begin();
    SmallVector<Value> results(scan.getNumResults());
    SmallVector<Type> types(scan.getNumResults(), builder.getF32Type());
    for (auto [i, value] : llvm::enumerate(yielded)) {
      auto result = dyn_cast<OpResult>(value);
      if (!result || result.getOwner() != scan)
        return scan.emitError()
               << "expected a kernel to yield only what its scan gives";
      results[result.getResultNumber()] = context.results[i];
      types[result.getResultNumber()] = context.resultType(i);
    }
    bytes = emitScan(kernel, scan, results, types);
  } else {
    CausalConvOp conv = *body.getOps<CausalConvOp>().begin();
    int64_t channels = conv.getNumChannels();
    bytes = emitCausalConv(
        kernel, conv,
        [&](Value token, Value channel, Value vector, Value mask) {
          Location loc = conv.getLoc();
          Value first =
              emitMul(builder, loc, token, emitIndex(builder, loc, channels));
          for (auto [i, value] : llvm::enumerate(yielded))
            RowEmitter::storeVector(
                builder, loc,
                emitEpilogue(context, value, conv.getResult(), token, channel,
                             vector, mask),
                context.resultType(i), context.results[i],
                emitAdd(builder, loc, first, channel), mask);
        });
  }
  if (failed(bytes))
    return failure();
  scratch.fixedBytes = std::max(scratch.fixedBytes, *bytes);
  return success();
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitExpertsKernel(Context &context) {
  OpBuilder &builder = context.builder;
  ExpertLinearOp linear = *context.body().getOps<ExpertLinearOp>().begin();
  Location loc = linear.getLoc();
  Value input = context.buffers.lookup(viewed(linear.getInput())),
        chosen = context.buffers.lookup(viewed(linear.getChosen()));
  auto weight = linear.getWeight().getDefiningOp<ParamOp>();
  auto bias =
      linear.getBias() ? linear.getBias().getDefiningOp<ParamOp>() : ParamOp();
  if (!input || !chosen || !weight ||
      !linear.getWeight().getType().getLayout() ||
      (linear.getBias() && !bias) || context.results.size() != 1)
    return linear.emitError()
           << "expected operands in memory and a packed parameter as the "
              "weight of a product by experts";
  Type elementType = linear.getInput().getType().getElementType();
  ExpertsShape shape{
      linear.getNumExperts(), linear.getNumActive(), linear.getNumOutputs(),
      linear.getNumInputs(),  elementType,           linear.hasActiveInput()};
  ProductShape product =
      productOf(linear.getWeight().getType(), shape.n, shape.k, /*rowTile=*/1);
  shape.form = product.form;
  shape.isExact = product.isExact;
  scratch.fixedBytes =
      std::max(scratch.fixedBytes, expertsScratchBytes(target, shape));
  packedBytesPerRow =
      std::max(packedBytesPerRow, expertsPlanBytesPerToken(shape));
  Value biasPointer = bias ? context.paramPointer(bias, builder) : Value();
  ExpertsOperands operands{
      context.step,
      input,
      chosen,
      context.paramPointer(weight, builder),
      context.packed,
      StepView(builder, loc, context.step).scratchOf(context.thread),
      context.rows,
      context.thread,
      context.numThreads};
  Value output = context.results[0];
  Type outputType = context.resultType(0),
       ownType = linear.getResult().getType().getElementType();
  emitExperts(
      builder, loc, target, shape, operands,
      [&](OpBuilder &b, Location, Value row, Value expert, Value column,
          Value accumulator, Value mask) {
        if (bias) {
          Value first = emitMul(b, loc, expert, emitIndex(b, loc, shape.n));
          Value value = RowEmitter::loadVector(
              b, loc, target.width, linear.getBias().getType().getElementType(),
              biasPointer, emitAdd(b, loc, first, column), mask);
          accumulator = arith::AddFOp::create(b, loc, accumulator, value);
        }
        RowEmitter rounding(b, target, referenceRounding, context.step, row,
                            {});
        accumulator = rounding.roundTo(accumulator, ownType, loc);
        Value first = emitMul(b, loc, row, emitIndex(b, loc, shape.n));
        RowEmitter::storeVector(b, loc, accumulator, outputType, output,
                                emitAdd(b, loc, first, column), mask);
      });
  return success();
}

LogicalResult KernelEmitter::emitHeadsKernel(Context &context) {
  OpBuilder &builder = context.builder;
  HeadLinearOp linear = *context.body().getOps<HeadLinearOp>().begin();
  Location loc = linear.getLoc();
  Value input = context.buffers.lookup(viewed(linear.getInput()));
  auto weight = linear.getWeight().getDefiningOp<ParamOp>();
  if (!input || !weight || !linear.getWeight().getType().getLayout() ||
      context.results.size() != 1)
    return linear.emitError() << "expected an operand in memory and a packed "
                                 "parameter as the weight of a product by "
                                 "heads";
  int64_t heads = linear.getNumHeads();
  ExpertsShape shape{heads,
                     heads,
                     linear.getNumOutputs(),
                     linear.getNumInputs(),
                     linear.getInput().getType().getElementType(),
                     /*perChoice=*/true,
                     /*choosesAll=*/true};
  scratch.fixedBytes =
      std::max(scratch.fixedBytes, expertsScratchBytes(target, shape));
  ExpertsOperands operands{
      context.step,
      input,
      /*chosen=*/{},
      context.paramPointer(weight, builder),
      /*plan=*/{},
      StepView(builder, loc, context.step).scratchOf(context.thread),
      context.rows,
      context.thread,
      context.numThreads};
  Type ownType = linear.getResult().getType().getElementType();
  emitExperts(builder, loc, target, shape, operands,
              [&](OpBuilder &b, Location, Value row, Value, Value column,
                  Value accumulator, Value mask) {
                RowEmitter rounding(b, target, referenceRounding, context.step,
                                    row, {});
                Value first = emitMul(b, loc, row, emitIndex(b, loc, shape.n));
                RowEmitter::storeVector(
                    b, loc, rounding.roundTo(accumulator, ownType, loc),
                    context.resultType(0), context.results[0],
                    emitAdd(b, loc, first, column), mask);
              });
  return success();
}
