//===- Product.h - Products with a weight --------------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of a product: activations [rows, k] times a weight [n, k], both
// row-major, accumulated in f32. Each is a generator with a grid of its own,
// for steps of some numbers of rows; the kernel emitter gives it the epilogue.
// The ones here are for few rows, as decoding has, one of them for a single
// one: a warp for each output feature, which streams its row of the weight.
// TiledProduct.h has the other.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_PRODUCT_H
#define CLADE_CODEGEN_CUDA_PRODUCT_H

#include "lib/CodeGen/CUDA/Target.h"
#include "mlir/IR/Builders.h"
#include "runtime/Weights/PackedBlocks.h"

#include <functional>
#include <limits>
#include <optional>

namespace clade::cuda {

/// The grid of a kernel: `columns` blocks along x, and along y one for each
/// `rowsPerBlock` rows of the step, of `threads` threads.
struct Grid {
  int64_t columns = 1, rowsPerBlock = 1, threads = 128;
};

/// The numbers of rows for which a kernel is launched.
struct RowRange {
  int32_t first = 1, last = std::numeric_limits<int32_t>::max();
};

/// The columns of a kernel's grid in launches for some numbers of rows, in
/// steps where some sequence has `minLongest` tokens or more, and some has
/// `maxShortest` or fewer.
struct LaunchRange {
  RowRange rows;
  int64_t columns;
  int32_t minLongest = 1, maxShortest = std::numeric_limits<int32_t>::max();
};

/// What a tensor map describes: rows of bf16 or f16 that follow each other, and
/// how much of them one copy brings.
struct MappedRows {
  int64_t columns; ///< Elements of a row.
  int64_t rows;    ///< 0 for those of the step.
  int64_t boxColumns, boxRows;
};

/// Activations of a single row that a product computes on its way: numbers that
/// are multiplied with the weights, times one number of the row, which is known
/// at its end.
struct RowScaling {
  /// The numbers in place of `row`, the f32 from `column` (index) on.
  std::function<llvm::SmallVector<mlir::Value>(mlir::Value column,
                                               mlir::ValueRange row)>
      scaled;
  /// The number of the row, from the sum of its squares; f32 both.
  std::function<mlir::Value(mlir::Value squares)> factor;
};

/// A product, and where its operands are.
struct Product {
  int64_t n, k;
  mlir::Type inputType, weightType; ///< f32, bf16 or f16 each.
  mlir::Value input, weight;        ///< !llvm.ptr to row 0.
  mlir::Value rows;                 ///< index
  /// Of a weight in panels of blocks, whose activations are records
  /// (GroupCores.h) or f16 (FP8Cores.h), but rows of bf16 of a kernel that
  /// `readsRows`. Null for others.
  const rt::PackedLayout *groups = nullptr;
  /// For a kernel that has them, !llvm.ptr to the tensor maps of both.
  mlir::Value inputMap = {}, weightMap = {};
  /// Only of a kernel that scales its row, or null.
  const RowScaling *scaling = nullptr;
};

/// Emits what becomes of the sum for `row` and `column` (indices). Called for
/// each place in the code where threads have one; no others get there.
using Epilogue = llvm::function_ref<void(mlir::Value row, mlir::Value column,
                                         mlir::Value sum)>;

/// Rows of activations that a warp multiplies with one row of weights: where
/// they begin, as numbers of elements (indices).
struct RowDots {
  int64_t k; ///< elements of a row
  mlir::Type inputType, weightType;
  mlir::Value input, weight; ///< !llvm.ptr
  llvm::SmallVector<mlir::Value> inputStarts;
  mlir::Value weightStart;
  const RowScaling *scaling = nullptr; ///< Of a single row.
};
/// Emits the sums of products of this lane, for each row of activations, and
/// behind them that of the squares of a row with `scaling`. Lanes have pieces
/// of 16 bytes of the weights, a few at once where rows are few.
llvm::SmallVector<mlir::Value> emitRowDots(mlir::OpBuilder &builder,
                                           mlir::Location loc, mlir::Value lane,
                                           const RowDots &dots);

/// The grid of streaming products with `n` output features, of `rowTile` rows
/// at once.
Grid streamingGrid(int64_t n, int64_t rowTile);

/// Emits a product for that grid: a warp computes one feature of a few rows,
/// and joins the lanes' sums.
void emitStreamingProduct(mlir::OpBuilder &builder, mlir::Location loc,
                          const Product &product, int64_t rowTile,
                          Epilogue epilogue);

/// A kernel that computes a product in steps with some numbers of rows.
struct ProductKernel {
  llvm::StringRef suffix; ///< Of its name.
  Grid grid;
  int64_t sharedBytes;
  RowRange rows;
  std::function<void(mlir::OpBuilder &builder, mlir::Location loc,
                     const Product &product, Epilogue epilogue)>
      emit;
  /// Results are too many to stay in L2 beside the operands: they make room
  /// there before these do (emitStoreStreamed).
  bool streamsResults = false;
  /// What the tensor maps of activations and weights describe, for a kernel
  /// that copies by them.
  std::optional<MappedRows> inputMap = {}, weightMap = {};
  /// It is for a single row, and can scale it (Product::scaling).
  bool scalesRow = false;
  /// Activations are rows of bf16, though the weight is in blocks.
  bool readsRows = false;
};

/// The kernels for `product`: for every number of rows there is one. Its values
/// need not be there yet.
llvm::SmallVector<ProductKernel> productKernels(const Target &target,
                                                const Product &product);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_PRODUCT_H
