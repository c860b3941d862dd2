//===- ChooseToken.cpp - The greedy choice on a GPU -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is joined are pairs of a logit and its token, of which one is the better
// whatever the order: the larger logit, of equal ones the lower token. "None"
// is minus infinity with token -1, the largest as an unsigned number; NaN and
// minus infinity are never larger than it.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/ChooseToken.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/ChoiceEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::emitStore;
using Space = rt::LaunchArgument::Space;

ChoiceEmitter::ChoiceEmitter(OpBuilder &builder, Location loc, int64_t vocab)
    : builder(builder), loc(loc), vocab(vocab),
      slices(llvm::divideCeil(vocab, sliceLogits)),
      thread(emitThread(builder, loc)), row(emitBlock(builder, loc, Axis::Y)) {}

Value ChoiceEmitter::integer(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, builder.getI32Type(),
                                      value);
}

Candidate ChoiceEmitter::none() {
  return {emitFloat(builder, loc, -std::numeric_limits<float>::infinity()),
          integer(-1)};
}

Candidate ChoiceEmitter::select(Value takesOther, Candidate own,
                                Candidate other) {
  return {
      arith::SelectOp::create(builder, loc, takesOther, other.logit, own.logit),
      arith::SelectOp::create(builder, loc, takesOther, other.token,
                              own.token)};
}

Value ChoiceEmitter::isLarger(Candidate own, Candidate other) {
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT,
                               other.logit, own.logit);
}

Candidate ChoiceEmitter::better(Candidate own, Candidate other) {
  Value isEqual = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                        other.logit, own.logit),
        isLower = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        other.token, own.token);
  Value isFirst = arith::AndIOp::create(builder, loc, isEqual, isLower);
  return select(
      arith::OrIOp::create(builder, loc, isLarger(own, other), isFirst), own,
      other);
}

/// The best that the threads of a block have, in all of them. Takes 8 bytes of
/// shared memory for each warp.
Candidate ChoiceEmitter::betterOfBlock(Candidate own, int64_t threads) {
  for (int32_t distance = warpSize / 2; distance > 0; distance /= 2) {
    auto ofOther = [&](Value value) -> Value {
      return gpu::ShuffleOp::create(builder, loc, value, distance, warpSize,
                                    gpu::ShuffleMode::XOR)
          .getShuffleResult();
    };
    own = better(own, {ofOther(own.logit), ofOther(own.token)});
  }
  int64_t warps = threads / warpSize;
  Value shared = emitShared(builder, loc),
        lanes = emitIndex(builder, loc, warpSize);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes);
  auto tokenPlace = [&](Value of) {
    return emitAdd(builder, loc, of, emitIndex(builder, loc, warps));
  };
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        lane, emitIndex(builder, loc, 0));
  scf::IfOp::create(builder, loc, isFirst, [&](OpBuilder &b, Location) {
    emitStore(b, loc, own.logit, shared, warp);
    emitStore(b, loc, own.token, shared, tokenPlace(warp));
    scf::YieldOp::create(b, loc);
  });
  emitSync(builder, loc);
  Candidate best = none();
  for (int64_t i = 0; i < warps; ++i) {
    Value place = emitIndex(builder, loc, i);
    best = better(best,
                  {emitLoad(builder, loc, builder.getF32Type(), shared, place),
                   emitLoad(builder, loc, builder.getI32Type(), shared,
                            tokenPlace(place))});
  }
  return best;
}

void ChoiceEmitter::emitIf(Value condition, llvm::function_ref<void()> body) {
  auto branch =
      scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  body();
}

void ChoiceEmitter::onFirstThread(llvm::function_ref<void()> body) {
  emitIf(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, thread,
                               emitIndex(builder, loc, 0)),
         body);
}

SmallVector<ChoiceEmitter::SliceLogit> ChoiceEmitter::loadSlice(Value logits) {
  // Rows begin at multiples of so many logits.
  int64_t width = std::gcd(vocab, int64_t(4));
  Value slice = emitBlock(builder, loc, Axis::X);
  Value first = emitAdd(
      builder, loc,
      emitMul(builder, loc, slice, emitIndex(builder, loc, sliceLogits)),
      emitMul(builder, loc, thread, emitIndex(builder, loc, width)));
  Value start = emitMul(builder, loc, row, emitIndex(builder, loc, vocab));
  Value last = emitIndex(builder, loc, vocab - width);
  SmallVector<SliceLogit> result;
  for (int64_t offset = 0; offset < sliceLogits;
       offset += sliceThreads * width) {
    // Behind the end the last logits are read again, which needs no branch: so
    // all loads are on their way at once.
    Value wanted =
        emitAdd(builder, loc, first, emitIndex(builder, loc, offset));
    Value at = arith::MinUIOp::create(builder, loc, wanted, last);
    Value isInside = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ule, wanted, last);
    Value token =
        arith::IndexCastOp::create(builder, loc, builder.getI32Type(), at);
    SmallVector<Value> loaded =
        emitLoadFloats(builder, loc, builder.getF32Type(), logits,
                       emitAdd(builder, loc, start, at), width);
    for (auto [i, logit] : llvm::enumerate(loaded)) {
      Value own = arith::AddIOp::create(builder, loc, token,
                                        integer(static_cast<int64_t>(i)));
      result.push_back({{logit, own}, isInside});
    }
  }
  return result;
}

