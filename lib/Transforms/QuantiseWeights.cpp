//===- QuantiseWeights.cpp - Weights of products in 8 and 4 bits ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decides which weights become blocks, and changes their functions: the numbers
// of a quantised weight are what its blocks stand for, so that everything that
// reads functions, the interpreter above all, sees the same numbers as code
// that reads the blocks.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/StoredBlocks.h"
#include "lib/Weights/Slots.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSwitch.h"

namespace clade {
#define GEN_PASS_DEF_QUANTISEWEIGHTSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

/// Matrices with fewer rows or columns stay as they are: a panel and a block
/// would be mostly filling.
static constexpr int64_t leastRows = 16, leastColumns = 32;
/// The form that takes blocks as they are stored, and makes none.
static constexpr StringLiteral keep = "keep";
/// The form that is no blocks, but numbers of 16 bits.
static constexpr StringLiteral half = "f16";
/// What `wmap.quantise` makes, and the others.
static constexpr StringLiteral forms[] = {keep,   half,   "q8_0",  "q4_0",
                                          "q4_k", "q6_k", "q8_row"};
/// Columns of the blocks of q4_k and q6_k.
static constexpr int64_t superBlock = 256;

static RankedTensorType matrixType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Whether choices are made of a value without another product between: small
/// differences would choose others.
static bool decides(Value value) {
  SmallVector<Value> next{value};
  llvm::DenseSet<Operation *> seen;
  while (!next.empty())
    for (Operation *user : next.pop_back_val().getUsers()) {
      if (isa<TopKOp>(user))
        return true;
      if (isa<LinearOp, ExpertLinearOp, HeadLinearOp>(user) ||
          !seen.insert(user).second)
        continue;
      next.append(user->result_begin(), user->result_end());
    }
  return false;
}

/// Whether adapters are put into a weight while a model runs.
static bool holdsAdapters(wmap::FuncOp function) {
  return function
      .walk([](wmap::SourceOp source) {
        return source.getName().starts_with(adapterSourcePrefix)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

namespace {
/// The one rule of which products take a form.
class FormRule {
public:
  explicit FormRule(ModuleOp module) : module(module) { findImages(); }

  bool takesForm(Operation *op) const {
    if (ofImages.contains(op->getParentOfType<func::FuncOp>()))
      return false;
    auto [rows, columns] = sizes(op);
    return rows >= leastRows && columns >= leastColumns &&
           !decides(op->getResult(0));
  }

  /// The products that take it.
  SmallVector<Operation *> products() {
    SmallVector<Operation *> products;
    module.walk([&](Operation *op) {
      if (isa<LinearOp, ExpertLinearOp>(op) && takesForm(op))
        products.push_back(op);
    });
    return products;
  }

  static std::pair<int64_t, int64_t> sizes(Operation *op) {
    if (auto linear = dyn_cast<LinearOp>(op))
      return {linear.getNumOutputs(), linear.getNumInputs()};
    auto experts = cast<ExpertLinearOp>(op);
    return {experts.getNumOutputs(), experts.getNumInputs()};
  }

  static OpOperand &weightOf(Operation *op) {
    auto linear = dyn_cast<LinearOp>(op);
    return linear ? linear.getWeightMutable()
                  : cast<ExpertLinearOp>(op).getWeightMutable();
  }

  /// The function of a weight of numbers that no adapters are put into, or
  /// null.
  wmap::FuncOp functionOf(Value weight) {
    auto param = weight.getDefiningOp<ParamOp>();
    auto function = param ? module.lookupSymbol<wmap::FuncOp>(param.getName())
                          : wmap::FuncOp();
    return function && isa<FloatType>(param.getType().getElementType()) &&
                   !holdsAdapters(function)
               ? function
               : wmap::FuncOp();
  }

private:
  /// The entry for images and the layers that it runs.
  void findImages() {
    auto entry = module.lookupSymbol<func::FuncOp>("image");
    if (!entry)
      return;
    ofImages.insert(entry);
    entry.walk([&](LayersOp layers) {
      auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
      for (Attribute kind : schedule.getKinds())
        ofImages.insert(
            module.lookupSymbol(cast<FlatSymbolRefAttr>(kind).getValue()));
    });
  }

  ModuleOp module;
  llvm::DenseSet<Operation *> ofImages;
};

struct QuantiseWeightsPass
    : impl::QuantiseWeightsPassBase<QuantiseWeightsPass> {
  using QuantiseWeightsPassBase::QuantiseWeightsPassBase;

  void runOnOperation() override {
    StringRef format = llvm::StringSwitch<StringRef>(form.getValue())
                           .Case("int8", "q8_0")
                           .Case("int4", "q4_0")
                           .Case("int8_channel", "q8_row")
                           .Case("q8_row", "")
                           .Default(form.getValue());
    if (!llvm::is_contained(forms, format)) {
      getOperation().emitError()
          << "expected the form keep, f16, int8, int8_channel, int4, q8_0, "
             "q4_0, q4_k or q6_k, got '"
          << form.getValue() << "'";
      return signalPassFailure();
    }
    rule.emplace(getOperation());
    SmallVector<EmbedOp> embeds;
    getOperation().walk([&](EmbedOp embed) { embeds.push_back(embed); });
    for (Operation *product : rule->products())
      if (failed(quantise(product, embeds, formatFor(product, format))))
        return signalPassFailure();
    // A table that no product reads is kept as it is stored, if at all: of
    // other tables no more is read than a few rows.
    for (EmbedOp embed : embeds)
      if (wmap::FuncOp table = rule->functionOf(embed.getTable());
          table && isMatrix(embed) && !blockFormatOf(returnedValue(table)) &&
          !isFP8(table) && isStoredAs(table, format))
        replace(embed.getTableMutable(), blocksOf(table, format, {}));
  }

private:
  /// Of int4 the head has 8 bits: each of its errors is one of a logit, and of
  /// what a tied embedding gives every layer. Blocks of 256 of which more than
  /// a quarter would be filling give way to blocks of 32.
  StringRef formatFor(Operation *op, StringRef format) {
    bool isInEntry = op->getParentOfType<func::FuncOp>()->hasAttr(entryAttr);
    if (form == "int4" && isInEntry)
      return "q8_0";
    if (format != "q4_k" && format != "q6_k")
      return format;
    int64_t columns = FormRule::sizes(op).second;
    bool isMostlyFull =
        4 * columns >=
        3 * static_cast<int64_t>(llvm::alignTo(columns, superBlock));
    return isMostlyFull ? format : format == "q4_k" ? "q4_0" : "q8_0";
  }

  static bool isMatrix(EmbedOp embed) {
    return embed.getTable().getType().getRank() == 2;
  }

  static bool isStoredAs(wmap::FuncOp function, StringRef format) {
    if (format == half)
      return false;
    auto stored = blockFormatOf(returnedValue(function), BlockSources::Stored);
    return stored && (format == keep || *stored == format);
  }

  /// Whether a checkpoint stores codes of FP8 with scales.
  static bool isFP8(wmap::FuncOp function) {
    return blockFormatOf(returnedValue(function), BlockSources::Stored) ==
           "fp8_128";
  }

  LogicalResult quantise(Operation *op, ArrayRef<EmbedOp> embeds,
                         StringRef format) {
    auto linear = dyn_cast<LinearOp>(op);
    OpOperand &weight = FormRule::weightOf(op);
    wmap::FuncOp function = rule->functionOf(weight.get());
    // What a target's products do not read is decoded when it is loaded.
    if (!function || (format == keep && (!isStoredAs(function, format) ||
                                         (isFP8(function) && !keepsFP8))))
      return success();
    auto [rows, columns] = FormRule::sizes(op);
    SmallVector<int64_t> matrix{rows, columns};
    if (auto experts = dyn_cast<ExpertLinearOp>(op))
      matrix.insert(matrix.begin(), experts.getNumExperts());
    wmap::FuncOp blocks = blocksOf(function, format, matrix);
    // A table that is the same matrix stays the same.
    if (linear)
      for (EmbedOp embed : embeds) {
        wmap::FuncOp table = rule->functionOf(embed.getTable());
        if (table && isMatrix(embed) && !isFP8(table) &&
            columns == embed.getTable().getType().getShape()[1] &&
            OperationEquivalence::isRegionEquivalentTo(
                &table.getBody(), &function.getBody(),
                OperationEquivalence::IgnoreLocations))
          replace(embed.getTableMutable(), blocks);
      }
    replace(weight, blocks);
    ++numQuantised;
    return success();
  }

  /// A new parameter in the place of another, and no function without use.
  void replace(OpOperand &operand, wmap::FuncOp function) {
    auto param = operand.get().getDefiningOp<ParamOp>();
    NamedTensorType type = param.getType();
    OpBuilder builder(param);
    auto numbers = type.withElementType(
        cast<RankedTensorType>(function.getResultType()).getElementType());
    operand.set(ParamOp::create(builder, param.getLoc(), numbers,
                                function.getSymName()));
    auto old = getOperation().lookupSymbol<wmap::FuncOp>(param.getName());
    if (param.use_empty())
      param.erase();
    auto uses = SymbolTable::getSymbolUses(old, getOperation());
    if (uses && uses->empty())
      old.erase();
  }

  /// The function of a weight whose numbers are those of blocks. Its rows are
  /// those of `matrix`, where blocks have to be made.
  wmap::FuncOp blocksOf(wmap::FuncOp function, StringRef format,
                        ArrayRef<int64_t> matrix) {
    std::string name = (function.getSymName() + "." + form.getValue()).str();
    if (auto known = getOperation().lookupSymbol<wmap::FuncOp>(name))
      return known;
    OpBuilder builder(function);
    Location loc = function.getLoc();
    auto result = cast<RankedTensorType>(function.getResultType());
    auto type = RankedTensorType::get(
        result.getShape(),
        format == half ? Type(builder.getF16Type()) : builder.getF32Type());
    auto copy = wmap::FuncOp::create(builder, loc, name, type);
    builder.setInsertionPointToEnd(&copy.getBody().emplaceBlock());
    IRMapping mapping;
    Block &body = function.getBody().front();
    for (Operation &op : body.without_terminator())
      builder.clone(op, mapping);
    Value value = mapping.lookup(returnedValue(function));
    Value numbers;
    if (isStoredAs(function, format)) {
      Value blocks = emitBlocks(builder, value);
      auto shape = matrixType(blocks).getShape();
      numbers = wmap::DequantiseOp::create(
          builder, loc, RankedTensorType::get(shape, builder.getF32Type()),
          blocks);
    } else {
      numbers = format == half
                    ? makeHalves(builder, loc, value)
                    : makeBlocks(builder, loc, value, format, matrix);
    }
    if (numbers.getType() != type)
      numbers = wmap::ReshapeOp::create(builder, loc, type, numbers);
    wmap::ReturnOp::create(builder, loc, numbers);
    eraseUnused(copy);
    return copy;
  }

  /// A value before it is rounded to what is computed in.
  static Value beforeRounding(Value value) {
    while (auto cast = value.getDefiningOp<wmap::CastOp>()) {
      if (!isa<Float32Type, BFloat16Type, Float16Type>(
              matrixType(cast.getInput()).getElementType()))
        break;
      value = cast.getInput();
    }
    return value;
  }

  static Value makeHalves(OpBuilder &builder, Location loc, Value value) {
    value = beforeRounding(value);
    auto type = matrixType(value).clone(Type(builder.getF16Type()));
    return value.getType() == type
               ? value
               : wmap::CastOp::create(builder, loc, type, value).getResult();
  }

  /// Quantises the rows of a matrix.
  static Value makeBlocks(OpBuilder &builder, Location loc, Value value,
                          StringRef format, ArrayRef<int64_t> matrix) {
    value = beforeRounding(value);
    Type element = matrixType(value).getElementType();
    auto rows = RankedTensorType::get(matrix, element);
    if (value.getType() != rows)
      value = wmap::ReshapeOp::create(builder, loc, rows, value);
    auto block = wmap::BlockType::get(builder.getContext(), format);
    SmallVector<int64_t> padded(matrix);
    padded.back() = llvm::alignTo(padded.back(), block.getLength());
    Value blocks = wmap::QuantiseOp::create(
        builder, loc, RankedTensorType::get(padded, block), value);
    Value numbers = wmap::DequantiseOp::create(
        builder, loc, RankedTensorType::get(padded, builder.getF32Type()),
        blocks);
    if (padded.back() == matrix.back())
      return numbers;
    return wmap::SliceOp::create(
        builder, loc, RankedTensorType::get(matrix, builder.getF32Type()),
        numbers, builder.getI64IntegerAttr(matrix.size() - 1),
        builder.getI64IntegerAttr(0));
  }

  std::optional<FormRule> rule;
};
} // namespace

bool areStoredAsHalves(ModuleOp module) {
  FormRule rule(module);
  SmallVector<Operation *> products = rule.products();
  return !products.empty() && llvm::all_of(products, [&](Operation *product) {
    wmap::FuncOp function = rule.functionOf(FormRule::weightOf(product).get());
    return !function || isOfHalves(returnedValue(function));
  });
}
} // namespace clade
