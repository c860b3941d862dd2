//===- RowEmitter.cpp - Expressions and loops of one row ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/RowEmitter.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

//===----------------------------------------------------------------------===//
// Elementwise functions
//===----------------------------------------------------------------------===//

/// A constant in all lanes of a type (scalar or vector of f32).
static Value constantLike(OpBuilder &builder, Location loc, Type type,
                          double value) {
  auto scalar = builder.getF32FloatAttr(value);
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(vector, static_cast<float>(value)));
  return arith::ConstantOp::create(builder, loc, scalar);
}

/// 1 / (1 + exp(-x)).
static Value sigmoid(OpBuilder &builder, Location loc, Value x) {
  Value one = constantLike(builder, loc, x.getType(), 1);
  Value power =
      math::ExpOp::create(builder, loc, arith::NegFOp::create(builder, loc, x));
  return arith::DivFOp::create(builder, loc, one,
                               arith::AddFOp::create(builder, loc, one, power));
}

Value RowEmitter::applyUnary(OpBuilder &builder, Location loc, UnaryKind kind,
                             Value x) {
  auto constant = [&](double value) {
    return constantLike(builder, loc, x.getType(), value);
  };
  auto mul = [&](Value a, Value b) -> Value {
    return arith::MulFOp::create(builder, loc, a, b);
  };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(builder, loc, a, b);
  };
  switch (kind) {
  case UnaryKind::Neg:
    return arith::NegFOp::create(builder, loc, x);
  case UnaryKind::Exp:
    return math::ExpOp::create(builder, loc, x);
  case UnaryKind::Log:
    return math::LogOp::create(builder, loc, x);
  case UnaryKind::Sqrt:
    return math::SqrtOp::create(builder, loc, x);
  case UnaryKind::Rsqrt:
    return arith::DivFOp::create(builder, loc, constant(1),
                                 math::SqrtOp::create(builder, loc, x));
  case UnaryKind::Tanh:
    return math::TanhOp::create(builder, loc, x);
  case UnaryKind::Sigmoid:
    return sigmoid(builder, loc, x);
  case UnaryKind::Softplus: {
    // max(x, 0) + log(1 + exp(-|x|)): no overflow.
    Value power = math::ExpOp::create(
        builder, loc,
        arith::NegFOp::create(builder, loc,
                              math::AbsFOp::create(builder, loc, x)));
    return add(arith::MaximumFOp::create(builder, loc, x, constant(0)),
               math::Log1pOp::create(builder, loc, power));
  }
  case UnaryKind::Relu:
    return arith::MaximumFOp::create(builder, loc, x, constant(0));
  case UnaryKind::Relu2: {
    Value positive = arith::MaximumFOp::create(builder, loc, x, constant(0));
    return mul(positive, positive);
  }
  case UnaryKind::Floor:
    return math::FloorOp::create(builder, loc, x);
  case UnaryKind::Abs:
    return math::AbsFOp::create(builder, loc, x);
  case UnaryKind::Silu:
    return mul(x, sigmoid(builder, loc, x));
  case UnaryKind::QuickGelu:
    return mul(x, sigmoid(builder, loc, mul(constant(1.702), x)));
  case UnaryKind::Gelu: {
    Value error = math::ErfOp::create(builder, loc,
                                      mul(x, constant(0.70710678118654752440)));
    return mul(mul(constant(0.5), x), add(constant(1), error));
  }
  case UnaryKind::GeluTanh: {
    Value cube = mul(mul(x, x), x);
    Value inner = mul(constant(0.79788456080286535588),
                      add(x, mul(constant(0.044715), cube)));
    return mul(mul(constant(0.5), x),
               add(constant(1), math::TanhOp::create(builder, loc, inner)));
  }
  }
  return x;
}

