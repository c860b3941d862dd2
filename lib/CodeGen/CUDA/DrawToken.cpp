//===- DrawToken.cpp - Draws of tokens on a GPU ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums are of whole numbers, so neither they nor what depends on them differ
// from run to run, or from the host's, though blocks add to them in any order.
// Only the order of candidates is that of the blocks. Branches that contain
// barriers are taken by whole blocks: they depend on what is asked of the row.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/DrawToken.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/DrawEmitter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cstddef>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::emitStore;
using rt::DrawKind;
using rt::DrawnToken;
using rt::TokenDraw;
using Space = rt::LaunchArgument::Space;

// Shared memory of a block: sums, a word for all, and, where tokens are
// weighed, buckets.
static constexpr int64_t wordOffset = scanBytes, pickBytes = wordOffset + 16,
                         weightsOffset = pickBytes,
                         countsOffset = weightsOffset + 8 * rt::numBuckets,
                         weighBytes = countsOffset + 4 * rt::numBuckets;
/// Buckets of a thread, where a block sums them up.
static constexpr int64_t threadBuckets = rt::numBuckets / sliceThreads;

namespace {

class DrawKernel : public DrawEmitter {
public:
  DrawKernel(OpBuilder &builder, Location loc, int64_t vocab,
             const DrawPlaces &places)
      : DrawEmitter(builder, loc, vocab, places) {}

  /// The largest logit of a row; its candidates and buckets are none.
  void emitBegin(Value sliceValues, Value sliceTokens);
  /// Sums and buckets of a slice.
  void emitWeigh();
  /// The token of a row, if it is in this slice, or the slice's candidates.
  void emitPick();

private:
  void countTokens(ArrayRef<Value> exponents, ArrayRef<Value> weights);
  void pickAny();
  void pickToken(Value rest);
  Value lastBucket();
  void gather();
};

} // namespace

void DrawKernel::emitBegin(Value sliceValues, Value sliceTokens) {
  emitStridedLoop(builder, loc, thread, joinThreads,
                  emitIndex(builder, loc, rt::numBuckets), [&](Value bucket) {
                    Value place = bucketOfRow(bucket);
                    emitStore(builder, loc, whole(0), places.weights, place);
                    emitStore(builder, loc, integer(0), places.counts, place);
                  });
  Candidate best = joinSlices(sliceValues, sliceTokens);
  onFirstThread([&] {
    storeDrawn(best.logit, offsetof(DrawnToken, top));
    storeDrawn(best.token, offsetof(DrawnToken, token));
    storeDrawn(whole(0), offsetof(DrawnToken, total));
    // And what follows it.
    static_assert(offsetof(DrawnToken, padding) ==
                  offsetof(DrawnToken, candidates) + 4);
    storeDrawn(whole(0), offsetof(DrawnToken, candidates));
  });
}

/// Adds the buckets of the block to those of the row.
void DrawKernel::countTokens(ArrayRef<Value> exponents,
                             ArrayRef<Value> weights) {
  Value ownWeights = sharedAt(weightsOffset),
        ownCounts = sharedAt(countsOffset);
  auto forEachBucket = [&](llvm::function_ref<void(Value)> body) {
    emitStridedLoop(builder, loc, thread, sliceThreads,
                    emitIndex(builder, loc, rt::numBuckets), body);
  };
  forEachBucket([&](Value bucket) {
    emitStore(builder, loc, whole(0), ownWeights, bucket);
    emitStore(builder, loc, integer(0), ownCounts, bucket);
  });
  emitSync(builder, loc);
  for (auto [exponent, weight] : llvm::zip_equal(exponents, weights))
    emitIf(isAbove(exponent, least()),
           [&, exponent = exponent, weight = weight] {
             Value scaled = multiply(exponent, number(-rt::bucketsPerOctave));
             Value bucket = arith::IndexCastOp::create(
                 builder, loc, builder.getIndexType(),
                 arith::FPToSIOp::create(builder, loc, i32, scaled));
             atomicAdd(weight, ownWeights, bucket, "block");
             atomicAdd(integer(1), ownCounts, bucket, "block");
           });
  emitSync(builder, loc);
  forEachBucket([&](Value bucket) {
    Value count = emitLoad(builder, loc, i32, ownCounts, bucket);
    emitIf(compare(Compare::ne, count, integer(0)), [&] {
      Value place = bucketOfRow(bucket);
      atomicAdd(emitLoad(builder, loc, i64, ownWeights, bucket), places.weights,
                place, "device");
      atomicAdd(count, places.counts, place, "device");
    });
  });
}

