//===- GridPlaces.h - Places of patches in their images ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scalar code that every target has: where a patch is in its image, and what of
// a table of places lies there.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_GRIDPLACES_H
#define CLADE_CODEGEN_CPU_GRIDPLACES_H

#include "dialect/Clade/CladeDialect.h"
#include "lib/CodeGen/CPU/StepABI.h"

#include <array>

namespace clade::cpu {

/// Row and column (indices) of the patch that is token `row` (an index) of a
/// step of images, where blocks of `merge` x `merge` patches follow each other.
std::array<mlir::Value, 2> emitPlaceInGrid(mlir::OpBuilder &builder,
                                           mlir::Location loc,
                                           const StepView &view,
                                           mlir::Value row, int64_t merge);

/// Patches of each frame of an image (an index), and how many frames it has.
std::pair<mlir::Value, mlir::Value> emitFrames(mlir::OpBuilder &builder,
                                               mlir::Location loc,
                                               const StepView &view,
                                               mlir::Value image);

/// A place along an axis of a table (index) and how much it counts (f32).
struct Tap {
  mlir::Value place, weight;
};
/// What patch `index` of `count` (indices) along an axis of `size` places is
/// made of.
llvm::SmallVector<Tap> emitTaps(mlir::OpBuilder &builder, InterpolateOp op,
                                mlir::Value index, mlir::Value count,
                                int64_t size);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_GRIDPLACES_H