Value RowEmitter::applyBinary(OpBuilder &builder, Location loc, BinaryKind kind,
                              Value a, Value b) {
  switch (kind) {
  case BinaryKind::Add:
    return arith::AddFOp::create(builder, loc, a, b);
  case BinaryKind::Sub:
    return arith::SubFOp::create(builder, loc, a, b);
  case BinaryKind::Mul:
    return arith::MulFOp::create(builder, loc, a, b);
  case BinaryKind::Div:
    return arith::DivFOp::create(builder, loc, a, b);
  case BinaryKind::Pow:
    return math::PowFOp::create(builder, loc, a, b);
  case BinaryKind::Min:
    return arith::MinimumFOp::create(builder, loc, a, b);
  case BinaryKind::Max:
    return arith::MaximumFOp::create(builder, loc, a, b);
  }
  return a;
}

//===----------------------------------------------------------------------===//
// Loads, stores, rounding
//===----------------------------------------------------------------------===//

/// How elements lie in memory. bf16 is loaded as integers: vectors of bf16 are
/// slow where the CPU has none. A truth is a byte.
static Type storedType(OpBuilder &builder, Type elementType) {
  if (elementType.isBF16())
    return builder.getIntegerType(16);
  return elementType.isInteger(1) ? builder.getI8Type() : elementType;
}

/// Integers (scalar or vector) as f32: i32, or bytes that are 0 or 1.
static Value integerToFloat(OpBuilder &builder, Location loc, Value value) {
  auto vector = dyn_cast<VectorType>(value.getType());
  Type wide = builder.getF32Type();
  if (vector)
    wide = VectorType::get(vector.getShape(), wide);
  if (getElementTypeOrSelf(value.getType()).isInteger(8))
    return arith::UIToFPOp::create(builder, loc, wide, value);
  return arith::SIToFPOp::create(builder, loc, wide, value);
}

Value RowEmitter::loadVector(OpBuilder &builder, Location loc, int64_t width,
                             Type elementType, Value base, Value index,
                             Value mask) {
  Type stored = storedType(builder, elementType);
  Value value = emitMaskedLoad(builder, loc, VectorType::get({width}, stored),
                               base, index, mask);
  if (elementType.isF32())
    return value;
  if (elementType.isInteger())
    return integerToFloat(builder, loc, value);
  auto wide = VectorType::get({width}, builder.getF32Type());
  if (elementType.isBF16()) {
    auto bits = VectorType::get({width}, builder.getI32Type());
    value = arith::ExtUIOp::create(builder, loc, bits, value);
    Value shift = arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(bits, static_cast<int32_t>(16)));
    return arith::BitcastOp::create(
        builder, loc, wide, arith::ShLIOp::create(builder, loc, value, shift));
  }
  return arith::ExtFOp::create(builder, loc, wide, value);
}

void RowEmitter::storeVector(OpBuilder &builder, Location loc, Value vector,
                             Type elementType, Value base, Value index,
                             Value mask) {
  if (elementType.isBF16())
    vector = emitRoundToBF16(builder, loc, vector);
  else if (elementType.isInteger())
    vector = arith::FPToSIOp::create(
        builder, loc,
        VectorType::get(cast<VectorType>(vector.getType()).getShape(),
                        storedType(builder, elementType)),
        vector);
  else if (!elementType.isF32())
    vector = arith::TruncFOp::create(
        builder, loc,
        VectorType::get(cast<VectorType>(vector.getType()).getShape(),
                        elementType),
        vector);
  emitStore(builder, loc, vector, base, index, mask);
}

Value RowEmitter::roundTo(Value vector, Type elementType, Location loc) {
  if (!referenceRounding || !elementType.isBF16())
    return vector;
  return emitWiden(builder, loc, emitRoundToBF16(builder, loc, vector));
}

Value RowEmitter::flatIndex(const RowLayout &layout, const RowIndex &index,
                            int64_t offset, Location loc) {
  Value flat = emitIndex(builder, loc, offset);
  for (auto [name, stride, size] :
       llvm::zip_equal(layout.names, layout.strides, layout.sizes)) {
    Value at = index.find(name);
    if (at && size > 1)
      flat =
          emitAdd(builder, loc, flat,
                  emitMul(builder, loc, at, emitIndex(builder, loc, stride)));
  }
  return flat;
}

