//===- LinearScan.cpp - Linear recurrences over a sequence ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/LinearScan.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/ChunkScan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::emitStore;

static constexpr int64_t scanThreads = 128, scanWarps = scanThreads / warpSize;
/// Values that a warp has: a sector of memory.
static constexpr int64_t warpValues = 8;

Grid linearScanGrid(const LinearRecurrence &parts) {
  auto blocks = static_cast<int64_t>(
      llvm::divideCeil(parts.valueSize, scanWarps * warpValues));
  return {parts.heads * blocks, 1, scanThreads};
}

//===----------------------------------------------------------------------===//
// The matrix
//===----------------------------------------------------------------------===//

Value emitStatePage(OpBuilder &b, Location loc, const LinearScan &scan,
                    Value sequence) {
  cpu::RecurrentStateView pages(b, loc, scan.state);
  return cpu::emitAddress(b, loc, pages.memory(), b.getI8Type(),
                          emitMul(b, loc, pages.pageAt(sequence),
                                  emitIndex(b, loc, scan.stateBytes)));
}

static Value stateIndex(OpBuilder &b, Location loc,
                        const LinearRecurrence &parts, Value head,
                        const StatePlace &place) {
  Value row = parts.keysAreLast ? place.value : place.key,
        column = parts.keysAreLast ? place.key : place.value;
  int64_t rows = parts.keysAreLast ? parts.valueSize : parts.keySize,
          columns = parts.keysAreLast ? parts.keySize : parts.valueSize;
  Value flat =
      emitAdd(b, loc, emitMul(b, loc, head, emitIndex(b, loc, rows)), row);
  return emitAdd(b, loc, emitMul(b, loc, flat, emitIndex(b, loc, columns)),
                 column);
}

SmallVector<Value> emitLoadState(OpBuilder &b, Location loc,
                                 const LinearScan &scan, Value page,
                                 Value token, Value head,
                                 ArrayRef<StatePlace> places) {
  auto load = [&] {
    SmallVector<Value> loaded;
    for (const StatePlace &place : places)
      loaded.push_back(emitLoad(b, loc, b.getF32Type(), page,
                                stateIndex(b, loc, scan.parts, head, place)));
    return loaded;
  };
  if (!scan.initial)
    return load();
  Value position = cpu::StepView(b, loc, scan.step).positionAt(token);
  Value begins = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                       position, emitIndex(b, loc, 0));
  SmallVector<Type> types(places.size(), b.getF32Type());
  auto first =
      scf::IfOp::create(b, loc, types, begins, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(first.thenBlock());
  SmallVector<Value> made;
  for (const StatePlace &place : places)
    made.push_back(scan.initial(token, head, place.key, place.value));
  scf::YieldOp::create(b, loc, made);
  b.setInsertionPointToStart(first.elseBlock());
  scf::YieldOp::create(b, loc, load());
  return SmallVector<Value>(first.getResults());
}

void emitStoreState(OpBuilder &b, Location loc, const LinearScan &scan,
                    Value page, Value head, ArrayRef<StatePlace> places,
                    ArrayRef<Value> state) {
  for (auto [place, element] : llvm::zip_equal(places, state)) {
    OpBuilder::InsertionGuard guard(b);
    if (place.isThere) {
      auto isThere = scf::IfOp::create(b, loc, place.isThere);
      b.setInsertionPointToStart(isThere.thenBlock());
    }
    emitStore(b, loc, element, page,
              stateIndex(b, loc, scan.parts, head, place));
  }
}

namespace {
/// The code of one warp.
class ScanEmitter {
public:
  ScanEmitter(OpBuilder &b, Location loc, const LinearScan &scan,
              bool hasChunks)
      : b(b), loc(loc), scan(scan), hasChunks(hasChunks), parts(scan.parts),
        laneKeys(static_cast<int64_t>(
            llvm::divideCeil(scan.parts.keySize, warpSize))) {}
  void emit();

private:
  using Values = SmallVector<Value>;
  /// Parts of a token that this lane needs: its keys, the warp's values.
  struct Row {
    Values key, query, value;
    Value logDecay, rate;
  };

