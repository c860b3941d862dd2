//===- TiledAttention.cpp - Attention on tensor cores ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The block: which tokens and keys it has, and what is stored.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/AttentionTile.h"

#include "runtime/include/clade/abi.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>
#include <numbers>

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

//===----------------------------------------------------------------------===//
// What there is
//===----------------------------------------------------------------------===//

bool canTileAttention(const Target &target, const cpu::AttentionShape &shape) {
  if (!shape.elementType.isBF16() || shape.keySize % elementsOfPiece != 0 ||
      shape.valueSize % elementsOfPiece != 0)
    return false;
  TileLayout layout(shape);
  return layout.valuePieces % layout.parts == 0 &&
         layout.partPieces() * elementsOfPiece <= 256 &&
         layout.sharedBytes() <= target.portableSharedBytes();
}

Grid tiledAttentionGrid(const cpu::AttentionShape &shape) {
  return {shape.qHeads, TileLayout(shape).tokens, tileWarps * warpSize};
}

int64_t tiledAttentionShared(const cpu::AttentionShape &shape) {
  return TileLayout(shape).sharedBytes();
}

TiledAttention::TiledAttention(OpBuilder &builder, Location loc,
                               const cpu::AttentionShape &shape,
                               const AttentionOperands &operands)
    : TensorCores(builder, loc), shape(shape), operands(operands),
      layout(shape), view(builder, loc, operands.step) {
  warp = i32<arith::DivUIOp>(thread, warpSize);
  tokenGroup = i32<arith::DivUIOp>(warp, layout.parts);
  part = i32<arith::RemUIOp>(warp, layout.parts);
  lowest = number(-INFINITY);
}

//===----------------------------------------------------------------------===//
// The block
//===----------------------------------------------------------------------===//

Value TiledAttention::groupAt(Value key) {
  return LLVM::LoadOp::create(builder, loc, builder.getI32Type(),
                              advance(keyGroups, i32<arith::MulIOp>(key, 4)),
                              /*alignment=*/4);
}

/// The first page with a key whose group lies between those of the tokens
/// `begin` to `end` of the sequence, which are in the tile; endPage becomes the
/// one behind the last. Each warp finds them for itself: numbers of groups that
/// are near each other are windows near each other.
Value TiledAttention::narrowPages(Value begin, Value end) {
  auto min = [&](Value x, Value y) { return make<arith::MinSIOp>(x, y); };
  auto max = [&](Value x, Value y) { return make<arith::MaxSIOp>(x, y); };
  // The least and the largest of what a lane finds are at first as if it found
  // nothing.
  Value least = constant(std::numeric_limits<int32_t>::max()),
        largest = constant(std::numeric_limits<int32_t>::min());
  /// Both of a function of the numbers from `first` to `behind`, of all lanes.
  auto bounds = [&](Value first, Value behind, auto find) {
    auto loop = scf::ForOp::create(
        builder, loc, i32<arith::AddIOp>(toI32(first), lane), toI32(behind),
        constant(warpSize), ValueRange{least, largest});
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(builder, loc,
                           find(loop.getInductionVar(),
                                loop.getRegionIterArg(0),
                                loop.getRegionIterArg(1)));
    }
    return std::pair(emitWarpReduce(builder, loc, loop.getResult(0), min),
                     emitWarpReduce(builder, loc, loop.getResult(1), max));
  };
  Value first = view.firstTokenAt(sequence);
  auto [leastGroup, largestGroup] =
      bounds(make<arith::SubIOp>(begin, first), make<arith::SubIOp>(end, first),
             [&](Value key, Value low, Value high) {
               Value group = groupAt(key);
               return Values{min(low, group), max(high, group)};
             });
  auto [firstKey, lastKey] =
      bounds(index(0), toIndex(i32<arith::AddIOp>(lastOfSequence, 1)),
             [&, least = leastGroup,
              largest = largestGroup](Value key, Value low, Value high) {
               Value group = groupAt(key);
               Value isNear = make<arith::AndIOp>(
                   compare(arith::CmpIPredicate::sge, group, least),
                   compare(arith::CmpIPredicate::sle, group, largest));
               return Values{select(isNear, min(low, key), low),
                             select(isNear, max(high, key), high)};
             });
  auto pageOf = [&](Value key) {
    return toIndex(i32<arith::DivUIOp>(key, CLADE_PAGE_TOKENS));
  };
  endPage = emitAdd(builder, loc, pageOf(lastKey), index(1));
  return pageOf(firstKey);
}

