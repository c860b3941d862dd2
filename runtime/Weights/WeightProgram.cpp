//===- WeightProgram.cpp - Reading and checking weight programs -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One function an operation: it reads the operation's own fields and derives
// dtype and shape of the result from the inputs, which are read first. A node
// that comes out of here can be evaluated without further checks.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Quantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/PackedBlocks.h"
#include "runtime/Weights/WeightJson.h"

#include <algorithm>
#include <cmath>

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr size_t maxRank = 8;
constexpr int64_t maxDim = int64_t(1) << 48;
constexpr size_t maxConcatInputs = 1 << 20;
constexpr int64_t maxPackFactor = 1 << 16;
constexpr int64_t maxStacked = 1 << 16;
constexpr size_t maxConstants = 256;

constexpr std::string_view opNames[] = {
    "source",       "concat",        "slice",         "transpose",
    "reshape",      "cast",          "shift",         "rope_unpermute",
    "rope_permute", "unit_rows",     "pack",          "constant",
    "bitcast",      "scale",         "subtract",      "gather",
    "stack",        "low_rank",      "add",           "divide",
    "quantise",     "pack_blocks",   "unpack_blocks", "block_scale",
    "encode",       "scaled_blocks",
};

Status invalid(std::string message) {
  return Status::invalidArgument(std::move(message));
}

/// "tensor of bf16 [2, 3]".
std::string typeText(const WeightNode &node) {
  return std::string(dtypeName(node.dtype)) + " " + shapeText(node.shape);
}

/// All dimensions positive, and the size in bytes fits.
Status checkShape(const WeightNode &node) {
  if (std::find(node.shape.begin(), node.shape.end(), 0) != node.shape.end())
    return invalid("shape " + shapeText(node.shape) +
                   " has a zero, expected positive dimensions");
  int64_t row = node.shape.empty() ? 1 : node.shape.back();
  if (!tensorBytes(node.dtype, node.shape))
    return invalid("no tensor can be " + typeText(node) +
                   (row % blockLength(node.dtype) != 0
                        ? ": rows must be whole blocks of " +
                              std::to_string(blockLength(node.dtype))
                        : ": its size does not fit in 63 bits"));
  return {};
}

StatusOr<std::vector<int64_t>> readShape(const json &value) {
  return readIntegers(value, "shape", maxDim, maxRank);
}

StatusOr<DType> readDType(const json &value) {
  CLADE_ASSIGN_OR_RETURN(std::string name, readString(value, "dtype"));
  std::optional<DType> type = parseDType(name);
  if (!type)
    return invalid("unknown dtype " + quoteName(name));
  return *type;
}

StatusOr<WeightNode> readNode(const json &value, int depth);

/// Reads the member "input" into `node`.
Status readInput(const json &value, int depth, WeightNode &node) {
  auto input = value.find("input");
  if (input == value.end())
    return invalid("expected 'input'");
  CLADE_ASSIGN_OR_RETURN(WeightNode read, readNode(*input, depth + 1));
  node.inputs.push_back(std::move(read));
  return {};
}

/// Reads "axis" and checks it against `like`.
Status readAxis(const json &value, const WeightNode &like, WeightNode &node) {
  CLADE_ASSIGN_OR_RETURN(node.axis, readInteger(value, "axis", maxRank));
  if (static_cast<size_t>(node.axis) >= like.shape.size())
    return invalid("'axis' is " + std::to_string(node.axis) +
                   ", but the input is " + typeText(like));
  return {};
}

/// The shape with one axis replaced.
std::vector<int64_t> withAxis(std::vector<int64_t> shape, int64_t axis,
                              int64_t size) {
  shape[static_cast<size_t>(axis)] = size;
  return shape;
}

int64_t axisSize(const WeightNode &node, int64_t axis) {
  return node.shape[static_cast<size_t>(axis)];
}

Status readSource(const json &value, int, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"op", "name", "shape", "dtype"}));
  CLADE_ASSIGN_OR_RETURN(node.name, readString(value, "name"));
  CLADE_ASSIGN_OR_RETURN(node.shape, readShape(value));
  CLADE_ASSIGN_OR_RETURN(node.dtype, readDType(value));
  return {};
}

