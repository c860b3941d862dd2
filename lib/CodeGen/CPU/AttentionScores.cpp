//===- AttentionScores.cpp - Scores and softmax of a tile -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two passes over the scores in scratch memory: products with the running
// maximum of each row, then exponentials with their sum. Keys of a page that
// were never written may be read here; their scores are replaced before use.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/AttentionTile.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/include/clade/abi.h"
#include "llvm/Support/MathExtras.h"
#include <array>
#include <limits>

using namespace mlir;

namespace clade::cpu {

Value emitLarger(OpBuilder &builder, Location loc, Value a, Value b) {
  Value isLarger =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, a, b);
  return arith::SelectOp::create(builder, loc, isLarger, a, b);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Returns the maxima of the rows, one lane for each.
Values TileEmitter::emitScores() {
  Value lowest = splatF32(-std::numeric_limits<float>::infinity());
  Values initial(rowVectors(), lowest);
  Values maxima = forEachPage(
      initial,
      [&](Value page, Value firstSlot, Value endSlot, ValueRange carried) {
        Value keys = pageOf(/*isKey=*/true, page);
        Value pageStart = mul(page, CLADE_PAGE_TOKENS);
        if (plan.usesTiles)
          return pageScores(keys, pageStart, carried);
        Value behind = asksAhead() ? pageBehind(/*isKey=*/true, page) : Value();
        auto block = [&](Value slot, ValueRange carried) {
          if (behind)
            askFor(behind, mul(slot, shape.keySize),
                   plan.keyBlock * shape.keySize);
          Value rows = emitAddress(builder, loc, keys, shape.elementType,
                                   mul(slot, shape.keySize));
          Value key = add(pageStart, slot);
          Value place = mul(sub(key, baseKey), plan.rows);
          Values next(carried);
          for (auto [i, sum] : llvm::enumerate(blockScores(rows))) {
            int64_t flat = i * target.width;
            Value score = finishScore(sum, key, flat);
            emitStore(builder, loc, score, scores, add(place, flat));
            Value &maximum = next[i % rowVectors()];
            maximum = emitLarger(builder, loc, score, maximum);
          }
          return next;
        };
        return loop(alignDown(firstSlot, plan.keyBlock), endSlot, plan.keyBlock,
                    carried, block);
      },
      [&](Value page, Value firstSlot, Value endSlot) {
        Value start = sub(mul(page, CLADE_PAGE_TOKENS), baseKey);
        loop(alignDown(firstSlot, plan.keyBlock), endSlot, plan.keyBlock, {},
             [&](Value slot, ValueRange) -> Values {
               Value place = mul(add(start, slot), plan.rows);
               loop(place, add(place, plan.keyBlock * plan.rows), target.width,
                    {}, [&](Value at, ValueRange) -> Values {
                      emitStore(builder, loc, lowest, scores, at);
                      return {};
                    });
               return {};
             });
      });
  return foldLanes(
      maxima, [&](Value a, Value b) { return emitLarger(builder, loc, a, b); });
}

/// `sum` plus the product of two operands; of bf16 pairs, two products in each
/// lane.
Value TileEmitter::addProduct(Value sum, Value a, Value b) {
  if (!usesDotBF16())
    return emitMultiplyAdd(builder, loc, target, a, b, sum);
  auto name = builder.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512");
  return LLVM::CallIntrinsicOp::create(builder, loc, sum.getType(), name,
                                       ValueRange{sum, a, b})
      .getResult(0);
}

/// The products of a block of keys in the order of scores: [key][row].
Values TileEmitter::blockScores(Value keyRows) {
  return plan.form == TilePlan::Form::Packed ? packedScores(keyRows)
                                             : dotScores(keyRows);
}

/// One group of key elements (a pair of bf16, or one f32) against all rows.
/// With `tail`, the group is the single last element of a row of bf16.
Values TileEmitter::packedStep(Value keyRows, Value group, bool tail,
                               ValueRange sums) {
  int64_t depth = units();
  auto queryAt = [&](Value place, int64_t v) -> Value {
    Type type = usesDotBF16() ? i32Vector : f32Vector;
    Value query = emitLoad(builder, loc, type, packedQueries,
                           add(mul(place, plan.rows), v * target.width));
    return usesDotBF16() ? productOperands(query).front() : query;
  };
  int64_t operands = usesDotBF16() || tail ? 1 : depth;
  Values queries;
  for (int64_t u = 0; u < operands; ++u)
    for (int64_t v = 0; v < rowVectors(); ++v)
      queries.push_back(
          queryAt(usesDotBF16() ? group : add(mul(group, depth), u), v));

  Values next(sums);
  for (int64_t key = 0; key < plan.keyBlock; ++key) {
    Value element = add(mul(group, depth), key * shape.keySize);
    Values factors = broadcastKey(keyRows, element, tail);
    for (int64_t v = 0; v < rowVectors(); ++v) {
      Value &sum = next[key * rowVectors() + v];
      for (int64_t u = 0; u < operands; ++u)
        sum = addProduct(sum, queries[u * rowVectors() + v], factors[u]);
    }
  }
  return next;
}

/// The group of key elements at `element` in all lanes, as operands of
/// products.
Values TileEmitter::broadcastKey(Value keyRows, Value element, bool tail) {
  if (!isBF16()) {
    Value key = emitLoad(builder, loc, f32, keyRows, element);
    return {emitSplat(builder, loc, key, target.width)};
  }
  Value bits;
  if (tail) {
    bits = emitLoad(builder, loc, builder.getI16Type(), keyRows, element);
    bits = arith::ExtUIOp::create(builder, loc, i32, bits);
  } else {
    Value address =
        emitAddress(builder, loc, keyRows, shape.elementType, element);
    bits = LLVM::LoadOp::create(builder, loc, i32, address, /*alignment=*/2);
  }
  return productOperands(emitSplat(builder, loc, bits, target.width));
}

Values TileEmitter::packedScores(Value keyRows) {
  Values sums(plan.keyBlock * rowVectors(), splatF32(0));
  int64_t groups = shape.keySize / units();
  sums = loop(index(0), index(groups), 1, sums,
              [&](Value group, ValueRange carried) {
                return packedStep(keyRows, group, /*tail=*/false, carried);
              });
  if (shape.keySize % units())
    sums = packedStep(keyRows, index(groups), /*tail=*/true, sums);
  return sums;
}

/// One chunk of all keys of a block against the same chunk of all rows.
Values TileEmitter::dotStep(Value keyRows, Value chunkIndex, int64_t count,
                            ValueRange sums) {
  int64_t chunks = llvm::divideCeil(shape.keySize, chunk());
  Value first = mul(chunkIndex, chunk());
  SmallVector<Values> keys;
  for (int64_t key = 0; key < plan.keyBlock; ++key)
    keys.push_back(productOperands(
        loadChunk(keyRows, add(first, key * shape.keySize), count)));

  Values next(sums);
  for (int64_t row = 0; row < plan.rows; ++row) {
    for (size_t u = 0, e = keys.front().size(); u < e; ++u) {
      auto type = cast<VectorType>(keys.front()[u].getType());
      Value place = add(mul(add(chunkIndex, row * chunks), e), u);
      Value query = emitLoad(builder, loc, type, packedQueries,
                             mul(place, type.getNumElements()));
      for (int64_t key = 0; key < plan.keyBlock; ++key) {
        Value &sum = next[key * plan.rows + row];
        sum = addProduct(sum, query, keys[key][u]);
      }
    }
  }
  return next;
}

/// From `width` vectors the vector of their sums over lanes, in order. Halves
/// the number of vectors in each step; first within groups of four lanes, where
/// shuffles are cheapest.
static Value emitLaneSums(OpBuilder &builder, Location loc, Values vectors) {
  int64_t width = vectors.size();
  int64_t groups = width / 4;
  /// Lane numbers of groups of four given as (operand, group) pairs.
  auto combine = [&](ArrayRef<int32_t> low, ArrayRef<int32_t> high) {
    Values next;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      Value a = vectors[i], b = vectors[i + 1];
      Value x = LLVM::ShuffleVectorOp::create(builder, loc, a, b, low);
      Value y = LLVM::ShuffleVectorOp::create(builder, loc, a, b, high);
      next.push_back(arith::AddFOp::create(builder, loc, x, y));
    }
    vectors = std::move(next);
  };
  auto inGroups = [&](std::array<int32_t, 4> lanes, int64_t shift) {
    SmallVector<int32_t> mask;
    for (int64_t g = 0; g < groups; ++g)
      for (int32_t lane : lanes)
        mask.push_back(4 * g + (lane % 4 + shift) + (lane / 4) * width);
    return mask;
  };
  // The second operand's lanes are written 4 to 7.
  combine(inGroups({0, 4, 1, 5}, 0), inGroups({0, 4, 1, 5}, 2));
  combine(inGroups({0, 1, 4, 5}, 0), inGroups({0, 1, 4, 5}, 2));

