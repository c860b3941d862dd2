//===- Evaluator.cpp - One step through a module --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Evaluator.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace clade;
using namespace clade::reference;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

WeightValues::WeightValues(rt::LoadedWeights loaded)
    : weights(std::move(loaded)), widened(weights.numSlots()) {}

/// The elements of `bytes`, little-endian, as f32.
static void widen(rt::ByteSpan bytes, Element element,
                  MutableArrayRef<float> values) {
  auto *data = reinterpret_cast<const char *>(bytes.data());
  for (auto [i, value] : llvm::enumerate(values)) {
    switch (element) {
    case Element::F32:
      value =
          std::bit_cast<float>(llvm::support::endian::read32le(data + 4 * i));
      break;
    case Element::BF16:
      value = rt::bf16ToF32(llvm::support::endian::read16le(data + 2 * i));
      break;
    case Element::F16:
      value = rt::f16ToF32(llvm::support::endian::read16le(data + 2 * i));
      break;
    case Element::I32:
      value =
          static_cast<int32_t>(llvm::support::endian::read32le(data + 4 * i));
      break;
    case Element::I1:
      value = data[i] != 0;
      break;
    }
  }
}

FailureOr<Tensor> WeightValues::get(ParamOp op, int64_t slot,
                                    const Batch &batch) {
  NamedTensorType type = op.getResult().getType();
  if (type.getLayout())
    return op.emitError() << "expected a weight that is not packed, got "
                          << type;
  FailureOr<Tensor> result = makeTensor(op, type, batch);
  if (failed(result))
    return failure();
  std::shared_ptr<std::vector<float>> &values = widened[slot];
  if (!values) {
    rt::ByteSpan bytes = weights.slot(slot);
    int64_t width = isNarrow(result->element)        ? 2
                    : result->element == Element::I1 ? 1
                                                     : 4;
    if (static_cast<int64_t>(bytes.size()) != result->size() * width)
      return op.emitError() << "expected a weight of " << result->size() * width
                            << " bytes, got " << bytes.size();
    values = result->elements;
    widen(bytes, result->element, *values);
  }
  result->elements = values;
  return result;
}

//===----------------------------------------------------------------------===//
// Evaluator
//===----------------------------------------------------------------------===//

namespace {
/// The values of one function or kernel that runs.
using Values = llvm::DenseMap<Value, Tensor>;

class Evaluator {
public:
  explicit Evaluator(const StepContext &context) : context(context) {}

  /// Runs `block` on `arguments`; those that are no tensors are left out.
  /// Returns the operands of its terminator.
  FailureOr<SmallVector<Tensor>> run(Block &block, ArrayRef<Tensor> arguments);

private:
  LogicalResult runOp(Operation &op, Values &values);
  template <typename Op> FailureOr<Tensor> runPure(Op op, Values &values);
  LogicalResult runTwoResults(Operation &op,
                              FailureOr<std::pair<Tensor, Tensor>> results,
                              Values &values);
  LogicalResult runLayers(LayersOp op, Values &values);
  LogicalResult runKernel(KernelOp op, Values &values);
  LogicalResult runScan(ScanOp op, Values &values);
  FailureOr<Tensor> runParam(ParamOp op);
  /// Shows the experts of each token and takes those that come back.
  LogicalResult route(TopKOp op, const Tensor &input,
                      std::pair<Tensor, Tensor> &chosen);
  /// Of each sequence of the step, state `state` of the layer that runs.
  SmallVector<KeyValueState *> states(int64_t state);
  SmallVector<RecurrentState *> recurrentStates(int64_t state);

  LogicalResult define(Operation &op, unsigned number, FailureOr<Tensor> value,
                       Values &values);
  LogicalResult defineAll(Operation &op, FailureOr<SmallVector<Tensor>> results,
                          Values &values);