/// Reads the member "inputs", at most `maxCount` programs, into `node`.
Status readInputs(const json &value, int depth, size_t maxCount,
                  WeightNode &node) {
  auto inputs = value.find("inputs");
  if (inputs == value.end() || !inputs->is_array() || inputs->empty() ||
      inputs->size() > maxCount)
    return invalid("expected 'inputs', an array of programs");
  for (const json &input : *inputs) {
    CLADE_ASSIGN_OR_RETURN(WeightNode read, readNode(input, depth + 1));
    node.inputs.push_back(std::move(read));
  }
  return {};
}

/// The same for an operation of two inputs.
Status readTwoInputs(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(readInputs(value, depth, /*maxCount=*/2, node));
  if (node.inputs.size() != 2)
    return invalid("expected two 'inputs', got one");
  return {};
}

Status readConcat(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "axis", "inputs"}));
  CLADE_RETURN_IF_ERROR(readInputs(value, depth, maxConcatInputs, node));
  const WeightNode &first = node.inputs.front();
  CLADE_RETURN_IF_ERROR(readAxis(value, first, node));
  node.dtype = first.dtype;
  int64_t total = 0;
  for (const WeightNode &input : node.inputs) {
    if (input.dtype != first.dtype ||
        input.shape.size() != first.shape.size() ||
        withAxis(input.shape, node.axis, 0) !=
            withAxis(first.shape, node.axis, 0))
      return invalid("inputs " + typeText(first) + " and " + typeText(input) +
                     " do not agree outside axis " + std::to_string(node.axis));
    std::optional<int64_t> sum = checkedAdd(total, axisSize(input, node.axis));
    if (!sum)
      return invalid("axis " + std::to_string(node.axis) +
                     " of the result does not fit in 63 bits");
    total = *sum;
  }
  if (hasRowScale(first.dtype) &&
      static_cast<size_t>(node.axis) + 1 == first.shape.size())
    return invalid("inputs are " + typeText(first) +
                   ", whose rows have a scale each; cast them first");
  node.shape = withAxis(first.shape, node.axis, total);
  return {};
}

Status readSlice(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"op", "axis", "begin", "end", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_RETURN_IF_ERROR(readAxis(value, input, node));
  CLADE_ASSIGN_OR_RETURN(node.begin, readInteger(value, "begin", maxDim));
  CLADE_ASSIGN_OR_RETURN(node.end, readInteger(value, "end", maxDim));
  int64_t size = axisSize(input, node.axis);
  if (node.begin >= node.end || node.end > size)
    return invalid("range [" + std::to_string(node.begin) + ", " +
                   std::to_string(node.end) + ") does not lie in axis " +
                   std::to_string(node.axis) + " of " + typeText(input));
  int64_t block = blockLength(input.dtype);
  bool last = static_cast<size_t>(node.axis) + 1 == input.shape.size();
  if (last && (node.begin % block != 0 || node.end % block != 0))
    return invalid("range [" + std::to_string(node.begin) + ", " +
                   std::to_string(node.end) + ") cuts a block of " +
                   std::string(dtypeName(input.dtype)));
  node.dtype = input.dtype;
  node.shape = withAxis(input.shape, node.axis, node.end - node.begin);
  return {};
}

Status readTranspose(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "perm", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.perm,
                         readIntegers(value, "perm", maxRank, maxRank));
  std::vector<int64_t> sorted = node.perm;
  std::sort(sorted.begin(), sorted.end());
  bool valid = sorted.size() == input.shape.size();
  for (size_t i = 0; valid && i < sorted.size(); ++i)
    valid = sorted[i] == static_cast<int64_t>(i);
  if (!valid)
    return invalid("'perm' " + shapeText(node.perm) +
                   " is not a permutation of the axes of " + typeText(input));
  // Blocks lie along the last axis.
  if (isBlockType(input.dtype) &&
      static_cast<size_t>(node.perm.back()) + 1 != node.perm.size())
    return invalid("the input is " + typeText(input) +
                   ", expected a plain dtype; cast it first");
  node.dtype = input.dtype;
  for (int64_t axis : node.perm)
    node.shape.push_back(axisSize(input, axis));
  return {};
}

Status readReshape(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "shape", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.shape, readShape(value));
  node.dtype = input.dtype;
  if (elementCount(node.shape) != elementCount(input.shape))
    return invalid("shape " + shapeText(node.shape) +
                   " does not have as many elements as " + typeText(input));
  if (hasRowScale(node.dtype) &&
      (node.shape.empty() || node.shape.back() != input.shape.back()))
    return invalid("shape " + shapeText(node.shape) +
                   " does not have the rows of " + typeText(input) +
                   ", which have a scale each; cast it first");
  return {};
}

