//===- LinearRecurrence.cpp - Scans that can run in chunks ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/LinearRecurrence.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace clade;

static bool has(Value value, StringAttr axis) {
  return cast<NamedTensorType>(value.getType()).find(axis) >= 0;
}

namespace {
/// The axes of the matrix, and what depends on it.
class Matcher {
public:
  explicit Matcher(ScanOp scan) : scan(scan) {}

  std::optional<LinearRecurrence> match();

private:
  /// Of a product, the factor for which `is` holds, and the other one.
  using Factors = std::pair<Value, Value>;
  static Factors factors(Value product, llvm::function_ref<bool(Value)> is);
  bool isOfHeads(Value value) {
    return !has(value, keys) && !has(value, values);
  }
  bool isOfKeys(Value value) { return has(value, keys) && !has(value, values); }
  bool isOfValues(Value value) {
    return has(value, values) && !has(value, keys);
  }
  /// Σ over keys of `matrix` · x gives x; null if `sum` is something else.
  Value contracted(Value sum, Value matrix);
  bool isFree(Value value);

  ScanOp scan;
  StringAttr keys, values;
};
} // namespace

Matcher::Factors Matcher::factors(Value product,
                                  llvm::function_ref<bool(Value)> is) {
  auto op = product.getDefiningOp<BinaryOp>();
  if (!op || op.getKind() != BinaryKind::Mul)
    return {};
  if (is(op.getLhs()))
    return {op.getLhs(), op.getRhs()};
  if (is(op.getRhs()))
    return {op.getRhs(), op.getLhs()};
  return {};
}

Value Matcher::contracted(Value sum, Value matrix) {
  auto reduce = sum.getDefiningOp<ReduceOp>();
  if (!reduce || reduce.getKind() != ReduceKind::Sum ||
      reduce.getOver().size() != 1 || reduce.getOver()[0] != keys)
    return {};
  Value vector =
      factors(reduce.getInput(), [&](Value x) { return x == matrix; }).second;
  return vector && isOfKeys(vector) ? vector : Value();
}

/// Whether a value does not depend on the matrix.
bool Matcher::isFree(Value value) {
  if (value == scan.getCarried()[0])
    return false;
  Operation *op = value.getDefiningOp();
  return !op || llvm::all_of(op->getOperands(),
                             [&](Value operand) { return isFree(operand); });
}

std::optional<LinearRecurrence> Matcher::match() {
  if (scan.getInitial().size() != 1 || scan.getNumResults() != 1)
    return std::nullopt;
  Value matrix = scan.getCarried()[0], next = scan.getYield().getOperand(0),
        result = scan.getYield().getOperand(1);
  auto type = cast<NamedTensorType>(matrix.getType());
  if (auto rounded = result.getDefiningOp<CastOp>())
    result = rounded.getInput();
  auto reduce = result.getDefiningOp<ReduceOp>();
  if (type.getRank() != 3 || !reduce || reduce.getOver().size() != 1)
    return std::nullopt;
  LinearRecurrence found;
  keys = mlir::cast<StringAttr>(reduce.getOver()[0]);
  found.keysAreLast = keys == type.getNames()[2];
  if (!found.keysAreLast && keys != type.getNames()[1])
    return std::nullopt;
  values = type.getNames()[found.keysAreLast ? 1 : 2];
  found.heads = type.getShape()[0];
  found.keySize = type.getShape()[found.keysAreLast ? 2 : 1];
  found.valueSize = type.getShape()[found.keysAreLast ? 1 : 2];

  // S ← exp(g)·S + k ⊗ w
  auto sum = next.getDefiningOp<BinaryOp>();
  if (!sum || sum.getKind() != BinaryKind::Add)
    return std::nullopt;
  auto isMatrix = [&](Value x) { return x == matrix; };
  Value decayed = sum.getLhs(), outer = sum.getRhs();
  if (!factors(decayed, isMatrix).first)
    std::swap(decayed, outer);
  Value decay = factors(decayed, isMatrix).second;
  auto exp = decay ? decay.getDefiningOp<UnaryOp>() : UnaryOp();
  auto [key, update] = factors(outer, [&](Value x) { return isOfKeys(x); });
  found.query = contracted(result, next);
  if (!exp || exp.getKind() != UnaryKind::Exp || !isOfHeads(decay) || !key ||
      !isOfValues(update) || !found.query)
    return std::nullopt;
  found.logDecay = exp.getInput();
  found.key = key;
  found.value = update;

  // w = b·(v − Σ over keys of S·k)
  if (!isFree(update)) {
    auto [rate, rest] = factors(update, [&](Value x) { return isOfHeads(x); });
    auto lack = rest ? rest.getDefiningOp<BinaryOp>() : BinaryOp();
    if (!rate || !lack || lack.getKind() != BinaryKind::Sub ||
        contracted(lack.getRhs(), decayed) != key)
      return std::nullopt;
    found.rate = rate;
    found.value = lack.getLhs();
  }
  // Of the head alone, or rows [heads, keys] and [heads, values].
  StringAttr heads = type.getNames()[0];
  auto isRow = [&](Value part, StringAttr axis) {
    return isFree(part) &&
           mlir::cast<NamedTensorType>(part.getType()).getNames() ==
               ArrayRef{heads, axis};
  };
  auto isNumber = [&](Value part) {
    auto axes = mlir::cast<NamedTensorType>(part.getType()).getNames();
    return isFree(part) && (axes.empty() || axes == ArrayRef{heads});
  };
  if (!isRow(found.key, keys) || !isRow(found.query, keys) ||
      !isRow(found.value, values) || !isNumber(found.logDecay) ||
      (found.rate && !isNumber(found.rate)))
    return std::nullopt;
  return found;
}

std::optional<LinearRecurrence> LinearRecurrence::match(ScanOp scan) {
  return Matcher(scan).match();
}
