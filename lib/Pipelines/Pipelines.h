//===- Pipelines.h - The order of the passes --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PIPELINES_PIPELINES_H
#define CLADE_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"

namespace clade {

/// Which weights of products are packed.
enum class Packing {
  All,
  Unpublished, ///< Those that products cannot read as they are published.
  Blocks,      ///< Those in blocks.
};

/// Simplifications and fusions that every target shares.
void buildFusePipeline(mlir::OpPassManager &passes);
/// From fused ops to kernels, with weights packed to panels of `rows` rows
/// whose 16-bit elements are stored `inner` neighbouring columns together; or
/// not packed, as the interpreter reads them, if `rows` is 0. Scans compute
/// `chunk` tokens at a time, or one if that is 0.
void buildKernelPipeline(mlir::OpPassManager &passes, int64_t rows,
                         int64_t inner, int64_t chunk,
                         Packing packing = Packing::All);
/// Registers clade-fuse-pipeline and clade-kernel-pipeline.
void registerPipelines();

} // namespace clade

#endif // CLADE_PIPELINES_PIPELINES_H
