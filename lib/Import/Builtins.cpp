//===- Builtins.cpp - Built-ins on tensors and configuration --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Elementwise functions, reductions, shapes, and functions of configuration
// values. Built-ins that take weights are in BuiltinsWeights.cpp, those about
// positions and attention in BuiltinsAttention.cpp, convolutions and scans in
// BuiltinsRecurrent.cpp.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"
#include "runtime/Formats/DType.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/bit.h"

#include <cmath>

using namespace clade;
using namespace clade::import;
using namespace mlir;

Location Evaluator::named(Location loc) const {
  if (currentBlock.empty())
    return loc;
  return NameLoc::get(StringAttr::get(builder.getContext(), currentBlock), loc);
}

NamedTensorType Evaluator::typeFor(const Shape &axes, Type elementType) {
  SmallVector<StringAttr> names;
  SmallVector<int64_t> shape;
  for (const Dim &dim : axes) {
    names.push_back(StringAttr::get(elementType.getContext(), dim.name));
    shape.push_back(dim.size);
  }
  return NamedTensorType::get(elementType.getContext(), names, shape,
                              elementType, Attribute());
}

mlir::Value Evaluator::constant(double value, Location loc) {
  return ConstantOp::create(builder, named(loc), typeFor({}, f32()),
                            builder.getF64FloatAttr(value));
}