  const StepContext &context;
  /// The row of the schedule that runs; null outside of layers.
  const LayerSlots *layer = nullptr;
  /// Nobody observes the ops of a scan: they run once for each token.
  bool inScan = false;
};
} // namespace

/// The value of `operand`, a tensor that some op or argument before defines.
static const Tensor &valueOf(Value operand, const Values &values) {
  return values.find(operand)->second;
}

/// The tensors among `operands`; a batch is no tensor.
static SmallVector<Tensor> tensorsOf(ValueRange operands,
                                     const Values &values) {
  SmallVector<Tensor> tensors;
  for (Value operand : operands)
    if (auto it = values.find(operand); it != values.end())
      tensors.push_back(it->second);
  return tensors;
}

LogicalResult Evaluator::define(Operation &op, unsigned number,
                                FailureOr<Tensor> value, Values &values) {
  if (failed(value))
    return failure();
  if (context.observer && !inScan)
    context.observer({&op, number, layer ? layer->layer : -1, *value});
  values[op.getResult(number)] = std::move(*value);
  return success();
}

LogicalResult Evaluator::defineAll(Operation &op,
                                   FailureOr<SmallVector<Tensor>> results,
                                   Values &values) {
  if (failed(results))
    return failure();
  for (auto [number, result] : llvm::enumerate(*results))
    if (failed(define(op, number, result, values)))
      return failure();
  return success();
}

FailureOr<SmallVector<Tensor>> Evaluator::run(Block &block,
                                              ArrayRef<Tensor> arguments) {
  Values values;
  const Tensor *next = arguments.begin();
  for (BlockArgument argument : block.getArguments()) {
    if (isa<NamedTensorType>(argument.getType()))
      values[argument] = *next++;
  }
  for (Operation &op : block) {
    if (isa<func::ReturnOp, YieldOp>(op))
      return tensorsOf(op.getOperands(), values);
    if (failed(runOp(op, values)))
      return failure();
  }
  llvm_unreachable("a verified block ends in a terminator");
}

SmallVector<KeyValueState *> Evaluator::states(int64_t state) {
  SmallVector<KeyValueState *> result;
  for (SequenceStates *sequence : context.sequences)
    result.push_back(&sequence->caches[layer->firstState + state]);
  return result;
}

SmallVector<RecurrentState *> Evaluator::recurrentStates(int64_t state) {
  SmallVector<RecurrentState *> result;
  for (SequenceStates *sequence : context.sequences)
    result.push_back(&sequence->recurrent[layer->firstState + state]);
  return result;
}

FailureOr<Tensor> Evaluator::runParam(ParamOp op) {
  ArrayRef<StringRef> params = context.slots.globals;
  if (layer)
    params = context.slots.kinds[layer->kind].params;
  const StringRef *found = llvm::find(params, op.getName());
  int64_t first = layer ? layer->firstWeight : 0;
  return context.weights.get(op, first + (found - params.begin()),
                             context.batch);
}

LogicalResult Evaluator::runKernel(KernelOp op, Values &values) {
  SmallVector<Tensor> inputs = tensorsOf(op.getInputs(), values);
  return defineAll(*op, run(op.getBody().front(), inputs), values);
}

/// The row of `token`, as a tensor of its own.
static FailureOr<Tensor> rowOf(Operation *op, const Tensor &input,
                               int64_t token, const Batch &batch) {
  if (!input.type.hasSequence())
    return input;
  FailureOr<Tensor> row = makeTensor(op, tokenRow(input.type), batch);
  if (succeeded(row))
    llvm::copy(input.data().slice(token * input.rowSize(), input.rowSize()),
               row->data().begin());
  return row;
}

