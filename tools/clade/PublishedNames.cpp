//===- PublishedNames.cpp - What a published module's values are ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/PublishedNames.h"

#include "dialect/WMap/WMapDialect.h"

using namespace clade;
using namespace clade::driver;

/// The one parameter that a vector is computed from, if it is from no
/// features.
static ParamOp gainOf(mlir::Value value) {
  mlir::Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  if (auto param = llvm::dyn_cast<ParamOp>(op))
    return llvm::cast<NamedTensorType>(value.getType()).getRank() == 1
               ? param
               : ParamOp();
  ParamOp found;
  for (mlir::Value operand : op->getOperands()) {
    mlir::Operation *producer = operand.getDefiningOp();
    if (producer && producer->getNumOperands() == 0 &&
        !llvm::isa<ParamOp>(producer))
      continue; // A constant.
    ParamOp gain = gainOf(operand);
    if (!gain || found)
      return {};
    found = gain;
  }
  return found;
}

PublishedNames::PublishedNames(mlir::ModuleOp module) {
  module.walk([&](wmap::FuncOp map) {
    // Of one tensor as a whole; transposes and views are as good.
    llvm::SmallVector<wmap::SourceOp> sources;
    bool isPart = false;
    map.walk([&](mlir::Operation *op) {
      if (auto source = llvm::dyn_cast<wmap::SourceOp>(op))
        sources.push_back(source);
      isPart |= llvm::isa<wmap::SliceOp>(op);
    });
    if (sources.size() == 1 && !isPart)
      stored[map.getSymName()] = sources.front().getName().str();
  });
  module.walk([&](mlir::Operation *op) {
    if (auto linear = llvm::dyn_cast<LinearOp>(op))
      addLinear(linear);
    else if (auto mix = llvm::dyn_cast<MixOp>(op))
      addExperts(mix);
    else
      addScaled(op);
  });
}

PublishedNames::Names PublishedNames::namesOf(ParamOp param) const {
  llvm::StringRef name =
      param.getName().take_until([](char c) { return c == '#' || c == '~'; });
  Names all{name.str()};
  auto it = stored.find(name);
  if (it != stored.end() && it->second != name)
    all.push_back(it->second);
  return all;
}

PublishedNames::Names PublishedNames::ownersOf(ParamOp param) const {
  Names owners;
  for (llvm::StringRef name : namesOf(param))
    if (name.consume_back(".weight"))
      owners.push_back(name.str());
  return owners;
}

void PublishedNames::addLinear(LinearOp linear) {
  auto param = linear.getWeight().getDefiningOp<ParamOp>();
  if (!param)
    return;
  mlir::Operation *producer = linear.getInput().getDefiningOp();
  for (const std::string &owner : ownersOf(param)) {
    names[linear].push_back(owner);
    if (producer)
      names[producer].push_back(owner + ".input");
  }
}

/// The experts end where their results are mixed; the module that owns them
/// is the part of a weight's name up to 'experts'.
void PublishedNames::addExperts(MixOp mix) {
  mlir::Operation *op = mix.getInput().getDefiningOp();
  while (op && !llvm::isa<ExpertLinearOp>(op) && op->getNumOperands() > 0)
    op = op->getOperand(0).getDefiningOp();
  auto linear = llvm::dyn_cast_or_null<ExpertLinearOp>(op);
  auto param = linear ? linear.getWeight().getDefiningOp<ParamOp>() : ParamOp();
  if (!param)
    return;
  llvm::StringRef name = param.getName();
  size_t end = name.find(".experts.");
  if (end == llvm::StringRef::npos)
    return;
  names[mix].push_back((name.take_front(end) + ".experts").str());
  for (mlir::Value value : {mix.getChosen(), mix.getShare()})
    if (mlir::Operation *producer = value.getDefiningOp())
      routing.insert(producer);
}

/// A norm ends where its gain, or what is computed from the gain alone,
/// meets the features.
void PublishedNames::addScaled(mlir::Operation *op) {
  if (op->getNumResults() != 1 || op->getNumOperands() != 2)
    return;
  ParamOp left = gainOf(op->getOperand(0)), right = gainOf(op->getOperand(1));
  if (bool(left) == bool(right))
    return;
  Names owners = ownersOf(left ? left : right);
  if (owners.empty())
    return;
  mlir::Operation *end = withBias(op, owners);
  llvm::append_range(names[end], owners);
}

/// The sum with the bias of a norm, if it has one.
mlir::Operation *PublishedNames::withBias(mlir::Operation *op,
                                          const Names &owners) const {
  for (mlir::Operation *user : op->getUsers()) {
    if (user->getNumResults() != 1 || user->getNumOperands() != 2)
      continue;
    for (mlir::Value operand : user->getOperands())
      if (ParamOp param = gainOf(operand))
        if (llvm::is_contained(namesOf(param), owners.front() + ".bias"))
          return user;
  }
  return op;
}