Value RowEmitter::load(const RowMemory &memory, const RowIndex &index,
                       Location loc) {
  int64_t axis =
      index.vectorAxis.empty() ? -1 : memory.layout.find(index.vectorAxis);
  bool isVector = axis >= 0 && memory.layout.sizes[axis] > 1;
  if (isVector && memory.layout.strides[axis] != 1)
    return gather(
        memory.layout.sizes[axis], index.find(index.vectorAxis), loc,
        [&](Value at) { return load(memory, index.scalarAt(at), loc); });
  if (isVector)
    return loadVector(
        builder, loc, target.width, memory.elementType, memory.base,
        flatIndex(memory.layout, index, memory.offset, loc), index.mask);
  return emitSplat(builder, loc, loadScalar(memory, index, loc), target.width);
}

Value RowEmitter::loadScalar(const RowMemory &memory, const RowIndex &index,
                             Location loc) {
  Value flat = flatIndex(memory.layout, index, memory.offset, loc);
  Value scalar = emitLoad(builder, loc, storedType(builder, memory.elementType),
                          memory.base, flat);
  if (memory.elementType.isInteger())
    return integerToFloat(builder, loc, scalar);
  if (memory.elementType.isBF16()) {
    scalar = arith::ExtUIOp::create(builder, loc, builder.getI32Type(), scalar);
    scalar = arith::ShLIOp::create(
        builder, loc, scalar,
        arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(16)));
    scalar =
        arith::BitcastOp::create(builder, loc, builder.getF32Type(), scalar);
  } else if (memory.elementType.isF16()) {
    scalar = arith::ExtFOp::create(builder, loc, builder.getF32Type(), scalar);
  }
  return scalar;
}

void RowEmitter::storeScalar(Value scalar, const RowMemory &memory,
                             const RowIndex &index, Location loc) {
  emitStore(builder, loc, scalar, memory.base,
            flatIndex(memory.layout, index, memory.offset, loc));
}

Value RowEmitter::gather(int64_t size, Value first, Location loc,
                         llvm::function_ref<Value(Value)> lane) {
  auto type = VectorType::get({target.width}, builder.getF32Type());
  Value result = arith::ConstantOp::create(builder, loc,
                                           DenseElementsAttr::get(type, 0.0f)),
        last = emitIndex(builder, loc, size - 1);
  for (int64_t i = 0; i < target.width; ++i) {
    // Lanes behind the end repeat the last element.
    Value at = arith::MinSIOp::create(
        builder, loc, emitAdd(builder, loc, first, emitIndex(builder, loc, i)),
        last);
    Value element =
        vector::ExtractOp::create(builder, loc, lane(at), ArrayRef<int64_t>{0});
    result = vector::InsertOp::create(builder, loc, element, result,
                                      ArrayRef<int64_t>{i});
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void RowEmitter::forEachIndex(const RowLayout &layout, int64_t axis,
                              RowIndex &index, Location loc,
                              llvm::function_ref<void(const RowIndex &)> body) {
  if (axis == layout.rank()) {
    body(index);
    return;
  }
  if (!pinnedAxis.empty() && layout.names[axis] == pinnedAxis) {
    index.axes.emplace_back(layout.names[axis], pinnedIndex);
    forEachIndex(layout, axis + 1, index, loc, body);
    index.axes.pop_back();
    return;
  }
  int64_t size = layout.sizes[axis], width = target.width;
  bool isVector = axis == layout.rank() - 1;
  int64_t stepSize = isVector ? width : 1;
  auto run = [&](Value at, Value mask) {
    index.axes.emplace_back(layout.names[axis], at);
    if (isVector) {
      index.vectorAxis = layout.names[axis];
      index.mask = mask;
    }
    forEachIndex(layout, axis + 1, index, loc, body);
    index.axes.pop_back();
    index.vectorAxis = {};
    index.mask = {};
  };
  int64_t whole = size / stepSize * stepSize;
  if (whole == stepSize) {
    run(emitIndex(builder, loc, 0), {});
  } else if (whole > 0) {
    auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                   emitIndex(builder, loc, whole),
                                   emitIndex(builder, loc, stepSize));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    run(loop.getInductionVar(), {});
  }
  if (whole < size)
    run(emitIndex(builder, loc, whole),
        emitConstantMask(builder, loc, width, size - whole));
}

void RowEmitter::forEachIndex(const RowLayout &layout, Location loc,
                              llvm::function_ref<void(const RowIndex &)> body) {
  RowIndex index;
  forEachIndex(layout, 0, index, loc, body);
}

void RowEmitter::forEachPlace(const RowLayout &layout, int64_t rank,
                              Location loc,
                              llvm::function_ref<void(const RowIndex &)> body) {
  std::function<void(int64_t, const RowIndex &)> run =
      [&](int64_t axis, const RowIndex &index) {
        if (axis == rank)
          return body(index);
        auto loop =
            scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                               emitIndex(builder, loc, layout.sizes[axis]),
                               emitIndex(builder, loc, 1));
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(loop.getBody());
        RowIndex inner = index;
        inner.axes.emplace_back(layout.names[axis], loop.getInductionVar());
        run(axis + 1, inner);
      };
  run(0, RowIndex());
}

