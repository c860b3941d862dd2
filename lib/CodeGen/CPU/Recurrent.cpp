//===- Recurrent.cpp - Kernels with a state of fixed size -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Recurrent.h"

#include "lib/CodeGen/CPU/ChunkedScan.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// A loop over this thread's share of `count` tasks, neighbours together.
static scf::ForOp taskLoop(RecurrentKernel &kernel, Location loc, Value count) {
  OpBuilder &b = kernel.builder;
  Value share = emitCeilDiv(b, loc, count, kernel.numThreads);
  Value begin = emitMul(b, loc, kernel.thread, share);
  Value end =
      arith::MinSIOp::create(b, loc, count, emitAdd(b, loc, begin, share));
  return scf::ForOp::create(b, loc, begin, end, emitIndex(b, loc, 1));
}

namespace {
/// One task: some part of one sequence.
struct SequenceTask {
  Value part;            ///< Which of the parts of the sequence.
  Value firstToken, end; ///< Its tokens in the step.
  Value state;           ///< The sequence's bytes in the state.
};
} // namespace

/// Takes the number of a task apart: `parts` of them are one sequence's.
static SequenceTask taskOf(RecurrentKernel &kernel, Location loc, Value task,
                           int64_t parts, int64_t state, int64_t stateBytes) {
  OpBuilder &b = kernel.builder;
  Value count = emitIndex(b, loc, parts);
  Value sequence = arith::DivUIOp::create(b, loc, task, count);
  StepView step(b, loc, kernel.step);
  SequenceTask result;
  result.part = arith::RemUIOp::create(b, loc, task, count);
  result.firstToken = step.firstTokenAt(sequence);
  result.end =
      step.firstTokenAt(emitAdd(b, loc, sequence, emitIndex(b, loc, 1)));
  RecurrentStateView view(b, loc, kernel.stateAddress(state));
  Value page = view.pageAt(sequence);
  result.state =
      emitAddress(b, loc, view.memory(), b.getI8Type(),
                  emitMul(b, loc, page, emitIndex(b, loc, stateBytes)));
  return result;
}

