//===- Evaluator.cpp - Operations that move whole runs --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Source, reshape, concat, slice and the rope permutations: each cuts a range
// of its result into runs that are contiguous in one input. Everything here
// counts elements; bytes() turns them into bytes, also for block types.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/Evaluator.h"

#include "runtime/Support/CheckedMath.h"

#include <algorithm>
#include <cstring>
#include <utility>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

/// The product of shape[first, last); a bound program's sizes all fit.
int64_t product(std::span<const int64_t> shape) { return *elementCount(shape); }

int64_t sizeOf(const WeightNode &node) { return product(node.shape); }

/// Elements of one step along `axis`.
int64_t stride(const std::vector<int64_t> &shape, int64_t axis) {
  return product(std::span(shape).subspan(static_cast<size_t>(axis) + 1));
}

thread_local int64_t sourceBytes = 0;

class SourceEvaluator : public Evaluator {
public:
  SourceEvaluator(const WeightNode &node, ByteSpan data)
      : Evaluator(node.dtype, sizeOf(node)), data(data) {}

  const std::byte *direct(int64_t begin, int64_t end) const override {
    sourceBytes += bytes(end - begin);
    return data.data() + bytes(begin);
  }
  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &) const override {
    sourceBytes += bytes(end - begin);
    std::memcpy(out, data.data() + bytes(begin),
                static_cast<size_t>(bytes(end - begin)));
  }

private:
  ByteSpan data;
};

/// A value whose ranges consist of runs, each contiguous in an input.
class RunEvaluator : public Evaluator {
public:
  using Evaluator::Evaluator;

  /// The input range that gives result elements from `begin`, as far as it is
  /// contiguous; `length` may exceed what the caller wants.
  struct Run {
    const Evaluator *input;
    int64_t begin;
    int64_t length;
  };
  virtual Run runAt(int64_t begin) const = 0;

  const std::byte *direct(int64_t begin, int64_t end) const override {
    Run run = runAt(begin);
    if (run.length < end - begin)
      return nullptr;
    return run.input->direct(run.begin, run.begin + end - begin);
  }

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      Run run = runAt(begin);
      int64_t length = std::min(run.length, end - begin);
      run.input->read(run.begin, run.begin + length, out, scratch);
      out += bytes(length);
      begin += length;
    }
  }
};

/// Reshape: the same elements in the same order.
class ReshapeEvaluator : public RunEvaluator {
public:
  ReshapeEvaluator(const WeightNode &node, Input from)
      : RunEvaluator(node.dtype, sizeOf(node)), input(std::move(from)) {}

  Run runAt(int64_t begin) const override {
    return {input.get(), begin, count() - begin};
  }
  int64_t granule() const override { return input->granule(); }
  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  Input input;
};

/// Concat: the result is a sequence of chunks, each with one part an input.
class ConcatEvaluator : public RunEvaluator {
public:
  ConcatEvaluator(const WeightNode &node, std::vector<Input> from)
      : RunEvaluator(node.dtype, sizeOf(node)), inputs(std::move(from)) {
    int64_t step = stride(node.shape, node.axis);
    ends.push_back(0);
    for (const WeightNode &part : node.inputs)
      ends.push_back(ends.back() +
                     part.shape[static_cast<size_t>(node.axis)] * step);
    common = commonGranule();
  }

  Run runAt(int64_t begin) const override {
    int64_t chunk = begin / ends.back(), within = begin % ends.back();
    size_t part = static_cast<size_t>(
        std::upper_bound(ends.begin(), ends.end(), within) - ends.begin() - 1);
    int64_t size = ends[part + 1] - ends[part];
    int64_t offset = within - ends[part];
    return {inputs[part].get(), chunk * size + offset, size - offset};
  }
  int64_t granule() const override { return common; }
  bool prefersLongRanges() const override {
    return std::any_of(inputs.begin(), inputs.end(), [](const Input &input) {
      return input->prefersLongRanges();
    });
  }

private:
  /// The largest input's granule if it suits all parts, else the least.
  int64_t commonGranule() const {
    int64_t largest = 1;
    for (const Input &part : inputs)
      largest = std::max(largest, part->granule());
    auto divides = [&](int64_t size) { return size % largest == 0; };
    bool fits = std::all_of(ends.begin(), ends.end(), divides);
    for (const Input &part : inputs)
      fits &= largest % part->granule() == 0;
    return fits ? largest : blockLength(dtype());
  }

