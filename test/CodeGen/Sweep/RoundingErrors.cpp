//===- RoundingErrors.cpp - How far a kernel may be off -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Sweep/RoundingErrors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace clade;
using namespace clade::cpu::test;
using clade::reference::Event;
using clade::reference::Tensor;

/// Twice the unit of f32.
static constexpr double eps = 0x1p-23;
/// What polynomials for functions are exact to, in units in the last place.
static constexpr double unitsOfFunctions = 8;

static double largestIn(ArrayRef<float> values) {
  double largest = 0;
  for (float value : values)
    largest = std::max(largest, std::abs(double(value)));
  return largest;
}

/// The value of an operand in a kernel: what an op of the body gave, or what
/// the kernel was given.
static Value outerOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return value;
  auto kernel = dyn_cast<KernelOp>(argument.getOwner()->getParentOp());
  return kernel ? kernel.getInputs()[argument.getArgNumber()] : Value();
}

/// Of what runs before the layers and between them nothing is known but what is
/// noted: arguments of a layer count as the largest value of the step.
double RoundingErrors::largestOf(Value value, int64_t layer) const {
  value = outerOf(value);
  if (auto result = dyn_cast_if_present<OpResult>(value))
    for (int64_t place : {layer, int64_t(-1)}) {
      auto it =
          values.find({result.getOwner(), result.getResultNumber(), place});
      if (it != values.end())
        return largestIn(it->second.data());
    }
  double largest = 1;
  for (const auto &[key, tensor] : values)
    if (!isa<ParamOp>(key.op))
      largest = std::max(largest, largestIn(tensor.data()));
  return largest;
}

/// The length of the longest row along the last axis.
double RoundingErrors::largestRow(Value value, int64_t layer) const {
  Value outer = outerOf(value);
  auto type = cast<NamedTensorType>(value.getType());
  double size = type.getRank() > 0 ? type.getShape().back() : 1;
  auto result = dyn_cast_if_present<OpResult>(outer);
  auto it = values.end();
  if (result)
    for (int64_t place : {layer, int64_t(-1)})
      if (it == values.end())
        it = values.find({result.getOwner(), result.getResultNumber(), place});
  if (it == values.end())
    return std::sqrt(size) * largestOf(value, layer);
  ArrayRef<float> data = it->second.data();
  double longest = 0;
  for (size_t at = 0; at + size <= data.size(); at += size) {
    double sum = 0;
    for (float element : data.slice(at, size))
      sum += double(element) * element;
    longest = std::max(longest, std::sqrt(sum));
  }
  return longest;
}

/// A score is off by its sum's error, a probability by twice a score's; the sum
/// of values by that and by its own error.
double RoundingErrors::attentionError(const Event &event) {
  auto attend = cast<AttendCachedOp>(event.op);
  int64_t state = attend.getState();
  auto function = attend->getParentOfType<func::FuncOp>();
  auto &[key, value] = cached[{event.op, 0, event.layer}];
  int64_t &tokens = seen[{event.op, 0, event.layer}];
  // A step has the whole of sequences that are seen in both directions.
  if (attend.getBidirectional())
    key = value = tokens = 0;
  function.walk([&](CacheWriteOp write) {
    if (static_cast<int64_t>(write.getState()) != state)
      return;
    key = std::max(key, largestRow(write.getKey(), event.layer));
    value = std::max(value, largestOf(write.getValue(), event.layer));
  });
  auto type = attend.getQuery().getType();
  double size = static_cast<double>(type.getShape().back());
  double score = key * largestRow(attend.getQuery(), event.layer) *
                 std::abs(attend.getScale().convertToDouble());
  double length = static_cast<double>(tokens += event.value.numRows());
  // In bf16 the reference rounds scores, distances and probabilities, each by
  // half of a unit.
  double half = type.getElementType().isBF16() ? 0x1p-8 : 0;
  double ofScore = (size + unitsOfFunctions) * eps * score +
                   (attend.getModelSoftmax() ? 3 : 2) * half * score;
  // `bound` makes four times of it, for errors that add up; here all have.
  return value * (2 * ofScore + half + 2 * length * eps) / 4;
}

