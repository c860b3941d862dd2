//===- PackWeights.cpp - Weights of products in panels --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/StoredBlocks.h"

#include "mlir/IR/IRMapping.h"

namespace clade {
#define GEN_PASS_DEF_PACKWEIGHTSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

namespace {
struct PackWeightsPass : impl::PackWeightsPassBase<PackWeightsPass> {
  using PackWeightsPassBase::PackWeightsPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> linears;
    getOperation().walk([&](Operation *op) {
      if (isa<LinearOp, ExpertLinearOp, HeadLinearOp>(op))
        linears.push_back(op);
    });
    SmallVector<EmbedOp> embeds;
    getOperation().walk([&](EmbedOp embed) { embeds.push_back(embed); });
    for (Operation *op : linears) {
      if (auto linear = dyn_cast<LinearOp>(op)) {
        if (inPlace && leaveInPlace(linear, embeds))
          continue;
        shareTable(linear, embeds);
        pack(linear, /*experts=*/0);
      }
      if (auto linear = dyn_cast<ExpertLinearOp>(op))
        pack(linear, linear.getNumExperts());
      if (auto linear = dyn_cast<HeadLinearOp>(op))
        pack(linear, linear.getNumHeads());
    }
    for (EmbedOp embed : embeds)
      packTable(embed);
  }

  /// Whether the values are rows of a file that follow each other there.
  static bool isPublished(Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (isa<wmap::SourceOp>(op))
        return true;
      if (auto slice = dyn_cast<wmap::SliceOp>(op);
          !isa<wmap::ReshapeOp>(op) && !(slice && slice.getAxis() == 0))
        return false;
      value = op->getOperand(0);
    }
    return false;
  }

  /// What a published matrix is put together from; nothing if it is not put
  /// together of published rows alone, in whole panels.
  SmallVector<Value> publishedParts(wmap::FuncOp function, int64_t columns) {
    Value value = returnedValue(function);
    while (auto reshape = value.getDefiningOp<wmap::ReshapeOp>())
      value = reshape.getInput();
    SmallVector<Value> parts{value};
    if (auto concat = value.getDefiningOp<wmap::ConcatOp>()) {
      if (concat.getAxis() != 0)
        return {};
      parts.assign(concat.getInputs().begin(), concat.getInputs().end());
    }
    for (Value part : parts) {
      int64_t elements =
          cast<RankedTensorType>(part.getType()).getNumElements();
      bool isWhole = part == parts.back() || elements % (rows * columns) == 0;
      if (!isPublished(part) || !isWhole || elements % columns != 0)
        return {};
    }
    return parts;
  }

  /// A parameter without a layout. Those of one name are one weight.
  Value publishedParam(OpBuilder &builder, Location loc, StringRef name,
                       ArrayRef<int64_t> shape, Type elementType) {
    auto type = NamedTensorType::get(
        &getContext(),
        {builder.getStringAttr("outputs"), builder.getStringAttr("inputs")},
        shape, elementType, Attribute());
    return ParamOp::create(builder, loc, type, name);
  }

  /// Lets the product read its weight as it is published, if it can.
  bool leaveInPlace(LinearOp linear, ArrayRef<EmbedOp> embeds) {
    wmap::FuncOp function = functionOf(linear.getWeight());
    if (!function || blockFormatOf(returnedValue(function)) ||
        cast<RankedTensorType>(function.getResultType())
            .getElementType()
            .isF16())
      return false;
    int64_t columns = linear.getNumInputs();
    SmallVector<Value> parts = publishedParts(function, columns);
    if (parts.empty())
      return false;
    auto param = linear.getWeight().getDefiningOp<ParamOp>();
    OpBuilder builder(param);
    Type elementType = param.getType().getElementType();
    SmallVector<int64_t> shape{linear.getNumOutputs(), columns};
    if (parts.size() == 1) {
      Value weight = publishedParam(builder, param.getLoc(), param.getName(),
                                    shape, elementType);
      shareRows(function, linear, embeds);
      linear.getWeightMutable().assign(weight);
    } else {
      SmallVector<Value> weights;
      for (auto [i, part] : llvm::enumerate(parts)) {
        std::string name =
            (param.getName() + ".part" + std::to_string(i)).str();
        if (!getOperation().lookupSymbol<wmap::FuncOp>(name))
          partFunction(function, part, name);
        int64_t elements =
            cast<RankedTensorType>(part.getType()).getNumElements();
        weights.push_back(publishedParam(builder, param.getLoc(), name,
                                         {elements / columns, columns},
                                         elementType));
      }
      auto type = NamedTensorType::get(
          &getContext(),
          {builder.getStringAttr("outputs"), builder.getStringAttr("inputs")},
          shape, elementType, Attribute());
      linear.getWeightMutable().assign(
          StackRowsOp::create(builder, param.getLoc(), type, weights));
    }
    dropIfUnused(param, function);
    return true;
  }