Status readCast(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "dtype", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  CLADE_ASSIGN_OR_RETURN(node.dtype, readDType(value));
  if (!isComputeFloat(node.dtype))
    return invalid("cannot cast to " + std::string(dtypeName(node.dtype)) +
                   ", expected f32, bf16 or f16");
  node.shape = node.inputs.front().shape;
  return {};
}

/// Reads the input of an operation that computes, and gives `node` its type.
Status readFloatInput(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  if (!isComputeFloat(input.dtype))
    return invalid("the input is " + typeText(input) +
                   ", expected dtype f32, bf16 or f16; cast it first");
  node.dtype = input.dtype;
  node.shape = input.shape;
  return {};
}

/// Reads the member `key`, a number that fits in f32, into `node.value`.
Status readFloat(const json &value, const char *key, WeightNode &node) {
  auto constant = value.find(key);
  if (constant == value.end() || !constant->is_number())
    return invalid("expected '" + std::string(key) + "', a number");
  node.value = static_cast<float>(constant->get<double>());
  if (!std::isfinite(node.value))
    return invalid("'" + std::string(key) + "' does not fit in f32");
  return {};
}

Status readShift(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "value", "input"}));
  CLADE_RETURN_IF_ERROR(readFloatInput(value, depth, node));
  return readFloat(value, "value", node);
}

Status readRope(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "heads", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.heads, readInteger(value, "heads", maxDim / 2));
  if (input.shape.empty() || node.heads == 0 ||
      input.shape.front() % (2 * node.heads) != 0)
    return invalid("the first axis of " + typeText(input) +
                   " is not a multiple of two times " +
                   std::to_string(node.heads) + " heads");
  if (isBlockType(input.dtype) && input.shape.size() < 2)
    return invalid("the input is " + typeText(input) +
                   ", whose blocks span rows; cast it first");
  node.dtype = input.dtype;
  node.shape = input.shape;
  return {};
}

Status readUnitRows(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "input"}));
  CLADE_RETURN_IF_ERROR(readFloatInput(value, depth, node));
  if (node.shape.size() != 2)
    return invalid("the input is " + typeText(node) + ", expected two axes");
  return {};
}

Status readPack(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"op", "rows", "inner", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.rows, readInteger(value, "rows", maxPackFactor));
  CLADE_ASSIGN_OR_RETURN(node.inner,
                         readInteger(value, "inner", maxPackFactor));
  if (node.rows == 0 || node.inner == 0)
    return invalid("'rows' and 'inner' are " + std::to_string(node.rows) +
                   " and " + std::to_string(node.inner) +
                   ", expected positive numbers");
  bool isStack = input.shape.size() == 3;
  if ((input.shape.size() != 2 && !isStack) || isBlockType(input.dtype))
    return invalid("the input is " + typeText(input) +
                   ", expected two or three axes and a plain dtype");
  node.dtype = input.dtype;
  size_t first = isStack ? 1 : 0;
  node.shape = {ceilDiv(input.shape[first], node.rows),
                ceilDiv(input.shape[first + 1], node.inner), node.rows,
                node.inner};
  if (isStack)
    node.shape.insert(node.shape.begin(), input.shape[0]);
  return {};
}

bool containsStack(const WeightNode &node) {
  return node.op == WeightOp::Stack ||
         std::any_of(node.inputs.begin(), node.inputs.end(), containsStack);
}

Status readStack(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "count", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.stacked, readInteger(value, "count", maxStacked));
  if (node.stacked == 0)
    return invalid("'count' is 0, expected a positive number");
  if (containsStack(input))
    return invalid("the input holds another stack");
  if (input.shape.size() == maxRank)
    return invalid("the input is " + typeText(input) + ", expected fewer axes");
  node.dtype = input.dtype;
  node.shape = input.shape;
  node.shape.insert(node.shape.begin(), node.stacked);
  return {};
}

/// The first source of a program, for messages.
std::string sourceOf(const WeightNode &node) {
  const WeightNode *at = &node;
  while (at->op != WeightOp::Source && !at->inputs.empty())
    at = &at->inputs.front();
  return at->op == WeightOp::Source ? quoteName(at->name)
                                    : std::string("the constant");
}

