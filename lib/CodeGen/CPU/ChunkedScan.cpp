//===- ChunkedScan.cpp - A chunk of a linear recurrence -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Names are those of LinearRecurrence.h: `scores` holds A and then P, `values`
// v and then W, `decays` the sums G. Products of two decays are exponentials of
// differences, which never overflow, since s ≤ t.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/ChunkedScan.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

ChunkEmitter::Layout::Layout(const Target &target,
                             const LinearRecurrence &recurrence,
                             int64_t chunk) {
  int64_t keySize = llvm::alignTo(recurrence.keySize, target.width),
          valueSize = llvm::alignTo(recurrence.valueSize, target.width);
  end = 0;
  auto take = [&](int64_t rows, int64_t columns) {
    int64_t offset = end;
    end += llvm::alignTo(rows * columns * 4, 64);
    return offset;
  };
  keys = take(chunk, keySize);
  queries = take(chunk, keySize);
  values = take(chunk, valueSize);
  outputs = take(chunk, valueSize);
  state = take(recurrence.keySize, valueSize);
  keysOfElement = take(keySize, chunk);
  scores = take(chunk, chunk);
  // One number is written with all lanes of a vector.
  decays = take(1, chunk + target.width);
  rates = take(1, chunk + target.width);
}

int64_t ChunkEmitter::scratchBytes(const Target &target,
                                   const LinearRecurrence &recurrence,
                                   int64_t chunk) {
  return Layout(target, recurrence, chunk).end;
}

ChunkEmitter::ChunkEmitter(OpBuilder &builder, Location loc,
                           const Target &target,
                           const LinearRecurrence &recurrence, int64_t chunk,
                           Value scratch)
    : b(builder), loc(loc), target(target), recurrence(recurrence),
      chunk(chunk), layout(target, recurrence, chunk), scratch(scratch),
      vectorType(VectorType::get(target.width, builder.getF32Type())) {
  int64_t keySize = padded(recurrence.keySize),
          valueSize = padded(recurrence.valueSize);
  keys = part(layout.keys, keySize);
  queries = part(layout.queries, keySize);
  values = part(layout.values, valueSize);
  outputs = part(layout.outputs, valueSize);
  state = part(layout.state, valueSize);
  keysOfElement = part(layout.keysOfElement, chunk);
  scores = part(layout.scores, chunk);
  decays = part(layout.decays, 1);
  rates = part(layout.rates, 1);
}

//===----------------------------------------------------------------------===//
// Small pieces
//===----------------------------------------------------------------------===//

ChunkEmitter::Matrix ChunkEmitter::part(int64_t offset,
                                        int64_t rowStride) const {
  Value base =
      emitAddress(b, loc, scratch, b.getI8Type(), emitIndex(b, loc, offset));
  return {base, rowStride};
}
Value ChunkEmitter::index(int64_t value) { return emitIndex(b, loc, value); }
Value ChunkEmitter::at(const Matrix &matrix, Value row) {
  return emitAddress(b, loc, matrix.base, b.getF32Type(),
                     emitMul(b, loc, row, index(matrix.rowStride)));
}
Value ChunkEmitter::load(Value base, Value offset) {
  return emitLoad(b, loc, vectorType, base, offset);
}
Value ChunkEmitter::loadScalar(Value base, Value offset) {
  return emitLoad(b, loc, b.getF32Type(), base, offset);
}
Value ChunkEmitter::splat(Value scalar) {
  return emitSplat(b, loc, scalar, target.width);
}
Value ChunkEmitter::decayAt(Value place) {
  return splat(loadScalar(decays.base, place));
}

ChunkEmitter::Values
ChunkEmitter::loop(Value lower, Value upper, int64_t step, ValueRange carried,
                   llvm::function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, loc, lower, upper, index(step), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(b, loc, next);
  return Values(loop.getResults());
}

void ChunkEmitter::forEach(Value upper, int64_t step,
                           llvm::function_ref<void(Value)> body) {
  loop(index(0), upper, step, {}, [&](Value i, ValueRange) -> Values {
    body(i);
    return {};
  });
}

Value ChunkEmitter::logDecayAt(Value place) { return at(decays, place); }
Value ChunkEmitter::rateAt(Value place) { return at(rates, place); }
Value ChunkEmitter::keyAt(Value place) { return at(keys, place); }
Value ChunkEmitter::queryAt(Value place) { return at(queries, place); }
Value ChunkEmitter::valueAt(Value place) { return at(values, place); }

