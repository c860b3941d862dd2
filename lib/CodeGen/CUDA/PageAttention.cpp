//===- PageAttention.cpp - Attention of a few heads, page by page ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A warp takes a page of 32 keys at a time. Lanes share rows in pieces of 16
// bytes, so that every load of a warp is whole rows; each lane has its pieces
// of the queries and of the sums of all heads in registers. Partial scores are
// exchanged so that lane l ends with the scores of key l, and is all that
// evaluates them. Each warp has an online softmax of its own; the four are
// joined through shared memory at the end.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/AttentionSlices.h"

#include "lib/CodeGen/CPU/CacheWrite.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "runtime/include/clade/abi.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;

static_assert(CLADE_PAGE_TOKENS == warpSize, "a lane has a key of a page");

static constexpr int64_t numWarps = attentionThreads / warpSize;
/// Registers of queries and sums that a thread has at most.
static constexpr int64_t mostRegisters = 128;
/// Rows that are loaded and multiplied together.
static constexpr int64_t mostRows = 8;

namespace {

/// How the lanes of a warp share rows of `size` elements: `lanes` of them have
/// `perLane` pieces of `piece` elements of a row each, and 32 / `lanes` rows
/// are read at once.
struct RowPieces {
  RowPieces(int64_t size, Type type) {
    // At most 16 bytes, and what every row begins at a multiple of.
    piece = std::min<int64_t>(type.isBF16() ? 8 : 4, size & -size);
    count = size / piece;
    lanes = std::min<int64_t>(warpSize, static_cast<int64_t>(llvm::PowerOf2Ceil(
                                            static_cast<uint64_t>(count))));
    perLane = static_cast<int64_t>(llvm::divideCeil(count, lanes));
  }
  int64_t elements() const { return piece * perLane; }
  /// Rows that are multiplied together by a lane.
  int64_t rows() const { return std::min(lanes, mostRows); }
  /// Floats from one element of the lanes' pieces to the next in shared memory:
  /// neither lanes nor features that follow each other meet in a bank.
  int64_t stride() const {
    int64_t lanesOfBanks = warpSize / piece;
    return lanes <= lanesOfBanks ? lanesOfBanks : lanes + lanesOfBanks;
  }

  int64_t piece, count, lanes, perLane;
};

/// The code of one block.
class PageAttention {
public:
  PageAttention(OpBuilder &b, Location loc, const cpu::AttentionShape &shape,
                const AttentionOperands &operands, bool isSlice);
  void emit();

private:
  using Values = SmallVector<Value>;

  Value index(int64_t value) { return emitIndex(b, loc, value); }
  template <typename Op> Value make(Value x, Value y) {
    return Op::create(b, loc, x, y);
  }
  Value exp(Value x) { return math::ExpOp::create(b, loc, x); }
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(b, loc, x, y, z);
  }
  Value isEqual(Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y);
  }
  Value isLess(Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y);
  }
  Value exchange(Value value, int64_t distance) {
    return gpu::ShuffleOp::create(b, loc, value, static_cast<int32_t>(distance),
                                  warpSize, gpu::ShuffleMode::XOR)
        .getShuffleResult();
  }
  /// The lane's number among those that share a row.
  Value ownLane(const RowPieces &pieces) {
    return make<arith::RemUIOp>(lane, index(pieces.lanes));
  }
  /// This lane's elements of the row of f32 or bf16 at element `first`.
  Values loadRow(Value base, Value first, const RowPieces &pieces);
  void loadPiece(Value base, Value at, int64_t piece, Values &elements);
  void loadQueries();
  /// Where a page has this head's rows.
  Value pageOf(Value page, bool isKey);
  Values emitScores(Value page);
  Value finishScore(Value score, Value position, int64_t head);
  /// Adds the values of a page, weighted by `weights` of each lane's key.
  Values addValues(Value page, const Values &weights, Values sums);
  void emitPages();
  void emitWarpPages();
  void joinWarps();
  /// A loop over `count` rows in turns of `rows`; unrolled if it is one.
  Values forTurns(int64_t turns, Values carried,
                  llvm::function_ref<Values(Value turn, Values carried)> body);

  OpBuilder &b;
  Location loc;
  const cpu::AttentionShape &shape;
  const AttentionOperands &operands;
  const bool isSlice;
  const int64_t heads;
  const RowPieces keys, values;
  Value thread, lane, warp, token, sequence, position, kvHead, firstHead,
      shared;
  PageRange pages;
  Slices slices;
  Value slice;
  SmallVector<Values> queries; ///< Of each head this lane's elements.
  Values slopes;
  Values largest, totals, sums; ///< Of the warp, at the end.
};

} // namespace