/// Adds the keys of a sequence that has tokens in the tile.
TiledAttention::State TiledAttention::addSequence(Value which, State state) {
  sequence = which;
  Value begin = view.firstTokenAt(which),
        end = view.firstTokenAt(emitAdd(builder, loc, which, index(1)));
  Value run = make<arith::SubIOp>(end, begin);
  begin = make<arith::MaxUIOp>(begin, firstToken);
  end = make<arith::MinUIOp>(
      end, emitAdd(builder, loc, firstToken, index(layout.tokens)));
  // Tokens of few are computed elsewhere.
  Value isTiled = compare(arith::CmpIPredicate::uge, run, index(tiledRun));
  Values initial = state.all();
  auto whole = scf::IfOp::create(builder, loc, ValueRange(initial).getTypes(),
                                 isTiled, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(whole.elseBlock());
  scf::YieldOp::create(builder, loc, initial);
  builder.setInsertionPointToStart(whole.thenBlock());
  PageRange range = emitPageRange(builder, loc, shape, operands.step, begin);
  Value firstPage = range.first;
  // In both directions all tokens see the last one of the sequence.
  Value last = shape.isBidirectional
                   ? make<arith::SubIOp>(range.contextEnd, index(1))
                   : view.positionAt(make<arith::SubIOp>(end, index(1)));
  endPage =
      emitAdd(builder, loc,
              make<arith::DivUIOp>(last, index(CLADE_PAGE_TOKENS)), index(1));
  if (shape.hasGroups) {
    lastOfSequence = toI32(last);
    keyGroups = toGlobal(cpu::emitAddress(builder, loc, operands.groups,
                                          builder.getI32Type(),
                                          view.firstTokenAt(which)));
    firstPage = narrowPages(begin, end);
  }
  lastKeys.clear();
  firstKeys.clear();
  for (size_t row = 0; row < ownRows; ++row) {
    Value isOwn =
        compare(arith::CmpIPredicate::eq, sequences[row], toI32(which));
    Value lastKey = shape.isBidirectional ? toI32(last) : positions[row];
    lastKeys.push_back(select(isOwn, lastKey, constant(-1)));
    if (shape.window)
      firstKeys.push_back(
          i32<arith::SubIOp>(positions[row], *shape.window - 1));
  }
  // Nobody reads the stages of the sequence before.
  emitSync(builder, loc);
  fetchTile(firstPage, constant(layout.queryBytes()));
  commit();
  initial.push_back(constant(layout.queryBytes()));
  int64_t step = layout.keys / CLADE_PAGE_TOKENS;
  auto loop = scf::ForOp::create(builder, loc, firstPage, endPage, index(step),
                                 initial);
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value page = loop.getInductionVar();
    Value stage = loop.getRegionIterArgs().back(), other = stage;
    if (layout.stages == 2)
      other = i32<arith::SubIOp>(
          constant(2 * layout.queryBytes() + layout.stageBytes), stage);
    Value following = emitAdd(builder, loc, page, index(step));
    auto fetchFollowing = [&] {
      scf::IfOp::create(builder, loc,
                        compare(arith::CmpIPredicate::ult, following, endPage),
                        [&](OpBuilder &, Location) {
                          fetchTile(following, other);
                          commit();
                          scf::YieldOp::create(builder, loc);
                        });
    };
    // The tile is there, and nobody reads the one before.
    waitFor(0);
    if (layout.stages == 2)
      fetchFollowing();
    Values next =
        addTile(page, stage, State::of(loop.getRegionIterArgs().drop_back()))
            .all();
    if (layout.stages == 1) {
      emitSync(builder, loc);
      fetchFollowing();
    }
    next.push_back(other);
    scf::YieldOp::create(builder, loc, next);
  }
  scf::YieldOp::create(builder, loc, loop.getResults().drop_back());
  return State::of(whole.getResults());
}

/// What this lane's rows are.
void TiledAttention::loadRows() {
  Value last = make<arith::SubIOp>(numTokens, index(1));
  for (int64_t row = 0; row < ownRows; ++row) {
    Value place = i32<arith::AddIOp>(
        i32<arith::AddIOp>(i32<arith::MulIOp>(tokenGroup, mmaM),
                           i32<arith::DivUIOp>(lane, 4)),
        row * 8);
    Value token = emitAdd(builder, loc, firstToken, toIndex(place));
    Value isThere = compare(arith::CmpIPredicate::ule, token, last);
    token = make<arith::MinUIOp>(token, last);
    Value which = view.sequenceAt(token);
    Value run = make<arith::SubIOp>(
        view.firstTokenAt(emitAdd(builder, loc, which, index(1))),
        view.firstTokenAt(which));
    areOwn.push_back(make<arith::AndIOp>(
        isThere, compare(arith::CmpIPredicate::uge, run, index(tiledRun))));
    tokens.push_back(token);
    positions.push_back(toI32(view.positionAt(token)));
    sequences.push_back(toI32(which));
    if (shape.hasGroups)
      groups.push_back(cpu::emitLoad(builder, loc, builder.getI32Type(),
                                     operands.groups, token));
  }
}

