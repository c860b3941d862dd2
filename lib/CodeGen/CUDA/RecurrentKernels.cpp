//===- RecurrentKernels.cpp - GPU kernels with a state of fixed size ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions and scans: what their blocks read and write. Threads of
// convolutions and of linear recurrences run through rows of several tokens, so
// these must lie in memory: what would have to be computed there first is
// refused. Other scans are a block for each sequence, which computes one token
// after another.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/KernelParts.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/ChunkScan.h"
#include "lib/CodeGen/CUDA/Convolution.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;
using cpu::StepView;

LogicalResult KernelEmitter::emitRecurrentKernel(Context &context) {
  for (Operation &op : context.body()) {
    if (auto scan = dyn_cast<ScanOp>(op))
      return emitScanKernel(context, scan);
    if (auto convolution = dyn_cast<CausalConvOp>(op))
      return emitConvolutionKernel(context, convolution);
  }
  return reportNoCode(context.kernel);
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitConvolutionKernel(Context &context,
                                                   CausalConvOp convolution) {
  OpBuilder &builder = context.builder;
  Location loc = convolution.getLoc();
  auto weight = convolution.getWeight().getDefiningOp<ParamOp>();
  auto bias = convolution.getBias()
                  ? convolution.getBias().getDefiningOp<ParamOp>()
                  : ParamOp();
  if (!weight || (convolution.getBias() && !bias))
    return reportNoCode(convolution, " with a weight that is no parameter");
  // What follows is done where the sums are; what comes before, where they are
  // read.
  Part before, part;
  before.add(convolution.getInput());
  auto yielded = context.body().getTerminator()->getOperands();
  for (Value value : yielded)
    part.add(value, convolution);
  if (failed(checkEpilogue(part, "a convolution")))
    return failure();
  for (Operation *op : before.ops)
    part.ops.insert(op);
  for (Value operand : before.operands)
    part.operands.insert(operand);
  for (Operation *op : {convolution.getOperation(), weight.getOperation(),
                        bias ? bias.getOperation() : nullptr})
    if (op)
      part.ops.insert(op);
  part.writesResults = true;
  begin(context, part, "_convolution");
  Convolution code{convolution.getNumChannels(),
                   convolution.getNumTaps(),
                   convolution.getStateBytes(),
                   convolution.getInput().getType().getElementType(),
                   weight.getResult().getType().getElementType(),
                   bias ? bias.getResult().getType().getElementType() : Type(),
                   context.step,
                   context.states.lookup(convolution.getState()),
                   context.paramPointer(weight),
                   bias ? context.paramPointer(bias) : Value(),
                   {}};
  bool isStored = true;
  code.input = [&](Value token, Value channel) {
    RowEmitter emitter(builder, loc, rowThreads, context.step, token);
    RowIndex index;
    index.axes.emplace_back(
        RowLayout::contiguous(convolution.getInput().getType()).names[0],
        channel);
    emitter.keepViews();
    isStored &= succeeded(evaluateRow(emitter, context, before, token));
    Value x = emitter.valueAt(convolution.getInput(), index);
    isStored &= emitter.getSharedBytes() == 0;
    return x;
  };
  {
    OpBuilder::InsertionGuard guard(builder);
    emitConvolution(
        builder, loc, code, [&](Value token, Value channel, Value sum) {
          Value first = emitMul(builder, loc, token,
                                emitIndex(builder, loc, code.channels));
          for (auto [i, value] : llvm::enumerate(yielded))
            emitStoreFloat(builder, loc,
                           emitEpilogue(context, value, convolution.getResult(),
                                        token, channel, sum),
                           context.resultType(i), context.results[i],
                           emitAdd(builder, loc, first, channel));
        });
  }
  if (!isStored)
    return reportNoCode(convolution, " of what its own kernel computes");
  return finish(context, convolutionGrid(code.channels), /*sharedBytes=*/0);
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

/// The place of a part of a recurrence: of a head, or at a key or a value.
static RowIndex partIndex(Value part, Value head, Value at) {
  RowIndex index;
  auto layout = RowLayout::contiguous(cast<NamedTensorType>(part.getType()));
  for (auto [name, place] : llvm::zip(layout.names, std::array{head, at}))
    index.axes.emplace_back(name, place);
  return index;
}

/// Whether a tensor is zero everywhere.
static bool isZero(Value value) {
  auto spread = value.getDefiningOp<SpreadOp>();
  auto constant =
      spread ? spread.getInput().getDefiningOp<ConstantOp>() : ConstantOp();
  return constant && constant.getValue().isZero();
}

/// Whether all that the parts of a recurrence are made of can be an expression,
/// where it is used.
static bool hasPlainParts(ScanOp scan) {
  llvm::SmallPtrSet<Operation *, 16> ofMatrix;
  for (Operation &op : scan.getBody().front().without_terminator()) {
    bool isOfMatrix = llvm::any_of(op.getOperands(), [&](Value operand) {
      Operation *maker = operand.getDefiningOp();
      return maker ? ofMatrix.contains(maker)
                   : llvm::is_contained(scan.getCarried(), operand);
    });
    if (isOfMatrix)
      ofMatrix.insert(&op);
    else if (!isa<UnaryOp, BinaryOp, CastOp, SpreadOp, RepeatOp, ConstantOp,
                  WhereOp, ViewOp, SliceOp>(op))
      return false;
  }
  return true;
}

LogicalResult KernelEmitter::emitScanKernel(Context &context, ScanOp scan) {
  for (Value value : context.body().getTerminator()->getOperands())
    if (value.getDefiningOp() != scan)
      return reportNoCode(scan, " with ops behind it");
  Part before;
  for (Value operand : scan->getOperands())
    before.add(operand);
  auto recurrence = LinearRecurrence::match(scan);
  return recurrence && hasPlainParts(scan)
             ? emitLinearScanKernels(context, scan, *recurrence, before)
             : emitRowScanKernel(context, scan, before);
}

/// Begins the gpu.func of a scan whose operands are `before`.
void KernelEmitter::beginScan(Context &context, ScanOp scan, const Part &before,
                              StringRef suffix) {
  Part part = before;
  part.ops.insert(scan);
  part.writesResults = true;
  begin(context, part, suffix);
}

/// What the gpu.func at hand reads and writes of a linear recurrence. `isPlain`
/// becomes false if that has to be computed by more than expressions.
LinearScan KernelEmitter::linearScan(Context &context, ScanOp scan,
                                     const LinearRecurrence &recurrence,
                                     const Part &before, bool &isPlain) {
  OpBuilder &builder = context.builder;
  Location loc = scan.getLoc();
  LinearScan code{recurrence,
                  scan.getStateBytes(),
                  context.step,
                  context.states.lookup(scan.getState()),
                  {},
                  {},
                  {}};
  /// The kernel's values for a token. Ops of the region are expressions, but
  /// for views, which say where something is.
  auto bindToken = [this, &context, &before, &isPlain, scan](Value token) {
    ScanOp op = scan;
    auto emitter = std::make_shared<RowEmitter>(
        context.builder, op.getLoc(), rowThreads, context.step, token);
    emitter->keepViews();
    isPlain &= succeeded(evaluateRow(*emitter, context, before, token));
    for (auto [input, argument] : llvm::zip_equal(op.getInputs(), op.getRows()))
      emitter->bindTo(argument, input);
    for (Operation &inner : op.getBody().front())
      if (isa<ViewOp, SliceOp>(inner))
        isPlain &= succeeded(emitter->evaluate(&inner));
    isPlain &= emitter->getSharedBytes() == 0;
    return emitter;
  };
  code.rowAt = [bindToken](Value token) {
    return [emitter = bindToken(token)](Value part, Value head, Value at) {
      return emitter->valueAt(part, partIndex(part, head, at));
    };
  };
  Value initial = scan.getInitial()[0];
  if (!isZero(initial))
    code.initial = [bindToken, initial, keysAreLast = recurrence.keysAreLast](
                       Value token, Value head, Value key, Value value) {
      auto layout =
          RowLayout::contiguous(cast<NamedTensorType>(initial.getType()));
      RowIndex index;
      index.axes = {{layout.names[0], head},
                    {layout.names[keysAreLast ? 2 : 1], key},
                    {layout.names[keysAreLast ? 1 : 2], value}};
      return bindToken(token)->valueAt(initial, index);
    };
  code.store = [&builder, loc, &context, heads = recurrence.heads,
                size = recurrence.valueSize](Value token, Value head,
                                             Value value, Value y) {
    Value row = emitAdd(
        builder, loc,
        emitMul(builder, loc, token, emitIndex(builder, loc, heads)), head);
    Value first = emitMul(builder, loc, row, emitIndex(builder, loc, size));
    emitStoreFloat(builder, loc, y, context.resultType(0), context.results[0],
                   emitAdd(builder, loc, first, value));
  };
  return code;
}

LogicalResult
KernelEmitter::emitLinearScanKernels(Context &context, ScanOp scan,
                                     const LinearRecurrence &recurrence,
                                     const Part &before) {
  OpBuilder &builder = context.builder;
  bool isPlain = true;
  // What models in f32 compute is compared exactly.
  bool isNarrow = llvm::any_of(before.operands, [](Value operand) {
    auto type = dyn_cast<NamedTensorType>(operand.getType());
    return type && type.getElementType().isBF16();
  });
  bool hasChunks = isNarrow && canScanChunks(target, recurrence);
  for (bool isChunked : {false, true}) {
    if (isChunked && !hasChunks)
      break;
    beginScan(context, scan, before, isChunked ? "_scan_chunks" : "_scan");
    LinearScan code = linearScan(context, scan, recurrence, before, isPlain);
    Grid grid =
        isChunked ? chunkScanGrid(recurrence) : linearScanGrid(recurrence);
    {
      OpBuilder::InsertionGuard guard(builder);
      if (isChunked)
        emitChunkScan(builder, scan.getLoc(), code);
      else
        emitLinearScan(builder, scan.getLoc(), code, hasChunks);
    }
    if (!isPlain)
      return reportNoCode(scan, " of what its own kernel computes");
    LaunchRange range{{}, grid.columns};
    if (isChunked)
      range = {{chunkedRun}, grid.columns, chunkedRun};
    else if (hasChunks)
      range.maxShortest = chunkedRun - 1;
    context.codes.back().ranges = {range};
    if (failed(
            finish(context, grid, isChunked ? chunkScanShared(recurrence) : 0)))
      return failure();
  }
  return success();
}

/// Emits a token of a scan whose carried tensors lie in `carried`.
LogicalResult KernelEmitter::emitScanToken(Context &context, ScanOp scan,
                                           const Part &before, Value token,
                                           ArrayRef<RowMemory> carried,
                                           int64_t &sharedBytes) {
  OpBuilder &builder = context.builder;
  Location loc = scan.getLoc();
  RowEmitter emitter(builder, loc, rowThreads, context.step, token);
  if (failed(evaluateRow(emitter, context, before, token)))
    return failure();
  for (auto [input, argument] :
       llvm::zip_equal(scan.getInputs(), scan.getRows()))
    emitter.bind(argument, emitter.memoryOf(input));
  for (auto [argument, memory] : llvm::zip_equal(scan.getCarried(), carried))
    emitter.bind(argument, memory);
  for (Operation &op : scan.getBody().front().without_terminator())
    if (failed(emitter.evaluate(&op)))
      return failure();
  auto yielded = scan.getYield().getOperands();
  for (auto [i, value] :
       llvm::enumerate(context.body().getTerminator()->getOperands())) {
    Value row =
        yielded[carried.size() + cast<OpResult>(value).getResultNumber()];
    Type type = context.resultType(i);
    int64_t features = cast<NamedTensorType>(row.getType()).getNumFeatures();
    Value first =
        emitMul(builder, loc, token, emitIndex(builder, loc, features));
    emitter.storeRow(
        row, cpu::emitAddress(builder, loc, context.results[i], type, first),
        type);
  }
  // Nothing is written before all that reads it has.
  SmallVector<RowMemory> next;
  for (Value value : yielded.take_front(carried.size()))
    next.push_back(emitter.copyOf(value));
  for (auto [value, memory, copy] : llvm::zip(yielded, carried, next)) {
    emitter.bind(value, copy);
    emitter.storeInto(value, memory);
  }
  sharedBytes = std::max(sharedBytes, emitter.getSharedBytes());
  return success();
}

/// A scan of any ops: a block has a sequence, and its threads share the places
/// of each value.
LogicalResult KernelEmitter::emitRowScanKernel(Context &context, ScanOp scan,
                                               const Part &before) {
  beginScan(context, scan, before, "_scan");
  OpBuilder &builder = context.builder;
  Location loc = scan.getLoc();
  StepView view(builder, loc, context.step);
  Value token = emitBlock(builder, loc, Axis::Y);
  Value sequence = view.sequenceAt(token), zero = emitIndex(builder, loc, 0),
        one = emitIndex(builder, loc, 1);
  auto isEqual = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, x, y);
  };
  int64_t sharedBytes = 0;
  {
    OpBuilder::InsertionGuard guard(builder);
    auto own = scf::IfOp::create(builder, loc,
                                 isEqual(view.firstTokenAt(sequence), token));
    builder.setInsertionPointToStart(own.thenBlock());
    cpu::RecurrentStateView state(builder, loc,
                                  context.states.lookup(scan.getState()));
    SmallVector<RowMemory> carried;
    for (auto [i, initial] : llvm::enumerate(scan.getInitial())) {
      Value first =
          emitAdd(builder, loc,
                  emitMul(builder, loc, state.pageAt(sequence),
                          emitIndex(builder, loc, scan.getStateBytes())),
                  emitIndex(builder, loc,
                            scan.getStateOffset(static_cast<unsigned>(i))));
      RowMemory &memory = carried.emplace_back();
      memory.elementType = builder.getF32Type();
      memory.layout =
          RowLayout::contiguous(cast<NamedTensorType>(initial.getType()));
      memory.base = cpu::emitAddress(builder, loc, state.memory(),
                                     builder.getI8Type(), first);
    }
    if (!llvm::all_of(scan.getInitial(), isZero)) {
      OpBuilder::InsertionGuard inner(builder);
      auto begins = scf::IfOp::create(builder, loc,
                                      isEqual(view.positionAt(token), zero));
      builder.setInsertionPointToStart(begins.thenBlock());
      RowEmitter emitter(builder, loc, rowThreads, context.step, token);
      if (failed(evaluateRow(emitter, context, before, token)))
        return failure();
      for (auto [value, memory] : llvm::zip_equal(scan.getInitial(), carried))
        emitter.storeInto(value, memory);
      sharedBytes = emitter.getSharedBytes();
    }
    Value end = view.firstTokenAt(emitAdd(builder, loc, sequence, one));
    auto tokens = scf::ForOp::create(builder, loc, token, end, one);
    builder.setInsertionPointToStart(tokens.getBody());
    if (failed(emitScanToken(context, scan, before, tokens.getInductionVar(),
                             carried, sharedBytes)))
      return failure();
  }
  return finish(context, {1, 1, rowThreads}, sharedBytes);
}
