//===- Compose.cpp - From one form of a checkpoint to another -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights meet by their slots: these number the parameters in the order of
// computation, while names depend on which layers store what alike.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Compose.h"

#include "lib/Weights/Serialize.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace clade;

FailureOr<rt::WeightTable> clade::weightTable(ArrayRef<WeightUse> uses) {
  FailureOr<std::string> text = serializeWeights(uses);
  if (failed(text))
    return failure();
  rt::StatusOr<rt::WeightTable> table =
      rt::WeightTable::parse(*text, "weights");
  if (table.ok())
    return std::move(*table);
  wmap::FuncOp first = uses.front().function;
  return emitError(first.getLoc()) << table.status().message();
}

/// Replaces '{layer}' in the names of a program.
static void expand(rt::WeightNode &node, int64_t layer) {
  node.name = rt::expandLayer(node.name, layer);
  for (rt::WeightNode &input : node.inputs)
    expand(input, layer);
}

FailureOr<std::vector<SlotWeight>>
clade::weightsBySlot(ModuleOp module, const SlotTable &slots) {
  SmallVector<WeightUse> uses = collectUses(module, slots);
  std::vector<SlotWeight> weights(slots.numWeights);
  // Entries number their own slots: all slots of a table are filled.
  FailureOr<rt::WeightTable> table = weightTable(uses);
  if (failed(table))
    return failure();
  for (auto [use, entry] : llvm::zip_equal(uses, table->entries))
    for (auto [slot, layer] : llvm::zip_equal(use.slots, use.layers)) {
      weights[slot] = {compiledName(use), layer, entry.program};
      if (layer >= 0)
        expand(weights[slot].value, layer);
    }
  return weights;
}

namespace {
using SlotOfName = llvm::StringMap<int64_t>;

/// Puts the weights in the place of the sources of the way back.
class Composer {
public:
  Composer(ArrayRef<SlotWeight> weights, const SlotOfName &slots)
      : weights(weights), slots(slots) {}

  /// False if a source is not a weight of this shape.
  bool compose(rt::WeightNode &node) const {
    if (node.op != rt::WeightOp::Source)
      return llvm::all_of(node.inputs,
                          [&](rt::WeightNode &n) { return compose(n); });
    auto it = slots.find(node.name);
    if (it == slots.end())
      return false;
    const rt::WeightNode &value = weights[it->second].value;
    if (value.shape != node.shape)
      return false;
    if (value.dtype != node.dtype) {
      // Tables keep the type they are stored in.
      node.op = rt::WeightOp::Cast;
      node.inputs = {value};
      return true;
    }
    node = value;
    return true;
  }

private:
  ArrayRef<SlotWeight> weights;
  const SlotOfName &slots;
};
} // namespace

FailureOr<ConversionPlan> clade::planConversion(ArrayRef<SlotWeight> weights,
                                                ModuleOp target,
                                                const SlotTable &slots) {
  if (static_cast<int64_t>(weights.size()) != slots.numWeights)
    return emitError(target.getLoc())
           << "expected " << weights.size() << " weights, got "
           << slots.numWeights << " in the form that is to be written";
  SlotOfName slotOfName;
  for (const WeightUse &use : collectUses(target, slots))
    for (auto [slot, layer] : llvm::zip_equal(use.slots, use.layers))
      slotOfName[rt::expandLayer(compiledName(use), layer)] = slot;
  InverseWeights inverse = invertWeights(target, slots, /*mayRound=*/true);
  ConversionPlan plan;
  plan.losses = std::move(inverse.losses);
  if (inverse.uses.empty())
    return plan;
  Composer composer(weights, slotOfName);
  for (WeightUse &use : inverse.uses) {
    // A table numbers its slots from 0.
    SmallVector<std::string> names;
    for (int64_t &slot : use.slots) {
      names.push_back(inverse.tensors[slot]);
      slot = static_cast<int64_t>(names.size()) - 1;
    }
    FailureOr<rt::WeightTable> table = weightTable(use);
    if (failed(table))
      return failure();
    for (auto [name, layer] : llvm::zip_equal(names, use.layers)) {
      rt::WeightNode program = table->entries.front().program;
      if (layer >= 0)
        expand(program, layer);
      if (!composer.compose(program))
        return emitError(target.getLoc())
               << "the weights that tensor '" << name
               << "' is made of have another shape in the form that is read";
      plan.tensors.push_back({name, std::move(program)});
    }
  }
  return plan;
}