/// By how much an element may be off that is itself at most `largest`.
double RoundingErrors::amplitude(const Event &event, double largest) {
  int64_t layer = event.layer;
  auto product = [&](Value input, Value weight) {
    auto type = cast<NamedTensorType>(weight.getType());
    double length = static_cast<double>(type.getShape().back());
    return (length + 2) * eps * largestRow(input, layer) *
           largestRow(weight, layer);
  };
  return llvm::TypeSwitch<Operation *, double>(event.op)
      .Case([&](LinearOp op) {
        return product(op.getInput(), op.getWeight()) + eps * largest;
      })
      .Case<ExpertLinearOp, HeadLinearOp>([&](auto op) {
        return product(op.getInput(), op.getWeight()) + eps * largest;
      })
      .Case([&](ReduceOp op) {
        double length = 1;
        auto type = op.getInput().getType();
        length =
            static_cast<double>(type.getNumFeatures()) /
            cast<NamedTensorType>(op.getResult().getType()).getNumFeatures();
        if (op.getKind() == ReduceKind::Max)
          return 0.0;
        double terms = length * largestOf(op.getInput(), layer);
        if (op.getKind() == ReduceKind::Mean)
          terms /= length;
        return length * eps * terms;
      })
      .Case([&](SoftmaxOp op) {
        double length =
            static_cast<double>(op.getInput().getType().getNumFeatures());
        return (2 * largestOf(op.getInput(), layer) + length +
                unitsOfFunctions) *
               eps * largest;
      })
      .Case(
          [&](RopeOp op) { return 4 * eps * largestOf(op.getInput(), layer); })
      .Case([&](RotaryTableOp op) {
        // Angles of f32 are off by eps of themselves.
        return eps * (2 + largestOf(op.getPositions(), layer)) *
               std::max(1.0, largest);
      })
      .Case([&](MixOp op) {
        auto type = op.getChosen().getType();
        double length = static_cast<double>(type.getShape().back());
        return length * length * eps * largestOf(op.getInput(), layer) *
               largestOf(op.getShare(), layer);
      })
      .Case([&](InterpolateOp op) {
        // A place is off by the rounding of three operations, and an
        // interpolation of two axes is less steep than twice Keys' kernel; its
        // polynomials have terms up to 15, of which eight roundings are made.
        auto type = op.getTable().getType();
        double taps = op.getKind() == InterpolationKind::Bicubic ? 16 : 4;
        double places = static_cast<double>(
            std::max(type.getShape()[0], type.getShape()[1]));
        return taps * (2 * 1.5 * places + 8 * 15 + taps) * eps *
               largestOf(op.getTable(), layer);
      })
      .Case([&](FoldOp op) {
        // The mean of the frames of a film; without frames nothing is added.
        return op.getBatch()
                   ? mostFrames * eps * largestOf(op.getInput(), layer)
                   : 0.0;
      })
      .Case([&](CausalConvOp op) {
        double taps =
            static_cast<double>(op.getWeight().getType().getShape().back());
        return (taps + 2) * taps * eps * largestOf(op.getInput(), layer) *
               largestOf(op.getWeight(), layer);
      })
      .Case([&](AttendCachedOp) { return attentionError(event); })
      .Case([&](ScanOp op) {
        // Each token adds its own error to a state that does not grow of
        // itself; sums run over an axis of the state.
        double state = 1, tokens = static_cast<double>(
                              seen[{event.op, event.resultNumber, layer}] +=
                              event.value.numRows());
        for (Value carried : op.getInitial())
          state = std::max(
              state,
              double(
                  cast<NamedTensorType>(carried.getType()).getShape().back()));
        return 4 * (tokens + state) * eps *
               std::max(largest, largestOf(op.getInputs().front(), layer));
      })
      .Case([&](UnaryOp) { return unitsOfFunctions * eps; })
      .Case([&](BinaryOp) { return eps; })
      .Default([](Operation *) { return 0.0; });
}

/// Whether the error of an op's result is relative to each element.
static bool isElementwise(Operation *op) { return isa<UnaryOp, BinaryOp>(op); }

/// Whether an op's result has the elements of its operand.
static bool isMove(Operation *op) {
  if (auto fold = dyn_cast<FoldOp>(op))
    return !fold.getBatch();
  return isa<EmbedOp, ViewOp, SliceOp, SelectOp, ParamOp>(op);
}

void RoundingErrors::observe(const Event &event) {
  EventKey key{event.op, event.resultNumber, event.layer};
  bool isNumber = reference::isNarrow(event.value.element) ||
                  event.value.element == reference::Element::F32;
  if (isa<KernelOp>(event.op)) {
    const Tensor &exact = undisturbed->at(key);
    double most = 0;
    for (auto [moved, own] : llvm::zip_equal(event.value.data(), exact.data()))
      // A NaN counts as infinite.
      most = std::abs(double(moved) - own) >= 0
                 ? std::max(most, std::abs(double(moved) - own))
                 : INFINITY;
    moved[key] = most;
    event.value = exact;
  } else if (isNumber && event.op->getParentOfType<KernelOp>() &&
             !isa<ParamOp>(event.op)) {
    double error = amplitude(event, largestIn(event.value.data()));
    // Elements are shared with what the op was given.
    auto elements = std::make_shared<std::vector<float>>(*event.value.elements);
    bool isRounded =
        reference::isNarrow(event.value.element) && !isMove(event.op);
    for (float &element : *elements) {
      double step = isElementwise(event.op) ? error * std::abs(element) : error;
      if (isRounded)
        step += 0x1p-7 * std::abs(element);
      element += static_cast<float>(random() & 1 ? step : -step);
    }
    event.value.elements = std::move(elements);
  }
  values[key] = event.value;
}

double RoundingErrors::bound(const EventKey &key) const {
  // Errors of one sign add up where those of random signs do in part. The last
  // op's own is there with certainty.
  double largest = largestIn(undisturbed->at(key).data());
  return 4 * moved.at(key) + eps * largest;
}