  Value index(int64_t value) { return emitIndex(b, loc, value); }
  Value isLess(Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, y);
  }
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(b, loc, x, y, z);
  }
  Value joined(Value value) {
    return emitWarpReduce(b, loc, value, [&](Value x, Value y) -> Value {
      return arith::AddFOp::create(b, loc, x, y);
    });
  }
  void findBlock();
  void findPlaces();
  SmallVector<StatePlace> statePlaces();
  Row loadRow(Value token);
  Values flatten(const Row &row);
  Row unflatten(ValueRange values);
  /// The next S of the warp; stores what the token gives.
  Values emitToken(Value token, const Row &row, Values state);

  OpBuilder &b;
  Location loc;
  const LinearScan &scan;
  const bool hasChunks;
  const LinearRecurrence &parts;
  const int64_t laneKeys;
  Value lane, head, firstValue, sequence, firstToken, end;
  /// Of this lane and this warp, and whether they are there; null if all are.
  Values keys, isKey, values, isValue;
};
} // namespace

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

/// What the warp computes: its head, its first value, and the sequence that
/// begins with the block's token, if one does.
void ScanEmitter::findBlock() {
  Value thread = emitThread(b, loc), block = emitBlock(b, loc, Axis::X),
        blocks = index(linearScanGrid(parts).columns / parts.heads);
  lane = arith::RemUIOp::create(b, loc, thread, index(warpSize));
  head = arith::DivUIOp::create(b, loc, block, blocks);
  Value group =
      emitAdd(b, loc,
              emitMul(b, loc, arith::RemUIOp::create(b, loc, block, blocks),
                      index(scanWarps)),
              arith::DivUIOp::create(b, loc, thread, index(warpSize)));
  firstValue = emitMul(b, loc, group, index(warpValues));
  firstToken = emitBlock(b, loc, Axis::Y);
  cpu::StepView view(b, loc, scan.step);
  sequence = view.sequenceAt(firstToken);
  end = view.firstTokenAt(emitAdd(b, loc, sequence, index(1)));
}

/// Keys and values that are not there have the number of the last.
void ScanEmitter::findPlaces() {
  auto add = [&](Value place, int64_t size, bool isWhole, Values &places,
                 Values &isThere) {
    isThere.push_back(isWhole ? Value() : isLess(place, index(size)));
    places.push_back(isWhole ? place
                             : Value(arith::MinUIOp::create(b, loc, place,
                                                            index(size - 1))));
  };
  for (int64_t i = 0; i < laneKeys; ++i)
    add(emitAdd(b, loc, lane, index(i * warpSize)), parts.keySize,
        parts.keySize % warpSize == 0, keys, isKey);
  for (int64_t j = 0; j < warpValues; ++j)
    add(emitAdd(b, loc, firstValue, index(j)), parts.valueSize,
        parts.valueSize % warpValues == 0, values, isValue);
}