/// Where a number with a point that begins at `begin` ends, or `begin`.
static size_t endOfFraction(StringRef text, size_t begin) {
  auto digits = [&](size_t at) {
    while (at < text.size() && llvm::isDigit(text[at]))
      ++at;
    return at;
  };
  bool isInside = begin > 0 && (llvm::isAlnum(text[begin - 1]) ||
                                StringRef("_.").contains(text[begin - 1]));
  size_t point = digits(begin);
  if (isInside || point == begin || !text.substr(point).starts_with("."))
    return begin;
  size_t end = digits(point + 1);
  if (StringRef rest = text.substr(end); rest.consume_front_insensitive("e")) {
    size_t exponent =
        end + (rest.starts_with("-") || rest.starts_with("+")) + 1;
    if (digits(exponent) > exponent)
      end = digits(exponent);
  }
  return end;
}

/// The text of an op with each symbol replaced by the number of its first use,
/// and fractions as f32: that is how some forms store them.
static std::string withoutNames(Operation *op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  op->print(stream);
  std::string result;
  llvm::StringMap<size_t> numbers;
  for (size_t i = 0; i < text.size();) {
    if (size_t end = endOfFraction(text, i); end > i) {
      double number = 0;
      (void)StringRef(text).slice(i, end).getAsDouble(number);
      result += llvm::formatv("{0:e8}", static_cast<float>(number)).str();
      i = end;
      continue;
    }
    if (text[i] != '@') {
      result += text[i++];
      continue;
    }
    size_t end = i + 1;
    if (end < text.size() && text[end] == '"') {
      end = text.find('"', end + 1) + 1;
    } else {
      while (end < text.size() && (llvm::isAlnum(text[end]) ||
                                   StringRef("_.$-").contains(text[end])))
        ++end;
    }
    auto [known, isNew] =
        numbers.try_emplace(StringRef(text).slice(i, end), numbers.size());
    result += "@" + std::to_string(known->second);
    i = end;
  }
  // Tables keep the type they are stored in.
  for (StringRef type : {", bf16>", ", f16>"})
    for (size_t at; (at = result.find(type)) != std::string::npos;)
      result.replace(at, type.size(), ", f32>");
  return result;
}

std::vector<std::string> clade::computationOf(ModuleOp module,
                                              const SlotTable &slots) {
  std::vector<std::string> texts;
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr(entryAttr))
      texts.push_back(withoutNames(function));
  SmallVector<std::string> kinds;
  for (const KindSlots &kind : slots.kinds)
    kinds.push_back(withoutNames(func::FuncOp(kind.function)));
  for (const LayerSlots &layer : slots.layers)
    texts.push_back(kinds[layer.kind]);
  return texts;
}

bool clade::isSameComputation(StringRef a, StringRef b) {
  constexpr double most = 0x1p-20;
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    size_t endA = endOfFraction(a, i), endB = endOfFraction(b, j);
    if (endA <= i || endB <= j) {
      if (a[i++] != b[j++])
        return false;
      continue;
    }
    double x = 0, y = 0;
    if (a.slice(i, endA).getAsDouble(x) || b.slice(j, endB).getAsDouble(y) ||
        !(std::abs(x - y) <= most * std::abs(x)))
      return false;
    i = endA;
    j = endB;
  }
  return i == a.size() && j == b.size();
}
