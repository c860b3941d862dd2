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

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "clade-fuse-parallel-linears"

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

/// Builds the function whose value is the others' values, as matrices or
/// vectors, one after the other.
static wmap::FuncOp concatenate(MutableArrayRef<wmap::FuncOp> functions,
                                ArrayRef<int64_t> rows, bool isMatrix,
                                StringRef name) {
  OpBuilder builder(functions.front());
  Location loc = functions.front().getLoc();
  auto elementType = cast<RankedTensorType>(functions.front().getResultType())
                         .getElementType();
  int64_t total = 0, columns = 1;
  for (auto [function, count] : llvm::zip_equal(functions, rows)) {
    total += count;
    columns =
        cast<RankedTensorType>(function.getResultType()).getNumElements() /
        count;
  }
  auto shaped = [&](int64_t count) {
    SmallVector<int64_t> shape{count};
    if (isMatrix)
      shape.push_back(columns);
    return RankedTensorType::get(shape, elementType);
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
  Value result = wmap::ConcatOp::create(builder, loc, shaped(total), parts,
                                        builder.getI64IntegerAttr(0));
  wmap::ReturnOp::create(builder, loc, result);
  return fused;
}

namespace {
struct FuseParallelLinearsPass
    : impl::FuseParallelLinearsPassBase<FuseParallelLinearsPass> {
  void runOnOperation() override {
    // Fusing erases weights' functions, which may come next in the module.
    for (func::FuncOp function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      for (Block &block : function.getBody())
        runOnBlock(block);
  }

  void runOnBlock(Block &block) {
    // By input, and by whether there is a bias.
    llvm::MapVector<std::pair<Value, int>, SmallVector<LinearOp>> groups;
    for (LinearOp linear : block.getOps<LinearOp>()) {
      bool fusible = soleFunction(linear.getWeight(), getOperation()) &&
                     (!linear.getBias() ||
                      soleFunction(linear.getBias(), getOperation())) &&
                     !ShapedType::isDynamic(linear.getNumOutputs()) &&
                     linear.getNumOutputs() > 0;
      if (fusible)
        groups[{linear.getInput(), linear.getBias() ? 1 : 0}].push_back(linear);
    }
    for (auto &[key, linears] : groups) {
      Type type = linears.front().getResult().getType().getElementType();
      llvm::erase_if(linears, [&](LinearOp linear) {
        return linear.getResult().getType().getElementType() != type;
      });
      if (linears.size() > 1)
        fuse(linears);
    }
  }

  /// The functions of one operand of all linears, concatenated to a new param.
  Value fuseWeights(MutableArrayRef<LinearOp> linears,
                    llvm::function_ref<Value(LinearOp)> operand, bool isMatrix,
                    ArrayRef<int64_t> rows, OpBuilder &builder, StringAttr axis,
                    int64_t total) {
    SmallVector<wmap::FuncOp> functions;
    std::string name;
    for (LinearOp linear : linears) {
      functions.push_back(soleFunction(operand(linear), getOperation()));
      // 'a.q_proj.weight+k_proj.weight+v_proj.weight': the first whole, of the
      // others what differs.
      StringRef own = functions.back().getSymName();
      name += name.empty() ? own.str()
                           : ("+" + own.drop_front(commonAddress(
                                        functions.front().getSymName(), own)))
                                 .str();
    }
    wmap::FuncOp fused = concatenate(functions, rows, isMatrix, name);
    LinearOp first = linears.front();
    SmallVector<StringAttr> names{axis};
    SmallVector<int64_t> shape{total};
    auto input = first.getInput().getType();
    if (isMatrix) {
      int64_t sequence = input.getNumSequenceAxes();
      llvm::append_range(names, input.getNames().drop_front(sequence));
      llvm::append_range(shape, input.getShape().drop_front(sequence));
    }
    auto type = NamedTensorType::get(
        builder.getContext(), names, shape,
        cast<NamedTensorType>(operand(first).getType()).getElementType(),
        Attribute());
    Value param =
        ParamOp::create(builder, first.getLoc(), type, fused.getSymName());
    return param;
  }

  void fuse(MutableArrayRef<LinearOp> linears) {
    LinearOp first = linears.front();
    OpBuilder builder(first);
    SmallVector<int64_t> rows;
    std::string axisName;
    int64_t total = 0;
    for (LinearOp linear : linears) {
      auto type = linear.getResult().getType();
      rows.push_back(linear.getNumOutputs());
      total += rows.back();
      if (!axisName.empty())
        axisName += "+";
      llvm::raw_string_ostream os(axisName);
      llvm::interleave(
          type.getNames().drop_front(type.getNumSequenceAxes()), os,
          [&](StringAttr n) { os << n.getValue(); }, ".");
    }
    auto axis = builder.getStringAttr(axisName);
    Value weight = fuseWeights(
        linears, [](LinearOp l) -> Value { return l.getWeight(); },
        /*isMatrix=*/true, rows, builder, axis, total);
    Value bias;
    if (first.getBias())
      bias = fuseWeights(
          linears, [](LinearOp l) -> Value { return l.getBias(); },
          /*isMatrix=*/false, rows, builder, axis, total);
    auto type = first.getResult().getType().withFeatures({axis}, {total});
    Value fused = LinearOp::create(builder, first.getLoc(), type,
                                   first.getInput(), weight, bias);
    int64_t begin = 0;
    SmallVector<Operation *> dead;
    for (auto [linear, count] : llvm::zip_equal(linears, rows)) {
      auto result = linear.getResult().getType();
      StringAttr part =
          builder.getStringAttr(axisName + "#" + std::to_string(begin));
      Value slice = SliceOp::create(builder, linear.getLoc(),
                                    result.withFeatures({part}, {count}), fused,
                                    axisName, begin);
      Value view = builder.createOrFold<ViewOp>(linear.getLoc(), result, slice);
      linear.getResult().replaceAllUsesWith(view);
      dead.push_back(linear.getWeight().getDefiningOp());
      if (linear.getBias())
        dead.push_back(linear.getBias().getDefiningOp());
      begin += count;
      ++numFused;
    }
    for (LinearOp linear : linears)
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
