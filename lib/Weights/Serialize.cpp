//===- Serialize.cpp - The weights table of an artifact -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A function's straight line of ops becomes the tree of its returned value. A
// value with several uses is written once for each use.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Serialize.h"

#include "lib/Weights/AdapterTable.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace mlir;
using namespace clade;

namespace {
/// The table's reader refuses deeper programs; a quantised source is two deep.
constexpr int64_t maxDepth = 31;
/// A tree of shared values grows with their uses.
constexpr int64_t maxNodes = 1 << 16;

/// Writes the program of one weight.
class ProgramWriter {
public:
  ProgramWriter(llvm::json::OStream &json, bool inLayers)
      : json(json), inLayers(inLayers) {}

  LogicalResult write(Value value, int64_t depth = 0);

private:
  LogicalResult writeOp(wmap::SourceOp op, int64_t depth);
  LogicalResult writeOp(wmap::ConcatOp op, int64_t depth);
  LogicalResult writeOp(wmap::SliceOp op, int64_t depth);
  LogicalResult writeOp(wmap::ShardOp op, int64_t depth);
  LogicalResult writeOp(wmap::TransposeOp op, int64_t depth);
  LogicalResult writeRange(Value input, Value part, int64_t axis, int64_t begin,
                           int64_t depth);
  LogicalResult writeOp(wmap::ReshapeOp op, int64_t depth);
  LogicalResult writeOp(wmap::CastOp op, int64_t depth);
  LogicalResult writeOp(wmap::ShiftOp op, int64_t depth);
  LogicalResult writeOp(wmap::UnitRowsOp op, int64_t depth);
  LogicalResult writeOp(wmap::RopeUnpermuteOp op, int64_t depth);
  LogicalResult writeOp(wmap::PackOp op, int64_t depth);
  LogicalResult writeOp(wmap::ConstantOp op, int64_t depth);
  LogicalResult writeOp(wmap::BitcastOp op, int64_t depth);
  LogicalResult writeOp(wmap::ScaleOp op, int64_t depth);
  LogicalResult writeOp(wmap::SubtractOp op, int64_t depth);
  LogicalResult writeOp(wmap::DivideOp op, int64_t depth);
  LogicalResult writeOp(wmap::GatherOp op, int64_t depth);
  LogicalResult writeOp(wmap::LowRankOp op, int64_t depth);
  LogicalResult writeOp(wmap::AddOp op, int64_t depth);
  LogicalResult writeOp(wmap::QuantiseOp op, int64_t depth);
  LogicalResult writeOp(wmap::DequantiseOp op, int64_t depth);
  LogicalResult writeOp(wmap::ScaledBlocksOp op, int64_t depth);
  LogicalResult writeOp(wmap::PackBlocksOp op, int64_t depth);
  LogicalResult writeOp(wmap::UnpackBlocksOp op, int64_t depth);

  LogicalResult writeInput(Value value, int64_t depth);
  LogicalResult writeInputs(OperandRange values, int64_t depth);
  LogicalResult writeElementType(Operation *op, Value value);
  void writeIntegers(StringRef key, ArrayRef<int64_t> values);

  llvm::json::OStream &json;
  bool inLayers;
  int64_t numNodes = 0;
};
} // namespace

/// The name of an element type in the format, or nothing.
static std::optional<StringRef> elementTypeName(Type type) {
  return llvm::TypeSwitch<Type, std::optional<StringRef>>(type)
      .Case([](Float64Type) { return "f64"; })
      .Case([](Float32Type) { return "f32"; })
      .Case([](Float16Type) { return "f16"; })
      .Case([](BFloat16Type) { return "bf16"; })
      .Case([](Float8E4M3FNType) { return "f8_e4m3"; })
      .Case([](Float8E5M2Type) { return "f8_e5m2"; })
      .Case([](Float8E8M0FNUType) { return "f8_e8m0"; })
      .Case([](Float4E2M1FNType) { return "f4"; })
      .Case([](wmap::BlockType block) { return block.getFormat(); })
      .Case([](IntegerType integer) -> std::optional<StringRef> {
        bool isUnsigned = integer.isUnsigned();
        switch (integer.getWidth()) {
        case 4:
          return isUnsigned ? std::optional<StringRef>("u4") : std::nullopt;
        case 8:
          return isUnsigned ? "u8" : "i8";
        case 16:
          return isUnsigned ? "u16" : "i16";
        case 32:
          return isUnsigned ? "u32" : "i32";
        case 64:
          return isUnsigned ? "u64" : "i64";
        default:
          return std::nullopt;
        }
      })
      .Default([](Type) { return std::nullopt; });
}

void ProgramWriter::writeIntegers(StringRef key, ArrayRef<int64_t> values) {
  json.attributeArray(key, [&] {
    for (int64_t value : values)
      json.value(value);
  });
}

LogicalResult ProgramWriter::writeElementType(Operation *op, Value value) {
  Type type = cast<RankedTensorType>(value.getType()).getElementType();
  std::optional<StringRef> name = elementTypeName(type);
  if (!name)
    return op->emitOpError() << "expected an element type that weights can "
                                "have, got "
                             << type;
  json.attribute("dtype", *name);
  return success();
}