Value RowEmitter::along(
    const RowLayout &layout, int64_t axis, const RowIndex &outer, Value carried,
    Location loc, llvm::function_ref<Value(const RowIndex &, Value)> body) {
  bool isVector = axis == layout.rank() - 1;
  int64_t size = layout.sizes[axis], stepSize = isVector ? target.width : 1,
          whole = size / stepSize * stepSize;
  auto run = [&](Value at, Value mask, Value before) {
    RowIndex inner = outer;
    inner.axes.emplace_back(layout.names[axis], at);
    if (isVector) {
      inner.vectorAxis = layout.names[axis];
      inner.mask = mask;
    }
    return body(inner, before);
  };
  if (whole > 0) {
    auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                   emitIndex(builder, loc, whole),
                                   emitIndex(builder, loc, stepSize),
                                   ValueRange{carried});
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value next = run(loop.getInductionVar(), {}, loop.getRegionIterArg(0));
    scf::YieldOp::create(builder, loc, next);
    carried = loop.getResult(0);
  }
  if (whole < size)
    carried = run(emitIndex(builder, loc, whole),
                  emitConstantMask(builder, loc, target.width, size - whole),
                  carried);
  return carried;
}

void RowEmitter::forEachVector(Value value, Store store) {
  auto layout = RowLayout::contiguous(cast<NamedTensorType>(value.getType()));
  Location loc = value.getLoc();
  forEachIndex(layout, loc, [&](const RowIndex &index) {
    Value vector = get(value, index);
    Value mask = index.mask;
    if (index.vectorAxis.empty())
      mask = emitConstantMask(builder, loc, target.width, 1);
    store(flatIndex(layout, index, 0, loc), vector, mask);
  });
}

void RowEmitter::forEachFlatVector(Value value, Store store) {
  auto type = cast<NamedTensorType>(value.getType());
  auto layout = RowLayout::contiguous(type);
  if (layout.rank() < 2 || layout.sizes.back() % target.width == 0)
    return forEachVector(value, store);
  RowMemory memory = inMemory(value);
  if (!memory.layout.isContiguous()) {
    RowMemory copy = newRow(type);
    storeRow(value, copy.base, copy.elementType);
    memory = copy;
  }
  RowLayout flat;
  flat.names.push_back("features");
  flat.sizes.push_back(layout.numElements());
  flat.strides.push_back(1);
  memory.layout = flat;
  forEachIndex(flat, value.getLoc(), [&](const RowIndex &index) {
    store(flatIndex(flat, index, 0, value.getLoc()),
          load(memory, index, value.getLoc()), index.mask);
  });
}

