//===- WeightInvention.cpp - Tensors of checkpoints that are not there ----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a checkpoint would hold from which the asked weights are made: for one
// that is to be written, and for one that lacks them.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"
#include "lib/Import/WeightResolver.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

WeightTree *WeightResolver::inventedSource(WeightTree &tree) {
  // Columns in another order, no padding, and what the equations of containers
  // do to a tensor of the same shape.
  if (tree.kind == WeightTree::Kind::Call && tree.inputs.size() == 1 &&
      tree.name == "transpose")
    return inventedSource(tree.inputs[0]);
  if (tree.kind == WeightTree::Kind::Call &&
      (tree.name == "unfolded" || tree.name == "shift" ||
       tree.name == "rope_unpermute" || tree.name == "unpadded"))
    return inventedSource(tree.inputs[0]);
  bool isSlice = tree.kind == WeightTree::Kind::Slice &&
                 tree.inputs[0].kind == WeightTree::Kind::Source;
  return isSlice || tree.kind == WeightTree::Kind::Source ? &tree : nullptr;
}

/// The shape that a tensor has at least if this is what is taken of it.
static std::vector<int64_t> shapeBehind(ArrayRef<WeightTree::Range> ranges,
                                        int64_t experts,
                                        ArrayRef<int64_t> taken) {
  std::vector<int64_t> shape;
  for (WeightTree::Range range : ranges) {
    bool isRange = !range.isExpert() && !range.isElement();
    shape.push_back(range.isExpert()    ? experts
                    : range.isElement() ? range.begin + 1
                                        : range.end);
    if (isRange && !taken.empty())
      taken = taken.drop_front();
  }
  llvm::append_range(shape, taken);
  return shape;
}

LogicalResult WeightResolver::invent(const std::string &logical,
                                     WeightTree &tree,
                                     std::optional<int64_t> layer,
                                     int64_t experts,
                                     ArrayRef<int64_t> expected, Location loc) {
  if (tree.kind == WeightTree::Kind::Call && tree.name == "transpose" &&
      tree.inputs.size() == 1 && expected.size() == 2)
    return invent(logical, tree.inputs[0], layer, experts,
                  {expected[1], expected[0]}, loc);
  bool isCall = tree.kind == WeightTree::Kind::Call;
  if (isCall && tree.name != "transpose" && inventedSource(tree))
    return invent(logical, tree.inputs[0], layer, experts, expected, loc);
  if (isCall || !inventedSource(tree))
    return emitError(loc) << "weight '" << logical
                          << "' is computed from tensors whose shapes only a "
                             "checkpoint tells";
  bool isSlice = tree.kind == WeightTree::Kind::Slice;
  WeightTree &source = isSlice ? tree.inputs[0] : tree;
  std::vector<int64_t> shape =
      isSlice ? shapeBehind(tree.ranges, experts, expected)
              : std::vector<int64_t>(expected.begin(), expected.end());
  // Other slices may reach further into the same tensor.
  std::vector<int64_t> &known = shapeOfTemplate[source.name];
  if (isSlice && known.size() == shape.size())
    for (auto [size, other] : llvm::zip_equal(shape, known))
      size = std::max(size, other);
  source.shape = known = shape;
  for (const std::string &name : source.tensorNames(layer)) {
    auto [it, isNew] = invented.try_emplace(name, shape);
    bool grows = isSlice && it->second.size() == shape.size();
    if (!isNew && !grows && it->second != shape)
      return emitError(loc)
             << "tensor '" << name << "' is used as "
             << rt::shapeText(it->second) << " and as " << rt::shapeText(shape);
    it->second = shape;
  }
  return success();
}

WeightTree WeightResolver::inventedSource(const std::string &logical,
                                          int64_t experts,
                                          ArrayRef<int64_t> shape) {
  WeightTree tree;
  tree.name = logical;
  tree.shape.assign(shape.begin(), shape.end());
  if (experts > 0)
    tree.stack = experts;
  tree.contents = ""; // No file has it.
  return tree;
}