void DrawKernel::emitWeigh() {
  Value isAny = isKind(DrawKind::Any),
        isFiltered = isKind(DrawKind::Candidates);
  emitIf(arith::OrIOp::create(builder, loc, isAny, isFiltered), [&] {
    loadScale();
    SmallVector<Value> exponents, weights;
    Value own = whole(0);
    for (const SliceLogit &logit : loadSlice(places.logits)) {
      exponents.push_back(exponentOf(logitOf(logit)));
      weights.push_back(weightOf(exponents.back()));
      own = sum(own, weights.back());
    }
    emitIf(isAny, [&] {
      Value all = scan(own).all;
      onFirstThread([&] {
        Value place =
            emitAdd(builder, loc,
                    emitMul(builder, loc, row, emitIndex(builder, loc, slices)),
                    emitBlock(builder, loc, Axis::X));
        emitStore(builder, loc, all, places.sums, place);
      });
    });
    emitIf(isFiltered, [&] { countTokens(exponents, weights); });
  });
}

void DrawKernel::emitPick() {
  emitIf(isKind(DrawKind::Any), [&] {
    loadScale();
    pickAny();
  });
  emitIf(isKind(DrawKind::Candidates), [&] {
    loadScale();
    gather();
  });
}

/// Finds the slice of the point.
void DrawKernel::pickAny() {
  Value slice = emitBlock(builder, loc, Axis::X);
  Value start = emitMul(builder, loc, row, emitIndex(builder, loc, slices));
  auto loop = scf::ForOp::create(
      builder, loc, thread, emitIndex(builder, loc, slices),
      emitIndex(builder, loc, sliceThreads), ValueRange{whole(0), whole(0)},
      [&](OpBuilder &b, Location, Value at, ValueRange carried) {
        Value own =
            emitLoad(b, loc, i64, places.sums, emitAdd(b, loc, start, at));
        Value isBefore = compare(Compare::ult, at, slice);
        scf::YieldOp::create(
            b, loc,
            ValueRange{sum(carried[0], select(isBefore, own, whole(0))),
                       sum(carried[1], own)});
      });
  Value before = scan(loop.getResult(0)).all,
        total = scan(loop.getResult(1)).all;
  auto product = arith::MulUIExtendedOp::create(
      builder, loc, loadDraw(i64, offsetof(TokenDraw, random)), total);
  Value point = arith::OrIOp::create(
      builder, loc,
      arith::ShLIOp::create(builder, loc, product.getHigh(), whole(64 - 53)),
      arith::ShRUIOp::create(builder, loc, product.getLow(), whole(53)));
  Value own = emitLoad(builder, loc, i64, places.sums,
                       emitAdd(builder, loc, start, slice));
  Value rest = difference(point, before);
  Value isHere = both(compare(Compare::ule, before, point),
                      compare(Compare::ult, rest, own));
  emitIf(isHere, [&] { pickToken(rest); });
}

/// Finds the token at the point `rest` of the slice's weights. Threads have
/// tokens that follow each other.
void DrawKernel::pickToken(Value rest) {
  constexpr int64_t count = sliceLogits / sliceThreads;
  Value first =
      emitAdd(builder, loc,
              emitMul(builder, loc, emitBlock(builder, loc, Axis::X),
                      emitIndex(builder, loc, sliceLogits)),
              emitMul(builder, loc, thread, emitIndex(builder, loc, count)));
  Value start = emitMul(builder, loc, row, emitIndex(builder, loc, vocab)),
        last = emitIndex(builder, loc, vocab - 1);
  SmallVector<Value> ends; // Of the weights before each token, and of all.
  Value end = whole(0);
  for (int64_t i = 0; i < count; ++i) {
    Value wanted = emitAdd(builder, loc, first, emitIndex(builder, loc, i));
    Value at = arith::MinUIOp::create(builder, loc, wanted, last);
    Value logit = emitLoad(builder, loc, builder.getF32Type(), places.logits,
                           emitAdd(builder, loc, start, at));
    Value isInside = compare(Compare::ule, wanted, last);
    end = sum(end, weightOf(exponentOf(logitOf({{logit, {}}, isInside}))));
    ends.push_back(end);
  }
  Value point = difference(rest, scan(end).before);
  // Below the thread's weights it is a large number, without a sign.
  emitIf(compare(Compare::ult, point, end), [&] {
    Value token = arith::IndexCastOp::create(builder, loc, i32, first);
    for (Value behind : ArrayRef(ends).drop_back())
      token = sum(token,
                  arith::ExtUIOp::create(builder, loc, i32,
                                         compare(Compare::uge, point, behind)));
    storeDrawn(token, offsetof(DrawnToken, token));
  });
}