  auto ofGroups = [&](ArrayRef<int32_t> order) {
    SmallVector<int32_t> mask;
    for (int32_t group : order)
      for (int32_t lane = 0; lane < 4; ++lane)
        mask.push_back(4 * group + lane);
    return mask;
  };
  if (groups == 2)
    combine(ofGroups({0, 2}), ofGroups({1, 3}));
  if (groups == 4) {
    combine(ofGroups({0, 1, 4, 5}), ofGroups({2, 3, 6, 7}));
    combine(ofGroups({0, 2, 4, 6}), ofGroups({1, 3, 5, 7}));
  }
  return vectors.front();
}

Values TileEmitter::dotScores(Value keyRows) {
  Values sums(plan.keyBlock * plan.rows, splatF32(0));
  int64_t chunks = shape.keySize / chunk();
  sums = loop(index(0), index(chunks), 1, sums,
              [&](Value chunkIndex, ValueRange carried) {
                return dotStep(keyRows, chunkIndex, chunk(), carried);
              });
  if (int64_t rest = shape.keySize % chunk())
    sums = dotStep(keyRows, index(chunks), rest, sums);
  Values result;
  for (size_t i = 0; i < sums.size(); i += target.width) {
    auto group = ValueRange(sums).slice(i, target.width);
    result.push_back(emitLaneSums(builder, loc, Values(group)));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Scale, soft cap, mask
//===----------------------------------------------------------------------===//

/// What a product becomes before the softmax; `flat` as for keysOf().
Value TileEmitter::finishScore(Value score, Value firstKey, int64_t flat) {
  score = transform(score);
  if (!rowSlopes.empty())
    score = biasScore(score, firstKey, flat);
  return maskScore(score, firstKey, flat);
}

Value TileEmitter::transform(Value score) {
  auto step = [&](Value value) { return rounds() ? round(value) : value; };
  score = step(score);
  score =
      step(arith::MulFOp::create(builder, loc, score, splatF32(shape.scale)));
  if (!shape.softcap)
    return score;
  Value cap = splatF32(*shape.softcap);
  score = step(arith::DivFOp::create(builder, loc, score, cap));
  score = step(math::TanhOp::create(builder, loc, score));
  return step(arith::MulFOp::create(builder, loc, score, cap));
}

/// The position of each lane's key (i32). The vector begins with score `flat`
/// of the block of keys that `firstKey` begins.
Value TileEmitter::keysOf(Value firstKey, int64_t flat) {
  SmallVector<int32_t> offsets;
  for (int64_t lane = 0; lane < target.width; ++lane)
    offsets.push_back((flat + lane) / plan.rows);
  Value offset = arith::ConstantOp::create(
      builder, loc, i32Vector,
      DenseElementsAttr::get(i32Vector, ArrayRef<int32_t>(offsets)));
  return arith::AddIOp::create(
      builder, loc, emitSplat(builder, loc, toI32(firstKey), target.width),
      offset);
}

/// The group of each lane's key, as keysOf(); what is behind the last key of
/// the sequence has the last one's.
Value TileEmitter::groupsOfKeys(Value firstKey, int64_t flat) {
  Value last = sub(endKey, index(1)), groups;
  // Where a row has less than a vector, several keys share one.
  for (int64_t lane = 0; lane < target.width; lane += plan.rows) {
    Value key = minimum(add(firstKey, (flat + lane) / plan.rows), last);
    Value group = emitSplat(builder, loc, groupOfKey(key), target.width);
    if (!groups) {
      groups = group;
      continue;
    }
    SmallVector<int32_t> order;
    for (int64_t i = 0; i < target.width; ++i)
      order.push_back(i < lane ? i : target.width + i);
    groups = LLVM::ShuffleVectorOp::create(builder, loc, groups, group, order);
  }
  return groups;
}

/// Adds the slope of each row's head times the distance of the key.
Value TileEmitter::biasScore(Value score, Value firstKey, int64_t flat) {
  int64_t v = (flat / target.width) % rowVectors();
  Value distance = arith::SubIOp::create(builder, loc, keysOf(firstKey, flat),
                                         lastPositions[v]);
  Value bias = arith::MulFOp::create(
      builder, loc, rowSlopes[v],
      arith::SIToFPOp::create(builder, loc, f32Vector, distance));
  score = arith::AddFOp::create(builder, loc, score, bias);
  return rounds() ? round(score) : score;
}

/// Minus infinity where a row does not attend a key.
Value TileEmitter::maskScore(Value score, Value firstKey, int64_t flat) {
  Value key = keysOf(firstKey, flat);
  int64_t v = (flat / target.width) % rowVectors();
  Value attended = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::sle, key, lastPositions[v]);
  if (shape.window) {
    Value inWindow = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::sgt, key, beforePositions[v]);
    attended = arith::AndIOp::create(builder, loc, attended, inWindow);
  }
  if (shape.hasGroups) {
    Value isOwn =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                              groupsOfKeys(firstKey, flat), rowGroups[v]);
    attended = arith::AndIOp::create(builder, loc, attended, isOwn);
  }
  Value lowest = splatF32(-std::numeric_limits<float>::infinity());
  return arith::SelectOp::create(builder, loc, attended, score, lowest);
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// Where a row takes several lanes, combines them; the result is in all.
Values TileEmitter::foldLanes(ValueRange vectors,
                              llvm::function_ref<Value(Value, Value)> combine) {
  Values result(vectors);
  for (int64_t shift = target.width / 2; shift >= plan.rows; shift /= 2) {
    SmallVector<int32_t> lanes;
    for (int64_t lane = 0; lane < target.width; ++lane)
      lanes.push_back((lane + shift) % target.width);
    for (Value &vector : result)
      vector = combine(vector, LLVM::ShuffleVectorOp::create(
                                   builder, loc, vector, vector, lanes));
  }
  return result;
}

