//===- BuiltinsExperts.cpp - Mixtures of experts --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The body of a mixture is evaluated once, for all choices of a token at a
// time: the number of the expert stays a placeholder in the names of weights,
// whose linear maps become products by experts with an axis of choices.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

FailureOr<SpecValue> Evaluator::evalMix(const spec::LambdaExpr *expr,
                                        Frame &frame) {
  Location loc = expr->getLoc();
  auto *call = dyn_cast<spec::CallExpr>(expr->call);
  auto *name = call ? dyn_cast<spec::NameExpr>(call->callee) : nullptr;
  if (!name || name->name != "mix")
    return error(loc) << "expected a body in '{ }' only after 'mix'";
  if (mixScope)
    return error(loc) << "expected no 'mix' inside another";
  FailureOr<CallArgs> args = evalArgs(call->args, frame);
  if (failed(args))
    return failure();
  ArgReader reader("mix", *args, {"chosen", "share", "sum?"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> chosen = reader.tensor("chosen"),
                         share = reader.tensor("share");
  FailureOr<std::string> sum = reader.word("sum", "model", {"model", "f32"});
  if (failed(chosen) || failed(share) || failed(sum))
    return failure();
  if (!chosen->choice || chosen->axes.size() != 2 || !chosen->hasSequence())
    return error(loc) << "expected what 'top_k' chose for each token as "
                         "'chosen' of 'mix', got "
                      << reader.get("chosen")->describe();
  bool fits = share->axes.size() == 2 &&
              share->axes[0].name == chosen->axes[0].name &&
              share->axes[1].name == chosen->axes[1].name &&
              isa<FloatType>(share->getType().getElementType());
  if (!fits)
    return error(loc) << "expected a share for each choice of "
                      << toString(chosen->axes) << ", got "
                      << reader.get("share")->describe();

  // A run may note these choices, or make others.
  if (auto topK = chosen->value.getDefiningOp<TopKOp>())
    topK.setRouted(true);
  mixScope = MixScope{*chosen};
  Frame inner = frame;
  inner.vars[expr->var.name.str()] = SpecValue::of(expertPlaceholder.str());
  FailureOr<SpecValue> value = eval(expr->body, inner);
  mixScope.reset();
  if (failed(value))
    return failure();
  bool isPerChoice = value->is(SpecValue::Kind::Tensor) &&
                     value->tensor.axes.size() > 2 &&
                     value->tensor.hasSequence() &&
                     value->tensor.axes[1].name == chosen->axes[1].name;
  if (!isPerChoice)
    return error(expr->body->getLoc())
           << "expected the body of 'mix' to compute features of each token "
              "with weights of the expert '"
           << expr->var.name << "', got " << value->describe();
  const TensorValue &y = value->tensor;
  Shape axes = y.axes;
  axes.erase(axes.begin() + 1);
  Type sumType = *sum == "f32" ? f32() : options.modelType;
  // Results of a wider type keep it.
  Type type = y.getType().getElementType();
  if (type.isF32() && *sum == "model")
    sumType = type;
  return SpecValue::of(
      tensor(MixOp::create(builder, named(loc), typeFor(axes, type), y.value,
                           share->value, chosen->value, TypeAttr::get(sumType)),
             axes));
}

FailureOr<SpecValue> Evaluator::expertLinear(const TensorValue &x,
                                             const Shape &shape, bool bias,
                                             const std::string &prefix,
                                             Location loc) {
  if (!mixScope)
    return error(loc) << "expected the weights of an expert inside 'mix'";
  if (!x.hasSequence())
    return error(loc) << "expected features of each token for the map of an "
                         "expert, got "
                      << toString(x.axes);
  const Dim &active = mixScope->active(), &experts = mixScope->experts();
  TensorValue chosen = localize(mixScope->chosen);
  Shape inputs = x.features();
  if (!inputs.empty() && inputs.front().name == active.name)
    inputs.erase(inputs.begin());
  if (inputs.empty())
    return error(loc) << "expected a tensor with a feature axis, got "
                      << toString(x.axes);
  Type type = x.getType().getElementType();
  FailureOr<TensorValue> weight =
      param(prefix + ".weight", shape, inputs, type, loc, experts);
  if (failed(weight))
    return failure();
  mlir::Value biasValue;
  if (bias) {
    FailureOr<TensorValue> value =
        param(prefix + ".bias", shape, {}, type, loc, experts);
    if (failed(value))
      return failure();
    biasValue = value->value;
  }
  Shape axes{x.axes.front(), active};
  llvm::copy_if(shape, std::back_inserter(axes),
                [](const Dim &dim) { return dim.name != "1"; });
  if (failed(checkAxes(axes, loc)))
    return failure();
  FailureOr<TensorValue> result =
      addPlaces(x,
                tensor(ExpertLinearOp::create(
                           builder, named(loc), typeFor(axes, type), x.value,
                           chosen.value, weight->value, biasValue),
                       axes),
                prefix, shape, loc);
  return failed(result) ? FailureOr<SpecValue>(failure())
                        : SpecValue::of(*result);
}
