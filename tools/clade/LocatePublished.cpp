//===- LocatePublished.cpp - Where the published run parts ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/LocatePublished.h"

#include "tools/clade/Compare.h"
#include "tools/clade/Progress.h"

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <numeric>

using namespace clade;
using namespace clade::driver;
using mlir::failed;

namespace {
/// What the published implementation calls the values of a module: by the op
/// that computes them. Names hold '{layer}' where the layer's number goes.
class PublishedNames {
public:
  explicit PublishedNames(mlir::ModuleOp module) {
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

  /// Whether a router's numbers or shares come from an op.
  bool isRouting(mlir::Operation *op) const { return routing.count(op); }

  llvm::ArrayRef<std::string> of(mlir::Operation *op) const {
    auto it = names.find(op);
    return it == names.end() ? llvm::ArrayRef<std::string>() : it->second;
  }

private:
  using Names = llvm::SmallVector<std::string, 2>;

  /// What a parameter may be called where it is published: as the family calls
  /// it, or as the file does.
  Names namesOf(ParamOp param) const {
    llvm::StringRef name =
        param.getName().take_until([](char c) { return c == '#' || c == '~'; });
    Names all{name.str()};
    auto it = stored.find(name);
    if (it != stored.end() && it->second != name)
      all.push_back(it->second);
    return all;
  }
  /// The modules that may own a parameter, if it is a '.weight'.
  Names ownersOf(ParamOp param) const {
    Names owners;
    for (llvm::StringRef name : namesOf(param))
      if (name.consume_back(".weight"))
        owners.push_back(name.str());
    return owners;
  }

  void addLinear(LinearOp linear) {
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
  void addExperts(MixOp mix) {
    mlir::Operation *op = mix.getInput().getDefiningOp();
    while (op && !llvm::isa<ExpertLinearOp>(op) && op->getNumOperands() > 0)
      op = op->getOperand(0).getDefiningOp();
    auto linear = llvm::dyn_cast_or_null<ExpertLinearOp>(op);
    auto param =
        linear ? linear.getWeight().getDefiningOp<ParamOp>() : ParamOp();
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
  void addScaled(mlir::Operation *op) {
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
  mlir::Operation *withBias(mlir::Operation *op, const Names &owners) const {
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

  llvm::DenseMap<mlir::Operation *, Names> names;
  llvm::StringMap<std::string> stored; ///< Tensors of parameters, by name.
  llvm::SmallPtrSet<mlir::Operation *, 8> routing;
};

/// What the routers of the layer that runs gave: results of ops.
using Routing = llvm::DenseMap<mlir::Value, Values>;

/// The numbers of the experts of each token, ascending, or the shares of those.
Values inOrder(const Values &chosen, const Values &of, int64_t active) {
  Values sorted;
  std::vector<size_t> order(active);
  for (size_t first = 0; first + active <= chosen.size(); first += active) {
    std::iota(order.begin(), order.end(), first);
    llvm::stable_sort(
        order, [&](size_t a, size_t b) { return chosen[a] < chosen[b]; });
    for (size_t at : order)
      sorted.push_back(of[at]);
  }
  return sorted;
}
} // namespace

void driver::locateAgainstPublished(const PublishedRun &published,
                                    mlir::ModuleOp module,
                                    const rt::Checkpoint &checkpoint,
                                    int64_t vocab, const VerifyText &text) {
  PublishedNames names(module);
  bool found = false;
  std::string lastShared;
  Routing routing;
  auto compareValues = [&](const reference::Event &event, llvm::StringRef name,
                           llvm::ArrayRef<float> values) {
    const Values *expected = published.find(name);
    // Only the prompt, which both run in one piece, has comparable rows.
    if (found || !expected || expected->size() != values.size())
      return;
    Distance away = distance({values.data(), values.size()}, *expected);
    if (withinF32(away)) {
      lastShared = name.str();
      return;
    }
    found = true;
    clearProgress();
    llvm::errs() << "first difference: ";
    if (event.layer >= 0)
      llvm::errs() << "layer " << event.layer << ", ";
    llvm::errs() << "'" << name << "' (" << event.op->getName().getStringRef()
                 << ")"
                 << llvm::format(
                        ": %.3e of the largest value, 1 - cosine %.3e\n",
                        away.largest, 1 - away.cosine);
    if (!lastShared.empty())
      llvm::errs() << "the last value that agrees: '" << lastShared << "'\n";
    mlir::emitRemark(event.op->getLoc()) << "computed here";
  };
  auto compareWith = [&](const reference::Event &event, llvm::StringRef name) {
    if (auto mix = llvm::dyn_cast<MixOp>(event.op)) {
      // The router first: which experts, and with which shares.
      const Values &chosen = routing[mix.getChosen()],
                   &share = routing[mix.getShare()];
      int64_t active = mix.getChosen().getType().getShape().back();
      if (chosen.size() == share.size()) {
        compareValues(event, (name + ".chosen").str(),
                      inOrder(chosen, chosen, active));
        compareValues(event, (name + ".share").str(),
                      inOrder(chosen, share, active));
      }
    }
    compareValues(event, name,
                  {event.value.data().data(),
                   static_cast<size_t>(event.value.data().size())});
  };
  Observer observer = [&](const reference::Event &event) {
    if (names.isRouting(event.op))
      routing[event.op->getResult(event.resultNumber)] =
          Values(event.value.data().begin(), event.value.data().end());
    for (const std::string &name : names.of(event.op))
      if (!found)
        compareWith(event,
                    withLayer(name, event.layer < 0
                                        ? std::nullopt
                                        : std::optional<int64_t>(event.layer)));
  };
  if (failed(interpret(module, checkpoint, vocab, {text.prompt, text.forced},
                       observer)))
    return;
  clearProgress();
  if (found)
    return;
  if (lastShared.empty())
    llvm::errs() << "no value of the prompt could be compared with the "
                    "published implementation's\n";
  else
    llvm::errs() << "the values of the prompt agree in f32 up to '"
                 << lastShared
                 << "': the difference begins behind it, in decoding, or in "
                    "rounding\n";
}
