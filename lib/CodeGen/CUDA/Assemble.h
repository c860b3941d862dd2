//===- Assemble.h - From PTX to machine code ------------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Machine code beside PTX, by NVIDIA's assembler if there is one. GPUs load it
// without compiling; those that it is not for compile the PTX.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_ASSEMBLE_H
#define CLADE_CODEGEN_CUDA_ASSEMBLE_H

#include "lib/CodeGen/CUDA/Target.h"

#include <map>
#include <string>

namespace clade::cuda {

/// The environment variable with the path of `ptxas`; empty for none.
inline constexpr llvm::StringLiteral assemblerVariable = "CLADE_PTXAS";

/// The path of `ptxas`: what the variable names, or in $CUDA_HOME/bin,
/// $CUDA_PATH/bin, $PATH and /usr/local/cuda/bin. Empty if it is not there.
std::string findAssembler();

/// The architectures that code for `target` is assembled for: its own, and of
/// the data centres' GPUs those that run it.
llvm::SmallVector<std::string> assembledArchs(const Target &target);

/// Machine code of `ptx` by architecture. Those that the assembler does not
/// know are left out with a warning at `loc`.
std::map<std::string, std::string> assemble(mlir::Location loc,
                                            llvm::StringRef assembler,
                                            llvm::StringRef ptx,
                                            const Target &target);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_ASSEMBLE_H
