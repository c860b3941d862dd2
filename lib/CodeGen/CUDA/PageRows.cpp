//===- PageRows.cpp - Scores and values of a page -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/PageAttention.h"

#include "lib/CodeGen/CPU/CacheWrite.h"
#include "lib/CodeGen/CPU/StepABI.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

PageAttention::Values PageAttention::loadRow(Value base, Value first,
                                             const RowPieces &pieces) {
  Values elements;
  for (int64_t i = 0; i < pieces.perLane; ++i) {
    Value piece = emitAdd(b, loc, ownLane(pieces), index(i * pieces.lanes));
    // Lanes without a piece repeat the last one; it is multiplied by zero.
    if ((i + 1) * pieces.lanes > pieces.count)
      piece = make<arith::MinUIOp>(piece, index(pieces.count - 1));
    Value at = emitMul(b, loc, piece, index(pieces.piece));
    llvm::append_range(elements, emitLoadFloats(b, loc, shape.elementType, base,
                                                emitAdd(b, loc, first, at),
                                                pieces.piece));
  }
  return elements;
}

void PageAttention::loadQueries() {
  Value first =
      emitAdd(b, loc, emitMul(b, loc, token, index(shape.qHeads)), firstHead);
  for (int64_t head = 0; head < heads; ++head) {
    Value row = emitAdd(b, loc, first, index(head));
    Values elements = loadRow(operands.queries,
                              emitMul(b, loc, row, index(shape.keySize)), keys);
    int64_t last = (keys.perLane - 1) * keys.lanes;
    if (last + keys.lanes > keys.count) {
      Value isOwn = isLess(emitAdd(b, loc, ownLane(keys), index(last)),
                           index(keys.count));
      for (Value &element :
           MutableArrayRef(elements).take_back(static_cast<size_t>(keys.piece)))
        element = arith::SelectOp::create(b, loc, isOwn, element,
                                          emitFloat(b, loc, 0));
    }
    queries.push_back(std::move(elements));
  }
}

Value PageAttention::pageOf(Value page, bool isKey) {
  cpu::KVStateView view(b, loc, operands.state);
  // Values may be the first elements of the keys' rows.
  isKey |= shape.hasSharedRows;
  cpu::CacheLayout layout{shape.kvHeads,
                          isKey ? shape.keySize : shape.valueSize,
                          shape.elementType};
  Value table = cpu::emitPageTable(b, loc, operands.state, sequence);
  Value address = cpu::emitPageAddress(
      b, loc, layout, isKey ? view.keys() : view.values(), table, page, kvHead);
  return LLVM::AddrSpaceCastOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext(), /*addressSpace=*/1),
      address);
}

PageAttention::Values PageAttention::forTurns(
    int64_t turns, Values carried,
    llvm::function_ref<Values(Value turn, Values carried)> body) {
  if (turns == 1)
    return body(index(0), std::move(carried));
  auto loop =
      scf::ForOp::create(b, loc, index(0), index(turns), index(1), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), Values(loop.getRegionIterArgs()));
  scf::YieldOp::create(b, loc, next);
  return Values(loop.getResults());
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// The products of the heads' queries with the page's keys, each in the lane of
/// its key.
PageAttention::Values PageAttention::emitScores(Value page) {
  Value rows = pageOf(page, /*isKey=*/true);
  int64_t together = keys.rows();
  // Lanes that share a row have as many rows in turn as they are.
  Value firstRow = emitMul(
      b, loc, make<arith::DivUIOp>(lane, index(keys.lanes)), index(keys.lanes));
  auto hasBit = [&](int64_t bit) {
    return isEqual(make<arith::AndIOp>(lane, index(bit)), index(bit));
  };
  auto turn = [&](Value turn, Values scores) {
    Value row =
        emitAdd(b, loc, firstRow, emitMul(b, loc, turn, index(together)));
    // Two rows become one: a lane keeps the sum of the row whose number has its
    // bit, and gives away the other. pending[i] is what waits for level i.
    SmallVector<Values> pending(static_cast<size_t>(heads));
    for (int64_t i = 0; i < together; ++i) {
      Values elements = loadRow(
          rows,
          emitMul(b, loc, emitAdd(b, loc, row, index(i)), index(shape.keySize)),
          keys);
      for (auto [query, waiting] : llvm::zip_equal(queries, pending)) {
        Value sum = emitFloat(b, loc, 0);
        for (auto [x, y] : llvm::zip_equal(query, elements))
          sum = fma(x, y, sum);
        int64_t bit = 1;
        for (; i & bit; bit *= 2) {
          Value other = waiting.pop_back_val(), isOwn = hasBit(bit);
          Value kept = arith::SelectOp::create(b, loc, isOwn, sum, other),
                given = arith::SelectOp::create(b, loc, isOwn, other, sum);
          sum = make<arith::AddFOp>(kept, exchange(given, bit));
        }
        waiting.push_back(sum);
      }
    }
    Value isOwn =
        isEqual(make<arith::DivUIOp>(ownLane(keys), index(together)), turn);
    for (auto [score, waiting] : llvm::zip_equal(scores, pending)) {
      Value sum = waiting.front();
      for (int64_t bit = together; bit < keys.lanes; bit *= 2)
        sum = make<arith::AddFOp>(sum, exchange(sum, bit));
      score = arith::SelectOp::create(b, loc, isOwn, sum, score);
    }
    return scores;
  };
  return forTurns(keys.lanes / together,
                  Values(static_cast<size_t>(heads), emitFloat(b, loc, 0)),
                  turn);
}

