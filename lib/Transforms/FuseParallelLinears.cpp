//===- FuseParallelLinears.cpp - One product for several maps -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The weights change in the same step as the compute: the new weight's function
// holds the old ones' bodies, concatenated.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/StoredBlocks.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace clade {
#define GEN_PASS_DEF_FUSEPARALLELLINEARSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

/// The function of a weight that only this param reads, or null.
static wmap::FuncOp soleFunction(Value weight, ModuleOp module) {
  auto param = weight.getDefiningOp<ParamOp>();
  if (!param || !param->hasOneUse())
    return {};
  auto function = module.lookupSymbol<wmap::FuncOp>(param.getName());
  if (!function)
    return {};
  auto uses = SymbolTable::getSymbolUses(function, module);
  return uses && llvm::range_size(*uses) == 1 ? function : wmap::FuncOp();
}

/// Length of the address that two weights share, up to and with its last dot.
static size_t commonAddress(StringRef a, StringRef b) {
  size_t length = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()) && a[i] == b[i]; ++i)
    if (a[i] == '.')
      length = i + 1;
  return length;
}

namespace {
/// How weights of one kind of linear map are laid out: `experts` matrices of
/// `columns` columns, 0 for a single one; vectors have no columns.
struct WeightShape {
  int64_t experts, columns;

  SmallVector<int64_t> withRows(int64_t rows) const {
    SmallVector<int64_t> shape;
    if (experts > 0)
      shape.push_back(experts);
    shape.push_back(rows);
    if (columns > 0)
      shape.push_back(columns);
    return shape;
  }
};
} // namespace

/// Builds the function whose value is the others' values, with their rows one
/// after the other.
static wmap::FuncOp concatenate(MutableArrayRef<wmap::FuncOp> functions,
                                ArrayRef<int64_t> rows, WeightShape shape,
                                StringRef name) {
  OpBuilder builder(functions.front());
  Location loc = functions.front().getLoc();
  auto elementType = cast<RankedTensorType>(functions.front().getResultType())
                         .getElementType();
  int64_t total = 0;
  for (int64_t count : rows)
    total += count;
  auto shaped = [&](int64_t count) {
    return RankedTensorType::get(shape.withRows(count), elementType);
  };
  auto fused = wmap::FuncOp::create(builder, loc, name, shaped(total));
  builder.setInsertionPointToEnd(&fused.getBody().emplaceBlock());
  SmallVector<Value> parts;
  for (auto [function, count] : llvm::zip_equal(functions, rows)) {
    IRMapping mapping;
    Block &body = function.getBody().front();
    for (Operation &op : body.without_terminator())
      builder.clone(op, mapping);
    Value value =
        mapping.lookup(cast<wmap::ReturnOp>(body.getTerminator()).getValue());
    if (value.getType() != shaped(count))
      value = wmap::ReshapeOp::create(builder, loc, shaped(count), value);
    parts.push_back(value);
  }
  Value result = wmap::ConcatOp::create(
      builder, loc, shaped(total), parts,
      builder.getI64IntegerAttr(shape.experts > 0 ? 1 : 0));
  wmap::ReturnOp::create(builder, loc, result);
  return fused;
}

// What differs between the two kinds of linear map.

static int64_t numExperts(LinearOp) { return 0; }
static int64_t numExperts(ExpertLinearOp op) { return op.getNumExperts(); }
static Value choices(LinearOp) { return {}; }
static Value choices(ExpertLinearOp op) { return op.getChosen(); }
static LinearOp create(OpBuilder &builder, LinearOp like, Type type,
                       Value weight, Value bias) {
  return LinearOp::create(builder, like.getLoc(), type, like.getInput(), weight,
                          bias);
}
static ExpertLinearOp create(OpBuilder &builder, ExpertLinearOp like, Type type,
                             Value weight, Value bias) {
  return ExpertLinearOp::create(builder, like.getLoc(), type, like.getInput(),
                                like.getChosen(), weight, bias);
}

