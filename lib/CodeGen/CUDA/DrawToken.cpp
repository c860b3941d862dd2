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
#include "lib/CodeGen/CUDA/ChoiceEmitter.h"
#include "runtime/Device/TokenDraw.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cstddef>
#include <limits>

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

namespace {

// Shared memory of a block: sums of the threads and of their warps, 64 bits
// each, a word for all, and, where tokens are weighed, buckets.
constexpr int64_t sliceWarps = sliceThreads / warpSize;
constexpr int64_t wordOffset = 8 * (sliceThreads + sliceWarps),
                  pickBytes = wordOffset + 16, weightsOffset = pickBytes,
                  countsOffset = weightsOffset + 8 * rt::numBuckets,
                  weighBytes = countsOffset + 4 * rt::numBuckets;
/// Buckets of a thread, where a block sums them up.
constexpr int64_t threadBuckets = rt::numBuckets / sliceThreads;

/// Where rows have what: pointers to their first.
struct Places {
  Value logits;     ///< f32 [row][vocab]
  Value draws;      ///< TokenDraw [row]
  Value drawn;      ///< DrawnToken [row]
  Value sums;       ///< u64 [row][slice]: weights of slices, for Any
  Value weights;    ///< u64 [row][bucket], for Candidates
  Value counts;     ///< u32 [row][bucket], for Candidates
  Value candidates; ///< TokenCandidate [row][maxCandidates]
};

/// Emits into one kernel.
class DrawEmitter : public ChoiceEmitter {
public:
  DrawEmitter(OpBuilder &builder, Location loc, int64_t vocab, Places places)
      : ChoiceEmitter(builder, loc, vocab), places(places),
        i32(builder.getI32Type()), i64(builder.getI64Type()),
        f64(builder.getF64Type()) {}

