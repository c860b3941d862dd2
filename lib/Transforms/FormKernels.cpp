//===- FormKernels.cpp - Groups ops into kernels --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Works on stages: the stage of an op is the number of hearts (linears,
// attentions, recurrences, layers) that it has to wait for. Token-wise ops of
// one stage form one kernel, which runs before the hearts of that stage. Then
// prologues and epilogues move from the token-wise kernels into the products.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/Tokenwise.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace clade {
#define GEN_PASS_DEF_FORMKERNELSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

/// A layer writes what the next one reads to another place, so a layer that
/// passes a carried value on gets a copy of it. A value that no layer reads,
/// but one makes, needs none: it stays where it is.
static void copyPassedValues(LayersOp layers, ModuleOp module) {
  auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
  SmallVector<Block *> kinds;
  for (Attribute kind : schedule.getKinds())
    kinds.push_back(&module
                         .lookupSymbol<func::FuncOp>(
                             cast<FlatSymbolRefAttr>(kind).getValue())
                         .getBody()
                         .front());
  for (unsigned place = 0; place < layers.getNumResults(); ++place) {
    auto isPassed = [&](Block *kind) {
      return kind->getTerminator()->getOperand(place) ==
             kind->getArgument(place);
    };
    bool isRead = llvm::any_of(kinds, [&](Block *kind) {
      return llvm::any_of(kind->getArgument(place).getUses(),
                          [&](OpOperand &use) {
                            return use.getOwner() != kind->getTerminator() ||
                                   use.getOperandNumber() != place;
                          });
    });
    bool stays = !isRead && !llvm::all_of(kinds, isPassed);
    for (Block *kind : kinds) {
      Operation *end = kind->getTerminator();
      Value value = end->getOperand(place);
      if (!isa<BlockArgument>(value) || (stays && isPassed(kind)))
        continue;
      OpBuilder builder(end);
      end->setOperand(place, ViewOp::create(builder, end->getLoc(),
                                            value.getType(), value));
    }
  }
}

namespace {
/// Ops that become one kernel.
struct Group {
  KernelKind kind = KernelKind::Tokenwise;
  int64_t stage = 0;
  int64_t order =
      0; ///< Within the stage: token-wise, then hearts, then layers.
  bool isSelected = false;
  llvm::SetVector<Operation *> ops;
};

/// The kernels of one function.
class Former {
public:
  Former(func::FuncOp function) : block(function.getBody().front()) {}

  void run() {
    separateResults();
    assignStages();
    makeGroups();
    for (const std::unique_ptr<Group> &group : groups)
      if (group->kind == KernelKind::Product) {
        absorbEpilogue(*group);
        absorbPrologue(*group);
      } else if (group->kind == KernelKind::Recurrent &&
                 isa<CausalConvOp>(group->ops.front())) {
        absorbEpilogue(*group);
      }
    llvm::erase_if(groups, [](const std::unique_ptr<Group> &group) {
      return group->ops.empty();
    });
    llvm::stable_sort(groups, [](const auto &a, const auto &b) {
      return std::pair(a->stage, a->order) < std::pair(b->stage, b->order);
    });
    emit();
  }

  int64_t numKernels = 0;

private:
  static bool isHeart(Operation *op) {
    return isa<LinearOp, ExpertLinearOp, HeadLinearOp, AttendCachedOp,
               CausalConvOp, ScanOp, LayersOp>(op);
  }
  static bool isCloned(Operation *op) {
    return isa<ParamOp, StackRowsOp, ConstantOp>(op) || isViewLike(op) ||
           isSpreadConstant(op);
  }
  /// Whether a product by experts or heads reads the value, or a view of it.
  static bool isReadByExperts(Operation *op) {
    return llvm::any_of(op->getUsers(), [](Operation *user) {
      return isa<ExpertLinearOp, HeadLinearOp>(user) ||
             (isa<ViewOp>(user) && isReadByExperts(user));
    });
  }
  /// A slice that such products read gets rows of its own, which they want to
  /// follow each other.
  static bool feedsExperts(Operation *op) {
    return isa<SliceOp>(op) && isReadByExperts(op);
  }
  static bool isSelectedType(Type type) {
    auto tensor = dyn_cast<NamedTensorType>(type);
    return tensor && tensor.getRank() > 0 &&
           tensor.getNames()[0] == selectedAxis;
  }
  static bool isSelected(Operation *op) {
    return op->getNumResults() > 0 &&
           isSelectedType(op->getResult(0).getType());
  }

