//===- Convolution.cpp - Convolutions over the tokens of a sequence -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Convolution.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

/// Channels of a block.
static constexpr int64_t convolutionThreads = 128;

Grid convolutionGrid(int64_t channels) {
  return {static_cast<int64_t>(llvm::divideCeil(channels, convolutionThreads)),
          1, convolutionThreads};
}

namespace {
/// The code of one thread.
class ConvolutionEmitter {
public:
  using Store = llvm::function_ref<void(Value, Value, Value)>;
  ConvolutionEmitter(OpBuilder &b, Location loc, const Convolution &op,
                     Store store)
      : b(b), loc(loc), op(op), store(store) {}
  void emit();

private:
  Value index(int64_t value) { return emitIndex(b, loc, value); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value compare(arith::CmpIPredicate how, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, how, x, y);
  }
  /// A branch that is in the kernel before its body is made: bodies look for
  /// the kernel's module.
  void when(Value condition, llvm::function_ref<void()> body) {
    auto branch = scf::IfOp::create(b, loc, condition);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    body();
  }
  /// The sum of the taps over `window`, the oldest value first.
  Value emitSum(ArrayRef<Value> window);
  void emitBeginning();
  void emitToken(Value token);

  OpBuilder &b;
  Location loc;
  const Convolution &op;
  Store store;
  Value channel, firstToken, end, page;
  SmallVector<Value> weights;
  Value bias;
};
} // namespace

Value ConvolutionEmitter::emitSum(ArrayRef<Value> window) {
  Value sum = bias;
  for (auto [value, weight] : llvm::zip_equal(window, weights))
    sum = sum ? Value(math::FmaOp::create(b, loc, value, weight, sum))
              : Value(arith::MulFOp::create(b, loc, value, weight));
  return sum;
}

/// The tokens that see the state, and the state behind the step.
void ConvolutionEmitter::emitBeginning() {
  int64_t past = op.taps - 1;
  auto stateIndex = [&](int64_t row) {
    return emitAdd(b, loc, index(row * op.channels), channel);
  };
  SmallVector<Value> window;
  for (int64_t row = 0; row < past; ++row)
    window.push_back(
        emitLoadFloat(b, loc, op.inputType, page, stateIndex(row)));
  Value last = arith::MinSIOp::create(
      b, loc, end,
      emitAdd(b, loc, firstToken, index(std::max<int64_t>(past, 1))));
  auto tokens = scf::ForOp::create(b, loc, firstToken, last, index(1), window);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(tokens.getBody());
    Value token = tokens.getInductionVar();
    SmallVector<Value> all(tokens.getRegionIterArgs());
    all.push_back(op.input(token, channel));
    store(token, channel, emitSum(all));
    if (past > 0)
      scf::YieldOp::create(b, loc, ArrayRef(all).drop_front());
  }
  if (past == 0)
    return;
  // Of a longer run the last tokens are the next ones' past.
  Value isLonger = compare(arith::CmpIPredicate::slt, last, end);
  auto storeState = [&](ValueRange values) {
    for (auto [row, value] : llvm::enumerate(values))
      emitStoreFloat(b, loc, value, op.inputType, page,
                     stateIndex(static_cast<int64_t>(row)));
  };
  when(isLonger, [&] {
    SmallVector<Value> values;
    for (int64_t row = 0; row < past; ++row)
      values.push_back(op.input(sub(end, index(past - row)), channel));
    storeState(values);
  });
  when(compare(arith::CmpIPredicate::eq, last, end),
       [&] { storeState(tokens.getResults()); });
}

/// A token whose window is in the step.
void ConvolutionEmitter::emitToken(Value token) {
  SmallVector<Value> window;
  for (int64_t tap = 0; tap < op.taps; ++tap)
    window.push_back(op.input(sub(token, index(op.taps - 1 - tap)), channel));
  store(token, channel, emitSum(window));
}

void ConvolutionEmitter::emit() {
  channel = emitAdd(
      b, loc,
      emitMul(b, loc, emitBlock(b, loc, Axis::X), index(convolutionThreads)),
      emitThread(b, loc));
  Value token = emitBlock(b, loc, Axis::Y);
  auto isThere = scf::IfOp::create(
      b, loc, compare(arith::CmpIPredicate::ult, channel, index(op.channels)));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(isThere.thenBlock());
  cpu::StepView view(b, loc, op.step);
  Value sequence = view.sequenceAt(token);
  firstToken = view.firstTokenAt(sequence);
  end = view.firstTokenAt(emitAdd(b, loc, sequence, index(1)));
  cpu::RecurrentStateView state(b, loc, op.state);
  page = cpu::emitAddress(
      b, loc, state.memory(), b.getI8Type(),
      emitMul(b, loc, state.pageAt(sequence), index(op.stateBytes)));
  Value firstWeight = emitMul(b, loc, channel, index(op.taps));
  for (int64_t tap = 0; tap < op.taps; ++tap)
    weights.push_back(emitLoadFloat(b, loc, op.weightType, op.weight,
                                    emitAdd(b, loc, firstWeight, index(tap))));
  if (op.bias)
    bias = emitLoadFloat(b, loc, op.biasType, op.bias, channel);
  Value place = sub(token, firstToken);
  when(compare(arith::CmpIPredicate::eq, place, index(0)),
       [&] { emitBeginning(); });
  int64_t together = std::max<int64_t>(op.taps - 1, 1);
  when(compare(arith::CmpIPredicate::uge, place, index(together)),
       [&] { emitToken(token); });
}

void emitConvolution(OpBuilder &builder, Location loc, const Convolution &op,
                     llvm::function_ref<void(Value, Value, Value)> store) {
  ConvolutionEmitter(builder, loc, op, store).emit();
}

} // namespace clade::cuda