  std::vector<Input> inputs;
  std::vector<int64_t> ends; ///< Of the parts within a chunk, from 0.
  int64_t common;
};

/// Slice: the result is a sequence of chunks cut from larger ones.
/// Equal inputs, one after the other.
class StackEvaluator : public RunEvaluator {
public:
  StackEvaluator(const WeightNode &node, std::vector<Input> from)
      : RunEvaluator(node.dtype, sizeOf(node)), inputs(std::move(from)),
        size(count() / node.stacked) {}

  Run runAt(int64_t begin) const override {
    int64_t offset = begin % size;
    return {inputs[static_cast<size_t>(begin / size)].get(), offset,
            size - offset};
  }
  int64_t granule() const override { return inputs.front()->granule(); }
  bool prefersLongRanges() const override {
    return inputs.front()->prefersLongRanges();
  }

private:
  std::vector<Input> inputs;
  int64_t size;
};

class SliceEvaluator : public RunEvaluator {
public:
  SliceEvaluator(const WeightNode &node, Input from)
      : RunEvaluator(node.dtype, sizeOf(node)), input(std::move(from)) {
    const std::vector<int64_t> &shape = node.inputs.front().shape;
    int64_t step = stride(shape, node.axis);
    outer = shape[static_cast<size_t>(node.axis)] * step;
    offset = node.begin * step;
    size = (node.end - node.begin) * step;
  }

  Run runAt(int64_t begin) const override {
    int64_t chunk = begin / size, within = begin % size;
    return {input.get(), chunk * outer + offset + within, size - within};
  }
  int64_t granule() const override {
    int64_t inner = input->granule();
    bool fits = size % inner == 0 && offset % inner == 0 && outer % inner == 0;
    return fits ? inner : blockLength(dtype());
  }
  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  Input input;
  int64_t outer;  ///< Elements of a chunk of the input.
  int64_t offset; ///< Where the cut begins in it.
  int64_t size;   ///< Elements of a chunk of the result.
};

/// RopeUnpermute, RopePermute: rows [heads, a, b] become [heads, b, a].
class RopeEvaluator : public RunEvaluator {
public:
  RopeEvaluator(const WeightNode &node, Input from)
      : RunEvaluator(node.dtype, sizeOf(node)), input(std::move(from)) {
    int64_t rows = node.shape.front();
    row = count() / rows;
    head = rows / node.heads;
    bool unpermute = node.op == WeightOp::RopeUnpermute;
    inner = unpermute ? head / 2 : 2;
  }

  Run runAt(int64_t begin) const override {
    int64_t index = begin / row, column = begin % row;
    int64_t base = index / head * head, within = index % head;
    // Result [j][i] of size [head / inner][inner] is input [i][j].
    int64_t from = within % inner * (head / inner) + within / inner;
    return {input.get(), (base + from) * row + column, row - column};
  }
  int64_t granule() const override {
    int64_t below = input->granule();
    return row % below == 0 ? below : blockLength(dtype());
  }

private:
  Input input;
  int64_t row;  ///< Elements of a row.
  int64_t head; ///< Rows of a head.
  int64_t
      inner; ///< Rows of the result between two that are neighbours' halves.
};

/// Transpose that keeps the last axis: whole rows in another order.
class RowOrderEvaluator : public RunEvaluator {
public:
  RowOrderEvaluator(const WeightNode &node, Input from)
      : RunEvaluator(node.dtype, sizeOf(node)), input(std::move(from)),
        row(node.shape.back()) {
    const std::vector<int64_t> &shape = node.inputs.front().shape;
    for (size_t i = 0; i + 1 < node.shape.size(); ++i) {
      sizes.push_back(node.shape[i]);
      strides.push_back(stride(shape, node.perm[i]) / row);
    }
  }

  Run runAt(int64_t begin) const override {
    int64_t index = begin / row, column = begin % row, from = 0;
    for (size_t i = sizes.size(); i-- > 0; index /= sizes[i])
      from += index % sizes[i] * strides[i];
    return {input.get(), from * row + column, row - column};
  }

private:
  Input input;
  int64_t row; ///< Elements of a row.
  std::vector<int64_t> sizes,
      strides; ///< Of the other axes of the result, in rows of the input.
};