  /// The largest logit of a row; its candidates and buckets are none.
  void emitBegin(Value sliceValues, Value sliceTokens);
  /// Sums and buckets of a slice.
  void emitWeigh();
  /// The token of a row, if it is in this slice, or the slice's candidates.
  void emitPick();

private:
  using Compare = arith::CmpIPredicate;
  Value whole(int64_t value) {
    return arith::ConstantIntOp::create(builder, loc, i64, value);
  }
  Value number(double value) {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getF64FloatAttr(value));
  }
  Value compare(Compare how, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, how, a, b);
  }
  Value both(Value a, Value b) {
    return arith::AndIOp::create(builder, loc, a, b);
  }
  Value select(Value condition, Value a, Value b) {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  }
  Value sum(Value a, Value b) {
    return arith::AddIOp::create(builder, loc, a, b);
  }
  Value difference(Value a, Value b) {
    return arith::SubIOp::create(builder, loc, a, b);
  }
  Value toWhole(Value value) {
    return arith::ExtUIOp::create(builder, loc, i64, value);
  }
  Value asF64(Value value) {
    return arith::ExtFOp::create(builder, loc, f64, value);
  }
  // Rounded each: the assembler would make one operation of two otherwise.
  Value rounded(StringRef name, Value a, Value b) {
    return LLVM::CallIntrinsicOp::create(
               builder, loc, f64, builder.getStringAttr(name), ValueRange{a, b})
        .getResult(0);
  }
  Value add(Value a, Value b) { return rounded("llvm.nvvm.add.rn.d", a, b); }
  Value multiply(Value a, Value b) {
    return rounded("llvm.nvvm.mul.rn.d", a, b);
  }
  Value isAbove(Value a, Value b) {
    return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, a, b);
  }

  /// The address of a member, at byte `member` of element `index` of an array
  /// of such elements.
  Value memberOf(Value base, Value index, int64_t size, size_t member);
  Value loadDraw(Type type, size_t member) {
    return emitLoad(builder, loc, type,
                    memberOf(places.draws, row, sizeof(TokenDraw), member),
                    emitIndex(builder, loc, 0));
  }
  Value drawnMember(size_t member) {
    return memberOf(places.drawn, row, sizeof(DrawnToken), member);
  }
  void storeDrawn(Value value, size_t member) {
    emitStore(builder, loc, value, drawnMember(member),
              emitIndex(builder, loc, 0));
  }
  Value sharedAt(int64_t bytes) {
    return memberOf(emitShared(builder, loc), emitIndex(builder, loc, 0), 1,
                    static_cast<size_t>(bytes));
  }
  Value isKind(DrawKind kind) {
    return compare(Compare::eq, loadDraw(i32, offsetof(TokenDraw, kind)),
                   integer(static_cast<int64_t>(kind)));
  }
  /// Adds to element `at` of an array of i32 or i64; gives what was there.
  Value atomicAdd(Value value, Value base, Value at, StringRef scope) {
    return LLVM::AtomicRMWOp::create(
        builder, loc, LLVM::AtomicBinOp::add,
        cpu::emitAddress(builder, loc, base, value.getType(), at), value,
        LLVM::AtomicOrdering::monotonic, scope);
  }
  /// Element `bucket` of the row's buckets.
  Value bucketOfRow(Value bucket) {
    return emitAdd(
        builder, loc,
        emitMul(builder, loc, row, emitIndex(builder, loc, rt::numBuckets)),
        bucket);
  }

  void loadScale() {
    top = asF64(emitLoad(builder, loc, builder.getF32Type(),
                         drawnMember(offsetof(DrawnToken, top)),
                         emitIndex(builder, loc, 0)));
    scale = loadDraw(f64, offsetof(TokenDraw, scale));
  }
  Value least() { return number(rt::leastExponent(vocab)); }
  Value exponentOf(Value logit);
  Value weightOf(Value exponent);
  /// Minus infinity behind the row's end.
  Value logitOf(const SliceLogit &logit) {
    return select(
        logit.isInside, logit.logit,
        emitFloat(builder, loc, -std::numeric_limits<float>::infinity()));
  }

  struct Scan {
    Value before, all;
  };
  /// Sums of an i64 over the threads before a thread, and over all of a block
  /// of `sliceThreads`.
  Scan scan(Value own);

  void countTokens(ArrayRef<Value> exponents, ArrayRef<Value> weights);
  void pickAny();
  void pickToken(Value rest);
  Value lastBucket();
  void gather();

  Places places;
  Type i32, i64, f64;
  Value top, scale; ///< f64, after loadScale().
};

} // namespace

Value DrawEmitter::memberOf(Value base, Value index, int64_t size,
                            size_t member) {
  Value bytes = emitAdd(
      builder, loc, emitMul(builder, loc, index, emitIndex(builder, loc, size)),
      emitIndex(builder, loc, static_cast<int64_t>(member)));
  return cpu::emitAddress(builder, loc, base, builder.getI8Type(), bytes);
}

//===----------------------------------------------------------------------===//
// Weights, as TokenDraw.h defines them
//===----------------------------------------------------------------------===//

Value DrawEmitter::exponentOf(Value logit) {
  Value below = arith::SubFOp::create(builder, loc, asF64(logit), top);
  Value exponent = multiply(below, scale);
  return select(isAbove(exponent, least()), exponent, least());
}

Value DrawEmitter::weightOf(Value exponent) {
  auto bitsOf = [&](Value value) -> Value {
    return arith::BitcastOp::create(builder, loc, i64, value);
  };
  Value shifted = add(exponent, number(rt::roundingShift));
  Value next = add(shifted, number(-rt::roundingShift));
  Value rest = arith::SubFOp::create(builder, loc, exponent, next);
  Value power = number(rt::powerCoefficients.back());
  for (double coefficient :
       llvm::reverse(ArrayRef(rt::powerCoefficients).drop_back()))
    power = add(multiply(power, rest), number(coefficient));
  // 2^(n + bits), by its bits.
  uint64_t bias = static_cast<uint64_t>(rt::weightBits(vocab)) + 1023 -
                  std::bit_cast<uint64_t>(rt::roundingShift);
  Value unit = arith::BitcastOp::create(
      builder, loc, f64,
      arith::ShLIOp::create(
          builder, loc, sum(bitsOf(shifted), whole(static_cast<int64_t>(bias))),
          whole(52)));
  Value rounded = add(multiply(power, unit), number(0x1p52));
  return both(bitsOf(rounded), whole((int64_t(1) << 52) - 1));
}