Status readConstant(const json &value, int, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "shape", "values"}));
  CLADE_ASSIGN_OR_RETURN(node.shape, readShape(value));
  node.dtype = DType::F32;
  auto values = value.find("values");
  if (values == value.end() || !values->is_array() ||
      values->size() > maxConstants)
    return invalid("expected 'values', an array of at most " +
                   std::to_string(maxConstants) + " numbers");
  for (const json &element : *values) {
    if (!element.is_number())
      return invalid("expected numbers in 'values', got " +
                     quoteName(element.dump()));
    node.values.push_back(static_cast<float>(element.get<double>()));
    if (!std::isfinite(node.values.back()))
      return invalid("a number in 'values' does not fit in f32");
  }
  if (elementCount(node.shape) != static_cast<int64_t>(node.values.size()))
    return invalid("shape " + shapeText(node.shape) + " does not have " +
                   std::to_string(node.values.size()) + " elements");
  return {};
}

Status readBitcast(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "dtype", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.dtype, readDType(value));
  int64_t from = bytesPerBlock(input.dtype), to = bytesPerBlock(node.dtype);
  if (isBlockType(input.dtype) || from % to != 0)
    return invalid("the input is " + typeText(input) +
                   ", whose elements do not divide into those of " +
                   std::string(dtypeName(node.dtype)));
  int64_t parts = from / to * blockLength(node.dtype);
  node.shape = input.shape;
  if (parts == 1)
    return {};
  if (input.shape.empty())
    return invalid("the input is " + typeText(input) +
                   ", expected an axis that its elements divide along");
  std::optional<int64_t> last = checkedMul(input.shape.back(), parts);
  if (!last)
    return invalid("the last axis of the result does not fit in 63 bits");
  node.shape.back() = *last;
  return {};
}

/// Scale, Subtract and Divide: an f32 result of the first input's shape; the
/// second has an element for each block.
Status readBlockwise(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "block", "inputs"}));
  CLADE_RETURN_IF_ERROR(readTwoInputs(value, depth, node));
  CLADE_ASSIGN_OR_RETURN(node.block,
                         readIntegers(value, "block", maxDim, maxRank));
  const WeightNode &input = node.inputs[0], &factors = node.inputs[1];
  for (const WeightNode &each : node.inputs)
    if (isBlockType(each.dtype))
      return invalid("an input is " + typeText(each) +
                     ", expected a plain dtype; cast it first");
  if (node.block.size() != input.shape.size() || input.shape.empty())
    return invalid("'block' is " + shapeText(node.block) +
                   ", expected a size for each axis of " + typeText(input));
  std::vector<int64_t> expected;
  for (size_t i = 0; i < node.block.size(); ++i) {
    if (node.block[i] == 0)
      return invalid("'block' is " + shapeText(node.block) +
                     ", expected positive sizes");
    expected.push_back(ceilDiv(input.shape[i], node.block[i]));
  }
  if (factors.shape != expected)
    return invalid("tensor " + sourceOf(factors) + " gives " +
                   typeText(factors) + " for blocks of " +
                   shapeText(node.block) + " of " + typeText(input) +
                   ", expected " + shapeText(expected));
  node.dtype = DType::F32;
  node.shape = input.shape;
  return {};
}

/// Gather: rows of a table by an index, or values of a small table by codes.
Status readGather(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "inputs"}));
  CLADE_RETURN_IF_ERROR(readTwoInputs(value, depth, node));
  const WeightNode &table = node.inputs[0], &index = node.inputs[1];
  if (table.shape.empty() || isBlockType(table.dtype))
    return invalid("the table is " + typeText(table) +
                   ", expected an axis and a plain dtype");
  node.dtype = table.dtype;
  if (index.dtype == DType::I32 || index.dtype == DType::I64) {
    size_t rank = index.shape.size();
    if (rank == 0 || table.shape.size() < rank ||
        !std::equal(index.shape.begin(), index.shape.end() - 1,
                    table.shape.begin()))
      return invalid("the index is " + typeText(index) +
                     ", expected one axis behind those that the table " +
                     typeText(table) + " begins with");
    node.shape = withAxis(table.shape, static_cast<int64_t>(rank) - 1,
                          index.shape.back());
    return {};
  }
  int64_t codes = index.dtype == DType::U8 ? 256 : 16;
  if (index.dtype != DType::U8 && index.dtype != DType::U4 &&
      index.dtype != DType::U4_HIGH)
    return invalid("the index is " + typeText(index) +
                   ", expected dtype i32, i64, u8, u4 or u4_high");
  if (table.dtype != DType::F32 || table.shape != std::vector<int64_t>{codes})
    return invalid("the table is " + typeText(table) + " for codes of " +
                   std::string(dtypeName(index.dtype)) + ", expected F32 [" +
                   std::to_string(codes) + "]");
  node.shape = index.shape;
  return {};
}