LogicalResult Evaluator::runScan(ScanOp op, Values &values) {
  const Batch &batch = context.batch;
  SmallVector<Tensor> initial = tensorsOf(op.getInitial(), values),
                      inputs = tensorsOf(op.getInputs(), values);
  SmallVector<Tensor> results;
  for (Type type : op.getResultTypes()) {
    FailureOr<Tensor> result =
        makeTensor(op, cast<NamedTensorType>(type), batch);
    if (failed(result))
      return failure();
    results.push_back(*result);
  }
  SmallVector<RecurrentState *> states = recurrentStates(op.getState());
  size_t numCarried = initial.size(), size = 0;
  for (const Tensor &tensor : initial)
    size += tensor.size();
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    std::vector<float> &state = states[batch.sequenceOf[token]]->values;
    if (state.empty())
      for (const Tensor &tensor : initial)
        llvm::append_range(state, tensor.data());
    if (state.size() != size)
      return op.emitError() << "expected a state of " << size << " values, got "
                            << state.size();
    SmallVector<Tensor> arguments;
    size_t place = 0;
    for (const Tensor &tensor : initial) {
      FailureOr<Tensor> carried = makeTensor(op, tensor.type, batch);
      if (failed(carried))
        return failure();
      llvm::copy(ArrayRef(state).slice(place, tensor.size()),
                 carried->data().begin());
      place += tensor.size();
      arguments.push_back(*carried);
    }
    for (const Tensor &input : inputs) {
      FailureOr<Tensor> row = rowOf(op, input, token, batch);
      if (failed(row))
        return failure();
      arguments.push_back(*row);
    }
    bool outer = std::exchange(inScan, true);
    FailureOr<SmallVector<Tensor>> yielded =
        run(op.getBody().front(), arguments);
    inScan = outer;
    if (failed(yielded))
      return failure();
    place = 0;
    for (const Tensor &next : ArrayRef(*yielded).take_front(numCarried)) {
      llvm::copy(next.data(), state.begin() + place);
      place += next.size();
    }
    for (auto [result, row] :
         llvm::zip_equal(results, ArrayRef(*yielded).drop_front(numCarried)))
      llvm::copy(row.data(), result.data().begin() + token * result.rowSize());
  }
  return defineAll(*op, std::move(results), values);
}

LogicalResult Evaluator::runLayers(LayersOp op, Values &values) {
  ModuleOp module = context.module;
  auto schedule = module.lookupSymbol<ScheduleOp>(op.getSchedule());
  if (layer)
    return op.emitError() << "expected layers to run outside of layers";
  SmallVector<Tensor> inputs = tensorsOf(op.getInputs(), values);
  int64_t first = context.slots.firstLayer.lookup(op.getSchedule());
  int64_t numLayers = schedule.getRows().size();
  for (const LayerSlots &row :
       ArrayRef(context.slots.layers).slice(first, numLayers)) {
    layer = &row;
    func::FuncOp kind = context.slots.kinds[row.kind].function;
    FailureOr<SmallVector<Tensor>> carried = failure();
    if (kind.isExternal())
      kind.emitError() << "expected a layer function with a body";
    else
      carried = run(kind.getBody().front(), inputs);
    layer = nullptr;
    if (failed(carried))
      return failure();
    llvm::copy(*carried, inputs.begin());
  }
  inputs.truncate(op.getNumResults());
  return defineAll(*op, std::move(inputs), values);
}

LogicalResult
Evaluator::runTwoResults(Operation &op,
                         FailureOr<std::pair<Tensor, Tensor>> results,
                         Values &values) {
  if (failed(results))
    return failure();
  return defineAll(op, SmallVector<Tensor>{results->first, results->second},
                   values);
}

LogicalResult Evaluator::route(TopKOp op, const Tensor &input,
                               std::pair<Tensor, Tensor> &chosen) {
  int64_t size = input.shape.back(), count = chosen.first.shape.back();
  MutableArrayRef<float> values = chosen.first.data(),
                         indices = chosen.second.data();
  std::vector<int32_t> experts(count);
  for (int64_t token = 0; token < input.size() / size; ++token) {
    MutableArrayRef<float> places = indices.slice(token * count, count);
    llvm::copy(places, experts.begin());
    context.router(context.batch.sequenceOf[token],
                   {static_cast<int32_t>(layer->layer),
                    context.batch.positions[token], experts,
                    static_cast<int32_t>(size)});
    for (auto [i, expert] : llvm::enumerate(experts)) {
      if (expert < 0 || expert >= size)
        return op.emitError() << "expected an expert from 0 to " << size - 1
                              << ", got " << expert;
      places[i] = static_cast<float>(expert);
      values[token * count + i] = input.data()[token * size + expert];
    }
  }
  return success();
}