/// The bucket up to which top-k and top-p reach, as i32, the last one without
/// them. Stores the weight of the row.
Value DrawKernel::lastBucket() {
  Value topK = loadDraw(i32, offsetof(TokenDraw, topK)),
        topP = loadDraw(f64, offsetof(TokenDraw, topP));
  Value isByCount = compare(Compare::ne, topK, integer(0));
  Value first =
      emitMul(builder, loc, thread, emitIndex(builder, loc, threadBuckets));
  SmallVector<Value> reached;
  Value end = whole(0);
  for (int64_t i = 0; i < threadBuckets; ++i) {
    Value place =
        bucketOfRow(emitAdd(builder, loc, first, emitIndex(builder, loc, i)));
    Value count = toWhole(emitLoad(builder, loc, i32, places.counts, place)),
          weight = emitLoad(builder, loc, i64, places.weights, place);
    end = sum(end, select(isByCount, count, weight));
    reached.push_back(end);
  }
  Value word = sharedAt(wordOffset), zero = emitIndex(builder, loc, 0);
  onFirstThread([&] {
    emitStore(builder, loc, integer(rt::numBuckets - 1), word, zero);
  });
  Scan total = scan(end);
  emitIf(both(compare(Compare::eq, thread, zero),
              compare(Compare::eq, emitBlock(builder, loc, Axis::X), zero)),
         [&] {
           storeDrawn(select(isByCount, whole(0), total.all),
                      offsetof(DrawnToken, total));
         });
  // Without top-p all weights are asked for, and some bucket is the last.
  Value share = arith::FPToUIOp::create(
      builder, loc, i64,
      multiply(topP, arith::UIToFPOp::create(builder, loc, f64, total.all)));
  Value goal = arith::MaxUIOp::create(
      builder, loc, select(isByCount, toWhole(topK), share), whole(1));
  Value isMine = both(compare(Compare::ult, total.before, goal),
                      compare(Compare::ule, goal, sum(total.before, end)));
  emitIf(isMine, [&] {
    Value bucket = arith::IndexCastOp::create(builder, loc, i32, first);
    for (Value behind : ArrayRef(reached).drop_back())
      bucket = sum(bucket,
                   arith::ExtUIOp::create(
                       builder, loc, i32,
                       compare(Compare::ugt, goal, sum(total.before, behind))));
    emitStore(builder, loc, bucket, word, zero);
  });
  emitSync(builder, loc);
  return emitLoad(builder, loc, i32, word, zero);
}