  /// A value that a layer returns for several of its results gets a copy for
  /// each but the first, so that each is made to a place of its own.
  void separateResults() {
    Operation *end = block.getTerminator();
    llvm::SmallDenseSet<Value> seen;
    for (OpOperand &operand : end->getOpOperands()) {
      Value value = operand.get();
      if (value.getDefiningOp() && !seen.insert(value).second) {
        OpBuilder builder(end);
        operand.set(
            ViewOp::create(builder, value.getLoc(), value.getType(), value));
      }
    }
  }

  int64_t availableAt(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op || isa<ParamOp, StackRowsOp, ConstantOp>(op))
      return 0;
    return stages[op] + (isHeart(op) ? 1 : 0);
  }

  void assignStages() {
    DenseMap<int64_t, int64_t> written; // state: stage of its write
    for (Operation &op : block) {
      int64_t stage = 0;
      for (Value operand : op.getOperands()) {
        int64_t at = availableAt(operand);
        // A select or a fold starts the kernels of the selected tokens.
        Operation *producer = operand.getDefiningOp();
        if (isa<SelectOp, FoldOp>(op) && producer && !isHeart(producer) &&
            !isa<ParamOp, ConstantOp>(producer))
          ++at;
        stage = std::max(stage, at);
      }
      if (auto write = dyn_cast<CacheWriteOp>(op))
        written[write.getState()] = stage;
      if (auto attend = dyn_cast<AttendCachedOp>(op))
        stage = std::max(stage, written.lookup(attend.getState()));
      stages[&op] = stage;
    }
  }

  Group &add(KernelKind kind, int64_t stage, int64_t order, bool selected) {
    groups.push_back(std::make_unique<Group>());
    Group &group = *groups.back();
    group.kind = kind;
    group.stage = stage;
    group.order = order;
    group.isSelected = selected;
    return group;
  }

  /// Whether an op is a view that attention reads as queries: they lie in
  /// memory by themselves, whatever else the product gave.
  static bool isQueryView(Operation *op) {
    return isViewLike(op) && llvm::any_of(op->getUsers(), [&](Operation *user) {
             auto attend = dyn_cast<AttendCachedOp>(user);
             return attend && attend.getQuery() == op->getResult(0);
           });
  }

  void makeGroups() {
    std::map<std::pair<int64_t, bool>, Group *> tokenwise;
    for (Operation &op : block.without_terminator()) {
      if (isCloned(&op) && !isQueryView(&op) && !feedsExperts(&op))
        continue;
      Group *group;
      if (isa<LinearOp>(op)) {
        group = &add(KernelKind::Product, stages[&op], 1, isSelected(&op));
      } else if (isa<AttendCachedOp>(op)) {
        group = &add(KernelKind::Attention, stages[&op], 1, false);
      } else if (isa<CausalConvOp, ScanOp>(op)) {
        group = &add(KernelKind::Recurrent, stages[&op], 1, false);
      } else if (isa<ExpertLinearOp, HeadLinearOp>(op)) {
        group = &add(KernelKind::Experts, stages[&op], 1, false);
      } else if (isa<LayersOp>(op)) {
        group = &add(KernelKind::Tokenwise, stages[&op], 2, false);
      } else {
        Group *&entry = tokenwise[{stages[&op], isSelected(&op)}];
        if (!entry)
          entry = &add(KernelKind::Tokenwise, stages[&op], 0, isSelected(&op));
        group = entry;
      }
      group->ops.insert(&op);
      owner[&op] = group;
    }
    // A function that returns a view of something needs a kernel that makes it.
    for (Value value : block.getTerminator()->getOperands())
      if (Operation *op = value.getDefiningOp(); isViewLike(op)) {
        Group &group = add(KernelKind::Tokenwise, availableAt(value), 3,
                           isSelectedType(value.getType()));
        group.ops.insert(op);
        owner[op] = &group;
      }
  }