/// Replaces every vector of scores by what `body` makes of it; `carried` holds
/// one vector for each vector of rows.
Values TileEmitter::overScores(
    ValueRange carried,
    llvm::function_ref<Value(Value score, int64_t v, Value &carried)> body) {
  Value first = sub(alignDown(firstKey, plan.keyBlock), baseKey);
  Value keys = sub(endKey, baseKey);
  Value blocks = emitCeilDiv(builder, loc, keys, index(plan.keyBlock));
  Value end = mul(blocks, plan.keyBlock * plan.rows);
  int64_t step = rowVectors() * target.width;
  return loop(mul(first, plan.rows), end, step, carried,
              [&](Value place, ValueRange inner) {
                Values next(inner);
                for (int64_t v = 0; v < rowVectors(); ++v) {
                  Value at = add(place, v * target.width);
                  Value score = emitLoad(builder, loc, f32Vector, scores, at);
                  emitStore(builder, loc, body(score, v, next[v]), scores, at);
                }
                return next;
              });
}

/// exp(score - maximum).
Value TileEmitter::powerOf(Value score, Value maximum) {
  Value distance = arith::SubFOp::create(builder, loc, score, maximum);
  if (rounds() && shape.roundsDistance)
    distance = round(distance);
  return math::ExpOp::create(builder, loc, distance);
}