void ChoiceEmitter::emitSlice(Value logits, Value values, Value tokens) {
  Candidate best = none();
  // Tokens of a thread rise: what is equal comes later. So it changes nothing
  // that some are read again.
  for (const SliceLogit &other : loadSlice(logits))
    best = select(isLarger(best, other), best, other);
  best = betterOfBlock(best, sliceThreads);
  onFirstThread([&] {
    Value place =
        emitAdd(builder, loc,
                emitMul(builder, loc, row, emitIndex(builder, loc, slices)),
                emitBlock(builder, loc, Axis::X));
    emitStore(builder, loc, best.logit, values, place);
    emitStore(builder, loc, best.token, tokens, place);
  });
}

Candidate ChoiceEmitter::joinSlices(Value values, Value tokens) {
  Value start = emitMul(builder, loc, row, emitIndex(builder, loc, slices));
  Candidate begin = none();
  auto loop = scf::ForOp::create(
      builder, loc, thread, emitIndex(builder, loc, slices),
      emitIndex(builder, loc, joinThreads),
      ValueRange{begin.logit, begin.token},
      [&](OpBuilder &b, Location, Value slice, ValueRange carried) {
        Value place = emitAdd(b, loc, start, slice);
        Candidate best =
            better({carried[0], carried[1]},
                   {emitLoad(b, loc, b.getF32Type(), values, place),
                    emitLoad(b, loc, b.getI32Type(), tokens, place)});
        scf::YieldOp::create(b, loc, ValueRange{best.logit, best.token});
      });
  return betterOfBlock({loop.getResult(0), loop.getResult(1)}, joinThreads);
}

void ChoiceEmitter::emitJoin(Value values, Value tokens, Value chosen) {
  Candidate best = joinSlices(values, tokens);
  onFirstThread([&] { emitStore(builder, loc, best.token, chosen, row); });
}

void cuda::addChoiceKernel(
    gpu::GPUModuleOp code, Location loc, StringRef name, int64_t columns,
    int64_t threads, int64_t sharedBytes, size_t pointers, rt::LaunchPlan &plan,
    llvm::function_ref<void(OpBuilder &, ValueRange)> body) {
  OpBuilder builder = OpBuilder::atBlockEnd(code.getBody());
  SmallVector<Type> types(1 + pointers,
                          LLVM::LLVMPointerType::get(builder.getContext()));
  auto function = gpu::GPUFuncOp::create(builder, loc, name,
                                         builder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  function.setKnownBlockSizeAttr(
      builder.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));
  Block &entry = function.getBody().front();
  builder.setInsertionPointToStart(&entry);
  body(builder, ValueRange(entry.getArguments()).drop_front());
  gpu::ReturnOp::create(builder, loc);
  rt::LaunchKernel &kernel = plan.kernels[name.str()];
  kernel.onSelected = true;
  kernel.columns = static_cast<int32_t>(columns);
  kernel.threads = static_cast<int32_t>(threads);
  kernel.sharedBytes = static_cast<int32_t>(sharedBytes);
}

void cuda::addGreedyChoice(gpu::GPUModuleOp code, Location loc, int64_t vocab,
                           rt::LaunchPlan &plan) {
  const char *joinName = "choose_join";
  auto slices = static_cast<int64_t>(llvm::divideCeil(vocab, sliceLogits));
  // A logit and a token of each warp.
  constexpr int64_t warpBytes = 8;
  addChoiceKernel(code, loc, choiceSlicesName, slices, sliceThreads,
                  sliceThreads / warpSize * warpBytes, 3, plan,
                  [&](OpBuilder &builder, ValueRange arguments) {
                    ChoiceEmitter(builder, loc, vocab)
                        .emitSlice(arguments[0], arguments[1], arguments[2]);
                  });
  addChoiceKernel(code, loc, joinName, 1, joinThreads,
                  joinThreads / warpSize * warpBytes, 3, plan,
                  [&](OpBuilder &builder, ValueRange arguments) {
                    ChoiceEmitter(builder, loc, vocab)
                        .emitJoin(arguments[0], arguments[1], arguments[2]);
                  });
  rt::LaunchArgument values{Space::Selected, 0},
      tokens{Space::Selected, 4 * slices}, chosen{Space::Selected, 8 * slices};
  plan.selectedBytes = std::max(plan.selectedBytes, chosen.number + 4);
  plan.greedy = rt::LaunchGreedy{
      {{choiceSlicesName, {{Space::Output, 0}, values, tokens}},
       {joinName, {values, tokens, chosen}}},
      chosen};
}
