//===- ChunkScan.cpp - Linear recurrences on tensor cores -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The block: which tokens and values it has, and who does what. Two barriers
// divide the time of a chunk: while S is read, the next chunk's rows come; and
// while it is written, these are multiplied with each other.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/ChunkTile.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitMul;

bool canScanChunks(const Target &target, const LinearRecurrence &parts) {
  return chunkScanShared(parts) <= target.portableSharedBytes();
}

Grid chunkScanGrid(const LinearRecurrence &parts) {
  ChunkLayout layout(parts);
  auto blocks =
      static_cast<int64_t>(llvm::divideCeil(parts.valueSize, layout.values));
  return {parts.heads * blocks, chunkedRun, layout.threads()};
}

int64_t chunkScanShared(const LinearRecurrence &parts) {
  return ChunkLayout(parts).sharedBytes();
}

ChunkScan::ChunkScan(OpBuilder &builder, Location loc, const LinearScan &scan)
    : TensorCores(builder, loc), scan(scan), parts(scan.parts), layout(parts),
      view(builder, loc, scan.step) {
  warp = i32<arith::DivUIOp>(thread, warpSize);
  group = i32<arith::DivUIOp>(lane, 4);
  member = i32<arith::RemUIOp>(lane, 4);
}

//===----------------------------------------------------------------------===//
// Small pieces
//===----------------------------------------------------------------------===//

ChunkScan::Values ChunkScan::load(Value at, int64_t words, int64_t count) {
  Type i32Type = builder.getI32Type();
  Type type = count > 1 ? Type(VectorType::get({count}, i32Type)) : i32Type;
  Value loaded = LLVM::LoadOp::create(
      builder, loc, type, advance(sharedAt(at), constant(words * 4)),
      static_cast<unsigned>(count * 4));
  if (count == 1)
    return {loaded};
  Values all;
  for (int64_t i = 0; i < count; ++i)
    all.push_back(
        LLVM::ExtractElementOp::create(builder, loc, loaded, constant(i)));
  return all;
}

Value ChunkScan::loadNumber(Value at, int64_t words) {
  return asNumber(load(at, words, 1)[0]);
}

void ChunkScan::store(Value at, int64_t words, ArrayRef<Value> values) {
  auto count = static_cast<int64_t>(values.size());
  Value stored = values[0];
  if (count > 1) {
    stored = LLVM::UndefOp::create(
        builder, loc, VectorType::get({count}, values[0].getType()));
    for (auto [i, value] : llvm::enumerate(values))
      stored = LLVM::InsertElementOp::create(builder, loc, stored, value,
                                             constant(static_cast<int64_t>(i)));
  }
  LLVM::StoreOp::create(builder, loc, stored,
                        advance(sharedAt(at), constant(words * 4)),
                        static_cast<unsigned>(count * 4));
}

/// The last four of eight are exchanged in pairs.
Value ChunkScan::rowOf(Value place) {
  Value isLate = i32<arith::AndIOp>(i32<arith::ShRUIOp>(place, 2), int64_t(1));
  return i32<arith::XOrIOp>(place, isLate);
}

Value ChunkScan::asNumber(Value word) {
  return arith::BitcastOp::create(builder, loc, builder.getF32Type(), word);
}

std::pair<Value, Value> ChunkScan::split(Value number) {
  Value large = toTF32(number);
  return {large, toTF32(make<arith::SubFOp>(number, asNumber(large)))};
}

ChunkScan::Values ChunkScan::splitAll(ArrayRef<Value> numbers) {
  Values large, small;
  for (Value number : numbers) {
    auto [first, second] = split(number);
    large.push_back(first);
    small.push_back(second);
  }
  large.append(small);
  return large;
}

ChunkScan::Values ChunkScan::fragmentOf(ArrayRef<Value> sums) {
  return splitAll({sums[0], sums[2], sums[1], sums[3]}); // Rows first.
}

ChunkScan::Values ChunkScan::multiplySplit(ArrayRef<Value> fragment,
                                           ArrayRef<Value> pair, Values sums) {
  auto [first, firstRest] = split(asNumber(pair[0]));
  auto [second, secondRest] = split(asNumber(pair[1]));
  ArrayRef<Value> large = fragment.take_front(4),
                  small = fragment.drop_front(4);
  sums = multiplyTF32(small, {first, second}, sums);
  sums = multiplyTF32(large, {firstRest, secondRest}, sums);
  return multiplyTF32(large, {first, second}, sums);
}

ChunkScan::Sums ChunkScan::zeros(int64_t count) {
  return Sums(static_cast<size_t>(count), Values(4, number(0)));
}

/// Not gpu.barrier, of which two that follow each other become one: here they
/// stand for phases in which a role has nothing to do.
void ChunkScan::syncPhases() {
  NVVM::BarrierOp::create(builder, loc, TypeRange(), constant(1),
                          constant(layout.threads()),
                          NVVM::BarrierReductionAttr(), Value());
}

void ChunkScan::syncWarp() {
  NVVM::SyncWarpOp::create(builder, loc, constant(-1));
}

//===----------------------------------------------------------------------===//
// The block
//===----------------------------------------------------------------------===//

/// Finds what the block computes; gives whether there is something.
Value ChunkScan::findBlock() {
  Value block = emitBlock(builder, loc, Axis::X);
  Value blocks = index(chunkScanGrid(parts).columns / parts.heads);
  head = make<arith::DivUIOp>(block, blocks);
  firstValue = emitMul(builder, loc, make<arith::RemUIOp>(block, blocks),
                       index(layout.values));
  // A sequence of so many tokens has the last of those among which it begins.
  Value window = emitMul(builder, loc, emitBlock(builder, loc, Axis::Y),
                         index(chunkedRun));
  Value tokens = cpu::emitToIndex(builder, loc, view.numTokens());
  Value last =
      make<arith::MinUIOp>(emitAdd(builder, loc, window, index(chunkedRun - 1)),
                           make<arith::SubIOp>(tokens, index(1)));
  sequence = view.sequenceAt(last);
  begin = view.firstTokenAt(sequence);
  end = view.firstTokenAt(emitAdd(builder, loc, sequence, index(1)));
  return make<arith::AndIOp>(compare(arith::CmpIPredicate::uge, begin, window),
                             compare(arith::CmpIPredicate::uge,
                                     make<arith::SubIOp>(end, begin),
                                     index(chunkedRun)));
}

ChunkScan::Chunk ChunkScan::chunkAt(Value which) {
  Value first = emitAdd(builder, loc, begin,
                        emitMul(builder, loc, which, index(chunkTokens)));
  Value parity = i32<arith::RemUIOp>(toI32(which), 2);
  return {first, left(end, first, chunkTokens),
          i32<arith::MulIOp>(parity, layout.stageWords * 4)};
}

void ChunkScan::emit() {
  auto works = scf::IfOp::create(builder, loc, findBlock());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(works.thenBlock());
  auto roles =
      scf::IfOp::create(builder, loc, isBelow(warp, constant(preparingWarps)),
                        /*withElseRegion=*/true);
  builder.setInsertionPointToStart(roles.thenBlock());
  prepare();
  builder.setInsertionPointToStart(roles.elseBlock());
  scanChunks();
}

void emitChunkScan(OpBuilder &builder, Location loc, const LinearScan &scan) {
  ChunkScan(builder, loc, scan).emit();
}

} // namespace clade::cuda
