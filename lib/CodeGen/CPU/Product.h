//===- Product.h - Matrix products on packed operands -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits y[t, n] = sum over k of a[t, k] * w[n, k] into a function that every
// thread of a step runs. What happens to a sum (bias, residual, conversion,
// store) is the caller's epilogue. Packing weights and activations is done
// elsewhere; the layouts, with R, P from Target and MR = rowTile, are
//
//   weights      [ceil(N / R)][ceil(K / P)][R][P]
//   activations  [ceil(M / MR)][ceil(K / P)][MR][P]
//
// with P = 1 for weights in f16, whose activations are in f32, and for the
// activations of bf16 that targets without its dot product take as f32; and
// padded with zeros in K up to the P of weights. Where tiles multiply
// (TileProduct.h), activations have P = 32. Weight rows past N and activation
// rows past M can be read but may hold anything. Quantised weights and what
// they are multiplied with have other layouts (GroupProduct.h).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_PRODUCT_H
#define CLADE_CODEGEN_CPU_PRODUCT_H

#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/Builders.h"

namespace clade::cpu {

/// What a weight's elements are stored as.
enum class WeightForm {
  Plain, ///< Numbers of the product's element type.
  Half,  ///< Numbers of f16, multiplied by activations in f32.
  // Blocks of GGUF files, named after the bits of a code.
  Int8,  ///< Q8_0: 32 codes and a scale in f16.
  Int4,  ///< Q4_0, the same.
  Int5,  ///< Q5_0, the same.
  Int4K, ///< Q4_K: 256 codes, for each 32 a scale and a minimum of 6 bits.
  Int5K, ///< Q5_K, the same.
  Int6K, ///< Q6_K: 256 codes, for each 16 a scale of 8 bits.
  // Of rows.
  Int8Row, ///< Codes of 8 bits and a scale in f32 for each row.
};

/// Whether weights are codes with scales (GroupProduct.h).
inline bool hasBlocks(WeightForm form) {
  return form != WeightForm::Plain && form != WeightForm::Half;
}

/// The static part of a product.
struct ProductShape {
  /// Rows of the weight matrix (outputs) and length of the sums.
  int64_t n, k;
  /// bf16 or f32, of both operands. Sums are f32. Where the CPU multiplies bf16
  /// itself, it takes denormal elements and sums as zero. With another form
  /// than Plain f32, which is what codes stand for.
  mlir::Type elementType;
  /// MR, one of `productRowTile`'s values.
  int64_t rowTile;
  WeightForm form = WeightForm::Plain;
  /// With blocks: activations stay in f32.
  bool isExact = false;
  /// Few rows use a panel, however many there are (Experts.h).
  bool ofExperts = false;
  /// Plain weights that lie row by row (WeightRows.h): the rows of each part.
  /// Empty where they lie in panels.
  llvm::SmallVector<int64_t> partRows = {};
};

/// Whether a product is computed by the tile registers of AMX. Of bf16 it is
/// for every number of rows, since tiles add in an order of their own; sums of
/// codes are exact, and a few rows wait for memory either way.
bool usesTiles(const Target &target, const ProductShape &shape);
/// Whether tiles multiply many rows in blocks (TileBlocks.h).
bool usesTileBlocks(const Target &target, const ProductShape &shape);
/// Whether they do so with weights in blocks: these become bf16 first, a piece
/// of a panel for all rows of a block, and activations are packed as bf16.
bool decodesWeights(const Target &target, const ProductShape &shape);
/// The MR of a class of tokens for a product like `shape`, whatever MR that
/// has.
int64_t productRowTile(const Target &target, const ProductShape &shape,
                       TokenClass tokens);

/// Bytes of the packed weights, padding included.
int64_t packedWeightBytes(const Target &target, const ProductShape &shape);
/// Bytes of memory of a thread's own that `emitProduct` needs: a panel, where
/// weights lie row by row and many rows of activations or tiles use it, and
/// what tiles keep of many rows.
int64_t productScratchBytes(const Target &target, const ProductShape &shape);
/// Bytes of one tile of MR rows of packed activations.
int64_t packedActivationTileBytes(const Target &target,
                                  const ProductShape &shape);

/// Consumes one vector of sums: `accumulator` (vector<Wxf32>) belongs to row
/// `row` and to the columns from `column` on (both index). `mask`
/// (vector<Wxi1>) tells the columns below n, and is null where all are. Within
/// a panel the vectors of one row come in ascending order, emitted one after
/// the other into the same block, so that a caller whose columns alternate
/// between two matrices may hold on to one vector until it sees the next.
using ProductEpilogue = llvm::function_ref<void(
    mlir::OpBuilder &builder, mlir::Location loc, mlir::Value row,
    mlir::Value column, mlir::Value accumulator, mlir::Value mask)>;

/// Emits this thread's part of a product at the builder's position, inside a
/// function. `packedActivations`, `weights` (one, or one a part) and `scratch`
/// (see productScratchBytes) are !llvm.ptr; `numTokens` (M), `thread` and
/// `numThreads` are of type index, thread < numThreads.
///
/// Work is cut into register tiles of MR rows by one panel and the tiles into
/// one contiguous range a thread, equal to within one tile. A tile runs all of
/// K in ascending order with one accumulator an output, so results depend
/// neither on the number of threads nor on the row tile nor on other rows nor
/// on how weights lie; but for `decodesWeights`, whose operands are others for
/// many rows. Tiles go down the rows of a block of activations before the next
/// panel.
///
/// The epilogue sees each row below `numTokens` and each column below n once.
void emitProduct(mlir::OpBuilder &builder, mlir::Location loc,
                 const Target &target, const ProductShape &shape,
                 mlir::Value packedActivations, mlir::ValueRange weights,
                 mlir::Value scratch, mlir::Value numTokens, mlir::Value thread,
                 mlir::Value numThreads, ProductEpilogue epilogue);

/// Emits the product of `numRows` rows, at most MR, with the panels
/// [firstPanel, endPanel) of packed weights, by one thread. `packedActivations`
/// is one tile; rows of the epilogue count from 0. `buffer` is what
/// `emitProductBuffer` gave, which must be called directly in the function.
void emitProductPanels(mlir::OpBuilder &builder, mlir::Location loc,
                       const Target &target, const ProductShape &shape,
                       mlir::Value packedActivations, mlir::Value packedWeights,
                       mlir::Value numRows, mlir::Value firstPanel,
                       mlir::Value endPanel, mlir::Value buffer,
                       ProductEpilogue epilogue);
/// Memory on the stack for the sums of a tile; null if none is needed.
mlir::Value emitProductBuffer(mlir::OpBuilder &builder, mlir::Location loc,
                              const Target &target, const ProductShape &shape);

/// Stores elements of row `row` of an activation matrix with `k` columns into
/// its packed form at `base`: those from column `kIndex` on, as many as
/// `values` (a vector of f32) has lanes. `kIndex` is a multiple of the number
/// of lanes, which is a multiple of P. Lanes past k are ignored and the padding
/// of K is written with zeros. f32 values are rounded for bf16 layouts.
void emitStorePacked(mlir::OpBuilder &builder, mlir::Location loc,
                     const Target &target, mlir::Type elementType,
                     int64_t rowTile, int64_t k, mlir::Value base,
                     mlir::Value row, mlir::Value kIndex, mlir::Value values);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_PRODUCT_H
