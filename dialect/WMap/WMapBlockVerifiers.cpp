//===- WMapBlockVerifiers.cpp - Rules of weights that stay quantised ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WMap/WMapDialect.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace clade::wmap;

/// Rows whose scales and codes alternate (runtime/Weights/PackedBlocks.h).
static constexpr int64_t unitRows = 16;

namespace {
struct BlockFormat {
  StringLiteral name;
  int64_t length, numBytes;
  bool isMade;               ///< Numbers can be quantised to it.
  int64_t rowScaleBytes = 0; ///< Of a scale that the blocks of a row share.
};
} // namespace

/// In the order of the messages below.
static constexpr BlockFormat formats[] = {
    {"q8_0", 32, 34, true},      {"q4_0", 32, 18, true},
    {"q5_0", 32, 22, false},     {"q4_k", 256, 144, true},
    {"q5_k", 256, 176, false},   {"q6_k", 256, 210, true},
    {"q8_row", 64, 68, true, 4}, {"fp8_128", 128, 132, false}};

static const BlockFormat *formatOf(StringRef name) {
  const auto *format = llvm::find_if(
      formats, [&](const BlockFormat &each) { return each.name == name; });
  return format == std::end(formats) ? nullptr : format;
}

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static BlockType blockOf(RankedTensorType type) {
  return dyn_cast<BlockType>(type.getElementType());
}

bool BlockType::isFormat(StringRef name) { return formatOf(name) != nullptr; }

int64_t BlockType::getLength() const { return formatOf(getFormat())->length; }

int64_t BlockType::getNumBytes() const {
  return formatOf(getFormat())->numBytes;
}

bool BlockType::hasRowScale() const {
  return formatOf(getFormat())->rowScaleBytes > 0;
}

int64_t BlockType::getPackedRowBytes(int64_t columns) const {
  int64_t count = llvm::divideCeil(columns, getLength()),
          shared = formatOf(getFormat())->rowScaleBytes;
  return shared + count * (getNumBytes() - shared);
}

LogicalResult BlockType::verify(function_ref<InFlightDiagnostic()> emitError,
                                StringRef format) {
  // block_c1
  if (!isFormat(format))
    return emitError() << "expected the format q8_0, q4_0, q5_0, q4_k, q5_k, "
                          "q6_k, q8_row or fp8_128, got '"
                       << format << "'";
  return success();
}

/// Whether the last axis is one of whole blocks.
static bool isWhole(RankedTensorType type) {
  return type.getRank() > 0 &&
         type.getShape().back() % blockOf(type).getLength() == 0;
}

LogicalResult QuantiseOp::verify() {
  RankedTensorType input = tensorOf(getInput()), result = tensorOf(getResult());
  // quantise_c1
  if (!isa<FloatType>(input.getElementType()) || !blockOf(result))
    return emitOpError() << "expected floats and blocks, got " << input
                         << " and " << result;
  // quantise_c3
  StringRef format = blockOf(result).getFormat();
  if (!formatOf(format)->isMade)
    return emitOpError()
           << "expected the format q8_0, q4_0, q4_k, q6_k or q8_row, got '"
           << format << "'";
  // quantise_c2
  SmallVector<int64_t> shape(input.getShape());
  if (!shape.empty())
    shape.back() = static_cast<int64_t>(
        llvm::alignTo(shape.back(), blockOf(result).getLength()));
  if (shape.empty() || ArrayRef(shape) != result.getShape())
    return emitOpError() << "expected the sizes of " << input
                         << " with a last one of whole blocks, got " << result;
  return success();
}

