//===- TraceKnown.cpp - Values that are known -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/Tracer.h"

using namespace clade;
using namespace clade::diff;
using llvm::dyn_cast;

/// The value of a literal, and of the words for truth and nothing.
static std::optional<SpecValue> literal(const spec::Expr *expr) {
  if (auto *paren = dyn_cast<spec::ParenExpr>(expr))
    return literal(paren->inner);
  if (auto *name = dyn_cast<spec::NameExpr>(expr)) {
    if (name->name == "true" || name->name == "false")
      return SpecValue::of(name->name == "true");
    if (name->name == "none")
      return SpecValue::none();
  }
  if (auto *number = dyn_cast<spec::NumberExpr>(expr))
    return number->isInteger ? SpecValue::of(number->intValue)
                             : SpecValue::of(number->value);
  if (auto *text = dyn_cast<spec::StringExpr>(expr))
    return SpecValue::of(text->value.str());
  return std::nullopt;
}

std::optional<SpecValue> Tracer::knownField(StringRef name,
                                            const Frame &frame) {
  const spec::FieldDecl *field = frame.family->findField(name);
  if (!field)
    return std::nullopt;
  if (std::optional<SpecValue> value = literal(field->value))
    return value;
  return frame.instance ? known.values->get(*frame.instance, name, known.layer)
                        : std::nullopt;
}

std::optional<SpecValue> diff::fold(spec::BinaryOp op, const Value &a,
                                    const Value &b) {
  auto truth = [](const Value &value) -> std::optional<bool> {
    if (value.known && value.known->is(SpecValue::Kind::Bool))
      return value.known->boolean;
    return std::nullopt;
  };
  if (op == spec::BinaryOp::And || op == spec::BinaryOp::Or) {
    bool decides = op == spec::BinaryOp::Or;
    if (truth(a) == decides || truth(b) == decides)
      return SpecValue::of(decides);
    if (truth(a) && truth(b))
      return SpecValue::of(!decides);
    return std::nullopt;
  }
  if (!a.known || !b.known)
    return std::nullopt;
  bool areNumbers = a.known->isNumber() && b.known->isNumber();
  double x = areNumbers ? a.known->asDouble() : 0;
  double y = areNumbers ? b.known->asDouble() : 0;
  switch (op) {
  case spec::BinaryOp::Equal:
    return SpecValue::of(a.known->equals(*b.known));
  case spec::BinaryOp::NotEqual:
    return SpecValue::of(!a.known->equals(*b.known));
  case spec::BinaryOp::In:
    if (!b.known->is(SpecValue::Kind::List))
      return std::nullopt;
    return SpecValue::of(
        llvm::any_of(b.known->elements, [&](const SpecValue &element) {
          return element.equals(*a.known);
        }));
  case spec::BinaryOp::Less:
    return areNumbers ? std::optional(SpecValue::of(x < y)) : std::nullopt;
  case spec::BinaryOp::Greater:
    return areNumbers ? std::optional(SpecValue::of(x > y)) : std::nullopt;
  case spec::BinaryOp::LessEqual:
    return areNumbers ? std::optional(SpecValue::of(x <= y)) : std::nullopt;
  case spec::BinaryOp::GreaterEqual:
    return areNumbers ? std::optional(SpecValue::of(x >= y)) : std::nullopt;
  default:
    return std::nullopt;
  }
}