  /// Uses of a value, through the views that are cloned into their readers.
  void realUsers(Value value, SmallVectorImpl<Operation *> &users) {
    for (Operation *user : value.getUsers()) {
      if (isViewLike(user) && !owner.count(user))
        realUsers(user->getResult(0), users);
      else
        users.push_back(user);
    }
  }

  void move(Operation *op, Group &group) {
    owner[op]->ops.remove(op);
    group.ops.insert(op);
    owner[op] = &group;
  }

  /// Ops before the linear whose values nothing else needs.
  void absorbPrologue(Group &group) {
    Operation *linear = *llvm::find_if(group.ops, llvm::IsaPred<LinearOp>);
    llvm::SmallPtrSet<Operation *, 16> inside{linear};
    for (Operation *op = linear->getPrevNode(); op; op = op->getPrevNode()) {
      bool candidate = isTokenwiseCompute(op) && owner.count(op) &&
                       owner[op]->kind == KernelKind::Tokenwise &&
                       owner[op]->stage == group.stage &&
                       owner[op]->isSelected == group.isSelected;
      if (!candidate)
        continue;
      SmallVector<Operation *> users;
      for (Value result : op->getResults())
        realUsers(result, users);
      // Only what the input needs; an epilogue reads its operands from memory.
      if (!users.empty() && llvm::all_of(users, [&](Operation *user) {
            return inside.count(user);
          })) {
        inside.insert(op);
        move(op, group);
      }
    }
  }

  /// Whether an op can be computed on accumulators: elementwise, its other
  /// operand there before and laid out like the result.
  bool fitsEpilogue(Operation *op, Value previous, const Group &group) {
    if (!isa<UnaryOp, BinaryOp, CastOp>(op) || !owner.count(op) ||
        owner[op]->kind != KernelKind::Tokenwise)
      return false;
    auto type = cast<NamedTensorType>(op->getResult(0).getType());
    auto before = cast<NamedTensorType>(previous.getType());
    if (type.getNumFeatures() != before.getNumFeatures() ||
        type.hasSequence() != before.hasSequence())
      return false;
    for (Value operand : op->getOperands()) {
      if (operand == previous)
        continue;
      auto other = cast<NamedTensorType>(operand.getType());
      Operation *producer = operand.getDefiningOp();
      if (isa_and_nonnull<ConstantOp>(producer))
        continue;
      bool sameAxes = other.getNames() == type.getNames() &&
                      other.getShape() == type.getShape();
      if (isa_and_nonnull<ParamOp>(producer)) {
        if (other.getNumFeatures() != type.getNumFeatures())
          return false;
        continue;
      }
      // Made by a kernel that runs before this one.
      Operation *base = producer;
      while (isViewLike(base) && isa<ViewOp>(base))
        base = base->getOperand(0).getDefiningOp();
      if (!sameAxes || isViewLike(base))
        return false;
      if (base && !(owner.count(base) &&
                    std::pair(owner[base]->stage, owner[base]->order) <
                        std::pair(group.stage, group.order)))
        return false;
    }
    return true;
  }

  void absorbEpilogue(Group &group) {
    Value value = group.ops.front()->getResult(0);
    for (;;) {
      Value viewed = value;
      while (viewed.hasOneUse() && isa<ViewOp>(*viewed.getUsers().begin()) &&
             !owner.count(*viewed.getUsers().begin()))
        viewed = (*viewed.getUsers().begin())->getResult(0);
      if (!viewed.hasOneUse())
        return;
      Operation *user = *viewed.getUsers().begin();
      if (user->getNumOperands() == 2 &&
          user->getOperand(0) == user->getOperand(1))
        return;
      if (!fitsEpilogue(user, viewed, group))
        return;
      move(user, group);
      value = user->getResult(0);
    }
  }