void RowEmitter::storeRow(Value value, Value pointer, Type elementType) {
  Type own = cast<NamedTensorType>(value.getType()).getElementType();
  forEachVector(value, [&](Value feature, Value vector, Value mask) {
    if (elementType.isF32())
      vector = roundTo(vector, own, value.getLoc());
    storeVector(builder, value.getLoc(), vector, elementType, pointer, feature,
                mask);
  });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

RowMemory RowEmitter::newRow(NamedTensorType type) {
  RowMemory memory;
  memory.elementType = builder.getF32Type();
  memory.layout = RowLayout::contiguous(type);
  if (!pinnedAxis.empty() && memory.layout.find(pinnedAxis) >= 0) {
    memory.layout.sizes[memory.layout.find(pinnedAxis)] = 1;
    int64_t stride = 1;
    for (int64_t axis = memory.layout.rank() - 1; axis >= 0; --axis) {
      memory.layout.strides[axis] = stride;
      stride *= memory.layout.sizes[axis];
    }
  }
  memory.base =
      emitAddress(builder, scratch.getLoc(), scratch, builder.getI8Type(),
                  emitIndex(builder, scratch.getLoc(), scratchBytes));
  // Room for a whole vector, so that a scalar has all lanes.
  int64_t bytes =
      std::max<int64_t>(memory.layout.numElements(), target.width) * 4;
  scratchBytes += llvm::alignTo(bytes, 64);
  return memory;
}

Value RowEmitter::reserve(int64_t bytes) {
  Location loc = scratch.getLoc();
  Value memory = emitAddress(builder, loc, scratch, builder.getI8Type(),
                             emitIndex(builder, loc, scratchBytes));
  scratchBytes += llvm::alignTo(bytes, 64);
  return memory;
}

RowMemory &RowEmitter::inMemory(Value value) {
  if (auto it = memories.find(value); it != memories.end())
    return it->second;
  RowMemory memory = newRow(cast<NamedTensorType>(value.getType()));
  writeRow(value, memory);
  return memories[value] = std::move(memory);
}

void RowEmitter::writeRow(Value value, const RowMemory &memory) {
  Location loc = value.getLoc();
  forEachIndex(memory.layout, loc, [&](const RowIndex &index) {
    Value vector = get(value, index);
    Value mask = index.vectorAxis.empty()
                     ? emitConstantMask(builder, loc, target.width, 1)
                     : index.mask;
    storeVector(builder, loc, vector, memory.elementType, memory.base,
                flatIndex(memory.layout, index, memory.offset, loc), mask);
  });
}

void RowEmitter::copyToScratch(Value value) {
  RowMemory memory = newRow(cast<NamedTensorType>(value.getType()));
  storeInto(value, memory);
}

void RowEmitter::storeInto(Value value, const RowMemory &memory) {
  writeRow(value, memory);
  memories[value] = memory;
}

Value RowEmitter::get(Value value, const RowIndex &index) {
  Location loc = value.getLoc();
  if (auto it = memories.find(value); it != memories.end())
    return load(it->second, index, loc);
  Operation *op = value.getDefiningOp();
  Type elementType = cast<NamedTensorType>(value.getType()).getElementType();
  Value result;
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    auto type = VectorType::get({target.width}, builder.getF32Type());
    return constantLike(builder, loc, type,
                        constant.getValue().convertToDouble());
  }
  if (auto unary = dyn_cast<UnaryOp>(op))
    result =
        applyUnary(builder, loc, unary.getKind(), get(unary.getInput(), index));
  else if (auto binary = dyn_cast<BinaryOp>(op)) {
    Value lhs = get(binary.getLhs(), index), rhs = get(binary.getRhs(), index);
    result = applyBinary(builder, loc, binary.getKind(), lhs, rhs);
  } else if (auto where = dyn_cast<WhereOp>(op)) {
    Value condition = get(where.getCondition(), index),
          onTrue = get(where.getOnTrue(), index),
          onFalse = get(where.getOnFalse(), index);
    Value isTrue = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::UNE, condition,
        constantLike(builder, loc, condition.getType(), 0));
    result = arith::SelectOp::create(builder, loc, isTrue, onTrue, onFalse);
  } else if (isa<PositionsOp>(op)) {
    Value position = arith::IndexCastOp::create(
        builder, loc, builder.getI32Type(),
        StepView(builder, loc, step).positionAt(row));
    return emitSplat(builder, loc, integerToFloat(builder, loc, position),
                     target.width);
  } else if (auto repeat = dyn_cast<RepeatOp>(op)) {
    StringRef from = repeat.getAxis(),
              to = repeat.getResult().getType().getNames()[repeat.getPlace()];
    Value times = emitIndex(builder, loc, repeat.getTimes());
    auto groupOf = [&](const RowIndex &place) {
      RowIndex inner = place;
      for (auto &[name, at] : inner.axes)
        if (name == to) {
          name = from;
          at = arith::DivUIOp::create(builder, loc, at, times);
        }
      return get(repeat.getInput(), inner);
    };
    int64_t size = repeat.getResult().getType().getShape()[repeat.getPlace()];
    result = index.vectorAxis == to
                 ? gather(size, index.find(to), loc,
                          [&](Value at) { return groupOf(index.scalarAt(at)); })
                 : groupOf(index);
  } else {
    // Casts and spreads: evaluate() keeps no other op as an expression.
    result = get(op->getOperand(0), index);
  }
  return roundTo(result, elementType, loc);
}