/// Writes the candidates of the slice behind those of other blocks.
void DrawKernel::gather() {
  Value behind = sum(lastBucket(), integer(1));
  Value edge = multiply(arith::SIToFPOp::create(builder, loc, f64, behind),
                        number(-1.0 / rt::bucketsPerOctave));
  edge = select(isAbove(edge, least()), edge, least());
  Value limit = arith::TruncFOp::create(
      builder, loc, builder.getF32Type(),
      add(top, loadDraw(f64, offsetof(TokenDraw, minShift))));
  SmallVector<SliceLogit> logits = loadSlice(places.logits);
  SmallVector<Value> takes;
  Value own = whole(0);
  for (const SliceLogit &logit : logits) {
    Value isNear = isAbove(exponentOf(logitOf(logit)), edge);
    Value isKept = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OGE, logit.logit, limit);
    takes.push_back(both(isNear, isKept));
    own = sum(own, toWhole(takes.back()));
  }
  Scan found = scan(own);
  emitIf(compare(Compare::ne, found.all, whole(0)), [&] {
    Value word = sharedAt(wordOffset), zero = emitIndex(builder, loc, 0);
    onFirstThread([&] {
      Value all = arith::TruncIOp::create(builder, loc, i32, found.all);
      emitStore(builder, loc,
                atomicAdd(all, drawnMember(offsetof(DrawnToken, candidates)),
                          zero, "device"),
                word, zero);
    });
    emitSync(builder, loc);
    Value place =
        sum(toWhole(emitLoad(builder, loc, i32, word, zero)), found.before);
    for (auto [logit, isTaken] : llvm::zip_equal(logits, takes)) {
      Value isRoom = compare(Compare::ult, place, whole(rt::maxCandidates));
      emitIf(both(isTaken, isRoom), [&, &logit = logit] {
        Value at = emitAdd(builder, loc,
                           emitMul(builder, loc, row,
                                   emitIndex(builder, loc, rt::maxCandidates)),
                           arith::IndexCastOp::create(
                               builder, loc, builder.getIndexType(), place));
        auto store = [&](Value value, size_t member) {
          emitStore(builder, loc, value,
                    memberOf(places.candidates, at, sizeof(rt::TokenCandidate),
                             member),
                    zero);
        };
        store(logit.token, offsetof(rt::TokenCandidate, token));
        store(logit.logit, offsetof(rt::TokenCandidate, logit));
      });
      place = sum(place, toWhole(isTaken));
    }
  });
}

void cuda::addDraws(gpu::GPUModuleOp code, Location loc, int64_t vocab,
                    rt::LaunchPlan &plan) {
  const char *beginName = "draw_begin", *weighName = "draw_weigh",
             *pickName = "draw_pick";
  auto slices = static_cast<int64_t>(llvm::divideCeil(vocab, sliceLogits));
  // Behind the values and tokens of slices.
  int64_t used = 0;
  auto place = [&](int64_t bytes) {
    rt::LaunchArgument result{Space::Selected, used};
    used += bytes;
    return result;
  };
  rt::LaunchArgument values = place(4 * slices), tokens = place(4 * slices),
                     drawn = place(sizeof(DrawnToken)),
                     sums = place(8 * slices),
                     weights = place(8 * rt::numBuckets),
                     counts = place(4 * rt::numBuckets),
                     candidates = place(rt::candidatesBytes),
                     logits{Space::Output, 0},
                     draws{Space::Input,
                           static_cast<int64_t>(rt::LaunchInput::Draws)};
  plan.selectedBytes = std::max(plan.selectedBytes, used);

  addChoiceKernel(code, loc, beginName, 1, joinThreads,
                  joinThreads / warpSize * 8, 5, plan,
                  [&](OpBuilder &builder, ValueRange arguments) {
                    DrawPlaces places;
                    places.drawn = arguments[2];
                    places.weights = arguments[3];
                    places.counts = arguments[4];
                    DrawKernel(builder, loc, vocab, places)
                        .emitBegin(arguments[0], arguments[1]);
                  });
  auto common = [](ValueRange arguments) {
    return DrawPlaces{arguments[0],
                      arguments[1],
                      arguments[2],
                      arguments[3],
                      arguments[4],
                      arguments[5],
                      arguments.size() > 6 ? arguments[6] : Value()};
  };
  addChoiceKernel(
      code, loc, weighName, slices, sliceThreads, weighBytes, 6, plan,
      [&](OpBuilder &builder, ValueRange arguments) {
        DrawKernel(builder, loc, vocab, common(arguments)).emitWeigh();
      });
  addChoiceKernel(
      code, loc, pickName, slices, sliceThreads, pickBytes, 7, plan,
      [&](OpBuilder &builder, ValueRange arguments) {
        DrawKernel(builder, loc, vocab, common(arguments)).emitPick();
      });
  plan.draws = rt::LaunchDraws{
      {{choiceSlicesName, {logits, values, tokens}},
       {beginName, {values, tokens, drawn, weights, counts}},
       {weighName, {logits, draws, drawn, sums, weights, counts}},
       {pickName, {logits, draws, drawn, sums, weights, counts, candidates}}},
      drawn,
      candidates};
}
