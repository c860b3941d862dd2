//===- Pipelines.cpp - The order of the passes ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Pipelines/Pipelines.h"

#include "lib/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void clade::buildFusePipeline(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createSinkSelectPass());
  // Maps of one value select it once each.
  passes.addPass(createCSEPass());
  passes.addPass(createFuseParallelLinearsPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

void clade::buildKernelPipeline(OpPassManager &passes, int64_t rows,
                                int64_t inner, int64_t chunk, Packing packing) {
  passes.addPass(createMakeStateExplicitPass());
  if (chunk > 0)
    passes.addPass(createChunkScansPass(ChunkScansPassOptions{chunk}));
  passes.addPass(createSinkIntoScansPass());
  if (rows > 0)
    passes.addPass(
        createPackWeightsPass({rows, inner, packing == Packing::Unpublished,
                               packing == Packing::Blocks}));
  passes.addPass(createFormKernelsPass());
  passes.addPass(createCSEPass());
}

void clade::registerPipelines() {
  PassPipelineRegistration<>("clade-fuse-pipeline",
                             "Fusions that every target shares",
                             buildFusePipeline);
  PassPipelineRegistration<>(
      "clade-kernel-pipeline", "From fused ops to kernels",
      [](OpPassManager &passes) { buildKernelPipeline(passes, 32, 2, 0); });
}
