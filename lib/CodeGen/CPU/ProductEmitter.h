//===- ProductEmitter.h - What a product is emitted by ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_PRODUCTEMITTER_H
#define CLADE_CODEGEN_CPU_PRODUCTEMITTER_H

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/Product.h"
#include "lib/CodeGen/CPU/Target.h"
#include "lib/CodeGen/CPU/WeightRows.h"
#include "llvm/Support/MathExtras.h"
#include <optional>

namespace clade::cpu {

/// Whether a panel of weights that lie row by row is copied before it is used:
/// by many rows of activations, or by tiles, which are loaded from memory.
bool usesPanelCopy(const Target &target, const ProductShape &shape);

/// Bytes of the copy.
int64_t panelCopyBytes(const Target &target, const ProductShape &shape);

/// Emits one product: which tiles a thread computes, and in which order
/// (Product.cpp), and a tile (ProductTile.cpp).
class ProductEmitter {
public:
  ProductEmitter(mlir::Location loc, const Target &target,
                 const ProductShape &shape, ProductEpilogue epilogue)
      : loc(loc), target(target), shape(shape), epilogue(epilogue),
        pack(Target::packDepth(shape.elementType)),
        depth(llvm::divideCeil(shape.k, pack)),
        panels(llvm::divideCeil(shape.n, target.panelRows)),
        isTiled(usesTiles(target, shape)) {
    bool isPlain = !hasBlocks(shape.form);
    registerRows = isPlain
                       ? target.registerRows(shape.elementType, shape.rowTile)
                       : groupRegisterRows(target, shape);
    columnTile = isPlain ? target.columnTile(registerRows)
                         : groupColumnTile(target, shape);
    // Transposing takes as many registers as a vector has lanes.
    if (isTransposed())
      columnTile = target.width;
  }

  void emit(mlir::OpBuilder &builder, mlir::Value activations,
            mlir::ValueRange weights, mlir::Value scratch,
            mlir::Value numTokens, mlir::Value thread, mlir::Value numThreads);
  void emitPanels(mlir::OpBuilder &builder, mlir::Value activations,
                  mlir::Value weights, mlir::Value numRows,
                  mlir::Value firstPanel, mlir::Value endPanel,
                  mlir::Value tileBuffer);
  /// Memory for the sums of a tile, if it needs any.
  mlir::Value emitBuffer(mlir::OpBuilder &builder);

private:
  struct Tile {
    mlir::Value panel, rowTile;
  };

  /// Whether weights lie row by row.
  bool isInRows() const { return !shape.partRows.empty(); }
  /// Whether such weights are transposed in registers for each tile; many tiles
  /// of rows share a panel that is transposed once.
  bool isTransposed() const {
    return isInRows() && !usesPanelCopy(target, shape);
  }

  void emitTasks(mlir::OpBuilder &builder, mlir::Value numTokens,
                 mlir::Value thread, mlir::Value numThreads);
  void emitBlocks(mlir::OpBuilder &builder, mlir::Value scratch,
                  mlir::Value thread, mlir::Value numThreads);
  mlir::Value panelStep(mlir::OpBuilder &builder, mlir::Value panel,
                        mlir::Value step);
  mlir::Value emitPaddedPiece(mlir::OpBuilder &builder, mlir::Value from,
                              mlir::Value first, mlir::Value count,
                              mlir::Value memory);
  int64_t stepBytes() const;
  mlir::Value blockTiles(mlir::OpBuilder &builder, mlir::Value tiles);
  Tile locate(mlir::OpBuilder &builder, mlir::Value task, mlir::Value tiles,
              mlir::Value perBlock);
  void emitTile(mlir::OpBuilder &builder, Tile tile);
  void emitFullTile(mlir::OpBuilder &builder, mlir::Value a, mlir::Value w,
                    mlir::Value count);
  llvm::SmallVector<mlir::Value> emitSums(mlir::OpBuilder &builder,
                                          mlir::Value a, mlir::Value w,
                                          int64_t firstColumn);
  llvm::SmallVector<mlir::Value> emitRowSums(mlir::OpBuilder &builder,
                                             mlir::Value a, int64_t firstColumn,
                                             mlir::ValueRange init);
  void accumulate(mlir::OpBuilder &builder, mlir::Value a, mlir::Value w,
                  mlir::Value step, int64_t firstColumn,
                  llvm::MutableArrayRef<mlir::Value> sums);
  int64_t activationStepBytes() const {
    return shape.rowTile * pack * target.activationBytes(shape.elementType);
  }
  mlir::Value activationStep(mlir::OpBuilder &builder, mlir::Value a,
                             mlir::Value step);
  void prefetch(mlir::OpBuilder &builder, mlir::Value step, int64_t bytes,
                uint32_t near);
  llvm::SmallVector<mlir::Value, 2> rowFactors(mlir::OpBuilder &builder,
                                               mlir::Value aStep, int64_t row);
  mlir::Value loadGroups(mlir::OpBuilder &builder, mlir::Type type,
                         mlir::Value base, int64_t index);
  mlir::Value loadHalves(mlir::OpBuilder &builder, mlir::Value base,
                         int64_t index);
  void accumulateRows(mlir::OpBuilder &builder, mlir::Value aStep,
                      llvm::ArrayRef<llvm::SmallVector<mlir::Value, 2>> columns,
                      llvm::MutableArrayRef<mlir::Value> sums);
  llvm::SmallVector<mlir::Value, 2> factors(mlir::OpBuilder &builder,
                                            mlir::Value groups);
  mlir::Value multiplyAdd(mlir::OpBuilder &builder, mlir::Value a,
                          mlir::Value w, mlir::Value sum);
  void bufferSums(mlir::OpBuilder &builder, mlir::Value a, mlir::Value w,
                  mlir::Value row);
  void emitLoop(mlir::OpBuilder &builder, mlir::Value end, int64_t step,
                llvm::function_ref<void(mlir::OpBuilder &, mlir::Value)> body);
  void emitRows(mlir::OpBuilder &builder, mlir::Value panel,
                mlir::Value firstRow, mlir::Value count);
  void emitPanelEnd(
      mlir::OpBuilder &builder, mlir::Value panel,
      llvm::function_ref<void(mlir::OpBuilder &, int64_t columns)> body);
  void callEpilogue(mlir::OpBuilder &builder, mlir::Value row,
                    mlir::Value panel, llvm::ArrayRef<mlir::Value> sums,
                    int64_t columns);

  int64_t vectors() const { return columnTile / target.width; }

  mlir::Location loc;
  const Target &target;
  const ProductShape &shape;
  ProductEpilogue epilogue;
  int64_t pack, depth, panels, registerRows, columnTile;
  bool isTiled;
  mlir::Value activations, weights, numTokens, buffer;
  std::optional<WeightRows> inRows;
  mlir::Value rowPanel; ///< The panel of the tile whose weights are transposed.
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_PRODUCTEMITTER_H
