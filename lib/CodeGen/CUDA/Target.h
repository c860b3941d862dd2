//===- Target.h - What CUDA kernels are made for -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The GPU architecture that kernels are made for, and what of it matters to
// those who write kernels.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_TARGET_H
#define CLADE_CODEGEN_CUDA_TARGET_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"

namespace clade::cuda {

/// Lanes of a warp.
inline constexpr int64_t warpSize = 32;

/// An architecture of GPUs.
struct Target {
  std::string arch;     ///< NVIDIA's name, such as `sm_80`.
  std::string features; ///< LLVM's name of the PTX version, such as `+ptx80`.
  int64_t sharedBytes = 0; ///< Shared memory that a block may have.
  int64_t l2Bytes = 0;     ///< Of the smallest data centre GPU that has it.

  /// What a block may have on every GPU that runs the code, later ones too.
  int64_t portableSharedBytes() const;

  /// Whether four warps multiply together (wgmma).
  bool hasWarpgroups() const { return arch == "sm_90a"; }

  /// The architecture `arch`, one of those that `knownArchs` lists. Otherwise
  /// reports an error at `loc` and fails.
  static mlir::FailureOr<Target> resolve(mlir::Location loc,
                                         llvm::StringRef arch);
};

/// What is compiled for unless something else is asked for: the oldest
/// architecture, whose PTX runs on all later ones.
inline constexpr llvm::StringLiteral defaultArch = "sm_80";

/// The architectures that can be compiled for, oldest first.
llvm::SmallVector<llvm::StringRef> knownArchs();

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TARGET_H
