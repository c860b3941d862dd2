//===- ProductSizes.cpp - What a product packs and needs ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/Product.h"
#include "lib/CodeGen/CPU/ProductEmitter.h"
#include "lib/CodeGen/CPU/TileBlocks.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

bool usesPanelCopy(const Target &target, const ProductShape &shape) {
  return !shape.partRows.empty() &&
         (shape.rowTile > 8 || usesTiles(target, shape));
}

int64_t panelCopyBytes(const Target &target, const ProductShape &shape) {
  return usesPanelCopy(target, shape)
             ? target.panelRows *
                   llvm::alignTo(shape.k,
                                 Target::packDepth(shape.elementType)) *
                   shape.elementType.getIntOrFloatBitWidth() / 8
             : 0;
}

/// Whether many rows of such a product are multiplied by tiles of bytes.
static bool hasTilesOfBytes(const Target &target, const ProductShape &shape) {
  return target.hasByteTiles && shape.form == WeightForm::Int8 &&
         !shape.isExact;
}

bool decodesWeights(const Target &target, const ProductShape &shape) {
  return target.hasTiles && target.hasBF16 && hasBlocks(shape.form) &&
         !shape.isExact && !shape.ofExperts &&
         shape.rowTile == 2 * Target::tileRows;
}

bool usesTileBlocks(const Target &target, const ProductShape &shape) {
  return usesTiles(target, shape) && !shape.ofExperts &&
         shape.rowTile == 2 * Target::tileRows;
}

bool usesTiles(const Target &target, const ProductShape &shape) {
  if (decodesWeights(target, shape))
    return true;
  if (hasTilesOfBytes(target, shape))
    return shape.rowTile == Target::tileRows;
  return target.hasTiles && shape.form == WeightForm::Plain &&
         shape.elementType.isBF16();
}

int64_t productRowTile(const Target &target, const ProductShape &shape,
                       TokenClass tokens) {
  if (tokens != TokenClass::Many)
    return target.rowTile(tokens);
  ProductShape many = shape;
  many.rowTile = 2 * Target::tileRows;
  if (decodesWeights(target, many))
    return many.rowTile;
  if (hasTilesOfBytes(target, shape))
    return Target::tileRows;
  // Two tiles of rows share what is loaded of weights.
  return usesTiles(target, shape) ? 2 * Target::tileRows
                                  : target.rowTile(tokens);
}

int64_t packedWeightBytes(const Target &target, const ProductShape &shape) {
  if (hasBlocks(shape.form))
    return llvm::divideCeil(shape.n, target.panelRows) *
           panelBytes(target, shape.form, shape.k);
  int64_t bits = shape.form == WeightForm::Half
                     ? 16
                     : shape.elementType.getIntOrFloatBitWidth();
  return target.packedWeightElements(shape.elementType, shape.n, shape.k) *
         bits / 8;
}

int64_t productScratchBytes(const Target &target, const ProductShape &shape) {
  return panelCopyBytes(target, shape) +
         (usesTileBlocks(target, shape) ? tileBlocksBytes(target, shape) : 0);
}

int64_t packedActivationTileBytes(const Target &target,
                                  const ProductShape &shape) {
  if (decodesWeights(target, shape)) {
    auto bf16 = BFloat16Type::get(shape.elementType.getContext());
    return 2 * target.packedTileElements(bf16, shape.k, shape.rowTile);
  }
  if (hasBlocks(shape.form))
    return llvm::divideCeil(shape.k, activationGroup(shape)) *
           groupTileBytes(target, shape);
  return target.packedActivationElements(shape.elementType, shape.rowTile,
                                         shape.k, shape.rowTile) *
         target.activationBytes(shape.elementType);
}

} // namespace clade::cpu