/// LowRank: […, N, R] times [R, K] of the same leading axes, in f32.
Status readLowRank(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "scale", "inputs"}));
  CLADE_RETURN_IF_ERROR(readTwoInputs(value, depth, node));
  CLADE_RETURN_IF_ERROR(readFloat(value, "scale", node));
  const WeightNode &left = node.inputs[0], &right = node.inputs[1];
  size_t rank = left.shape.size();
  for (const WeightNode &each : node.inputs)
    if (!isComputeFloat(each.dtype))
      return invalid("an input is " + typeText(each) +
                     ", expected dtype f32, bf16 or f16; cast it first");
  if (rank < 2 || right.shape.size() != rank ||
      left.shape[rank - 1] != right.shape[rank - 2] ||
      !std::equal(left.shape.begin(), left.shape.end() - 2,
                  right.shape.begin()))
    return invalid("inputs " + typeText(left) + " and " + typeText(right) +
                   " are no matrices to multiply");
  node.dtype = DType::F32;
  node.shape = left.shape;
  node.shape.back() = right.shape.back();
  return {};
}

/// Add: the first input's type; the second is f32.
Status readAdd(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "inputs"}));
  CLADE_RETURN_IF_ERROR(readTwoInputs(value, depth, node));
  const WeightNode &base = node.inputs[0], &change = node.inputs[1];
  if (!isComputeFloat(base.dtype) || change.dtype != DType::F32 ||
      base.shape != change.shape)
    return invalid("inputs are " + typeText(base) + " and " + typeText(change) +
                   ", expected f32, bf16 or f16 and F32 of the same shape");
  node.dtype = base.dtype;
  node.shape = base.shape;
  return {};
}

/// Quantise: blocks of the last axis, which grows to whole ones.
Status readQuantise(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "dtype", "input"}));
  CLADE_RETURN_IF_ERROR(readFloatInput(value, depth, node));
  CLADE_ASSIGN_OR_RETURN(node.dtype, readDType(value));
  if (!canQuantize(node.dtype))
    return invalid("cannot quantise to " + std::string(dtypeName(node.dtype)) +
                   ", expected q8_0, q4_0, q4_k, q6_k or q8_row");
  if (node.shape.empty())
    return invalid("the input is " + typeText(node.inputs.front()) +
                   ", expected an axis");
  int64_t block = blockLength(node.dtype);
  node.shape.back() = ceilDiv(node.shape.back(), block) * block;
  return {};
}

/// What products read as it is stored.
std::string packableTypes() {
  return "q8_0, q4_0, q5_0, q4_k, q5_k, q6_k, q8_row or fp8_128";
}

/// PackBlocks: blocks [N, K] to bytes [panels, groups, bytes of a group]; where
/// rows have one scale, to [panels, rows, bytes of a row].
Status readPackBlocks(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "rows", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.rows, readInteger(value, "rows", maxPackFactor));
  if (node.rows == 0 || node.rows % packedBlockRows != 0)
    return invalid("'rows' is " + std::to_string(node.rows) +
                   ", expected a positive multiple of " +
                   std::to_string(packedBlockRows));
  size_t rank = input.shape.size();
  if ((rank != 2 && rank != 3) || !isPackableBlock(input.dtype))
    return invalid("the input is " + typeText(input) +
                   ", expected two or three axes and dtype " + packableTypes());
  node.dtype = DType::U8;
  node.shape = input.shape;
  node.shape[rank - 2] = ceilDiv(input.shape[rank - 2], node.rows);
  if (hasRowScale(input.dtype)) {
    node.shape[rank - 1] = node.rows;
    node.shape.push_back(
        packedLayout(input.dtype)->rowBytes(input.shape.back()));
    return {};
  }
  node.shape[rank - 1] = input.shape[rank - 1] / blockLength(input.dtype);
  node.shape.push_back(node.rows * bytesPerBlock(input.dtype));
  return {};
}

