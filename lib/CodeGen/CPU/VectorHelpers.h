//===- VectorHelpers.h - Small pieces of vector code ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What emitters of kernels share: addresses on bare pointers, whole and masked
// vector accesses, conversions between bf16 and f32, and multiply-add. Pointers
// are `!llvm.ptr`, counts and positions are `index`.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_VECTORHELPERS_H
#define CLADE_CODEGEN_CPU_VECTORHELPERS_H

#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/Builders.h"

namespace clade::cpu {

/// The constant `value` of type index.
mlir::Value emitIndex(mlir::OpBuilder &builder, mlir::Location loc,
                      int64_t value);

/// `a + b`, `a * b` and the ceiling of `a / b` for values of type index that
/// are not negative.
mlir::Value emitAdd(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value a,
                    mlir::Value b);
mlir::Value emitMul(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value a,
                    mlir::Value b);
mlir::Value emitCeilDiv(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value a, mlir::Value b);

/// The address of element `index` of the array of `elementType` at `base`.
mlir::Value emitAddress(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value base, mlir::Type elementType,
                        mlir::Value index);

/// Loads a value of `type` (a scalar, or a vector of consecutive elements) that
/// begins at element `index` of `base`. Elements need only their own alignment.
mlir::Value emitLoad(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Type type, mlir::Value base, mlir::Value index);

/// Stores a scalar or vector at element `index` of `base`. Where `mask` (vector
/// of i1) is not null, only its lanes are written.
void emitStore(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
               mlir::Value base, mlir::Value index, mlir::Value mask = {});

/// Loads the lanes of `mask` and gives zero for the others, whose memory is not
/// touched. A null mask loads the whole vector.
mlir::Value emitMaskedLoad(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::VectorType type, mlir::Value base,
                           mlir::Value index, mlir::Value mask);

/// The constant mask of the first `count` of `width` lanes.
mlir::Value emitConstantMask(mlir::OpBuilder &builder, mlir::Location loc,
                             int64_t width, int64_t count);

/// All lanes of a vector of `width` lanes equal to `scalar`.
mlir::Value emitSplat(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value scalar, int64_t width);

/// `a * b + c` on f32 scalars or vectors: fused where the target can, otherwise
/// with the product rounded.
mlir::Value emitMultiplyAdd(mlir::OpBuilder &builder, mlir::Location loc,
                            const Target &target, mlir::Value a, mlir::Value b,
                            mlir::Value c);

/// Of two vectors of 2 · width i16, the sums of the products of neighbours as
/// i32. The target is an x86-64 CPU.
mlir::Value emitPairSums(mlir::OpBuilder &builder, mlir::Location loc,
                         const Target &target, mlir::Value a, mlir::Value b);

/// bf16 (scalar or vector) to f32; exact.
mlir::Value emitWiden(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value value);

/// The numbers whose bits as f16 are `bits` (i16, scalar or vector) as f32;
/// exact, also where the target has no instruction for it.
mlir::Value emitHalfToFloat(mlir::OpBuilder &builder, mlir::Location loc,
                            const Target &target, mlir::Value bits);

/// f32 (scalar or vector) to bf16, to nearest with ties to even, NaN kept. The
/// compiled code uses the CPU's instruction where it exists (which flushes
/// denormals to zero) and exact integer arithmetic elsewhere.
mlir::Value emitRoundToBF16(mlir::OpBuilder &builder, mlir::Location loc,
                            mlir::Value value);

/// The address of a constant array of the module, found again by its content.
mlir::Value emitConstantArray(mlir::OpBuilder &builder, mlir::Location loc,
                              llvm::ArrayRef<float> values);

/// A buffer of `bytes` bytes on the stack of the enclosing function, allocated
/// once in its entry block and aligned to 64 bytes.
mlir::Value emitStackBuffer(mlir::OpBuilder &builder, mlir::Location loc,
                            int64_t bytes);

/// Transposes as many vectors as they have lanes, of 32 bits each: first blocks
/// of four by four, within the 128 bits that x86's unpacks stay in, then the
/// blocks.
void emitTranspose(mlir::OpBuilder &builder, mlir::Location loc,
                   llvm::SmallVectorImpl<mlir::Value> &rows);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_VECTORHELPERS_H