/// An op whose rule takes its operands one by one.
template <typename Op>
FailureOr<Tensor> Evaluator::runPure(Op op, Values &values) {
  const Batch &batch = context.batch;
  auto at = [&](Value operand) -> const Tensor & {
    return valueOf(operand, values);
  };
  if constexpr (std::is_same_v<Op, ConstantOp> ||
                std::is_same_v<Op, PositionsOp> ||
                std::is_same_v<Op, GridPositionsOp> ||
                std::is_same_v<Op, GridWindowsOp>)
    return evaluate(op, batch);
  else if constexpr (std::is_same_v<Op, BinaryOp>)
    return evaluate(op, at(op.getLhs()), at(op.getRhs()), batch);
  else if constexpr (std::is_same_v<Op, EmbedOp>)
    return evaluate(op, at(op.getIds()), at(op.getTable()), batch);
  else if constexpr (std::is_same_v<Op, InterpolateOp>)
    return evaluate(op, at(op.getTable()), batch);
  else if constexpr (std::is_same_v<Op, GatherOp>)
    return evaluate(op, at(op.getInput()), at(op.getIndices()), batch);
  else if constexpr (std::is_same_v<Op, MemberOp>)
    return evaluate(op, at(op.getIndices()), batch);
  else if constexpr (std::is_same_v<Op, WhereOp>)
    return evaluate(op, at(op.getCondition()), at(op.getOnTrue()),
                    at(op.getOnFalse()), batch);
  else if constexpr (std::is_same_v<Op, RopeOp>)
    return evaluate(op, at(op.getInput()), at(op.getCos()), at(op.getSin()),
                    batch);
  else
    return evaluate(op, at(op.getInput()), batch);
}