/// Of this lane's S, [laneKeys][warpValues].
SmallVector<StatePlace> ScanEmitter::statePlaces() {
  SmallVector<StatePlace> places;
  for (size_t i = 0; i < keys.size(); ++i)
    for (size_t j = 0; j < values.size(); ++j) {
      Value isThere = isKey[i];
      if (isThere && isValue[j])
        isThere = arith::AndIOp::create(b, loc, isThere, isValue[j]);
      places.push_back({keys[i], values[j], isThere ? isThere : isValue[j]});
    }
  return places;
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

ScanEmitter::Row ScanEmitter::loadRow(Value token) {
  LinearScan::Row at = scan.rowAt(token);
  Row row;
  for (auto [part, list] :
       {std::pair(parts.key, &row.key), {parts.query, &row.query}})
    for (auto [key, isThere] : llvm::zip_equal(keys, isKey)) {
      Value x = at(part, head, key);
      // Keys that are not there add nothing to sums.
      if (isThere)
        x = arith::SelectOp::create(b, loc, isThere, x, emitFloat(b, loc, 0));
      list->push_back(x);
    }
  for (Value value : values)
    row.value.push_back(at(parts.value, head, value));
  row.logDecay = at(parts.logDecay, head, {});
  if (parts.rate)
    row.rate = at(parts.rate, head, {});
  return row;
}

ScanEmitter::Values ScanEmitter::flatten(const Row &row) {
  Values flat;
  for (const Values *list : {&row.key, &row.query, &row.value})
    llvm::append_range(flat, *list);
  flat.push_back(row.logDecay);
  if (row.rate)
    flat.push_back(row.rate);
  return flat;
}

ScanEmitter::Row ScanEmitter::unflatten(ValueRange flat) {
  Row row;
  auto take = [&](size_t count) {
    Values taken(flat.take_front(count));
    flat = flat.drop_front(count);
    return taken;
  };
  row.key = take(keys.size());
  row.query = take(keys.size());
  row.value = take(values.size());
  row.logDecay = take(1).front();
  if (parts.rate)
    row.rate = take(1).front();
  return row;
}

ScanEmitter::Values ScanEmitter::emitToken(Value token, const Row &row,
                                           Values next) {
  Value decay = math::ExpOp::create(b, loc, row.logDecay), mine;
  for (Value &element : next)
    element = arith::MulFOp::create(b, loc, decay, element);
  for (size_t j = 0; j < values.size(); ++j) {
    auto at = [&](size_t i) -> Value & { return next[i * values.size() + j]; };
    auto dot = [&](const Values &vector) {
      Value sum = emitFloat(b, loc, 0);
      for (size_t i = 0; i < keys.size(); ++i)
        sum = fma(at(i), vector[i], sum);
      return joined(sum);
    };
    Value update = row.value[j];
    if (row.rate)
      update = arith::MulFOp::create(
          b, loc, row.rate,
          arith::SubFOp::create(b, loc, update, dot(row.key)));
    for (size_t i = 0; i < keys.size(); ++i)
      at(i) = fma(row.key[i], update, at(i));
    // Lane j stores what all lanes have.
    Value sum = dot(row.query);
    Value isOwn = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane,
                                        index(static_cast<int64_t>(j)));
    mine =
        mine ? Value(arith::SelectOp::create(b, loc, isOwn, sum, mine)) : sum;
  }
  Value place = emitAdd(b, loc, firstValue, lane);
  Value stores = arith::AndIOp::create(b, loc, isLess(lane, index(warpValues)),
                                       isLess(place, index(parts.valueSize)));
  scf::IfOp::create(b, loc, stores, [&](OpBuilder &, Location) {
    scan.store(token, head, place, mine);
    scf::YieldOp::create(b, loc);
  });
  return next;
}

void ScanEmitter::emit() {
  findBlock();
  Value isFirst = arith::CmpIOp::create(
      b, loc, arith::CmpIPredicate::eq,
      cpu::StepView(b, loc, scan.step).firstTokenAt(sequence), firstToken);
  Value works = arith::AndIOp::create(
      b, loc, isFirst, isLess(firstValue, index(parts.valueSize)));
  if (hasChunks) {
    Value run = arith::SubIOp::create(b, loc, end, firstToken);
    works =
        arith::AndIOp::create(b, loc, works, isLess(run, index(chunkedRun)));
  }
  auto branch = scf::IfOp::create(b, loc, works);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value page = emitStatePage(b, loc, scan, sequence);
  findPlaces();
  SmallVector<StatePlace> places = statePlaces();
  Values carried = emitLoadState(b, loc, scan, page, firstToken, head, places);
  llvm::append_range(carried, flatten(loadRow(firstToken)));
  Value last = arith::SubIOp::create(b, loc, end, index(1));
  auto tokens = scf::ForOp::create(b, loc, firstToken, end, index(1), carried);
  {
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(tokens.getBody());
    Value token = tokens.getInductionVar();
    ValueRange own = tokens.getRegionIterArgs();
    // The next token's row is on its way while this one is computed.
    Row ahead = loadRow(
        arith::MinUIOp::create(b, loc, last, emitAdd(b, loc, token, index(1))));
    Values next = emitToken(token, unflatten(own.drop_front(places.size())),
                            Values(own.take_front(places.size())));
    llvm::append_range(next, flatten(ahead));
    scf::YieldOp::create(b, loc, next);
  }
  emitStoreState(b, loc, scan, page, head, places,
                 Values(tokens.getResults().take_front(places.size())));
}

void emitLinearScan(OpBuilder &builder, Location loc, const LinearScan &scan,
                    bool hasChunks) {
  ScanEmitter(builder, loc, scan, hasChunks).emit();
}

} // namespace clade::cuda
