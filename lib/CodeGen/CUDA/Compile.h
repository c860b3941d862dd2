//===- Compile.h - From gpu kernels to PTX -------------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_COMPILE_H
#define CLADE_CODEGEN_CUDA_COMPILE_H

#include "lib/CodeGen/CUDA/Target.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace clade::cuda {

/// On a gpu.func, the numbers of its arguments (i32) that are tensor maps: 128
/// bytes that the launch gives by value, and code addresses as !llvm.ptr.
inline constexpr llvm::StringLiteral tensorMapsAttr = "clade.tensor_maps";

/// Registers what `compileToPTX` needs: dialects and their translations.
void registerCompileDialects(mlir::DialectRegistry &registry);

/// Adds the passes that leave only llvm and nvvm operations in a gpu.module. No
/// library of device functions is needed: exponentials, logarithms and their
/// like become polynomials.
void buildLowerToNVVMPipeline(mlir::OpPassManager &passes);

/// Lowers the kernels of `code` in place and generates PTX for `target`. No
/// CUDA toolkit is needed. Errors are reported at the module's location.
mlir::FailureOr<std::string> compileToPTX(mlir::gpu::GPUModuleOp code,
                                          const Target &target);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_COMPILE_H