//===----------------------------------------------------------------------===//
// Transposition
//===----------------------------------------------------------------------===//

/// A square of the vector width: in step d, rows whose numbers differ in bit d
/// exchange the elements whose columns differ from them in that bit.
void ChunkEmitter::transposeBlock(Value row, Value column, Matrix from,
                                  Matrix to) {
  int64_t width = target.width;
  Values vectors;
  for (int64_t i = 0; i < width; ++i)
    vectors.push_back(load(at(from, emitAdd(b, loc, row, index(i))), column));
  for (int64_t d = 1; d < width; d *= 2)
    for (int64_t i = 0; i < width; ++i) {
      if (i & d)
        continue;
      SmallVector<int32_t> low, high;
      for (int64_t lane = 0; lane < width; ++lane) {
        low.push_back(lane & d ? width + (lane ^ d) : lane);
        high.push_back(lane & d ? width + lane : lane ^ d);
      }
      Value x = vectors[i], y = vectors[i | d];
      vectors[i] = LLVM::ShuffleVectorOp::create(b, loc, x, y, low);
      vectors[i | d] = LLVM::ShuffleVectorOp::create(b, loc, x, y, high);
    }
  for (auto [i, vector] : llvm::enumerate(vectors))
    emitStore(b, loc, vector, at(to, emitAdd(b, loc, column, index(i))), row);
}

void ChunkEmitter::transpose(int64_t rows, int64_t columns, Matrix from,
                             Matrix to) {
  bool isWhole = rows % target.width == 0 && columns % target.width == 0;
  int64_t step = isWhole ? target.width : 1;
  forEach(index(rows), step, [&](Value row) {
    forEach(index(columns), step, [&](Value column) {
      if (isWhole)
        return transposeBlock(row, column, from, to);
      Value element = loadScalar(at(from, row), column);
      emitStore(b, loc, element, at(to, column), row);
    });
  });
}

void ChunkEmitter::loadState(Value memory) {
  if (recurrence.keysAreLast)
    return transpose(recurrence.valueSize, recurrence.keySize,
                     {memory, recurrence.keySize}, state);
  int64_t size = recurrence.valueSize;
  Matrix from{memory, size};
  forEach(index(recurrence.keySize), 1, [&](Value row) {
    for (int64_t column = 0; column < size; column += target.width) {
      Value mask;
      if (size - column < target.width)
        mask = emitConstantMask(b, loc, target.width, size - column);
      Value vector = emitMaskedLoad(b, loc, vectorType, at(from, row),
                                    index(column), mask);
      emitStore(b, loc, vector, at(state, row), index(column));
    }
  });
}

