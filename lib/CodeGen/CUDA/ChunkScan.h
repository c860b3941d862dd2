//===- ChunkScan.h - Linear recurrences on tensor cores ------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The block of a scan that is a LinearRecurrence, for the tokens of prompts: 32
// of them at a time by the products of LinearRecurrence.h. A block has
// up to 64 values of a head. Some of its warps have 16 values each and S of
// these in registers, from the sequence's first token in the step to its last;
// the others prepare what does not depend on S, one chunk ahead.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_CHUNKSCAN_H
#define CLADE_CODEGEN_CUDA_CHUNKSCAN_H

#include "lib/CodeGen/CUDA/LinearScan.h"

namespace clade::cuda {

/// Tokens that a sequence has in a step at least, for them to be in chunks.
inline constexpr int32_t chunkedRun = 16;

/// Whether there is such a kernel: where two chunks fit into the shared memory
/// of a block, which is up to 136 keys. It adds in another order than
/// emitLinearScan.
bool canScanChunks(const Target &target, const LinearRecurrence &parts);

/// Its grid: x is the head and a part of the values, y has the sequence that
/// begins among `rowsPerBlock` tokens, of which one at most is long enough.
Grid chunkScanGrid(const LinearRecurrence &parts);
int64_t chunkScanShared(const LinearRecurrence &parts);

/// Emits a block of that grid. It computes sequences with `chunkedRun` tokens
/// or more.
void emitChunkScan(mlir::OpBuilder &builder, mlir::Location loc,
                   const LinearScan &scan);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_CHUNKSCAN_H
