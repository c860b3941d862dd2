//===- GroupCodes.h - Codes of packed blocks --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where the codes and scales of a panel are, and how they come to registers:
// what products and decoding have in common. The layout is documented in
// GroupProduct.h and runtime/Weights/PackedBlocks.h.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_GROUPCODES_H
#define CLADE_CODEGEN_CPU_GROUPCODES_H

#include "lib/CodeGen/CPU/GroupProduct.h"

namespace clade::cpu {

/// Reads `columns` rows of a panel from its row `firstColumn` on, which are
/// columns of a product.
class GroupCodes {
public:
  GroupCodes(mlir::Location loc, const Target &target, WeightForm form,
             int64_t firstColumn, int64_t columns)
      : loc(loc), target(target), form(form), layout(packedLayoutOf(form)),
        firstColumn(firstColumn), vectors(columns / target.width) {}

protected:
  using OpBuilder = mlir::OpBuilder;
  using Value = mlir::Value;

  /// Runs of four columns in a group of a panel.
  static constexpr int64_t steps = groupColumns / 4;

  /// A group of a panel: its block, where the group is, and its number in the
  /// block.
  struct Group {
    Value block, address, index;
  };
  /// One load of codes: of eight bits four columns, else eight. `tops` are the
  /// bits above the fourth, where `codesOf` looks for them.
  struct Run {
    Value codes, tops;
  };

  /// Group `index` (index) of the panel at `panel`.
  Group groupAt(OpBuilder &builder, Value panel, Value index);
  /// Run `run` (index) of vector `v` of the group at `group`.
  Run loadRun(OpBuilder &builder, Value group, int64_t v, Value run);
  /// Four codes a lane: those of the run's first columns, or of the columns 16
  /// further.
  Value codesOf(OpBuilder &builder, const Run &run, int64_t half);
  /// The `byte`th of each lane's four codes.
  Value byteOf(OpBuilder &builder, Value codes, int64_t byte);
  /// The scales of all rows, a vector after the other.
  llvm::SmallVector<GroupScales> scalesOf(OpBuilder &builder,
                                          const Group &group);

  int64_t runs() const { return layout.bits == 8 ? steps : steps / 2; }
  int64_t halves() const { return steps / runs(); }
  /// The panel's row that is in the first lane of a vector.
  int64_t rowOf(int64_t v) const { return firstColumn + v * target.width; }
  /// Bytes of one group of a panel.
  int64_t panelGroupBytes() const {
    return target.panelRows * layout.groupBytes();
  }

  mlir::VectorType f32s(OpBuilder &builder) {
    return mlir::VectorType::get(target.width, builder.getF32Type());
  }
  mlir::VectorType i32s(OpBuilder &builder) {
    return mlir::VectorType::get(target.width, builder.getI32Type());
  }
  Value splatInt(OpBuilder &builder, int32_t value);
  Value addressAt(OpBuilder &builder, Value base, Value offset);
  /// `count` (index) times `bytes` behind `base`.
  Value addressAt(OpBuilder &builder, Value base, Value count, int64_t bytes);
  /// A value of `type` at a constant number of bytes from `base`.
  Value loadAt(OpBuilder &builder, mlir::Type type, Value base, int64_t offset);

  mlir::Location loc;
  const Target &target;
  WeightForm form;
  const rt::PackedLayout &layout;
  int64_t firstColumn, vectors;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_GROUPCODES_H