  /// The function of one part of what `function` puts together.
  void partFunction(wmap::FuncOp function, Value part, StringRef name) {
    OpBuilder builder(function);
    auto made = wmap::FuncOp::create(builder, function.getLoc(), name,
                                     cast<RankedTensorType>(part.getType()));
    builder.setInsertionPointToEnd(&made.getBody().emplaceBlock());
    IRMapping mapping;
    for (Operation &op : function.getBody().front().without_terminator())
      builder.clone(op, mapping);
    wmap::ReturnOp::create(builder, function.getLoc(), mapping.lookup(part));
    eraseUnused(made);
  }

  /// A table of blocks that no product shares.
  void packTable(EmbedOp embed) {
    wmap::FuncOp table = functionOf(embed.getTable());
    if (!table || !blockFormatOf(returnedValue(table)))
      return;
    auto param = embed.getTable().getDefiningOp<ParamOp>();
    embed.getTableMutable().assign(
        packedParam(OpBuilder(param), param.getLoc(), table,
                    embed.getTable().getType().getShape(), /*experts=*/0));
    dropIfUnused(param, table);
  }

  /// The function of a parameter that is not packed yet.
  wmap::FuncOp functionOf(Value weight) {
    auto param = weight.getDefiningOp<ParamOp>();
    return param && !param.getType().getLayout()
               ? getOperation().lookupSymbol<wmap::FuncOp>(param.getName())
               : wmap::FuncOp();
  }

  bool isPacked(wmap::FuncOp weight) {
    return !onlyBlocks || blockFormatOf(returnedValue(weight));
  }

  /// Lets rows be taken from the panels of the product's weight where the table
  /// is made as it is.
  void shareTable(LinearOp linear, ArrayRef<EmbedOp> embeds) {
    wmap::FuncOp weight = functionOf(linear.getWeight());
    if (!weight || !isPacked(weight))
      return;
    forTables(weight, linear, embeds, [&](ParamOp param) {
      return packedParam(OpBuilder(param), param.getLoc(), weight,
                         {linear.getNumOutputs(), linear.getNumInputs()},
                         /*experts=*/0);
    });
  }

  /// The same where the product's weight stays in place.
  void shareRows(wmap::FuncOp weight, LinearOp linear,
                 ArrayRef<EmbedOp> embeds) {
    forTables(weight, linear, embeds, [&](ParamOp param) -> Value {
      OpBuilder builder(param);
      return ParamOp::create(builder, param.getLoc(), param.getType(),
                             weight.getSymName());
    });
  }

  /// Gives the tables that are made as `weight` what `make` makes of them.
  void forTables(wmap::FuncOp weight, LinearOp linear, ArrayRef<EmbedOp> embeds,
                 llvm::function_ref<Value(ParamOp)> make) {
    for (EmbedOp embed : embeds) {
      wmap::FuncOp table = functionOf(embed.getTable());
      if (!table || embed.getTable().getType().getRank() != 2 ||
          linear.getNumInputs() != embed.getTable().getType().getShape()[1] ||
          !OperationEquivalence::isRegionEquivalentTo(
              &table.getBody(), &weight.getBody(),
              OperationEquivalence::IgnoreLocations))
        continue;
      auto param = embed.getTable().getDefiningOp<ParamOp>();
      embed.getTableMutable().assign(make(param));
      dropIfUnused(param, table);
    }
  }

  /// `experts` is 0 for a single matrix.
  template <typename Op> void pack(Op linear, int64_t experts) {
    auto param = linear.getWeight().template getDefiningOp<ParamOp>();
    NamedTensorType type = linear.getWeight().getType();
    if (!param || type.getLayout())
      return;
    auto function = getOperation().lookupSymbol<wmap::FuncOp>(param.getName());
    if (!isPacked(function))
      return;
    SmallVector<int64_t> shape{linear.getNumOutputs(), linear.getNumInputs()};
    if (experts > 0)
      shape.insert(shape.begin(), experts);
    linear.getWeightMutable().assign(packedParam(
        OpBuilder(param), param.getLoc(), function, shape, experts));
    dropIfUnused(param, function);
  }