LogicalResult RowEmitter::evaluate(Operation *op) {
  if (isa<UnaryOp, BinaryOp, CastOp, SpreadOp, RepeatOp, ConstantOp, WhereOp>(
          op)) {
    if (isKept(op))
      inMemory(op->getResult(0));
    return success();
  }
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return evaluateReduce(reduce);
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return evaluateSoftmax(softmax);
  if (auto topK = dyn_cast<TopKOp>(op))
    return evaluateTopK(topK);
  if (auto gather = dyn_cast<GatherOp>(op))
    return evaluateGather(gather);
  if (auto member = dyn_cast<MemberOp>(op))
    return evaluateMember(member);
  if (auto join = dyn_cast<JoinOp>(op))
    return evaluateJoin(join);
  if (auto view = dyn_cast<ViewOp>(op))
    return evaluateView(view);
  if (auto slice = dyn_cast<SliceOp>(op))
    return evaluateSlice(slice);
  if (auto rope = dyn_cast<RopeOp>(op))
    return evaluateRope(rope);
  if (auto table = dyn_cast<RotaryTableOp>(op))
    return evaluateRotaryTable(table);
  if (auto embed = dyn_cast<EmbedOp>(op))
    return evaluateEmbed(embed);
  if (auto write = dyn_cast<CacheWriteOp>(op))
    return evaluateCacheWrite(write);
  if (auto mix = dyn_cast<MixOp>(op))
    return evaluateMix(mix);
  if (auto grid = dyn_cast<GridPositionsOp>(op))
    return evaluateGridPositions(grid);
  if (auto frames = dyn_cast<GridFramesOp>(op))
    return evaluateGridFrames(frames);
  if (auto windows = dyn_cast<GridWindowsOp>(op))
    return evaluateGridWindows(windows);
  if (auto interpolate = dyn_cast<InterpolateOp>(op))
    return evaluateInterpolate(interpolate);
  if (auto put = dyn_cast<PutAtOp>(op))
    return evaluatePutAt(put);
  if (auto choice = dyn_cast<AdapterChoiceOp>(op))
    return evaluateAdapterChoice(choice);
  if (auto positions = dyn_cast<PositionsOp>(op);
      positions && positions.getResult().getType().getRank() == 2)
    return evaluateMediaPositions(positions);
  if (auto fold = dyn_cast<FoldOp>(op); fold && fold.getBatch())
    return evaluateFold(fold);
  // Positions are read where they are used; the kernel binds the others.
  if (isa<PositionsOp, ParamOp, StackRowsOp, SelectOp, FoldOp>(op))
    return success();
  return op->emitError() << "'" << op->getName()
                         << "' has no code for CPUs yet";
}
