//===- StepABITest.cpp - The ABI's structs read by generated code ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A compiled function stores what each helper gives; the structs are filled by
// C++ with a different number in each member.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/StepABI.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/include/clade/abi.h"
#include "test/CodeGen/ProductHarness.h"

#include <functional>
#include <gtest/gtest.h>

using namespace mlir;

namespace clade::cpu::test {

namespace {

/// A compiled function of a pointer, a position and an array of results.
class Reader {
public:
  using Body = std::function<std::vector<Value>(OpBuilder &, Location,
                                                Value pointer, Value i)>;

  explicit Reader(const Body &body) : context(makeContext()) {
    OpBuilder builder(context.get());
    Location loc = builder.getUnknownLoc();
    OwningOpRef<ModuleOp> owner = ModuleOp::create(loc);
    builder.setInsertionPointToEnd(owner->getBody());
    Type pointer = LLVM::LLVMPointerType::get(context.get());
    auto function = func::FuncOp::create(
        builder, loc, "read",
        builder.getFunctionType({pointer, pointer, builder.getIndexType()},
                                {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    ValueRange args = function.getArguments();
    int64_t place = 0;
    for (Value value : body(builder, loc, args[0], args[2])) {
      emitStore(builder, loc, toI64(builder, loc, value), args[1],
                emitIndex(builder, loc, place++));
    }
    func::ReturnOp::create(builder, loc);
    module = LoadedCode::create(*owner, CompileOptions(), {"read"});
  }

  /// The results, of which at most 32 exist.
  std::vector<int64_t> read(const void *structure, int64_t i) const {
    std::vector<int64_t> results(32, -1);
    module->function<void(const void *, int64_t *, int64_t)>("read")(
        structure, results.data(), i);
    return results;
  }

  bool ok() const { return module != nullptr; }

private:
  /// Pointers as numbers; smaller integers with zeros above.
  static Value toI64(OpBuilder &builder, Location loc, Value value) {
    Type i64 = builder.getI64Type();
    if (isa<LLVM::LLVMPointerType>(value.getType()))
      return LLVM::PtrToIntOp::create(builder, loc, i64, value);
    if (value.getType().isIndex())
      return arith::IndexCastOp::create(builder, loc, i64, value);
    if (value.getType() == i64)
      return value;
    return arith::ExtUIOp::create(builder, loc, i64, value);
  }

  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<LoadedCode> module;
};

template <typename T> int64_t number(T *pointer) {
  return static_cast<int64_t>(reinterpret_cast<intptr_t>(pointer));
}

TEST(StepABITest, members) {
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value) {
    StepView step(builder, loc, pointer);
    return std::vector<Value>{
        step.structSize(),    step.abiVersion(),   step.numThreads(),
        step.numTokens(),     step.numSequences(), step.numSelected(),
        step.numLayers(),     step.tokens(),       step.positions(),
        step.sequenceOf(),    step.selected(),     step.scaledLengths(),
        step.layers(),        step.weights(),      step.states(),
        step.output(),        step.workspace(),    step.scratch(),
        step.scratchBytes(),  step.barrier(),      step.barrierState(),
        step.trace(),         step.traceState(),   step.route(),
        step.routeState(),    step.firstToken(),   step.pixels(),
        step.grids(),         step.media(),        step.mediaRows(),
        step.mediaPositions()};
  });
  ASSERT_TRUE(reader.ok());

  CladeStep step;
  char memory[23];
  step.struct_size = 101;
  step.abi_version = 102;
  step.num_threads = 103;
  step.num_tokens = 104;
  step.num_sequences = 105;
  step.num_selected = 106;
  step.num_layers = 107;
  step.reserved = 108;
  step.tokens = reinterpret_cast<int32_t *>(memory);
  step.positions = reinterpret_cast<int32_t *>(memory + 1);
  step.sequence_of = reinterpret_cast<int32_t *>(memory + 2);
  step.selected = reinterpret_cast<int32_t *>(memory + 3);
  step.scaled_lengths = reinterpret_cast<int32_t *>(memory + 4);
  step.layers = reinterpret_cast<CladeLayer *>(memory + 5);
  step.weights = reinterpret_cast<void **>(memory + 6);
  step.states = reinterpret_cast<CladeKVState *>(memory + 7);
  step.output = reinterpret_cast<float *>(memory + 8);
  step.workspace = memory + 9;
  step.scratch = memory + 10;
  step.scratch_bytes = 0x123456789abc;
  step.barrier = reinterpret_cast<void (*)(void *, int32_t)>(memory + 11);
  step.barrier_state = memory + 12;
  step.trace =
      reinterpret_cast<void (*)(void *, const void *, int64_t)>(memory + 13);
  step.trace_state = memory + 14;
  step.route = reinterpret_cast<void (*)(void *, int32_t, int32_t, int32_t *,
                                         int32_t, int32_t)>(memory + 15);
  step.route_state = memory + 16;
  step.first_token = reinterpret_cast<int32_t *>(memory + 17);
  step.pixels = reinterpret_cast<float *>(memory + 18);
  step.grids = reinterpret_cast<int32_t *>(memory + 19);
  step.media = reinterpret_cast<float *>(memory + 20);
  step.media_rows = reinterpret_cast<int32_t *>(memory + 21);
  step.media_positions = reinterpret_cast<int32_t *>(memory + 22);

  std::vector<int64_t> expected = {101, 102, 103, 104, 105, 106, 107};
  for (int i = 0; i <= 10; ++i)
    expected.push_back(number(memory + i));
  expected.push_back(0x123456789abc);
  for (int i = 11; i <= 22; ++i)
    expected.push_back(number(memory + i));
  expected.resize(32, -1);
  EXPECT_EQ(reader.read(&step, 0), expected);
}

TEST(StepABITest, elements) {
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value i) {
    StepView step(builder, loc, pointer);
    return std::vector<Value>{
        step.tokenAt(i),      step.positionAt(i),     step.sequenceAt(i),
        step.selectedAt(i),   step.scaledLengthAt(i), step.layerAt(i),
        step.stateAt(i),      step.weightAt(i),       step.scratchOf(i),
        step.firstTokenAt(i), step.mediaRowAt(i),     step.gridSizeAt(i, 1)};
  });
  ASSERT_TRUE(reader.ok());