  /// Clones what a kernel re-derives: params, constants, views of its operands.
  Value localValue(Value value, IRMapping &mapping, OpBuilder &builder,
                   llvm::function_ref<Value(Value)> asArgument) {
    if (Value mapped = mapping.lookupOrNull(value))
      return mapped;
    Operation *op = value.getDefiningOp();
    if (!op || !isCloned(op) || owner.count(op)) {
      Value argument = asArgument(value);
      mapping.map(value, argument);
      return argument;
    }
    for (Value operand : op->getOperands())
      localValue(operand, mapping, builder, asArgument);
    return builder.clone(*op, mapping)->getResult(0);
  }

  void emitGroup(Group &group, Operation *place, IRMapping &outer) {
    SmallVector<Operation *> ops(group.ops.getArrayRef());
    llvm::sort(
        ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    SmallVector<Value> results;
    for (Operation *op : ops)
      for (Value result : op->getResults()) {
        SmallVector<Operation *> users;
        realUsers(result, users);
        if (llvm::any_of(users, [&](Operation *user) {
              return !group.ops.contains(user);
            }))
          results.push_back(result);
      }
    OpBuilder builder(place);
    Location loc = ops.back()->getLoc();
    auto body = std::make_unique<Region>();
    Block *inner = &body->emplaceBlock();
    OpBuilder innerBuilder(place->getContext());
    innerBuilder.setInsertionPointToEnd(inner);
    IRMapping mapping;
    SmallVector<Value> operands;
    auto asArgument = [&](Value value) -> Value {
      operands.push_back(outer.lookupOrDefault(value));
      return inner->addArgument(value.getType(), value.getLoc());
    };
    for (Operation *op : ops) {
      for (Value operand : op->getOperands())
        localValue(operand, mapping, innerBuilder, asArgument);
      innerBuilder.clone(*op, mapping);
    }
    SmallVector<Value> yielded;
    SmallVector<Type> types;
    for (Value result : results) {
      yielded.push_back(mapping.lookup(result));
      types.push_back(result.getType());
    }
    YieldOp::create(innerBuilder, loc, yielded);
    auto kernel = KernelOp::create(builder, loc, types, group.kind, operands);
    kernel.getBody().takeBody(*body);
    for (auto [result, made] : llvm::zip_equal(results, kernel.getResults()))
      outer.map(result, made);
    ++numKernels;
  }

  void emit() {
    Operation *place = block.getTerminator();
    IRMapping outer;
    SmallVector<Operation *> old;
    for (Operation &op : block.without_terminator())
      old.push_back(&op);
    for (const std::unique_ptr<Group> &group : groups) {
      if (isa<LayersOp>(group->ops.front())) {
        OpBuilder builder(place);
        builder.clone(*group->ops.front(), outer);
        continue;
      }
      emitGroup(*group, place, outer);
    }
    for (OpOperand &operand : place->getOpOperands())
      operand.set(outer.lookupOrDefault(operand.get()));
    for (Operation *op : llvm::reverse(old))
      op->erase();
  }

  Block &block;
  DenseMap<Operation *, int64_t> stages;
  DenseMap<Operation *, Group *> owner;
  std::vector<std::unique_ptr<Group>> groups;
};

struct FormKernelsPass : impl::FormKernelsPassBase<FormKernelsPass> {
  void runOnOperation() override {
    getOperation().walk(
        [&](LayersOp layers) { copyPassedValues(layers, getOperation()); });
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (!function.getBody().hasOneBlock())
        continue;
      Former former(function);
      former.run();
      numKernels += former.numKernels;
    }
  }
};
} // namespace
} // namespace clade
