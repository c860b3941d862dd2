//===- ShardAxes.cpp - Which parts of an axis devices share ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The axis of a fused product has no name of its own: queries, keys and values
// of it are what the computation slices from the result.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/ShardAxes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace clade;

bool clade::isSharedAxis(StringRef name) {
  // The names that specs give to what is independent along an axis.
  static const StringRef shared[] = {
      "q_heads", "kv_heads",  "heads",      "ffn",     "moe_ffn", "shared_ffn",
      "vocab",   "ssm_heads", "ssm_groups", "k_heads", "v_heads"};
  return llvm::is_contained(shared, name);
}

/// A width that is a multiple of one that is shared, 'moe_ffn*n_shared'.
static bool isMultipleOfShared(StringRef name) {
  SmallVector<StringRef> factors;
  name.split(factors, '*');
  return factors.size() > 1 && !name.contains('+') &&
         llvm::any_of(factors, [](StringRef factor) {
           return factor.ends_with("ffn") && isSharedAxis(factor);
         });
}

/// The value, and what elementwise ops make of it.
static SmallVector<Value> sameAxes(Value value) {
  SmallVector<Value> values{value};
  for (size_t i = 0; i < values.size(); ++i)
    for (Operation *user : values[i].getUsers()) {
      if (user->getNumResults() != 1 || isa<ViewOp, SliceOp>(user) ||
          user->getNumRegions() != 0)
        continue;
      auto type = dyn_cast<NamedTensorType>(user->getResult(0).getType());
      auto own = cast<NamedTensorType>(values[i].getType());
      bool isElementwise = isa<UnaryOp, BinaryOp, CastOp>(user) && type &&
                           type.getNames() == own.getNames();
      if (isElementwise && !llvm::is_contained(values, user->getResult(0)))
        values.push_back(user->getResult(0));
    }
  return values;
}

/// Views that split the axis: the stretches of the first axis that it becomes.
static SmallVector<AxisPart> partsOfViews(Value value, int64_t axis) {
  auto type = cast<NamedTensorType>(value.getType());
  for (Operation *user : value.getUsers()) {
    auto view = dyn_cast<ViewOp>(user);
    if (!view)
      continue;
    NamedTensorType result = view.getResult().getType();
    // Row-major: the axes before it have as many elements.
    int64_t before = 1, passed = 1, first = type.getNumSequenceAxes();
    if (axis < first || result.getNumSequenceAxes() != first)
      continue;
    for (int64_t size : type.getShape().slice(first, axis - first))
      before *= size;
    int64_t place = first;
    while (place < result.getRank() &&
           (passed < before || result.getShape()[place] == 1))
      passed *= result.getShape()[place++];
    if (passed != before || place == result.getRank())
      continue;
    int64_t own = result.getShape()[place], whole = type.getShape()[axis];
    if (own == 0 || whole % own != 0 ||
        (own == whole && result.getNames()[place] == type.getNames()[axis]))
      continue;
    SmallVector<AxisPart> parts = partsOf(view.getResult(), place);
    if (llvm::none_of(parts, [](const AxisPart &p) { return p.count > 0; }))
      continue;
    for (AxisPart &part : parts)
      part.size *= whole / own;
    return parts;
  }
  return {};
}

/// Slices that cover the axis: the stretches of each.
static SmallVector<AxisPart> partsOfSlices(ArrayRef<Value> values,
                                           int64_t axis) {
  auto type = cast<NamedTensorType>(values.front().getType());
  StringRef name = type.getNames()[axis];
  SmallVector<std::pair<int64_t, SliceOp>> slices;
  for (Value value : values)
    for (Operation *user : value.getUsers())
      if (auto slice = dyn_cast<SliceOp>(user);
          slice && slice.getAxis() == name)
        slices.emplace_back(slice.getBegin(), slice);
  llvm::stable_sort(slices, llvm::less_first());
  SmallVector<AxisPart> parts;
  int64_t end = 0;
  for (auto [begin, slice] : slices) {
    if (begin < end)
      continue; // The same stretch once more.
    if (begin > end)
      parts.push_back({begin - end, "", 0});
    llvm::append_range(parts, partsOf(slice.getResult(), axis));
    end = begin + slice.getResult().getType().getShape()[axis];
  }
  if (!parts.empty() && end < type.getShape()[axis])
    parts.push_back({type.getShape()[axis] - end, "", 0});
  return parts;
}

SmallVector<AxisPart> clade::partsOf(Value value, int64_t axis) {
  auto type = cast<NamedTensorType>(value.getType());
  StringRef name = type.getNames()[axis];
  int64_t size = type.getShape()[axis];
  if (isSharedAxis(name) || isMultipleOfShared(name))
    return {{size, name.str(), size}};
  SmallVector<Value> values = sameAxes(value);
  if (SmallVector<AxisPart> parts = partsOfSlices(values, axis); !parts.empty())
    return parts;
  for (Value same : values)
    if (SmallVector<AxisPart> parts = partsOfViews(same, axis); !parts.empty())
      return parts;
  return {{size, "", 0}};
}

SmallVector<AxisPart> clade::partsOfWeight(ParamOp param, int64_t axis) {
  NamedTensorType type = param.getResult().getType();
  StringRef name = type.getNames()[axis];
  int64_t size = type.getShape()[axis];
  if (isSharedAxis(name) || isMultipleOfShared(name))
    return {{size, name.str(), size}};
  // A product's result has the weight's rows, in its order.
  for (Operation *user : param->getUsers()) {
    if (!isa<LinearOp, ExpertLinearOp, CausalConvOp>(user))
      continue;
    auto result = cast<NamedTensorType>(user->getResult(0).getType());
    int64_t place = result.find(name);
    if (place >= 0 && result.getShape()[place] == size)
      return partsOf(user->getResult(0), place);
  }
  return {{size, "", 0}};
}
