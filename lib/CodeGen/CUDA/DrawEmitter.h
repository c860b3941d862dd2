//===- DrawEmitter.h - Weights of tokens in kernels ----------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What kernels that draw tokens are made of: what is asked of a row and what it
// gives, weights as TokenDraw.h defines them, sums over a block. Private to
// DrawToken.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_DRAWEMITTER_H
#define CLADE_CODEGEN_CUDA_DRAWEMITTER_H

#include "lib/CodeGen/CUDA/ChoiceEmitter.h"
#include "runtime/Device/TokenDraw.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace clade::cuda {

/// Where rows have what: pointers to their first.
struct DrawPlaces {
  mlir::Value logits;     ///< f32 [row][vocab]
  mlir::Value draws;      ///< TokenDraw [row]
  mlir::Value drawn;      ///< DrawnToken [row]
  mlir::Value sums;       ///< u64 [row][slice]: weights of slices, for Any
  mlir::Value weights;    ///< u64 [row][bucket], for Candidates
  mlir::Value counts;     ///< u32 [row][bucket], for Candidates
  mlir::Value candidates; ///< TokenCandidate [row][maxCandidates]
};

/// Emits into one kernel.
class DrawEmitter : public ChoiceEmitter {
protected:
  using Compare = mlir::arith::CmpIPredicate;

  DrawEmitter(mlir::OpBuilder &builder, mlir::Location loc, int64_t vocab,
              const DrawPlaces &places);

  /// Constants: i64, f64, and the exponent that has no weight.
  mlir::Value whole(int64_t value);
  mlir::Value number(double value);
  mlir::Value least() { return number(rt::leastExponent(vocab)); }

  mlir::Value compare(Compare how, mlir::Value a, mlir::Value b);
  mlir::Value both(mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value sum(mlir::Value a, mlir::Value b);
  mlir::Value difference(mlir::Value a, mlir::Value b);
  /// From an integer without a sign to i64, from f32 to f64.
  mlir::Value toWhole(mlir::Value value);
  mlir::Value toNumber(mlir::Value value);
  /// Of f64, rounded each: the assembler would make one operation of two.
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value multiply(mlir::Value a, mlir::Value b);
  mlir::Value isAbove(mlir::Value a, mlir::Value b);

  /// The address of a member, at byte `member` of element `index` of an array
  /// of elements of `size` bytes.
  mlir::Value memberOf(mlir::Value base, mlir::Value index, int64_t size,
                       size_t member);
  /// Members of the row's TokenDraw and DrawnToken.
  mlir::Value loadDraw(mlir::Type type, size_t member);
  mlir::Value drawnMember(size_t member);
  void storeDrawn(mlir::Value value, size_t member);
  /// Whether the row's TokenDraw is of this kind.
  mlir::Value isKind(rt::DrawKind kind);
  /// Element `bucket` of the row's buckets.
  mlir::Value bucketOfRow(mlir::Value bucket);
  /// Byte `bytes` of the block's shared memory.
  mlir::Value sharedAt(int64_t bytes);
  /// Adds to element `at` of an array of i32 or i64; gives what was there.
  mlir::Value atomicAdd(mlir::Value value, mlir::Value base, mlir::Value at,
                        llvm::StringRef scope);

  /// Loads what exponents are made of.
  void loadScale();
  mlir::Value exponentOf(mlir::Value logit);
  mlir::Value weightOf(mlir::Value exponent);
  /// Minus infinity behind the row's end.
  mlir::Value logitOf(const SliceLogit &logit);

  struct Scan {
    mlir::Value before, all;
  };
  /// Sums of an i64 over the threads before a thread, and over all of a block
  /// of `sliceThreads`, by `scanBytes` at the start of shared memory.
  Scan scan(mlir::Value own);

  DrawPlaces places;
  mlir::Type i32, i64, f64;
  mlir::Value top, scale; ///< f64, after loadScale().

private:
  mlir::Value rounded(llvm::StringRef name, mlir::Value a, mlir::Value b);
};

/// Sums of threads and of their warps.
inline constexpr int64_t sliceWarps = sliceThreads / 32,
                         scanBytes = 8 * (sliceThreads + sliceWarps);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_DRAWEMITTER_H