  int32_t numbers[7][3];
  for (int row = 0; row < 7; ++row)
    for (int i = 0; i < 3; ++i)
      numbers[row][i] = 10 * row + i;
  numbers[0][2] = -5;
  CladeLayer layers[3];
  CladeKVState states[3];
  char memory[300];
  const void *weights[] = {memory, memory + 1, memory + 2};
  CladeStep step = {};
  step.tokens = numbers[0];
  step.positions = numbers[1];
  step.sequence_of = numbers[2];
  step.selected = numbers[3];
  step.scaled_lengths = numbers[4];
  step.first_token = numbers[5];
  step.media_rows = numbers[6];
  const int32_t grids[3][2] = {{1, 2}, {3, 4}, {5, 6}};
  step.grids = grids[0];
  step.layers = layers;
  step.states = states;
  step.weights = weights;
  step.scratch = memory;
  step.scratch_bytes = 100;

  std::vector<int64_t> expected = {-5,
                                   12,
                                   22,
                                   32,
                                   42,
                                   number(layers + 2),
                                   number(states + 2),
                                   number(memory + 2),
                                   number(memory + 200),
                                   52,
                                   62,
                                   6};
  expected.resize(32, -1);
  EXPECT_EQ(reader.read(&step, 2), expected);
}

TEST(StepABITest, layers) {
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value) {
    LayerView layer(builder, loc, pointer);
    return std::vector<Value>{layer.kind(), layer.layer(), layer.firstWeight(),
                              layer.firstState()};
  });
  ASSERT_TRUE(reader.ok());
  CladeLayer layer = {};
  layer.kind = 1;
  layer.layer = 2;
  layer.first_weight = 3;
  layer.first_state = 4;
  std::vector<int64_t> expected = {1, 2, 3, 4};
  expected.resize(32, -1);
  EXPECT_EQ(reader.read(&layer, 0), expected);
}