/// Evaluates the views and constants that a kernel re-derives before `op`.
static LogicalResult evaluateBefore(RowEmitter &emitter, Block &body,
                                    Operation *op) {
  for (Operation &inner : body) {
    if (&inner == op)
      return success();
    if (failed(emitter.evaluate(&inner)))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

/// The weights of each tap for the channels of a vector: stored are the taps of
/// one channel after the other.
static SmallVector<Value> loadTaps(RecurrentKernel &kernel, CausalConvOp op,
                                   Value base, Value channel, Value lanes) {
  OpBuilder &b = kernel.builder;
  Location loc = op.getLoc();
  int64_t width = kernel.target.width, taps = op.getNumTaps();
  Value count = emitIndex(b, loc, taps);
  Value mask;
  if (lanes)
    mask = vector::CreateMaskOp::create(
        b, loc, VectorType::get({width * taps}, b.getI1Type()),
        ValueRange{emitMul(b, loc, lanes, count)});
  Value all = RowEmitter::loadVector(
      b, loc, width * taps, op.getWeight().getType().getElementType(), base,
      emitMul(b, loc, channel, count), mask);
  SmallVector<Value> weights;
  for (int64_t tap = 0; tap < taps; ++tap) {
    SmallVector<int64_t> places;
    for (int64_t lane = 0; lane < width; ++lane)
      places.push_back(lane * taps + tap);
    weights.push_back(vector::ShuffleOp::create(b, loc, all, all, places));
  }
  return weights;
}

FailureOr<int64_t> cpu::emitCausalConv(RecurrentKernel &kernel, CausalConvOp op,
                                       ConvolutionStore store) {
  OpBuilder &b = kernel.builder;
  Location loc = op.getLoc();
  const Target &target = kernel.target;
  int64_t width = target.width, channels = op.getNumChannels(),
          taps = op.getNumTaps();
  Type elementType = op.getInput().getType().getElementType();
  int64_t blocks = llvm::divideCeil(channels, width);
  StepView step(b, loc, kernel.step);
  Value sequences = emitToIndex(b, loc, step.numSequences());
  Value scratch = step.scratchOf(kernel.thread);
  auto loop = taskLoop(kernel, loc,
                       emitMul(b, loc, sequences, emitIndex(b, loc, blocks)));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SequenceTask task = taskOf(kernel, loc, loop.getInductionVar(), blocks,
                             op.getState(), op.getStateBytes());
  Value channel = emitMul(b, loc, task.part, emitIndex(b, loc, width));
  Value lanes, mask;
  if (channels % width != 0) {
    Value left =
        arith::SubIOp::create(b, loc, emitIndex(b, loc, channels), channel);
    lanes = arith::MinSIOp::create(b, loc, left, emitIndex(b, loc, width));
    mask = vector::CreateMaskOp::create(
        b, loc, VectorType::get({width}, b.getI1Type()), ValueRange{lanes});
  }

  // The weights are the same for all tokens.
  int64_t scratchBytes = 0;
  RowEmitter before(b, target, kernel.referenceRounding, kernel.step,
                    task.firstToken, scratch);
  kernel.bindRow(before, task.firstToken);
  if (failed(evaluateBefore(before, kernel.body, op)))
    return failure();
  RowMemory weight = before.memoryOf(op.getWeight());
  SmallVector<Value> weights =
      loadTaps(kernel, op, weight.base, channel, lanes);
  Value bias;
  if (op.getBias()) {
    RowMemory memory = before.memoryOf(op.getBias());
    bias = RowEmitter::loadVector(b, loc, width, memory.elementType,
                                  memory.base, channel, mask);
  }
  auto stateIndex = [&](int64_t row) {
    return emitAdd(b, loc, emitIndex(b, loc, row * channels), channel);
  };
  SmallVector<Value> past;
  for (int64_t row = 0; row + 1 < taps; ++row)
    past.push_back(RowEmitter::loadVector(b, loc, width, elementType,
                                          task.state, stateIndex(row), mask));

  auto tokens = scf::ForOp::create(b, loc, task.firstToken, task.end,
                                   emitIndex(b, loc, 1), past);
  {
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(tokens.getBody());
    Value token = tokens.getInductionVar();
    RowEmitter emitter(b, target, kernel.referenceRounding, kernel.step, token,
                       scratch);
    kernel.bindRow(emitter, token);
    if (failed(evaluateBefore(emitter, kernel.body, op)))
      return failure();
    RowMemory input = emitter.memoryOf(op.getInput());
    Value place = emitAdd(b, loc, emitIndex(b, loc, input.offset), channel);
    SmallVector<Value> window(tokens.getRegionIterArgs());
    window.push_back(RowEmitter::loadVector(b, loc, width, input.elementType,
                                            input.base, place, mask));
    Value sum = bias;
    for (auto [value, factor] : llvm::zip_equal(window, weights))
      sum = sum ? emitMultiplyAdd(b, loc, target, value, factor, sum)
                : Value(arith::MulFOp::create(b, loc, value, factor));
    store(token, channel, sum, mask);
    if (taps > 1)
      scf::YieldOp::create(b, loc, ArrayRef(window).drop_front());
    scratchBytes = emitter.getScratchBytes();
  }
  for (auto [row, value] : llvm::enumerate(tokens.getResults()))
    RowEmitter::storeVector(b, loc, value, elementType, task.state,
                            stateIndex(row), mask);
  return std::max(scratchBytes, before.getScratchBytes());
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

namespace {
/// Emits the code of one scan.
class ScanEmitter {
public:
  ScanEmitter(RecurrentKernel &kernel, ScanOp op, ArrayRef<Value> results,
              ArrayRef<Type> resultTypes)
      : kernel(kernel), op(op), results(results), resultTypes(resultTypes),
        b(kernel.builder), loc(op.getLoc()),
        emitter(kernel.builder, kernel.target, kernel.referenceRounding,
                kernel.step, {}, {}) {}

  FailureOr<int64_t> run();

private:
  bool keepsAxis(StringRef axis, int64_t size);
  void numberOps();
  int64_t placeOf(Operation *user);
  bool isDeadAfter(Value value, int64_t place);
  void bindInputs(RowEmitter &to);
  LogicalResult emitInitial(const SequenceTask &task, Value scratch);
  LogicalResult evaluateInvariants();
  FailureOr<Value> emitChunks(const SequenceTask &task);
  LogicalResult emitParts(RowEmitter &rows, const LinearRecurrence &recurrence,
                          ChunkEmitter &chunk, Value token, Value place);
  LogicalResult emitToken(Value token);
  LogicalResult emitBody();
  void storeCarried();

  RecurrentKernel &kernel;
  ScanOp op;
  ArrayRef<Value> results;
  ArrayRef<Type> resultTypes;
  OpBuilder &b;
  Location loc;
  RowEmitter emitter;
  /// The axis whose indices are tasks of their own; empty if there is none.
  StringRef parallelAxis;
  Value parallelIndex;
  int64_t numParts = 1, scratchBytes = 0;
  llvm::DenseMap<Operation *, int64_t> numbers;
  SmallVector<RowMemory> carriedMemory;
  /// The value that lies in each carried tensor's memory.
  SmallVector<Value> current;
};
} // namespace

/// Whether every op of the body computes each index of the axis by itself.
bool ScanEmitter::keepsAxis(StringRef axis, int64_t size) {
  auto has = [&](Type type) {
    return cast<NamedTensorType>(type).find(axis) >= 0;
  };
  auto fits = [&](Type type) {
    int64_t place = cast<NamedTensorType>(type).find(axis);
    return place < 0 || cast<NamedTensorType>(type).getShape()[place] == size;
  };
  Block &body = op.getBody().front();
  if (!llvm::all_of(body.getArgumentTypes(), fits) ||
      !llvm::all_of(op.getYield().getOperandTypes(), has))
    return false;
  for (Operation &inner : body.without_terminator()) {
    Type result = inner.getResult(0).getType();
    if (!fits(result))
      return false;
    bool reads = llvm::any_of(inner.getOperandTypes(), has);
    if (auto reduce = dyn_cast<ReduceOp>(inner)) {
      if (reads && !has(result))
        return false;
    } else if (!isa<UnaryOp, BinaryOp, CastOp, SpreadOp, ConstantOp, WhereOp>(
                   inner)) {
      // A repetition may make the axis, of groups that all heads compute.
      if (reads || (has(result) && !isa<RepeatOp>(inner)))
        return false;
    }
  }
  return true;
}

void ScanEmitter::numberOps() {
  for (Operation &inner : op.getBody().front())
    numbers[&inner] = numbers.size();
}

/// The last op at whose place `user` reads its operands: an expression does so
/// where it is used.
int64_t ScanEmitter::placeOf(Operation *user) {
  int64_t place = numbers.lookup(user);
  bool isElementwise = isa<UnaryOp, BinaryOp, WhereOp, RepeatOp>(user);
  bool isSeen = isa<ViewOp, SliceOp, CastOp, SpreadOp>(user);
  bool isComputed = isElementwise ? emitter.isKept(user) : !isSeen;
  if (isComputed)
    return place;
  for (Operation *next : user->getUsers())
    place = std::max(place, placeOf(next));
  return place;
}

bool ScanEmitter::isDeadAfter(Value value, int64_t place) {
  return llvm::all_of(value.getUsers(),
                      [&](Operation *user) { return placeOf(user) <= place; });
}

void ScanEmitter::bindInputs(RowEmitter &to) {
  for (auto [input, argument] : llvm::zip_equal(op.getInputs(), op.getRows()))
    to.bind(argument, to.memoryOf(input));
}

/// Writes the initial values where the sequence begins. Its memory is zero.
LogicalResult ScanEmitter::emitInitial(const SequenceTask &task,
                                       Value scratch) {
  auto isZero = [](Value value) {
    auto spread = value.getDefiningOp<SpreadOp>();
    auto constant =
        spread ? spread.getInput().getDefiningOp<ConstantOp>() : ConstantOp();
    return constant && constant.getValue().isZero();
  };
  if (llvm::all_of(op.getInitial(), isZero))
    return success();
  Value position = StepView(b, loc, kernel.step).positionAt(task.firstToken);
  Value begins = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                       position, emitIndex(b, loc, 0));
  auto branch = scf::IfOp::create(b, loc, begins);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  RowEmitter first(b, kernel.target, kernel.referenceRounding, kernel.step,
                   task.firstToken, scratch);
  kernel.bindRow(first, task.firstToken);
  if (failed(evaluateBefore(first, kernel.body, op)))
    return failure();
  if (parallelIndex)
    first.pin(parallelAxis, parallelIndex);
  for (auto [initial, memory] : llvm::zip_equal(op.getInitial(), carriedMemory))
    first.storeInto(initial, memory);
  scratchBytes = std::max(scratchBytes, first.getScratchBytes());
  return success();
}

/// Computes what does not depend on the token, once for all of them.
LogicalResult ScanEmitter::evaluateInvariants() {
  llvm::DenseSet<Value> variant;
  variant.insert(op.getCarried().begin(), op.getCarried().end());
  for (auto [input, argument] : llvm::zip_equal(op.getInputs(), op.getRows()))
    if (cast<NamedTensorType>(input.getType()).hasSequence())
      variant.insert(argument);
  for (Operation &inner : op.getBody().front().without_terminator()) {
    bool changes = llvm::any_of(inner.getOperands(), [&](Value operand) {
      return variant.contains(operand);
    });
    if (changes) {
      variant.insert(inner.getResult(0));
      continue;
    }
    if (failed(emitter.evaluate(&inner)))
      return failure();
    if (isa<UnaryOp, BinaryOp, WhereOp, RepeatOp>(inner))
      (void)emitter.memoryOf(inner.getResult(0));
    numbers.erase(&inner); // Not for each token.
  }
  return success();
}

/// Runs the ops of the region. A new value of a carried tensor is computed over
/// the old one as soon as nothing reads that any more.
LogicalResult ScanEmitter::emitBody() {
  for (Operation &inner : op.getBody().front().without_terminator()) {
    if (!numbers.count(&inner))
      continue;
    bool isElementwise =
        isa<UnaryOp, BinaryOp, WhereOp>(inner) && emitter.isKept(&inner);
    bool isDone = false;
    for (size_t i = 0; isElementwise && !isDone && i < current.size(); ++i) {
      Value result = inner.getResult(0);
      auto yielded = op.getYield().getOperands().take_front(current.size());
      bool isOthers =
          llvm::any_of(llvm::enumerate(yielded), [&](const auto &next) {
            return next.value() == result && next.index() != i;
          });
      if (result.getType() != current[i].getType() || isOthers ||
          !isDeadAfter(current[i], numbers.lookup(&inner)))
        continue;
      emitter.storeInto(result, carriedMemory[i]);
      current[i] = result;
      isDone = true;
    }
    if (!isDone && failed(emitter.evaluate(&inner)))
      return failure();
  }
  return success();
}

/// Puts the next carried tensors into their memory.
void ScanEmitter::storeCarried() {
  auto yielded = op.getYield().getOperands().take_front(current.size());
  // One may be computed from the memory of another.
  if (current.size() > 1)
    for (auto [next, value] : llvm::zip_equal(yielded, current))
      if (next != value)
        emitter.copyToScratch(next);
  for (auto [next, value, memory] :
       llvm::zip_equal(yielded, current, carriedMemory))
    if (next != value)
      emitter.storeInto(next, memory);
}

/// Evaluates the parts of a recurrence for a token, into its place of a chunk.
LogicalResult ScanEmitter::emitParts(RowEmitter &rows,
                                     const LinearRecurrence &recurrence,
                                     ChunkEmitter &chunk, Value token,
                                     Value place) {
  rows.setRow(token);
  rows.unpin();
  kernel.bindRow(rows, token);
  if (failed(evaluateBefore(rows, kernel.body, op)))
    return failure();
  bindInputs(rows);
  rows.pin(parallelAxis, parallelIndex);
  std::pair<Value, Value> parts[] = {
      {recurrence.logDecay, chunk.logDecayAt(place)},
      {recurrence.key, chunk.keyAt(place)},
      {recurrence.value, chunk.valueAt(place)},
      {recurrence.query, chunk.queryAt(place)},
      {recurrence.rate, recurrence.rate ? chunk.rateAt(place) : Value()}};
  llvm::SetVector<Operation *> needed;
  for (auto [value, pointer] : parts)
    if (Operation *maker = value ? value.getDefiningOp() : nullptr)
      needed.insert(maker);
  for (size_t i = 0; i < needed.size(); ++i)
    for (Value operand : needed[i]->getOperands())
      if (Operation *maker = operand.getDefiningOp())
        needed.insert(maker);
  for (Operation &inner : op.getBody().front().without_terminator())
    if (needed.contains(&inner) && numbers.count(&inner) &&
        failed(rows.evaluate(&inner)))
      return failure();
  for (auto [value, pointer] : parts) {
    if (!value)
      continue;
    // Features of a head are numbered behind those of the heads before it.
    auto type = cast<NamedTensorType>(value.getType());
    int64_t features =
        type.getRank() > 0 ? type.getNumFeatures() / recurrence.heads : 0;
    Value before = emitMul(b, loc, parallelIndex, emitIndex(b, loc, features)),
          to = pointer;
    rows.forEachVector(value, [&](Value feature, Value vector, Value mask) {
      RowEmitter::storeVector(
          b, loc, rows.roundTo(vector, type.getElementType(), loc),
          b.getF32Type(), to, arith::SubIOp::create(b, loc, feature, before),
          mask);
    });
  }
  return success();
}

/// Computes the whole chunks of a sequence with matrix products. Gives the
/// first token behind them.
FailureOr<Value> ScanEmitter::emitChunks(const SequenceTask &task) {
  auto recurrence = LinearRecurrence::match(op);
  int64_t chunk = op.getChunk().value_or(0);
  if (chunk == 0 || chunk % kernel.target.width != 0 || !recurrence ||
      parallelAxis.empty())
    return task.firstToken;
  RowEmitter rows = emitter;
  ChunkEmitter chunks(b, loc, kernel.target, *recurrence, chunk,
                      rows.reserve(ChunkEmitter::scratchBytes(
                          kernel.target, *recurrence, chunk)));
  Value size = emitIndex(b, loc, chunk), zero = emitIndex(b, loc, 0);
  Value tokens = arith::SubIOp::create(b, loc, task.end, task.firstToken);
  Value count = arith::DivUIOp::create(b, loc, tokens, size);
  Value isAny =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, count, zero);
  Value end = emitAdd(b, loc, task.firstToken, emitMul(b, loc, count, size));
  OpBuilder::InsertionGuard guard(b);
  auto branch = scf::IfOp::create(b, loc, isAny);
  b.setInsertionPointToStart(branch.thenBlock());
  int64_t elements = recurrence->keySize * recurrence->valueSize;
  Value state =
      emitAddress(b, loc, carriedMemory.front().base, b.getF32Type(),
                  emitMul(b, loc, parallelIndex, emitIndex(b, loc, elements)));
  chunks.loadState(state);
  auto loop = scf::ForOp::create(b, loc, task.firstToken, end, size);
  {
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(loop.getBody());
    Value first = loop.getInductionVar();
    auto fill = scf::ForOp::create(b, loc, zero, size, emitIndex(b, loc, 1));
    {
      OpBuilder::InsertionGuard innermost(b);
      b.setInsertionPointToStart(fill.getBody());
      Value place = fill.getInductionVar();
      if (failed(emitParts(rows, *recurrence, chunks,
                           emitAdd(b, loc, first, place), place)))
        return failure();
    }
    chunks.run();
    if (results.front())
      chunks.forEachResult([&](Value place, Value element, Value vector,
                               Value mask) {
        Type own =
            cast<NamedTensorType>(op.getResult(0).getType()).getElementType();
        Value row = emitAdd(b, loc,
                            emitMul(b, loc, emitAdd(b, loc, first, place),
                                    emitIndex(b, loc, recurrence->heads)),
                            parallelIndex);
        Value at = emitAdd(
            b, loc,
            emitMul(b, loc, row, emitIndex(b, loc, recurrence->valueSize)),
            element);
        RowEmitter::storeVector(b, loc, rows.roundTo(vector, own, loc),
                                resultTypes.front(), results.front(), at, mask);
      });
  }
  chunks.storeState(state);
  scratchBytes = std::max(scratchBytes, rows.getScratchBytes());
  return end;
}

LogicalResult ScanEmitter::emitToken(Value token) {
  emitter.setRow(token);
  emitter.unpin();
  kernel.bindRow(emitter, token);
  if (failed(evaluateBefore(emitter, kernel.body, op)))
    return failure();
  bindInputs(emitter);
  if (parallelIndex)
    emitter.pin(parallelAxis, parallelIndex);
  current.assign(op.getCarried().begin(), op.getCarried().end());
  for (auto [carried, memory] : llvm::zip_equal(op.getCarried(), carriedMemory))
    emitter.bind(carried, memory);
  if (failed(emitBody()))
    return failure();
  auto emitted = op.getYield().getOperands().drop_front(current.size());
  for (auto [value, base, type] :
       llvm::zip_equal(emitted, results, resultTypes)) {
    if (!base) // Nobody reads it.
      continue;
    int64_t features = cast<NamedTensorType>(value.getType()).getNumFeatures();
    Value first = emitMul(b, loc, token, emitIndex(b, loc, features));
    emitter.storeRow(value, emitAddress(b, loc, base, type, first), type);
  }
  storeCarried();
  return success();
}

FailureOr<int64_t> ScanEmitter::run() {
  if (!op.getInitial().empty()) {
    auto type = cast<NamedTensorType>(op.getInitial().front().getType());
    if (type.getRank() > 0 &&
        keepsAxis(type.getNames()[0].getValue(), type.getShape()[0])) {
      parallelAxis = type.getNames()[0].getValue();
      numParts = type.getShape()[0];
    }
  }
  numberOps();
  StepView step(b, loc, kernel.step);
  Value sequences = emitToIndex(b, loc, step.numSequences());
  Value scratch = step.scratchOf(kernel.thread);
  auto loop = taskLoop(kernel, loc,
                       emitMul(b, loc, sequences, emitIndex(b, loc, numParts)));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SequenceTask task = taskOf(kernel, loc, loop.getInductionVar(), numParts,
                             op.getState(), op.getStateBytes());
  if (!parallelAxis.empty())
    parallelIndex = task.part;
  for (auto [i, initial] : llvm::enumerate(op.getInitial())) {
    RowMemory memory;
    memory.elementType = b.getF32Type();
    memory.layout =
        RowLayout::contiguous(cast<NamedTensorType>(initial.getType()));
    memory.base = emitAddress(b, loc, task.state, b.getI8Type(),
                              emitIndex(b, loc, op.getStateOffset(i)));
    carriedMemory.push_back(memory);
  }
  if (failed(emitInitial(task, scratch)))
    return failure();
  emitter.setScratch(scratch);
  emitter.setRow(task.firstToken);
  kernel.bindRow(emitter, task.firstToken);
  if (failed(evaluateBefore(emitter, kernel.body, op)))
    return failure();
  bindInputs(emitter);
  if (parallelIndex)
    emitter.pin(parallelAxis, parallelIndex);
  if (failed(evaluateInvariants()))
    return failure();
  FailureOr<Value> first = emitChunks(task);
  if (failed(first))
    return failure();
  auto tokens =
      scf::ForOp::create(b, loc, *first, task.end, emitIndex(b, loc, 1));
  b.setInsertionPointToStart(tokens.getBody());
  if (failed(emitToken(tokens.getInductionVar())))
    return failure();
  return std::max(scratchBytes, emitter.getScratchBytes());
}

FailureOr<int64_t> cpu::emitScan(RecurrentKernel &kernel, ScanOp op,
                                 ArrayRef<Value> results,
                                 ArrayRef<Type> resultTypes) {
  return ScanEmitter(kernel, op, results, resultTypes).run();
}