//===----------------------------------------------------------------------===//
// Sums over a block
//===----------------------------------------------------------------------===//

DrawEmitter::Scan DrawEmitter::scan(Value own) {
  Value lanes = emitIndex(builder, loc, warpSize);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes);
  Value words = emitShared(builder, loc), sums = sharedAt(8 * sliceThreads);
  // What an earlier scan left was read by all.
  emitSync(builder, loc);
  emitStore(builder, loc, own, words, thread);
  emitSync(builder, loc);
  // All lanes of a warp read the same word.
  auto over = [&](Value base, Value first, int64_t count, Value self) {
    auto loop = scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, count), emitIndex(builder, loc, 1),
        ValueRange{whole(0), whole(0)},
        [&](OpBuilder &b, Location, Value at, ValueRange carried) {
          Value word = emitLoad(b, loc, i64, base, emitAdd(b, loc, first, at));
          Value isBefore = compare(Compare::ult, at, self);
          scf::YieldOp::create(
              b, loc,
              ValueRange{sum(carried[0], select(isBefore, word, whole(0))),
                         sum(carried[1], word)});
        });
    return Scan{loop.getResult(0), loop.getResult(1)};
  };
  Scan inWarp = over(words, emitMul(builder, loc, warp, lanes), warpSize, lane);
  emitIf(compare(Compare::eq, lane, emitIndex(builder, loc, 0)),
         [&] { emitStore(builder, loc, inWarp.all, sums, warp); });
  emitSync(builder, loc);
  Scan ofWarps = over(sums, emitIndex(builder, loc, 0), sliceWarps, warp);
  return {sum(ofWarps.before, inWarp.before), ofWarps.all};
}

//===----------------------------------------------------------------------===//
// The kernels
//===----------------------------------------------------------------------===//

void DrawEmitter::emitBegin(Value sliceValues, Value sliceTokens) {
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
void DrawEmitter::countTokens(ArrayRef<Value> exponents,
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

void DrawEmitter::emitWeigh() {
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

void DrawEmitter::emitPick() {
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
void DrawEmitter::pickAny() {
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
void DrawEmitter::pickToken(Value rest) {
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
Value DrawEmitter::lastBucket() {
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
void DrawEmitter::gather() {
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
                    Places places;
                    places.drawn = arguments[2];
                    places.weights = arguments[3];
                    places.counts = arguments[4];
                    DrawEmitter(builder, loc, vocab, places)
                        .emitBegin(arguments[0], arguments[1]);
                  });
  auto common = [](ValueRange arguments) {
    return Places{arguments[0],
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
        DrawEmitter(builder, loc, vocab, common(arguments)).emitWeigh();
      });
  addChoiceKernel(
      code, loc, pickName, slices, sliceThreads, pickBytes, 7, plan,
      [&](OpBuilder &builder, ValueRange arguments) {
        DrawEmitter(builder, loc, vocab, common(arguments)).emitPick();
      });
  plan.draws = rt::LaunchDraws{
      {{choiceSlicesName, {logits, values, tokens}},
       {beginName, {values, tokens, drawn, weights, counts}},
       {weighName, {logits, draws, drawn, sums, weights, counts}},
       {pickName, {logits, draws, drawn, sums, weights, counts, candidates}}},
      drawn,
      candidates};
}
