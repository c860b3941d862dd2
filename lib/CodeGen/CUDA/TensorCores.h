//===- TensorCores.h - Fragments of matrices ------------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What code for tensor cores is made of: fragments that a warp loads from
// shared memory and multiplies, asynchronous copies to there, and arithmetic on
// places in shared memory, which are i32.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_TENSORCORES_H
#define CLADE_CODEGEN_CUDA_TENSORCORES_H

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace clade::cuda {

/// What mma.sync multiplies: 16 x 16 by 16 x 8, and of tf32 16 x 8 by 8 x 8.
inline constexpr int64_t mmaM = 16, mmaN = 8, mmaK = 16, mmaKOfTF32 = 8;
/// Bytes of a piece of a row, which one asynchronous copy brings and a lane
/// names to ldmatrix.
inline constexpr int64_t pieceBytes = 16;
/// Of a bf16 or f16.
inline constexpr int64_t elementBytes = 2;

/// Whether tensor cores multiply numbers of these types: both bf16, or both
/// f16.
inline bool canMultiply(mlir::Type a, mlir::Type b) {
  return (a.isBF16() || a.isF16()) && a == b;
}

class TensorCores {
protected:
  using Values = llvm::SmallVector<mlir::Value>;

  /// `numbers` are those of products, bf16 or f16; null for bf16.
  TensorCores(mlir::OpBuilder &builder, mlir::Location loc,
              mlir::Type numbers = {});

  mlir::Value constant(int64_t value);
  template <typename Op> mlir::Value i32(mlir::Value a, mlir::Value b) {
    return Op::create(builder, loc, a, b);
  }
  template <typename Op> mlir::Value i32(mlir::Value a, int64_t b) {
    return Op::create(builder, loc, a, constant(b));
  }
  mlir::Value index(int64_t value) {
    return cpu::emitIndex(builder, loc, value);
  }
  mlir::Value number(double value) { return emitFloat(builder, loc, value); }
  template <typename Op> mlir::Value make(mlir::Value x, mlir::Value y) {
    return Op::create(builder, loc, x, y);
  }
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value x,
                      mlir::Value y) {
    return mlir::arith::CmpIOp::create(builder, loc, predicate, x, y);
  }
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y) {
    return mlir::arith::SelectOp::create(builder, loc, condition, x, y);
  }
  mlir::Value toI32(mlir::Value index);
  mlir::Value toIndex(mlir::Value number);
  mlir::Value isBelow(mlir::Value a, mlir::Value b);
  mlir::Value intrinsic(llvm::StringRef name, mlir::Type type,
                        mlir::ValueRange operands);
  /// 2^x by the instruction, whose relative error is about 2^-22.
  mlir::Value exp2(mlir::Value x);
  /// A pointer so many bytes behind another one.
  mlir::Value advance(mlir::Value pointer, mlir::Value bytes);
  mlir::Value sharedAt(mlir::Value offset) { return advance(shared, offset); }
  /// A pointer to global memory as one of that space.
  mlir::Value toGlobal(mlir::Value pointer);

  /// Four matrices of 8 x 8 numbers: lanes 0 ... 7 say where the rows of the
  /// first begin, and so on. `isTransposed`: each is transposed on the way.
  Values loadFragment(mlir::Value address, bool isTransposed = false);
  /// Four f32 of a lane, with the product of `a` (4 registers) and `b` (2).
  Values multiply(llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b,
                  llvm::ArrayRef<mlir::Value> sums);
  /// The same for tf32, of which `a` has 16 x 8 and `b` 8 x 8: lane 4·i + j has
  /// columns j and j + 4 of rows i and i + 8 of `a` (first both rows of one
  /// column), and rows j and j + 4 of column i of `b`; sums lie as others do.
  Values multiplyTF32(llvm::ArrayRef<mlir::Value> a,
                      llvm::ArrayRef<mlir::Value> b,
                      llvm::ArrayRef<mlir::Value> sums);
  /// An f32 rounded to the 11 bits of tf32, as i32.
  mlir::Value toTF32(mlir::Value number);

  /// The f32 of the bits of an f16 (i16), and of an i32.
  mlir::Value halfToFloat(mlir::Value bits);
  mlir::Value toFloat(mlir::Value integer);
  /// Two f32 rounded to bf16, as a word with `low` in its lower half.
  mlir::Value packBF16(mlir::Value low, mlir::Value high);
  /// Bits that the pieces of row `row` (i32) of a tile are exchanged by, where
  /// rows have `rowBytes` bytes: the eight rows that an ldmatrix reads at once
  /// are in different banks.
  mlir::Value exchangeOf(mlir::Value row, int64_t rowBytes);

  /// Words of two f16 as what mma.sync asks for.
  Values asHalves(llvm::ArrayRef<mlir::Value> words);

  /// Copies `bytes` bytes, or `size` (i32) of them and zeros behind these.
  void copyAsync(mlir::Value target, mlir::Value source, int64_t bytes,
                 mlir::Value size = {});
  void commit();
  /// Waits for all copies but those of the last `count` groups, of all threads.
  void waitFor(uint32_t count);

  /// How much is left of `count` (index) from `first` (index) on, at most
  /// `limit`, as i32.
  mlir::Value left(mlir::Value count, mlir::Value first, int64_t limit);
  /// Calls `store` with the rows and columns (index) of a tile, and what shared
  /// memory has for them: rows of `n` f32, `stride` apart. Each of `threads`
  /// threads has a column of some rows. `rows` and `columns` (i32, null for
  /// all) are there.
  void readSums(int64_t threads, int64_t n, int64_t stride, mlir::Value rows,
                mlir::Value columns,
                llvm::function_ref<void(mlir::Value row, mlir::Value column,
                                        mlir::Value sum)>
                    store);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Value shared;       ///< !llvm.ptr<3>
  mlir::Value thread, lane; ///< i32
  const bool isHalf;        ///< f16 is multiplied.
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TENSORCORES_H
