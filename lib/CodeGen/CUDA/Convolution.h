//===- Convolution.h - Convolutions over the tokens of a sequence - C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The block of a causal convolution of each channel by itself (CausalConvOp). A
// thread has a channel of a token. Only the first tokens of a sequence in the
// step read the state: one thread has these together, and writes the state
// behind them, so all others are independent of each other.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_CONVOLUTION_H
#define CLADE_CODEGEN_CUDA_CONVOLUTION_H

#include "lib/CodeGen/CUDA/Product.h"

namespace clade::cuda {

/// A convolution and where its operands are: `step` is the CladeStep, `state`
/// the CladeRecurrentState, whose pages are `stateBytes` each and hold
/// [taps - 1][channels] of `inputType`, the oldest first.
struct Convolution {
  int64_t channels, taps, stateBytes;
  mlir::Type inputType, weightType, biasType;
  mlir::Value step, state;
  mlir::Value weight; ///< [channels][taps]
  mlir::Value bias;   ///< [channels], or null
  /// x[token][channel] as f32; both are indices.
  std::function<mlir::Value(mlir::Value token, mlir::Value channel)> input;
};

Grid convolutionGrid(int64_t channels);

/// Emits the block; calls `store` with the sums, f32.
void emitConvolution(
    mlir::OpBuilder &builder, mlir::Location loc, const Convolution &op,
    llvm::function_ref<void(mlir::Value token, mlir::Value channel,
                            mlir::Value sum)>
        store);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_CONVOLUTION_H
