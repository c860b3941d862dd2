//===- BlockHelpers.h - Code that the threads of a block share  -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every generator of kernels needs: who a thread is, barriers, sums over
// lanes and blocks, scalars in memory as f32, and math without a library of
// device functions. Memory is addressed by generic pointers; LLVM finds out
// which space they are of.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_BLOCKHELPERS_H
#define CLADE_CODEGEN_CUDA_BLOCKHELPERS_H

#include "lib/CodeGen/CUDA/Target.h"
#include "mlir/IR/Builders.h"

namespace clade::cuda {

enum class Axis { X, Y };

/// The number of the thread in its block (one axis), as an index.
mlir::Value emitThread(mlir::OpBuilder &builder, mlir::Location loc);
/// The number of the block along an axis of the grid, as an index.
mlir::Value emitBlock(mlir::OpBuilder &builder, mlir::Location loc, Axis axis);
/// A barrier of the block: what was written before is seen after it.
void emitSync(mlir::OpBuilder &builder, mlir::Location loc);

/// The start of the block's dynamic shared memory, aligned to 16 bytes.
mlir::Value emitShared(mlir::OpBuilder &builder, mlir::Location loc);
/// The same as an address of shared memory, !llvm.ptr<3>.
mlir::Value emitSharedSpace(mlir::OpBuilder &builder, mlir::Location loc);

/// Joins two f32 values; associative and commutative.
using Combine = llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)>;

/// The values of all lanes of a warp joined, in all of them. Every lane must
/// get here.
mlir::Value emitWarpReduce(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Value value, Combine combine);
/// The values of all `threads` threads joined, in all of them. `words` are
/// `threads` / 32 floats of shared memory that nobody else uses before the next
/// barrier. Every thread must get here.
mlir::Value emitBlockReduce(mlir::OpBuilder &builder, mlir::Location loc,
                            int64_t threads, mlir::Value value,
                            mlir::Value words, Combine combine);

/// Element `index` of an array of f32, bf16, f16, i32, or i1 (a byte), as f32.
mlir::Value emitLoadFloat(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Type elementType, mlir::Value base,
                          mlir::Value index);
/// `count` elements of f32, bf16 or f16 from element `index` on, as f32, in
/// loads of up to 16 bytes. `count` is a power of two, the place a multiple of
/// it, and the array begins at a multiple of 16 bytes.
llvm::SmallVector<mlir::Value> emitLoadFloats(mlir::OpBuilder &builder,
                                              mlir::Location loc,
                                              mlir::Type elementType,
                                              mlir::Value base,
                                              mlir::Value index, int64_t count);
/// Stores an f32 value as an element of such an array.
void emitStoreFloat(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value value, mlir::Type elementType, mlir::Value base,
                    mlir::Value index);

/// The same for values that others should not make room for in L2.
void emitStoreStreamed(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value value, mlir::Type elementType,
                       mlir::Value base, mlir::Value index);

/// A loop of the thread over the numbers `thread`, `thread` + `threads`, …
/// below `count`.
void emitStridedLoop(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value thread, int64_t threads, mlir::Value count,
                     llvm::function_ref<void(mlir::Value at)> body);

/// The constant f32 `value`.
mlir::Value emitFloat(mlir::OpBuilder &builder, mlir::Location loc,
                      double value);
/// The address of a constant array of the gpu.module, found again by its
/// content.
mlir::Value emitDeviceArray(mlir::OpBuilder &builder, mlir::Location loc,
                            llvm::ArrayRef<float> values);

/// Sine and cosine of an f32 angle of any size below 2^31: reduced and
/// evaluated in f64, so that the error is that of rounding to f32.
std::pair<mlir::Value, mlir::Value>
emitSinCos(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value angle);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_BLOCKHELPERS_H