LogicalResult ScaledBlocksOp::verify() {
  RankedTensorType codes = tensorOf(getCodes()), scales = tensorOf(getScales()),
                   result = tensorOf(getResult());
  ArrayRef<int64_t> block = getBlock();
  // scaled_blocks_c1
  SmallVector<int64_t> blocks;
  bool fits = codes.getRank() > 0 &&
              static_cast<int64_t>(block.size()) == codes.getRank() &&
              llvm::all_of(block, [](int64_t size) { return size > 0; });
  if (fits)
    for (auto [size, step] : llvm::zip_equal(codes.getShape(), block))
      blocks.push_back(static_cast<int64_t>(llvm::divideCeil(size, step)));
  if (!fits || ArrayRef(blocks) != scales.getShape())
    return emitOpError() << "expected a scale for each block of [" << block
                         << "] of " << codes << ", got " << scales;
  // scaled_blocks_c2
  constexpr StringLiteral format = "fp8_128";
  int64_t length = formatOf(format)->length, columns = codes.getShape().back();
  if (!isa<Float8E4M3FNType>(codes.getElementType()) ||
      (block.back() % length != 0 && block.back() < columns))
    return emitOpError() << "expected codes f8E4M3FN with scales of " << length
                         << " columns or all, got " << codes
                         << " in blocks of [" << block << "]";
  // scaled_blocks_c3
  SmallVector<int64_t> shape(codes.getShape());
  shape.back() = static_cast<int64_t>(llvm::alignTo(
      static_cast<uint64_t>(columns), static_cast<uint64_t>(length)));
  if (!blockOf(result) || blockOf(result).getFormat() != format ||
      ArrayRef(shape) != result.getShape())
    return emitOpError() << "expected blocks of fp8_128 in the sizes of "
                         << codes << ", the last of whole blocks, got "
                         << result;
  return success();
}

LogicalResult DequantiseOp::verify() {
  RankedTensorType input = tensorOf(getInput()), result = tensorOf(getResult());
  // dequantise_c1
  if (!blockOf(input) || !isWhole(input))
    return emitOpError() << "expected whole blocks, got " << input;
  // dequantise_c2
  if (input.getShape() != result.getShape() || !result.getElementType().isF32())
    return emitOpError() << "expected f32 elements in the sizes of " << input
                         << ", got " << result;
  return success();
}

SmallVector<int64_t> PackBlocksOp::getPackedShape(RankedTensorType blocks,
                                                  int64_t rows) {
  BlockType block = blockOf(blocks);
  ArrayRef<int64_t> matrix = blocks.getShape().take_back(2);
  SmallVector<int64_t> shape(blocks.getShape().drop_back(2));
  shape.push_back(static_cast<int64_t>(llvm::divideCeil(matrix[0], rows)));
  if (block.hasRowScale()) {
    llvm::append_values(shape, rows, block.getPackedRowBytes(matrix[1]));
    return shape;
  }
  shape.push_back(matrix[1] / block.getLength());
  shape.push_back(rows * block.getNumBytes());
  return shape;
}

/// Whether blocks can be packed, and how they are if so.
static bool isPackable(RankedTensorType blocks) {
  return blockOf(blocks) && (blocks.getRank() == 2 || blocks.getRank() == 3) &&
         isWhole(blocks);
}

LogicalResult PackBlocksOp::verify() {
  RankedTensorType input = tensorOf(getInput()), result = tensorOf(getResult());
  int64_t rows = getRows();
  // pack_blocks_c1
  if (!isPackable(input) || rows < 1 || rows % unitRows != 0)
    return emitOpError() << "expected whole blocks of two or three axes and a "
                            "multiple of "
                         << unitRows << " rows, got " << input
                         << " in panels of " << rows << " rows";
  // pack_blocks_c2
  if (ArrayRef(getPackedShape(input, rows)) != result.getShape() ||
      !result.getElementType().isUnsignedInteger(8))
    return emitOpError() << "expected panels of " << rows << " rows of "
                         << input << ", got " << result;
  return success();
}

LogicalResult UnpackBlocksOp::verify() {
  RankedTensorType input = tensorOf(getInput()), result = tensorOf(getResult());
  // unpack_blocks_c1
  bool fits = isPackable(result) && input.getRank() == result.getRank() + 1 &&
              input.getElementType().isUnsignedInteger(8);
  int64_t rows = 0;
  if (fits)
    rows = blockOf(result).hasRowScale()
               ? input.getShape().take_back(2).front()
               : input.getShape().back() / blockOf(result).getNumBytes();
  if (!fits || rows < 1 || rows % unitRows != 0 ||
      ArrayRef(PackBlocksOp::getPackedShape(result, rows)) != input.getShape())
    return emitOpError() << "expected panels of " << result << ", got "
                         << input;
  return success();
}
