//===- RowMemory.h - Where the features of a token are ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_ROWMEMORY_H
#define CLADE_CODEGEN_ROWMEMORY_H

#include "dialect/Clade/CladeDialect.h"

#include <optional>

namespace clade {

/// Feature axes of a value in memory: sizes, and strides in elements.
struct RowLayout {
  llvm::SmallVector<llvm::StringRef> names;
  llvm::SmallVector<int64_t> sizes, strides;

  static RowLayout contiguous(NamedTensorType type);
  int64_t rank() const { return sizes.size(); }
  int64_t find(llvm::StringRef name) const;
  bool isContiguous() const;
  int64_t numElements() const;
};

/// A row in memory: element i, j, … is at offset + i·strides[0] + j·strides[1]
/// + ….
struct RowMemory {
  mlir::Value base; ///< !llvm.ptr
  mlir::Type elementType;
  RowLayout layout;
  int64_t offset = 0;

  /// What a slice sees of it.
  RowMemory sliced(SliceOp slice) const;
  /// It under the axes of a view, or nothing if the view's elements lie in no
  /// order that strides tell.
  std::optional<RowMemory> viewed(ViewOp view) const;
};

/// A place among the features of a value: one index for each axis. The last one
/// is the first of a vector of `width` lanes.
struct RowIndex {
  llvm::SmallVector<std::pair<llvm::StringRef, mlir::Value>> axes;
  llvm::StringRef vectorAxis; ///< Empty for a scalar in all lanes.
  mlir::Value mask;           ///< Null if all lanes are there.

  mlir::Value find(llvm::StringRef name) const;
  /// The same place, with one index of the vector's axis.
  RowIndex scalarAt(mlir::Value at) const;
};

/// Whether an op that could be an expression is computed to memory all the
/// same: computing it anew at every use would cost more. `isInMemory` says so
/// of what has been computed.
bool mustBeInMemory(mlir::Operation *op,
                    llvm::function_ref<bool(mlir::Value)> isInMemory);

} // namespace clade

#endif // CLADE_CODEGEN_ROWMEMORY_H
