//===- Attention.cpp - Attention and its state ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Softmax attention (arXiv:1706.03762), each score on its own, in the rounding
// order of the published eager implementations: the score, each operation on
// it, and the probability round to the element type of the query.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include "llvm/Support/Parallel.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace clade;
using namespace clade::reference;

namespace {
/// What both forms of attention say about scores.
struct ScoreOptions {
  float scale;
  std::optional<int64_t> window;
  std::optional<float> softcap;
  std::optional<ArrayRef<float>> slopes; ///< Of each head.
  const Tensor *sink;                    ///< Of each head; may be null.
  bool modelSoftmax;
  bool bidirectional;
  const Tensor *groups; ///< Of each token of the step; may be null.
};
} // namespace

template <typename Op>
static ScoreOptions scoreOptions(Op op, const Tensor *sink,
                                 const Tensor *groups) {
  ScoreOptions options{static_cast<float>(op.getScale().convertToDouble()),
                       std::nullopt,
                       std::nullopt,
                       op.getSlopes(),
                       sink,
                       op.getModelSoftmax(),
                       op.getBidirectional(),
                       groups};
  if (op.getWindow())
    options.window = *op.getWindow();
  if (op.getSoftcap())
    options.softcap = static_cast<float>(op.getSoftcap()->convertToDouble());
  return options;
}

void KeyValueState::truncate(int64_t newLength) {
  length = std::min(length, newLength);
  keys.resize(length * heads * keySize);
  values.resize(length * heads * valueSize);
}

/// Adds the row of one token to its state; keys alone, if `value` is null.
static LogicalResult append(Operation *op, const Tensor &key,
                            const Tensor *value, int64_t token,
                            int64_t position, KeyValueState &state) {
  int64_t valueSize = value ? value->shape[2] : 0;
  if (state.length == 0) {
    state.heads = key.shape[1];
    state.keySize = key.shape[2];
    state.valueSize = valueSize;
  }
  if (key.shape[1] != state.heads || key.shape[2] != state.keySize ||
      valueSize != state.valueSize)
    return op->emitError() << "expected keys and values of one shape in a "
                              "state, got "
                           << key.type << " and "
                           << (value ? value : &key)->type << " after others";
  if (state.length != position)
    return op->emitError() << "expected position " << state.length
                           << " next in its state, got " << position;
  auto add = [&](const Tensor &rows, std::vector<float> &to) {
    ArrayRef<float> row =
        rows.data().slice(token * rows.rowSize(), rows.rowSize());
    to.insert(to.end(), row.begin(), row.end());
  };
  add(key, state.keys);
  if (value)
    add(*value, state.values);
  ++state.length;
  return success();
}

/// c(scale·q·k), each operation rounded to `element`.
static float scoreOf(double product, const ScoreOptions &options,
                     Element element) {
  float score = roundTo(element, roundTo(element, product) * options.scale);
  if (!options.softcap)
    return score;
  float cap = *options.softcap;
  score = roundTo(element, score / cap);
  score = roundTo(element,
                  static_cast<float>(std::tanh(static_cast<double>(score))));
  return roundTo(element, score * cap);
}

/// Softmax of `scores`, and of a sink beside them, rounded to `element`; the
/// distances to the largest score are in f32, or round to `element`, too.
static void softmax(MutableArrayRef<float> scores, std::optional<float> sink,
                    bool roundsDistance, Element element) {
  float largest = *llvm::max_element(scores);
  if (sink)
    largest = std::max(largest, *sink);
  auto power = [&](float score) {
    float distance = score - largest;
    if (roundsDistance)
      distance = roundTo(element, distance);
    return std::exp(static_cast<double>(distance));
  };
  double sum = sink ? power(*sink) : 0;
  for (float score : scores)
    sum += power(score);
  for (float &score : scores)
    score = roundTo(element, static_cast<float>(power(score) / sum));
}