namespace {
struct FuseParallelLinearsPass
    : impl::FuseParallelLinearsPassBase<FuseParallelLinearsPass> {
  void runOnOperation() override {
    // Fusing erases weights' functions, which may come next in the module.
    for (func::FuncOp function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      for (Block &block : function.getBody()) {
        runOnBlock<LinearOp>(block);
        runOnBlock<ExpertLinearOp>(block);
      }
  }

  template <typename Op> void runOnBlock(Block &block) {
    // By input and choices, and by whether there is a bias.
    llvm::MapVector<std::pair<std::pair<Value, Value>, int>, SmallVector<Op>>
        groups;
    for (Op linear : block.getOps<Op>()) {
      bool fusible = soleFunction(linear.getWeight(), getOperation()) &&
                     (!linear.getBias() ||
                      soleFunction(linear.getBias(), getOperation())) &&
                     !ShapedType::isDynamic(linear.getNumOutputs()) &&
                     linear.getNumOutputs() > 0;
      if (fusible)
        groups[{{linear.getInput(), choices(linear)}, linear.getBias() ? 1 : 0}]
            .push_back(linear);
    }
    for (auto &[key, linears] : groups) {
      Type type = linears.front().getResult().getType().getElementType();
      int64_t experts = numExperts(linears.front());
      Type weight = linears.front().getWeight().getType().getElementType();
      std::optional<std::string> format = formatOf(linears.front());
      llvm::erase_if(linears, [&](Op linear) {
        return linear.getResult().getType().getElementType() != type ||
               numExperts(linear) != experts ||
               linear.getWeight().getType().getElementType() != weight ||
               formatOf(linear) != format;
      });
      if (linears.size() > 1)
        fuse<Op>(linears);
    }
  }

  /// The blocks that a weight is made of, if it is.
  template <typename Op> std::optional<std::string> formatOf(Op linear) {
    return blockFormatOf(
        returnedValue(soleFunction(linear.getWeight(), getOperation())));
  }

  /// The functions of one operand of all linears, concatenated to a new param.
  template <typename Op>
  Value fuseWeights(MutableArrayRef<Op> linears,
                    llvm::function_ref<Value(Op)> operand, bool isMatrix,
                    ArrayRef<int64_t> rows, OpBuilder &builder, StringAttr axis,
                    int64_t total) {
    SmallVector<wmap::FuncOp> functions;
    std::string name;
    for (Op linear : linears) {
      functions.push_back(soleFunction(operand(linear), getOperation()));
      // 'a.q_proj.weight+k_proj.weight+v_proj.weight': the first whole, of the
      // others what differs.
      StringRef own = functions.back().getSymName();
      name += name.empty() ? own.str()
                           : ("+" + own.drop_front(commonAddress(
                                        functions.front().getSymName(), own)))
                                 .str();
    }
    Op first = linears.front();
    WeightShape layout{numExperts(first), isMatrix ? first.getNumInputs() : 0};
    wmap::FuncOp fused = concatenate(functions, rows, layout, name);
    SmallVector<StringAttr> names{axis};
    SmallVector<int64_t> shape{total};
    if (layout.experts > 0) {
      auto weight = cast<NamedTensorType>(operand(first).getType());
      names.insert(names.begin(), weight.getNames()[0]);
      shape.insert(shape.begin(), layout.experts);
    }
    if (isMatrix) {
      NamedTensorType input = first.getInput().getType();
      int64_t skipped = input.getNumSequenceAxes();
      if (int64_t inputs = input.getNumFeatures();
          inputs != first.getNumInputs())
        ++skipped; // The axis of the choices.
      llvm::append_range(names, input.getNames().drop_front(skipped));
      llvm::append_range(shape, input.getShape().drop_front(skipped));
    }
    auto type = NamedTensorType::get(
        builder.getContext(), names, shape,
        cast<NamedTensorType>(operand(first).getType()).getElementType(),
        Attribute());
    Value param =
        ParamOp::create(builder, first.getLoc(), type, fused.getSymName());
    return param;
  }

  template <typename Op> void fuse(MutableArrayRef<Op> linears) {
    Op first = linears.front();
    OpBuilder builder(first);
    SmallVector<int64_t> rows;
    std::string axisName;
    int64_t total = 0;
    // Axes of the results in front of those of the weights' rows.
    int64_t leading = numExperts(first) > 0 ? 1 : 0;
    for (Op linear : linears) {
      NamedTensorType type = linear.getResult().getType();
      rows.push_back(linear.getNumOutputs());
      total += rows.back();
      if (!axisName.empty())
        axisName += "+";
      llvm::raw_string_ostream os(axisName);
      llvm::interleave(
          type.getNames().drop_front(type.getNumSequenceAxes() + leading), os,
          [&](StringAttr n) { os << n.getValue(); }, ".");
    }
    auto axis = builder.getStringAttr(axisName);
    Value weight = fuseWeights<Op>(
        linears, [](Op l) -> Value { return l.getWeight(); },
        /*isMatrix=*/true, rows, builder, axis, total);
    Value bias;
    if (first.getBias())
      bias = fuseWeights<Op>(
          linears, [](Op l) -> Value { return l.getBias(); },
          /*isMatrix=*/false, rows, builder, axis, total);
    NamedTensorType firstType = first.getResult().getType();
    auto withRows = [&](StringAttr name, int64_t count) {
      int64_t sequence = firstType.getNumSequenceAxes();
      SmallVector<StringAttr> names(
          firstType.getNames().slice(sequence, leading));
      SmallVector<int64_t> shape(firstType.getShape().slice(sequence, leading));
      names.push_back(name);
      shape.push_back(count);
      return firstType.withFeatures(names, shape);
    };
    Value fused = create(builder, first, withRows(axis, total), weight, bias);
    int64_t begin = 0;
    SmallVector<Operation *> dead;
    for (auto [linear, count] : llvm::zip_equal(linears, rows)) {
      NamedTensorType result = linear.getResult().getType();
      StringAttr part =
          builder.getStringAttr(axisName + "#" + std::to_string(begin));
      Value slice =
          SliceOp::create(builder, linear.getLoc(), withRows(part, count),
                          fused, axisName, begin);
      Value view = builder.createOrFold<ViewOp>(linear.getLoc(), result, slice);
      linear.getResult().replaceAllUsesWith(view);
      dead.push_back(linear.getWeight().getDefiningOp());
      if (linear.getBias())
        dead.push_back(linear.getBias().getDefiningOp());
      begin += count;
      ++numFused;
    }
    for (Op linear : linears)
      linear.erase();
    for (Operation *op : dead) {
      auto function = getOperation().lookupSymbol<wmap::FuncOp>(
          cast<ParamOp>(op).getName());
      op->erase();
      if (function)
        function.erase();
    }
  }
};
} // namespace
} // namespace clade