int64_t blockHeads(const cpu::AttentionShape &shape) {
  RowPieces keys(shape.keySize, shape.elementType),
      values(shape.valueSize, shape.elementType);
  int64_t most = mostRegisters / (keys.elements() + values.elements());
  int64_t group = shape.qHeads / shape.kvHeads, heads = 1;
  for (int64_t count = 1; count <= std::min(most, group); ++count)
    if (group % count == 0)
      heads = count;
  return heads;
}

/// Floats of a head's sums of a warp.
static int64_t sumFloats(const RowPieces &values) {
  return values.elements() * values.stride();
}

int64_t pageAttentionShared(const cpu::AttentionShape &shape) {
  RowPieces values(shape.valueSize, shape.elementType);
  return numWarps * blockHeads(shape) * (sumFloats(values) + 2) * 4;
}

PageAttention::PageAttention(OpBuilder &b, Location loc,
                             const cpu::AttentionShape &shape,
                             const AttentionOperands &operands, bool isSlice)
    : b(b), loc(loc), shape(shape), operands(operands), isSlice(isSlice),
      heads(blockHeads(shape)), keys(shape.keySize, shape.elementType),
      values(shape.valueSize, shape.elementType), thread(emitThread(b, loc)),
      shared(emitSharedSpace(b, loc)) {
  lane = make<arith::RemUIOp>(thread, index(warpSize));
  warp = make<arith::DivUIOp>(thread, index(warpSize));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

void PageAttention::loadPiece(Value base, Value at, int64_t piece,
                              Values &elements) {
  Value address = emitAddress(b, loc, base, shape.elementType, at);
  bool isNarrow = shape.elementType.isBF16();
  if (piece == 1) {
    elements.push_back(
        emitLoadFloat(b, loc, shape.elementType, address, index(0)));
    return;
  }
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  auto type =
      VectorType::get({isNarrow ? piece / 2 : piece}, isNarrow ? i32 : f32);
  Value loaded = LLVM::LoadOp::create(
      b, loc, type, address, static_cast<unsigned>(piece * (isNarrow ? 2 : 4)));
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(b, loc, i32, value);
  };
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    Value word = LLVM::ExtractElementOp::create(b, loc, loaded, constant(i));
    if (!isNarrow) {
      elements.push_back(word);
      continue;
    }
    for (Value bits : {make<arith::ShLIOp>(word, constant(16)),
                       make<arith::AndIOp>(word, constant(-65536))})
      elements.push_back(arith::BitcastOp::create(b, loc, f32, bits));
  }
}