Value PageAttention::finishScore(Value score, Value key, int64_t head) {
  score = make<arith::MulFOp>(score, emitFloat(b, loc, shape.scale));
  if (shape.softcap) {
    Value cap = emitFloat(b, loc, *shape.softcap);
    score = make<arith::MulFOp>(
        cap, math::TanhOp::create(b, loc, make<arith::DivFOp>(score, cap)));
  }
  if (!slopes.empty()) {
    Value distance = arith::IndexCastOp::create(
        b, loc, b.getI32Type(), make<arith::SubIOp>(key, position));
    score = make<arith::AddFOp>(
        score, make<arith::MulFOp>(
                   slopes[static_cast<size_t>(head)],
                   arith::SIToFPOp::create(b, loc, b.getF32Type(), distance)));
  }
  Value isAttended = make<arith::AndIOp>(
      isLess(key, pages.contextEnd),
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, key,
                            pages.begin));
  if (shape.hasGroups) {
    // Keys behind the last have no group.
    Value last = make<arith::SubIOp>(pages.contextEnd, index(1));
    Value group = emitLoad(b, loc, b.getI32Type(), keyGroups,
                           make<arith::MinUIOp>(key, last));
    isAttended = make<arith::AndIOp>(isAttended, isEqual(group, ownGroup));
  }
  return arith::SelectOp::create(b, loc, isAttended, score,
                                 emitFloat(b, loc, -INFINITY));
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

PageAttention::Values
PageAttention::addValues(Value page, const Values &weights, Values sums) {
  Value rows = pageOf(page, /*isKey=*/false);
  int64_t together = values.rows();
  Value firstRow =
      emitMul(b, loc, make<arith::DivUIOp>(lane, index(values.lanes)),
              index(values.lanes));
  auto turn = [&](Value turn, Values sums) {
    Value row =
        emitAdd(b, loc, firstRow, emitMul(b, loc, turn, index(together)));
    for (int64_t i = 0; i < together; ++i) {
      Value own = emitAdd(b, loc, row, index(i));
      Values elements = loadRow(
          rows, emitMul(b, loc, own, index(shape.valueStride())), values);
      Value from = arith::IndexCastUIOp::create(b, loc, b.getI32Type(), own);
      Value width =
          arith::ConstantIntOp::create(b, loc, b.getI32Type(), warpSize);
      MutableArrayRef<Value> next(sums);
      for (Value weight : weights) {
        Value ofRow = gpu::ShuffleOp::create(b, loc, weight, from, width,
                                             gpu::ShuffleMode::IDX)
                          .getShuffleResult();
        for (Value element : elements) {
          next.front() = fma(ofRow, element, next.front());
          next = next.drop_front();
        }
      }
    }
    return sums;
  };
  return forTurns(values.lanes / together, std::move(sums), turn);
}

} // namespace clade::cuda
