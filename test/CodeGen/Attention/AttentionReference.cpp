//===- AttentionReference.cpp - What attention may answer -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Attention/AttentionReference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace clade::cpu::test {

namespace {

/// Half an ulp of f32, relative.
constexpr double epsilon = 0x1p-24;
/// What exp and tanh may err beyond the rounding of their result: their
/// polynomials are good to a few units in the last place.
constexpr double functionError = 8 * epsilon;

double roundBF16(double value) {
  return widenBF16(roundToBF16(static_cast<float>(value)));
}

Interval widen(Interval x, double relative) {
  return {x.low - std::abs(x.low) * relative,
          x.high + std::abs(x.high) * relative};
}

/// One correctly rounded f32 operation: rounding keeps the order of the ends.
Interval roundF32(double low, double high) {
  return {static_cast<float>(low), static_cast<float>(high)};
}

/// Attention of one query.
class Row {
public:
  Row(const AttentionData &data, int64_t token, int64_t head)
      : data(data), attention(data.attention), token(token), head(head),
        kvHead(head / (attention.qHeads / attention.kvHeads)),
        sequence(data.sequenceOf[token]), end(data.positions[token] + 1),
        first(0) {
    if (attention.isBidirectional)
      end = data.sequences[sequence].count;
    if (attention.window)
      first = std::max<int64_t>(0, end - *attention.window);
  }

  std::vector<Interval> attend() {
    for (int64_t p = first; p < end; ++p)
      weights.push_back(score(p));
    softmax();
    std::vector<Interval> result;
    for (int64_t i = 0; i < attention.valueSize; ++i)
      result.push_back(output(i));
    return result;
  }

private:
  bool rounds() const { return attention.bf16 && attention.referenceRounding; }
  Interval step(Interval x) const {
    return rounds() ? Interval{roundBF16(x.low), roundBF16(x.high)} : x;
  }

  Interval score(int64_t position) const;
  void softmax();
  Interval output(int64_t i) const;

  const AttentionData &data;
  const AttentionCase &attention;
  int64_t token, head, kvHead, sequence, end, first;
  /// Scores, then exponentials or probabilities.
  std::vector<Interval> weights;
  Interval total;
};

} // namespace

Interval Row::score(int64_t position) const {
  if (attention.groups &&
      attention.groupOf(position) != attention.groupOf(data.positions[token])) {
    double none = -std::numeric_limits<double>::infinity();
    return {none, none};
  }
  double dot = 0, magnitude = 0;
  for (int64_t i = 0; i < attention.keySize; ++i) {
    double product = double(data.query(token, head, i)) *
                     data.key(sequence, position, kvHead, i);
    dot += product;
    magnitude += std::abs(product);
  }
  double error = data.exact ? 0 : attention.keySize * epsilon * magnitude;
  Interval x = step({dot - error, dot + error});
  double scale = attention.scale;
  x = step(roundF32(x.low * scale, x.high * scale));
  if (!attention.softcap)
    return x;
  double cap = *attention.softcap;
  x = step(roundF32(x.low / cap, x.high / cap));
  x = step(widen({std::tanh(x.low), std::tanh(x.high)}, functionError));
  return step(roundF32(x.low * cap, x.high * cap));
}

void Row::softmax() {
  Interval maximum = weights.front(), sink;
  if (attention.hasSinks) {
    double own = data.sinks[head];
    sink = {own, own};
    maximum = {std::max(maximum.low, own), std::max(maximum.high, own)};
  }
  for (Interval x : weights)
    maximum = {std::max(maximum.low, x.low), std::max(maximum.high, x.high)};
  total = {0, 0};
  auto count = [&](Interval &x) {
    Interval distance = roundF32(x.low - maximum.high, x.high - maximum.low);
    x = widen({std::exp(distance.low), std::exp(distance.high)}, functionError);
    // Exponentials below the normal numbers may become zero.
    if (x.low < 0x1p-125)
      x.low = 0;
    total = {total.low + x.low, total.high + x.high};
  };
  for (Interval &x : weights)
    count(x);
  if (attention.hasSinks)
    count(sink);
  total = widen(total, weights.size() * epsilon);
  if (!rounds())
    return;
  for (Interval &x : weights)
    x = step(widen({x.low / total.high, x.high / total.low}, 2 * epsilon));
}

Interval Row::output(int64_t i) const {
  Interval sum = {0, 0};
  double magnitude = 0;
  for (int64_t p = first; p < end; ++p) {
    Interval w = weights[p - first];
    double v = data.value(sequence, p, kvHead, i);
    sum.low += (v < 0 ? w.high : w.low) * v;
    sum.high += (v < 0 ? w.low : w.high) * v;
    magnitude += w.high * std::abs(v);
  }
  double error = (weights.size() + 4) * epsilon * magnitude;
  // Weights may be rounded to bf16; those of `rounds()` are already.
  if (attention.bf16 && !rounds())
    error += 0x1p-8 * magnitude;
  sum = {sum.low - error, sum.high + error};
  if (!rounds())
    sum = {sum.low / (sum.low < 0 ? total.low : total.high),
           sum.high / (sum.high < 0 ? total.high : total.low)};
  sum = widen(sum, 2 * epsilon);
  if (attention.bf16)
    sum = {roundBF16(sum.low), roundBF16(sum.high)};
  return sum;
}

std::vector<Interval> attentionIntervals(const AttentionData &data) {
  std::vector<Interval> result;
  for (int64_t token = 0; token < data.numTokens(); ++token)
    for (int64_t head = 0; head < data.attention.qHeads; ++head) {
      std::vector<Interval> row = Row(data, token, head).attend();
      result.insert(result.end(), row.begin(), row.end());
    }
  return result;
}

} // namespace clade::cpu::test
