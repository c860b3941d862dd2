//===- WeightProgram.h - How compiled weights are made ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight program is a tree of operations over published tensors whose value
// is one compiled weight. A weight table lists the programs of a model and the
// slots they fill. The compiler writes the table as JSON
// (docs/weights-format.md); this is its reader, which checks every shape and
// dtype rule. WeightLoader.h runs it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_WEIGHTPROGRAM_H
#define CLADE_RUNTIME_WEIGHTS_WEIGHTPROGRAM_H

#include "runtime/Formats/DType.h"

namespace clade::rt {

enum class WeightOp {
  Source,
  Concat,
  Slice,
  Transpose,
  Reshape,
  Cast,
  Shift,
  RopeUnpermute,
  RopePermute,
  UnitRows,
  Pack,
  Constant,
  Bitcast,
  Scale,
  Subtract,
  Gather,
  Stack,
  LowRank,
  Add,
  Divide,
  Quantise,
  PackBlocks,
  UnpackBlocks,
  BlockScale,
  Encode,
  ScaledBlocks,
};

/// "source", "concat", … as in the JSON.
std::string_view weightOpName(WeightOp op);

/// One operation. Its result is a dense row-major tensor of `dtype` and
/// `shape`, with every dimension positive. Only the fields that its op names
/// are meaningful.
struct WeightNode {
  WeightOp op = WeightOp::Source;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<WeightNode> inputs;

  std::string name;  ///< Source; may contain "{layer}".
  int64_t axis = 0;  ///< Concat, Slice.
  int64_t begin = 0; ///< Slice.
  int64_t end = 0;   ///< Slice, exclusive.
  std::vector<int64_t>
      perm;          ///< Transpose: result axis i is input axis perm[i].
  float value = 0;   ///< Shift, LowRank (its scale), BlockScale (largest code).
  int64_t heads = 0; ///< RopeUnpermute, RopePermute.
  int64_t rows =
      0; ///< Pack, PackBlocks: of a panel. UnpackBlocks: of a matrix.
  int64_t inner = 0;          ///< Pack.
  std::vector<float> values;  ///< Constant.
  std::vector<int64_t> block; ///< Scale, ScaledBlocks, …: sizes of
                              ///< a block, by axis.
  int64_t stacked = 0; ///< Stack: the input with "{expert}" = 0, 1, … in turn.
};

/// Codes that one element of an Encode holds: 8 of I32, 1 of others.
inline int64_t codesPerElement(DType dtype) {
  return dtype == DType::I32 ? 8 : 1;
}

/// Reads one program, {"op": …}. InvalidArgument names the operation at fault.
StatusOr<WeightNode> parseWeightProgram(std::string_view text);

/// Whether a source of `program` has "{layer}" in its name.
bool mentionsLayer(const WeightNode &program);

/// One row of the table: a program, run once for each slot.
struct WeightEntry {
  std::string param;           ///< The compiled parameter, for messages.
  std::vector<int32_t> slots;  ///< At least one.
  std::vector<int32_t> layers; ///< As long as `slots`, or empty: slots[i] is
                               ///< made with "{layer}" = layers[i]. Not empty
                               ///< if the program mentions a layer.
  WeightNode program;
};

/// A whole table: its entries fill each of the slots [0, numSlots) once.
struct WeightTable {
  int32_t numSlots = 0;
  std::vector<WeightEntry> entries;

  /// Reads a table's JSON; `name` stands for the file in messages. Corruption
  /// for malformed JSON or tables, InvalidArgument for programs that break a
  /// shape or dtype rule, Unsupported for another version.
  static StatusOr<WeightTable> parse(std::string_view text,
                                     const std::string &name);
  static StatusOr<WeightTable> open(const std::string &path);
};

/// `name` with each "{layer}" replaced.
std::string expandLayer(std::string_view name, int64_t layer);
/// `name` with each "{expert}" replaced.
std::string expandExpert(std::string_view name, int64_t expert);

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_WEIGHTPROGRAM_H