/// Attention of query head `head` of token `token` at `position`, to
/// result[0, valueSize).
static void attendHead(ArrayRef<float> query, int64_t token, int64_t position,
                       int64_t head, int64_t kvHead, const KeyValueState &state,
                       const ScoreOptions &options, Element inner,
                       Element outer, MutableArrayRef<float> result) {
  int64_t begin = 0, end = options.bidirectional ? state.length : position + 1;
  if (options.window)
    begin = std::max<int64_t>(0, end - *options.window);
  std::vector<double> q(query.begin(), query.end()), k(state.keySize);
  std::vector<float> scores(end - begin);
  for (int64_t j = begin; j < end; ++j) {
    const float *row =
        state.keys.data() + (j * state.heads + kvHead) * state.keySize;
    std::copy(row, row + state.keySize, k.begin());
    float &score = scores[j - begin];
    score = scoreOf(dot(q.data(), k.data(), state.keySize), options, inner);
    if (options.slopes) {
      float bias = (*options.slopes)[head] * static_cast<float>(j - position);
      score = roundTo(inner, score + bias);
    }
    // The whole sequence is in the step.
    if (options.groups && options.groups->data()[token - position + j] !=
                              options.groups->data()[token])
      score = -std::numeric_limits<float>::infinity();
  }
  std::optional<float> sink;
  if (options.sink)
    sink = options.sink->data()[head];
  softmax(scores, sink, options.modelSoftmax, inner);
  int64_t valueSize = result.size();
  const std::vector<float> &values =
      state.valueSize > 0 ? state.values : state.keys;
  int64_t stride = state.valueSize > 0 ? state.valueSize : state.keySize;
  std::vector<double> sums(valueSize, 0);
  for (int64_t j = begin; j < end; ++j) {
    const float *row = values.data() + (j * state.heads + kvHead) * stride;
    double share = scores[j - begin];
    for (int64_t i = 0; i < valueSize; ++i)
      sums[i] += share * row[i];
  }
  for (auto [y, sum] : llvm::zip_equal(result, sums))
    y = roundTo(outer, sum);
}

/// Attention of all tokens to the keys and values of their states; `shared` if
/// values are the first elements of keys.
static FailureOr<Tensor> attend(Operation *op, const Tensor &query,
                                NamedTensorType type, int64_t kvHeads,
                                bool shared, const ScoreOptions &options,
                                ArrayRef<KeyValueState *> states,
                                const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, type, batch);
  if (failed(result))
    return failure();
  int64_t heads = query.shape[1], keySize = query.shape[2],
          valueSize = result->shape[2];
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    const KeyValueState &state = *states[batch.sequenceOf[token]];
    if (state.length <= batch.positions[token])
      return op->emitError() << "expected keys and values of position "
                             << batch.positions[token] << ", got "
                             << state.length << " positions";
    int64_t stored = shared ? 0 : valueSize;
    if (state.heads != kvHeads || state.keySize != keySize ||
        state.valueSize != stored)
      return op->emitError()
             << "expected a state of " << kvHeads << " heads with keys of "
             << keySize << " and values of " << stored << ", got "
             << state.heads << ", " << state.keySize << " and "
             << state.valueSize;
  }
  llvm::parallelFor(0, batch.numTokens() * heads, [&](size_t task) {
    int64_t token = task / heads, head = task % heads;
    attendHead(query.data().slice(task * keySize, keySize), token,
               batch.positions[token], head, head / (heads / kvHeads),
               *states[batch.sequenceOf[token]], options, query.element,
               result->element,
               result->data().slice(task * valueSize, valueSize));
  });
  return result;
}

static LogicalResult appendAll(Operation *op, const Tensor &key,
                               const Tensor *value,
                               ArrayRef<KeyValueState *> states,
                               const Batch &batch) {
  for (int64_t token = 0; token < batch.numTokens(); ++token)
    if (failed(append(op, key, value, token, batch.positions[token],
                      *states[batch.sequenceOf[token]])))
      return failure();
  return success();
}

FailureOr<Tensor> reference::evaluate(AttendOp op, const Tensor &query,
                                      const Tensor &key, const Tensor &value,
                                      const Tensor *sink, const Tensor *groups,
                                      ArrayRef<KeyValueState *> states,
                                      const Batch &batch) {
  if (failed(appendAll(op, key, &value, states, batch)))
    return failure();
  return attend(op, query, op.getResult().getType(), key.shape[1],
                /*shared=*/false, scoreOptions(op, sink, groups), states,
                batch);
}

LogicalResult reference::evaluate(CacheWriteOp op, const Tensor &key,
                                  const Tensor &value,
                                  ArrayRef<KeyValueState *> states,
                                  const Batch &batch) {
  return appendAll(op, key, op.getShared() ? nullptr : &value, states, batch);
}

FailureOr<Tensor> reference::evaluate(AttendCachedOp op, const Tensor &query,
                                      const Tensor *sink, const Tensor *groups,
                                      ArrayRef<KeyValueState *> states,
                                      const Batch &batch) {
  return attend(op, query, op.getResult().getType(), op.getKvHeads(),
                op.getShared(), scoreOptions(op, sink, groups), states, batch);
}
