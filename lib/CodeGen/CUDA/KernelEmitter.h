//===- KernelEmitter.h - GPU kernels of a clade.kernel -------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Turns one clade.kernel into the gpu.funcs that compute it, one behind the
// other: a token-wise kernel or attention is one; a product whose activations
// are computed first is two, since a barrier of the whole grid is a launch.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_KERNELEMITTER_H
#define CLADE_CODEGEN_CUDA_KERNELEMITTER_H

#include "dialect/Clade/LinearRecurrence.h"
#include "lib/CodeGen/CUDA/Experts.h"
#include "lib/CodeGen/RowMemory.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/ADT/StringMap.h"

namespace clade::cuda {

/// What an argument of a GPU kernel points to, behind the step, which is the
/// first.
struct KernelArgument {
  enum Kind {
    Operand, ///< the buffer of operand `number` of the clade.kernel
    Result,  ///< the buffer of result `number`
    Param,   ///< parameter `number` of the kernel, in the order of its ops
    State,   ///< state `number` of the layer
    Packed,  ///< activations of a product, between two launches
    Partial, ///< what slices of contexts give, between two launches
    Choices  ///< what choice `number` of the kernel notes and is told
  };
  Kind kind;
  int64_t number = 0;
  /// It is not an address but a tensor map of what is there.
  std::optional<MappedRows> map = {};
};

/// A gpu.func and how it is launched.
struct KernelCode {
  std::string symbol;
  Grid grid;
  int64_t sharedBytes = 0;
  bool onSelected = false; ///< Rows are selected tokens, not all.
  RowRange rows;           ///< For which it is launched.
  /// For which it is launched with other columns, in place of `rows`.
  llvm::SmallVector<LaunchRange> ranges;
  llvm::SmallVector<KernelArgument> arguments;
  /// Choices of experts that it makes: so many, of so many.
  llvm::SmallVector<std::pair<int64_t, int64_t>> choices;
};

class RowEmitter;
struct ActivationForm;
struct FactoredRow;
struct LinearScan;

class KernelEmitter {
public:
  KernelEmitter(mlir::gpu::GPUModuleOp code, const Target &target)
      : code(code), target(target) {}

  /// The GPU kernels of `kernel`, in order. If `outputIsF32`, its one result is
  /// written as f32 whatever its type. Kernels that differ in the names of
  /// their parameters only are one. Reports ops without a CUDA form.
  mlir::FailureOr<llvm::ArrayRef<KernelCode>> emit(KernelOp kernel,
                                                   bool outputIsF32);
  /// Bytes of packed activations for each row, the largest of all products.
  int64_t getPackedBytesPerRow() const { return packedBytesPerRow; }
  /// Bytes for slices of contexts, the most of all kernels.
  int64_t getPartialBytes() const { return partialBytes; }

private:
  struct Context;
  /// A group of ops that becomes one gpu.func.
  struct Part;
  /// Begins a gpu.func with what `part` needs; code goes to context.builder.
  void begin(Context &context, const Part &part, llvm::StringRef suffix);
  void markBuffers(Context &context);
  /// Ends it.
  mlir::LogicalResult finish(Context &context, Grid grid, int64_t sharedBytes);
  /// Emits the ops of a part for one row, with its operands, parameters and
  /// states bound.
  mlir::LogicalResult evaluateRow(RowEmitter &emitter, Context &context,
                                  const Part &part, mlir::Value row);
  mlir::LogicalResult emitTokenwise(Context &context);
  mlir::LogicalResult emitProductKernel(Context &context);
  mlir::LogicalResult emitAttentionKernel(Context &context);
  mlir::LogicalResult emitRecurrentKernel(Context &context);
  mlir::LogicalResult emitConvolutionKernel(Context &context,
                                            CausalConvOp convolution);
  mlir::LogicalResult emitScanKernel(Context &context, ScanOp scan);
  void beginScan(Context &context, ScanOp scan, const Part &before,
                 llvm::StringRef suffix);
  LinearScan linearScan(Context &context, ScanOp scan,
                        const LinearRecurrence &recurrence, const Part &before,
                        bool &isPlain);
  mlir::LogicalResult emitLinearScanKernels(Context &context, ScanOp scan,
                                            const LinearRecurrence &recurrence,
                                            const Part &before);
  mlir::LogicalResult emitRowScanKernel(Context &context, ScanOp scan,
                                        const Part &before);
  mlir::LogicalResult emitScanToken(Context &context, ScanOp scan,
                                    const Part &before, mlir::Value token,
                                    llvm::ArrayRef<RowMemory> carried,
                                    int64_t &sharedBytes);
  mlir::LogicalResult emitExpertsKernel(Context &context);
  mlir::LogicalResult emitGroupsKernel(Context &context, ExpertsProduct product,
                                       mlir::Value chosen, RowRange rows,
                                       int64_t bytesBefore);
  /// What lies behind `bytes` bytes for each token of a product's launches.
  mlir::Value packedBehind(Context &context, int64_t bytes);
  mlir::LogicalResult emitActivations(Context &context, mlir::Value input,
                                      const ActivationForm &form,
                                      RowRange rows = {});
  /// How a kernel whose parameters and operands are there scales its row.
  RowScaling scalingOf(Context &context, const FactoredRow &factored);
  /// The sum of row `row` of activations as it is without their scale.
  mlir::Value emitUnscaled(Context &context, const ActivationForm &form,
                           mlir::Value row, mlir::Value sum);
  /// Reports an op that may not follow a product or a convolution.
  mlir::LogicalResult checkEpilogue(const Part &part, llvm::StringRef behind);
  mlir::Value emitEpilogue(Context &context, mlir::Value value,
                           mlir::Value heart, mlir::Value row,
                           mlir::Value column, mlir::Value sum);

  mlir::gpu::GPUModuleOp code;
  const Target &target;
  llvm::StringMap<llvm::SmallVector<KernelCode, 0>> kernels;
  int64_t numFunctions = 0, packedBytesPerRow = 0, partialBytes = 0;
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_KERNELEMITTER_H