LogicalResult Evaluator::runOp(Operation &op, Values &values) {
  const Batch &batch = context.batch;
  auto at = [&](Value operand) -> const Tensor & {
    return valueOf(operand, values);
  };
  auto defineResult = [&](Operation *op, FailureOr<Tensor> value) {
    return define(*op, 0, std::move(value), values);
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<UnaryOp, BinaryOp, CastOp, ConstantOp, ReduceOp, SoftmaxOp, ViewOp,
            SliceOp, SpreadOp, RepeatOp, SelectOp, PositionsOp, RopeOp, EmbedOp,
            GatherOp, MemberOp, WhereOp, GridPositionsOp, GridWindowsOp,
            InterpolateOp, FoldOp, PutAtOp>(
          [&](auto op) { return defineResult(op, runPure(op, values)); })
      .Case([&](ParamOp op) { return defineResult(op, runParam(op)); })
      .Case([&](JoinOp op) {
        return defineResult(
            op, evaluate(op, tensorsOf(op.getInputs(), values), batch));
      })
      .Case([&](LinearOp op) {
        const Tensor *bias = op.getBias() ? &at(op.getBias()) : nullptr;
        return defineResult(op, evaluate(op, at(op.getInput()),
                                         at(op.getWeight()), bias, batch));
      })
      .Case([&](HeadLinearOp op) {
        return defineResult(
            op, evaluate(op, at(op.getInput()), at(op.getWeight()), batch));
      })
      .Case([&](RotaryTableOp op) {
        return runTwoResults(*op, evaluate(op, at(op.getPositions()), batch),
                             values);
      })
      .Case([&](GridFramesOp op) {
        return runTwoResults(*op, evaluate(op, batch), values);
      })
      .Case([&](TopKOp op) {
        auto results = evaluate(op, at(op.getInput()), batch);
        if (succeeded(results) && op.getRouted() && layer && context.router)
          if (failed(route(op, at(op.getInput()), *results)))
            return LogicalResult(failure());
        return runTwoResults(*op, std::move(results), values);
      })
      .Case([&](ExpertLinearOp op) {
        const Tensor *bias = op.getBias() ? &at(op.getBias()) : nullptr;
        return defineResult(op,
                            evaluate(op, at(op.getInput()), at(op.getChosen()),
                                     at(op.getWeight()), bias, batch));
      })
      .Case([&](AdapterChoiceOp op) {
        const Tensor *chosen = op.getChosen() ? &at(op.getChosen()) : nullptr;
        return defineResult(op, evaluate(op, chosen, batch));
      })
      .Case([&](MixOp op) {
        return defineResult(op,
                            evaluate(op, at(op.getInput()), at(op.getShare()),
                                     at(op.getChosen()), batch));
      })
      .Case([&](LayersOp op) { return runLayers(op, values); })
      .Case([&](KernelOp op) { return runKernel(op, values); })
      .Case([&](ScanOp op) { return runScan(op, values); })
      .Case([&](CausalConvOp op) {
        const Tensor *bias = op.getBias() ? &at(op.getBias()) : nullptr;
        return defineResult(
            op, evaluate(op, at(op.getInput()), at(op.getWeight()), bias,
                         recurrentStates(op.getState()), batch));
      })
      .Case([&](AttendOp op) {
        const Tensor *sink = op.getSink() ? &at(op.getSink()) : nullptr;
        const Tensor *groups = op.getGroups() ? &at(op.getGroups()) : nullptr;
        return defineResult(op, evaluate(op, at(op.getQuery()), at(op.getKey()),
                                         at(op.getValue()), sink, groups,
                                         states(op.getState()), batch));
      })
      .Case([&](CacheWriteOp op) {
        return evaluate(op, at(op.getKey()), at(op.getValue()),
                        states(op.getState()), batch);
      })
      .Case([&](AttendCachedOp op) {
        const Tensor *sink = op.getSink() ? &at(op.getSink()) : nullptr;
        const Tensor *groups = op.getGroups() ? &at(op.getGroups()) : nullptr;
        return defineResult(op, evaluate(op, at(op.getQuery()), sink, groups,
                                         states(op.getState()), batch));
      })
      .Default([](Operation *op) {
        return op->emitError()
               << "expected an op with an interpreter rule, got '"
               << op->getName() << "'";
      });
}

FailureOr<Tensor> reference::evaluateEntry(func::FuncOp entry,
                                           const StepContext &context) {
  auto type = cast<NamedTensorType>(entry.getArgumentTypes().front());
  FailureOr<Tensor> ids = makeTensor(entry, type, context.batch);
  if (failed(ids))
    return failure();
  bool isText = type.getElementType().isInteger();
  if (!isText &&
      ids->size() != static_cast<int64_t>(context.batch.pixels.size()))
    return entry.emitError()
           << "expected " << ids->size() << " values of patches, got "
           << context.batch.pixels.size();
  if (isText)
    llvm::copy(context.batch.ids, ids->data().begin());
  else
    llvm::copy(context.batch.pixels, ids->data().begin());
  SmallVector<Tensor> arguments{*ids};
  if (entry.getNumArguments() == 3) {
    FailureOr<Tensor> types = makeTensor(entry, type, context.batch);
    if (failed(types))
      return failure();
    llvm::copy(context.batch.types, types->data().begin());
    arguments.push_back(*types);
  }
  FailureOr<SmallVector<Tensor>> results =
      Evaluator(context).run(entry.getBody().front(), arguments);
  if (failed(results))
    return failure();
  if (results->size() != 1)
    return entry.emitError() << "expected one result, got " << results->size();
  return results->front();
}