/// Scores become exponentials. The inverses of their sums are left in scratch
/// memory, too. A sink is a score.
TileEmitter::Softmax TileEmitter::emitExponentials(ValueRange ofScores) {
  Softmax result;
  Values &maxima = result.maxima;
  maxima.assign(ofScores.begin(), ofScores.end());
  for (auto [maximum, sink] : llvm::zip(maxima, rowSinks))
    maximum = emitLarger(builder, loc, sink, maximum);
  Values zeros(rowVectors(), splatF32(0));
  result.totals =
      overScores(zeros, [&](Value score, int64_t v, Value &total) -> Value {
        Value power = powerOf(score, maxima[v]);
        total = arith::AddFOp::create(builder, loc, total, power);
        return power;
      });
  result.totals = foldLanes(result.totals, [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(builder, loc, a, b);
  });
  for (auto [v, total] : llvm::enumerate(result.totals)) {
    if (!rowSinks.empty())
      total = arith::AddFOp::create(builder, loc, total,
                                    powerOf(rowSinks[v], maxima[v]));
    Value inverse = arith::DivFOp::create(builder, loc, splatF32(1), total);
    emitStore(builder, loc, inverse, inverses, index(v * target.width));
    result.inverses.push_back(inverse);
  }
  return result;
}

/// Exponentials become probabilities, rounded to bf16.
void TileEmitter::emitProbabilities(ValueRange inverse) {
  overScores(inverse, [&](Value power, int64_t v, Value &carried) -> Value {
    return round(arith::MulFOp::create(builder, loc, power, inverse[v]));
  });
}

/// In the place of an even key's weights come pairs of bf16, as i32: its own
/// below and the next key's above. Blocks of keys are even.
void TileEmitter::pairWeights() {
  Value first = sub(alignDown(firstKey, plan.keyBlock), baseKey);
  Value keys = sub(endKey, baseKey);
  Value sixteen = arith::ConstantOp::create(
      builder, loc, i32Vector, DenseElementsAttr::get(i32Vector, 16));
  auto bits = [&](Value place) -> Value {
    Value weight = emitRoundToBF16(
        builder, loc, emitLoad(builder, loc, f32Vector, scores, place));
    auto shorts = VectorType::get(target.width, builder.getI16Type());
    return arith::ExtUIOp::create(
        builder, loc, i32Vector,
        arith::BitcastOp::create(builder, loc, shorts, weight));
  };
  loop(first, keys, 2, {}, [&](Value key, ValueRange) -> Values {
    for (int64_t v = 0; v < rowVectors(); ++v) {
      Value low = add(mul(key, plan.rows), v * target.width),
            high = add(low, plan.rows);
      Value pair = arith::OrIOp::create(
          builder, loc, bits(low),
          arith::ShLIOp::create(builder, loc, bits(high), sixteen));
      emitStore(builder, loc, pair, scores, low);
    }
    return {};
  });
}

} // namespace clade::cpu