/// Whether the rows of the matrix that UnpackBlocks makes fill the panels.
Status checkPanels(const WeightNode &node, int64_t panelRows) {
  int64_t panels = *std::prev(node.inputs.front().shape.end(), 3);
  if (node.rows == 0 || ceilDiv(node.rows, panelRows) != panels)
    return invalid("'rows' is " + std::to_string(node.rows) +
                   ", which do not " + "fill " + std::to_string(panels) +
                   " panels of " + std::to_string(panelRows));
  return {};
}

/// UnpackBlocks, of rows that have one scale.
Status readUnpackRows(bool isBytes, WeightNode &node) {
  const WeightNode &input = node.inputs.front();
  int64_t head = packedLayout(node.dtype)->headBytes,
          length = blockLength(node.dtype);
  size_t rank = input.shape.size();
  if (!isBytes || input.shape[rank - 2] == 0 ||
      input.shape[rank - 2] % packedBlockRows != 0 ||
      input.shape[rank - 1] < head ||
      (input.shape[rank - 1] - head) % length != 0)
    return invalid("the input is " + typeText(input) +
                   ", expected U8 of three or four axes, the last but one a "
                   "multiple of " +
                   std::to_string(packedBlockRows) + ", the last " +
                   std::to_string(head) + " and a multiple of " +
                   std::to_string(length));
  CLADE_RETURN_IF_ERROR(checkPanels(node, input.shape[rank - 2]));
  node.shape.assign(input.shape.begin(), input.shape.end() - 1);
  node.shape[rank - 3] = node.rows;
  node.shape[rank - 2] = input.shape[rank - 1] - head;
  return {};
}

/// UnpackBlocks: what PackBlocks has packed.
Status readUnpackBlocks(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"op", "dtype", "rows", "input"}));
  CLADE_RETURN_IF_ERROR(readInput(value, depth, node));
  const WeightNode &input = node.inputs.front();
  CLADE_ASSIGN_OR_RETURN(node.dtype, readDType(value));
  CLADE_ASSIGN_OR_RETURN(node.rows, readInteger(value, "rows", maxDim));
  if (!isPackableBlock(node.dtype))
    return invalid("cannot unpack " + std::string(dtypeName(node.dtype)) +
                   ", expected " + packableTypes());
  size_t rank = input.shape.size();
  bool isBytes = (rank == 3 || rank == 4) && input.dtype == DType::U8;
  if (hasRowScale(node.dtype))
    return readUnpackRows(isBytes, node);
  int64_t unit = packedBlockRows * bytesPerBlock(node.dtype);
  if (!isBytes || input.shape.back() % unit != 0)
    return invalid("the input is " + typeText(input) +
                   ", expected U8 of three or four axes, the last a multiple "
                   "of " +
                   std::to_string(unit));
  int64_t panelRows = input.shape.back() / bytesPerBlock(node.dtype);
  CLADE_RETURN_IF_ERROR(checkPanels(node, panelRows));
  node.shape.assign(input.shape.begin(), input.shape.end() - 1);
  node.shape[rank - 3] = node.rows;
  std::optional<int64_t> columns =
      checkedMul(input.shape[rank - 2], blockLength(node.dtype));
  if (!columns)
    return invalid("the last axis of the result does not fit in 63 bits");
  node.shape[rank - 2] = *columns;
  return {};
}

/// BlockScale: of each block the largest magnitude over the largest code.
Status readBlockScale(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"op", "block", "largest", "dtype", "input"}));
  CLADE_RETURN_IF_ERROR(readFloatInput(value, depth, node));
  CLADE_RETURN_IF_ERROR(readFloat(value, "largest", node));
  CLADE_ASSIGN_OR_RETURN(node.dtype, readDType(value));
  CLADE_ASSIGN_OR_RETURN(node.block,
                         readIntegers(value, "block", maxDim, maxRank));
  if (!isComputeFloat(node.dtype) || !(node.value > 0))
    return invalid("'dtype' is " + std::string(dtypeName(node.dtype)) +
                   " and 'largest' " + std::to_string(node.value) +
                   ", expected f32, bf16 or f16 and a positive number");
  size_t rank = node.shape.size();
  bool isOfMatrices = rank >= 2 && node.block.size() == rank &&
                      std::all_of(node.block.begin(), node.block.end() - 2,
                                  [](int64_t size) { return size == 1; }) &&
                      node.block[rank - 2] > 0 && node.block[rank - 1] > 0;
  if (!isOfMatrices)
    return invalid("'block' is " + shapeText(node.block) +
                   ", expected 1 for each axis of " +
                   typeText(node.inputs.front()) +
                   " but the last two, of which it is a positive size");
  for (size_t i = 0; i < rank; ++i)
    node.shape[i] = ceilDiv(node.shape[i], node.block[i]);
  return {};
}