void ChunkEmitter::storeState(Value memory) {
  if (recurrence.keysAreLast)
    return transpose(recurrence.keySize, recurrence.valueSize, state,
                     {memory, recurrence.keySize});
  int64_t size = recurrence.valueSize;
  Matrix to{memory, size};
  forEach(index(recurrence.keySize), 1, [&](Value row) {
    for (int64_t column = 0; column < size; column += target.width) {
      Value mask;
      if (size - column < target.width)
        mask = emitConstantMask(b, loc, target.width, size - column);
      emitStore(b, loc, load(at(state, row), index(column)), at(to, row),
                index(column), mask);
    }
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// c = a · b, in blocks of rows and vectors whose sums fit the registers.
/// `columns` is padded to whole vectors; rows of `b` and `c` are contiguous.
/// `scale` has a factor in all lanes.
void ChunkEmitter::multiply(int64_t rows, int64_t columns, int64_t depth,
                            Matrix a, Matrix matrix, Matrix c, Init init,
                            Range range, Value scale) {
  int64_t width = target.width, vectors = columns / width;
  int64_t rowBlock = target.accumulators >= 24 ? 8 : 4;
  rowBlock = std::min(rowBlock, width);
  while (rows % rowBlock != 0)
    rowBlock /= 2;
  int64_t block = vectors % 2 == 0 ? 2 : vectors % 3 == 0 ? 3 : 1;
  forEach(index(rows), rowBlock, [&](Value row) {
    Value behind = emitAdd(b, loc, row, index(rowBlock));
    Value end = range == Range::UpToRow ? behind : index(depth);
    Value columnEnd = range == Range::Lower ? behind : index(columns);
    forEach(columnEnd, block * width, [&](Value column) {
      auto place = [&](int64_t i, int64_t v) {
        return std::pair(at(c, emitAdd(b, loc, row, index(i))),
                         emitAdd(b, loc, column, index(v * width)));
      };
      Values sums;
      for (int64_t i = 0; i < rowBlock; ++i)
        for (int64_t v = 0; v < block; ++v) {
          Value sum;
          if (init == Init::Zero) {
            sum = arith::ConstantOp::create(b, loc, vectorType,
                                            b.getZeroAttr(vectorType));
          } else {
            auto [base, offset] = place(i, v);
            sum = load(base, offset);
            if (init == Init::ScaledResult)
              sum = arith::MulFOp::create(b, loc, sum, scale);
          }
          sums.push_back(sum);
        }
      sums = loop(index(0), end, 1, sums, [&](Value k, ValueRange carried) {
        Values next(carried), terms;
        Value from = at(matrix, k);
        for (int64_t v = 0; v < block; ++v)
          terms.push_back(
              load(from, emitAdd(b, loc, column, index(v * width))));
        Value inner = emitMul(b, loc, k, index(a.columnStride));
        for (int64_t i = 0; i < rowBlock; ++i) {
          Value element =
              splat(loadScalar(at(a, emitAdd(b, loc, row, index(i))), inner));
          for (int64_t v = 0; v < block; ++v) {
            Value &sum = next[i * block + v];
            sum = emitMultiplyAdd(b, loc, target, element, terms[v], sum);
          }
        }
        return next;
      });
      for (int64_t i = 0; i < rowBlock; ++i)
        for (int64_t v = 0; v < block; ++v) {
          auto [base, offset] = place(i, v);
          emitStore(b, loc, sums[i * block + v], base, offset);
        }
    });
  });
}

//===----------------------------------------------------------------------===//
// The chunk
//===----------------------------------------------------------------------===//

/// g becomes G.
void ChunkEmitter::accumulateDecays() {
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
  loop(index(0), index(chunk), 1, zero, [&](Value t, ValueRange sum) -> Values {
    Value next =
        arith::AddFOp::create(b, loc, sum[0], loadScalar(decays.base, t));
    emitStore(b, loc, next, decays.base, t);
    return {next};
  });
}

/// Products of queries or keys with keys become P, or if `isStrict` −A.
void ChunkEmitter::maskScores(bool isStrict) {
  auto i32Vector = VectorType::get(target.width, b.getI32Type());
  SmallVector<int32_t> lanes;
  for (int32_t lane = 0; lane < target.width; ++lane)
    lanes.push_back(lane);
  Value order = arith::ConstantOp::create(
      b, loc, i32Vector,
      DenseElementsAttr::get(i32Vector, ArrayRef<int32_t>(lanes)));
  auto numbers = [&](Value first) -> Value {
    return arith::IndexCastOp::create(b, loc, b.getI32Type(), first);
  };
  Value lowest = arith::ConstantOp::create(
      b, loc, vectorType,
      DenseElementsAttr::get(vectorType,
                             -std::numeric_limits<float>::infinity()));
  forEach(index(chunk), 1, [&](Value t) {
    Value own = decayAt(t), row = at(scores, t);
    Value last = splat(numbers(t));
    Value rate;
    if (isStrict)
      rate = arith::NegFOp::create(b, loc, splat(loadScalar(rates.base, t)));
    forEach(emitAdd(b, loc, t, index(1)), target.width, [&](Value s) {
      Value difference =
          arith::SubFOp::create(b, loc, own, load(decays.base, s));
      Value place = arith::AddIOp::create(b, loc, splat(numbers(s)), order);
      Value isPast = arith::CmpIOp::create(b, loc,
                                           isStrict ? arith::CmpIPredicate::slt
                                                    : arith::CmpIPredicate::sle,
                                           place, last);
      Value decay = math::ExpOp::create(
          b, loc, arith::SelectOp::create(b, loc, isPast, difference, lowest));
      Value score = arith::MulFOp::create(b, loc, load(row, s), decay);
      if (rate)
        score = arith::MulFOp::create(b, loc, score, rate);
      emitStore(b, loc, score, row, s);
    });
  });
}

/// Multiplies each row of a chunk, of `size` elements, by a vector's lanes.
void ChunkEmitter::scaleRows(const Matrix &matrix, int64_t size,
                             llvm::function_ref<Value(Value)> factor) {
  forEach(index(chunk), 1, [&](Value t) {
    Value row = at(matrix, t), by = factor(t);
    forEach(index(padded(size)), target.width, [&](Value column) {
      Value vector = load(row, column);
      emitStore(b, loc, arith::MulFOp::create(b, loc, vector, by), row, column);
    });
  });
}

/// v becomes b·(v − exp(G)·K S).
void ChunkEmitter::subtractState() {
  multiply(chunk, padded(recurrence.valueSize), recurrence.keySize, keys, state,
           outputs, Init::Zero, Range::All);
  forEach(index(chunk), 1, [&](Value t) {
    Value decay = math::ExpOp::create(b, loc, decayAt(t)),
          rate = splat(loadScalar(rates.base, t));
    Value row = at(values, t), known = at(outputs, t);
    forEach(
        index(padded(recurrence.valueSize)), target.width, [&](Value column) {
          Value past =
              arith::MulFOp::create(b, loc, decay, load(known, column));
          Value lack = arith::SubFOp::create(b, loc, load(row, column), past);
          emitStore(b, loc, arith::MulFOp::create(b, loc, rate, lack), row,
                    column);
        });
  });
}

/// (I + A) W = what `values` holds, with −A in `scores`: row by row.
void ChunkEmitter::solve() {
  int64_t vectors = padded(recurrence.valueSize) / target.width;
  int64_t block = std::min<int64_t>(vectors, target.accumulators / 2);
  while (vectors % block != 0)
    --block;
  loop(index(1), index(chunk), 1, {}, [&](Value t, ValueRange) -> Values {
    Value row = at(values, t), factors = at(scores, t);
    forEach(
        index(vectors * target.width), block * target.width, [&](Value column) {
          auto offset = [&](int64_t v) {
            return emitAdd(b, loc, column, index(v * target.width));
          };
          Values sums;
          for (int64_t v = 0; v < block; ++v)
            sums.push_back(load(row, offset(v)));
          sums = loop(index(0), t, 1, sums, [&](Value s, ValueRange carried) {
            Values next(carried);
            Value factor = splat(loadScalar(factors, s));
            for (int64_t v = 0; v < block; ++v)
              next[v] =
                  emitMultiplyAdd(b, loc, target, factor,
                                  load(at(values, s), offset(v)), next[v]);
            return next;
          });
          for (int64_t v = 0; v < block; ++v)
            emitStore(b, loc, sums[v], row, offset(v));
        });
    return {};
  });
}

void ChunkEmitter::run() {
  int64_t keySize = recurrence.keySize,
          valueSize = padded(recurrence.valueSize);
  accumulateDecays();
  transpose(chunk, padded(keySize), keys, keysOfElement);
  if (recurrence.rate) {
    multiply(chunk, chunk, keySize, keys, keysOfElement, scores, Init::Zero,
             Range::Lower);
    maskScores(/*isStrict=*/true);
    subtractState();
    solve();
  }
  multiply(chunk, chunk, keySize, queries, keysOfElement, scores, Init::Zero,
           Range::Lower);
  maskScores(/*isStrict=*/false);
  scaleRows(queries, keySize, [&](Value t) -> Value {
    return math::ExpOp::create(b, loc, decayAt(t));
  });
  multiply(chunk, valueSize, keySize, queries, state, outputs, Init::Zero,
           Range::All);
  multiply(chunk, valueSize, chunk, scores, values, outputs, Init::Result,
           Range::UpToRow);
  Value total = decayAt(index(chunk - 1));
  scaleRows(values, valueSize, [&](Value t) -> Value {
    return math::ExpOp::create(
        b, loc, arith::SubFOp::create(b, loc, total, decayAt(t)));
  });
  Value decay = math::ExpOp::create(b, loc, total);
  multiply(keySize, valueSize, chunk, {keys.base, 1, keys.rowStride}, values,
           state, Init::ScaledResult, Range::All, decay);
}

void ChunkEmitter::forEachResult(Store store) {
  int64_t size = recurrence.valueSize;
  forEach(index(chunk), 1, [&](Value t) {
    for (int64_t column = 0; column < size; column += target.width) {
      Value mask;
      if (size - column < target.width)
        mask = emitConstantMask(b, loc, target.width, size - column);
      store(t, index(column), load(at(outputs, t), index(column)), mask);
    }
  });
}