  void dropIfUnused(ParamOp param, wmap::FuncOp function) {
    if (param.use_empty())
      param.erase();
    auto uses = SymbolTable::getSymbolUses(function, getOperation());
    if (uses && uses->empty())
      function.erase();
  }

  /// The parameter of a weight's panels, whose function is made where there is
  /// none yet. `shape` is that of a matrix, or of a stack of `experts`.
  Value packedParam(OpBuilder builder, Location loc, wmap::FuncOp function,
                    ArrayRef<int64_t> shape, int64_t experts) {
    Type elementType =
        cast<RankedTensorType>(function.getResultType()).getElementType();
    SmallVector<StringAttr> axes{builder.getStringAttr("outputs"),
                                 builder.getStringAttr("inputs")};
    if (experts > 0)
      axes.insert(axes.begin(), builder.getStringAttr("experts"));
    std::string name = (function.getSymName() + ".packed").str();
    auto packed = getOperation().lookupSymbol<wmap::FuncOp>(name);
    if (!packed)
      packed = packFunction(function, name, shape);
    int64_t groups = std::max<int64_t>(experts, 1);
    Attribute layout;
    auto blocks = returnedValue(packed).getDefiningOp<wmap::PackBlocksOp>();
    if (blocks) {
      auto block = cast<wmap::BlockType>(
          cast<RankedTensorType>(blocks.getInput().getType()).getElementType());
      layout = BlocksAttr::get(&getContext(), block.getFormat(), rows, groups);
    } else {
      layout =
          PanelsAttr::get(&getContext(), rows, depthOf(elementType), groups);
    }
    auto type =
        NamedTensorType::get(&getContext(), axes, shape, elementType, layout);
    return ParamOp::create(builder, loc, type, name);
  }

  /// Numbers of f16 are widened column by column.
  int64_t depthOf(Type elementType) {
    return elementType.isBF16() ? inner.getValue() : 1;
  }

  /// `shape` is that of a matrix or a stack of matrices.
  wmap::FuncOp packFunction(wmap::FuncOp function, StringRef name,
                            ArrayRef<int64_t> shape) {
    OpBuilder builder(function);
    Location loc = function.getLoc();
    auto result = cast<RankedTensorType>(function.getResultType());
    auto matrix = RankedTensorType::get(shape, result.getElementType());
    auto packed = wmap::FuncOp::create(builder, loc, name, result);
    builder.setInsertionPointToEnd(&packed.getBody().emplaceBlock());
    IRMapping mapping;
    for (Operation &op : function.getBody().front().without_terminator())
      builder.clone(op, mapping);
    Value value = mapping.lookup(returnedValue(function));
    if (value.getType() != matrix)
      value = wmap::ReshapeOp::create(builder, loc, matrix, value);
    value = blockFormatOf(value) ? packBlocks(builder, loc, value)
                                 : packMatrix(builder, loc, value);
    wmap::ReturnOp::create(builder, loc, value);
    packed.setResultType(cast<RankedTensorType>(value.getType()));
    eraseUnused(packed);
    return packed;
  }

  Value packMatrix(OpBuilder &builder, Location loc, Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    int64_t depth = depthOf(type.getElementType());
    ArrayRef<int64_t> last = type.getShape().take_back(2);
    SmallVector<int64_t> sizes(type.getShape().drop_back(2));
    llvm::append_values(sizes,
                        static_cast<int64_t>(llvm::divideCeil(last[0], rows)),
                        static_cast<int64_t>(llvm::divideCeil(last[1], depth)),
                        rows.getValue(), depth);
    return wmap::PackOp::create(
        builder, loc, RankedTensorType::get(sizes, type.getElementType()),
        value, builder.getI64IntegerAttr(rows),
        builder.getI64IntegerAttr(depth));
  }

  Value packBlocks(OpBuilder &builder, Location loc, Value value) {
    Value blocks = emitBlocks(builder, value);
    auto byte = IntegerType::get(&getContext(), 8, IntegerType::Unsigned);
    SmallVector<int64_t> sizes = wmap::PackBlocksOp::getPackedShape(
        cast<RankedTensorType>(blocks.getType()), rows);
    return wmap::PackBlocksOp::create(builder, loc,
                                      RankedTensorType::get(sizes, byte),
                                      blocks, builder.getI64IntegerAttr(rows));
  }
};
} // namespace
} // namespace clade
