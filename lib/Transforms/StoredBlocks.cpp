//===- StoredBlocks.cpp - Weights whose numbers are blocks ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/StoredBlocks.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace clade;

using Format = std::optional<std::string>;

static RankedTensorType numbersType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static wmap::BlockType blockOf(Value value) {
  return dyn_cast<wmap::BlockType>(numbersType(value).getElementType());
}

/// What a chain of reshapes begins with.
static Value beforeReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<wmap::ReshapeOp>())
    value = reshape.getInput();
  return value;
}

/// Rows and columns of two values are the same in memory.
static bool haveSameColumns(Value a, Value b) {
  return numbersType(a).getRank() > 0 && numbersType(b).getRank() > 0 &&
         numbersType(a).getShape().back() == numbersType(b).getShape().back();
}

static bool isLastAxis(Value value, int64_t axis) {
  return axis + 1 == numbersType(value).getRank();
}

/// The blocks that a slice takes off what fills the last one.
static Value withoutFilling(wmap::SliceOp slice) {
  auto numbers = slice.getInput().getDefiningOp<wmap::DequantiseOp>();
  auto blocks = numbers ? numbers.getInput().getDefiningOp<wmap::QuantiseOp>()
                        : wmap::QuantiseOp();
  if (!blocks || !isLastAxis(slice.getResult(), slice.getAxis()) ||
      slice.getBegin() != 0 ||
      numbersType(blocks.getInput()).getShape() !=
          numbersType(slice.getResult()).getShape())
    return {};
  return blocks.getResult();
}

static constexpr StringLiteral fp8Format = "fp8_128";

/// Rows of whole blocks of FP8, each of which has one scale.
static bool isScaledFp8(wmap::ScaleOp op) {
  RankedTensorType codes = numbersType(op.getInput());
  int64_t length = wmap::BlockType::get(op.getContext(), fp8Format).getLength(),
          own = op.getBlock().back(), columns = codes.getShape().back();
  return isa<Float8E4M3FNType>(codes.getElementType()) &&
         columns % length == 0 && (own % length == 0 || own >= columns);
}

static Format formatOfConcat(wmap::ConcatOp op, BlockSources sources) {
  if (isLastAxis(op.getResult(), op.getAxis()))
    return std::nullopt;
  Format format = blockFormatOf(op.getInputs().front(), sources);
  for (Value input : op.getInputs())
    if (blockFormatOf(input, sources) != format)
      return std::nullopt;
  return format;
}

Format clade::blockFormatOf(Value value, BlockSources sources) {
  bool fromStored = sources == BlockSources::Stored;
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, Format>(op)
      .Case([](wmap::DequantiseOp numbers) -> Format {
        return blockOf(numbers.getInput()).getFormat().str();
      })
      .Case([&](wmap::SourceOp source) -> Format {
        if (!fromStored || !source.getEncoding())
          return std::nullopt;
        std::string name = source.getEncoding()->lower();
        return wmap::BlockType::isFormat(name) ? Format(name) : std::nullopt;
      })
      .Case([&](wmap::ScaleOp scale) -> Format {
        return fromStored && isScaledFp8(scale) ? Format(fp8Format.str())
                                                : std::nullopt;
      })
      .Case([&](wmap::CastOp cast) -> Format {
        return fromStored ? blockFormatOf(cast.getInput(), sources)
                          : std::nullopt;
      })
      .Case([&](wmap::SliceOp slice) -> Format {
        if (Value blocks = withoutFilling(slice))
          return blockOf(blocks).getFormat().str();
        return isLastAxis(slice.getResult(), slice.getAxis())
                   ? std::nullopt
                   : blockFormatOf(slice.getInput(), sources);
      })
      .Case([&](wmap::ConcatOp concat) {
        return formatOfConcat(concat, sources);
      })
      .Case([&](wmap::ReshapeOp reshape) -> Format {
        Value from = beforeReshapes(reshape);
        return haveSameColumns(from, value) ? blockFormatOf(from, sources)
                                            : std::nullopt;
      })
      .Case([&](wmap::RopeUnpermuteOp rope) -> Format {
        return numbersType(value).getRank() < 2
                   ? std::nullopt
                   : blockFormatOf(rope.getInput(), sources);
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// Blocks in the sizes of `value`, as wide as those of `like`.
static RankedTensorType typeOfBlocks(Value value, Value like) {
  SmallVector<int64_t> shape(numbersType(value).getShape());
  shape.back() = numbersType(like).getShape().back();
  return RankedTensorType::get(shape, numbersType(like).getElementType());
}

Value clade::emitBlocks(OpBuilder &builder, Value value) {
  Operation *op = value.getDefiningOp();
  Location loc = op->getLoc();
  auto moved = [&](Value input) {
    Value blocks = emitBlocks(builder, input);
    Operation *copy = builder.clone(*op);
    copy->setOperands({blocks});
    copy->getResult(0).setType(typeOfBlocks(value, blocks));
    return copy->getResult(0);
  };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([](wmap::DequantiseOp numbers) { return numbers.getInput(); })
      .Case([&](wmap::SourceOp source) -> Value {
        auto block = wmap::BlockType::get(builder.getContext(),
                                          source.getEncoding()->lower());
        return wmap::SourceOp::create(
            builder, loc,
            RankedTensorType::get(numbersType(value).getShape(), block),
            source.getNameAttr(), /*encoding=*/StringAttr(),
            source.getStackAttr());
      })
      .Case([&](wmap::ScaleOp scale) -> Value {
        auto block = wmap::BlockType::get(builder.getContext(), fp8Format);
        return wmap::ScaledBlocksOp::create(
            builder, loc, numbersType(value).clone(Type(block)),
            scale.getInput(), scale.getNumbers(), scale.getBlockAttr());
      })
      .Case([&](wmap::CastOp cast) {
        return emitBlocks(builder, cast.getInput());
      })
      .Case([&](wmap::SliceOp slice) -> Value {
        if (Value blocks = withoutFilling(slice))
          return blocks;
        return moved(slice.getInput());
      })
      .Case([&](wmap::ConcatOp concat) -> Value {
        SmallVector<Value> parts;
        for (Value input : concat.getInputs())
          parts.push_back(emitBlocks(builder, input));
        return wmap::ConcatOp::create(builder, loc,
                                      typeOfBlocks(value, parts.front()), parts,
                                      concat.getAxisAttr());
      })
      .Case([&](wmap::ReshapeOp reshape) {
        return moved(beforeReshapes(reshape));
      })
      .Case([&](wmap::RopeUnpermuteOp rope) { return moved(rope.getInput()); })
      .Default([](Operation *) { return Value(); });
}

bool clade::isOfHalves(Value value) {
  Type element = numbersType(value).getElementType();
  if (element.isF16())
    return true;
  Operation *op = value.getDefiningOp();
  return element.isF32() && op &&
         isa<wmap::CastOp, wmap::ConcatOp, wmap::SliceOp, wmap::ReshapeOp,
             wmap::TransposeOp, wmap::RopeUnpermuteOp>(op) &&
         llvm::all_of(op->getOperands(), isOfHalves);
}

Value clade::returnedValue(wmap::FuncOp function) {
  return cast<wmap::ReturnOp>(function.getBody().front().getTerminator())
      .getValue();
}

void clade::eraseUnused(wmap::FuncOp function) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (!isa<wmap::ReturnOp>(op) && op.use_empty())
      op.erase();
}
