//===- StoredBlocks.h - Weights whose numbers are blocks --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight that stays quantised is a function of numbers: what blocks stand
// for, moved to where they are wanted. Moving the blocks themselves and
// dequantising last gives the same numbers, and leaves the blocks to be packed.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_TRANSFORMS_STOREDBLOCKS_H
#define CLADE_LIB_TRANSFORMS_STOREDBLOCKS_H

#include "dialect/WMap/WMapDialect.h"
#include "mlir/IR/Builders.h"

#include <optional>

namespace clade {

/// Whose blocks count: those of `wmap.dequantise`; or also those that a source
/// is stored in, whatever its numbers are rounded to afterwards, codes of FP8
/// with scales among them (`fp8_128`).
enum class BlockSources { Dequantised, Stored };

/// The format of the blocks that `value`, numbers of a `wmap.func`, stands for,
/// or nothing.
std::optional<std::string>
blockFormatOf(mlir::Value value,
              BlockSources sources = BlockSources::Dequantised);

/// Emits these blocks: the sizes of `value`, but for a last one of whole
/// blocks. There must be a format.
mlir::Value emitBlocks(mlir::OpBuilder &builder, mlir::Value value);

/// Whether f16 holds every number of `value`: it is of f16, or numbers of f16
/// that were moved and widened.
bool isOfHalves(mlir::Value value);

/// The value that a function returns.
mlir::Value returnedValue(wmap::FuncOp function);

/// Erases what the returned value is not made of.
void eraseUnused(wmap::FuncOp function);

} // namespace clade

#endif // CLADE_LIB_TRANSFORMS_STOREDBLOCKS_H