PageAttention::Values PageAttention::loadRow(Value base, Value first,
                                             const RowPieces &pieces) {
  Values elements;
  for (int64_t i = 0; i < pieces.perLane; ++i) {
    Value piece = emitAdd(b, loc, ownLane(pieces), index(i * pieces.lanes));
    // Lanes without a piece repeat the last one; it is multiplied by zero.
    if ((i + 1) * pieces.lanes > pieces.count)
      piece = make<arith::MinUIOp>(piece, index(pieces.count - 1));
    Value at = emitMul(b, loc, piece, index(pieces.piece));
    loadPiece(base, emitAdd(b, loc, first, at), pieces.piece, elements);
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

//===----------------------------------------------------------------------===//
// The block
//===----------------------------------------------------------------------===//

/// The pages of this warp, one after another.
void PageAttention::emitWarpPages() {
  auto numHeads = static_cast<size_t>(heads);
  // Carried: of each head the largest score, this lane's part of the sum of the
  // weights, and of the weighted values.
  Values initial(numHeads, emitFloat(b, loc, -INFINITY));
  initial.append(numHeads * static_cast<size_t>(1 + values.elements()),
                 emitFloat(b, loc, 0));
  auto loop = scf::ForOp::create(b, loc, emitAdd(b, loc, pages.first, warp),
                                 pages.end, index(numWarps), initial);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value page = loop.getInductionVar();
    Value key =
        emitAdd(b, loc, emitMul(b, loc, page, index(CLADE_PAGE_TOKENS)), lane);
    Values scores = emitScores(page), next, totals, weights;
    Values sums(loop.getRegionIterArgs().drop_front(2 * heads));
    for (size_t head = 0; head < numHeads; ++head) {
      Value score = finishScore(scores[head], key, static_cast<int64_t>(head));
      Value old = loop.getRegionIterArg(static_cast<unsigned>(head));
      // At least one key of a page is attended, so the maximum is finite.
      Value largest = emitWarpReduce(b, loc, score, [&](Value x, Value y) {
        return make<arith::MaximumFOp>(x, y);
      });
      largest = make<arith::MaximumFOp>(old, largest);
      Value weight = exp(make<arith::SubFOp>(score, largest)),
            shrink = exp(make<arith::SubFOp>(old, largest));
      next.push_back(largest);
      weights.push_back(weight);
      totals.push_back(
          fma(loop.getRegionIterArg(static_cast<unsigned>(numHeads + head)),
              shrink, weight));
      auto elements = static_cast<size_t>(values.elements());
      for (Value &sum : MutableArrayRef(sums).slice(head * elements, elements))
        sum = make<arith::MulFOp>(sum, shrink);
    }
    llvm::append_range(next, totals);
    llvm::append_range(next, addValues(page, weights, std::move(sums)));
    scf::YieldOp::create(b, loc, next);
  }
  auto results = loop.getResults();
  largest = Values(results.take_front(numHeads));
  totals = Values(results.drop_front(numHeads).take_front(numHeads));
  sums = Values(results.drop_front(2 * numHeads));
  auto add = [&](Value x, Value y) { return make<arith::AddFOp>(x, y); };
  for (Value &total : totals)
    total = emitWarpReduce(b, loc, total, add);
  for (Value &sum : sums)
    for (int64_t bit = values.lanes; bit < warpSize; bit *= 2)
      sum = add(sum, exchange(sum, bit));
}

/// Joins the warps' sums and stores the rows.
void PageAttention::joinWarps() {
  int64_t floats = sumFloats(values);
  // Shared memory: the sums of each warp and head, then their scores and
  // weights. Numbers of floats.
  auto numHeads = static_cast<size_t>(heads);
  int64_t statsStart = numWarps * heads * floats;
  Type f32 = b.getF32Type();
  Value isOwner = isLess(lane, index(values.lanes)),
        first = emitMul(b, loc, warp, index(heads * floats));
  scf::IfOp::create(b, loc, isOwner, [&](OpBuilder &, Location) {
    for (auto [i, sum] : llvm::enumerate(sums))
      cpu::emitStore(
          b, loc, sum, shared,
          emitAdd(b, loc, first,
                  emitAdd(b, loc, lane,
                          index(static_cast<int64_t>(i) * values.stride()))));
    scf::YieldOp::create(b, loc);
  });
  scf::IfOp::create(
      b, loc, isEqual(lane, index(0)), [&](OpBuilder &, Location) {
        Value stats = emitMul(b, loc, warp, index(2 * heads));
        for (size_t head = 0; head < numHeads; ++head)
          for (auto [which, value] :
               llvm::enumerate(std::array{largest[head], totals[head]}))
            cpu::emitStore(b, loc, value, shared,
                           emitAdd(b, loc, stats,
                                   index(statsStart + static_cast<int64_t>(
                                                          2 * head + which))));
        scf::YieldOp::create(b, loc);
      });
  emitSync(b, loc);
  for (int64_t head = 0; head < heads; ++head) {
    auto stat = [&](int64_t part, int64_t which) {
      return emitLoad(b, loc, f32, shared,
                      index(statsStart + 2 * (part * heads + head) + which));
    };
    Value qHead = emitAdd(b, loc, firstHead, index(head));
    Value most = emitFloat(b, loc, -INFINITY), sink;
    if (operands.sinks && !isSlice) // One more score, which has no value.
      most = sink =
          emitLoadFloat(b, loc, shape.sinkType, operands.sinks, qHead);
    for (int64_t part = 0; part < numWarps; ++part)
      most = make<arith::MaximumFOp>(most, stat(part, 0));
    Values weights;
    Value total =
        sink ? exp(make<arith::SubFOp>(sink, most)) : emitFloat(b, loc, 0);
    for (int64_t part = 0; part < numWarps; ++part) {
      weights.push_back(exp(make<arith::SubFOp>(stat(part, 0), most)));
      total = fma(weights.back(), stat(part, 1), total);
    }
    PartialPlace place;
    Value start;
    if (isSlice) {
      place = emitPartialPlace(b, loc, shape, token, qHead, slices, slice);
      scf::IfOp::create(
          b, loc, isEqual(thread, index(0)), [&](OpBuilder &, Location) {
            cpu::emitStore(b, loc, most, operands.partial, place.stats);
            cpu::emitStore(b, loc, total, operands.partial,
                           emitAdd(b, loc, place.stats, index(1)));
            scf::YieldOp::create(b, loc);
          });
    } else {
      Value row =
          emitAdd(b, loc, emitMul(b, loc, token, index(shape.qHeads)), qHead);
      start = emitMul(b, loc, row, index(shape.valueSize));
    }
    emitStridedLoop(
        b, loc, thread, attentionThreads, index(shape.valueSize),
        [&](Value feature) {
          // Where its lane has it, and the lane.
          Value piece = make<arith::DivUIOp>(feature, index(values.piece));
          Value element = emitAdd(
              b, loc,
              emitMul(b, loc, make<arith::DivUIOp>(piece, index(values.lanes)),
                      index(values.piece)),
              make<arith::RemUIOp>(feature, index(values.piece)));
          Value at =
              emitAdd(b, loc, emitMul(b, loc, element, index(values.stride())),
                      make<arith::RemUIOp>(piece, index(values.lanes)));
          Value sum = emitFloat(b, loc, 0);
          for (int64_t part = 0; part < numWarps; ++part)
            sum = fma(weights[static_cast<size_t>(part)],
                      emitLoad(b, loc, f32, shared,
                               emitAdd(b, loc, at,
                                       index((part * heads + head) * floats))),
                      sum);
          if (isSlice)
            cpu::emitStore(b, loc, sum, operands.partial,
                           emitAdd(b, loc, place.sums, feature));
          else
            emitStoreFloat(b, loc, make<arith::DivFOp>(sum, total),
                           shape.elementType, operands.output,
                           emitAdd(b, loc, start, feature));
        });
  }
}

void PageAttention::emitPages() {
  loadQueries();
  if (!shape.slopes.empty()) {
    Value all = emitDeviceArray(b, loc, shape.slopes);
    for (int64_t head = 0; head < heads; ++head)
      slopes.push_back(emitLoad(b, loc, b.getF32Type(), all,
                                emitAdd(b, loc, firstHead, index(head))));
  }
  emitWarpPages();
  joinWarps();
}

void PageAttention::emit() {
  Value block = emitBlock(b, loc, Axis::X);
  token = emitBlock(b, loc, Axis::Y);
  Value blocks = index(blocksOfToken(shape));
  slice = make<arith::DivUIOp>(block, blocks);
  firstHead =
      emitMul(b, loc, make<arith::RemUIOp>(block, blocks), index(heads));
  kvHead = make<arith::DivUIOp>(firstHead, index(shape.qHeads / shape.kvHeads));
  cpu::StepView view(b, loc, operands.step);
  sequence = view.sequenceAt(token);
  position = view.positionAt(token);
  pages = emitPageRange(b, loc, shape, position);
  if (!isSlice)
    return emitPages();
  slices = emitSlices(b, loc, shape, operands.step, pages);
  pages.first =
      emitAdd(b, loc, pages.first, emitMul(b, loc, slice, slices.pages));
  pages.end = make<arith::MinSIOp>(pages.end,
                                   emitAdd(b, loc, pages.first, slices.pages));
  // Blocks behind the last slice have nothing to do.
  auto isThere = scf::IfOp::create(b, loc, isLess(pages.first, pages.end));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(isThere.thenBlock());
  emitPages();
}

void emitPageAttention(OpBuilder &builder, Location loc,
                       const cpu::AttentionShape &shape,
                       const AttentionOperands &operands, bool isSlice) {
  PageAttention(builder, loc, shape, operands, isSlice).emit();
}

} // namespace clade::cuda