StatusOr<Input> bindOperation(const WeightNode &node,
                              std::vector<Input> inputs) {
  switch (node.op) {
  case WeightOp::Source:
  case WeightOp::Stack:
    break;
  case WeightOp::Concat:
    return Input(std::make_unique<ConcatEvaluator>(node, std::move(inputs)));
  case WeightOp::Slice:
    return Input(std::make_unique<SliceEvaluator>(node, std::move(inputs[0])));
  case WeightOp::Transpose:
    if (isBlockType(node.dtype))
      return Input(
          std::make_unique<RowOrderEvaluator>(node, std::move(inputs[0])));
    return makeTranspose(node, std::move(inputs[0]));
  case WeightOp::Reshape:
    return Input(
        std::make_unique<ReshapeEvaluator>(node, std::move(inputs[0])));
  case WeightOp::Cast:
    return makeCast(node, std::move(inputs[0]));
  case WeightOp::Shift:
    return makeShift(node, std::move(inputs[0]));
  case WeightOp::RopeUnpermute:
  case WeightOp::RopePermute:
    return Input(std::make_unique<RopeEvaluator>(node, std::move(inputs[0])));
  case WeightOp::UnitRows:
    return makeUnitRows(node, std::move(inputs[0]));
  case WeightOp::Pack:
    return makePack(node, std::move(inputs[0]));
  case WeightOp::Constant:
    return makeConstant(node);
  case WeightOp::Bitcast:
    return makeBitcast(node, std::move(inputs[0]));
  case WeightOp::Scale:
  case WeightOp::Subtract:
  case WeightOp::Divide:
    return makeBlockwise(node, std::move(inputs));
  case WeightOp::Gather:
    return makeGather(node, std::move(inputs));
  case WeightOp::LowRank:
    return makeLowRank(node, std::move(inputs));
  case WeightOp::Add:
    return makeAdd(node, std::move(inputs));
  case WeightOp::Quantise:
    return makeQuantise(node, std::move(inputs[0]));
  case WeightOp::PackBlocks:
    return makePackBlocks(node, std::move(inputs[0]));
  case WeightOp::UnpackBlocks:
    return makeUnpackBlocks(node, std::move(inputs[0]));
  case WeightOp::BlockScale:
    return makeBlockScale(node, std::move(inputs[0]));
  case WeightOp::Encode:
    return makeEncode(node, std::move(inputs[0]));
  case WeightOp::ScaledBlocks:
    return makeScaledBlocks(node, std::move(inputs));
  }
  return Status::invalidArgument("unknown weight operation");
}

} // namespace

/// Binds a node within the `expert`-th input of a stack; outside of one,
/// `expert` is negative.
static StatusOr<Input> bindNode(const WeightNode &node,
                                const SourceResolver &resolve, int64_t expert) {
  if (node.op == WeightOp::Source) {
    if (expert < 0) {
      CLADE_ASSIGN_OR_RETURN(ByteSpan data, resolve(node));
      return Input(std::make_unique<SourceEvaluator>(node, data));
    }
    WeightNode expanded = node;
    expanded.name = expandExpert(node.name, expert);
    CLADE_ASSIGN_OR_RETURN(ByteSpan data, resolve(expanded));
    return Input(std::make_unique<SourceEvaluator>(expanded, data));
  }
  std::vector<Input> inputs;
  if (node.op == WeightOp::Stack) {
    for (int64_t i = 0; i < node.stacked; ++i) {
      CLADE_ASSIGN_OR_RETURN(Input bound, bindNode(node.inputs[0], resolve, i));
      inputs.push_back(std::move(bound));
    }
    return Input(std::make_unique<StackEvaluator>(node, std::move(inputs)));
  }
  for (const WeightNode &input : node.inputs) {
    CLADE_ASSIGN_OR_RETURN(Input bound, bindNode(input, resolve, expert));
    inputs.push_back(std::move(bound));
  }
  return bindOperation(node, std::move(inputs));
}

int64_t clade::rt::takeSourceBytes() { return std::exchange(sourceBytes, 0); }

StatusOr<std::unique_ptr<Evaluator>>
clade::rt::bindProgram(const WeightNode &node, const SourceResolver &resolve) {
  return bindNode(node, resolve, /*expert=*/-1);
}