void TiledAttention::store(State state) {
  auto add = [&](Value x, Value y) { return make<arith::AddFOp>(x, y); };
  Values factors;
  for (size_t row = 0; row < ownRows; ++row) {
    Value total = joinLanes(state.totals[row], add), factor = number(1);
    if (operands.sinks) { // One more score, which has no value.
      Value sink = make<arith::MulFOp>(
          emitLoadFloat(builder, loc, shape.sinkType, operands.sinks, head),
          number(std::numbers::log2e));
      Value largest = make<arith::MaximumFOp>(state.largest[row], sink);
      factor = exp2(make<arith::SubFOp>(state.largest[row], largest));
      total = math::FmaOp::create(builder, loc, total, factor,
                                  exp2(make<arith::SubFOp>(sink, largest)));
    }
    factors.push_back(make<arith::DivFOp>(factor, total));
  }
  Value column = i32<arith::AddIOp>(
      i32<arith::MulIOp>(i32<arith::RemUIOp>(lane, 4), 2),
      i32<arith::MulIOp>(part, layout.partPieces() * elementsOfPiece));
  for (size_t row = 0; row < ownRows; ++row) {
    auto own = scf::IfOp::create(builder, loc, areOwn[row]);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(own.thenBlock());
    Value place =
        emitAdd(builder, loc,
                emitMul(builder, loc, tokens[row], index(shape.qHeads)), head);
    Value start = toGlobal(cpu::emitAddress(
        builder, loc, operands.output, shape.elementType,
        emitAdd(builder, loc,
                emitMul(builder, loc, place, index(shape.valueSize)),
                toIndex(column))));
    for (size_t i = 0; i < state.sums.size(); i += 4) {
      Value pair = packBF16(
          make<arith::MulFOp>(state.sums[i + 2 * row], factors[row]),
          make<arith::MulFOp>(state.sums[i + 2 * row + 1], factors[row]));
      LLVM::StoreOp::create(
          builder, loc, pair,
          advance(start, constant(static_cast<int64_t>(i) / 4 * pieceBytes)),
          /*alignment=*/4);
    }
  }
}

void TiledAttention::emit() {
  head = emitBlock(builder, loc, Axis::X);
  kvHead = make<arith::DivUIOp>(head, index(shape.qHeads / shape.kvHeads));
  firstToken = emitMul(builder, loc, emitBlock(builder, loc, Axis::Y),
                       index(layout.tokens));
  numTokens = cpu::emitToIndex(builder, loc, view.numTokens());
  if (!shape.slopes.empty())
    slope = make<arith::MulFOp>(
        cpu::emitLoad(builder, loc, builder.getF32Type(),
                      emitDeviceArray(builder, loc, shape.slopes), head),
        number(std::numbers::log2e));
  loadRows();
  fetchQueries();
  commit();
  waitFor(0);
  if (shape.keySize <= 128) {
    Value ownRow = i32<arith::AddIOp>(i32<arith::MulIOp>(tokenGroup, mmaM),
                                      i32<arith::RemUIOp>(lane, 16));
    Value queryAt = sharedAt(i32<arith::AddIOp>(
        i32<arith::MulIOp>(ownRow, layout.keyStride),
        i32<arith::MulIOp>(i32<arith::DivUIOp>(lane, 16), pieceBytes)));
    for (int64_t depth = 0; depth < TileLayout::padded(layout.keyPieces) / 2;
         ++depth)
      queries.push_back(
          loadFragment(advance(queryAt, constant(depth * 2 * pieceBytes))));
  }
  State state;
  state.largest.assign(ownRows, lowest);
  state.totals.assign(ownRows, number(0));
  state.sums.assign(
      static_cast<size_t>(layout.partPieces() * elementsOfPiece / 2),
      number(0));
  // Sequences that have tokens in the tile, mostly one.
  Value last = make<arith::MinUIOp>(
      emitAdd(builder, loc, firstToken, index(layout.tokens - 1)),
      make<arith::SubIOp>(numTokens, index(1)));
  Value end = emitAdd(builder, loc, view.sequenceAt(last), index(1));
  auto loop = scf::ForOp::create(builder, loc, view.sequenceAt(firstToken), end,
                                 index(1), state.all());
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Values next =
        addSequence(loop.getInductionVar(), State::of(loop.getRegionIterArgs()))
            .all();
    scf::YieldOp::create(builder, loc, next);
  }
  store(State::of(loop.getResults()));
}

void emitTiledAttention(OpBuilder &builder, Location loc,
                        const cpu::AttentionShape &shape,
                        const AttentionOperands &operands) {
  TiledAttention(builder, loc, shape, operands).emit();
}

} // namespace clade::cuda