std::optional<FailureOr<SpecValue>>
Evaluator::callBuiltin(StringRef name, const CallArgs &args,
                       const std::string &prefix, Location loc) {
  if (std::optional<FailureOr<SpecValue>> result =
          callRecurrent(name, args, prefix, loc))
    return *result;
  if (name == "linear")
    return buildLinear(args, prefix, loc);
  if (name == "weight")
    return buildWeight(args, prefix, loc);
  if (name == "embed")
    return buildEmbed(args, prefix, loc);
  if (std::optional<FailureOr<SpecValue>> result = callMedia(name, args, loc))
    return *result;
  if (name == "attend")
    return buildAttend(args, loc);
  if (name == "rope")
    return buildRope(args, loc);
  if (name == "near") {
    ArgReader reader("near", args, {"n"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<std::optional<double>> n = reader.number("n");
    if (failed(n))
      return failure();
    if (*n && !(**n >= 1 && **n <= maxAxisSize && **n == std::floor(**n)))
      return error(loc) << "expected a window from 1 to " << maxAxisSize
                        << ", got " << reader.get("n")->describe();
    return SpecValue::of(
        Mask{false, *n ? std::optional<int64_t>(**n) : std::nullopt, {}});
  }
  for (auto call : {&Evaluator::callConfigBuiltin, &Evaluator::callElementwise,
                    &Evaluator::callReduction, &Evaluator::callShape,
                    &Evaluator::callSelection})
    if (std::optional<FailureOr<SpecValue>> result =
            (this->*call)(name, args, loc))
      return result;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Functions of configuration values
//===----------------------------------------------------------------------===//

/// The slopes of ALiBi (arXiv:2108.12409) as its authors publish them: for n
/// heads, n a power of two, 2^(−8i/n) for i from 1 to n; for another n those of
/// the power of two below it, then every second one of the power above.
static SpecValue alibiSlopes(int64_t heads) {
  int64_t below = llvm::bit_floor(static_cast<uint64_t>(heads));
  std::vector<SpecValue> slopes;
  for (int64_t i = 1; i <= below; ++i)
    slopes.push_back(SpecValue::of(std::exp2(-8.0 * i / below)));
  for (int64_t i = 1; i <= heads - below; ++i)
    slopes.push_back(
        SpecValue::of(std::exp2(-8.0 * (2 * i - 1) / (2 * below))));
  return SpecValue::list(std::move(slopes));
}

std::optional<FailureOr<SpecValue>>
Evaluator::callConfigBuiltin(StringRef name, const CallArgs &args,
                             Location loc) {
  if (name == "count") {
    ArgReader reader(name, args, {"list"}, loc);
    if (!reader.ok())
      return failure();
    const SpecValue *list = reader.get("list");
    if (list->is(SpecValue::Kind::Absent))
      return *list;
    if (list->is(SpecValue::Kind::String))
      return SpecValue::of(static_cast<int64_t>(list->text.size()));
    if (!list->is(SpecValue::Kind::List))
      return error(loc) << "expected a list or a string to count, got "
                        << list->describe();
    return SpecValue::of(static_cast<int64_t>(list->elements.size()));
  }
  if (name == "int" || name == "round_up") {
    bool rounds = name == "round_up";
    ArgReader reader(
        name, args,
        rounds ? ArrayRef<StringRef>{"n", "m"} : ArrayRef<StringRef>{"x"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<std::optional<double>> x = reader.number(rounds ? "n" : "x");
    FailureOr<std::optional<double>> m =
        rounds ? reader.number("m")
               : FailureOr<std::optional<double>>(std::optional<double>(1.0));
    if (failed(x) || failed(m))
      return failure();
    if (!*x || !(std::abs(**x) < 9e15))
      return error(loc) << "expected a number that an integer can hold as '"
                        << (rounds ? "n" : "x") << "' of '" << name << "', got "
                        << reader.get(rounds ? "n" : "x")->describe();
    if (!*m || !(**m >= 1 && **m <= maxAxisSize))
      return error(loc) << "expected a multiple from 1 to " << maxAxisSize
                        << " as 'm' of '" << name << "', got "
                        << reader.get("m")->describe();
    int64_t whole = std::trunc(**x), multiple = **m;
    return SpecValue::of(rounds ? (whole + multiple - 1) / multiple * multiple
                                : whole);
  }
  if (name == "record") {
    if (!args.positional.empty())
      return error(loc) << "expected arguments with names, such as 'record("
                           "factor: 2)'";
    auto object = std::make_unique<nlohmann::json>(nlohmann::json::object());
    for (const auto &[key, value] : args.named) {
      std::optional<nlohmann::json> converted = toJson(value);
      if (object->contains(key))
        return error(loc) << "argument '" << key << "' is given twice";
      if (converted)
        (*object)[key] = std::move(*converted);
    }
    madeRecords.push_back(std::move(object));
    return SpecValue::of(Record{madeRecords.back().get(), "record."});
  }
  if (name == "todo") {
    bool isText = !args.positional.empty() &&
                  args.positional[0].is(SpecValue::Kind::String);
    if (!isText)
      return error(loc) << "expected the open question as a string, such as "
                           "'todo(\"which norm?\")'";
    // A probe goes on with what a draft assumes.
    if (weights && weights->getProbe() && args.positional.size() > 1)
      return args.positional[1];
    return error(loc) << "open question: " << args.positional[0].text;
  }
  if (name == "alibi") {
    ArgReader reader(name, args, {"heads"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<std::optional<double>> heads = reader.number("heads");
    if (failed(heads))
      return failure();
    constexpr int64_t mostHeads = 65536;
    if (!*heads || !(**heads >= 1 && **heads <= mostHeads &&
                     **heads == std::floor(**heads)))
      return error(loc) << "expected a whole number from 1 to " << mostHeads
                        << " as 'heads' of 'alibi', got "
                        << reader.get("heads")->describe();
    return alibiSlopes(static_cast<int64_t>(**heads));
  }
  if (name == "yarn_mscale") {
    // 0.1 m log(s) + 1 (YaRN, arXiv:2309.00071).
    ArgReader reader(name, args, {"factor", "m"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<std::optional<double>> factor = reader.number("factor"),
                                     m = reader.number("m");
    if (failed(factor) || failed(m))
      return failure();
    bool unscaled = !*factor || **factor <= 1 || !*m || **m == 0;
    return SpecValue::of(unscaled ? 1.0 : 0.1 * **m * std::log(**factor) + 1.0);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Elementwise functions
//===----------------------------------------------------------------------===//

SpecValue Evaluator::unary(UnaryKind kind, const TensorValue &x, Location loc) {
  return SpecValue::of(tensor(
      UnaryOp::create(builder, named(loc), x.value.getType(), kind, x.value),
      x.axes));
}

SpecValue Evaluator::castTo(const TensorValue &x, Type type, Location loc) {
  auto result = x.getType().withElementType(type);
  return SpecValue::of(tensor(
      builder.createOrFold<CastOp>(named(loc), result, x.value), x.axes));
}

static std::optional<UnaryKind> unaryBuiltin(StringRef name) {
  return llvm::StringSwitch<std::optional<UnaryKind>>(name)
      .Case("exp", UnaryKind::Exp)
      .Case("log", UnaryKind::Log)
      .Case("sqrt", UnaryKind::Sqrt)
      .Case("rsqrt", UnaryKind::Rsqrt)
      .Case("tanh", UnaryKind::Tanh)
      .Case("sigmoid", UnaryKind::Sigmoid)
      .Case("softplus", UnaryKind::Softplus)
      .Case("relu", UnaryKind::Relu)
      .Case("floor", UnaryKind::Floor)
      .Case("abs", UnaryKind::Abs)
      .Cases({"silu", "swish"}, UnaryKind::Silu)
      .Case("gelu", UnaryKind::Gelu)
      .Default(std::nullopt);
}

/// Activations by the names that configurations use (transformers' ACT2FN).
static std::optional<UnaryKind> activation(StringRef name) {
  return llvm::StringSwitch<std::optional<UnaryKind>>(name)
      .Cases({"gelu_pytorch_tanh", "gelu_new", "gelu_tanh", "gelu_fast"},
             UnaryKind::GeluTanh)
      .Case("gelu_python", UnaryKind::Gelu)
      .Case("quick_gelu", UnaryKind::QuickGelu)
      .Case("relu2", UnaryKind::Relu2)
      .Default(unaryBuiltin(name));
}

/// A scalar function of the same name as an elementwise one.
static std::optional<double> scalarUnary(UnaryKind kind, double x) {
  switch (kind) {
  case UnaryKind::Exp:
    return std::exp(x);
  case UnaryKind::Log:
    return std::log(x);
  case UnaryKind::Sqrt:
    return std::sqrt(x);
  case UnaryKind::Rsqrt:
    return 1 / std::sqrt(x);
  case UnaryKind::Tanh:
    return std::tanh(x);
  case UnaryKind::Floor:
    return std::floor(x);
  case UnaryKind::Abs:
    return std::abs(x);
  default:
    return std::nullopt;
  }
}

std::optional<FailureOr<SpecValue>>
Evaluator::callElementwise(StringRef name, const CallArgs &args, Location loc) {
  if (name == "f32" || name == "round") {
    ArgReader reader(name, args, {"x"}, loc);
    if (!reader.ok())
      return failure();
    const SpecValue *x = reader.get("x");
    if (x->is(SpecValue::Kind::Tensor))
      return castTo(x->tensor, name == "f32" ? f32() : options.modelType, loc);
    if (!x->isNumber())
      return error(loc) << "expected a tensor or a number, got "
                        << x->describe();
    if (name == "f32")
      return SpecValue::of(x->asDouble());
    llvm::APFloat rounded(x->asDouble());
    bool losesInfo = false;
    rounded.convert(cast<FloatType>(options.modelType).getFloatSemantics(),
                    llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    rounded.convert(llvm::APFloat::IEEEdouble(),
                    llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    return SpecValue::of(rounded.convertToDouble());
  }
  if (name == "apply") {
    ArgReader reader(name, args, {"act", "x"}, loc);
    if (!reader.ok())
      return failure();
    const SpecValue *act = reader.get("act");
    std::optional<UnaryKind> kind =
        act->is(SpecValue::Kind::String) ? activation(act->text) : std::nullopt;
    FailureOr<TensorValue> x = reader.tensor("x");
    if (!kind) {
      error(loc) << "expected the name of an activation, such as \"silu\" or "
                    "\"gelu_pytorch_tanh\", got "
                 << act->describe();
      // A probe goes on to what else does not fit.
      if (weights && weights->getProbe() && succeeded(x))
        return SpecValue::of(*x);
      return failure();
    }
    return failed(x) ? FailureOr<SpecValue>(failure()) : unary(*kind, *x, loc);
  }
  if (std::optional<UnaryKind> kind = unaryBuiltin(name)) {
    ArgReader reader(name, args, {"x"}, loc);
    if (!reader.ok())
      return failure();
    const SpecValue *x = reader.get("x");
    if (x->isNumber())
      if (std::optional<double> result = scalarUnary(*kind, x->asDouble()))
        return SpecValue::of(*result);
    FailureOr<TensorValue> operand = reader.tensor("x");
    return failed(operand) ? FailureOr<SpecValue>(failure())
                           : unary(*kind, *operand, loc);
  }
  bool isMax = name == "max", isMin = name == "min";
  if ((isMax || isMin) && args.named.empty()) {
    ArgReader reader(name, args, {"a", "b"}, loc);
    if (!reader.ok())
      return failure();
    const SpecValue *a = reader.get("a"), *b = reader.get("b");
    if (a->isNumber() && b->isNumber())
      return (a->asDouble() < b->asDouble()) == isMax ? *b : *a;
    return tensorArithmetic(isMax ? BinaryKind::Max : BinaryKind::Min, *a, *b,
                            /*outer=*/false, loc);
  }
  if (name == "clamp") {
    ArgReader reader(name, args, {"x", "lo", "hi"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<SpecValue> low =
        tensorArithmetic(BinaryKind::Max, *reader.get("x"), *reader.get("lo"),
                         /*outer=*/false, loc);
    return failed(low)
               ? low
               : tensorArithmetic(BinaryKind::Min, *low, *reader.get("hi"),
                                  /*outer=*/false, loc);
  }
  if (name == "outer") {
    ArgReader reader(name, args, {"a", "b"}, loc);
    if (!reader.ok())
      return failure();
    return tensorArithmetic(BinaryKind::Mul, *reader.get("a"), *reader.get("b"),
                            /*outer=*/true, loc);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

std::optional<FailureOr<SpecValue>>
Evaluator::callReduction(StringRef name, const CallArgs &args, Location loc) {
  bool isSoftmax = name == "softmax";
  auto kind = llvm::StringSwitch<std::optional<ReduceKind>>(name)
                  .Case("sum", ReduceKind::Sum)
                  .Case("mean", ReduceKind::Mean)
                  .Case("max", ReduceKind::Max)
                  .Default(std::nullopt);
  if (!kind && !isSoftmax)
    return std::nullopt;
  ArgReader reader(name, args, {"x", "over"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> x = reader.tensor("x");
  if (failed(x))
    return failure();
  // 'over: 2' is the axis that 'top_k(x, 2)' made.
  SpecValue overValue = *reader.get("over");
  if (overValue.is(SpecValue::Kind::Int) && overValue.dim.name.empty())
    overValue.dim.name = std::to_string(overValue.dim.size);
  FailureOr<Shape> over = shapeOf(overValue, loc);
  if (failed(over))
    return failure();
  Shape kept = x->axes;
  SmallVector<StringRef> names;
  for (const Dim &dim : *over) {
    auto it = llvm::find_if(
        kept, [&](const Dim &axis) { return axis.name == dim.name; });
    if (it == kept.end() || dim.name == tokenAxis)
      return error(loc) << "'" << name << "' over '" << dim.name
                        << "': no such feature axis in " << toString(x->axes);
    kept.erase(it);
    names.push_back(dim.name);
  }
  if (!isSoftmax) {
    auto type = typeFor(kept, x->getType().getElementType());
    return SpecValue::of(
        tensor(ReduceOp::create(builder, named(loc), type, *kind, x->value,
                                builder.getStrArrayAttr(names)),
               kept));
  }
  if (names.size() != 1)
    return error(loc) << "expected a softmax over one axis, got "
                      << names.size();
  return SpecValue::of(
      tensor(SoftmaxOp::create(builder, named(loc), x->value.getType(),
                               x->value, names[0]),
             x->axes));
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

std::optional<FailureOr<SpecValue>>
Evaluator::callShape(StringRef name, const CallArgs &args, Location loc) {
  if (name == "view") {
    ArgReader reader(name, args, {"x", "axes"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<TensorValue> x = reader.tensor("x");
    FailureOr<Shape> shape = shapeOf(*reader.get("axes"), loc);
    if (failed(x) || failed(shape))
      return failure();
    int64_t have = numElements(x->features()), want = numElements(*shape);
    if (have != want)
      return error(loc) << "'as' keeps the number of features: expected "
                        << have << " of " << toString(x->axes) << ", got "
                        << want << " in " << toString(*shape);
    Shape axes(x->axes.begin(),
               x->axes.begin() + x->getType().getNumSequenceAxes());
    llvm::copy_if(*shape, std::back_inserter(axes),
                  [](const Dim &dim) { return dim.name != "1"; });
    if (failed(checkAxes(axes, loc)))
      return failure();
    auto type = typeFor(axes, x->getType().getElementType());
    return SpecValue::of(
        tensor(builder.createOrFold<ViewOp>(named(loc), type, x->value), axes));
  }
  if (name == "spread") {
    ArgReader reader(name, args, {"x", "axis"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<TensorValue> x = reader.tensor("x");
    FailureOr<Shape> shape = shapeOf(*reader.get("axis"), loc);
    if (failed(x) || failed(shape))
      return failure();
    Shape axes = x->axes;
    axes.insert(axes.begin() + x->getType().getNumSequenceAxes(),
                shape->begin(), shape->end());
    if (failed(checkAxes(axes, loc)))
      return failure();
    auto type = typeFor(axes, x->getType().getElementType());
    return SpecValue::of(
        tensor(SpreadOp::create(builder, named(loc), type, x->value), axes));
  }
  if (name == "axes") {
    ArgReader reader(name, args, {"x"}, loc);
    if (!reader.ok())
      return failure();
    FailureOr<TensorValue> x = reader.tensor("x");
    if (failed(x))
      return failure();
    std::vector<SpecValue> elements;
    for (const Dim &dim : x->features())
      elements.push_back(SpecValue::of(dim));
    return SpecValue::list(std::move(elements));
  }
  if (name == "slice")
    return error(loc) << "an index into a tensor has no compiled form yet";
  return std::nullopt;
}