LogicalResult ProgramWriter::writeInput(Value value, int64_t depth) {
  json.attributeBegin("input");
  LogicalResult written = write(value, depth + 1);
  json.attributeEnd();
  return written;
}

LogicalResult ProgramWriter::writeOp(wmap::SourceOp op, int64_t depth) {
  StringRef name = op.getName();
  if (!llvm::json::isUTF8(name))
    return op.emitOpError() << "expected a name in UTF-8";
  if (!inLayers && name.contains(layerPlaceholder))
    return op.emitOpError() << "expected a name without '" << layerPlaceholder
                            << "' outside of layers, got '" << name << "'";
  auto writeTensor = [&]() -> LogicalResult {
    ArrayRef<int64_t> shape = op.getResult().getType().getShape();
    json.attribute("op", "source");
    json.attribute("name", name);
    writeIntegers("shape", op.getStack() ? shape.drop_front() : shape);
    if (!op.getEncoding())
      return writeElementType(op, op.getResult());
    json.attribute("dtype", *op.getEncoding());
    return success();
  };
  LogicalResult written = success();
  auto writeSource = [&] {
    if (!op.getStack()) {
      written = writeTensor();
      return;
    }
    json.attribute("op", "stack");
    json.attribute("count", static_cast<int64_t>(*op.getStack()));
    json.attributeObject("input", [&] { written = writeTensor(); });
  };
  if (!op.getEncoding()) {
    writeSource();
    return written;
  }
  // Blocks are what is stored; the op's value is what they decode to.
  json.attribute("op", "cast");
  if (failed(writeElementType(op, op.getResult())))
    return failure();
  json.attributeObject("input", writeSource);
  return written;
}

LogicalResult ProgramWriter::writeInputs(OperandRange values, int64_t depth) {
  LogicalResult written = success();
  json.attributeArray("inputs", [&] {
    for (Value input : values)
      if (succeeded(written))
        written = write(input, depth + 1);
  });
  return written;
}