TEST(StepABITest, states) {
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value) {
    KVStateView state(builder, loc, pointer);
    return std::vector<Value>{state.keys(), state.values(), state.pages(),
                              state.pagesStride()};
  });
  ASSERT_TRUE(reader.ok());
  int32_t memory[3];
  CladeKVState state = {};
  state.keys = memory;
  state.values = memory + 1;
  state.pages = memory + 2;
  state.pages_stride = 77;
  std::vector<int64_t> expected = {number(memory), number(memory + 1),
                                   number(memory + 2), 77};
  expected.resize(32, -1);
  EXPECT_EQ(reader.read(&state, 0), expected);
}

TEST(StepABITest, recurrentStates) {
  static_assert(sizeof(CladeRecurrentState) == sizeof(CladeKVState));
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value i) {
    RecurrentStateView state(builder, loc, pointer);
    return std::vector<Value>{state.memory(), state.pages(), state.pageAt(i)};
  });
  ASSERT_TRUE(reader.ok());
  char memory[1];
  int32_t pages[3] = {7, 8, 9};
  CladeRecurrentState state = {};
  state.memory = memory;
  state.pages = pages;
  std::vector<int64_t> expected = {number(memory), number(pages), 8};
  expected.resize(32, -1);
  EXPECT_EQ(reader.read(&state, 1), expected);
}

/// What the barrier of the test below was called with.
struct BarrierCalls {
  std::vector<int32_t> threads;
};

TEST(StepABITest, barrier) {
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value i) {
    emitBarrier(builder, loc, pointer, i);
    Value asI32 =
        arith::IndexCastOp::create(builder, loc, builder.getI32Type(), i);
    emitBarrier(builder, loc, pointer, asI32);
    return std::vector<Value>{};
  });
  ASSERT_TRUE(reader.ok());
  BarrierCalls calls;
  CladeStep step = {};
  step.barrier = [](void *state, int32_t thread) {
    static_cast<BarrierCalls *>(state)->threads.push_back(thread);
  };
  step.barrier_state = &calls;
  reader.read(&step, 3);
  EXPECT_EQ(calls.threads, (std::vector<int32_t>{3, 3}));
}

TEST(StepABITest, traceIsCalledUnlessNull) {
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value i) {
    emitTrace(builder, loc, pointer, pointer, i);
    return std::vector<Value>{};
  });
  ASSERT_TRUE(reader.ok());
  CladeStep step = {};
  reader.read(&step, 8);
  std::vector<std::pair<const void *, int64_t>> calls;
  step.trace = [](void *state, const void *values, int64_t bytes) {
    static_cast<decltype(calls) *>(state)->emplace_back(values, bytes);
  };
  step.trace_state = &calls;
  reader.read(&step, 8);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0],
            std::make_pair(static_cast<const void *>(&step), int64_t(8)));
}

TEST(StepABITest, routeIsCalledUnlessNull) {
  // The number of the layer is only asked for where it is called.
  Reader reader([](OpBuilder &builder, Location loc, Value pointer, Value i) {
    emitRoute(
        builder, loc, pointer,
        [&]() -> Value { return StepView(builder, loc, pointer).numLayers(); },
        i, pointer, 2, 8);
    return std::vector<Value>{};
  });
  ASSERT_TRUE(reader.ok());
  CladeStep step = {};
  step.num_layers = 17;
  reader.read(&step, 5);
  struct Call {
    int32_t layer, token;
    int32_t *experts;
    int32_t count, numExperts;
  };
  std::vector<Call> calls;
  step.route = [](void *state, int32_t layer, int32_t token, int32_t *experts,
                  int32_t count, int32_t numExperts) {
    static_cast<std::vector<Call> *>(state)->push_back(
        {layer, token, experts, count, numExperts});
  };
  step.route_state = &calls;
  reader.read(&step, 5);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].layer, 17);
  EXPECT_EQ(calls[0].token, 5);
  EXPECT_EQ(static_cast<void *>(calls[0].experts), &step);
  EXPECT_EQ(calls[0].count, 2);
  EXPECT_EQ(calls[0].numExperts, 8);
}

} // namespace

} // namespace clade::cpu::test
