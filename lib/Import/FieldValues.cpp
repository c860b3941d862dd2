//===- FieldValues.cpp - What the fields of a family are ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/FieldValues.h"

#include "mlir/IR/Diagnostics.h"

using namespace clade;
using namespace clade::import;

namespace {
/// Takes the messages of its lifetime and shows none.
struct Silence : mlir::ScopedDiagnosticHandler {
  explicit Silence(mlir::MLIRContext *context)
      : ScopedDiagnosticHandler(
            context, [](mlir::Diagnostic &) { return mlir::success(); }) {}
};
} // namespace

FieldValues::FieldValues(const Family &family, const Config &config)
    : context(family.getLibrary().getContext()),
      evaluator(family, &config, config.record(), nullptr, mlir::ModuleOp(),
                ImportOptions{mlir::Float32Type::get(context)}) {
  Silence silence(context);
  (void)evaluator.makeParts();
}

std::optional<SpecValue> FieldValues::get(FamilyInstance &of,
                                          llvm::StringRef name,
                                          std::optional<int64_t> layer) {
  const spec::FieldDecl *field = of.family.findField(name);
  if (!field || (field->index && !layer))
    return std::nullopt;
  Silence silence(context);
  FailureOr<SpecValue> value = evaluator.fieldOf(
      of, name, field->index ? layer : std::nullopt, field->getLoc());
  if (failed(value) || value->is(SpecValue::Kind::Absent))
    return std::nullopt;
  return *value;
}

std::optional<int64_t> FieldValues::layers(FamilyInstance &of) {
  std::optional<SpecValue> value = get(of, "layers");
  if (!value || !value->is(SpecValue::Kind::Int) || value->dim.size < 1 ||
      value->dim.size > maxLayers)
    return std::nullopt;
  return value->dim.size;
}

/// A value as JSON; 'none' for null.
static std::string textOf(const std::optional<SpecValue> &value) {
  if (!value)
    return "";
  if (value->is(SpecValue::Kind::None))
    return "none";
  std::optional<nlohmann::json> json = toJson(*value);
  return json ? json->dump(-1, ' ', false,
                           nlohmann::json::error_handler_t::replace)
              : "";
}

std::string FieldValues::text(FamilyInstance &of, llvm::StringRef name,
                              int64_t most) {
  const spec::FieldDecl *field = of.family.findField(name);
  if (!field || !field->index)
    return textOf(get(of, name));
  std::optional<int64_t> count = layers(of);
  std::string all;
  for (int64_t layer = 0; layer < std::min(count.value_or(0), most); ++layer) {
    std::string one = textOf(get(of, name, layer));
    if (one.empty())
      return "";
    all += (layer ? ", " : "") + one;
  }
  return count.value_or(0) > most ? all + ", …" : all;
}
