//===- BuiltinsRecurrent.cpp - Convolutions, scans and what they use ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In a scan every tensor is that of one token: a value from outside becomes an
// operand of the op and enters its region without the sequence axis.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

static const Dim &sequenceDim() {
  static const Dim dim{ShapedType::kDynamic, tokenAxis.str(), {}};
  return dim;
}

/// Built-ins that cannot stand in a scan: they have weights or state of their
/// own, or look at other tokens.
static bool isRefusedInScan(StringRef name) {
  return llvm::is_contained(
      {"linear", "embed", "attend", "rope", "causal_conv"}, name);
}

std::optional<FailureOr<SpecValue>>
Evaluator::callRecurrent(StringRef name, const CallArgs &args,
                         const std::string &prefix, Location loc) {
  if (scanScope && isRefusedInScan(name))
    return error(loc) << "'" << name
                      << "' inside a scan has no compiled form yet";
  if (name == "causal_conv")
    return buildCausalConv(args, prefix, loc);
  if (name == "zeros")
    return buildZeros(args, loc);
  if (name == "dot")
    return buildDot(args, loc);
  if (name == "repeat")
    return buildRepeat(args, loc);
  if (name == "join")
    return buildJoin(args, loc);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

FailureOr<SpecValue> Evaluator::buildCausalConv(const CallArgs &args,
                                                const std::string &prefix,
                                                Location loc) {
  ArgReader reader("causal_conv", args, {"x", "taps", "bias?"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> x = reader.tensor("x");
  FailureOr<bool> hasBias = reader.boolean("bias", false);
  if (failed(x) || failed(hasBias))
    return failure();
  const SpecValue *taps = reader.get("taps");
  constexpr int64_t mostTaps = 64;
  if (!taps->is(SpecValue::Kind::Int) || taps->dim.size < 1 ||
      taps->dim.size > mostTaps)
    return error(loc) << "expected a number from 1 to " << mostTaps
                      << " as 'taps' of 'causal_conv', got "
                      << taps->describe();
  Type type = x->getType().getElementType();
  if (!x->hasSequence() || x->features().empty() || type.isInteger())
    return error(loc) << "expected a tensor with features for each token as "
                         "'x' of 'causal_conv', got "
                      << x->value.getType();
  if (!layerScope)
    return error(loc) << "expected 'causal_conv' inside 'for layer in …'";
  Shape features = x->features();
  // torch's convolution of one input channel each.
  int64_t published[] = {numElements(features), 1, taps->dim.size};
  FailureOr<TensorValue> weight =
      param(prefix + ".weight", features, {Dim{taps->dim.size, "taps", {}}},
            type, loc, /*experts=*/std::nullopt, published);
  if (failed(weight))
    return failure();
  mlir::Value bias;
  if (*hasBias) {
    FailureOr<TensorValue> value =
        param(prefix + ".bias", features, {}, type, loc);
    if (failed(value))
      return failure();
    bias = value->value;
  }
  // All features are channels of one axis.
  Shape flat{x->axes[0], sumOf({features})};
  flat[1].parts.clear();
  mlir::Value channels =
      builder.createOrFold<ViewOp>(named(loc), typeFor(flat, type), x->value);
  mlir::Value result = CausalConvOp::create(
      builder, named(loc), channels.getType(), channels, weight->value, bias,
      batch(), builder.getI64IntegerAttr(layerScope->nextState++));
  return SpecValue::of(tensor(
      builder.createOrFold<ViewOp>(named(loc), x->getType(), result), x->axes));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

FailureOr<SpecValue> Evaluator::buildZeros(const CallArgs &args, Location loc) {
  ArgReader reader("zeros", args, {"shape", "dtype?"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<Shape> shape = shapeOf(*reader.get("shape"), loc);
  FailureOr<std::string> dtype =
      reader.word("dtype", "model", {"model", "f32"});
  if (failed(shape) || failed(dtype) || failed(checkAxes(*shape, loc)))
    return failure();
  if (shape->front().name == tokenAxis)
    return error(loc) << "expected another name than 'token', the axis of the "
                         "sequence, for an axis of zeros";
  Type type = *dtype == "f32" ? f32() : options.modelType;
  mlir::Value zero = ConstantOp::create(builder, named(loc), typeFor({}, type),
                                        builder.getF64FloatAttr(0));
  return SpecValue::of(
      tensor(SpreadOp::create(builder, named(loc), typeFor(*shape, type), zero),
             *shape));
}

/// Σ a·b over axes that both have; the product does not round.
FailureOr<SpecValue> Evaluator::buildDot(const CallArgs &args, Location loc) {
  ArgReader reader("dot", args, {"a", "b", "over"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> a = reader.tensor("a"), b = reader.tensor("b");
  FailureOr<Shape> over = shapeOf(*reader.get("over"), loc);
  if (failed(a) || failed(b) || failed(over))
    return failure();
  for (const Dim &dim : *over)
    for (const TensorValue *side : {&*a, &*b})
      if (llvm::none_of(side->axes,
                        [&](const Dim &axis) { return axis.name == dim.name; }))
        return error(loc) << "'dot' over '" << dim.name << "': no such axis in "
                          << toString(side->axes);
  bool isNarrow = !a->getType().getElementType().isF32() &&
                  !b->getType().getElementType().isF32();
  FailureOr<SpecValue> product =
      tensorArithmetic(BinaryKind::Mul, castTo(*a, f32(), loc),
                       castTo(*b, f32(), loc), /*outer=*/true, loc);
  if (failed(product))
    return failure();
  FailureOr<SpecValue> sum =
      callReduction("sum", CallArgs{{*product, *reader.get("over")}, {}}, loc)
          .value_or(failure());
  if (failed(sum) || !isNarrow)
    return sum;
  return castTo(sum->tensor, options.modelType, loc);
}

FailureOr<SpecValue> Evaluator::buildRepeat(const CallArgs &args,
                                            Location loc) {
  if (args.positional.size() != 1 || args.named.size() != 1)
    return error(loc) << "expected 'repeat(x, groups: heads)'";
  const SpecValue &x = args.positional[0];
  const auto &[from, to] = args.named[0];
  if (!x.is(SpecValue::Kind::Tensor))
    return error(loc) << "expected a tensor as 'x' of 'repeat', got "
                      << x.describe();
  FailureOr<Shape> shape = shapeOf(to, loc);
  if (failed(shape))
    return failure();
  Shape axes = x.tensor.axes;
  auto it =
      llvm::find_if(axes, [&](const Dim &dim) { return dim.name == from; });
  if (it == axes.end() || from == tokenAxis)
    return error(loc) << "'repeat' of '" << from << "': no such axis in "
                      << toString(axes);
  if (shape->size() != 1 || it->size < 1 || shape->front().size % it->size != 0)
    return error(loc) << "expected 'repeat' of '" << from
                      << "' to an axis of a multiple of " << it->size
                      << ", got " << toString(*shape);
  *it = shape->front();
  if (failed(checkAxes(axes, loc)))
    return failure();
  auto type = typeFor(axes, x.tensor.getType().getElementType());
  return SpecValue::of(tensor(
      RepeatOp::create(builder, named(loc), type, x.tensor.value, from), axes));
}

/// What is joined may be split again: one axis each if they agree in all
/// others, all their features otherwise.
FailureOr<SpecValue> Evaluator::buildJoin(const CallArgs &args, Location loc) {
  std::vector<TensorValue> inputs;
  for (const SpecValue &value : args.positional) {
    if (!value.is(SpecValue::Kind::Tensor) || value.tensor.features().empty())
      return error(loc) << "expected tensors with features to join, got "
                        << value.describe();
    inputs.push_back(value.tensor);
  }
  if (inputs.empty() || !args.named.empty())
    return error(loc) << "expected tensors to join, got "
                      << (inputs.empty() ? "nothing"
                                         : "an argument with a name");
  const Shape &first = inputs[0].axes;
  Type type = inputs[0].getType().getElementType();
  size_t shared = first.size() - 1;
  for (const TensorValue &input : inputs) {
    size_t same = 0;
    while (same < shared && same + 1 < input.axes.size() &&
           input.axes[same].name == first[same].name &&
           input.axes[same].size == first[same].size)
      ++same;
    shared = same;
    bool agrees = input.getType().getElementType() == type &&
                  input.hasSequence() == inputs[0].hasSequence();
    if (!agrees)
      return error(loc) << "expected tensors of one type to join, all of them "
                           "with features for each token or none, got "
                        << inputs[0].getType() << " and " << input.getType();
  }
  SmallVector<mlir::Value> values;
  std::vector<std::vector<Dim>> parts;
  for (const TensorValue &input : inputs) {
    std::vector<Dim> part(input.axes.begin() + shared, input.axes.end());
    Shape flat(first.begin(), first.begin() + shared);
    flat.push_back(sumOf({part}));
    values.push_back(builder.createOrFold<ViewOp>(
        named(loc), typeFor(flat, type), input.value));
    if (part.size() == 1 && part[0].isSum())
      llvm::append_range(parts, part[0].parts);
    else
      parts.push_back(std::move(part));
  }
  Shape axes(first.begin(), first.begin() + shared);
  axes.push_back(sumOf(std::move(parts)));
  if (failed(checkAxes(axes, loc)))
    return failure();
  return SpecValue::of(tensor(
      JoinOp::create(builder, named(loc), typeFor(axes, type), values), axes));
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

mlir::Value Evaluator::scanArgument(mlir::Value value) {
  auto &operands = scanScope->operands;
  auto place = llvm::find(operands, value) - operands.begin();
  if (place == static_cast<int64_t>(operands.size())) {
    operands.push_back(value);
    scanScope->block->addArgument(
        tokenRow(cast<NamedTensorType>(value.getType())), value.getLoc());
  }
  constexpr int64_t numCarried = 1;
  return scanScope->block->getArgument(numCarried + place);
}

/// As `describe`, with the element type of a tensor.
static std::string describeWithType(const SpecValue &value) {
  if (!value.is(SpecValue::Kind::Tensor))
    return value.describe();
  std::string text;
  llvm::raw_string_ostream(text) << value.tensor.value.getType();
  return text;
}

/// The carried value and what is emitted, after one run of the body.
LogicalResult Evaluator::evalScanBody(const spec::ScanExpr *expr, Frame &inner,
                                      const TensorValue &initial,
                                      SmallVectorImpl<mlir::Value> &yielded,
                                      Shape &emitted) {
  if (failed(evalBody(expr->body, inner)))
    return failure();
  if (inner.returned)
    return error(expr->getLoc()) << "expected no 'return' inside a scan";
  if (!inner.emitted)
    return error(expr->getLoc()) << "expected a scan to emit a value";
  if (!inner.emitted->is(SpecValue::Kind::Tensor))
    return error(expr->getLoc())
           << "expected a tensor to emit, got " << inner.emitted->describe();
  StringRef name = expr->carry.name;
  const SpecValue &next = inner.vars.find(name)->second;
  if (!next.is(SpecValue::Kind::Tensor) ||
      localize(next.tensor).value.getType() != initial.value.getType())
    return error(expr->getLoc())
           << "expected '" << name
           << "' to keep its axes and type from token to token, got "
           << initial.value.getType() << " before and "
           << describeWithType(next) << " after";
  TensorValue output = localize(inner.emitted->tensor);
  yielded.assign({localize(next.tensor).value, output.value});
  emitted = output.axes;
  return success();
}

FailureOr<SpecValue> Evaluator::evalScan(const spec::ScanExpr *expr,
                                         Frame &frame) {
  Location loc = expr->getLoc();
  if (frame.context != Frame::Context::Block)
    return error(loc) << "expected a scan only in a block";
  if (expr->axis.name != tokenAxis)
    return error(expr->axis.loc)
           << "expected a scan over 'token', the axis of the sequence, got '"
           << expr->axis.name << "'";
  if (scanScope)
    return error(loc) << "expected no scan inside another";
  if (!layerScope)
    return error(loc) << "expected a scan inside 'for layer in …'";
  FailureOr<SpecValue> init = eval(expr->init, frame);
  if (failed(init))
    return failure();
  if (!init->is(SpecValue::Kind::Tensor) || init->tensor.hasSequence() ||
      !init->tensor.getType().getElementType().isF32())
    return error(expr->init->getLoc())
           << "expected an initial value in f32 and without the axis of the "
              "sequence, such as zeros([heads, state], f32), got "
           << describeWithType(*init);
  TensorValue initial = init->tensor;

  Region region;
  Block *block = &region.emplaceBlock();
  OpBuilder::InsertPoint outside = builder.saveInsertionPoint();
  builder.setInsertionPointToEnd(block);
  scanScope.emplace();
  scanScope->block = block;
  Frame inner = frame;
  inner.inScan = true;
  inner.vars[expr->carry.name.str()] = SpecValue::of(
      tensor(block->addArgument(initial.value.getType(), loc), initial.axes));
  SmallVector<mlir::Value> yielded;
  Shape axes;
  LogicalResult result = evalScanBody(expr, inner, initial, yielded, axes);
  if (succeeded(result)) {
    YieldOp::create(builder, loc, yielded);
    // Weights are the layer's, not the token's.
    for (ParamOp param : llvm::make_early_inc_range(block->getOps<ParamOp>())) {
      param->moveBefore(outside.getBlock(), outside.getPoint());
      mlir::Value argument =
          block->addArgument(param.getResult().getType(), param.getLoc());
      param.getResult().replaceAllUsesWith(argument);
      scanScope->operands.push_back(param.getResult());
    }
  }
  SmallVector<mlir::Value> operands = scanScope->operands;
  scanScope.reset();
  builder.restoreInsertionPoint(outside);
  if (failed(result))
    return failure();
  axes.insert(axes.begin(), sequenceDim());
  if (failed(checkAxes(axes, loc)))
    return failure();
  Type type = cast<NamedTensorType>(yielded.back().getType()).getElementType();
  auto scan =
      ScanOp::create(builder, named(loc), TypeRange{typeFor(axes, type)},
                     batch(), ValueRange(initial.value), operands,
                     builder.getI64IntegerAttr(layerScope->nextState++),
                     /*chunk=*/IntegerAttr());
  scan.getBody().takeBody(region);
  return SpecValue::of(tensor(scan.getResult(0), axes));
}