LogicalResult ProgramWriter::writeOp(wmap::ConcatOp op, int64_t depth) {
  json.attribute("op", "concat");
  json.attribute("axis", static_cast<int64_t>(op.getAxis()));
  return writeInputs(op.getInputs(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::SliceOp op, int64_t depth) {
  return writeRange(op.getInput(), op.getResult(), op.getAxis(), op.getBegin(),
                    depth);
}

LogicalResult ProgramWriter::writeOp(wmap::ShardOp op, int64_t depth) {
  return writeRange(op.getInput(), op.getResult(), op.getAxis(), op.getBegin(),
                    depth);
}

LogicalResult ProgramWriter::writeRange(Value input, Value part, int64_t axis,
                                        int64_t begin, int64_t depth) {
  int64_t size = cast<RankedTensorType>(part.getType()).getDimSize(axis);
  json.attribute("op", "slice");
  json.attribute("axis", axis);
  json.attribute("begin", begin);
  json.attribute("end", begin + size);
  return writeInput(input, depth);
}

LogicalResult ProgramWriter::writeOp(wmap::TransposeOp op, int64_t depth) {
  json.attribute("op", "transpose");
  writeIntegers("perm", op.getPermutation());
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::ReshapeOp op, int64_t depth) {
  json.attribute("op", "reshape");
  writeIntegers("shape",
                cast<RankedTensorType>(op.getResult().getType()).getShape());
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::CastOp op, int64_t depth) {
  json.attribute("op", "cast");
  if (failed(writeElementType(op, op.getResult())))
    return failure();
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::ShiftOp op, int64_t depth) {
  json.attribute("op", "shift");
  json.attribute("value", op.getAmount().convertToDouble());
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::UnitRowsOp op, int64_t depth) {
  json.attribute("op", "unit_rows");
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::RopeUnpermuteOp op, int64_t depth) {
  json.attribute("op", "rope_unpermute");
  json.attribute("heads", static_cast<int64_t>(op.getHeads()));
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::PackOp op, int64_t depth) {
  json.attribute("op", "pack");
  json.attribute("rows", static_cast<int64_t>(op.getRows()));
  json.attribute("inner", static_cast<int64_t>(op.getInner()));
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::ConstantOp op, int64_t) {
  json.attribute("op", "constant");
  writeIntegers("shape", op.getResult().getType().getShape());
  json.attributeArray("values", [&] {
    for (float value : op.getValues()) {
      // The writer gives the zero below 0 no point, and readers no sign.
      if (value == 0 && std::signbit(value))
        json.rawValue("-0.0");
      else
        json.value(static_cast<double>(value));
    }
  });
  return success();
}

LogicalResult ProgramWriter::writeOp(wmap::BitcastOp op, int64_t depth) {
  json.attribute("op", "bitcast");
  if (op.getHighFirst())
    json.attribute("dtype", "u4_high");
  else if (failed(writeElementType(op, op.getResult())))
    return failure();
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::ScaleOp op, int64_t depth) {
  json.attribute("op", "scale");
  writeIntegers("block", op.getBlock());
  return writeInputs(op->getOperands(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::SubtractOp op, int64_t depth) {
  json.attribute("op", "subtract");
  writeIntegers("block", op.getBlock());
  return writeInputs(op->getOperands(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::DivideOp op, int64_t depth) {
  json.attribute("op", "divide");
  writeIntegers("block", op.getBlock());
  return writeInputs(op->getOperands(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::GatherOp op, int64_t depth) {
  json.attribute("op", "gather");
  return writeInputs(op->getOperands(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::LowRankOp op, int64_t depth) {
  json.attribute("op", "low_rank");
  json.attribute("scale", op.getScale().convertToDouble());
  return writeInputs(op->getOperands(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::AddOp op, int64_t depth) {
  json.attribute("op", "add");
  return writeInputs(op->getOperands(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::QuantiseOp op, int64_t depth) {
  json.attribute("op", "quantise");
  if (failed(writeElementType(op, op.getResult())))
    return failure();
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::ScaledBlocksOp op, int64_t depth) {
  json.attribute("op", "scaled_blocks");
  writeIntegers("block", op.getBlock());
  return writeInputs(op->getOperands(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::DequantiseOp op, int64_t depth) {
  json.attribute("op", "cast");
  json.attribute("dtype", "f32");
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::PackBlocksOp op, int64_t depth) {
  json.attribute("op", "pack_blocks");
  json.attribute("rows", static_cast<int64_t>(op.getRows()));
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::writeOp(wmap::UnpackBlocksOp op, int64_t depth) {
  json.attribute("op", "unpack_blocks");
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(op.getResult().getType()).getShape();
  json.attribute("rows", shape[shape.size() - 2]);
  if (failed(writeElementType(op, op.getResult())))
    return failure();
  return writeInput(op.getInput(), depth);
}

LogicalResult ProgramWriter::write(Value value, int64_t depth) {
  Operation *op = value.getDefiningOp();
  LogicalResult written = failure();
  json.objectBegin();
  if (depth >= maxDepth)
    op->emitOpError() << "expected at most " << maxDepth
                      << " ops on the way from a source to the weight";
  else if (++numNodes > maxNodes)
    op->emitOpError() << "expected at most " << maxNodes
                      << " ops in a weight, each counted once for each use";
  else
    written =
        llvm::TypeSwitch<Operation *, LogicalResult>(op)
            .Case<wmap::SourceOp, wmap::ConcatOp, wmap::SliceOp, wmap::ShardOp,
                  wmap::TransposeOp, wmap::ReshapeOp, wmap::CastOp,
                  wmap::ShiftOp, wmap::UnitRowsOp, wmap::RopeUnpermuteOp,
                  wmap::PackOp, wmap::ConstantOp, wmap::BitcastOp,
                  wmap::ScaleOp, wmap::SubtractOp, wmap::DivideOp,
                  wmap::GatherOp, wmap::LowRankOp, wmap::AddOp,
                  wmap::QuantiseOp, wmap::DequantiseOp, wmap::ScaledBlocksOp,
                  wmap::PackBlocksOp, wmap::UnpackBlocksOp>(
                [&](auto op) { return writeOp(op, depth); })
            .Default([](Operation *op) {
              return op->emitOpError() << "expected a wmap op in a wmap.func";
            });
  json.objectEnd();
  return written;
}

static LogicalResult writeEntry(llvm::json::OStream &json, const WeightUse &use,
                                bool ofAdapters) {
  wmap::FuncOp function = use.function;
  bool inLayers = use.isInLayers();
  json.objectBegin();
  json.attribute("param", function.getSymName());
  json.attributeArray("slots", [&] {
    for (int64_t slot : use.slots)
      json.value(slot);
  });
  if (inLayers)
    json.attributeArray("layers", [&] {
      for (int64_t layer : use.layers)
        json.value(layer);
    });
  json.attributeBegin("program");
  if (!ofAdapters && holdsAdapters(function)) {
    json.object([&] {
      json.attribute("op", "constant");
      json.attributeArray("shape", [&] { json.value(1); });
      json.attributeArray("values", [&] { json.value(0); });
    });
    json.attributeEnd();
    json.objectEnd();
    return success();
  }
  auto ret = cast<wmap::ReturnOp>(function.getBody().front().getTerminator());
  LogicalResult written = ProgramWriter(json, inLayers).write(ret.getValue());
  json.attributeEnd();
  json.objectEnd();
  return written;
}

FailureOr<std::string> clade::serializeWeights(ArrayRef<WeightUse> uses,
                                               bool ofAdapters) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream json(stream, /*IndentSize=*/1);
  LogicalResult written = success();
  json.object([&] {
    json.attribute("version", 1);
    json.attributeArray("weights", [&] {
      for (const WeightUse &use : uses)
        if (failed(writeEntry(json, use, ofAdapters)))
          written = failure();
    });
  });
  if (failed(written))
    return failure();
  return text;
}

FailureOr<std::string> clade::serializeWeights(ModuleOp module,
                                               const SlotTable &slots) {
  return serializeWeights(collectUses(module, slots));
}