/// Encode: the nearest codes, of FP8 or of four bits, eight a word; or
/// integers.
Status readEncode(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"op", "dtype", "input"}));
  CLADE_RETURN_IF_ERROR(readFloatInput(value, depth, node));
  CLADE_ASSIGN_OR_RETURN(node.dtype, readDType(value));
  if (node.dtype != DType::F8_E4M3 && node.dtype != DType::I32 &&
      node.dtype != DType::I64)
    return invalid("cannot encode as " + std::string(dtypeName(node.dtype)) +
                   ", expected f8_e4m3, i32 or i64");
  int64_t codes = codesPerElement(node.dtype);
  if (node.shape.empty() || node.shape.back() % codes != 0)
    return invalid("the input is " + typeText(node.inputs.front()) +
                   ", expected a last axis of a multiple of " +
                   std::to_string(codes));
  node.shape.back() /= codes;
  return {};
}

/// ScaledBlocks: as Scale, but for a result that stays in codes.
Status readScaledBlocks(const json &value, int depth, WeightNode &node) {
  CLADE_RETURN_IF_ERROR(readBlockwise(value, depth, node));
  const WeightNode &codes = node.inputs[0];
  node.dtype = DType::FP8_128;
  int64_t length = blockLength(node.dtype), columns = node.shape.back();
  if (codes.dtype != DType::F8_E4M3 ||
      (node.block.back() % length != 0 && node.block.back() < columns))
    return invalid("the input is " + typeText(codes) + " in blocks of " +
                   shapeText(node.block) +
                   ", expected f8_e4m3 with scales of " +
                   std::to_string(length) + " columns or all");
  node.shape.back() = ceilDiv(columns, length) * length;
  return {};
}

using Reader = Status (*)(const json &, int, WeightNode &);
/// In the order of WeightOp.
constexpr Reader readers[] = {
    readSource,   readConcat,       readSlice,        readTranspose,
    readReshape,  readCast,         readShift,        readRope,
    readRope,     readUnitRows,     readPack,         readConstant,
    readBitcast,  readBlockwise,    readBlockwise,    readGather,
    readStack,    readLowRank,      readAdd,          readBlockwise,
    readQuantise, readPackBlocks,   readUnpackBlocks, readBlockScale,
    readEncode,   readScaledBlocks,
};
static_assert(std::size(readers) == std::size(opNames));

StatusOr<WeightNode> readNode(const json &value, int depth) {
  if (depth >= maxProgramDepth)
    return invalid("the program is deeper than " +
                   std::to_string(maxProgramDepth) + " operations");
  if (!value.is_object())
    return invalid("expected an operation {\"op\": ...}, got a value of type " +
                   std::string(value.type_name()));
  CLADE_ASSIGN_OR_RETURN(std::string name, readString(value, "op"));
  const auto *found = std::find(std::begin(opNames), std::end(opNames), name);
  if (found == std::end(opNames))
    return invalid("unknown operation " + quoteName(name));

  size_t index = static_cast<size_t>(found - std::begin(opNames));
  WeightNode node;
  node.op = static_cast<WeightOp>(index);
  Status status = readers[index](value, depth, node);
  if (status.ok())
    status = checkShape(node);
  if (!status.ok())
    return std::move(status).withContext(quoteName(name));
  return node;
}

} // namespace

std::string_view clade::rt::weightOpName(WeightOp op) {
  return opNames[static_cast<size_t>(op)];
}

StatusOr<WeightNode> clade::rt::readWeightNode(const json &value) {
  return readNode(value, /*depth=*/0);
}

StatusOr<WeightNode> clade::rt::parseWeightProgram(std::string_view text) {
  CLADE_ASSIGN_OR_RETURN(json value, parseJson(text, maxProgramJsonDepth));
  return readWeightNode(value);
}
