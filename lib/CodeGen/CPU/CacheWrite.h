//===- CacheWrite.h - Rows of the paged key/value cache ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where the row of one token and head lies in a CladeKVState, and how to fill
// it. Readers of whole pages are in Attention.h.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_CACHEWRITE_H
#define CLADE_CODEGEN_CPU_CACHEWRITE_H

#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace clade::cpu {

/// The static side of one half (keys or values) of a paged state:
/// `array[page][head][slot][size]` of `elementType` (bf16 or f32).
struct CacheLayout {
  int64_t heads;
  int64_t size;
  mlir::Type elementType;
};

/// The address of entry 0 of the row of page numbers of `sequence` (an index)
/// in the CladeKVState at `state`.
mlir::Value emitPageTable(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value state, mlir::Value sequence);

/// The address of slot 0 of `head` in the page that entry `entry` of the row
/// `pageTable` names. `array` is the state's `keys` or `values`.
mlir::Value emitPageAddress(mlir::OpBuilder &builder, mlir::Location loc,
                            const CacheLayout &layout, mlir::Value array,
                            mlir::Value pageTable, mlir::Value entry,
                            mlir::Value head);

/// The address of the row of `layout.size` elements for the token at `position`
/// of `sequence`, for `head`; all three of type index. The page must exist.
mlir::Value emitCacheRowPointer(mlir::OpBuilder &builder, mlir::Location loc,
                                const CacheLayout &layout, mlir::Value state,
                                mlir::Value sequence, mlir::Value position,
                                mlir::Value head, bool isKey);

/// Gives elements [offset, offset + count) of a row as a vector<count> of f32
/// or of the cache's element type.
using RowSource =
    llvm::function_ref<mlir::Value(int64_t offset, int64_t count)>;

/// Stores a row of `layout.size` elements at `row`, a vector register at a
/// time, converting between f32 and bf16 where the two differ. The last vector
/// may be shorter.
void emitCacheWrite(mlir::OpBuilder &builder, mlir::Location loc,
                    const Target &target, const CacheLayout &layout,
                    mlir::Value row, RowSource source);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_CACHEWRITE_H
